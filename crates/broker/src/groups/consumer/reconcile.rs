//! The target of a group, and the steps of its members towards it.

use super::assignor::{self, Input, Partitions};
use super::{Assigned, ConsumerGroup, Member, MemberState, TopicView};
use crate::groups::TopicPartition;
use crate::groups::rules::ConsumerRules;
use millstream_kafka_wire::KafkaString;
use std::collections::BTreeMap;

impl ConsumerGroup {
    /// Makes the target for the group's epoch, if it is missing and the last one is old enough.
    pub(super) fn make_target(&mut self, now_ms: i64, rules: &ConsumerRules, topics: &dyn TopicView) -> bool {
        let next_ms = self.assignment_ms.saturating_add(rules.assignment_interval_ms);
        let is_too_soon = self.assignment_ms != 0 && rules.assignment_interval_ms > 0 && now_ms < next_ms;
        if self.assignment_epoch >= self.epoch || is_too_soon {
            return false;
        }
        let subscriptions = self.members.iter().map(|(id, member)| {
            (
                id.clone(),
                self.topics_of(id, member, topics).into_keys().collect(),
            )
        });
        let input = Input {
            subscriptions: subscriptions.collect(),
            topics: self.topics.clone(),
            current: std::mem::take(&mut self.target),
        };
        self.target = assignor::assign(&self.assignor_name(rules.default_assignor()), &input);
        (self.assignment_epoch, self.assignment_ms) = (self.epoch, now_ms);
        true
    }

    /// The assignor that most members ask for.
    pub fn assignor_name(&self, default: &str) -> String {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self
            .members
            .values()
            .filter_map(|member| member.assignor.as_ref())
        {
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(default, |(name, _)| name).to_owned()
    }

    /// Moves a member one step towards its target. `owned` are the partitions that its heartbeat lists.
    pub(super) fn reconcile(
        &mut self,
        now_ms: i64,
        id: &KafkaString,
        owned: Option<&Partitions>,
        is_other: bool,
        topics: &dyn TopicView,
    ) {
        let Some(member) = self.members.get(id) else {
            return;
        };
        let still_owns = |asked: &Assigned| {
            owned.is_none_or(|owned| owned.iter().any(|partition| asked.contains_key(partition)))
        };
        if !is_other && member.has_reached(self.assignment_epoch) {
            return;
        }
        let reads = self.topics_of(id, member, topics);
        let is_read = |partition: &TopicPartition| reads.contains_key(&partition.0);
        let is_revoking = member.state == MemberState::UnrevokedPartitions;
        if is_revoking && still_owns(&member.pending_revocation) {
            self.revoke_unread(id, is_read);
            return;
        }
        let target = self.target.get(id).into_iter().flatten().copied();
        let target: Partitions = target.filter(is_read).collect();
        let (kept, revoked): (Assigned, Assigned) = member
            .assigned
            .iter()
            .partition(|(partition, _)| target.contains(*partition));
        let wanted = target.iter().filter(|each| !member.assigned.contains_key(*each));
        let (taken, free): (Vec<TopicPartition>, Vec<TopicPartition>) = wanted
            .copied()
            .partition(|partition| self.is_owned_by_other(id, partition));
        let since = |partition| (partition, self.assignment_epoch);
        let free: Assigned = free.into_iter().map(since).collect();
        let (has_all, must_revoke) = (taken.is_empty(), !revoked.is_empty() && still_owns(&revoked));
        let (epoch, timeout_ms) = (
            self.assignment_epoch,
            i64::from(member.rebalance_timeout_ms.max(0)),
        );
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.assigned = kept;
        let is_classic = member.classic.is_some();
        if must_revoke {
            member.pending_revocation = revoked;
            member.state = MemberState::UnrevokedPartitions;
            // Classic members have to join and to sync in time instead.
            let deadline_ms = now_ms.saturating_add(timeout_ms);
            self.deadlines_of(id).revocation_ms = (!is_classic).then_some(deadline_ms);
            return;
        }
        member.pending_revocation.clear();
        member.assigned.extend(free);
        member.state = if has_all {
            MemberState::Stable
        } else {
            MemberState::UnreleasedPartitions
        };
        if member.epoch != epoch {
            (member.previous_epoch, member.epoch) = (member.epoch, epoch);
        }
        self.deadlines_of(id).revocation_ms = None;
    }

    /// A member that is still revoking also revokes partitions that it no longer subscribes to.
    fn revoke_unread(&mut self, id: &KafkaString, is_read: impl Fn(&TopicPartition) -> bool) {
        if let Some(member) = self.members.get_mut(id) {
            let assigned = std::mem::take(&mut member.assigned).into_iter();
            let (kept, unread): (Assigned, Assigned) =
                assigned.partition(|(partition, _)| is_read(partition));
            member.assigned = kept;
            member.pending_revocation.extend(unread);
        }
    }

    fn is_owned_by_other(&self, id: &KafkaString, partition: &TopicPartition) -> bool {
        let owns = |member: &Member| {
            member.assigned.contains_key(partition) || member.pending_revocation.contains_key(partition)
        };
        self.members
            .iter()
            .any(|(other, member)| other != id && owns(member))
    }

    /// Whether a member waits for partitions that others have to revoke.
    pub(super) fn waits_for_others(&self, id: &KafkaString, member: &Member) -> bool {
        let mut wanted = self.target.get(id).into_iter().flatten();
        wanted.any(|each| !member.assigned.contains_key(each) && self.is_owned_by_other(id, each))
    }
}
