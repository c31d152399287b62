//! An environment without Kafka and without a directory.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use millstream_connectors::PrintTarget;
use millstream_connectors::kafka::KafkaClusters;
use millstream_dataflow::DataflowError;
use millstream_datastream::{Data, DataStream, Environment, Host};
use millstream_jobs::JobRegistry;
use millstream_kafka_client::Transport;
use millstream_types::{Options, SeededRng, SystemClock};

struct NoKafka;

impl KafkaClusters for NoKafka {
    fn transport(&self, _: &BTreeMap<String, String>) -> Result<Arc<dyn Transport>, DataflowError> {
        Err(DataflowError::internal("these tests have no Kafka"))
    }

    fn is_embedded(&self, _: &BTreeMap<String, String>) -> bool {
        false
    }

    fn runtime(&self) -> tokio::runtime::Handle {
        tokio::runtime::Handle::current()
    }
}

struct Nowhere;

impl PrintTarget for Nowhere {
    fn print_line(&self, _: &str, _: bool) {}
}

pub fn environment(parallelism: usize) -> Environment {
    let env = Environment::new(Host {
        clock: Arc::new(SystemClock),
        rng: Arc::new(SeededRng::new(1)),
        kafka: Arc::new(NoKafka),
        print: Arc::new(Nowhere),
        jobs: JobRegistry::default(),
        checkpoints: None,
        cores: 2,
        fresh: false,
        interrupted: Arc::new(|| false),
        configuration: Options::new(),
    });
    env.set_parallelism(parallelism);
    env
}

/// All rows of a stream, sorted: with several instances their order is open.
pub fn collect<T: Data + Debug + Ord>(stream: DataStream<T>) -> Vec<T> {
    let rows = stream.execute_and_collect("test").expect("the program starts");
    let mut rows: Vec<T> = rows.map(|row| row.expect("the program goes on")).collect();
    rows.sort();
    rows
}

/// All rows in the order in which they come.
pub fn in_order<T: Data>(stream: DataStream<T>) -> Vec<T> {
    let rows = stream.execute_and_collect("test").expect("the program starts");
    rows.map(|row| row.expect("the program goes on")).collect()
}

/// The error with which a program fails.
pub fn failure<T: Data + Debug>(stream: DataStream<T>) -> String {
    let rows = match stream.execute_and_collect("test") {
        Ok(rows) => rows,
        Err(error) => return error.message,
    };
    let failed = rows.filter_map(Result::err).next();
    failed.expect("the program fails").message
}
