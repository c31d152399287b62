//! The jobs of a program, as a server of the same data directory sees them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millstream::prelude::{Result, WatermarkStrategy};
use millstream::source::{Boundedness, ReaderOutput, ReaderStatus, Source, SplitReader};
use millstream::{Options, StreamExecutionEnvironment};
use millstream_jobs::programs::{Mirrors, PROGRAMS_DIRECTORY};
use millstream_jobs::{JobHandle, JobRegistry, JobStatus, SavepointStatus};
use millstream_types::storage::OsStorage;

/// Gives a number now and then, without an end.
#[derive(Clone)]
struct Ticks;

struct TickReader(u64);

impl Source for Ticks {
    type Item = u64;
    type Split = u64;
    type Reader = TickReader;

    fn name(&self) -> String {
        "Ticks".to_owned()
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::ContinuousUnbounded
    }

    fn splits(&self) -> Result<Vec<u64>> {
        Ok(vec![0])
    }

    fn split_id(&self, _: &u64) -> String {
        "ticks".to_owned()
    }

    fn create_reader(&self) -> Result<TickReader> {
        Ok(TickReader(0))
    }
}

impl SplitReader<u64, u64> for TickReader {
    fn add_split(&mut self, next: u64) -> Result<()> {
        self.0 = next;
        Ok(())
    }

    fn poll(&mut self, out: &mut ReaderOutput<u64>) -> Result<ReaderStatus> {
        out.collect("ticks", self.0);
        self.0 += 1;
        Ok(ReaderStatus::PendingUntil(out.current_processing_time() + 5))
    }

    fn snapshot(&mut self) -> Result<Vec<u64>> {
        Ok(vec![self.0])
    }
}

fn program(data_dir: &Path) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::with_options(Options {
        data_dir: data_dir.to_owned(),
        ..Options::default()
    })
    .unwrap();
    env.enable_checkpointing(Duration::from_millis(50));
    env.from_source(Ticks, WatermarkStrategy::no_watermarks(), "ticks")
        .map(|n| n + 1)
        .discard();
    env
}

/// The server's side of a data directory.
struct Server {
    jobs: JobRegistry,
    mirrors: Mirrors,
}

impl Server {
    fn open(data_dir: &Path) -> Self {
        let storage = OsStorage::open(data_dir.join(PROGRAMS_DIRECTORY)).unwrap();
        let jobs = JobRegistry::default();
        Self {
            mirrors: Mirrors::new(Arc::new(storage), jobs.clone()),
            jobs,
        }
    }

    /// The only job, once it is as wanted.
    fn job_when(&mut self, wanted: impl Fn(&JobHandle) -> bool) -> JobHandle {
        for _ in 0..10_000 {
            self.mirrors.look(1).unwrap();
            let jobs = self.jobs.list();
            assert!(jobs.len() <= 1, "two jobs of one name");
            if let Some(job) = jobs.into_iter().find(|job| wanted(job)) {
                return job;
            }
            // Waits for something that never comes.
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("the job never came to be as wanted");
    }
}

#[test]
fn a_server_shows_and_ends_the_jobs_of_programs() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::open(directory.path());
    let env = program(directory.path());
    let client = env.execute_async("ticking").unwrap();
    let counted = |job: &JobHandle| {
        let metrics = job.metrics();
        let out: Vec<i64> = metrics.of_vertex(0).map(|source| source.values()[1].1).collect();
        job.checkpoints().completed > 0 && out.iter().sum::<i64>() > 0
    };
    let job = server.job_when(counted);
    assert_eq!((job.name(), job.status()), ("ticking", JobStatus::Running));
    assert!(job.is_mirror());
    assert_eq!(job.id().to_string(), client.job_id());
    assert_eq!(job.vertices()[0].name, "Source: ticks");

    let savepoints = directory.path().join("savepoints");
    let savepoint = job.savepoint(savepoints.to_str());
    server.job_when(|_| !matches!(savepoint.status(), SavepointStatus::InProgress));
    assert!(
        matches!(savepoint.status(), SavepointStatus::Completed { location } if Path::new(&location).is_dir())
    );

    let last = job.stop_with_savepoint(savepoints.to_str(), false);
    server.job_when(|job| job.status() == JobStatus::Finished);
    client.wait().unwrap();
    assert!(matches!(last.status(), SavepointStatus::Completed { .. }));
    drop(env);
    // A server that starts later knows how it ended.
    Server::open(directory.path()).job_when(|job| job.status() == JobStatus::Finished);
}

#[test]
fn a_later_run_replaces_an_earlier_one_and_is_canceled_from_outside() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::open(directory.path());
    let env = program(directory.path());
    let client = env.execute_async("ticking").unwrap();
    let first = server.job_when(|job| job.status() == JobStatus::Running);
    client.stop();
    client.wait().unwrap();
    drop(env);
    let env = program(directory.path());
    let client = env.execute_async("ticking").unwrap();
    let second = server.job_when(|job| job.status() == JobStatus::Running);
    assert_ne!(first.id(), second.id());
    second.cancel();
    server.job_when(|job| job.status() == JobStatus::Canceled);
    assert!(client.wait().is_err());
}

#[test]
fn a_program_that_died_is_suspended() {
    let directory = tempfile::tempdir().unwrap();
    let env = program(directory.path());
    env.execute_async("ticking").unwrap();
    let mut server = Server::open(directory.path());
    let job = server.job_when(|job| job.status() == JobStatus::Running);
    // What a dead process leaves behind: a report without a lock.
    let report = format!("{}.json", job.id());
    let left = tempfile::tempdir().unwrap();
    let to = left.path().join(PROGRAMS_DIRECTORY);
    std::fs::create_dir_all(&to).unwrap();
    std::fs::copy(
        directory.path().join(PROGRAMS_DIRECTORY).join(&report),
        to.join(&report),
    )
    .unwrap();
    let mut server = Server::open(left.path());
    let job = server.job_when(|job| job.status() == JobStatus::Suspended);
    let savepoint = job.savepoint(left.path().to_str());
    server.job_when(|_| matches!(savepoint.status(), SavepointStatus::Failed(_)));
}
