//! State of user types by key: slots for keys, and one column of values for each state that a program declares.
//!
//! A key is looked up once for each record; its slot number then indexes every column, so reading a state costs no second
//! lookup. Values are kept as what they are and encoded when a checkpoint is taken, block by block of slots and only where
//! something changed. The store knows no timers, no windows and no current key: those belong to the operators.
//!
//! Layout of a block `<prefix>/<number>`, integers little-endian, `bytes` = `u32` length and content:
//!
//! ```text
//! u8 version (1)
//! u32 columns, each: bytes name, u8 kind, u32 version of the values
//! u32 entries, each: u32 slot, u64 hash, bytes key, and for each column bytes value (length u32::MAX: none)
//! ```
//!
//! Keys and values are MessagePack with named fields, so a struct may gain fields with `#[serde(default)]`, lose fields
//! and reorder them. Any other change takes a new version and a migration, see [`Declaration`].

mod block;
mod codec;
mod column;
mod slots;

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blocks::{SnapshotScope, StateBlocks};
use crate::error::StateError;
use crate::group_table::{DirtyBlocks, GROUPS_PER_BLOCK, block_name};
use crate::key_group;

use block::{BlockReader, BlockWriter};
use column::RawColumn;

pub use codec::{decode_value, encode_value};
pub use column::{Column, StateColumn, TimeToLive};
pub use slots::{KeySlots, NO_SLOT};

/// What can be kept as state: encoded by serde, cloned for consumers.
pub trait StateValue: Serialize + DeserializeOwned + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Send + 'static> StateValue for T {}

/// Decodes a value that an older version of the program has written.
pub type Migration<C> = Box<dyn Fn(&[u8]) -> Result<C, StateError> + Send>;

/// A state that a program declares.
pub struct Declaration<C> {
    pub name: String,
    /// Tells a value from a list or a map, so that one is not read as the other.
    pub kind: u8,
    pub version: u32,
    /// From older versions.
    pub migrations: Vec<(u32, Migration<C>)>,
    pub time_to_live: Option<TimeToLive>,
}

struct Named {
    name: String,
    kind: u8,
    version: u32,
    column: Box<dyn StateColumn>,
    /// Declared by this program; otherwise it was found in a checkpoint and is carried along.
    declared: bool,
}

/// The new slot of each old slot of one part of a snapshot; those of other instances are not in it.
pub type SlotMap = BTreeMap<u32, u32>;

/// The columns of all states of an operator, without their keys.
#[derive(Default)]
pub struct StateColumns {
    columns: Vec<Named>,
    dirty: DirtyBlocks,
}

impl StateColumns {
    /// Adds a state; returns its number.
    pub fn declare<C: StateValue>(&mut self, declaration: Declaration<C>) -> Result<usize, StateError> {
        if self
            .columns
            .iter()
            .any(|c| c.declared && c.name == declaration.name)
        {
            return Err(StateError::Shape {
                expected: "states with different names".to_owned(),
                found: format!("two states named '{}'", declaration.name),
            });
        }
        self.columns.push(Named {
            name: declaration.name,
            kind: declaration.kind,
            version: declaration.version,
            column: Box::new(Column::<C>::new(
                declaration.version,
                declaration.migrations,
                declaration.time_to_live,
            )),
            declared: true,
        });
        Ok(self.columns.len() - 1)
    }

    /// The values of a declared state. `None` if the number or the type is not what was declared.
    #[inline]
    pub fn column<C: StateValue>(&mut self, state: usize) -> Option<&mut Column<C>> {
        let column = self.columns.get_mut(state)?.column.as_mut() as &mut dyn Any;
        column.downcast_mut::<Column<C>>()
    }

    /// Something of this slot changed.
    #[inline]
    pub fn mark(&mut self, slot: u32) {
        self.dirty.mark(slot);
    }

    /// Whether no state has a value for the slot.
    pub fn is_empty_at(&self, slot: u32) -> bool {
        self.columns.iter().all(|named| !named.column.has(slot))
    }

    fn clear(&mut self, slot: u32) {
        self.columns.iter_mut().for_each(|named| named.column.clear(slot));
        self.dirty.mark(slot);
    }

    /// Drops values whose time to live is over.
    pub fn expire(&mut self, now_ms: i64) {
        for named in &mut self.columns {
            let dirty = &mut self.dirty;
            named.column.expire(now_ms, &mut |slot| dirty.mark(slot));
        }
    }

    fn memory_size(&self) -> usize {
        self.columns.iter().map(|named| named.column.memory_size()).sum()
    }

    /// The column of a state in a checkpoint; one that the program does not declare is carried along.
    fn column_of(&mut self, name: &str, kind: u8, version: u32) -> Result<usize, StateError> {
        if let Some(found) = self.columns.iter().position(|c| c.name == name) {
            if self.columns[found].kind != kind {
                return Err(StateError::Shape {
                    expected: format!("state '{name}' of another kind"),
                    found: format!("state '{name}'"),
                });
            }
            return Ok(found);
        }
        self.columns.push(Named {
            name: name.to_owned(),
            kind,
            version,
            column: Box::new(RawColumn::default()),
            declared: false,
        });
        Ok(self.columns.len() - 1)
    }
}

/// See the module's documentation.
pub struct KeyedState<K> {
    pub slots: KeySlots<K>,
    pub columns: StateColumns,
}

impl<K: StateValue + Eq> KeyedState<K> {
    pub fn new() -> Self {
        Self {
            slots: KeySlots::new(),
            columns: StateColumns::default(),
        }
    }

    /// The slot of a key, a new one if it is unknown.
    #[inline]
    pub fn intern(&mut self, hash: u64, is: impl Fn(&K) -> bool, make: impl FnOnce() -> K) -> u32 {
        self.slots.intern(hash, is, make)
    }

    /// Removes a key with all its values.
    pub fn remove(&mut self, slot: u32) {
        self.columns.clear(slot);
        self.slots.remove(slot);
    }

    /// Bytes held, without what values point to.
    pub fn memory_size(&self) -> usize {
        self.slots.memory_size() + self.columns.memory_size()
    }

    /// Adds blocks named after `prefix`.
    pub fn snapshot(
        &mut self,
        prefix: &str,
        scope: &SnapshotScope,
        out: &mut StateBlocks,
    ) -> Result<(), StateError> {
        for block in 0..self.slots.end().div_ceil(GROUPS_PER_BLOCK) {
            let name = block_name(prefix, block);
            if !self.columns.dirty.freeze(block, scope) {
                out.push_unchanged(name);
                continue;
            }
            let range = block * GROUPS_PER_BLOCK..(block + 1) * GROUPS_PER_BLOCK;
            out.push(name, self.encode(range)?);
        }
        Ok(())
    }

    fn encode(&self, range: Range<usize>) -> Result<Vec<u8>, StateError> {
        let mut writer = BlockWriter::new();
        let named = &self.columns.columns;
        let headers = named.iter().map(|c| (c.name.as_str(), c.kind, c.version));
        writer.columns(headers);
        for slot in self.slots.iter(range) {
            let Some(key) = self.slots.key(slot) else { continue };
            writer.entry(slot, self.slots.hash(slot), &encode_value(key)?);
            for named in named {
                writer.value(|bytes| named.column.encode(slot, bytes))?;
            }
        }
        Ok(writer.finish())
    }

    /// Restores what `snapshot` of several instances returned, keeping the keys of these key groups. `hash_of` is the hash by
    /// which keys are found from now on; it must be the one that the snapshot was taken with.
    pub fn restore(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        groups: Range<u16>,
        max_parallelism: u16,
        hash_of: impl Fn(&K) -> u64,
    ) -> Result<Vec<SlotMap>, StateError> {
        let mut maps = Vec::with_capacity(parts.len());
        let prefix = format!("{prefix}/");
        for part in parts {
            let mut map = SlotMap::new();
            for block in part.with_prefix(&prefix) {
                let (name, bytes) = block?;
                self.restore_block(name, &bytes, &groups, max_parallelism, &hash_of, &mut map)?;
            }
            maps.push(map);
        }
        Ok(maps)
    }

    fn restore_block(
        &mut self,
        name: &str,
        bytes: &[u8],
        groups: &Range<u16>,
        max_parallelism: u16,
        hash_of: &impl Fn(&K) -> u64,
        map: &mut SlotMap,
    ) -> Result<(), StateError> {
        let mut reader = BlockReader::new(name, bytes)?;
        let mut columns = Vec::new();
        for _ in 0..reader.count()? {
            let (state, kind, version) = reader.column()?;
            columns.push((self.columns.column_of(state, kind, version)?, version));
        }
        for _ in 0..reader.count()? {
            let (old, hash, key) = reader.entry()?;
            let is_own = groups.contains(&key_group::of_hash(hash, max_parallelism));
            let slot = if is_own {
                let key: K = decode_value(name, key)?;
                if hash_of(&key) != hash {
                    let reason = "keys are hashed otherwise than when it was written";
                    return Err(StateError::corrupt(name, reason));
                }
                let slot = self.slots.insert(hash, key);
                self.columns.mark(slot);
                map.insert(old, slot);
                slot
            } else {
                NO_SLOT
            };
            for (column, version) in &columns {
                let value = reader.value()?;
                if let Some(value) = value.filter(|_| is_own) {
                    self.columns.columns[*column]
                        .column
                        .decode(slot, value, *version, name)?;
                }
            }
        }
        Ok(())
    }
}

impl<K: StateValue + Eq> Default for KeyedState<K> {
    fn default() -> Self {
        Self::new()
    }
}
