//! Tests of the state crate's public surface.

#![allow(clippy::unwrap_used)] // a test that cannot continue has failed

mod checkpoint;
mod cold;
mod fixtures;
mod group_table;
mod row_buffer;
mod row_store;
