//! Sinks of the program's own, with two-phase commit.

use std::collections::VecDeque;
use std::sync::Arc;

use millstream_dataflow::{
    Context as Instance, DataflowError, Sink as EngineSink, SinkCommit, SinkFactory, StateBlocks, Waker,
};
use millstream_state::StateValue;
use millstream_state::keyed::{decode_value, encode_value};
use millstream_types::{Batch, CheckpointId, Records};

use crate::data::Data;
use crate::environment::Job;
use crate::error::Result;
use crate::operators::{each_row, known, rows_of};
use crate::sink::Sink;

const BLOCK: &str = "committables";

/// What a writer knows of its instance.
#[derive(Clone, Copy, Debug)]
pub struct WriterContext {
    pub subtask: usize,
    pub parallelism: usize,
}

/// A sink of the program's own.
///
/// At a checkpoint a writer makes what it has written durable, but not visible, and gives committables for it; they are in
/// the checkpoint. When the checkpoint is durable they are committed, after a restart once more: `commit` must do nothing
/// the second time. A sink without committables is at-least-once.
pub trait TwoPhaseSink<T>: Clone + Send + Sync + 'static {
    type Committable: StateValue + Clone;
    type Writer: SinkWriter<T, Self::Committable>;
    fn name(&self) -> String;
    fn create_writer(&self, context: WriterContext) -> Result<Self::Writer>;
}

/// Writes the records of one instance.
pub trait SinkWriter<T, C>: Send + 'static {
    fn write(&mut self, value: T, timestamp: Option<i64>) -> Result<()>;
    /// Everything written so far is to be durable; gives what has to be committed.
    fn prepare_commit(&mut self) -> Result<Vec<C>>;
    /// Makes it visible. Called again after a restart.
    fn commit(&mut self, committable: C) -> Result<()>;
}

/// A [`TwoPhaseSink`] as a sink.
#[derive(Clone, Debug)]
pub struct Custom<S>(S);

/// Makes a sink of a [`TwoPhaseSink`].
pub fn custom<S>(sink: S) -> Custom<S> {
    Custom(sink)
}

impl<T: Data, S: TwoPhaseSink<T>> Sink<T> for Custom<S> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn factory(self, _: &Job) -> Result<Arc<dyn SinkFactory>> {
        Ok(Arc::new(CustomFactory {
            sink: self.0,
            of: std::marker::PhantomData::<fn(T)>,
        }))
    }
}

struct CustomFactory<T, S> {
    sink: S,
    of: std::marker::PhantomData<fn(T)>,
}

impl<T: Data, S: TwoPhaseSink<T>> SinkFactory for CustomFactory<T, S> {
    fn create(&self, instance: &Instance) -> Result<Box<dyn EngineSink>, DataflowError> {
        let context = WriterContext {
            subtask: instance.subtask,
            parallelism: instance.parallelism,
        };
        Ok(Box::new(CustomSink::<T, S> {
            writer: self.sink.create_writer(context)?,
            waiting: VecDeque::new(),
            restored: Vec::new(),
            of: std::marker::PhantomData,
        }))
    }
}

struct CustomSink<T, S: TwoPhaseSink<T>> {
    writer: S::Writer,
    /// Not committed yet, by checkpoint.
    waiting: VecDeque<(u64, Vec<S::Committable>)>,
    /// Of the checkpoint that was restored: it is durable.
    restored: Vec<S::Committable>,
    of: std::marker::PhantomData<fn(T)>,
}

impl<T: Data, S: TwoPhaseSink<T>> EngineSink for CustomSink<T, S> {
    fn open(&mut self, _: &Instance, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn write(&mut self, _: Batch, _: &Instance) -> Result<(), DataflowError> {
        Err(super::no_columns())
    }

    fn write_records(&mut self, records: Records, _: &Instance) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        each_row(rows, &timestamps, |_, row, timestamp| {
            self.writer.write(row, known(timestamp))
        })
    }

    fn prepare(&mut self, checkpoint: CheckpointId, _: &Instance) -> Result<(), DataflowError> {
        let committables = self.writer.prepare_commit()?;
        self.waiting.push_back((checkpoint.0, committables));
        Ok(())
    }

    fn prepared(
        &mut self,
        _: CheckpointId,
        instance: &Instance,
    ) -> Result<Option<SinkCommit>, DataflowError> {
        let all = self.waiting.iter().flat_map(|(_, committables)| committables);
        let all: Vec<S::Committable> = self.restored.iter().chain(all).cloned().collect();
        Ok(Some(SinkCommit {
            state: StateBlocks::single(BLOCK, encode_value(&(instance.parallelism, all))?),
        }))
    }

    fn commit(&mut self, checkpoint: CheckpointId, _: &Instance) -> Result<bool, DataflowError> {
        for committable in std::mem::take(&mut self.restored) {
            self.writer.commit(committable)?;
        }
        while self.waiting.front().is_some_and(|(of, _)| *of <= checkpoint.0) {
            for committable in self.waiting.pop_front().into_iter().flat_map(|(_, all)| all) {
                self.writer.commit(committable)?;
            }
        }
        Ok(true)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, instance: &Instance) -> Result<(), DataflowError> {
        let mut all: Vec<S::Committable> = Vec::new();
        for part in &blocks {
            if let Some(bytes) = part.get(BLOCK) {
                let (parallelism, part) = decode_value::<(usize, Vec<S::Committable>)>(BLOCK, bytes)?;
                // After a change of parallelism every instance is given everything: the first commits it.
                if parallelism == instance.parallelism || instance.subtask == 0 {
                    all.extend(part);
                }
            }
        }
        self.restored = all;
        Ok(())
    }

    fn finish(&mut self, _: &Instance) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finished(&mut self, _: &Instance) -> Result<bool, DataflowError> {
        Ok(true)
    }
}
