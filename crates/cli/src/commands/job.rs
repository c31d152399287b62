//! `millstream job`: inspects and controls the jobs of a server.

mod lag;

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::args::{Common, JobArgs, JobCommand};
use crate::commands::columns;
use crate::commands::connect::say;
use crate::exit::Outcome;
use crate::output::OutputFormat;
use crate::process::Process;
use crate::remote::{HttpClient, find_server};

/// Default address of a server.
const DEFAULT_REST: &str = "http://127.0.0.1:8081";
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Interval for polling an operation of the server.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Clears the terminal and moves the cursor to the top.
const CLEAR: &str = "\x1b[2J\x1b[H";
const DIGITS_OF_ID: usize = 32;

pub fn run(process: &Process, common: &Common, args: &JobArgs) -> Outcome {
    let jobs = Jobs {
        client: client(process, common, args.rest.as_deref())?,
        common,
        is_json: common.output == Some(OutputFormat::Json),
    };
    match &args.command {
        JobCommand::List { all, watch } => jobs.watched(process, *watch, || jobs.list(*all))?,
        JobCommand::Describe { job, watch } => {
            let id = jobs.find(job)?;
            jobs.watched(process, *watch, || jobs.describe(&id))?;
        }
        JobCommand::Cancel { job } => {
            let id = jobs.find(job)?;
            jobs.client
                .request("PATCH", &format!("/jobs/{id}?mode=cancel"), None)?;
            say(common, &format!("job {id} is being canceled"));
        }
        JobCommand::Stop {
            job,
            savepoint_path,
            drain,
        } => {
            let id = jobs.find(job)?;
            let body = json!({"targetDirectory": savepoint_path, "drain": drain});
            jobs.operation(&id, "stop", "savepoints", &body)?;
        }
        JobCommand::Savepoint { job, directory } => {
            let id = jobs.find(job)?;
            let body = json!({"target-directory": directory, "cancel-job": false});
            jobs.operation(&id, "savepoints", "savepoints", &body)?;
        }
        JobCommand::Checkpoint { job } => {
            let id = jobs.find(job)?;
            jobs.operation(&id, "checkpoints", "checkpoints", &json!({}))?;
        }
        JobCommand::Logs { job } => jobs.logs(&jobs.find(job)?)?,
        JobCommand::Metrics { job } => jobs.metrics(&jobs.find(job)?)?,
        JobCommand::ExplainLag { job } => lag::explain(&jobs.client, &jobs.find(job)?, jobs.is_json)?,
        JobCommand::Explain { job } => jobs.explain(&jobs.find(job)?)?,
    }
    Ok(())
}

/// The named server, that of the data directory, or the one on the default port.
fn client(process: &Process, common: &Common, rest: Option<&str>) -> anyhow::Result<HttpClient> {
    let found = find_server(&common.data_dir);
    // The token of one server must not reach another.
    let own = found
        .as_ref()
        .filter(|own| rest.is_none_or(|url| url == own.rest));
    let url = rest.or(own.map(|own| own.rest.as_str()));
    HttpClient::new(
        process.runtime.handle().clone(),
        url.unwrap_or(DEFAULT_REST),
        own.map(|own| own.token.as_str()),
    )
}

struct Jobs<'a> {
    client: HttpClient,
    common: &'a Common,
    is_json: bool,
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}

fn number(value: &Value, name: &str) -> i64 {
    value.get(name).and_then(Value::as_i64).unwrap_or(0)
}

fn array<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn duration_text(ms: i64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

impl Jobs<'_> {
    /// Shows something once, or repeatedly until Ctrl-C.
    fn watched(
        &self,
        process: &Process,
        watch: bool,
        show: impl Fn() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            if watch && !self.is_json {
                write!(stdout(), "{CLEAR}")?;
            }
            show()?;
            stdout().flush()?;
            if !watch {
                return Ok(());
            }
            let interrupted = process.runtime.block_on(async {
                tokio::time::timeout(WATCH_INTERVAL, tokio::signal::ctrl_c())
                    .await
                    .is_ok()
            });
            if interrupted {
                return Ok(());
            }
        }
    }

    fn overview(&self) -> anyhow::Result<Vec<Value>> {
        Ok(array(&self.client.get("/jobs/overview")?, "jobs").to_vec())
    }

    /// Resolves a job's id or name.
    fn find(&self, wanted: &str) -> anyhow::Result<String> {
        let is_hexadecimal = wanted.bytes().all(|b| b.is_ascii_hexdigit());
        if wanted.len() == DIGITS_OF_ID && is_hexadecimal {
            return Ok(wanted.to_owned());
        }
        let jobs = self.overview()?;
        let named = |job: &&Value| text(job, "name") == wanted;
        let is_running = |job: &&Value| number(job, "end-time") < 0;
        let mut found: Vec<&Value> = jobs.iter().filter(named).filter(is_running).collect();
        if found.is_empty() {
            found = jobs.iter().filter(named).collect();
        }
        if found.is_empty() && is_hexadecimal && !wanted.is_empty() {
            found = jobs
                .iter()
                .filter(|job| text(job, "jid").starts_with(wanted))
                .collect();
        }
        match found.as_slice() {
            [] => {
                anyhow::bail!("no job '{wanted}'; 'millstream job list --all' shows the jobs of the server")
            }
            [only] => Ok(text(only, "jid").to_owned()),
            several => {
                let ids: Vec<&str> = several.iter().map(|job| text(job, "jid")).collect();
                anyhow::bail!(
                    "'{wanted}' is the name of several jobs: {}; name one by its id",
                    ids.join(", ")
                )
            }
        }
    }

    fn list(&self, all: bool) -> anyhow::Result<()> {
        let mut jobs = self.overview()?;
        jobs.retain(|job| all || number(job, "end-time") < 0);
        let mut out = stdout().lock();
        if self.is_json {
            for job in &jobs {
                writeln!(out, "{job}")?;
            }
            return Ok(());
        }
        let row = |job: &Value| {
            [
                Some(text(job, "jid").to_owned()),
                Some(text(job, "state").to_owned()),
                Some(duration_text(number(job, "duration"))),
                Some(text(job, "name").to_owned()),
            ]
        };
        let rows: Vec<_> = jobs.iter().map(row).collect();
        columns::print(&mut out, ["ID", "STATE", "DURATION", "NAME"], &rows)?;
        Ok(())
    }

    fn describe(&self, id: &str) -> anyhow::Result<()> {
        let job = self.client.get(&format!("/jobs/{id}"))?;
        let checkpoints = self.client.get(&format!("/jobs/{id}/checkpoints"))?;
        let failures = self.client.get(&format!("/jobs/{id}/exceptions"))?;
        let mut out = stdout().lock();
        if self.is_json {
            let all = json!({"job": job, "checkpoints": checkpoints, "exceptions": failures});
            writeln!(out, "{all}")?;
            return Ok(());
        }
        writeln!(out, "{}  {}", text(&job, "name"), text(&job, "jid"))?;
        writeln!(
            out,
            "{} for {}",
            text(&job, "state"),
            duration_text(number(&job, "duration"))
        )?;
        let row = |vertex: &Value| {
            let metrics = vertex.get("metrics").unwrap_or(&Value::Null);
            [
                Some(text(vertex, "name").to_owned()),
                Some(number(vertex, "parallelism").to_string()),
                Some(number(metrics, "read-records").to_string()),
                Some(number(metrics, "write-records").to_string()),
            ]
        };
        let rows: Vec<_> = array(&job, "vertices").iter().map(row).collect();
        writeln!(out)?;
        columns::print(
            &mut out,
            ["VERTEX", "PARALLELISM", "RECORDS-IN", "RECORDS-OUT"],
            &rows,
        )?;
        let counts = checkpoints.get("counts").unwrap_or(&Value::Null);
        writeln!(
            out,
            "\ncheckpoints: {} completed, {} failed, {} in progress",
            number(counts, "completed"),
            number(counts, "failed"),
            number(counts, "in_progress")
        )?;
        let entries = failures.get("exceptionHistory").unwrap_or(&Value::Null);
        for failure in array(entries, "entries") {
            writeln!(out, "failure: {}", text(failure, "stacktrace"))?;
        }
        Ok(())
    }

    /// Starts an operation and waits for its outcome.
    fn operation(&self, id: &str, start: &str, status: &str, body: &Value) -> anyhow::Result<()> {
        let started = self.client.post(&format!("/jobs/{id}/{start}"), body)?;
        let request = started.get("request-id").and_then(Value::as_str);
        let request = request.context("the server gives no request id")?;
        let outcome = loop {
            let look = self.client.get(&format!("/jobs/{id}/{status}/{request}"))?;
            let state = look.get("status").map_or("-", |status| text(status, "id"));
            if state != "IN_PROGRESS" {
                break look.get("operation").cloned().unwrap_or(Value::Null);
            }
            #[allow(clippy::disallowed_methods)] // the server does not say when an operation ends
            std::thread::sleep(POLL_INTERVAL);
        };
        if let Some(failure) = outcome.get("failure-cause") {
            anyhow::bail!("{}", text(failure, "stack-trace"));
        }
        let mut out = stdout().lock();
        match (self.is_json, outcome.get("location"), outcome.get("checkpointId")) {
            (true, _, _) => writeln!(out, "{outcome}")?,
            (_, Some(location), _) => writeln!(out, "{}", location.as_str().unwrap_or_default())?,
            (_, _, Some(checkpoint)) => writeln!(out, "{checkpoint}")?,
            _ => say(self.common, "done"),
        }
        Ok(())
    }

    fn logs(&self, id: &str) -> anyhow::Result<()> {
        let failures = self.client.get(&format!("/jobs/{id}/exceptions"))?;
        let log = self.client.text("GET", "/jobmanager/log", None)?;
        let mut out = stdout().lock();
        if self.is_json {
            let lines: Vec<&str> = log.lines().collect();
            writeln!(out, "{}", json!({"exceptions": failures, "log": lines}))?;
            return Ok(());
        }
        let entries = failures.get("exceptionHistory").unwrap_or(&Value::Null);
        for failure in array(entries, "entries") {
            writeln!(out, "failure: {}", text(failure, "stacktrace"))?;
        }
        write!(out, "{log}")?;
        Ok(())
    }

    fn metrics(&self, id: &str) -> anyhow::Result<()> {
        let of_job = self.values(&format!("/jobs/{id}/metrics"))?;
        let job = self.client.get(&format!("/jobs/{id}"))?;
        let mut rows: Vec<(String, String, String)> = Vec::new();
        rows.extend(
            of_job
                .into_iter()
                .map(|(name, value)| ("job".to_owned(), name, value)),
        );
        for vertex in array(&job, "vertices") {
            let path = format!("/jobs/{id}/vertices/{}/metrics", text(vertex, "id"));
            let values = self.values(&path)?;
            rows.extend(
                values
                    .into_iter()
                    .map(|(name, value)| (text(vertex, "name").to_owned(), name, value)),
            );
        }
        let mut out = stdout().lock();
        if self.is_json {
            for (scope, name, value) in &rows {
                writeln!(out, "{}", json!({"scope": scope, "metric": name, "value": value}))?;
            }
            return Ok(());
        }
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(scope, name, value)| [Some(scope), Some(name), Some(value)])
            .collect();
        columns::print(&mut out, ["SCOPE", "METRIC", "VALUE"], &rows)?;
        Ok(())
    }

    /// All metrics below a path.
    fn values(&self, path: &str) -> anyhow::Result<Vec<(String, String)>> {
        let ids = |list: &Value| -> Vec<(String, String)> {
            let pairs = list.as_array().into_iter().flatten();
            pairs
                .map(|metric| (text(metric, "id").to_owned(), text(metric, "value").to_owned()))
                .collect()
        };
        let names: Vec<String> = ids(&self.client.get(path)?)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        Ok(ids(&self
            .client
            .get(&format!("{path}?get={}", names.join(",")))?))
    }

    fn explain(&self, id: &str) -> anyhow::Result<()> {
        let plan = self.client.get(&format!("/jobs/{id}/plan"))?;
        let mut out = stdout().lock();
        if self.is_json {
            writeln!(out, "{plan}")?;
            return Ok(());
        }
        let nodes = array(plan.get("plan").unwrap_or(&Value::Null), "nodes");
        let name_of = |wanted: &str| {
            let found = nodes.iter().find(|node| text(node, "id") == wanted);
            found.map_or("?", |node| text(node, "description"))
        };
        for node in nodes {
            writeln!(
                out,
                "{} ({})",
                text(node, "description"),
                number(node, "parallelism")
            )?;
            for input in array(node, "inputs") {
                writeln!(
                    out,
                    "  <- {} [{}]",
                    name_of(text(input, "id")),
                    text(input, "ship_strategy")
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::duration_text;

    #[test]
    fn durations_are_short() {
        let shown: Vec<String> = [5, 5_000, 65_000, 3_660_000]
            .into_iter()
            .map(duration_text)
            .collect();
        assert_eq!(shown, ["5 ms", "5 s", "1 min 5 s", "1 h 1 min"]);
    }
}
