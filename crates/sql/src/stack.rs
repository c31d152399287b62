//! Stack for recursive walks over syntax trees and plans.
//!
//! The parser and the binder limit how deep trees get, but threads of servers and applications have stacks for far less:
//! forty joins took more than 2 MiB without optimisation, and a stack that overflows ends the process.

/// Stack needed for a walk over the deepest tree.
const ROOM_BYTES: usize = 16 << 20;

/// Size of a new stack segment. Pages count as memory only once they are touched.
const SEGMENT_BYTES: usize = 64 << 20;

/// Runs `f` with enough stack for a walk over the deepest tree: on the caller's stack if it is large enough, otherwise
/// on a new segment.
pub fn with_room<T>(f: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ROOM_BYTES, SEGMENT_BYTES, f)
}
