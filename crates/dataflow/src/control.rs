//! Messages between a job's coordinator and its workers.

pub use millstream_state::InstanceState;
use std::sync::Arc;

use millstream_state::StateBlocks;
use millstream_types::{CheckpointId, Watermark};

use crate::operator::DataflowError;

/// Orders to a worker.
#[derive(Clone, Debug)]
pub enum Command {
    /// Inject the barrier of a checkpoint into the sources. With `stop`, sources read nothing after it.
    Trigger { checkpoint: CheckpointId, stop: bool },
    /// The checkpoint is durable: commit its output. Later snapshots may refer to it if `is_base`.
    Completed { checkpoint: CheckpointId, is_base: bool },
    /// End the input of all sources, as if they were bounded: windows fire, and a last checkpoint follows.
    Drain,
    /// End now. Uncommitted output is left to the next run.
    Close,
    /// End now. Nothing will be committed afterwards.
    Cancel,
}

/// What a worker reports.
#[derive(Clone, Debug)]
pub enum WorkerEvent {
    /// All its instances are running.
    Running {
        worker: usize,
    },
    /// All its instances have taken their snapshots, and its sinks are prepared.
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
    /// All input was read and all sinks are flushed; the worker waits for the last checkpoint.
    Finished {
        worker: usize,
    },
    /// All its sinks have seen the end of their input and are flushed, although its sources may continue (LIMIT).
    SinksEnded {
        worker: usize,
        /// Number of these sinks.
        sinks: usize,
    },
    Failed {
        worker: usize,
        error: DataflowError,
    },
    /// The worker is over.
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
    /// A savepoint: the job that took it may have continued beyond it.
    pub is_branch: bool,
    pub states: Vec<InstanceState>,
}

/// The state that an instance restores.
#[derive(Debug)]
pub(crate) struct InstanceRestore {
    pub blocks: Vec<StateBlocks>,
    pub watermark: Watermark,
    pub finished: bool,
}

impl RestoredState {
    /// The state for an instance: its own if the parallelism is unchanged, otherwise, or if it wants `all`, that of all
    /// former instances.
    pub(crate) fn for_instance(
        &self,
        uid: &str,
        subtask: usize,
        parallelism: usize,
        all: bool,
    ) -> Option<InstanceRestore> {
        let of_operator = || self.states.iter().filter(|s| &*s.uid == uid);
        of_operator().next()?;
        let same = of_operator().all(|s| s.parallelism == parallelism);
        let own = || of_operator().filter(|s| !same || s.subtask == subtask);
        let finished = own().all(|s| s.finished);
        // Finished operators leave no state, and must not receive that of others.
        let given = of_operator().filter(|s| all || !same || s.subtask == subtask);
        let with_state = given.filter(|s| finished || !s.finished || !s.blocks.is_empty());
        Some(InstanceRestore {
            blocks: with_state.map(|s| s.blocks.clone()).collect(),
            watermark: own().map(|s| s.watermark).min().unwrap_or(Watermark::MIN),
            finished,
        })
    }
}
