//! The broker, killed while records are being written: what it acknowledged is there afterwards, once and in order.
//!
//! Each round kills the process at a random point and starts it again on the same directory and port; the producer is
//! the same one all the time and knows nothing of it. A killed process leaves what it handed to the operating system,
//! so this is about recovery and repetition, not about power failures. `KILL_ROUNDS=20` makes more rounds, `KILL_SEED`
//! repeats the points of an earlier run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_kafka_client::admin::NewTopic;
use millstream_kafka_client::{
    ClientConfig, Delivery, FetchEvent, FetchedRecords, Fetcher, KafkaClient, ProduceRecord, Producer,
    TopicPartition,
};
use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::compression::Decompressor;
use millstream_types::{Clock, Rng, SystemClock};
use tokio::sync::{mpsc, watch};

use crate::killed::{Process, rounds};

static TOPIC: KafkaString = KafkaString::from_static("t");
const PARTITIONS: i32 = 3;
/// Default number of rounds.
const ROUNDS: u64 = 4;
/// A round ends after fewer acknowledged records than this.
const ROUND_RECORDS_MAX: u64 = 4000;
/// And after fewer steps of the runtime than this, so that the end does not stand right behind an acknowledgement.
const ROUND_YIELDS_MAX: u64 = 500;
/// Records that wait for their acknowledgement.
const PENDING_MAX: usize = 10_000;
/// A batch of the test, decompressed, is far smaller.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// The partition and number of a record, and its outcome.
type Pending = (i32, i64, Delivery);

/// Writes the numbers from 0 on into each partition until told to stop; gives how many.
async fn produce(producer: Arc<Producer>, pending: mpsc::Sender<Pending>, stop: Arc<AtomicBool>) -> i64 {
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        let value = number.to_string();
        for partition in 0..PARTITIONS {
            let record = ProduceRecord {
                topic: &TOPIC,
                partition: Some(partition),
                timestamp: SystemClock.now_ms(),
                key: None,
                value: Some(value.as_bytes()),
                headers: &[],
            };
            let delivery = producer.append(&record).await.expect("taken");
            pending
                .send((partition, number, delivery))
                .await
                .expect("awaited");
        }
        number += 1;
    }
    number
}

/// Waits for every record and counts. The number of a record is its offset, as there is nothing else in the topic.
async fn await_acknowledgements(mut pending: mpsc::Receiver<Pending>, count: watch::Sender<u64>) {
    while let Some((partition, number, delivery)) = pending.recv().await {
        let position = delivery.wait().await.expect("written in spite of kills");
        // The broker does not say the offset of a batch that it had before it was killed.
        assert!(
            [number, -1].contains(&position.offset),
            "record {number} of partition {partition} is at {}",
            position.offset
        );
        count.send_modify(|count| *count += 1);
    }
}

fn client(address: &str) -> (KafkaClient, ClientConfig) {
    let settings = [
        ("bootstrap.servers", address),
        ("acks", "all"),
        ("enable.idempotence", "true"),
        // Many small batches, several of them on their way: many points at which a kill can hit.
        ("batch.size", "400"),
        ("linger.ms", "0"),
        ("buffer.memory", "200000"),
        ("auto.offset.reset", "none"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = ClientConfig::parse(&BTreeMap::from(settings))
        .expect("settings")
        .config;
    (KafkaClient::connect(&config).expect("an address"), config)
}

/// All values of the topic as numbers, by partition; `per_partition` is where to stop, at the least.
async fn read_all(address: &str, per_partition: i64) -> BTreeMap<i32, Vec<(i64, i64)>> {
    let (client, config) = client(address);
    let fetcher = Fetcher::start(client, config.fetch);
    for partition in 0..PARTITIONS {
        fetcher.assign(TopicPartition::new(TOPIC.clone(), partition), 0);
    }
    let mut found: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    let mut at_end = BTreeMap::new();
    while at_end.len() < PARTITIONS as usize {
        fetcher.ready().await;
        for event in fetcher.poll(usize::MAX) {
            let FetchEvent::Records(records) = event else {
                panic!("{event:?}");
            };
            let partition = records.partition.partition;
            found.entry(partition).or_default().extend(numbers(&records));
            if records.next_offset >= records.high_watermark.max(per_partition) {
                at_end.insert(partition, records.next_offset);
            }
        }
    }
    found
}

/// Offsets and values.
fn numbers(records: &FetchedRecords) -> Vec<(i64, i64)> {
    let mut decompressor = Decompressor::new();
    let mut numbers = Vec::new();
    for fetched in &records.batches {
        let data = fetched
            .batch
            .records_data(&mut decompressor, BATCH_BYTES_MAX)
            .expect("records");
        for record in fetched.batch.records(&data) {
            let record = record.expect("a record");
            let value = std::str::from_utf8(record.value.expect("a value")).expect("text");
            if record.offset >= fetched.from_offset {
                numbers.push((record.offset, value.parse().expect("a number")));
            }
        }
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_records_survive_kills_once_and_in_order() {
    let (rounds, rng) = rounds(ROUNDS);
    let directory = tempfile::tempdir().expect("a directory");
    let mut broker = Process::broker(directory.path(), "127.0.0.1:0");
    let address = broker.address.clone();
    let (client, config) = client(&address);
    client
        .create_topic(NewTopic::new(TOPIC.clone(), Some(PARTITIONS)))
        .await
        .expect("a topic");

    let producer = Arc::new(Producer::start(client, config.produce));
    let stop = Arc::new(AtomicBool::new(false));
    let (pending, awaited) = mpsc::channel(PENDING_MAX);
    let (count, mut acknowledged) = watch::channel(0);
    let producing = tokio::spawn(produce(producer.clone(), pending, stop.clone()));
    let waiting = tokio::spawn(await_acknowledgements(awaited, count));

    for round in 0..rounds {
        let until = *acknowledged.borrow() + rng.below(ROUND_RECORDS_MAX);
        if acknowledged.wait_for(|count| *count >= until).await.is_err() {
            break; // a record failed; `waiting` says why
        }
        for _ in 0..rng.below(ROUND_YIELDS_MAX) {
            tokio::task::yield_now().await;
        }
        drop(broker);
        let before = *acknowledged.borrow();
        broker = Process::broker(directory.path(), &address);
        assert_eq!(broker.address, address);
        println!("round {round}: killed with {before} records acknowledged");
    }
    stop.store(true, Ordering::SeqCst);
    let appended = producing.await.expect("producing went on");
    waiting.await.expect("every record was acknowledged");

    let expected: Vec<(i64, i64)> = (0..appended).map(|number| (number, number)).collect();
    let found = read_all(&address, appended).await;
    for (partition, numbers) in &found {
        let wrong = expected
            .iter()
            .zip(numbers)
            .find(|(expected, found)| expected != found);
        assert_eq!(
            wrong, None,
            "partition {partition}: (offset, number) expected and found"
        );
        assert_eq!(numbers.len(), expected.len(), "partition {partition}");
    }
    println!(
        "{} records in {} partitions, each once and in order",
        found.values().map(Vec::len).sum::<usize>(),
        found.len()
    );
}
