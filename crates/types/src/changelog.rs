//! Changelog modes: which kinds of rows a node produces or accepts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::batch::RowKind;

/// A set of row kinds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ChangelogMode {
    pub insert: bool,
    pub update_before: bool,
    pub update_after: bool,
    pub delete: bool,
}

impl ChangelogMode {
    /// `[I]`
    pub const INSERT_ONLY: Self = Self {
        insert: true,
        update_before: false,
        update_after: false,
        delete: false,
    };
    /// `[I,UB,UA,D]`
    pub const ALL: Self = Self {
        insert: true,
        update_before: true,
        update_after: true,
        delete: true,
    };
    /// `[I,UA,D]`: changes by key.
    pub const UPSERT: Self = Self {
        insert: true,
        update_before: false,
        update_after: true,
        delete: true,
    };

    pub fn contains(self, kind: RowKind) -> bool {
        match kind {
            RowKind::Insert => self.insert,
            RowKind::UpdateBefore => self.update_before,
            RowKind::UpdateAfter => self.update_after,
            RowKind::Delete => self.delete,
        }
    }

    pub fn is_insert_only(self) -> bool {
        self == Self::INSERT_ONLY
    }

    pub fn has_updates(self) -> bool {
        self.update_before || self.update_after
    }

    /// The kinds of both.
    pub fn union(self, other: Self) -> Self {
        Self {
            insert: self.insert || other.insert,
            update_before: self.update_before || other.update_before,
            update_after: self.update_after || other.update_after,
            delete: self.delete || other.delete,
        }
    }
}

/// `[I,UB,UA,D]`, as EXPLAIN CHANGELOG_MODE prints it.
impl fmt::Display for ChangelogMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.insert, "I"),
            (self.update_before, "UB"),
            (self.update_after, "UA"),
            (self.delete, "D"),
        ];
        let names: Vec<&str> = kinds
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, name)| *name)
            .collect();
        if names.is_empty() {
            f.write_str("[NONE]")
        } else {
            write!(f, "[{}]", names.join(","))
        }
    }
}

impl fmt::Debug for ChangelogMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
