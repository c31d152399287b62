//! Tests of the state crate's public surface.

mod group_table;
mod row_store;
