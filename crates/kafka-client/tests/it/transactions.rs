//! Transactions of both kinds: all or nothing, offsets included, and ending them from elsewhere.

use std::collections::BTreeMap;

use millstream_kafka_client::admin::CommittedOffset;
use millstream_kafka_client::produce::{EndOutcome, InitOptions};
use millstream_kafka_client::{PreparedTransaction, ProduceError, ProduceRecord, Producer, TopicPartition};
use millstream_kafka_wire::messages::ApiKey;
use millstream_kafka_wire::{ErrorCode, KafkaString};

use super::fake::{Fake, Fault, TxnState, config};

static TOPIC: KafkaString = KafkaString::from_static("t");

async fn start(fake: &Fake) -> Producer {
    let producer = Producer::start(fake.client(), config(&[("transactional.id", "id")]).produce);
    producer
        .init_transactions(InitOptions::default())
        .await
        .expect("the coordinator responds");
    producer
}

async fn send(producer: &Producer, partition: i32, value: &str) {
    let record = ProduceRecord {
        topic: &TOPIC,
        partition: Some(partition),
        timestamp: 1,
        key: None,
        value: Some(value.as_bytes()),
        headers: &[],
    };
    producer.append(&record).await.expect("taken");
}

fn state(fake: &Fake) -> TxnState {
    fake.lock().transactions["id"].state.clone()
}

fn count(fake: &Fake, api: ApiKey) -> usize {
    fake.lock().log.iter().filter(|each| **each == api).count()
}

#[tokio::test(start_paused = true)]
async fn records_and_offsets_are_committed_together() {
    for v2 in [false, true] {
        let fake = Fake::new(&[("t", 2)], v2);
        let producer = start(&fake).await;
        for round in 0..3 {
            producer.begin_transaction().expect("ready");
            send(&producer, 0, "a").await;
            send(&producer, 1, "b").await;
            let offsets = BTreeMap::from([(TopicPartition::new("in", 0), CommittedOffset::new(round))]);
            producer.send_offsets("g", &offsets).await.expect("accepted");
            let before = fake
                .lock()
                .offsets
                .get(&("g".to_owned(), "in".to_owned(), 0))
                .copied();
            assert_eq!(before, (round > 0).then_some(round - 1));
            producer.commit_transaction().await.expect("committed");
            assert_eq!(fake.lock().offsets[&("g".to_owned(), "in".to_owned(), 0)], round);
            assert_eq!(state(&fake), TxnState::Committed);
        }
        assert_eq!(fake.values("t", 0).len(), 3);
        assert!(
            fake.lock().topics["t"]
                .1
                .iter()
                .all(|log| log.open.is_empty() && log.aborted.is_empty())
        );
        let adds = count(&fake, ApiKey::AddPartitionsToTxn);
        assert_eq!(adds == 0, v2, "the second kind adds partitions by producing");
        assert_eq!(fake.lock().transactions["id"].epoch, if v2 { 3 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_transaction_leaves_nothing_and_the_next_one_works() {
    for v2 in [false, true] {
        let fake = Fake::new(&[("t", 1)], v2);
        let producer = start(&fake).await;
        producer.begin_transaction().expect("ready");
        send(&producer, 0, "gone").await;
        producer.flush().await.expect("written");
        send(&producer, 0, "never sent").await;
        producer.abort_transaction().await.expect("aborted");
        assert_eq!(state(&fake), TxnState::Aborted);
        producer.begin_transaction().expect("ready again");
        send(&producer, 0, "kept").await;
        producer.commit_transaction().await.expect("committed");
        let values = fake.values("t", 0);
        assert_eq!(
            (
                values.first().map(String::as_str),
                values.last().map(String::as_str)
            ),
            (Some("gone"), Some("kept"))
        );
        assert_eq!(fake.lock().topics["t"].1[0].aborted.len(), 1);
        assert_eq!(state(&fake), TxnState::Committed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_leaves_only_the_abort() {
    for v2 in [false, true] {
        let fake = Fake::new(&[("t", 1)], v2);
        let producer = start(&fake).await;
        producer.begin_transaction().expect("ready");
        fake.fault(
            ApiKey::Produce,
            [Fault::Code(ErrorCode::TOPIC_AUTHORIZATION_FAILED)],
        );
        send(&producer, 0, "refused").await;
        let refused = producer
            .commit_transaction()
            .await
            .expect_err("a record is missing");
        assert!(matches!(refused, ProduceError::Broker { .. }), "{refused}");
        let refused = producer.commit_transaction().await.expect_err("must be aborted");
        assert!(refused.to_string().contains("must be aborted"), "{refused}");
        producer.abort_transaction().await.expect("aborted");
        producer.begin_transaction().expect("ready again");
        send(&producer, 0, "kept").await;
        producer.commit_transaction().await.expect("committed");
        assert_eq!(fake.values("t", 0), ["kept"]);
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_that_cannot_be_added_fail_the_transaction() {
    let fake = Fake::new(&[("t", 1)], false);
    let producer = start(&fake).await;
    producer.begin_transaction().expect("ready");
    let faults = [
        Fault::Code(ErrorCode::CONCURRENT_TRANSACTIONS),
        Fault::Code(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
    ];
    fake.fault(ApiKey::AddPartitionsToTxn, faults);
    send(&producer, 0, "v").await;
    let refused = producer.commit_transaction().await.expect_err("not allowed");
    assert!(
        refused.to_string().contains("TOPIC_AUTHORIZATION_FAILED"),
        "{refused}"
    );
    assert_eq!(
        count(&fake, ApiKey::AddPartitionsToTxn),
        2,
        "what passes is repeated"
    );
    producer.abort_transaction().await.expect("aborted");
}

#[tokio::test(start_paused = true)]
async fn an_empty_transaction_asks_the_coordinator_for_nothing() {
    let fake = Fake::new(&[("t", 1)], true);
    let producer = start(&fake).await;
    producer.begin_transaction().expect("ready");
    producer.commit_transaction().await.expect("nothing to do");
    producer.begin_transaction().expect("ready");
    producer.abort_transaction().await.expect("nothing to do");
    assert_eq!(count(&fake, ApiKey::EndTxn), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_repeated_until_it_is_heard() {
    for v2 in [false, true] {
        let fake = Fake::new(&[("t", 1)], v2);
        let producer = start(&fake).await;
        producer.begin_transaction().expect("ready");
        send(&producer, 0, "v").await;
        let faults = [
            Fault::Code(ErrorCode::CONCURRENT_TRANSACTIONS),
            Fault::Lost,
            Fault::AnswerLost,
            Fault::Code(ErrorCode::NOT_COORDINATOR),
        ];
        fake.fault(ApiKey::EndTxn, faults);
        producer
            .commit_transaction()
            .await
            .expect("the fifth attempt succeeds");
        assert_eq!(state(&fake), TxnState::Committed);
        producer.begin_transaction().expect("ready");
        send(&producer, 0, "w").await;
        producer.commit_transaction().await.expect("committed");
        assert_eq!(fake.values("t", 0), ["v", "w"]);
    }
}

async fn prepared(fake: &Fake) -> PreparedTransaction {
    let producer = start(fake).await;
    producer.begin_transaction().expect("ready");
    send(&producer, 0, "v").await;
    let prepared = producer.prepare().await.expect("written");
    let record = ProduceRecord {
        topic: &TOPIC,
        partition: Some(0),
        timestamp: 1,
        key: None,
        value: None,
        headers: &[],
    };
    assert!(producer.append(&record).await.is_err(), "it takes no more");
    prepared
}

#[tokio::test(start_paused = true)]
async fn a_prepared_transaction_is_ended_by_another_client() {
    for v2 in [false, true] {
        for commit in [false, true] {
            let fake = Fake::new(&[("t", 1)], v2);
            let prepared = prepared(&fake).await;
            assert_eq!(state(&fake), TxnState::Ongoing);
            for _ in 0..2 {
                let outcome = fake
                    .client()
                    .end_transaction(&prepared, commit)
                    .await
                    .expect("completed");
                assert!(
                    matches!(outcome, EndOutcome::Ended { .. }),
                    "the second time it has ended already"
                );
            }
            assert_eq!(
                state(&fake),
                if commit {
                    TxnState::Committed
                } else {
                    TxnState::Aborted
                }
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_fenced_transaction_is_doubtful() {
    for v2 in [false, true] {
        let fake = Fake::new(&[("t", 1)], v2);
        let prepared = prepared(&fake).await;
        fake.client().fence_producer("id", 1000).await.expect("fenced");
        let outcome = fake
            .client()
            .end_transaction(&prepared, true)
            .await
            .expect("completed");
        assert!(matches!(outcome, EndOutcome::Doubtful(_)), "{outcome:?}");
        let unknown = PreparedTransaction {
            transactional_id: "other".to_owned(),
            ..prepared
        };
        let outcome = fake
            .client()
            .end_transaction(&unknown, true)
            .await
            .expect("completed");
        assert_eq!(
            outcome,
            EndOutcome::Doubtful(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_fenced_producer_is_of_no_more_use() {
    let fake = Fake::new(&[("t", 1)], true);
    let producer = start(&fake).await;
    producer.begin_transaction().expect("ready");
    send(&producer, 0, "v").await;
    producer.flush().await.expect("written");
    fake.client().fence_producer("id", 1000).await.expect("fenced");
    let error = producer.commit_transaction().await.expect_err("fenced");
    assert!(error.is_fatal(), "{error}");
    assert!(producer.begin_transaction().is_err());
    assert!(producer.abort_transaction().await.expect_err("fenced").is_fatal());
}

#[tokio::test(start_paused = true)]
async fn calls_out_of_order_say_what_is_missing() {
    let fake = Fake::new(&[("t", 1)], true);
    let producer = Producer::start(fake.client(), config(&[("transactional.id", "id")]).produce);
    assert!(
        producer
            .begin_transaction()
            .expect_err("not initialised")
            .to_string()
            .contains("init_transactions")
    );
    producer
        .init_transactions(InitOptions::default())
        .await
        .expect("completed");
    assert!(
        producer
            .commit_transaction()
            .await
            .expect_err("not begun")
            .to_string()
            .contains("no transaction")
    );
    producer.begin_transaction().expect("ready");
    assert!(
        producer
            .begin_transaction()
            .expect_err("begun")
            .to_string()
            .contains("begun already")
    );
    let plain = Producer::start(fake.client(), config(&[]).produce);
    assert!(
        plain
            .begin_transaction()
            .expect_err("no id")
            .to_string()
            .contains("transactional.id")
    );
}
