//! The change itself: when it is made, what of it is allowed, what members keep.

use super::*;

#[test]
fn a_classic_group_becomes_a_new_one_when_a_new_member_joins() {
    for is_cooperative in [false, true] {
        let mut driver = Driver::new();
        driver.create("t", 4);
        let mut guests = [Guest::new(is_cooperative)];
        driver.classic_group(&mut guests);
        let [mut guest] = guests;
        assert_eq!((guest.generation, guest.owned.len()), (1, 4));
        let mut client = Client::new("c", &["t"]);
        assert_eq!(driver.beat(&mut client), ErrorCode::NONE);
        assert_eq!(
            (client.epoch, client.wanted.len()),
            (2, 0),
            "all is still the classic member's"
        );
        assert_eq!(driver.listed(), ("consumer".into(), "Reconciling".into()));
        let described = driver.state();
        let member = described
            .members
            .iter()
            .find(|member| member.member_id.as_str() == guest.id)
            .unwrap();
        assert_eq!((member.member_type, member.member_epoch), (0, 1));
        assert_eq!(member.assignment.topic_partitions[0].partitions, [0, 1, 2, 3]);
        assert_eq!(member.target_assignment.topic_partitions[0].partitions.len(), 2);
        assert_eq!(member.subscribed_topic_names, [KafkaString::from("t")]);
        let of_client = described
            .members
            .iter()
            .find(|member| member.member_id.as_str() == "c")
            .unwrap();
        assert_eq!(of_client.member_type, 1);
        // It is sent to join again, also by a sync.
        assert_eq!(
            driver.sync_guest(&mut guest.clone()),
            ErrorCode::REBALANCE_IN_PROGRESS
        );
        assert_eq!(driver.beat_guest(&guest), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(driver.join_guest(&mut guest), ErrorCode::NONE);
        driver.beat(&mut client);
        if is_cooperative {
            assert_eq!(guest.generation, 1, "it has something to give up first");
            assert_eq!(driver.sync_guest(&mut guest), ErrorCode::NONE);
            driver.beat(&mut client);
            assert_eq!((guest.owned.len(), client.wanted.len()), (2, 0));
            assert_eq!(driver.beat_guest(&guest), ErrorCode::REBALANCE_IN_PROGRESS);
            assert_eq!(driver.join_guest(&mut guest), ErrorCode::NONE);
            driver.beat(&mut client);
        }
        assert_eq!((guest.generation, client.wanted.len()), (2, 2));
        assert_eq!(driver.sync_guest(&mut guest), ErrorCode::NONE);
        assert_eq!(driver.beat_guest(&guest), ErrorCode::NONE);
        assert!(guest.owned.is_disjoint(&client.wanted));
        assert_eq!(driver.listed(), ("consumer".into(), "Stable".into()));
        let request = DescribeGroupsRequest {
            groups: vec!["g".into()],
            include_authorized_operations: false,
        };
        let classic = driver.call(request).groups.remove(0);
        assert_eq!(
            (classic.error_code, classic.group_state.as_str()),
            (ErrorCode::GROUP_ID_NOT_FOUND, "Dead")
        );
        assert_eq!(
            classic.error_message.as_deref(),
            Some("Group g is not a classic group.")
        );
    }
}

#[test]
fn members_that_wait_in_a_classic_rebalance_are_told_to_join_again() {
    for is_syncing in [false, true] {
        let mut driver = Driver::new();
        driver.create("t", 2);
        let mut guests = [Guest::new(true), Guest::new(true)];
        driver.classic_group(&mut guests);
        let [mut first, mut second] = guests;
        first.topics = vec!["t", "u"]; // it subscribes to something else: a rebalance
        let mut waiting = vec![driver.park(JOIN, first.request(&driver))];
        if is_syncing {
            waiting.push(driver.park(JOIN, second.request(&driver)));
            let joined = waiting
                .drain(..)
                .map(|ticket| driver.taken::<JoinGroupRequest>(JOIN, ticket).unwrap());
            let joined: Vec<JoinGroupResponse> = joined.collect();
            (first.generation, second.generation) = (joined[0].generation_id, joined[1].generation_id);
            let follower = if joined[0].leader == joined[0].member_id {
                &second
            } else {
                &first
            };
            waiting = vec![driver.park(SYNC, driver.guest_sync(follower))];
        }
        let mut client = Client::new("c", &["t"]);
        assert_eq!(driver.beat(&mut client), ErrorCode::NONE);
        let ticket = waiting[0];
        let code = if is_syncing {
            driver
                .taken::<SyncGroupRequest>(SYNC, ticket)
                .map(|response| response.error_code)
        } else {
            driver
                .taken::<JoinGroupRequest>(JOIN, ticket)
                .map(|response| response.error_code)
        };
        assert_eq!(code, Some(ErrorCode::REBALANCE_IN_PROGRESS));
        // What they have they have still: nothing goes to the new member before they have given it up.
        driver.beat(&mut client);
        assert_eq!(client.wanted.len(), 0);
        let mut all = Owned::new();
        for guest in [&mut first, &mut second] {
            assert_eq!(driver.beat_guest(guest), ErrorCode::REBALANCE_IN_PROGRESS);
            driver.follow(guest);
            assert!(guest.owned.iter().all(|partition| all.insert(*partition)));
        }
    }
}

#[test]
fn a_classic_group_can_be_upgraded_in_its_first_rebalance() {
    let mut driver = Driver::with(&[("group.initial.rebalance.delay.ms", "3000")]);
    driver.create("t", 2);
    let mut guest = Guest::new(false);
    guest.id = driver
        .call_version(JOIN, guest.request(&driver))
        .member_id
        .to_string();
    let waiting = driver.park(JOIN, guest.request(&driver));
    let mut client = Client::new("c", &["t"]);
    assert_eq!(driver.beat(&mut client), ErrorCode::NONE);
    let told = driver.taken::<JoinGroupRequest>(JOIN, waiting).unwrap();
    assert_eq!(told.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(driver.join_guest(&mut guest), ErrorCode::NONE);
    assert_eq!(driver.sync_guest(&mut guest), ErrorCode::NONE);
    assert_eq!(
        (guest.owned.len(), client.wanted.len()),
        (1, 1),
        "neither had anything"
    );
}

/// A cooperative member that is to give something up has not heard of it when the group changes its protocol.
#[test]
fn partitions_still_owned_after_an_upgrade_do_not_move() {
    let mut driver = Driver::new();
    let topic = driver.create("t", 4);
    let mut guests = [Guest::new(true)];
    driver.classic_group(&mut guests);
    let [mut guest] = guests;
    let mut other = Guest::new(true);
    other.id = driver
        .call_version(JOIN, other.request(&driver))
        .member_id
        .to_string();
    let joins = [other.request(&driver), guest.request(&driver)];
    let joins = joins.map(|join| driver.park(JOIN, join));
    let joined = joins.map(|ticket| driver.taken::<JoinGroupRequest>(JOIN, ticket).unwrap());
    (other.generation, guest.generation) = (joined[0].generation_id, joined[1].generation_id);
    assert_eq!(joined[1].leader.as_str(), guest.id, "it leads still");
    let kept: Owned = [(topic, 0), (topic, 1)].into();
    let sync = SyncGroupRequest {
        assignments: vec![sync_group::SyncGroupRequestAssignment {
            member_id: guest.id.as_str().into(),
            assignment: assignment(&driver, &kept, guest.version),
        }],
        ..driver.guest_sync(&guest)
    };
    driver.park(SYNC, sync);
    let mut client = Client::new("c", &["t"]);
    for _ in 0..2 {
        assert_eq!(driver.beat(&mut client), ErrorCode::NONE);
        assert_eq!(client.wanted.len(), 0, "the first member owns all four");
    }
    assert_eq!(driver.beat_guest(&guest), ErrorCode::REBALANCE_IN_PROGRESS);
    guest.owned = kept; // now it has heard of its assignment
    assert_eq!(driver.join_guest(&mut guest), ErrorCode::NONE);
    driver.beat(&mut client);
    assert_eq!(client.wanted.len(), 1);
    assert!(client.wanted.is_disjoint(&guest.owned));
}

/// What a policy allows: to upgrade, to join a group of the new protocol, to downgrade.
#[test]
fn every_policy_allows_what_kafka_allows() {
    for (policy, upgrades, joins, downgrades) in [
        ("bidirectional", true, true, true),
        ("UPGRADE", true, true, false),
        ("downgrade", false, true, true),
        ("Disabled", false, false, false),
    ] {
        let properties = [("group.consumer.migration.policy", policy)];
        let mut driver = Driver::with(&properties);
        driver.create("t", 2);
        let mut guests = [Guest::new(false)];
        driver.classic_group(&mut guests);
        let mut client = Client::new("c", &["t"]);
        let response = driver.call(client.full());
        if upgrades {
            assert_eq!(response.error_code, ErrorCode::NONE, "{policy}")
        } else {
            assert_eq!(response.error_code, ErrorCode::GROUP_ID_NOT_FOUND, "{policy}");
            let message =
                "Cannot upgrade classic group g to consumer group because online upgrade is disabled.";
            assert_eq!(response.error_message.as_deref(), Some(message));
            assert_eq!(
                driver.beat_guest(&guests[0]),
                ErrorCode::NONE,
                "the classic group continues"
            );
        }
        let mut driver = Driver::with(&properties);
        driver.create("t", 2);
        driver.beat(&mut client);
        let mut guest = Guest::new(false);
        let code = driver.join_guest(&mut guest);
        if !joins {
            assert_eq!(code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL, "{policy}");
            continue;
        }
        assert_eq!(code, ErrorCode::MEMBER_ID_REQUIRED, "{policy}");
        assert_eq!(driver.join_guest(&mut guest), ErrorCode::NONE);
        assert_eq!(driver.leave(&client), ErrorCode::NONE);
        let expected = if downgrades {
            ("classic", "PreparingRebalance")
        } else {
            ("consumer", "Assigning")
        };
        assert_eq!(
            driver.listed(),
            (expected.0.into(), expected.1.into()),
            "{policy}"
        );
        assert_eq!(driver.beat_guest(&guest), ErrorCode::REBALANCE_IN_PROGRESS);
    }
}

#[test]
fn a_group_that_cannot_be_upgraded_stays_as_it_is() {
    type Change = fn(&mut JoinGroupRequest, &mut Bytes);
    let malformed: Change = |join, _| join.protocols[0].metadata = Bytes::from_static(b"\0\x03\0\0\0\x09");
    let short: Change = |join, _| join.protocols[0].metadata = Bytes::new();
    let other: Change = |join, _| join.protocol_type = "connect".into();
    let bad_assignment: Change = |_, given| *given = Bytes::from_static(b"one");
    let user_data: Change = |_, given| *given = Bytes::from_static(b"\0\x01\0\0\0\0\0\0\0\x01x");
    for (change, limit, code, reason) in [
        (
            malformed,
            "9",
            ErrorCode::GROUP_ID_NOT_FOUND,
            "the embedded consumer protocol is malformed",
        ),
        (
            short,
            "9",
            ErrorCode::GROUP_ID_NOT_FOUND,
            "the embedded consumer protocol is malformed",
        ),
        (
            bad_assignment,
            "9",
            ErrorCode::GROUP_ID_NOT_FOUND,
            "the embedded consumer protocol is malformed",
        ),
        (
            user_data,
            "9",
            ErrorCode::GROUP_ID_NOT_FOUND,
            "an unsupported custom assignor is in use",
        ),
        (
            other,
            "9",
            ErrorCode::GROUP_ID_NOT_FOUND,
            "the group does not use the consumer embedded protocol",
        ),
        (
            (|_, _| {}) as Change,
            "1",
            ErrorCode::GROUP_MAX_SIZE_REACHED,
            "maximum capacity of 1 members",
        ),
    ] {
        let mut driver = Driver::with(&[("group.consumer.max.size", limit)]);
        driver.create("t", 1);
        let mut guest = Guest::new(false);
        let mut given = Bytes::new();
        let mut request = guest.request(&driver);
        change(&mut request, &mut given);
        let id = driver.call_version(JOIN, request.clone()).member_id;
        request.member_id = id.clone();
        let joined = driver.park(JOIN, request.clone());
        let joined = driver.taken::<JoinGroupRequest>(JOIN, joined).unwrap();
        (guest.id, guest.generation) = (id.to_string(), joined.generation_id);
        let sync = SyncGroupRequest {
            protocol_type: Some(request.protocol_type),
            protocol_name: joined.protocol_name,
            assignments: vec![sync_group::SyncGroupRequestAssignment {
                member_id: id,
                assignment: given,
            }],
            ..driver.guest_sync(&guest)
        };
        assert_eq!(driver.call_version(SYNC, sync).error_code, ErrorCode::NONE);
        let response = driver.call(Client::new("c", &["t"]).full());
        assert_eq!(response.error_code, code, "{reason}");
        assert!(
            response.error_message.unwrap_or_default().contains(reason),
            "{reason}"
        );
        assert_eq!(driver.beat_guest(&guest), ErrorCode::NONE, "{reason}");
    }
}

#[test]
fn an_empty_group_takes_the_protocol_of_the_first_member() {
    let mut driver = Driver::with(&[("group.consumer.migration.policy", "disabled")]);
    driver.create("t", 2);
    let mut guests = [Guest::new(false)];
    driver.classic_group(&mut guests);
    driver.leave_by_request(&[(guests[0].id.as_str(), None)]);
    let mut client = Client::new("c", &["t"]);
    assert_eq!(driver.beat(&mut client), ErrorCode::NONE);
    assert_eq!((client.epoch, client.wanted.len()), (2, 2));
    assert_eq!(driver.leave(&client), ErrorCode::NONE);
    assert_eq!(driver.listed(), ("consumer".into(), "Empty".into()));
    let mut again = [Guest::new(false)];
    driver.classic_group(&mut again);
    assert_eq!(driver.listed(), ("classic".into(), "Stable".into()));
    assert_eq!((again[0].generation, again[0].owned.len()), (1, 2));
}

/// The last member of the new protocol goes, by wish, by silence, or because an administrator removes it.
#[test]
fn a_group_becomes_classic_again_when_its_last_new_member_has_gone() {
    for (how, is_cooperative) in [
        ("leave", false),
        ("leave", true),
        ("silence", true),
        ("request", false),
    ] {
        let mut driver = Driver::new();
        let (mut guest, mut client) = mixed(&mut driver, is_cooperative);
        let (id, generation) = (guest.id.clone(), guest.generation);
        match how {
            "leave" => assert_eq!(driver.leave(&client), ErrorCode::NONE),
            "request" => assert_eq!(driver.leave_by_request(&[("c", None)]), [ErrorCode::NONE]),
            _ => {
                for _ in 0..9 {
                    driver.advance(5_000);
                    driver.beat_guest(&guest);
                }
            }
        }
        assert_eq!(
            driver.listed(),
            ("classic".into(), "PreparingRebalance".into()),
            "{how}"
        );
        assert_eq!(driver.beat(&mut client), ErrorCode::GROUP_ID_NOT_FOUND);
        assert_eq!(driver.beat_guest(&guest), ErrorCode::REBALANCE_IN_PROGRESS);
        let join = driver.park(JOIN, guest.request(&driver));
        driver.complete_rebalance(std::slice::from_mut(&mut guest), vec![join]);
        assert_eq!(
            (guest.id.as_str(), guest.generation),
            (id.as_str(), generation + 1)
        );
        assert_eq!(guest.owned.len(), 4);
        assert_eq!(driver.listed(), ("classic".into(), "Stable".into()));
    }
}

#[test]
fn a_group_that_is_larger_than_a_classic_one_may_be_does_not_become_one() {
    let mut driver = Driver::with(&[("group.max.size", "1")]);
    let (mut guest, client) = mixed(&mut driver, false);
    let mut other = Guest::new(false);
    assert_eq!(driver.join_guest(&mut other), ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!(driver.join_guest(&mut other), ErrorCode::NONE);
    driver.leave(&client);
    assert_eq!(driver.listed(), ("consumer".into(), "Assigning".into()));
    assert_eq!(driver.beat_guest(&guest), ErrorCode::REBALANCE_IN_PROGRESS);
    driver.follow(&mut guest);
    assert_eq!(
        driver.leave_by_request(&[(other.id.as_str(), None)]),
        [ErrorCode::NONE]
    );
    assert_eq!(
        driver.listed(),
        ("classic".into(), "PreparingRebalance".into()),
        "one is few enough"
    );
}

#[test]
fn a_static_member_takes_its_place_under_another_protocol() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    let mut guests = [Guest::of_instance("i")];
    driver.classic_group(&mut guests);
    let [old] = guests;
    let mut client = Client::new("c", &["t"]);
    let with_instance = |client: &Client| ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        ..client.full()
    };
    let response = driver.call(with_instance(&client));
    assert_eq!(client.take(response), ErrorCode::NONE);
    assert_eq!(
        (client.epoch, numbers(&client.wanted)),
        (1, vec![0, 1]),
        "no rebalance"
    );
    client.reconcile();
    for code in [driver.beat_guest(&old), driver.sync_guest(&mut old.clone())] {
        assert_eq!(code, ErrorCode::FENCED_INSTANCE_ID);
    }
    assert_eq!(driver.listed(), ("consumer".into(), "Stable".into()));
    // And back, without having left: it is the last one, so the group becomes a classic one without a rebalance.
    let mut guest = Guest::of_instance("i");
    assert_eq!(driver.join_guest(&mut guest), ErrorCode::NONE);
    assert_eq!(driver.listed(), ("classic".into(), "Stable".into()));
    assert_eq!(guest.generation, 1);
    assert_eq!(driver.sync_guest(&mut guest), ErrorCode::NONE);
    assert_eq!(numbers(&guest.owned), [0, 1]);
    assert_eq!(driver.beat_guest(&guest), ErrorCode::NONE);
    let mut late = driver.call(with_instance(&client));
    assert_eq!(late.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    // A member that takes the place of one that is still there is refused among new ones only.
    late = driver.call(with_instance(&Client::new("d", &["t"])));
    assert_eq!(late.error_code, ErrorCode::NONE);
    late = driver.call(with_instance(&Client::new("e", &["t"])));
    assert_eq!(late.error_code, ErrorCode::UNRELEASED_INSTANCE_ID);
    assert_eq!(
        driver.leave_by_request(&[("", Some("i")), ("", Some("x"))]),
        [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID]
    );
}

/// A static member that comes back as a classic one while others still have to give up what it is to get: the classic
/// group begins with a rebalance, because only that establishes who owns what.
#[test]
fn a_downgrade_in_the_middle_of_a_change_rebalances() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    let mut guests = [Guest::new(true)];
    driver.classic_group(&mut guests);
    let [mut guest] = guests;
    let client = ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        ..Client::new("c", &["t"]).full()
    };
    assert_eq!(driver.call(client).error_code, ErrorCode::NONE);
    let mut back = Guest::of_instance("i");
    assert_eq!(driver.join_guest(&mut back), ErrorCode::NONE);
    assert_eq!(driver.listed(), ("classic".into(), "PreparingRebalance".into()));
    assert_ne!(
        driver.sync_guest(&mut back),
        ErrorCode::NONE,
        "it owns nothing yet"
    );
    let joins = vec![
        driver.park(JOIN, guest.request(&driver)),
        driver.park(JOIN, back.request(&driver)),
    ];
    let mut both = [guest.clone(), back.clone()];
    driver.complete_rebalance(&mut both, joins);
    [guest, back] = both;
    assert!(guest.owned.is_disjoint(&back.owned));
}
