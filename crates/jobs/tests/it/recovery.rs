//! Crashes at every step: the output visible outside must equal that of an uninterrupted run.

use std::sync::Arc;

use millstream_jobs::identity::operator_entries;
use millstream_jobs::translate::translate;
use millstream_jobs::{CheckpointReason, CheckpointSettings, Checkpoints, JobSettings, JobStart, SteppedRun};
use millstream_plan::{Op, Plan};
use millstream_testkit::storage::MemStorage;
use millstream_types::storage::{OpenMode, OsStorage, Storage};
use millstream_types::{ErrorKind, Options};

use crate::toy_plan::*;
use crate::toys::{CountingSource, expected_sums};

const NUMBERS: CountingSource = CountingSource {
    rows: 400,
    keys: 7,
    bounded: true,
    splits: 1,
};
const OFTEN: CheckpointSettings = CheckpointSettings {
    interval_ms: 3,
    timeout_ms: 1000,
    min_pause_ms: 0,
    tolerable_failures: 0,
    retained: 1,
};

fn run(parallelism: usize, checkpoints: Checkpoints, components: &ToyComponents) -> SteppedRun {
    let plan = sum_plan(&[], 0, sink("out"));
    let mut settings = JobSettings::read(&Options::new(), parallelism).unwrap();
    settings.graph.batch_rows = 10;
    let graph = translate(&plan, components, &settings, None).unwrap();
    SteppedRun::start(graph, &plan, Some(OFTEN), checkpoints, 0).unwrap()
}

/// Steps until the job has ended, one time unit per step. Crashes after the steps in `crashes`.
fn run_to_end(run: &mut SteppedRun, crashes: &[i64]) -> usize {
    for now in 1..10_000 {
        if let (_, Some(reason)) = run.step(now).unwrap() {
            assert_eq!(reason, CheckpointReason::Final);
            return now as usize;
        }
        if crashes.contains(&now) {
            run.crash_and_restore(now).unwrap();
        }
    }
    panic!("the job does not end");
}

#[test]
fn a_crash_at_any_step_loses_and_doubles_nothing() {
    for parallelism in [1, 3] {
        let components = ToyComponents::new(NUMBERS);
        let steps = run_to_end(&mut run(parallelism, Checkpoints::in_memory(), &components), &[]);
        assert_eq!(
            components.outside.sorted_rows(),
            expected_sums(NUMBERS.rows, NUMBERS.keys)
        );
        for crash in 1..steps as i64 {
            let components = ToyComponents::new(NUMBERS);
            let mut run = run(parallelism, Checkpoints::in_memory(), &components);
            run_to_end(&mut run, &[crash, crash + 5, crash + 6]);
            let rows = components.outside.sorted_rows();
            assert_eq!(
                rows.len(),
                NUMBERS.rows as usize,
                "crash after step {crash}, {parallelism} instances"
            );
            assert_eq!(
                rows,
                expected_sums(NUMBERS.rows, NUMBERS.keys),
                "crash after step {crash}"
            );
        }
    }
}

#[test]
fn a_stored_checkpoint_serves_another_process_with_another_parallelism() {
    let directory = tempfile::tempdir().unwrap();
    let storage =
        || -> Option<Arc<dyn Storage>> { Some(Arc::new(OsStorage::open(directory.path()).unwrap())) };
    let components = ToyComponents::new(NUMBERS);
    for (parallelism, steps) in [(2, 20), (1, 17), (3, 23)] {
        let checkpoints = Checkpoints::open(storage(), "toy", 2, false).unwrap();
        let mut run = run(parallelism, checkpoints, &components);
        (1..steps).for_each(|now| _ = run.step(now).unwrap());
        assert!(run.stats().completed > 0);
    }
    let checkpoints = Checkpoints::open(storage(), "toy", 2, false).unwrap();
    run_to_end(&mut run(2, checkpoints, &components), &[]);
    assert_eq!(
        components.outside.sorted_rows(),
        expected_sums(NUMBERS.rows, NUMBERS.keys)
    );
}

#[test]
fn a_full_disk_fails_the_checkpoint_and_loses_nothing() {
    let storage = MemStorage::new();
    let checkpoints = Checkpoints::open(Some(Arc::new(storage.clone())), "toy", 1, false).unwrap();
    let components = ToyComponents::new(NUMBERS);
    let mut run = run(2, checkpoints, &components);
    let mut now = 1;
    while run.stats().completed == 0 {
        run.step(now).unwrap();
        now += 1;
    }
    let used: usize = storage.files().iter().map(|(_, bytes)| bytes).sum();
    storage.set_capacity(Some(used + 10));
    let error = loop {
        now += 1;
        match run.step(now) {
            Ok((_, over)) => assert_eq!(over, None, "the job ends without a checkpoint"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, ErrorKind::Environment);
    assert!(
        error.message.contains("jobs/toy/") && error.message.contains("no storage space"),
        "{}",
        error.message
    );
    storage.set_capacity(None);
    run.crash_and_restore(now).unwrap();
    for now in now + 1..now + 10_000 {
        if let (_, Some(reason)) = run.step(now).unwrap() {
            assert_eq!(reason, CheckpointReason::Final);
            break;
        }
    }
    assert_eq!(
        components.outside.sorted_rows(),
        expected_sums(NUMBERS.rows, NUMBERS.keys)
    );
}

#[test]
fn two_runs_with_checkpoints_give_the_same_bytes() {
    let files = || {
        let directory = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(OsStorage::open(directory.path()).unwrap());
        let checkpoints = Checkpoints::open(Some(Arc::clone(&storage)), "toy", 100, false).unwrap();
        let mut run = run(3, checkpoints, &ToyComponents::new(NUMBERS));
        run_to_end(&mut run, &[13]);
        let names = storage.list("jobs/toy").unwrap();
        names
            .iter()
            .map(|n| {
                (
                    n.name.clone(),
                    storage.read(&format!("jobs/toy/{}", n.name)).unwrap(),
                )
            })
            .collect()
    };
    let (first, second): (Vec<_>, Vec<_>) = (files(), files());
    assert!(first.len() > 3);
    assert!(first == second);
}

#[test]
fn a_plan_that_changed_is_refused_with_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(OsStorage::open(directory.path()).unwrap());
    let checkpoints = Checkpoints::open(Some(storage), "toy", 1, false).unwrap();
    let mut run = run(1, checkpoints, &ToyComponents::new(NUMBERS));
    (1..10).for_each(|now| _ = run.step(now).unwrap());
    let mut checkpoints = run.into_checkpoints();
    let mut check = |plan, groups, allow_partial| {
        checkpoints.expect(operator_entries(&plan), groups, 0, allow_partial);
        let preview = checkpoints.preview(false).map_err(|e| e.message);
        preview.map(|(start, comparison)| (start, comparison.is_unchanged()))
    };
    let (start, unchanged) = check(sum_plan(&[], 0, sink("out")), 128, false).unwrap();
    assert!(
        matches!(start, JobStart::Checkpoint { .. }) && unchanged,
        "{start:?}"
    );
    let (_, unchanged) = check(sum_plan(&[], 5, sink("out")), 128, false).unwrap();
    assert!(unchanged, "the time to live is not a part of the state");
    let changed = check(sum_by(1), 128, false).unwrap_err();
    assert!(
        changed.contains("GroupAggregate → c.d.out: incompatible: its keys changed from [")
            && changed.contains("TableSourceScan → c.d.out: kept"),
        "{changed}"
    );
    let (_, unchanged) = check(sum_by(1), 128, true).unwrap();
    assert!(!unchanged);
    let other_sink = check(sum_plan(&[], 0, sink("elsewhere")), 128, false).unwrap_err();
    assert!(
        other_sink.contains("Sink → c.d.out: dropped") && other_sink.contains("Sink → c.d.elsewhere: new"),
        "{other_sink}"
    );
    let other_groups = check(sum_plan(&[], 0, sink("out")), 256, false).unwrap_err();
    assert!(
        other_groups.contains("'pipeline.max-parallelism' was 128 and is 256"),
        "{other_groups}"
    );
}

fn sum_by(key: usize) -> Plan {
    let mut plan = sum_plan(&[], 0, sink("out"));
    for node in &mut plan.nodes {
        if let Op::GroupAggregate { keys, .. } = &mut node.op {
            *keys = vec![key];
        }
    }
    plan
}

/// The newest checkpoint has a flipped bit in a block, or has lost its manifest: the previous one is restored.
#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    for at in [20, -30] {
        let directory = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(OsStorage::open(directory.path()).unwrap());
        let open = || Checkpoints::open(Some(Arc::clone(&storage)), "toy", 1, false).unwrap();
        let components = ToyComponents::new(NUMBERS);
        let mut run = run(1, open(), &components);
        let mut now = 0;
        while run.stats().completed < 3 {
            now += 1;
            run.step(now).unwrap();
        }
        let newest = run.stats().latest_completed().unwrap().id;
        drop(run);
        let path = format!("jobs/toy/{newest:020}.checkpoint");
        let mut bytes = storage.read(&path).unwrap();
        let at = if at < 0 { bytes.len() as i64 + at } else { at } as usize;
        bytes[at] ^= 1;
        storage
            .open(&path, OpenMode::Truncate)
            .unwrap()
            .write_at(&bytes, 0)
            .unwrap();

        let mut checkpoints = open();
        let restored = checkpoints.load_latest().unwrap().unwrap();
        assert_eq!(restored.checkpoint.0, newest - 1);
        assert_eq!(
            checkpoints.next_number(),
            newest + 1,
            "the number of the damaged one is not used again"
        );
        for number in 1..newest {
            let _ = storage.remove(&format!("jobs/toy/{number:020}.checkpoint"));
        }
        let error = open().load_latest().unwrap_err();
        assert!(
            error.kind == ErrorKind::Data && error.message.contains("no checkpoint of the job can be read"),
            "{error}"
        );
    }
}
