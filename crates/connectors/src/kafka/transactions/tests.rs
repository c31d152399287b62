//! The transactions of an instance over executions, against the embedded broker.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_broker::{BrokerConfig, BrokerHandle, Endpoint};
use millstream_dataflow::{Context, DataflowError, SinkCommit, Waker};
use millstream_kafka_client::admin::{NewTopic, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_client::{ClientConfig, KafkaClient, ProduceRecord, TopicPartition};
use millstream_kafka_wire::KafkaString;
use millstream_types::storage::OsStorage;
use millstream_types::{CheckpointId, ErrorKind, SeededRng, SystemClock};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::{TransactionSettings, Transactions};
use crate::kafka::embedded::EmbeddedTransport;

static TOPIC: KafkaString = KafkaString::from_static("t");
const FIRST: CheckpointId = CheckpointId(1);

struct Cluster {
    client: KafkaClient,
    config: ClientConfig,
    woken: Arc<Notify>,
    _directory: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let storage = Arc::new(OsStorage::open(directory.path()).expect("a storage"));
        let rng = Arc::new(SeededRng::new(1));
        let broker = BrokerHandle::start(
            BrokerConfig::default(),
            storage,
            rng.clone(),
            Arc::new(SystemClock),
        );
        let endpoint = Endpoint {
            host: "inside".into(),
            port: 1,
        };
        let transport = Arc::new(EmbeddedTransport::new(
            broker.expect("a broker"),
            "test",
            endpoint,
        ));
        let settings = BTreeMap::from([("bootstrap.servers".to_owned(), "inside:1".to_owned())]);
        let config = ClientConfig::parse(&settings).expect("settings").config;
        let client = KafkaClient::new(config.connection.clone(), transport, rng);
        let created = client
            .create_topics(&[NewTopic::new(TOPIC.clone(), Some(1))], false)
            .await;
        assert!(created.expect("a response for the topic")[0].is_ok());
        client
            .topics(std::slice::from_ref(&TOPIC), false)
            .await
            .expect("metadata");
        Cluster {
            client,
            config,
            woken: Arc::default(),
            _directory: directory,
        }
    }

    /// An instance of a new execution, restored from `checkpoint`.
    fn instance(&self, subtask: usize, parallelism: usize, checkpoint: Option<&SinkCommit>) -> Transactions {
        self.instance_of_job(2, (subtask, parallelism), checkpoint)
    }

    fn instance_of_job(
        &self,
        job: u64,
        (subtask, parallelism): (usize, usize),
        checkpoint: Option<&SinkCommit>,
    ) -> Transactions {
        let settings = TransactionSettings {
            prefix: "p".to_owned(),
            produce: self.config.produce.clone(),
            outlive: true,
        };
        let context = Context::new(subtask, parallelism);
        let rng = SeededRng::new(job);
        let mut transactions =
            Transactions::new(settings, self.client.clone(), Handle::current(), &rng, subtask);
        if let Some(checkpoint) = checkpoint {
            let blocks = [checkpoint.state.clone()];
            transactions.restore(&blocks, &context).expect("restored");
        }
        let woken = Arc::clone(&self.woken);
        transactions.open(&context, Waker::new(move || woken.notify_one()));
        transactions
    }

    /// Calls until something comes out, as a worker does that is woken.
    async fn poll<T>(
        &self,
        mut call: impl FnMut() -> Result<Option<T>, DataflowError>,
    ) -> Result<T, DataflowError> {
        loop {
            if let Some(value) = call()? {
                return Ok(value);
            }
            self.woken.notified().await;
        }
    }

    async fn write(&self, to: &mut Transactions, values: &[&str]) {
        for value in values {
            let ready = self.poll(|| Ok(to.takes_rows(&TOPIC)?.then_some(()))).await;
            ready.expect("takes rows");
            let record = ProduceRecord {
                topic: &TOPIC,
                partition: Some(0),
                timestamp: 0,
                key: None,
                value: Some(value.as_bytes()),
                headers: &[],
            };
            to.producer().try_append(&record).expect("taken");
            to.count(1);
        }
    }

    async fn close(&self, transactions: &mut Transactions, checkpoint: CheckpointId) -> SinkCommit {
        let closed = self.poll(|| transactions.close(checkpoint)).await;
        closed.expect("closed")
    }

    async fn commit(
        &self,
        transactions: &mut Transactions,
        checkpoint: CheckpointId,
    ) -> Result<(), DataflowError> {
        self.poll(|| Ok(transactions.commit(checkpoint)?.then_some(())))
            .await
    }

    /// Where readers of committed records are at the end, and where all others are.
    async fn ends(&self) -> (i64, i64) {
        let partition = TopicPartition::new(TOPIC.clone(), 0);
        let wanted = BTreeMap::from([(partition.clone(), OffsetSpec::Latest)]);
        let mut ends = Vec::new();
        for isolation in [IsolationLevel::ReadCommitted, IsolationLevel::ReadUncommitted] {
            let found = self
                .client
                .list_offsets(&wanted, isolation)
                .await
                .expect("offsets");
            ends.push(found[&partition].offset);
        }
        (ends[0], ends[1])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_seen_after_their_checkpoint_only() {
    let cluster = Cluster::start().await;
    let mut sink = cluster.instance(0, 1, None);
    cluster.write(&mut sink, &["a", "b"]).await;
    cluster.close(&mut sink, FIRST).await;
    assert_eq!(cluster.ends().await, (0, 2));
    cluster.commit(&mut sink, FIRST).await.expect("committed");
    assert_eq!(
        cluster.ends().await,
        (3, 3),
        "two rows and the marker of the commit"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_prepared_is_committed_by_the_next_execution_and_what_came_after_is_not() {
    let cluster = Cluster::start().await;
    let mut before = cluster.instance(0, 1, None);
    cluster.write(&mut before, &["a"]).await;
    let checkpoint = cluster.close(&mut before, FIRST).await;
    cluster.write(&mut before, &["later"]).await;
    before.producer().flush().await.expect("written");
    drop(before);
    assert_eq!(cluster.ends().await, (0, 2));
    let mut after = cluster.instance(0, 1, Some(&checkpoint));
    cluster.commit(&mut after, FIRST).await.expect("committed");
    cluster.write(&mut after, &["again"]).await;
    cluster.close(&mut after, CheckpointId(2)).await;
    cluster
        .commit(&mut after, CheckpointId(2))
        .await
        .expect("committed");
    let (committed, all) = cluster.ends().await;
    assert_eq!(committed, all, "nothing is left open");
    assert_eq!(all, 6, "three rows, a commit, an abort, a commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_the_coordinator_forgot_is_proved() {
    let cluster = Cluster::start().await;
    let mut before = cluster.instance(0, 1, None);
    cluster.write(&mut before, &["a"]).await;
    let checkpoint = cluster.close(&mut before, FIRST).await;
    // The id begins a new epoch with that, so the coordinator no longer knows the transaction.
    cluster.commit(&mut before, FIRST).await.expect("committed");
    cluster.write(&mut before, &["b"]).await;
    cluster.close(&mut before, CheckpointId(2)).await;
    drop(before);
    let mut after = cluster.instance(0, 1, Some(&checkpoint));
    cluster.commit(&mut after, FIRST).await.expect("it was committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_checkpoint_stops_the_job() {
    let cluster = Cluster::start().await;
    let mut before = cluster.instance(0, 1, None);
    cluster.write(&mut before, &["a", "b", "c"]).await;
    let checkpoint = cluster.close(&mut before, FIRST).await;
    drop(before);
    cluster
        .client
        .fence_producer("p-0-0", 1000)
        .await
        .expect("aborted");
    let mut after = cluster.instance(0, 1, Some(&checkpoint));
    let error = cluster
        .commit(&mut after, FIRST)
        .await
        .expect_err("the records are gone");
    assert_eq!(error.kind, ErrorKind::Data, "no restart can help");
    let text = error.to_string();
    assert!(
        text.contains("the 3 records of checkpoint 1 cannot be committed"),
        "{text}"
    );
    assert!(
        text.contains("'p-0-0'") && text.contains("transaction.timeout.ms"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_instances_look_after_those_that_are_gone() {
    let cluster = Cluster::start().await;
    let mut third = cluster.instance(2, 3, None);
    cluster.write(&mut third, &["a"]).await;
    let checkpoint = cluster.close(&mut third, FIRST).await;
    cluster.write(&mut third, &["open"]).await;
    third.producer().flush().await.expect("written");
    drop(third);
    let mut only = cluster.instance(0, 1, Some(&checkpoint));
    cluster.commit(&mut only, FIRST).await.expect("committed");
    assert_eq!(cluster.ends().await, (4, 4), "a row committed, a row aborted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_checkpoint_names_is_found_and_aborted() {
    let cluster = Cluster::start().await;
    let mut third = cluster.instance(2, 3, None);
    cluster.write(&mut third, &["a"]).await;
    third.producer().flush().await.expect("written");
    drop(third);
    let mut only = cluster.instance(0, 1, None);
    cluster.write(&mut only, &["b"]).await;
    cluster.close(&mut only, FIRST).await;
    cluster.commit(&mut only, FIRST).await.expect("committed");
    let (committed, all) = cluster.ends().await;
    assert_eq!(committed, all, "nothing is left open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_job_with_the_same_prefix_is_named() {
    let cluster = Cluster::start().await;
    let mut first = cluster.instance_of_job(1, (0, 1), None);
    cluster.write(&mut first, &["a"]).await;
    cluster.close(&mut first, FIRST).await;
    cluster.commit(&mut first, FIRST).await.expect("committed");
    let mut second = cluster.instance_of_job(2, (0, 1), None);
    cluster.write(&mut second, &["b"]).await;
    cluster.close(&mut second, CheckpointId(7)).await;
    cluster
        .commit(&mut second, CheckpointId(7))
        .await
        .expect("committed");
    cluster.write(&mut first, &["c"]).await;
    let closed = cluster.poll(|| first.close(CheckpointId(2))).await;
    let error = closed.expect_err("the second job has fenced the first");
    assert_eq!(error.kind, ErrorKind::Input, "no restart can help");
    for part in ["another job writes topic 't'", "'p'", "checkpoint 7"] {
        assert!(error.message.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_job_with_the_same_prefix_is_no_rival() {
    let cluster = Cluster::start().await;
    let mut before = cluster.instance_of_job(1, (0, 1), None);
    cluster.write(&mut before, &["a"]).await;
    cluster.close(&mut before, FIRST).await;
    cluster.commit(&mut before, FIRST).await.expect("committed");
    drop(before);
    let mut now = cluster.instance_of_job(2, (0, 1), None);
    cluster.write(&mut now, &["b"]).await;
    cluster.close(&mut now, FIRST).await;
    cluster.commit(&mut now, FIRST).await.expect("committed");
    cluster.write(&mut now, &["c"]).await;
    for slot in 0..3 {
        let id = format!("p-0-{slot}");
        cluster.client.fence_producer(&id, 1000).await.expect("fenced");
    }
    let closed = cluster.poll(|| now.close(CheckpointId(2))).await;
    let error = closed.expect_err("it was fenced");
    assert_eq!(error.kind, ErrorKind::Environment, "a restart helps: {error}");
}
