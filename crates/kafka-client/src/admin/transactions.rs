//! Transactions that are under way.

use std::collections::BTreeMap;

use millstream_kafka_wire::messages::list_transactions::ListTransactionsRequest;

use crate::client::KafkaClient;
use crate::error::ClientError;

/// State of a transaction that takes records or waits for its end, as Kafka calls it.
const ONGOING: &str = "Ongoing";

/// A transaction as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    pub transactional_id: String,
    pub producer_id: i64,
    pub state: String,
}

impl KafkaClient {
    /// All transactions of the cluster that have begun and not been ended, by transactional id; those that the user may
    /// describe. Brokers know this since Kafka 3.0.
    pub async fn list_open_transactions(&self) -> Result<Vec<TransactionListing>, ClientError> {
        let request = ListTransactionsRequest {
            state_filters: vec![ONGOING.into()],
            ..Default::default()
        };
        let answers = self
            .call_every_node("listing transactions", &request, |response| response.error_code)
            .await?;
        let mut found = BTreeMap::new();
        for response in answers {
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
