//! Simulated time, storage and network, the conformance runner and oracles, for tests only.
//!
//! The simulation of the broker with its clients stands in `tests/sim`, on top of [`schedule`], [`network`] and
//! [`storage`], which know nothing of Kafka.

pub mod bad_input;
pub mod network;
pub mod schedule;
pub mod slt;
pub mod storage;
