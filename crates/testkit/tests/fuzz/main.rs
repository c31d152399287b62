//! Every target of `targets` with thousands of damaged inputs, and what memory that takes; see `testkit::bad_input`.
//!
//! Inputs come from a seed, so that a failure replays. `cargo xtask fuzz --executions 10000000` runs more, built with
//! optimisation; `fuzz/` has the same targets for libFuzzer. One test function runs them all, one after the other, as memory
//! is counted for the whole process.

mod bombs;
mod corpus;
mod targets;

use millstream_testkit::bad_input::{Order, drive_all};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Runs `work` and gives the bytes that it allocated.
pub fn allocated(work: &mut dyn FnMut()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    region.change().bytes_allocated
}

#[test]
fn damaged_input_neither_panics_nor_takes_memory_that_it_does_not_justify() {
    let order = Order::given();
    drive_all(&order, targets::TARGETS, corpus::corpus, allocated);
    if order.only.is_none() {
        bombs::a_bomb_takes_no_more_memory_than_the_limit_allows();
    }
}
