//! The recorded answers of Flink, in process: every file under `tests/conformance` runs twice, one row a step and in
//! default batches. The first way must give the recorded changelogs, both must give the recorded final rows.

#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_connectors::PrintTarget;
use millstream_connectors::kafka::KafkaClusters;
use millstream_dataflow::DataflowError;
use millstream_kafka_client::Transport;
use millstream_session::{JobRegistry, Progress, Session, SessionContext, SessionError, StatementResult};
use millstream_testkit::slt::{Expected, Record, cell, materialize, parse};
use millstream_types::{ErrorKind, Options, SeededRng, SystemClock};

/// Threads that run files at the same time.
const THREADS: usize = 4;
/// One look at a query; a query that gives nothing for so long is stuck.
const LOOK: Duration = Duration::from_secs(60);

/// Files that write a changelog and read it back line by line: default batches fold changes of one key, so that their
/// lines are fewer, by design.
const EXACT_ONLY: &[&str] = &["cdc/sinks_and_changelog.slt"];

/// These files use no Kafka.
struct NoClusters(tokio::runtime::Handle);

impl KafkaClusters for NoClusters {
    fn transport(&self, _: &BTreeMap<String, String>) -> Result<Arc<dyn Transport>, DataflowError> {
        Err(DataflowError::new(
            ErrorKind::Environment,
            "there is no Kafka here",
        ))
    }

    fn is_embedded(&self, _: &BTreeMap<String, String>) -> bool {
        false
    }

    fn runtime(&self) -> tokio::runtime::Handle {
        self.0.clone()
    }
}

struct NoPrint;

impl PrintTarget for NoPrint {
    fn print_line(&self, _: &str, _: bool) {}
}

type Changes = Vec<(String, Vec<String>)>;

/// A session that answers as the command line with `--output json` does.
struct Engine {
    session: Session,
    is_changelog: bool,
}

impl Engine {
    fn new(runtime: tokio::runtime::Handle, exact: bool) -> Self {
        let context = SessionContext {
            clock: Arc::new(SystemClock),
            rng: Arc::new(SeededRng::new(1)),
            kafka: Arc::new(NoClusters(runtime)),
            print: Arc::new(NoPrint),
            jobs: Arc::new(JobRegistry::default()),
            checkpoints: None,
            fresh: false,
            cores: 1,
        };
        let mut defaults = Options::from([
            ("table.dml-sync".to_owned(), "true".to_owned()),
            ("parallelism.default".to_owned(), "1".to_owned()),
        ]);
        if exact {
            defaults.insert("millstream.batch.max-rows".to_owned(), "1".to_owned());
        }
        Self {
            session: Session::new(context, defaults).unwrap(),
            is_changelog: false,
        }
    }

    fn execute(&mut self, sql: &str) -> Result<Changes, SessionError> {
        let inserted = |values: Vec<Option<&str>>| values.into_iter().map(cell).collect();
        let mut changes = Changes::new();
        match self.session.execute(sql)? {
            StatementResult::Done | StatementResult::Job { .. } | StatementResult::Client(_) => {}
            StatementResult::Table(table) => {
                for row in &table.rows {
                    changes.push((
                        "+I".to_owned(),
                        inserted(row.iter().map(Option::as_deref).collect()),
                    ));
                }
            }
            StatementResult::Query(mut query) => loop {
                match query.next(LOOK)? {
                    Progress::Rows(rows) => {
                        let of = |r| (rows.kind(r).symbol().to_owned(), inserted(rows.values(r)));
                        changes.extend((0..rows.len()).map(of));
                    }
                    Progress::End => break,
                    Progress::Nothing => {
                        return Err(SessionError::new(
                            ErrorKind::Internal,
                            "the query gives nothing any more",
                        ));
                    }
                }
            },
        }
        let mode = self
            .session
            .configuration()
            .get("sql-client.execution.result-mode");
        self.is_changelog = mode.is_some_and(|m| !m.eq_ignore_ascii_case("table"));
        Ok(changes)
    }
}

/// Runs a file; what differs, one line each.
fn run_file(path: &Path, runtime: &tokio::runtime::Handle, exact: bool) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let records = parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_string_lossy().into_owned();
    let mut engine = Engine::new(runtime.clone(), exact);
    let mut failures = Vec::new();
    for record in &records {
        let sql = record
            .sql
            .replace("$__TEST_DIR__", &directory)
            .replace("$__RUN__", "run");
        let outcome = engine.execute(&sql);
        let (is_changelog, sql) = (engine.is_changelog, &record.sql);
        if let Some(problem) = judge(record, outcome, is_changelog, exact, &directory) {
            failures.push(format!(
                "{}:{}: {sql}\n    {problem}",
                path.display(),
                record.line
            ));
        }
    }
    failures
}

fn judge(
    record: &Record,
    outcome: Result<Changes, SessionError>,
    is_changelog: bool,
    exact: bool,
    directory: &str,
) -> Option<String> {
    match (&record.expected, outcome) {
        (Expected::Ok, Ok(_)) => None,
        (Expected::Ok | Expected::Rows { .. }, Err(error)) => Some(format!("failed: {error}")),
        (Expected::Error(pattern), Ok(_)) => Some(format!("succeeded, an error was expected: {pattern}")),
        (Expected::Error(pattern), Err(error)) => {
            let regex = regex::RegexBuilder::new(pattern)
                .case_insensitive(true)
                .dot_matches_new_line(true)
                .build();
            // A pattern that this regex engine does not know was checked by the command-line runner.
            let matches = regex.map_or(true, |regex| regex.is_match(&error.message));
            (!matches).then(|| format!("another error than /{pattern}/: {error}"))
        }
        (Expected::Rows { sorted, rows }, Ok(changes)) => {
            // Default batches fold changes: their changelog is not the recorded one, their final rows are.
            if is_changelog && !exact {
                return None;
            }
            let found: Vec<Vec<String>> = match is_changelog {
                true => changes
                    .into_iter()
                    .map(|(op, row)| [vec![op], row].concat())
                    .collect(),
                false => materialize(&changes),
            };
            let mut found: Vec<String> = found
                .iter()
                .map(|r| r.join("\t").replace(directory, "$__TEST_DIR__"))
                .collect();
            let mut expected = rows.clone();
            // The order of rows without an ORDER BY follows the batches.
            if *sorted || !exact {
                found.sort();
                expected.sort();
            }
            (found != expected).then(|| format!("expected {expected:?}\n    found    {found:?}"))
        }
    }
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "slt") {
            found.push(path);
        }
    }
}

fn run_all(exact: bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let mut all = Vec::new();
    files(&root, &mut all);
    all.retain(|path| exact || !EXACT_ONLY.iter().any(|name| path.ends_with(name)));
    all.sort();
    assert!(
        !all.is_empty(),
        "there are conformance files under {}",
        root.display()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(path) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = run_file(path, runtime.handle(), exact);
                    failures.lock().unwrap().extend(found);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} record(s) differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn recorded_answers_one_row_a_step() {
    run_all(true);
}

#[test]
fn recorded_answers_in_default_batches() {
    run_all(false);
}
