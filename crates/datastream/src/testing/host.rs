//! A process for programs in tests: no ports, no directory.

use std::sync::{Arc, OnceLock};

use millstream_connectors::PrintTarget;
use millstream_connectors::kafka::NoKafka;
use millstream_jobs::JobRegistry;
use millstream_types::{Options, SeededRng, SystemClock};

use crate::environment::{Environment, Host};

struct Standard;

impl PrintTarget for Standard {
    fn print_line(&self, line: &str, to_stderr: bool) {
        // The test harness of Rust captures these.
        if to_stderr {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    }
}

/// One runtime for all tests of a process, for asynchronous functions.
fn runtime() -> tokio::runtime::Handle {
    static RUNTIME: OnceLock<Option<tokio::runtime::Runtime>> = OnceLock::new();
    let start = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_time().build().ok()
    };
    match RUNTIME.get_or_init(start) {
        Some(runtime) => runtime.handle().clone(),
        None => panic!("the system starts no threads"),
    }
}

/// An environment for a test of a whole program: jobs run as in production, in threads of this process, without Kafka and
/// with checkpoints in memory.
///
/// ```
/// # use millstream_datastream::Result;
/// # use millstream_datastream::testing::environment;
/// # fn main() -> Result<()> {
/// let env = environment(2);
/// let doubles = env.from_collection([1, 2, 3]).map(|n| n * 2);
/// let mut rows = doubles.execute_and_collect("doubles")?.collect::<Result<Vec<_>>>()?;
/// rows.sort();
/// assert_eq!(rows, [2, 4, 6]);
/// # Ok(())
/// # }
/// ```
pub fn environment(parallelism: usize) -> Environment {
    let env = Environment::new(Host {
        clock: Arc::new(SystemClock),
        rng: Arc::new(SeededRng::new(1)),
        kafka: Arc::new(NoKafka(runtime())),
        runtime: runtime(),
        print: Arc::new(Standard),
        jobs: JobRegistry::default(),
        checkpoints: None,
        cores: 2,
        zone_name: "UTC".into(),
        fresh: false,
        interrupted: Arc::new(|| false),
        configuration: Options::new(),
    });
    env.set_parallelism(parallelism);
    env
}
