//! Groups that migrate between protocols while they have members.
//!
//! A classic group is upgraded when its first member of the new protocol joins; its members stay and keep working. It
//! is downgraded when the last member of the new protocol leaves; the others join again in a new rebalance.
//! `group.consumer.migration.policy` decides which way is allowed.

use super::classic::{ClassicGroup, Effects, Member as ClassicMember, MemberInfo};
use super::consumer::{Assigned, Boarding, ClassicProtocol, ConsumerGroup, Member, MemberState, TopicView};
use super::embedded::{self, CONSUMER, EmbeddedError};
use super::rules::ConsumerRules;
use super::{Group, TopicPartition};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Why a group cannot change its protocol, in Kafka's words.
#[derive(Debug, Error)]
pub(crate) enum MigrationError {
    #[error("Cannot upgrade classic group {0} to consumer group because online upgrade is disabled.")]
    Disabled(KafkaString),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because the group does not use the consumer embedded protocol."
    )]
    OtherProtocol(KafkaString),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because the group size exceeds the consumer group maximum size."
    )]
    TooLarge(KafkaString),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because the embedded consumer protocol is malformed."
    )]
    Malformed(KafkaString, #[source] EmbeddedError),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because an unsupported custom assignor is in use. \
         Please refer to the documentation or switch to a default assignor before re-attempting the upgrade."
    )]
    CustomAssignor(KafkaString),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because its leader gave a partition to two members."
    )]
    SharedPartition(KafkaString),
    #[error("The consumer group has reached its maximum capacity of {0} members.")]
    Full(usize),
}

impl MigrationError {
    pub fn code(&self) -> ErrorCode {
        match self {
            MigrationError::Full(_) => ErrorCode::GROUP_MAX_SIZE_REACHED,
            _ => ErrorCode::GROUP_ID_NOT_FOUND,
        }
    }
}

/// Makes a group one of the new protocol, for a member of it that joins. A group that is refused stays as it is.
pub(crate) fn upgrade(
    name: &KafkaString,
    group: &mut Group,
    now_ms: i64,
    rules: &ConsumerRules,
    topics: &dyn TopicView,
    effects: &mut Effects,
) -> Result<(), MigrationError> {
    if group.consumer.is_some() {
        return Ok(());
    }
    let Some(classic) = group.classic.as_mut().filter(|classic| !classic.is_empty()) else {
        group.classic = None;
        group.consumer = Some(ConsumerGroup::default());
        return Ok(());
    };
    if !rules.policy.upgrade {
        return Err(MigrationError::Disabled(name.detached()));
    }
    if classic.protocol_type.as_deref() != Some(CONSUMER) {
        return Err(MigrationError::OtherProtocol(name.detached()));
    }
    match classic.members.len() {
        count if count > rules.max_size => return Err(MigrationError::TooLarge(name.detached())),
        count if count == rules.max_size => return Err(MigrationError::Full(count)),
        _ => {}
    }
    let members = board(name, classic, topics)?;
    classic.interrupt(ErrorCode::REBALANCE_IN_PROGRESS, effects);
    let generation = classic.generation;
    let boarding = Boarding { members, generation };
    group.consumer = Some(ConsumerGroup::of_guests(boarding, now_ms, topics));
    group.classic = None;
    Ok(())
}

/// Converts the members of a classic group for the new protocol.
fn board(
    name: &KafkaString,
    classic: &ClassicGroup,
    topics: &dyn TopicView,
) -> Result<BTreeMap<KafkaString, Member>, MigrationError> {
    let malformed = |error| MigrationError::Malformed(name.detached(), error);
    let protocol = classic.protocol_of_all().unwrap_or_default();
    let mut members = BTreeMap::new();
    let mut given: BTreeSet<TopicPartition> = BTreeSet::new();
    let mut owned = BTreeMap::new();
    for (id, member) in &classic.members {
        let metadata = member.metadata(&protocol);
        let subscription = embedded::subscription(&metadata, topics).map_err(malformed)?;
        // A member that has not synced yet has nothing.
        let (partitions, has_more) = if member.assignment.is_empty() {
            Default::default()
        } else {
            embedded::assignment(&member.assignment, topics).map_err(malformed)?
        };
        if has_more {
            return Err(MigrationError::CustomAssignor(name.detached()));
        }
        let count = given.len() + partitions.len();
        given.extend(&partitions);
        if given.len() < count {
            return Err(MigrationError::SharedPartition(name.detached()));
        }
        owned.insert(id, subscription.owned);
        let info = &member.info;
        let since = |partition| (partition, classic.generation);
        let boarded = Member {
            instance_id: info.instance_id.clone(),
            rack_id: subscription.rack_id,
            client_id: info.client_id.clone(),
            client_host: info.client_host.clone(),
            rebalance_timeout_ms: info.rebalance_timeout_ms,
            topic_names: subscription.topic_names,
            epoch: classic.generation,
            previous_epoch: classic.generation,
            assigned: partitions.into_iter().map(since).collect(),
            classic: Some(ClassicProtocol {
                session_timeout_ms: info.session_timeout_ms,
                protocols: info.protocols.clone(),
            }),
            ..Member::default()
        };
        members.insert(id.clone(), boarded);
    }
    // A member may not yet have revoked partitions that it owned when it joined and was not assigned again.
    for (id, owned) in owned {
        let left: Assigned = owned
            .into_iter()
            .filter(|partition| given.insert(*partition))
            .map(|partition| (partition, classic.generation))
            .collect();
        if let Some(member) = members.get_mut(id).filter(|_| !left.is_empty()) {
            member.pending_revocation = left;
            member.state = MemberState::UnrevokedPartitions;
        }
    }
    Ok(members)
}

/// Removes members. The group is downgraded if all remaining members speak the classic protocol and the policy allows
/// it.
pub(crate) fn fence(
    group: &mut Group,
    now_ms: i64,
    gone: &BTreeSet<KafkaString>,
    rules: &ConsumerRules,
    topics: &dyn TopicView,
    effects: &mut Effects,
) {
    let Some(consumer) = group.consumer.as_mut().filter(|_| !gone.is_empty()) else {
        return;
    };
    effects.persist = true;
    let staying = consumer.members.keys().filter(|id| !gone.contains(*id)).count();
    if !consumer.is_classic_without(gone) || !rules.may_downgrade(staying) {
        consumer.remove(now_ms, gone, topics);
        return;
    }
    for id in gone {
        consumer.members.remove(id);
    }
    downgrade(group, now_ms, true, rules, topics, effects);
}

/// Downgrades the group after a classic static member has replaced the last member of the new protocol.
pub(crate) fn downgrade_after_replacement(
    group: &mut Group,
    now_ms: i64,
    rules: &ConsumerRules,
    topics: &dyn TopicView,
    effects: &mut Effects,
) {
    // If every member has its target, they keep working; otherwise a rebalance establishes who owns what.
    let is_settled = group.consumer.as_ref().is_some_and(ConsumerGroup::is_settled);
    downgrade(group, now_ms, !is_settled, rules, topics, effects);
}

fn downgrade(
    group: &mut Group,
    now_ms: i64,
    must_rebalance: bool,
    rules: &ConsumerRules,
    topics: &dyn TopicView,
    effects: &mut Effects,
) {
    let Some(consumer) = group.consumer.take() else {
        return;
    };
    let member = |(id, member): (&KafkaString, &Member)| {
        let classic = member.classic.as_ref()?;
        let info = MemberInfo {
            id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic.protocols.clone(),
        };
        let deadline_ms = now_ms.saturating_add(i64::from(classic.session_timeout_ms));
        let held = consumer.held_in_its_words(member, topics);
        Some(ClassicMember::new(info, held, deadline_ms))
    };
    let members = consumer.members.iter().filter_map(member).collect();
    let mut classic = ClassicGroup::going_on(consumer.epoch, KafkaString::from_static(CONSUMER), members);
    effects.persist = true;
    if must_rebalance {
        classic.rebalance(now_ms, rules.classic, effects);
    }
    group.classic = Some(classic);
}
