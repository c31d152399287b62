//! Submitted jobs on real threads: ends, failures, restarts, stops, results.

use std::sync::Arc;
use std::time::Duration;

use millstream_jobs::{Collected, JobHandle, JobRegistry, JobStatus, submit};
use millstream_plan::Op;
use millstream_types::storage::{OsStorage, Storage};

use crate::toy_plan::*;
use crate::toys::{CountingSource, Rows, expected_sums, rows_of};

const PATIENCE: Duration = Duration::from_secs(60);
const NUMBERS: CountingSource = CountingSource {
    rows: 5000,
    keys: 11,
    bounded: true,
    splits: 1,
};
const QUICK: (&str, &str) = ("execution.checkpointing.interval", "1 ms");
const RESTARTS: [(&str, &str); 3] = [
    ("restart-strategy.type", "fixed-delay"),
    ("restart-strategy.fixed-delay.attempts", "2"),
    ("restart-strategy.fixed-delay.delay", "1 ms"),
];

fn entered(job: &JobHandle) -> Vec<JobStatus> {
    job.transitions().into_iter().map(|(status, _)| status).collect()
}

#[test]
fn a_bounded_job_finishes() {
    let components = ToyComponents::new(NUMBERS);
    let registry = JobRegistry::default();
    let job = registry
        .submit(request(sum_plan(&[QUICK], 0, sink("out")), &components))
        .unwrap();
    assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
    assert_eq!(
        components.outside.sorted_rows(),
        expected_sums(NUMBERS.rows, NUMBERS.keys)
    );
    use JobStatus::*;
    assert_eq!(entered(&job), [Created, Initializing, Running, Finished]);
    assert_eq!(registry.get(job.id()).unwrap().name(), "toy");
    assert_eq!(registry.list().len(), 1);
    assert!(job.checkpoints().completed >= 1);
    let read = job
        .metrics()
        .of_vertex(1)
        .map(|m| m.records_in.load(std::sync::atomic::Ordering::Relaxed))
        .sum::<u64>();
    assert_eq!(read, 5000);
}

#[test]
fn failures_are_survived_as_often_as_the_strategy_says() {
    let settings = [QUICK, RESTARTS[0], RESTARTS[1], RESTARTS[2]];
    let components = ToyComponents::new(NUMBERS);
    components.panics.lock().unwrap().extend([4000, 700]);
    let job = submit(request(sum_plan(&settings, 0, sink("out")), &components)).unwrap();
    assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
    assert_eq!(job.restarts(), 2);
    assert_eq!(
        components.outside.sorted_rows(),
        expected_sums(NUMBERS.rows, NUMBERS.keys)
    );
    assert!(entered(&job).contains(&JobStatus::Restarting));

    let components = ToyComponents::new(NUMBERS);
    components.panics.lock().unwrap().extend([10, 20, 30]);
    let job = submit(request(sum_plan(&settings, 0, sink("out")), &components)).unwrap();
    assert_eq!(job.wait(PATIENCE), JobStatus::Failed);
    let error = job.error().unwrap();
    assert!(error.message.contains("value 10 came"), "{error}");
}

/// Invalid data stays invalid: another attempt would only hide the error.
#[test]
fn errors_of_the_data_are_not_restarted() {
    let components = ToyComponents::new(NUMBERS);
    *components.wrong_data.lock().unwrap() = true;
    let settings = [QUICK, RESTARTS[0], RESTARTS[1], RESTARTS[2]];
    let job = submit(request(sum_plan(&settings, 0, sink("out")), &components)).unwrap();
    assert_eq!(job.wait(PATIENCE), JobStatus::Failed);
    assert_eq!(
        (job.restarts(), job.error().unwrap().message.as_str()),
        (0, "division by zero")
    );
}

#[test]
fn an_endless_job_is_canceled() {
    let endless = CountingSource {
        rows: i64::MAX,
        bounded: false,
        ..NUMBERS
    };
    let job = submit(request(
        sum_plan(&[], 0, sink("out")),
        &ToyComponents::new(endless),
    ))
    .unwrap();
    job.cancel();
    assert_eq!(job.wait(PATIENCE), JobStatus::Canceled);
}

#[test]
fn a_stopped_job_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(OsStorage::open(directory.path()).unwrap());
    let endless = CountingSource {
        rows: i64::MAX,
        bounded: false,
        ..NUMBERS
    };
    let components = ToyComponents::new(endless);
    let mut with_storage = request(sum_plan(&[QUICK], 0, sink("out")), &components);
    with_storage.storage = Some(storage);
    for _ in 0..2 {
        let job = submit(with_storage.clone()).unwrap();
        // Before that, there is nothing to checkpoint.
        while job.status() != JobStatus::Running {
            job.wait(Duration::from_millis(1));
        }
        job.stop();
        assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
    }
    let rows = components.outside.sorted_rows();
    assert_eq!(
        rows,
        expected_sums(rows.len() as i64, NUMBERS.keys),
        "no row is missing or doubled"
    );

    let mut changed = request(sum_plan(&[QUICK], 0, sink("elsewhere")), &components);
    changed.storage = with_storage.storage.clone();
    let error = submit(changed.clone()).err().unwrap();
    assert!(
        error.message.contains("GroupAggregate → c.d.elsewhere: new") && error.message.contains("--fresh"),
        "{error}"
    );
    changed.fresh = true;
    let job = submit(changed).unwrap();
    job.cancel();
    assert_eq!(job.wait(PATIENCE), JobStatus::Canceled);
}

fn read_all(job: &JobHandle) -> (Rows, Collected) {
    let mut rows = Rows::new();
    loop {
        match job.results().unwrap().next(PATIENCE) {
            Collected::Batch(batch) => rows.extend(rows_of(&batch)),
            other => return (rows, other),
        }
    }
}

#[test]
fn a_query_hands_its_rows_to_the_client() {
    let many = CountingSource {
        rows: 200_000,
        ..NUMBERS
    };
    let job = submit(request(sum_plan(&[], 0, Op::Collect), &ToyComponents::new(many))).unwrap();
    let (mut rows, end) = read_all(&job);
    rows.sort_unstable();
    assert!(matches!(end, Collected::End), "{end:?}");
    assert_eq!(rows, expected_sums(200_000, NUMBERS.keys));
    assert_eq!(job.wait(PATIENCE), JobStatus::Finished);
}

#[test]
fn a_query_that_fails_tells_the_client_why() {
    let components = ToyComponents::new(NUMBERS);
    components.panics.lock().unwrap().push(100);
    let job = submit(request(sum_plan(&[], 0, Op::Collect), &components)).unwrap();
    let (_, end) = read_all(&job);
    assert!(
        matches!(&end, Collected::Failed(error) if error.message.contains("value 100")),
        "{end:?}"
    );
    assert_eq!(job.wait(PATIENCE), JobStatus::Failed);
}

/// The first rows of an unbounded source, on one instance.
fn limit_plan(rows: u64, settings: &[(&str, &str)]) -> millstream_plan::Plan {
    let mut plan = sum_plan(settings, 0, sink("out"));
    for node in &mut plan.nodes {
        match &mut node.op {
            Op::GroupAggregate { .. } => {
                node.op = Op::Limit {
                    offset: 0,
                    fetch: Some(rows),
                    update_before: false,
                };
            }
            Op::Exchange { distribution } => *distribution = millstream_plan::Distribution::Single,
            _ => {}
        }
    }
    plan
}

/// `LIMIT` over an unbounded table never ended.
#[test]
fn a_job_whose_sinks_need_no_more_rows_finishes() {
    let endless = CountingSource {
        rows: i64::MAX,
        bounded: false,
        splits: 2,
        ..NUMBERS
    };
    for settings in [&[QUICK][..], &[("execution.checkpointing.interval", "1 h")]] {
        let components = ToyComponents::new(endless.clone());
        let job = submit(request(limit_plan(1000, settings), &components)).unwrap();
        assert_eq!(job.wait(PATIENCE), JobStatus::Finished, "{:?}", job.error());
        assert_eq!(components.outside.sorted_rows().len(), 1000);
        assert_eq!(job.restarts(), 0);
    }
}
