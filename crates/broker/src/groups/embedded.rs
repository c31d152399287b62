//! The consumer protocol inside of the classic group protocol: subscriptions in the metadata of a join, partitions in
//! an assignment.
//!
//! To a classic group these are opaque bytes that only its leader reads. The broker reads them when it takes the
//! leader's role, and writes them when it assigns partitions to a classic member.

use super::consumer::TopicView;
use super::consumer::assignor::Partitions;
use bytes::Bytes;
use millstream_kafka_wire::messages::consumer_protocol_assignment::{
    ConsumerProtocolAssignment, TopicPartition as AssignedTopic,
};
use millstream_kafka_wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use millstream_kafka_wire::{DecodeError, EncodeError, KafkaString, Reader, Writer};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";
/// The highest supported version. A higher one is read as this one, because its fields must start with the same ones.
const NEWEST_VERSION: i16 = 3;

/// Why bytes are not a valid subscription or assignment.
#[derive(Debug, Error)]
pub(crate) enum EmbeddedError {
    #[error("the embedded consumer protocol has the version {0}, below 0")]
    Version(i16),
    #[error("the embedded consumer protocol is malformed")]
    Malformed(#[from] DecodeError),
}

/// A consumer's subscription.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    pub topic_names: BTreeSet<KafkaString>,
    /// Partitions that it owns at the time of joining; empty for one that revokes everything before it joins.
    pub owned: Partitions,
    pub rack_id: Option<KafkaString>,
}

fn version(reader: &mut Reader) -> Result<i16, EmbeddedError> {
    match reader.i16()? {
        version @ ..=-1 => Err(EmbeddedError::Version(version)),
        version => Ok(version.min(NEWEST_VERSION)),
    }
}

fn read_subscription(metadata: &Bytes) -> Result<ConsumerProtocolSubscription, EmbeddedError> {
    let mut reader = Reader::new(metadata.clone());
    let version = version(&mut reader)?;
    Ok(ConsumerProtocolSubscription::decode(&mut reader, version)?)
}

/// The topics of a subscription. As in Kafka the rest need not be valid: all versions start with the topics, and some
/// clients (kafka-go) write version 1 with the fields of version 0.
pub(crate) fn topics(metadata: &Bytes) -> Result<Vec<KafkaString>, EmbeddedError> {
    let mut reader = Reader::new(metadata.clone());
    version(&mut reader)?;
    Ok(ConsumerProtocolSubscription::decode(&mut reader, 0)?.topics)
}

pub(crate) fn subscription(metadata: &Bytes, topics: &dyn TopicView) -> Result<Subscription, EmbeddedError> {
    let read = read_subscription(metadata)?;
    let owned = read.owned_partitions.iter();
    let owned = owned.map(|each| (&each.topic, each.partitions.as_slice()));
    Ok(Subscription {
        topic_names: read.topics.iter().map(KafkaString::detached).collect(),
        owned: by_id(owned, topics),
        rack_id: read.rack_id.map(|rack| rack.detached()),
    })
}

/// The partitions of an assignment, and whether it contains user data.
pub(crate) fn assignment(
    assignment: &Bytes,
    topics: &dyn TopicView,
) -> Result<(Partitions, bool), EmbeddedError> {
    let mut reader = Reader::new(assignment.clone());
    let version = version(&mut reader)?;
    let read = ConsumerProtocolAssignment::decode(&mut reader, version)?;
    let assigned = read.assigned_partitions.iter();
    let assigned = assigned.map(|each| (&each.topic, each.partitions.as_slice()));
    let has_more = read.user_data.is_some_and(|data| !data.is_empty());
    Ok((by_id(assigned, topics), has_more))
}

/// Topics that are gone fall away.
fn by_id<'a>(
    named: impl Iterator<Item = (&'a KafkaString, &'a [i32])>,
    topics: &dyn TopicView,
) -> Partitions {
    let found = named.filter_map(|(name, partitions)| Some((topics.topic(name)?.0, partitions)));
    found
        .flat_map(|(id, partitions)| partitions.iter().map(move |partition| (id, *partition)))
        .collect()
}

/// An assignment in the version in which the member that gets it wrote its subscription.
pub(crate) fn write_assignment<'a>(
    partitions: impl Iterator<Item = &'a super::TopicPartition>,
    metadata: &Bytes,
    topics: &dyn TopicView,
) -> Result<Bytes, EncodeError> {
    let version = version(&mut Reader::new(metadata.clone())).unwrap_or_default();
    let mut by_name: BTreeMap<KafkaString, Vec<i32>> = BTreeMap::new();
    for (id, partition) in partitions {
        if let Some(name) = topics.name(*id) {
            by_name.entry(name).or_default().push(*partition);
        }
    }
    let topic = |(topic, partitions)| AssignedTopic { topic, partitions };
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: by_name.into_iter().map(topic).collect(),
        user_data: None,
    };
    let mut writer = Writer::new();
    writer.i16(version);
    assignment.encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}
