//! The columnar group table: rows of key columns to dense group numbers.
//!
//! An operator keeps its accumulators in arrays indexed by group number; the table finds the numbers for a whole batch
//! at a time, gives the keys back as columns, reuses the numbers of removed groups, and freezes into blocks. Keys
//! are equal as in SQL's GROUP BY: NULL equals NULL, NaN equals NaN, `-0.0` differs from `0.0`. Without key
//! columns there is one group. The table knows no accumulators and no expiry.
//!
//! Numbers, their order and everything emitted depend only on the sequence of calls.

mod bytes;
mod fixed;
mod live;
pub(crate) mod row_codec;
mod slots;
mod snapshot;
mod use_clock;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::ByteViewType;
use arrow_array::{Array, ArrayRef, BinaryViewArray, Decimal128Array, GenericByteViewArray, StringViewArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::error::StateError;
use crate::owned::{fits, shape_error};
use crate::{fixed_width, hash};

use bytes::{ByteRows, BytesInput, BytesKeys};
use fixed::{FixedInput, Packing, decimal_words};
use live::LiveGroups;
use row_codec::{EncodedRows, RowCodec};
use slots::{KeyRows, Slots};
use use_clock::UseClock;

pub use live::{DirtyBlocks, GROUPS_PER_BLOCK};
pub use slots::NO_GROUP;
pub use snapshot::{GroupMap, block_name};

/// Most groups of one table.
pub const GROUPS_MAX: usize = u32::MAX as usize - 1;

/// See the module's documentation.
#[derive(Debug)]
pub struct GroupTable {
    types: Vec<DataType>,
    keys: Keys,
    slots: Slots,
    live: LiveGroups,
    /// The group whose single key column is NULL.
    null_group: Option<u32>,
    dirty: DirtyBlocks,
    created: Vec<u32>,
    hashes: Vec<u64>,
    left: Vec<u32>,
    use_clock: Option<UseClock>,
}

#[derive(Debug)]
enum Keys {
    /// No key columns: one group.
    Nothing,
    Word(Vec<i64>),
    Decimal(Vec<u128>),
    Packed(Packing, Vec<u128>),
    Text(BytesKeys),
    Binary(BytesKeys),
    Rows(RowCodec, BytesKeys),
    /// Rows that are known by number alone, see [`GroupTable::without_index`].
    Unindexed(RowCodec, BytesKeys),
}

impl Keys {
    fn new(types: &[DataType]) -> Result<Self, StateError> {
        Ok(match types {
            [] => Self::Nothing,
            [DataType::Decimal128(..)] => Self::Decimal(Vec::new()),
            [DataType::Utf8View] => Self::Text(BytesKeys::default()),
            [DataType::BinaryView] => Self::Binary(BytesKeys::default()),
            [ty] if fixed_width::width_bits(ty).is_some() => Self::Word(Vec::new()),
            types => match Packing::of(types) {
                Some(packing) => Self::Packed(packing, Vec::new()),
                None => Self::Rows(RowCodec::new(types)?, BytesKeys::default()),
            },
        })
    }

    fn memory_size(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Word(words) => words.capacity() * size_of::<i64>(),
            Self::Decimal(words) | Self::Packed(_, words) => words.capacity() * size_of::<u128>(),
            Self::Text(keys) | Self::Binary(keys) | Self::Rows(_, keys) | Self::Unindexed(_, keys) => {
                keys.memory_size()
            }
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Nothing => {}
            Self::Word(words) => *words = Vec::new(),
            Self::Decimal(words) | Self::Packed(_, words) => *words = Vec::new(),
            Self::Text(keys) | Self::Binary(keys) | Self::Rows(_, keys) | Self::Unindexed(_, keys) => {
                keys.clear();
            }
        }
    }
}

impl GroupTable {
    /// A table over key columns of these Arrow types.
    pub fn new(types: &[DataType]) -> Result<Self, StateError> {
        Ok(Self::with_keys(types, Keys::new(types)?))
    }

    /// A table that compares nothing: `intern` gives every row a number of its own, `find` finds none. It saves the hash
    /// and the index of whole rows where each row is known by its number alone.
    pub fn without_index(types: &[DataType]) -> Result<Self, StateError> {
        let keys = Keys::Unindexed(RowCodec::new(types)?, BytesKeys::default());
        Ok(Self::with_keys(types, keys))
    }

    fn with_keys(types: &[DataType], keys: Keys) -> Self {
        Self {
            types: types.to_vec(),
            keys,
            slots: Slots::new(),
            live: LiveGroups::default(),
            null_group: None,
            dirty: DirtyBlocks::default(),
            created: Vec::new(),
            hashes: Vec::new(),
            left: Vec::new(),
            use_clock: None,
        }
    }

    /// From now on, remembers which groups are looked up, for [`GroupTable::least_used`].
    pub fn track_use(&mut self) {
        self.use_clock = Some(UseClock::default());
    }

    /// Up to `count` groups that were not looked up lately.
    pub fn least_used(&mut self, count: usize) -> Vec<u32> {
        match &mut self.use_clock {
            Some(clock) => clock.least_used(&self.live, count),
            None => Vec::new(),
        }
    }

    /// Puts the group number of every row into `groups` (cleared first); unknown keys get new groups, see
    /// [`GroupTable::created`].
    pub fn intern(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        groups: &mut Vec<u32>,
    ) -> Result<(), StateError> {
        if self.live.end() + rows > GROUPS_MAX {
            return Err(StateError::Limit {
                limit: "groups of an operator instance",
                value: GROUPS_MAX,
            });
        }
        self.lookup(columns, rows, groups, true)
    }

    /// Puts the group number of every row into `groups` (cleared first), [`NO_GROUP`] for unknown keys.
    pub fn find(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        groups: &mut Vec<u32>,
    ) -> Result<(), StateError> {
        self.lookup(columns, rows, groups, false)
    }

    /// The groups that the last `intern` made, in order of first appearance.
    pub fn created(&self) -> &[u32] {
        &self.created
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the highest group number ever used: the size that arrays indexed by group need.
    pub fn end(&self) -> usize {
        self.live.end()
    }

    pub fn contains(&self, group: u32) -> bool {
        self.live.contains(group)
    }

    /// The groups, ascending.
    pub fn groups(&self) -> impl Iterator<Item = u32> + '_ {
        self.live.iter(0..self.live.end())
    }

    /// The groups with numbers in `range`, ascending: for emission in portions.
    pub fn groups_in(&self, range: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        self.live.iter(range)
    }

    /// Removes a group; a later one reuses its number. The group must exist.
    pub fn remove(&mut self, group: u32) -> Result<(), StateError> {
        if !self.live.contains(group) {
            debug_assert!(false, "removing group {group}, which does not exist");
            return Ok(());
        }
        if self.null_group == Some(group) {
            self.null_group = None;
        } else if let Some(hash) = self.stored_hash(group)? {
            self.slots.remove(hash, group);
        }
        if let Keys::Text(keys) | Keys::Binary(keys) | Keys::Rows(_, keys) | Keys::Unindexed(_, keys) =
            &mut self.keys
        {
            keys.remove(group);
        }
        self.live.release(group);
        self.dirty.mark(group);
        Ok(())
    }

    /// Removes everything and frees the memory.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.slots.clear();
        self.live.clear();
        self.dirty.clear();
        self.null_group = None;
        (self.created, self.hashes, self.left) = (Vec::new(), Vec::new(), Vec::new());
    }

    /// The next snapshot carries every block: its name differs from that of the previous snapshot.
    pub fn mark_all_changed(&mut self) {
        self.dirty.clear();
    }

    /// Bytes held for groups in use. Arrays that have room for more groups count as far as they are used: the rest was
    /// never touched, or serves the next groups.
    pub fn used_bytes(&self) -> usize {
        share_in_use(self.memory_size(), self)
    }

    /// Bytes held.
    pub fn memory_size(&self) -> usize {
        self.keys.memory_size()
            + self.slots.memory_size()
            + self.live.memory_size()
            + self.hashes.capacity() * 8
    }

    /// Types of the key columns.
    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// The key columns of these groups, in this order.
    pub fn keys(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, StateError> {
        match &self.keys {
            Keys::Nothing => Ok(Vec::new()),
            Keys::Word(words) => {
                let values = groups.iter().map(|g| words[*g as usize]).collect();
                let column = fixed_width::array(&self.types[0], values, self.null_mask(groups));
                Ok(vec![
                    column.ok_or_else(|| StateError::KeyType(self.types[0].clone()))?,
                ])
            }
            Keys::Decimal(words) => {
                let values: ScalarBuffer<i128> = groups.iter().map(|g| words[*g as usize] as i128).collect();
                let column = Decimal128Array::new(values, self.null_mask(groups));
                Ok(vec![Arc::new(column.with_data_type(self.types[0].clone()))])
            }
            Keys::Packed(packing, words) => {
                let words: Vec<u128> = groups.iter().map(|g| words[*g as usize]).collect();
                packing.unpack(&words)
            }
            Keys::Text(keys) => {
                let (views, buffer) = self.gather_views(keys, groups);
                Ok(vec![Arc::new(StringViewArray::try_new(
                    views,
                    buffer,
                    self.null_mask(groups),
                )?)])
            }
            Keys::Binary(keys) => {
                let (views, buffer) = self.gather_views(keys, groups);
                Ok(vec![Arc::new(BinaryViewArray::try_new(
                    views,
                    buffer,
                    self.null_mask(groups),
                )?)])
            }
            Keys::Rows(codec, keys) | Keys::Unindexed(codec, keys) => {
                let mut inline = vec![[0u8; 16]; groups.len()];
                codec.decode(&keys.all_bytes(groups, &mut inline))
            }
        }
    }

    /// Some of the key columns of these groups, in this order.
    pub fn keys_at(&self, groups: &[u32], columns: &[usize]) -> Result<Vec<ArrayRef>, StateError> {
        if let Keys::Rows(codec, keys) | Keys::Unindexed(codec, keys) = &self.keys {
            let mut inline = vec![[0u8; 16]; groups.len()];
            return codec.decode_some(&keys.all_bytes(groups, &mut inline), columns);
        }
        let keys = self.keys(groups)?;
        Ok(columns.iter().map(|column| Arc::clone(&keys[*column])).collect())
    }

    /// The hashes of the keys of these groups (`state::hash`).
    pub(crate) fn hashes(&self, groups: &[u32]) -> Result<Vec<u64>, StateError> {
        let (mut all, mut some) = (Vec::with_capacity(groups.len()), Vec::new());
        for portion in groups.chunks(GROUPS_PER_BLOCK) {
            hash::hash_columns(&self.keys(portion)?, portion.len(), &mut some)?;
            all.extend_from_slice(&some);
        }
        Ok(all)
    }

    fn null_mask(&self, groups: &[u32]) -> Option<NullBuffer> {
        let null_group = self.null_group?;
        let nulls = NullBuffer::new(groups.iter().map(|g| *g != null_group).collect());
        (nulls.null_count() > 0).then_some(nulls)
    }

    /// Views for an array of its own: long keys are copied, so that results do not hold on to state.
    fn gather_views(
        &self,
        keys: &BytesKeys,
        groups: &[u32],
    ) -> (ScalarBuffer<u128>, Vec<arrow_buffer::Buffer>) {
        let mut data: Vec<u8> = Vec::new();
        let view = |group: &u32| {
            let view = keys.view(*group);
            if view as u32 as usize <= hash::VIEW_INLINE_BYTES {
                return view;
            }
            let mut unused = [0; 16];
            let offset = data.len() as u128;
            data.extend_from_slice(keys.bytes(*group, &mut unused));
            view & u128::from(u64::MAX) | offset << 96
        };
        let views: ScalarBuffer<u128> = groups.iter().map(view).collect();
        let buffers = if data.is_empty() {
            Vec::new()
        } else {
            vec![data.into()]
        };
        (views, buffers)
    }

    /// The hash under which a group is in the index; `None`: it is not.
    fn stored_hash(&self, group: u32) -> Result<Option<u64>, StateError> {
        let index = group as usize;
        Ok(match &self.keys {
            Keys::Nothing | Keys::Unindexed(..) => None,
            Keys::Word(words) => Some(hash::hash_u64(words[index] as u64)),
            Keys::Decimal(words) | Keys::Packed(_, words) => Some(hash::hash_u128(words[index])),
            Keys::Text(keys) | Keys::Binary(keys) | Keys::Rows(_, keys) => {
                Some(hash_stored_bytes(keys.bytes(group, &mut [0; 16])))
            }
        })
    }

    fn lookup(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        groups: &mut Vec<u32>,
        insert: bool,
    ) -> Result<(), StateError> {
        self.check_columns(columns, rows)?;
        self.created.clear();
        groups.clear();
        groups.resize(rows, NO_GROUP);
        let nulls = match columns {
            [column] => column.nulls().filter(|n| n.null_count() > 0),
            _ => None,
        };
        let mut index = Index {
            slots: &mut self.slots,
            live: &mut self.live,
            null_group: &mut self.null_group,
            dirty: &mut self.dirty,
            created: &mut self.created,
            hashes: &mut self.hashes,
            left: &mut self.left,
            insert,
        };
        match &mut self.keys {
            Keys::Nothing => index.single_group(groups),
            Keys::Word(keys) => {
                let words = fixed_width::bits(columns[0].as_ref()).unwrap_or(Cow::Borrowed(&[]));
                index.hash_words(&words, |w| hash::hash_u64(*w as u64));
                index.words(keys, &words, nulls, groups);
            }
            Keys::Decimal(keys) => {
                let words = decimal_words(&columns[0]).unwrap_or_default();
                index.hash_words(&words, |w| hash::hash_u128(*w));
                index.words(keys, &words, nulls, groups);
            }
            Keys::Packed(packing, keys) => {
                let words = packing.pack(columns, rows)?;
                index.hash_words(&words, |w| hash::hash_u128(*w));
                index.words(keys, &words, None, groups);
            }
            Keys::Text(keys) => index.bytes(keys, columns[0].as_string_view(), groups),
            Keys::Binary(keys) => index.bytes(keys, columns[0].as_binary_view(), groups),
            Keys::Rows(codec, keys) => index.bytes(keys, &codec.encode(columns, rows)?, groups),
            Keys::Unindexed(codec, keys) if insert => {
                index.append(keys, codec.encode(columns, rows)?, groups);
            }
            Keys::Unindexed(..) => {}
        }
        if let Some(clock) = &mut self.use_clock {
            clock.mark(groups);
        }
        Ok(())
    }

    fn check_columns(&self, columns: &[ArrayRef], rows: usize) -> Result<(), StateError> {
        let fits = columns.len() == self.types.len()
            && columns
                .iter()
                .zip(&self.types)
                .all(|(c, ty)| fits(ty, c.data_type()) && c.len() == rows);
        if fits {
            return Ok(());
        }
        Err(shape_error(
            &self.types,
            columns.iter().map(|column| column.data_type()),
        ))
    }
}

/// The part of `bytes` of arrays indexed by group that belongs to groups in use.
pub fn share_in_use(bytes: usize, table: &GroupTable) -> usize {
    (bytes as u128 * table.len() as u128 / table.end().max(1) as u128) as usize
}

fn hash_stored_bytes(bytes: &[u8]) -> u64 {
    if bytes.len() <= hash::VIEW_INLINE_BYTES {
        hash::hash_u128(arrow_array::builder::make_view(bytes, 0, 0))
    } else {
        hash::hash_bytes(bytes)
    }
}

/// The parts of a table that a lookup changes besides the keys.
struct Index<'a> {
    slots: &'a mut Slots,
    live: &'a mut LiveGroups,
    null_group: &'a mut Option<u32>,
    dirty: &'a mut DirtyBlocks,
    created: &'a mut Vec<u32>,
    hashes: &'a mut Vec<u64>,
    left: &'a mut Vec<u32>,
    insert: bool,
}

impl Index<'_> {
    fn single_group(&mut self, groups: &mut [u32]) {
        if self.live.len() == 0 && self.insert && !groups.is_empty() {
            self.create();
        }
        if self.live.len() == 1 {
            groups.fill(0);
        }
    }

    fn hash_words<W>(&mut self, words: &[W], hash: impl Fn(&W) -> u64) {
        self.hashes.clear();
        self.hashes.extend(words.iter().map(hash));
    }

    fn create(&mut self) -> u32 {
        let group = self.live.allocate();
        self.dirty.mark(group);
        self.created.push(group);
        group
    }

    fn words<W: Copy + PartialEq + Default>(
        &mut self,
        keys: &mut Vec<W>,
        words: &[W],
        nulls: Option<&NullBuffer>,
        groups: &mut [u32],
    ) {
        let input = FixedInput { keys, words, nulls };
        self.slots.probe(self.hashes, &input, groups, self.left);
        let left = std::mem::take(self.left);
        for row in left.iter().map(|row| *row as usize) {
            let input = FixedInput { keys, words, nulls };
            groups[row] = match self.search(row, &input) {
                NO_GROUP if self.insert => {
                    let group = self.create_for(row, input.is_apart(row));
                    if group as usize == keys.len() {
                        keys.push(words[row]);
                    } else {
                        keys[group as usize] = words[row];
                    }
                    group
                }
                group => group,
            };
        }
        *self.left = left;
    }

    fn bytes<R: ByteRows>(&mut self, keys: &mut BytesKeys, rows: &R, groups: &mut [u32]) {
        let hash = |row| {
            let view = rows.view(row);
            let is_short = view as u32 as usize <= hash::VIEW_INLINE_BYTES;
            if is_short {
                hash::hash_u128(view)
            } else {
                hash::hash_bytes(rows.bytes(row))
            }
        };
        self.hashes.clear();
        self.hashes.extend((0..groups.len()).map(hash));
        self.slots
            .probe(self.hashes, &BytesInput { keys, rows }, groups, self.left);
        let left = std::mem::take(self.left);
        for row in left.iter().map(|row| *row as usize) {
            let is_null = rows.is_null(row);
            groups[row] = match self.search(row, &BytesInput { keys, rows }) {
                NO_GROUP if self.insert => {
                    let group = self.create_for(row, is_null);
                    if is_null {
                        keys.store_nothing(group);
                    } else {
                        keys.store(group, rows.bytes(row));
                    }
                    group
                }
                group => group,
            };
        }
        *self.left = left;
    }

    /// Every row gets a number of its own.
    fn append(&mut self, keys: &mut BytesKeys, rows: EncodedRows, groups: &mut [u32]) {
        groups.iter_mut().for_each(|group| *group = self.create());
        keys.store_all(groups, rows);
    }

    fn search<K: KeyRows>(&self, row: usize, keys: &K) -> u32 {
        if keys.is_apart(row) {
            return self.null_group.unwrap_or(NO_GROUP);
        }
        self.slots.search(self.hashes[row], row, keys)
    }

    fn create_for(&mut self, row: usize, is_null: bool) -> u32 {
        let group = self.create();
        if is_null {
            *self.null_group = Some(group);
        } else {
            self.slots.insert(self.hashes[row], group);
        }
        group
    }
}

impl<T: ByteViewType> ByteRows for GenericByteViewArray<T> {
    #[inline]
    fn is_null(&self, row: usize) -> bool {
        Array::is_null(self, row)
    }

    #[inline]
    fn view(&self, row: usize) -> u128 {
        self.views()[row]
    }

    #[inline]
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row).as_ref()
    }
}
