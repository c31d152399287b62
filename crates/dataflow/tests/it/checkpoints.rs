//! Barriers, snapshots and restores in the middle of a run.

use std::sync::{Arc, Mutex};

use millstream_dataflow::*;
use millstream_types::CheckpointId;

use crate::toys::*;

const NUMBERS: CountingSource = CountingSource {
    rows: 3000,
    keys: 23,
    bounded: true,
    splits: 1,
};

fn acknowledged(job: &SteppedJob, checkpoint: u64) -> Vec<InstanceState> {
    let mut states = Vec::new();
    for event in job.events() {
        if let WorkerEvent::Acknowledged {
            checkpoint: id,
            states: some,
            ..
        } = event
        {
            assert_eq!(id, CheckpointId(checkpoint));
            states.extend(some);
        }
    }
    states
}

/// Rows up to a checkpoint in the middle, and its state.
fn first_half(parallelism: usize, steps: usize, sink: &Collecting) -> Arc<RestoredState> {
    let mut job = SteppedJob::start(&sum_graph(NUMBERS, parallelism, 20, sink), 0, None).unwrap();
    for _ in 0..steps {
        job.step(1).unwrap();
    }
    job.command(&Command::Trigger {
        checkpoint: CheckpointId(1),
        stop: true,
    });
    job.run(2).unwrap();
    let states = acknowledged(&job, 1);
    assert_eq!(states.len(), 2 + parallelism, "source, sums and sink");
    Arc::new(RestoredState {
        is_branch: false,
        checkpoint: CheckpointId(1),
        states,
    })
}

#[test]
fn a_restored_job_goes_on_with_any_parallelism() {
    for (before, after) in [(1, 1), (2, 2), (1, 3), (3, 2)] {
        for steps in [0, 1, 40, 1000] {
            let sink = Collecting::default();
            let state = first_half(before, steps, &sink);
            let rows_before = sink.rows().len();
            let graph = sum_graph(NUMBERS, after, 20, &sink);
            let mut job = SteppedJob::start(&graph, 0, Some(state)).unwrap();
            job.run(3).unwrap();
            let case = format!("{before} to {after} after {steps} steps, {rows_before} rows");
            assert_eq!(
                sink.sorted_rows(),
                expected_sums(NUMBERS.rows, NUMBERS.keys),
                "{case}"
            );
            let commit = sink
                .all()
                .iter()
                .position(|seen| *seen == Seen::Commit(1))
                .unwrap();
            let rows_at_commit = sink.all()[..commit]
                .iter()
                .filter(|s| matches!(s, Seen::Row(..)))
                .count();
            assert_eq!(
                rows_at_commit, rows_before,
                "the restored checkpoint is committed first: {case}"
            );
        }
    }
}

/// A later checkpoint does not name the output of the restored one. A crash behind it lost that output.
#[test]
fn no_checkpoint_passes_a_sink_that_has_not_committed_the_restored_one() {
    let sink = Collecting::default();
    let state = first_half(1, 40, &sink);
    let holds = Arc::new(Mutex::new(true));
    let sink = Collecting {
        holds_commits: Some(Arc::clone(&holds)),
        ..sink
    };
    let mut job = SteppedJob::start(&sum_graph(NUMBERS, 1, 20, &sink), 0, Some(state)).unwrap();
    job.command(&Command::Trigger {
        checkpoint: CheckpointId(2),
        stop: false,
    });
    for _ in 0..50 {
        job.step(3).unwrap();
    }
    assert!(acknowledged(&job, 2).is_empty());
    *holds.lock().unwrap() = false;
    job.run(4).unwrap();
    assert_eq!(acknowledged(&job, 2).len(), 3, "source, sum and sink");
}

#[test]
fn watermarks_do_not_regress_over_a_restore() {
    let sink = Collecting::default();
    let state = first_half(2, 40, &sink);
    let restored: Vec<i64> = state
        .states
        .iter()
        .filter(|s| &*s.uid == "sum")
        .map(|s| s.watermark.0)
        .collect();
    assert!(restored.iter().all(|w| *w > 0));
    let mut job = SteppedJob::start(&sum_graph(NUMBERS, 2, 20, &sink), 0, Some(state)).unwrap();
    job.run(3).unwrap();
    let watermarks: Vec<i64> = sink
        .all()
        .iter()
        .filter_map(|s| {
            if let Seen::Watermark(w) = s {
                Some(*w)
            } else {
                None
            }
        })
        .collect();
    assert!(watermarks.is_sorted(), "{watermarks:?}");
    assert_eq!(watermarks.last(), Some(&i64::MAX));
}

/// One source ends early: its barrier never comes, and the alignment must not wait for it.
#[test]
fn barriers_are_aligned_over_live_and_ended_inputs() {
    let sink = Collecting::default();
    let mut graph = Graph::new(GraphSettings {
        batch_rows: 10,
        ..GraphSettings::default()
    });
    let short = CountingSource {
        rows: 15,
        keys: 5,
        bounded: true,
        splits: 1,
    };
    let long = CountingSource {
        rows: 100_000,
        keys: 5,
        bounded: false,
        splits: 1,
    };
    let first = graph.add("short", "short", 1, VertexKind::Source(Arc::new(short)));
    let second = graph.add("long", "long", 2, VertexKind::Source(Arc::new(long)));
    let sum = graph.add("sum", "sum", 2, VertexKind::Operator(sum_by_key()));
    let end = graph.add("sink", "sink", 1, VertexKind::Sink(Arc::new(sink.clone())));
    graph.connect(first, sum, 0, Partitioning::Hash(vec![0]));
    graph.connect(second, sum, 1, Partitioning::Hash(vec![0]));
    graph.connect(sum, end, 0, Partitioning::Single);
    for steps in [1, 5] {
        sink.seen.lock().unwrap().clear();
        let mut job = SteppedJob::start(&graph, 0, None).unwrap();
        for _ in 0..steps {
            job.step(1).unwrap();
        }
        job.command(&Command::Trigger {
            checkpoint: CheckpointId(1),
            stop: false,
        });
        for _ in 0..20 {
            job.step(1).unwrap();
        }
        let states = acknowledged(&job, 1);
        assert_eq!(states.len(), 6, "after {steps} steps");
        let position = sink
            .all()
            .iter()
            .position(|seen| *seen == Seen::Prepare(1))
            .unwrap();
        let rows_before = sink.all()[..position]
            .iter()
            .filter(|s| matches!(s, Seen::Row(..)))
            .count() as i64;
        let read: i64 = states
            .iter()
            .filter(|s| &*s.uid == "short" || &*s.uid == "long")
            .map(|s| {
                let next = i64::from_le_bytes(s.blocks.get("next").unwrap().try_into().unwrap());
                if &*s.uid == "short" {
                    next
                } else {
                    (next - s.subtask as i64) / 2
                }
            })
            .sum();
        assert_eq!(
            rows_before, read,
            "exactly the rows before the barriers are in front of it"
        );
        let finished: Vec<bool> = states
            .iter()
            .filter(|s| &*s.uid == "short")
            .map(|s| s.finished)
            .collect();
        assert_eq!(finished, [steps > 1]);
    }
}

#[test]
fn a_checkpoint_that_was_given_up_does_not_stop_the_next() {
    let sink = Collecting::default();
    let source = CountingSource {
        rows: 100_000,
        keys: 5,
        bounded: false,
        splits: 2,
    };
    let mut job = SteppedJob::start(&sum_graph(source, 2, 10, &sink), 0, None).unwrap();
    job.step(1).unwrap();
    job.command(&Command::Trigger {
        checkpoint: CheckpointId(1),
        stop: false,
    });
    job.command(&Command::Trigger {
        checkpoint: CheckpointId(2),
        stop: false,
    });
    for _ in 0..20 {
        job.step(1).unwrap();
    }
    let acknowledged: Vec<u64> = job
        .events()
        .iter()
        .filter_map(|e| {
            if let WorkerEvent::Acknowledged { checkpoint, .. } = e {
                Some(checkpoint.0)
            } else {
                None
            }
        })
        .collect();
    assert!(
        acknowledged.ends_with(&[2, 2]) || acknowledged.contains(&2),
        "{acknowledged:?}"
    );
    assert_eq!(acknowledged.iter().filter(|id| **id == 2).count(), 2);
}

#[test]
fn the_state_of_a_finished_job_restores_to_a_finished_job() {
    let sink = Collecting::default();
    let state = first_half(2, 1000, &sink);
    let rows = sink.sorted_rows();
    assert_eq!(rows, expected_sums(NUMBERS.rows, NUMBERS.keys));
    let mut job = SteppedJob::start(&sum_graph(NUMBERS, 2, 20, &sink), 0, Some(state)).unwrap();
    job.run(3).unwrap();
    assert_eq!(sink.sorted_rows(), rows);
    assert!(
        job.events()
            .iter()
            .any(|e| matches!(e, WorkerEvent::Finished { .. }))
    );
}
