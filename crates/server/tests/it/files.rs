//! A broker that may open few files, in a process of its own: the limit is one of the process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Arc;

use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::BatchBuilder;
use millstream_server::kafka::EmbeddedBroker;
use millstream_server::open_files::Shares;
use millstream_types::{SeededRng, SystemClock};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::limits::is_served;
use crate::raw::Raw;

/// Set for the process of the broker: its data directory.
const DIRECTORY: &str = "MILLSTREAM_TEST_FEW_FILES";
const FILES: u64 = 512;
const PARTITIONS: i32 = 8;
/// Enough batches of this size for several checkpoints.
const BATCHES: i32 = 32;
const BATCH_BYTES: usize = 900_000;

/// The other process of the next test; nothing without it.
#[tokio::test(flavor = "multi_thread")]
async fn broker_of_few_files() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let few = Rlimit {
        current: Some(FILES),
        maximum: Some(FILES),
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let properties = [
        ("listeners", "PLAINTEXT://127.0.0.1:0,OTHER://127.0.0.1:0"),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT",
        ),
    ];
    let properties: BTreeMap<String, String> = properties
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let broker = EmbeddedBroker::start(
        directory.as_ref(),
        properties,
        "127.0.0.1:0",
        Arc::new(SystemClock),
        Arc::new(SeededRng::new(7)),
    );
    let broker = broker.await.unwrap();
    for listener in broker.listeners() {
        println!("\nport {}", listener.address.port());
    }
    // Until the test ends, however it does.
    let end = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(end).await.unwrap().unwrap();
    tokio::task::spawn_blocking(|| broker.stop())
        .await
        .unwrap()
        .unwrap();
}

fn batch() -> bytes::Bytes {
    let mut builder = BatchBuilder::new(Default::default());
    builder.append(0, None, Some(&[7; BATCH_BYTES]), &[]);
    builder.build(&mut Default::default()).unwrap().into()
}

async fn create(raw: &mut Raw, topic: &str) {
    let request = CreateTopicsRequest {
        topics: vec![create_topics::CreatableTopic {
            name: topic.into(),
            num_partitions: PARTITIONS,
            replication_factor: 1,
            ..Default::default()
        }],
        timeout_ms: 10_000,
        ..Default::default()
    };
    let response = raw.call(7, request).await.unwrap();
    assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
}

async fn produce(raw: &mut Raw, topic: &str, index: i32, records: bytes::Bytes) -> ErrorCode {
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![produce::TopicProduceData {
            name: topic.into(),
            partition_data: vec![produce::PartitionProduceData {
                index,
                records: Some(records),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = raw.call(9, request).await.unwrap();
    response.responses[0].partition_responses[0].error_code
}

#[tokio::test]
async fn idle_connections_leave_files_for_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::broker_of_few_files", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Open to the end, so that the other one can write.
    let mut lines = BufReader::new(broker.stdout.take().unwrap()).lines();
    let ports: Vec<u16> = lines
        .by_ref()
        .filter_map(|line| line.unwrap().strip_prefix("port ")?.parse().ok())
        .take(2)
        .collect();
    let [administrators, others] = ports[..] else {
        panic!("the broker did not start");
    };
    let room = Shares::of(Some(FILES)).connections;
    let mut idle = Vec::new();
    loop {
        let (served, raw) = is_served(others).await;
        if !served {
            break;
        }
        idle.push(raw);
        assert!(idle.len() <= room, "connections take the place of files");
    }
    assert_eq!(idle.len(), room);
    let (served, mut raw) = is_served(administrators).await;
    assert!(served, "there is a place for administrators");
    create(&mut raw, "t").await;
    let records = batch();
    for number in 0..BATCHES {
        let code = produce(&mut raw, "t", number % PARTITIONS, records.clone()).await;
        assert_eq!(code, ErrorCode::NONE, "batch {number}");
    }
    drop(broker.stdin.take());
    assert!(broker.wait().unwrap().success(), "the log was closed cleanly");
}
