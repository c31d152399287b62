//! The source contract.

use std::collections::BTreeSet;
use std::fmt;

use millstream_state::StateBlocks;
use millstream_types::Watermark;

use crate::operator::{Context, DataflowError, Output};

/// The outcome of polling a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceStatus {
    /// Something was emitted, or more is available at once.
    Ready,
    /// Nothing available. The source wakes its [`Waker`]; `until_ms` is the latest time (ms since the epoch) to poll
    /// again.
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
    /// The checkpoint of the last snapshot is durable; a source may now publish its offsets.
    fn checkpoint_complete(&mut self, checkpoint: millstream_types::CheckpointId) {
        let _ = checkpoint;
    }
    /// The splits assigned to the instance, and whether each is still open. For sources whose watermarks the
    /// surrounding program generates.
    fn splits(&self) -> Vec<(String, bool)> {
        Vec::new()
    }
    /// From now on, splits with these names are not read, and all others are. For sources whose watermarks the surrounding
    /// program aligns.
    fn pause_splits(&mut self, paused: &BTreeSet<String>) {
        let _ = paused;
    }
    /// Whether the source is idle and must not hold back watermarks.
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
    /// Bytes read from outside so far, as they were stored there, for metrics (`numBytesIn`).
    fn bytes_read(&self) -> u64 {
        0
    }
    /// What keeps the source from making progress, if it knows.
    fn notice(&self) -> Option<SourceNotice> {
        None
    }
    fn close(&mut self) {}
}

/// What keeps a source instance from making progress, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceNotice {
    /// It retries something; the reason.
    Waiting(String),
    /// A split that takes part in watermarks has had no rows for a while.
    Silent {
        split: String,
        silent_ms: i64,
        /// The split's watermark.
        watermark: i64,
        /// Another split of the instance is ahead.
        is_behind: bool,
    },
}

impl SourceNotice {
    /// What the notice is about: two of one subject are the same notice at different times.
    pub fn subject(&self) -> &str {
        match self {
            Self::Waiting(reason) => reason,
            Self::Silent { split, .. } => split,
        }
    }

    /// Whether it explains why a vertex does not go on whose instances have come to this watermark.
    pub(crate) fn matters(&self, furthest_watermark: i64) -> bool {
        match self {
            Self::Waiting(_) => true,
            Self::Silent {
                watermark, is_behind, ..
            } => *is_behind || furthest_watermark > *watermark,
        }
    }
}

impl fmt::Display for SourceNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(reason) => f.write_str(reason),
            Self::Silent { split, .. } => write!(
                f,
                "partition {split} has no new records and holds the watermark back; SET \
                 'table.exec.source.idle-timeout' = '10 s' lets the watermark pass such partitions"
            ),
        }
    }
}

/// Wakes the worker that owns a source, an operator or a sink. Cheap to clone, callable from any thread.
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
