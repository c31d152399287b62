//! Simulated clock, storage and network, the conformance runner and oracles, for tests only.

pub mod slt;
pub mod storage;
