//! Both ends of a harness: a source that gives what the test puts in, and a sink that keeps what comes out.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_dataflow::{
    Context as Instance, DataflowError, Output, Sink as EngineSink, SinkFactory, Source as EngineSource,
    SourceFactory, SourceStatus, StateBlocks, Unbuffered, UnbufferedSink, Waker,
};
use millstream_types::records::NO_TIMESTAMP;
use millstream_types::{Batch, Records, Watermark};

use crate::data::Data;
use crate::environment::Job;
use crate::error::Result;
use crate::operators::{known, rows_of, timestamp_at};
use crate::sink::{Sink, no_columns};
use crate::source::StreamSource;
use crate::watermark::WatermarkStrategy;

/// The timestamp of a record that has none.
pub(super) const NONE: i64 = NO_TIMESTAMP;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
pub(super) enum FeedItem<T> {
    Record(T, i64),
    Watermark(i64),
    End,
}

/// What waits for each instance of the source.
pub(super) struct Feed<T>(Arc<Mutex<Queues<T>>>);

struct Queues<T> {
    instances: Vec<(VecDeque<FeedItem<T>>, Waker)>,
    next: usize,
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Data> Feed<T> {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Queues {
            instances: Vec::new(),
            next: 0,
        })))
    }

    /// A record goes to the next instance, everything else to all.
    pub fn put(&self, item: FeedItem<T>) {
        if !matches!(item, FeedItem::Record(..)) {
            return self.to_all(&item);
        }
        let mut queues = lock(&self.0);
        let instances = queues.instances.len().max(1);
        let target = queues.next % instances;
        queues.next = target + 1;
        if let Some((queue, waker)) = queues.instances.get_mut(target) {
            queue.push_back(item);
            waker.wake();
        }
    }

    pub fn to_all(&self, item: &FeedItem<T>) {
        for (queue, waker) in &mut lock(&self.0).instances {
            queue.push_back(item.clone());
            waker.wake();
        }
    }
}

impl<T: Data> StreamSource<T> for Feed<T> {
    fn factory(self, _: &Job, _: WatermarkStrategy<T>) -> Result<Arc<dyn SourceFactory>> {
        Ok(Arc::new(self))
    }
}

impl<T: Data> SourceFactory for Feed<T> {
    fn create(&self, _: &Instance) -> Result<Box<dyn EngineSource>, DataflowError> {
        Ok(Box::new(FeedSource { feed: self.clone() }))
    }

    fn is_bounded(&self) -> bool {
        false
    }
}

struct FeedSource<T> {
    feed: Feed<T>,
}

impl<T: Data> EngineSource for FeedSource<T> {
    fn open(&mut self, instance: &Instance, waker: Waker) -> Result<(), DataflowError> {
        let mut queues = lock(&self.feed.0);
        let missing = instance.parallelism.saturating_sub(queues.instances.len());
        for _ in 0..missing {
            queues.instances.push((VecDeque::new(), Waker::new(|| {})));
        }
        queues.instances[instance.subtask].1 = waker;
        Ok(())
    }

    fn poll(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        let item = lock(&self.feed.0).instances[instance.subtask].0.pop_front();
        match item {
            None => return Ok(SourceStatus::Pending { until_ms: None }),
            Some(FeedItem::Record(row, NO_TIMESTAMP)) => out.records(Records::new(vec![row]))?,
            Some(FeedItem::Record(row, timestamp)) => {
                out.records(Records::with_timestamps(vec![row], vec![timestamp]))?;
            }
            Some(FeedItem::Watermark(timestamp)) => out.watermark(Watermark(timestamp))?,
            Some(FeedItem::End) => return Ok(SourceStatus::Finished),
        }
        Ok(SourceStatus::Ready)
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        Ok(StateBlocks::new())
    }

    fn restore(&mut self, _: Vec<StateBlocks>, _: &Instance) -> Result<(), DataflowError> {
        Ok(())
    }
}

/// What comes out of an operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamElement<T> {
    /// A record, and its event time if it has one.
    Record(T, Option<i64>),
    /// The event time, in milliseconds.
    Watermark(i64),
}

pub(super) fn values<T>(elements: Vec<StreamElement<T>>) -> Vec<T> {
    let value = |element| match element {
        StreamElement::Record(value, _) => Some(value),
        StreamElement::Watermark(_) => None,
    };
    elements.into_iter().filter_map(value).collect()
}

/// What an output has given so far.
pub(super) struct Collected<T>(Arc<Mutex<Vec<StreamElement<T>>>>);

impl<T> Clone for Collected<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Data> Collected<T> {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    pub fn take(&self) -> Vec<StreamElement<T>> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl<T: Data> Sink<T> for Collected<T> {
    fn name(&self) -> String {
        "Collect".to_owned()
    }

    fn factory(self, _: &Job) -> Result<Arc<dyn SinkFactory>> {
        Ok(Arc::new(self))
    }
}

impl<T: Data> SinkFactory for Collected<T> {
    fn create(&self, _: &Instance) -> Result<Box<dyn EngineSink>, DataflowError> {
        Ok(Box::new(Unbuffered(CollectedSink {
            collected: self.clone(),
            of: PhantomData,
        })))
    }

    fn parallelism_max(&self) -> Option<usize> {
        Some(1)
    }
}

struct CollectedSink<T> {
    collected: Collected<T>,
    of: PhantomData<fn(T)>,
}

impl<T: Data> UnbufferedSink for CollectedSink<T> {
    fn write(&mut self, _: Batch) -> Result<(), DataflowError> {
        Err(no_columns())
    }

    fn write_records(&mut self, records: Records) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        let mut collected = lock(&self.collected.0);
        for (index, row) in rows.into_iter().enumerate() {
            let timestamp = known(timestamp_at(&timestamps, index));
            collected.push(StreamElement::Record(row, timestamp));
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: Watermark) {
        lock(&self.collected.0).push(StreamElement::Watermark(watermark.0));
    }
}
