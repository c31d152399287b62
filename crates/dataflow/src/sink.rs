//! The sink contract.

use millstream_state::StateBlocks;
use millstream_types::{Batch, CheckpointId, Records, Watermark};

use crate::operator::{Context, DataflowError};
use crate::source::Waker;

/// A sink instance on the worker's thread.
///
/// Contract:
/// - calls come in the order `restore` (only after a restart), `open`, `commit` of the restored checkpoint, then the
///   others, `close` last;
/// - `write` may buffer; it returns `false` from `ready` when it wants no more for now and wakes its waker later;
/// - `prepare` is called at a barrier, after all rows before it: it starts flushing; `prepared` is polled until the
///   prepared state is durable outside, its blocks go into the checkpoint;
/// - `commit` is called after the checkpoint is durable, possibly again after a restart: it must be idempotent;
/// - between `prepare` and `prepared` further rows are written unless `ready` says no: they belong to the next
///   checkpoint;
/// - `finish` at the end of a bounded input flushes everything; `finished` is polled until it is done. After that
///   every job, with checkpoints or without, runs prepare and commit once more;
/// - a poll that is not done wakes the waker when it is worth asking again.
pub trait Sink: Send {
    fn open(&mut self, context: &Context, waker: Waker) -> Result<(), DataflowError>;
    fn write(&mut self, batch: Batch, context: &Context) -> Result<(), DataflowError>;
    /// Rows of a user's type, under the contract of `write`. Sinks of tables reject them.
    fn write_records(&mut self, records: Records, context: &Context) -> Result<(), DataflowError> {
        let _ = context;
        Err(rejected(&records))
    }
    /// Whether `write` may be called.
    fn ready(&mut self, context: &Context) -> Result<bool, DataflowError> {
        let _ = context;
        Ok(true)
    }
    fn watermark(&mut self, watermark: Watermark, context: &Context) -> Result<(), DataflowError> {
        let _ = (watermark, context);
        Ok(())
    }
    /// Wall-clock time at which `timer` wants to be called.
    fn next_timer(&self) -> Option<i64> {
        None
    }
    fn timer(&mut self, context: &Context) -> Result<(), DataflowError> {
        let _ = context;
        Ok(())
    }
    fn prepare(&mut self, checkpoint: CheckpointId, context: &Context) -> Result<(), DataflowError>;
    /// `Some` when everything before the barrier is prepared.
    fn prepared(
        &mut self,
        checkpoint: CheckpointId,
        context: &Context,
    ) -> Result<Option<SinkCommit>, DataflowError>;
    /// Makes the prepared output of `checkpoint` visible. Returns `false` if it must be called again.
    fn commit(&mut self, checkpoint: CheckpointId, context: &Context) -> Result<bool, DataflowError>;
    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError>;
    fn finish(&mut self, context: &Context) -> Result<(), DataflowError>;
    fn finished(&mut self, context: &Context) -> Result<bool, DataflowError>;
    /// Bytes encoded for the outside so far, for metrics (`numBytesOut`).
    fn bytes_written(&self) -> u64 {
        0
    }
    /// The job was canceled: abandons all open and prepared external output. `close` follows.
    fn cancel(&mut self) {}
    fn close(&mut self) {}
}

/// A sink that makes every row visible at once: it has nothing to prepare, to commit or to restore.
pub trait UnbufferedSink: Send {
    fn open(&mut self, waker: Waker) {
        let _ = waker;
    }
    /// Whether `write` may be called. If not, the sink wakes its waker later.
    fn ready(&mut self) -> bool {
        true
    }
    fn write(&mut self, batch: Batch) -> Result<(), DataflowError>;
    /// Rows of a user's type. Sinks of tables reject them.
    fn write_records(&mut self, records: Records) -> Result<(), DataflowError> {
        Err(rejected(&records))
    }
    fn watermark(&mut self, watermark: Watermark) {
        let _ = watermark;
    }
}

fn rejected(records: &Records) -> DataflowError {
    DataflowError::internal(format!("a sink of a table was given {records:?}"))
}

/// An [`UnbufferedSink`] under the contract of [`Sink`]. A restart may write rows again.
pub struct Unbuffered<S>(pub S);

impl<S: UnbufferedSink> Sink for Unbuffered<S> {
    fn open(&mut self, _: &Context, waker: Waker) -> Result<(), DataflowError> {
        self.0.open(waker);
        Ok(())
    }

    fn ready(&mut self, _: &Context) -> Result<bool, DataflowError> {
        Ok(self.0.ready())
    }

    fn write(&mut self, batch: Batch, _: &Context) -> Result<(), DataflowError> {
        self.0.write(batch)
    }

    fn write_records(&mut self, records: Records, _: &Context) -> Result<(), DataflowError> {
        self.0.write_records(records)
    }

    fn watermark(&mut self, watermark: Watermark, _: &Context) -> Result<(), DataflowError> {
        self.0.watermark(watermark);
        Ok(())
    }

    fn prepare(&mut self, _: CheckpointId, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn prepared(&mut self, _: CheckpointId, _: &Context) -> Result<Option<SinkCommit>, DataflowError> {
        Ok(Some(SinkCommit::default()))
    }

    fn commit(&mut self, _: CheckpointId, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }

    fn restore(&mut self, _: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finish(&mut self, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finished(&mut self, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }
}

/// A sink's part of a checkpoint: enough to commit the output, or to find out whether it was committed.
#[derive(Clone, Debug, Default)]
pub struct SinkCommit {
    pub state: StateBlocks,
}
