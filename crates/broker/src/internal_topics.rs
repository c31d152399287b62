//! The topics in which Kafka keeps offsets and transactions: `__consumer_offsets` and `__transaction_state`.
//!
//! Here both live in the broker's own log, so that nothing is ever written to these topics. They are there, empty, from
//! the first time that a client asks for a coordinator, because clients see them in Kafka: as internal topics in
//! metadata, in lists, and behind regular expressions. Clients must not write to them.

use crate::api::create_topics::{self, NewTopic};
use crate::broker::Broker;
use millstream_kafka_wire::KafkaString;

/// Where Kafka keeps offsets and members of groups.
pub(crate) const GROUPS: &str = "__consumer_offsets";
/// Kafka's log of cluster metadata. Neither Kafka nor Millstream has a topic of this name.
pub(crate) const CLUSTER_METADATA: &str = "__cluster_metadata";
/// Where Kafka keeps the states of transactional ids.
pub(crate) const TRANSACTIONS: &str = "__transaction_state";
/// The client id that may write to internal topics all the same, as in Kafka.
const ADMIN_CLIENT: &str = "__admin_client";

/// Whether metadata responses mark this topic as internal.
pub(crate) fn is_internal(topic: &str) -> bool {
    matches!(topic, GROUPS | TRANSACTIONS)
}

/// Whether a client may write to a topic of this name.
pub(crate) fn may_write(topic: &str, client_id: &str) -> bool {
    !is_internal(topic) || client_id == ADMIN_CLIENT
}

impl Broker {
    /// An internal topic as the broker makes it; none if there is none of this name.
    pub(crate) fn internal_topic(&self, topic: &str) -> Option<NewTopic> {
        let (name, prefix, compression) = match topic {
            GROUPS => (GROUPS, "offsets.topic", "producer"),
            TRANSACTIONS => (TRANSACTIONS, "transaction.state.log", "uncompressed"),
            _ => return None,
        };
        let partitions = self.configs.int(&format!("{prefix}.num.partitions"));
        let segment_bytes = self.configs.int(&format!("{prefix}.segment.bytes"));
        let configs = [
            ("cleanup.policy", "compact".to_owned()),
            ("compression.type", compression.to_owned()),
            ("segment.bytes", segment_bytes.to_string()),
        ];
        let configs = configs.map(|(key, value)| (key.to_owned(), value));
        let name = KafkaString::from_static(name);
        Some(NewTopic::new(name, partitions, configs.into()))
    }

    /// Creates an internal topic if it is missing. The caller's permissions do not matter, because the broker creates
    /// it.
    pub(crate) fn ensure_internal_topic(&mut self, now_ms: i64, topic: &'static str) {
        let name = KafkaString::from_static(topic);
        if self.topics.by_name(&name).is_some() {
            return;
        }
        let Some(new) = self.internal_topic(topic) else {
            return;
        };
        let caller = self.caller.take();
        if let Err((code, message)) = create_topics::create(self, now_ms, &new) {
            // Coordinators do not need it, and the next request tries again.
            tracing::warn!(topic, ?code, message, "cannot create an internal topic");
        }
        self.caller = caller;
    }
}
