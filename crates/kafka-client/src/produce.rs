//! Producing: records are collected into batches for each partition and sent in the background, idempotently unless
//! that is switched off, and in transactions if there is a transactional id.
//!
//! A record is copied once, into its batch. Batches of a partition arrive in order and once, however often they have
//! to be sent; where that cannot be known, records fail rather than being doubled.

mod append;
mod core;
mod driver;
mod outcome;
mod queue;
mod responses;
mod resume;
mod run;
mod transaction;
mod transactional;

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::client::{KafkaClient, lock};
use crate::config::ProduceConfig;

pub use append::{AppendError, ProduceRecord};
pub use outcome::{Delivery, ProduceError, RecordPosition};
pub use resume::{EndOutcome, PreparedTransaction};
pub use run::{Run, Taken};
pub use transactional::{InitOptions, InitOutcome};

use self::core::{ProduceCore, millis};

/// A producer that sends in the background. Dropping it loses records that were not flushed.
pub struct Producer {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    client: KafkaClient,
    core: Mutex<ProduceCore>,
    start: Instant,
    /// There is something new to plan for.
    changed: Notify,
    /// Batches have ended, there is room.
    progressed: Notify,
}

impl Shared {
    fn now_ms(&self) -> u64 {
        millis(self.start.elapsed())
    }
}

impl Producer {
    /// Starts the background task; call it inside of a tokio runtime.
    pub fn start(client: KafkaClient, config: ProduceConfig) -> Self {
        let core = ProduceCore::new(config, client.retry_backoff());
        let shared = Arc::new(Shared {
            client,
            core: Mutex::new(core),
            start: Instant::now(),
            changed: Notify::new(),
            progressed: Notify::new(),
        });
        let task = tokio::spawn(driver::run(shared.clone())).abort_handle();
        Producer { shared, task }
    }

    /// Appends a record without waiting, if there is memory and the topic's metadata are known.
    pub fn try_append(&self, record: &ProduceRecord<'_>) -> Result<Delivery, AppendError> {
        let shared = &self.shared;
        let now_ms = shared.now_ms();
        let metadata = shared.client.metadata();
        let (delivery, news) = lock(&shared.core).append(record, &metadata, now_ms, shared.client.rng())?;
        if news {
            shared.changed.notify_one();
        }
        Ok(delivery)
    }

    /// Appends the records of a run from `first` on without waiting, as far as memory allows. [`Producer::flush`]
    /// reports whether they were written.
    pub fn try_append_run(&self, run: &Run<'_>, first: usize) -> Taken {
        let shared = &self.shared;
        let now_ms = shared.now_ms();
        let metadata = shared.client.metadata();
        let (taken, news) = lock(&shared.core).append_run(run, first, &metadata, now_ms, shared.client.rng());
        if news {
            shared.changed.notify_one();
        }
        taken
    }

    /// Appends a record; waits for memory and metadata up to `max.block.ms`.
    pub async fn append(&self, record: &ProduceRecord<'_>) -> Result<Delivery, ProduceError> {
        let max_block = lock(&self.shared.core).config.max_block;
        let timeout_ms = millis(max_block);
        let taking = async {
            let mut pressed = false;
            loop {
                let progressed = self.shared.progressed.notified();
                match self.try_append(record) {
                    Ok(delivery) => return Ok(delivery),
                    Err(AppendError::Failed(error)) => return Err(error),
                    Err(AppendError::Full { .. }) => {
                        // Once is enough: pending batches are then sent without lingering.
                        if !std::mem::replace(&mut pressed, true) {
                            self.shared.changed.notify_one();
                        }
                        progressed.await;
                    }
                    Err(AppendError::UnknownTopic) => {
                        self.shared
                            .client
                            .topics(std::slice::from_ref(record.topic), true)
                            .await?;
                    }
                }
            }
        };
        match tokio::time::timeout(max_block, taking).await {
            Ok(result) => result,
            Err(_) => Err(ProduceError::BufferFull { timeout_ms }),
        }
    }

    /// Waits until a record of `size` bytes fits and half of the memory is free. A caller that fills the memory in no
    /// time would otherwise wake up for every batch that is written.
    pub async fn room(&self, size: usize) {
        loop {
            let progressed = self.shared.progressed.notified();
            {
                let core = lock(&self.shared.core);
                let memory = core.config.buffer_memory;
                if core.used_bytes == 0 || core.used_bytes + size.max(memory / 2) <= memory {
                    return;
                }
            }
            progressed.await;
        }
    }

    /// Sends all pending records and waits for their responses. Returns the first error since the last flush.
    pub async fn flush(&self) -> Result<(), ProduceError> {
        let up_to = lock(&self.shared.core).start_flush();
        self.shared.changed.notify_one();
        loop {
            let progressed = self.shared.progressed.notified();
            {
                let mut core = lock(&self.shared.core);
                if core.is_flushed(up_to) {
                    return core.first_error.take().map_or(Ok(()), Err);
                }
            }
            progressed.await;
        }
    }

    /// Bytes of records that are not written yet.
    pub fn buffered_bytes(&self) -> usize {
        lock(&self.shared.core).used_bytes
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.task.abort();
        lock(&self.shared.core).close();
    }
}
