//! What the coordinator of a job and its workers tell each other.

pub use millstream_state::InstanceState;
use std::sync::Arc;

use millstream_state::StateBlocks;
use millstream_types::{CheckpointId, Watermark};

use crate::operator::DataflowError;

/// Orders to a worker.
#[derive(Clone, Debug)]
pub enum Command {
    /// Put the barrier of a checkpoint into the sources. With `stop` the sources read nothing after it.
    Trigger { checkpoint: CheckpointId, stop: bool },
    /// The checkpoint is durable: commit its output. Later snapshots may refer to it if `is_base`.
    Completed { checkpoint: CheckpointId, is_base: bool },
    /// End the input of all sources, as if they were bounded: windows fire, and a last checkpoint follows.
    Drain,
    /// End now. What was not committed is left to the next run.
    Close,
    /// End now. Nothing will be committed any more.
    Cancel,
}

/// What a worker reports.
#[derive(Clone, Debug)]
pub enum WorkerEvent {
    /// All its instances are running.
    Running {
        worker: usize,
    },
    /// All its instances took their snapshots and its sinks are prepared.
    Acknowledged {
        worker: usize,
        checkpoint: CheckpointId,
        states: Vec<InstanceState>,
    },
    /// The output of the checkpoint is visible.
    Committed {
        worker: usize,
        checkpoint: CheckpointId,
    },
    /// All input was read and all its sinks are flushed; it waits for the last checkpoint.
    Finished {
        worker: usize,
    },
    /// All its sinks have seen the end of their input and are flushed, though its sources may go on (LIMIT).
    SinksEnded {
        worker: usize,
        /// How many it has.
        sinks: usize,
    },
    Failed {
        worker: usize,
        error: DataflowError,
    },
    /// The thread is ending.
    Closed {
        worker: usize,
    },
}

/// Where workers send their events. Cheap to clone, callable from any thread.
#[derive(Clone)]
pub struct EventSink(Arc<dyn Fn(WorkerEvent) + Send + Sync>);

impl EventSink {
    pub fn new(send: impl Fn(WorkerEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }

    pub fn send(&self, event: WorkerEvent) {
        (self.0)(event);
    }
}

/// A checkpoint that a job starts from.
#[derive(Clone, Debug)]
pub struct RestoredState {
    pub checkpoint: CheckpointId,
    /// It is a savepoint: the job that it was taken of may have gone on beyond it.
    pub is_branch: bool,
    pub states: Vec<InstanceState>,
}

/// What an instance takes back.
#[derive(Debug)]
pub(crate) struct InstanceRestore {
    pub blocks: Vec<StateBlocks>,
    pub watermark: Watermark,
    pub finished: bool,
}

impl RestoredState {
    /// The state for an instance: its own if the parallelism is as it was, that of all former instances otherwise.
    pub(crate) fn for_instance(
        &self,
        uid: &str,
        subtask: usize,
        parallelism: usize,
    ) -> Option<InstanceRestore> {
        let of_operator = || self.states.iter().filter(|s| &*s.uid == uid);
        of_operator().next()?;
        let same = of_operator().all(|s| s.parallelism == parallelism);
        let own = || of_operator().filter(|s| !same || s.subtask == subtask);
        let finished = own().all(|s| s.finished);
        // Operators that finished leave no state; it must not be mistaken for that of others.
        let with_state = own().filter(|s| finished || !s.finished || !s.blocks.is_empty());
        Some(InstanceRestore {
            blocks: with_state.map(|s| s.blocks.clone()).collect(),
            watermark: own().map(|s| s.watermark).min().unwrap_or(Watermark::MIN),
            finished,
        })
    }
}
