//! The elements of a stream: batches of rows with their kinds, and the control elements in-band with them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_buffer::Buffer;
use arrow_schema::{ArrowError, DataType};
use arrow_select::{concat, filter, take};
use serde::{Deserialize, Serialize};

use crate::records::Records;
use crate::schema::Schema;

/// Kind of a row in a changelog.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum RowKind {
    Insert = 0,
    UpdateBefore = 1,
    UpdateAfter = 2,
    Delete = 3,
}

impl RowKind {
    /// `+I`, `-U`, `+U`, `-D`.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Insert => "+I",
            Self::UpdateBefore => "-U",
            Self::UpdateAfter => "+U",
            Self::Delete => "-D",
        }
    }

    /// Whether the change adds a row (`+I`, `+U`) or retracts one.
    pub const fn is_addition(self) -> bool {
        matches!(self, Self::Insert | Self::UpdateAfter)
    }
}

/// Rows as columns. `kinds` is absent when every row is an insertion.
///
/// - every column has `rows` values and the Arrow type of its logical type ([`crate::arrow_type`]);
/// - `kinds`, if present, has `rows` entries.
#[derive(Clone, Debug)]
pub struct Batch {
    pub columns: Vec<ArrayRef>,
    pub kinds: Option<Arc<[RowKind]>>,
    pub rows: usize,
}

impl Batch {
    /// A batch of insertions.
    pub fn inserts(columns: Vec<ArrayRef>, rows: usize) -> Self {
        debug_assert!(columns.iter().all(|c| c.len() == rows));
        Self {
            columns,
            kinds: None,
            rows,
        }
    }

    /// A changelog batch; a changelog of insertions only is stored without kinds.
    pub fn changes(columns: Vec<ArrayRef>, kinds: Vec<RowKind>) -> Self {
        let rows = kinds.len();
        debug_assert!(columns.iter().all(|c| c.len() == rows));
        let kinds = if kinds.iter().all(|k| *k == RowKind::Insert) {
            None
        } else {
            Some(kinds.into())
        };
        Self { columns, kinds, rows }
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn kind(&self, row: usize) -> RowKind {
        self.kinds.as_ref().map_or(RowKind::Insert, |kinds| kinds[row])
    }

    /// Rows `offset .. offset + length`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            columns: self.columns.iter().map(|c| c.slice(offset, length)).collect(),
            kinds: self.kinds.as_ref().map(|k| k[offset..offset + length].into()),
            rows: length,
        }
    }

    /// The rows where `keep` is true (NULL counts as false).
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        let predicate = filter::FilterBuilder::new(keep).optimize().build();
        let columns: Result<Vec<_>, _> = self.columns.iter().map(|c| predicate.filter(c)).collect();
        let kept = |row: usize| keep.is_valid(row) && keep.value(row);
        let kinds = self.kinds.as_ref().map(|kinds| {
            kinds
                .iter()
                .enumerate()
                .filter(|(row, _)| kept(*row))
                .map(|(_, k)| *k)
                .collect()
        });
        Ok(Self {
            columns: columns?,
            kinds,
            rows: predicate.count(),
        })
    }

    /// The rows at `indices`, in that order.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self, ArrowError> {
        let columns: Result<Vec<_>, _> = self
            .columns
            .iter()
            .map(|c| take::take(c, indices, None))
            .collect();
        Ok(Self {
            columns: columns?,
            kinds: self.kinds_at(indices.values()),
            rows: indices.len(),
        })
    }

    /// The kinds of the rows at `indices`, in that order; `None` if all rows of the batch are insertions.
    pub fn kinds_at(&self, indices: &[u32]) -> Option<Arc<[RowKind]>> {
        let kinds = self.kinds.as_ref()?;
        Some(indices.iter().map(|row| kinds[*row as usize]).collect())
    }

    /// The columns at `indices`, by reference.
    pub fn project(&self, indices: &[usize]) -> Self {
        let columns = indices.iter().map(|&i| Arc::clone(&self.columns[i])).collect();
        Self {
            columns,
            kinds: self.kinds.clone(),
            rows: self.rows,
        }
    }

    /// All rows of `batches` in order; `None` when there are no batches.
    pub fn concat(batches: &[Batch]) -> Result<Option<Self>, ArrowError> {
        let [first, rest @ ..] = batches else {
            return Ok(None);
        };
        if rest.is_empty() {
            return Ok(Some(first.clone()));
        }
        let columns: Result<Vec<_>, _> = (0..first.columns.len())
            .map(|i| {
                let parts: Vec<&dyn Array> = batches.iter().map(|b| b.columns[i].as_ref()).collect();
                concat::concat(&parts)
            })
            .collect();
        let rows = batches.iter().map(|b| b.rows).sum();
        let kinds = batches.iter().any(|b| b.kinds.is_some()).then(|| {
            batches
                .iter()
                .flat_map(|b| (0..b.rows).map(|row| b.kind(row)))
                .collect()
        });
        Ok(Some(Self {
            columns: columns?,
            kinds,
            rows,
        }))
    }

    /// Bytes of the rows, for credits and metrics. A string counts its own bytes, not the buffer that it shares with
    /// other columns and batches; see [`Batch::pinned_bytes`].
    pub fn memory_size(&self) -> usize {
        self.columns.iter().map(referenced_bytes).sum::<usize>() + self.rows
    }

    /// Bytes of the buffers that the string columns keep alive, each buffer once.
    pub fn pinned_bytes(&self) -> usize {
        let mut buffers: Vec<(usize, usize)> = Vec::new();
        for column in &self.columns {
            visit_view_buffers(column, &mut |buffer| {
                buffers.push((buffer.data_ptr().as_ptr() as usize, buffer.capacity()));
            });
        }
        buffers.sort_unstable();
        buffers.dedup();
        buffers.iter().map(|(_, bytes)| bytes).sum()
    }

    /// The same rows with string columns that hold nothing but their own bytes.
    pub fn without_shared_buffers(&self) -> Self {
        Self {
            columns: self.columns.iter().map(compacted).collect(),
            kinds: self.kinds.clone(),
            rows: self.rows,
        }
    }

    /// The Arrow record batch of the columns (kinds are left out).
    pub fn to_record_batch(&self, schema: &Schema) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(Arc::new(schema.to_arrow()), self.columns.clone(), &options)
    }
}

/// Bytes that the rows of a column refer to.
fn referenced_bytes(column: &ArrayRef) -> usize {
    let long = |views: &[u128]| -> usize {
        let length = |view: &u128| *view as u32 as usize;
        let outside = |length: &usize| *length > VIEW_INLINE_BYTES;
        views.iter().map(length).filter(outside).sum::<usize>() + size_of_val(views)
    };
    let nulls = column.nulls().map_or(0, |nulls| nulls.len() / 8);
    nulls
        + match column.data_type() {
            DataType::Utf8View => long(column.as_string_view().views()),
            DataType::BinaryView => long(column.as_binary_view().views()),
            DataType::Boolean => column.len() / 8,
            DataType::Null => 0,
            DataType::Struct(_) => column.as_struct().columns().iter().map(referenced_bytes).sum(),
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                let offsets = list.value_offsets();
                let (start, end) = (offsets[0] as usize, offsets[list.len()] as usize);
                size_of_val(offsets) + referenced_bytes(&list.values().slice(start, end - start))
            }
            ty => match ty.primitive_width() {
                Some(width) => column.len() * width,
                None => column.get_array_memory_size(),
            },
        }
}

/// Longest string that a view holds inside itself.
const VIEW_INLINE_BYTES: usize = 12;

fn visit_view_buffers(column: &ArrayRef, visit: &mut dyn FnMut(&Buffer)) {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().data_buffers().iter().for_each(visit),
        DataType::BinaryView => column.as_binary_view().data_buffers().iter().for_each(visit),
        DataType::Struct(_) => {
            for child in column.as_struct().columns() {
                visit_view_buffers(child, visit);
            }
        }
        DataType::List(_) => visit_view_buffers(column.as_list::<i32>().values(), visit),
        _ => {}
    }
}

/// A string column with its own bytes only; nested ones and others as they are.
fn compacted(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    }
}

/// Event time in milliseconds up to which the stream is complete: no row with a smaller or equal timestamp is on time
/// any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Watermark(pub i64);

impl Watermark {
    /// Before any event.
    pub const MIN: Watermark = Watermark(i64::MIN);
    /// After every event: the end of a bounded input.
    pub const MAX: Watermark = Watermark(i64::MAX);
}

/// Number of a checkpoint of one job, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CheckpointId(pub u64);

/// One element of a stream, in order with the others.
#[derive(Clone, Debug)]
pub enum Element {
    Batch(Batch),
    /// Rows of a user's type; only programs have them.
    Records(Records),
    Watermark(Watermark),
    Barrier(CheckpointId),
    /// The sender has nothing for a while and must not hold back watermarks.
    Idle,
    /// The sender takes part in watermarks again.
    Active,
    EndOfInput,
}
