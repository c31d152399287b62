//! What clients send to authenticate, damaged, and what memory that takes; see `testkit::bad_input`.
//!
//! One test function runs all targets, one after the other, as memory is counted for the whole process.

#![allow(clippy::unwrap_used)] // functions that only tests call

mod corpus;
mod targets;

use millstream_testkit::bad_input::{Order, drive_all};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn allocated(work: &mut dyn FnMut()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    region.change().bytes_allocated
}

#[test]
fn damaged_input_neither_panics_nor_takes_memory_that_it_does_not_justify() {
    // This also opens the door before anything is counted.
    for target in targets::TARGETS {
        for input in corpus::valid(target.name) {
            let user = targets::user_of(target.name, &input);
            assert_eq!(
                user.as_deref(),
                Some("User:alice"),
                "{}: valid input is let in",
                target.name
            );
        }
    }
    drive_all(&Order::given(), targets::TARGETS, corpus::corpus, allocated);
}
