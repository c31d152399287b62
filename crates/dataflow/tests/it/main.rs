//! Tests of the engine with toy operators.

#![allow(clippy::unwrap_used)] // a test that cannot continue has failed

mod checkpoints;
mod driver;
mod exchange;
mod pool;
mod toys;
mod watermarks;
