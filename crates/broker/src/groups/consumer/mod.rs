//! A group of the new consumer protocol (KIP-848): the broker assigns, and every heartbeat moves a member one step
//! towards its target.
//!
//! The group epoch rises with every change of members, subscriptions or topics; the next heartbeat or join computes a
//! target for it. A member reaches the epoch after it has revoked what it must: a partition moves to its new owner only
//! once a heartbeat of the old one no longer lists it. A keep-alive lists nothing and therefore revokes nothing.
//!
//! Members of the classic protocol may be in such a group while it migrates between protocols: `guests` serves them,
//! `heartbeat` serves members of the new protocol, `subscriptions` resolves what both read, and `reconcile` moves them
//! towards the target.

pub(crate) mod assignor;
mod guests;
mod heartbeat;
mod reconcile;
mod subscriptions;

use super::TopicPartition;
use super::commits::Permit;
use assignor::{Partitions, Target};
use bytes::Bytes;
pub(crate) use guests::{Boarding, GuestJoin, GuestSync};
pub(crate) use heartbeat::Heartbeat;
use millstream_kafka_wire::messages::join_group::JoinGroupRequestProtocol;
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use std::collections::{BTreeMap, BTreeSet};
use subscriptions::Matches;
pub(crate) use subscriptions::Viewer;

/// The epoch of a static member that has left and will come back.
pub(crate) const STATIC_LEAVE_EPOCH: i32 = -2;
/// The epoch of a member that leaves.
pub(crate) const LEAVE_EPOCH: i32 = -1;
/// The first group epoch minus one: the first real epoch is 2, as in Kafka.
const INITIAL_EPOCH: i32 = 1;

/// Partitions of a member, each with the epoch in which it got it.
pub(crate) type Assigned = BTreeMap<TopicPartition, i32>;

/// Progress of a member towards its target.
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

/// The metadata of a member of the classic protocol.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClassicProtocol {
    pub session_timeout_ms: i32,
    /// Its embedded protocols by preference; never empty.
    pub protocols: Vec<JoinGroupRequestProtocol>,
}

impl ClassicProtocol {
    /// The protocol reported to the member. The broker assigns, so any of its protocols will do.
    pub fn preferred(&self) -> Option<&JoinGroupRequestProtocol> {
        self.protocols.first()
    }

    fn preferred_metadata(&self) -> Bytes {
        self.preferred()
            .map(|each| each.metadata.clone())
            .unwrap_or_default()
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Member {
    pub instance_id: Option<KafkaString>,
    pub rack_id: Option<KafkaString>,
    pub client_id: KafkaString,
    pub client_host: KafkaString,
    /// The principal; `None` for callers in the process, and until the next heartbeat if an older version persisted the
    /// member.
    pub principal: Option<KafkaString>,
    pub rebalance_timeout_ms: i32,
    pub topic_names: BTreeSet<KafkaString>,
    pub topic_regex: Option<KafkaString>,
    pub assignor: Option<KafkaString>,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Assigned,
    pub pending_revocation: Assigned,
    /// Set for a member of the classic protocol.
    pub classic: Option<ClassicProtocol>,
}

impl Member {
    /// All that it may still be working on.
    pub fn held(&self) -> Assigned {
        let pending = self.pending_revocation.iter();
        let all = self.assigned.iter().chain(pending);
        all.map(|(partition, epoch)| (*partition, *epoch)).collect()
    }

    /// The error code of the member's protocol for a stale epoch.
    pub fn stale_code(&self, is_transactional: bool) -> ErrorCode {
        if self.classic.is_some() || is_transactional {
            ErrorCode::ILLEGAL_GENERATION
        } else {
            ErrorCode::STALE_MEMBER_EPOCH
        }
    }

    /// The partitions for which the member may commit with this epoch.
    pub fn may_commit(&self, epoch: i32, is_transactional: bool) -> Result<Permit, ErrorCode> {
        let code = self.stale_code(is_transactional);
        match epoch.cmp(&self.epoch) {
            std::cmp::Ordering::Equal => Ok(Permit::Everything),
            std::cmp::Ordering::Greater => Err(code),
            std::cmp::Ordering::Less => Ok(Permit::HeldSince(epoch, self.held(), code)),
        }
    }

    fn has_reached(&self, epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }
}

/// A group's view of the topics.
pub(crate) trait TopicView {
    /// Another one if anything below may have changed.
    fn version(&self) -> u64;
    /// A topic's id and number of partitions.
    fn topic(&self, name: &KafkaString) -> Option<(Uuid, i32)>;
    /// A topic's name.
    fn name(&self, id: Uuid) -> Option<KafkaString>;
    /// All topics whose name matches.
    fn matching(&self, regex: &KafkaString) -> Vec<(Uuid, i32)>;
    /// Whether a principal needs ACLs to see topics.
    fn is_restrained(&self, principal: &str) -> bool;
    /// Whether a principal that needs ACLs may describe this topic.
    fn may_describe(&self, viewer: &Viewer, topic: Uuid) -> bool;
}

/// When a member counts as gone; not kept over restarts.
#[derive(Debug, Clone, Copy, Default)]
struct Deadlines {
    /// It was not heard of.
    session_ms: Option<i64>,
    /// Deadline for revoking partitions.
    revocation_ms: Option<i64>,
    /// A classic member did not join again.
    join_ms: Option<i64>,
    /// A classic member did not ask for its partitions.
    sync_ms: Option<i64>,
}

impl Deadlines {
    fn first(&self) -> Option<i64> {
        let all = [self.session_ms, self.revocation_ms, self.join_ms, self.sync_ms];
        all.into_iter().flatten().min()
    }
}

#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    pub epoch: i32,
    pub assignment_epoch: i32,
    /// When the target was made, 0 if there was none.
    pub assignment_ms: i64,
    pub members: BTreeMap<KafkaString, Member>,
    pub target: Target,
    /// Topics of the subscriptions and their sizes when the epoch was last raised.
    pub topics: BTreeMap<Uuid, i32>,
    pub empty_since_ms: i64,
    matches: Matches,
    deadlines: BTreeMap<KafkaString, Deadlines>,
}

impl Default for ConsumerGroup {
    fn default() -> Self {
        ConsumerGroup {
            epoch: INITIAL_EPOCH,
            assignment_epoch: INITIAL_EPOCH,
            assignment_ms: 0,
            members: BTreeMap::new(),
            target: Target::new(),
            topics: BTreeMap::new(),
            empty_since_ms: 0,
            matches: Matches::default(),
            deadlines: BTreeMap::new(),
        }
    }
}

impl ConsumerGroup {
    /// The member with this instance id.
    fn static_member(&self, instance: &KafkaString) -> Option<(&KafkaString, &Member)> {
        let mut members = self.members.iter();
        members.find(|(_, member)| member.instance_id.as_ref() == Some(instance))
    }

    /// The member with this id, if it also matches the instance id.
    fn identify(&self, id: &KafkaString, instance: Option<&KafkaString>) -> Result<&Member, ErrorCode> {
        let Some(instance) = instance else {
            return self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        match self.static_member(instance) {
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Some((current, _)) if current != id => Err(ErrorCode::FENCED_INSTANCE_ID),
            Some((_, member)) => Ok(member),
        }
    }

    /// Whether all members use the classic protocol, apart from these.
    pub fn is_classic_without(&self, gone: &BTreeSet<KafkaString>) -> bool {
        let mut rest = self.members.iter().filter(|(id, _)| !gone.contains(*id));
        rest.all(|(_, member)| member.classic.is_some())
    }

    /// Whether every member has reached the newest target.
    pub fn is_settled(&self) -> bool {
        self.epoch == self.assignment_epoch
            && self.members.values().all(|member| member.has_reached(self.epoch))
    }

    /// Removes members. The next heartbeat of another member computes a target without them.
    pub fn remove(&mut self, now_ms: i64, gone: &BTreeSet<KafkaString>, topics: &dyn TopicView) {
        for id in gone {
            self.members.remove(id);
            self.target.remove(id);
            self.deadlines.remove(id);
        }
        if self.members.is_empty() {
            self.empty_since_ms = now_ms;
        }
        self.raise_epoch(topics);
    }

    /// Members that were known before a restart have a session's time to be heard of.
    pub fn restart_timers(&mut self, now_ms: i64, session_ms: i64) {
        self.deadlines.clear();
        for (id, member) in &self.members {
            let is_away = member.classic.is_some() || member.epoch == STATIC_LEAVE_EPOCH;
            let must_revoke = member.state == MemberState::UnrevokedPartitions && !is_away;
            let revocation_ms = now_ms.saturating_add(i64::from(member.rebalance_timeout_ms.max(0)));
            let deadlines = Deadlines {
                session_ms: Some(now_ms.saturating_add(session_ms)),
                revocation_ms: must_revoke.then_some(revocation_ms),
                ..Deadlines::default()
            };
            self.deadlines.insert(id.clone(), deadlines);
        }
    }

    /// The earliest deadline of any member.
    pub fn next_deadline(&self) -> Option<i64> {
        self.deadlines.values().filter_map(Deadlines::first).min()
    }

    /// Members past their session timeout or their revocation deadline.
    pub fn overdue(&self, now_ms: i64) -> BTreeSet<KafkaString> {
        let is_due = |deadlines: &Deadlines| deadlines.first().is_some_and(|deadline| deadline <= now_ms);
        let due = self.deadlines.iter().filter(|(_, deadlines)| is_due(deadlines));
        due.map(|(id, _)| id.clone()).collect()
    }

    fn deadlines_of(&mut self, id: &KafkaString) -> &mut Deadlines {
        self.deadlines.entry(id.clone()).or_default()
    }

    /// Kafka's name of the group's state.
    pub fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            return "Empty";
        }
        if self.epoch > self.assignment_epoch {
            return "Assigning";
        }
        if self.is_settled() {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// For mutants only: frees partitions that their owners have not revoked.
    pub fn forget_revocations(&mut self) {
        for member in self.members.values_mut() {
            member.pending_revocation.clear();
        }
    }
}

/// The partitions of an assignment.
fn partitions_of(assigned: &Assigned) -> Partitions {
    assigned.keys().copied().collect()
}
