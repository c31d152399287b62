//! The groups of one slice: keys, accumulators and, with retractions, the number of rows in each group.
//!
//! A slice moves groups to disk when its operator asks for it ([`Slice::evict`]); a row brings its group back. Groups on
//! disk are read, in parts, when the slice is emitted or merged into another, and go with the slice.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, SnapshotScope, StateBlocks};
use millstream_state::cold::{SegmentPlace, has_cold_records};
use millstream_state::{
    ColdGroups, DirtyBlocks, GroupTable, LargeBlocks, MemoryShare, SpillSpace, StateError, share_in_use,
};

use crate::aggregate::{AggregateCalls, AggregateSpec};
use crate::cold::part_of;
use crate::group_state::{freeze_large, thaw};

/// Groups merged at a time.
const MERGE_ROWS: usize = 8192;

/// What all slices of an operator share.
#[derive(Clone, Debug)]
pub(crate) struct SliceSpec {
    pub key_types: Vec<DataType>,
    pub aggregates: AggregateSpec,
    /// Whether to count the rows of groups: a group without rows has no result.
    pub count_rows: bool,
    /// Where groups go that memory has no room for; `None`: they stay in memory.
    pub space: Option<SpillSpace>,
}

/// The memory that a slice may take while others are merged into it.
pub(crate) struct Room<'a> {
    pub share: Option<&'a mut MemoryShare>,
    /// Bytes of the operator's other slices.
    pub others_bytes: usize,
}

impl Room<'_> {
    /// How many of the slice's bytes must go to disk.
    fn excess(&mut self, bytes: usize) -> usize {
        let share = self.share.as_mut();
        share.map_or(0, |share| share.report(self.others_bytes + bytes).min(bytes))
    }
}

/// Prefix of the blocks with groups on disk.
const COLD: &str = "cold";

pub(crate) struct Slice {
    pub table: GroupTable,
    pub calls: AggregateCalls,
    /// Rows of each group, if they are counted.
    rows: Option<Vec<i64>>,
    dirty: DirtyBlocks,
    /// The slice's name in the last snapshot.
    frozen_as: String,
    space: Option<SpillSpace>,
    /// Groups on disk; made when the first ones go there.
    cold: Option<ColdGroups>,
    /// Bytes of the accumulators, and the rows since they were asked: some count theirs group by group.
    calls_bytes: usize,
    rows_since: usize,
}

impl Slice {
    pub(crate) fn new(spec: &SliceSpec) -> Result<Self, DataflowError> {
        let mut table = GroupTable::new(&spec.key_types)?;
        if spec.space.is_some() {
            table.track_use();
        }
        Ok(Self {
            table,
            calls: spec.aggregates.instantiate(),
            rows: spec.count_rows.then(Vec::new),
            dirty: DirtyBlocks::default(),
            frozen_as: String::new(),
            space: spec.space.clone(),
            cold: None,
            calls_bytes: 0,
            rows_since: 0,
        })
    }

    /// Groups on disk of a slice like those of `spec`; `None` if they must stay in memory.
    pub(crate) fn cold_groups(
        spec: &SliceSpec,
        space: &SpillSpace,
    ) -> Result<Option<ColdGroups>, DataflowError> {
        Self::new(spec)?.new_cold(space)
    }

    fn new_cold(&self, space: &SpillSpace) -> Result<Option<ColdGroups>, DataflowError> {
        let values = self.values(&[])?;
        let types: Vec<DataType> = values.iter().map(|column| column.data_type().clone()).collect();
        Ok(ColdGroups::new(space.clone(), self.table.types(), &types))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty() && self.cold.as_ref().is_none_or(ColdGroups::is_empty)
    }

    /// What is kept of groups besides their keys: rows and partial results.
    fn values(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, DataflowError> {
        values_of(self.rows.as_deref(), &self.calls, groups)
    }

    /// Reloads what [`Slice::values`] returned; the groups are new.
    fn take_back(&mut self, groups: &[u32], columns: &[ArrayRef]) -> Result<(), DataflowError> {
        let counts = columns.first().and_then(|c| c.as_primitive_opt::<Int64Type>());
        let counts = counts.ok_or_else(|| StateError::corrupt("groups", "row counts are missing"))?;
        if let Some(rows) = &mut self.rows {
            let counted = groups.iter().zip(counts.values());
            counted.for_each(|(group, count)| rows[*group as usize] = *count);
        }
        self.dirty.mark_all(groups);
        self.calls.merge(groups, &columns[1..])
    }

    /// Finds or makes groups, and reloads those that are on disk.
    fn intern(&mut self, keys: &[ArrayRef], rows: usize, groups: &mut Vec<u32>) -> Result<(), DataflowError> {
        self.table.intern(keys, rows, groups)?;
        self.resize();
        self.rows_since += rows;
        let recalled = match &mut self.cold {
            Some(cold) => cold.recall(&self.table)?,
            None => None,
        };
        recalled.map_or(Ok(()), |recalled| {
            self.take_back(&recalled.groups, &recalled.columns)
        })
    }

    /// About the bytes of the groups in memory.
    pub(crate) fn used_bytes(&mut self) -> usize {
        if self.rows_since > self.table.len() / 16 {
            (self.calls_bytes, self.rows_since) = (self.calls.memory_size(), 0);
        }
        self.bytes(self.calls_bytes)
    }

    fn bytes(&self, calls_bytes: usize) -> usize {
        let rows = self
            .rows
            .as_ref()
            .map_or(0, |rows| rows.capacity() * size_of::<i64>());
        let arrays = self.table.memory_size() + calls_bytes + rows;
        match &self.space {
            Some(_) => {
                share_in_use(arrays, &self.table) + self.cold.as_ref().map_or(0, ColdGroups::memory_size)
            }
            None => arrays,
        }
    }

    pub(crate) fn disk_size(&self) -> u64 {
        self.cold.as_ref().map_or(0, ColdGroups::disk_size)
    }

    /// Moves groups of about this many bytes to disk, those first that no row has looked up lately.
    pub(crate) fn evict(&mut self, bytes: usize) -> Result<(), DataflowError> {
        let used = self.used_bytes();
        let groups = self.table.least_used(part_of(self.table.len(), bytes, used));
        if groups.is_empty() {
            return Ok(());
        }
        if let (None, Some(space)) = (&self.cold, &self.space) {
            self.cold = self.new_cold(space)?;
        }
        let Some(cold) = &mut self.cold else { return Ok(()) };
        let (rows, calls) = (self.rows.as_deref(), &self.calls);
        let values = |groups: &[u32]| values_of(rows, calls, groups);
        cold.evict(&mut self.table, &groups, |_| i64::MAX, values)?;
        self.calls.clear(&groups);
        if let Some(rows) = &mut self.rows {
            groups.iter().for_each(|group| rows[*group as usize] = 0);
        }
        self.dirty.mark_all(&groups);
        (self.calls_bytes, self.rows_since) = (self.calls.memory_size(), 0);
        Ok(())
    }

    /// Where the parts of the groups on disk are, for [`Slice::load`].
    pub(crate) fn parts_on_disk(&self) -> Vec<SegmentPlace> {
        self.cold.as_ref().map_or_else(Vec::new, ColdGroups::segments)
    }

    /// A slice with a part of another one's groups on disk, which stay there.
    pub(crate) fn load(&self, part: SegmentPlace, spec: &SliceSpec) -> Result<Slice, DataflowError> {
        let mut loaded = Slice::new(spec)?;
        if let Some(cold) = &self.cold {
            let part = cold.read(part)?;
            let rows = part.values.first().map_or(0, |column| column.len());
            let mut groups = Vec::new();
            loaded.intern(&part.keys, rows, &mut groups)?;
            loaded.take_back(&groups, &part.values)?;
        }
        Ok(loaded)
    }

    /// Grows the accumulators to all groups of the table.
    fn resize(&mut self) {
        let end = self.table.end();
        self.calls.resize(end);
        if let Some(rows) = &mut self.rows {
            rows.resize(end, 0);
        }
    }

    /// Adds or retracts rows. `columns` start with the keys.
    pub(crate) fn update(
        &mut self,
        keys: usize,
        columns: &[ArrayRef],
        rows: usize,
        retract: Option<&[bool]>,
        groups: &mut Vec<u32>,
    ) -> Result<(), DataflowError> {
        self.intern(&columns[..keys], rows, groups)?;
        if let Some(counts) = &mut self.rows {
            for (row, group) in groups.iter().enumerate() {
                counts[*group as usize] += if retract.is_some_and(|r| r[row]) { -1 } else { 1 };
            }
        }
        self.dirty.mark_all(groups);
        self.calls.update(groups, columns, retract)
    }

    /// Adds all groups of another slice.
    pub(crate) fn merge(
        &mut self,
        other: &Slice,
        spec: &SliceSpec,
        room: &mut Room<'_>,
    ) -> Result<(), DataflowError> {
        self.combine(other, spec, false, room)
    }

    /// Subtracts all groups of a slice that was merged earlier; drops groups without rows.
    pub(crate) fn unmerge(
        &mut self,
        other: &Slice,
        spec: &SliceSpec,
        room: &mut Room<'_>,
    ) -> Result<(), DataflowError> {
        self.combine(other, spec, true, room)
    }

    fn combine(
        &mut self,
        other: &Slice,
        spec: &SliceSpec,
        take_out: bool,
        room: &mut Room<'_>,
    ) -> Result<(), DataflowError> {
        self.combine_in_memory(other, take_out, room)?;
        for part in other.parts_on_disk() {
            self.combine_in_memory(&other.load(part, spec)?, take_out, room)?;
        }
        Ok(())
    }

    /// Combines with those groups of another slice that are in memory.
    fn combine_in_memory(
        &mut self,
        other: &Slice,
        take_out: bool,
        room: &mut Room<'_>,
    ) -> Result<(), DataflowError> {
        let mut own = Vec::new();
        for start in (0..other.table.end()).step_by(MERGE_ROWS) {
            let theirs: Vec<u32> = other.table.groups_in(start..start + MERGE_ROWS).collect();
            self.intern(&other.table.keys(&theirs)?, theirs.len(), &mut own)?;
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
            let used = self.used_bytes();
            let excess = room.excess(used);
            if excess > 0 {
                self.evict(excess)?;
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
        self.bytes(self.calls.memory_size())
    }

    /// Adds the slice as a part with this name. A slice of CUMULATE changes its name over time: no checkpoint has
    /// blocks under the new name, so all of them are written then.
    pub(crate) fn snapshot(
        &mut self,
        name: &str,
        scope: &SnapshotScope,
        blocks: &mut StateBlocks,
        large: &mut LargeBlocks,
    ) -> Result<(), DataflowError> {
        if self.frozen_as != name {
            self.table.mark_all_changed();
            self.dirty.clear();
            if let Some(cold) = &mut self.cold {
                cold.mark_all_changed();
            }
            name.clone_into(&mut self.frozen_as);
        }
        let mut out = StateBlocks::new();
        if let Some(cold) = &mut self.cold {
            cold.snapshot(COLD, scope, &mut out);
        }
        self.table.snapshot_large("keys", scope, &mut out, large)?;
        let mut dirty = std::mem::take(&mut self.dirty);
        let values = |groups: &[u32]| self.values(groups);
        let frozen = freeze_large("groups", &self.table, &mut dirty, scope, &mut out, large, values);
        self.dirty = dirty;
        frozen?;
        blocks.push_part(name, out);
        Ok(())
    }

    /// Restores the parts of one slice from one or more instances. The slice must be new.
    pub(crate) fn restore(&mut self, parts: &[StateBlocks], context: &Context) -> Result<(), DataflowError> {
        let (owned, most) = (context.key_groups(), context.max_parallelism);
        if has_cold_records(COLD, parts) {
            let cold = match &self.space {
                Some(space) => self.new_cold(space)?,
                None => None,
            };
            let mut cold = cold.ok_or(StateError::NoSpill)?;
            cold.restore(COLD, parts, &owned, most)?;
            self.cold = Some(cold);
        }
        let maps = self.table.restore("keys", parts, owned, most)?;
        self.resize();
        thaw("groups", parts, &maps, |groups, columns| {
            self.take_back(groups, columns)
        })
    }
}

/// What is kept of groups besides their keys: row counts, partial results.
fn values_of(
    rows: Option<&[i64]>,
    calls: &AggregateCalls,
    groups: &[u32],
) -> Result<Vec<ArrayRef>, DataflowError> {
    let count = |group: &u32| rows.map_or(0, |rows| rows[*group as usize]);
    let counts = Int64Array::from_iter_values(groups.iter().map(count));
    let mut columns: Vec<ArrayRef> = vec![Arc::new(counts)];
    columns.extend(calls.state(groups)?);
    Ok(columns)
}
