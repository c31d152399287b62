//! Groups: their committed offsets, and their members.
//!
//! Offsets belong to a group by name and to topics by id, so that a topic made again starts without them. A group without
//! members ("simple") needs no more than offsets.

use crate::broker::Broker;
use crate::change::{Change, CommittedOffset};
use crate::config::Configs;
use crate::topics::Topic;
use millstream_kafka_wire::messages::describe_groups::DescribedGroup;
use millstream_kafka_wire::messages::offset_fetch::OffsetFetchRequestGroup;
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use std::collections::BTreeMap;

/// A partition of a topic.
pub(crate) type TopicPartition = (Uuid, i32);

/// One group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub offsets: BTreeMap<TopicPartition, CommittedOffset>,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<KafkaString, Group>,
}

impl Groups {
    pub fn get(&self, name: &KafkaString) -> Option<&Group> {
        self.groups.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&KafkaString, &Group)> {
        self.groups.iter()
    }

    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Offsets { group, offsets } => {
                let group = self.groups.entry(group.clone()).or_default();
                for offset in offsets {
                    group
                        .offsets
                        .insert((offset.topic, offset.partition), offset.clone());
                }
            }
            Change::OffsetsDeleted { group, partitions } => {
                if let Some(group) = self.groups.get_mut(group) {
                    for partition in partitions {
                        group.offsets.remove(partition);
                    }
                }
            }
            Change::GroupDeleted { group } => _ = self.groups.remove(group),
            _ => {}
        }
    }

    pub fn forget_topic(&mut self, topic: Uuid) {
        for group in self.groups.values_mut() {
            group.offsets.retain(|(of, _), _| *of != topic);
        }
    }

    pub fn snapshot(&self) -> impl Iterator<Item = Change> {
        self.groups.iter().map(|(name, group)| Change::Offsets {
            group: name.clone(),
            offsets: group.offsets.values().cloned().collect(),
        })
    }

    pub fn after_recovery(&mut self, _now_ms: i64, _configs: &Configs) {}

    pub fn next_timer(&self) -> Option<i64> {
        None
    }
}

pub(crate) fn tick(_broker: &mut Broker, _now_ms: i64) {}

pub(crate) fn expire_offsets(_broker: &mut Broker, _now_ms: i64) {}

/// Who wants to commit offsets.
#[derive(Debug)]
pub(crate) struct Committer<'a> {
    pub group: &'a KafkaString,
    pub member_id: &'a KafkaString,
    pub instance_id: Option<&'a KafkaString>,
    /// Generation or member epoch, negative for a group without members.
    pub epoch: i32,
    pub is_transactional: bool,
}

/// Whether somebody may commit for a group now.
pub(crate) fn check_commit(
    broker: &mut Broker,
    _now_ms: i64,
    _version: i16,
    committer: &Committer<'_>,
) -> Result<(), ErrorCode> {
    let _ = (
        broker,
        committer.member_id,
        committer.instance_id,
        committer.is_transactional,
    );
    if committer.group.is_empty() && committer.epoch >= 0 {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    if committer.epoch >= 0 {
        return Err(ErrorCode::ILLEGAL_GENERATION);
    }
    Ok(())
}

/// Whether somebody may read a group's offsets.
pub(crate) fn check_fetch(_broker: &Broker, _asked: &OffsetFetchRequestGroup) -> Result<(), ErrorCode> {
    Ok(())
}

impl Group {
    pub fn protocol_type(&self) -> KafkaString {
        KafkaString::EMPTY
    }

    pub fn state_name(&self) -> &'static str {
        "Empty"
    }

    pub fn type_name(&self) -> &'static str {
        "classic"
    }

    pub fn is_describable_as_classic(&self) -> bool {
        true
    }

    pub fn describe_classic(&self, base: DescribedGroup) -> DescribedGroup {
        DescribedGroup {
            group_state: KafkaString::from_static(self.state_name()),
            ..base
        }
    }

    /// Whether nobody is a member.
    pub fn is_empty(&self) -> bool {
        true
    }

    pub fn allows_offset_deletion(&self) -> bool {
        true
    }

    pub fn is_subscribed_to(&self, _topic: &Topic) -> bool {
        false
    }
}
