//! Open transactions.

use std::collections::BTreeMap;

use millstream_kafka_wire::messages::list_transactions::ListTransactionsRequest;

use crate::client::KafkaClient;
use crate::error::ClientError;

/// Kafka's name for the state of an open transaction.
const ONGOING: &str = "Ongoing";

/// A transaction as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    pub transactional_id: String,
    pub producer_id: i64,
    pub state: String,
}

impl KafkaClient {
    /// All open transactions of the cluster that the user may describe, by transactional id. Needs Kafka 3.0.
    pub async fn list_open_transactions(&self) -> Result<Vec<TransactionListing>, ClientError> {
        let request = ListTransactionsRequest {
            state_filters: vec![ONGOING.into()],
            ..Default::default()
        };
        let responses = self
            .call_every_node("listing transactions", &request, |response| response.error_code)
            .await?;
        let mut found = BTreeMap::new();
        for response in responses {
            for state in response.transaction_states {
                let listing = TransactionListing {
                    transactional_id: state.transactional_id.into(),
                    producer_id: state.producer_id,
                    state: state.transaction_state.into(),
                };
                found.insert(listing.transactional_id.clone(), listing);
            }
        }
        Ok(found.into_values().collect())
    }
}
