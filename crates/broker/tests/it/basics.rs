//! Topics, produce, fetch, offsets: what every client needs.

use crate::driver::{Driver, batch, batch_of, creation, newest, producer};
use millstream_broker::{Progress, Reply};
use millstream_kafka_wire::compression::{Codec, Compressor};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::{
    BatchBuilder, BatchProducer, HEADER_SIZE, RecordBatch, recompute_crc,
};
use millstream_kafka_wire::varint::write_varint;
use millstream_kafka_wire::{ApiKey, ErrorCode, KafkaString, Request};

#[test]
fn topics_are_created_described_and_survive_a_crash() {
    let mut driver = Driver::new();
    let id = driver.create("flights", 3);
    driver.append("flights", 2, &["a", "b"]);
    driver.crash();
    let response = driver.call(MetadataRequest {
        topics: None,
        ..Default::default()
    });
    assert_eq!(response.topics.len(), 1);
    assert_eq!(
        (response.topics[0].topic_id, response.topics[0].partitions.len()),
        (id, 3)
    );
    assert!(!response.cluster_id.unwrap().is_empty());
    assert_eq!(driver.values("flights", 2, false), ["a", "b"]);
    driver.restart();
    assert_eq!(driver.values("flights", 2, false), ["a", "b"]);
    assert_eq!(driver.append("flights", 2, &["c"]), 2);
}

#[test]
fn metadata_creates_topics_if_it_may() {
    let ask = |driver: &mut Driver, name: &str, may: bool| {
        let topics = vec![metadata::MetadataRequestTopic {
            name: Some(name.into()),
            ..Default::default()
        }];
        let request = MetadataRequest {
            topics: Some(topics),
            allow_auto_topic_creation: may,
            ..Default::default()
        };
        driver.call(request).topics.remove(0)
    };
    let mut driver = Driver::with(&[("num.partitions", "4")]);
    assert_eq!(
        ask(&mut driver, "new", false).error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    // The response that creates it does not know it yet: clients see that it was not there, and ask again.
    assert_eq!(
        ask(&mut driver, "new", true).error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(ask(&mut driver, "new", true).partitions.len(), 4);
    driver.context.is_internal = true;
    assert_eq!(ask(&mut driver, "inside", true).partitions.len(), 4);
    driver.context.is_internal = false;
    assert_eq!(
        ask(&mut driver, "no way", true).error_code,
        ErrorCode::INVALID_TOPIC_EXCEPTION
    );
    let mut driver = Driver::with(&[("auto.create.topics.enable", "false")]);
    assert_eq!(
        ask(&mut driver, "new", true).error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

#[test]
fn creation_is_refused_with_a_reason() {
    let mut driver = Driver::new();
    driver.create("a.b", 1);
    for (name, partitions, replicas, config, code) in [
        (
            "a.b",
            1,
            1,
            ("retention.ms", "5"),
            ErrorCode::TOPIC_ALREADY_EXISTS,
        ),
        (
            "a_b",
            1,
            1,
            ("retention.ms", "5"),
            ErrorCode::INVALID_TOPIC_EXCEPTION,
        ),
        (
            "",
            1,
            1,
            ("retention.ms", "5"),
            ErrorCode::INVALID_TOPIC_EXCEPTION,
        ),
        ("x", 0, 1, ("retention.ms", "5"), ErrorCode::INVALID_PARTITIONS),
        (
            "x",
            1,
            0,
            ("retention.ms", "5"),
            ErrorCode::INVALID_REPLICATION_FACTOR,
        ),
        ("x", 1, 1, ("retention.ms", "soon"), ErrorCode::INVALID_CONFIG),
        ("x", 1, 1, ("nonsense", "1"), ErrorCode::INVALID_CONFIG),
    ] {
        let configs = vec![create_topics::CreatableTopicConfig {
            name: config.0.into(),
            value: Some(config.1.into()),
        }];
        let topic = create_topics::CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: replicas,
            configs,
            ..Default::default()
        };
        let response = driver.call(CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        });
        assert_eq!(response.topics[0].error_code, code, "{name:?}");
        assert!(response.topics[0].error_message.is_some());
    }
}

#[test]
fn a_topic_made_again_has_another_id_and_old_ids_are_unknown() {
    let mut driver = Driver::new();
    let old = driver.create("t", 1);
    driver.append("t", 0, &["old"]);
    let fetch_old = driver.fetch_request("t", 0, 0);
    let produce_old = driver.produce_request("t", 0, batch(0, &["late"]));
    let response = driver.delete_topic("t");
    assert_eq!(
        (response.responses[0].error_code, response.responses[0].topic_id),
        (ErrorCode::NONE, old)
    );
    let new = driver.create("t", 1);
    assert_ne!(old, new);
    let response = driver.call(fetch_old);
    assert_eq!(
        response.responses[0].partitions[0].error_code,
        ErrorCode::UNKNOWN_TOPIC_ID
    );
    let mut produce_old = produce_old;
    produce_old.topic_data[0].name = KafkaString::EMPTY;
    let response = driver.call(produce_old);
    assert_eq!(
        response.responses[0].partition_responses[0].error_code,
        ErrorCode::UNKNOWN_TOPIC_ID
    );
    assert_eq!(driver.values("t", 0, false), Vec::<String>::new());
    driver.crash();
    assert_eq!(driver.topic_id("t"), new);
}

#[test]
fn odd_batches_are_refused_as_kafka_does() {
    let mut driver = Driver::with(&[("message.max.bytes", "2000")]);
    driver.create("t", 1);
    let good = batch(driver.now, &["a", "b"]);
    let edit = |at: usize, with: &[u8], fix_crc: bool| {
        let mut bytes = good.to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        if fix_crc {
            millstream_kafka_wire::record_batch::recompute_crc(&mut bytes);
        }
        bytes::Bytes::from(bytes)
    };
    let two = bytes::Bytes::from([good.as_ref(), good.as_ref()].concat());
    let transactional = BatchProducer {
        transactional: true,
        ..BatchProducer::NONE
    };
    let large = "x".repeat(3000);
    let unknown_codec = edit(21, &[0, 7], true);
    for (name, bytes, code) in [
        ("good", good.clone(), ErrorCode::NONE),
        ("wrong crc", edit(70, &[1], false), ErrorCode::CORRUPT_MESSAGE),
        ("wrong magic", edit(16, &[1], false), ErrorCode::INVALID_RECORD),
        (
            "lying count",
            edit(57, &9i32.to_be_bytes(), true),
            ErrorCode::INVALID_RECORD,
        ),
        (
            "lying delta",
            edit(23, &9i32.to_be_bytes(), true),
            ErrorCode::INVALID_RECORD,
        ),
        (
            "no records",
            edit(57, &0i32.to_be_bytes(), true),
            ErrorCode::INVALID_RECORD,
        ),
        (
            "control batch",
            edit(21, &[0, 0x30], true),
            ErrorCode::INVALID_RECORD,
        ),
        ("two batches", two, ErrorCode::INVALID_RECORD),
        ("nothing", bytes::Bytes::new(), ErrorCode::INVALID_RECORD),
        ("unknown codec", unknown_codec, ErrorCode::UNKNOWN_SERVER_ERROR),
        ("cut off", good.slice(..70), ErrorCode::INVALID_RECORD),
        ("a few bytes", good.slice(..10), ErrorCode::INVALID_RECORD),
        (
            "zeros",
            bytes::Bytes::from_static(&[0; 100]),
            ErrorCode::CORRUPT_MESSAGE,
        ),
        (
            "a magic to come",
            edit(16, &[3], false),
            ErrorCode::CORRUPT_MESSAGE,
        ),
        (
            "a base offset",
            edit(0, &55i64.to_be_bytes(), false),
            ErrorCode::INVALID_RECORD,
        ),
        (
            "transactional without id",
            batch_of(transactional, Codec::None, driver.now, &["a"]),
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ),
        (
            "too large",
            batch(driver.now, &[&large]),
            ErrorCode::MESSAGE_TOO_LARGE,
        ),
        (
            "from the future",
            batch(driver.now + 3_600_001, &["a"]),
            ErrorCode::INVALID_TIMESTAMP,
        ),
        (
            "a sequence without producer",
            edit(53, &7i32.to_be_bytes(), true),
            ErrorCode::NONE,
        ),
        (
            "a producer without epoch",
            edit(43, &[0, 0, 0, 0, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0], true),
            ErrorCode::NONE,
        ),
        (
            "a producer without sequence",
            edit(43, &[0, 0, 0, 0, 0, 0, 0, 8, 0, 0], true),
            ErrorCode::INVALID_RECORD,
        ),
    ] {
        assert_eq!(driver.produce("t", 0, bytes).0, code, "{name}");
    }
}

#[test]
fn records_without_a_key_are_named_by_compacted_topics() {
    let mut driver = Driver::new();
    driver.create_with("compacted", 1, &[("cleanup.policy", "compact")]);
    for codec in [Codec::None, Codec::Gzip] {
        let mut builder = millstream_kafka_wire::record_batch::BatchBuilder::new(codec);
        for index in 0..30 {
            let key = Some(&b"k"[..]).filter(|_| index % 10 != 1);
            builder.append(driver.now, key, Some(b"v"), &[]);
        }
        let bytes = builder.build(&mut Default::default()).unwrap();
        let request = driver.produce_request("compacted", 0, bytes.into());
        let response = driver.call(request);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ErrorCode::INVALID_RECORD);
        assert!(partition.error_message.is_some());
        let indexes: Vec<i32> = partition.record_errors.iter().map(|e| e.batch_index).collect();
        assert_eq!(indexes, [1, 11, 21], "{codec:?}");
    }
    assert_eq!(driver.values("compacted", 0, false), Vec::<String>::new());
}

#[test]
fn acknowledgements_are_none_or_after_the_disk() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let request = |driver: &Driver, acks: i16, bytes: bytes::Bytes| {
        let mut request = driver.produce_request("t", 0, bytes);
        request.topic_data[0].name = KafkaString::EMPTY;
        request.acks = acks;
        request
    };
    let good = batch(0, &["a"]);
    let silent = request(&driver, 0, good.clone());
    assert_eq!(driver.reply(13, silent), Reply::Silent);
    let bad = request(&driver, 0, good.slice(..50));
    assert_eq!(driver.reply(13, bad), Reply::Close);
    let two = request(&driver, 2, good.clone());
    let response = driver.call(two);
    assert_eq!(
        response.responses[0].partition_responses[0].error_code,
        ErrorCode::INVALID_REQUIRED_ACKS
    );
    for acks in [1, -1] {
        let waiting = request(&driver, acks, good.clone());
        assert!(
            matches!(driver.submit(13, waiting), Progress::Pending(_)),
            "completed before it is durable"
        );
    }
}

#[test]
fn a_topic_is_not_told_of_before_the_disk_has_it() {
    let mut driver = Driver::new();
    let everything = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let requests: [Request; 3] = [creation("t").into(), creation("t").into(), everything.into()];
    let mut tickets = Vec::new();
    for request in requests {
        let key = request.api_key();
        match driver.submit(newest(key), request) {
            Progress::Pending(ticket) => tickets.push(ticket),
            Progress::Ready(reply) => panic!("completed before it is durable: {reply:?}"),
        }
    }
    driver.settle();
    let version = newest(ApiKey::CreateTopics);
    let codes = tickets[..2].iter().map(|ticket| {
        let response = driver.taken::<CreateTopicsRequest>(version, *ticket).unwrap();
        response.topics[0].error_code
    });
    let codes: Vec<_> = codes.collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::TOPIC_ALREADY_EXISTS]);
}

/// Each record has its time: that of the batch is only what they are told from.
#[test]
fn records_that_are_too_old_are_refused_and_not_batches() {
    let mut driver = Driver::new();
    driver.create_with("t", 1, &[("message.timestamp.before.max.ms", "1000")]);
    let now = driver.now;
    let of = |times: &[i64]| {
        let mut builder = BatchBuilder::new(Codec::None);
        for time in times {
            builder.append(*time, None, Some(b"a"), &[]);
        }
        builder.build(&mut Compressor::default()).unwrap()
    };
    // One record, whose time counts from 0.
    let mut delta = Vec::new();
    write_varint(&mut delta, now as i32);
    let mut from_0 = of(&[0]);
    let longer = delta.len() - 1;
    from_0[11] += longer as u8;
    from_0[35..43].copy_from_slice(&now.to_be_bytes());
    from_0[HEADER_SIZE] += 2 * longer as u8;
    from_0.splice(HEADER_SIZE + 2..HEADER_SIZE + 3, delta);
    recompute_crc(&mut from_0);
    for (batch, expected) in [
        (of(&[now, now - 1_001]), ErrorCode::INVALID_TIMESTAMP),
        (of(&[now, now - 1_001, now]), ErrorCode::INVALID_TIMESTAMP),
        (of(&[0]), ErrorCode::INVALID_TIMESTAMP),
        (of(&[now, now - 1_000]), ErrorCode::NONE),
        (of(&[-1, now, -1]), ErrorCode::NONE),
        (of(&[-1]), ErrorCode::NONE),
        (from_0, ErrorCode::NONE),
    ] {
        let read = RecordBatch::read(&batch.clone().into()).unwrap();
        let data = read.records_data(&mut Default::default(), 1_000).unwrap();
        let times = read.records(&data).map(|record| record.unwrap().timestamp);
        let times: Vec<i64> = times.collect();
        assert_eq!(driver.produce("t", 0, batch.into()).0, expected, "{times:?}");
    }
}

#[test]
fn duplicates_are_recognised_after_crash_restart_and_deletion_of_their_segments() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let id = driver.call(InitProducerIdRequest {
        transactional_id: None,
        ..Default::default()
    });
    let records = |sequence: i32| batch_of(producer(id.producer_id, 0, sequence), Codec::Lz4, 0, &["a", "b"]);
    assert_eq!(driver.produce("t", 0, records(0)), (ErrorCode::NONE, 0));
    assert_eq!(driver.produce("t", 0, records(2)), (ErrorCode::NONE, 2));
    assert_eq!(driver.produce("t", 0, records(2)), (ErrorCode::NONE, 2));
    driver.crash();
    assert_eq!(driver.produce("t", 0, records(2)), (ErrorCode::NONE, 2));
    driver.restart();
    assert_eq!(driver.produce("t", 0, records(0)), (ErrorCode::NONE, 0));
    assert_eq!(driver.delete_records("t", &[0], -1)[0].low_watermark, 4);
    driver.restart();
    assert_eq!(driver.produce("t", 0, records(2)), (ErrorCode::NONE, 2));
    assert_eq!(
        driver.produce("t", 0, records(6)).0,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
    );
    assert_eq!(driver.produce("t", 0, records(4)), (ErrorCode::NONE, 4));
    let other = driver.call(InitProducerIdRequest {
        transactional_id: None,
        ..Default::default()
    });
    assert_ne!(other.producer_id, id.producer_id, "ids are not given out twice");
}

#[test]
fn a_fetch_waits_for_data_and_no_longer() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    let mut request = driver.fetch_request("t", 1, 0);
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    let woken = driver.park(18, request.clone());
    let expiring = driver.park(18, driver.fetch_request_waiting("t", 0, 400));
    driver.append("t", 1, &["a"]);
    let response = driver
        .taken::<FetchRequest>(18, woken)
        .expect("woken by the append");
    assert_eq!(response.responses[0].partitions[0].high_watermark, 1);
    driver.advance(399);
    assert!(driver.taken::<FetchRequest>(18, expiring).is_none());
    driver.advance(1);
    let response = driver.taken::<FetchRequest>(18, expiring).expect("expired");
    assert_eq!(
        response.responses[0].partitions[0]
            .records
            .as_ref()
            .map(bytes::Bytes::len),
        Some(0)
    );
    request.min_bytes = 10_000;
    let mut big = request.clone();
    big.topics[0].partitions[0].fetch_offset = 0;
    let big = driver.park(18, big);
    driver.append("t", 1, &["b"]);
    assert!(
        driver.taken::<FetchRequest>(18, big).is_none(),
        "not enough bytes yet"
    );
    driver.append("t", 1, &[&"c".repeat(10_000)]);
    assert!(driver.taken::<FetchRequest>(18, big).is_some());
}

#[test]
fn no_fetch_waits_when_the_listeners_close() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    driver.append("t", 0, &["a"]);
    let mut request = driver.fetch_request_waiting("t", 0, 60_000);
    request.min_bytes = 10_000;
    let waiting = driver.park(18, request.clone());
    driver.broker.end_waits_of_fetches();
    driver.settle();
    let completed = driver.taken::<FetchRequest>(18, waiting).expect("completed");
    for response in [completed, driver.call_version(18, request)] {
        let records = response.responses[0].partitions[0].records.as_ref();
        assert!(
            records.is_some_and(|records| !records.is_empty()),
            "what there is"
        );
    }
}

impl Driver {
    fn fetch_request_waiting(&self, topic: &str, partition: i32, wait_ms: i32) -> FetchRequest {
        FetchRequest {
            max_wait_ms: wait_ms,
            min_bytes: 1,
            ..self.fetch_request(topic, partition, 0)
        }
    }
}

#[test]
fn fetch_returns_at_least_one_batch_and_accepts_odd_limits() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    driver.append("t", 0, &["one", "two"]);
    driver.append("t", 0, &["three"]);
    for (max_bytes, partition_max, code, batches) in [
        (1, 1 << 20, ErrorCode::NONE, 1),
        (1 << 20, 0, ErrorCode::NONE, 1),
        (1 << 20, 1 << 20, ErrorCode::NONE, 2),
        (-1, 1 << 20, ErrorCode::UNKNOWN_SERVER_ERROR, 0),
    ] {
        let mut request = driver.fetch_request("t", 0, 1);
        request.max_bytes = max_bytes;
        request.topics[0].partitions[0].partition_max_bytes = partition_max;
        let data = driver.call(request).responses.remove(0).partitions.remove(0);
        let found = millstream_kafka_wire::record_batch::batches(data.records.unwrap_or_default()).count();
        assert_eq!(
            (data.error_code, found),
            (code, batches),
            "{max_bytes} {partition_max}"
        );
        assert!(
            data.aborted_transactions.is_none(),
            "read_uncommitted must get null"
        );
    }
    for offset in [-1, 4] {
        assert_eq!(
            driver.fetch("t", 0, offset, 0).error_code,
            ErrorCode::OFFSET_OUT_OF_RANGE
        );
    }
}

#[test]
fn offsets_are_listed_in_every_version() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    for (version, leader_epoch) in [(1, -1), (3, -1), (4, 0), (11, 0)] {
        let partition = list_offsets::ListOffsetsPartition {
            timestamp: -1,
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![list_offsets::ListOffsetsTopic {
                name: "t".into(),
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        let response = driver.call_version::<ListOffsetsRequest>(version, request);
        let found = &response.topics[0].partitions[0];
        assert_eq!(
            (found.offset, found.leader_epoch),
            (0, leader_epoch),
            "version {version}"
        );
    }
}

#[test]
fn offsets_are_listed_by_time() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    for (timestamp, values) in [(100, &["a", "b"][..]), (300, &["c"]), (200, &["d"])] {
        driver.produce(
            "t",
            0,
            batch_of(BatchProducer::NONE, Codec::Gzip, timestamp, values),
        );
    }
    for (timestamp, expected) in [
        (-2, (0, -1)),
        (-1, (4, -1)),
        (-3, (2, 300)),
        (0, (0, 100)),
        (101, (2, 300)),
        (300, (2, 300)),
        (301, (-1, -1)),
    ] {
        assert_eq!(
            driver.list_offset("t", 0, timestamp, 0),
            expected,
            "timestamp {timestamp}"
        );
    }
    driver.restart();
    assert_eq!(driver.list_offset("t", 0, 101, 0), (2, 300));
}

#[test]
fn retention_shortens_a_partition_and_it_stays_so() {
    let mut driver = Driver::with(&[("log.retention.check.interval.ms", "1000")]);
    driver.create_with("t", 1, &[("retention.ms", "5000")]);
    driver.append("t", 0, &["old"]);
    driver.restart();
    driver.advance(60_000);
    assert_eq!(driver.offset_at("t", 0, -2), 1);
    driver.restart();
    assert_eq!(
        (driver.offset_at("t", 0, -2), driver.offset_at("t", 0, -1)),
        (1, 1)
    );
    assert_eq!(driver.append("t", 0, &["new"]), 1);
}

/// No response waits for it, and still it is durable after the next commit.
#[test]
fn records_without_acknowledgement_are_synced_with_the_next_commit() {
    let mut driver = Driver::new();
    driver.create_with("t", 1, &[("flush.messages", "1000"), ("flush.ms", "60000")]);
    let mut request = driver.produce_request("t", 0, batch(driver.now, &["a"]));
    request.acks = 0;
    assert!(matches!(
        driver.submit(9, request),
        Progress::Ready(Reply::Silent)
    ));
    let commit = driver.broker.take_commit(driver.now).expect("a commit at once");
    driver.broker.on_commit(commit.run()).unwrap();
    driver.crash();
    assert_eq!(driver.values("t", 0, false), ["a"]);
}
