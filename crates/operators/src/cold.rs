//! Groups of an operator that memory has no room for.
//!
//! An operator asks [`Cold::excess`] before a batch, moves that much of its state to disk, and reloads what the batch
//! needs. Between batches a group is in memory or on disk, so that everything else an operator does knows nothing of it.

use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, StateBlocks};
use millstream_state::cold::has_cold_records;
use millstream_state::{
    ColdGroups, GroupTable, LargeBlocks, MemoryShare, RowStore, Spill, SpillSpace, StateError,
};

/// Prefix of the blocks of an operator with one table.
pub(crate) const COLD: &str = "cold/groups";

pub(crate) struct Cold {
    pub groups: ColdGroups,
    space: SpillSpace,
    share: MemoryShare,
}

impl Cold {
    /// For the groups of `table` with values of these types; `None` if they must stay in memory.
    pub(crate) fn new(spill: Option<&Spill>, table: &mut GroupTable, values: &[DataType]) -> Option<Self> {
        let spill = spill?;
        let groups = ColdGroups::new(spill.space.clone(), table.types(), values)?;
        table.track_use();
        Some(Self {
            groups,
            space: spill.space.clone(),
            share: spill.share(),
        })
    }

    /// How many of the `used` bytes in memory must go to disk.
    pub(crate) fn excess(&mut self, used: usize) -> usize {
        self.share.report(used + self.groups.memory_size()).min(used)
    }

    pub(crate) fn memory_size(cold: Option<&Self>) -> usize {
        cold.map_or(0, |cold| cold.groups.memory_size())
    }

    pub(crate) fn disk_size(cold: Option<&Self>) -> u64 {
        cold.map_or(0, |cold| cold.groups.disk_size())
    }

    /// Where the blocks of a snapshot go that do not fit into memory.
    pub(crate) fn large_blocks(cold: Option<&Self>) -> LargeBlocks {
        LargeBlocks::new(cold.map(|cold| &cold.space))
    }

    pub(crate) fn restore(
        cold: Option<&mut Self>,
        prefix: &str,
        parts: &[StateBlocks],
        context: &Context,
    ) -> Result<(), DataflowError> {
        if !has_cold_records(prefix, parts) {
            return Ok(());
        }
        let cold = cold.ok_or(StateError::NoSpill)?;
        let (owned, most) = (context.key_groups(), context.max_parallelism);
        Ok(cold.groups.restore(prefix, parts, &owned, most)?)
    }
}

/// The memory of an operator whose state is rows by key.
pub(crate) struct RowRoom {
    share: Option<MemoryShare>,
}

impl RowRoom {
    /// `can_spill`: whether the operator's stores can.
    pub(crate) fn new(spill: Option<&Spill>, can_spill: bool) -> Self {
        Self {
            share: spill.filter(|_| can_spill).map(Spill::share),
        }
    }

    /// How many of the `used` bytes must go to disk.
    pub(crate) fn excess(&mut self, used: usize) -> usize {
        self.share.as_mut().map_or(0, |share| share.report(used))
    }

    /// Moves rows to disk if there is no more room for them. To be called before a batch.
    pub(crate) fn make(&mut self, store: &mut RowStore) -> Result<(), DataflowError> {
        let used = store.used_bytes();
        let excess = self.excess(used);
        if excess > 0 {
            let keys = store.least_used(excess, used);
            store.evict(&keys, |_| 0)?;
        }
        Ok(())
    }
}

/// The part of `count` that `bytes` are of `of_bytes`, rounded up.
pub(crate) fn part_of(count: usize, bytes: usize, of_bytes: usize) -> usize {
    (count as u128 * bytes as u128).div_ceil(of_bytes.max(1) as u128) as usize
}
