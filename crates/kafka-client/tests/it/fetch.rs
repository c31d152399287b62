//! Fetching: what is handed out, what is held back, what happens when things go wrong.

use std::time::Duration;

use millstream_kafka_client::{FetchEvent, FetchedRecords, Fetcher, TopicPartition};
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::compression::{Compressor, Decompressor};
use millstream_kafka_wire::messages::ApiKey;
use millstream_kafka_wire::record_batch::{
    BatchBuilder, BatchProducer, EndTransactionMarker, Marker, RecordBatch, RecordColumns, set_base_offset,
};

use super::fake::{Fake, Fault, Partition, config};

/// Appends a batch of texts, of a transaction if there is a producer.
fn append(fake: &Fake, partition: usize, producer_id: Option<i64>, values: &[&str]) {
    let mut builder = BatchBuilder::new(Default::default());
    if let Some(producer_id) = producer_id {
        let producer = BatchProducer {
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            transactional: true,
        };
        builder = builder.with_producer(producer);
    }
    for value in values {
        builder.append(1, None, Some(value.as_bytes()), &[]);
    }
    push(
        fake,
        partition,
        builder.build(&mut Compressor::default()).expect("memory"),
        producer_id,
    );
}

fn push(fake: &Fake, partition: usize, mut bytes: Vec<u8>, producer_id: Option<i64>) {
    let mut broker = fake.lock();
    let log = &mut broker.topics.get_mut("t").expect("made").1[partition];
    set_base_offset(&mut bytes, log.end);
    let batch = RecordBatch::read(&bytes.into()).expect("fresh");
    if let Some(producer_id) = producer_id {
        log.open.entry(producer_id).or_insert(log.end);
    }
    log.end = batch.header.next_offset();
    log.batches.push(batch);
}

fn end(fake: &Fake, partition: usize, producer_id: i64, marker: Marker) {
    let bytes = EndTransactionMarker {
        marker,
        coordinator_epoch: 0,
    }
    .to_batch(producer_id, 0, 1);
    push(fake, partition, bytes, None);
    let mut broker = fake.lock();
    let log: &mut Partition = &mut broker.topics.get_mut("t").expect("made").1[partition];
    let first = log.open.remove(&producer_id).expect("open");
    if marker == Marker::Abort {
        let at = log.end - 1;
        log.aborted.push((producer_id, first, at));
    }
}

fn texts(records: &FetchedRecords) -> Vec<String> {
    let mut texts = Vec::new();
    for each in &records.batches {
        let data = each
            .batch
            .records_data(&mut Decompressor::new(), 1 << 20)
            .expect("small");
        let mut columns = RecordColumns::default();
        columns
            .append(&each.batch.header, &data, each.from_offset)
            .expect("well-formed");
        let values = columns
            .values
            .iter()
            .map(|slice| slice.of(&data).expect("not null").to_vec());
        texts.extend(values.map(|value| String::from_utf8(value).expect("text")));
    }
    texts
}

/// Takes events until this many records have arrived.
async fn take(fetcher: &Fetcher, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        fetcher.ready().await;
        for event in fetcher.poll(usize::MAX) {
            match event {
                FetchEvent::Records(records) => all.extend(texts(&records)),
                other => panic!("{other:?}"),
            }
        }
    }
    all
}

async fn next_event(fetcher: &Fetcher) -> FetchEvent {
    fetcher.ready().await;
    fetcher.poll(1).remove(0)
}

fn start(fake: &Fake, settings: &[(&str, &str)]) -> Fetcher {
    Fetcher::start(fake.client(), config(settings).fetch)
}

fn t(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

#[tokio::test(start_paused = true)]
async fn records_come_in_order_from_the_position_on() {
    let fake = Fake::new(&[("t", 2)], true);
    append(&fake, 0, None, &["a", "b", "c"]);
    append(&fake, 1, None, &["x"]);
    let fetcher = start(&fake, &[]);
    fetcher.assign(t(0), 1);
    assert_eq!(
        take(&fetcher, 2).await,
        ["b", "c"],
        "the position is inside of a batch"
    );
    append(&fake, 0, None, &["d"]);
    assert_eq!(take(&fetcher, 1).await, ["d"]);
    fetcher.assign(t(1), 0);
    assert_eq!(take(&fetcher, 1).await, ["x"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_empty_partition_is_news_once() {
    let fake = Fake::new(&[("t", 1)], true);
    let fetcher = start(&fake, &[]);
    fetcher.assign(t(0), 0);
    let FetchEvent::Records(records) = next_event(&fetcher).await else {
        panic!("records expected")
    };
    assert!(records.batches.is_empty());
    assert_eq!(
        (
            records.next_offset,
            records.high_watermark,
            records.last_stable_offset
        ),
        (0, 0, 0)
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(fetcher.poll(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn read_committed_shows_neither_aborted_nor_open_transactions() {
    let fake = Fake::new(&[("t", 1)], true);
    append(&fake, 0, Some(1), &["aborted 1"]);
    append(&fake, 0, Some(2), &["committed 1"]);
    append(&fake, 0, None, &["plain"]);
    end(&fake, 0, 1, Marker::Abort);
    append(&fake, 0, Some(1), &["committed 2"]);
    end(&fake, 0, 2, Marker::Commit);
    end(&fake, 0, 1, Marker::Commit);
    append(&fake, 0, Some(3), &["open"]);
    let expected = ["committed 1", "plain", "committed 2"];

    let committed = start(&fake, &[("isolation.level", "read_committed")]);
    committed.assign(t(0), 0);
    assert_eq!(take(&committed, 3).await, expected);

    let uncommitted = start(&fake, &[]);
    uncommitted.assign(t(0), 0);
    let all = ["aborted 1", "committed 1", "plain", "committed 2", "open"];
    assert_eq!(take(&uncommitted, 5).await, all);

    end(&fake, 0, 3, Marker::Abort);
    append(&fake, 0, None, &["last"]);
    assert_eq!(take(&committed, 1).await, ["last"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_holds_the_fetching_up() {
    let fake = Fake::new(&[("t", 1)], true);
    for _ in 0..50 {
        append(&fake, 0, None, &["x".repeat(1000).as_str()]);
    }
    let fetcher = start(
        &fake,
        &[
            ("max.partition.fetch.bytes", "2000"),
            ("fetch.buffer.bytes", "5000"),
        ],
    );
    fetcher.assign(t(0), 0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let fetches = |fake: &Fake| {
        fake.lock()
            .log
            .iter()
            .filter(|api| **api == ApiKey::Fetch)
            .count()
    };
    assert!(fetches(&fake) <= 6, "{} fetches", fetches(&fake));
    assert_eq!(
        take(&fetcher, 50).await.len(),
        50,
        "it continues when there is space"
    );
}

#[tokio::test(start_paused = true)]
async fn a_paused_partition_waits_and_an_unassigned_one_is_forgotten() {
    let fake = Fake::new(&[("t", 2)], true);
    let fetcher = start(&fake, &[]);
    fetcher.assign(t(0), 0);
    fetcher.assign(t(1), 0);
    fetcher.pause(&t(0));
    append(&fake, 0, None, &["a"]);
    append(&fake, 1, None, &["b"]);
    assert_eq!(take(&fetcher, 1).await, ["b"]);
    fetcher.resume(&t(0));
    assert_eq!(take(&fetcher, 1).await, ["a"]);
    append(&fake, 0, None, &["never taken"]);
    fetcher.ready().await;
    fetcher.unassign(&t(0));
    append(&fake, 1, None, &["c"]);
    assert_eq!(take(&fetcher, 1).await, ["c"]);
}

#[tokio::test(start_paused = true)]
async fn a_position_outside_of_the_log_is_reset_as_configured() {
    for (policy, expected) in [("earliest", Some(2)), ("latest", Some(3)), ("none", None)] {
        let fake = Fake::new(&[("t", 1)], true);
        append(&fake, 0, None, &["a", "b", "c"]);
        fake.lock().topics.get_mut("t").expect("made").1[0].start = 2;
        let fetcher = start(&fake, &[("auto.offset.reset", policy)]);
        fetcher.assign(t(0), 0);
        match (next_event(&fetcher).await, expected) {
            (FetchEvent::Reset { from: 0, to, .. }, Some(expected)) => assert_eq!(to, expected, "{policy}"),
            (FetchEvent::Failed { error, .. }, None) => {
                assert_eq!(error.code(), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
            }
            (other, _) => panic!("{policy}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_survived() {
    let fake = Fake::new(&[("t", 1)], true);
    append(&fake, 0, None, &["a"]);
    fake.fault(
        ApiKey::Fetch,
        [
            Fault::Lost,
            Fault::Code(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            Fault::AnswerLost,
            Fault::Code(ErrorCode::FENCED_LEADER_EPOCH),
            Fault::Silence,
        ],
    );
    fake.fault(
        ApiKey::Metadata,
        [Fault::Lost, Fault::Code(ErrorCode::LEADER_NOT_AVAILABLE)],
    );
    let fetcher = start(&fake, &[]);
    fetcher.assign(t(0), 0);
    assert_eq!(take(&fetcher, 1).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn trouble_that_stays_fails_the_partition_alone() {
    let fake = Fake::new(&[("t", 1)], true);
    append(&fake, 0, None, &["a"]);
    let fetcher = start(&fake, &[]);
    fetcher.assign(TopicPartition::new("gone", 0), 0);
    fetcher.assign(t(0), 0);
    assert_eq!(take(&fetcher, 1).await, ["a"]);
    let FetchEvent::Failed { partition, error } = next_event(&fetcher).await else {
        panic!("failure expected")
    };
    assert_eq!(partition.to_string(), "gone-0");
    assert_eq!(error.code(), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    append(&fake, 0, None, &["b"]);
    fake.fault(ApiKey::Fetch, [Fault::Code(ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
    assert_eq!(take(&fetcher, 1).await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_batch_is_an_error_unless_checksums_are_off() {
    let fake = Fake::new(&[("t", 1)], true);
    append(&fake, 0, None, &["abc"]);
    {
        let mut broker = fake.lock();
        let log = &mut broker.topics.get_mut("t").expect("made").1[0];
        let mut bytes = log.batches[0].data().to_vec();
        let at = bytes.len() - 2;
        bytes[at] = b'X';
        log.batches[0] = RecordBatch::read(&bytes.into()).expect("the header is whole");
    }
    let strict = start(&fake, &[]);
    strict.assign(t(0), 0);
    let FetchEvent::Failed { error, .. } = next_event(&strict).await else {
        panic!("failure expected")
    };
    assert!(error.to_string().contains("checksum"), "{error}");
    let lenient = start(&fake, &[("check.crcs", "false")]);
    lenient.assign(t(0), 0);
    assert_eq!(take(&lenient, 1).await, ["abX"]);
}

#[tokio::test(start_paused = true)]
async fn a_recreated_topic_is_not_mistaken_for_the_old_one() {
    let fake = Fake::new(&[("t", 1)], true);
    append(&fake, 0, None, &["a"]);
    let fetcher = start(&fake, &[]);
    fetcher.assign(t(0), 0);
    assert_eq!(take(&fetcher, 1).await, ["a"]);
    {
        let mut broker = fake.lock();
        let topic = broker.topics.get_mut("t").expect("made");
        topic.0 = millstream_kafka_wire::Uuid::from_u128(99);
    }
    fake.fault(ApiKey::Fetch, [Fault::Code(ErrorCode::UNKNOWN_TOPIC_ID)]);
    let FetchEvent::Failed { error, .. } = next_event(&fetcher).await else {
        panic!("failure expected")
    };
    assert!(error.to_string().contains("recreated"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn metadata_is_asked_for_again_when_it_is_old() {
    let fake = Fake::new(&[("t", 1)], true);
    let fetcher = start(&fake, &[]);
    fetcher.assign(t(0), 0);
    tokio::time::sleep(Duration::from_secs(1000)).await;
    let asked = fake
        .lock()
        .log
        .iter()
        .filter(|api| **api == ApiKey::Metadata)
        .count();
    assert_eq!(asked, 4, "at the start and every five minutes");
}

#[tokio::test(start_paused = true)]
async fn a_waker_is_called_for_threads_that_do_not_await() {
    let fake = Fake::new(&[("t", 1)], true);
    append(&fake, 0, None, &["a"]);
    let fetcher = start(&fake, &[]);
    let (woken, mut news) = tokio::sync::mpsc::unbounded_channel();
    fetcher.set_waker(move || {
        let _ = woken.send(());
    });
    fetcher.assign(t(0), 0);
    news.recv().await.expect("called");
    assert_eq!(fetcher.poll(1).len(), 1);
}
