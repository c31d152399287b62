//! `millstream serve`: broker, SQL Gateway, job REST API, Web UI and metrics in one process.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use millstream_server::ServerState;
use millstream_server::http::{HttpListener, HttpSettings, gateway, rest_router};
use millstream_server::jobs::{JobStore, record_jobs, resume_jobs, watch_jobs};
use millstream_server::limits::SESSION_CHECK_INTERVAL;
use millstream_server::lines::LastLines;
use millstream_server::metrics::MetricsSettings;
use millstream_server::state::Kept;
use millstream_session::PrintTarget;
use millstream_types::Options;
use millstream_types::storage::OsStorage;

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
    let mut context = session_context(process, common, true, false)?;
    let print_lines = Arc::new(LastLines::default());
    context.print = Arc::new(ServerPrint(Arc::clone(&print_lines)));
    context.attended = false;
    let storage = OsStorage::open(&common.data_dir)
        .with_context(|| format!("cannot use the data directory '{}'", common.data_dir.display()))?;
    let store = JobStore::open(Arc::new(storage), process.clock.clone())?;
    let kept = Kept {
        store: Some(Arc::new(store)),
        log_lines: crate::logging::last_lines(),
        print_lines,
    };
    let state = Arc::new(ServerState::new(
        context,
        defaults,
        Arc::clone(&process.clusters),
        common.data_dir.clone(),
        kept,
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
    resume_jobs(&state);
    let watch = process.runtime.spawn(watch_jobs(Arc::clone(&state)));
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
    record_jobs(&state);
    state.begin_stop();
    expiry.abort();
    watch.abort();
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

/// Lines of the `print` connector: to standard output, and kept for REST.
struct ServerPrint(Arc<LastLines>);

impl PrintTarget for ServerPrint {
    fn print_line(&self, line: &str, to_stderr: bool) {
        self.0.push(line);
        // A closed output must not fail the job.
        let _ = match to_stderr {
            true => writeln!(std::io::stderr(), "{line}"),
            false => writeln!(std::io::stdout(), "{line}"),
        };
    }
}

async fn expire_sessions(state: Arc<ServerState>) {
    let mut ticks = tokio::time::interval(SESSION_CHECK_INTERVAL);
    loop {
        ticks.tick().await;
        state.sessions().expire(state.now_ms());
    }
}
