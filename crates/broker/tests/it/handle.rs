//! The broker on its threads.

use crate::driver::{batch, context};
use millstream_broker::{BrokerConfig, BrokerHandle};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString, Response};
use millstream_testkit::storage::{Fault, MemStorage, Operation};
use millstream_types::{SeededRng, SystemClock};
use std::sync::Arc;
use std::sync::mpsc::channel;

fn start(storage: &MemStorage) -> BrokerHandle {
    let rng = Arc::new(SeededRng::new(7));
    BrokerHandle::start(
        BrokerConfig::default(),
        Arc::new(storage.clone()),
        rng,
        Arc::new(SystemClock),
    )
    .unwrap()
}

fn create(handle: &BrokerHandle) -> millstream_kafka_wire::Uuid {
    let topic = create_topics::CreatableTopic {
        name: "t".into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    handle.call(&context(), request).unwrap().topics[0].topic_id
}

fn produce(topic_id: millstream_kafka_wire::Uuid, records: bytes::Bytes) -> ProduceRequest {
    let partition_data = vec![produce::PartitionProduceData {
        index: 0,
        records: Some(records),
    }];
    let topic_data = vec![produce::TopicProduceData {
        topic_id,
        name: KafkaString::EMPTY,
        partition_data,
    }];
    ProduceRequest {
        acks: -1,
        topic_data,
        ..Default::default()
    }
}

fn fetch(topic_id: millstream_kafka_wire::Uuid, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = fetch::FetchPartition {
        fetch_offset: offset,
        current_leader_epoch: -1,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topics = vec![fetch::FetchTopic {
        topic_id,
        partitions: vec![partition],
        ..Default::default()
    }];
    FetchRequest {
        max_wait_ms: wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics,
        ..Default::default()
    }
}

#[test]
fn produced_records_are_fetched_by_a_waiting_reader_and_survive_a_stop() {
    let storage = MemStorage::new();
    let handle = start(&storage);
    let topic_id = create(&handle);
    let (sender, replies) = channel();
    handle
        .submit(context(), 18, fetch(topic_id, 0, 60_000), move |reply| {
            _ = sender.send(reply)
        })
        .unwrap();
    let records = batch(0, &["one", "two"]);
    let produced = handle
        .call(&context(), produce(topic_id, records.clone()))
        .unwrap();
    assert_eq!(
        produced.responses[0].partition_responses[0].error_code,
        ErrorCode::NONE
    );
    let millstream_broker::Reply::Response(response) = replies.recv().unwrap() else {
        panic!("no response")
    };
    let Response::Fetch(response) = *response else {
        panic!("not a fetch")
    };
    assert_eq!(
        response.responses[0].partitions[0].records.as_ref().unwrap()[21..],
        records[21..]
    );
    handle.stop().unwrap();
    let handle = start(&storage);
    let response = handle.call(&context(), fetch(topic_id, 1, 0)).unwrap();
    assert_eq!(response.responses[0].partitions[0].high_watermark, 2);
    handle.stop().unwrap();
    assert!(handle.call(&context(), fetch(topic_id, 1, 0)).is_err());
}

#[test]
fn a_failed_sync_closes_the_connections_that_wait_and_is_reported() {
    let storage = MemStorage::new();
    let handle = start(&storage);
    let topic_id = create(&handle);
    let kind = std::io::ErrorKind::Other;
    storage.fail(Fault {
        operation: Operation::Sync,
        after: 0,
        kind,
        torn_bytes: 0,
        sticky: false,
    });
    assert!(
        handle
            .call(&context(), produce(topic_id, batch(0, &["lost"])))
            .is_err()
    );
    assert!(handle.failure().is_some());
    let response = handle
        .call(&context(), produce(topic_id, batch(0, &["refused"])))
        .unwrap();
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert!(handle.stop().is_err());
}

#[test]
fn ten_thousand_partitions_are_created_and_found_again() {
    let storage = MemStorage::new();
    let handle = start(&storage);
    let topic = create_topics::CreatableTopic {
        name: "wide".into(),
        num_partitions: 10_000,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    assert_eq!(
        handle.call(&context(), request).unwrap().topics[0].error_code,
        ErrorCode::NONE
    );
    handle.stop().unwrap();
    let handle = start(&storage);
    let metadata = handle
        .call(
            &context(),
            MetadataRequest {
                topics: None,
                ..Default::default()
            },
        )
        .unwrap();
    assert_eq!(metadata.topics[0].partitions.len(), 10_000);
    handle.stop().unwrap();
}

#[test]
fn a_full_disk_refuses_producers_and_keeps_what_was_acknowledged() {
    let storage = MemStorage::new();
    let handle = start(&storage);
    let topic_id = create(&handle);
    let kept = batch(0, &["kept"]);
    let result = handle.call(&context(), produce(topic_id, kept.clone())).unwrap();
    assert_eq!(
        result.responses[0].partition_responses[0].error_code,
        ErrorCode::NONE
    );
    let used: usize = storage.files().iter().map(|(_, bytes)| bytes).sum();
    storage.set_capacity(Some(used));
    // More than the room that the file of the write-ahead log has.
    let large = "refused ".repeat(2_000);
    let waiting = handle.call(&context(), produce(topic_id, batch(0, &[&large])));
    assert!(
        waiting.is_err(),
        "its connection is closed: what is durable is unknown"
    );
    let refused = handle
        .call(&context(), produce(topic_id, batch(0, &["refused"])))
        .unwrap();
    let code = refused.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::KAFKA_STORAGE_ERROR);
    let error = handle.stop().unwrap_err().to_string();
    assert!(error.contains("free or repair the disk"), "{error}");
    storage.set_capacity(None);
    let handle = start(&storage);
    let fetched = handle.call(&context(), fetch(topic_id, 0, 0)).unwrap();
    let records = fetched.responses[0].partitions[0].records.as_ref().unwrap();
    assert_eq!(records[21..], kept[21..]);
    handle.stop().unwrap();
}

#[test]
fn requests_that_had_to_wait_for_a_checkpoint_keep_their_order_and_none_is_lost() {
    let handle = start(&MemStorage::new());
    let topic_id = create(&handle);
    let records = batch(0, &["v".repeat(100 << 10).as_str()]);
    let (sender, replies) = channel();
    let submit = |number: i64| {
        let sender = sender.clone();
        let done = move |reply| sender.send((number, reply)).unwrap();
        handle
            .submit(context(), 13, produce(topic_id, records.clone()), done)
            .unwrap();
    };
    // First more than the broker takes in at once, then as a client that continues with each response; in all much more than may
    // wait for segments.
    const AHEAD: i64 = 300;
    const REQUESTS: i64 = 3000;
    (0..AHEAD).for_each(&submit);
    for completed in 0..REQUESTS {
        let (number, reply) = replies.recv().unwrap();
        let millstream_broker::Reply::Response(response) = reply else {
            panic!("no response to {number}");
        };
        let response = ProduceResponse::try_from(*response).unwrap();
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(
            (partition.error_code, partition.base_offset),
            (ErrorCode::NONE, number)
        );
        if completed + AHEAD < REQUESTS {
            submit(completed + AHEAD);
        }
    }
}
