//! The cluster as a whole: configuration, counts, the list of jobs.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::FLINK_VERSION;
use super::vertices::{TASK_STATES, task_state};
use crate::http::RestError;
use crate::http::reply::{Reply, reply};
use crate::jobs::JobView;
use crate::state::ServerState;

/// How often the Web UI asks again.
const REFRESH_MS: u32 = 3_000;

pub async fn config() -> Reply {
    reply(&json!({
        "refresh-interval": REFRESH_MS,
        "timezone-name": "Coordinated Universal Time",
        "timezone-offset": 0,
        "flink-version": FLINK_VERSION,
        "flink-revision": concat!("Millstream ", env!("CARGO_PKG_VERSION")),
        "features": {"web-submit": false, "web-cancel": true, "web-rescale": false, "web-history": false},
    }))
}

pub async fn overview(State(state): State<Arc<ServerState>>) -> Reply {
    let jobs = state.job_views();
    let count = |state: &str| jobs.iter().filter(|job| job.state == state).count();
    let running = jobs.iter().filter(|job| !job.has_ended).count();
    let slots = state.slots();
    reply(&json!({
        "taskmanagers": 1,
        "slots-total": slots,
        "slots-available": slots.saturating_sub(running),
        "jobs-running": running,
        "jobs-finished": count("FINISHED"),
        "jobs-cancelled": count("CANCELED"),
        "jobs-failed": count("FAILED"),
        "flink-version": FLINK_VERSION,
        "flink-commit": concat!("millstream-", env!("CARGO_PKG_VERSION")),
    }))
}

/// Jobs are not grouped into applications.
pub async fn applications() -> Reply {
    reply(&json!({"applications": []}))
}

pub async fn datasets() -> Reply {
    reply(&json!({"dataSets": []}))
}

pub async fn jars() -> Reply {
    reply(&json!({"address": "", "files": []}))
}

/// Jars hold Java bytecode, which Millstream does not run.
pub async fn no_jars() -> RestError {
    RestError::new(
        StatusCode::NOT_IMPLEMENTED,
        "jars and Java job graphs are not supported; submit SQL through the SQL Gateway or with 'millstream run --detach'",
    )
}

pub async fn jobs(State(state): State<Arc<ServerState>>) -> Reply {
    let jobs = state.job_views();
    let job = |job: &JobView| json!({"id": job.id, "status": job.state});
    reply(&json!({"jobs": jobs.iter().map(job).collect::<Vec<_>>()}))
}

pub async fn jobs_overview(State(state): State<Arc<ServerState>>) -> Reply {
    let now_ms = state.now_ms();
    let jobs = state.job_views();
    let jobs: Vec<Value> = jobs.iter().map(|job| job_overview(job, now_ms)).collect();
    reply(&json!({"jobs": jobs}))
}

fn job_overview(job: &JobView, now_ms: i64) -> Value {
    json!({
        "jid": job.id,
        "name": job.name,
        "jobType": "STREAMING",
        "schedulerType": "Default",
        "start-time": job.started_ms,
        "end-time": job.ended_ms(),
        "duration": job.duration_ms(now_ms),
        "state": job.state,
        "last-modification": job.modified_ms(),
        "tasks": task_counts(job),
        "pending-operators": 0,
    })
}

/// Subtasks by state, in lower case as this listing has it.
fn task_counts(job: &JobView) -> Value {
    let total: usize = job.vertices.iter().map(|vertex| vertex.info.parallelism).sum();
    let state = task_state(job.state);
    let mut counts = serde_json::Map::new();
    for name in TASK_STATES {
        let count = if name == state { total } else { 0 };
        counts.insert(name.to_lowercase(), json!(count));
    }
    counts.insert("total".to_owned(), json!(total));
    Value::Object(counts)
}
