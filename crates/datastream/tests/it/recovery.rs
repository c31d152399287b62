//! Checkpoints and restores: a program that is interrupted and continued at another parallelism commits the same rows as
//! an undisturbed run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_datastream::context::{
    BroadcastContext, Context, KeyedContext, OnTimerContext, ReadOnlyContext, WindowContext,
};
use millstream_datastream::environment::Stateful;
use millstream_datastream::functions::{
    BroadcastProcessFunction, KeyedBroadcastProcessFunction, KeyedProcessFunction,
};
use millstream_datastream::sink::{SinkWriter, TwoPhaseSink, WriterContext, custom};
use millstream_datastream::source::{Boundedness, ReaderOutput, ReaderStatus, Source, SplitReader};
use millstream_datastream::state::{ListState, MapState, RuntimeContext, ValueState};
use millstream_datastream::watermark::WatermarkStrategy;
use millstream_datastream::window::TumblingProcessingTimeWindows;
use millstream_datastream::{Collector, DataStream, Environment, Result};
use millstream_jobs::{CheckpointReason, CheckpointSettings, Checkpoints, SteppedRun};
use millstream_types::storage::OsStorage;

use crate::coverage::program_of;
use crate::host::environment;

/// Key, and a number that is also the event time.
pub type Row = (String, i64);

pub const MS: fn(u64) -> Duration = Duration::from_millis;
pub const NUMBERS: i64 = 3000;
const KEYS: i64 = 7;
const SPLITS: usize = 3;
const BATCH_ROWS: &str = "4";
/// When the data begin; the rules are known by then.
const DATA_FROM_MS: i64 = 40;
/// More steps than any of the programs needs.
const STEPS: i64 = 1200;
const OFTEN: CheckpointSettings = CheckpointSettings {
    interval_ms: 3,
    timeout_ms: 1000,
    min_pause_ms: 0,
    tolerable_failures: 0,
    retained: 1,
};

/// Unbounded splits of rows that begin at a time of the clock.
#[derive(Clone)]
struct Trickle {
    splits: Arc<Vec<Vec<Row>>>,
    from_ms: i64,
}

/// A source that never ends.
pub fn trickle() -> impl Source<Item = Row> {
    data()
}

struct TrickleReader {
    source: Trickle,
    /// Number of a split and of its next row.
    open: VecDeque<(usize, usize)>,
}

impl Source for Trickle {
    type Item = Row;
    type Split = (usize, usize);
    type Reader = TrickleReader;

    fn name(&self) -> String {
        "Trickle".to_owned()
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::ContinuousUnbounded
    }

    fn splits(&self) -> Result<Vec<(usize, usize)>> {
        Ok((0..self.splits.len()).map(|split| (split, 0)).collect())
    }

    fn split_id(&self, split: &(usize, usize)) -> String {
        split.0.to_string()
    }

    fn create_reader(&self) -> Result<TrickleReader> {
        Ok(TrickleReader {
            source: self.clone(),
            open: VecDeque::new(),
        })
    }
}

impl SplitReader<Row, (usize, usize)> for TrickleReader {
    fn add_split(&mut self, split: (usize, usize)) -> Result<()> {
        self.open.push_back(split);
        Ok(())
    }

    fn poll(&mut self, out: &mut ReaderOutput<Row>) -> Result<ReaderStatus> {
        let now_ms = out.current_processing_time();
        if now_ms < self.source.from_ms {
            return Ok(ReaderStatus::PendingUntil(self.source.from_ms));
        }
        self.open.rotate_left(1.min(self.open.len()));
        let splits = Arc::clone(&self.source.splits);
        for (split, next) in &mut self.open {
            for row in splits[*split][*next..].iter().take(out.room()) {
                out.collect(&split.to_string(), row.clone());
                *next += 1;
            }
        }
        let is_ready = self.open.iter().any(|(split, next)| *next < splits[*split].len());
        Ok(if is_ready {
            ReaderStatus::Ready
        } else {
            ReaderStatus::PendingUntil(now_ms + 1000)
        })
    }

    fn snapshot(&mut self) -> Result<Vec<(usize, usize)>> {
        Ok(self.open.iter().copied().collect())
    }
}

/// What was committed, by committable: a repeated commit changes nothing.
#[derive(Clone, Default)]
struct Outside {
    committed: Arc<Mutex<BTreeMap<u64, Vec<String>>>>,
    prepared: Arc<AtomicU64>,
}

impl Outside {
    fn rows(&self) -> Vec<String> {
        let mut rows: Vec<String> = self
            .committed
            .lock()
            .unwrap()
            .values()
            .flatten()
            .cloned()
            .collect();
        rows.sort();
        rows
    }
}

struct OutsideWriter {
    outside: Outside,
    rows: Vec<String>,
}

impl TwoPhaseSink<String> for Outside {
    type Committable = (u64, Vec<String>);
    type Writer = OutsideWriter;

    fn name(&self) -> String {
        "Outside".to_owned()
    }

    fn create_writer(&self, _: WriterContext) -> Result<OutsideWriter> {
        Ok(OutsideWriter {
            outside: self.clone(),
            rows: Vec::new(),
        })
    }
}

impl SinkWriter<String, (u64, Vec<String>)> for OutsideWriter {
    fn write(&mut self, value: String, _: Option<i64>) -> Result<()> {
        self.rows.push(value);
        Ok(())
    }

    fn prepare_commit(&mut self) -> Result<Vec<(u64, Vec<String>)>> {
        let number = self.outside.prepared.fetch_add(1, Ordering::SeqCst);
        Ok(vec![(number, std::mem::take(&mut self.rows))])
    }

    fn commit(&mut self, (number, rows): (u64, Vec<String>)) -> Result<()> {
        self.outside.committed.lock().unwrap().insert(number, rows);
        Ok(())
    }
}

/// Makes the rows that are committed of the data and of the rules.
pub type Program = fn(&Environment, DataStream<Row>, DataStream<Row>) -> DataStream<String>;

/// Keys with blocks of numbers and gaps between them, for sessions.
fn data() -> Trickle {
    let mut splits = vec![Vec::new(); SPLITS];
    for n in (0..NUMBERS).filter(|n| n % 100 < 60) {
        splits[n as usize % SPLITS].push((format!("key-{}", n % KEYS), n));
    }
    Trickle {
        splits: Arc::new(splits),
        from_ms: DATA_FROM_MS,
    }
}

fn rules() -> Trickle {
    let rule = |key| (format!("key-{key}"), key * 10);
    Trickle {
        splits: Arc::new(vec![(0..KEYS).map(rule).collect()]),
        from_ms: 0,
    }
}

struct Trial {
    program: Program,
    outside: Outside,
    directory: tempfile::TempDir,
    now_ms: i64,
}

impl Trial {
    fn new(program: Program) -> Self {
        Self {
            program,
            outside: Outside::default(),
            directory: tempfile::tempdir().unwrap(),
            now_ms: 0,
        }
    }

    /// Starts the program as another process would, from the newest checkpoint.
    fn start(&self, parallelism: usize) -> SteppedRun {
        let env = written_down(self.program, &self.outside, parallelism);
        let (graph, operators) = env.into_graph().unwrap();
        let checkpoints = open(self.directory.path());
        SteppedRun::start_graph(graph, operators, Some(OFTEN), checkpoints, self.now_ms).unwrap()
    }

    /// Whether the job continues.
    fn step(&mut self, run: &mut SteppedRun) -> bool {
        self.now_ms += 1;
        let (_, over) = run.step(self.now_ms).unwrap();
        assert!(matches!(over, None | Some(CheckpointReason::Final)), "{over:?}");
        over.is_none()
    }

    /// Steps until so many more checkpoints are complete, and on to work that no checkpoint holds.
    fn checkpoints(&mut self, run: &mut SteppedRun, more: u64) {
        let wanted = run.stats().completed + more;
        while run.stats().completed < wanted {
            assert!(self.step(run), "the data end too early");
            assert!(self.now_ms < STEPS, "no checkpoint completes");
        }
        assert!(self.step(run), "the data end too early");
    }

    /// Steps until the job ends, or has nothing more to do. Threads beside the job's may have something to do for longer,
    /// until `rows` are committed.
    fn finish(&mut self, run: &mut SteppedRun, rows: usize) {
        let _ = (0..STEPS).all(|_| self.step(run));
        while self.outside.rows().len() < rows {
            std::thread::yield_now();
            assert!(self.step(run), "the job ends before all rows are committed");
        }
    }
}

fn open(directory: &Path) -> Checkpoints {
    let storage = OsStorage::open(directory).unwrap();
    Checkpoints::open(Some(Arc::new(storage)), "program", 2, false).unwrap()
}

fn written_down(program: Program, outside: &Outside, parallelism: usize) -> Environment {
    let env = environment(parallelism);
    env.set("pipeline.auto-watermark-interval", "0 ms");
    env.set("millstream.batch.max-rows", BATCH_ROWS);
    let strategy = WatermarkStrategy::for_monotonous_timestamps();
    let strategy = strategy.with_timestamp_assigner(|row: &Row, _| row.1);
    let data = env.from_source(data(), strategy, "data");
    let rules = env.from_source(rules(), WatermarkStrategy::no_watermarks(), "rules");
    program(&env, data, rules).sink_to(custom(outside.clone()));
    env
}

/// The operators with state that a program has.
pub fn stateful_kinds(program: Program) -> BTreeSet<Stateful> {
    written_down(program, &Outside::default(), 1).stateful_kinds()
}

/// Two instances with a crash, three, and at last one.
pub fn assert_recovers(program: Program) {
    assert_recovers_with(program, 0);
}

/// As [`assert_recovers`], for a program that works in other threads and makes one row of each row of the data.
pub fn assert_recovers_all(program: Program) {
    let rows = data().splits.iter().map(Vec::len).sum();
    assert_recovers_with(program, rows);
}

fn assert_recovers_with(program: Program, rows: usize) {
    let mut undisturbed = Trial::new(program);
    let mut run = undisturbed.start(1);
    undisturbed.finish(&mut run, rows);
    let expected = undisturbed.outside.rows();
    assert!(expected.len() >= KEYS as usize, "{expected:?}");

    let mut trial = Trial::new(program);
    let mut run = trial.start(2);
    assert!((0..DATA_FROM_MS).all(|_| trial.step(&mut run)));
    trial.checkpoints(&mut run, 3);
    run.crash_and_restore(trial.now_ms).unwrap();
    trial.checkpoints(&mut run, 3);
    drop(run);
    let mut run = trial.start(3);
    trial.checkpoints(&mut run, 3);
    drop(run);
    assert!(
        trial.outside.rows().len() < expected.len(),
        "the data end too early"
    );
    let mut run = trial.start(1);
    trial.finish(&mut run, expected.len().min(rows));
    let rows = trial.outside.rows();
    for row in &expected {
        assert!(rows.binary_search(row).is_ok(), "lost: {row}");
    }
    assert_eq!(rows, expected);
}

/// Collects rows, and gives those before a multiple of 40 when the watermark is there.
#[derive(Clone, Default)]
pub struct Buckets {
    history: ValueState<String>,
    seen: ListState<String>,
    names: MapState<String, String>,
}

impl KeyedProcessFunction<String, Row, String> for Buckets {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.history = ctx.value_state("history")?;
        self.seen = ctx.list_state("seen")?;
        self.names = ctx.map_state("names")?;
        Ok(())
    }

    fn process_element(
        &mut self,
        (_, n): Row,
        ctx: &mut KeyedContext<'_, String>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        self.seen.add(ctx, format!("{n:04}"));
        self.names.put(ctx, format!("{n:04}"), format!("name of {n}"));
        ctx.register_event_time_timer((n / 40 + 1) * 40);
        Ok(())
    }

    fn on_timer(
        &mut self,
        timestamp: i64,
        ctx: &mut OnTimerContext<'_, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let until = format!("{timestamp:04}");
        let (mut due, rest): (Vec<String>, _) =
            self.seen.clear(ctx).into_iter().partition(|seen| *seen < until);
        self.seen.update(ctx, rest);
        due.sort();
        let names: Vec<Option<String>> = due.iter().map(|n| self.names.remove(ctx, n)).collect();
        let left = self.names.entries(ctx).filter(|(n, _)| **n < until).count();
        let history = self.history.value(ctx).cloned().unwrap_or_default() + "," + &until;
        // As long as the last ten timers, so that the value grows and shrinks.
        let history: String = history.chars().skip(history.len().saturating_sub(50)).collect();
        self.history.update(ctx, history.clone());
        out.collect(format!(
            "{} {timestamp} {due:?} {names:?} {left} {history}",
            ctx.current_key()
        ));
        Ok(())
    }
}

#[test]
fn value_list_and_map_state_with_event_time_timers() {
    assert_recovers(program_of(Stateful::KeyedProcess));
}

/// Gives the rows of a key seven milliseconds after the first of them.
#[derive(Clone, Default)]
struct Delayed {
    waiting: ListState<i64>,
}

impl KeyedProcessFunction<String, Row, String> for Delayed {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.waiting = ctx.list_state("waiting")?;
        Ok(())
    }

    fn process_element(
        &mut self,
        (_, n): Row,
        ctx: &mut KeyedContext<'_, String>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        if self.waiting.get(ctx).next().is_none() {
            let due_ms = ctx.current_processing_time() + 7;
            ctx.register_processing_time_timer(due_ms);
        }
        self.waiting.add(ctx, n);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        ctx: &mut OnTimerContext<'_, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        for n in self.waiting.clear(ctx) {
            out.collect(format!("{} {n}", ctx.current_key()));
        }
        Ok(())
    }
}

#[test]
fn processing_time_timers() {
    assert_recovers(|_, data, _| data.key_by_ref(|row| &row.0).process(Delayed::default()));
}

/// Start, end and numbers of a window; the order within it is open.
pub fn contents(
    key: &String,
    ctx: &mut WindowContext<'_>,
    rows: &[Row],
    out: &mut Collector<String>,
) -> Result<()> {
    let mut numbers: Vec<i64> = rows.iter().map(|row| row.1).collect();
    numbers.sort_unstable();
    out.collect(format!("{key} {:?} {numbers:?}", ctx.window()));
    Ok(())
}

#[test]
fn tumbling_windows() {
    assert_recovers(program_of(Stateful::WindowReduce));
}

#[test]
fn session_windows() {
    assert_recovers(program_of(Stateful::WindowRecords));
}

/// Which window a row falls into is up to the clock; every row is in one.
#[test]
fn processing_time_windows() {
    assert_recovers(|_, data, _| {
        data.key_by_ref(|row| &row.0)
            .window(TumblingProcessingTimeWindows::of(MS(10)))
            .process(
                |key: &String, _: &mut WindowContext<'_>, rows: &[Row], out: &mut Collector<String>| {
                    rows.iter()
                        .for_each(|row| out.collect(format!("{key} {}", row.1)));
                    Ok(())
                },
            )
    });
}

#[test]
fn count_windows() {
    assert_recovers(|_, data, _| {
        data.key_by_ref(|row| &row.0).count_window(5).process(
            |key: &String, _: &mut WindowContext<'_>, rows: &[Row], out: &mut Collector<String>| {
                out.collect(format!("{key} {}", rows.len()));
                Ok(())
            },
        )
    });
}

#[test]
fn a_running_count() {
    assert_recovers(program_of(Stateful::KeyedReduce));
}

#[test]
fn interval_joins() {
    assert_recovers(|_, data, _| {
        let data = data.key_by_ref(|row| &row.0);
        data.interval_join(&data)
            .between(-7, 14)
            .process(|a: &Row, b: &Row, out: &mut Collector<String>| {
                out.collect(format!("{} {} {}", a.0, a.1, b.1));
            })
    });
}

/// Gives each number with the rule of its key, and the number of rules.
#[derive(Clone, Default)]
pub struct Ruled;

impl KeyedBroadcastProcessFunction<String, Row, Row, String, String, String> for Ruled {
    fn process_element(
        &mut self,
        (key, n): Row,
        ctx: &mut ReadOnlyContext<'_, String, String, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let rule = ctx.broadcast_state().get(&key);
        out.collect(format!("{key} {n} {rule:?} of {}", ctx.broadcast_state().len()));
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        (key, rule): Row,
        state: &mut BTreeMap<String, String>,
        _: &mut Context<'_>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        state.insert(key, format!("rule {rule}"));
        Ok(())
    }
}

#[test]
fn broadcast_state() {
    assert_recovers(program_of(Stateful::KeyedBroadcast));
}

impl BroadcastProcessFunction<Row, Row, String, String, String> for Ruled {
    fn process_element(
        &mut self,
        (key, n): Row,
        ctx: &mut BroadcastContext<'_, '_, String, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let rule = ctx.broadcast_state().get(&key);
        out.collect(format!("{key} {n} {rule:?} of {}", ctx.broadcast_state().len()));
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        (key, rule): Row,
        state: &mut BTreeMap<String, String>,
        _: &mut Context<'_>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        state.insert(key, format!("rule {rule}"));
        Ok(())
    }
}

#[test]
fn broadcast_state_without_keys() {
    assert_recovers(program_of(Stateful::Broadcast));
}

/// The splits of the first start are read to their end by however many instances there are.
#[test]
fn sequences() {
    assert_recovers(program_of(Stateful::Source));
}
