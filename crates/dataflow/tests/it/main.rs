//! Tests of the engine with toy operators.

mod checkpoints;
mod driver;
mod exchange;
mod toys;
mod watermarks;
