//! Tests of the state crate's public surface.

mod checkpoint;
mod group_table;
mod row_store;
