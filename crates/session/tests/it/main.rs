//! Flink's recorded results, in process: every file under `tests/conformance` runs in four modes (see [`Way`]). The
//! exact mode must reproduce the recorded changelogs, all modes the recorded final rows.

#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

mod engine;
mod error_codes;
mod interrupted;
mod kafka;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream_session::SessionError;
use millstream_testkit::slt::{Expected, Record, materialize, parse};

use crate::engine::{Changes, Engine, Way};
use crate::kafka::{BOOTSTRAP, Clusters};

/// Files that run in parallel.
const THREADS: usize = 4;

const FOLDED: &str =
    "default batches fold changes of one key, so that a changelog written to files has fewer lines";
const TIES: &str = "which of several equal rows come first follows the order of the changes";
const OFFSETS: &str = "every checkpoint commits the offsets of the group from which the next query starts";
const LATE: &str = "which rows are late follows from how far the other instance has come";

/// Files whose rows legitimately depend on the mode.
const NOT_IN: &[(Way, &str, &str)] = &[
    (Way::Batches, "cdc/sinks_and_changelog.slt", FOLDED),
    (Way::Parallel, "cdc/sinks_and_changelog.slt", FOLDED),
    (Way::Batches, "select/limit_streaming.slt", TIES),
    (Way::Parallel, "select/limit_streaming.slt", TIES),
    (Way::Batches, "topn/over_aggregate.slt", TIES),
    (Way::Parallel, "topn/over_aggregate.slt", TIES),
    (Way::Batches, "changelog_mode/joins_and_sets.slt", TIES),
    (Way::Parallel, "changelog_mode/joins_and_sets.slt", TIES),
    (Way::Parallel, "jobs/recommendation_features.slt", TIES),
    (Way::Parallel, "jobs/recommendation_features_batch.slt", TIES),
    (Way::Parallel, "window/late_rows.slt", LATE),
    (Way::Parallel, "window/watermark_strategies.slt", LATE),
    (Way::Parallel, "over/late_and_out_of_order.slt", LATE),
    (Way::Parallel, "match/partitions_and_order.slt", LATE),
    (Way::Batches, "agg/retracting_collectors.slt", TIES),
    (Way::Parallel, "agg/retracting_collectors.slt", TIES),
    (Way::Interrupted, "connector/kafka_group_offsets.slt", OFFSETS),
];

/// One run of a file.
struct Run<'a> {
    path: &'a Path,
    way: Way,
    directory: String,
    suffix: String,
}

impl Run<'_> {
    fn resolve(&self, text: &str) -> String {
        text.replace("$__TEST_DIR__", &self.directory)
            .replace("$__RUN__", &self.suffix)
            .replace("$__BOOTSTRAP__", BOOTSTRAP)
    }

    fn unresolve(&self, text: &str) -> String {
        text.replace(&self.directory, "$__TEST_DIR__")
            .replace(&self.suffix, "$__RUN__")
            .replace(BOOTSTRAP, "$__BOOTSTRAP__")
    }

    /// What differs, one line each.
    fn differences(&self, clusters: &std::sync::Arc<Clusters>) -> Vec<String> {
        let text = std::fs::read_to_string(self.path).unwrap();
        let records = parse(&text).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        let mut engine = Engine::new(clusters.clone(), self.way);
        let mut found = Vec::new();
        for record in &records {
            for directive in &record.directives {
                clusters.direct(&self.resolve(directive));
            }
            let outcome = engine.execute(&self.resolve(&record.sql));
            let problem = self.judge(record, outcome, engine.shows_changes());
            let problem = match (&record.differs, problem) {
                (None, problem) => problem,
                (Some(_), Some(_)) => None,
                // In the other modes, the rows may match by chance.
                (Some(reason), None) if self.way == Way::Exact => Some(format!(
                    "agrees with the record, so take the mark away: differs: {reason}"
                )),
                (Some(_), None) => None,
            };
            if let Some(problem) = problem {
                found.push(format!(
                    "{}:{}: {:?}: {}\n    {problem}",
                    self.path.display(),
                    record.line,
                    self.way,
                    record.sql
                ));
            }
        }
        found
    }

    fn judge(
        &self,
        record: &Record,
        outcome: Result<Changes, SessionError>,
        shows_changes: bool,
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
                // Matches only the message; the excerpt below it would match its own SQL.
                let bare = error.message.split("\n  --> ").next().unwrap_or(&error.message);
                // The command-line runner checks patterns that this regex engine does not support.
                let matches = regex.map_or(true, |regex| regex.is_match(bare));
                (!matches).then(|| format!("another error than /{pattern}/: {error}"))
            }
            (Expected::Rows { sorted, rows }, Ok(changes)) => {
                self.judge_rows(rows, *sorted, &changes, shows_changes)
            }
        }
    }

    fn judge_rows(
        &self,
        expected: &[String],
        sorted: bool,
        changes: &Changes,
        shows_changes: bool,
    ) -> Option<String> {
        let mut expected = expected.to_vec();
        let is_exact = self.way == Way::Exact;
        let found: Vec<Vec<String>> = if shows_changes && is_exact {
            let with_op = |(op, row): &(String, Vec<String>)| [vec![op.clone()], row.clone()].concat();
            changes.iter().map(with_op).collect()
        } else {
            if shows_changes {
                // The other modes may take different intermediate steps to the same rows.
                expected = final_rows(&expected);
            }
            materialize(changes)
        };
        let mut found: Vec<String> = found.iter().map(|r| self.unresolve(&r.join("\t"))).collect();
        // Without ORDER BY, the order of rows depends on the batches.
        if sorted || !is_exact {
            found.sort();
            expected.sort();
        }
        (found != expected).then(|| format!("expected {expected:?}\n    found    {found:?}"))
    }
}

/// The rows that remain after applying a recorded changelog. SHOW, DESCRIBE and EXPLAIN have no changelog.
fn final_rows(recorded: &[String]) -> Vec<String> {
    let change = |line: &String| {
        let (op, row) = line.split_once('\t').unwrap_or((line, ""));
        (op.to_owned(), vec![row.to_owned()])
    };
    let changes: Changes = recorded.iter().map(change).collect();
    materialize(&changes).iter().map(|row| row.join("\t")).collect()
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

fn run_all(way: Way) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let mut all = Vec::new();
    files(&root, &mut all);
    all.retain(|path| {
        !NOT_IN
            .iter()
            .any(|(not, name, _)| *not == way && path.ends_with(name))
    });
    all.sort();
    assert!(
        !all.is_empty(),
        "there are conformance files under {}",
        root.display()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let clusters = Clusters::start(runtime.handle().clone());
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = all.get(number) else { return };
            let directory = tempfile::tempdir().unwrap();
            let run = Run {
                path,
                way,
                directory: directory.path().to_string_lossy().into_owned(),
                suffix: format!("run{number}x"),
            };
            let found = run.differences(&clusters);
            failures.lock().unwrap().extend(found);
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| _ = scope.spawn(work)));
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} record(s) differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn recorded_results_one_row_per_step() {
    run_all(Way::Exact);
}

#[test]
fn recorded_results_in_default_batches() {
    run_all(Way::Batches);
}

#[test]
fn recorded_results_with_parallelism_two() {
    run_all(Way::Parallel);
}

#[test]
fn recorded_results_with_crashes() {
    run_all(Way::Interrupted);
}
