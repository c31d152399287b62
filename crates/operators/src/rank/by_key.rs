//! Which row stands for which key, for inputs with updates without retractions.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use millstream_dataflow::DataflowError;
use millstream_state::{GroupTable, NO_GROUP, share_in_use};

/// Rows by the columns that identify them.
pub(super) struct ByKey {
    columns: Vec<usize>,
    table: GroupTable,
    /// The row of each key, [`NO_GROUP`] if it is not among the first.
    rows: Vec<u32>,
    /// The key of each row.
    keys: Vec<u32>,
    /// Keys of this batch and keys that lost their row.
    touched: Vec<u32>,
}

impl ByKey {
    pub(super) fn new(columns: &[usize], types: &[DataType]) -> Result<Self, DataflowError> {
        let types: Vec<DataType> = columns.iter().map(|c| types[*c].clone()).collect();
        Ok(Self {
            columns: columns.to_vec(),
            table: GroupTable::new(&types)?,
            rows: Vec::new(),
            keys: Vec::new(),
            touched: Vec::new(),
        })
    }

    /// The keys of a batch's rows.
    pub(super) fn find(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>, DataflowError> {
        let keys: Vec<ArrayRef> = self.columns.iter().map(|c| Arc::clone(&columns[*c])).collect();
        let mut groups = Vec::new();
        self.table.intern(&keys, rows, &mut groups)?;
        self.rows.resize(self.table.end(), NO_GROUP);
        self.touched.extend_from_slice(&groups);
        Ok(groups)
    }

    /// The row of a key, [`NO_GROUP`] if it is not among the first.
    pub(super) fn row_of(&self, key: u32) -> u32 {
        self.rows[key as usize]
    }

    pub(super) fn set(&mut self, key: u32, row: u32) {
        self.rows[key as usize] = row;
        if row as usize >= self.keys.len() {
            self.keys.resize(row as usize + 1, NO_GROUP);
        }
        self.keys[row as usize] = key;
    }

    /// The row is no longer among the first.
    pub(super) fn forget(&mut self, row: u32) {
        let Some(key) = self
            .keys
            .get(row as usize)
            .copied()
            .filter(|key| *key != NO_GROUP)
        else {
            return;
        };
        if self.rows[key as usize] == row {
            self.rows[key as usize] = NO_GROUP;
            self.touched.push(key);
        }
    }

    /// Frees the keys that have no row.
    pub(super) fn end_batch(&mut self) -> Result<(), DataflowError> {
        for key in std::mem::take(&mut self.touched) {
            if self.rows[key as usize] == NO_GROUP && self.table.contains(key) {
                self.table.remove(key)?;
            }
        }
        Ok(())
    }

    /// Bytes held for keys that are there.
    pub(super) fn used_bytes(&self) -> usize {
        let numbers = (self.rows.capacity() + self.keys.capacity()) * size_of::<u32>();
        share_in_use(self.table.memory_size() + numbers, &self.table)
    }
}
