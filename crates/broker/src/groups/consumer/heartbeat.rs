//! Heartbeats of members of the new protocol: joining, staying, leaving.

use super::assignor::Partitions;
use super::{Assigned, ConsumerGroup, Member, MemberState, STATIC_LEAVE_EPOCH, TopicView};
use crate::groups::rules::ConsumerRules;
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::BTreeSet;

/// The content of a heartbeat.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub member_id: KafkaString,
    pub epoch: i32,
    pub instance_id: Option<KafkaString>,
    pub rack_id: Option<KafkaString>,
    pub client_id: KafkaString,
    pub client_host: KafkaString,
    /// The sender's principal; `None` for callers in the process.
    pub principal: Option<KafkaString>,
    /// −1 for "as before"
    pub rebalance_timeout_ms: i32,
    pub topic_names: Option<BTreeSet<KafkaString>>,
    pub topic_regex: Option<KafkaString>,
    pub assignor: Option<KafkaString>,
    /// Partitions that the member owns, if the heartbeat lists them.
    pub owned: Option<Partitions>,
}

impl Heartbeat {
    /// Whether this is a full heartbeat, which a member sends if it does not know the broker's view of it.
    fn is_full(&self) -> bool {
        let names_topics = self.topic_names.is_some() || self.topic_regex.is_some();
        self.epoch == 0 || self.rebalance_timeout_ms != -1 && self.owned.is_some() && names_topics
    }
}

/// The response to a heartbeat.
#[derive(Debug)]
pub(crate) struct Beat {
    pub epoch: i32,
    pub assignment: Option<Partitions>,
}

impl ConsumerGroup {
    /// Handles a heartbeat of a member that stays. `changed` is set when the group's durable state moved.
    pub fn heartbeat(
        &mut self,
        now_ms: i64,
        rules: &ConsumerRules,
        beat: Heartbeat,
        topics: &dyn TopicView,
        changed: &mut bool,
    ) -> Result<Beat, ErrorCode> {
        let id = beat.member_id.clone();
        let is_join = beat.epoch == 0;
        let before = if is_join {
            self.admit(&beat, rules)?
        } else {
            self.check_epoch(&beat)?
        };
        let is_other = self.update(&beat)?;
        self.deadlines_of(&id).session_ms = Some(now_ms.saturating_add(rules.session_ms));
        let epoch = self.epoch;
        self.refresh(&id, is_other, topics);
        let has_target = self.make_target(now_ms, rules, topics);
        self.reconcile(now_ms, &id, beat.owned.as_ref(), is_other, topics);
        let after = self.members.get(&id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        *changed |= has_target || epoch != self.epoch || before.as_ref() != Some(after);
        let had = before.map(|before| before.assigned).unwrap_or_default();
        let tells = beat.is_full() || had != after.assigned;
        Ok(Beat {
            epoch: after.epoch,
            assignment: tells.then(|| super::partitions_of(&after.assigned)),
        })
    }

    /// Adds a joining member. Returns its previous state, if it had one.
    fn admit(&mut self, beat: &Heartbeat, rules: &ConsumerRules) -> Result<Option<Member>, ErrorCode> {
        let id = &beat.member_id;
        let before = self.members.get(id).cloned();
        if before.is_none() && self.members.len() >= rules.max_size {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        let holder = beat.instance_id.as_ref();
        let holder = holder.and_then(|instance| self.static_member(instance));
        if let Some((other, holder)) = holder
            && other != id
        {
            // A member of the classic protocol does not say that it will be back: its place is always free.
            if holder.epoch != STATIC_LEAVE_EPOCH && holder.classic.is_none() {
                return Err(ErrorCode::UNRELEASED_INSTANCE_ID);
            }
            let other = other.clone();
            self.take_place(&other, id);
            return Ok(before);
        }
        let member = self.members.entry(id.clone()).or_default();
        // It starts again: it owns nothing any more.
        member.assigned.clear();
        member.pending_revocation.clear();
        (member.epoch, member.previous_epoch, member.state) = (0, 0, MemberState::Stable);
        Ok(before)
    }

    /// A static member returns under a new id and takes over its partitions.
    pub(super) fn take_place(&mut self, old: &KafkaString, new: &KafkaString) {
        if let Some(mut member) = self.members.remove(old) {
            (member.epoch, member.previous_epoch) = (0, 0);
            self.members.insert(new.clone(), member);
        }
        if let Some(target) = self.target.remove(old) {
            self.target.insert(new.clone(), target);
        }
        self.matches.rename(old, new);
        self.deadlines.remove(old);
    }

    fn check_epoch(&self, beat: &Heartbeat) -> Result<Option<Member>, ErrorCode> {
        let member = self.identify(&beat.member_id, beat.instance_id.as_ref())?;
        // The response that raised the epoch may have been lost.
        let owns_less = |owned: &Partitions| owned.iter().all(|each| member.assigned.contains_key(each));
        let is_repeat = beat.epoch == member.previous_epoch && beat.owned.as_ref().is_some_and(owns_less);
        if beat.epoch == member.epoch || beat.epoch < member.epoch && is_repeat {
            Ok(Some(member.clone()))
        } else {
            Err(ErrorCode::FENCED_MEMBER_EPOCH)
        }
    }

    /// Records a member's description of itself. Returns whether its subscription has changed.
    fn update(&mut self, beat: &Heartbeat) -> Result<bool, ErrorCode> {
        let member = self.members.get_mut(&beat.member_id);
        let member = member.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let reads = |member: &Member| {
            let (names, regex) = (member.topic_names.clone(), member.topic_regex.clone());
            (names, regex, member.assignor.clone())
        };
        let before = reads(member);
        member.classic = None;
        member.client_id = beat.client_id.clone();
        member.client_host = beat.client_host.clone();
        member.principal = beat.principal.clone();
        member.instance_id = beat.instance_id.clone().or(member.instance_id.take());
        member.rack_id = beat.rack_id.clone().or(member.rack_id.take());
        if let Some(names) = &beat.topic_names {
            member.topic_names = names.clone();
        }
        if let Some(regex) = &beat.topic_regex {
            member.topic_regex = Some(regex.clone()).filter(|regex| !regex.is_empty());
        }
        if beat.assignor.is_some() {
            member.assignor = beat.assignor.clone();
        }
        if beat.rebalance_timeout_ms >= 0 {
            member.rebalance_timeout_ms = beat.rebalance_timeout_ms;
        }
        let is_other = before != reads(member);
        let deadlines = self.deadlines_of(&beat.member_id);
        (deadlines.join_ms, deadlines.sync_ms) = (None, None);
        Ok(is_other)
    }

    /// A member leaves; a static one may keep its place. Returns whether it has to be removed.
    pub fn leave(&mut self, beat: &Heartbeat) -> Result<bool, ErrorCode> {
        self.identify(&beat.member_id, beat.instance_id.as_ref())?;
        let member = self.members.get_mut(&beat.member_id);
        let member = member.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if beat.epoch != STATIC_LEAVE_EPOCH || member.instance_id.is_none() {
            return Ok(true);
        }
        member.epoch = STATIC_LEAVE_EPOCH;
        // It has nothing more to give up, and so no time to do it in: its place is kept for the whole session.
        member.pending_revocation.clear();
        member.state = MemberState::Stable;
        // The successor counts as having held the partitions all along.
        let kept = std::mem::take(&mut member.assigned).into_keys();
        member.assigned = kept.map(|partition| (partition, 0)).collect::<Assigned>();
        self.deadlines_of(&beat.member_id).revocation_ms = None;
        Ok(false)
    }
}
