//! `millstream serve`: broker, SQL Gateway, job REST API, Web UI and metrics in one process.

use std::sync::Arc;

use anyhow::Context;
use millstream_server::ServerState;
use millstream_server::http::{HttpListener, HttpSettings, gateway, rest_router};
use millstream_server::limits::SESSION_CHECK_INTERVAL;
use millstream_server::metrics::MetricsSettings;
use millstream_types::Options;

use crate::args::{Common, ServeArgs};
use crate::commands::broker::wait_for_signal;
use crate::commands::statement::session_context;
use crate::exit::Outcome;
use crate::process::{Process, is_broker_config};

/// Serves until Ctrl-C or SIGTERM.
pub fn run(process: &Process, common: &Common, _args: ServeArgs) -> Outcome {
    let defaults: Options = common
        .define
        .iter()
        .filter(|(key, _)| !is_broker_config(key))
        .cloned()
        .collect();
    let settings = HttpSettings::read(&defaults)?;
    process.clusters.start_embedded()?;
    let context = session_context(process, common, true, false)?;
    let state = Arc::new(ServerState::new(
        context,
        defaults,
        Arc::clone(&process.clusters),
        common.data_dir.clone(),
    ));
    let rest = process
        .runtime
        .block_on(HttpListener::open(&settings.rest, false, rest_router(&state)))?;
    let gateway = process.runtime.block_on(HttpListener::open(
        &settings.gateway,
        false,
        gateway::router(&state),
    ))?;
    let expiry = process.runtime.spawn(expire_sessions(Arc::clone(&state)));
    let metrics = process.clusters.open_metrics(&MetricsSettings {
        address: format!("{}:{}", settings.metrics.host, settings.metrics.first_port),
        token_file: None,
    })?;
    if !common.quiet {
        let kafka = process.clusters.embedded_listeners();
        let kafka: Vec<String> = kafka
            .iter()
            .map(|listener| listener.address.to_string())
            .collect();
        eprintln!("Kafka        {}", kafka.join(" "));
        eprintln!("job REST, UI http://{}", rest.address());
        eprintln!("SQL Gateway  http://{}", gateway.address());
        if let Some(endpoint) = &metrics {
            eprintln!("metrics      http://{}/metrics", endpoint.address());
        }
        eprintln!("data in {}; Ctrl-C stops the server", common.data_dir.display());
    }
    process
        .runtime
        .block_on(wait_for_signal())
        .context("cannot listen for signals")?;
    if !common.quiet {
        eprintln!("stopping");
    }
    expiry.abort();
    process.runtime.block_on(async {
        gateway.close().await;
        rest.close().await;
    });
    stop_jobs(&state);
    Ok(())
}

/// Stops all jobs after a last checkpoint.
fn stop_jobs(state: &ServerState) {
    let jobs = state.jobs().list();
    jobs.iter().for_each(millstream_session::JobHandle::stop);
    for job in &jobs {
        while !job.wait(crate::commands::progress::LOOK).is_terminal() {}
    }
}

async fn expire_sessions(state: Arc<ServerState>) {
    let mut ticks = tokio::time::interval(SESSION_CHECK_INTERVAL);
    loop {
        ticks.tick().await;
        state.sessions().expire(state.now_ms());
    }
}
