//! Requests for what is only on disk, read by jobs beside the broker.

use crate::driver::{Driver, batch, newest, response};
use millstream_broker::{DiskReadJob, Progress, Ticket};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ApiKey, ErrorCode};

/// A broker whose topic `t` has ten batches in segments and none in memory.
fn on_disk() -> Driver {
    let mut driver = Driver::new();
    driver.create("t", 2);
    for number in 0..10 {
        driver.append("t", 0, &[&format!("value {number}")]);
    }
    driver.restart();
    driver
}

/// Submits a fetch that has to wait for the disk.
fn start(driver: &mut Driver, request: FetchRequest) -> (Ticket, DiskReadJob) {
    let Progress::Pending(ticket) = driver.submit(newest(ApiKey::Fetch), request) else {
        panic!("completed without the disk");
    };
    (ticket, driver.broker.take_read().expect("the disk is needed"))
}

fn finish(driver: &mut Driver, job: DiskReadJob) {
    let outcome = job.run();
    driver.broker.on_read(driver.now, outcome);
    driver.settle();
}

fn taken(driver: &mut Driver, ticket: Ticket) -> Option<fetch::PartitionData> {
    let response = driver.taken::<FetchRequest>(newest(ApiKey::Fetch), ticket)?;
    Some(response.responses.into_iter().next()?.partitions.remove(0))
}

#[test]
fn a_job_reads_what_the_broker_would_have_read() {
    let mut driver = on_disk();
    for (offset, max_bytes) in [(0, 1 << 20), (3, 1 << 20), (9, 1 << 20), (0, 1), (5, 200)] {
        for isolation in [0, 1] {
            let mut request = driver.fetch_request("t", 0, offset);
            request.topics[0].partitions[0].partition_max_bytes = max_bytes;
            request.isolation_level = isolation;
            let mut inline = driver.call(request.clone());
            let expected = inline.responses.remove(0).partitions.remove(0);
            assert!(
                expected
                    .records
                    .as_ref()
                    .is_some_and(|records| !records.is_empty())
            );
            driver.broker.defer_reads();
            let (ticket, job) = start(&mut driver, request);
            finish(&mut driver, job);
            assert_eq!(
                taken(&mut driver, ticket),
                Some(expected),
                "offset {offset}, {max_bytes} bytes"
            );
            driver.restart();
        }
    }
}

#[test]
fn one_response_holds_a_few_mebibytes_of_segments_unless_min_bytes_is_larger() {
    let mut driver = Driver::new();
    driver.create("t", 6);
    let value = "x".repeat(900_000);
    for partition in 0..6 {
        driver.append("t", partition, &[&value]);
    }
    driver.restart();
    driver.broker.defer_reads();
    let mut request = driver.fetch_request("t", 0, 0);
    request.max_wait_ms = 1000;
    request.max_bytes = 50 << 20;
    request.topics[0].partitions[0].partition_max_bytes = 1 << 20;
    let first = request.topics[0].partitions[0].clone();
    for partition in 1..6 {
        let other = fetch::FetchPartition {
            partition,
            ..first.clone()
        };
        request.topics[0].partitions.push(other);
    }
    for (min_bytes, expected) in [(1, 4), (4 << 20, 4), (5_000_000, 6)] {
        request.min_bytes = min_bytes;
        let (ticket, job) = start(&mut driver, request.clone());
        finish(&mut driver, job);
        let response = driver.taken::<FetchRequest>(newest(ApiKey::Fetch), ticket);
        let partitions = response
            .expect("a response without a delay")
            .responses
            .remove(0)
            .partitions;
        let given = partitions
            .iter()
            .filter(|part| part.records.as_ref().is_some_and(|records| !records.is_empty()));
        assert_eq!(given.count(), expected, "at least {min_bytes} bytes");
    }
}

#[test]
fn what_is_in_memory_needs_no_job() {
    let mut driver = on_disk();
    driver.broker.defer_reads();
    let offset = driver.append("t", 0, &["tail"]);
    let data = driver.fetch("t", 0, offset, 0);
    assert!(data.records.is_some_and(|records| !records.is_empty()));
    assert!(driver.broker.take_read().is_none());
}

#[test]
fn changes_of_a_log_during_a_read_show_in_the_response() {
    let mut driver = on_disk();
    driver.broker.defer_reads();
    let request = driver.fetch_request("t", 0, 0);
    let (ticket, job) = start(&mut driver, request.clone());
    driver.delete_topic("t");
    driver.broker.request_checkpoint();
    driver.settle();
    finish(&mut driver, job);
    let data = taken(&mut driver, ticket).unwrap();
    assert_eq!(data.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let mut driver = on_disk();
    driver.broker.defer_reads();
    let request = driver.fetch_request("t", 0, 0);
    let (ticket, job) = start(&mut driver, request);
    driver.delete_records("t", &[0], -1);
    driver.broker.request_checkpoint();
    driver.settle();
    finish(&mut driver, job);
    let data = taken(&mut driver, ticket).unwrap();
    assert_eq!(data.error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn a_fetch_that_wants_more_than_the_disk_has_waits_for_it() {
    let mut driver = on_disk();
    driver.broker.defer_reads();
    let mut request = driver.fetch_request("t", 0, 8);
    (request.min_bytes, request.max_wait_ms) = (250, 10_000);
    let (ticket, job) = start(&mut driver, request.clone());
    finish(&mut driver, job);
    assert_eq!(taken(&mut driver, ticket), None);
    driver.append("t", 0, &["more".repeat(50).as_str()]);
    let job = driver.broker.take_read().expect("it is read again");
    finish(&mut driver, job);
    let data = taken(&mut driver, ticket).unwrap();
    assert!(
        data.records.is_some_and(|records| records.len() >= 100),
        "what segments have"
    );

    // What is appended while segments are read is not missed, and time ends the wait as well.
    request.min_bytes = 1 << 20;
    let (ticket, job) = start(&mut driver, request);
    driver.append("t", 0, &["meanwhile"]);
    finish(&mut driver, job);
    let again = driver.broker.take_read().expect("the log has moved");
    driver.advance(10_000);
    assert_eq!(taken(&mut driver, ticket), None);
    finish(&mut driver, again);
    assert!(taken(&mut driver, ticket).is_some());
}

#[test]
fn a_fetch_that_is_read_when_the_listeners_close_gets_what_there_is() {
    let mut driver = on_disk();
    driver.broker.defer_reads();
    let mut request = driver.fetch_request("t", 0, 8);
    (request.min_bytes, request.max_wait_ms) = (250, 10_000);
    let (waiting, job) = start(&mut driver, request.clone());
    finish(&mut driver, job);
    let (reading, job) = start(&mut driver, request.clone());
    driver.broker.end_waits_of_fetches();
    let again = driver.broker.take_read().expect("what there is, is on disk");
    let (new, last) = start(&mut driver, request);
    for job in [job, again, last] {
        finish(&mut driver, job);
    }
    for ticket in [waiting, reading, new] {
        let data = taken(&mut driver, ticket).expect("completed");
        assert!(data.records.is_some_and(|records| !records.is_empty()));
    }
}

/// What ListOffsets gives for these timestamps of partitions 0 and 1, at once or by a job that is run after `meanwhile`.
fn list_offsets(
    driver: &mut Driver,
    timestamps: [i64; 2],
    meanwhile: impl FnOnce(&mut Driver),
) -> Vec<(ErrorCode, i64, i64)> {
    let partition = |partition_index: usize| list_offsets::ListOffsetsPartition {
        partition_index: partition_index as i32,
        current_leader_epoch: -1,
        timestamp: timestamps[partition_index],
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![list_offsets::ListOffsetsTopic {
            name: "t".into(),
            partitions: vec![partition(0), partition(1)],
        }],
        ..Default::default()
    };
    let version = newest(ApiKey::ListOffsets);
    let response = match driver.submit(version, request) {
        Progress::Ready(reply) => response::<ListOffsetsRequest>(version, reply).unwrap(),
        Progress::Pending(ticket) => {
            let job = driver.broker.take_read().expect("the disk is needed");
            assert!(driver.taken::<ListOffsetsRequest>(version, ticket).is_none());
            meanwhile(driver);
            finish(driver, job);
            driver
                .taken::<ListOffsetsRequest>(version, ticket)
                .expect("it was searched")
        }
    };
    let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
    partitions
        .map(|each| (each.error_code, each.timestamp, each.offset))
        .collect()
}

/// Five batches with two records each in segments of partition 0, the third with the greatest time; two in those of
/// partition 1 and one in memory.
fn with_times() -> Driver {
    let mut driver = Driver::new();
    driver.create("t", 2);
    for (partition, times) in [(0, &[100, 101, 900, 103, 104][..]), (1, &[100, 101])] {
        for time in times {
            let batch = batch(*time, &["a", "b"]);
            assert_eq!(driver.produce("t", partition, batch).0, ErrorCode::NONE);
        }
    }
    driver.restart();
    assert_eq!(driver.produce("t", 1, batch(102, &["c"])).0, ErrorCode::NONE);
    driver
}

const MAX_TIMESTAMP: i64 = -3;

#[test]
fn offsets_by_time_are_searched_beside_the_broker() {
    for timestamps in [
        [0, 0],
        [101, 102],
        [102, 101],
        [900, 1],
        [10_000, 10_000],
        [MAX_TIMESTAMP, MAX_TIMESTAMP],
        [-1, 101],
        [-2, -1],
    ] {
        let expected = list_offsets(&mut with_times(), timestamps, |_| ());
        let mut driver = with_times();
        driver.broker.defer_reads();
        let found = list_offsets(&mut driver, timestamps, |driver| {
            driver.append("t", 0, &["meanwhile"]);
        });
        assert_eq!(found, expected, "{timestamps:?}");
    }
    let mut driver = with_times();
    driver.broker.defer_reads();
    let found = list_offsets(&mut driver, [MAX_TIMESTAMP, 102], |_| ());
    assert_eq!((found[0].1, found[0].2), (900, 4));
    assert_eq!((found[1].1, found[1].2), (102, 4));
}

/// Also a batch in memory may have to be inflated, which can take long.
#[test]
fn offsets_by_time_in_memory_are_searched_beside_the_broker() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    for time in [100, 200] {
        assert_eq!(driver.produce("t", 0, batch(time, &["a"])).0, ErrorCode::NONE);
    }
    driver.broker.defer_reads();
    for (timestamp, expected, is_searched) in [
        (150, (200, 1), true),
        (MAX_TIMESTAMP, (200, 1), true),
        (-1, (-1, 2), false),
        (-2, (-1, 0), false),
    ] {
        let mut has_waited = false;
        let found = list_offsets(&mut driver, [timestamp, -1], |_| has_waited = true);
        assert_eq!((found[0].1, found[0].2), expected, "timestamp {timestamp}");
        assert_eq!(has_waited, is_searched, "timestamp {timestamp}");
    }
}

#[test]
fn a_search_of_segments_that_go_away_is_done_again() {
    let mut driver = with_times();
    driver.broker.defer_reads();
    let found = list_offsets(&mut driver, [101, MAX_TIMESTAMP], |driver| {
        driver.delete_records("t", &[0, 1], -1);
        driver.broker.request_checkpoint();
        driver.settle();
    });
    // The batch in memory was found when it still was there.
    assert_eq!(found, [(ErrorCode::NONE, -1, -1), (ErrorCode::NONE, 102, 4)]);

    let mut driver = with_times();
    driver.broker.defer_reads();
    let found = list_offsets(&mut driver, [101, -1], |driver| {
        driver.delete_topic("t");
        driver.broker.request_checkpoint();
        driver.settle();
    });
    assert_eq!(found[0].0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn the_greatest_time_of_a_segment_that_begins_below_the_start_is_looked_for() {
    for is_deferred in [false, true] {
        let mut driver = with_times();
        if is_deferred {
            driver.broker.defer_reads();
        }
        driver.delete_records("t", &[0], 7);
        let found = list_offsets(&mut driver, [MAX_TIMESTAMP, -1], |_| ());
        assert_eq!((found[0].1, found[0].2), (104, 8), "deferred: {is_deferred}");
    }
}
