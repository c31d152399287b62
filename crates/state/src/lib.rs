//! Keyed tables, timers and rows of operators, and their snapshots.
//!
//! State lives in memory as columns. At a barrier each table freezes what changed into [`StateBlocks`]; the
//! [`checkpoint`] module stores blocks and manifests over a `Storage`. No operator logic is here: what a group means,
//! when a window fires and which row wins is the operators' business.

pub mod blocks;
pub mod checkpoint;
pub mod cold;
pub mod columns;
pub mod error;
mod fixed_width;
pub mod group_table;
pub mod hash;
pub mod key_group;
pub mod keyed;
pub mod owned;
pub mod row_buffer;
pub mod row_store;
pub mod spill;
pub mod timers;

pub use blocks::{BlockContent, LargeBlocks, SnapshotScope, StateBlock, StateBlocks, StoredBytes};
pub use checkpoint::{
    CheckpointHeader, CheckpointKind, CheckpointSize, CheckpointStore, InstanceState, OperatorEntry,
    OperatorTrait, SAVEPOINT_FILE, read_savepoint, write_savepoint,
};
pub use cold::{ColdGroups, ColdStore, DueGroups};
pub use columns::{decode_columns, encode_columns};
pub use error::StateError;
pub use group_table::{DirtyBlocks, GROUPS_PER_BLOCK, GroupMap, GroupTable, NO_GROUP, share_in_use};
pub use hash::key_groups;
pub use keyed::{Column, KeySlots, KeyedState, SlotMap, StateColumns, StateValue, TimeToLive};
pub use row_buffer::{KeyOwner, RestoredRows, RowBuffer};
pub use row_store::{Expiry, RowStore};
pub use spill::{MemoryPool, MemoryShare, Spill, SpillSpace};
pub use timers::TimerQueue;
