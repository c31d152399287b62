//! Statements on a server: `run --detach` and `sql --gateway`.

use std::io::{BufWriter, Read, Write, stdin, stdout};

use anyhow::Context;
use millstream_server::state::SCRIPT_PROPERTY;
use millstream_sql::parse::split::Splitter;
use millstream_types::Options;
use serde_json::json;

use crate::args::{Common, OnError, RunArgs, SqlArgs};
use crate::commands::connect::say;
use crate::commands::run::read;
use crate::commands::statement::{Interrupt, statements};
use crate::exit::{Failure, Outcome};
use crate::output::{JsonStream, OutputFormat, ResultColumns, printer};
use crate::process::{Process, is_broker_config};
use crate::remote::{HttpClient, RemoteResult, RemoteSession, ServerError, find_server};

/// Default address of a gateway.
const DEFAULT_GATEWAY: &str = "http://127.0.0.1:8083";
const READ_BYTES: usize = 64 << 10;

/// Submits the jobs of a script to a server and returns.
pub fn detach(process: &Process, common: &Common, args: &RunArgs) -> Outcome {
    let (name, script) = read(&args.file, common)?;
    let session = open(process, common, args.gateway.as_deref(), Some(&name))?;
    let interrupt = Interrupt::listen(process);
    let mut shower = RemotePrinter::new(common, interrupt);
    shower.names_jobs = true;
    let mut failed = false;
    for statement in statements(&script) {
        failed |= !shower.execute(&session, &statement)?;
        if failed && args.on_error == OnError::Stop {
            break;
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(()) }
}

/// Executes statements in a session of a server.
pub fn sql(process: &Process, common: &Common, args: &SqlArgs, gateway: &str) -> Outcome {
    let session = open(process, common, Some(gateway), None)?;
    let interrupt = Interrupt::listen(process);
    let mut shower = RemotePrinter::new(common, interrupt);
    let text = match (&args.execute, &args.file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(file)) => {
            Some(std::fs::read_to_string(file).with_context(|| format!("cannot read the script '{file}'"))?)
        }
        (None, None) => None,
    };
    let mut failed = false;
    let mut each = |statement: &str| -> Result<bool, Failure> {
        failed |= !shower.execute(&session, statement)?;
        Ok(!failed || args.on_error == OnError::Continue)
    };
    match text {
        Some(text) => {
            for statement in statements(&text) {
                if !each(&statement)? {
                    break;
                }
            }
        }
        None => from_input(&mut each)?,
    }
    if failed { Err(Failure::Reported) } else { Ok(()) }
}

/// Statements of standard input, each as it arrives.
fn from_input(each: &mut dyn FnMut(&str) -> Result<bool, Failure>) -> Outcome {
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = stdin()
            .lock()
            .read(&mut buffer)
            .context("cannot read standard input")?;
        if read == 0 {
            break;
        }
        splitter.push(&String::from_utf8_lossy(&buffer[..read]));
        while let Some(statement) = splitter.next_statement() {
            if !each(&statement)? {
                return Ok(());
            }
        }
    }
    if let Some(statement) = splitter.finish() {
        each(&statement)?;
    }
    Ok(())
}

fn open(
    process: &Process,
    common: &Common,
    gateway: Option<&str>,
    script: Option<&str>,
) -> anyhow::Result<RemoteSession> {
    let found = find_server(&common.data_dir);
    // The token of one server must not reach another.
    let own = found
        .as_ref()
        .filter(|own| gateway.is_none_or(|url| url == own.gateway));
    let url = gateway.or(own.map(|own| own.gateway.as_str()));
    let client = HttpClient::new(
        process.runtime.handle().clone(),
        url.unwrap_or(DEFAULT_GATEWAY),
        own.map(|own| own.token.as_str()),
    )?;
    let mut properties: Options = common
        .define
        .iter()
        .filter(|(key, _)| !is_broker_config(key))
        .cloned()
        .collect();
    if let Some(script) = script {
        properties.insert(SCRIPT_PROPERTY.to_owned(), script.to_owned());
    }
    RemoteSession::open(client, script.unwrap_or("millstream"), &properties)
}

/// Prints the results of statements that run on a server.
struct RemotePrinter<'a> {
    common: &'a Common,
    interrupt: Interrupt,
    json: JsonStream,
    /// Whether job ids are results on standard output instead of messages.
    names_jobs: bool,
}

impl<'a> RemotePrinter<'a> {
    fn new(common: &'a Common, interrupt: Interrupt) -> Self {
        Self {
            common,
            interrupt,
            json: JsonStream::new(),
            names_jobs: false,
        }
    }

    /// Executes a statement and prints its result; `false` if it failed.
    fn execute(&mut self, session: &RemoteSession, statement: &str) -> Result<bool, Failure> {
        self.json.next_statement();
        let is_json = self.common.output == Some(OutputFormat::Json);
        let mut out = BufWriter::new(stdout());
        let shown = session
            .execute(statement)
            .and_then(|mut result| self.show(&mut result, is_json, &mut out));
        match shown {
            Ok(true) => {}
            Ok(false) => return Err(Failure::Interrupted),
            Err(error) => {
                let failed = error.downcast_ref::<ServerError>();
                let diagnostic = failed.and_then(|failed| failed.diagnostic.clone());
                let message = crate::exit::chain(&error);
                if is_json {
                    let members = diagnostic.unwrap_or_else(|| json!({"message": message}));
                    self.json.error(members, &mut out)?;
                } else {
                    let code = diagnostic
                        .as_ref()
                        .and_then(|members| members.get("code")?.as_str());
                    eprintln!(
                        "error{}: {message}",
                        code.map_or_else(String::new, |code| format!("[{code}]"))
                    );
                }
                return Ok(false);
            }
        }
        if is_json {
            self.json.ok(&mut out)?;
        }
        out.flush()?;
        Ok(true)
    }

    /// Returns `false` if it was interrupted.
    fn show(
        &self,
        result: &mut RemoteResult<'_>,
        is_json: bool,
        out: &mut dyn Write,
    ) -> anyhow::Result<bool> {
        if let Some(job) = result.job.clone().filter(|_| !result.is_query) {
            match (is_json, self.names_jobs) {
                (true, _) => {}
                (false, true) => writeln!(out, "{job}")?,
                (false, false) => say(self.common, &format!("job {job} is running on the server")),
            }
            if !is_json {
                return Ok(true);
            }
        }
        if !result.has_content {
            return Ok(true);
        }
        let columns = ResultColumns {
            names: result.columns.iter().map(|(name, _)| name.clone()).collect(),
            types: result.columns.iter().map(|(_, ty)| ty.clone()).collect(),
            is_changelog: result.is_query,
        };
        let format = if result.is_query {
            self.common.output.unwrap_or(OutputFormat::Table)
        } else {
            OutputFormat::Table
        };
        let mut printer = printer(format);
        if is_json {
            self.json.columns(&columns, out)?
        } else {
            printer.begin(&columns, out)?
        }
        while let Some(page) = result.next()? {
            for (kind, values) in &page {
                let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                if is_json {
                    self.json.row(*kind, &values, out)?
                } else {
                    printer.row(*kind, &values, out)?
                }
            }
            out.flush()?;
            if self.interrupt.is_set() {
                return Ok(false);
            }
        }
        if !is_json {
            printer.end(out)?;
        }
        Ok(true)
    }
}
