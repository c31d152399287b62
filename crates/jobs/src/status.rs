//! The observable status of a job: identity, state, checkpoints.

use std::fmt;

use millstream_types::Rng;

/// Identifies one submission: 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u128);

impl JobId {
    pub fn random(rng: &dyn Rng) -> Self {
        Self(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        well_formed
            .then(|| u128::from_str_radix(text, 16).ok().map(Self))
            .flatten()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The state of a job, under Flink's names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JobStatus {
    Initializing,
    Created,
    Running,
    Failing,
    Failed,
    Cancelling,
    Canceled,
    Finished,
    Restarting,
    Suspended,
    Reconciling,
}

impl JobStatus {
    /// The name that REST and the command line print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::Cancelling => "CANCELLING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Restarting => "RESTARTING",
            Self::Suspended => "SUSPENDED",
            Self::Reconciling => "RECONCILING",
        }
    }

    /// The state of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        let all = [
            Self::Initializing,
            Self::Created,
            Self::Running,
            Self::Failing,
            Self::Failed,
            Self::Cancelling,
            Self::Canceled,
            Self::Finished,
            Self::Restarting,
            Self::Suspended,
            Self::Reconciling,
        ];
        all.into_iter().find(|status| status.name() == name)
    }

    /// Whether this state is final.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled | Self::Finished)
    }
}

/// A checkpoint in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRecord {
    pub id: u64,
    pub status: CheckpointStatus,
    /// Requested (for a savepoint, a stop, the end) instead of periodic.
    pub is_requested: bool,
    pub triggered_ms: i64,
    /// When it completed or failed.
    pub ended_ms: Option<i64>,
    /// Bytes written, and bytes of the full state.
    pub written_bytes: u64,
    pub full_bytes: u64,
    pub failure: Option<String>,
    /// The savepoint that copies this checkpoint.
    pub savepoint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckpointStatus {
    InProgress,
    Completed,
    Failed,
}

/// A job's checkpoint counters and its newest checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    pub completed: u64,
    pub failed: u64,
    pub restored: u64,
    /// Oldest first.
    pub history: Vec<CheckpointRecord>,
}

/// Length of the checkpoint history (`web.checkpoints.history`).
const HISTORY_LENGTH: usize = 10;

impl CheckpointStats {
    /// The newest completed one.
    pub fn latest_completed(&self) -> Option<&CheckpointRecord> {
        self.history
            .iter()
            .rev()
            .find(|record| record.status == CheckpointStatus::Completed)
    }

    pub(crate) fn saved(&mut self, id: u64, location: String) {
        if let Some(record) = self.history.iter_mut().find(|record| record.id == id) {
            record.savepoint = Some(location);
        }
    }

    pub(crate) fn begin(&mut self, record: CheckpointRecord) {
        if self.history.len() == HISTORY_LENGTH {
            self.history.remove(0);
        }
        self.history.push(record);
    }

    pub(crate) fn end(&mut self, id: u64, change: impl FnOnce(&mut CheckpointRecord)) {
        if let Some(record) = self.history.iter_mut().find(|record| record.id == id) {
            change(record);
            match record.status {
                CheckpointStatus::Completed => self.completed += 1,
                CheckpointStatus::Failed => self.failed += 1,
                CheckpointStatus::InProgress => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_digits_and_read_back() {
        let id = JobId(0xAB);
        assert_eq!(id.to_string(), "000000000000000000000000000000ab");
        assert_eq!(JobId::parse(&id.to_string()), Some(id));
        assert_eq!((JobId::parse("ab"), JobId::parse(&"+".repeat(32))), (None, None));
    }
}
