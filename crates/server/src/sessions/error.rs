//! Why an operation or a request about one failed, with the classes of exceptions that Flink's clients look for.

use millstream_session::SessionError;
use millstream_types::ErrorKind;

/// A failure that clients are shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OperationError {
    /// Class of the exception that Flink throws in this case.
    pub class: &'static str,
    pub message: String,
}

const GATEWAY: &str = "org.apache.flink.table.gateway.api.utils.SqlGatewayException";
const EXECUTION: &str = "org.apache.flink.table.gateway.service.utils.SqlExecutionException";
const CANCELED: &str = "org.apache.flink.table.gateway.service.utils.SqlCancelException";

impl OperationError {
    fn gateway(message: String) -> Self {
        Self {
            class: GATEWAY,
            message,
        }
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
        Self {
            class: CANCELED,
            message: format!("The operation {handle} has been canceled."),
        }
    }

    pub fn timed_out(handle: &str, timeout_ms: u128) -> Self {
        Self {
            class: EXECUTION,
            message: format!("The operation {handle} did not finish within {timeout_ms} ms."),
        }
    }

    pub fn token(current: u64, found: i64) -> Self {
        let message = match current.checked_sub(1) {
            None => format!("Expecting token to be 0, but found {found}."),
            Some(previous) => format!("Expecting token to be {current} or {previous}, but found {found}."),
        };
        Self {
            class: EXECUTION,
            message,
        }
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self {
            class: EXECUTION,
            message: message.into(),
        }
    }
}

impl From<SessionError> for OperationError {
    fn from(error: SessionError) -> Self {
        let class = match error.kind {
            _ if error.message.starts_with("syntax error") => "org.apache.flink.table.api.SqlParserException",
            ErrorKind::Input => "org.apache.flink.table.api.ValidationException",
            ErrorKind::Unsupported => "org.apache.flink.table.api.TableException",
            ErrorKind::Data => "org.apache.flink.table.api.TableRuntimeException",
            ErrorKind::Retry | ErrorKind::Environment | ErrorKind::Internal => EXECUTION,
        };
        Self {
            class,
            message: error.message,
        }
    }
}
