//! Flink's SQL Gateway REST API, versions 1 to 4: what the SQL Client, the JDBC driver and dbt speak.
//!
//! Each version is mounted below its prefix; paths without one mean the newest. Messages, status codes and error bodies
//! are those of Flink 2.3, recorded from the real gateway.

mod errors;
mod operations;
mod request;
mod results;
mod sessions;
mod types;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn;
use axum::routing::{delete, get, post};
use serde_json::json;

use super::RestError;
use super::error::diagnose_on_request;
use super::reply::{Reply, reply};
use crate::limits::HTTP_BODY_BYTES_MAX;
use crate::state::ServerState;

pub use types::{logical_type_from_json, logical_type_json};

/// A version of the API.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Version {
    V1,
    V2,
    V3,
    V4,
}

impl Version {
    const ALL: [Self; 4] = [Self::V1, Self::V2, Self::V3, Self::V4];

    const fn prefix(self) -> &'static str {
        match self {
            Self::V1 => "/v1",
            Self::V2 => "/v2",
            Self::V3 => "/v3",
            Self::V4 => "/v4",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::V1 => "V1",
            Self::V2 => "V2",
            Self::V3 => "V3",
            Self::V4 => "V4",
        }
    }
}

/// What handlers are given.
#[derive(Clone)]
pub struct Gateway {
    state: Arc<ServerState>,
    version: Version,
}

/// What the SQL Gateway port serves.
pub fn router(state: &Arc<ServerState>) -> Router {
    let mut router = version_router(state, Version::V4);
    for version in Version::ALL {
        router = router.nest(version.prefix(), version_router(state, version));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .layer(from_fn(diagnose_on_request))
}

fn version_router(state: &Arc<ServerState>, version: Version) -> Router {
    let mut router = Router::new()
        .route("/api_versions", get(api_versions))
        .route("/info", get(info))
        .route("/sessions", post(sessions::open))
        .route(
            "/sessions/{session}",
            get(sessions::properties).delete(sessions::close),
        )
        .route("/sessions/{session}/heartbeat", post(sessions::heartbeat))
        .route("/sessions/{session}/statements", post(operations::execute))
        .route(
            "/sessions/{session}/operations/{operation}/status",
            get(operations::status),
        )
        .route(
            "/sessions/{session}/operations/{operation}/cancel",
            post(operations::cancel),
        )
        .route(
            "/sessions/{session}/operations/{operation}/close",
            delete(operations::close),
        )
        .route(
            "/sessions/{session}/operations/{operation}/result/{token}",
            get(results::fetch),
        );
    if version >= Version::V2 {
        router = router
            .route("/sessions/{session}/configure-session", post(sessions::configure))
            .route("/sessions/{session}/complete-statement", get(sessions::complete));
    }
    if version >= Version::V3 {
        router = router.route(
            "/sessions/{session}/materialized-tables/{table}/refresh",
            post(sessions::refresh_materialized_table),
        );
    }
    if version >= Version::V4 {
        router = router.route("/sessions/{session}/scripts", post(sessions::deploy_script));
    }
    router.with_state(Gateway {
        state: Arc::clone(state),
        version,
    })
}

async fn api_versions() -> Reply {
    reply(&json!({"versions": Version::ALL.map(Version::name)}))
}

/// The product is called Flink because the JDBC driver and others branch on that name.
async fn info() -> Reply {
    reply(&json!({"productName": "Apache Flink", "version": super::job_rest::FLINK_VERSION}))
}

async fn not_found(uri: Uri) -> RestError {
    RestError::new(StatusCode::NOT_FOUND, format!("Not found: {}", uri.path()))
}
