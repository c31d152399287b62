//! Tests of the log as its owner sees it: appending, reading, crashing, recovering.

#![allow(clippy::unwrap_used)] // functions that only tests call

mod compaction;
mod counted;
mod crash;
mod direct;
mod driver;
mod drops;
mod handles;
mod oracle;
mod quarantine;
mod reading;
mod start;
