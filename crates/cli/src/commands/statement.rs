//! Executes statements and prints their results: shared by `run`, `sql` and the shell.

use std::io::{BufWriter, Stdout, Write, stderr, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use millstream_server::kafka::is_broker_config;
use millstream_session::{
    CatalogStore, ClientCommand, JobHandle, JobRegistry, JobStart, PrintTarget, Progress, QueryResult,
    Session, SessionContext, SessionError, StatementResult, TextTable, check_syntax, wait_for,
};
use millstream_sql::parse::split::split;
use millstream_types::storage::{OsStorage, Storage};
use millstream_types::{Options, RowKind};

use crate::args::Common;
use crate::commands::progress::subject;
use crate::logging;
use crate::output::{JsonStream, OutputFormat, ResultColumns, printer, query_printer};
use crate::process::Process;

/// Checkpoint directory below the data directory.
pub const CHECKPOINT_DIRECTORY: &str = "checkpoints";
/// The setting by which scripts for Flink's SQL Client select the result format.
const RESULT_MODE: &str = "sql-client.execution.result-mode";
/// Interval at which waits check for Ctrl-C.
const LOOK: Duration = Duration::from_millis(100);
/// Batches of a busy query between two redraws of its table.
const BATCHES_PER_PICTURE: u32 = 32;

/// Set by Ctrl-C; waits check it.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Handles Ctrl-C and SIGTERM from now on. A second signal ends the process at once.
    pub fn listen(process: &Process) -> Self {
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        process.runtime.spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let Ok(mut terminate) = signal(SignalKind::terminate()) else {
                return;
            };
            loop {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
                if flag.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
            }
        });
        interrupt
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Clears an interruption; the shell continues.
    pub fn clear(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Lines of the `print` connector.
struct ProcessPrint {
    /// With `--output json`, standard output carries the protocol.
    stdout_is_protocol: bool,
}

impl PrintTarget for ProcessPrint {
    fn print_line(&self, line: &str, to_stderr: bool) {
        if to_stderr || self.stdout_is_protocol {
            eprintln!("{line}");
        } else {
            // A reader that went away must not fail the job.
            let _ = writeln!(stdout(), "{line}");
        }
    }
}

/// A session on the process's clusters. With `script`, its jobs keep checkpoints in the data directory and are waited
/// for. With `fresh`, checkpoints of earlier runs are discarded.
pub fn session(process: &Process, common: &Common, script: bool, fresh: bool) -> anyhow::Result<Session> {
    let defaults: Options = common
        .define
        .iter()
        .filter(|(key, _)| !is_broker_config(key))
        .cloned()
        .collect();
    let context = session_context(process, common, script, fresh)?;
    let mut session = Session::new(context, defaults)?;
    session.offer_topics();
    Ok(session)
}

/// Shares the catalog of the data directory if the configuration asks for it, or, `by_default`, says nothing.
pub fn keep_catalog(session: &mut Session, common: &Common, by_default: bool) -> anyhow::Result<()> {
    let store = CatalogStore::configured(session.configuration().values(), &common.data_dir, by_default);
    Ok(store.map_or(Ok(()), |store| session.keep_catalog(store))?)
}

/// What the sessions of this process share. With `durable`, named jobs keep checkpoints in the data directory, and the
/// caller reports how jobs end.
pub fn session_context(
    process: &Process,
    common: &Common,
    durable: bool,
    fresh: bool,
) -> anyhow::Result<SessionContext> {
    let checkpoints: Option<Arc<dyn Storage>> = if !durable {
        None
    } else {
        let directory = common.data_dir.join(CHECKPOINT_DIRECTORY);
        let storage = OsStorage::open(&directory)
            .with_context(|| format!("cannot use the data directory '{}'", common.data_dir.display()))?;
        Some(Arc::new(storage))
    };
    Ok(SessionContext {
        clock: process.clock.clone(),
        rng: process.rng.clone(),
        kafka: process.clusters.clone(),
        print: Arc::new(ProcessPrint {
            stdout_is_protocol: common.output == Some(OutputFormat::Json),
        }),
        jobs: Arc::new(JobRegistry::default()),
        checkpoints,
        fresh,
        attended: durable,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        zone_name: millstream_server::machine::zone_name(),
    })
}

/// The statements of a script. Each statement is padded with blank lines to its line in the script, so that errors
/// report the script's line numbers. Text before the statement on the same line is dropped.
pub fn statements(script: &str) -> impl Iterator<Item = String> {
    split(script).into_iter().map(|span| {
        let before = &script[..span.start];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let is_indented = before[line_start..].trim().is_empty();
        let indentation = if is_indented { &before[line_start..] } else { "" };
        format!(
            "{}{indentation}{}",
            "\n".repeat(before.matches('\n').count()),
            span.text(script)
        )
    })
}

/// Waits for the end of a job; `false` after Ctrl-C.
pub fn ends_uninterrupted(job: &JobHandle, interrupt: &Interrupt) -> bool {
    while !job.wait(LOOK).is_terminal() {
        if interrupt.is_set() {
            return false;
        }
    }
    true
}

/// How a statement ended.
pub enum Ended {
    Ok,
    /// A job that still runs; `bounded` says whether it ends by itself.
    Running {
        job: JobHandle,
        bounded: bool,
    },
    Client(ClientCommand),
    Failed,
    Interrupted,
}

/// Prints results of statements in the requested format.
pub struct ResultPrinter {
    /// Requested on the command line.
    output: OutputFormat,
    /// Currently requested by the session.
    format: OutputFormat,
    json: JsonStream,
    out: BufWriter<Stdout>,
    interrupt: Interrupt,
    quiet: bool,
    /// Whether statements without a result are acknowledged.
    acknowledges: bool,
    /// Whether jobs keep state between runs, so that their initial state is worth reporting.
    reports_starts: bool,
}

impl ResultPrinter {
    pub fn new(format: OutputFormat, interrupt: Interrupt, quiet: bool) -> Self {
        Self {
            output: format,
            format,
            json: JsonStream::new(),
            out: BufWriter::new(stdout()),
            interrupt,
            quiet,
            acknowledges: false,
            reports_starts: false,
        }
    }

    /// Reports the initial state of each job from now on.
    pub fn report_starts(&mut self) {
        self.reports_starts = true;
    }

    /// Acknowledges statements without a result from now on, as users at a terminal expect.
    pub fn acknowledge_statements(&mut self) {
        self.acknowledges = !self.quiet;
    }

    /// Executes a statement and prints its complete result.
    pub fn execute(&mut self, session: &mut Session, sql: &str) -> anyhow::Result<Ended> {
        self.json.next_statement();
        self.format = self.format_of(session);
        let ended = match session.execute(sql) {
            Ok(StatementResult::Done) => {
                if self.acknowledges && self.format != OutputFormat::Json {
                    writeln!(stderr(), "OK")?;
                }
                if self.format == OutputFormat::Json {
                    self.json.done(&mut self.out)?;
                }
                Ended::Ok
            }
            Ok(StatementResult::Client(command)) => Ended::Client(command),
            Ok(StatementResult::Table(table)) => {
                self.table(&table)?;
                Ended::Ok
            }
            Ok(StatementResult::Job { job, bounded }) => {
                self.job(&job)?;
                // Under `table.dml-sync`, a statement ends together with its job.
                if session.configuration().dml_sync() {
                    if !ends_uninterrupted(&job, &self.interrupt) {
                        return Ok(Ended::Running { job, bounded });
                    }
                    if let Err(error) = wait_for(&job) {
                        return self.failed(&error);
                    }
                }
                Ended::Running { job, bounded }
            }
            Ok(StatementResult::Query(query)) => match self.query(query)? {
                Ok(ended) => ended,
                Err(error) => return self.failed(&error),
            },
            Err(error) => return self.failed(&error),
        };
        if self.format == OutputFormat::Json {
            self.json.ok(&mut self.out)?;
        }
        self.out.flush()?;
        Ok(ended)
    }

    /// SET takes precedence over the command line, except with JSON output, which a program parses.
    fn format_of(&self, session: &Session) -> OutputFormat {
        let mode = session.configuration().get(RESULT_MODE).map(str::to_uppercase);
        match (self.output, mode.as_deref()) {
            (OutputFormat::Json, _) => OutputFormat::Json,
            (_, Some("TABLE")) => OutputFormat::Table,
            (_, Some("TABLEAU")) => OutputFormat::Tableau,
            (_, Some("CHANGELOG")) => OutputFormat::Changelog,
            (output, _) => output,
        }
    }

    /// Reports an error in the current format.
    pub fn failed(&mut self, error: &SessionError) -> anyhow::Result<Ended> {
        if self.format == OutputFormat::Json {
            self.json.error(serde_json::to_value(error)?, &mut self.out)?;
        } else {
            self.out.flush()?;
            eprintln!("error[{}]: {}", error.code, error.rendered());
        }
        Ok(Ended::Failed)
    }

    /// Reports the syntax errors of statements that are not executed, since one before them has failed. Other errors of
    /// theirs may follow from that failure, so that nothing is said about them.
    pub fn check_rest(&mut self, statements: impl Iterator<Item = String>) -> anyhow::Result<()> {
        for statement in statements {
            self.json.next_statement();
            if let Err(error) = check_syntax(&statement) {
                self.failed(&error)?;
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &TextTable) -> anyhow::Result<()> {
        let columns = ResultColumns {
            names: table.schema.columns.iter().map(|c| c.name.clone()).collect(),
            types: table.schema.types().cloned().collect(),
            is_changelog: false,
        };
        if self.format == OutputFormat::Json {
            self.json.columns(&columns, &mut self.out)?;
            for row in &table.rows {
                let values: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
                self.json.row(RowKind::Insert, &values, &mut self.out)?;
            }
            return Ok(());
        }
        // Long texts (SHOW CREATE, EXPLAIN) are printed without a table.
        if let ([column], [row]) = (columns.names.as_slice(), table.rows.as_slice())
            && column == "result"
        {
            writeln!(
                self.out,
                "{}",
                row.first().and_then(Option::as_deref).unwrap_or("NULL")
            )?;
            return Ok(());
        }
        let mut printer = printer(OutputFormat::Table);
        printer.begin(&columns, &mut self.out)?;
        for row in &table.rows {
            let values: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
            printer.row(RowKind::Insert, &values, &mut self.out)?;
        }
        printer.end(&mut self.out)?;
        Ok(())
    }

    fn job(&mut self, job: &JobHandle) -> anyhow::Result<()> {
        let is_done = matches!(job.start(), JobStart::Done { .. });
        if self.format == OutputFormat::Json || self.quiet || job.status().is_terminal() && !is_done {
            return Ok(());
        }
        self.out.flush()?;
        let said = if self.reports_starts {
            job.start().to_string()
        } else {
            "is running".to_owned()
        };
        let text = format!("job {} ({}) {said}", job.name(), job.id());
        logging::report(&text, subject(job));
        if !self.reports_starts || logging::is_json() {
            return Ok(());
        }
        let operators = job.restored_operators();
        if *job.start() != JobStart::Fresh && !operators.is_unchanged() {
            eprintln!("{}", operators.table());
        } else if operators.statement_changed {
            eprintln!("  the statement changed in parts that keep no state; they apply from here on");
        }
        Ok(())
    }

    /// Prints rows until the query ends or Ctrl-C.
    fn query(&mut self, mut query: QueryResult) -> anyhow::Result<Result<Ended, SessionError>> {
        let columns = ResultColumns {
            names: query.schema.columns.iter().map(|c| c.name.clone()).collect(),
            types: query.schema.types().cloned().collect(),
            is_changelog: query.is_changelog,
        };
        let is_json = self.format == OutputFormat::Json;
        let mut printer = query_printer(self.format);
        if is_json {
            self.json.columns(&columns, &mut self.out)?
        } else {
            printer.begin(&columns, &mut self.out)?
        }
        let mut batches = 0_u32;
        loop {
            if self.interrupt.is_set() {
                query.cancel();
                if !is_json {
                    printer.interrupt(&mut self.out)?;
                }
                return Ok(Ok(Ended::Interrupted));
            }
            // Batches that are available are written together; flush before waiting.
            let progress = match query.next(Duration::ZERO) {
                Ok(Progress::Nothing) => {
                    if batches > 0 {
                        printer.redraw(&mut self.out)?;
                        batches = 0;
                    }
                    self.out.flush()?;
                    query.next(LOOK)
                }
                other => other,
            };
            let rows = match progress {
                Ok(Progress::Rows(rows)) => {
                    batches += 1;
                    rows
                }
                Ok(Progress::End) => break,
                Ok(Progress::Nothing) => continue,
                Err(error) => return Ok(Err(error)),
            };
            for row in 0..rows.len() {
                if is_json {
                    self.json.row(rows.kind(row), &rows.values(row), &mut self.out)?
                } else {
                    printer.row(rows.kind(row), &rows.values(row), &mut self.out)?
                }
            }
            // Redraws even if the query never pauses.
            if batches >= BATCHES_PER_PICTURE {
                printer.redraw(&mut self.out)?;
                batches = 0;
            }
        }
        if !is_json {
            printer.end(&mut self.out)?;
        }
        Ok(Ok(Ended::Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_keep_their_lines() {
        let script = "SELECT 1; SELECT 2;\n\n  SELECT\n 3;";
        assert_eq!(
            statements(script).collect::<Vec<_>>(),
            ["SELECT 1", "SELECT 2", "\n\n  SELECT\n 3"]
        );
    }
}
