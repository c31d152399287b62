//! Asynchronous calls for records (`AsyncDataStream`).
//!
//! The operator keeps its records in a queue in the order of their arrival, watermarks between them. A record leaves it
//! when its results are passed on; until then it is part of every snapshot and is called for again after a restore.
//! Results come from threads of the runtime: they are put into a list and the worker is woken, which calls `timer`.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use millstream_dataflow::{
    Context as Instance, DataflowError, Operator, Output, SnapshotScope, StateBlocks, Waker,
};
use millstream_state::StateValue;
use millstream_state::keyed::{decode_value, encode_value};
use millstream_types::{Records, Watermark};
use tokio::task::JoinSet;

use crate::data::Data;
use crate::error::{Error, Result};
use crate::operators::{rows_of, timestamp_at};
use crate::output::Collector;

const BLOCK: &str = "in-flight";

/// In which order results are passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OutputMode {
    Ordered,
    Unordered,
}

/// Results that have come, by the number of their record. `None`: the call panicked.
type Finished<U> = Vec<(u64, Option<Result<Vec<U>>>)>;

struct Inbox<U> {
    finished: Mutex<Finished<U>>,
    arrived: Condvar,
    waker: Mutex<Option<Waker>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<U> Inbox<U> {
    fn put(&self, record: u64, result: Option<Result<Vec<U>>>) {
        lock(&self.finished).push((record, result));
        self.arrived.notify_one();
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake();
        }
    }
}

/// Reports the end of a call, also of one that panics.
struct Ticket<U> {
    record: u64,
    inbox: Arc<Inbox<U>>,
    result: Option<Result<Vec<U>>>,
}

impl<U> Ticket<U> {
    fn report(mut self, result: Result<Vec<U>>) {
        self.result = Some(result);
    }
}

impl<U> Drop for Ticket<U> {
    fn drop(&mut self) {
        self.inbox.put(self.record, self.result.take());
    }
}

/// The calls of an instance; they are aborted with it.
pub(crate) struct Calls<U> {
    runtime: tokio::runtime::Handle,
    running: JoinSet<()>,
    inbox: Arc<Inbox<U>>,
}

impl<U: Data> Calls<U> {
    pub fn new(runtime: tokio::runtime::Handle) -> Self {
        Self {
            runtime,
            running: JoinSet::new(),
            inbox: Arc::new(Inbox {
                finished: Mutex::new(Vec::new()),
                arrived: Condvar::new(),
                waker: Mutex::new(None),
            }),
        }
    }

    fn start(&mut self, record: u64, call: impl Future<Output = Result<Vec<U>>> + Send + 'static) {
        let ticket = Ticket {
            record,
            inbox: Arc::clone(&self.inbox),
            result: None,
        };
        let reported = async move { ticket.report(call.await) };
        self.running.spawn_on(reported, &self.runtime);
    }

    fn has_finished(&self) -> bool {
        !lock(&self.inbox.finished).is_empty()
    }

    fn take_finished(&mut self) -> Finished<U> {
        while self.running.try_join_next().is_some() {}
        std::mem::take(&mut *lock(&self.inbox.finished))
    }

    /// Waits until a call ends.
    fn wait(&self) {
        let finished = lock(&self.inbox.finished);
        let waited = self
            .inbox
            .arrived
            .wait_while(finished, |finished| finished.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

enum Entry<T, U> {
    /// Waits for its call, or for its turn.
    Record {
        row: T,
        timestamp: i64,
        results: Option<Vec<U>>,
    },
    /// Its results were passed on before those of earlier records.
    Passed,
    Watermark(Watermark),
}

/// See the module's documentation.
pub(crate) struct AsyncWait<T, U, F> {
    call: F,
    calls: Calls<U>,
    mode: OutputMode,
    capacity: usize,
    queue: VecDeque<Entry<T, U>>,
    /// Number of the entry at the front of the queue.
    first: u64,
    /// Entries before this number were called for.
    called: u64,
    /// Records in the queue that were called for and not passed on.
    in_flight: usize,
    /// Results before this number do not pass a watermark.
    segment_end: u64,
    collector: Collector<U>,
    parallelism: usize,
}

impl<T, U, F, R> AsyncWait<T, U, F>
where
    T: Data + StateValue,
    U: Data,
    F: Fn(T) -> R + Send,
    R: Future<Output = Result<Vec<U>>> + Send + 'static,
{
    pub fn new(call: F, calls: Calls<U>, mode: OutputMode, capacity: usize, parallelism: usize) -> Self {
        Self {
            call,
            calls,
            mode,
            capacity,
            queue: VecDeque::new(),
            first: 0,
            called: 0,
            in_flight: 0,
            segment_end: u64::MAX,
            collector: Collector::new(),
            parallelism,
        }
    }

    /// The number of the next entry.
    fn end(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry<T, U>> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(place)
    }

    fn add(&mut self, row: T, timestamp: i64) {
        self.queue.push_back(Entry::Record {
            row,
            timestamp,
            results: None,
        });
    }

    /// Calls for records as far as there is room.
    fn start(&mut self) {
        while self.in_flight < self.capacity && self.called < self.end() {
            let number = self.called;
            self.called += 1;
            let row = match self.entry(number) {
                Some(Entry::Record { row, .. }) => row.clone(),
                _ => continue,
            };
            self.in_flight += 1;
            self.calls.start(number, (self.call)(row));
        }
    }

    /// Takes the results that have come, and passes on what is due.
    fn advance(&mut self, out: &mut dyn Output) -> Result<(), DataflowError> {
        for (number, result) in self.calls.take_finished() {
            let panicked = || Error::data("the future of an async function panicked");
            let found = result.ok_or_else(panicked)??;
            if let Some(Entry::Record { results, .. }) = self.entry(number) {
                *results = Some(found);
            }
            if self.mode == OutputMode::Unordered && number < self.segment_end {
                self.pass(number);
            }
        }
        self.pop(out)?;
        self.start();
        self.collector.flush(out)
    }

    /// Passes on the results of a record if they are there; returns whether they are.
    fn pass(&mut self, number: u64) -> bool {
        let Some(entry) = self.entry(number) else {
            return true;
        };
        match entry {
            Entry::Record { results: None, .. } => return false,
            Entry::Passed | Entry::Watermark(_) => return true,
            Entry::Record { .. } => {}
        }
        if let Entry::Record {
            timestamp,
            results: Some(results),
            ..
        } = std::mem::replace(entry, Entry::Passed)
        {
            self.in_flight -= 1;
            self.collector.set_timestamp(timestamp);
            results
                .into_iter()
                .for_each(|result| self.collector.collect(result));
        }
        true
    }

    /// Removes what is passed on from the front of the queue, and passes on what it held back.
    fn pop(&mut self, out: &mut dyn Output) -> Result<(), DataflowError> {
        while !self.queue.is_empty() && self.pass(self.first) {
            let entry = self.queue.pop_front();
            self.first += 1;
            if let Some(Entry::Watermark(watermark)) = entry {
                self.collector.flush(out)?;
                out.watermark(watermark)?;
                self.begin_segment();
            }
        }
        Ok(())
    }

    /// The watermark before them has gone: results up to the next one may be passed on.
    fn begin_segment(&mut self) {
        let next = self
            .queue
            .iter()
            .position(|entry| matches!(entry, Entry::Watermark(_)));
        self.segment_end = next.map_or(u64::MAX, |place| self.first + place as u64);
        if self.mode == OutputMode::Unordered {
            for number in self.first..self.segment_end.min(self.end()) {
                self.pass(number);
            }
        }
    }
}

/// The parallelism at which a checkpoint was taken, and the records whose results were not passed on.
type Saved<T> = (usize, Vec<(T, i64)>);

impl<T, U, F, R> Operator for AsyncWait<T, U, F>
where
    T: Data + StateValue,
    U: Data,
    F: Fn(T) -> R + Send,
    R: Future<Output = Result<Vec<U>>> + Send + 'static,
{
    fn set_waker(&mut self, waker: Waker) {
        *lock(&self.calls.inbox.waker) = Some(waker);
    }

    fn ready(&self) -> bool {
        self.in_flight < self.capacity && self.called == self.end()
    }

    fn records(
        &mut self,
        _: usize,
        records: Records,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        for (index, row) in rows.into_iter().enumerate() {
            self.add(row, timestamp_at(&timestamps, index));
        }
        self.start();
        self.advance(out)
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.segment_end = self.segment_end.min(self.end());
        self.queue.push_back(Entry::Watermark(watermark));
        self.advance(out)
    }

    fn next_timer(&self) -> Option<i64> {
        self.calls.has_finished().then_some(i64::MIN)
    }

    fn timer(&mut self, _: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.advance(out)
    }

    fn finish(&mut self, _: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.advance(out)?;
        while !self.queue.is_empty() {
            self.calls.wait();
            self.advance(out)?;
        }
        Ok(())
    }

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut records: Vec<(&T, i64)> = Vec::with_capacity(self.queue.len());
        for entry in &self.queue {
            if let Entry::Record { row, timestamp, .. } = entry {
                records.push((row, *timestamp));
            }
        }
        Ok(StateBlocks::single(
            BLOCK,
            encode_value(&(self.parallelism, records))?,
        ))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, instance: &Instance) -> Result<(), DataflowError> {
        let mut seen: usize = 0;
        for part in &blocks {
            let Some(bytes) = part.get(BLOCK) else { continue };
            let (parallelism, records): Saved<T> = decode_value(BLOCK, bytes)?;
            // At another parallelism every instance is given all records and takes its share.
            let is_own = parallelism == instance.parallelism;
            for (row, timestamp) in records {
                if is_own || seen % instance.parallelism == instance.subtask {
                    self.add(row, timestamp);
                }
                seen += 1;
            }
        }
        self.start();
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.queue.len() * size_of::<Entry<T, U>>()
    }
}
