//! The two engines: a SQL Gateway over HTTP, and a command that reads statements and writes JSON lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// The rows of a statement, columns joined by tabs, with the kind of the change in front; or the first line of its error.
pub type Outcome = Result<Vec<String>, String>;

pub trait Engine {
    fn execute(&mut self, sql: &str) -> anyhow::Result<Outcome>;
}

const POLL: Duration = Duration::from_millis(20);
/// A statement that gives no result for so long counts as failed.
const POLLS_MAX: usize = 6_000;

/// One session of a SQL Gateway.
pub struct Gateway {
    url: String,
    agent: ureq::Agent,
}

impl Gateway {
    pub fn open(address: &str) -> anyhow::Result<Self> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent = ureq::Agent::new_with_config(config);
        let properties = json!({"properties": {"table.dml-sync": "true"}});
        let opened = call(
            agent
                .post(format!("{address}/v2/sessions"))
                .send(properties.to_string()),
        )?;
        let handle = opened["sessionHandle"]
            .as_str()
            .context("the gateway opened no session")?;
        Ok(Self {
            url: format!("{address}/v2/sessions/{handle}"),
            agent,
        })
    }

    fn page(&self, operation: &str, token: &str) -> anyhow::Result<Value> {
        let url = format!(
            "{}/operations/{operation}/result/{token}?rowFormat=PLAIN_TEXT",
            self.url
        );
        call(self.agent.get(url).call())
    }
}

fn call(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<Value> {
    let text = response?
        .body_mut()
        .with_config()
        .limit(256 << 20)
        .read_to_string()?;
    Ok(serde_json::from_str(&text)?)
}

impl Engine for Gateway {
    fn execute(&mut self, sql: &str) -> anyhow::Result<Outcome> {
        let statement = json!({"statement": sql}).to_string();
        let submitted = call(
            self.agent
                .post(format!("{}/statements", self.url))
                .send(statement),
        )?;
        let Some(operation) = submitted["operationHandle"].as_str() else {
            return Ok(Err(root_cause(&submitted)));
        };
        let (mut rows, mut token) = (Vec::new(), "0".to_owned());
        for _ in 0..POLLS_MAX {
            let page = self.page(operation, &token)?;
            if page["errors"].is_array() {
                return Ok(Err(root_cause(&page)));
            }
            if page["resultType"] == "NOT_READY" {
                #[allow(clippy::disallowed_methods)] // the gateway does not say when rows are there
                std::thread::sleep(POLL);
                continue;
            }
            let found = page["results"]["data"].as_array().map_or(&[][..], Vec::as_slice);
            rows.extend(found.iter().map(|row| line(kind(&row["kind"]), &row["fields"])));
            let next = page["nextResultUri"]
                .as_str()
                .and_then(|uri| uri.split("/result/").nth(1));
            let next = next.map(|rest| rest.split('?').next().unwrap_or(rest).to_owned());
            match next {
                Some(next) if page["resultType"] != "EOS" => token = next,
                _ => {
                    let close = format!("{}/operations/{operation}/close", self.url);
                    _ = self.agent.delete(close).call();
                    return Ok(Ok(rows));
                }
            }
        }
        Ok(Err("no end of the result".to_owned()))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        _ = self.agent.delete(&self.url).call();
    }
}

fn kind(kind: &Value) -> &'static str {
    match kind.as_str() {
        Some("UPDATE_BEFORE") => "-U",
        Some("UPDATE_AFTER") => "+U",
        Some("DELETE") => "-D",
        _ => "+I",
    }
}

fn line(kind: &str, fields: &Value) -> String {
    let cell = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        Value::String(text) => text
            .replace('\\', "\\\\")
            .replace('\t', "\\t")
            .replace('\n', "\\n"),
        other => other.to_string(),
    };
    let fields = fields.as_array().map_or(&[][..], Vec::as_slice);
    let cells: Vec<String> = std::iter::once(kind.to_owned())
        .chain(fields.iter().map(cell))
        .collect();
    cells.join("\t")
}

/// The line behind the last `Caused by:` of a stack trace.
fn root_cause(page: &Value) -> String {
    let errors = page["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let text: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
    let text = text.join("\n");
    let cause = text.rsplit("Caused by: ").next().unwrap_or(&text);
    cause.lines().next().unwrap_or("").to_owned()
}

/// A running command.
pub struct Cli {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Cli {
    pub fn open(command: &str) -> anyhow::Result<Self> {
        let mut words = command.split_whitespace();
        let program = words.next().context("--cli is empty")?;
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("'{program}' cannot be run"))?;
        let input = child.stdin.take().context("the command has no input")?;
        let output = BufReader::new(child.stdout.take().context("the command has no output")?);
        let mut cli = Self { child, input, output };
        if let Err(message) = cli.execute("SET 'table.dml-sync' = 'true'")? {
            bail!("the command refuses SET: {message}");
        }
        Ok(cli)
    }
}

impl Engine for Cli {
    fn execute(&mut self, sql: &str) -> anyhow::Result<Outcome> {
        writeln!(self.input, "{sql}\n;")?;
        self.input.flush()?;
        let mut rows = Vec::new();
        loop {
            let mut text = String::new();
            if self.output.read_line(&mut text)? == 0 {
                bail!("the command ended at: {sql}");
            }
            let outcome: Value = serde_json::from_str(&text)?;
            if let Some(row) = outcome.get("row") {
                rows.push(line(outcome["op"].as_str().unwrap_or("+I"), row));
            } else if outcome["status"] == "ok" {
                return Ok(Ok(rows));
            } else if outcome["status"] == "error" {
                let message = outcome["message"].as_str().unwrap_or("");
                return Ok(Err(message.lines().next().unwrap_or("").to_owned()));
            }
        }
    }
}

impl Drop for Cli {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
