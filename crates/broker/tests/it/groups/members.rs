//! Members that are silent, too many, or static.

use super::{JOIN, SYNC, join_request};
use crate::driver::Driver;
use millstream_broker::Ticket;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString};

impl Driver {
    /// A static member of the group, as it joins when it starts.
    fn start_static(&mut self, instance: &str, metadata: &str) -> Ticket {
        self.park(JOIN, join_request("", Some(instance), metadata))
    }

    /// A stable group of one static member, its leader.
    fn one_static(&mut self) -> JoinGroupResponse {
        let ticket = self.start_static("i", "a");
        let first = self.joined(ticket);
        self.sync_static(&first, &[(first.member_id.as_str(), "one")]);
        first
    }

    fn sync_static(&mut self, joined: &JoinGroupResponse, assignments: &[(&str, &str)]) -> SyncGroupResponse {
        let request = SyncGroupRequest {
            group_instance_id: Some("i".into()),
            ..self.sync_request(joined, assignments)
        };
        self.call_version(SYNC, request)
    }

    /// A stable group with this number of dynamic members.
    fn members(&mut self, count: usize) -> Vec<JoinGroupResponse> {
        let ids: Vec<KafkaString> = (0..count).map(|_| self.member_id()).collect();
        let tickets: Vec<Ticket> = ids.iter().map(|id| self.join_later(id, "a")).collect();
        let joined: Vec<JoinGroupResponse> = tickets.into_iter().map(|ticket| self.joined(ticket)).collect();
        for member in joined.iter().filter(|member| member.leader == member.member_id) {
            let sync = self.sync_request(member, &[]);
            assert_eq!(self.call_version(SYNC, sync).error_code, ErrorCode::NONE);
        }
        joined
    }
}

#[test]
fn a_follower_that_waits_for_a_leader_that_is_gone_has_a_session_to_join_again() {
    let mut driver = Driver::new();
    let [_, follower] = driver.two_members_without_assignment();
    let sync = driver.sync_request(&follower, &[]);
    let waiting = driver.park(SYNC, sync);
    driver.advance(10_000);
    let response = driver.taken::<SyncGroupRequest>(SYNC, waiting);
    let response = response.expect("the leader's session is over");
    assert_eq!(response.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    driver.advance(9_000);
    let ticket = driver.join_later(&follower.member_id, "b");
    let joined = driver.joined(ticket);
    assert_eq!(
        (joined.error_code, joined.leader, joined.members.len()),
        (ErrorCode::NONE, follower.member_id, 1)
    );
}

#[test]
fn a_static_member_whose_metadata_differs_comes_back_without_a_rebalance() {
    let mut driver = Driver::new();
    let first = driver.one_static();
    let second = driver.join_now(join_request("", Some("i"), "with its generation"));
    assert_eq!(
        (second.error_code, second.generation_id, second.skip_assignment),
        (ErrorCode::NONE, first.generation_id, true)
    );
    assert_eq!(&second.members[0].metadata[..], b"range with its generation");
    driver.crash();
    assert_eq!(driver.sync_static(&second, &[]).assignment, "one");
    let group = driver.call(DescribeGroupsRequest {
        groups: vec!["g".into()],
        include_authorized_operations: false,
    });
    assert_eq!(
        &group.groups[0].members[0].member_metadata[..],
        b"range with its generation"
    );
}

#[test]
fn a_static_member_that_no_longer_knows_the_protocol_of_the_group_comes_back_to_a_rebalance() {
    let mut driver = Driver::new();
    let first = driver.one_static();
    let mut request = join_request("", Some("i"), "a");
    request.protocols.remove(0);
    let ticket = driver.park(JOIN, request);
    let second = driver.joined(ticket);
    assert_eq!(second.generation_id, first.generation_id + 1);
    assert_eq!(second.protocol_name, Some("roundrobin".into()));
}

#[test]
fn a_static_member_that_comes_back_before_its_first_rebalance_is_waited_for() {
    let mut driver = Driver::with(&[("group.initial.rebalance.delay.ms", "60000")]);
    let former = driver.start_static("i", "a");
    let ticket = driver.start_static("i", "a");
    assert_eq!(driver.joined(former).error_code, ErrorCode::FENCED_INSTANCE_ID);
    // Longer than its session, in which it cannot send heartbeats.
    driver.advance(30_000);
    assert!(driver.taken::<JoinGroupRequest>(JOIN, ticket).is_none());
    driver.advance(30_000);
    let joined = driver.joined(ticket);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 1));
}

#[test]
fn an_instance_stays_with_its_member_when_that_joins_without_naming_it() {
    let mut driver = Driver::new();
    let first = driver.one_static();
    let ticket = driver.join_later(&first.member_id, "b");
    let again = driver.joined(ticket);
    assert_eq!(again.members[0].group_instance_id, Some("i".into()));
    driver.sync_static(&again, &[(first.member_id.as_str(), "two")]);
    let other = driver.join_now(join_request("", Some("i"), "b"));
    assert_eq!((other.error_code, other.generation_id), (ErrorCode::NONE, 2));
    let leave = LeaveGroupRequest {
        group_id: "g".into(),
        member_id: other.member_id,
        members: Vec::new(),
    };
    assert_eq!(driver.call_version(1, leave).error_code, ErrorCode::NONE);
    let ticket = driver.start_static("i", "a");
    assert_eq!(
        driver.joined(ticket).error_code,
        ErrorCode::NONE,
        "the place is free"
    );
}

#[test]
fn an_id_that_was_given_to_a_dynamic_member_takes_no_place_of_a_static_one() {
    let mut driver = Driver::new();
    let first = driver.one_static();
    let given = driver.member_id();
    let refused = driver.join_now(join_request(&given, Some("i"), "a"));
    assert_eq!(refused.error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
    let heartbeat = HeartbeatRequest {
        group_id: "g".into(),
        generation_id: first.generation_id,
        member_id: first.member_id,
        group_instance_id: Some("i".into()),
    };
    assert_eq!(driver.call(heartbeat).error_code, ErrorCode::NONE);
}

#[test]
fn the_last_members_of_a_group_that_has_become_too_large_have_to_go() {
    let mut driver = Driver::new();
    let members = driver.members(5);
    driver.restart_with(&[("group.max.size", "3")]);
    let (staying, leaving) = members.split_at(3);
    let tickets: Vec<Ticket> = staying
        .iter()
        .map(|member| driver.join_later(&member.member_id, "a"))
        .collect();
    for member in leaving {
        let refused = driver.join_now(join_request(&member.member_id, None, "a"));
        assert_eq!(
            (refused.error_code, refused.member_id),
            (ErrorCode::GROUP_MAX_SIZE_REACHED, KafkaString::EMPTY)
        );
    }
    driver.settle();
    for ticket in tickets {
        let joined = driver.joined(ticket);
        assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 2));
    }
    assert_eq!(driver.group_state().1, 3);
}

#[test]
fn unused_member_ids_take_no_room_in_a_group() {
    let mut driver = Driver::with(&[("group.max.size", "1")]);
    let (first, second) = (driver.member_id(), driver.member_id());
    let ticket = driver.join_later(&first, "a");
    let refused = driver.join_now(join_request(&second, None, "a"));
    assert_eq!(refused.error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    driver.settle();
    let joined = driver.joined(ticket);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 1));
    let refused = driver.join_now(join_request("", None, "a"));
    assert_eq!(
        refused.error_code,
        ErrorCode::GROUP_MAX_SIZE_REACHED,
        "the group is full"
    );
    let ticket = driver.join_later(&first, "b");
    assert_eq!(
        driver.joined(ticket).error_code,
        ErrorCode::NONE,
        "a member has its room"
    );
}
