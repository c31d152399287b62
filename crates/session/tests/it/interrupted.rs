//! Jobs that crash: after every few steps, the test takes a checkpoint, discards the workers and restarts them from it.
//! The output visible outside must equal that of an uninterrupted run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_dataflow::{
    Context, DataflowError, Sink, SinkCommit, SinkFactory, StateBlocks, StepOutcome, Waker,
};
use millstream_jobs::translate::translate;
use millstream_jobs::{
    CheckpointReason, CheckpointSettings, Checkpoints, JobRequest, JobSettings, SteppedRun,
};
use millstream_types::{Batch, CheckpointId, ErrorKind};

/// Steps between two crashes, and the number of crashes.
const STEPS_BEFORE_CHECKPOINT: u32 = 3;
const STEPS_AFTER_CHECKPOINT: u32 = 4;
const CRASHES: u32 = 6;
/// How long a step sleeps while it waits for external input.
const WAIT: Duration = Duration::from_micros(200);
/// Steps without progress after which a job counts as stuck.
const IDLE_STEPS_MAX: u32 = 50_000;

/// Checkpoints only on request.
const ON_REQUEST: CheckpointSettings = CheckpointSettings {
    interval_ms: i64::MAX / 2,
    timeout_ms: i64::MAX / 2,
    min_pause_ms: 0,
    tolerable_failures: 0,
    retained: 1,
};

/// The consumer of a query's rows: rows become visible when their checkpoint commits.
#[derive(Clone, Default)]
struct Outside(Arc<Mutex<Rows>>);

#[derive(Default)]
struct Rows {
    committed: Vec<Batch>,
    prepared: BTreeMap<u64, Vec<Batch>>,
}

impl SinkFactory for Outside {
    fn create(&self, _: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        Ok(Box::new(TransactionalSink {
            outside: self.clone(),
            open: Vec::new(),
            restored: None,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        Some(1)
    }
}

struct TransactionalSink {
    outside: Outside,
    open: Vec<Batch>,
    restored: Option<u64>,
}

impl Sink for TransactionalSink {
    fn open(&mut self, _: &Context, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn write(&mut self, batch: Batch, _: &Context) -> Result<(), DataflowError> {
        self.open.push(batch);
        Ok(())
    }

    fn prepare(&mut self, checkpoint: CheckpointId, _: &Context) -> Result<(), DataflowError> {
        let rows = std::mem::take(&mut self.open);
        self.outside.0.lock().unwrap().prepared.insert(checkpoint.0, rows);
        Ok(())
    }

    fn prepared(
        &mut self,
        checkpoint: CheckpointId,
        _: &Context,
    ) -> Result<Option<SinkCommit>, DataflowError> {
        let state = StateBlocks::single("transaction", checkpoint.0.to_le_bytes().to_vec());
        Ok(Some(SinkCommit { state }))
    }

    fn commit(&mut self, checkpoint: CheckpointId, _: &Context) -> Result<bool, DataflowError> {
        let mut rows = self.outside.0.lock().unwrap();
        let transactions = self.restored.take().into_iter().chain([checkpoint.0]);
        for transaction in transactions {
            let prepared = rows.prepared.remove(&transaction).unwrap_or_default();
            rows.committed.extend(prepared);
        }
        Ok(true)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        let transaction = blocks.iter().find_map(|block| block.get("transaction"));
        self.restored = transaction.map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        let last = self.restored.unwrap_or(0);
        // Rows prepared after the checkpoint belong to a discarded run.
        self.outside
            .0
            .lock()
            .unwrap()
            .prepared
            .retain(|id, _| *id <= last);
        Ok(())
    }

    fn finish(&mut self, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finished(&mut self, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }
}

/// Runs a job to its end with crashes. Returns the rows of its query.
pub fn run(request: &JobRequest) -> Result<Vec<Batch>, DataflowError> {
    let settings = JobSettings::read(&request.plan.configuration, request.cores)?;
    let outside = Outside::default();
    let collect: Arc<dyn SinkFactory> = Arc::new(outside.clone());
    let graph = translate(
        &request.plan,
        request.components.as_ref(),
        &settings,
        Some(collect),
    )?;
    let now_ms = request.clock.now_ms();
    let checkpoints = Checkpoints::in_memory();
    let run = SteppedRun::start(graph, &request.plan, Some(ON_REQUEST), checkpoints, now_ms)?;
    let mut interrupted = Interrupted {
        request,
        run,
        idle_steps: 0,
    };
    interrupted.run_to_end()?;
    let rows = std::mem::take(&mut outside.0.lock().unwrap().committed);
    Ok(rows)
}

struct Interrupted<'a> {
    request: &'a JobRequest,
    run: SteppedRun,
    idle_steps: u32,
}

impl Interrupted<'_> {
    fn run_to_end(&mut self) -> Result<(), DataflowError> {
        for _ in 0..CRASHES {
            if self.steps(STEPS_BEFORE_CHECKPOINT)? {
                return Ok(());
            }
            let completed = self.run.stats().completed;
            self.run.request(CheckpointReason::Requested);
            while self.run.stats().completed == completed {
                if self.step()? {
                    return Ok(());
                }
            }
            if self.steps(STEPS_AFTER_CHECKPOINT)? {
                return Ok(());
            }
            self.run.crash_and_restore(self.request.clock.now_ms())?;
        }
        while !self.step()? {}
        Ok(())
    }

    fn steps(&mut self, steps: u32) -> Result<bool, DataflowError> {
        for _ in 0..steps {
            if self.step()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs one step. Returns whether the job has ended.
    fn step(&mut self) -> Result<bool, DataflowError> {
        let (outcome, over) = self.run.step(self.request.clock.now_ms())?;
        if matches!(outcome, StepOutcome::Waiting { .. }) {
            self.idle_steps += 1;
            std::thread::park_timeout(WAIT);
        } else {
            self.idle_steps = 0;
        }
        if self.idle_steps > IDLE_STEPS_MAX {
            return Err(DataflowError::new(ErrorKind::Internal, "the job is stuck"));
        }
        Ok(over.is_some())
    }
}
