//! The cluster as a whole: configuration, counts, the list of jobs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use millstream_session::{JobHandle, JobStatus};
use serde_json::{Value, json};

use super::FLINK_VERSION;
use crate::state::ServerState;

pub async fn config(State(_): State<Arc<ServerState>>) -> Json<Value> {
    Json(json!({
        "refresh-interval": 3000,
        "timezone-name": "Coordinated Universal Time",
        "timezone-offset": 0,
        "flink-version": FLINK_VERSION,
        "flink-revision": concat!("Millstream ", env!("CARGO_PKG_VERSION")),
        "features": {"web-submit": false, "web-cancel": true, "web-rescale": false, "web-history": false},
    }))
}

pub async fn overview(State(state): State<Arc<ServerState>>) -> Json<Value> {
    let jobs = state.jobs().list();
    let count = |wanted: fn(JobStatus) -> bool| jobs.iter().filter(|job| wanted(job.status())).count();
    let running = count(|status| !status.is_terminal());
    let slots = state.slots();
    Json(json!({
        "taskmanagers": 1,
        "slots-total": slots,
        "slots-available": slots.saturating_sub(running),
        "jobs-running": running,
        "jobs-finished": count(|status| status == JobStatus::Finished),
        "jobs-cancelled": count(|status| status == JobStatus::Canceled),
        "jobs-failed": count(|status| status == JobStatus::Failed),
        "flink-version": FLINK_VERSION,
        "flink-commit": concat!("millstream-", env!("CARGO_PKG_VERSION")),
    }))
}

pub async fn jobs(State(state): State<Arc<ServerState>>) -> Json<Value> {
    let jobs = state.jobs().list();
    let job = |job: &JobHandle| json!({"id": job.id().to_string(), "status": job.status().name()});
    Json(json!({"jobs": jobs.iter().map(job).collect::<Vec<_>>()}))
}

pub async fn jobs_overview(State(state): State<Arc<ServerState>>) -> Json<Value> {
    let now_ms = state.now_ms();
    let jobs = state.jobs().list();
    let jobs: Vec<Value> = jobs.iter().map(|job| job_overview(job, now_ms)).collect();
    Json(json!({"jobs": jobs}))
}

fn job_overview(job: &JobHandle, now_ms: i64) -> Value {
    let transitions = job.transitions();
    let modified_ms = transitions.last().map_or(job.started_ms(), |(_, at)| *at);
    let status = job.status();
    let ended_ms = if status.is_terminal() { modified_ms } else { -1 };
    let until_ms = if status.is_terminal() { modified_ms } else { now_ms };
    json!({
        "jid": job.id().to_string(),
        "name": job.name(),
        "start-time": job.started_ms(),
        "end-time": ended_ms,
        "duration": until_ms.saturating_sub(job.started_ms()),
        "state": status.name(),
        "last-modification": modified_ms,
        "tasks": task_counts(job),
        "pending-operators": 0,
        "job-type": "STREAMING",
        "schedulerType": "Default",
    })
}

/// Subtasks by state. All subtasks of a job are in the state of the job.
fn task_counts(job: &JobHandle) -> Value {
    let total: usize = job.vertices().iter().map(|vertex| vertex.parallelism).sum();
    let state = match job.status() {
        JobStatus::Running | JobStatus::Failing => "running",
        JobStatus::Finished => "finished",
        JobStatus::Canceled => "canceled",
        JobStatus::Cancelling => "canceling",
        JobStatus::Failed => "failed",
        JobStatus::Initializing => "initializing",
        JobStatus::Created | JobStatus::Restarting | JobStatus::Suspended | JobStatus::Reconciling => {
            "created"
        }
    };
    let mut counts = serde_json::Map::new();
    for name in [
        "running",
        "canceling",
        "canceled",
        "total",
        "created",
        "scheduled",
        "deploying",
        "reconciling",
        "finished",
        "initializing",
        "failed",
    ] {
        let count = if name == "total" || name == state {
            total
        } else {
            0
        };
        counts.insert(name.to_owned(), json!(count));
    }
    Value::Object(counts)
}
