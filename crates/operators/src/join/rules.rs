//! The effect of one input row on a regular join: the changes to emit and the state to store.
//!
//! These are Flink's rules for streaming joins, case by case.

use millstream_plan::JoinKind;
use millstream_types::RowKind;

use super::side::{OwnRow, Side};

/// A row to emit: a row of the batch and a stored row of the other side. A missing one is padded with NULLs (or, in
/// semi and anti joins, not part of the output).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub kind: RowKind,
    pub own: Option<u32>,
    pub other: Option<u32>,
}

/// Whether unmatched rows of this input are emitted, so that their matches must be counted.
pub(super) fn counts_associations(kind: JoinKind, port: usize) -> bool {
    match kind {
        JoinKind::Inner => false,
        JoinKind::Left | JoinKind::Semi | JoinKind::Anti => port == 0,
        JoinKind::Right => port == 1,
        JoinKind::Full => true,
    }
}

pub(super) struct Rules<'a> {
    kind: JoinKind,
    port: usize,
    own: &'a mut Side,
    other: &'a mut Side,
    own_outer: bool,
    other_outer: bool,
    changes: Vec<Change>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(kind: JoinKind, port: usize, own: &'a mut Side, other: &'a mut Side) -> Self {
        let own_outer = counts_associations(kind, port);
        let other_outer = counts_associations(kind, 1 - port);
        Self {
            kind,
            port,
            own,
            other,
            own_outer,
            other_outer,
            changes: Vec::new(),
        }
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// Applies row `row` of the batch, which matches `others`. `own` is `None` for a row that cannot match.
    pub(super) fn apply(
        &mut self,
        row: usize,
        kind: RowKind,
        own: Option<OwnRow>,
        others: &[u32],
        now_ms: i64,
    ) {
        let row = row as u32;
        match (self.kind, self.port) {
            (JoinKind::Semi | JoinKind::Anti, 0) => self.filtered_row(row, kind, own, others, now_ms),
            (JoinKind::Semi | JoinKind::Anti, _) => self.filtering_row(kind, own, others, now_ms),
            _ if kind.is_addition() => self.addition(row, kind, own, others, now_ms),
            _ => self.retraction(row, kind, own, others),
        }
    }

    fn push(&mut self, kind: RowKind, own: Option<u32>, other: Option<u32>) {
        self.changes.push(Change { kind, own, other });
    }

    /// Matches, each as often as its row occurs.
    fn joined(&self, others: &[u32]) -> u32 {
        others.iter().map(|other| self.other.store.count(*other)).sum()
    }

    fn push_matches(&mut self, kind: RowKind, row: u32, others: &[u32]) {
        for other in others {
            for _ in 0..self.other.store.count(*other) {
                self.push(kind, Some(row), Some(*other));
            }
        }
    }

    fn addition(&mut self, row: u32, kind: RowKind, own: Option<OwnRow>, others: &[u32], now_ms: i64) {
        if others.is_empty() && self.own_outer {
            self.push(RowKind::Insert, Some(row), None);
        }
        if self.other_outer {
            for other in others {
                let before = self.other.associations(*other);
                if before == 0 {
                    for _ in 0..self.other.store.count(*other) {
                        self.push(RowKind::Delete, None, Some(*other));
                    }
                }
                self.other.set_associations(*other, before + 1);
            }
        }
        let outer = self.own_outer || self.other_outer;
        self.push_matches(if outer { RowKind::Insert } else { kind }, row, others);
        if let Some(own) = own {
            let joined = self.joined(others);
            self.own.add(own, joined, now_ms);
        }
    }

    fn retraction(&mut self, row: u32, kind: RowKind, own: Option<OwnRow>, others: &[u32]) {
        if let Some(own) = own {
            self.own.retract(own);
        }
        if others.is_empty() {
            if self.own_outer {
                self.push(RowKind::Delete, Some(row), None);
            }
            return;
        }
        self.push_matches(if self.own_outer { RowKind::Delete } else { kind }, row, others);
        if self.other_outer {
            for other in others {
                let before = self.other.associations(*other);
                if before == 1 {
                    for _ in 0..self.other.store.count(*other) {
                        self.push(RowKind::Insert, None, Some(*other));
                    }
                }
                self.other.set_associations(*other, before.saturating_sub(1));
            }
        }
    }

    /// A row of the left input of a semi or anti join.
    fn filtered_row(&mut self, row: u32, kind: RowKind, own: Option<OwnRow>, others: &[u32], now_ms: i64) {
        if others.is_empty() == (self.kind == JoinKind::Anti) {
            self.push(kind, Some(row), None);
        }
        let Some(own) = own else { return };
        if kind.is_addition() {
            let joined = self.joined(others);
            self.own.add(own, joined, now_ms);
        } else {
            self.own.retract(own);
        }
    }

    /// A row of the right input of a semi or anti join.
    fn filtering_row(&mut self, kind: RowKind, own: Option<OwnRow>, others: &[u32], now_ms: i64) {
        let Some(own) = own else { return };
        let is_addition = kind.is_addition();
        if is_addition {
            self.own.add(own, 0, now_ms);
        } else {
            self.own.retract(own);
        }
        let emitted = match (self.kind, is_addition) {
            (JoinKind::Anti, true) => RowKind::Delete,
            (JoinKind::Anti, false) => RowKind::Insert,
            _ => kind,
        };
        for other in others {
            let before = self.other.associations(*other);
            let (changes_at, after) = if is_addition {
                (0, before + 1)
            } else {
                (1, before.saturating_sub(1))
            };
            if before == changes_at {
                for _ in 0..self.other.store.count(*other) {
                    self.push(emitted, None, Some(*other));
                }
            }
            self.other.set_associations(*other, after);
        }
    }
}
