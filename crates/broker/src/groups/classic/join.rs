//! Joining a group of the classic protocol, for the first time or again.

use super::{
    ClassicGroup, Effects, Joined, Member, MemberInfo, NEW_MEMBER_JOIN_MS, State, Waiting, join_error,
};
use crate::groups::rules::Rules;
use bytes::Bytes;
use millstream_kafka_wire::messages::join_group::JoinGroupResponse;
use millstream_kafka_wire::{ErrorCode, KafkaString};

impl ClassicGroup {
    /// A member joins; `info.id` is empty for one that has no id yet, and `fresh_id` is the id it would get.
    pub fn join(
        &mut self,
        now_ms: i64,
        waiting: Waiting,
        info: MemberInfo,
        (protocol_type, fresh_id): (&KafkaString, KafkaString),
        rules: Rules,
        effects: &mut Effects,
    ) -> Joined {
        let version = waiting.version;
        if !self.accepts(&info, rules.max_size) {
            self.turn_away(now_ms, &info.id, effects);
            let code = ErrorCode::GROUP_MAX_SIZE_REACHED;
            return Joined::Now(join_error(version, &KafkaString::EMPTY, code));
        }
        let refuse = |code| Joined::Now(join_error(version, &info.id, code));
        if !self.supports(protocol_type, &info.protocols) {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if info.id.is_empty() {
            return self.join_without_id(now_ms, waiting, info, (protocol_type, fresh_id), rules, effects);
        }
        if self.pending.contains_key(&info.id) && info.instance_id.is_some() {
            // A static member is not assigned an id in advance; Kafka responds with this error in cases that it does
            // not expect.
            return refuse(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        if self.pending.remove(&info.id).is_some() {
            self.add(now_ms, waiting, info, protocol_type, rules, effects);
            return Joined::Waiting;
        }
        if let Err(code) = self.check_member(&info.id, info.instance_id.as_ref()) {
            return refuse(code);
        }
        self.rejoin(now_ms, waiting, info, rules, effects)
    }

    /// The member whose place a static member without id takes over.
    fn replaced_by(&self, info: &MemberInfo) -> Option<&KafkaString> {
        let instance = info.instance_id.as_ref().filter(|_| info.id.is_empty());
        instance.and_then(|instance| self.statics.get(instance))
    }

    /// Whether the group has room for the joining member. During a rebalance only members that have joined count, so
    /// that the last ones of an oversized group are rejected. Member ids that were assigned and never used do not
    /// count.
    fn accepts(&self, info: &MemberInfo, max_size: usize) -> bool {
        let id = self.replaced_by(info).unwrap_or(&info.id);
        let member = self.members.get(id);
        let waits = |member: &Member| member.joining.is_some();
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                member.is_some_and(waits)
                    || self.members.values().filter(|member| waits(member)).count() < max_size
            }
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < max_size,
        }
    }

    /// A rejected member no longer delays the rebalance.
    fn turn_away(&mut self, now_ms: i64, id: &KafkaString, effects: &mut Effects) {
        self.pending.remove(id);
        self.forget(id);
        self.try_complete_join(now_ms, effects);
    }

    pub(super) fn join_without_id(
        &mut self,
        now_ms: i64,
        waiting: Waiting,
        mut info: MemberInfo,
        (protocol_type, fresh_id): (&KafkaString, KafkaString),
        rules: Rules,
        effects: &mut Effects,
    ) -> Joined {
        let version = waiting.version;
        let replaced = self.replaced_by(&info).cloned();
        info.id = fresh_id;
        if let Some(old) = replaced {
            return self.replace_static(now_ms, waiting, info, &old, rules, effects);
        }
        if info.instance_id.is_none() && version >= 4 {
            let deadline_ms = now_ms.saturating_add(i64::from(info.session_timeout_ms));
            self.pending.insert(info.id.clone(), deadline_ms);
            return Joined::Now(join_error(version, &info.id, ErrorCode::MEMBER_ID_REQUIRED));
        }
        self.add(now_ms, waiting, info, protocol_type, rules, effects);
        Joined::Waiting
    }

    /// A static member returns under a new id and takes over its place. If the group stays with its protocol there is
    /// no rebalance; the metadata may differ (clients store their generation there) and is kept.
    pub(super) fn replace_static(
        &mut self,
        now_ms: i64,
        waiting: Waiting,
        info: MemberInfo,
        old: &KafkaString,
        rules: Rules,
        effects: &mut Effects,
    ) -> Joined {
        let Some(mut member) = self.members.remove(old) else {
            return Joined::Now(join_error(
                waiting.version,
                &info.id,
                ErrorCode::UNKNOWN_MEMBER_ID,
            ));
        };
        member.complete_join(ErrorCode::FENCED_INSTANCE_ID, effects);
        member.complete_sync(ErrorCode::FENCED_INSTANCE_ID, effects);
        self.pending_sync.remove(old);
        if let Some(instance) = &info.instance_id {
            self.statics.insert(instance.clone(), info.id.clone());
        }
        let was_leader = self.leader.as_ref() == Some(old);
        if was_leader {
            self.leader = Some(info.id.clone());
        }
        let id = info.id.clone();
        member.info = info;
        // The member knows its id now and sends heartbeats, so the deadline for new members no longer applies.
        member.is_new = false;
        member.touch(now_ms);
        self.members.insert(id.clone(), member);
        if self.state == State::Stable && self.choose_protocol() == self.protocol {
            effects.persist = true;
            return Joined::Now(self.static_response(&id, was_leader, waiting.version));
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = Some(waiting);
        }
        self.prepare_rebalance(now_ms, rules, effects);
        Joined::Waiting
    }

    /// The current generation for a returning static member. Its leader need not assign again (KIP-814); older versions
    /// cannot say so, and return it as a follower.
    pub(super) fn static_response(
        &self,
        id: &KafkaString,
        was_leader: bool,
        version: i16,
    ) -> JoinGroupResponse {
        let skips = was_leader && version >= 9;
        let mut response = self.join_response(id, version);
        response.skip_assignment = skips;
        if was_leader && !skips {
            response.leader = KafkaString::EMPTY;
        }
        response.members = if skips { self.leader_members() } else { Vec::new() };
        response
    }

    pub(super) fn rejoin(
        &mut self,
        now_ms: i64,
        waiting: Waiting,
        info: MemberInfo,
        rules: Rules,
        effects: &mut Effects,
    ) -> Joined {
        let id = info.id.clone();
        let is_leader = self.leader.as_ref() == Some(&id);
        let matches = self
            .members
            .get(&id)
            .is_some_and(|member| member.info.protocols == info.protocols);
        let is_current = match self.state {
            State::CompletingRebalance => matches,
            State::Stable => !is_leader && matches,
            State::PreparingRebalance => false,
            State::Empty => {
                return Joined::Now(join_error(waiting.version, &id, ErrorCode::UNKNOWN_MEMBER_ID));
            }
        };
        if is_current {
            self.touch(now_ms, &id);
            return Joined::Now(self.join_response(&id, waiting.version));
        }
        if let Some(member) = self.members.get_mut(&id) {
            if let Some(earlier) = member.joining.replace(waiting) {
                // The connection of the earlier request is most likely gone.
                let response = join_error(earlier.version, &id, ErrorCode::REBALANCE_IN_PROGRESS);
                effects.replies.push((earlier.ticket, response.into()));
            }
            // A static member need not say again that it is one.
            let instance_id = member.info.instance_id.take();
            member.info = MemberInfo { instance_id, ..info };
        }
        self.prepare_rebalance(now_ms, rules, effects);
        Joined::Waiting
    }

    pub(super) fn add(
        &mut self,
        now_ms: i64,
        waiting: Waiting,
        info: MemberInfo,
        protocol_type: &KafkaString,
        rules: Rules,
        effects: &mut Effects,
    ) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.detached());
        }
        if let Some(instance) = &info.instance_id {
            self.statics.insert(instance.clone(), info.id.clone());
        }
        self.leader.get_or_insert_with(|| info.id.clone());
        let deadline_ms = now_ms.saturating_add(NEW_MEMBER_JOIN_MS);
        let mut member = Member::new(info, Bytes::new(), deadline_ms);
        member.joining = Some(waiting);
        member.is_new = true;
        self.members.insert(member.info.id.clone(), member);
        self.prepare_rebalance(now_ms, rules, effects);
    }
}
