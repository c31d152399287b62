//! Keys that were seen, in memory and on disk.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, SnapshotScope, StateBlocks};
use millstream_state::{DirtyBlocks, GroupTable, NO_GROUP, StateError, share_in_use};

use crate::cold::{COLD, Cold, part_of};
use crate::emit::take_columns;
use crate::group_state::{freeze, thaw};

use super::{DeduplicateSpec, Sweeps};

/// Keys, and with a time to live when each was written last.
pub(super) struct WrittenKeys {
    pub(super) table: GroupTable,
    /// Keys that memory has no room for, with the time of the last write.
    cold: Option<Cold>,
    has_times: bool,
    written_ms: Vec<i64>,
    dirty: DirtyBlocks,
}

impl WrittenKeys {
    pub(super) fn new(spec: &DeduplicateSpec, context: &Context) -> Result<Self, DataflowError> {
        let types: Vec<DataType> = spec.keys.iter().map(|k| spec.types[*k].clone()).collect();
        let mut table = GroupTable::new(&types)?;
        let cold = Cold::new(context.spill.as_ref(), &mut table, &[DataType::Int64]);
        Ok(Self {
            table,
            cold,
            has_times: spec.ttl_ms > 0,
            written_ms: Vec::new(),
            dirty: DirtyBlocks::default(),
        })
    }

    /// Moves keys to disk if there is no more room in memory.
    pub(super) fn make_room(&mut self) -> Result<(), DataflowError> {
        let used = self.used_bytes();
        let excess = self.cold.as_mut().map_or(0, |cold| cold.excess(used));
        if excess == 0 {
            return Ok(());
        }
        let keys = self.table.least_used(part_of(self.table.len(), excess, used));
        if let Some(cold) = &mut self.cold {
            let (times, has_times) = (&self.written_ms, self.has_times);
            let written_ms = |key: u32| times.get(key as usize).copied().unwrap_or(i64::MIN);
            let time = |key: u32| if has_times { written_ms(key) } else { i64::MAX };
            let values = |keys: &[u32]| {
                let times = keys.iter().map(|key| written_ms(*key));
                let times: ArrayRef = Arc::new(Int64Array::from_iter_values(times));
                Ok::<_, DataflowError>(vec![times])
            };
            cold.groups.evict(&mut self.table, &keys, time, values)?;
        }
        self.dirty.mark_all(&keys);
        Ok(())
    }

    /// The numbers of keys, made if they are not there. Gives back which of them are new, in order.
    pub(super) fn intern(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        keys: &mut Vec<u32>,
    ) -> Result<Vec<u32>, DataflowError> {
        self.table.intern(columns, rows, keys)?;
        let created = self.table.created().to_vec();
        let recalled = match &mut self.cold {
            Some(cold) => cold.groups.recall(&self.table)?,
            None => None,
        };
        let Some(recalled) = recalled else {
            return Ok(created);
        };
        self.write_recalled(&recalled.groups, &recalled.columns)?;
        let known: std::collections::BTreeSet<u32> = recalled.groups.into_iter().collect();
        Ok(created.into_iter().filter(|key| !known.contains(key)).collect())
    }

    /// The numbers of the keys that are there.
    pub(super) fn find(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        keys: &mut Vec<u32>,
    ) -> Result<(), DataflowError> {
        self.table.find(columns, rows, keys)?;
        let Some(cold) = self.cold.as_mut().filter(|cold| !cold.groups.is_empty()) else {
            return Ok(());
        };
        let missing: Vec<u32> = (0..rows as u32)
            .filter(|row| keys[*row as usize] == NO_GROUP)
            .collect();
        let columns_of_missing = take_columns(columns, &missing)?;
        let Some(recalled) = cold.groups.take(&columns_of_missing, missing.len())? else {
            return Ok(());
        };
        let columns_of_recalled = take_columns(&columns_of_missing, &recalled.groups)?;
        let mut numbers = Vec::new();
        self.table
            .intern(&columns_of_recalled, recalled.groups.len(), &mut numbers)?;
        self.write_recalled(&numbers, &recalled.columns)?;
        Ok(self.table.find(columns, rows, keys)?)
    }

    pub(super) fn write_recalled(&mut self, keys: &[u32], columns: &[ArrayRef]) -> Result<(), DataflowError> {
        let times = columns.first().and_then(|c| c.as_primitive_opt::<Int64Type>());
        let times = times.ok_or_else(|| StateError::corrupt("written", "times are missing"))?;
        let written = keys.iter().zip(times.values());
        written.for_each(|(key, time)| self.write(*key, *time));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty() && self.cold.as_ref().is_none_or(|cold| cold.groups.is_empty())
    }

    pub(super) fn write(&mut self, key: u32, now_ms: i64) {
        if !self.has_times {
            return;
        }
        self.written_ms.resize(self.table.end(), i64::MIN);
        self.written_ms[key as usize] = now_ms;
        self.dirty.mark(key);
    }

    pub(super) fn written_ms(&self, key: u32) -> i64 {
        self.written_ms.get(key as usize).copied().unwrap_or(i64::MIN)
    }

    pub(super) fn sweep(&mut self, sweeps: &Sweeps, now_ms: i64) -> Result<(), DataflowError> {
        let is_expired = |key: &u32| sweeps.is_expired(self.written_ms(*key), now_ms);
        let expired: Vec<u32> = self.table.groups().filter(is_expired).collect();
        for key in expired {
            self.dirty.mark(key);
            self.table.remove(key)?;
        }
        if let Some(cold) = &mut self.cold {
            cold.groups.expire(now_ms.saturating_sub(sweeps.ttl_ms));
        }
        Ok(())
    }

    pub(super) fn snapshot(
        &mut self,
        scope: &SnapshotScope,
        out: &mut StateBlocks,
    ) -> Result<(), DataflowError> {
        let mut large = Cold::large_blocks(self.cold.as_ref());
        if let Some(cold) = &mut self.cold {
            cold.groups.snapshot(COLD, scope, out);
        }
        self.table.snapshot_large("keys", scope, out, &mut large)?;
        if !self.has_times {
            return Ok(());
        }
        self.written_ms.resize(self.table.end(), i64::MIN);
        let written_ms = &self.written_ms;
        freeze("written", &self.table, &mut self.dirty, scope, out, |keys| {
            let times = keys.iter().map(|key| written_ms[*key as usize]);
            Ok(vec![Arc::new(Int64Array::from_iter_values(times))])
        })
    }

    pub(super) fn restore(&mut self, blocks: &[StateBlocks], context: &Context) -> Result<(), DataflowError> {
        Cold::restore(self.cold.as_mut(), COLD, blocks, context)?;
        let (groups, most) = (context.key_groups(), context.max_parallelism);
        let maps = self.table.restore("keys", blocks, groups, most)?;
        thaw("written", blocks, &maps, |keys, columns| {
            self.write_recalled(keys, columns)
        })
    }

    pub(super) fn used_bytes(&self) -> usize {
        let arrays = self.table.memory_size() + self.written_ms.capacity() * size_of::<i64>();
        match &self.cold {
            Some(_) => share_in_use(arrays, &self.table),
            None => arrays,
        }
    }

    pub(super) fn memory_size(&self) -> usize {
        self.used_bytes() + Cold::memory_size(self.cold.as_ref())
    }

    pub(super) fn disk_size(&self) -> u64 {
        Cold::disk_size(self.cold.as_ref())
    }
}
