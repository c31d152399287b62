//! Groups of the classic protocol.

use crate::driver::{Driver, batch};
use bytes::Bytes;
use millstream_broker::{Progress, Reply, Ticket};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString};
use millstream_testkit::storage::{Fault, Operation};

mod members;
mod topics;

const JOIN: i16 = 9;
const SYNC: i16 = 5;
const COMMIT: i16 = 10;

fn join_request(member: &str, instance: Option<&str>, metadata: &str) -> JoinGroupRequest {
    let protocol = |name: &str| join_group::JoinGroupRequestProtocol {
        name: name.into(),
        metadata: Bytes::from(format!("{name} {metadata}")),
    };
    JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: member.into(),
        group_instance_id: instance.map(Into::into),
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range"), protocol("roundrobin")],
        reason: None,
    }
}

impl Driver {
    fn join_now(&mut self, request: JoinGroupRequest) -> JoinGroupResponse {
        self.call_version(JOIN, request)
    }

    /// The id that a new member gets.
    fn member_id(&mut self) -> KafkaString {
        let response = self.join_now(join_request("", None, "a"));
        assert_eq!(response.error_code, ErrorCode::MEMBER_ID_REQUIRED);
        response.member_id
    }

    fn join_later(&mut self, member: &str, metadata: &str) -> Ticket {
        self.park(JOIN, join_request(member, None, metadata))
    }

    fn joined(&mut self, ticket: Ticket) -> JoinGroupResponse {
        self.taken::<JoinGroupRequest>(JOIN, ticket)
            .expect("the join completes")
    }

    fn sync_request(&self, joined: &JoinGroupResponse, assignments: &[(&str, &str)]) -> SyncGroupRequest {
        let assignment = |(member, assignment): &(&str, &str)| sync_group::SyncGroupRequestAssignment {
            member_id: (*member).into(),
            assignment: Bytes::copy_from_slice(assignment.as_bytes()),
        };
        SyncGroupRequest {
            group_id: "g".into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: joined.protocol_name.clone(),
            assignments: assignments.iter().map(assignment).collect(),
            ..Default::default()
        }
    }

    fn heartbeat(&mut self, member: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member.into(),
            group_instance_id: None,
        };
        self.call(request).error_code
    }

    /// A group of two members in generation 2; gives leader and follower.
    fn two_members(&mut self) -> (JoinGroupResponse, JoinGroupResponse) {
        let (first, second) = (self.member_id(), self.member_id());
        let alone = self.park(JOIN, join_request(&first, None, "a"));
        assert!(
            self.taken::<JoinGroupRequest>(JOIN, alone).is_none(),
            "the other member is still pending"
        );
        let other = self.join_later(&second, "a");
        let (leader, follower) = (self.joined(alone), self.joined(other));
        assert_eq!(
            (leader.generation_id, leader.members.len(), follower.members.len()),
            (1, 2, 0)
        );
        let waiting = self.park(SYNC, self.sync_request(&follower, &[]));
        let assignments = [(first.as_str(), "one"), (second.as_str(), "two")];
        let lead = self.park(SYNC, self.sync_request(&leader, &assignments));
        let own = self.taken::<SyncGroupRequest>(SYNC, lead).unwrap();
        let others = self.taken::<SyncGroupRequest>(SYNC, waiting).unwrap();
        assert_eq!(
            (&own.assignment[..], &others.assignment[..]),
            (&b"one"[..], &b"two"[..])
        );
        (leader, follower)
    }

    /// The same in generation 3, whose leader has not assigned yet.
    fn two_members_without_assignment(&mut self) -> [JoinGroupResponse; 2] {
        let (leader, follower) = self.two_members();
        let joins = [&leader, &follower].map(|joined| self.join_later(&joined.member_id, "b"));
        joins.map(|ticket| self.joined(ticket))
    }

    fn group_state(&mut self) -> (String, usize) {
        let request = DescribeGroupsRequest {
            groups: vec!["g".into()],
            include_authorized_operations: false,
        };
        let group = self.call(request).groups.remove(0);
        (group.group_state.to_string(), group.members.len())
    }

    fn commit_as(&mut self, member: &str, generation: i32, offset: i64) -> ErrorCode {
        self.commit_offset(COMMIT, "t", (member, generation), (0, offset))
    }

    fn committed_of(&mut self, topic: &str) -> i64 {
        let topics = vec![offset_fetch::OffsetFetchRequestTopics {
            topic_id: self.topic_id(topic),
            partition_indexes: vec![0],
            ..Default::default()
        }];
        let request = OffsetFetchRequest {
            groups: vec![offset_fetch::OffsetFetchRequestGroup {
                group_id: "g".into(),
                member_epoch: -1,
                topics: Some(topics),
                ..Default::default()
            }],
            ..Default::default()
        };
        self.call(request).groups[0].topics[0].partitions[0].committed_offset
    }
}

#[test]
fn odd_joins_are_refused_as_kafka_does() {
    let mut driver = Driver::new();
    let refused = |driver: &mut Driver, change: &dyn Fn(&mut JoinGroupRequest)| {
        let mut request = join_request("", None, "a");
        change(&mut request);
        driver.join_now(request).error_code
    };
    let unknown = refused(&mut driver, &|request| request.member_id = "stranger".into());
    assert_eq!(unknown, ErrorCode::UNKNOWN_MEMBER_ID);
    let empty = refused(&mut driver, &|request| request.group_id = KafkaString::EMPTY);
    assert_eq!(empty, ErrorCode::INVALID_GROUP_ID);
    let session = refused(&mut driver, &|request| request.session_timeout_ms = 1);
    assert_eq!(session, ErrorCode::INVALID_SESSION_TIMEOUT);
    let none = refused(&mut driver, &|request| request.protocols.clear());
    assert_eq!(none, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    driver.two_members();
    let other = refused(&mut driver, &|request| request.protocol_type = "connect".into());
    assert_eq!(other, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(driver.heartbeat("stranger", 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn members_rebalance_when_one_joins_leaves_or_is_silent() {
    let mut driver = Driver::new();
    let (leader, follower) = driver.two_members();
    assert_eq!(driver.group_state(), ("Stable".to_owned(), 2));
    assert_eq!(driver.heartbeat(&leader.member_id, 1), ErrorCode::NONE);
    assert_eq!(
        driver.heartbeat(&leader.member_id, 0),
        ErrorCode::ILLEGAL_GENERATION
    );
    let third = driver.member_id();
    let join = driver.join_later(&third, "a");
    assert_eq!(
        driver.heartbeat(&leader.member_id, 1),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
    let first = driver.join_later(&leader.member_id, "a");
    let second = driver.join_later(&follower.member_id, "a");
    assert_eq!(
        [join, first, second].map(|ticket| driver.joined(ticket).generation_id),
        [2, 2, 2]
    );
    // No member syncs: after the rebalance timeout all are removed.
    driver.advance(5_000);
    assert_eq!(driver.heartbeat(&leader.member_id, 2), ErrorCode::NONE);
    driver.advance(70_000);
    assert_eq!(driver.group_state(), ("Empty".to_owned(), 0));
}

#[test]
fn a_silent_member_is_removed_after_its_session() {
    let mut driver = Driver::new();
    let (leader, follower) = driver.two_members();
    driver.advance(6_000);
    assert_eq!(driver.heartbeat(&leader.member_id, 1), ErrorCode::NONE);
    driver.advance(6_000);
    assert_eq!(
        driver.heartbeat(&follower.member_id, 1),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    assert_eq!(
        driver.heartbeat(&leader.member_id, 1),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
    let ticket = driver.join_later(&leader.member_id, "a");
    assert_eq!(driver.joined(ticket).members.len(), 1);
}

#[test]
fn a_follower_that_joins_again_unchanged_gets_the_generation_and_a_leader_forces_a_rebalance() {
    let mut driver = Driver::new();
    let (leader, follower) = driver.two_members();
    let again = driver.join_now(join_request(&follower.member_id, None, "a"));
    assert_eq!((again.error_code, again.generation_id), (ErrorCode::NONE, 1));
    let forced = driver.join_later(&leader.member_id, "a");
    assert_eq!(
        driver.heartbeat(&follower.member_id, 1),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
    let other = driver.join_later(&follower.member_id, "a");
    assert_eq!(
        (
            driver.joined(forced).generation_id,
            driver.joined(other).generation_id
        ),
        (2, 2)
    );
}

#[test]
fn commits_are_fenced_by_generation_and_refused_while_assignments_are_made() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    assert_eq!(driver.commit_as("stranger", 1, 5), ErrorCode::GROUP_ID_NOT_FOUND);
    let (leader, follower) = driver.two_members();
    assert_eq!(driver.commit_as(&leader.member_id, 1, 5), ErrorCode::NONE);
    assert_eq!(
        driver.commit_as(&leader.member_id, 0, 5),
        ErrorCode::ILLEGAL_GENERATION
    );
    assert_eq!(driver.commit_as("stranger", 1, 5), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(
        driver.commit_as("", -1, 5),
        ErrorCode::UNKNOWN_MEMBER_ID,
        "a group with members"
    );
    let first = driver.join_later(&leader.member_id, "a");
    assert_eq!(
        driver.commit_as(&leader.member_id, 1, 6),
        ErrorCode::NONE,
        "while members join"
    );
    let second = driver.join_later(&follower.member_id, "a");
    driver.joined(first);
    driver.joined(second);
    assert_eq!(
        driver.commit_as(&leader.member_id, 2, 7),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
    let deleted = driver.call(DeleteGroupsRequest {
        groups_names: vec!["g".into()],
    });
    assert_eq!(deleted.results[0].error_code, ErrorCode::NON_EMPTY_GROUP);
}

#[test]
fn members_go_on_after_a_restart_of_the_broker() {
    let mut driver = Driver::new();
    let (leader, follower) = driver.two_members();
    for restart in [Driver::crash, Driver::restart] {
        restart(&mut driver);
        assert_eq!(driver.group_state(), ("Stable".to_owned(), 2));
        assert_eq!(driver.heartbeat(&leader.member_id, 1), ErrorCode::NONE);
        let request = driver.sync_request(&follower, &[]);
        assert_eq!(driver.call_version(SYNC, request).assignment, "two");
    }
    driver.advance(11_000);
    assert_eq!(
        driver.heartbeat(&leader.member_id, 1),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_fences_its_former_self() {
    let mut driver = Driver::new();
    let ticket = driver.park(JOIN, join_request("", Some("i"), "a"));
    let first = driver.joined(ticket);
    let request = SyncGroupRequest {
        group_instance_id: Some("i".into()),
        ..driver.sync_request(&first, &[(first.member_id.as_str(), "one")])
    };
    let ticket = driver.park(SYNC, request);
    assert_eq!(
        driver.taken::<SyncGroupRequest>(SYNC, ticket).unwrap().assignment,
        "one"
    );
    let second = driver.join_now(join_request("", Some("i"), "a"));
    assert_eq!(
        (second.error_code, second.generation_id, second.skip_assignment),
        (ErrorCode::NONE, 1, true)
    );
    assert_ne!(second.member_id, first.member_id);
    let heartbeat = HeartbeatRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: first.member_id.clone(),
        group_instance_id: Some("i".into()),
    };
    assert_eq!(driver.call(heartbeat).error_code, ErrorCode::FENCED_INSTANCE_ID);
    let request = SyncGroupRequest {
        group_instance_id: Some("i".into()),
        ..driver.sync_request(&second, &[])
    };
    assert_eq!(driver.call_version(SYNC, request).assignment, "one");
    let members = vec![leave_group::MemberIdentity {
        member_id: KafkaString::EMPTY,
        group_instance_id: Some("i".into()),
        reason: None,
    }];
    let left = driver.call(LeaveGroupRequest {
        group_id: "g".into(),
        members,
        ..Default::default()
    });
    assert_eq!(left.members[0].error_code, ErrorCode::NONE);
    assert_eq!(driver.group_state(), ("Empty".to_owned(), 0));
}

#[test]
fn old_versions_join_without_asking_for_an_id_first() {
    let mut driver = Driver::new();
    let mut request = join_request("", None, "a");
    request.group_instance_id = None;
    let ticket = driver.park(2, request);
    let response = driver.taken::<JoinGroupRequest>(2, ticket).unwrap();
    assert_eq!(
        (response.error_code, response.generation_id),
        (ErrorCode::NONE, 1)
    );
    assert_eq!(response.leader, response.member_id);
    let leave = LeaveGroupRequest {
        group_id: "g".into(),
        member_id: response.member_id,
        members: Vec::new(),
    };
    assert_eq!(driver.call_version(1, leave).error_code, ErrorCode::NONE);
}

#[test]
fn offsets_expire_when_the_group_has_been_empty_long_enough() {
    let mut driver = Driver::with(&[("offsets.retention.minutes", "10")]);
    driver.create("t", 1);
    assert_eq!(driver.commit_as("", -1, 5), ErrorCode::NONE);
    driver.advance(9 * 60_000);
    assert_eq!(driver.call(ListGroupsRequest::default()).groups.len(), 1);
    driver.advance(3 * 60_000);
    assert_eq!(driver.call(ListGroupsRequest::default()).groups.len(), 0);
}

#[test]
fn an_assignment_is_revealed_once_it_is_durable() {
    let mut driver = Driver::new();
    let [leader, follower] = driver.two_members_without_assignment();
    let assignments = [
        (leader.member_id.as_str(), "one"),
        (follower.member_id.as_str(), "two"),
    ];
    let sync = driver.sync_request(&leader, &assignments);
    assert!(matches!(driver.submit(SYNC, sync), Progress::Pending(_)));
    // The group is stable now, but a crash would take that back and give the generation once more.
    let sync = driver.sync_request(&follower, &[]);
    let Progress::Pending(ticket) = driver.submit(SYNC, sync) else {
        panic!("the follower gets a response before the generation is durable");
    };
    driver.settle();
    let own = driver
        .taken::<SyncGroupRequest>(SYNC, ticket)
        .expect("the disk has it");
    assert_eq!(&own.assignment[..], b"two");
}

#[test]
fn a_follower_that_syncs_after_the_leader_is_not_taken_for_one_that_never_did() {
    let mut driver = Driver::new();
    let [leader, follower] = driver.two_members_without_assignment();
    let assignments = [
        (leader.member_id.as_str(), "one"),
        (follower.member_id.as_str(), "two"),
    ];
    for (joined, assignments) in [(&leader, &assignments[..]), (&follower, &[])] {
        let sync = driver.sync_request(joined, assignments);
        assert_eq!(driver.call_version(SYNC, sync).error_code, ErrorCode::NONE);
    }
    // Longer than the rebalance may take.
    for _ in 0..40 {
        driver.advance(5_000);
        for joined in [&leader, &follower] {
            let code = driver.heartbeat(&joined.member_id, joined.generation_id);
            assert_eq!(code, ErrorCode::NONE);
        }
    }
}

#[test]
fn an_assignment_that_is_not_durable_is_never_revealed() {
    let mut driver = Driver::new();
    let [leader, follower] = driver.two_members_without_assignment();
    driver.create("t", 1);
    driver.storage.fail(Fault {
        operation: Operation::Write,
        after: 0,
        kind: std::io::ErrorKind::Other,
        torn_bytes: 0,
        sticky: true,
    });
    let records = batch(driver.now, &["x"]);
    let produce = driver.produce_request("t", 0, records);
    driver.submit(12, produce); // the log takes nothing more after this
    let job = driver
        .broker
        .take_commit(driver.now)
        .expect("a record was produced");
    driver.broker.on_commit(job.run()).unwrap_err();
    let assignments = [
        (leader.member_id.as_str(), "one"),
        (follower.member_id.as_str(), "two"),
    ];
    for (joined, assignments) in [(&leader, &assignments[..]), (&follower, &[])] {
        let sync = driver.sync_request(joined, assignments);
        let reply = match driver.submit(SYNC, sync) {
            Progress::Ready(reply) => reply,
            Progress::Pending(ticket) => {
                let mut completed = driver.broker.take_completed().into_iter();
                completed
                    .find(|(of, _)| *of == ticket)
                    .expect("it does not wait")
                    .1
            }
        };
        assert!(matches!(reply, Reply::Close), "{reply:?}");
    }
}
