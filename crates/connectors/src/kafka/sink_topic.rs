//! The topic of a sink, looked up when the job starts.
//!
//! A missing topic is made where the cluster makes topics on demand, as the embedded broker does. Elsewhere the job fails at
//! once and names the command that creates it, instead of with its first row, a minute later and after every restart.

use std::time::Duration;

use millstream_dataflow::DataflowError;
use millstream_kafka_client::{ClientError, KafkaClient};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use millstream_types::ErrorKind;

use super::splits::client_failed;

/// How long a cluster may take to create a topic on demand.
const CREATION_ATTEMPTS: u32 = 20;
const CREATION_PAUSE: Duration = Duration::from_millis(250);

/// Waits until the topic exists. `bootstrap` is for the error message.
pub(super) async fn ensure(
    client: KafkaClient,
    topic: KafkaString,
    bootstrap: Option<String>,
) -> Result<(), DataflowError> {
    let topics = std::slice::from_ref(&topic);
    let failed = |error: &ClientError| client_failed(&format!("cannot look up topic '{topic}'"), error);
    for attempt in 0..CREATION_ATTEMPTS {
        match client.topics(topics, false).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code() != Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {
                return Err(failed(&error));
            }
            Err(_) if attempt == 0 => {
                // A metadata request that allows creation triggers it; its own response may still report an unknown
                // topic.
                _ = client
                    .refresh_metadata(Some(topics), true)
                    .await
                    .map_err(|e| failed(&e))?;
            }
            Err(_) => tokio::time::sleep(CREATION_PAUSE).await,
        }
    }
    let server = bootstrap.map_or_else(String::new, |address| format!(" --bootstrap-server {address}"));
    let message = format!(
        "topic '{topic}' does not exist, and the cluster does not create topics on demand; create it with: \
         millstream topic create {topic}{server}"
    );
    Err(DataflowError::new(ErrorKind::Input, message))
}
