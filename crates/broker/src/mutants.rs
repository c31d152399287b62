//! Ways to break the broker on purpose, for the tests of the simulation: a check that never fails proves nothing.
//!
//! Without the feature `mutants`, which only the simulation's tests switch on, [`Broker::breaks`] is constantly false and
//! nothing here can be reached; with it, a broker is whole until a test calls `break_on_purpose`.

use crate::broker::Broker;
#[cfg(feature = "mutants")]
use crate::change::Change;
#[cfg(feature = "mutants")]
use millstream_log::{Entry, LogError};

/// The broken behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Commits do not sync (by [`LogOptions::sync`](millstream_log::LogOptions), when the log is opened).
    SkipSync,
    /// Responses do not wait for the disk.
    AnswerEarly,
    /// One partition of a transaction gets no marker.
    ForgetMarker,
    /// A commit leaves the offsets out.
    ForgetOffsets,
    /// The markers of a transaction's end are one record; offsets and state are another, which the next end writes.
    TearTransaction,
    /// Producers are not known any more after a restart.
    LoseProducers,
    /// A repeated batch is appended again.
    AppendAgain,
    /// Batches of fenced producers are accepted.
    ForgetFence,
    /// Read-committed readers see records of open transactions.
    ReadUndecided,
    /// Read-committed readers are not told which transactions were aborted.
    HideAborted,
    /// Any member may commit offsets.
    ForgetGeneration,
    /// A partition moves to its new owner before the old one has revoked it.
    GiveUnrevoked,
    /// One more command is taken out of the inbox than is executed in a turn.
    LoseCommand,
    /// Requests that are delayed by a backlog are overtaken by later ones.
    OvertakeDelayed,
    /// Records that were deleted are there again after a restart.
    ForgetDeletion,
    /// Compaction treats every record as a tombstone.
    BuryLiving,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 16] = [
        Mutant::SkipSync,
        Mutant::AnswerEarly,
        Mutant::ForgetMarker,
        Mutant::ForgetOffsets,
        Mutant::TearTransaction,
        Mutant::LoseProducers,
        Mutant::AppendAgain,
        Mutant::ForgetFence,
        Mutant::ReadUndecided,
        Mutant::HideAborted,
        Mutant::ForgetGeneration,
        Mutant::GiveUnrevoked,
        Mutant::LoseCommand,
        Mutant::OvertakeDelayed,
        Mutant::ForgetDeletion,
        Mutant::BuryLiving,
    ];
}

impl Broker {
    /// Whether the broker is broken in this way.
    #[cfg(feature = "mutants")]
    pub(crate) fn breaks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether the broker is broken in this way: never.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn breaks(&self, _mutant: Mutant) -> bool {
        false
    }

    /// Breaks a broker that was just opened.
    #[cfg(feature = "mutants")]
    pub fn break_on_purpose(&mut self, mutant: Mutant) {
        self.mutant = Some(mutant);
        if mutant == Mutant::LoseProducers {
            self.log.expire_producers(i64::MAX);
        }
    }

    /// Writes markers now, and the rest of the change with the next end of a transaction.
    #[cfg(feature = "mutants")]
    pub(crate) fn write_torn(
        &mut self,
        now_ms: i64,
        entries: Vec<Entry>,
        changes: &[Change],
    ) -> Result<u64, LogError> {
        let held_back = std::mem::replace(&mut self.held_back, changes.to_vec());
        let mut sequence = self.write_applied(now_ms, &held_back)?;
        if !entries.is_empty() {
            sequence = self.write(now_ms, entries, &[])?;
        }
        for change in changes {
            self.apply(change);
        }
        Ok(sequence)
    }
}
