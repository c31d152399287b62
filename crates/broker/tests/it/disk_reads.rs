//! Fetches of what is only on disk, read by jobs beside the broker.

use crate::driver::{Driver, newest};
use millstream_broker::{Answer, FetchReadJob, Ticket};
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
fn start(driver: &mut Driver, request: FetchRequest) -> (Ticket, FetchReadJob) {
    let Answer::Pending(ticket) = driver.submit(newest(ApiKey::Fetch), request) else {
        panic!("answered without the disk");
    };
    (ticket, driver.broker.take_read().expect("the disk is needed"))
}

fn finish(driver: &mut Driver, job: FetchReadJob) {
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
fn what_is_in_memory_needs_no_job() {
    let mut driver = on_disk();
    driver.broker.defer_reads();
    let offset = driver.append("t", 0, &["tail"]);
    let data = driver.fetch("t", 0, offset, 0);
    assert!(data.records.is_some_and(|records| !records.is_empty()));
    assert!(driver.broker.take_read().is_none());
}

#[test]
fn what_happens_to_a_log_while_it_is_read_is_answered() {
    let mut driver = on_disk();
    driver.broker.defer_reads();
    let request = driver.fetch_request("t", 0, 0);
    let (ticket, job) = start(&mut driver, request.clone());
    driver.call(DeleteTopicsRequest {
        topics: vec![delete_topics::DeleteTopicState {
            name: Some("t".into()),
            ..Default::default()
        }],
        ..Default::default()
    });
    driver.broker.request_checkpoint();
    driver.settle();
    finish(&mut driver, job);
    let data = taken(&mut driver, ticket).unwrap();
    assert_eq!(data.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let mut driver = on_disk();
    driver.broker.defer_reads();
    let request = driver.fetch_request("t", 0, 0);
    let (ticket, job) = start(&mut driver, request);
    let partition = delete_records::DeleteRecordsPartition {
        partition_index: 0,
        offset: -1,
    };
    driver.call(DeleteRecordsRequest {
        topics: vec![delete_records::DeleteRecordsTopic {
            name: "t".into(),
            partitions: vec![partition],
        }],
        timeout_ms: 1000,
    });
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
