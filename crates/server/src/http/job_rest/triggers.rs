//! Operations on jobs that take a while: checkpoints, savepoints, stops. A request starts one and names it; the client
//! asks for its status by that name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use millstream_session::{JobDecision, JobHandle, JobId, JobKeeper, SavepointHandle, SavepointStatus};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::path::find_job;
use crate::access::Caller;
use crate::http::RestError;
use crate::http::reply::{Reply, reply, reply_with};
use crate::jobs::record_jobs;
use crate::limits::{SAVEPOINT_LOOK_INTERVAL, TRIGGERS_MAX};
use crate::state::ServerState;

/// Below the data directory, for savepoints without a directory.
const SAVEPOINTS: &str = "savepoints";

type Shared = State<Arc<ServerState>>;

/// What was started.
enum Trigger {
    /// A checkpoint; done when one with a higher number than this is complete.
    Checkpoint { after: u64 },
    /// A savepoint, after which the job may end.
    Savepoint(SavepointHandle),
}

struct Started {
    job: JobId,
    handle: JobHandle,
    trigger: Trigger,
    /// The job ends with the operation.
    ends: bool,
}

/// The operations of the server, by request id. The oldest are forgotten.
#[derive(Default)]
pub struct Triggers(Mutex<(Vec<String>, BTreeMap<String, Started>)>);

impl Triggers {
    fn add(&self, id: String, started: Started) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (order, by_id) = &mut *known;
        if order.len() >= TRIGGERS_MAX {
            by_id.remove(&order.remove(0));
        }
        order.push(id.clone());
        by_id.insert(id, started);
    }

    /// The status of an operation of a job; `None` if there is no such operation.
    fn status(&self, job: JobId, id: &str) -> Option<Value> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let started = known.1.get(id).filter(|started| started.job == job)?;
        Some(status_json(started))
    }
}

fn status_json(started: &Started) -> Value {
    let job = &started.handle;
    let stats = job.checkpoints();
    let latest = stats.latest_completed().map(|record| record.id);
    let outcome = match &started.trigger {
        Trigger::Checkpoint { after } => match latest.filter(|id| id > after) {
            Some(id) => Some(json!({"checkpointId": id})),
            None if job.status().is_terminal() => {
                Some(failure("the job ended before the checkpoint was taken"))
            }
            None => None,
        },
        Trigger::Savepoint(savepoint) => match savepoint.status() {
            SavepointStatus::InProgress => None,
            // The job has yet to end.
            SavepointStatus::Completed { .. } if started.ends && !job.status().is_terminal() => None,
            SavepointStatus::Completed { location } => Some(json!({"location": location})),
            SavepointStatus::Failed(error) => Some(failure(&error.message)),
        },
    };
    match outcome {
        None => json!({"status": {"id": "IN_PROGRESS"}}),
        Some(operation) => json!({"status": {"id": "COMPLETED"}, "operation": operation}),
    }
}

fn failure(message: &str) -> Value {
    json!({"failure-cause": {
        "class": "org.apache.flink.runtime.checkpoint.CheckpointException",
        "stack-trace": message,
        "serialized-throwable": "",
    }})
}

#[derive(Deserialize)]
pub struct CancelQuery {
    mode: Option<String>,
}

/// `PATCH /jobs/:job`: cancels the job.
pub async fn cancel(
    State(state): Shared,
    Path(job): Path<String>,
    Query(query): Query<CancelQuery>,
) -> Result<Reply, RestError> {
    match query.mode.as_deref() {
        None | Some("cancel") => {}
        Some("stop") => {
            return Err(RestError::new(
                StatusCode::PERMANENT_REDIRECT,
                "The termination mode \"stop\" has been removed. For an ungraceful shutdown, please use \"cancel\" instead. \
                 For a graceful shutdown, please use \"jobs/:jobId/stop\" instead.",
            ));
        }
        Some(other) => {
            return Err(RestError::bad_request(format!(
                "Bad request, could not parse parameters: Cannot resolve query parameter (mode) from value \"{other}\"."
            )));
        }
    }
    let view = find_job(&state, &job)?;
    match view.handle {
        Some(handle) if !view.has_ended => {
            decide(&state, handle.id(), JobDecision::Cancel).await?;
            handle.cancel();
            Ok(reply_with(StatusCode::ACCEPTED, &json!({})))
        }
        // It waits to be resumed, before which decisions are read.
        None if !view.has_ended => {
            let id = JobId::parse(&view.id).ok_or_else(|| RestError::path_parameter("jobid", &job))?;
            decide(&state, id, JobDecision::Cancel).await?;
            if let Some(handle) = find_job(&state, &job)?.handle {
                handle.cancel();
            }
            Ok(reply_with(StatusCode::ACCEPTED, &json!({})))
        }
        Some(_) if view.state == "CANCELED" => Ok(reply_with(StatusCode::ACCEPTED, &json!({}))),
        _ => Err(RestError::new(
            StatusCode::CONFLICT,
            format!(
                "org.apache.flink.runtime.rest.handler.RestHandlerException: Job cancellation failed because the job has \
                 already reached another terminal state ({}).",
                view.state
            ),
        )),
    }
}

/// Keeps a user's decision before it is carried out, so that the job does not run again if the server dies.
async fn decide(state: &Arc<ServerState>, job: JobId, decision: JobDecision) -> Result<(), RestError> {
    let Some(store) = state.store().cloned() else {
        return Ok(());
    };
    // Writing syncs a file.
    let written = tokio::task::spawn_blocking(move || store.decided(job, decision)).await;
    let failed = |message: String| RestError::new(StatusCode::INTERNAL_SERVER_ERROR, message);
    written
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.message))
}

/// `POST /jobs/:job/checkpoints`
pub async fn checkpoint(
    State(state): Shared,
    Path(job): Path<String>,
    body: Bytes,
) -> Result<Reply, RestError> {
    let members = members(&body, "CheckpointTriggerRequestBody")?;
    let handle = running(&state, &job)?;
    let after = handle
        .checkpoints()
        .latest_completed()
        .map_or(0, |record| record.id);
    handle.trigger_checkpoint();
    Ok(start(
        &state,
        handle,
        Trigger::Checkpoint { after },
        false,
        &members,
    ))
}

/// `POST /jobs/:job/savepoints`: a savepoint in the named directory, or below `execution.checkpointing.savepoint-dir`, or
/// below `savepoints` of the data directory.
pub async fn savepoint(
    State(state): Shared,
    Path(job): Path<String>,
    caller: Option<Extension<Caller>>,
    body: Bytes,
) -> Result<Reply, RestError> {
    let members = members(&body, "SavepointTriggerRequestBody")?;
    let handle = running(&state, &job)?;
    let cancels = flag(&members, "cancel-job");
    let named = named_directory(&state, caller, &members, "target-directory")?;
    let directory = directory(&state, &handle, named);
    let savepoint = if cancels {
        handle.stop_with_savepoint(Some(&directory), false)
    } else {
        handle.savepoint(Some(&directory))
    };
    if cancels {
        record_end(&state, &handle, &savepoint);
    }
    Ok(start(
        &state,
        handle,
        Trigger::Savepoint(savepoint),
        cancels,
        &members,
    ))
}

/// `POST /jobs/:job/stop`: a savepoint, then the end of the job.
pub async fn stop(
    State(state): Shared,
    Path(job): Path<String>,
    caller: Option<Extension<Caller>>,
    body: Bytes,
) -> Result<Reply, RestError> {
    let members = members(&body, "StopWithSavepointRequestBody")?;
    let handle = running(&state, &job)?;
    let named = named_directory(&state, caller, &members, "targetDirectory")?;
    let directory = directory(&state, &handle, named);
    let savepoint = handle.stop_with_savepoint(Some(&directory), flag(&members, "drain"));
    record_end(&state, &handle, &savepoint);
    Ok(start(
        &state,
        handle,
        Trigger::Savepoint(savepoint),
        true,
        &members,
    ))
}

/// Writes the end of a job to the store as soon as it has come, unless its savepoint fails and the job continues.
fn record_end(state: &Arc<ServerState>, job: &JobHandle, savepoint: &SavepointHandle) {
    let (state, job, savepoint) = (Arc::clone(state), job.clone(), savepoint.clone());
    tokio::task::spawn_blocking(move || {
        while !state.is_stopping() {
            match savepoint.wait(SAVEPOINT_LOOK_INTERVAL) {
                SavepointStatus::Failed(_) => return,
                SavepointStatus::Completed { .. } if job.wait(SAVEPOINT_LOOK_INTERVAL).is_terminal() => {
                    return record_jobs(&state);
                }
                SavepointStatus::Completed { .. } | SavepointStatus::InProgress => {}
            }
        }
    });
}

fn flag(members: &Map<String, Value>, name: &str) -> bool {
    members.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The directory that a request names, if its caller may use it. Savepoints may always go to the server's own directory
/// of savepoints, which is their target when a request names none.
fn named_directory<'a>(
    state: &ServerState,
    caller: Option<Extension<Caller>>,
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, RestError> {
    let named = members.get(name).and_then(Value::as_str);
    let named = named.filter(|directory| !directory.is_empty());
    if let Some(directory) = named {
        let refused = |message: String| RestError::new(StatusCode::FORBIDDEN, message);
        let files = state
            .files(&caller.unwrap_or_default().0)
            .with(&savepoints(state))
            .map_err(|error| refused(error.to_string()))?;
        let checked = files.check("directory of savepoints", directory);
        checked.map_err(|error| refused(error.message))?;
    }
    Ok(named)
}

/// Where a savepoint goes: the named directory, that of the job's configuration, or one of the data directory.
fn directory(state: &ServerState, job: &JobHandle, named: Option<&str>) -> String {
    let configured = named.or(job.savepoint_directory()).map(str::to_owned);
    configured.unwrap_or_else(|| savepoints(state).to_string_lossy().into_owned())
}

/// The server's own directory of savepoints.
fn savepoints(state: &ServerState) -> PathBuf {
    let data = std::path::absolute(state.data_dir()).unwrap_or_else(|_| state.data_dir().to_owned());
    data.join(SAVEPOINTS)
}

fn start(
    state: &ServerState,
    handle: JobHandle,
    trigger: Trigger,
    ends: bool,
    members: &Map<String, Value>,
) -> Reply {
    let given = members
        .get("triggerId")
        .and_then(Value::as_str)
        .and_then(JobId::parse);
    let id = given.unwrap_or_else(|| JobId(u128::from(state.random()) << 64 | u128::from(state.random())));
    let started = Started {
        job: handle.id(),
        handle,
        trigger,
        ends,
    };
    state.triggers().add(id.to_string(), started);
    reply_with(StatusCode::ACCEPTED, &json!({"request-id": id.to_string()}))
}

/// `GET /jobs/:job/savepoints/:trigger` and `/checkpoints/:trigger`
pub async fn status(
    State(state): Shared,
    Path((job, trigger)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let id = JobId::parse(&job).ok_or_else(|| RestError::path_parameter("jobid", &job))?;
    let parsed = JobId::parse(&trigger).ok_or_else(|| RestError::path_parameter("triggerid", &trigger))?;
    let recorded = Arc::clone(&state);
    let found = tokio::task::spawn_blocking(move || {
        let status = recorded.triggers().status(id, &parsed.to_string());
        // A client that reads of the end of a job must find it ended after a crash too.
        record_jobs(&recorded);
        status
    });
    let found = found.await.unwrap_or_default();
    found.map(|status| reply(&status)).ok_or_else(|| {
        RestError::not_found(format!(
            "org.apache.flink.runtime.rest.handler.RestHandlerException: There is no savepoint operation with \
             triggerId={parsed} for job {id}."
        ))
    })
}

fn running(state: &ServerState, job: &str) -> Result<JobHandle, RestError> {
    let view = find_job(state, job)?;
    view.handle.filter(|_| !view.has_ended).ok_or_else(|| {
        RestError::new(
            StatusCode::CONFLICT,
            format!("job {} is not running; its state is {}", view.id, view.state),
        )
    })
}

fn members(body: &Bytes, format: &str) -> Result<Map<String, Value>, RestError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(RestError::bad_request(format!(
            "Request did not match expected format {format}."
        ))),
    }
}
