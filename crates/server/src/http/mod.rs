//! The HTTP doors of `millstream serve`: Flink's job REST API with the Web UI, and the SQL Gateway REST API.
//!
//! Handlers translate between HTTP and [`ServerState`]; they plan no SQL and know no internals of jobs. Each door is a
//! router of its own on its own port, as Flink's are.

pub mod error;
pub mod gateway;
pub mod guard;
pub mod job_rest;
pub mod listen;
pub mod oidc;
pub mod reply;
pub mod settings;
pub mod tls;
pub mod users;

use std::sync::Arc;

use axum::Router;
use millstream_types::OptionDecl;

pub use error::RestError;
pub use listen::{HttpListenError, HttpListener};
pub use settings::{Endpoint, HttpSettings, SettingsError};

use crate::state::ServerState;
use crate::ui;

/// Every configuration key that `millstream serve` reads beside those of sessions and jobs.
pub fn options() -> impl Iterator<Item = &'static OptionDecl> {
    let limits = crate::access::OPTIONS.iter();
    settings::OPTIONS
        .iter()
        .chain(tls::OPTIONS)
        .chain(oidc::OPTIONS)
        .chain(crate::metrics::otlp::OPTIONS)
        .chain(limits)
}

/// What the job REST port serves: Flink's job REST API with and without the prefix `/v1`, and the Web UI at the root.
pub fn rest_router(state: &Arc<ServerState>) -> Router {
    let api = job_rest::router(Arc::clone(state));
    Router::new()
        .nest("/v1", api.clone())
        .merge(api)
        .merge(ui::router(Arc::clone(state)))
}
