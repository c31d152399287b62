//! Transactions: both versions, crashes, timeouts, and the bugs that others had here.

use crate::driver::{Driver, batch_of};
use bytes::Bytes;
use millstream_kafka_wire::compression::Codec;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::BatchProducer;
use millstream_kafka_wire::{ErrorCode, KafkaString};

mod offsets;
mod prepared;
mod quarantine;

/// A transactional producer and its next sequence.
#[derive(Clone)]
struct Producer {
    id: &'static str,
    producer_id: i64,
    epoch: i16,
    sequence: i32,
}

const TIMEOUT_MS: i32 = 60_000;
/// The greatest epoch that a producer gets.
const EPOCH_MAX: i16 = 32_766;

type Restart = fn(&mut Driver);

/// What may happen to a broker between two requests.
const RESTARTS: [(&str, Restart); 3] = [
    ("no restart", |_| {}),
    ("a crash", Driver::crash),
    ("a checkpoint and a restart", Driver::restart),
];

impl Driver {
    fn init_request(&self, id: &str) -> InitProducerIdRequest {
        InitProducerIdRequest {
            transactional_id: Some(id.into()),
            transaction_timeout_ms: TIMEOUT_MS,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        }
    }

    fn init(&mut self, id: &'static str) -> Producer {
        let response = self.call_version(5, self.init_request(id));
        assert_eq!(response.error_code, ErrorCode::NONE);
        Producer {
            id,
            producer_id: response.producer_id,
            epoch: response.producer_epoch,
            sequence: 0,
        }
    }

    /// The instance of a new transactional id that has this epoch.
    fn init_to(&mut self, id: &'static str, last: i16) -> Producer {
        let mut producer = self.init(id);
        for epoch in producer.epoch + 1..=last {
            producer = self.init(id);
            assert_eq!(producer.epoch, epoch);
        }
        producer
    }

    /// Asks for another epoch as the producer that has this one (KIP-360).
    fn init_again(&mut self, producer: &Producer) -> InitProducerIdResponse {
        let request = InitProducerIdRequest {
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            ..self.init_request(producer.id)
        };
        self.call_version(5, request)
    }

    fn transactional(
        &mut self,
        version: i16,
        producer: &mut Producer,
        topic: &str,
        values: &[&str],
    ) -> ErrorCode {
        let batch_producer = BatchProducer {
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            base_sequence: producer.sequence,
            transactional: true,
        };
        let records = batch_of(batch_producer, Codec::None, self.now, values);
        let code = self.send(version, producer.id, topic, records);
        if code.is_none() {
            producer.sequence += values.len() as i32;
        }
        code
    }

    fn send(&mut self, version: i16, id: &str, topic: &str, records: Bytes) -> ErrorCode {
        let mut request = self.produce_request(topic, 0, records);
        request.transactional_id = Some(id.into());
        match version {
            13.. => request.topic_data[0].name = KafkaString::EMPTY,
            _ => request.topic_data[0].topic_id = millstream_kafka_wire::Uuid::ZERO,
        }
        self.call_version(version, request).responses[0].partition_responses[0].error_code
    }

    /// Ends with the new version; the producer continues with the raised epoch.
    fn end(&mut self, producer: &mut Producer, committed: bool) -> ErrorCode {
        let response = self.end_version(5, producer, committed);
        if response.error_code.is_none() {
            (producer.producer_id, producer.epoch) = (response.producer_id, response.producer_epoch);
            producer.sequence = 0;
        }
        response.error_code
    }

    fn end_version(&mut self, version: i16, producer: &Producer, committed: bool) -> EndTxnResponse {
        let request = EndTxnRequest {
            transactional_id: producer.id.into(),
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            committed,
        };
        self.call_version(version, request)
    }

    fn add_partitions(&mut self, producer: &Producer, topics: &[&str]) -> Vec<ErrorCode> {
        let topic = |name: &&str| add_partitions_to_txn::AddPartitionsToTxnTopic {
            name: (*name).into(),
            partitions: vec![0],
        };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: producer.id.into(),
            v3_and_below_producer_id: producer.producer_id,
            v3_and_below_producer_epoch: producer.epoch,
            v3_and_below_topics: topics.iter().map(topic).collect(),
            ..Default::default()
        };
        let response = self.call_version(3, request);
        let results = response.results_by_topic_v3_and_below.into_iter();
        results
            .map(|topic| topic.results_by_partition[0].partition_error_code)
            .collect()
    }

    fn commit_in(&mut self, version: i16, producer: &Producer, offset: i64) -> ErrorCode {
        let partitions = vec![txn_offset_commit::TxnOffsetCommitRequestPartition {
            committed_offset: offset,
            ..Default::default()
        }];
        let request = TxnOffsetCommitRequest {
            transactional_id: producer.id.into(),
            group_id: "g".into(),
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            topics: vec![txn_offset_commit::TxnOffsetCommitRequestTopic {
                name: "t".into(),
                partitions,
            }],
            ..Default::default()
        };
        self.call_version(version, request).topics[0].partitions[0].error_code
    }

    fn committed(&mut self, require_stable: bool) -> (ErrorCode, i64) {
        let topics = vec![offset_fetch::OffsetFetchRequestTopics {
            topic_id: self.topic_id("t"),
            partition_indexes: vec![0],
            ..Default::default()
        }];
        let group = offset_fetch::OffsetFetchRequestGroup {
            group_id: "g".into(),
            member_epoch: -1,
            topics: Some(topics),
            ..Default::default()
        };
        let response = self.call(OffsetFetchRequest {
            groups: vec![group],
            require_stable,
            ..Default::default()
        });
        let found = &response.groups[0].topics[0].partitions[0];
        (found.error_code, found.committed_offset)
    }
}

#[test]
fn committed_data_is_seen_and_aborted_data_is_not_also_after_a_crash() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    for (round, commit) in [(0, true), (1, false), (2, true)] {
        let value = format!("round {round}");
        assert_eq!(
            driver.transactional(13, &mut producer, "t", &[&value]),
            ErrorCode::NONE
        );
        assert_eq!(driver.end(&mut producer, commit), ErrorCode::NONE);
        assert_eq!(producer.epoch, round + 1);
    }
    driver.transactional(13, &mut producer, "t", &["open"]);
    for restart in [
        None,
        Some(Driver::crash as fn(&mut Driver)),
        Some(Driver::restart),
    ] {
        if let Some(restart) = restart {
            restart(&mut driver);
        }
        assert_eq!(driver.values("t", 0, true), ["round 0", "round 2"]);
        assert_eq!(
            driver.values("t", 0, false),
            ["round 0", "round 1", "round 2", "open"]
        );
        assert_eq!(
            driver.list_offset("t", 0, -1, 1).0,
            6,
            "the last stable offset is the open transaction's first"
        );
        assert_eq!(driver.list_offset("t", 0, -1, 0).0, 7);
    }
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    assert_eq!(driver.values("t", 0, true), ["round 0", "round 2", "open"]);
}

#[test]
fn a_read_committed_fetch_wakes_when_the_stable_offset_moves() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    driver.transactional(13, &mut producer, "t", &["a"]);
    let request = FetchRequest {
        isolation_level: 1,
        max_wait_ms: 10_000,
        min_bytes: 1,
        ..driver.fetch_request("t", 0, 0)
    };
    let ticket = driver.park(18, request);
    driver.end(&mut producer, true);
    let data = driver
        .taken::<FetchRequest>(18, ticket)
        .expect("woken")
        .responses
        .remove(0)
        .partitions
        .remove(0);
    assert_eq!(
        (
            data.last_stable_offset,
            data.aborted_transactions.map(|list| list.len())
        ),
        (2, Some(0))
    );
}

#[test]
fn the_list_of_aborted_transactions_covers_what_is_returned() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut first = driver.init("one");
    let mut second = driver.init("two");
    driver.transactional(13, &mut first, "t", &["a"]);
    driver.transactional(13, &mut second, "t", &["b"]);
    driver.end(&mut first, false);
    assert_eq!(
        driver
            .fetch("t", 0, 0, 1)
            .records
            .map(|records| records.len() > 61),
        Some(true),
        "first is decided"
    );
    let data = driver.fetch("t", 0, 0, 1);
    assert_eq!(data.last_stable_offset, 1, "second is open");
    assert_eq!(
        data.aborted_transactions.unwrap()[0].producer_id,
        first.producer_id
    );
    driver.end(&mut second, true);
    assert_eq!(driver.values("t", 0, true), ["b"]);
}

#[test]
fn version_one_needs_added_partitions_and_keeps_its_epoch() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    assert_eq!(
        driver.transactional(9, &mut producer, "t", &["a"]),
        ErrorCode::INVALID_TXN_STATE
    );
    assert_eq!(
        driver.transactional(11, &mut producer, "t", &["a"]),
        ErrorCode::TRANSACTION_ABORTABLE
    );
    let codes = driver.add_partitions(&producer, &["t", "missing"]);
    assert_eq!(
        codes,
        [
            ErrorCode::OPERATION_NOT_ATTEMPTED,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        ]
    );
    assert_eq!(driver.add_partitions(&producer, &["t"]), [ErrorCode::NONE]);
    assert_eq!(
        driver.transactional(9, &mut producer, "t", &["a"]),
        ErrorCode::NONE
    );
    assert_eq!(driver.end_version(4, &producer, true).error_code, ErrorCode::NONE);
    assert_eq!(
        driver.end_version(4, &producer, true).error_code,
        ErrorCode::NONE,
        "a retry gets the same response"
    );
    assert_eq!(
        driver.end_version(4, &producer, false).error_code,
        ErrorCode::INVALID_TXN_STATE
    );
    driver.add_partitions(&producer, &["t"]);
    assert_eq!(
        driver.transactional(9, &mut producer, "t", &["b"]),
        ErrorCode::NONE,
        "sequences continue"
    );
    let zombie = Producer {
        epoch: producer.epoch - 1,
        ..producer.clone()
    };
    assert_eq!(
        driver.end_version(4, &zombie, true).error_code,
        ErrorCode::PRODUCER_FENCED
    );
    assert_eq!(
        driver.end_version(1, &zombie, true).error_code,
        ErrorCode::INVALID_PRODUCER_EPOCH
    );
    let unknown = Producer {
        id: "other",
        ..producer.clone()
    };
    assert_eq!(
        driver.end_version(4, &unknown, true).error_code,
        ErrorCode::INVALID_PRODUCER_ID_MAPPING
    );
    let empty = Producer { id: "", ..producer };
    assert_eq!(
        driver.end_version(4, &empty, true).error_code,
        ErrorCode::INVALID_REQUEST
    );
}

#[test]
fn a_repeated_end_of_version_two_gives_the_new_epoch_and_a_late_one_hits_no_later_transaction() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    driver.transactional(13, &mut producer, "t", &["a"]);
    let before = producer.clone();
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    let again = driver.end_version(5, &before, true);
    assert_eq!(
        (again.error_code, again.producer_epoch),
        (ErrorCode::NONE, producer.epoch)
    );
    driver.crash();
    let again = driver.end_version(5, &before, true);
    assert_eq!(
        (again.error_code, again.producer_epoch),
        (ErrorCode::NONE, producer.epoch),
        "after a reload too"
    );
    assert_eq!(
        driver.end_version(5, &before, false).error_code,
        ErrorCode::INVALID_TXN_STATE
    );
    assert_eq!(
        driver.end_version(5, &producer, true).error_code,
        ErrorCode::INVALID_TXN_STATE,
        "nothing is open"
    );
    driver.transactional(13, &mut producer, "t", &["b"]);
    assert_eq!(
        driver.end_version(5, &before, true).error_code,
        ErrorCode::PRODUCER_FENCED,
        "a delayed request"
    );
    assert_eq!(
        driver.end_version(5, &before, false).error_code,
        ErrorCode::PRODUCER_FENCED
    );
    assert_eq!(driver.values("t", 0, true), ["a"]);
    assert_eq!(driver.end(&mut producer, false), ErrorCode::NONE);
    assert_eq!(
        driver.end(&mut producer, false),
        ErrorCode::NONE,
        "an abort of nothing raises the epoch"
    );
}

#[test]
fn a_late_batch_of_an_ended_transaction_opens_no_hanging_one() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    driver.transactional(13, &mut producer, "t", &["a"]);
    let mut late = producer.clone();
    driver.end(&mut producer, false);
    assert_eq!(
        driver.transactional(13, &mut late, "t", &["late"]),
        ErrorCode::INVALID_PRODUCER_EPOCH
    );
    let plain = BatchProducer {
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        base_sequence: 5,
        transactional: true,
    };
    let records = batch_of(plain, Codec::None, driver.now, &["x"]);
    assert_eq!(
        driver.send(13, "tx", "t", records),
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        "must start at 0"
    );
    assert_eq!(
        driver.list_offset("t", 0, -1, 1),
        driver.list_offset("t", 0, -1, 0)
    );
}

#[test]
fn a_new_instance_fences_the_old_and_aborts_its_transaction() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut old = driver.init("tx");
    driver.transactional(13, &mut old, "t", &["old"]);
    let mut new = driver.init("tx");
    assert_eq!((new.producer_id, new.epoch), (old.producer_id, old.epoch + 2));
    assert_eq!(
        driver.transactional(13, &mut old, "t", &["zombie"]),
        ErrorCode::INVALID_PRODUCER_EPOCH
    );
    assert_eq!(
        driver.end_version(4, &old, true).error_code,
        ErrorCode::PRODUCER_FENCED
    );
    driver.transactional(13, &mut new, "t", &["new"]);
    driver.end(&mut new, true);
    assert_eq!(driver.values("t", 0, true), ["new"]);
    let request = InitProducerIdRequest {
        producer_id: old.producer_id,
        producer_epoch: 0,
        ..driver.init_request("tx")
    };
    assert_eq!(
        driver.call_version(5, request.clone()).error_code,
        ErrorCode::PRODUCER_FENCED
    );
    assert_eq!(
        driver.call_version(3, request).error_code,
        ErrorCode::INVALID_PRODUCER_EPOCH
    );
    let current = InitProducerIdRequest {
        producer_id: new.producer_id,
        producer_epoch: new.epoch,
        ..driver.init_request("tx")
    };
    let raised = driver.call_version(5, current.clone());
    assert_eq!(
        (raised.error_code, raised.producer_epoch),
        (ErrorCode::NONE, new.epoch + 1)
    );
    let repeated = driver.call_version(5, current);
    assert_eq!(
        (repeated.error_code, repeated.producer_epoch),
        (ErrorCode::NONE, new.epoch + 1)
    );
}

#[test]
fn epochs_run_out_into_a_new_producer_id() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init_to("tx", EPOCH_MAX);
    let first_id = producer.producer_id;
    driver.transactional(13, &mut producer, "t", &["last epoch"]);
    let before = producer.clone();
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    assert!(producer.producer_id != first_id && producer.epoch == 0);
    let again = driver.end_version(5, &before, true);
    assert_eq!(
        (again.producer_id, again.producer_epoch),
        (producer.producer_id, 0),
        "the repeat too (KAFKA-18660)"
    );
    driver.transactional(13, &mut producer, "t", &["first epoch"]);
    driver.end(&mut producer, true);
    assert_eq!(driver.values("t", 0, true), ["last epoch", "first epoch"]);
}

#[test]
fn a_transaction_times_out_from_its_start_and_not_from_its_last_request() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    driver.transactional(13, &mut producer, "t", &["a"]);
    driver.advance(i64::from(TIMEOUT_MS) - 1_000);
    driver.transactional(13, &mut producer, "t", &["b"]);
    assert_eq!(driver.list_offset("t", 0, -1, 1).0, 0);
    driver.crash();
    driver.advance(1_000);
    assert_eq!(driver.list_offset("t", 0, -1, 1).0, 3);
    assert_eq!(driver.values("t", 0, true), Vec::<String>::new());
    assert_eq!(
        driver.end_version(4, &producer, true).error_code,
        ErrorCode::PRODUCER_FENCED
    );
    assert_eq!(
        driver.end_version(5, &producer, true).error_code,
        ErrorCode::INVALID_TXN_STATE
    );
    for timeout in [0, 900_001] {
        let request = InitProducerIdRequest {
            transaction_timeout_ms: timeout,
            ..driver.init_request("x")
        };
        assert_eq!(
            driver.call_version(5, request).error_code,
            ErrorCode::INVALID_TRANSACTION_TIMEOUT
        );
    }
}

#[test]
fn offsets_of_a_transaction_appear_with_its_commit_only() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    assert_eq!(
        driver.commit_in(3, &producer, 5),
        ErrorCode::INVALID_TXN_STATE,
        "version 1 adds the group first"
    );
    assert_eq!(driver.commit_in(5, &producer, 5), ErrorCode::NONE);
    driver.crash();
    assert_eq!(driver.committed(true), (ErrorCode::UNSTABLE_OFFSET_COMMIT, -1));
    assert_eq!(driver.committed(false), (ErrorCode::NONE, -1));
    assert_eq!(driver.end(&mut producer, false), ErrorCode::NONE);
    assert_eq!(driver.committed(true), (ErrorCode::NONE, -1));
    assert_eq!(driver.commit_in(5, &producer, 7), ErrorCode::NONE);
    driver.restart();
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    driver.crash();
    assert_eq!(driver.committed(true), (ErrorCode::NONE, 7));
    let add = AddOffsetsToTxnRequest {
        transactional_id: "tx".into(),
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        group_id: "g".into(),
    };
    assert_eq!(driver.call(add).error_code, ErrorCode::NONE);
    assert_eq!(driver.commit_in(3, &producer, 9), ErrorCode::NONE);
    assert_eq!(driver.end_version(4, &producer, true).error_code, ErrorCode::NONE);
    assert_eq!(driver.committed(true), (ErrorCode::NONE, 9));
}

#[test]
fn transactions_are_described_listed_and_aborted_from_outside() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    driver.transactional(13, &mut producer, "t", &["a"]);
    let request = DescribeTransactionsRequest {
        transactional_ids: vec!["tx".into(), "other".into()],
    };
    let described = driver.call(request);
    assert_eq!(described.transaction_states[0].transaction_state, "Ongoing");
    assert_eq!(described.transaction_states[0].topics[0].partitions, [0]);
    assert_eq!(
        described.transaction_states[1].error_code,
        ErrorCode::TRANSACTIONAL_ID_NOT_FOUND
    );
    let list = |driver: &mut Driver, states: &[&str], pattern: Option<&str>| {
        let request = ListTransactionsRequest {
            state_filters: states.iter().map(|state| (*state).into()).collect(),
            transactional_id_pattern: pattern.map(Into::into),
            ..Default::default()
        };
        driver.call(request)
    };
    assert_eq!(
        list(&mut driver, &["Ongoing"], Some("t.*"))
            .transaction_states
            .len(),
        1
    );
    assert_eq!(list(&mut driver, &["Empty"], None).transaction_states.len(), 0);
    assert_eq!(list(&mut driver, &["Silly"], None).unknown_state_filters.len(), 1);
    assert_eq!(
        list(&mut driver, &[], Some("(")).error_code,
        ErrorCode::INVALID_REGULAR_EXPRESSION
    );
    let topics = vec![describe_producers::TopicRequest {
        name: "t".into(),
        partition_indexes: vec![0],
    }];
    let found = driver.call(DescribeProducersRequest { topics });
    assert_eq!(
        found.topics[0].partitions[0].active_producers[0].current_txn_start_offset,
        0
    );
    let marker = write_txn_markers::WritableTxnMarker {
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        transaction_result: false,
        topics: vec![write_txn_markers::WritableTxnMarkerTopic {
            name: "t".into(),
            partition_indexes: vec![0, 0],
        }],
        ..Default::default()
    };
    let written = driver.call(WriteTxnMarkersRequest {
        markers: vec![marker],
    });
    let partitions = written.markers[0].topics[0].partitions.iter();
    let codes: Vec<_> = partitions.map(|each| each.error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE], "once, though named twice");
    assert_eq!(driver.fetch("t", 0, 0, 0).high_watermark, 2, "one marker");
    assert_eq!(
        driver.end(&mut producer, true),
        ErrorCode::NONE,
        "the commit succeeds, the records stay aborted"
    );
    assert_eq!(driver.values("t", 0, true), Vec::<String>::new());
}

#[test]
fn an_ended_transaction_is_described_with_its_start_until_the_producer_starts_another() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let described = |driver: &mut Driver| {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec!["tx".into()],
        };
        let state = driver.call(request).transaction_states.remove(0);
        (
            state.transaction_state.to_string(),
            state.transaction_start_time_ms,
        )
    };
    let mut producer = driver.init("tx");
    assert_eq!(described(&mut driver), ("Empty".to_owned(), -1));
    let begun = driver.now;
    driver.transactional(13, &mut producer, "t", &["a"]);
    driver.advance(1_000);
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    driver.crash();
    assert_eq!(described(&mut driver), ("CompleteCommit".to_owned(), begun));
    driver.init("tx");
    assert_eq!(described(&mut driver), ("Empty".to_owned(), -1));
}

#[test]
fn verification_tells_of_each_partition() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    let mut producer = driver.init("tx");
    driver.transactional(13, &mut producer, "t", &["a"]);
    let transaction = add_partitions_to_txn::AddPartitionsToTxnTransaction {
        transactional_id: "tx".into(),
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        verify_only: true,
        topics: vec![add_partitions_to_txn::AddPartitionsToTxnTopic {
            name: "t".into(),
            partitions: vec![0, 1],
        }],
    };
    let response = driver.call(AddPartitionsToTxnRequest {
        transactions: vec![transaction],
        ..Default::default()
    });
    let partitions = &response.results_by_transaction[0].topic_results[0].results_by_partition;
    let codes: Vec<_> = partitions.iter().map(|each| each.partition_error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::TRANSACTION_ABORTABLE]);
}

#[test]
fn a_deleted_topic_leaves_its_transactions() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    driver.create("u", 1);
    let mut producer = driver.init("tx");
    driver.transactional(13, &mut producer, "t", &["a"]);
    let mut other = Producer {
        sequence: 0,
        ..producer.clone()
    };
    driver.transactional(13, &mut other, "u", &["b"]);
    driver.delete_topic("t");
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    driver.crash();
    assert_eq!(driver.values("u", 0, true), ["b"]);
}

#[test]
fn a_producer_that_was_fenced_is_never_told_the_epoch_of_the_next_one() {
    for (times_out, version) in [(false, 4), (false, 5), (true, 4), (true, 5)] {
        for restarts in [false, true] {
            let mut driver = Driver::new();
            driver.create("t", 1);
            let mut old = driver.init("tx");
            driver.transactional(13, &mut old, "t", &["old"]);
            if times_out {
                driver.advance(i64::from(TIMEOUT_MS) + 1);
            }
            let new = driver.init("tx");
            assert_eq!(new.epoch, old.epoch + 2, "the epoch between is that of the abort");
            if restarts {
                driver.restart();
            }
            for commit in [false, true] {
                let result = driver.end_version(version, &old, commit);
                assert_eq!(result.error_code, ErrorCode::PRODUCER_FENCED, "commit {commit}");
                assert_eq!(result.producer_epoch, -1);
            }
            let code = driver.init_again(&old).error_code;
            assert_eq!(code, ErrorCode::PRODUCER_FENCED);
        }
    }
}

/// Kafka 4.3's behaviour: the transaction is gone and its epoch with it, but the producer may continue.
#[test]
fn a_producer_whose_transaction_timed_out_goes_on_with_the_epoch_of_the_abort() {
    type Asks = fn(&mut Driver, &Producer) -> (ErrorCode, i16);
    let commits: Asks = |driver, old| ended(driver.end_version(5, old, true));
    let aborts: Asks = |driver, old| ended(driver.end_version(5, old, false));
    let commits_v1: Asks = |driver, old| ended(driver.end_version(4, old, true));
    let aborts_v1: Asks = |driver, old| ended(driver.end_version(4, old, false));
    let inits: Asks = |driver, old| {
        let result = driver.init_again(old);
        (result.error_code, result.producer_epoch)
    };
    let inits_and_ends: Asks = |driver, old| {
        driver.init_again(old);
        ended(driver.end_version(5, old, false))
    };
    let produces: Asks = |driver, old| {
        let code = driver.transactional(13, &mut old.clone(), "t", &["late"]);
        (code, -1)
    };
    for (asks, expected) in [
        (commits, (ErrorCode::INVALID_TXN_STATE, -1)),
        (aborts, (ErrorCode::NONE, 1)),
        (commits_v1, (ErrorCode::PRODUCER_FENCED, -1)),
        (aborts_v1, (ErrorCode::PRODUCER_FENCED, -1)),
        (inits, (ErrorCode::NONE, 1)),
        (inits_and_ends, (ErrorCode::PRODUCER_FENCED, -1)),
        (produces, (ErrorCode::INVALID_PRODUCER_EPOCH, -1)),
    ] {
        let mut driver = Driver::new();
        driver.create("t", 1);
        let mut producer = driver.init("tx");
        driver.transactional(13, &mut producer, "t", &["old"]);
        driver.advance(i64::from(TIMEOUT_MS) + 1);
        for round in ["at once", "once more", "after a restart"] {
            assert_eq!(asks(&mut driver, &producer), expected, "{round}");
            if round == "once more" {
                driver.restart();
            }
        }
        assert_eq!(driver.values("t", 0, true), Vec::<String>::new());
    }
}

fn ended(result: EndTxnResponse) -> (ErrorCode, i16) {
    (result.error_code, result.producer_epoch)
}

#[test]
fn a_producer_that_gives_up_its_open_transaction_asks_for_an_epoch_and_may_repeat_that() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    driver.transactional(13, &mut producer, "t", &["abandoned"]);
    for round in ["at once", "once more", "after a restart"] {
        let result = driver.init_again(&producer);
        assert_eq!(
            (result.error_code, result.producer_epoch),
            (ErrorCode::NONE, 1),
            "{round}"
        );
        // The new epoch has no transaction yet, and the previous one cannot be queried.
        let before = driver.end_version(5, &producer, false);
        assert_eq!(before.error_code, ErrorCode::PRODUCER_FENCED, "{round}");
        if round == "once more" {
            driver.restart();
        }
    }
    producer.epoch = 1;
    let code = driver.end_version(4, &producer, false).error_code;
    assert_eq!(code, ErrorCode::INVALID_TXN_STATE);
}

#[test]
fn a_late_copy_of_the_request_for_an_epoch_hides_how_a_transaction_of_version_one_ended() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let before = driver.init("x");
    let raised = driver.init_again(&before);
    assert_eq!((raised.error_code, raised.producer_epoch), (ErrorCode::NONE, 1));
    let mut producer = Producer {
        epoch: raised.producer_epoch,
        ..before.clone()
    };
    for committed in [true, false] {
        assert_eq!(driver.add_partitions(&producer, &["t"]), [ErrorCode::NONE]);
        let code = driver.transactional(11, &mut producer, "t", &["value"]);
        assert_eq!(code, ErrorCode::NONE);
        let late = driver.init_again(&before);
        assert_eq!((late.error_code, late.producer_epoch), (ErrorCode::NONE, 1));
        for _ in 0..2 {
            let result = driver.end_version(4, &producer, committed);
            assert_eq!(
                result.error_code,
                ErrorCode::NONE,
                "retries get the same response"
            );
        }
        // As with Kafka: a producer that requests an epoch starts over.
        let late = driver.init_again(&before);
        assert_eq!((late.error_code, late.producer_epoch), (ErrorCode::NONE, 1));
        let result = driver.end_version(4, &producer, committed);
        assert_eq!(result.error_code, ErrorCode::INVALID_TXN_STATE);
    }
}

#[test]
fn a_producer_whose_transactional_id_is_forgotten_gets_a_new_producer_id() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let mut producer = driver.init("tx");
    assert_eq!(
        driver.transactional(12, &mut producer, "t", &["a"]),
        ErrorCode::NONE
    );
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    driver.advance(8 * 24 * 3_600_000);
    assert_eq!(
        driver.add_partitions(&producer, &["t"]),
        [ErrorCode::INVALID_PRODUCER_ID_MAPPING],
        "it was not used for a week"
    );
    let response = driver.init_again(&producer);
    assert_eq!(
        (response.error_code, response.producer_epoch),
        (ErrorCode::NONE, 0)
    );
    assert_ne!(response.producer_id, producer.producer_id);
}

#[test]
fn offsets_of_a_group_that_is_not_in_the_transaction_are_refused_in_the_words_of_the_version() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let producer = driver.init("tx");
    let codes = [2, 3, 4, 5].map(|version| driver.commit_in(version, &producer, 7));
    assert_eq!(
        codes,
        [
            ErrorCode::INVALID_TXN_STATE,
            ErrorCode::INVALID_TXN_STATE,
            ErrorCode::TRANSACTION_ABORTABLE,
            ErrorCode::NONE,
        ]
    );
}

#[test]
fn the_record_of_the_greatest_time_is_not_told_while_its_transaction_is_open() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    driver.append("t", 0, &["a"]);
    driver.now += 1000;
    let mut producer = driver.init("tx");
    assert_eq!(
        driver.transactional(12, &mut producer, "t", &["b"]),
        ErrorCode::NONE
    );
    assert_eq!(driver.list_offset("t", 0, -3, 0).0, 1);
    assert_eq!(driver.list_offset("t", 0, -3, 1), (-1, -1));
    assert_eq!(driver.end(&mut producer, true), ErrorCode::NONE);
    assert_eq!(driver.list_offset("t", 0, -3, 1).0, 1);
}

/// A producer treats a reported duplicate as written. The batch here was rejected earlier, not written.
#[test]
fn a_batch_that_was_refused_is_not_taken_for_a_duplicate() {
    let mut driver = Driver::new();
    driver.create_with("t", 1, &[("max.message.bytes", "1000")]);
    let producer = |base_sequence| BatchProducer {
        producer_id: 77,
        producer_epoch: 0,
        base_sequence,
        transactional: false,
    };
    let large = "x".repeat(900);
    let send = |driver: &mut Driver, sequence, values: &[&str]| {
        let records = batch_of(producer(sequence), Codec::None, driver.now, values);
        driver.produce("t", 0, records).0
    };
    assert_eq!(
        send(&mut driver, 0, &[&large, &large]),
        ErrorCode::MESSAGE_TOO_LARGE
    );
    assert_eq!(send(&mut driver, 2, &["small"]), ErrorCode::NONE);
    assert_eq!(
        send(&mut driver, 0, &[&large]),
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        "the first half of what was too large"
    );
    assert_eq!(send(&mut driver, 2, &["small"]), ErrorCode::NONE, "repeated");
    assert_eq!(send(&mut driver, -1, &["small"]), ErrorCode::INVALID_RECORD);
    assert_eq!(driver.values("t", 0, false), ["small"]);
}
