//! Tests of jobs with toy operators and connectors.

#![allow(clippy::unwrap_used)] // a test that cannot continue has failed

mod coordinator;
mod lifecycle;
mod recovery;
mod savepoints;
mod settings;
mod toy_plan;
#[allow(dead_code)] // shared with the engine's own tests, which use more of it
#[path = "../../../dataflow/tests/it/toys.rs"]
mod toys;
mod translation;
