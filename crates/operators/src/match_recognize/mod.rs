//! MATCH_RECOGNIZE, one row per match, over rows that only come.
//!
//! By event time rows wait for the watermark and are then looked at in order, key by key; rows behind the watermark are
//! dropped. By processing time every row is looked at as it comes. What is kept of a key are the matches under way with
//! their rows, nothing else.

mod automaton;
mod rows;
mod search;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use millstream_dataflow::{
    Context, DataflowError, LateBatch, LateRows, Operator, Output, SnapshotScope, StateBlocks,
};
use millstream_functions::Environment;
use millstream_plan::{MatchCondition, MatchSpec};
use millstream_state::{DirtyBlocks, GroupTable};
use millstream_types::{Batch, Watermark};

use crate::emit::push;
use crate::sort_keys::SortKeys;
use crate::window::input::milliseconds;
use automaton::Automaton;
use rows::{Event, Link, Metered, Path, RowsEvaluator, bytes_of, gather, own_columns};
use search::{Conditions, Partial, Progress, Search};

/// How to test a row against a variable.
enum Condition {
    Always,
    Column(usize),
    Rows(RowsEvaluator),
}

/// The rows of a key.
#[derive(Default)]
struct Key {
    /// Rows that wait for the watermark.
    waiting: Vec<Event>,
    progress: Progress,
}

pub(crate) struct MatchRecognize {
    spec: MatchSpec,
    types: Vec<DataType>,
    event_time: bool,
    search: Search,
    conditions: Vec<Condition>,
    measures: RowsEvaluator,
    /// Orders rows of the same time.
    ties: SortKeys,
    table: GroupTable,
    /// By group of `table`.
    keys: Vec<Key>,
    /// Timers by key.
    timers: BTreeSet<(i64, u32)>,
    /// Blocks of keys that changed since a checkpoint.
    dirty: DirtyBlocks,
    next_number: u64,
    /// Bytes of all stored rows.
    bytes: Arc<AtomicUsize>,
    late: LateRows,
}

impl MatchRecognize {
    pub(crate) fn new(
        spec: &MatchSpec,
        types: Vec<DataType>,
        event_time: bool,
        env: &Environment,
    ) -> Result<Self, DataflowError> {
        let condition = |condition: &MatchCondition| {
            Ok(match condition {
                MatchCondition::Always => Condition::Always,
                MatchCondition::Column(column) => Condition::Column(*column),
                MatchCondition::Rows(rows) => Condition::Rows(RowsEvaluator::new(rows, env)?),
            })
        };
        let conditions = spec
            .variables
            .iter()
            .map(|variable| condition(&variable.condition));
        let key_types: Vec<DataType> = spec.partition.iter().map(|k| types[*k].clone()).collect();
        Ok(Self {
            search: Search {
                automaton: Automaton::new(&spec.variables),
                skip: spec.skip,
                within_ms: spec.within_ms,
            },
            conditions: conditions.collect::<Result<_, DataflowError>>()?,
            measures: RowsEvaluator::new(&spec.measures, env)?,
            ties: SortKeys::new(spec.order.get(1..).unwrap_or_default(), &types)?,
            table: GroupTable::new(&key_types)?,
            keys: Vec::new(),
            timers: BTreeSet::new(),
            dirty: DirtyBlocks::default(),
            next_number: 0,
            bytes: Arc::default(),
            late: LateRows::default(),
            spec: spec.clone(),
            types,
            event_time,
        })
    }

    fn time_column(&self) -> usize {
        self.spec.order.first().map_or(0, |key| key.column)
    }

    fn groups(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>, DataflowError> {
        let keys: Vec<ArrayRef> = self
            .spec
            .partition
            .iter()
            .map(|k| Arc::clone(&columns[*k]))
            .collect();
        let mut groups = Vec::new();
        self.table.intern(&keys, rows, &mut groups)?;
        self.keys.resize_with(self.table.end(), Key::default);
        groups.iter().for_each(|group| self.touch(*group));
        Ok(groups)
    }

    /// Marks a key as changed.
    fn touch(&mut self, group: u32) {
        self.dirty.mark_block(group as usize / state::KEYS_PER_BLOCK);
    }

    /// A row that owns `bytes`.
    fn event(&mut self, columns: &Arc<[ArrayRef]>, row: usize, time_ms: i64, bytes: usize) -> Event {
        self.next_number += 1;
        Event {
            columns: Arc::clone(columns),
            row,
            time_ms,
            number: self.next_number,
            bytes: Metered::new(bytes + size_of::<Event>(), &self.bytes),
        }
    }

    /// Stores rows until the watermark passes them.
    fn hold(&mut self, batch: Batch) -> Result<(), DataflowError> {
        let columns = own_columns(&batch.columns)?;
        let bytes = bytes_of(&columns) / batch.rows.max(1);
        let (times, _) = milliseconds(&columns[self.time_column()])?;
        for (row, group) in self.groups(&columns, batch.rows)?.into_iter().enumerate() {
            let event = self.event(&columns, row, times[row], bytes);
            self.keys[group as usize].waiting.push(event);
            self.timers.insert((times[row], group));
        }
        Ok(())
    }

    /// Processing time: matches rows one by one.
    fn take_at_once(
        &mut self,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let columns: Arc<[ArrayRef]> = batch.columns.clone().into();
        let mut found = Vec::new();
        for row in 0..batch.rows {
            // The previous row may have ended its key, which was then dropped.
            let groups = self.groups(&batch.slice(row, 1).columns, 1)?;
            let event = self.event(&columns, row, context.now_ms, 0);
            for group in groups {
                let mut key = std::mem::take(&mut self.keys[group as usize]);
                self.search
                    .advance_time(&mut key.progress, context.now_ms, &mut found)?;
                self.look_at(&mut key.progress, group, &event, context, &mut found)?;
                self.put_back(group, key)?;
            }
        }
        self.emit(&found, context, out)
    }

    /// Processes everything that is due in event time.
    fn fire(&mut self, until_ms: i64, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let mut found = Vec::new();
        while let Some((time_ms, group)) = self.timers.first().copied()
            && time_ms <= until_ms
        {
            self.timers.pop_first();
            // The key may have been dropped in the meantime.
            if self.table.contains(group) {
                self.fire_key(group, until_ms, context, &mut found)?;
            }
        }
        self.emit(&found, context, out)
    }

    fn fire_key(
        &mut self,
        group: u32,
        until_ms: i64,
        context: &Context,
        found: &mut Vec<Arc<Link>>,
    ) -> Result<(), DataflowError> {
        let mut key = std::mem::take(&mut self.keys[group as usize]);
        let (due, waiting) = key
            .waiting
            .into_iter()
            .partition(|event| event.time_ms <= until_ms);
        key.waiting = waiting;
        let mut time_ms = i64::MIN;
        for event in self.in_order(due)? {
            if event.time_ms > time_ms {
                time_ms = event.time_ms;
                self.search.advance_time(&mut key.progress, time_ms, found)?;
            }
            self.look_at(&mut key.progress, group, &event, context, found)?;
        }
        self.search.advance_time(&mut key.progress, until_ms, found)?;
        self.put_back(group, key)
    }

    fn look_at(
        &mut self,
        progress: &mut Progress,
        group: u32,
        event: &Event,
        context: &Context,
        found: &mut Vec<Arc<Link>>,
    ) -> Result<(), DataflowError> {
        let mut tried = Tried {
            conditions: &mut self.conditions,
            context,
        };
        let began = self.search.take(progress, event, &mut tried, found)?;
        if began && let Some(within_ms) = self.spec.within_ms {
            self.timers
                .insert((event.time_ms.saturating_add(within_ms), group));
        }
        Ok(())
    }

    /// Stores the state of a key; a key without rows is dropped.
    fn put_back(&mut self, group: u32, key: Key) -> Result<(), DataflowError> {
        self.touch(group);
        let progress = &key.progress;
        if key.waiting.is_empty() && progress.partials.is_empty() && progress.complete.is_empty() {
            return Ok(self.table.remove(group)?);
        }
        self.keys[group as usize] = key;
        Ok(())
    }

    /// Rows by time, then by the further keys, then by arrival.
    fn in_order(&self, mut events: Vec<Event>) -> Result<Vec<Event>, DataflowError> {
        events.sort_by_key(|event| (event.time_ms, event.number));
        if self.ties.is_empty() || events.len() < 2 {
            return Ok(events);
        }
        let rows: Vec<Option<&Event>> = events.iter().map(Some).collect();
        let columns = self.columns_of(&rows)?;
        let encoded = self.ties.encode(&columns)?;
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by(|a, b| {
            let time = events[*a].time_ms.cmp(&events[*b].time_ms);
            time.then_with(|| encoded.row(*a).cmp(&encoded.row(*b)))
        });
        let mut events: Vec<Option<Event>> = events.into_iter().map(Some).collect();
        Ok(order.into_iter().filter_map(|i| events[i].take()).collect())
    }

    fn columns_of(&self, events: &[Option<&Event>]) -> Result<Vec<ArrayRef>, DataflowError> {
        let column = |(column, ty): (usize, &DataType)| gather(events, column, ty);
        self.types.iter().enumerate().map(column).collect()
    }

    /// A row for each match.
    fn emit(
        &mut self,
        found: &[Arc<Link>],
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if found.is_empty() {
            return Ok(());
        }
        let path = |links| Path {
            links: Some(links),
            candidate: None,
        };
        let paths: Vec<Path<'_>> = found.iter().map(path).collect();
        let last: Vec<Option<&Event>> = found.iter().map(|link| Some(link.event.as_ref())).collect();
        let mut columns = Vec::new();
        for key in &self.spec.partition {
            columns.push(gather(&last, *key, &self.types[*key])?);
        }
        columns.extend(self.measures.evaluate(&paths, context)?);
        push(Batch::inserts(columns, found.len()), context, out)
    }
}

/// The conditions of the pattern, tried in a step.
struct Tried<'t> {
    conditions: &'t mut [Condition],
    context: &'t Context,
}

impl Conditions for Tried<'_> {
    fn holds(&mut self, variable: usize, path: Path<'_>) -> Result<bool, DataflowError> {
        let is_true = |column: &ArrayRef, row: usize| {
            let column = column
                .as_boolean_opt()
                .ok_or_else(|| DataflowError::internal("a condition of a pattern is not BOOLEAN"))?;
            Ok(arrow_array::Array::is_valid(column, row) && column.value(row))
        };
        match &mut self.conditions[variable] {
            Condition::Always => Ok(true),
            Condition::Column(column) => match path.candidate {
                Some((_, event)) => is_true(&event.columns[*column], event.row),
                None => Ok(false),
            },
            Condition::Rows(rows) => match rows.evaluate(&[path], self.context)?.first() {
                Some(value) => is_true(value, 0),
                None => Ok(false),
            },
        }
    }
}

impl Operator for MatchRecognize {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if !self.event_time {
            return self.take_at_once(batch, context, out);
        }
        let (times, _) = milliseconds(&batch.columns[self.time_column()])?;
        let watermark = context.watermark.0;
        let on_time = self
            .late
            .divide(0, &batch, context, |row| times[row] <= watermark)?;
        self.hold(on_time.unwrap_or(batch))
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if self.event_time {
            self.fire(watermark.0, context, out)?;
        }
        out.watermark(watermark)
    }

    fn next_timer(&self) -> Option<i64> {
        if self.event_time {
            return None;
        }
        self.timers.first().map(|(time_ms, _)| *time_ms)
    }

    fn timer(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.fire(context.now_ms, context, out)
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.event_time {
            self.fire(i64::MAX, context, out)?;
        }
        Ok(())
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        self.freeze(scope)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        self.thaw(&blocks, context)
    }

    fn state_bytes(&self) -> usize {
        let partials = |key: &Key| key.progress.partials.len() + key.progress.complete.len();
        let partials: usize = self.keys.iter().map(partials).sum();
        let keys = self.keys.capacity() * size_of::<Key>() + self.timers.len() * size_of::<(i64, u32)>();
        let matches = partials * (size_of::<Partial>() + size_of::<Link>());
        self.table.memory_size() + self.bytes.load(Relaxed) + keys + matches
    }

    fn late_rows(&self) -> u64 {
        self.late.count()
    }

    fn take_late_rows(&mut self) -> Vec<LateBatch> {
        self.late.take()
    }
}
