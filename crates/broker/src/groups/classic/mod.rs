//! A group of the classic protocol: its members elect a leader, which assigns partitions.
//!
//! A state machine without a clock: calls return [`Effects`], the responses to delayed requests and whether the group
//! must be persisted. States: Empty → PreparingRebalance (waits for all members to join) → CompletingRebalance (waits
//! for the leader's assignment) → Stable.

mod join;
mod leave;

use super::rules::Rules;
use crate::purgatory::Ticket;
use bytes::Bytes;
use millstream_kafka_wire::messages::join_group::{
    JoinGroupRequestProtocol, JoinGroupResponse, JoinGroupResponseMember,
};
use millstream_kafka_wire::messages::sync_group::SyncGroupResponse;
use millstream_kafka_wire::{ErrorCode, KafkaString, Response};
use std::collections::{BTreeMap, BTreeSet};

/// How long a new member may wait for its first rebalance before it expires. Kafka's value.
const NEW_MEMBER_JOIN_MS: i64 = 300_000;

/// State of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i8)]
pub(crate) enum State {
    #[default]
    Empty = 0,
    PreparingRebalance = 1,
    CompletingRebalance = 2,
    Stable = 3,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// A delayed request, with the version to respond in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub ticket: Ticket,
    pub version: i16,
}

/// A member's description of itself.
#[derive(Debug, Clone)]
pub(crate) struct MemberInfo {
    pub id: KafkaString,
    pub instance_id: Option<KafkaString>,
    pub client_id: KafkaString,
    pub client_host: KafkaString,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub protocols: Vec<JoinGroupRequestProtocol>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub info: MemberInfo,
    pub assignment: Bytes,
    pub deadline_ms: i64,
    joining: Option<Waiting>,
    syncing: Option<Waiting>,
    is_new: bool,
}

impl Member {
    pub fn new(info: MemberInfo, assignment: Bytes, deadline_ms: i64) -> Self {
        Member {
            info,
            assignment,
            deadline_ms,
            joining: None,
            syncing: None,
            is_new: false,
        }
    }

    /// It has been heard of.
    fn touch(&mut self, now_ms: i64) {
        self.deadline_ms = now_ms.saturating_add(i64::from(self.info.session_timeout_ms));
    }

    fn complete_sync(&mut self, code: ErrorCode, effects: &mut Effects) {
        if let Some(syncing) = self.syncing.take() {
            effects.replies.push((syncing.ticket, sync_error(code).into()));
        }
    }

    fn complete_join(&mut self, code: ErrorCode, effects: &mut Effects) {
        if let Some(joining) = self.joining.take() {
            let response = join_error(joining.version, &self.info.id, code);
            effects.replies.push((joining.ticket, response.into()));
        }
    }

    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.info.protocols.iter().find(|each| each.name == *protocol);
        found.map(|each| each.metadata.clone()).unwrap_or_default()
    }
}

/// The consequences of a call.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub replies: Vec<(Ticket, Response)>,
    /// Whether the group's durable state changed; replies wait for it.
    pub persist: bool,
}

#[derive(Debug, Default)]
pub(crate) struct ClassicGroup {
    pub state: State,
    pub generation: i32,
    pub protocol_type: Option<KafkaString>,
    pub protocol: Option<KafkaString>,
    pub leader: Option<KafkaString>,
    pub members: BTreeMap<KafkaString, Member>,
    statics: BTreeMap<KafkaString, KafkaString>,
    /// Member ids that were assigned and not used yet, with their deadlines.
    pending: BTreeMap<KafkaString, i64>,
    /// The end of waiting for joins or for syncs.
    phase_deadline_ms: Option<i64>,
    /// The first rebalance waits for this long even if all have joined.
    initial_until_ms: Option<i64>,
    pending_sync: BTreeSet<KafkaString>,
    pub empty_since_ms: i64,
    /// Persisted in the middle of a rebalance, which has to start again after the restart.
    pub must_rebalance: bool,
}

/// The result of a join.
pub(crate) enum Joined {
    Now(JoinGroupResponse),
    Waiting,
}

fn join_error(version: i16, member_id: &KafkaString, error_code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code,
        protocol_name: if version >= 7 {
            None
        } else {
            Some(KafkaString::EMPTY)
        },
        member_id: member_id.clone(),
        ..Default::default()
    }
}

pub(crate) fn refuse_join(version: i16, member_id: &KafkaString, error_code: ErrorCode) -> JoinGroupResponse {
    join_error(version, member_id, error_code)
}

impl ClassicGroup {
    fn prepare_rebalance(&mut self, now_ms: i64, rules: Rules, effects: &mut Effects) {
        if self.state == State::CompletingRebalance {
            // Members keep the previous generation's assignment, because they may still be working on it. A member that
            // waited for a new one has sent no heartbeats meanwhile, so it gets a full session timeout to join again.
            for member in self
                .members
                .values_mut()
                .filter(|member| member.syncing.is_some())
            {
                member.complete_sync(ErrorCode::REBALANCE_IN_PROGRESS, effects);
                member.touch(now_ms);
            }
            self.pending_sync.clear();
        }
        if self.state == State::Empty && rules.initial_delay_ms > 0 {
            self.initial_until_ms = Some(now_ms.saturating_add(rules.initial_delay_ms));
        }
        if self.state != State::PreparingRebalance {
            let longest = self
                .members
                .values()
                .map(|member| i64::from(member.info.rebalance_timeout_ms))
                .max();
            self.phase_deadline_ms = Some(now_ms.saturating_add(longest.unwrap_or(0).max(0)));
            self.state = State::PreparingRebalance;
        }
        self.try_complete_join(now_ms, effects);
    }

    fn try_complete_join(&mut self, now_ms: i64, effects: &mut Effects) {
        let all_joined =
            self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some());
        let is_delayed = self.initial_until_ms.is_some_and(|until| now_ms < until);
        if self.state == State::PreparingRebalance && all_joined && !is_delayed {
            self.complete_join(now_ms, effects);
        }
    }

    /// Starts the next generation: all members have joined, or the rebalance timeout is over.
    fn complete_join(&mut self, now_ms: i64, effects: &mut Effects) {
        self.initial_until_ms = None;
        let gone: Vec<KafkaString> = self
            .members
            .iter()
            .filter(|(_, member)| member.joining.is_none() && member.info.instance_id.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in &gone {
            self.forget(id);
        }
        if !self.members.is_empty() && self.members.values().all(|member| member.joining.is_none()) {
            // Only static members, and none of them is here: keep waiting for them.
            let longest = self
                .members
                .values()
                .map(|member| i64::from(member.info.rebalance_timeout_ms))
                .max();
            self.phase_deadline_ms = Some(now_ms.saturating_add(longest.unwrap_or(0).max(1)));
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.members.is_empty() {
            self.become_empty(now_ms, effects);
            return;
        }
        let leader_is_here = |leader: &KafkaString| {
            self.members
                .get(leader)
                .is_some_and(|member| member.joining.is_some())
        };
        if !self.leader.as_ref().is_some_and(leader_is_here) {
            let joined = self.members.iter().find(|(_, member)| member.joining.is_some());
            self.leader = joined.map(|(id, _)| id.clone());
        }
        self.protocol = self.choose_protocol();
        self.state = State::CompletingRebalance;
        let longest = self
            .members
            .values()
            .map(|member| i64::from(member.info.rebalance_timeout_ms))
            .max();
        self.phase_deadline_ms = Some(now_ms.saturating_add(longest.unwrap_or(0).max(1)));
        let ids: Vec<KafkaString> = self.members.keys().cloned().collect();
        for id in ids {
            let joining = self.members.get_mut(&id).and_then(|member| {
                member.is_new = false;
                member.joining.take()
            });
            if let Some(joining) = joining {
                self.touch(now_ms, &id);
                let response = self.join_response(&id, joining.version);
                effects.replies.push((joining.ticket, response.into()));
                self.pending_sync.insert(id);
            }
        }
    }

    fn become_empty(&mut self, now_ms: i64, effects: &mut Effects) {
        self.state = State::Empty;
        self.protocol = None;
        self.leader = None;
        self.phase_deadline_ms = None;
        self.empty_since_ms = now_ms;
        effects.persist = true;
    }

    fn join_response(&self, id: &KafkaString, version: i16) -> JoinGroupResponse {
        let is_leader = self.leader.as_ref() == Some(id);
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: if version >= 7 {
                self.protocol_type.clone()
            } else {
                None
            },
            protocol_name: self
                .protocol
                .clone()
                .or((version < 7).then_some(KafkaString::EMPTY)),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.clone(),
            members: if is_leader {
                self.leader_members()
            } else {
                Vec::new()
            },
            ..Default::default()
        }
    }

    fn leader_members(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.clone().unwrap_or_default();
        let member = |(id, member): (&KafkaString, &Member)| JoinGroupResponseMember {
            member_id: id.clone(),
            group_instance_id: member.info.instance_id.clone(),
            metadata: member.metadata(&protocol),
        };
        self.members.iter().map(member).collect()
    }

    /// The protocol that all members know and most like best.
    fn choose_protocol(&self) -> Option<KafkaString> {
        let candidates = self.common_protocols();
        let mut votes: BTreeMap<&KafkaString, usize> = BTreeMap::new();
        for member in self.members.values() {
            let favourite = member
                .info
                .protocols
                .iter()
                .find(|each| candidates.contains(&each.name));
            if let Some(favourite) = favourite {
                *votes.entry(&favourite.name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes
            .into_iter()
            .find(|(_, count)| *count == most)
            .map(|(name, _)| name.detached())
    }

    fn common_protocols(&self) -> BTreeSet<KafkaString> {
        let names = |member: &Member| -> BTreeSet<KafkaString> {
            member
                .info
                .protocols
                .iter()
                .map(|each| each.name.clone())
                .collect()
        };
        let mut members = self.members.values();
        let first = members.next().map(names).unwrap_or_default();
        members.fold(first, |common, member| {
            common.intersection(&names(member)).cloned().collect()
        })
    }

    fn supports(&self, protocol_type: &KafkaString, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.members.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let common = self.common_protocols();
        self.protocol_type.as_ref() == Some(protocol_type)
            && protocols.iter().any(|each| common.contains(&each.name))
    }

    /// The leader's assignment arrives, or a follower asks for its own.
    pub fn sync(
        &mut self,
        now_ms: i64,
        waiting: Waiting,
        (id, assignments): (&KafkaString, BTreeMap<KafkaString, Bytes>),
        effects: &mut Effects,
    ) -> Option<SyncGroupResponse> {
        match self.state {
            State::Empty => Some(sync_error(ErrorCode::UNKNOWN_MEMBER_ID)),
            State::PreparingRebalance => Some(sync_error(ErrorCode::REBALANCE_IN_PROGRESS)),
            State::Stable => {
                self.touch(now_ms, id);
                self.has_synced(id);
                Some(self.sync_response(id))
            }
            State::CompletingRebalance => {
                self.pending_sync.remove(id);
                if let Some(earlier) = self
                    .members
                    .get_mut(id)
                    .and_then(|member| member.syncing.replace(waiting))
                {
                    let response = sync_error(ErrorCode::REBALANCE_IN_PROGRESS);
                    effects.replies.push((earlier.ticket, response.into()));
                }
                if self.leader.as_ref() == Some(id) {
                    self.assign(now_ms, &assignments, effects);
                }
                None
            }
        }
    }

    /// A follower that asks after the leader has assigned; the last one ends the waiting.
    fn has_synced(&mut self, id: &KafkaString) {
        self.pending_sync.remove(id);
        if self.pending_sync.is_empty() {
            self.phase_deadline_ms = None;
        }
    }

    fn assign(&mut self, now_ms: i64, assignments: &BTreeMap<KafkaString, Bytes>, effects: &mut Effects) {
        self.state = State::Stable;
        self.phase_deadline_ms = (!self.pending_sync.is_empty())
            .then_some(self.phase_deadline_ms)
            .flatten();
        effects.persist = true;
        let ids: Vec<KafkaString> = self.members.keys().cloned().collect();
        for id in ids {
            self.touch(now_ms, &id);
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.assignment = assignments
                .get(&id)
                .map(|bytes| Bytes::copy_from_slice(bytes))
                .unwrap_or_default();
            if let Some(syncing) = member.syncing.take() {
                effects
                    .replies
                    .push((syncing.ticket, self.sync_response(&id).into()));
            }
        }
    }

    fn sync_response(&self, id: &KafkaString) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: self
                .members
                .get(id)
                .map(|member| member.assignment.clone())
                .unwrap_or_default(),
            ..Default::default()
        }
    }

    /// A sign of life.
    pub fn heartbeat(&mut self, now_ms: i64, id: &KafkaString) -> ErrorCode {
        match self.state {
            State::Empty => return ErrorCode::UNKNOWN_MEMBER_ID,
            State::PreparingRebalance => {
                self.touch(now_ms, id);
                return ErrorCode::REBALANCE_IN_PROGRESS;
            }
            State::CompletingRebalance | State::Stable => {}
        }
        self.touch(now_ms, id);
        ErrorCode::NONE
    }

    pub fn touch(&mut self, now_ms: i64, id: &KafkaString) {
        if let Some(member) = self.members.get_mut(id) {
            member.touch(now_ms);
        }
    }

    /// Whether this is a member, and under this instance.
    pub fn check_member(&self, id: &KafkaString, instance: Option<&KafkaString>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(current) if current != id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) {
            Ok(())
        } else {
            Err(ErrorCode::UNKNOWN_MEMBER_ID)
        }
    }

    /// The same with the generation.
    pub fn check_generation(
        &self,
        id: &KafkaString,
        instance: Option<&KafkaString>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        self.check_member(id, instance)?;
        if generation == self.generation {
            Ok(())
        } else {
            Err(ErrorCode::ILLEGAL_GENERATION)
        }
    }

    /// A group whose members are in one generation already.
    pub fn going_on(generation: i32, protocol_type: KafkaString, members: Vec<Member>) -> ClassicGroup {
        let mut group = ClassicGroup {
            state: State::Stable,
            generation,
            protocol_type: Some(protocol_type),
            ..ClassicGroup::default()
        };
        group.restore(members);
        group.protocol = group.choose_protocol();
        group.leader = group.members.keys().next().cloned();
        group
    }

    /// All members have to join again.
    pub fn rebalance(&mut self, now_ms: i64, rules: Rules, effects: &mut Effects) {
        self.prepare_rebalance(now_ms, rules, effects);
    }

    /// Completes all delayed joins and syncs with an error.
    pub fn interrupt(&mut self, code: ErrorCode, effects: &mut Effects) {
        for member in self.members.values_mut() {
            member.complete_join(code, effects);
            member.complete_sync(code, effects);
        }
    }

    /// The protocol in which all members can be understood.
    pub fn protocol_of_all(&self) -> Option<KafkaString> {
        self.protocol.clone().or_else(|| self.choose_protocol())
    }

    /// Restores persisted members; each gets a full session timeout.
    pub fn restore(&mut self, members: Vec<Member>) {
        for member in members {
            if let Some(instance) = &member.info.instance_id {
                self.statics.insert(instance.clone(), member.info.id.clone());
            }
            self.members.insert(member.info.id.clone(), member);
        }
    }

    /// Whether a dynamic member has joined and no other member delays the group.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

pub(crate) fn sync_error(error_code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse {
        error_code,
        protocol_type: None,
        protocol_name: None,
        ..Default::default()
    }
}
