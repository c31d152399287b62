//! What a join keeps of one of its inputs.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, StateBlocks};
use millstream_state::{GroupTable, NO_GROUP, RowStore};
use millstream_types::Batch;

use super::SideSpec;

/// Where a row of a batch belongs in the state of its input.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnRow {
    pub key: u32,
    pub row: u32,
    /// Group of the unique key, if rows are kept by one.
    pub unique: Option<u32>,
}

pub(super) struct Side {
    pub store: RowStore,
    pub types: Vec<DataType>,
    pub ttl_ms: i64,
    keys: Vec<usize>,
    unique: Option<Unique>,
    /// With how many rows of the other side each row is joined.
    associations: Vec<u32>,
}

/// Rows by unique key: a row replaces the one that has its key.
struct Unique {
    columns: Vec<usize>,
    table: GroupTable,
    rows: Vec<u32>,
    touched: Vec<u32>,
}

impl Side {
    pub(super) fn new(spec: &SideSpec) -> Result<Self, DataflowError> {
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
        Ok(Self {
            store: RowStore::new(&spec.types, &spec.keys)?,
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

    /// Rows written at this time or before are expired.
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
        let columns: Vec<ArrayRef> = unique
            .columns
            .iter()
            .map(|c| Arc::clone(&batch.columns[*c]))
            .collect();
        let mut groups = Vec::new();
        unique.table.intern(&columns, batch.rows, &mut groups)?;
        unique.rows.resize(unique.table.end(), NO_GROUP);
        unique.touched.extend_from_slice(&groups);
        Ok(Some(groups))
    }

    /// Keeps a row; with a unique key it replaces the one that is there.
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

    /// Takes a row back.
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

    /// Forgets rows whose time to live is over.
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

    pub(super) fn memory_size(&self) -> usize {
        let unique = self.unique.as_ref().map_or(0, |u| {
            u.table.memory_size() + u.rows.capacity() * size_of::<u32>()
        });
        self.store.memory_size() + unique + self.associations.capacity() * size_of::<u32>()
    }
}
