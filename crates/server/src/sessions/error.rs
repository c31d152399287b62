//! Why an operation or a request about one failed, with the classes of exceptions that Flink's clients look for.

use millstream_session::SessionError;
use millstream_types::{ErrorCode, ErrorKind};

/// A failure that clients are shown.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct OperationError {
    /// Class of the exception that Flink throws in this case.
    pub class: &'static str,
    pub message: String,
    /// The error of the statement, if it was one.
    pub diagnostic: Option<Box<SessionError>>,
}

const GATEWAY: &str = "org.apache.flink.table.gateway.api.utils.SqlGatewayException";
const EXECUTION: &str = "org.apache.flink.table.gateway.service.utils.SqlExecutionException";
const CANCELED: &str = "org.apache.flink.table.gateway.service.utils.SqlCancelException";

impl OperationError {
    fn of_class(class: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            diagnostic: None,
        }
    }

    fn gateway(message: String) -> Self {
        Self::of_class(GATEWAY, message)
    }

    pub fn no_session(handle: &str) -> Self {
        Self::gateway(format!("Session '{handle}' does not exist."))
    }

    pub fn no_operation(handle: &str) -> Self {
        Self::gateway(format!(
            "Can not find the submitted operation in the OperationManager with the {handle}."
        ))
    }

    pub fn too_many_sessions(limit: usize) -> Self {
        Self::gateway(format!(
            "Failed to create session, the count of active sessions exceeds the max count: {limit}"
        ))
    }

    pub fn too_many_operations(limit: usize) -> Self {
        Self::gateway(format!(
            "the session has {limit} open operations, the most that are allowed; close some of them"
        ))
    }

    pub fn transition(handle: &str, from: &str, to: &str) -> Self {
        Self::gateway(format!(
            "Failed to convert the Operation Status from {from} to {to} for {handle}."
        ))
    }

    pub fn canceled(handle: &str) -> Self {
        Self::of_class(CANCELED, format!("The operation {handle} has been canceled."))
    }

    pub fn timed_out(handle: &str, timeout_ms: u128) -> Self {
        let message = format!("The operation {handle} did not finish within {timeout_ms} ms.");
        Self::of_class(EXECUTION, message)
    }

    pub fn token(current: u64, found: i64) -> Self {
        let message = match current.checked_sub(1) {
            None => format!("Expecting token to be 0, but found {found}."),
            Some(previous) => format!("Expecting token to be {current} or {previous}, but found {found}."),
        };
        Self::of_class(EXECUTION, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::of_class(EXECUTION, message)
    }
}

impl From<SessionError> for OperationError {
    fn from(error: SessionError) -> Self {
        let class = match (error.code, error.kind) {
            (
                ErrorCode::InvalidCharacter
                | ErrorCode::UnterminatedText
                | ErrorCode::SyntaxError
                | ErrorCode::UnexpectedEnd
                | ErrorCode::ReservedWord
                | ErrorCode::InvalidLiteral,
                _,
            ) => "org.apache.flink.table.api.SqlParserException",
            // Statements between BEGIN STATEMENT SET and END are checked by Flink's gateway, not by its planner.
            (ErrorCode::InvalidStatementSet, _) => EXECUTION,
            (_, ErrorKind::Input) => "org.apache.flink.table.api.ValidationException",
            (_, ErrorKind::Unsupported) => "org.apache.flink.table.api.TableException",
            (_, ErrorKind::Data) => "org.apache.flink.table.api.TableRuntimeException",
            (_, ErrorKind::Retry | ErrorKind::Environment | ErrorKind::Internal) => EXECUTION,
        };
        Self {
            diagnostic: Some(Box::new(error.clone())),
            ..Self::of_class(class, error.rendered())
        }
    }
}
