//! `millstream serve`: broker, SQL Gateway, job REST API, Web UI and metrics in one process.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use millstream_server::ServerState;
use millstream_server::http::guard::{Door, Guard, guarded};
use millstream_server::http::users::{HttpUsers, Role, basic_line};
use millstream_server::http::{HttpListener, HttpSettings, gateway, rest_router};
use millstream_server::jobs::{JobStore, record_jobs, resume_jobs, watch_jobs};
use millstream_server::limits::SESSION_CHECK_INTERVAL;
use millstream_server::lines::LastLines;
use millstream_server::metrics::{MetricsEndpoint, MetricsSettings, render_jobs};
use millstream_server::state::Kept;
use millstream_session::PrintTarget;
use millstream_types::Options;
use millstream_types::storage::OsStorage;

use crate::args::{Common, ServeArgs};
use crate::commands::broker::wait_for_signal;
use crate::commands::statement::session_context;
use crate::exit::Outcome;
use crate::process::{Process, is_broker_config};
use crate::remote::{ServerAddresses, remember_server};

/// Serves until Ctrl-C or SIGTERM.
pub fn run(process: &Process, common: &Common, args: ServeArgs) -> Outcome {
    if let Some(user) = &args.hash_user {
        return Ok(print_user(process, user)?);
    }
    let users = match &args.users_file {
        Some(path) => Some(Arc::new(HttpUsers::read(path)?)),
        None => None,
    };
    let defaults: Options = common
        .define
        .iter()
        .filter(|(key, _)| !is_broker_config(key))
        .cloned()
        .collect();
    let settings = HttpSettings::read(&defaults)?;
    process.clusters.start_embedded()?;
    let state = open_state(process, common, defaults)?;
    let doors = Doors::open(process, &state, &settings, users.as_ref())?;
    resume_jobs(&state);
    let tasks = [
        process.runtime.spawn(expire_sessions(Arc::clone(&state))),
        process.runtime.spawn(watch_jobs(Arc::clone(&state))),
    ];
    let remembered = remember_server(&common.data_dir, &doors.addresses())?;
    notify_ready();
    if !common.quiet {
        doors.report(process, common);
    }
    process
        .runtime
        .block_on(wait_for_signal())
        .context("cannot listen for signals")?;
    drop(remembered);
    if !common.quiet {
        eprintln!("stopping");
    }
    // From here on jobs end only to go on with the next start: the store must not record that as their end.
    record_jobs(&state);
    state.begin_stop();
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    doors.close(process);
    stop_jobs(&state);
    Ok(())
}

/// The state of the server on its data directory.
fn open_state(process: &Process, common: &Common, defaults: Options) -> anyhow::Result<Arc<ServerState>> {
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
    Ok(Arc::new(ServerState::new(
        context,
        defaults,
        Arc::clone(&process.clusters),
        common.data_dir.clone(),
        kept,
    )))
}

/// The open HTTP listeners.
struct Doors {
    rest: HttpListener,
    gateway: HttpListener,
    metrics: Option<MetricsEndpoint>,
}

impl Doors {
    fn open(
        process: &Process,
        state: &Arc<ServerState>,
        settings: &HttpSettings,
        users: Option<&Arc<HttpUsers>>,
    ) -> anyhow::Result<Self> {
        let names = server_names(state.defaults());
        let guard = |door| Guard {
            door,
            names: names.clone(),
            users: users.cloned(),
        };
        let rest = guarded(rest_router(state), guard(Door::JobRest));
        let gateway = guarded(gateway::router(state), guard(Door::Gateway));
        let open = |endpoint, router| {
            let opening = HttpListener::open(endpoint, users.is_some(), router);
            process.runtime.block_on(opening)
        };
        let doors = Self {
            rest: open(&settings.rest, rest)?,
            gateway: open(&settings.gateway, gateway)?,
            metrics: process.clusters.open_metrics(&MetricsSettings {
                address: format!("{}:{}", settings.metrics.host, settings.metrics.first_port),
                token_file: None,
            })?,
        };
        if let Some(metrics) = &doors.metrics {
            let shown = Arc::clone(state);
            metrics.show_jobs(move || render_jobs(&shown));
        }
        Ok(doors)
    }

    fn addresses(&self) -> ServerAddresses {
        ServerAddresses {
            rest: format!("http://{}", self.rest.address()),
            gateway: format!("http://{}", self.gateway.address()),
        }
    }

    fn report(&self, process: &Process, common: &Common) {
        let kafka = process.clusters.embedded_listeners();
        let kafka: Vec<String> = kafka
            .iter()
            .map(|listener| listener.address.to_string())
            .collect();
        eprintln!("Kafka        {}", kafka.join(" "));
        eprintln!("job REST, UI http://{}", self.rest.address());
        eprintln!("SQL Gateway  http://{}", self.gateway.address());
        if let Some(endpoint) = &self.metrics {
            eprintln!("metrics      http://{}/metrics", endpoint.address());
        }
        eprintln!("data in {}; Ctrl-C stops the server", common.data_dir.display());
    }

    fn close(self, process: &Process) {
        process.runtime.block_on(async {
            self.gateway.close().await;
            self.rest.close().await;
        });
    }
}

/// Names under which clients reach the HTTP doors.
fn server_names(options: &Options) -> Vec<String> {
    ["rest.address", "sql-gateway.endpoint.rest.address"]
        .iter()
        .filter_map(|key| options.get(*key).cloned())
        .collect()
}

/// Prints the line of the users file for `NAME:ROLE`, with the password from standard input.
fn print_user(process: &Process, user: &str) -> anyhow::Result<()> {
    let parsed = user
        .split_once(':')
        .and_then(|(name, role)| Some((name, Role::parse(role)?)));
    let is_word = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    let (name, role) = parsed.filter(|(name, _)| is_word(name)).with_context(|| {
        format!("'{user}' is not of the form NAME:ROLE, with one of the roles viewer, operator, admin")
    })?;
    let mut password = String::new();
    std::io::stdin()
        .read_line(&mut password)
        .context("cannot read the password from standard input")?;
    let password = password.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(
        !password.is_empty(),
        "the password is empty; write it to standard input"
    );
    println!("{}", basic_line(name, role, password, || process.rng.next_u64()));
    Ok(())
}

/// Tells systemd (`Type=notify`) that the server is ready.
fn notify_ready() {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let sent =
        std::os::unix::net::UnixDatagram::unbound().and_then(|socket| socket.send_to(b"READY=1", path));
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot tell the service manager that the server is ready");
    }
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
