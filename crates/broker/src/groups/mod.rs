//! Groups: committed offsets and members.
//!
//! Offsets are keyed by group name and topic id, so a topic that is deleted and created again starts without them. A
//! group without members ("simple") consists of its offsets. Members live in memory with their delayed requests; their
//! persistent part is written after each rebalance.

pub(crate) mod classic;
mod commits;
pub(crate) mod consumer;
mod embedded;
pub(crate) mod migration;
mod persist;
pub(crate) mod rules;
mod view;

use crate::broker::Broker;
use crate::change::{Change, CommittedOffset};
use crate::config::Configs;
use crate::purgatory::Reply;
use crate::topics::Topic;
use classic::{ClassicGroup, Effects, State};
pub(crate) use commits::{Committer, Permit, check_commit, check_fetch};
use consumer::ConsumerGroup;
use embedded::CONSUMER;
use millstream_kafka_wire::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use millstream_kafka_wire::{KafkaString, Uuid};
use rules::{ConsumerRules, Rules};
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

/// A partition of a topic.
pub(crate) type TopicPartition = (Uuid, i32);

/// One group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub offsets: BTreeMap<TopicPartition, CommittedOffset>,
    /// Its members, if it is a group of the classic protocol.
    pub classic: Option<ClassicGroup>,
    /// Its members, if it is a group of the new protocol. A group is of one kind or the other.
    pub consumer: Option<ConsumerGroup>,
    scheduled_ms: Option<i64>,
    /// The WAL sequence that keeps its members as they are now.
    kept_sequence: u64,
}

/// The topics that the members of a group read.
#[derive(Debug)]
pub(crate) enum Subscribed<'a> {
    Ids(&'a BTreeMap<Uuid, i32>),
    Names(BTreeSet<KafkaString>),
    /// Not known: in the first rebalance, or because a member does not say it in a way that can be read.
    Unknown,
}

impl Subscribed<'_> {
    /// Whether a topic is read; one that may be, is.
    pub fn includes(&self, topic: &Topic) -> bool {
        match self {
            Subscribed::Ids(ids) => ids.contains_key(&topic.id),
            Subscribed::Names(names) => names.contains(&topic.name),
            Subscribed::Unknown => true,
        }
    }
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<KafkaString, Group>,
    timers: BTreeSet<(i64, KafkaString)>,
}

impl Groups {
    pub fn get(&self, name: &KafkaString) -> Option<&Group> {
        self.groups.get(name)
    }

    pub fn get_mut(&mut self, name: &KafkaString) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    pub fn get_or_create(&mut self, name: &KafkaString) -> &mut Group {
        self.groups.entry(name.detached()).or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&KafkaString, &Group)> {
        self.groups.iter()
    }

    /// Applies a change; offsets that it commits get this place, unless they have one.
    pub fn apply(&mut self, change: &Change, place: u64) {
        match change {
            Change::Offsets { group, offsets } => {
                let group = self.groups.entry(group.clone()).or_default();
                for offset in offsets {
                    group
                        .offsets
                        .insert((offset.topic, offset.partition), offset.placed(place));
                }
            }
            // As with Kafka the group is there before the transaction ends.
            Change::TransactionOffsets { group, offsets, .. } if !offsets.is_empty() => {
                self.groups.entry(group.clone()).or_default();
            }
            Change::OffsetsDeleted { group, partitions } => {
                if let Some(group) = self.groups.get_mut(group) {
                    for partition in partitions {
                        group.offsets.remove(partition);
                    }
                }
            }
            Change::GroupDeleted { group } => _ = self.groups.remove(group),
            Change::Group { group, state } => {
                let kept = persist::decode(state.clone());
                if let Err(error) = &kept {
                    // The checksum held, so that another version wrote them. The offsets are records of their own.
                    tracing::error!(%group, %error, "the stored members of a group are unreadable and have to join again");
                }
                let group = self.groups.entry(group.clone()).or_default();
                (group.classic, group.consumer) = match kept {
                    Ok(persist::Kept::Classic(classic)) => (Some(classic), None),
                    Ok(persist::Kept::Consumer(consumer)) => (None, Some(consumer)),
                    Err(_) => (None, None),
                };
            }
            _ => {}
        }
    }

    pub fn forget_topic(&mut self, topic: Uuid) {
        for group in self.groups.values_mut() {
            group.offsets.retain(|(of, _), _| *of != topic);
        }
    }

    pub fn snapshot(&self) -> impl Iterator<Item = Change> {
        self.groups.iter().flat_map(|(name, group)| {
            let offsets = group.offsets.values().cloned().collect();
            let state = group.kept();
            let members = state.map(|state| Change::Group {
                group: name.clone(),
                state,
            });
            [
                Some(Change::Offsets {
                    group: name.clone(),
                    offsets,
                }),
                members,
            ]
            .into_iter()
            .flatten()
        })
    }

    /// Members that were known before a restart have a session's time to be heard of.
    pub fn after_recovery(&mut self, now_ms: i64, configs: &Configs) {
        let rules = Rules::new(configs);
        let names: Vec<KafkaString> = self.groups.keys().cloned().collect();
        for name in names {
            let group = self.groups.get_mut(&name);
            if let Some(classic) = group.and_then(|group| group.classic.as_mut()) {
                let ids: Vec<KafkaString> = classic.members.keys().cloned().collect();
                ids.iter().for_each(|id| classic.touch(now_ms, id));
                let is_too_large = classic.members.len() > rules.max_size;
                if std::mem::take(&mut classic.must_rebalance) || is_too_large {
                    // No request is delayed yet, so the effects are empty.
                    classic.rebalance(now_ms, rules, &mut Effects::default());
                }
            }
            let group = self.groups.get_mut(&name);
            if let Some(consumer) = group.and_then(|group| group.consumer.as_mut()) {
                consumer.restart_timers(now_ms, ConsumerRules::new(configs, &name).session_ms);
            }
            self.schedule(&name);
        }
    }

    /// Whether a group is of the new protocol and has members.
    pub fn has_consumers(&self, name: &KafkaString) -> bool {
        let consumer = self.groups.get(name).and_then(|group| group.consumer.as_ref());
        consumer.is_some_and(|consumer| !consumer.members.is_empty())
    }

    pub fn next_timer(&self) -> Option<i64> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Ensures that a group is visited at its next deadline. Later deadlines are found when the earlier one fires, so
    /// that heartbeats cost nothing here.
    pub fn schedule(&mut self, name: &KafkaString) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let classic = group.classic.as_ref().and_then(ClassicGroup::next_deadline);
        let consumer = group.consumer.as_ref().and_then(ConsumerGroup::next_deadline);
        let Some(deadline) = classic.or(consumer) else {
            return;
        };
        if group.scheduled_ms.is_some_and(|scheduled| scheduled <= deadline) {
            return;
        }
        if let Some(earlier) = group.scheduled_ms.replace(deadline) {
            self.timers.remove(&(earlier, name.clone()));
        }
        self.timers.insert((deadline, name.clone()));
    }

    fn take_due(&mut self, now_ms: i64) -> Vec<KafkaString> {
        let mut due = Vec::new();
        while let Some((_, name)) = self.timers.first().filter(|(at, _)| *at <= now_ms).cloned() {
            self.timers.pop_first();
            if let Some(group) = self.groups.get_mut(&name) {
                group.scheduled_ms = None;
            }
            due.push(name);
        }
        due
    }
}

pub(crate) fn tick(broker: &mut Broker, now_ms: i64) {
    for name in broker.groups.take_due(now_ms) {
        let mut effects = Effects::default();
        let rules = ConsumerRules::new(&broker.configs, &name);
        let (groups, topics) = broker.groups_and_topics();
        if let Some(group) = groups.get_mut(&name) {
            if let Some(classic) = &mut group.classic {
                classic.tick(now_ms, rules.classic, &mut effects);
            }
            if let Some(consumer) = &group.consumer {
                let gone = consumer.overdue(now_ms);
                migration::fence(group, now_ms, &gone, &rules, &topics, &mut effects);
            }
        }
        finish(broker, now_ms, &name, effects);
    }
}

/// The sequence of a change that could not be written: it never becomes durable, so no response is sent.
const NEVER: u64 = u64::MAX;

fn keep(broker: &mut Broker, now_ms: i64, name: &KafkaString) {
    let Some(state) = broker.groups.get(name).and_then(Group::kept) else {
        return;
    };
    let change = Change::Group {
        group: name.detached(),
        state,
    };
    let sequence = broker.write_applied(now_ms, &[change]).unwrap_or(NEVER);
    if let Some(group) = broker.groups.get_mut(name) {
        group.kept_sequence = sequence;
    }
}

/// The sequence that must be durable before a response reveals the group's members: a crash would otherwise take back a
/// generation in which a member works already, and assign it again.
pub(crate) fn kept_sequence(broker: &Broker, name: &KafkaString) -> u64 {
    broker.groups.get(name).map_or(0, |group| group.kept_sequence)
}

/// Applies the effects of a call on a group.
pub(crate) fn finish(broker: &mut Broker, now_ms: i64, name: &KafkaString, effects: Effects) {
    broker.groups.schedule(name);
    if effects.persist {
        keep(broker, now_ms, name);
    }
    let sequence = kept_sequence(broker, name);
    for (ticket, response) in effects.replies {
        broker.complete_when_durable(sequence, ticket, Reply::from(response));
    }
}

/// Expires offsets after `offsets.retention.minutes`, and removes groups that have become empty. Offsets of subscribed
/// topics do not expire while the group has members.
pub(crate) fn expire_offsets(broker: &mut Broker, now_ms: i64) {
    let retention_ms = broker
        .configs
        .long("offsets.retention.minutes")
        .saturating_mul(60_000);
    let interval_ms = broker.configs.long("offsets.retention.check.interval.ms");
    let mut changes = Vec::new();
    for (name, group) in broker.groups.iter() {
        if !group.is_empty() && !group.knows_its_topics() {
            continue;
        }
        let empty_since_ms = if group.is_empty() {
            group.empty_since_ms()
        } else {
            0
        };
        // Of most groups nothing is due.
        let subscribed = LazyCell::new(|| group.subscribed_topics());
        let is_read = |offset: &CommittedOffset| {
            let topic = broker.topics.by_id(offset.topic);
            !group.is_empty() && topic.is_some_and(|topic| subscribed.includes(topic))
        };
        let is_expired = |offset: &&CommittedOffset| {
            let is_due = match offset.expire_ms {
                ..=-1 => offset.commit_ms.max(empty_since_ms).saturating_add(retention_ms) <= now_ms,
                expire_ms => expire_ms <= now_ms,
            };
            let is_pending = || {
                let partition = (offset.topic, offset.partition);
                broker.transactions.has_pending_offset(name, partition)
            };
            is_due && !is_read(offset) && !is_pending()
        };
        let expired: Vec<TopicPartition> = group
            .offsets
            .values()
            .filter(is_expired)
            .map(|offset| (offset.topic, offset.partition))
            .collect();
        let is_pending = broker.transactions.has_pending_group(name);
        let is_forgotten = !group.offsets.is_empty() || empty_since_ms.saturating_add(interval_ms) <= now_ms;
        let has_become_nothing = group.is_empty() && expired.len() == group.offsets.len();
        if has_become_nothing && is_forgotten && !is_pending {
            changes.push(Change::GroupDeleted { group: name.clone() });
        } else if !expired.is_empty() {
            changes.push(Change::OffsetsDeleted {
                group: name.clone(),
                partitions: expired,
            });
        }
    }
    if !changes.is_empty() {
        // A failure poisons the log, which every later request reports.
        let _ = broker.write(now_ms, Vec::new(), &changes);
    }
}

impl Group {
    /// The members as bytes, if there is anything to keep.
    fn kept(&self) -> Option<bytes::Bytes> {
        let classic = self.classic.as_ref().map(persist::encode_classic);
        classic
            .or_else(|| self.consumer.as_ref().map(persist::encode_consumer))?
            .inspect_err(|error| tracing::error!(%error, "the members of a group cannot be stored"))
            .ok()
    }

    pub fn protocol_type(&self) -> KafkaString {
        if self.consumer.is_some() {
            return KafkaString::from_static(CONSUMER);
        }
        self.classic
            .as_ref()
            .and_then(|classic| classic.protocol_type.clone())
            .unwrap_or_default()
    }

    pub fn state_name(&self) -> &'static str {
        match &self.consumer {
            Some(consumer) => consumer.state_name(),
            None => self
                .classic
                .as_ref()
                .map_or(State::Empty, |classic| classic.state)
                .name(),
        }
    }

    pub fn type_name(&self) -> &'static str {
        if self.consumer.is_some() {
            "consumer"
        } else {
            "classic"
        }
    }

    pub fn is_describable_as_classic(&self) -> bool {
        self.consumer.is_none()
    }

    fn empty_since_ms(&self) -> i64 {
        let classic = self.classic.as_ref().map_or(0, |classic| classic.empty_since_ms);
        self.consumer
            .as_ref()
            .map_or(classic, |consumer| consumer.empty_since_ms)
    }

    pub fn describe_classic(&self, base: DescribedGroup) -> DescribedGroup {
        let group_state = KafkaString::from_static(self.state_name());
        let Some(classic) = &self.classic else {
            return DescribedGroup { group_state, ..base };
        };
        let protocol = classic.protocol.clone().unwrap_or_default();
        let is_stable = classic.state == State::Stable;
        let member = |(id, member): (&KafkaString, &classic::Member)| DescribedGroupMember {
            member_id: id.clone(),
            group_instance_id: member.info.instance_id.clone(),
            client_id: member.info.client_id.clone(),
            client_host: member.info.client_host.clone(),
            member_metadata: if is_stable {
                member.metadata(&protocol)
            } else {
                Default::default()
            },
            member_assignment: if is_stable {
                member.assignment.clone()
            } else {
                Default::default()
            },
        };
        DescribedGroup {
            group_state,
            protocol_type: self.protocol_type(),
            protocol_data: if is_stable {
                protocol.clone()
            } else {
                KafkaString::EMPTY
            },
            members: classic.members.iter().map(member).collect(),
            ..base
        }
    }

    /// Whether the group has no members.
    pub fn is_empty(&self) -> bool {
        self.classic.as_ref().is_none_or(ClassicGroup::is_empty)
            && self
                .consumer
                .as_ref()
                .is_none_or(|consumer| consumer.members.is_empty())
    }

    pub fn member_count(&self) -> usize {
        let classic = self.classic.as_ref().map_or(0, |classic| classic.members.len());
        let consumer = self
            .consumer
            .as_ref()
            .map_or(0, |consumer| consumer.members.len());
        classic + consumer
    }

    /// Offsets of a group with members can only be removed if it is known which topics they read.
    pub fn allows_offset_deletion(&self) -> bool {
        self.is_empty() || self.protocol_type() == *CONSUMER
    }

    /// Whether the members have agreed on the consumer protocol, so that their topics are known.
    fn knows_its_topics(&self) -> bool {
        let is_stable = |classic: &ClassicGroup| classic.state == State::Stable;
        self.consumer.is_some()
            || self.protocol_type() == *CONSUMER && self.classic.as_ref().is_some_and(is_stable)
    }

    /// The topics that members read, resolved from all their subscriptions, once for a request.
    pub fn subscribed_topics(&self) -> Subscribed<'_> {
        if let Some(consumer) = &self.consumer {
            return Subscribed::Ids(&consumer.topics);
        }
        let members = self.classic.as_ref().filter(|classic| !classic.is_empty());
        let Some(classic) = members else {
            return Subscribed::Names(BTreeSet::new());
        };
        let Some(protocol) = &classic.protocol else {
            return Subscribed::Unknown;
        };
        let mut names = BTreeSet::new();
        for member in classic.members.values() {
            match embedded::topics(&member.metadata(protocol)) {
                Ok(topics) => names.extend(topics),
                Err(_) => return Subscribed::Unknown,
            }
        }
        Subscribed::Names(names)
    }
}
