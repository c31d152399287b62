//! Follows running jobs into the store, and submits kept jobs again when the server starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use millstream_connectors::kafka::KafkaClusters;
use millstream_session::{JobHandle, JobStatus, Session, SessionError, forget_checkpoints};
use millstream_types::{ErrorCode, ErrorKind};

use super::store::{StoredDecision, StoredException, StoredJob};
use crate::access::Caller;
use crate::limits::{JOB_RETRY_PAUSE, JOB_WATCH_INTERVAL, JOBS_RESUMED_TOGETHER};
use crate::state::ServerState;

/// Writes the status changes of jobs to the store, until the task is aborted.
pub async fn watch_jobs(state: Arc<ServerState>) {
    let mut ticks = tokio::time::interval(JOB_WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let looked = Arc::clone(&state);
        // Writing syncs a file.
        _ = tokio::task::spawn_blocking(move || record_jobs(&looked)).await;
    }
}

/// Writes the present state of all jobs to the store, unless the server is stopping them.
pub fn record_jobs(state: &ServerState) {
    let Some(store) = state.store() else { return };
    if state.is_stopping() {
        return;
    }
    for job in state.jobs().list() {
        store.update(&job.id().to_string(), |stored| record(&job, stored));
    }
}

fn record(job: &JobHandle, stored: &mut StoredJob) {
    let transitions = job.transitions();
    let Some((status, at_ms)) = transitions.last().copied() else {
        return;
    };
    let restarts = job.restarts();
    let has_failed_again =
        restarts != stored.restarts || (status.name() == "FAILED" && stored.state != "FAILED");
    if has_failed_again && let Some(error) = job.error() {
        stored.add_exception(StoredException {
            at_ms,
            code: error.code.name().to_owned(),
            message: error.message,
        });
    }
    stored.restarts = restarts;
    if stored.state != status.name() {
        stored.state = status.name().to_owned();
        stored.transitions.push((stored.state.clone(), at_ms));
        let excess = stored
            .transitions
            .len()
            .saturating_sub(crate::limits::JOB_TRANSITIONS_MAX);
        stored.transitions.drain(..excess);
    }
}

/// Submits every job that had not ended again, several at a time: reading a checkpoint waits for the disk. Blocks until each
/// was tried or the server stops; what fails for a reason outside of the job is tried again in the background.
pub fn resume_jobs(state: &Arc<ServerState>) {
    let Some(store) = state.store() else { return };
    let jobs = store.waiting();
    let next = AtomicUsize::new(0);
    let resume_some = || {
        while let Some(stored) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if state.is_stopping() {
                return;
            }
            if !resume_or_end(state, &stored.id) {
                let (state, id) = (Arc::clone(state), stored.id.clone());
                KafkaClusters::runtime(state.clusters().as_ref()).spawn(keep_resuming(state, id));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..JOBS_RESUMED_TOGETHER.min(jobs.len()) {
            // Without another thread this one does it all.
            _ = std::thread::Builder::new()
                .name("resume".to_owned())
                .spawn_scoped(scope, resume_some);
        }
        resume_some();
    });
}

/// Whether the matter is settled: the job runs, or will never run. A user may cancel a job that waits, so that the store is
/// asked each time.
fn resume_or_end(state: &Arc<ServerState>, id: &str) -> bool {
    let Some(store) = state.store() else { return true };
    let is_settled = match store.get(id) {
        Some(stored) if !stored.has_ended() => match stored.decision {
            Some(decision) => {
                end_decided(state, &stored, decision);
                true
            }
            None => resume(state, &stored),
        },
        _ => true,
    };
    if is_settled {
        store.settle(id);
    }
    is_settled
}

/// Ends a job that a user had canceled or stopped when the server died.
fn end_decided(state: &ServerState, stored: &StoredJob, decision: StoredDecision) {
    let Some(store) = state.store() else { return };
    let at_ms = state.now_ms();
    tracing::info!(
        job = stored.name,
        id = stored.id,
        "a user had ended the job; it is not resumed"
    );
    if let (StoredDecision::Cancel, Some(submission)) = (decision, stored.submission())
        && let Err(error) = forget_checkpoints(state.context(), &submission)
    {
        tracing::warn!(job = stored.name, id = stored.id, %error, "cannot remove the checkpoints of a canceled job");
    }
    store.update(&stored.id, |stored| match decision {
        StoredDecision::Cancel => stored.end(JobStatus::Canceled, at_ms),
        StoredDecision::Stopped => stored.end(JobStatus::Finished, at_ms),
        StoredDecision::Stop => {
            stored.add_exception(StoredException {
                at_ms,
                code: ErrorCode::EnvironmentFailure.name().to_owned(),
                message:
                    "the server ended while the job was being stopped; its last checkpoint may be missing"
                        .to_owned(),
            });
            stored.end(JobStatus::Failed, at_ms);
        }
    });
}

async fn keep_resuming(state: Arc<ServerState>, id: String) {
    let mut pause = JOB_RETRY_PAUSE.0;
    loop {
        wait_or_decision(&state, &id, pause).await;
        let (tried, job) = (Arc::clone(&state), id.clone());
        let done = tokio::task::spawn_blocking(move || tried.is_stopping() || resume_or_end(&tried, &job));
        if done.await.unwrap_or(true) {
            return;
        }
        pause = Duration::min(pause * 2, JOB_RETRY_PAUSE.1);
    }
}

/// Waits for the time, or until a user has decided about the job.
async fn wait_or_decision(state: &ServerState, id: &str, pause: Duration) {
    let mut ticks = tokio::time::interval(JOB_WATCH_INTERVAL);
    let is_decided = || {
        let stored = state.store().and_then(|store| store.get(id));
        stored.is_none_or(|stored| stored.decision.is_some())
    };
    let decided = async {
        while !is_decided() {
            ticks.tick().await;
        }
    };
    _ = tokio::time::timeout(pause, decided).await;
}

/// Whether the matter is settled: the job runs, or will never run.
fn resume(state: &Arc<ServerState>, stored: &StoredJob) -> bool {
    let (Some(store), Some(submission)) = (state.store(), stored.submission()) else {
        return true;
    };
    let keeper = Arc::clone(store);
    let caller = Caller {
        user: None,
        is_owner: submission.unlimited,
    };
    match Session::resume(
        state.context_of(&caller),
        state.files(&caller),
        keeper,
        &submission,
    ) {
        Ok(job) => {
            tracing::info!(job = job.name(), id = %job.id(), "job resumed");
            // A request that came meanwhile found no job to cancel.
            if store.get(&stored.id).is_some_and(|now| now.decision.is_some()) {
                job.cancel();
            }
            true
        }
        Err(error) => {
            tracing::error!(job = stored.name, id = stored.id, %error, "job cannot be resumed");
            let is_permanent = is_permanent(&error);
            let at_ms = state.now_ms();
            store.update(&stored.id, |stored| {
                if stored
                    .exceptions
                    .last()
                    .is_none_or(|last| last.message != error.message)
                {
                    stored.add_exception(StoredException {
                        at_ms,
                        code: error.code.name().to_owned(),
                        message: error.message,
                    });
                }
                if is_permanent {
                    stored.end(JobStatus::Failed, at_ms);
                }
            });
            is_permanent
        }
    }
}

/// Whether another attempt would fail in the same way.
fn is_permanent(error: &SessionError) -> bool {
    matches!(
        error.kind,
        ErrorKind::Input | ErrorKind::Data | ErrorKind::Unsupported
    )
}
