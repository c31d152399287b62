//! The one process as job manager and task manager: configuration, memory, logs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use millstream_types::redact::redacted;
use serde_json::{Value, json};

use super::path::find_job;
use crate::http::RestError;
use crate::http::reply::{Reply, reply};
use crate::metrics::jobs::ProcessMemory;
use crate::state::ServerState;

type Shared = State<Arc<ServerState>>;

/// The id of the one task manager.
pub const NODE_ID: &str = "millstream";
pub const ENDPOINT: &str = "localhost:0";
const LOG_FILE: &str = "millstream.log";
const STDOUT_FILE: &str = "millstream.out";

pub async fn config(State(state): Shared) -> Reply {
    let pairs: Vec<Value> = redacted(state.defaults())
        .into_iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    reply(&pairs)
}

pub async fn job_manager_environment() -> Reply {
    reply(&environment_json())
}

pub async fn environment(State(state): Shared, Path(job): Path<String>) -> Result<Reply, RestError> {
    find_job(&state, &job)?;
    Ok(reply(&environment_json()))
}

/// There is no JVM; the fields are those that the Web UI shows.
fn environment_json() -> Value {
    json!({
        "jvm": {
            "version": concat!("Millstream ", env!("CARGO_PKG_VERSION"), " (no JVM)"),
            "arch": std::env::consts::ARCH,
            "options": [],
        },
        "classpath": [],
    })
}

pub async fn thread_dump() -> Reply {
    reply(&json!({"threadInfos": [{
        "threadName": "not available",
        "stringifiedThreadInfo": "thread dumps are a feature of the JVM; use a profiler such as perf\n",
    }]}))
}

pub async fn logs(State(state): Shared) -> Reply {
    let now_ms = state.now_ms();
    let file = |name: &str, size: usize| json!({"name": name, "size": size, "mtime": now_ms});
    reply(&json!({"logs": [
        file(LOG_FILE, state.log_lines().text().len()),
        file(STDOUT_FILE, state.print_lines().text().len()),
    ]}))
}

pub async fn log(State(state): Shared) -> Response {
    text(state.log_lines().text())
}

pub async fn stdout(State(state): Shared) -> Response {
    text(state.print_lines().text())
}

pub async fn log_file(State(state): Shared, Path(file): Path<String>) -> Response {
    by_name(&state, &file)
}

pub async fn node_log_file(State(state): Shared, Path((node, file)): Path<(String, String)>) -> Response {
    if node == NODE_ID {
        by_name(&state, &file)
    } else {
        no_node(&node).into_response()
    }
}

/// Names are compared, never opened: there is no path to traverse.
fn by_name(state: &ServerState, file: &str) -> Response {
    match file {
        LOG_FILE => text(state.log_lines().text()),
        STDOUT_FILE => text(state.print_lines().text()),
        _ => RestError::not_found("This file does not exist in JobManager log dir.").into_response(),
    }
}

fn text(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=UTF-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::OK, headers, text).into_response()
}

pub async fn task_managers(State(state): Shared) -> Reply {
    reply(&json!({"taskmanagers": [node(&state)]}))
}

pub async fn task_manager(State(state): Shared, Path(id): Path<String>) -> Result<Reply, RestError> {
    if id != NODE_ID {
        return Err(no_node(&id));
    }
    let memory = ProcessMemory::read();
    let mut value = node(&state);
    value["allocatedSlots"] = json!([]);
    value["metrics"] = json!({
        "heapUsed": memory.resident, "heapCommitted": memory.resident, "heapMax": memory.total,
        "nonHeapUsed": 0, "nonHeapCommitted": 0, "nonHeapMax": 0,
        "directCount": 0, "directUsed": 0, "directMax": 0,
        "mappedCount": 0, "mappedUsed": 0, "mappedMax": 0,
        "nettyShuffleMemorySegmentsAvailable": 0, "nettyShuffleMemorySegmentsUsed": 0,
        "nettyShuffleMemorySegmentsTotal": 0, "nettyShuffleMemoryAvailable": 0,
        "nettyShuffleMemoryUsed": 0, "nettyShuffleMemoryTotal": 0,
        "garbageCollectors": [],
    });
    Ok(reply(&value))
}

fn no_node(id: &str) -> RestError {
    RestError::not_found(format!(
        "org.apache.flink.runtime.resourcemanager.exceptions.UnknownTaskExecutorException: No TaskExecutor registered \
         under {id}."
    ))
}

fn node(state: &ServerState) -> Value {
    let memory = ProcessMemory::read();
    let slots = state.slots();
    let running: Vec<_> = state
        .job_views()
        .into_iter()
        .filter(|job| !job.has_ended)
        .collect();
    let tasks: usize = running
        .iter()
        .flat_map(|job| &job.vertices)
        .map(|vertex| vertex.info.parallelism)
        .sum();
    let resource = |cores: usize| {
        json!({
            "cpuCores": cores as f64, "taskHeapMemory": 0, "taskOffHeapMemory": 0, "managedMemory": 0,
            "networkMemory": 0, "extendedResources": {},
        })
    };
    let free = slots.saturating_sub(running.len());
    json!({
        "id": NODE_ID,
        "path": NODE_ID,
        "dataPort": 0,
        "jmxPort": -1,
        "timeSinceLastHeartbeat": state.now_ms(),
        "slotsNumber": slots,
        "freeSlots": free,
        "assignedTasks": tasks,
        "totalResource": resource(slots),
        "freeResource": resource(free),
        "hardware": {
            "cpuCores": slots, "physicalMemory": memory.total, "freeMemory": memory.free, "managedMemory": 0,
        },
        "memoryConfiguration": {
            "frameworkHeap": 0, "taskHeap": 0, "frameworkOffHeap": 0, "taskOffHeap": 0, "networkMemory": 0,
            "managedMemory": 0, "jvmMetaspace": 0, "jvmOverhead": 0, "totalFlinkMemory": memory.total,
            "totalProcessMemory": memory.total,
        },
    })
}
