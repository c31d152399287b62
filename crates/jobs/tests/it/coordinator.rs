//! The checkpoint coordinator as a state machine of events and effects.

use millstream_dataflow::DataflowError;
use millstream_jobs::coordinator::Effect;
use millstream_jobs::{
    CheckpointCoordinator, CheckpointReason, CheckpointSettings, CheckpointStatus, Written,
};
use millstream_types::{CheckpointId, ErrorKind};

const SETTINGS: CheckpointSettings = CheckpointSettings {
    interval_ms: 100,
    timeout_ms: 50,
    min_pause_ms: 30,
    tolerable_failures: 1,
    retained: 1,
};

fn coordinator() -> CheckpointCoordinator {
    CheckpointCoordinator::new(Some(SETTINGS), 2, 1, 0)
}

fn trigger(checkpoint: u64) -> Effect {
    Effect::Trigger {
        checkpoint: CheckpointId(checkpoint),
        stop: false,
    }
}

/// Both workers acknowledge; the resulting effect must be the write.
fn acknowledge(coordinator: &mut CheckpointCoordinator, checkpoint: u64) {
    let id = CheckpointId(checkpoint);
    assert_eq!(coordinator.acknowledged(1, id, Vec::new()), None);
    assert_eq!(
        coordinator.acknowledged(1, id, Vec::new()),
        None,
        "a worker counts once"
    );
    let effect = coordinator.acknowledged(0, id, Vec::new());
    assert!(
        matches!(effect, Some(Effect::Write { checkpoint, .. }) if checkpoint == id),
        "{effect:?}"
    );
}

fn stored(bytes: u64, full_bytes: u64) -> Result<Written, DataflowError> {
    Ok(Written {
        bytes,
        full_bytes,
        is_base: true,
    })
}

#[test]
fn a_job_that_processes_nothing_takes_a_checkpoint_each_minute() {
    let mut c = coordinator();
    let complete = |c: &mut CheckpointCoordinator, checkpoint, now_ms| {
        acknowledge(c, checkpoint);
        c.written(CheckpointId(checkpoint), stored(1, 1), now_ms);
    };
    let mut look = |activity, now_ms| {
        c.observe(activity, now_ms);
        let effects = c.tick(now_ms);
        if let [Effect::Trigger { checkpoint, .. }] = effects[..] {
            complete(&mut c, checkpoint.0, now_ms);
        }
        (effects.len(), c.next_deadline_ms())
    };
    assert_eq!(look(5, 100), (1, Some(200)));
    assert_eq!(look(5, 200), (0, Some(300)));
    assert_eq!(look(5, 337), (0, Some(400)), "at multiples of the interval");
    assert_eq!(look(6, 400), (1, Some(500)), "records have come");
    assert_eq!(look(6, 60_350), (0, Some(60_400)));
    assert_eq!(look(6, 60_400), (1, Some(60_500)), "a minute has passed");
    // A requested one is taken in any case.
    c.request(CheckpointReason::Requested);
    c.observe(6, 60_450);
    assert_eq!(c.tick(60_450), [trigger(4)]);
}

#[test]
fn checkpoints_follow_the_interval_and_the_pause() {
    let mut c = coordinator();
    assert_eq!((c.tick(99), c.next_deadline_ms()), (vec![], Some(100)));
    assert_eq!(c.tick(100), [trigger(1)]);
    assert_eq!((c.tick(101), c.next_deadline_ms()), (vec![], Some(150)));
    acknowledge(&mut c, 1);
    let complete = Effect::Complete {
        checkpoint: CheckpointId(1),
        is_base: true,
    };
    assert_eq!(c.written(CheckpointId(1), stored(3, 9), 140), [complete]);
    // Due at 200 by the interval; after a slow checkpoint, the minimum pause applies.
    assert_eq!(c.next_deadline_ms(), Some(200));
    assert_eq!(c.tick(200), [trigger(2)]);
    acknowledge(&mut c, 2);
    c.written(CheckpointId(2), stored(0, 0), 290);
    assert_eq!(c.next_deadline_ms(), Some(320));
    let record = c.stats().latest_completed().unwrap();
    assert_eq!(
        (record.id, record.ended_ms, c.stats().completed),
        (2, Some(290), 2)
    );
}

#[test]
fn slow_checkpoints_expire_and_too_many_fail_the_job() {
    let mut c = coordinator();
    c.tick(100);
    assert_eq!(c.tick(150), [], "the first failure is tolerated");
    assert_eq!(c.acknowledged(0, CheckpointId(1), Vec::new()), None, "too late");
    assert_eq!(c.tick(200), [trigger(2)]);
    let effects = c.tick(250);
    assert!(matches!(&effects[..], [Effect::FailJob { reason }] if reason.contains("checkpoint 2 expired")));
    assert!(
        c.stats()
            .history
            .iter()
            .all(|r| r.status == CheckpointStatus::Failed)
    );
}

#[test]
fn a_success_forgives_failures() {
    let mut c = coordinator();
    c.tick(100);
    c.tick(150);
    c.tick(200);
    acknowledge(&mut c, 2);
    c.written(CheckpointId(2), stored(0, 0), 210);
    assert_eq!(c.tick(300), [trigger(3)]);
    acknowledge(&mut c, 3);
    assert_eq!(
        c.written(
            CheckpointId(3),
            Err(DataflowError::new(ErrorKind::Environment, "disk full")),
            310
        ),
        [],
        "again the first failure in a row"
    );
}

#[test]
fn stopping_waits_for_the_commit_of_a_last_checkpoint() {
    let mut c = coordinator();
    c.tick(100);
    c.request(CheckpointReason::Stop);
    assert_eq!(c.tick(110), [], "one at a time");
    acknowledge(&mut c, 1);
    c.written(CheckpointId(1), stored(0, 0), 120);
    assert_eq!(
        c.tick(120),
        [Effect::Trigger {
            checkpoint: CheckpointId(2),
            stop: true
        }]
    );
    acknowledge(&mut c, 2);
    c.written(CheckpointId(2), stored(0, 0), 130);
    assert_eq!(c.committed(0, CheckpointId(2)), None);
    assert_eq!(
        (c.tick(1000), c.next_deadline_ms()),
        (vec![], None),
        "nothing begins any more"
    );
    assert_eq!(
        c.committed(1, CheckpointId(2)),
        Some(Effect::Finished {
            reason: CheckpointReason::Stop
        })
    );
}

#[test]
fn the_end_of_the_input_goes_before_a_stop() {
    let mut c = CheckpointCoordinator::new(None, 1, 5, 0);
    assert_eq!(c.next_deadline_ms(), None);
    c.request(CheckpointReason::Stop);
    c.request(CheckpointReason::Final);
    assert_eq!(c.tick(1), [trigger(5)]);
    c.acknowledged(0, CheckpointId(5), Vec::new());
    c.written(CheckpointId(5), stored(0, 0), 2);
    assert_eq!(
        c.committed(0, CheckpointId(5)),
        Some(Effect::Finished {
            reason: CheckpointReason::Final
        })
    );
}

#[test]
fn a_last_checkpoint_that_fails_fails_the_job() {
    let mut c = coordinator();
    c.request(CheckpointReason::Final);
    c.tick(0);
    acknowledge(&mut c, 1);
    let effects = c.written(
        CheckpointId(1),
        Err(DataflowError::new(ErrorKind::Environment, "disk full")),
        5,
    );
    assert_eq!(
        effects,
        [Effect::FailJob {
            reason: "disk full".into()
        }]
    );
}
