//! The life of every operator with state: rows, incremental checkpoints to real files, kills, other parallelisms, more
//! rows. What comes out must be what an undisturbed run gives.
//!
//! Every row has strings that lie in a large message, as a source hands them on; state that kept the message instead of
//! the row would show in the size of checkpoints and in the bytes that operators report. A cold part of the keys is
//! written once, so that checkpoints have blocks that do not change.
//!
//! Each life is led once more with a quarter of the memory that the state takes: what can goes to disk, in every
//! checkpoint and through every kill, and the output stays the same.
//!
//! An operator that is in none of the [`cases`] fails `every_operator_has_a_case`.

mod cases;
mod feed;
mod joins;

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_state::{
    BlockContent, CheckpointHeader, CheckpointKind, CheckpointStore, InstanceState, MemoryPool,
    SnapshotScope, Spill, SpillSpace, StateBlocks,
};
use millstream_types::storage::OsStorage;
use millstream_types::{CheckpointId, RowKind};

use crate::harness::{Run, Step, Subject};
use feed::MESSAGE_BYTES;

/// An operator with an input.
pub struct Case {
    pub name: &'static str,
    /// The type that implements `Operator`.
    pub operator: &'static str,
    pub subject: Subject,
    /// A checkpoint follows each of these.
    pub segments: Vec<Vec<Step>>,
    /// Some checkpoint has a block that did not change.
    pub shares_blocks: bool,
}

/// Parallelisms of the lives of a job; a kill ends each.
const RESCALED: [usize; 4] = [1, 2, 3, 1];
const SAME: [usize; 4] = [1, 1, 1, 1];
/// Checkpoints in each life, before the steps that are lost with the kill.
const CHECKPOINTS: usize = 5;
/// Rows of a batch that an operator may emit.
const BATCH_ROWS: usize = 1000;

/// The checkpoints of a job in a directory.
struct Directory {
    root: tempfile::TempDir,
    checkpoint: u64,
    base: Option<CheckpointId>,
    /// Blocks that were named without their bytes.
    unchanged: usize,
    most_bytes: u64,
    most_spilled: u64,
}

impl Directory {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            checkpoint: 0,
            base: None,
            unchanged: 0,
            most_bytes: 0,
            most_spilled: 0,
        }
    }

    fn store(&self) -> CheckpointStore {
        let storage = Arc::new(OsStorage::open(self.root.path()).unwrap());
        CheckpointStore::open(storage, "job", 1).unwrap()
    }

    fn write(&mut self, store: &mut CheckpointStore, run: &mut Run<'_>) {
        self.checkpoint += 1;
        let checkpoint = CheckpointId(self.checkpoint);
        let scope = SnapshotScope {
            checkpoint,
            base: self.base,
        };
        let parts = run.snapshot(&scope);
        let parallelism = parts.len();
        let state = |(subtask, blocks): (usize, StateBlocks)| InstanceState {
            uid: "operator".into(),
            subtask,
            parallelism,
            watermark: run.watermark(),
            finished: false,
            blocks,
        };
        let states: Vec<InstanceState> = parts.into_iter().enumerate().map(state).collect();
        let blocks = states.iter().flat_map(|state| &state.blocks.blocks);
        self.unchanged += blocks.filter(|b| b.content == BlockContent::Unchanged).count();
        let header = CheckpointHeader {
            checkpoint: checkpoint.0,
            triggered_ms: 0,
            job: "job".to_owned(),
            max_parallelism: 128,
            fingerprint: 0,
            operators: Vec::new(),
            finished: false,
            kind: CheckpointKind::Checkpoint,
            origin: None,
        };
        let size = store.write(header, &states).unwrap();
        self.most_bytes = self.most_bytes.max(size.full_bytes);
        self.base = (!size.rewrite_next).then_some(checkpoint);
    }

    /// What another process finds.
    fn load(&mut self) -> Vec<StateBlocks> {
        let store = self.store();
        let states = store.load(store.latest().unwrap()).unwrap();
        // Blocks of another process are of no use to the new instances' snapshots.
        self.base = None;
        states.into_iter().map(|state| state.blocks).collect()
    }
}

/// The output of a run without checkpoints, and most bytes of state.
fn undisturbed(case: &Case) -> (Vec<String>, usize) {
    let mut run = Run::new(&case.subject, 1, BATCH_ROWS);
    let mut most = 0;
    for segment in &case.segments {
        run.steps(segment);
        most = most.max(run.state_bytes());
    }
    (sorted(&run.out), most)
}

/// The output of a run with checkpoints and kills.
fn disturbed(
    case: &Case,
    lives: &[usize],
    directory: &mut Directory,
    spill: Option<Spill>,
) -> Result<Vec<String>, String> {
    let is_spilling = spill.is_some();
    let mut run = Run::spilling(&case.subject, lives[0], BATCH_ROWS, spill);
    let mut next = 0;
    for life in 1..=lives.len() {
        let is_last = life == lives.len();
        let mut store = directory.store();
        let until = if is_last {
            case.segments.len()
        } else {
            next + CHECKPOINTS
        };
        for segment in &case.segments[next..until] {
            run.steps(segment);
            directory.write(&mut store, &mut run);
            directory.most_spilled = directory.most_spilled.max(run.spilled_bytes());
        }
        next = until;
        if is_last {
            break;
        }
        let (written, before) = (run.out.len(), run.state_bytes());
        let (watermark, now_ms) = (run.watermark(), run.now_ms());
        // These steps are lost, and what they gave was never committed.
        run.steps(&case.segments[next]);
        run.out.truncate(written);
        let blocks = directory.load();
        run.resume(blocks, lives[life], watermark, now_ms);
        let after = run.state_bytes();
        if !is_spilling && after > 3 * before + 65_536 * lives[life] {
            return Err(format!(
                "{before} bytes of state before a restore, {after} after it"
            ));
        }
    }
    Ok(sorted(&run.out))
}

fn sorted(out: &[(RowKind, String)]) -> Vec<String> {
    let mut lines: Vec<String> = out
        .iter()
        .map(|(kind, row)| format!("{} {row}", kind.symbol()))
        .collect();
    lines.sort_unstable();
    lines
}

fn same(expected: &[String], found: &[String]) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let (expected, found): (BTreeSet<_>, BTreeSet<_>) = (expected.iter().collect(), found.iter().collect());
    let missing: Vec<_> = expected.difference(&found).take(5).collect();
    let extra: Vec<_> = found.difference(&expected).take(5).collect();
    Err(format!(
        "missing {missing:#?}, unexpected {extra:#?} (or repeated)"
    ))
}

fn live(case: &Case) -> Result<(), String> {
    let (expected, most_bytes) = undisturbed(case);
    if expected.is_empty() {
        return Err("no output".to_owned());
    }
    let rows: usize = case.segments.iter().flatten().map(feed::rows_of).sum();
    let batches = case
        .segments
        .iter()
        .flatten()
        .filter(|s| feed::rows_of(s) > 0)
        .count();
    // A row and what indexes it take some hundred bytes; each batch lies in a message of its own.
    let most_expected = 300_000 + rows * 900;
    assert!(
        most_expected < batches * MESSAGE_BYTES / 2,
        "the feed tells nothing"
    );
    if most_bytes >= most_expected {
        return Err(format!("{most_bytes} bytes of state for {rows} rows"));
    }
    for lives in [SAME, RESCALED] {
        let at = |reason: String| format!("parallelisms {lives:?}: {reason}");
        let mut directory = Directory::new();
        let found = disturbed(case, &lives, &mut directory, None).map_err(at)?;
        same(&expected, &found).map_err(at)?;
        if directory.most_bytes >= most_expected as u64 {
            return Err(at(format!(
                "a checkpoint of {} bytes for {rows} rows",
                directory.most_bytes
            )));
        }
        if directory.unchanged == 0 && case.shares_blocks {
            return Err(at("every checkpoint carries every block".to_owned()));
        }
        live_spilled(case, &lives, &expected, most_bytes).map_err(at)?;
    }
    Ok(())
}

/// The same life with a quarter of the memory.
fn live_spilled(case: &Case, lives: &[usize], expected: &[String], most_bytes: usize) -> Result<(), String> {
    let at = |reason: String| format!("with a quarter of the memory: {reason}");
    let mut directory = Directory::new();
    let files = tempfile::tempdir().unwrap();
    let path = files.path().to_owned();
    let spill = Spill {
        space: SpillSpace::new("spill", move || Ok(Arc::new(OsStorage::open(&path)?))),
        pool: Arc::new(MemoryPool::new(most_bytes / 4)),
        limit_bytes: None,
    };
    let found = disturbed(case, lives, &mut directory, Some(spill)).map_err(at)?;
    same(expected, &found).map_err(at)?;
    let is_expected = SPILLING.contains(&case.name);
    if is_expected != (directory.most_spilled > 0) {
        return Err(at(format!("{} bytes went to disk", directory.most_spilled)));
    }
    let left: Vec<_> = walk(files.path());
    if left.len() > 1 {
        return Err(at(format!("files are left behind: {left:?}")));
    }
    Ok(())
}

/// The files below a directory.
fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path))
        } else {
            found.push(path)
        }
    }
    found
}

/// Cases whose state goes to disk. What the others keep is bounded by time, waits for it, or is of a single key.
const SPILLING: &[&str] = &[
    "group by, rows only come",
    "group by, rows come and go",
    "group by with a time to live",
    "group by in batch mode",
    "collectors",
    "normalise",
    "normalise with a time to live",
    "last row by event time",
    "last row by the clock, with a time to live",
    "first row by the clock",
    "first row by the clock with a time to live",
    "materialised sink",
    "inner join",
    "full join over changes",
    "left join with unique keys",
    "anti join over changes",
    "join with a time to live",
    "inner interval join",
    "inner interval join by the clock",
    "left interval join",
    "top 3",
    "top 3 with rank",
    "top 3 over changes",
    "top 3 of upserts",
    "top 2 with a time to live",
    "tumble",
    "tumble over changes",
    "hop",
    "cumulate",
    "cumulate over changes",
    "attached windows",
    "tumble in batch mode",
    "tumble by the clock",
    "sessions",
    "sessions by the clock",
    "sessions in batch mode",
    "sessions over changes",
    "rows of sessions",
    "range of time",
    "range of time with lag",
    "all rows before",
    "over another order than time",
    "sort by time",
    "window join",
    "temporal join",
    "top 2 of windows",
    "first row of windows",
    "last row of windows",
];

/// One test for each group of cases, so that they run side by side.
#[track_caller]
fn live_all(cases: Vec<Case>) {
    let failure = |case: &Case| live(case).err().map(|reason| format!("{}: {reason}", case.name));
    let failures: Vec<String> = cases.iter().filter_map(failure).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn aggregates_live_long() {
    live_all(cases::aggregates());
}

#[test]
fn windows_live_long() {
    live_all(cases::windows());
}

#[test]
fn over_windows_live_long() {
    live_all(cases::over());
}

#[test]
fn ranks_live_long() {
    live_all(cases::ranks());
}

#[test]
fn deduplications_live_long() {
    live_all(cases::deduplications());
}

#[test]
fn joins_live_long() {
    live_all(joins::joins());
}

#[test]
fn other_operators_live_long() {
    live_all(cases::others());
}

/// Operators that keep nothing.
const STATELESS: &[&str] = &[
    "Calc",
    "DropUpdateBefore",
    "Expand",
    "ReplicateRows",
    "UnionAll",
    "Unnest",
    "WindowTableFunction",
];

#[test]
fn every_operator_has_a_case() {
    let all = [
        cases::aggregates(),
        cases::windows(),
        cases::over(),
        cases::ranks(),
        cases::deduplications(),
        joins::joins(),
        cases::others(),
    ];
    let mut known: BTreeSet<String> = all
        .iter()
        .flatten()
        .map(|case| case.operator.to_owned())
        .collect();
    known.extend(STATELESS.iter().map(|name| (*name).to_owned()));
    let mut found = BTreeSet::new();
    let mut directories = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let implementations = text
                .lines()
                .filter_map(|line| line.strip_prefix("impl Operator for "));
            found.extend(implementations.map(|rest| rest.split([' ', '<']).next().unwrap().to_owned()));
        }
    }
    assert_eq!(
        known, found,
        "operators with a case or listed as stateless, and operators"
    );
}
