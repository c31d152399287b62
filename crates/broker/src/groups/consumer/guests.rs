//! Members of the classic protocol in a group of the new one.
//!
//! To such a member the group looks like a classic one with another leader: a join completes at once, its generation is
//! the member epoch, and a sync returns the member's partitions. A heartbeat responds with REBALANCE_IN_PROGRESS when
//! there are partitions to revoke or to get. The member reports the partitions that it owns in the subscription of its
//! join.

use super::{ClassicProtocol, ConsumerGroup, Member, MemberState, TopicView};
use crate::groups::classic::MemberInfo;
use crate::groups::embedded::{self, CONSUMER, Subscription};
use crate::groups::rules::ConsumerRules;
use bytes::Bytes;
use millstream_kafka_wire::messages::join_group::JoinGroupResponse;
use millstream_kafka_wire::messages::sync_group::SyncGroupResponse;
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::BTreeMap;

/// A join of a classic member.
#[derive(Debug)]
pub(crate) struct GuestJoin {
    pub info: MemberInfo,
    pub protocol_type: KafkaString,
    /// The id of a member that has none yet.
    pub fresh_id: KafkaString,
    pub version: i16,
}

/// The consequences of a join.
#[derive(Debug)]
pub(crate) struct GuestJoined {
    pub response: JoinGroupResponse,
    /// It took the place of the last member of the new protocol: the group may become a classic one.
    pub replaces_last: bool,
}

/// A sync of a classic member.
#[derive(Debug)]
pub(crate) struct GuestSync<'a> {
    pub id: &'a KafkaString,
    pub instance: Option<&'a KafkaString>,
    pub generation: i32,
    pub protocol_type: Option<&'a KafkaString>,
    pub protocol_name: Option<&'a KafkaString>,
}

impl ConsumerGroup {
    /// A classic member joins, for the first time or again. `changed` is set when the group's durable state moved.
    pub fn join_guest(
        &mut self,
        now_ms: i64,
        rules: &ConsumerRules,
        mut join: GuestJoin,
        topics: &dyn TopicView,
        changed: &mut bool,
    ) -> Result<GuestJoined, ErrorCode> {
        let is_new_id = join.info.id.is_empty();
        if is_new_id {
            join.info.id = join.fresh_id.clone();
        }
        self.check_guest(rules, &join)?;
        let id = join.info.id.clone();
        if is_new_id && join.info.instance_id.is_none() && join.version >= 4 {
            return Ok(GuestJoined {
                response: JoinGroupResponse {
                    error_code: ErrorCode::MEMBER_ID_REQUIRED,
                    member_id: id,
                    protocol_name: (join.version < 7).then_some(KafkaString::EMPTY),
                    ..Default::default()
                },
                replaces_last: false,
            });
        }
        let preferred = join.info.protocols.first();
        let preferred = preferred.ok_or(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)?.clone();
        // Kafka's error for a client that does not speak the protocol that it names.
        let subscription = embedded::subscription(&preferred.metadata, topics);
        let subscription = subscription.map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
        let replaces_last = self.seat_guest(&join, is_new_id)? && rules.may_downgrade(self.members.len());
        let before = (self.epoch, self.members.get(&id).cloned());
        let (session_ms, sync_ms) = (join.info.session_timeout_ms, join.info.rebalance_timeout_ms);
        let is_other = self.update_guest(join.info, &subscription);
        self.refresh(&id, is_other, topics);
        let makes_target = !replaces_last && self.make_target(now_ms, rules, topics);
        self.reconcile(now_ms, &id, Some(&subscription.owned), is_other, topics);
        let member = self.members.get(&id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        *changed |= is_new_id || makes_target || before.0 != self.epoch || before.1.as_ref() != Some(member);
        let response = JoinGroupResponse {
            generation_id: member.epoch,
            protocol_type: (join.version >= 7).then_some(KafkaString::from_static(CONSUMER)),
            protocol_name: Some(preferred.name),
            member_id: id.clone(),
            ..Default::default()
        };
        let deadlines = self.deadlines_of(&id);
        deadlines.join_ms = None;
        deadlines.session_ms = Some(now_ms.saturating_add(i64::from(session_ms)));
        deadlines.sync_ms = Some(now_ms.saturating_add(i64::from(sync_ms.max(0))));
        Ok(GuestJoined {
            response,
            replaces_last,
        })
    }

    /// Whether a classic member may be here.
    fn check_guest(&self, rules: &ConsumerRules, join: &GuestJoin) -> Result<(), ErrorCode> {
        if !rules.policy.takes_classic_members() {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if self.members.len() >= rules.max_size && !self.members.contains_key(&join.info.id) {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        let classic = || self.members.values().filter_map(|member| member.classic.as_ref());
        let knows = |member: &ClassicProtocol, name: &KafkaString| {
            member.protocols.iter().any(|each| each.name == *name)
        };
        let is_common = |name: &KafkaString| classic().all(|member| knows(member, name));
        let mut protocols = join.info.protocols.iter();
        if join.protocol_type == *CONSUMER && protocols.any(|each| is_common(&each.name)) {
            Ok(())
        } else {
            Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
        }
    }

    /// Adds a classic member. Returns whether it replaces the last member of the new protocol.
    fn seat_guest(&mut self, join: &GuestJoin, is_new_id: bool) -> Result<bool, ErrorCode> {
        let id = &join.info.id;
        let Some(instance) = &join.info.instance_id else {
            self.members.entry(id.clone()).or_default();
            return Ok(false);
        };
        if !is_new_id {
            return self.identify(id, Some(instance)).map(|_| false);
        }
        let Some((old, holder)) = self.static_member(instance) else {
            self.members.entry(id.clone()).or_default();
            return Ok(false);
        };
        let (old, is_of_new_protocol) = (old.clone(), holder.classic.is_none());
        let replaces_last = is_of_new_protocol && self.is_classic_without(&[old.clone()].into());
        self.take_place(&old, id);
        Ok(replaces_last)
    }

    /// Records a classic member's metadata. Returns whether its subscription has changed.
    fn update_guest(&mut self, info: MemberInfo, subscription: &Subscription) -> bool {
        let Some(member) = self.members.get_mut(&info.id) else {
            return false;
        };
        let is_other = member.topic_names != subscription.topic_names || member.topic_regex.is_some();
        member.topic_names.clone_from(&subscription.topic_names);
        member.topic_regex = None;
        member.instance_id = info.instance_id.or(member.instance_id.take());
        member.rack_id = subscription.rack_id.clone().or(member.rack_id.take());
        member.rebalance_timeout_ms = info.rebalance_timeout_ms;
        member.client_id = info.client_id;
        member.client_host = info.client_host;
        member.classic = Some(ClassicProtocol {
            session_timeout_ms: info.session_timeout_ms,
            protocols: info.protocols,
        });
        is_other
    }

    /// The classic member with this id, in its generation.
    fn guest(
        &self,
        id: &KafkaString,
        instance: Option<&KafkaString>,
        generation: i32,
    ) -> Result<(&Member, &ClassicProtocol), ErrorCode> {
        let member = self.identify(id, instance)?;
        let classic = member.classic.as_ref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.epoch == generation {
            Ok((member, classic))
        } else {
            Err(ErrorCode::ILLEGAL_GENERATION)
        }
    }

    /// A classic member's assignment, encoded for its protocol.
    pub fn sync_guest(
        &mut self,
        now_ms: i64,
        sync: &GuestSync<'_>,
        topics: &dyn TopicView,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let (member, classic) = self.guest(sync.id, sync.instance, sync.generation)?;
        let name = classic.preferred().map(|each| &each.name);
        let is_other_type = sync.protocol_type.is_some_and(|asked| *asked != *CONSUMER);
        if is_other_type || sync.protocol_name.is_some() && sync.protocol_name != name {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        // One that has to give something up first has joined already, and will again.
        let is_behind = self.epoch > member.epoch && member.state != MemberState::UnrevokedPartitions;
        let timeout_ms = i64::from(member.rebalance_timeout_ms.max(0));
        if is_behind {
            let deadlines = self.deadlines_of(sync.id);
            deadlines.join_ms.get_or_insert(now_ms.saturating_add(timeout_ms));
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let metadata = classic.preferred_metadata();
        let assignment = embedded::write_assignment(member.assigned.keys(), &metadata, topics);
        let session_ms = now_ms.saturating_add(i64::from(classic.session_timeout_ms));
        let deadlines = self.deadlines_of(sync.id);
        (deadlines.sync_ms, deadlines.session_ms) = (None, Some(session_ms));
        Ok(SyncGroupResponse {
            protocol_type: sync.protocol_type.cloned(),
            protocol_name: sync.protocol_name.cloned(),
            assignment: assignment.map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?,
            ..Default::default()
        })
    }

    /// A sign of life of a classic member; an error if it has to join again.
    pub fn heartbeat_guest(
        &mut self,
        now_ms: i64,
        (id, instance): (&KafkaString, Option<&KafkaString>),
        generation: i32,
    ) -> ErrorCode {
        let (member, classic) = match self.guest(id, instance, generation) {
            Ok(found) => found,
            Err(code) => return code,
        };
        let must_join = match member.state {
            _ if member.epoch < self.epoch => true,
            MemberState::Stable => false,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !self.waits_for_others(id, member),
        };
        let timeout_ms = i64::from(member.rebalance_timeout_ms.max(0));
        let session_ms = now_ms.saturating_add(i64::from(classic.session_timeout_ms));
        let deadlines = self.deadlines_of(id);
        deadlines.session_ms = Some(session_ms);
        if !must_join {
            return ErrorCode::NONE;
        }
        deadlines.join_ms.get_or_insert(now_ms.saturating_add(timeout_ms));
        ErrorCode::REBALANCE_IN_PROGRESS
    }

    /// The members that a classic LeaveGroup request names. Kafka lets it name members of either protocol.
    pub fn leaving(
        &self,
        id: &KafkaString,
        instance: Option<&KafkaString>,
    ) -> Result<KafkaString, ErrorCode> {
        match instance {
            Some(instance) if id.is_empty() => self
                .static_member(instance)
                .map(|(current, _)| current.clone())
                .ok_or(ErrorCode::UNKNOWN_MEMBER_ID),
            instance => self.identify(id, instance).map(|_| id.clone()),
        }
    }
}

/// The members of a classic group, converted for a group of the new protocol that continues it.
pub(crate) struct Boarding {
    pub members: BTreeMap<KafkaString, Member>,
    pub generation: i32,
}

impl ConsumerGroup {
    /// A group of classic members only.
    pub fn of_guests(boarding: Boarding, now_ms: i64, topics: &dyn TopicView) -> ConsumerGroup {
        let mut group = ConsumerGroup {
            epoch: boarding.generation,
            assignment_epoch: boarding.generation,
            ..ConsumerGroup::default()
        };
        for (id, member) in boarding.members {
            let session_ms = member
                .classic
                .as_ref()
                .map_or(0, |classic| classic.session_timeout_ms);
            let deadline_ms = now_ms.saturating_add(i64::from(session_ms));
            group.deadlines_of(&id).session_ms = Some(deadline_ms);
            group
                .target
                .insert(id.clone(), super::partitions_of(&member.assigned));
            group.members.insert(id, member);
        }
        group.note_topics(topics);
        group
    }

    /// A classic member's assignment for the moment at which the group becomes a classic one: all partitions that it
    /// may still be working on.
    pub fn held_in_its_words(&self, member: &Member, topics: &dyn TopicView) -> Bytes {
        let metadata = member.classic.as_ref().map(ClassicProtocol::preferred_metadata);
        let held = member.held();
        embedded::write_assignment(held.keys(), &metadata.unwrap_or_default(), topics).unwrap_or_default()
    }
}
