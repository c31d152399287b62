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
        let refuse = |code| Joined::Now(join_error(version, &info.id, code));
        if !self.supports(protocol_type, &info.protocols) {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if info.id.is_empty() {
            return self.join_without_id(now_ms, waiting, info, (protocol_type, fresh_id), rules, effects);
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
        let replaced = info
            .instance_id
            .as_ref()
            .and_then(|instance| self.statics.get(instance))
            .cloned();
        if replaced.is_none() && self.members.len() + self.pending.len() >= rules.max_size {
            return Joined::Now(join_error(version, &info.id, ErrorCode::GROUP_MAX_SIZE_REACHED));
        }
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

    /// A static member comes back under a new id: it takes over, and if nothing changed, without a rebalance.
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
        member.answer_join(ErrorCode::FENCED_INSTANCE_ID, effects);
        member.answer_sync(ErrorCode::FENCED_INSTANCE_ID, effects);
        self.pending_sync.remove(old);
        if let Some(instance) = &info.instance_id {
            self.statics.insert(instance.clone(), info.id.clone());
        }
        let was_leader = self.leader.as_ref() == Some(old);
        if was_leader {
            self.leader = Some(info.id.clone());
        }
        let same_protocols = member.info.protocols == info.protocols;
        let id = info.id.clone();
        member.info = info;
        member.deadline_ms = now_ms.saturating_add(i64::from(member.info.session_timeout_ms));
        self.members.insert(id.clone(), member);
        if self.state == State::Stable && same_protocols {
            effects.persist = true;
            return Joined::Now(self.static_response(&id, was_leader, waiting.version));
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = Some(waiting);
        }
        self.prepare_rebalance(now_ms, rules, effects);
        Joined::Waiting
    }

    /// The current generation for a static member that came back. Its leader need not assign again; older versions
    /// cannot be told so and get themselves as a follower.
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
            member.info = info;
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
