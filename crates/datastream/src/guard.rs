//! Panics in the user's code: they fail the job, with the operator's name and the record's place, not the process.
//!
//! A panic is caught once a call, so nothing is paid for a record but noting its place.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use millstream_dataflow::{
    Context, DataflowError, Operator, OperatorFactory, Output, Sink, SinkCommit, SinkFactory, SnapshotScope,
    Source, SourceFactory, SourceNotice, SourceStatus, StateBlocks, Waker,
};
use millstream_types::{Batch, CheckpointId, Records, Watermark};

thread_local! {
    /// The record of the running batch that the user's code is looking at, from 1.
    static PLACE: Cell<usize> = const { Cell::new(0) };
}

/// Notes that the user's code is given the record at this place of its batch.
#[inline]
pub(crate) fn at_record(index: usize) {
    PLACE.set(index + 1);
}

fn catching<T>(name: &str, body: impl FnOnce() -> Result<T, DataflowError>) -> Result<T, DataflowError> {
    catching_as("operator", name, body)
}

/// Runs code of the user; a panic becomes an error that names what it happened in.
pub(crate) fn catching_as<T>(
    what: &str,
    name: &str,
    body: impl FnOnce() -> Result<T, DataflowError>,
) -> Result<T, DataflowError> {
    PLACE.set(0);
    // The state that the body may leave inconsistent belongs to a worker that is discarded.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) => {
            let place = match PLACE.get() {
                0 => String::new(),
                place => format!(" at record {place} of its batch"),
            };
            let message = message_of(panic.as_ref());
            Err(DataflowError::internal(format!(
                "{what} '{name}' panicked{place}: {message}"
            )))
        }
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// An error of the user's code, with the operator's name.
fn named(name: &str, error: DataflowError) -> DataflowError {
    if error.message.starts_with("operator '") {
        return error;
    }
    DataflowError::new(error.kind, format!("operator '{name}': {}", error.message))
}

pub(crate) struct GuardedOperator {
    pub name: Arc<str>,
    pub inner: Arc<dyn OperatorFactory>,
}

struct Guarded<T: ?Sized> {
    name: Arc<str>,
    /// In BATCH mode sources make no watermarks: time moves when the input has ended.
    is_batch: bool,
    inner: Box<T>,
}

impl<T: ?Sized> Guarded<T> {
    fn call<R>(&mut self, body: impl FnOnce(&mut T) -> Result<R, DataflowError>) -> Result<R, DataflowError> {
        let inner = &mut self.inner;
        catching(&self.name, || body(inner)).map_err(|error| named(&self.name, error))
    }
}

impl OperatorFactory for GuardedOperator {
    fn create(&self, context: &Context) -> Result<Box<dyn Operator>, DataflowError> {
        Ok(Box::new(Guarded {
            name: Arc::clone(&self.name),
            is_batch: false,
            inner: catching(&self.name, || self.inner.create(context))?,
        }))
    }

    fn restores_all(&self) -> bool {
        self.inner.restores_all()
    }
}

impl Operator for Guarded<dyn Operator> {
    fn set_waker(&mut self, waker: Waker) {
        self.inner.set_waker(waker);
    }

    fn ready(&self) -> bool {
        self.inner.ready()
    }

    fn process(
        &mut self,
        port: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.call(|inner| inner.process(port, batch, context, out))
    }

    fn records(
        &mut self,
        port: usize,
        records: Records,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.call(|inner| inner.records(port, records, context, out))
    }

    fn reads(&self, records: &Records) -> bool {
        self.inner.reads(records)
    }

    fn reads_batches(&self) -> bool {
        self.inner.reads_batches()
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.call(|inner| inner.watermark(watermark, context, out))
    }

    fn next_timer(&self) -> Option<i64> {
        self.inner.next_timer()
    }

    fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.call(|inner| inner.timer(context, out))
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.call(|inner| inner.finish(context, out))
    }

    fn finish_port(
        &mut self,
        port: usize,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.call(|inner| inner.finish_port(port, context, out))
    }

    fn before_barrier(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.call(|inner| inner.before_barrier(context, out))
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        self.call(|inner| inner.snapshot(scope))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.call(|inner| inner.restore(blocks, context))
    }

    fn state_bytes(&self) -> usize {
        self.inner.state_bytes()
    }

    fn spilled_bytes(&self) -> u64 {
        self.inner.spilled_bytes()
    }

    fn late_rows(&self) -> u64 {
        self.inner.late_rows()
    }
}

pub(crate) struct GuardedSource {
    pub name: Arc<str>,
    pub inner: Arc<dyn SourceFactory>,
    pub is_batch: bool,
}

impl SourceFactory for GuardedSource {
    fn create(&self, context: &Context) -> Result<Box<dyn Source>, DataflowError> {
        Ok(Box::new(Guarded {
            name: Arc::clone(&self.name),
            is_batch: self.is_batch,
            inner: catching(&self.name, || self.inner.create(context))?,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.inner.parallelism_max()
    }

    fn is_bounded(&self) -> bool {
        self.inner.is_bounded()
    }
}

/// Hands records on, but no watermarks. That of the end of the input is the driver's.
struct WithoutWatermarks<'a>(&'a mut dyn Output);

impl Output for WithoutWatermarks<'_> {
    fn batch(&mut self, batch: Batch) -> Result<(), DataflowError> {
        self.0.batch(batch)
    }

    fn records(&mut self, records: Records) -> Result<(), DataflowError> {
        self.0.records(records)
    }

    fn watermark(&mut self, _: Watermark) -> Result<(), DataflowError> {
        Ok(())
    }
}

impl Source for Guarded<dyn Source> {
    fn open(&mut self, context: &Context, waker: Waker) -> Result<(), DataflowError> {
        self.call(|inner| inner.open(context, waker))
    }

    fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        // Panics of the chain behind are caught there first.
        if self.is_batch {
            self.call(|inner| inner.poll(context, &mut WithoutWatermarks(out)))
        } else {
            self.call(|inner| inner.poll(context, out))
        }
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        self.call(|inner| inner.snapshot())
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.call(|inner| inner.restore(blocks, context))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) {
        self.inner.checkpoint_complete(checkpoint);
    }

    fn is_idle(&self, context: &Context) -> bool {
        self.inner.is_idle(context)
    }

    fn current_watermark(&self) -> Watermark {
        self.inner.current_watermark()
    }

    fn pending_records(&self) -> Option<u64> {
        self.inner.pending_records()
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }

    fn notice(&self) -> Option<SourceNotice> {
        self.inner.notice()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

pub(crate) struct GuardedSink {
    pub name: Arc<str>,
    pub inner: Arc<dyn SinkFactory>,
}

impl SinkFactory for GuardedSink {
    fn create(&self, context: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        Ok(Box::new(Guarded {
            name: Arc::clone(&self.name),
            is_batch: false,
            inner: catching(&self.name, || self.inner.create(context))?,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.inner.parallelism_max()
    }
}

impl Sink for Guarded<dyn Sink> {
    fn open(&mut self, context: &Context, waker: Waker) -> Result<(), DataflowError> {
        self.call(|inner| inner.open(context, waker))
    }

    fn write(&mut self, batch: Batch, context: &Context) -> Result<(), DataflowError> {
        self.call(|inner| inner.write(batch, context))
    }

    fn write_records(&mut self, records: Records, context: &Context) -> Result<(), DataflowError> {
        self.call(|inner| inner.write_records(records, context))
    }

    fn ready(&mut self, context: &Context) -> Result<bool, DataflowError> {
        self.call(|inner| inner.ready(context))
    }

    fn watermark(&mut self, watermark: Watermark, context: &Context) -> Result<(), DataflowError> {
        self.call(|inner| inner.watermark(watermark, context))
    }

    fn next_timer(&self) -> Option<i64> {
        self.inner.next_timer()
    }

    fn timer(&mut self, context: &Context) -> Result<(), DataflowError> {
        self.call(|inner| inner.timer(context))
    }

    fn prepare(&mut self, checkpoint: CheckpointId, context: &Context) -> Result<(), DataflowError> {
        self.call(|inner| inner.prepare(checkpoint, context))
    }

    fn prepared(
        &mut self,
        checkpoint: CheckpointId,
        context: &Context,
    ) -> Result<Option<SinkCommit>, DataflowError> {
        self.call(|inner| inner.prepared(checkpoint, context))
    }

    fn commit(&mut self, checkpoint: CheckpointId, context: &Context) -> Result<bool, DataflowError> {
        self.call(|inner| inner.commit(checkpoint, context))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.call(|inner| inner.restore(blocks, context))
    }

    fn finish(&mut self, context: &Context) -> Result<(), DataflowError> {
        self.call(|inner| inner.finish(context))
    }

    fn finished(&mut self, context: &Context) -> Result<bool, DataflowError> {
        self.call(|inner| inner.finished(context))
    }

    fn bytes_written(&self) -> u64 {
        self.inner.bytes_written()
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
