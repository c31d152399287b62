//! Rows of the administration's tables (ACLs, quotas, SCRAM credentials) as they are kept.

use crate::change::Change;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Tables of rows.
#[derive(Debug, Default)]
pub(crate) struct Security {
    rows: BTreeMap<(u8, Bytes), Bytes>,
}

impl Security {
    pub fn apply(&mut self, table: u8, key: &Bytes, value: Option<&Bytes>) {
        match value {
            Some(value) => _ = self.rows.insert((table, key.clone()), value.clone()),
            None => _ = self.rows.remove(&(table, key.clone())),
        }
    }

    pub fn snapshot(&self) -> impl Iterator<Item = Change> {
        let row = |((table, key), value): (&(u8, Bytes), &Bytes)| Change::Row {
            table: *table,
            key: key.clone(),
            value: Some(value.clone()),
        };
        self.rows.iter().map(row)
    }
}
