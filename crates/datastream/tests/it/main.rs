//! Programs against the engine, in one process without ports.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod host;
mod joins;
mod keyed;
mod recovery;
mod recovery_of_state;
mod streams;
mod windows;
