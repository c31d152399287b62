//! The operator contract.

use std::ops::Range;

use millstream_state::{SnapshotScope, StateBlocks, StateError};
use millstream_types::limits::{BATCH_ROWS_DEFAULT, KEY_GROUPS_DEFAULT};
use millstream_types::{Batch, ErrorKind, Records, Watermark};

/// A synchronous operator with one or more inputs ("ports").
///
/// Contract, upheld by the driver:
/// - `process` is called with batches of `port` in order; never after `finish`;
/// - `watermark` is called with the minimum over the ports, strictly ascending, except that the first one after a
///   `restore` may be the restored one again; [`Watermark::MAX`] comes before `finish` of a bounded input;
/// - `snapshot` is called after everything before a barrier was processed, and before anything after it; `restore` is
///   called at most once, before anything else;
/// - `timer` is called when `now_ms` has reached what `next_timer` said.
///
/// Contract, upheld by the operator:
/// - output is pushed in an order that depends only on the calls, never on hashing seeds or clocks not in [`Context`];
/// - an operator forwards the watermark itself (`out.watermark`), after the results that it completes. The provided
///   `watermark` forwards at once.
pub trait Operator: Send {
    /// Rows as columns. Operators over rows of user types reject them.
    fn process(
        &mut self,
        port: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let _ = (port, batch, context, out);
        Err(DataflowError::internal("an operator over rows was given columns"))
    }

    /// Rows of a user's type, in order with the batches. Operators over columns reject them.
    fn records(
        &mut self,
        port: usize,
        records: Records,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let _ = (port, context, out);
        Err(DataflowError::internal(format!(
            "an operator over columns was given {records:?}"
        )))
    }

    /// Whether the operator reads these records: side outputs are told apart before rows are copied for a consumer.
    fn reads(&self, records: &Records) -> bool {
        records.output == 0
    }

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
    fn finish_port(
        &mut self,
        port: usize,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let _ = (port, context, out);
        Ok(())
    }

    /// The state, frozen; a stateless operator returns no blocks. The watermark need not be in it: the driver keeps it.
    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let _ = scope;
        Ok(StateBlocks::default())
    }

    /// Takes back what `snapshot` of this operator gave, possibly the blocks of several instances after a change of
    /// parallelism; the operator keeps the keys of its own key groups.
    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let _ = context;
        if blocks.iter().all(StateBlocks::is_empty) {
            return Ok(());
        }
        Err(DataflowError::internal(
            "a stateless operator was given state to restore",
        ))
    }

    /// Whether no further input can change the output (a LIMIT that is reached). The driver then ends those behind the
    /// operator, and drops what still comes.
    fn is_done(&self) -> bool {
        false
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
    /// Rows of a user's type.
    fn records(&mut self, records: Records) -> Result<(), DataflowError> {
        Err(DataflowError::internal(format!(
            "{records:?} came to an output for columns"
        )))
    }
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
    /// The state comes from a savepoint, beyond which the job that it was taken of may have gone on: numbers of
    /// checkpoints after it do not identify output.
    pub is_branch: bool,
    /// Watermark of the operator's input so far. Inside `watermark` it is still the one before.
    pub watermark: Watermark,
}

impl Context {
    /// Instance `subtask` of `parallelism`, at time 0, with default limits.
    pub fn new(subtask: usize, parallelism: usize) -> Self {
        Self {
            now_ms: 0,
            subtask,
            parallelism,
            max_parallelism: KEY_GROUPS_DEFAULT,
            batch_rows: BATCH_ROWS_DEFAULT,
            is_branch: false,
            watermark: Watermark::MIN,
        }
    }

    /// The key groups of this instance: contiguous, as even as can be, the same as Flink's.
    pub fn key_groups(&self) -> Range<u16> {
        millstream_state::key_group::range_of(self.subtask, self.parallelism, self.max_parallelism)
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
        Self {
            kind,
            message: message.into(),
        }
    }

    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
}

impl From<StateError> for DataflowError {
    fn from(error: StateError) -> Self {
        let kind = match &error {
            StateError::Storage { .. } => ErrorKind::Environment,
            StateError::KeyType(_) => ErrorKind::Unsupported,
            // The same bytes will not be better at the next attempt.
            StateError::Corrupt { .. } | StateError::Version { .. } | StateError::Shape { .. } => {
                ErrorKind::Data
            }
            StateError::Limit { .. } => ErrorKind::Environment,
            _ => ErrorKind::Internal,
        };
        // A job's error is one line: the cause goes into the message.
        let cause = std::error::Error::source(&error)
            .map(|s| format!(": {s}"))
            .unwrap_or_default();
        Self::new(kind, format!("{error}{cause}"))
    }
}

impl From<arrow_schema::ArrowError> for DataflowError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::data(error.to_string())
    }
}
