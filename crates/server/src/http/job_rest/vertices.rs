//! One vertex of a job: its subtasks, their load, their watermarks.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::{Path, State};
use millstream_dataflow::OperatorMetrics;
use serde_json::{Map, Value, json};

use super::nodes::{ENDPOINT, NODE_ID};
use super::path::{find_job, find_subtask, find_vertex};
use crate::http::RestError;
use crate::http::reply::{Reply, reply};
use crate::jobs::JobView;
use crate::state::ServerState;

type Shared = State<Arc<ServerState>>;

/// States of subtasks, in Flink's order.
pub const TASK_STATES: [&str; 10] = [
    "RUNNING",
    "FINISHED",
    "DEPLOYING",
    "CANCELING",
    "FAILED",
    "SCHEDULED",
    "CANCELED",
    "INITIALIZING",
    "CREATED",
    "RECONCILING",
];

/// Ratios from which on Flink calls the back pressure of a subtask low and high.
const LOW_RATIO: f64 = 0.1;
const HIGH_RATIO: f64 = 0.5;
const MS_PER_SECOND: f64 = 1_000.0;

/// The state of a job's subtasks: all of them are in the state of the job.
pub fn task_state(job_state: &str) -> &'static str {
    match job_state {
        "RUNNING" | "FAILING" => "RUNNING",
        "FINISHED" => "FINISHED",
        "CANCELED" => "CANCELED",
        "CANCELLING" => "CANCELING",
        "FAILED" => "FAILED",
        "INITIALIZING" => "INITIALIZING",
        "RECONCILING" => "RECONCILING",
        _ => "CREATED",
    }
}

pub fn task_state_counts(job_state: &str, subtasks: usize) -> Value {
    let state = task_state(job_state);
    let count = |name: &&str| {
        (
            (*name).to_owned(),
            json!(if *name == state { subtasks } else { 0 }),
        )
    };
    Value::Object(TASK_STATES.iter().map(count).collect::<Map<_, _>>())
}

/// The names of the figures that REST shows for vertices and subtasks.
const FIGURES: [&str; 7] = [
    "read-bytes",
    "write-bytes",
    "read-records",
    "write-records",
    "accumulated-backpressured-time",
    "accumulated-idle-time",
    "accumulated-busy-time",
];

fn figures(operator: &OperatorMetrics) -> [u64; 7] {
    [
        operator.bytes_in.load(Relaxed),
        operator.bytes_out.load(Relaxed),
        operator.records_in.load(Relaxed),
        operator.records_out.load(Relaxed),
        operator.load.backpressured.accumulated_ms(),
        operator.load.idle.accumulated_ms(),
        operator.load.busy.accumulated_ms(),
    ]
}

fn figures_json(values: [u64; 7]) -> Value {
    let mut object = Map::new();
    for (name, value) in FIGURES.iter().zip(values) {
        object.insert((*name).to_owned(), json!(value));
        if name.starts_with("read") || name.starts_with("write") {
            object.insert(format!("{name}-complete"), json!(true));
        }
    }
    Value::Object(object)
}

/// The sums of a vertex.
pub fn vertex_metrics(job: &JobView, vertex: usize) -> Value {
    let mut sums = [0; 7];
    for operator in job.metrics.of_vertex(vertex) {
        for (sum, value) in sums.iter_mut().zip(figures(operator)) {
            *sum += value;
        }
    }
    figures_json(sums)
}

fn operator(job: &JobView, vertex: usize, subtask: usize) -> Option<&Arc<OperatorMetrics>> {
    job.metrics
        .of_vertex(vertex)
        .find(|operator| operator.subtask == subtask)
}

fn subtask_json(job: &JobView, vertex: usize, subtask: usize, now_ms: i64) -> Value {
    let values = operator(job, vertex, subtask).map_or([0; 7], |operator| figures(operator));
    let state = task_state(job.state);
    json!({
        "subtask": subtask,
        "status": state,
        "attempt": job.restarts,
        "endpoint": ENDPOINT,
        "start-time": job.started_ms,
        "end-time": job.ended_ms(),
        "duration": job.duration_ms(now_ms),
        "metrics": figures_json(values),
        "taskmanager-id": NODE_ID,
        "status-duration": {state: now_ms.saturating_sub(job.modified_ms()).max(0)},
        "start_time": job.started_ms,
    })
}

/// Distributions of the figures over the subtasks.
fn aggregated(job: &JobView, vertex: usize) -> Value {
    let all: Vec<[u64; 7]> = job
        .metrics
        .of_vertex(vertex)
        .map(|operator| figures(operator))
        .collect();
    let mut metrics = Map::new();
    for (index, name) in FIGURES.iter().enumerate() {
        let mut values: Vec<u64> = all.iter().map(|figures| figures[index]).collect();
        values.sort_unstable();
        let quantile = |share: f64| {
            let last = values.len().saturating_sub(1);
            values
                .get((last as f64 * share).round() as usize)
                .copied()
                .unwrap_or(0)
        };
        let sum: u64 = values.iter().sum();
        let average = sum.checked_div(values.len() as u64).unwrap_or(0);
        let distribution = json!({
            "min": quantile(0.0), "max": quantile(1.0), "avg": average, "sum": sum, "median": quantile(0.5),
            "p25": quantile(0.25), "p75": quantile(0.75), "p95": quantile(0.95),
        });
        metrics.insert((*name).to_owned(), distribution);
    }
    json!({"metrics": metrics, "status-duration": {}})
}

fn subtasks_of(job: &JobView, vertex: usize) -> std::ops::Range<usize> {
    0..job.vertices[vertex].info.parallelism
}

pub async fn detail(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let now_ms = state.now_ms();
    let view = &job.vertices[vertex];
    let subtasks = subtasks_of(&job, vertex).map(|subtask| subtask_json(&job, vertex, subtask, now_ms));
    Ok(reply(&json!({
        "id": view.id,
        "name": view.info.name,
        "parallelism": view.info.parallelism,
        "maxParallelism": 128,
        "now": now_ms,
        "subtasks": subtasks.collect::<Vec<_>>(),
        "aggregated": aggregated(&job, vertex),
    })))
}

pub async fn subtask(
    State(state): Shared,
    Path((job, vertex, subtask)): Path<(String, String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let subtask = find_subtask(&job, vertex, &subtask)?;
    Ok(reply(&subtask_json(&job, vertex, subtask, state.now_ms())))
}

pub async fn backpressure(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let mut worst = 0.0_f64;
    let mut subtasks = Vec::new();
    for subtask in subtasks_of(&job, vertex) {
        let Some(operator) = operator(&job, vertex, subtask) else {
            continue;
        };
        let ratio = |ms: u64| (ms as f64 / MS_PER_SECOND).min(1.0);
        let held_back = ratio(operator.load.backpressured.ms_per_second());
        worst = worst.max(held_back);
        subtasks.push(json!({
            "subtask": subtask,
            "backpressureLevel": level(held_back),
            "ratio": held_back,
            "idleRatio": ratio(operator.load.idle.ms_per_second()),
            "busyRatio": ratio(operator.load.busy.ms_per_second()),
            "backpressure-level": level(held_back),
        }));
    }
    Ok(reply(&json!({
        "status": "ok",
        "backpressureLevel": level(worst),
        "end-timestamp": state.now_ms(),
        "subtasks": subtasks,
        "backpressure-level": level(worst),
    })))
}

fn level(ratio: f64) -> &'static str {
    match ratio {
        ratio if ratio <= LOW_RATIO => "ok",
        ratio if ratio <= HIGH_RATIO => "low",
        _ => "high",
    }
}

pub async fn watermarks(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let is_source = job.vertices[vertex].info.inputs.is_empty();
    let watermark = |operator: &Arc<OperatorMetrics>| {
        let value = if is_source {
            operator.output_watermark.load(Relaxed)
        } else {
            operator.input_watermark.load(Relaxed)
        };
        json!({"id": format!("{}.currentInputWatermark", operator.subtask), "value": value.to_string()})
    };
    Ok(reply(
        &job.metrics.of_vertex(vertex).map(watermark).collect::<Vec<_>>(),
    ))
}

pub async fn subtask_times(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let now_ms = state.now_ms();
    let mut timestamps: Map<String, Value> = TASK_STATES
        .iter()
        .map(|name| ((*name).to_owned(), json!(0)))
        .collect();
    for (name, at_ms) in &job.transitions {
        timestamps.insert(task_state(name).to_owned(), json!(at_ms));
    }
    let subtask = |subtask: usize| {
        json!({
            "subtask": subtask,
            "endpoint": ENDPOINT,
            "duration": job.duration_ms(now_ms),
            "timestamps": timestamps,
        })
    };
    Ok(reply(&json!({
        "id": job.vertices[vertex].id,
        "name": job.vertices[vertex].info.name,
        "now": now_ms,
        "subtasks": subtasks_of(&job, vertex).map(subtask).collect::<Vec<_>>(),
    })))
}

pub async fn task_managers(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let now_ms = state.now_ms();
    let view = &job.vertices[vertex];
    Ok(reply(&json!({
        "id": view.id,
        "name": view.info.name,
        "now": now_ms,
        "taskmanagers": [{
            "endpoint": ENDPOINT,
            "status": task_state(job.state),
            "start-time": job.started_ms,
            "end-time": job.ended_ms(),
            "duration": job.duration_ms(now_ms),
            "metrics": vertex_metrics(&job, vertex),
            "status-counts": task_state_counts(job.state, view.info.parallelism),
            "taskmanager-id": NODE_ID,
            "aggregated": aggregated(&job, vertex),
        }],
    })))
}

pub async fn accumulators(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    Ok(reply(
        &json!({"id": job.vertices[vertex].id, "user-accumulators": []}),
    ))
}

pub async fn subtask_accumulators(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let vertex = find_vertex(&job, &vertex)?;
    let view = &job.vertices[vertex];
    Ok(reply(
        &json!({"id": view.id, "parallelism": view.info.parallelism, "subtasks": []}),
    ))
}

/// Threads are not sampled; Flink responds with an empty graph before its first sample, too.
pub async fn flame_graph(
    State(state): Shared,
    Path((job, vertex)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    find_vertex(&job, &vertex)?;
    Ok(reply(&json!({"endTimestamp": state.now_ms(), "data": null})))
}
