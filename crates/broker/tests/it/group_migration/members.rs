//! Classic members in a group of the new protocol: timeouts, restarts, fencing; and what configures groups.

use super::*;

#[test]
fn classic_members_are_removed_when_they_are_late() {
    // (what it does, when it is gone)
    for (what, gone_after_ms) in [
        ("silent", SESSION_MS),
        ("no join", REBALANCE_MS),
        ("no sync", REBALANCE_MS),
    ] {
        let mut driver = Driver::new();
        let (mut guest, mut client) = mixed(&mut driver, false);
        if what != "silent" {
            client.topics.push("u");
            driver.create("u", 1);
            driver.beat(&mut client);
            assert_eq!(driver.beat_guest(&guest), ErrorCode::REBALANCE_IN_PROGRESS);
        }
        if what == "no sync" {
            driver.advance(1_000);
            assert_eq!(driver.join_guest(&mut guest), ErrorCode::NONE);
        }
        let mut waited_ms = 0;
        while waited_ms + 5_000 < gone_after_ms {
            waited_ms += 5_000;
            driver.advance(5_000);
            client.reconcile();
            driver.beat(&mut client);
            if what != "silent" {
                assert_ne!(
                    driver.beat_guest(&guest),
                    ErrorCode::UNKNOWN_MEMBER_ID,
                    "{what} after {waited_ms}"
                );
            }
        }
        driver.advance(5_000);
        assert_eq!(driver.beat_guest(&guest), ErrorCode::UNKNOWN_MEMBER_ID, "{what}");
        driver.beat(&mut client);
        assert!(client.wanted.len() >= 4, "{what}: the other one gets all");
    }
}

#[test]
fn a_mixed_group_survives_a_restart() {
    for has_checkpoint in [false, true] {
        let mut driver = Driver::new();
        driver.create("t", 4);
        let mut guests = [Guest::new(true)];
        driver.classic_group(&mut guests);
        let [mut guest] = guests;
        let mut client = Client::new("c", &["t"]);
        driver.beat(&mut client);
        assert_eq!(driver.join_guest(&mut guest), ErrorCode::NONE);
        assert_eq!(driver.sync_guest(&mut guest), ErrorCode::NONE);
        let before = driver.state();
        if has_checkpoint {
            driver.restart()
        } else {
            driver.crash()
        }
        assert_eq!(driver.state(), before);
        driver.beat(&mut client);
        assert_eq!(
            client.wanted.len(),
            0,
            "the classic member has not given anything up yet"
        );
        driver.follow(&mut guest);
        driver.beat(&mut client);
        assert_eq!((guest.owned.len(), client.wanted.len()), (2, 2));
        // The rebalance of a downgrade survives as well.
        client.reconcile();
        driver.leave(&client);
        if has_checkpoint {
            driver.restart()
        } else {
            driver.crash()
        }
        assert_eq!(driver.listed(), ("classic".into(), "PreparingRebalance".into()));
        assert_eq!(driver.beat_guest(&guest), ErrorCode::REBALANCE_IN_PROGRESS);
        let join = driver.park(JOIN, guest.request(&driver));
        driver.complete_rebalance(std::slice::from_mut(&mut guest), vec![join]);
        assert_eq!(guest.owned.len(), 4);
    }
}

#[test]
fn generations_and_epochs_fence() {
    let mut driver = Driver::new();
    let (mut guest, mut client) = mixed(&mut driver, true);
    let (id, generation) = (guest.id.clone(), guest.generation);
    for (wrong, code) in [
        (
            Guest {
                generation: generation + 1,
                ..guest.clone()
            },
            ErrorCode::ILLEGAL_GENERATION,
        ),
        (
            Guest {
                generation: generation - 1,
                ..guest.clone()
            },
            ErrorCode::ILLEGAL_GENERATION,
        ),
        (
            Guest {
                id: "stranger".into(),
                ..guest.clone()
            },
            ErrorCode::UNKNOWN_MEMBER_ID,
        ),
        (
            Guest {
                instance: Some("i"),
                ..guest.clone()
            },
            ErrorCode::UNKNOWN_MEMBER_ID,
        ),
        (
            Guest {
                id: "c".into(),
                generation: client.epoch,
                ..guest.clone()
            },
            ErrorCode::UNKNOWN_MEMBER_ID,
        ),
    ] {
        assert_eq!(driver.beat_guest(&wrong), code);
        assert_eq!(driver.sync_guest(&mut wrong.clone()), code);
    }
    let other = SyncGroupRequest {
        protocol_name: Some("sticky".into()),
        ..driver.guest_sync(&guest)
    };
    assert_eq!(
        driver.call_version(SYNC, other).error_code,
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL
    );
    let mut unknown = guest.request(&driver);
    unknown
        .protocols
        .iter_mut()
        .for_each(|protocol| protocol.name = "mine".into());
    assert_eq!(
        driver.call_version(JOIN, unknown).error_code,
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL
    );
    let mut malformed = guest.request(&driver);
    malformed.protocols[0].metadata = Bytes::from_static(b"x");
    assert_eq!(
        driver.call_version(JOIN, malformed).error_code,
        ErrorCode::UNKNOWN_SERVER_ERROR
    );
    // An older epoch will do for what the member has had since then, and for nothing else.
    let (has, has_not) = (numbers(&guest.owned)[0], numbers(&client.owned)[0]);
    client.topics.push("u");
    driver.create("u", 1);
    driver.beat(&mut client);
    driver.follow(&mut guest);
    assert!(guest.generation > generation && numbers(&guest.owned).contains(&has));
    for (member, epoch, partition, code) in [
        (id.as_str(), guest.generation, has, ErrorCode::NONE),
        (id.as_str(), generation, has, ErrorCode::NONE),
        (id.as_str(), generation, has_not, ErrorCode::ILLEGAL_GENERATION),
        (id.as_str(), 0, has, ErrorCode::ILLEGAL_GENERATION),
        (
            id.as_str(),
            guest.generation + 1,
            has,
            ErrorCode::ILLEGAL_GENERATION,
        ),
        ("c", client.epoch, has_not, ErrorCode::NONE),
        ("c", client.epoch + 1, has_not, ErrorCode::STALE_MEMBER_EPOCH),
        ("c", 1, has_not, ErrorCode::STALE_MEMBER_EPOCH),
        ("d", client.epoch, has_not, ErrorCode::UNKNOWN_MEMBER_ID),
    ] {
        assert_eq!(
            driver.commit_offset(10, "t", (member, epoch), (partition, 1)),
            code,
            "{member} {epoch} {partition}"
        );
    }
    let by_classic = driver.commit_offset(8, "t", (&id, guest.generation), (has, 1));
    assert_eq!(by_classic, ErrorCode::NONE);
    let by_new = driver.commit_offset(8, "t", ("c", client.epoch), (has_not, 1));
    assert_eq!(by_new, ErrorCode::UNSUPPORTED_VERSION);
}

#[test]
fn classic_members_get_assignments_in_their_own_version() {
    for version in 0..=3 {
        let mut driver = Driver::new();
        driver.create("t", 1);
        let mut client = Client::new("c", &[]);
        driver.beat(&mut client);
        let mut guest = Guest {
            version,
            ..Guest::new(false)
        };
        assert_eq!(driver.join_guest(&mut guest), ErrorCode::MEMBER_ID_REQUIRED);
        assert_eq!(driver.join_guest(&mut guest), ErrorCode::NONE);
        assert_eq!(driver.sync_guest(&mut guest), ErrorCode::NONE);
        assert_eq!(numbers(&guest.owned), [0]);
    }
}

#[test]
fn configurations_of_a_group_and_of_the_broker_have_their_effect() {
    let mut driver = Driver::with(&[
        ("group.consumer.assignment.interval.ms", "10000"),
        ("group.consumer.assignors", "range"),
        ("group.consumer.max.size", "2"),
    ]);
    driver.create("t", 4);
    let set = |driver: &mut Driver, name: &str, value: &str| {
        let config = incremental_alter_configs::AlterableConfig {
            name: name.into(),
            value: Some(value.into()),
            config_operation: 0,
        };
        let resource = incremental_alter_configs::AlterConfigsResource {
            resource_type: 32,
            resource_name: "g".into(),
            configs: vec![config],
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource],
            validate_only: false,
        };
        driver.call(request).responses[0].error_code
    };
    assert_eq!(
        set(&mut driver, "consumer.session.timeout.ms", "1000"),
        ErrorCode::INVALID_CONFIG
    );
    assert_eq!(
        set(&mut driver, "consumer.heartbeat.interval.ms", "15001"),
        ErrorCode::INVALID_CONFIG
    );
    assert_eq!(
        set(&mut driver, "consumer.session.timeout.ms", "50000"),
        ErrorCode::NONE
    );
    assert_eq!(
        set(&mut driver, "consumer.heartbeat.interval.ms", "7000"),
        ErrorCode::NONE
    );
    let mut clients = [Client::new("a", &["t"]), Client::new("b", &["t"])];
    let response = driver.call(clients[0].full());
    assert_eq!(response.heartbeat_interval_ms, 7_000);
    clients[0].take(response);
    clients[0].reconcile();
    driver.beat(&mut clients[1]);
    assert_eq!(
        (clients[1].epoch, clients[1].wanted.len()),
        (2, 0),
        "the next assignment has to wait"
    );
    assert_eq!(driver.listed().1, "Assigning");
    assert_eq!(driver.state().assignor_name.as_str(), "range");
    let uniform = ConsumerGroupHeartbeatRequest {
        server_assignor: Some("uniform".into()),
        ..clients[0].full()
    };
    assert_eq!(driver.call(uniform).error_code, ErrorCode::UNSUPPORTED_ASSIGNOR);
    let third = driver.call(Client::new("d", &["t"]).full());
    assert_eq!(third.error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    let mut guest = Guest::of_instance("i");
    assert_eq!(driver.join_guest(&mut guest), ErrorCode::GROUP_MAX_SIZE_REACHED);
    driver.advance(10_000);
    for _ in 0..2 {
        for client in &mut clients {
            driver.beat(client);
            client.reconcile();
        }
    }
    assert_eq!(
        clients.map(|client| numbers(&client.owned)),
        [vec![0, 1], vec![2, 3]]
    );
    driver.advance(49_000);
    assert_eq!(driver.state().members.len(), 2);
    driver.advance(1_000);
    assert_eq!(driver.state().members.len(), 0);
    let mut classic_only = Driver::with(&[("group.coordinator.rebalance.protocols", "classic")]);
    let refused = classic_only.call(Client::new("a", &["t"]).full());
    assert_eq!(refused.error_code, ErrorCode::UNSUPPORTED_VERSION);
}
