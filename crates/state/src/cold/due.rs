//! Groups on disk that must be back in memory at a certain time, each with a list of values.
//!
//! Groups whose times are close share a store, a *bucket*, which is reloaded as a whole when the first of its times comes.
//! A lookup goes through the filters of all buckets, so their number is limited.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take::take;

use crate::blocks::{SnapshotScope, StateBlocks};
use crate::error::StateError;
use crate::group_table::GroupTable;
use crate::group_table::row_codec::RowCodec;
use crate::hash;
use crate::spill::SpillSpace;

use super::groups::codec_of;
use super::{ColdStore, GroupColumns, RecalledGroups, TakenRecords};

/// Buckets of one operator; groups that are due later than all of these share the last ones.
const BUCKETS_MAX: usize = 64;

const LENGTH_BYTES: usize = 4;

/// Groups that are on disk and not in their table; see the module's documentation.
#[derive(Debug)]
pub struct DueGroups {
    space: SpillSpace,
    width_ms: i64,
    /// By the earliest time for which a bucket has groups, or one before it.
    buckets: BTreeMap<i64, ColdStore>,
    /// Groups that are due at this time or before are in memory.
    loaded_ms: i64,
    keys: Arc<RowCodec>,
    values: Arc<RowCodec>,
    hashes: Vec<u64>,
    taken: TakenRecords,
}

impl DueGroups {
    /// Groups with keys and values of these types, in buckets of this many milliseconds; `None` if there are no keys, or
    /// a type cannot be written.
    pub fn new(
        space: SpillSpace,
        keys: &[DataType],
        values: &[DataType],
        bucket_width_ms: i64,
    ) -> Option<Self> {
        if keys.is_empty() {
            return None;
        }
        Some(Self {
            space,
            width_ms: bucket_width_ms.max(1),
            buckets: BTreeMap::new(),
            loaded_ms: i64::MIN,
            keys: Arc::new(codec_of(keys)?),
            values: Arc::new(codec_of(values)?),
            hashes: Vec::new(),
            taken: TakenRecords::default(),
        })
    }

    /// Bytes in memory, of indexes and filters.
    pub fn memory_size(&self) -> usize {
        self.buckets.values().map(ColdStore::memory_size).sum()
    }

    pub fn disk_size(&self) -> u64 {
        self.buckets.values().map(ColdStore::disk_size).sum()
    }

    /// A time at or before which no group on disk is due.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.buckets.keys().next().copied()
    }

    /// Whether a group that is due at this time can go to disk: it would not have to come back with the next call of
    /// [`DueGroups::take_due`].
    pub fn can_evict(&self, due_ms: i64) -> bool {
        self.bucket_start(due_ms) > self.loaded_ms
    }

    fn bucket_start(&self, due_ms: i64) -> i64 {
        due_ms.div_euclid(self.width_ms).saturating_mul(self.width_ms)
    }

    /// The bucket for groups that are due in the interval that starts at `start`.
    fn bucket(&mut self, start: i64) -> &mut ColdStore {
        let is_full = self.buckets.len() >= BUCKETS_MAX && !self.buckets.contains_key(&start);
        let earlier = self.buckets.range(..start).next_back().map(|(at, _)| *at);
        let start = match (is_full, earlier) {
            (true, Some(earlier)) => earlier,
            (true, None) => {
                if let Some((_, mut first)) = self.buckets.pop_first() {
                    first.mark_all_changed();
                    self.buckets.insert(start, first);
                }
                start
            }
            (false, _) => start,
        };
        let space = &self.space;
        self.buckets
            .entry(start)
            .or_insert_with(|| ColdStore::new(space.clone()))
    }

    /// Moves groups to disk and removes them from the table; the caller empties their values. `due_ms[i]` is when group `i`
    /// of these must be back. `values` gives the rows of some of the groups, by their positions, and how many of them
    /// each group has.
    pub fn evict<E: From<StateError>>(
        &mut self,
        table: &mut GroupTable,
        groups: &[u32],
        due_ms: &[i64],
        mut values: impl FnMut(&[u32]) -> Result<(Vec<usize>, Vec<ArrayRef>), E>,
    ) -> Result<(), E> {
        debug_assert_eq!(groups.len(), due_ms.len());
        let hashes = table.hashes(groups)?;
        let mut by_bucket: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (position, due_ms) in due_ms.iter().enumerate() {
            let bucket = by_bucket.entry(self.bucket_start(*due_ms)).or_default();
            bucket.push(position as u32);
        }
        let codecs = (Arc::clone(&self.keys), Arc::clone(&self.values));
        for (start, members) in by_bucket {
            let hashes_here: Vec<u64> = members.iter().map(|member| hashes[*member as usize]).collect();
            self.bucket(start).put(&hashes_here, |places, records| {
                let positions: Vec<u32> = places.iter().map(|place| members[*place as usize]).collect();
                let some: Vec<u32> = positions.iter().map(|at| groups[*at as usize]).collect();
                let keys = codecs.0.encode(&table.keys(&some)?, some.len())?;
                let (lengths, columns) = values(&positions)?;
                let values = codecs.1.encode(&columns, lengths.iter().sum())?;
                let (mut list, mut next) = (Vec::new(), 0);
                for (row, position) in positions.iter().enumerate() {
                    list.clear();
                    for value in next..next + lengths[row] {
                        let bytes = values.bytes_of(value);
                        list.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                        list.extend_from_slice(bytes);
                    }
                    next += lengths[row];
                    records.push(hashes[*position as usize], i64::MAX, keys.bytes_of(row), &list);
                }
                Ok::<(), E>(())
            })?;
        }
        Ok(groups.iter().try_for_each(|group| table.remove(*group))?)
    }

    /// Reloads those of the groups made by the table's last `intern` that are on disk: they are not new. A group stands
    /// as often as it has values.
    pub fn recall(&mut self, table: &GroupTable) -> Result<Vec<RecalledGroups>, StateError> {
        let created = table.created();
        if created.is_empty() || self.buckets.is_empty() {
            return Ok(Vec::new());
        }
        let columns = table.keys(created)?;
        hash::hash_columns(&columns, created.len(), &mut self.hashes)?;
        let encoded = self.keys.encode(&columns, created.len())?;
        let mut recalled = Vec::new();
        for bucket in self.buckets.values_mut() {
            bucket.take(&self.hashes, &encoded, &mut self.taken)?;
            if self.taken.is_empty() {
                continue;
            }
            let lists: Vec<&[u8]> = self.taken.values().collect();
            let (owners, columns) = decode_lists(&self.values, &lists)?;
            let group = |owner: &u32| created[self.taken.rows()[*owner as usize] as usize];
            recalled.push(RecalledGroups {
                groups: owners.iter().map(group).collect(),
                columns,
            });
        }
        self.buckets.retain(|_, bucket| !bucket.is_empty());
        Ok(recalled)
    }

    /// Reloads a number of groups from a bucket whose time has come; a key stands as often as it has values. `None` if all
    /// groups that are due at `now_ms` or before are in memory.
    pub fn take_due(&mut self, now_ms: i64) -> Result<Option<GroupColumns>, StateError> {
        self.loaded_ms = self.loaded_ms.max(now_ms);
        while let Some(mut first) = self.buckets.first_entry().filter(|first| *first.key() <= now_ms) {
            let Some(records) = first.get_mut().take_segment()? else {
                first.remove();
                continue;
            };
            let keys: Vec<&[u8]> = records.iter().map(|record| record.key).collect();
            let lists: Vec<&[u8]> = records.iter().map(|record| record.value).collect();
            let (owners, values) = decode_lists(&self.values, &lists)?;
            let owners = UInt32Array::from(owners);
            let repeated = |column: &ArrayRef| take(column, &owners, None);
            let keys: Result<Vec<ArrayRef>, _> = self.keys.decode(&keys)?.iter().map(repeated).collect();
            return Ok(Some(GroupColumns { keys: keys?, values }));
        }
        Ok(None)
    }

    pub fn snapshot(&mut self, prefix: &str, scope: &SnapshotScope, out: &mut StateBlocks) {
        for (start, bucket) in &mut self.buckets {
            bucket.snapshot(&format!("{prefix}/{start}"), scope, out);
        }
    }

    pub fn restore(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        owned: &Range<u16>,
        max_parallelism: u16,
    ) -> Result<(), StateError> {
        let (keys, values) = (&self.keys, &self.values);
        for start in bucket_starts(prefix, parts)? {
            let mut bucket = ColdStore::new(self.space.clone());
            let prefix = format!("{prefix}/{start}");
            bucket.restore(&prefix, parts, owned, max_parallelism, |record| {
                keys.can_decode(record.key)
                    && values_of(record.value).is_some_and(|list| list.iter().all(|v| values.can_decode(v)))
            })?;
            if !bucket.is_empty() {
                self.buckets.insert(start, bucket);
            }
        }
        Ok(())
    }
}

/// Whether snapshots have groups on disk.
pub fn has_due_groups(prefix: &str, parts: &[StateBlocks]) -> bool {
    bucket_names(prefix, parts).next().is_some()
}

fn bucket_names<'a>(prefix: &'a str, parts: &'a [StateBlocks]) -> impl Iterator<Item = &'a str> {
    let blocks = parts.iter().flat_map(|part| &part.blocks);
    blocks.filter_map(move |block| {
        block
            .name
            .strip_prefix(prefix)?
            .strip_prefix('/')?
            .split('/')
            .next()
    })
}

fn bucket_starts(prefix: &str, parts: &[StateBlocks]) -> Result<BTreeSet<i64>, StateError> {
    let start = |name: &str| name.parse::<i64>();
    let starts: Result<BTreeSet<i64>, _> = bucket_names(prefix, parts).map(start).collect();
    starts.map_err(|_| StateError::corrupt(prefix, "the time of a bucket is no number"))
}

/// The values of a list; `None` if it is cut off.
fn values_of(mut list: &[u8]) -> Option<Vec<&[u8]>> {
    let mut values = Vec::new();
    while !list.is_empty() {
        let (length, rest) = list.split_at_checked(LENGTH_BYTES)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let (value, rest) = rest.split_at_checked(length)?;
        values.push(value);
        list = rest;
    }
    Some(values)
}

/// All values of the lists, and for each the position of its list.
fn decode_lists(codec: &RowCodec, lists: &[&[u8]]) -> Result<(Vec<u32>, Vec<ArrayRef>), StateError> {
    let (mut owners, mut all) = (Vec::new(), Vec::new());
    for (owner, list) in lists.iter().enumerate() {
        let values =
            values_of(list).ok_or_else(|| StateError::corrupt("groups on disk", "a value is cut off"))?;
        owners.resize(owners.len() + values.len(), owner as u32);
        all.extend(values);
    }
    Ok((owners, codec.decode(&all)?))
}
