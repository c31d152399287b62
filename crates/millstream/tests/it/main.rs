//! The published library, as programs use it.

#![allow(clippy::unwrap_used)] // a test that cannot continue has failed

mod examples;
mod kafka;
mod kill;
mod programs;
