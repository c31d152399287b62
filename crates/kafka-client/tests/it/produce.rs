//! Producing without transactions: batching, order, repetition, limits.

use std::time::Duration;

use millstream_kafka_client::produce::{AppendError, Run};
use millstream_kafka_client::{Delivery, ProduceError, ProduceRecord, Producer};
use millstream_kafka_wire::messages::ApiKey;
use millstream_kafka_wire::partitioner::partition_for_key;
use millstream_kafka_wire::{ErrorCode, KafkaString};
use proptest::prelude::*;

use super::fake::{Fake, Fault, config};

static TOPIC: KafkaString = KafkaString::from_static("t");

fn record<'a>(partition: Option<i32>, key: Option<&'a [u8]>, value: &'a str) -> ProduceRecord<'a> {
    ProduceRecord {
        topic: &TOPIC,
        partition,
        timestamp: 1,
        key,
        value: Some(value.as_bytes()),
        headers: &[],
    }
}

fn start(fake: &Fake, settings: &[(&str, &str)]) -> Producer {
    Producer::start(fake.client(), config(settings).produce)
}

async fn send(producer: &Producer, value: &str) -> Delivery {
    producer
        .append(&record(Some(0), None, value))
        .await
        .expect("taken")
}

fn produces(fake: &Fake) -> usize {
    fake.lock()
        .log
        .iter()
        .filter(|api| **api == ApiKey::Produce)
        .count()
}

#[tokio::test(start_paused = true)]
async fn records_are_batched_and_know_their_offsets() {
    let fake = Fake::new(&[("t", 1)], true);
    let producer = start(&fake, &[("linger.ms", "10")]);
    let mut deliveries = Vec::new();
    for i in 0..100 {
        deliveries.push(send(&producer, &i.to_string()).await);
    }
    for (offset, delivery) in (0..).zip(&deliveries) {
        assert_eq!(delivery.wait().await.expect("written").offset, offset);
    }
    assert_eq!(produces(&fake), 1);
    assert_eq!(producer.buffered_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_makes_the_batches_of_single_records() {
    let values: Vec<String> = (0..2000usize).map(|i| "v".repeat(i * 7 % 90)).collect();
    let records_of_batches = |fake: &Fake| -> Vec<i32> {
        let broker = fake.lock();
        let batches = broker.topics["t"].1[0].batches.iter();
        batches.map(|batch| batch.header.record_count).collect()
    };
    for (partition, memory) in [
        (Some(0), "20000"),
        (None, "20000"),
        (Some(0), "2000000"),
        (None, "2000000"),
    ] {
        let settings = [
            ("linger.ms", "10"),
            ("batch.size", "1000"),
            ("buffer.memory", memory),
        ];
        let (one_by_one, at_once) = (Fake::new(&[("t", 1)], true), Fake::new(&[("t", 1)], true));
        let producer = start(&one_by_one, &settings);
        for value in &values {
            producer
                .append(&record(partition, None, value))
                .await
                .expect("taken");
        }
        producer.flush().await.expect("written");

        let producer = start(&at_once, &settings);
        let message = |i: usize| (1, Some(values[i].as_bytes()));
        let run = Run {
            topic: &TOPIC,
            partition,
            count: values.len(),
            record: &message,
        };
        let mut taken = 0;
        while taken < values.len() {
            let outcome = producer.try_append_run(&run, taken);
            taken += outcome.count;
            match outcome.stopped {
                None => {}
                Some(AppendError::Full { size }) => producer.room(size).await,
                Some(AppendError::UnknownTopic) => {
                    producer
                        .append(&record(partition, None, &values[taken]))
                        .await
                        .expect("taken");
                    taken += 1;
                }
                Some(error) => panic!("{error:?}"),
            }
        }
        producer.flush().await.expect("written");
        assert_eq!(at_once.values("t", 0), one_by_one.values("t", 0));
        assert_eq!(at_once.values("t", 0).len(), values.len());
        if memory == "2000000" {
            assert_eq!(records_of_batches(&at_once), records_of_batches(&one_by_one));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_linger() {
    let fake = Fake::new(&[("t", 1)], true);
    let producer = start(&fake, &[("linger.ms", "3600000"), ("batch.size", "500")]);
    let first = send(&producer, &"x".repeat(300)).await;
    let second = send(&producer, &"y".repeat(300)).await;
    first.wait().await.expect("written");
    assert!(!second.is_done());
    producer.flush().await.expect("written");
    assert!(second.is_done());
}

/// As in Kafka's own client: a batch that has lingered long enough takes records until it can be sent.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_yet_goes_into_one_batch() {
    for settings in [
        [("max.in.flight.requests.per.connection", "1"), ("linger.ms", "0")],
        [("max.in.flight.requests.per.connection", "1"), ("linger.ms", "5")],
        [("linger.ms", "0"), ("enable.idempotence", "true")],
    ] {
        let fake = Fake::new(&[("t", 1)], true);
        fake.fault(ApiKey::Produce, [Fault::Silence]);
        let producer = start(&fake, &settings);
        let first = send(&producer, "first").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        for i in 0..100 {
            send(&producer, &i.to_string()).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        first.wait().await.expect("the second attempt succeeds");
        producer.flush().await.expect("written");
        let broker = fake.lock();
        let batches = broker.topics["t"].1[0].batches.iter();
        let records: Vec<i32> = batches.map(|batch| batch.header.record_count).collect();
        assert_eq!(records, [1, 100], "{settings:?}");
    }
}

/// As in Kafka's own client: a request takes what there is for its broker.
#[tokio::test(start_paused = true)]
async fn batches_of_one_broker_share_a_request() {
    let fake = Fake::new(&[("t", 4)], true);
    let producer = start(&fake, &[("linger.ms", "20")]);
    send(&producer, "to be known").await;
    producer.flush().await.expect("written");
    let before = produces(&fake);
    let mut deliveries = Vec::new();
    for partition in 0..4 {
        let taken = producer.append(&record(Some(partition), None, "v")).await;
        deliveries.push(taken.expect("taken"));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for delivery in deliveries {
        delivery.wait().await.expect("written");
    }
    assert_eq!(produces(&fake) - before, 1);
}

#[tokio::test(start_paused = true)]
async fn keys_choose_partitions_as_in_every_client() {
    let fake = Fake::new(&[("t", 4)], true);
    let producer = start(&fake, &[]);
    for key in ["a", "b", "c", "hello", "world"] {
        producer
            .append(&record(None, Some(key.as_bytes()), key))
            .await
            .expect("taken");
    }
    producer
        .append(&record(None, None, "no key"))
        .await
        .expect("taken");
    producer.flush().await.expect("written");
    for key in ["a", "b", "c", "hello", "world"] {
        let partition = partition_for_key(key.as_bytes(), 4).expect("four partitions") as usize;
        assert!(fake.values("t", partition).contains(&key.to_owned()));
    }
    let outside = producer.append(&record(Some(4), None, "v")).await;
    assert!(matches!(outside, Err(ProduceError::NoSuchPartition(_))));
}

/// Sends values one batch each and checks that they are there once, in order.
async fn survives(fake: &Fake, settings: &[(&str, &str)], count: usize) {
    let mut all = vec![("batch.size", "1"), ("linger.ms", "0")];
    all.extend(settings);
    let producer = start(fake, &all);
    let expected: Vec<String> = (0..count).map(|i| i.to_string()).collect();
    for value in &expected {
        send(&producer, value).await;
        tokio::task::yield_now().await;
    }
    producer.flush().await.expect("written");
    assert_eq!(fake.values("t", 0), expected);
    assert_eq!(producer.buffered_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn lost_requests_and_lost_responses_neither_lose_nor_double_nor_reorder() {
    let fake = Fake::new(&[("t", 1)], true);
    fake.fault(
        ApiKey::Produce,
        [
            Fault::Pass,
            Fault::Lost,
            Fault::AnswerLost,
            Fault::Code(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            Fault::Pass,
            Fault::AnswerLost,
            Fault::Lost,
            Fault::Silence,
        ],
    );
    survives(&fake, &[], 30).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_batch_never_takes_the_place_of_a_refused_first_one() {
    let fake = Fake::new(&[("t", 1)], true);
    fake.fault(ApiKey::Produce, [Fault::Code(ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
    survives(&fake, &[], 10).await;
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::Pass),
        1 => Just(Fault::Lost),
        1 => Just(Fault::AnswerLost),
        1 => Just(Fault::Silence),
        1 => Just(Fault::Code(ErrorCode::NOT_LEADER_OR_FOLLOWER)),
        1 => Just(Fault::Code(ErrorCode::NOT_ENOUGH_REPLICAS)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_script_of_faults_breaks_order_or_uniqueness(faults in proptest::collection::vec(any_fault(), 0..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let fake = Fake::new(&[("t", 1)], true);
            fake.fault(ApiKey::Produce, faults);
            let patience = [("delivery.timeout.ms", "100000000")];
            survives(&fake, &patience, 12).await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_is_split_until_it_fits() {
    let fake = Fake::new(&[("t", 1)], true);
    fake.lock().batch_bytes_max = 400;
    for compression in ["none", "lz4"] {
        let producer = start(&fake, &[("compression.type", compression), ("linger.ms", "5")]);
        let values: Vec<String> = (0..40)
            .map(|i| format!("{compression} {i} {:x}", i * 2_654_435_761u64))
            .collect();
        let mut deliveries = Vec::new();
        for value in &values {
            deliveries.push(send(&producer, value).await);
        }
        producer.flush().await.expect("the parts fit");
        let base = deliveries[0].wait().await.expect("written").offset;
        for (offset, delivery) in (base..).zip(&deliveries) {
            assert_eq!(delivery.wait().await.expect("written").offset, offset);
        }
        assert!(fake.values("t", 0).ends_with(&values));
    }
    let producer = start(&fake, &[]);
    send(&producer, &"z".repeat(1000)).await;
    let error = producer.flush().await.expect_err("one record cannot be split");
    assert!(
        matches!(
            error,
            ProduceError::Broker {
                code: ErrorCode::MESSAGE_TOO_LARGE,
                ..
            }
        ),
        "{error}"
    );
    send(&producer, "small").await;
    producer.flush().await.expect("the numbers are in step");
}

#[tokio::test(start_paused = true)]
async fn batches_that_grow_by_compression_are_accounted_for() {
    let fake = Fake::new(&[("t", 1)], true);
    for compression in ["gzip", "snappy", "lz4", "zstd"] {
        let producer = start(&fake, &[("compression.type", compression)]);
        send(&producer, "x").await;
        producer.flush().await.expect("written");
        assert_eq!(producer.buffered_bytes(), 0, "{compression}");
    }
}

#[tokio::test(start_paused = true)]
async fn batches_are_compressed_as_hard_as_the_level_says() {
    let words = (0..4000u64).map(|i| format!("word{} ", (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 700));
    let value: String = words.collect();
    for (codec, low, high) in [("gzip", "1", "9"), ("zstd", "-50", "19")] {
        let fake = Fake::new(&[("t", 1)], true);
        let key = format!("compression.{codec}.level");
        for level in [low, high] {
            let producer = start(&fake, &[("compression.type", codec), (&key, level)]);
            send(&producer, &value).await;
            producer.flush().await.expect("written");
        }
        let broker = fake.lock();
        let sizes: Vec<usize> = broker.topics["t"].1[0]
            .batches
            .iter()
            .map(|batch| batch.data().len())
            .collect();
        assert!(sizes[0] > sizes[1], "{codec}: {sizes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_cannot_be_written_fail_after_the_delivery_timeout() {
    let fake = Fake::new(&[("t", 1)], true);
    let producer = start(&fake, &[("delivery.timeout.ms", "2000")]);
    producer.flush().await.expect("nothing to do");
    fake.fault(
        ApiKey::Produce,
        vec![Fault::Code(ErrorCode::NOT_LEADER_OR_FOLLOWER); 1000],
    );
    let delivery = send(&producer, "v").await;
    let error = delivery.wait().await.expect_err("too late");
    assert!(
        matches!(error, ProduceError::Expired { timeout_ms: 2000, .. }),
        "{error}"
    );
    fake.lock().faults.clear();
    producer
        .flush()
        .await
        .expect_err("the first error since the last flush");
    send(&producer, "w").await;
    producer
        .flush()
        .await
        .expect("a new epoch has put the numbers in step");
    assert_eq!(fake.values("t", 0), ["w"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_may_have_been_written_is_not_repeated_under_a_new_epoch() {
    let fake = Fake::new(&[("t", 1)], true);
    let faults = [Fault::AnswerLost, Fault::Code(ErrorCode::UNKNOWN_PRODUCER_ID)];
    fake.fault(ApiKey::Produce, faults);
    let producer = start(&fake, &[]);
    let delivery = send(&producer, "v").await;
    let error = delivery.wait().await.expect_err("in doubt");
    assert!(matches!(error, ProduceError::Unknown(_)), "{error}");
    assert_eq!(fake.values("t", 0), ["v"]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgot_the_producer_gets_a_new_epoch() {
    let fake = Fake::new(&[("t", 1)], true);
    let producer = start(&fake, &[]);
    send(&producer, "a").await;
    producer.flush().await.expect("written");
    fake.fault(ApiKey::Produce, [Fault::Code(ErrorCode::UNKNOWN_PRODUCER_ID)]);
    send(&producer, "b").await;
    producer.flush().await.expect("written");
    assert_eq!(fake.values("t", 0), ["a", "b"]);
    let broker = fake.lock();
    let epochs: Vec<i16> = broker.topics["t"].1[0]
        .batches
        .iter()
        .map(|batch| batch.header.producer_epoch)
        .collect();
    assert_eq!(epochs, [0, 1]);
}

/// A broker that has forgotten the producer takes the batch behind a refused one as its first.
#[tokio::test(start_paused = true)]
async fn the_number_of_a_batch_that_failed_is_not_given_again() {
    let refused = Fault::Code(ErrorCode::INVALID_TIMESTAMP);
    for (fault, values) in [
        (refused, ["a", "c", "d"].as_slice()),
        (Fault::AnswerMixedUp, &["a", "b", "c", "d"]),
    ] {
        let fake = Fake::new(&[("t", 1)], true);
        let producer = start(&fake, &[("batch.size", "1"), ("linger.ms", "0")]);
        send(&producer, "a").await;
        producer.flush().await.expect("written");
        fake.lock().topics.get_mut("t").expect("there").1[0]
            .producers
            .clear();
        fake.fault(ApiKey::Produce, [fault.clone()]);
        let (failed, behind) = (send(&producer, "b").await, send(&producer, "c").await);
        failed
            .wait()
            .await
            .expect_err("rejected, or an unexpected response");
        behind.wait().await.expect("written");
        send(&producer, "d").await.wait().await.expect("written");
        assert_eq!(fake.values("t", 0), values, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_buffer_is_bounded() {
    let fake = Fake::new(&[("t", 1)], true);
    fake.fault(ApiKey::Produce, vec![Fault::Silence; 3]);
    let settings = [
        ("buffer.memory", "1000"),
        ("max.block.ms", "100"),
        ("linger.ms", "0"),
    ];
    let producer = start(&fake, &settings);
    send(&producer, &"x".repeat(600)).await;
    let full = producer.try_append(&record(Some(0), None, &"y".repeat(600)));
    assert!(matches!(full, Err(AppendError::Full { .. })));
    let error = producer
        .append(&record(Some(0), None, &"y".repeat(600)))
        .await
        .expect_err("no room in time");
    assert!(error.to_string().contains("buffer.memory"), "{error}");
    producer.flush().await.expect("the fourth attempt succeeds");
    send(&producer, &"y".repeat(600)).await;
    let large = producer
        .append(&record(Some(0), None, &"z".repeat(2_000_000)))
        .await
        .expect_err("too large");
    assert!(large.to_string().contains("max.request.size"), "{large}");
}

#[tokio::test(start_paused = true)]
async fn room_is_half_of_the_memory_and_what_the_record_takes() {
    let fake = Fake::new(&[("t", 1)], true);
    let settings = [
        ("buffer.memory", "4000"),
        ("batch.size", "500"),
        ("linger.ms", "0"),
    ];
    let producer = start(&fake, &settings);
    let value = "x".repeat(400);
    send(&producer, &value).await;
    let mut taken = 1;
    loop {
        match producer.try_append(&record(Some(0), None, &value)) {
            Ok(_) => taken += 1,
            Err(AppendError::Full { size }) => {
                producer.room(size).await;
                assert!(producer.buffered_bytes() <= 2000);
                break;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    producer.flush().await.expect("written");
    assert_eq!(fake.values("t", 0).len(), taken);
}

#[tokio::test(start_paused = true)]
async fn without_acknowledgement_nothing_is_waited_for() {
    let fake = Fake::new(&[("t", 1)], true);
    let producer = start(&fake, &[("acks", "0")]);
    let delivery = send(&producer, "v").await;
    producer.flush().await.expect("sent");
    delivery.wait().await.expect("sent");
    assert_eq!(fake.values("t", 0), ["v"]);
    assert_eq!(fake.lock().topics["t"].1[0].batches[0].header.producer_id, -1);
}

#[tokio::test(start_paused = true)]
async fn a_closed_producer_fails_all_pending_records() {
    let fake = Fake::new(&[("t", 1)], true);
    fake.fault(ApiKey::Produce, [Fault::Silence]);
    let producer = start(&fake, &[("linger.ms", "0")]);
    let on_its_way = send(&producer, "a").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let waiting = send(&producer, "b").await;
    drop(producer);
    assert!(matches!(on_its_way.wait().await, Err(ProduceError::Unknown(_))));
    assert!(matches!(
        waiting.wait().await,
        Err(ProduceError::State(_) | ProduceError::Unknown(_))
    ));
}
