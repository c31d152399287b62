//! Flink's JobManager REST API, as far as `flink`, the Web UI and monitoring use it.
//!
//! Shapes and status codes are those of Flink 2.3. Millstream is one process, so it shows itself as one task manager
//! whose slots are cores; jars cannot be submitted.

mod checkpoints;
mod cluster;
mod job;
mod metrics;
mod nodes;
mod path;
mod triggers;
mod vertices;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::limits::HTTP_BODY_BYTES_MAX;
use crate::state::ServerState;

pub use triggers::Triggers;

/// The version of Flink whose REST API this is; clients check it.
pub const FLINK_VERSION: &str = "2.3.0";

/// All routes, without the prefix `/v1`.
pub fn router(state: Arc<ServerState>) -> Router {
    Router::new()
        .route("/config", get(cluster::config))
        .route("/overview", get(cluster::overview))
        .route("/applications/overview", get(cluster::applications))
        .route("/datasets", get(cluster::datasets))
        .route("/jars", get(cluster::jars))
        .route("/jars/upload", post(cluster::no_jars))
        .route("/jobs", get(cluster::jobs).post(cluster::no_jars))
        .route("/jobs/overview", get(cluster::jobs_overview))
        .route("/jobs/metrics", get(metrics::all_jobs))
        .merge(job_routes())
        .merge(vertex_routes())
        .merge(node_routes())
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .with_state(state)
}

fn job_routes() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/jobs/{job}", get(job::detail).patch(triggers::cancel))
        .route("/jobs/{job}/plan", get(job::plan))
        .route("/jobs/{job}/config", get(job::config))
        .route("/jobs/{job}/status", get(job::status))
        .route("/jobs/{job}/exceptions", get(job::exceptions))
        .route("/jobs/{job}/execution-result", get(job::execution_result))
        .route("/jobs/{job}/accumulators", get(job::accumulators))
        .route(
            "/jobs/{job}/resource-requirements",
            get(job::resource_requirements),
        )
        .route("/jobs/{job}/jobmanager/config", get(job::configuration))
        .route("/jobs/{job}/jobmanager/environment", get(nodes::environment))
        .route("/jobs/{job}/jobmanager/log-url", get(job::log_url))
        .route("/jobs/{job}/metrics", get(metrics::job))
        .route(
            "/jobs/{job}/checkpoints",
            get(checkpoints::overview).post(triggers::checkpoint),
        )
        .route("/jobs/{job}/checkpoints/config", get(checkpoints::config))
        .route(
            "/jobs/{job}/checkpoints/details/{checkpoint}",
            get(checkpoints::details),
        )
        .route(
            "/jobs/{job}/checkpoints/details/{checkpoint}/subtasks/{vertex}",
            get(checkpoints::subtasks),
        )
        .route("/jobs/{job}/checkpoints/{trigger}", get(triggers::status))
        .route("/jobs/{job}/savepoints", post(triggers::savepoint))
        .route("/jobs/{job}/savepoints/{trigger}", get(triggers::status))
        .route("/jobs/{job}/stop", post(triggers::stop))
}

fn vertex_routes() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/jobs/{job}/vertices/{vertex}", get(vertices::detail))
        .route(
            "/jobs/{job}/vertices/{vertex}/accumulators",
            get(vertices::accumulators),
        )
        .route(
            "/jobs/{job}/vertices/{vertex}/backpressure",
            get(vertices::backpressure),
        )
        .route(
            "/jobs/{job}/vertices/{vertex}/watermarks",
            get(vertices::watermarks),
        )
        .route(
            "/jobs/{job}/vertices/{vertex}/subtasktimes",
            get(vertices::subtask_times),
        )
        .route(
            "/jobs/{job}/vertices/{vertex}/taskmanagers",
            get(vertices::task_managers),
        )
        .route(
            "/jobs/{job}/vertices/{vertex}/flamegraph",
            get(vertices::flame_graph),
        )
        .route(
            "/jobs/{job}/vertices/{vertex}/jm-operator-metrics",
            get(metrics::none),
        )
        .route("/jobs/{job}/vertices/{vertex}/metrics", get(metrics::vertex))
        .route(
            "/jobs/{job}/vertices/{vertex}/subtasks/metrics",
            get(metrics::subtasks),
        )
        .route(
            "/jobs/{job}/vertices/{vertex}/subtasks/accumulators",
            get(vertices::subtask_accumulators),
        )
        .route(
            "/jobs/{job}/vertices/{vertex}/subtasks/{subtask}",
            get(vertices::subtask),
        )
        .route(
            "/jobs/{job}/vertices/{vertex}/subtasks/{subtask}/metrics",
            get(metrics::subtask),
        )
}

fn node_routes() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/jobmanager/config", get(nodes::config))
        .route("/jobmanager/environment", get(nodes::job_manager_environment))
        .route("/jobmanager/logs", get(nodes::logs))
        .route("/jobmanager/logs/{file}", get(nodes::log_file))
        .route("/jobmanager/log", get(nodes::log))
        .route("/jobmanager/stdout", get(nodes::stdout))
        .route("/jobmanager/metrics", get(metrics::process))
        .route("/jobmanager/thread-dump", get(nodes::thread_dump))
        .route("/taskmanagers", get(nodes::task_managers))
        .route("/taskmanagers/metrics", get(metrics::process))
        .route("/taskmanagers/{node}", get(nodes::task_manager))
        .route("/taskmanagers/{node}/metrics", get(metrics::process))
        .route("/taskmanagers/{node}/logs", get(nodes::logs))
        .route("/taskmanagers/{node}/logs/{file}", get(nodes::node_log_file))
        .route("/taskmanagers/{node}/log", get(nodes::log))
        .route("/taskmanagers/{node}/stdout", get(nodes::stdout))
        .route("/taskmanagers/{node}/thread-dump", get(nodes::thread_dump))
}
