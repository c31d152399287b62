//! The operator contract.

use millstream_types::{Batch, ErrorKind, Watermark};

/// A synchronous operator with one or more inputs ("ports").
///
/// Contract, upheld by the driver:
/// - `process` is called with batches of `port` in order; never after `finish`;
/// - `watermark` is called with the minimum over the ports, strictly ascending; [`Watermark::MAX`] comes before
///   `finish` of a bounded input;
/// - `snapshot` is called after everything before a barrier was processed, and before anything after it; `restore` is
///   called at most once, before anything else;
/// - `timer` is called when `now_ms` has reached what `next_timer` said.
///
/// Contract, upheld by the operator:
/// - output is pushed in an order that depends only on the calls, never on hashing seeds or clocks not in [`Context`];
/// - an operator forwards the watermark itself (`out.watermark`), after the results that it completes. The provided
///   `watermark` forwards at once.
pub trait Operator: Send {
    fn process(
        &mut self,
        port: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError>;

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let _ = context;
        out.watermark(watermark)
    }

    /// Wall-clock time in ms at which `timer` wants to be called next.
    fn next_timer(&self) -> Option<i64> {
        None
    }

    fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let _ = (context, out);
        Ok(())
    }

    /// All inputs ended. Emits what is left; the driver sends the end of input on.
    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let _ = (context, out);
        Ok(())
    }

    /// End of one of several inputs; the others go on.
    fn finish_port(&mut self, port: usize, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let _ = (port, context, out);
        Ok(())
    }

    /// The state, frozen; a stateless operator returns no blocks.
    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        Ok(StateBlocks::default())
    }

    /// Takes back what `snapshot` of this operator gave, possibly the blocks of several instances after a change of
    /// parallelism; the operator keeps the keys of its own key groups.
    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let _ = context;
        if blocks.iter().all(StateBlocks::is_empty) {
            return Ok(());
        }
        Err(DataflowError::internal("a stateless operator was given state to restore"))
    }

    /// Bytes of state held, for metrics.
    fn state_bytes(&self) -> usize {
        0
    }

    /// Rows dropped because they came too late, for metrics.
    fn late_rows(&self) -> u64 {
        0
    }
}

/// Where an operator pushes its results.
pub trait Output {
    fn batch(&mut self, batch: Batch) -> Result<(), DataflowError>;
    fn watermark(&mut self, watermark: Watermark) -> Result<(), DataflowError>;
}

/// What an operator may know of its surroundings.
#[derive(Clone, Debug)]
pub struct Context {
    /// Wall-clock time of this step, ms since the epoch.
    pub now_ms: i64,
    /// Number of this instance, and of how many.
    pub subtask: usize,
    pub parallelism: usize,
    /// Key groups of the job (`pipeline.max-parallelism`).
    pub max_parallelism: u16,
    /// Rows that a batch should not exceed.
    pub batch_rows: usize,
    /// Watermark of the operator's input so far.
    pub watermark: Watermark,
}

/// Frozen state: named blocks of opaque bytes, cheap to clone, written by a background thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateBlocks {
    /// Name (unique within the operator) and content, in the operator's order. The content starts with a version.
    pub blocks: Vec<(String, std::sync::Arc<[u8]>)>,
}

impl StateBlocks {
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.blocks.iter().find(|(n, _)| n == name).map(|(_, bytes)| bytes.as_ref())
    }
}

/// Why a job failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct DataflowError {
    pub kind: ErrorKind,
    pub message: String,
}

impl DataflowError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
}

impl From<arrow_schema::ArrowError> for DataflowError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::data(error.to_string())
    }
}
