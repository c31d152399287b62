//! Tests of the broker: the core in virtual time on a disk in memory, and the threaded handle.

mod basics;
mod driver;
mod handle;
