//! Fetch sessions: partitions are told once and then only when they have news; epochs, eviction and restarts.

use crate::driver::{Driver, batch, newest};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ApiKey, ErrorCode, KafkaString};

/// The response to a fetch: its session, and its partitions with their sizes.
type Told = (ErrorCode, i32, Vec<(i32, usize)>);

fn asked(driver: &Driver, topic: &str, offsets: &[(i32, i64)]) -> Vec<fetch::FetchTopic> {
    let partitions = offsets.iter().map(|(partition, offset)| fetch::FetchPartition {
        partition: *partition,
        fetch_offset: *offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    });
    let partitions: Vec<_> = partitions.collect();
    if partitions.is_empty() {
        return Vec::new();
    }
    vec![fetch::FetchTopic {
        topic_id: driver.topic_id(topic),
        partitions,
        ..Default::default()
    }]
}

fn request(session: (i32, i32), topics: Vec<fetch::FetchTopic>) -> FetchRequest {
    FetchRequest {
        session_id: session.0,
        session_epoch: session.1,
        max_bytes: 1 << 20,
        topics,
        ..Default::default()
    }
}

fn told(response: FetchResponse) -> Told {
    let size = |part: &fetch::PartitionData| part.records.as_ref().map_or(0, |records| records.len());
    let parts = response.responses.iter().flat_map(|topic| &topic.partitions);
    let parts = parts.map(|part| (part.partition_index, size(part))).collect();
    (response.error_code, response.session_id, parts)
}

fn fetch(driver: &mut Driver, session: (i32, i32), offsets: &[(i32, i64)]) -> Told {
    let topics = asked(driver, "t", offsets);
    told(driver.call(request(session, topics)))
}

fn with_topic() -> Driver {
    let mut driver = Driver::new();
    driver.create("t", 3);
    driver
}

#[test]
fn a_session_tells_of_news_only() {
    let mut driver = with_topic();
    let (code, id, parts) = fetch(&mut driver, (0, 0), &[(0, 0), (1, 0), (2, 0)]);
    assert_eq!((code, parts), (ErrorCode::NONE, vec![(0, 0), (1, 0), (2, 0)]));
    assert_ne!(id, 0);
    assert_eq!(fetch(&mut driver, (id, 1), &[]), (ErrorCode::NONE, id, vec![]));
    driver.append("t", 1, &["a"]);
    let size = batch(driver.now, &["a"]).len();
    assert_eq!(
        fetch(&mut driver, (id, 2), &[]),
        (ErrorCode::NONE, id, vec![(1, size)])
    );
    // The offset is still the old one, so that the same is reported again; then the client moves on.
    assert_eq!(
        fetch(&mut driver, (id, 3), &[]),
        (ErrorCode::NONE, id, vec![(1, size)])
    );
    assert_eq!(
        fetch(&mut driver, (id, 4), &[(1, 1)]),
        (ErrorCode::NONE, id, vec![])
    );
}

#[test]
fn partitions_with_data_are_read_last_the_next_time() {
    let mut driver = with_topic();
    let (_, id, _) = fetch(&mut driver, (0, 0), &[(0, 0), (1, 0), (2, 0)]);
    for partition in [0, 1, 2] {
        driver.append("t", partition, &["a"]);
    }
    let size = batch(driver.now, &["a"]).len();
    let one_batch = |epoch| FetchRequest {
        max_bytes: 1,
        ..request((id, epoch), Vec::new())
    };
    let mut order = Vec::new();
    for epoch in 1..4 {
        let (_, _, parts) = told(driver.call(one_batch(epoch)));
        order.extend(
            parts
                .into_iter()
                .filter(|(_, bytes)| *bytes == size)
                .map(|(partition, _)| partition),
        );
    }
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn errors_are_told_until_they_are_over_and_forgotten_partitions_no_more() {
    let mut driver = with_topic();
    let (_, id, parts) = fetch(&mut driver, (0, 0), &[(0, 0), (1, 7)]);
    assert_eq!(parts, [(0, 0), (1, 0)]);
    let topics = asked(&driver, "t", &[]);
    let response = driver.call(request((id, 1), topics));
    let part = &response.responses[0].partitions[0];
    assert_eq!(
        (part.partition_index, part.error_code),
        (1, ErrorCode::OFFSET_OUT_OF_RANGE)
    );
    assert_eq!(response.responses[0].partitions.len(), 1);
    // Over: the partition is reported once more, with its offsets.
    assert_eq!(fetch(&mut driver, (id, 2), &[(1, 0)]).2, [(1, 0)]);
    assert_eq!(fetch(&mut driver, (id, 3), &[]).2, []);
    let forgotten = fetch::ForgottenTopic {
        topic: KafkaString::EMPTY,
        topic_id: driver.topic_id("t"),
        partitions: vec![1],
    };
    let mut forgetting = request((id, 4), Vec::new());
    forgetting.forgotten_topics_data = vec![forgotten];
    assert_eq!(told(driver.call(forgetting)), (ErrorCode::NONE, id, vec![]));
    driver.append("t", 1, &["a"]);
    assert_eq!(fetch(&mut driver, (id, 5), &[]).2, []);
}

#[test]
fn unknown_sessions_wrong_epochs_and_other_topic_names_are_refused() {
    let mut driver = with_topic();
    let refused = |code| (code, 0, vec![]);
    assert_eq!(
        fetch(&mut driver, (77, 1), &[]),
        refused(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
    );
    let (_, id, _) = fetch(&mut driver, (0, 0), &[(0, 0)]);
    assert_eq!(
        fetch(&mut driver, (id, 2), &[]),
        refused(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
    );
    let by_name = driver.call_version::<FetchRequest>(12, request((id, 1), Vec::new()));
    assert_eq!(by_name.error_code, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
    assert_eq!(fetch(&mut driver, (id, 1), &[]), (ErrorCode::NONE, id, vec![]));
    // The last epoch closes it and reads without a session.
    assert_eq!(
        fetch(&mut driver, (id, -1), &[(0, 0)]),
        (ErrorCode::NONE, 0, vec![(0, 0)])
    );
    assert_eq!(
        fetch(&mut driver, (id, 2), &[]),
        refused(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
    );
}

#[test]
fn a_session_does_not_outlive_the_broker() {
    let mut driver = with_topic();
    let (_, id, _) = fetch(&mut driver, (0, 0), &[(0, 0)]);
    driver.crash();
    let (code, _, _) = fetch(&mut driver, (id, 1), &[]);
    assert_eq!(code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn sessions_give_way_when_they_are_stale_or_old_and_smaller() {
    let mut driver = Driver::with(&[("max.incremental.fetch.session.cache.slots", "2")]);
    driver.create("t", 3);
    let begin = |driver: &mut Driver, offsets: &[(i32, i64)]| fetch(driver, (0, 0), offsets).1;
    let small = begin(&mut driver, &[(0, 0)]);
    let large = begin(&mut driver, &[(0, 0), (1, 0)]);
    assert_eq!(
        begin(&mut driver, &[(0, 0), (1, 0), (2, 0)]),
        0,
        "both are new and in use"
    );
    driver.advance(100_000);
    assert_eq!(fetch(&mut driver, (small, 1), &[]).0, ErrorCode::NONE);
    assert_eq!(fetch(&mut driver, (large, 1), &[]).0, ErrorCode::NONE);
    driver.advance(30_000);
    assert_eq!(
        begin(&mut driver, &[(2, 0)]),
        0,
        "it is not larger than the smallest"
    );
    let third = begin(&mut driver, &[(0, 0), (2, 0)]);
    assert_ne!(third, 0);
    let (code, _, _) = fetch(&mut driver, (small, 2), &[]);
    assert_eq!(
        code,
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
        "the small one gave way"
    );
    driver.advance(100_000);
    let fourth = begin(&mut driver, &[(2, 0)]);
    assert_ne!(fourth, 0);
    let (code, _, _) = fetch(&mut driver, (large, 2), &[]);
    assert_eq!(
        code,
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
        "the large one was stale"
    );
}

#[test]
fn no_slots_mean_no_sessions() {
    let mut driver = Driver::with(&[("max.incremental.fetch.session.cache.slots", "0")]);
    driver.create("t", 3);
    assert_eq!(
        fetch(&mut driver, (0, 0), &[(0, 0)]),
        (ErrorCode::NONE, 0, vec![(0, 0)])
    );
}

#[test]
fn a_fetch_of_a_session_waits_for_data_and_for_the_deletion_of_its_topic() {
    let mut driver = with_topic();
    let version = newest(ApiKey::Fetch);
    let (_, id, _) = fetch(&mut driver, (0, 0), &[(0, 0), (1, 0)]);
    let long_poll = |epoch| FetchRequest {
        max_wait_ms: 10_000,
        min_bytes: 1,
        ..request((id, epoch), Vec::new())
    };
    let ticket = driver.park(version, long_poll(1));
    driver.append("t", 1, &["a"]);
    let size = batch(driver.now, &["a"]).len();
    let result = driver.taken::<FetchRequest>(version, ticket).unwrap();
    assert_eq!(told(result), (ErrorCode::NONE, id, vec![(1, size)]));
    fetch(&mut driver, (id, 2), &[(1, 1)]);

    let ticket = driver.park(version, long_poll(3));
    driver.advance(10_000);
    let result = driver.taken::<FetchRequest>(version, ticket).unwrap();
    assert_eq!(told(result), (ErrorCode::NONE, id, vec![]));

    let ticket = driver.park(version, long_poll(4));
    driver.delete_topic("t");
    let result = driver.taken::<FetchRequest>(version, ticket).unwrap();
    let codes: Vec<_> = result.responses[0]
        .partitions
        .iter()
        .map(|part| part.error_code)
        .collect();
    assert_eq!(codes, [ErrorCode::UNKNOWN_TOPIC_ID; 2]);
}

#[test]
fn a_second_fetch_of_a_session_takes_it_from_the_one_that_waits() {
    let mut driver = with_topic();
    let version = newest(ApiKey::Fetch);
    let (_, id, _) = fetch(&mut driver, (0, 0), &[(0, 0)]);
    let ticket = driver.park(
        version,
        FetchRequest {
            max_wait_ms: 10_000,
            min_bytes: 1,
            ..request((id, 1), Vec::new())
        },
    );
    assert_eq!(fetch(&mut driver, (id, 2), &[]), (ErrorCode::NONE, id, vec![]));
    driver.append("t", 0, &["a"]);
    let result = driver.taken::<FetchRequest>(version, ticket).unwrap();
    assert_eq!(told(result), (ErrorCode::INVALID_FETCH_SESSION_EPOCH, id, vec![]));
}

#[test]
fn a_partition_that_is_named_twice_is_read_once_as_it_was_named_last() {
    let mut driver = with_topic();
    driver.append("t", 0, &["a"]);
    driver.append("t", 0, &["b"]);
    driver.append("t", 1, &["c"]);
    let size = batch(driver.now, &["b"]).len();
    for epoch in [0, -1] {
        let offsets = [(2, 0), (0, 0), (1, 0), (0, 7), (1, 1), (0, 1)];
        let (code, id, parts) = fetch(&mut driver, (0, epoch), &offsets);
        assert_eq!(
            (code, parts),
            (ErrorCode::NONE, vec![(2, 0), (0, size), (1, 0)]),
            "epoch {epoch}"
        );
        if epoch == 0 {
            assert_eq!(fetch(&mut driver, (id, 1), &[]).2, [(0, size)]);
        }
    }
}

/// Partitions missing when a fetch arrived are not looked up with each commit, and are reported last.
#[test]
fn a_fetch_that_waits_keeps_what_it_was_refused() {
    let version = newest(ApiKey::Fetch);
    for is_of_session in [false, true] {
        let mut driver = with_topic();
        let mut session = (0, -1);
        if is_of_session {
            let (_, id, parts) = fetch(&mut driver, (0, 0), &[(9, 0), (0, 0), (3, 0)]);
            assert_eq!(parts, [(0, 0), (9, 0), (3, 0)]);
            session = (id, 1);
        }
        let topics = asked(&driver, "t", &[(9, 0), (0, 0), (3, 0)]);
        let ticket = driver.park(
            version,
            FetchRequest {
                max_wait_ms: 10_000,
                min_bytes: 1,
                ..request(session, topics)
            },
        );
        let more = driver.call(CreatePartitionsRequest {
            topics: vec![create_partitions::CreatePartitionsTopic {
                name: "t".into(),
                count: 4,
                assignments: None,
            }],
            ..Default::default()
        });
        assert_eq!(more.results[0].error_code, ErrorCode::NONE);
        driver.append("t", 3, &["c"]);
        assert!(driver.taken::<FetchRequest>(version, ticket).is_none());
        driver.append("t", 0, &["a"]);
        let result = driver.taken::<FetchRequest>(version, ticket).unwrap();
        let parts: Vec<_> = result.responses[0]
            .partitions
            .iter()
            .map(|part| (part.partition_index, part.error_code))
            .collect();
        assert_eq!(
            parts,
            [
                (0, ErrorCode::NONE),
                (9, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                (3, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            ]
        );
        // The next one finds what is there by now.
        let (session, offsets) = if is_of_session {
            ((session.0, 2), &[][..])
        } else {
            ((0, -1), &[(3, 0)][..])
        };
        let (_, _, parts) = fetch(&mut driver, session, offsets);
        let size = batch(driver.now, &["c"]).len();
        assert!(parts.contains(&(3, size)), "{parts:?}");
    }
}
