//! The operator contract.

use std::ops::Range;

use millstream_state::{SnapshotScope, Spill, StateBlocks, StateError};
use millstream_types::limits::{BATCH_ROWS_DEFAULT, KEY_GROUPS_DEFAULT};
use millstream_types::{Batch, ErrorCode, ErrorKind, Records, Watermark};

use crate::side::LateBatch;
use crate::source::Waker;

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
    /// Called once, before anything else. An operator whose results come from other threads wakes its worker with it, and
    /// has `next_timer` say that they are there.
    fn set_waker(&mut self, waker: Waker) {
        let _ = waker;
    }

    /// Whether the operator takes more input. If not, it wakes its worker when it does again; a batch may still come from
    /// an operator that is fused with it.
    fn ready(&self) -> bool {
        true
    }

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

    /// Whether the operator reads these records. Checked before rows are copied for a consumer, to select side outputs.
    fn reads(&self, records: &Records) -> bool {
        records.output == 0
    }

    /// Whether the operator reads batches. One that collects a side output does not, and the driver drops them.
    fn reads_batches(&self) -> bool {
        true
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

    /// All inputs ended. Emits remaining results; the driver forwards the end of input.
    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let _ = (context, out);
        Ok(())
    }

    /// One of several inputs ended; the others continue.
    fn finish_port(
        &mut self,
        port: usize,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let _ = (port, context, out);
        Ok(())
    }

    /// A barrier has arrived: emits what must not wait for the next checkpoint. `snapshot` follows.
    fn before_barrier(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let _ = (context, out);
        Ok(())
    }

    /// A frozen copy of the state; a stateless operator returns no blocks. The driver stores the watermark itself.
    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let _ = scope;
        Ok(StateBlocks::default())
    }

    /// Restores the blocks of earlier snapshots, which come from several instances after a change of parallelism. The
    /// operator keeps the keys of its own key groups.
    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        let _ = context;
        if blocks.iter().all(StateBlocks::is_empty) {
            return Ok(());
        }
        Err(DataflowError::internal(
            "a stateless operator was given state to restore",
        ))
    }

    /// Whether further input cannot change the output (a LIMIT that is reached). The driver then ends the downstream
    /// operators and drops further input.
    fn is_done(&self) -> bool {
        false
    }

    /// Bytes of state held, for metrics.
    fn state_bytes(&self) -> usize {
        0
    }

    /// Bytes of state on disk, for metrics.
    fn spilled_bytes(&self) -> u64 {
        0
    }

    /// Rows dropped as late, for metrics.
    fn late_rows(&self) -> u64 {
        0
    }

    /// The late rows since the last call; the driver sends them on as a side output. Operators that count late rows
    /// return the rows, too.
    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        Vec::new()
    }
}

/// Receives the results of an operator.
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

/// The environment of an operator instance.
#[derive(Clone, Debug)]
pub struct Context {
    /// Wall-clock time of this step, ms since the epoch.
    pub now_ms: i64,
    /// The number of this instance, and the number of instances.
    pub subtask: usize,
    pub parallelism: usize,
    /// Key groups of the job (`pipeline.max-parallelism`).
    pub max_parallelism: u16,
    /// Target size of a batch in rows.
    pub batch_rows: usize,
    /// The state comes from a savepoint, and the job that took it may have continued: checkpoint numbers after it do
    /// not identify output.
    pub is_branch: bool,
    /// How state moves to disk beyond the memory limit; `None`: it stays in memory.
    pub spill: Option<Spill>,
    /// The job wants the rows that come too late, not only their number.
    pub keeps_late_rows: bool,
    /// The watermark of the operator's input. During `watermark` it is still the previous one.
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
            keeps_late_rows: false,
            spill: None,
            watermark: Watermark::MIN,
        }
    }

    /// The key groups of this instance: contiguous, evenly divided, and equal to Flink's.
    pub fn key_groups(&self) -> Range<u16> {
        millstream_state::key_group::range_of(self.subtask, self.parallelism, self.max_parallelism)
    }
}

/// Why a job failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct DataflowError {
    pub kind: ErrorKind,
    /// What is wrong, by a name that stays the same between versions.
    pub code: ErrorCode,
    pub message: String,
}

impl DataflowError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: ErrorCode::of_kind(kind),
            message: message.into(),
        }
    }

    /// An error of a code and the kind that is declared for it.
    pub fn coded(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            ..Self::new(code.declaration().kind, message)
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
            StateError::Storage { .. } | StateError::NoSpill => ErrorKind::Environment,
            StateError::KeyType(_) => ErrorKind::Unsupported,
            // Another attempt would read the same corrupt bytes.
            StateError::Corrupt { .. } | StateError::Version { .. } | StateError::Shape { .. } => {
                ErrorKind::Data
            }
            StateError::Limit { .. } => ErrorKind::Environment,
            _ => ErrorKind::Internal,
        };
        // Jobs report one line, so the message includes the cause.
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
