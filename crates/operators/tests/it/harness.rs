//! Drives one operator with text and reads its changelog as text.
//!
//! Input, one step a line: `+I a 1 -` is a row (`-` is NULL), `1: +I …` a row of the second input, `wm 5000` a watermark,
//! `now 100` moves the clock (and fires timers), `end` ends all inputs. Times are numbers of milliseconds. Output: one row a
//! line in the same form.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use millstream_dataflow::{
    Context, DataflowError, Operator, OperatorFactory, Output, SnapshotScope, StateBlocks,
};
use millstream_functions::Environment;
use millstream_operators::operator_factory;
use millstream_plan::{ChangelogTraits, Node, NodeId, Op, Plan};
use millstream_state::{Spill, key_group, key_groups};
use millstream_types::{
    Batch, ChangelogMode, CheckpointId, LogicalType, Options, RowKind, Scalar, Schema, SeededRng, TypeKind,
    Watermark, scalars_to_array,
};

pub fn environment(zone: &str) -> Environment {
    Environment {
        zone: TimeZone::get(zone).unwrap(),
        zone_name: zone.into(),
        now_ms: 0,
        watermark_ms: None,
        rng: Arc::new(SeededRng::new(1)),
        legacy_cast: false,
        current_database: "default_database".into(),
        streaming: true,
    }
}

pub fn schema(types: &[LogicalType]) -> Schema {
    Schema::new(
        types
            .iter()
            .enumerate()
            .map(|(i, ty)| (format!("c{i}"), ty.clone())),
    )
}

/// An operator under test.
pub struct Subject {
    pub factory: Arc<dyn OperatorFactory>,
    pub inputs: Vec<Vec<LogicalType>>,
    pub output: Vec<LogicalType>,
    /// Columns by which the rows of each input are distributed.
    pub keys: Vec<Vec<usize>>,
}

impl Subject {
    pub fn new(op: Op, inputs: &[&[LogicalType]], output: &[LogicalType]) -> Self {
        Self::with_traits(
            op,
            inputs,
            output,
            &vec![ChangelogTraits::default(); inputs.len()],
            "UTC",
        )
    }

    pub fn in_zone(op: Op, inputs: &[&[LogicalType]], output: &[LogicalType], zone: &str) -> Self {
        Self::with_traits(
            op,
            inputs,
            output,
            &vec![ChangelogTraits::default(); inputs.len()],
            zone,
        )
    }

    pub fn with_traits(
        op: Op,
        inputs: &[&[LogicalType]],
        output: &[LogicalType],
        traits: &[ChangelogTraits],
        zone: &str,
    ) -> Self {
        let mut plan = Plan::new(Options::default());
        let input = |(types, traits): (&&[LogicalType], &ChangelogTraits)| Node {
            op: Op::Values { rows: Vec::new() },
            inputs: Vec::new(),
            schema: schema(types),
            traits: traits.clone(),
        };
        let ids: Vec<NodeId> = inputs
            .iter()
            .zip(traits)
            .map(input)
            .map(|node| plan.add(node))
            .collect();
        let traits = ChangelogTraits::default();
        let id = plan.add(Node {
            op,
            inputs: ids,
            schema: schema(output),
            traits,
        });
        let factory = operator_factory(&plan, id, &environment(zone)).unwrap();
        let inputs: Vec<Vec<LogicalType>> = inputs.iter().map(|types| types.to_vec()).collect();
        Self {
            factory,
            keys: vec![Vec::new(); inputs.len()],
            inputs,
            output: output.to_vec(),
        }
    }

    pub fn keyed(mut self, keys: &[&[usize]]) -> Self {
        self.keys = keys.iter().map(|k| k.to_vec()).collect();
        self
    }

    /// The changelog, one row a step.
    pub fn run(&self, input: &str) -> String {
        let mut run = Run::new(self, 1, 1);
        run.steps(&parse(self, input));
        run.text()
    }

    /// The result after applying the changelog of a run in large batches.
    pub fn table_in_batches(&self, input: &str) -> String {
        let mut run = Run::new(self, 1, 1000);
        run.steps(&in_batches(&parse(self, input)));
        table(&run.out)
    }

    /// Checks that the operator emits `expected`, that large batches give the same table, and that a snapshot and
    /// restore after any step changes nothing, also into two instances.
    #[track_caller]
    pub fn check(&self, input: &str, expected: &str) {
        let expected = lines(expected);
        assert_eq!(self.run(input), expected, "one row a step");
        let steps = parse(self, input);
        let mut whole = Run::new(self, 1, 1);
        whole.steps(&steps);
        let result = table(&whole.out);
        assert_eq!(self.table_in_batches(input), result, "table in large batches");
        for cut in 0..steps.len() {
            let mut run = Run::new(self, 1, 1);
            run.steps(&steps[..cut]);
            run.restart(1);
            run.steps(&steps[cut..]);
            assert_eq!(run.text(), expected, "restored after step {cut}");
            let mut run = Run::new(self, 1, 1);
            run.steps(&steps[..cut]);
            run.restart(2);
            run.steps(&steps[cut..]);
            assert_eq!(
                table(&run.out),
                result,
                "restored into two instances after step {cut}"
            );
        }
    }
}

/// Lines without indentation.
pub fn lines(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[derive(Clone, Debug)]
pub enum Step {
    Rows(usize, Batch),
    Watermark(i64),
    Now(i64),
    End,
}

pub fn parse(subject: &Subject, input: &str) -> Vec<Step> {
    input
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .map(|line| parse_line(subject, line))
        .collect()
}

fn parse_line(subject: &Subject, line: &str) -> Step {
    if let Some(ms) = line.strip_prefix("wm ") {
        return Step::Watermark(if ms == "max" {
            i64::MAX
        } else {
            ms.parse().unwrap()
        });
    }
    if let Some(ms) = line.strip_prefix("now ") {
        return Step::Now(ms.parse().unwrap());
    }
    if line == "end" {
        return Step::End;
    }
    let (port, row) = line.strip_prefix("1: ").map_or((0, line), |row| (1, row));
    let mut words = row.split_whitespace();
    let kind = kind_of(words.next().unwrap());
    let types = &subject.inputs[port];
    let values: Vec<Scalar> = types
        .iter()
        .map(|ty| parse_value(ty, words.next().unwrap_or("-")))
        .collect();
    let columns = types
        .iter()
        .zip(&values)
        .map(|(ty, v)| scalars_to_array(ty, std::iter::once(v)))
        .collect();
    Step::Rows(port, Batch::changes(columns, vec![kind]))
}

fn kind_of(word: &str) -> RowKind {
    [
        RowKind::Insert,
        RowKind::UpdateBefore,
        RowKind::UpdateAfter,
        RowKind::Delete,
    ]
    .into_iter()
    .find(|kind| kind.symbol() == word)
    .unwrap_or_else(|| panic!("'{word}' is not a row kind"))
}

fn parse_value(ty: &LogicalType, word: &str) -> Scalar {
    if word == "-" {
        return Scalar::Null;
    }
    match ty.kind {
        TypeKind::Int => Scalar::Int(word.parse().unwrap()),
        TypeKind::BigInt => Scalar::BigInt(word.parse().unwrap()),
        TypeKind::Double => Scalar::Double(word.parse().unwrap()),
        TypeKind::Boolean => Scalar::Boolean(word.parse().unwrap()),
        TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => {
            Scalar::Timestamp(word.parse::<i128>().unwrap() * 1_000_000)
        }
        _ => Scalar::String(word.to_owned()),
    }
}

fn value_text(value: &Scalar) -> String {
    match value {
        Scalar::Null => "-".to_owned(),
        Scalar::Boolean(v) => v.to_string(),
        Scalar::TinyInt(v) => v.to_string(),
        Scalar::SmallInt(v) => v.to_string(),
        Scalar::Int(v) => v.to_string(),
        Scalar::BigInt(v) => v.to_string(),
        Scalar::Double(v) => format!("{v:?}"),
        Scalar::String(v) => v.clone(),
        Scalar::Timestamp(v) => (v / 1_000_000).to_string(),
        Scalar::Array(items) => format!("[{}]", items.iter().map(value_text).collect::<Vec<_>>().join(",")),
        other => format!("{other:?}"),
    }
}

/// Neighbouring rows of one input as one batch.
pub fn in_batches(steps: &[Step]) -> Vec<Step> {
    let mut merged: Vec<Step> = Vec::new();
    for step in steps {
        match (merged.last_mut(), step) {
            (Some(Step::Rows(port, held)), Step::Rows(next, batch)) if port == next => {
                *held = Batch::concat(&[held.clone(), batch.clone()]).unwrap().unwrap();
            }
            _ => merged.push(step.clone()),
        }
    }
    merged
}

/// One run of an operator, possibly in several instances.
pub struct Run<'a> {
    subject: &'a Subject,
    instances: Vec<Box<dyn Operator>>,
    contexts: Vec<Context>,
    checkpoint: u64,
    pub out: Vec<(RowKind, String)>,
    /// Watermarks that were sent, with the number of rows before each.
    watermarks: Vec<(usize, i64)>,
}

impl<'a> Run<'a> {
    pub fn new(subject: &'a Subject, parallelism: usize, batch_rows: usize) -> Self {
        Self::spilling(subject, parallelism, batch_rows, None)
    }

    /// A run whose state goes to disk beyond a limit.
    pub fn spilling(
        subject: &'a Subject,
        parallelism: usize,
        batch_rows: usize,
        spill: Option<Spill>,
    ) -> Self {
        let context = |subtask| Context {
            batch_rows,
            spill: spill.clone(),
            ..Context::new(subtask, parallelism)
        };
        let contexts: Vec<Context> = (0..parallelism).map(context).collect();
        let instances = contexts
            .iter()
            .map(|c| subject.factory.create(c).unwrap())
            .collect();
        Self {
            subject,
            instances,
            contexts,
            checkpoint: 0,
            out: Vec::new(),
            watermarks: Vec::new(),
        }
    }

    pub fn steps(&mut self, steps: &[Step]) {
        steps.iter().for_each(|step| self.step(step).unwrap());
    }

    pub fn step(&mut self, step: &Step) -> Result<(), DataflowError> {
        let parts = self.parts(step);
        for (i, part) in parts.into_iter().enumerate() {
            let (operator, context) = (&mut self.instances[i], &mut self.contexts[i]);
            let mut sink = Sink {
                types: &self.subject.output,
                out: &mut self.out,
                watermarks: &mut self.watermarks,
            };
            match part {
                Step::Rows(port, batch) if batch.rows > 0 => {
                    operator.process(port, batch, context, &mut sink)?
                }
                Step::Rows(..) => {}
                Step::Watermark(ms) => {
                    operator.watermark(Watermark(ms), context, &mut sink)?;
                    context.watermark = Watermark(ms);
                }
                Step::Now(ms) => {
                    context.now_ms = ms;
                    for _ in 0..100 {
                        if operator.next_timer().is_none_or(|at| at > ms) {
                            break;
                        }
                        operator.timer(context, &mut sink)?;
                    }
                }
                Step::End => {
                    for port in 0..self.subject.inputs.len() {
                        operator.finish_port(port, context, &mut sink)?;
                    }
                    operator.finish(context, &mut sink)?;
                }
            }
        }
        Ok(())
    }

    /// A step for each instance: rows by key, everything else for all.
    fn parts(&self, step: &Step) -> Vec<Step> {
        let Step::Rows(port, batch) = step else {
            return vec![step.clone(); self.instances.len()];
        };
        let keys = &self.subject.keys[*port];
        if self.instances.len() == 1 {
            return vec![step.clone()];
        }
        let mut groups = Vec::new();
        let columns: Vec<_> = keys.iter().map(|k| batch.columns[*k].clone()).collect();
        key_groups(
            &columns,
            batch.rows,
            self.contexts[0].max_parallelism,
            &mut groups,
        )
        .unwrap();
        let owner = |group: u16| {
            if keys.is_empty() {
                0
            } else {
                key_group::owner(group, self.instances.len(), self.contexts[0].max_parallelism)
            }
        };
        let part = |i: usize| {
            let keep = groups.iter().map(|group| Some(owner(*group) == i)).collect();
            Step::Rows(*port, batch.filter(&keep).unwrap())
        };
        (0..self.instances.len()).map(part).collect()
    }

    /// Takes a snapshot and continues with new instances.
    pub fn restart(&mut self, parallelism: usize) {
        self.checkpoint += 1;
        let blocks = self.snapshot(&SnapshotScope::full(CheckpointId(self.checkpoint)));
        self.resume(blocks, parallelism, self.watermark(), self.now_ms());
    }

    /// The blocks of each instance.
    pub fn snapshot(&mut self, scope: &SnapshotScope) -> Vec<StateBlocks> {
        let instances = self.instances.iter_mut();
        instances.map(|i| i.snapshot(scope).unwrap()).collect()
    }

    /// Continues with new instances from these blocks.
    pub fn resume(
        &mut self,
        blocks: Vec<StateBlocks>,
        parallelism: usize,
        watermark: Watermark,
        now_ms: i64,
    ) {
        let before = self.contexts[0].clone();
        let context = |subtask| Context {
            subtask,
            parallelism,
            watermark,
            now_ms,
            ..before.clone()
        };
        self.contexts = (0..parallelism).map(context).collect();
        self.instances = self
            .contexts
            .iter()
            .map(|c| self.subject.factory.create(c).unwrap())
            .collect();
        for (instance, context) in self.instances.iter_mut().zip(&self.contexts) {
            instance.restore(blocks.clone(), context).unwrap();
        }
    }

    pub fn watermark(&self) -> Watermark {
        self.contexts[0].watermark
    }

    pub fn now_ms(&self) -> i64 {
        self.contexts[0].now_ms
    }

    pub fn state_bytes(&self) -> usize {
        self.instances.iter().map(|i| i.state_bytes()).sum()
    }

    pub fn spilled_bytes(&self) -> u64 {
        self.instances.iter().map(|i| i.spilled_bytes()).sum()
    }

    pub fn text(&self) -> String {
        self.out
            .iter()
            .map(|(kind, row)| format!("{} {row}", kind.symbol()))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The rows with the watermarks between them.
    pub fn text_with_watermarks(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for at in 0..=self.out.len() {
            let here = self.watermarks.iter().filter(|(rows, _)| *rows == at);
            lines.extend(here.map(|(_, ms)| format!("wm {ms}")));
            lines.extend(
                self.out
                    .get(at)
                    .map(|(kind, row)| format!("{} {row}", kind.symbol())),
            );
        }
        lines.join("\n")
    }

    pub fn late_rows(&self) -> u64 {
        self.instances.iter().map(|i| i.late_rows()).sum()
    }
}

struct Sink<'a> {
    types: &'a [LogicalType],
    out: &'a mut Vec<(RowKind, String)>,
    watermarks: &'a mut Vec<(usize, i64)>,
}

impl Output for Sink<'_> {
    fn batch(&mut self, batch: Batch) -> Result<(), DataflowError> {
        assert_eq!(batch.columns.len(), self.types.len(), "width of the output");
        for row in 0..batch.rows {
            let value = |(ty, column): (&LogicalType, &arrow_array::ArrayRef)| {
                value_text(&Scalar::from_array(ty, column, row))
            };
            let values: Vec<String> = self.types.iter().zip(&batch.columns).map(value).collect();
            self.out.push((batch.kind(row), values.join(" ")));
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: Watermark) -> Result<(), DataflowError> {
        self.watermarks.push((self.out.len(), watermark.0));
        Ok(())
    }
}

/// The rows that are left after applying a changelog, sorted.
pub fn table(out: &[(RowKind, String)]) -> String {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for (kind, row) in out {
        *counts.entry(row).or_default() += if kind.is_addition() { 1 } else { -1 };
    }
    let mut rows = Vec::new();
    for (row, count) in counts {
        assert!(count >= 0, "'{row}' was retracted more often than inserted");
        rows.extend(std::iter::repeat_n(row, count as usize));
    }
    rows.join("\n")
}

pub fn traits(mode: ChangelogMode, upsert_keys: &[&[usize]]) -> ChangelogTraits {
    ChangelogTraits {
        mode,
        upsert_keys: upsert_keys.iter().map(|k| k.to_vec()).collect(),
    }
}
