//! Leaving a group of the classic protocol: by wish, by silence, or by being too slow.

use super::{ClassicGroup, Effects, Member, State};
use crate::groups::rules::Rules;
use millstream_kafka_wire::{ErrorCode, KafkaString};

impl ClassicGroup {
    /// A member leaves by itself or is sent away.
    pub fn leave(
        &mut self,
        now_ms: i64,
        id: &KafkaString,
        instance: Option<&KafkaString>,
        rules: Rules,
        effects: &mut Effects,
    ) -> ErrorCode {
        if self.pending.remove(id).is_some() {
            self.try_complete_join(now_ms, effects);
            return ErrorCode::NONE;
        }
        let id = match instance {
            Some(instance) => match self.statics.get(instance) {
                None => return ErrorCode::UNKNOWN_MEMBER_ID,
                Some(current) if !id.is_empty() && current != id => return ErrorCode::FENCED_INSTANCE_ID,
                Some(current) => current.clone(),
            },
            None => id.clone(),
        };
        if !self.members.contains_key(&id) {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        }
        self.remove(now_ms, &id, rules, effects);
        ErrorCode::NONE
    }

    pub(super) fn remove(&mut self, now_ms: i64, id: &KafkaString, rules: Rules, effects: &mut Effects) {
        if let Some(mut member) = self.forget(id) {
            member.complete_join(ErrorCode::UNKNOWN_MEMBER_ID, effects);
            member.complete_sync(ErrorCode::UNKNOWN_MEMBER_ID, effects);
        }
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(now_ms, rules, effects),
            State::PreparingRebalance => self.try_complete_join(now_ms, effects),
            State::Empty => {}
        }
    }

    pub(super) fn forget(&mut self, id: &KafkaString) -> Option<Member> {
        let member = self.members.remove(id)?;
        self.pending_sync.remove(id);
        if let Some(instance) = &member.info.instance_id {
            self.statics.remove(instance);
        }
        if self.leader.as_ref() == Some(id) {
            let joined = self.members.iter().find(|(_, member)| member.joining.is_some());
            self.leader = joined.or(self.members.iter().next()).map(|(id, _)| id.clone());
        }
        Some(member)
    }

    /// The next time at which something may be due.
    pub fn next_deadline(&self) -> Option<i64> {
        let waits = |member: &&Member| member.joining.is_none() || member.is_new;
        let members = self
            .members
            .values()
            .filter(waits)
            .filter(|member| member.syncing.is_none());
        let members = members.map(|member| member.deadline_ms);
        let others = self.phase_deadline_ms.into_iter().chain(self.initial_until_ms);
        members.chain(self.pending.values().copied()).chain(others).min()
    }

    /// Expires members without heartbeats, and ends phases at their deadline.
    pub fn tick(&mut self, now_ms: i64, rules: Rules, effects: &mut Effects) {
        let before = self.pending.len();
        self.pending.retain(|_, deadline_ms| *deadline_ms > now_ms);
        let is_gone = |member: &Member| {
            let waits = member.syncing.is_some() || member.joining.is_some() && !member.is_new;
            !waits && member.deadline_ms <= now_ms
        };
        let gone: Vec<KafkaString> = self
            .members
            .iter()
            .filter(|(_, member)| is_gone(member))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.remove(now_ms, &id, rules, effects);
        }
        if self.initial_until_ms.is_some_and(|until| until <= now_ms) {
            self.initial_until_ms = None;
        }
        if before != self.pending.len() || self.state == State::PreparingRebalance {
            self.try_complete_join(now_ms, effects);
        }
        if self.phase_deadline_ms.is_none_or(|deadline| deadline > now_ms) {
            return;
        }
        match self.state {
            State::PreparingRebalance => self.complete_join(now_ms, effects),
            State::CompletingRebalance | State::Stable => {
                self.phase_deadline_ms = None;
                for id in std::mem::take(&mut self.pending_sync) {
                    self.remove(now_ms, &id, rules, effects);
                }
            }
            State::Empty => self.phase_deadline_ms = None,
        }
    }
}
