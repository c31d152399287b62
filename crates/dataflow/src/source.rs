//! The source contract.

use millstream_state::StateBlocks;
use millstream_types::Watermark;

use crate::operator::{Context, DataflowError, Output};

/// What a poll of a source found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceStatus {
    /// Something was emitted, or more can be had at once.
    Ready,
    /// Nothing now. The source wakes its [`Waker`]; a time is a latest moment (ms since the epoch) to poll again.
    Pending { until_ms: Option<i64> },
    /// All input was emitted.
    Finished,
}

/// A source instance: reads its share of the splits on the worker's thread.
///
/// Contract, upheld by the driver:
/// - calls come in the order `restore` (only after a restart), `open`, then the others, `close` last;
/// - `poll` is called again after `Ready`, after the waker was woken, or at `until_ms`; never after `Finished`;
/// - at the end of a bounded source the driver sends [`Watermark::MAX`] and the end of input.
///
/// Contract, upheld by the source:
/// - `poll` does not block; it emits at most `context.batch_rows` rows a call, then returns;
/// - rows of a split come in the split's order; watermarks are emitted through `out` (per-split minimum is the source's
///   business, see [`crate::watermark`]);
/// - `snapshot` holds the positions after everything emitted so far.
pub trait Source: Send {
    fn open(&mut self, context: &Context, waker: Waker) -> Result<(), DataflowError>;
    fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError>;
    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError>;
    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError>;
    /// The checkpoint with the last snapshot is durable (for committing offsets to be seen by others).
    fn checkpoint_complete(&mut self, checkpoint: millstream_types::CheckpointId) {
        let _ = checkpoint;
    }
    /// Splits that were assigned to the instance, and whether each is still open, for sources whose watermarks are made
    /// by the program around them.
    fn splits(&self) -> Vec<(String, bool)> {
        Vec::new()
    }
    /// Whether the source is idle: it must not hold back watermarks.
    fn is_idle(&self, context: &Context) -> bool {
        let _ = context;
        false
    }
    /// Highest watermark emitted, for metrics.
    fn current_watermark(&self) -> Watermark {
        Watermark::MIN
    }
    /// Records still to read, if known, for metrics (`pendingRecords`).
    fn pending_records(&self) -> Option<u64> {
        None
    }
    fn close(&mut self) {}
}

/// Wakes the worker that owns a source or a sink. Cheap to clone, callable from any thread.
#[derive(Clone)]
pub struct Waker(std::sync::Arc<dyn Fn() + Send + Sync>);

impl Waker {
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(wake))
    }

    pub fn wake(&self) {
        (self.0)();
    }
}
