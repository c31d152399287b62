//! Sessions: open, look, keep alive, configure, close.

use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::json;

use super::errors::{failed_configuration, failed_request, failed_submission};
use super::{Gateway, request};
use crate::access::Caller;
use crate::http::RestError;
use crate::http::reply::{Reply, reply};
use crate::sessions::{OperationError, StatementRequest, uuid};

/// How long one wait for a configuring statement takes; the statement's own timeout ends it.
const SETTLE: Duration = Duration::from_secs(3600);

pub async fn open(
    State(gateway): State<Gateway>,
    caller: Option<Extension<Caller>>,
    body: Bytes,
) -> Result<Reply, RestError> {
    const FORMAT: &str = "OpenSessionRequestBody";
    let members = request::object(&body, FORMAT)?;
    let name = request::text(&members, "sessionName", FORMAT)?;
    let properties = request::options(&members, "properties", FORMAT)?;
    let state = gateway.state;
    let session = state
        .sessions()
        .open(&state, name, &properties, &caller.unwrap_or_default().0)
        .map_err(|error| failed_request("openSession", &error))?;
    Ok(reply(&json!({"sessionHandle": session.handle()})))
}

pub async fn properties(
    State(gateway): State<Gateway>,
    Path(session): Path<String>,
) -> Result<Reply, RestError> {
    let session = request::handle("session_handle", &session)?;
    let session = gateway
        .state
        .sessions()
        .get(&session, gateway.state.now_ms())
        .map_err(|error| failed_request("getSessionConfig", &error))?;
    Ok(reply(&json!({"properties": session.properties()})))
}

pub async fn heartbeat(
    State(gateway): State<Gateway>,
    Path(session): Path<String>,
) -> Result<Reply, RestError> {
    let session = request::handle("session_handle", &session)?;
    gateway
        .state
        .sessions()
        .get(&session, gateway.state.now_ms())
        .map_err(|error| failed_request("getSessionConfig", &error))?;
    Ok(reply(&json!({})))
}

pub async fn close(State(gateway): State<Gateway>, Path(session): Path<String>) -> Result<Reply, RestError> {
    let session = request::handle("session_handle", &session)?;
    gateway
        .state
        .sessions()
        .close(&session)
        .map_err(|error| failed_request("closeSession", &error))?;
    Ok(reply(&json!({"status": "CLOSED"})))
}

pub async fn configure(
    State(gateway): State<Gateway>,
    Path(session): Path<String>,
    body: Bytes,
) -> Result<Reply, RestError> {
    const FORMAT: &str = "ConfigureSessionRequestBody";
    let session = request::handle("session_handle", &session)?;
    let members = request::object(&body, FORMAT)?;
    let state = gateway.state;
    let session = state
        .sessions()
        .get(&session, state.now_ms())
        .map_err(|error| failed_submission(&error))?;
    let request = StatementRequest {
        statement: request::text(&members, "statement", FORMAT)?.unwrap_or_default(),
        timeout: request::milliseconds(&members, "executionTimeout", FORMAT)?,
        configures: true,
        ..StatementRequest::default()
    };
    let handle = uuid().map_err(|error| failed_submission(&error))?;
    let operation = session
        .submit(handle.clone(), request, state.now_ms())
        .map_err(|error| failed_submission(&error))?;
    while !operation.settled(SETTLE).await.is_terminal() {}
    let outcome = operation.results();
    session.close_operation(&handle);
    outcome.map_err(|error| failed_configuration(&handle, &error))?;
    Ok(reply(&json!({})))
}

pub async fn complete(
    State(gateway): State<Gateway>,
    Path(session): Path<String>,
    body: Bytes,
) -> Result<Reply, RestError> {
    const FORMAT: &str = "CompleteStatementRequestBody";
    let session = request::handle("session_handle", &session)?;
    let members = request::object(&body, FORMAT)?;
    let statement = request::text(&members, "statement", FORMAT)?.unwrap_or_default();
    let position = request::text(&members, "position", FORMAT)?;
    let position = position.and_then(|text| text.trim().parse::<usize>().ok());
    let session = gateway
        .state
        .sessions()
        .get(&session, gateway.state.now_ms())
        .map_err(|error| failed_request("completeStatement", &error))?;
    let candidates = session
        .with_session(move |session| session.complete(&statement, position.unwrap_or(statement.len())))
        .await
        .map_err(|error| failed_request("completeStatement", &error))?;
    Ok(reply(&json!({"candidates": candidates})))
}

/// Materialized tables need a scheduler and batch refreshes that Millstream does not have.
pub async fn refresh_materialized_table(Path(_): Path<(String, String)>) -> RestError {
    unsupported(
        "materialized tables are not supported; write a job that keeps the table up to date with INSERT INTO",
    )
}

/// Application mode starts a cluster for a script; there is no cluster here.
pub async fn deploy_script(Path(_): Path<String>) -> RestError {
    unsupported(
        "application mode is not supported; submit the statements of the script one by one, or run 'millstream run --detach'",
    )
}

fn unsupported(message: &str) -> RestError {
    let error = OperationError::internal(message);
    RestError {
        status: StatusCode::NOT_IMPLEMENTED,
        ..failed_submission(&error)
    }
}
