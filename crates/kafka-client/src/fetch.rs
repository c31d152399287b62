//! Fetching: assigned partitions with positions in, whole record batches out.
//!
//! There is no group and no rebalance: the job decides which partitions it reads and from which offsets. Batches are
//! handed out compressed, so that the thread that decodes them also pays for decompression. Fetched bytes that are not
//! consumed yet are capped; a partition whose records are not consumed is not fetched further (backpressure).

mod core;
mod driver;
mod filter;
mod responses;

use std::sync::{Arc, Mutex};

use millstream_kafka_wire::record_batch::RecordBatch;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::TopicPartition;
use crate::client::{KafkaClient, lock};
use crate::config::FetchConfig;
use crate::error::ClientError;

use self::core::FetchCore;

/// A batch of data records; control records and aborted transactions have been left out before.
#[derive(Clone, Debug)]
pub struct FetchedBatch {
    pub batch: RecordBatch,
    /// Records below this offset were read before; pass it to `RecordColumns::append`.
    pub from_offset: i64,
}

/// The result of one fetch for one partition.
#[derive(Clone, Debug)]
pub struct FetchedRecords {
    pub partition: TopicPartition,
    /// May be empty: the position has moved over records that are not shown, or the end of the log is news.
    pub batches: Vec<FetchedBatch>,
    /// Where the next fetch continues; the position to remember once these records are processed.
    pub next_offset: i64,
    pub high_watermark: i64,
    /// Upper bound of the offsets visible with `read_committed`.
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
}

impl FetchedRecords {
    /// Size of the batches, compressed.
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(|each| each.batch.data().len()).sum()
    }
}

/// News from the assigned partitions, in order for each of them.
#[derive(Clone, Debug)]
pub enum FetchEvent {
    Records(FetchedRecords),
    /// The position was not in the log, and `auto.offset.reset` chose another.
    Reset {
        partition: TopicPartition,
        from: i64,
        to: i64,
    },
    /// The partition is not fetched any more until it is assigned again.
    Failed {
        partition: TopicPartition,
        error: ClientError,
    },
}

type Waker = Arc<dyn Fn() + Send + Sync>;

/// Fetches in the background, until it is dropped.
pub struct Fetcher {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    core: Mutex<FetchCore>,
    /// There is something new to plan for.
    changed: Notify,
    /// There are events.
    ready: Notify,
    waker: Mutex<Option<Waker>>,
}

impl Shared {
    fn announce(&self) {
        self.ready.notify_one();
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker();
        }
    }
}

impl Fetcher {
    /// Starts the background task; call it inside of a tokio runtime.
    pub fn start(client: KafkaClient, config: FetchConfig) -> Self {
        let core = FetchCore::new(config, client.config());
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            changed: Notify::new(),
            ready: Notify::new(),
            waker: Mutex::default(),
        });
        let task = tokio::spawn(driver::run(client, shared.clone())).abort_handle();
        Fetcher { shared, task }
    }

    fn change<T>(&self, change: impl FnOnce(&mut FetchCore) -> T) -> T {
        let result = change(&mut lock(&self.shared.core));
        self.shared.changed.notify_one();
        result
    }

    /// Reads a partition from an offset on. A partition that is already assigned moves there, and its fetched,
    /// unconsumed records are dropped.
    pub fn assign(&self, partition: TopicPartition, offset: i64) {
        self.change(|core| core.assign(partition, offset));
    }

    /// Stops reading the partition; its fetched, unconsumed records are dropped.
    pub fn unassign(&self, partition: &TopicPartition) {
        self.change(|core| core.unassign(partition));
    }

    /// Pauses fetching of the partition; fetched records can still be consumed.
    pub fn pause(&self, partition: &TopicPartition) {
        self.change(|core| core.set_paused(partition, true));
    }

    pub fn resume(&self, partition: &TopicPartition) {
        self.change(|core| core.set_paused(partition, false));
    }

    /// Returns fetched events without waiting: about `bytes_max` bytes of batches, at least one event if there is any.
    pub fn poll(&self, bytes_max: usize) -> Vec<FetchEvent> {
        self.change(|core| core.take(bytes_max))
    }

    /// The end of each assigned partition as the brokers reported it last, for the isolation level of the fetcher.
    pub fn ends(&self) -> Vec<(TopicPartition, i64)> {
        lock(&self.shared.core).ends()
    }

    /// Why fetching fails and is retried at the moment, for people.
    pub fn trouble(&self) -> Option<Arc<str>> {
        lock(&self.shared.core).trouble.clone()
    }

    /// Waits until [`poll`](Self::poll) has something to give.
    pub async fn ready(&self) {
        loop {
            let ready = self.shared.ready.notified();
            if lock(&self.shared.core).has_events() {
                return;
            }
            ready.await;
        }
    }

    /// Called whenever there is something new to take, for threads that are not async.
    pub fn set_waker(&self, waker: impl Fn() + Send + Sync + 'static) {
        *lock(&self.shared.waker) = Some(Arc::new(waker));
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
