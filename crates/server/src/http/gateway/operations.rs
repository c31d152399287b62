//! Operations: submit a statement, watch, cancel and close it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::json;

use super::errors::{failed_request, failed_submission};
use super::{Gateway, request};
use crate::http::RestError;
use crate::http::reply::{Reply, reply};
use crate::sessions::{Operation, OperationError, StatementRequest, uuid};

pub async fn execute(
    State(gateway): State<Gateway>,
    Path(session): Path<String>,
    body: Bytes,
) -> Result<Reply, RestError> {
    const FORMAT: &str = "ExecuteStatementRequestBody";
    let session = request::handle("session_handle", &session)?;
    let members = request::object(&body, FORMAT)?;
    let request = StatementRequest {
        statement: request::text(&members, "statement", FORMAT)?.unwrap_or_default(),
        timeout: request::milliseconds(&members, "executionTimeout", FORMAT)?,
        configuration: request::options(&members, "executionConfig", FORMAT)?,
        configures: false,
    };
    let state = gateway.state;
    let operation = state
        .sessions()
        .get(&session, state.now_ms())
        .and_then(|session| session.submit(uuid()?, request, state.now_ms()))
        .map_err(|error| failed_submission(&error))?;
    Ok(reply(&json!({"operationHandle": operation.handle()})))
}

pub async fn status(
    State(gateway): State<Gateway>,
    Path((session, operation)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let operation =
        find(&gateway, &session, &operation)?.map_err(|e| failed_request("getOperationInfo", &e))?;
    Ok(reply(&json!({"status": operation.status().name()})))
}

pub async fn cancel(
    State(gateway): State<Gateway>,
    Path((session, operation)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    find(&gateway, &session, &operation)?
        .and_then(|operation| operation.cancel())
        .map_err(|error| failed_request("cancelOperation", &error))?;
    Ok(reply(&json!({"status": "CANCELED"})))
}

/// Closing an unknown operation succeeds, as in Flink.
pub async fn close(
    State(gateway): State<Gateway>,
    Path((session, operation)): Path<(String, String)>,
) -> Result<Reply, RestError> {
    let session = request::handle("session_handle", &session)?;
    let operation = request::handle("operation_handle", &operation)?;
    let session = gateway
        .state
        .sessions()
        .get(&session, gateway.state.now_ms())
        .map_err(|error| failed_request("closeOperation", &error))?;
    session.close_operation(&operation);
    Ok(reply(&json!({"status": "CLOSED"})))
}

/// The operation of a path. The outer error is a malformed handle, the inner one an unknown session or operation.
pub fn find(
    gateway: &Gateway,
    session: &str,
    operation: &str,
) -> Result<Result<Arc<Operation>, OperationError>, RestError> {
    let session = request::handle("session_handle", session)?;
    let operation = request::handle("operation_handle", operation)?;
    let state = &gateway.state;
    Ok(state
        .sessions()
        .get(&session, state.now_ms())
        .and_then(|session| {
            session
                .operation(&operation)
                .ok_or_else(|| OperationError::no_operation(&operation))
        }))
}
