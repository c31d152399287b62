//! Groups of a `GroupTable` on disk: their keys, and the values that an operator keeps in arrays beside the table.

use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_schema::DataType;

use crate::blocks::{SnapshotScope, StateBlocks};
use crate::error::StateError;
use crate::group_table::GroupTable;
use crate::group_table::row_codec::RowCodec;
use crate::hash;
use crate::spill::SpillSpace;

use super::{ColdRecords, ColdStore, SegmentPlace, TakenRecords};

/// Groups that are on disk and not in their table; see [`ColdStore`].
#[derive(Debug)]
pub struct ColdGroups {
    store: ColdStore,
    keys: RowCodec,
    values: RowCodec,
    hashes: Vec<u64>,
    taken: TakenRecords,
}

/// Groups that came back from disk.
#[derive(Debug)]
pub struct RecalledGroups {
    /// Group numbers, or rows of the lookup.
    pub groups: Vec<u32>,
    /// Their values.
    pub columns: Vec<ArrayRef>,
}

/// The columns of groups.
#[derive(Debug)]
pub struct GroupColumns {
    pub keys: Vec<ArrayRef>,
    pub values: Vec<ArrayRef>,
}

/// Whether rows of these columns can go to disk.
pub(crate) fn codec_of(types: &[DataType]) -> Option<RowCodec> {
    RowCodec::new(types).ok()
}

impl ColdGroups {
    /// Groups with keys and values of these types; `None` if there are no keys, or a type cannot be written.
    pub fn new(space: SpillSpace, keys: &[DataType], values: &[DataType]) -> Option<Self> {
        if keys.is_empty() {
            return None;
        }
        Some(Self {
            store: ColdStore::new(space),
            keys: codec_of(keys)?,
            values: codec_of(values)?,
            hashes: Vec::new(),
            taken: TakenRecords::default(),
        })
    }

    /// Number of groups on disk.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Bytes in memory, of indexes and filters.
    pub fn memory_size(&self) -> usize {
        self.store.memory_size()
    }

    pub fn disk_size(&self) -> u64 {
        self.store.disk_size()
    }

    /// Moves groups to disk and removes them from the table; the caller empties their values. `values` gives the columns
    /// of some of the groups, and `time_ms` when a group was written last, `i64::MAX` if it never expires.
    pub fn evict<E: From<StateError>>(
        &mut self,
        table: &mut GroupTable,
        groups: &[u32],
        time_ms: impl Fn(u32) -> i64,
        mut values: impl FnMut(&[u32]) -> Result<Vec<ArrayRef>, E>,
    ) -> Result<(), E> {
        let hashes = table.hashes(groups)?;
        let (key_codec, value_codec) = (&self.keys, &self.values);
        self.store.put(&hashes, |positions, records| {
            let some: Vec<u32> = positions.iter().map(|at| groups[*at as usize]).collect();
            let keys = key_codec.encode(&table.keys(&some)?, some.len())?;
            let values = value_codec.encode(&values(&some)?, some.len())?;
            for (row, position) in positions.iter().enumerate() {
                records.push(
                    hashes[*position as usize],
                    time_ms(some[row]),
                    keys.bytes_of(row),
                    values.bytes_of(row),
                );
            }
            Ok::<(), E>(())
        })?;
        Ok(groups.iter().try_for_each(|group| table.remove(*group))?)
    }

    /// Reloads those of the groups made by the table's last `intern` that are on disk: they are not new.
    pub fn recall(&mut self, table: &GroupTable) -> Result<Option<RecalledGroups>, StateError> {
        let created = table.created();
        if created.is_empty() || self.is_empty() {
            return Ok(None);
        }
        let recalled = self.take(&table.keys(created)?, created.len())?;
        Ok(recalled.map(|recalled| RecalledGroups {
            groups: recalled.groups.iter().map(|row| created[*row as usize]).collect(),
            columns: recalled.columns,
        }))
    }

    /// Reloads the groups of these keys that are on disk; their places in the lookup stand for their numbers.
    pub fn take(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Option<RecalledGroups>, StateError> {
        if rows == 0 || self.is_empty() {
            return Ok(None);
        }
        hash::hash_columns(keys, rows, &mut self.hashes)?;
        let encoded = self.keys.encode(keys, rows)?;
        self.store.take(&self.hashes, &encoded, &mut self.taken)?;
        if self.taken.is_empty() {
            return Ok(None);
        }
        let values: Vec<&[u8]> = self.taken.values().collect();
        Ok(Some(RecalledGroups {
            groups: self.taken.rows().to_vec(),
            columns: self.values.decode(&values)?,
        }))
    }

    /// Reloads a number of groups, in any order. `None` if none is left.
    pub fn take_many(&mut self) -> Result<Option<GroupColumns>, StateError> {
        let Some(records) = self.store.take_segment()? else {
            return Ok(None);
        };
        self.columns(&records).map(Some)
    }

    /// Where parts of the groups are, for [`ColdGroups::read`]. Good until groups come or go.
    pub fn segments(&self) -> Vec<SegmentPlace> {
        self.store.segments()
    }

    /// The groups of one part, which stay on disk.
    pub fn read(&self, place: SegmentPlace) -> Result<GroupColumns, StateError> {
        self.columns(&self.store.read_segment(place)?)
    }

    fn columns(&self, records: &ColdRecords) -> Result<GroupColumns, StateError> {
        let keys: Vec<&[u8]> = records.iter().map(|record| record.key).collect();
        let values: Vec<&[u8]> = records.iter().map(|record| record.value).collect();
        Ok(GroupColumns {
            keys: self.keys.decode(&keys)?,
            values: self.values.decode(&values)?,
        })
    }

    /// The next snapshot carries all blocks again, because their prefix has changed.
    pub fn mark_all_changed(&mut self) {
        self.store.mark_all_changed();
    }

    /// Groups written at this time or before need not be kept.
    pub fn expire(&mut self, oldest_ms: i64) {
        self.store.expire(oldest_ms);
    }

    pub fn snapshot(&mut self, prefix: &str, scope: &SnapshotScope, out: &mut StateBlocks) {
        self.store.snapshot(prefix, scope, out);
    }

    pub fn restore(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        owned: &Range<u16>,
        max_parallelism: u16,
    ) -> Result<(), StateError> {
        let (keys, values) = (&self.keys, &self.values);
        self.store
            .restore(prefix, parts, owned, max_parallelism, |record| {
                keys.can_decode(record.key) && values.can_decode(record.value)
            })
    }
}
