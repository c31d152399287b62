//! Rows that wait by key before connector `upsert-kafka` writes them: of many changes of a key only the last one is
//! written.

use std::collections::HashMap;

use arrow_array::BooleanArray;
use millstream_dataflow::DataflowError;
use millstream_types::{Batch, RowKind};

use super::upsert_options::BufferFlush;

/// The newest row of each key, in the order in which the keys came.
pub(super) struct UpsertBuffer {
    flush: BufferFlush,
    rows: Vec<Batch>,
    /// Positions in `rows` by encoded key; looked up, never walked.
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

    /// Takes a row; tells whether it is time to write.
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

    /// All rows; nothing waits any more.
    pub fn take(&mut self, now_ms: i64) -> Result<Option<Batch>, DataflowError> {
        self.flushed_ms = now_ms;
        self.places.clear();
        Ok(Batch::concat(&std::mem::take(&mut self.rows))?)
    }

    /// When the rows have waited long enough; nothing to wait for without rows.
    pub fn due_ms(&self) -> Option<i64> {
        let due_ms = self.flushed_ms.saturating_add(self.flush.interval_ms);
        (!self.rows.is_empty()).then_some(due_ms)
    }
}

/// The rows of a changelog that a table by key needs: the old sides of updates say nothing new.
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
