//! Sinks that need nothing outside: print, discard, collect.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use millstream_connectors::PrintTarget;
use millstream_dataflow::{
    Context as Instance, DataflowError, Sink as EngineSink, SinkCommit, SinkFactory, StateBlocks, Unbuffered,
    UnbufferedSink, Waker,
};
use millstream_types::{Batch, CheckpointId, Records};

use crate::data::Data;
use crate::environment::{Job, JobClient};
use crate::error::{Error, Result};
use crate::operators::rows_of;
use crate::sink::Sink;

/// Batches that wait for the reader of [`CollectedRows`].
const COLLECTED_BATCHES_MAX: usize = 16;

/// Prints records on standard output.
#[derive(Clone, Debug, Default)]
pub struct Print {
    identifier: Option<String>,
    to_stderr: bool,
}

/// Prints records by `Display`.
pub fn print() -> Print {
    Print::default()
}

impl Print {
    /// A word before each line.
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = Some(identifier.into());
        self
    }

    /// On standard error.
    pub fn to_stderr(mut self) -> Self {
        self.to_stderr = true;
        self
    }
}

/// Prints records by `Debug`.
#[derive(Clone, Debug, Default)]
pub struct PrintDebug(Print);

/// Prints records by `Debug`, for types without `Display`.
pub fn print_debug() -> PrintDebug {
    PrintDebug::default()
}

impl<T: Data + std::fmt::Display> Sink<T> for Print {
    fn name(&self) -> String {
        "Print to Std. Out".to_owned()
    }

    fn factory(self, job: &Job) -> Result<Arc<dyn SinkFactory>> {
        Ok(Arc::new(LineFactory::<T> {
            settings: self,
            target: job.print_target(),
            line: |row| row.to_string(),
        }))
    }
}

impl<T: Data + std::fmt::Debug> Sink<T> for PrintDebug {
    fn name(&self) -> String {
        "Print to Std. Out".to_owned()
    }

    fn factory(self, job: &Job) -> Result<Arc<dyn SinkFactory>> {
        Ok(Arc::new(LineFactory::<T> {
            settings: self.0,
            target: job.print_target(),
            line: |row| format!("{row:?}"),
        }))
    }
}

struct LineFactory<T> {
    settings: Print,
    target: Arc<dyn PrintTarget>,
    line: fn(&T) -> String,
}

impl<T: Data> SinkFactory for LineFactory<T> {
    fn create(&self, instance: &Instance) -> Result<Box<dyn EngineSink>, DataflowError> {
        let task = (instance.parallelism > 1).then(|| (instance.subtask + 1).to_string());
        let prefix = match (&self.settings.identifier, task) {
            (None, None) => String::new(),
            (Some(word), None) => format!("{word}> "),
            (None, Some(task)) => format!("{task}> "),
            (Some(word), Some(task)) => format!("{word}:{task}> "),
        };
        let (target, to_stderr, line) = (Arc::clone(&self.target), self.settings.to_stderr, self.line);
        let write = move |rows: Vec<T>| {
            rows.iter()
                .for_each(|row| target.print_line(&format!("{prefix}{}", line(row)), to_stderr));
            Ok(())
        };
        Ok(Box::new(Unbuffered(Immediate {
            write,
            of: PhantomData,
        })))
    }
}

/// Drops records.
#[derive(Clone, Copy, Debug)]
pub struct Discard;

/// Drops records.
pub fn discard() -> Discard {
    Discard
}

impl<T: Data> Sink<T> for Discard {
    fn name(&self) -> String {
        "Discarding Sink".to_owned()
    }

    fn factory(self, _: &Job) -> Result<Arc<dyn SinkFactory>> {
        Ok(Arc::new(DiscardFactory::<T>(PhantomData)))
    }
}

struct DiscardFactory<T>(PhantomData<fn(T)>);

impl<T: Data> SinkFactory for DiscardFactory<T> {
    fn create(&self, _: &Instance) -> Result<Box<dyn EngineSink>, DataflowError> {
        Ok(Box::new(Unbuffered(Immediate {
            write: |_: Vec<T>| Ok(()),
            of: PhantomData,
        })))
    }
}

/// A sink that is done with rows when it has been given them.
struct Immediate<T, F> {
    write: F,
    of: PhantomData<fn(T)>,
}

impl<T: Data, F: FnMut(Vec<T>) -> Result<(), DataflowError> + Send> UnbufferedSink for Immediate<T, F> {
    fn write(&mut self, _: Batch) -> Result<(), DataflowError> {
        Err(no_columns())
    }

    fn write_records(&mut self, records: Records) -> Result<(), DataflowError> {
        (self.write)(rows_of::<T>(records)?.0)
    }
}

/// Rows of tables do not come to the sinks of streams.
pub(crate) fn no_columns() -> DataflowError {
    DataflowError::internal("a sink of rows was given columns")
}

/// The job's end of collected rows.
pub(crate) struct Collecting<T>(SyncSender<Vec<T>>);

pub(crate) struct Waiting<T>(Receiver<Vec<T>>);

/// Both ends.
pub(crate) fn collecting<T: Data>() -> (Collecting<T>, Waiting<T>) {
    let (sender, receiver) = sync_channel(COLLECTED_BATCHES_MAX);
    (Collecting(sender), Waiting(receiver))
}

impl<T> Waiting<T> {
    pub fn of(self, client: JobClient) -> CollectedRows<T> {
        CollectedRows {
            batches: self.0,
            rows: Vec::new().into_iter(),
            client,
            ended: false,
        }
    }
}

impl<T: Data> SinkFactory for Collecting<T> {
    fn create(&self, _: &Instance) -> Result<Box<dyn EngineSink>, DataflowError> {
        Ok(Box::new(CollectSink {
            batches: self.0.clone(),
            left: None,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        Some(1)
    }
}

/// How often a sink whose reader is slow looks again.
const LOOK_MS: i64 = 10;

struct CollectSink<T> {
    batches: SyncSender<Vec<T>>,
    /// Rows that the reader has no room for yet.
    left: Option<Vec<T>>,
}

impl<T: Data> CollectSink<T> {
    /// Hands over what is left; `false`: there is no room.
    fn hand_over(&mut self) -> Result<bool, DataflowError> {
        let Some(rows) = self.left.take() else {
            return Ok(true);
        };
        match self.batches.try_send(rows) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(rows)) => {
                self.left = Some(rows);
                Ok(false)
            }
            // The reader is gone, and with it the wish for rows; its job is being canceled.
            Err(TrySendError::Disconnected(_)) => Ok(true),
        }
    }
}

impl<T: Data> EngineSink for CollectSink<T> {
    fn open(&mut self, _: &Instance, _: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn write(&mut self, _: Batch, _: &Instance) -> Result<(), DataflowError> {
        Err(no_columns())
    }

    fn write_records(&mut self, records: Records, _: &Instance) -> Result<(), DataflowError> {
        let mut rows = rows_of::<T>(records)?.0;
        match &mut self.left {
            Some(left) => left.append(&mut rows),
            None => self.left = Some(rows),
        }
        self.hand_over().map(|_| ())
    }

    fn ready(&mut self, _: &Instance) -> Result<bool, DataflowError> {
        self.hand_over()
    }

    fn next_timer(&self) -> Option<i64> {
        None
    }

    fn prepare(&mut self, _: CheckpointId, _: &Instance) -> Result<(), DataflowError> {
        Ok(())
    }

    fn prepared(&mut self, _: CheckpointId, _: &Instance) -> Result<Option<SinkCommit>, DataflowError> {
        Ok(self.hand_over()?.then(SinkCommit::default))
    }

    fn commit(&mut self, _: CheckpointId, _: &Instance) -> Result<bool, DataflowError> {
        Ok(true)
    }

    fn restore(&mut self, _: Vec<StateBlocks>, _: &Instance) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finish(&mut self, _: &Instance) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finished(&mut self, _: &Instance) -> Result<bool, DataflowError> {
        self.hand_over()
    }
}

/// Rows of a stream as they come. Dropping it ends the job.
pub struct CollectedRows<T> {
    batches: Receiver<Vec<T>>,
    rows: std::vec::IntoIter<T>,
    client: JobClient,
    ended: bool,
}

impl<T> CollectedRows<T> {
    /// The job.
    pub fn client(&self) -> &JobClient {
        &self.client
    }

    fn next_batch(&mut self) -> Option<Result<()>> {
        loop {
            match self.batches.recv_timeout(Duration::from_millis(LOOK_MS as u64)) {
                Ok(rows) => {
                    self.rows = rows.into_iter();
                    return Some(Ok(()));
                }
                Err(_) if self.client.is_over() => {}
                Err(_) => continue,
            }
            // What came between the two looks is still taken.
            match self.batches.try_recv() {
                Ok(rows) => {
                    self.rows = rows.into_iter();
                    return Some(Ok(()));
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
            }
            if self.ended {
                return None;
            }
            self.ended = true;
            return self.client.error().map(Err::<(), Error>);
        }
    }
}

impl<T> Iterator for CollectedRows<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            if let Err(error) = self.next_batch()? {
                return Some(Err(error));
            }
        }
    }
}

impl<T> Drop for CollectedRows<T> {
    fn drop(&mut self) {
        self.client.cancel();
    }
}
