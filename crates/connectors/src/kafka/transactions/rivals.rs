//! Finds out whether another job writes with the same prefix of transactional ids.
//!
//! Such jobs fence each other in turn, and each would restart again and again. The coordinator does not say who has fenced
//! a producer, but every job commits the number of its checkpoint with its own incarnation under the group of the prefix
//! and subtask. A number of another incarnation that was not there when this job started was written by another job.

use std::sync::{Arc, Mutex, PoisonError};

use millstream_dataflow::DataflowError;
use millstream_kafka_client::{ClientError, KafkaClient, ProduceError, TopicPartition};
use millstream_types::ErrorKind;

/// What a job committed last under the group: the number of its checkpoint, and its incarnation.
type Marker = (i64, String);

/// One for each instance of a sink. Cheap to clone.
#[derive(Clone)]
pub(super) struct Rivals {
    client: KafkaClient,
    prefix: String,
    group: String,
    incarnation: String,
    first_seen: Arc<Mutex<Option<FirstSeen>>>,
}

/// The topic whose partition 0 carries the number, and the number when the instance looked first.
type FirstSeen = (String, Option<Marker>);

impl Rivals {
    pub fn new(client: KafkaClient, prefix: &str, group: &str, incarnation: &str) -> Self {
        Self {
            client,
            prefix: prefix.to_owned(),
            group: group.to_owned(),
            incarnation: incarnation.to_owned(),
            first_seen: Arc::default(),
        }
    }

    /// Notes what is there before this instance commits for the first time.
    pub async fn look(&self, topic: &str) {
        let is_known = |seen: &Option<FirstSeen>| seen.as_ref().is_some_and(|(t, _)| t == topic);
        if is_known(&self.first_seen.lock().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        // Without a response a fenced producer is reported without a reason.
        if let Ok(marker) = self.marker(topic).await {
            let mut seen = self.first_seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = Some((topic.to_owned(), marker));
        }
    }

    async fn marker(&self, topic: &str) -> Result<Option<Marker>, ClientError> {
        let partition = TopicPartition::new(topic, 0);
        let wanted = std::slice::from_ref(&partition);
        let found = self
            .client
            .committed_offsets(&self.group, Some(wanted), true)
            .await?;
        let marker = found.get(&partition);
        Ok(marker.and_then(|marker| Some((marker.offset, marker.metadata.clone()?))))
    }

    /// The error of a job whose producer was fenced by that of another job; `None`: any other cause.
    pub async fn explain(&self, topic: &str, error: &ProduceError) -> Option<DataflowError> {
        // An unreachable cluster says nothing about other jobs.
        if matches!(error, ProduceError::Client(error) if error.code().is_none()) {
            return None;
        }
        let (number, incarnation) = self.marker(topic).await.ok()??;
        let seen = self.first_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, before) = seen.as_ref().filter(|(seen, _)| seen == topic)?;
        let is_old = before.as_ref() == Some(&(number, incarnation.clone()));
        if is_old || incarnation == self.incarnation {
            return None;
        }
        let prefix = &self.prefix;
        let message = format!(
            "another job writes topic '{topic}' with 'sink.transactional-id-prefix' '{prefix}' and has committed its checkpoint \
             {number} meanwhile; jobs with one prefix fence each other. Stop one of them, or give one another prefix and start \
             it with --fresh"
        );
        Some(DataflowError::new(ErrorKind::Input, message))
    }
}
