//! The Web UI on the job REST port: the embedded bundle at the root and its own JSON API below `/api/v1`.
//!
//! The page takes jobs from Flink's job REST API and statements from the SQL Gateway, which is mounted here a second time
//! so that both have one origin. What neither offers lives in this module: topics, records, groups, access, and the figures
//! of the whole process. It talks to the embedded broker through `kafka-client`, as other clients do.

mod access;
mod bundle;
mod error;
mod events;
mod groups;
mod jobs;
mod kafka;
mod messages;
mod overview;
mod payload;
mod produce;
mod reading;
mod sampler;
mod topics;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, patch, post, put};

use self::kafka::Kafka;
use self::sampler::Sampler;
use crate::http::error::diagnose;
use crate::http::gateway;
use crate::limits::HTTP_BODY_BYTES_MAX;
use crate::state::ServerState;

/// What the handlers share.
struct Ui {
    server: Arc<ServerState>,
    kafka: Kafka,
    sampler: Sampler,
}

type Shared = axum::extract::State<Arc<Ui>>;

/// All routes of the Web UI. Merged into the router of the job REST port.
pub fn router(server: Arc<ServerState>) -> Router {
    let state = Arc::new(Ui {
        kafka: Kafka::new(Arc::clone(&server)),
        sampler: Sampler::new(server.now_ms()),
        server,
    });
    sampler::start(&state);
    let api = Router::new()
        .route("/overview", get(overview::overview))
        .route("/events", get(events::events))
        .route("/jobs/{job}", get(jobs::describe))
        .route("/topics", get(topics::list).post(topics::create))
        .route("/topics/{topic}", get(topics::describe).delete(topics::delete))
        .route("/topics/{topic}/configs", patch(topics::alter_configs))
        .route("/topics/{topic}/partitions", post(topics::add_partitions))
        .route("/topics/{topic}/delete-records", post(topics::delete_records))
        .route(
            "/topics/{topic}/messages",
            get(messages::browse).post(produce::produce),
        )
        .route("/groups", get(groups::list))
        .route("/groups/{group}", get(groups::describe).delete(groups::delete))
        .route("/groups/{group}/reset", post(groups::reset))
        .route(
            "/acls",
            get(access::list_acls)
                .post(access::create_acl)
                .delete(access::delete_acl),
        )
        .route("/users", get(access::list_users))
        .route("/users/{user}", put(access::set_user).delete(access::delete_user))
        .fallback(error::no_such_endpoint)
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .with_state(Arc::clone(&state));
    Router::new()
        .nest(
            "/api/v1/gateway",
            gateway::router(&state.server).layer(from_fn(diagnose)),
        )
        .nest("/api/v1", api)
        .merge(bundle::router(state))
}
