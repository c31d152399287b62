//! Savepoints, the start of a job, stops whose last checkpoint fails, and locks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millstream_dataflow::Graph;
use millstream_jobs::translate::translate;
use millstream_jobs::{
    GraphRequest, JobHandle, JobRequest, JobSettings, JobStart, JobStatus, SavepointHandle, SavepointStatus,
    submit, submit_graph,
};
use millstream_state::OperatorEntry;
use millstream_testkit::storage::MemStorage;
use millstream_types::storage::{OsStorage, Storage};
use millstream_types::{ErrorKind, Options};

use crate::toy_plan::*;
use crate::toys::{CountingSource, expected_sums};

const PATIENCE: Duration = Duration::from_secs(60);
const ENDLESS: CountingSource = CountingSource {
    rows: i64::MAX,
    keys: 11,
    bounded: false,
    splits: 1,
};
const QUICK: (&str, &str) = ("execution.checkpointing.interval", "1 ms");
const SELDOM: (&str, &str) = ("execution.checkpointing.interval", "1 h");

fn stored(directory: &Path, settings: &[(&str, &str)], components: &ToyComponents) -> JobRequest {
    let storage: Arc<dyn Storage> = Arc::new(OsStorage::open(directory).unwrap());
    JobRequest {
        storage: Some(storage),
        ..request(sum_plan(settings, 0, sink("out")), components)
    }
}

fn wait_for(job: &JobHandle, status: JobStatus) {
    while job.status() != status {
        assert!(
            !job.wait(Duration::from_millis(1)).is_terminal(),
            "{:?}",
            job.error()
        );
    }
}

fn location(savepoint: &SavepointHandle) -> String {
    match savepoint.wait(PATIENCE) {
        SavepointStatus::Completed { location } => location,
        other => panic!("{other:?}"),
    }
}

fn failure(savepoint: &SavepointHandle) -> String {
    match savepoint.wait(PATIENCE) {
        SavepointStatus::Failed(error) => error.message,
        other => panic!("{other:?}"),
    }
}

fn assert_no_gap(components: &ToyComponents) {
    let rows = components.outside.sorted_rows();
    assert_eq!(
        rows,
        expected_sums(rows.len() as i64, ENDLESS.keys),
        "no row is missing or doubled"
    );
}

#[test]
fn a_job_stops_with_a_savepoint_and_starts_from_it_elsewhere() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let savepoints = tempfile::tempdir().unwrap();
    let target = savepoints.path().to_str().unwrap();
    let components = ToyComponents::new(ENDLESS);

    let job = submit(stored(first.path(), &[QUICK], &components)).unwrap();
    wait_for(&job, JobStatus::Running);
    let running = location(&job.savepoint(Some(target)));
    assert!(
        running.starts_with(&format!("{target}/savepoint-{}", &job.id().to_string()[..6])),
        "{running}"
    );
    assert!(Path::new(&running).join("_metadata").is_file());
    let savepoint = location(&job.stop_with_savepoint(Some(target), false));
    assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
    let history = job.checkpoints().history;
    assert_eq!(
        history.last().unwrap().savepoint.as_deref(),
        Some(savepoint.as_str())
    );

    let recovery = ("execution.state-recovery.path", savepoint.as_str());
    let from_savepoint = stored(second.path(), &[QUICK, recovery], &components);
    let job = submit(from_savepoint.clone()).unwrap();
    assert!(matches!(job.start(), JobStart::Savepoint { location, .. } if *location == savepoint));
    assert!(job.restored_operators().is_unchanged());
    wait_for(&job, JobStatus::Running);
    job.stop();
    assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
    assert_no_gap(&components);

    // After a crash or a stop, the same command continues; it does not start from the savepoint again.
    let job = submit(from_savepoint).unwrap();
    assert!(
        matches!(job.start(), JobStart::Checkpoint { .. }),
        "{:?}",
        job.start()
    );
    job.stop();
    assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
    assert_no_gap(&components);
}

#[test]
fn a_job_that_drains_ends_its_input_before_the_savepoint() {
    let directory = tempfile::tempdir().unwrap();
    let components = ToyComponents::new(ENDLESS);
    let target = directory.path().join("savepoints");
    let settings = [
        SELDOM,
        ("execution.checkpointing.savepoint-dir", target.to_str().unwrap()),
    ];
    let job = submit(stored(directory.path(), &settings, &components)).unwrap();
    wait_for(&job, JobStatus::Running);
    let savepoint = location(&job.stop_with_savepoint(None, true));
    assert!(savepoint.starts_with(target.to_str().unwrap()));
    assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
    assert_no_gap(&components);
}

#[test]
fn a_savepoint_that_cannot_be_taken_is_reported_and_the_job_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let job = submit(stored(directory.path(), &[SELDOM], &ToyComponents::new(ENDLESS))).unwrap();
    wait_for(&job, JobStatus::Running);
    let nowhere = failure(&job.savepoint(None));
    assert!(
        nowhere.contains("'execution.checkpointing.savepoint-dir'"),
        "{nowhere}"
    );
    let remote = failure(&job.stop_with_savepoint(Some("hdfs://host/savepoints"), false));
    assert!(remote.contains("hdfs://host/savepoints"), "{remote}");
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let taken = failure(&job.savepoint(file.to_str()));
    assert!(taken.contains("file"), "{taken}");
    assert_eq!(job.status(), JobStatus::Running);
    job.cancel();
    assert_eq!(job.wait(PATIENCE), JobStatus::Canceled);
    let over = failure(&job.savepoint(directory.path().to_str()));
    assert!(over.contains("the job ended"), "{over}");
}

#[test]
fn a_savepoint_of_another_job_or_of_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let components = ToyComponents::new(ENDLESS);
    let submit_from = |path: &str| {
        let settings = [SELDOM, ("execution.state-recovery.path", path)];
        submit(stored(directory.path(), &settings, &components))
            .err()
            .unwrap()
            .message
    };
    let missing = submit_from("/nowhere/savepoint-1");
    assert!(
        missing.contains("'/nowhere/savepoint-1' does not exist"),
        "{missing}"
    );
    let empty = directory.path().to_str().unwrap();
    let no_savepoint = submit_from(empty);
    assert!(
        no_savepoint.contains("cannot start from savepoint") && no_savepoint.contains("_metadata"),
        "{no_savepoint}"
    );
}

/// A stop was forgotten when the last checkpoint failed: the job restarted and ran forever.
#[test]
fn a_stop_ends_the_job_although_the_last_checkpoint_fails() {
    let storage = MemStorage::new();
    let components = ToyComponents::new(ENDLESS);
    let job = submit(JobRequest {
        storage: Some(Arc::new(storage.clone())),
        ..request(sum_plan(&[SELDOM], 0, sink("out")), &components)
    })
    .unwrap();
    wait_for(&job, JobStatus::Running);
    let used: usize = storage.files().iter().map(|(_, bytes)| bytes).sum();
    storage.set_capacity(Some(used));
    job.stop();
    assert_eq!(job.wait(PATIENCE), JobStatus::Failed);
    let message = job.error().unwrap().message;
    assert!(
        message.starts_with("stopped without a last checkpoint: ")
            && message.ends_with("the next run starts from scratch"),
        "{message}"
    );
    assert_eq!(job.restarts(), 0);
}

/// The same script ran twice at the same time, and each record was written twice.
#[test]
fn a_job_runs_once_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let components = ToyComponents::new(ENDLESS);
    let both = stored(directory.path(), &[SELDOM], &components);
    let first = submit(both.clone()).unwrap();
    let error = submit(both.clone()).err().unwrap();
    let expected = format!(
        "job 'toy' is already running in process {} since ",
        std::process::id()
    );
    assert!(
        error.kind == ErrorKind::Input && error.message.starts_with(&expected),
        "{error}"
    );
    first.cancel();
    assert_eq!(first.wait(PATIENCE), JobStatus::Canceled);
    let second = submit(both).unwrap();
    second.cancel();
    assert_eq!(second.wait(PATIENCE), JobStatus::Canceled);
}

/// A finished INSERT of an interrupted script ran again with the script.
#[test]
fn a_finished_job_of_a_script_is_not_run_again() {
    let directory = tempfile::tempdir().unwrap();
    let numbers = CountingSource {
        rows: 500,
        bounded: true,
        ..ENDLESS
    };
    let components = ToyComponents::new(numbers);
    let of_script = JobRequest {
        remembers_end: true,
        ..stored(directory.path(), &[QUICK], &components)
    };
    for run in 0..2 {
        let job = submit(of_script.clone()).unwrap();
        assert_eq!(matches!(job.start(), JobStart::Done { .. }), run == 1);
        assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
        assert_eq!(components.outside.sorted_rows(), expected_sums(500, ENDLESS.keys));
    }
    millstream_jobs::checkpoints::forget_finished(of_script.storage.clone().unwrap(), "toy").unwrap();
    let job = submit(of_script).unwrap();
    assert_eq!(*job.start(), JobStart::Fresh);
    assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
    assert_eq!(components.outside.sorted_rows().len(), 1000);
}

#[test]
fn a_graph_without_a_plan_is_a_job_too() {
    let directory = tempfile::tempdir().unwrap();
    let components = ToyComponents::new(ENDLESS);
    let configuration: Options = [(QUICK.0.to_owned(), QUICK.1.to_owned())].into();
    let settings = JobSettings::read(&configuration, 2).unwrap();
    let with = |sum: &str| {
        let plan = sum_plan(&[], 0, sink("out"));
        let built = translate(&plan, &components, &settings, None).unwrap();
        let mut graph = Graph::new(settings.graph.clone());
        let mut operators = Vec::new();
        for vertex in &built.vertices {
            let is_sum = &*vertex.name == "GroupAggregate";
            let uid = if is_sum { sum } else { &*vertex.name };
            graph.add(uid, &vertex.name, vertex.parallelism, vertex.kind.clone());
            operators.push(OperatorEntry {
                uid: uid.to_owned(),
                name: vertex.name.to_string(),
                sinks: vec!["out".to_owned()],
                traits: Vec::new(),
            });
        }
        graph.edges = built.edges;
        let of_plan = stored(directory.path(), &[], &components);
        GraphRequest {
            graph,
            identity: "graph".to_owned(),
            settings: settings.clone(),
            operators,
            clock: of_plan.clock,
            rng: of_plan.rng,
            storage: of_plan.storage,
            fresh: false,
            attended: false,
        }
    };
    for _ in 0..2 {
        let job = submit_graph(with("sum")).unwrap();
        wait_for(&job, JobStatus::Running);
        job.stop();
        assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
    }
    assert_no_gap(&components);
    let error = submit_graph(with("total")).err().unwrap();
    assert!(error.message.contains("GroupAggregate → out: dropped"), "{error}");
}
