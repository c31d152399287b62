//! The Web UI on the job REST port: the embedded bundle at the root and its own JSON API below `/api/v1`.

use std::sync::Arc;

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use crate::state::ServerState;

/// All routes of the Web UI. Merged into the router of the job REST port.
pub fn router(state: Arc<ServerState>) -> Router {
    Router::new().route("/", get(index)).with_state(state)
}

async fn index() -> Html<&'static str> {
    Html(concat!(
        "<!doctype html><title>Millstream</title><p>Millstream ",
        env!("CARGO_PKG_VERSION"),
        " is running. Jobs: <a href=\"/jobs/overview\">/jobs/overview</a></p>"
    ))
}
