//! Results of a SELECT: a sink whose rows the client takes, at its own pace.
//!
//! The sink stops accepting rows while the client has not taken what is there, so that a query whose reader sleeps
//! holds no more than [`COLLECT_ROWS_MAX`] rows and one batch.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_dataflow::{Context, DataflowError, Sink, SinkCommit, SinkFactory, StateBlocks, Waker};
use millstream_types::{Batch, CheckpointId};

/// Rows that wait for the client before the query is held back.
pub const COLLECT_ROWS_MAX: usize = 50_000;

/// What the client finds.
#[derive(Clone, Debug)]
pub enum Collected {
    Batch(Batch),
    /// All rows were taken, and the job ended well or by the client's will.
    End,
    Failed(DataflowError),
    /// Nothing came in time.
    Nothing,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    rows: usize,
    ended: bool,
    error: Option<DataflowError>,
    /// The sink that waits for room.
    waiting: Option<Waker>,
    /// The task that waits for rows without a thread.
    reader: Option<std::task::Waker>,
}

impl Queue {
    /// What the client finds now.
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

    /// Wakes the client, whichever way it waits.
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

/// The job's end; also tells the reader how the job ended.
#[derive(Clone)]
pub struct Collector(Arc<Shared>);

/// Both ends of the results of one query.
pub fn collector() -> (Collector, ResultReader) {
    let shared = Arc::new(Shared::default());
    (Collector(Arc::clone(&shared)), ResultReader(shared))
}

impl ResultReader {
    /// The next batch; waits for it at most `timeout`.
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

    /// The next batch, without waiting. If there is nothing, `waker` is woken when that changes; one task can wait.
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
    /// The job is over.
    pub fn end(&self, result: Result<(), DataflowError>) {
        let mut queue = self.0.lock();
        queue.ended = true;
        queue.error = result.err().or_else(|| queue.error.take());
        self.0.announce(&mut queue);
    }
}

impl SinkFactory for Collector {
    fn create(&self, _context: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        Ok(Box::new(CollectSink {
            shared: Arc::clone(&self.0),
            waker: None,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        Some(1)
    }
}

struct CollectSink {
    shared: Arc<Shared>,
    waker: Option<Waker>,
}

impl Sink for CollectSink {
    fn open(&mut self, _context: &Context, waker: Waker) -> Result<(), DataflowError> {
        self.waker = Some(waker);
        Ok(())
    }

    fn ready(&mut self, _context: &Context) -> Result<bool, DataflowError> {
        let mut queue = self.shared.lock();
        let has_room = queue.rows < COLLECT_ROWS_MAX;
        queue.waiting = if has_room { None } else { self.waker.clone() };
        Ok(has_room)
    }

    fn write(&mut self, batch: Batch, _context: &Context) -> Result<(), DataflowError> {
        let mut queue = self.shared.lock();
        queue.rows += batch.rows;
        queue.batches.push_back(batch);
        self.shared.announce(&mut queue);
        Ok(())
    }

    fn prepare(&mut self, _: CheckpointId, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn prepared(&mut self, _: CheckpointId, _: &Context) -> Result<Option<SinkCommit>, DataflowError> {
        Ok(Some(SinkCommit::default()))
    }

    fn commit(&mut self, _: CheckpointId, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }

    fn restore(&mut self, _: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finish(&mut self, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finished(&mut self, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }
}
