//! Error responses in the form that Flink's REST endpoints and their clients share: `{"errors": ["…"]}`. An error of a
//! statement has its structure beside it: `"diagnostics": [{"code": "UNKNOWN_COLUMN", "message": "…", "spans": […], …}]`.
//! Flink's own clients reject a body with a member that they do not know and lose the error, so `diagnostics` go only to
//! clients that ask for them with [`DIAGNOSTICS_HEADER`], and to the Web UI.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use millstream_session::SessionError;
use serde::Serialize;

/// An error response of a REST endpoint.
#[derive(Clone, Debug)]
pub struct RestError {
    pub status: StatusCode,
    pub errors: Vec<String>,
    /// The error of a statement with its structure. Boxed, since most responses have none.
    pub diagnostic: Option<Box<SessionError>>,
}

/// The request header of clients that understand `diagnostics`.
pub const DIAGNOSTICS_HEADER: &str = "millstream-diagnostics";

#[derive(Serialize)]
struct ErrorBody<'a> {
    errors: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    diagnostics: &'a [Box<SessionError>],
}

impl RestError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            errors: vec![message.into()],
            diagnostic: None,
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
        let body = ErrorBody {
            errors: &self.errors,
            diagnostics: &[],
        };
        let mut response = (self.status, Json(body)).into_response();
        if self.diagnostic.is_some() {
            response.extensions_mut().insert(self);
        }
        response
    }
}

/// Adds the structure of errors to the responses to requests that ask for it.
pub async fn diagnose_on_request(request: Request, next: Next) -> Response {
    let is_wanted = request.headers().contains_key(DIAGNOSTICS_HEADER);
    let response = next.run(request).await;
    if is_wanted { diagnosed(response) } else { response }
}

/// Adds the structure of errors to all responses.
pub async fn diagnose(request: Request, next: Next) -> Response {
    diagnosed(next.run(request).await)
}

fn diagnosed(mut response: Response) -> Response {
    let Some(error) = response.extensions_mut().remove::<RestError>() else {
        return response;
    };
    let body = ErrorBody {
        errors: &error.errors,
        diagnostics: error.diagnostic.as_slice(),
    };
    (error.status, Json(body)).into_response()
}
