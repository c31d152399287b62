//! Tests of the engine with toy operators.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod checkpoints;
mod driver;
mod exchange;
mod toys;
mod watermarks;
