//! Results of a SELECT: a sink whose rows the client takes at its own pace.
//!
//! The sink stops accepting rows while the queue is full. A query whose client has stopped reading therefore holds at
//! most [`COLLECT_ROWS_MAX`] rows and one batch.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_dataflow::{Context, DataflowError, Sink, SinkFactory, Unbuffered, UnbufferedSink, Waker};
use millstream_types::Batch;

/// Rows queued for the client before backpressure stops the query.
pub const COLLECT_ROWS_MAX: usize = 50_000;

/// The outcome of reading results.
#[derive(Clone, Debug)]
pub enum Collected {
    Batch(Batch),
    /// All rows were taken, and the job finished or the client canceled it.
    End,
    Failed(DataflowError),
    /// The timeout passed without rows.
    Nothing,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    rows: usize,
    ended: bool,
    error: Option<DataflowError>,
    /// Wakes the sink when the queue has space.
    waiting: Option<Waker>,
    /// Wakes the task that waits for rows without blocking a thread.
    reader: Option<std::task::Waker>,
}

impl Queue {
    /// What a read returns now, without waiting.
    fn take(&mut self) -> Collected {
        if let Some(batch) = self.batches.pop_front() {
            self.rows -= batch.rows;
            if self.rows < COLLECT_ROWS_MAX
                && let Some(waker) = self.waiting.take()
            {
                waker.wake();
            }
            return Collected::Batch(batch);
        }
        match &self.error {
            Some(error) => Collected::Failed(error.clone()),
            None if self.ended => Collected::End,
            None => Collected::Nothing,
        }
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the client, whether it is a thread or a task.
    fn announce(&self, queue: &mut Queue) {
        self.changed.notify_all();
        if let Some(reader) = queue.reader.take() {
            reader.wake();
        }
    }
}

/// The client's end.
#[derive(Clone)]
pub struct ResultReader(Arc<Shared>);

/// The job's end; it also passes on how the job ended.
#[derive(Clone)]
pub struct Collector(Arc<Shared>);

/// Creates both ends of one query's results.
pub fn collector() -> (Collector, ResultReader) {
    let shared = Arc::new(Shared::default());
    (Collector(Arc::clone(&shared)), ResultReader(shared))
}

impl ResultReader {
    /// Waits up to `timeout` for the next batch.
    pub fn next(&self, timeout: Duration) -> Collected {
        let nothing_yet =
            |queue: &mut Queue| queue.batches.is_empty() && !queue.ended && queue.error.is_none();
        let waited = self
            .0
            .changed
            .wait_timeout_while(self.0.lock(), timeout, nothing_yet);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.take()
    }

    /// The next batch, without waiting. If there is none, `waker` is woken when that changes; only one task can wait.
    pub fn poll_next(&self, waker: Option<&std::task::Waker>) -> Collected {
        let mut queue = self.0.lock();
        let found = queue.take();
        if matches!(found, Collected::Nothing) {
            queue.reader = waker.cloned();
        }
        found
    }
}

impl Collector {
    /// Reports the end of the job.
    pub fn end(&self, result: Result<(), DataflowError>) {
        let mut queue = self.0.lock();
        queue.ended = true;
        queue.error = result.err().or_else(|| queue.error.take());
        self.0.announce(&mut queue);
    }
}

impl SinkFactory for Collector {
    fn create(&self, _context: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        Ok(Box::new(Unbuffered(CollectSink {
            shared: Arc::clone(&self.0),
            waker: None,
        })))
    }

    fn parallelism_max(&self) -> Option<usize> {
        Some(1)
    }
}

struct CollectSink {
    shared: Arc<Shared>,
    waker: Option<Waker>,
}

impl UnbufferedSink for CollectSink {
    fn open(&mut self, waker: Waker) {
        self.waker = Some(waker);
    }

    fn ready(&mut self) -> bool {
        let mut queue = self.shared.lock();
        let has_room = queue.rows < COLLECT_ROWS_MAX;
        queue.waiting = if has_room { None } else { self.waker.clone() };
        has_room
    }

    fn write(&mut self, batch: Batch) -> Result<(), DataflowError> {
        let mut queue = self.shared.lock();
        queue.rows += batch.rows;
        queue.batches.push_back(batch);
        self.shared.announce(&mut queue);
        Ok(())
    }
}
