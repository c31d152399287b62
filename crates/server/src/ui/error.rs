//! Errors of the Web UI's API, in the body form that the other HTTP doors have: `{"errors": ["…"]}`.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use millstream_kafka_client::error::with_causes;
use millstream_kafka_client::{ClientError, ProduceError};
use millstream_kafka_wire::ErrorCode;

use crate::http::RestError;

/// What handlers give.
pub type UiResult<T> = Result<T, UiError>;

/// A request that failed, with the status that says whose turn it is.
#[derive(Debug)]
pub struct UiError {
    pub status: StatusCode,
    pub message: String,
}

impl UiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub fn input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
}

/// The status of Kafka's error codes.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::RESOURCE_NOT_FOUND => StatusCode::NOT_FOUND,
        ErrorCode::TOPIC_ALREADY_EXISTS
        | ErrorCode::NON_EMPTY_GROUP
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC => StatusCode::CONFLICT,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
        | ErrorCode::GROUP_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    }
}

impl From<ClientError> for UiError {
    fn from(error: ClientError) -> Self {
        let status = error.code().map_or(StatusCode::SERVICE_UNAVAILABLE, status);
        Self::new(status, with_causes(&error))
    }
}

impl From<ProduceError> for UiError {
    fn from(error: ProduceError) -> Self {
        let status = match &error {
            ProduceError::Broker { code, .. } => status(*code),
            ProduceError::Client(error) => error.code().map_or(StatusCode::SERVICE_UNAVAILABLE, status),
            ProduceError::RecordTooLarge { .. } | ProduceError::NoSuchPartition(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, with_causes(&error))
    }
}

macro_rules! from_rejections {
    ($($rejection:ty),+) => {$(
        impl From<$rejection> for UiError {
            fn from(rejection: $rejection) -> Self {
                Self::new(rejection.status(), rejection.body_text())
            }
        }
    )+};
}

from_rejections!(JsonRejection, PathRejection, QueryRejection);

impl IntoResponse for UiError {
    fn into_response(self) -> Response {
        RestError::new(self.status, self.message).into_response()
    }
}

/// The fallback of the API: unknown paths are errors and not the page.
pub async fn no_such_endpoint() -> UiError {
    UiError::not_found("there is no such endpoint")
}
