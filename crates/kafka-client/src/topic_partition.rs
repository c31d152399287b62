//! The name of a partition.

use std::fmt;

use millstream_kafka_wire::KafkaString;

/// A topic and a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: KafkaString,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<KafkaString>, partition: i32) -> Self {
        TopicPartition {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
