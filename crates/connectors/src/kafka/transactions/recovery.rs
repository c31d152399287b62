//! Recovery: completes or aborts the transactions of an earlier execution.

use std::collections::BTreeSet;

use millstream_dataflow::DataflowError;
use millstream_kafka_client::produce::EndOutcome;
use millstream_kafka_client::{ClientError, KafkaClient, TopicPartition, TransportError};
use millstream_kafka_wire::ErrorCode;
use millstream_types::{ErrorKind, failpoint};

use super::super::splits::{client_failed, with_causes};
use super::state::Prepared;

/// What an earlier execution left to this instance.
#[derive(Default)]
pub(super) struct Recovery {
    /// Of the checkpoint that the job was restored from.
    pub prepared: Vec<Prepared>,
    /// The ids that belonged to the same subtasks.
    pub ids: Vec<String>,
    /// Ids that other instances recover.
    pub of_others: BTreeSet<String>,
    /// Only in the first instance: the parallelism; no instance owns ids beyond it.
    pub parallelism: Option<usize>,
}

impl Recovery {
    /// Commits the transactions in the checkpoint and aborts all others.
    pub async fn run(
        self,
        client: KafkaClient,
        prefix: String,
        timeout_ms: i32,
    ) -> Result<(), DataflowError> {
        let mut doubtful = Vec::new();
        for prepared in &self.prepared {
            if let EndOutcome::Doubtful(code) = end(&client, prepared).await? {
                doubtful.push((prepared, code));
            }
        }
        if !self.prepared.is_empty() {
            failpoint::hit("recovery-committed");
        }
        let orphans = match self.parallelism {
            Some(parallelism) => self.orphans(&client, &prefix, parallelism).await?,
            None => Vec::new(),
        };
        for id in self.ids.iter().chain(&orphans) {
            client
                .fence_producer(id, timeout_ms)
                .await
                .map_err(|e| client_failed(&format!("cannot fence transactional id '{id}'"), &e))?;
        }
        if !self.ids.is_empty() {
            failpoint::hit("recovery-fenced");
        }
        for (prepared, code) in doubtful {
            let found = prove(&client, prepared, code).await;
            let is_committed = found.map_err(|e| {
                let action = format!("cannot find out about checkpoint {}", prepared.checkpoint);
                client_failed(&action, &e)
            })?;
            if !is_committed {
                return Err(lost(prepared));
            }
        }
        Ok(())
    }

    /// Open transactions of this prefix that no instance owns and no checkpoint names.
    async fn orphans(
        &self,
        client: &KafkaClient,
        prefix: &str,
        parallelism: usize,
    ) -> Result<Vec<String>, DataflowError> {
        let open = match client.list_open_transactions().await {
            Ok(open) => open,
            Err(ClientError::Transport(TransportError::UnsupportedApi { .. })) => Vec::new(),
            Err(error) => return Err(client_failed("cannot look for open transactions", &error)),
        };
        let ids = open.into_iter().map(|listing| listing.transactional_id);
        let is_orphan = |id: &String| {
            let subtask = subtask_of(id, prefix);
            subtask.is_some_and(|subtask| subtask >= parallelism)
                && !self.of_others.contains(id)
                && !self.ids.contains(id)
        };
        Ok(ids.filter(is_orphan).collect())
    }
}

/// The subtask in a transactional id of this prefix.
fn subtask_of(id: &str, prefix: &str) -> Option<usize> {
    let (subtask, slot) = id.strip_prefix(prefix)?.strip_prefix('-')?.split_once('-')?;
    slot.parse::<usize>().ok()?;
    subtask.parse().ok()
}

/// Whether the transaction was committed, judged by the offset that its commit wrote.
async fn prove(client: &KafkaClient, prepared: &Prepared, code: ErrorCode) -> Result<bool, ClientError> {
    let partition = TopicPartition::new(prepared.topic.as_str(), 0);
    let wanted = std::slice::from_ref(&partition);
    let found = client
        .committed_offsets(&prepared.group, Some(wanted), true)
        .await?;
    let is_committed = found.get(&partition).is_some_and(|committed| {
        committed.metadata.as_deref() == Some(prepared.incarnation.as_str())
            && u64::try_from(committed.offset).is_ok_and(|offset| offset >= prepared.checkpoint)
    });
    tracing::info!(
        transactional_id = prepared.transactional_id,
        checkpoint = prepared.checkpoint,
        error = %code,
        is_committed,
        "the coordinator does not know the transaction; the group of the sink tells how it ended"
    );
    Ok(is_committed)
}

fn lost(prepared: &Prepared) -> DataflowError {
    let message = format!(
        "the {} records of checkpoint {} cannot be committed: the cluster has aborted transaction '{}' (topic '{}', \
         producer {}, epoch {}), most likely because the job was away for longer than 'transaction.timeout.ms'; \
         nothing was written in their place. Set 'properties.transaction.timeout.ms' higher for the future; to continue, \
         start with --fresh and clear up the topic, or change the data with a job of your own",
        prepared.records,
        prepared.checkpoint,
        prepared.transactional_id,
        prepared.topic,
        prepared.producer_id,
        prepared.producer_epoch,
    );
    DataflowError::new(ErrorKind::Data, message)
}

/// Commits, and retries for as long as the cluster is unreachable.
pub(super) async fn end(client: &KafkaClient, prepared: &Prepared) -> Result<EndOutcome, DataflowError> {
    let action = || {
        format!(
            "cannot commit transaction '{}' of checkpoint {}",
            prepared.transactional_id, prepared.checkpoint
        )
    };
    loop {
        match client.end_transaction(&prepared.identity(), true).await {
            Ok(outcome) => return Ok(outcome),
            // The client has already retried for `default.api.timeout.ms`.
            Err(error) if error.is_retriable() => {
                tracing::warn!("{}, it is tried again", with_causes(&action(), &error));
            }
            Err(error) => return Err(client_failed(&action(), &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::transactional_id;
    use super::*;

    #[test]
    fn ids_of_a_prefix_are_told_from_others() {
        assert_eq!(subtask_of(&transactional_id("a-b", 12, 2), "a-b"), Some(12));
        for other in ["a-b", "a-b-1", "a-b-x-1", "a-b-1-x", "a-bc-1-1", "other-1-1"] {
            assert_eq!(subtask_of(other, "a-b"), None, "{other}");
        }
        assert_eq!(
            subtask_of("a-b-1-2", "a"),
            None,
            "the prefix of another job differs"
        );
    }
}
