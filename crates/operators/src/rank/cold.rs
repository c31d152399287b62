//! Partitions of a Top-N that move to disk and come back.

use millstream_dataflow::DataflowError;

use super::Rank;
use super::by_key::ByKey;
use crate::sort_keys::key_of;

impl Rank {
    /// Bytes of what is in memory.
    pub(super) fn used_bytes(&self) -> usize {
        let by_key = self.by_key.as_ref().map_or(0, ByKey::used_bytes);
        self.store.used_bytes() + self.ranking.memory_size() + by_key
    }

    /// Moves whole partitions to disk if there is no more room for them.
    pub(super) fn make_room(&mut self) -> Result<(), DataflowError> {
        let used = self.used_bytes();
        let excess = self.room.excess(used);
        if excess == 0 {
            return Ok(());
        }
        let partitions = self.store.least_used(excess, used);
        for partition in &partitions {
            self.ranking.clear(*partition);
            if let Some(by_key) = &mut self.by_key {
                self.store.rows_of(*partition).for_each(|row| by_key.forget(row));
            }
        }
        self.store.evict(&partitions, |_| 0)?;
        self.by_key.as_mut().map_or(Ok(()), ByKey::end_batch)
    }

    /// Ranks rows that came back from a checkpoint or from disk; those of a partition in order of arrival.
    pub(super) fn rank_stored(&mut self, rows: &[u32]) -> Result<(), DataflowError> {
        let columns = self.store.columns(rows)?;
        let sort_keys = self.keys.encode(&columns)?;
        for (i, row) in rows.iter().enumerate() {
            for _ in 0..self.store.count(*row) {
                let sort_key = key_of(&sort_keys, &self.keys, i);
                self.ranking.insert(self.store.key_of(*row), sort_key, *row);
            }
        }
        if let Some(by_key) = &mut self.by_key {
            let keys = by_key.find(&columns, rows.len())?;
            keys.iter()
                .zip(rows)
                .for_each(|(key, row)| by_key.set(*key, *row));
        }
        Ok(())
    }
}
