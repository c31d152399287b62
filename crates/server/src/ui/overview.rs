//! The first page: the server, its broker, its memory, the last hour.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Shared;
use super::error::UiResult;
use super::sampler::{Tick, process};

pub async fn overview(State(ui): Shared) -> UiResult<Json<Value>> {
    let measure = ui.kafka.measure().await?;
    let partitions = || measure.topics.iter().flat_map(|topic| &topic.partitions);
    let listeners = ui.server.clusters().embedded_listeners();
    let history = ui.sampler.history();
    let series = |of: fn(&Tick) -> f64| -> Vec<f64> { history.iter().map(of).collect() };
    let state_bytes: u64 = ui.server.jobs().list().iter().map(state_bytes).sum();
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_ms": ui.server.started_ms(),
        "now": ui.server.now_ms(),
        "bootstrap": listeners.iter().map(|listener| listener.address.to_string()).collect::<Vec<_>>(),
        "data_dir": ui.server.data_dir().display().to_string(),
        "broker": {
            "topics": measure.topics.len(),
            "partitions": partitions().count(),
            "bytes": partitions().map(|partition| partition.size).sum::<u64>(),
            "groups": measure.groups.len(),
            "connections": ui.server.clusters().embedded_connections(ui.server.now_ms()),
        },
        "memory": { "rss": process().0, "state": state_bytes },
        "history": {
            "t": history.iter().map(|tick| tick.now).collect::<Vec<_>>(),
            "in": series(|tick| tick.job_records_in),
            "out": series(|tick| tick.job_records_out),
            "broker_in": series(|tick| tick.broker_bytes_in),
            "broker_out": series(|tick| tick.broker_bytes_out),
            "rss": series(|tick| tick.rss as f64),
        },
    })))
}

fn state_bytes(job: &millstream_session::JobHandle) -> u64 {
    use std::sync::atomic::Ordering::Relaxed;
    if job.status().is_terminal() {
        return 0;
    }
    let metrics = job.metrics();
    metrics
        .operators
        .iter()
        .map(|operator| operator.state_bytes.load(Relaxed))
        .sum()
}
