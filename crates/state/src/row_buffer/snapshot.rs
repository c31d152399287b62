//! Freezing a row buffer and taking it back.
//!
//! | block | columns |
//! |---|---|
//! | `prefix/N`, N the number of the first row | numbers (UInt64, or Null: without gaps from N on), times (Int64, or Null: all 0), row kinds (UInt8, or Null: all insertions), then the row's columns |
//! | `prefix/gone`, if rows of unchanged segments are gone | N (UInt64), one bit for each row of the segment, set: gone (BinaryView, words of 64 bits, little-endian) |

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, Int64Array, NullArray, UInt8Array, UInt32Array, UInt64Array,
};
use millstream_types::{Batch, RowKind};

use super::{RowBuffer, Segment};
use crate::blocks::{SnapshotScope, StateBlocks, StoredBytes};
use crate::columns::{decode_columns, encode_columns};
use crate::error::StateError;
use crate::hash;

/// Name of the block of bits, behind the prefix.
const GONE: &str = "gone";
/// Columns before those of the rows.
const META_COLUMNS: usize = 3;

/// Which rows of a snapshot belong to an instance: those whose key is in its key groups; without key columns all
/// belong to the instance that owns the first key group.
#[derive(Clone, Debug)]
pub struct KeyOwner<'a> {
    pub keys: &'a [usize],
    pub groups: Range<u16>,
    pub max_parallelism: u16,
}

impl KeyOwner<'_> {
    /// The rows that the instance owns; `None`: all.
    pub fn owned(&self, columns: &[ArrayRef], rows: usize) -> Result<Option<Vec<u32>>, StateError> {
        if self.keys.is_empty() {
            return Ok((self.groups.start > 0).then(Vec::new));
        }
        let keys: Vec<ArrayRef> = self.keys.iter().map(|key| Arc::clone(&columns[*key])).collect();
        let mut groups = Vec::new();
        hash::key_groups(&keys, rows, self.max_parallelism, &mut groups)?;
        let own = |row: &u32| self.groups.contains(&groups[*row as usize]);
        let own: Vec<u32> = (0..rows as u32).filter(own).collect();
        Ok((own.len() < rows).then_some(own))
    }
}

/// Restored rows, for the data that an operator keeps next to them.
pub struct RestoredRows<'a> {
    /// Which of the parts they come from, and their numbers there.
    pub part: usize,
    pub old_numbers: &'a [u64],
    /// Their numbers now.
    pub numbers: Range<u64>,
    pub batch: &'a Batch,
    pub times: &'a [i64],
}

impl RowBuffer {
    /// Adds the rows to `out`, in blocks whose names begin with `prefix` and a slash.
    pub fn snapshot(
        &mut self,
        prefix: &str,
        scope: &SnapshotScope,
        out: &mut StateBlocks,
    ) -> Result<(), StateError> {
        let (mut firsts, mut bits): (Vec<u64>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        let numbers: Vec<u64> = self.segments.keys().copied().collect();
        for number in numbers {
            let Some(mut segment) = self.segments.remove(&number) else {
                continue;
            };
            let held = segment
                .held_by
                .is_some_and(|by| scope.base.is_some_and(|base| by <= base));
            if !held && !segment.gone().is_empty() && !segment.is_on_disk() {
                // It is written anyway: without what is gone.
                self.bytes -= segment.bytes();
                segment = Segment::merged(&self.types, &[segment])?;
                self.bytes += segment.bytes();
            }
            let name = format!("{prefix}/{}", segment.first());
            if held {
                out.push_unchanged(name);
            } else {
                segment.held_by = Some(scope.checkpoint);
                match segment.on_disk() {
                    Some(block) => out.push_stored(name, block.clone()),
                    None => out.push(name, encode(&segment)?),
                }
            }
            if !segment.gone().is_empty() {
                firsts.push(segment.first());
                bits.push(
                    segment
                        .gone()
                        .iter()
                        .flat_map(|word| word.to_le_bytes())
                        .collect(),
                );
            }
            self.segments.insert(segment.first(), segment);
        }
        if !firsts.is_empty() {
            let rows = firsts.len();
            let columns: [ArrayRef; 2] = [
                Arc::new(UInt64Array::from(firsts)),
                Arc::new(BinaryViewArray::from_iter_values(bits)),
            ];
            out.push(format!("{prefix}/{GONE}"), encode_columns(&columns, rows)?);
        }
        Ok(())
    }

    /// Adds the rows of snapshots of one or more instances that `owner` owns, in their order. They get new numbers.
    /// Takes every block below `prefix`, also those of several buffers with longer prefixes.
    pub fn restore(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        owner: &KeyOwner<'_>,
        mut restored: impl FnMut(RestoredRows<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let prefix = format!("{prefix}/");
        for (part, blocks) in parts.iter().enumerate() {
            let mut gone: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            for block in blocks.with_prefix(&prefix) {
                let (name, bytes) = block?;
                if let Some(buffer) = name.strip_suffix(GONE) {
                    gone.extend(decode_gone(buffer, name, &bytes)?);
                }
            }
            for block in blocks.with_prefix(&prefix) {
                let (name, bytes) = block?;
                if name.ends_with(GONE) {
                    continue;
                }
                let segment = decode(name, &bytes, gone.get(name).map_or(&[], Vec::as_slice))?;
                let own = owner.owned(&segment.batch.columns, segment.batch.rows)?;
                let segment = match own {
                    Some(rows) => segment.take(&rows)?,
                    None => segment,
                };
                if segment.batch.rows == 0 {
                    continue;
                }
                let times = segment.has_times.then_some(segment.times.as_slice());
                let numbers = self.push(&segment.batch, times)?;
                restored(RestoredRows {
                    part,
                    old_numbers: &segment.numbers,
                    numbers,
                    batch: &segment.batch,
                    times: &segment.times,
                })?;
            }
        }
        Ok(())
    }
}

/// The columns in the block of a segment.
pub(super) fn columns_of(block: &StoredBytes) -> Result<Vec<ArrayRef>, StateError> {
    let (mut columns, _) = decode_columns("rows on disk", &block.load()?)?;
    if columns.len() < META_COLUMNS {
        return Err(StateError::corrupt("rows on disk", "columns are missing"));
    }
    Ok(columns.split_off(META_COLUMNS))
}

/// The block of a segment in memory.
pub(super) fn encode(segment: &Segment) -> Result<Vec<u8>, StateError> {
    let rows = segment.stored();
    let nothing = || -> ArrayRef { Arc::new(NullArray::new(rows)) };
    let numbers = segment
        .numbers()
        .map(|n| Arc::new(UInt64Array::from(n.to_vec())) as ArrayRef);
    let times = || Int64Array::from_iter_values((0..rows).map(|place| segment.time(place)));
    let kinds = || UInt8Array::from_iter_values((0..rows).map(|place| segment.kind(place) as u8));
    let mut columns: Vec<ArrayRef> = vec![
        numbers.unwrap_or_else(nothing),
        if segment.has_times() {
            Arc::new(times())
        } else {
            nothing()
        },
        if segment.has_kinds() {
            Arc::new(kinds())
        } else {
            nothing()
        },
    ];
    columns.extend(segment.columns().iter().cloned());
    encode_columns(&columns, rows)
}

/// Rows of a block.
struct Decoded {
    batch: Batch,
    numbers: Vec<u64>,
    times: Vec<i64>,
    has_times: bool,
}

impl Decoded {
    fn take(self, rows: &[u32]) -> Result<Self, StateError> {
        Ok(Self {
            batch: self.batch.take(&UInt32Array::from(rows.to_vec()))?,
            numbers: rows.iter().map(|row| self.numbers[*row as usize]).collect(),
            times: rows.iter().map(|row| self.times[*row as usize]).collect(),
            has_times: self.has_times,
        })
    }
}

/// The rows of a block that are not gone.
fn decode(name: &str, bytes: &[u8], gone: &[u8]) -> Result<Decoded, StateError> {
    let corrupt = |reason: &str| StateError::corrupt(name, reason);
    let (columns, rows) = decode_columns(name, bytes)?;
    let (meta, columns) = columns
        .split_at_checked(META_COLUMNS)
        .ok_or_else(|| corrupt("numbers, times and row kinds are missing"))?;
    let first = name
        .rsplit('/')
        .next()
        .and_then(|number| number.parse::<u64>().ok());
    let first = first.ok_or_else(|| corrupt("its name does not end in a number"))?;
    let numbers: Vec<u64> = match meta[0].as_primitive_opt::<UInt64Type>() {
        Some(numbers) => numbers.values().to_vec(),
        None => (first..first.saturating_add(rows as u64)).collect(),
    };
    let times = meta[1].as_primitive_opt::<Int64Type>();
    let kind = |code: &u8| match code {
        0 => Ok(RowKind::Insert),
        1 => Ok(RowKind::UpdateBefore),
        2 => Ok(RowKind::UpdateAfter),
        3 => Ok(RowKind::Delete),
        _ => Err(corrupt("a row kind is unknown")),
    };
    let kinds = match meta[2].as_primitive_opt::<UInt8Type>() {
        Some(kinds) => Some(kinds.values().iter().map(kind).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let columns = columns.to_vec();
    let decoded = Decoded {
        batch: match kinds {
            Some(kinds) => Batch::changes(columns, kinds),
            None => Batch::inserts(columns, rows),
        },
        has_times: times.is_some(),
        times: times.map_or_else(|| vec![0; rows], |times| times.values().to_vec()),
        numbers,
    };
    if decoded.numbers.len() != rows || gone.len() * 8 > rows.next_multiple_of(64) {
        return Err(corrupt("it has another number of rows than said"));
    }
    if gone.is_empty() {
        return Ok(decoded);
    }
    let is_gone = |row: &u32| {
        let row = *row as usize;
        gone.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    };
    let left: Vec<u32> = (0..rows as u32).filter(|row| !is_gone(row)).collect();
    decoded.take(&left)
}

/// The bits of a buffer's segments by the names of their blocks.
fn decode_gone(buffer: &str, name: &str, bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, StateError> {
    let (columns, rows) = decode_columns(name, bytes)?;
    let firsts = columns.first().and_then(|c| c.as_primitive_opt::<UInt64Type>());
    let bits = columns.get(1).and_then(|c| c.as_binary_view_opt());
    let (Some(firsts), Some(bits)) = (firsts, bits) else {
        return Err(StateError::corrupt(name, "segments or their bits are missing"));
    };
    let entry = |row: usize| (format!("{buffer}{}", firsts.value(row)), bits.value(row).to_vec());
    Ok((0..rows.min(bits.len())).map(entry).collect())
}
