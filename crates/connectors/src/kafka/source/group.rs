//! Offsets of the source's consumer group. They are for others to see: the checkpoint holds the authoritative positions.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use millstream_kafka_client::admin::CommittedOffset;
use millstream_kafka_client::{KafkaClient, TopicPartition};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// How long the end of a source waits for the group's coordinator.
const LAST_COMMIT_WAIT: Duration = Duration::from_secs(1);

/// Commits one after the other: an older position must not overtake a newer one.
pub(super) struct GroupCommits {
    client: KafkaClient,
    group: String,
    runtime: Handle,
    last: Option<JoinHandle<()>>,
}

impl GroupCommits {
    pub fn new(client: KafkaClient, group: String, runtime: Handle) -> Self {
        Self {
            client,
            group,
            runtime,
            last: None,
        }
    }

    /// Commits in the background.
    pub fn commit(&mut self, positions: BTreeMap<TopicPartition, i64>) {
        if positions.is_empty() {
            return;
        }
        let (client, group, before) = (self.client.clone(), self.group.clone(), self.last.take());
        let offsets: BTreeMap<TopicPartition, CommittedOffset> = positions
            .into_iter()
            .map(|(p, offset)| (p, CommittedOffset::new(offset)))
            .collect();
        self.last = Some(self.runtime.spawn(async move {
            if let Some(before) = before {
                _ = before.await;
            }
            if let Err(error) = client.commit_offsets(&group, &offsets).await {
                tracing::warn!(%group, %error, "cannot commit offsets");
            }
        }));
    }

    /// Waits for what is being committed: the process may end next, and a later job reads from the group's offsets.
    pub fn finish(&mut self) {
        let Some(last) = self.last.take() else {
            return;
        };
        let (done, finished) = mpsc::channel();
        self.runtime.spawn(async move {
            _ = last.await;
            _ = done.send(());
        });
        if finished.recv_timeout(LAST_COMMIT_WAIT).is_err() {
            tracing::warn!(group = %self.group, "the last offsets are not committed yet");
        }
    }
}
