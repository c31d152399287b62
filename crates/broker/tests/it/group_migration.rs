//! Groups that change between the classic and the new protocol while they have members.

mod chance;
mod changes;
mod members;

use crate::consumer_groups::{Client, Owned};
use crate::driver::Driver;
use bytes::Bytes;
use millstream_broker::Ticket;
use millstream_kafka_wire::messages::consumer_protocol_assignment::{
    self as assigned, ConsumerProtocolAssignment,
};
use millstream_kafka_wire::messages::consumer_protocol_subscription::{
    self as owned, ConsumerProtocolSubscription,
};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString, Reader, Writer};
use std::collections::BTreeMap;

const JOIN: i16 = 9;
const SYNC: i16 = 5;
const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 60_000;

/// A member of the classic protocol as a client keeps it.
#[derive(Debug, Clone)]
struct Guest {
    id: String,
    instance: Option<&'static str>,
    generation: i32,
    topics: Vec<&'static str>,
    owned: Owned,
    /// It joins with its partitions, and releases only those that it does not get again.
    is_cooperative: bool,
    /// The version of its subscription.
    version: i16,
    joining: Option<Ticket>,
    syncing: Option<Ticket>,
    /// Whether it has to join.
    must_join: bool,
}

impl Guest {
    fn new(is_cooperative: bool) -> Guest {
        Guest {
            id: String::new(),
            instance: None,
            generation: -1,
            topics: vec!["t"],
            owned: Owned::new(),
            is_cooperative,
            version: 3,
            joining: None,
            syncing: None,
            must_join: true,
        }
    }

    fn of_instance(instance: &'static str) -> Guest {
        Guest {
            instance: Some(instance),
            ..Guest::new(false)
        }
    }

    fn request(&self, driver: &Driver) -> JoinGroupRequest {
        let mut by_topic: BTreeMap<KafkaString, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &self.owned {
            let name = driver.broker.topics().by_id(*topic).unwrap().name.clone();
            by_topic.entry(name).or_default().push(*partition);
        }
        let topic = |(topic, partitions)| owned::TopicPartition { topic, partitions };
        let subscription = ConsumerProtocolSubscription {
            topics: self.topics.iter().map(|topic| (*topic).into()).collect(),
            owned_partitions: by_topic.into_iter().map(topic).collect(),
            ..Default::default()
        };
        let mut writer = Writer::new();
        writer.i16(self.version);
        subscription.encode(&mut writer, self.version).unwrap();
        let metadata = writer.into_bytes();
        let protocol = |name: &str| join_group::JoinGroupRequestProtocol {
            name: name.into(),
            metadata: metadata.clone(),
        };
        JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            member_id: self.id.as_str().into(),
            group_instance_id: self.instance.map(Into::into),
            protocol_type: "consumer".into(),
            protocols: vec![protocol("range"), protocol("sticky")],
            reason: None,
        }
    }

    fn identity(&self) -> (KafkaString, Option<KafkaString>) {
        (self.id.as_str().into(), self.instance.map(Into::into))
    }
}

fn assignment(driver: &Driver, partitions: &Owned, version: i16) -> Bytes {
    let mut by_topic: BTreeMap<KafkaString, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        let name = driver.broker.topics().by_id(*topic).unwrap().name.clone();
        by_topic.entry(name).or_default().push(*partition);
    }
    let topic = |(topic, partitions)| assigned::TopicPartition { topic, partitions };
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: by_topic.into_iter().map(topic).collect(),
        user_data: None,
    };
    let mut writer = Writer::new();
    writer.i16(version);
    assignment.encode(&mut writer, version).unwrap();
    writer.into_bytes()
}

/// Version and partitions of an assignment.
fn read_assignment(driver: &Driver, bytes: Bytes) -> (i16, Owned) {
    let mut reader = Reader::new(bytes);
    let version = reader.i16().unwrap();
    let read = ConsumerProtocolAssignment::decode(&mut reader, version).unwrap();
    assert_eq!(reader.remaining(), 0);
    let topics = read.assigned_partitions.into_iter();
    let partitions = topics.flat_map(|each| {
        let id = driver.topic_id(&each.topic);
        each.partitions.into_iter().map(move |partition| (id, partition))
    });
    (version, partitions.collect())
}

impl Driver {
    /// A join that completes at once, as in a group of the new protocol.
    fn join_guest(&mut self, guest: &mut Guest) -> ErrorCode {
        if !guest.is_cooperative {
            guest.owned.clear();
        }
        let response = self.call_version(JOIN, guest.request(self));
        guest.id = response.member_id.to_string();
        guest.generation = response.generation_id;
        if !response.error_code.is_error() {
            assert_eq!(
                (
                    response.protocol_type.as_deref(),
                    response.protocol_name.as_deref()
                ),
                (Some("consumer"), Some("range"))
            );
            assert_eq!(
                (response.leader.as_str(), response.members.len()),
                ("", 0),
                "the broker leads"
            );
        }
        response.error_code
    }

    fn guest_sync(&self, guest: &Guest) -> SyncGroupRequest {
        let (member_id, group_instance_id) = guest.identity();
        SyncGroupRequest {
            group_id: "g".into(),
            generation_id: guest.generation,
            member_id,
            group_instance_id,
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: Vec::new(),
        }
    }

    fn sync_guest(&mut self, guest: &mut Guest) -> ErrorCode {
        let response = self.call_version(SYNC, self.guest_sync(guest));
        if !response.error_code.is_error() {
            let (version, owned) = read_assignment(self, response.assignment);
            assert_eq!(version, guest.version, "in the member's own version");
            guest.owned = owned;
        }
        response.error_code
    }

    fn beat_guest(&mut self, guest: &Guest) -> ErrorCode {
        let (member_id, group_instance_id) = guest.identity();
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: guest.generation,
            member_id,
            group_instance_id,
        };
        self.call(request).error_code
    }

    /// Joins until the broker has nothing more for it.
    fn follow(&mut self, guest: &mut Guest) {
        for _ in 0..4 {
            if self.beat_guest(guest) != ErrorCode::REBALANCE_IN_PROGRESS {
                return;
            }
            assert_eq!(self.join_guest(guest), ErrorCode::NONE);
            assert_eq!(self.sync_guest(guest), ErrorCode::NONE);
        }
    }

    /// A classic group of these members, whose leader gives them the partitions of "t" in turn.
    fn classic_group(&mut self, guests: &mut [Guest]) {
        for guest in guests.iter_mut().filter(|guest| guest.instance.is_none()) {
            let response = self.call_version(JOIN, guest.request(self));
            assert_eq!(response.error_code, ErrorCode::MEMBER_ID_REQUIRED);
            guest.id = response.member_id.to_string();
        }
        let joins: Vec<Ticket> = guests
            .iter()
            .map(|guest| self.park(JOIN, guest.request(self)))
            .collect();
        self.complete_rebalance(guests, joins);
    }

    fn complete_rebalance(&mut self, guests: &mut [Guest], joins: Vec<Ticket>) {
        let joined: Vec<JoinGroupResponse> = joins
            .into_iter()
            .map(|ticket| {
                self.taken::<JoinGroupRequest>(JOIN, ticket)
                    .expect("all have joined")
            })
            .collect();
        for (guest, joined) in guests.iter_mut().zip(&joined) {
            (guest.id, guest.generation) = (joined.member_id.to_string(), joined.generation_id);
        }
        let topic = self.topic_id("t");
        let count = self.broker.topics().by_id(topic).unwrap().partitions.len();
        let share = |index: usize| -> Owned {
            let own = (0..count).filter(|partition| partition % guests.len() == index);
            own.map(|partition| (topic, partition as i32)).collect()
        };
        let given = guests
            .iter()
            .enumerate()
            .map(|(index, guest)| sync_group::SyncGroupRequestAssignment {
                member_id: guest.id.as_str().into(),
                assignment: assignment(self, &share(index), guest.version),
            });
        let given: Vec<_> = given.collect();
        let leader = joined
            .iter()
            .position(|joined| joined.leader == joined.member_id)
            .unwrap();
        let syncs: Vec<Ticket> = (0..guests.len())
            .filter(|index| *index != leader)
            .chain([leader])
            .map(|index| {
                let assignments = if index == leader {
                    given.clone()
                } else {
                    Vec::new()
                };
                let request = SyncGroupRequest {
                    assignments,
                    ..self.guest_sync(&guests[index])
                };
                self.park(SYNC, request)
            })
            .collect();
        for (index, ticket) in (0..guests.len())
            .filter(|index| *index != leader)
            .chain([leader])
            .zip(syncs)
        {
            let response = self.taken::<SyncGroupRequest>(SYNC, ticket).unwrap();
            guests[index].owned = read_assignment(self, response.assignment).1;
        }
    }

    /// State, type and number of members.
    fn listed(&mut self) -> (String, String) {
        let listed = self.call(ListGroupsRequest::default()).groups.remove(0);
        assert_eq!(listed.protocol_type.as_str(), "consumer");
        (listed.group_type.to_string(), listed.group_state.to_string())
    }

    fn leave(&mut self, client: &Client) -> ErrorCode {
        let gone = Client {
            epoch: -1,
            ..client.clone()
        };
        self.call(gone.full()).error_code
    }

    fn leave_by_request(&mut self, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let member = |(id, instance): &(&str, Option<&str>)| leave_group::MemberIdentity {
            member_id: (*id).into(),
            group_instance_id: instance.map(Into::into),
            reason: None,
        };
        let request = LeaveGroupRequest {
            group_id: "g".into(),
            members: members.iter().map(member).collect(),
            ..Default::default()
        };
        let response = self.call(request);
        response.members.iter().map(|member| member.error_code).collect()
    }
}

fn numbers(owned: &Owned) -> Vec<i32> {
    owned.iter().map(|(_, partition)| *partition).collect()
}

/// A group of a classic and a new member, each with two of four partitions.
fn mixed(driver: &mut Driver, is_cooperative: bool) -> (Guest, Client) {
    driver.create("t", 4);
    let mut guests = [Guest::new(is_cooperative)];
    driver.classic_group(&mut guests);
    let [mut guest] = guests;
    let mut client = Client::new("c", &["t"]);
    assert_eq!(driver.beat(&mut client), ErrorCode::NONE);
    driver.follow(&mut guest);
    assert_eq!(driver.beat(&mut client), ErrorCode::NONE);
    client.reconcile();
    assert_eq!((guest.owned.len(), client.owned.len()), (2, 2));
    (guest, client)
}
