//! Errors in the form of Flink's gateway: texts of Java stack traces, of which clients show the last cause.

use axum::http::StatusCode;

use crate::http::RestError;
use crate::sessions::OperationError;

const REST: &str = "org.apache.flink.runtime.rest.handler.RestHandlerException";
const GATEWAY: &str = "org.apache.flink.table.gateway.api.utils.SqlGatewayException";
const EXECUTION: &str = "org.apache.flink.table.gateway.service.utils.SqlExecutionException";
/// Clients take the text between the last `Caused by: ` and the next frame for the message.
const FRAME: &str = "\n\tat millstream.gateway(Native Method)";

/// A failed request about a session or an operation: `what` is the name of Flink's method.
pub fn failed_request(what: &str, error: &OperationError) -> RestError {
    let text = format!(
        "{REST}: Failed to {what}.{FRAME}\nCaused by: {GATEWAY}: Failed to {what}.{FRAME}\nCaused by: {}: {}{FRAME}\n",
        error.class, error.message
    );
    RestError {
        diagnostic: error.diagnostic.clone(),
        ..RestError::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

/// A statement that could not be submitted.
pub fn failed_submission(error: &OperationError) -> RestError {
    server_side(
        error,
        &[
            (GATEWAY, "Failed to execute statement."),
            (error.class, &error.message),
        ],
    )
}

/// A statement that could not configure the session.
pub fn failed_configuration(operation: &str, error: &OperationError) -> RestError {
    let execution = format!("Failed to execute the operation {operation}.");
    server_side(
        error,
        &[
            (GATEWAY, "Failed to configure session."),
            (EXECUTION, &execution),
            (error.class, &error.message),
        ],
    )
}

/// A fetch that was refused: a wrong token, an unknown operation.
pub fn failed_fetch(error: &OperationError) -> RestError {
    let outer = format!("{GATEWAY}: Failed to fetchResults.");
    server_side(
        error,
        &[
            (GATEWAY, &outer),
            (GATEWAY, "Failed to fetchResults."),
            (error.class, &error.message),
        ],
    )
}

/// A fetch from a statement that has failed.
pub fn failed_statement(operation: &str, error: &OperationError) -> RestError {
    let outer = format!("{GATEWAY}: Failed to fetchResults.");
    let execution = format!("Failed to execute the operation {operation}.");
    server_side(
        error,
        &[
            (GATEWAY, &outer),
            (GATEWAY, "Failed to fetchResults."),
            (EXECUTION, &execution),
            (error.class, &error.message),
        ],
    )
}

fn server_side(error: &OperationError, causes: &[(&str, &str)]) -> RestError {
    let causes: Vec<String> = causes
        .iter()
        .map(|(class, message)| format!("{class}: {message}{FRAME}"))
        .collect();
    let trace = causes.join("\nCaused by: ");
    RestError {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        errors: vec![
            "Internal server error.".to_owned(),
            format!("<Exception on server side:\n{trace}\n\nEnd of exception on server side>"),
        ],
        diagnostic: error.diagnostic.clone(),
    }
}
