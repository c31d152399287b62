//! Keyed tables, timers and rows of operators, and their snapshots.
//!
//! State lives in memory as columns. At a barrier each table freezes what changed into [`StateBlocks`]; the
//! [`checkpoint`] module stores blocks and manifests over a `Storage`. No operator logic is here: what a group means,
//! when a window fires and which row wins is the operators' business.

pub mod blocks;
pub mod error;
pub mod key_group;

pub use blocks::{BlockContent, SnapshotScope, StateBlock, StateBlocks};
pub use error::StateError;
