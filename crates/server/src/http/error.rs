//! Error responses in the form that Flink's REST endpoints and their clients share: `{"errors": ["…"]}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error response of a REST endpoint.
#[derive(Clone, Debug)]
pub struct RestError {
    pub status: StatusCode,
    pub errors: Vec<String>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    errors: &'a [String],
}

impl RestError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            errors: vec![message.into()],
        }
    }

    /// 404: the resource does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 400: the request is malformed.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 for a path parameter, in Flink's words.
    pub fn path_parameter(name: &str, value: &str) -> Self {
        Self::bad_request(format!(
            "Bad request, could not parse parameters: Cannot resolve path parameter ({name}) from value \"{value}\"."
        ))
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorBody { errors: &self.errors })).into_response()
    }
}
