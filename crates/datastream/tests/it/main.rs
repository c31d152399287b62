//! Programs against the engine, in one process without ports.

#![allow(clippy::unwrap_used)] // a test that cannot continue has failed

mod alignment;
mod asynchronous;
mod batch;
mod cep;
mod coverage;
mod harness;
mod host;
mod joins;
mod keyed;
mod operator_state;
mod recovery;
mod recovery_of_state;
mod sinks;
mod streams;
mod tables;
mod user_functions;
mod windows;
