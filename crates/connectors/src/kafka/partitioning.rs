//! Which partitions a sink chooses itself; all others are chosen by the producer, by the key if there is one.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use millstream_kafka_client::KafkaClient;
use millstream_kafka_wire::KafkaString;
use millstream_types::Batch;

/// How an instance of a sink chooses partitions.
pub(super) struct Partitioning {
    /// A column with numbers whose remainders by the number of partitions are the rows' partitions. Programs have it;
    /// tables cannot write this column.
    pub column: Option<usize>,
    /// The number of the instance, if all its rows go to one partition.
    pub fixed: Option<usize>,
}

/// The topic's number of partitions must be known.
pub(super) struct UnknownTopic;

impl Partitioning {
    /// The partition of this instance, if it has one.
    pub fn of_instance(
        &self,
        client: &KafkaClient,
        topic: &KafkaString,
    ) -> Result<Option<i32>, UnknownTopic> {
        let Some(subtask) = self.fixed else {
            return Ok(None);
        };
        Ok(Some((subtask % partitions_of(client, topic)?) as i32))
    }

    /// The partition that a row's column or this instance chooses.
    pub fn of_row(
        &self,
        client: &KafkaClient,
        topic: &KafkaString,
        batch: &Batch,
        row: usize,
    ) -> Result<Option<i32>, UnknownTopic> {
        let numbers = self.column.map(|column| &batch.columns[column]);
        let Some(numbers) = numbers.and_then(|column| column.as_primitive_opt::<Int64Type>()) else {
            return self.of_instance(client, topic);
        };
        let partitions = partitions_of(client, topic)?;
        Ok(Some(numbers.value(row).rem_euclid(partitions as i64) as i32))
    }
}

fn partitions_of(client: &KafkaClient, topic: &KafkaString) -> Result<usize, UnknownTopic> {
    let metadata = client.metadata();
    let topic = metadata.topic(topic.as_str()).ok_or(UnknownTopic)?;
    Ok(topic.partitions.len().max(1))
}
