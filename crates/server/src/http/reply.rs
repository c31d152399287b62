//! Successful responses, with the headers of Flink's REST servers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");

/// A response with a JSON body.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    body: Vec<u8>,
}

/// 200 with a JSON body.
pub fn reply(body: &impl Serialize) -> Reply {
    reply_with(StatusCode::OK, body)
}

/// A status with a JSON body.
pub fn reply_with(status: StatusCode, body: &impl Serialize) -> Reply {
    match serde_json::to_vec(body) {
        Ok(body) => Reply { status, body },
        // Only maps with keys that are not texts fail, and there are none.
        Err(error) => Reply {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            body: format!("{{\"errors\":[\"{}\"]}}", error.to_string().escape_default()).into_bytes(),
        },
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, JSON)], self.body).into_response()
    }
}
