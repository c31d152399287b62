//! The job of a harness: the engine, stepped by hand.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_dataflow::{Command, RestoredState, SteppedJob, WorkerEvent};
use millstream_types::CheckpointId;

use super::feed::Collected;
use super::host::environment;
use crate::data::Data;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::output::OutputTag;
use crate::stream::DataStream;

/// The state of the operators of a harness.
#[derive(Clone)]
pub struct OperatorSnapshot(Arc<RestoredState>);

pub(super) struct HarnessJob {
    env: Environment,
    running: Option<SteppedJob>,
    now_ms: i64,
    checkpoint: u64,
    /// The main output under an empty name, and side outputs by their tag.
    outputs: BTreeMap<&'static str, Box<dyn Any + Send>>,
}

/// The name of the main output.
const MAIN: &str = "";

impl HarnessJob {
    pub fn new() -> Self {
        Self {
            env: environment(1),
            running: None,
            now_ms: 0,
            checkpoint: 0,
            outputs: BTreeMap::new(),
        }
    }

    pub fn environment(&self) -> &Environment {
        &self.env
    }

    pub fn set_parallelism(&mut self, parallelism: usize) {
        self.env.set_parallelism(parallelism);
    }

    pub fn collect<T: Data>(&mut self, stream: &DataStream<T>, tag: Option<&'static str>) {
        let collected = Collected::<T>::new();
        stream.sink_to(collected.clone());
        self.outputs.insert(tag.unwrap_or(MAIN), Box::new(collected));
    }

    pub fn with_side_output<T, S: Data>(&mut self, stream: &DataStream<T>, tag: OutputTag<S>)
    where
        T: Data,
    {
        let side = stream.get_side_output(tag);
        self.collect(&side, Some(tag.name()));
    }

    /// An output that is collected; an empty one for a side output that is not.
    pub fn collected<T: Data>(&self, tag: Option<&'static str>) -> Collected<T> {
        let output = self.outputs.get(tag.unwrap_or(MAIN));
        match output.and_then(|output| output.downcast_ref::<Collected<T>>()) {
            Some(collected) => collected.clone(),
            None => panic!(
                "side output '{}' is not collected with this type: ask for it by 'with_side_output'",
                tag.unwrap_or(MAIN)
            ),
        }
    }

    pub fn start(&mut self, snapshot: Option<&OperatorSnapshot>) -> Result<()> {
        if self.running.is_some() {
            return Err(Error::input("the harness has started already"));
        }
        let (graph, _) = self.env.clone().into_graph()?;
        let restore = snapshot.map(|snapshot| Arc::clone(&snapshot.0));
        self.checkpoint = restore.as_ref().map_or(0, |restore| restore.checkpoint.0);
        self.running = Some(SteppedJob::start(&graph, self.now_ms, restore)?);
        self.run()
    }

    pub fn start_if_new(&mut self) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        self.start(None)
    }

    /// Lets the operators work until there is nothing to do at this time.
    pub fn run(&mut self) -> Result<()> {
        if let Some(job) = &mut self.running {
            job.run(self.now_ms)?;
        }
        Ok(())
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub fn set_processing_time(&mut self, now_ms: i64) -> Result<()> {
        self.now_ms = now_ms;
        self.run()
    }

    pub fn snapshot(&mut self) -> Result<OperatorSnapshot> {
        self.start_if_new()?;
        self.checkpoint += 1;
        let checkpoint = CheckpointId(self.checkpoint);
        let Some(job) = &mut self.running else {
            return Err(Error::input("the harness has not started"));
        };
        job.command(&Command::Trigger {
            checkpoint,
            stop: false,
        });
        job.run(self.now_ms)?;
        let mut states = Vec::new();
        for event in job.events() {
            if let WorkerEvent::Acknowledged {
                states: of_worker, ..
            } = event
            {
                states.extend(of_worker);
            }
        }
        job.command(&Command::Completed {
            checkpoint,
            is_base: false,
        });
        job.run(self.now_ms)?;
        Ok(OperatorSnapshot(Arc::new(RestoredState {
            checkpoint,
            is_branch: false,
            states,
        })))
    }
}
