//! `millstream serve`: broker, SQL Gateway, job REST API, Web UI and metrics in one process.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use millstream_server::ServerState;
use millstream_server::access::{OwnerToken, RemoteAccess};
use millstream_server::http::guard::{Door, Guard, guarded};
use millstream_server::http::oidc::TokenUsers;
use millstream_server::http::users::{HttpUsers, Role, basic_line};
use millstream_server::http::{HttpListener, HttpSettings, gateway, rest_router, tls};
use millstream_server::jobs::{JobStore, mirror_programs, record_jobs, resume_jobs, watch_jobs};
use millstream_server::limits::SESSION_CHECK_INTERVAL;
use millstream_server::lines::LastLines;
use millstream_server::metrics::otlp::{self, OtlpSettings};
use millstream_server::metrics::render_jobs;
use millstream_server::state::Kept;
use millstream_session::{CatalogStore, PrintTarget};
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
    let defaults: Options = common
        .define
        .iter()
        .filter(|(key, _)| !is_broker_config(key))
        .cloned()
        .collect();
    let settings = HttpSettings::read(&defaults)?;
    let export = OtlpSettings::read(&defaults)?;
    let users = users(process, &args, &defaults)?;
    process.clusters.start_embedded()?;
    let access = RemoteAccess::read(&defaults, &common.data_dir, users.is_some())?;
    let state = open_state(process, common, defaults, access)?;
    let (owner, token) = OwnerToken::generate()?;
    let owner = Arc::new(owner);
    let doors = Doors::open(process, &state, &settings, users.as_ref(), &owner)?;
    // Clients are served meanwhile: a job that waits is INITIALIZING.
    let resumed = Arc::clone(&state);
    let resuming = process.runtime.spawn_blocking(move || resume_jobs(&resumed));
    let mut tasks = vec![
        process.runtime.spawn(expire_sessions(Arc::clone(&state))),
        process.runtime.spawn(watch_jobs(Arc::clone(&state))),
        process.runtime.spawn(mirror_programs(Arc::clone(&state))),
    ];
    if let Some(settings) = export {
        tasks.push(process.runtime.spawn(otlp::export(Arc::clone(&state), settings)));
    }
    let remembered = remember_server(&common.data_dir, &doors.addresses(&state, token))?;
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
    // From here on, jobs end only because the server stops; the store must not record this as their end.
    record_jobs(&state);
    state.begin_stop();
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    doors.close(process);
    // What is being resumed at this moment must be stopped as well.
    _ = process.runtime.block_on(resuming);
    stop_jobs(&state);
    Ok(())
}

/// Who may use the HTTP doors: the users of the file, and the owners of tokens.
fn users(process: &Process, args: &ServeArgs, options: &Options) -> anyhow::Result<Option<Arc<HttpUsers>>> {
    let tokens = TokenUsers::open(options, process.clock.clone())?;
    let users = match &args.users_file {
        Some(path) => HttpUsers::read(path)?,
        None if tokens.is_none() => return Ok(None),
        None => HttpUsers::default(),
    };
    Ok(Some(Arc::new(users.with_tokens(tokens))))
}

/// Opens the server's state in its data directory.
fn open_state(
    process: &Process,
    common: &Common,
    defaults: Options,
    access: RemoteAccess,
) -> anyhow::Result<Arc<ServerState>> {
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
        access,
        catalog: CatalogStore::configured(&defaults, &common.data_dir, false),
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
    metrics: Option<HttpListener>,
    /// `http` or `https`.
    scheme: &'static str,
}

impl Doors {
    fn open(
        process: &Process,
        state: &Arc<ServerState>,
        settings: &HttpSettings,
        users: Option<&Arc<HttpUsers>>,
        owner: &Arc<OwnerToken>,
    ) -> anyhow::Result<Self> {
        let names = server_names(state.defaults());
        let guard = |door| Guard {
            door,
            names: names.clone(),
            users: users.cloned(),
            owner: Some(Arc::clone(owner)),
        };
        let tls = tls::open(state.defaults(), process.clock.clone())?;
        let rest = guarded(rest_router(state), guard(Door::JobRest));
        let gateway = guarded(gateway::router(state), guard(Door::Gateway));
        let open = |endpoint, router| {
            let opening = HttpListener::open(endpoint, users.is_some(), tls.clone(), router);
            process.runtime.block_on(opening)
        };
        let shown = Arc::clone(state);
        let metrics = process
            .clusters
            .metrics_router(Box::new(move || render_jobs(&shown)))
            .map(|metrics| open(&settings.metrics, guarded(metrics, guard(Door::Metrics))));
        Ok(Self {
            rest: open(&settings.rest, rest)?,
            gateway: open(&settings.gateway, gateway)?,
            metrics: metrics.transpose()?,
            scheme: if tls.is_some() { "https" } else { "http" },
        })
    }

    fn addresses(&self, state: &ServerState, token: String) -> ServerAddresses {
        let url = |listener: &HttpListener, key: &str| {
            let address = listener.address();
            // A certificate names the server, seldom the address that it binds.
            match state.defaults().get(key).filter(|_| self.scheme == "https") {
                Some(name) => format!("https://{name}:{}", address.port()),
                None => format!("{}://{address}", self.scheme),
            }
        };
        ServerAddresses {
            rest: url(&self.rest, "rest.address"),
            gateway: url(&self.gateway, "sql-gateway.endpoint.rest.address"),
            token,
        }
    }

    fn report(&self, process: &Process, common: &Common) {
        let kafka = process.clusters.embedded_listeners();
        let kafka: Vec<String> = kafka
            .iter()
            .map(|listener| listener.address.to_string())
            .collect();
        eprintln!("Kafka        {}", kafka.join(" "));
        let scheme = self.scheme;
        eprintln!("job REST, UI {scheme}://{}", self.rest.address());
        eprintln!("SQL Gateway  {scheme}://{}", self.gateway.address());
        if let Some(endpoint) = &self.metrics {
            eprintln!("metrics      {scheme}://{}/metrics", endpoint.address());
        }
        eprintln!("data in {}; Ctrl-C stops the server", common.data_dir.display());
    }

    fn close(self, process: &Process) {
        process.runtime.block_on(async {
            self.gateway.close().await;
            self.rest.close().await;
            if let Some(metrics) = self.metrics {
                metrics.close().await;
            }
        });
    }
}

/// The host names by which clients reach the HTTP listeners.
fn server_names(options: &Options) -> Vec<String> {
    ["rest.address", "sql-gateway.endpoint.rest.address"]
        .iter()
        .filter_map(|key| options.get(*key).cloned())
        .collect()
}

/// Prints a line of the users file for `NAME:ROLE`, with the password from standard input.
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

/// Notifies systemd (`Type=notify`) that the server is ready.
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
    let mut jobs = state.jobs().list();
    // Jobs of programs do not end with the server.
    jobs.retain(|job| !job.is_mirror());
    jobs.iter().for_each(millstream_session::JobHandle::stop);
    for job in &jobs {
        while !job.wait(crate::commands::progress::LOOK).is_terminal() {}
    }
}

/// Lines of the `print` connector, for standard output and the REST API.
struct ServerPrint(Arc<LastLines>);

impl PrintTarget for ServerPrint {
    fn print_line(&self, line: &str, to_stderr: bool) {
        self.0.push(line);
        // A closed output must not fail the job.
        let _ = if to_stderr {
            writeln!(std::io::stderr(), "{line}")
        } else {
            writeln!(std::io::stdout(), "{line}")
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
