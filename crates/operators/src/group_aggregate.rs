//! GROUP BY without windows: a changelog in a stream, one result for each group at the end of a bounded input.
//!
//! In a stream the changes of a group within one batch fold into one: `+I` for a new group, `-U`/`+U` when the result
//! changed, `-D` when its last row was retracted, nothing when the result is as before. Steps of one row give exactly
//! Flink's record-by-record changelog.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::{DirtyBlocks, GroupTable, StateError, share_in_use};
use millstream_types::{Batch, RowKind};

use crate::aggregate::{AggregateCalls, AggregateSpec};
use crate::cold::{COLD, Cold, part_of};
use crate::emit::{push, retractions, rows_differ, stack, take_columns};
use crate::group_state::{freeze_large, thaw};

/// The parameters of a group aggregate in a plan.
#[derive(Clone, Debug)]
pub(crate) struct GroupAggregateSpec {
    pub keys: Vec<usize>,
    pub key_types: Vec<DataType>,
    pub aggregates: AggregateSpec,
    pub update_before: bool,
    pub retract_input: bool,
    pub bounded: bool,
    pub ttl_ms: i64,
}

/// The operator; see the module documentation.
pub(crate) struct GroupAggregate {
    spec: GroupAggregateSpec,
    table: GroupTable,
    calls: AggregateCalls,
    /// Rows of each group; a group with none does not exist. Without retractions, the count stays at 1.
    rows: Vec<i64>,
    /// When each group was last written; empty without a time to live.
    written_ms: Vec<i64>,
    dirty: DirtyBlocks,
    next_sweep_ms: Option<i64>,
    groups: Vec<u32>,
    /// The batch that last touched each group, which yields the groups of a batch without duplicates.
    touched_in: Vec<u32>,
    batch_number: u32,
    /// Groups that memory has no room for.
    cold: Option<Cold>,
    /// Bytes of the accumulators, and the rows since they were asked: some count theirs group by group.
    calls_bytes: usize,
    rows_since: usize,
}

/// A sweep for expired groups runs after this fraction of the TTL.
const SWEEPS_PER_TTL: i64 = 4;

impl GroupAggregate {
    pub(crate) fn new(spec: GroupAggregateSpec, context: &Context) -> Result<Self, DataflowError> {
        let (mut table, calls) = (GroupTable::new(&spec.key_types)?, spec.aggregates.instantiate());
        let mut value_types = vec![DataType::Int64, DataType::Int64];
        value_types.extend(calls.state(&[])?.iter().map(|column| column.data_type().clone()));
        let cold = Cold::new(context.spill.as_ref(), &mut table, &value_types);
        Ok(Self {
            table,
            calls,
            rows: Vec::new(),
            written_ms: Vec::new(),
            dirty: DirtyBlocks::default(),
            next_sweep_ms: None,
            groups: Vec::new(),
            touched_in: Vec::new(),
            batch_number: 0,
            cold,
            calls_bytes: 0,
            rows_since: 0,
            spec,
        })
    }

    fn resize(&mut self) {
        let end = self.table.end();
        self.calls.resize(end);
        self.rows.resize(end, 0);
        self.touched_in.resize(end, 0);
        if self.spec.ttl_ms > 0 {
            self.written_ms.resize(end, i64::MIN);
        }
    }

    /// Bytes of groups in memory, `calls_bytes` of them in accumulators.
    fn used_bytes(&self, calls_bytes: usize) -> usize {
        let numbers = (self.rows.capacity() + self.written_ms.capacity()) * size_of::<i64>();
        let touched = self.touched_in.capacity() * size_of::<u32>();
        let arrays = self.table.memory_size() + calls_bytes + numbers + touched;
        match &self.cold {
            Some(_) => share_in_use(arrays, &self.table),
            None => arrays,
        }
    }

    /// Reloads what [`values_of`] returned; the groups are new.
    fn take_back(&mut self, groups: &[u32], columns: &[ArrayRef]) -> Result<(), DataflowError> {
        let number = |i: usize| columns.get(i).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let (Some(rows), Some(written)) = (number(0), number(1)) else {
            return Err(StateError::corrupt("groups", "row counts are missing").into());
        };
        for (i, group) in groups.iter().enumerate() {
            self.rows[*group as usize] = rows.value(i);
            if let Some(at) = self.written_ms.get_mut(*group as usize) {
                *at = written.value(i);
            }
        }
        self.dirty.mark_all(groups);
        self.calls.merge(groups, &columns[2..])
    }

    /// Moves groups to disk if there is no more room in memory.
    fn make_room(&mut self, rows: usize) -> Result<(), DataflowError> {
        if self.cold.is_none() {
            return Ok(());
        }
        self.rows_since += rows;
        if self.rows_since >= self.table.len() / 16 {
            (self.calls_bytes, self.rows_since) = (self.calls.memory_size(), 0);
        }
        let used = self.used_bytes(self.calls_bytes);
        let excess = self.cold.as_mut().map_or(0, |cold| cold.excess(used));
        if excess == 0 {
            return Ok(());
        }
        let groups = self.table.least_used(part_of(self.table.len(), excess, used));
        if let Some(cold) = &mut self.cold {
            let (rows, written_ms, calls) = (&self.rows, &self.written_ms, &self.calls);
            let ttl_ms = self.spec.ttl_ms;
            let time = |group: u32| match ttl_ms {
                0 => i64::MAX,
                _ => written_ms[group as usize],
            };
            let values = |groups: &[u32]| values_of(rows, written_ms, calls, groups);
            cold.groups.evict(&mut self.table, &groups, time, values)?;
        }
        self.calls.clear(&groups);
        self.calls_bytes = self.calls.memory_size();
        groups.iter().for_each(|group| self.rows[*group as usize] = 0);
        self.dirty.mark_all(&groups);
        Ok(())
    }

    /// Reloads the groups of the batch that are on disk.
    fn recall(&mut self) -> Result<(), DataflowError> {
        let recalled = match &mut self.cold {
            Some(cold) => cold.groups.recall(&self.table)?,
            None => None,
        };
        match recalled {
            Some(recalled) => self.take_back(&recalled.groups, &recalled.columns),
            None => Ok(()),
        }
    }

    fn is_empty(&self) -> bool {
        self.table.is_empty() && self.cold.as_ref().is_none_or(|cold| cold.groups.is_empty())
    }

    /// The distinct groups of the batch, in order of first appearance.
    fn touched_groups(&mut self) -> Vec<u32> {
        self.batch_number = self.batch_number.wrapping_add(1);
        if self.batch_number == 0 {
            self.touched_in.fill(0);
            self.batch_number = 1;
        }
        let mut touched = Vec::new();
        for group in &self.groups {
            let mark = &mut self.touched_in[*group as usize];
            if *mark != self.batch_number {
                *mark = self.batch_number;
                touched.push(*group);
            }
        }
        touched
    }

    /// Resets groups whose TTL has expired, so that new rows start fresh.
    fn forget_expired(&mut self, touched: &[u32], now_ms: i64) {
        if self.spec.ttl_ms == 0 {
            return;
        }
        let oldest = now_ms.saturating_sub(self.spec.ttl_ms);
        let expired =
            |group: &&u32| self.rows[**group as usize] != 0 && self.written_ms[**group as usize] <= oldest;
        let expired: Vec<u32> = touched.iter().filter(expired).copied().collect();
        self.calls.clear(&expired);
        expired.iter().for_each(|group| self.rows[*group as usize] = 0);
        touched
            .iter()
            .for_each(|group| self.written_ms[*group as usize] = now_ms);
        let sweep = now_ms.saturating_add((self.spec.ttl_ms / SWEEPS_PER_TTL).max(1));
        self.next_sweep_ms.get_or_insert(sweep);
    }

    /// Updates the row counts of groups. Returns the rows to skip: retractions of rows that do not exist.
    fn count_rows(&mut self, retract: Option<&[bool]>) -> Vec<bool> {
        let Some(retract) = retract else {
            if self.spec.retract_input {
                self.groups
                    .iter()
                    .for_each(|group| self.rows[*group as usize] += 1);
            } else {
                self.groups
                    .iter()
                    .for_each(|group| self.rows[*group as usize] = 1);
            }
            return Vec::new();
        };
        let mut left_out = Vec::new();
        for (row, group) in self.groups.iter().enumerate() {
            let count = &mut self.rows[*group as usize];
            match (retract[row], *count) {
                (false, _) => *count += 1,
                (true, 1..) => *count -= 1,
                (true, _) => {
                    left_out.resize(retract.len(), false);
                    left_out[row] = true;
                }
            }
        }
        left_out
    }

    /// Counts and accumulates a batch whose group numbers are in `self.groups`.
    fn accumulate(&mut self, batch: &Batch) -> Result<(), DataflowError> {
        let retract = retractions(batch);
        let left_out = self.count_rows(retract.as_deref());
        if left_out.is_empty() {
            return self
                .calls
                .update(&self.groups, &batch.columns, retract.as_deref());
        }
        let kept: Vec<u32> = (0..batch.rows as u32)
            .filter(|row| !left_out[*row as usize])
            .collect();
        let groups: Vec<u32> = kept.iter().map(|row| self.groups[*row as usize]).collect();
        let retract: Option<Vec<bool>> = retract.map(|r| kept.iter().map(|row| r[*row as usize]).collect());
        self.calls
            .update(&groups, &take_columns(&batch.columns, &kept)?, retract.as_deref())
    }

    fn process_stream(
        &mut self,
        batch: &Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let touched = self.touched_groups();
        self.forget_expired(&touched, context.now_ms);
        let was_there: Vec<bool> = touched
            .iter()
            .map(|group| self.rows[*group as usize] > 0)
            .collect();
        let before = self.calls.evaluate(&touched)?;
        self.accumulate(batch)?;
        self.dirty.mark_all(&touched);
        let after = self.calls.evaluate(&touched)?;
        let result = self.changes(&touched, &was_there, before, after)?;
        self.drop_empty(&touched)?;
        push(result, context, out)
    }

    /// The changes of the touched groups, in order of first appearance.
    fn changes(
        &self,
        touched: &[u32],
        was_there: &[bool],
        before: Vec<ArrayRef>,
        after: Vec<ArrayRef>,
    ) -> Result<Batch, DataflowError> {
        let differ = rows_differ(&before, &after, touched.len())?;
        // With a TTL, an unchanged result is emitted again so that downstream operators keep it alive. Flink computes
        // deviations from sums after the aggregation, so it emits changes of the sums even where the deviation stays
        // the same.
        let send_unchanged = self.spec.ttl_ms > 0 || self.spec.aggregates.has_deviation();
        // The rows of `before` precede the rows of `after`.
        let below = touched.len() as u32;
        let (mut indices, mut kinds) = (Vec::new(), Vec::new());
        for (row, group) in touched.iter().enumerate() {
            let (old, new) = (row as u32, row as u32 + below);
            match (was_there[row], self.rows[*group as usize] > 0) {
                (false, true) => {
                    indices.push(new);
                    kinds.push(RowKind::Insert);
                }
                (true, false) => {
                    indices.push(old);
                    kinds.push(RowKind::Delete);
                }
                (true, true) if differ[row] || send_unchanged => {
                    if self.spec.update_before {
                        indices.push(old);
                        kinds.push(RowKind::UpdateBefore);
                    }
                    indices.push(new);
                    kinds.push(RowKind::UpdateAfter);
                }
                _ => {}
            }
        }
        let key_groups: Vec<u32> = indices.iter().map(|i| touched[(i % below) as usize]).collect();
        let mut columns = self.table.keys(&key_groups)?;
        columns.extend(take_columns(&stack(&before, &after)?, &indices)?);
        Ok(Batch::changes(columns, kinds))
    }

    fn drop_empty(&mut self, touched: &[u32]) -> Result<(), DataflowError> {
        let empty: Vec<u32> = touched
            .iter()
            .filter(|group| self.rows[**group as usize] <= 0)
            .copied()
            .collect();
        self.calls.clear(&empty);
        for group in empty {
            self.rows[group as usize] = 0;
            self.table.remove(group)?;
        }
        Ok(())
    }

    /// All groups with their results, at the end of a bounded input.
    fn emit_all(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let is_global = self.spec.key_types.is_empty();
        if is_global && self.is_empty() && context.subtask == 0 {
            // The aggregate over no rows is one row.
            self.table.intern(&[], 1, &mut self.groups)?;
            self.resize();
            self.rows[0] = 1;
        }
        self.emit_groups(context, out)?;
        loop {
            let many = match &mut self.cold {
                Some(cold) => cold.groups.take_many()?,
                None => None,
            };
            let Some(many) = many else { break };
            let (keys, values) = (many.keys, many.values);
            let all: Vec<u32> = self.table.groups().collect();
            self.calls.clear(&all);
            self.table.clear();
            let rows = values.first().map_or(0, |column| column.len());
            self.table.intern(&keys, rows, &mut self.groups)?;
            self.resize();
            let groups = std::mem::take(&mut self.groups);
            self.take_back(&groups, &values)?;
            self.emit_groups(context, out)?;
        }
        self.table.clear();
        Ok(())
    }
}

impl GroupAggregate {
    /// The groups in memory with their results.
    fn emit_groups(&self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let is_global = self.spec.key_types.is_empty();
        for start in (0..self.table.end()).step_by(context.batch_rows.max(1)) {
            let end = start + context.batch_rows.max(1);
            let groups: Vec<u32> = self
                .table
                .groups_in(start..end)
                .filter(|g| is_global || self.rows[*g as usize] > 0)
                .collect();
            let mut columns = self.table.keys(&groups)?;
            columns.extend(self.calls.evaluate(&groups)?);
            push(Batch::inserts(columns, groups.len()), context, out)?;
        }
        Ok(())
    }
}

impl Operator for GroupAggregate {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if batch.is_empty() {
            return Ok(());
        }
        let keys: Vec<ArrayRef> = self
            .spec
            .keys
            .iter()
            .map(|k| Arc::clone(&batch.columns[*k]))
            .collect();
        self.make_room(batch.rows)?;
        self.table.intern(&keys, batch.rows, &mut self.groups)?;
        self.resize();
        self.recall()?;
        if self.spec.bounded {
            self.dirty.mark_all(&self.groups);
            return self.accumulate(&batch);
        }
        self.process_stream(&batch, context, out)
    }

    fn next_timer(&self) -> Option<i64> {
        self.next_sweep_ms
    }

    fn timer(&mut self, context: &Context, _: &mut dyn Output) -> Result<(), DataflowError> {
        if self.next_sweep_ms.is_none_or(|at| at > context.now_ms) {
            return Ok(());
        }
        let oldest = context.now_ms.saturating_sub(self.spec.ttl_ms);
        let expired: Vec<u32> = self
            .table
            .groups()
            .filter(|group| self.written_ms[*group as usize] <= oldest)
            .collect();
        self.calls.clear(&expired);
        for group in expired {
            self.rows[group as usize] = 0;
            self.table.remove(group)?;
        }
        if let Some(cold) = &mut self.cold {
            cold.groups.expire(oldest);
        }
        let sweep = context
            .now_ms
            .saturating_add((self.spec.ttl_ms / SWEEPS_PER_TTL).max(1));
        self.next_sweep_ms = (!self.is_empty()).then_some(sweep);
        Ok(())
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        if self.spec.bounded {
            self.emit_all(context, out)
        } else {
            Ok(())
        }
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        let mut large = Cold::large_blocks(self.cold.as_ref());
        if let Some(cold) = &mut self.cold {
            cold.groups.snapshot(COLD, scope, &mut out);
        }
        self.table.snapshot_large("keys", scope, &mut out, &mut large)?;
        let mut dirty = std::mem::take(&mut self.dirty);
        let values = |groups: &[u32]| values_of(&self.rows, &self.written_ms, &self.calls, groups);
        let frozen = freeze_large(
            "groups",
            &self.table,
            &mut dirty,
            scope,
            &mut out,
            &mut large,
            values,
        );
        self.dirty = dirty;
        frozen?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        Cold::restore(self.cold.as_mut(), COLD, &blocks, context)?;
        let (owned, most) = (context.key_groups(), context.max_parallelism);
        let maps = self.table.restore("keys", &blocks, owned, most)?;
        self.resize();
        thaw("groups", &blocks, &maps, |groups, columns| {
            self.take_back(groups, columns)
        })?;
        if self.spec.ttl_ms > 0 && !self.is_empty() {
            self.next_sweep_ms = Some(context.now_ms);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.used_bytes(self.calls.memory_size()) + Cold::memory_size(self.cold.as_ref())
    }

    fn spilled_bytes(&self) -> u64 {
        Cold::disk_size(self.cold.as_ref())
    }
}

/// What is kept of groups besides their keys: rows, time of the last write, partial results.
fn values_of(
    rows: &[i64],
    written_ms: &[i64],
    calls: &AggregateCalls,
    groups: &[u32],
) -> Result<Vec<ArrayRef>, DataflowError> {
    let number = |values: &[i64]| {
        let value = |group: &u32| values.get(*group as usize).copied().unwrap_or(0);
        Arc::new(Int64Array::from_iter_values(groups.iter().map(value))) as ArrayRef
    };
    let mut columns = vec![number(rows), number(written_ms)];
    columns.extend(calls.state(groups)?);
    Ok(columns)
}
