//! One job: its vertices, plan, configuration, exceptions.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use millstream_types::redact::redacted;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::path::find_job;
use super::vertices::{task_state, task_state_counts, vertex_metrics};
use crate::http::RestError;
use crate::http::error::DIAGNOSTICS_HEADER;
use crate::http::reply::{Reply, reply};
use crate::jobs::JobView;
use crate::limits::EXCEPTIONS_SHOWN;
use crate::state::ServerState;

type Shared = State<Arc<ServerState>>;

const JOB_STATES: [&str; 11] = [
    "RECONCILING",
    "CANCELED",
    "SUSPENDED",
    "INITIALIZING",
    "CANCELLING",
    "RESTARTING",
    "RUNNING",
    "CREATED",
    "FAILED",
    "FAILING",
    "FINISHED",
];

pub async fn detail(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let now_ms = state.now_ms();
    let mut timestamps: Map<String, Value> = JOB_STATES
        .iter()
        .map(|name| ((*name).to_owned(), json!(0)))
        .collect();
    for (name, at_ms) in &job.transitions {
        timestamps.insert((*name).to_owned(), json!(at_ms));
    }
    let total: usize = job.vertices.iter().map(|vertex| vertex.info.parallelism).sum();
    Ok(reply(&json!({
        "jid": job.id,
        "application-id": job.id,
        "name": job.name,
        "isStoppable": false,
        "state": job.state,
        "job-type": "STREAMING",
        "schedulerType": "Default",
        "start-time": job.started_ms,
        "end-time": job.ended_ms(),
        "duration": job.duration_ms(now_ms),
        "maxParallelism": -1,
        "now": now_ms,
        "timestamps": timestamps,
        "vertices": (0..job.vertices.len()).map(|vertex| vertex_summary(&job, vertex, now_ms)).collect::<Vec<_>>(),
        "status-counts": task_state_counts(job.state, total),
        "plan": plan_of(&job),
        "pending-operators": 0,
    })))
}

fn vertex_summary(job: &JobView, vertex: usize, now_ms: i64) -> Value {
    let view = &job.vertices[vertex];
    json!({
        "id": view.id,
        "slotSharingGroupId": job.id,
        "name": view.info.name,
        "maxParallelism": 128,
        "parallelism": view.info.parallelism,
        "status": task_state(job.state),
        "start-time": job.started_ms,
        "end-time": job.ended_ms(),
        "duration": job.duration_ms(now_ms),
        "tasks": task_state_counts(job.state, view.info.parallelism),
        "metrics": vertex_metrics(job, vertex),
    })
}

pub async fn plan(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    Ok(reply(&json!({"plan": plan_of(&job)})))
}

fn plan_of(job: &JobView) -> Value {
    // The Web UI lays nodes out from the sinks.
    let nodes: Vec<Value> = (0..job.vertices.len())
        .rev()
        .map(|vertex| plan_node(job, vertex))
        .collect();
    json!({"jid": job.id, "name": job.name, "type": "STREAMING", "nodes": nodes})
}

fn plan_node(job: &JobView, vertex: usize) -> Value {
    let view = &job.vertices[vertex];
    let mut node = json!({
        "id": view.id,
        "operator": "",
        "parallelism": view.info.parallelism,
        "operator_strategy": "",
        "description": html_text(&view.info.name),
        "optimizer_properties": {},
    });
    if !view.info.inputs.is_empty() {
        let input = |(number, from): (usize, &usize)| {
            let source = &job.vertices[*from];
            let is_same = source.info.parallelism == view.info.parallelism;
            json!({
                "id": source.id,
                "num": number,
                "exchange": "pipelined_bounded",
                "ship_strategy": if is_same { "FORWARD" } else { "HASH" },
            })
        };
        node["inputs"] = view.info.inputs.iter().enumerate().map(input).collect();
    }
    node
}

/// Descriptions are shown as HTML by Flink's Web UI.
fn html_text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

pub async fn status(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    Ok(reply(&json!({"status": find_job(&state, &job)?.state})))
}

pub async fn config(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let parallelism = job.vertices.iter().map(|vertex| vertex.info.parallelism).max();
    Ok(reply(&json!({
        "jid": job.id,
        "name": job.name,
        "execution-config": {
            "restart-strategy": "Cluster level default restart strategy",
            "job-parallelism": parallelism.unwrap_or(1),
            "object-reuse-mode": false,
            "user-config": redacted(&job.configuration),
        },
    })))
}

/// The configuration of the job as a list of keys and values.
pub async fn configuration(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let pairs: Vec<Value> = redacted(&job.configuration)
        .into_iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    Ok(reply(&pairs))
}

pub async fn log_url(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    find_job(&state, &job)?;
    Ok(reply(&json!({"url": "/jobmanager/log"})))
}

#[derive(Deserialize)]
pub struct ExceptionsQuery {
    #[serde(rename = "maxExceptions")]
    max_exceptions: Option<String>,
}

pub async fn exceptions(
    State(state): Shared,
    Path(job): Path<String>,
    Query(query): Query<ExceptionsQuery>,
    headers: HeaderMap,
) -> Result<Reply, RestError> {
    let limit = match query.max_exceptions {
        None => EXCEPTIONS_SHOWN,
        Some(text) => text.parse().map_err(|_| {
            RestError::bad_request(format!(
                "Bad request, could not parse parameters: Cannot resolve query parameter (maxExceptions) from value \
                 \"{text}\"."
            ))
        })?,
    };
    let job = find_job(&state, &job)?;
    let shows_codes = headers.contains_key(DIAGNOSTICS_HEADER);
    let entry = |exception: &crate::jobs::StoredException| {
        let mut entry = json!({
            "exceptionName": "millstream.JobException",
            "stacktrace": exception.message,
            "timestamp": exception.at_ms,
            "failureLabels": {},
            "taskName": null,
            "endpoint": null,
            "taskManagerId": null,
            "concurrentExceptions": [],
        });
        if shows_codes {
            entry["code"] = json!(exception.code);
        }
        entry
    };
    let entries: Vec<Value> = job.exceptions.iter().rev().take(limit).map(entry).collect();
    let truncated = job.exceptions.len() > entries.len();
    Ok(reply(
        &json!({"exceptionHistory": {"entries": entries, "truncated": truncated}}),
    ))
}

pub async fn execution_result(
    State(state): Shared,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    if !job.has_ended {
        return Ok(reply(&json!({"status": {"id": "IN_PROGRESS"}})));
    }
    let status = match job.state {
        "FINISHED" => "SUCCEEDED",
        other => other,
    };
    let mut result = json!({
        "id": job.id,
        "application-status": status,
        "accumulator-results": {},
        "net-runtime": job.duration_ms(state.now_ms()),
    });
    if let Some(last) = job.exceptions.last().filter(|_| job.state == "FAILED") {
        result["failure-cause"] = json!({
            "class": "millstream.JobException",
            "stack-trace": last.message,
            "serialized-throwable": "",
        });
        if headers.contains_key(DIAGNOSTICS_HEADER) {
            result["failure-cause"]["code"] = json!(last.code);
        }
    }
    Ok(reply(
        &json!({"status": {"id": "COMPLETED"}, "job-execution-result": result}),
    ))
}

pub async fn accumulators(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    find_job(&state, &job)?;
    Ok(reply(&json!({
        "job-accumulators": [],
        "user-task-accumulators": [],
        "serialized-user-task-accumulators": {},
    })))
}

pub async fn resource_requirements(
    State(state): Shared,
    Path(job): Path<String>,
) -> Result<Reply, RestError> {
    let job = find_job(&state, &job)?;
    let requirement = |vertex: &crate::jobs::VertexView| {
        let bound = vertex.info.parallelism;
        (
            vertex.id.clone(),
            json!({"parallelism": {"lowerBound": bound, "upperBound": bound}}),
        )
    };
    let all: Map<String, Value> = job.vertices.iter().map(requirement).collect();
    Ok(reply(&Value::Object(all)))
}
