//! The buffer of connector `upsert-kafka`, which writes only the last of many changes of a key.

use std::collections::HashMap;

use arrow_array::BooleanArray;
use millstream_dataflow::DataflowError;
use millstream_types::{Batch, RowKind};

use super::upsert_options::BufferFlush;

/// The newest row of each key, in the order of the keys' arrival.
pub(super) struct UpsertBuffer {
    flush: BufferFlush,
    rows: Vec<Batch>,
    /// Positions in `rows` by encoded key; only for lookups, never iterated.
    places: HashMap<Box<[u8]>, usize>,
    flushed_ms: i64,
}

impl UpsertBuffer {
    pub fn new(flush: BufferFlush, now_ms: i64) -> Self {
        Self {
            flush,
            rows: Vec::new(),
            places: HashMap::new(),
            flushed_ms: now_ms,
        }
    }

    /// Buffers a row. Returns whether the buffer must be written.
    pub fn put(&mut self, key: &[u8], row: Batch) -> bool {
        match self.places.get(key) {
            Some(place) => self.rows[*place] = row,
            None => {
                self.places.insert(key.into(), self.rows.len());
                self.rows.push(row);
            }
        }
        self.rows.len() >= self.flush.max_rows
    }

    /// Takes all rows.
    pub fn take(&mut self, now_ms: i64) -> Result<Option<Batch>, DataflowError> {
        self.flushed_ms = now_ms;
        self.places.clear();
        Ok(Batch::concat(&std::mem::take(&mut self.rows))?)
    }

    /// When the buffer must be written; `None` if it is empty.
    pub fn due_ms(&self) -> Option<i64> {
        let due_ms = self.flushed_ms.saturating_add(self.flush.interval_ms);
        (!self.rows.is_empty()).then_some(due_ms)
    }
}

/// The rows that an upsert table needs: it skips `-U` rows.
pub(super) fn without_update_before(batch: Batch) -> Result<Batch, DataflowError> {
    let Some(kinds) = &batch.kinds else {
        return Ok(batch);
    };
    let kept: BooleanArray = kinds
        .iter()
        .map(|kind| Some(*kind != RowKind::UpdateBefore))
        .collect();
    Ok(batch.filter(&kept)?)
}

/// The same rows as plain ones.
pub(super) fn without_kinds(batch: &Batch) -> Batch {
    Batch {
        kinds: None,
        ..batch.clone()
    }
}
