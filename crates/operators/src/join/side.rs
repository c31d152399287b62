//! The stored rows of one join input.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, StateBlocks};
use millstream_state::{Expiry, GroupTable, NO_GROUP, RowStore, Spill, share_in_use};
use millstream_types::Batch;

use super::SideSpec;

/// The position of a batch's row in the state of its input.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnRow {
    pub key: u32,
    pub row: u32,
    /// Group of the unique key, if state is kept by unique key.
    pub unique: Option<u32>,
}

pub(super) struct Side {
    pub store: RowStore,
    pub types: Vec<DataType>,
    pub ttl_ms: i64,
    keys: Vec<usize>,
    unique: Option<Unique>,
    /// The number of matches of each stored row.
    associations: Vec<u32>,
}

/// Rows by unique key: a row replaces the one with the same key.
struct Unique {
    columns: Vec<usize>,
    table: GroupTable,
    rows: Vec<u32>,
    touched: Vec<u32>,
}

impl Unique {
    fn key_columns(&self, columns: &[ArrayRef]) -> Vec<ArrayRef> {
        self.columns.iter().map(|c| Arc::clone(&columns[*c])).collect()
    }
}

impl Side {
    pub(super) fn new(spec: &SideSpec, spill: Option<&Spill>) -> Result<Self, DataflowError> {
        let unique = match &spec.unique {
            Some(columns) => {
                let types: Vec<DataType> = columns.iter().map(|c| spec.types[*c].clone()).collect();
                let table = GroupTable::new(&types)?;
                Some(Unique {
                    columns: columns.clone(),
                    table,
                    rows: Vec::new(),
                    touched: Vec::new(),
                })
            }
            None => None,
        };
        let mut store = if spec.by_content {
            RowStore::new(&spec.types, &spec.keys)?
        } else {
            RowStore::of_arrivals(&spec.types, &spec.keys)?
        };
        let expiry = if spec.ttl_ms > 0 {
            Expiry::Time
        } else {
            Expiry::Never
        };
        store.spill_to(spill, expiry);
        Ok(Self {
            store,
            types: spec.types.clone(),
            ttl_ms: spec.ttl_ms,
            keys: spec.keys.clone(),
            unique,
            associations: Vec::new(),
        })
    }

    pub(super) fn key_columns(&self, columns: &[ArrayRef]) -> Vec<ArrayRef> {
        self.keys.iter().map(|k| Arc::clone(&columns[*k])).collect()
    }

    /// Rows written at this time or before have expired.
    pub(super) fn oldest_ms(&self, now_ms: i64) -> i64 {
        if self.ttl_ms > 0 {
            now_ms.saturating_sub(self.ttl_ms)
        } else {
            i64::MIN
        }
    }

    /// Groups of the unique key of a batch's rows.
    pub(super) fn find_unique(&mut self, batch: &Batch) -> Result<Option<Vec<u32>>, DataflowError> {
        let Some(unique) = &mut self.unique else {
            return Ok(None);
        };
        let columns = unique.key_columns(&batch.columns);
        let mut groups = Vec::new();
        unique.table.intern(&columns, batch.rows, &mut groups)?;
        unique.rows.resize(unique.table.end(), NO_GROUP);
        unique.touched.extend_from_slice(&groups);
        Ok(Some(groups))
    }

    /// Stores a row; with a unique key, it replaces the existing one.
    pub(super) fn add(&mut self, own: OwnRow, joined: u32, now_ms: i64) {
        if let Some((unique, group)) = self.unique.as_mut().zip(own.unique) {
            let held = std::mem::replace(&mut unique.rows[group as usize], own.row);
            if held != NO_GROUP {
                self.store.remove(held);
            }
        }
        self.store.add(own.key, own.row, now_ms);
        if self.ttl_ms > 0 {
            self.store.set_time_ms(own.row, now_ms);
        }
        self.set_associations(own.row, joined);
    }

    /// Retracts a row.
    pub(super) fn retract(&mut self, own: OwnRow) {
        let Some((unique, group)) = self.unique.as_mut().zip(own.unique) else {
            self.store.subtract(own.row);
            return;
        };
        let held = std::mem::replace(&mut unique.rows[group as usize], NO_GROUP);
        if held != NO_GROUP {
            self.store.remove(held);
        }
    }

    pub(super) fn associations(&self, row: u32) -> u32 {
        self.associations.get(row as usize).copied().unwrap_or(0)
    }

    pub(super) fn set_associations(&mut self, row: u32, joined: u32) {
        if row as usize >= self.associations.len() {
            self.associations.resize(row as usize + 1, 0);
        }
        self.associations[row as usize] = joined;
    }

    pub(super) fn end_batch(&mut self) -> Result<(), DataflowError> {
        self.store.end_batch()?;
        if let Some(unique) = &mut self.unique {
            for group in std::mem::take(&mut unique.touched) {
                if unique.rows[group as usize] == NO_GROUP && unique.table.contains(group) {
                    unique.table.remove(group)?;
                }
            }
        }
        Ok(())
    }

    /// Moves about `bytes` of rows to disk. Not within a batch.
    pub(super) fn evict(&mut self, bytes: usize) -> Result<(), DataflowError> {
        let keys = self.store.least_used(bytes, self.used_bytes());
        if let Some(unique) = &mut self.unique {
            let rows: Vec<u32> = keys.iter().flat_map(|key| self.store.rows_of(*key)).collect();
            let columns = self.store.columns(&rows)?;
            let mut groups = Vec::new();
            unique
                .table
                .find(&unique.key_columns(&columns), rows.len(), &mut groups)?;
            for (group, row) in groups.into_iter().zip(rows) {
                if group != NO_GROUP && unique.rows[group as usize] == row {
                    unique.rows[group as usize] = NO_GROUP;
                    unique.table.remove(group)?;
                }
            }
        }
        let associations = &self.associations;
        let joined = |row: u32| associations.get(row as usize).copied().unwrap_or(0);
        Ok(self.store.evict(&keys, joined)?)
    }

    /// Takes note of rows that came back from disk.
    pub(super) fn adopt_recalled(&mut self) -> Result<(), DataflowError> {
        let recalled = self.store.recalled();
        if recalled.is_empty() {
            return Ok(());
        }
        recalled
            .iter()
            .for_each(|(row, joined)| self.set_associations(*row, *joined));
        if let Some(unique) = &mut self.unique {
            let rows: Vec<u32> = recalled.into_iter().map(|(row, _)| row).collect();
            let columns = unique.key_columns(&self.store.columns(&rows)?);
            let mut groups = Vec::new();
            unique.table.intern(&columns, rows.len(), &mut groups)?;
            unique.rows.resize(unique.table.end(), NO_GROUP);
            let pairs = groups.iter().zip(&rows);
            pairs.for_each(|(group, row)| unique.rows[*group as usize] = *row);
        }
        Ok(())
    }

    /// Drops rows whose TTL has expired.
    pub(super) fn expire(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        if self.ttl_ms == 0 {
            return Ok(());
        }
        let oldest = self.oldest_ms(now_ms);
        let expired: Vec<u32> = self
            .store
            .rows()
            .filter(|row| self.store.time_ms(*row) <= oldest)
            .collect();
        expired.iter().for_each(|row| self.store.remove(*row));
        self.store.expire_cold(oldest);
        if let Some(unique) = &mut self.unique {
            let gone: std::collections::BTreeSet<u32> = expired.into_iter().collect();
            for group in unique.table.groups() {
                if gone.contains(&unique.rows[group as usize]) {
                    unique.rows[group as usize] = NO_GROUP;
                    unique.touched.push(group);
                }
            }
        }
        self.end_batch()
    }

    pub(super) fn restore(
        &mut self,
        prefix: &str,
        parts: &[StateBlocks],
        context: &Context,
    ) -> Result<(), DataflowError> {
        self.store
            .restore(prefix, parts, context.key_groups(), context.max_parallelism)?;
        if self.unique.is_none() {
            return Ok(());
        }
        let all: Vec<u32> = self.store.rows().collect();
        let batch = Batch::inserts(self.store.columns(&all)?, all.len());
        let groups = self.find_unique(&batch)?.unwrap_or_default();
        if let Some(unique) = &mut self.unique {
            groups
                .iter()
                .zip(&all)
                .for_each(|(group, row)| unique.rows[*group as usize] = *row);
            unique.touched.clear();
        }
        Ok(())
    }

    pub(super) fn used_bytes(&self) -> usize {
        let unique = self.unique.as_ref().map_or(0, |u| {
            share_in_use(
                u.table.memory_size() + u.rows.capacity() * size_of::<u32>(),
                &u.table,
            )
        });
        self.store.used_bytes() + unique + self.associations.len() * size_of::<u32>()
    }
}
