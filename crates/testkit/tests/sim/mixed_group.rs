//! A group whose members speak the classic protocol or the new one, and may come back with the other.
//!
//! Its classic members say in the protocol of consumers what they read and own, because the broker reads it when the group
//! changes its protocol; while the group is a classic one, its leader assigns as cooperative consumers do.

use crate::groups::{MIXED, Member};
use crate::reader::TOPIC;
use crate::world::Handle;
use bytes::Bytes;
use millstream_kafka_wire::messages::consumer_protocol_assignment::{
    self as assigned, ConsumerProtocolAssignment,
};
use millstream_kafka_wire::messages::consumer_protocol_subscription::{
    self as owned, ConsumerProtocolSubscription,
};
use millstream_kafka_wire::messages::join_group::JoinGroupResponseMember;
use millstream_kafka_wire::{DecodeError, EncodeError, Reader, Uuid, Writer};

/// The version in which classic members speak.
const VERSION: i16 = 3;

/// A member of either protocol, time and again.
pub async fn member(world: Handle, topic_id: Uuid) {
    while !world.is_ending() {
        let mut member = Member::new(&world, MIXED, topic_id);
        world.sleep(world.below(3_000)).await;
        if world.once_in(2) {
            member.consume().await;
            continue;
        }
        member.is_cooperative = world.once_in(2);
        member.take_part().await;
    }
}

/// What a classic member says when it joins.
pub fn subscription(partitions: &[i32]) -> Bytes {
    let owned = owned::TopicPartition {
        topic: TOPIC.into(),
        partitions: partitions.to_vec(),
    };
    let owned = Some(owned).filter(|owned| !owned.partitions.is_empty());
    let subscription = ConsumerProtocolSubscription {
        topics: vec![TOPIC.into()],
        owned_partitions: owned.into_iter().collect(),
        ..Default::default()
    };
    written(|writer| subscription.encode(writer, VERSION))
}

/// A member's share, without what others own still.
pub fn assignment(
    share: impl Iterator<Item = usize>,
    index: usize,
    members: &[JoinGroupResponseMember],
) -> Bytes {
    let others = members.iter().enumerate().filter(|(other, _)| *other != index);
    let taken: Vec<i32> = others.flat_map(|(_, member)| owned_by(member)).collect();
    let free = share.map(|partition| partition as i32);
    let partitions: Vec<i32> = free.filter(|partition| !taken.contains(partition)).collect();
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: vec![assigned::TopicPartition {
            topic: TOPIC.into(),
            partitions,
        }],
        user_data: None,
    };
    written(|writer| assignment.encode(writer, VERSION))
}

/// A message of the protocol of consumers: its version goes before it.
fn written(encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(VERSION);
    encode(&mut writer).expect("names and numbers are short");
    writer.into_bytes()
}

/// Reads such a message.
fn read<T>(message: Bytes, decode: impl FnOnce(&mut Reader, i16) -> Result<T, DecodeError>) -> T {
    let mut reader = Reader::new(message);
    let version = reader.i16().expect("members write their version");
    decode(&mut reader, version).expect("members write what they say")
}

fn owned_by(member: &JoinGroupResponseMember) -> Vec<i32> {
    let read = read(member.metadata.clone(), ConsumerProtocolSubscription::decode);
    let owned = read.owned_partitions.into_iter();
    owned.flat_map(|topic| topic.partitions).collect()
}

/// The partitions of an assignment; none if the leader did not know this member.
pub fn partitions(assignment: Bytes) -> Vec<i32> {
    if assignment.is_empty() {
        return Vec::new();
    }
    let read = read(assignment, ConsumerProtocolAssignment::decode);
    let assigned = read.assigned_partitions.into_iter();
    assigned.flat_map(|topic| topic.partitions).collect()
}
