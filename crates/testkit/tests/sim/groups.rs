//! Members of consumer groups, of the classic protocol and of the new one (KIP-848): they join, work, commit, vanish.

use crate::history::PARTITIONS;
use crate::mixed_group;
use crate::reader::TOPIC;
use crate::transactional::group_of;
use crate::world::{Client, Handle, Lost};
use bytes::Bytes;
use millstream_kafka_wire::messages::consumer_group_heartbeat::RequestTopicPartitions;
use millstream_kafka_wire::messages::join_group::JoinGroupRequestProtocol;
use millstream_kafka_wire::messages::leave_group::MemberIdentity;
use millstream_kafka_wire::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use millstream_kafka_wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use millstream_kafka_wire::messages::sync_group::SyncGroupRequestAssignment;
use millstream_kafka_wire::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};

/// The group of the classic protocol.
pub const CLASSIC: &str = "classic";
/// The group of the new protocol.
pub const CONSUMER: &str = "consumer";
/// The group in which both are spoken.
pub const MIXED: &str = "mixed";
const SESSION_MS: i32 = 6_000;
const REBALANCE_MS: i32 = 4_000;

pub struct Member {
    pub world: Handle,
    pub client: Client,
    group: &'static str,
    topic_id: Uuid,
    pub id: KafkaString,
    /// Generation or member epoch.
    pub epoch: i32,
    pub owned: Vec<i32>,
    /// It joins with what it owns; only in a group in which the broker reads what members say.
    pub is_cooperative: bool,
    /// An abandoned request may still be in flight: its effect on arrival is unknown here.
    is_in_doubt: bool,
    /// When it first asked for its part of the epoch that it is in and got no response: the broker may wait since then.
    unanswered_ms: Option<i64>,
}

impl Member {
    pub fn new(world: &Handle, group: &'static str, topic_id: Uuid) -> Member {
        let mut client = Client::new(world);
        client.timeout_ms = 6_000; // a join waits for others
        Member {
            world: world.clone(),
            client,
            group,
            topic_id,
            id: KafkaString::EMPTY,
            epoch: 0,
            owned: Vec::new(),
            is_cooperative: false,
            is_in_doubt: false,
            unanswered_ms: None,
        }
    }

    fn group_id(&self) -> KafkaString {
        KafkaString::from_static(self.group)
    }

    fn assigned(&mut self, asked_ms: i64, owned: Vec<i32>) {
        let (now_ms, member) = (self.world.now_ms(), self.id.to_string());
        self.world.history(|history| match self.group {
            MIXED => history.given((asked_ms, now_ms), self.group, &member, &owned),
            _ => history.assigned(now_ms, self.group, self.epoch, &member, &owned),
        });
        self.owned = owned;
    }

    /// The broker has agreed to what it owns, asked at one time. It cannot begin to wait for the member to give something up
    /// before that, and waits for a whole rebalance; unless an abandoned request arrives late and looks as if
    /// the member had begun again, which neither protocol can tell.
    fn holds(&mut self, asked_ms: i64) {
        if self.is_in_doubt {
            return self.releases();
        }
        let since_ms = self
            .unanswered_ms
            .map_or(asked_ms, |earlier| earlier.min(asked_ms));
        let (now_ms, until_ms) = (self.world.now_ms(), since_ms + i64::from(REBALANCE_MS));
        self.world
            .history(|history| history.holds(now_ms, self.group, &self.id, &self.owned, until_ms));
    }

    /// It works on nothing any more.
    fn releases(&mut self) {
        self.world
            .history(|history| history.releases(self.group, &self.id));
    }

    /// A request got no response.
    fn is_lost(&mut self) {
        self.is_in_doubt |= self.world.with(|world| world.is_rough());
    }

    /// Commits something for a partition that it owns.
    async fn commit(&mut self) {
        let world = self.world.clone();
        let Some(partition) = self.owned.get(world.below(PARTITIONS as u64) as usize).copied() else {
            return;
        };
        let (offset, asked_ms) = (world.below(1_000_000) as i64, world.now_ms());
        let number = world.history(|history| history.commit_asked(asked_ms, self.group, partition, offset));
        let version = 8 + world.below(3) as i16;
        let (name, topic_id) = self.topic(version);
        let request = OffsetCommitRequest {
            group_id: self.group_id(),
            generation_id_or_member_epoch: self.epoch,
            member_id: self.id.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name,
                topic_id,
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let (member, epoch) = (self.id.to_string(), self.epoch);
        let Ok(response) = self.client.call(version, request).await else {
            return;
        };
        let code = response.topics[0].partitions[0].error_code;
        let now_ms = world.now_ms();
        world.history(|history| match code {
            ErrorCode::NONE => history.commit_done(now_ms, (self.group, partition), (&member, epoch), number),
            // What the disk did with it is unknown.
            ErrorCode::KAFKA_STORAGE_ERROR => {}
            _ => history.commit_refused(self.group, partition, number),
        });
    }

    /// Topics go by name up to version 9 of the requests for offsets.
    fn topic(&self, version: i16) -> (KafkaString, Uuid) {
        if version >= 10 {
            (KafkaString::EMPTY, self.topic_id)
        } else {
            (KafkaString::from_static(TOPIC), Uuid::ZERO)
        }
    }
}

/// Reads what a group has committed and holds it against the commits.
pub async fn read_offsets(client: &mut Client, group: &str, topic_id: Uuid) -> Result<Vec<(i32, i64)>, Lost> {
    let version = 8 + client.world.below(3) as i16;
    let (name, topic_id) = if version >= 10 {
        (KafkaString::EMPTY, topic_id)
    } else {
        (KafkaString::from_static(TOPIC), Uuid::ZERO)
    };
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.into(),
            member_epoch: -1,
            topics: Some(vec![OffsetFetchRequestTopics {
                name,
                topic_id,
                partition_indexes: (0..PARTITIONS as i32).collect(),
            }]),
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = client.call(version, request).await?;
    let found = response.groups[0]
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions);
    Ok(found
        .map(|each| (each.partition_index, each.committed_offset))
        .collect())
}

/// Looks at the offsets of the groups, and of those of transactional writers, now and then.
pub async fn watch_offsets(world: Handle, topic_id: Uuid, writers: Vec<usize>) {
    let of_writers = writers.into_iter().map(group_of);
    let groups: Vec<String> = [CLASSIC, CONSUMER, MIXED]
        .map(str::to_owned)
        .into_iter()
        .chain(of_writers)
        .collect();
    let mut client = Client::new(&world);
    let mut is_last = false;
    while !is_last {
        is_last = world.is_ending();
        for group in &groups {
            let asked_ms = world.now_ms();
            let Ok(found) = read_offsets(&mut client, group, topic_id).await else {
                continue;
            };
            for (partition, offset) in found {
                world.history(|history| history.offset_read(asked_ms, group, partition, offset));
            }
        }
        world.sleep(world.below(2_000)).await;
    }
}

/// A member of the classic protocol, time and again.
pub async fn classic(world: Handle, topic_id: Uuid) {
    while !world.is_ending() {
        let member = Member::new(&world, CLASSIC, topic_id);
        world.sleep(world.below(3_000)).await;
        member.take_part().await;
    }
}

impl Member {
    /// The life of a member of the classic protocol.
    pub async fn take_part(mut self) {
        let mut stays = true;
        while stays && !self.world.is_ending() {
            stays = self.generation().await;
        }
        self.releases();
        if !self.world.once_in(3) {
            self.leave().await; // the others just vanish
        }
    }

    /// One generation; false if the member ends.
    async fn generation(&mut self) -> bool {
        if !self.is_cooperative {
            self.releases();
            self.owned.clear();
        }
        let Some(joined) = self.join().await else {
            return true;
        };
        if !self.sync(&joined).await {
            return true;
        }
        loop {
            if self.world.is_ending() || self.world.once_in(25) {
                return false;
            }
            if self.world.once_in(40) {
                self.world.sleep(2 * SESSION_MS as u64).await; // the session ends meanwhile
            }
            if self.world.once_in(2) {
                self.commit().await;
            }
            self.world.sleep(500 + self.world.below(1_000)).await;
            let asked_ms = self.world.now_ms();
            let request = HeartbeatRequest {
                group_id: self.group_id(),
                generation_id: self.epoch,
                member_id: self.id.clone(),
                ..Default::default()
            };
            match self
                .client
                .call(4, request)
                .await
                .map(|response| response.error_code)
            {
                Ok(ErrorCode::NONE) => self.holds(asked_ms),
                Err(Lost) => self.is_lost(),
                Ok(code) => {
                    self.note(code);
                    return true;
                }
            }
        }
    }

    /// Whether the member has to begin again, maybe under a new id.
    fn note(&mut self, code: ErrorCode) {
        let keeps = self.is_cooperative && code == ErrorCode::REBALANCE_IN_PROGRESS;
        if !keeps {
            self.releases();
            self.owned.clear();
        }
        match code {
            ErrorCode::UNKNOWN_MEMBER_ID => (self.id, self.is_in_doubt) = (KafkaString::EMPTY, false),
            ErrorCode::REBALANCE_IN_PROGRESS
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::KAFKA_STORAGE_ERROR => {}
            code => self.world.violation(
                "unexpected-error",
                format!("a member of '{}' gets {code}", self.group),
            ),
        }
    }

    async fn join(&mut self) -> Option<JoinGroupResponse> {
        let version = 4 + self.world.below(6) as i16;
        let request = JoinGroupRequest {
            group_id: self.group_id(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            member_id: self.id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: match self.group {
                    MIXED => mixed_group::subscription(&self.owned),
                    _ => Bytes::new(),
                },
            }],
            ..Default::default()
        };
        let Ok(response) = self.client.call(version, request).await else {
            self.is_lost();
            return None;
        };
        match response.error_code {
            ErrorCode::NONE => {
                (self.id, self.epoch) = (response.member_id.clone(), response.generation_id);
                Some(response)
            }
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.id = response.member_id;
                None
            }
            code => {
                self.note(code);
                self.world.sleep(50).await;
                None
            }
        }
    }

    async fn sync(&mut self, joined: &JoinGroupResponse) -> bool {
        let members = joined.members.iter().map(|member| &member.member_id);
        let count = joined.members.len();
        let share = |index: usize| -> Bytes {
            let own = (0..PARTITIONS)
                .filter(|partition| (partition + joined.generation_id as usize) % count == index);
            match self.group {
                MIXED => mixed_group::assignment(own, index, &joined.members),
                _ => own.map(|partition| partition as u8).collect(),
            }
        };
        let assignments = members
            .enumerate()
            .map(|(index, member)| SyncGroupRequestAssignment {
                member_id: member.clone(),
                assignment: share(index),
            });
        let request = SyncGroupRequest {
            group_id: self.group_id(),
            generation_id: self.epoch,
            member_id: self.id.clone(),
            assignments: assignments.collect(),
            ..Default::default()
        };
        let asked_ms = self.world.now_ms();
        let Ok(response) = self.client.call(4, request).await else {
            self.is_lost();
            return false;
        };
        if response.error_code.is_error() {
            self.note(response.error_code);
            return false;
        }
        let given: Vec<i32> = match self.group {
            MIXED => mixed_group::partitions(response.assignment),
            _ => response
                .assignment
                .iter()
                .map(|partition| i32::from(*partition))
                .collect(),
        };
        let gives_up = self.owned.iter().any(|partition| !given.contains(partition));
        self.assigned(asked_ms, given);
        self.holds(asked_ms);
        // A cooperative member that has given something up joins again, so that others get it.
        !(self.is_cooperative && gives_up)
    }

    async fn leave(&mut self) {
        let request = LeaveGroupRequest {
            group_id: self.group_id(),
            members: vec![MemberIdentity {
                member_id: self.id.clone(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let _ = self.client.call(5, request).await;
    }
}

/// A member of the new protocol, time and again.
pub async fn consumer(world: Handle, topic_id: Uuid) {
    while !world.is_ending() {
        let member = Member::new(&world, CONSUMER, topic_id);
        world.sleep(world.below(3_000)).await;
        member.consume().await;
    }
}

impl Member {
    /// The life of a member of the new protocol.
    pub async fn consume(mut self) {
        let world = self.world.clone();
        self.client.timeout_ms = 1_500;
        let number = world.with(|world| millstream_types::Rng::next_u64(&world.rng));
        self.id = format!("member-{number:016x}").into();
        let mut must_tell = true;
        while !world.is_ending() && !world.once_in(30) {
            must_tell = self.beat(must_tell).await;
            if world.once_in(2) {
                self.commit().await;
            }
            let pause_ms = if world.once_in(40) {
                60_000
            } else {
                500 + world.below(2_000)
            };
            world.sleep(pause_ms).await;
        }
        self.releases();
        self.owned.clear();
        if !world.once_in(3) {
            self.epoch = -1;
            self.beat(false).await;
        }
    }
}

impl Member {
    /// One heartbeat; says whether the next one must tell everything.
    async fn beat(&mut self, must_tell: bool) -> bool {
        let tells = must_tell || self.epoch == 0;
        let owned = RequestTopicPartitions {
            topic_id: self.topic_id,
            partitions: self.owned.clone(),
        };
        let owned: Vec<_> = Some(owned)
            .filter(|owned| !owned.partitions.is_empty())
            .into_iter()
            .collect();
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group_id(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: if tells { REBALANCE_MS } else { -1 },
            subscribed_topic_names: tells.then(|| vec![KafkaString::from_static(TOPIC)]),
            topic_partitions: tells.then_some(owned),
            ..Default::default()
        };
        let asked_ms = self.world.now_ms();
        let Ok(response) = self.client.call(1, request).await else {
            self.is_lost();
            self.unanswered_ms.get_or_insert(asked_ms);
            return true;
        };
        match response.error_code {
            ErrorCode::NONE => {
                if response.member_epoch != self.epoch {
                    self.unanswered_ms = None;
                }
                self.epoch = response.member_epoch;
                let Some(assignment) = response.assignment else {
                    self.holds(asked_ms);
                    return false;
                };
                let given: Vec<i32> = assignment
                    .topic_partitions
                    .into_iter()
                    .flat_map(|topic| topic.partitions)
                    .collect();
                let is_new = given != self.owned;
                self.assigned(asked_ms, given);
                self.holds(asked_ms);
                is_new
            }
            ErrorCode::KAFKA_STORAGE_ERROR => true,
            // The group has become a classic one without it.
            ErrorCode::GROUP_ID_NOT_FOUND if self.group == MIXED => self.begins_again(),
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH => self.begins_again(),
            code => {
                self.world
                    .violation("unexpected-error", format!("a member gets {code}"));
                true
            }
        }
    }

    /// It owns nothing any more; says that the next heartbeat must tell everything.
    fn begins_again(&mut self) -> bool {
        self.releases();
        self.owned.clear();
        self.epoch = if self.epoch < 0 { -1 } else { 0 };
        true
    }
}
