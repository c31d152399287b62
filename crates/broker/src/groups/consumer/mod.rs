//! A group of the new consumer protocol (KIP-848): the broker assigns, and every heartbeat brings a member a step nearer
//! to its target.
//!
//! The group epoch rises with every change of members, subscriptions or topics; the target belongs to it. A member
//! reaches the epoch after it has given up what it must: a partition goes to its new owner only when a heartbeat of
//! the old one no longer lists it. A keep-alive, which lists nothing, gives nothing up.

pub(crate) mod assignor;

use crate::groups::TopicPartition;
use assignor::{Input, Partitions, Target};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// The epoch of a static member that has left and will come back.
pub(crate) const STATIC_LEAVE_EPOCH: i32 = -2;
/// The epoch of a member that leaves.
pub(crate) const LEAVE_EPOCH: i32 = -1;
/// Groups begin here, so that the first real epoch is 2.
const INITIAL_EPOCH: i32 = 1;

/// Whether a member has what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i8)]
pub(crate) enum MemberState {
    #[default]
    Stable = 0,
    /// It has to give up partitions.
    UnrevokedPartitions = 1,
    /// It waits for partitions of others.
    UnreleasedPartitions = 2,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Member {
    pub instance_id: Option<KafkaString>,
    pub rack_id: Option<KafkaString>,
    pub client_id: KafkaString,
    pub client_host: KafkaString,
    pub rebalance_timeout_ms: i32,
    pub topic_names: BTreeSet<KafkaString>,
    pub topic_regex: Option<KafkaString>,
    pub assignor: Option<KafkaString>,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Partitions,
    pub pending_revocation: Partitions,
}

/// What a heartbeat says.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub member_id: KafkaString,
    pub epoch: i32,
    pub instance_id: Option<KafkaString>,
    pub rack_id: Option<KafkaString>,
    pub client_id: KafkaString,
    pub client_host: KafkaString,
    /// −1 for "as before"
    pub rebalance_timeout_ms: i32,
    pub topic_names: Option<BTreeSet<KafkaString>>,
    pub topic_regex: Option<KafkaString>,
    pub assignor: Option<KafkaString>,
    /// What the member owns, if it says so.
    pub owned: Option<Partitions>,
}

/// What a group sees of the topics.
pub(crate) trait TopicView {
    /// A topic's id and number of partitions.
    fn topic(&self, name: &KafkaString) -> Option<(Uuid, i32)>;
    /// All topics whose name matches; `None` if the expression is malformed.
    fn matching(&self, regex: &str) -> Option<Vec<(Uuid, i32)>>;
}

/// The answer to a heartbeat.
#[derive(Debug)]
pub(crate) struct Beat {
    pub epoch: i32,
    pub assignment: Option<Partitions>,
}

#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    pub epoch: i32,
    pub assignment_epoch: i32,
    pub members: BTreeMap<KafkaString, Member>,
    pub target: Target,
    /// Topics and their sizes that the target was made for.
    pub topics: BTreeMap<Uuid, i32>,
    pub empty_since_ms: i64,
    /// When members count as gone; not kept over restarts.
    deadlines: BTreeMap<KafkaString, i64>,
    revocation_deadlines: BTreeMap<KafkaString, i64>,
}

impl Default for ConsumerGroup {
    fn default() -> Self {
        ConsumerGroup {
            epoch: INITIAL_EPOCH,
            assignment_epoch: INITIAL_EPOCH,
            members: BTreeMap::new(),
            target: Target::new(),
            topics: BTreeMap::new(),
            empty_since_ms: 0,
            deadlines: BTreeMap::new(),
            revocation_deadlines: BTreeMap::new(),
        }
    }
}

impl ConsumerGroup {
    /// Handles a heartbeat of a member that stays. `changed` is set when the group's durable state moved.
    pub fn heartbeat(
        &mut self,
        now_ms: i64,
        session_ms: i64,
        beat: Heartbeat,
        topics: &dyn TopicView,
        changed: &mut bool,
    ) -> Result<Beat, ErrorCode> {
        let id = beat.member_id.clone();
        let is_join = beat.epoch == 0;
        let mut must_assign = false;
        if is_join {
            must_assign |= self.admit(&beat)?;
        } else {
            self.check_epoch(&beat)?;
        }
        must_assign |= self.update_subscription(&beat, topics)?;
        self.deadlines
            .insert(id.clone(), now_ms.saturating_add(session_ms));
        if must_assign || self.subscribed_topics(topics) != self.topics {
            self.reassign(topics);
            *changed = true;
        }
        let before = self.members.get(&id).cloned().unwrap_or_default();
        let owned = if is_join {
            Some(Partitions::new())
        } else {
            beat.owned.clone()
        };
        self.reconcile(now_ms, &id, owned.as_ref());
        let after = self.members.get(&id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        *changed |= before != *after;
        let is_full = beat.rebalance_timeout_ms != -1
            && beat.owned.is_some()
            && (beat.topic_names.is_some() || beat.topic_regex.is_some());
        let tells = is_join || is_full || before.assigned != after.assigned;
        Ok(Beat {
            epoch: after.epoch,
            assignment: tells.then(|| after.assigned.clone()),
        })
    }

    /// Takes in a member that joins; says whether the group is another one by it.
    fn admit(&mut self, beat: &Heartbeat) -> Result<bool, ErrorCode> {
        let same_instance = |(_, member): &(&KafkaString, &Member)| {
            beat.instance_id.is_some() && member.instance_id == beat.instance_id
        };
        let holder = self
            .members
            .iter()
            .find(same_instance)
            .map(|(id, member)| (id.clone(), member.epoch));
        match holder {
            Some((id, epoch)) if id != beat.member_id && epoch != STATIC_LEAVE_EPOCH => {
                return Err(ErrorCode::UNRELEASED_INSTANCE_ID);
            }
            Some((id, _)) if id != beat.member_id => {
                // The static member comes back under a new id and takes over its place.
                if let Some(mut member) = self.members.remove(&id) {
                    (member.epoch, member.previous_epoch) = (0, 0);
                    self.members.insert(beat.member_id.clone(), member);
                }
                if let Some(target) = self.target.remove(&id) {
                    self.target.insert(beat.member_id.clone(), target);
                }
                self.forget_timers(&id);
                return Ok(false);
            }
            _ => {}
        }
        if let Some(member) = self.members.get_mut(&beat.member_id) {
            // It starts again: it owns nothing any more.
            member.assigned.clear();
            member.pending_revocation.clear();
            (member.epoch, member.previous_epoch, member.state) = (0, 0, MemberState::Stable);
            return Ok(false);
        }
        let member = Member {
            instance_id: beat.instance_id.clone(),
            rack_id: beat.rack_id.clone(),
            client_id: beat.client_id.clone(),
            client_host: beat.client_host.clone(),
            ..Member::default()
        };
        self.members.insert(beat.member_id.clone(), member);
        Ok(true)
    }

    fn check_epoch(&self, beat: &Heartbeat) -> Result<(), ErrorCode> {
        let member = self
            .members
            .get(&beat.member_id)
            .ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if beat.instance_id.is_some() && beat.instance_id != member.instance_id {
            return Err(ErrorCode::FENCED_INSTANCE_ID);
        }
        if beat.epoch == member.epoch {
            return Ok(());
        }
        // The answer that raised the epoch may have been lost.
        let owns_less = beat
            .owned
            .as_ref()
            .is_some_and(|owned| owned.is_subset(&member.assigned));
        let is_repeat = beat.epoch == member.previous_epoch && owns_less;
        if is_repeat {
            Ok(())
        } else {
            Err(ErrorCode::FENCED_MEMBER_EPOCH)
        }
    }

    fn update_subscription(&mut self, beat: &Heartbeat, topics: &dyn TopicView) -> Result<bool, ErrorCode> {
        if let Some(regex) = beat.topic_regex.as_ref().filter(|regex| !regex.is_empty())
            && topics.matching(regex).is_none()
        {
            if beat.epoch == 0 {
                self.members.remove(&beat.member_id);
            }
            return Err(ErrorCode::INVALID_REGULAR_EXPRESSION);
        }
        let member = self
            .members
            .get_mut(&beat.member_id)
            .ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let before = (
            member.topic_names.clone(),
            member.topic_regex.clone(),
            member.assignor.clone(),
        );
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
        Ok(before
            != (
                member.topic_names.clone(),
                member.topic_regex.clone(),
                member.assignor.clone(),
            ))
    }

    /// The topics that a member reads, with their sizes.
    fn topics_of(member: &Member, topics: &dyn TopicView) -> BTreeMap<Uuid, i32> {
        let named = member.topic_names.iter().filter_map(|name| topics.topic(name));
        let matched = member
            .topic_regex
            .as_ref()
            .and_then(|regex| topics.matching(regex))
            .unwrap_or_default();
        named.chain(matched).collect()
    }

    fn subscribed_topics(&self, topics: &dyn TopicView) -> BTreeMap<Uuid, i32> {
        self.members
            .values()
            .flat_map(|member| Self::topics_of(member, topics))
            .collect()
    }

    /// A new epoch with a new target.
    fn reassign(&mut self, topics: &dyn TopicView) {
        self.epoch = self.epoch.saturating_add(1);
        self.topics = self.subscribed_topics(topics);
        let subscriptions = self
            .members
            .iter()
            .map(|(id, member)| (id.clone(), Self::topics_of(member, topics).into_keys().collect()));
        let input = Input {
            subscriptions: subscriptions.collect(),
            topics: self.topics.clone(),
            current: std::mem::take(&mut self.target),
        };
        self.target = assignor::assign(&self.assignor_name(), &input);
        self.assignment_epoch = self.epoch;
    }

    /// The assignor that most members ask for.
    pub fn assignor_name(&self) -> String {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self
            .members
            .values()
            .filter_map(|member| member.assignor.as_ref())
        {
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(assignor::NAMES[0], |(name, _)| name).to_owned()
    }

    /// Brings a member a step nearer to its target.
    fn reconcile(&mut self, now_ms: i64, id: &KafkaString, owned: Option<&Partitions>) {
        let Some(member) = self.members.get(id) else {
            return;
        };
        let still_owns = |partitions: &Partitions| owned.is_none_or(|owned| !owned.is_disjoint(partitions));
        let is_waiting = match member.state {
            MemberState::Stable => member.epoch == self.assignment_epoch,
            MemberState::UnrevokedPartitions => still_owns(&member.pending_revocation),
            MemberState::UnreleasedPartitions => false,
        };
        if is_waiting {
            return;
        }
        let target = self.target.get(id).cloned().unwrap_or_default();
        let revoked: Partitions = member.assigned.difference(&target).copied().collect();
        let kept: Partitions = member.assigned.intersection(&target).copied().collect();
        let wanted: Partitions = target.difference(&member.assigned).copied().collect();
        let free: Partitions = wanted
            .iter()
            .filter(|partition| !self.is_owned_by_other(id, partition))
            .copied()
            .collect();
        let (epoch, timeout_ms) = (self.assignment_epoch, member.rebalance_timeout_ms);
        let must_revoke = !revoked.is_empty() && still_owns(&revoked);
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.assigned = kept;
        if must_revoke {
            member.pending_revocation = revoked;
            member.state = MemberState::UnrevokedPartitions;
            let deadline_ms = now_ms.saturating_add(i64::from(timeout_ms.max(0)));
            self.revocation_deadlines.insert(id.clone(), deadline_ms);
            return;
        }
        member.pending_revocation.clear();
        let has_all = free.len() == wanted.len();
        member.assigned.extend(free);
        member.state = if has_all {
            MemberState::Stable
        } else {
            MemberState::UnreleasedPartitions
        };
        if member.epoch != epoch {
            (member.previous_epoch, member.epoch) = (member.epoch, epoch);
        }
        self.revocation_deadlines.remove(id);
    }

    /// What no broker that is whole does: partitions are free although their owners have not given them up.
    pub fn forget_revocations(&mut self) {
        for member in self.members.values_mut() {
            member.pending_revocation.clear();
        }
    }

    fn is_owned_by_other(&self, id: &KafkaString, partition: &TopicPartition) -> bool {
        let owns = |member: &Member| {
            member.assigned.contains(partition) || member.pending_revocation.contains(partition)
        };
        self.members
            .iter()
            .any(|(other, member)| other != id && owns(member))
    }

    /// A member leaves; a static one may keep its place.
    pub fn leave(&mut self, now_ms: i64, beat: &Heartbeat, topics: &dyn TopicView) -> Result<(), ErrorCode> {
        let member = self
            .members
            .get_mut(&beat.member_id)
            .ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if beat.instance_id.is_some() && beat.instance_id != member.instance_id {
            return Err(ErrorCode::FENCED_INSTANCE_ID);
        }
        if beat.epoch == STATIC_LEAVE_EPOCH && member.instance_id.is_some() {
            member.epoch = STATIC_LEAVE_EPOCH;
            member.pending_revocation.clear();
            return Ok(());
        }
        self.remove(now_ms, &beat.member_id.clone(), topics);
        Ok(())
    }

    fn remove(&mut self, now_ms: i64, id: &KafkaString, topics: &dyn TopicView) {
        self.members.remove(id);
        self.forget_timers(id);
        if self.members.is_empty() {
            self.empty_since_ms = now_ms;
        }
        self.reassign(topics);
    }

    fn forget_timers(&mut self, id: &KafkaString) {
        self.deadlines.remove(id);
        self.revocation_deadlines.remove(id);
    }

    /// Members that were known before a restart have a session's time to be heard of.
    pub fn restart_sessions(&mut self, now_ms: i64, session_ms: i64) {
        let deadline_ms = now_ms.saturating_add(session_ms);
        self.deadlines = self.members.keys().map(|id| (id.clone(), deadline_ms)).collect();
    }

    /// The next time at which somebody may be gone.
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines
            .values()
            .chain(self.revocation_deadlines.values())
            .copied()
            .min()
    }

    /// Removes who was not heard of or did not give up partitions in time; says whether anybody was.
    pub fn tick(&mut self, now_ms: i64, topics: &dyn TopicView) -> bool {
        let due = self.deadlines.iter().chain(&self.revocation_deadlines);
        let gone: BTreeSet<KafkaString> = due
            .filter(|(_, deadline)| **deadline <= now_ms)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &gone {
            self.remove(now_ms, id, topics);
        }
        !gone.is_empty()
    }

    /// Kafka's name for where the group stands.
    pub fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            return "Empty";
        }
        if self.epoch > self.assignment_epoch {
            return "Assigning";
        }
        let is_settled =
            |member: &Member| member.state == MemberState::Stable && member.epoch == self.assignment_epoch;
        if self.members.values().all(is_settled) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// Whether a member may commit with this epoch.
    pub fn check_member_epoch(&self, id: &KafkaString, epoch: i32) -> Result<(), ErrorCode> {
        let member = self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.epoch == epoch {
            Ok(())
        } else {
            Err(ErrorCode::STALE_MEMBER_EPOCH)
        }
    }
}
