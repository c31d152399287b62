//! Flink's JobManager REST API, as far as `flink`, the Web UI and monitoring use it.

mod cluster;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::state::ServerState;

/// The version of Flink whose REST API this is; clients check it.
pub const FLINK_VERSION: &str = "2.3.0";

/// All routes, without the prefix `/v1`.
pub fn router(state: Arc<ServerState>) -> Router {
    Router::new()
        .route("/config", get(cluster::config))
        .route("/overview", get(cluster::overview))
        .route("/jobs", get(cluster::jobs))
        .route("/jobs/overview", get(cluster::jobs_overview))
        .with_state(state)
}
