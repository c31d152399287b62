//! The groups of one slice: keys, accumulators, and where rows are taken back, how many rows each group has.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, SnapshotScope, StateBlocks};
use millstream_state::{DirtyBlocks, GroupTable, StateError};

use crate::aggregate::{AggregateCalls, AggregateSpec};
use crate::group_state::{freeze, thaw};

/// Groups that are merged at a time.
const MERGE_ROWS: usize = 8192;

/// What all slices of an operator have in common.
#[derive(Clone, Debug)]
pub(crate) struct SliceSpec {
    pub key_types: Vec<DataType>,
    pub aggregates: AggregateSpec,
    /// Count the rows of groups: a group without rows has no result.
    pub count_rows: bool,
}

pub(crate) struct Slice {
    pub table: GroupTable,
    pub calls: AggregateCalls,
    /// Rows of each group, if they are counted.
    rows: Option<Vec<i64>>,
    dirty: DirtyBlocks,
    /// Under which name the slice was in the last snapshot.
    frozen_as: String,
}

impl Slice {
    pub(crate) fn new(spec: &SliceSpec) -> Result<Self, DataflowError> {
        Ok(Self {
            table: GroupTable::new(&spec.key_types)?,
            calls: spec.aggregates.instantiate(),
            rows: spec.count_rows.then(Vec::new),
            dirty: DirtyBlocks::default(),
            frozen_as: String::new(),
        })
    }

    /// Makes room in the accumulators for all groups of the table.
    fn resize(&mut self) {
        let end = self.table.end();
        self.calls.resize(end);
        if let Some(rows) = &mut self.rows {
            rows.resize(end, 0);
        }
    }

    /// Adds rows or takes them back. `columns` begin with the keys.
    pub(crate) fn update(
        &mut self,
        keys: usize,
        columns: &[ArrayRef],
        rows: usize,
        retract: Option<&[bool]>,
        groups: &mut Vec<u32>,
    ) -> Result<(), DataflowError> {
        self.table.intern(&columns[..keys], rows, groups)?;
        self.resize();
        if let Some(counts) = &mut self.rows {
            for (row, group) in groups.iter().enumerate() {
                counts[*group as usize] += if retract.is_some_and(|r| r[row]) { -1 } else { 1 };
            }
        }
        self.dirty.mark_all(groups);
        self.calls.update(groups, columns, retract)
    }

    /// Adds all groups of another slice.
    pub(crate) fn merge(&mut self, other: &Slice) -> Result<(), DataflowError> {
        self.combine(other, false)
    }

    /// Takes all groups of another slice, merged earlier, out again; groups without rows go.
    pub(crate) fn unmerge(&mut self, other: &Slice) -> Result<(), DataflowError> {
        self.combine(other, true)
    }

    fn combine(&mut self, other: &Slice, take_out: bool) -> Result<(), DataflowError> {
        let mut own = Vec::new();
        for start in (0..other.table.end()).step_by(MERGE_ROWS) {
            let theirs: Vec<u32> = other.table.groups_in(start..start + MERGE_ROWS).collect();
            self.table
                .intern(&other.table.keys(&theirs)?, theirs.len(), &mut own)?;
            self.resize();
            let state = other.calls.state(&theirs)?;
            if take_out {
                self.calls.unmerge(&own, &state)?;
            } else {
                self.calls.merge(&own, &state)?;
            }
            if let (Some(own_rows), Some(their_rows)) = (&mut self.rows, &other.rows) {
                for (group, theirs) in own.iter().zip(&theirs) {
                    let count = their_rows[*theirs as usize];
                    own_rows[*group as usize] += if take_out { -count } else { count };
                }
            }
            self.dirty.mark_all(&own);
            if take_out {
                self.drop_empty(&own)?;
            }
        }
        Ok(())
    }

    fn drop_empty(&mut self, groups: &[u32]) -> Result<(), DataflowError> {
        let Some(rows) = &self.rows else { return Ok(()) };
        let empty: Vec<u32> = groups
            .iter()
            .filter(|group| rows[**group as usize] == 0)
            .copied()
            .collect();
        self.calls.clear(&empty);
        for group in empty {
            self.table.remove(group)?;
        }
        Ok(())
    }

    /// Groups with numbers in `range` that have a result.
    pub(crate) fn groups_in(&self, range: std::ops::Range<usize>) -> Vec<u32> {
        let has_rows = |group: &u32| self.rows.as_ref().is_none_or(|rows| rows[*group as usize] > 0);
        self.table.groups_in(range).filter(has_rows).collect()
    }

    pub(crate) fn memory_size(&self) -> usize {
        let rows = self
            .rows
            .as_ref()
            .map_or(0, |rows| rows.capacity() * size_of::<i64>());
        self.table.memory_size() + self.calls.memory_size() + rows
    }

    /// Adds the slice as a part with this name. A slice of CUMULATE goes on under another name than that under which it
    /// began: no checkpoint has blocks of the new name, so all of them are carried then.
    pub(crate) fn snapshot(
        &mut self,
        name: &str,
        scope: &SnapshotScope,
        blocks: &mut StateBlocks,
    ) -> Result<(), DataflowError> {
        if self.frozen_as != name {
            self.table.mark_all_changed();
            self.dirty.clear();
            name.clone_into(&mut self.frozen_as);
        }
        let mut out = StateBlocks::new();
        self.table.snapshot("keys", scope, &mut out)?;
        let (rows, calls) = (&self.rows, &self.calls);
        freeze(
            "groups",
            &self.table,
            &mut self.dirty,
            scope,
            &mut out,
            |groups| {
                let count = |group: &u32| rows.as_ref().map_or(0, |rows| rows[*group as usize]);
                let counts = Int64Array::from_iter_values(groups.iter().map(count));
                let mut columns: Vec<ArrayRef> = vec![Arc::new(counts)];
                columns.extend(calls.state(groups)?);
                Ok(columns)
            },
        )?;
        blocks.push_part(name, out);
        Ok(())
    }

    /// Takes back the parts of one slice from one or more instances. The slice must be new.
    pub(crate) fn restore(&mut self, parts: &[StateBlocks], context: &Context) -> Result<(), DataflowError> {
        let maps = self
            .table
            .restore("keys", parts, context.key_groups(), context.max_parallelism)?;
        self.resize();
        let Self {
            calls, rows, dirty, ..
        } = self;
        thaw("groups", parts, &maps, |groups, columns| {
            let counts = columns.first().and_then(|c| c.as_primitive_opt::<Int64Type>());
            let counts = counts.ok_or_else(|| StateError::corrupt("groups", "row counts are missing"))?;
            if let Some(rows) = rows.as_mut() {
                groups
                    .iter()
                    .zip(counts.values())
                    .for_each(|(group, count)| rows[*group as usize] = *count);
            }
            dirty.mark_all(groups);
            calls.merge(groups, &columns[1..])
        })
    }
}
