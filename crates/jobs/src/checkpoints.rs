//! The checkpoints of one job, and the state that an execution restores.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use millstream_dataflow::{DataflowError, InstanceState, RestoredState};
use millstream_state::{
    BlockContent, CheckpointHeader, CheckpointKind, CheckpointStore, OperatorEntry, StateBlock, StateBlocks,
    StateError, read_savepoint, write_savepoint,
};
use millstream_types::storage::Storage;
use millstream_types::{CheckpointId, ErrorKind, Options, Rng, failpoint};

use crate::compatibility::{Comparison, check};
use crate::directories::open_savepoint;
use crate::lock::{JobLock, utc_time};
use crate::ownership::Ownership;

#[derive(Debug)]
pub struct Checkpoints {
    kept: Kept,
    /// Where the job starts until it has a checkpoint of its own.
    savepoint: Option<SavepointSource>,
    expected: Option<Expected>,
    lock: Option<JobLock>,
    ownership: Option<Ownership>,
}

#[derive(Debug)]
enum Kept {
    /// For restarts within the process.
    Memory(Option<Box<(CheckpointHeader, Arc<RestoredState>)>>),
    /// For restarts of the process as well.
    Stored(Box<CheckpointStore>),
}

#[derive(Debug)]
struct SavepointSource {
    storage: Arc<dyn Storage>,
    location: String,
}

/// The job that restores.
#[derive(Debug)]
struct Expected {
    operators: Vec<OperatorEntry>,
    max_parallelism: u16,
    fingerprint: u64,
    allow_partial: bool,
}

/// Who opens the checkpoints of a job to run it.
pub struct Claim<'a> {
    /// The data directory, for the lock of checkpoints that lie elsewhere.
    pub local: Option<&'a Arc<dyn Storage>>,
    pub now_ms: i64,
    pub rng: &'a dyn Rng,
}

/// A written checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub bytes: u64,
    /// With the blocks of earlier checkpoints that it refers to.
    pub full_bytes: u64,
    /// Whether the next snapshot may refer to this one.
    pub is_base: bool,
}

/// What a job starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStart {
    Fresh,
    Checkpoint {
        number: u64,
        triggered_ms: i64,
    },
    Savepoint {
        location: String,
        triggered_ms: i64,
    },
    /// An earlier run of the same script completed the statement; it is not run again.
    Done {
        ended_ms: i64,
    },
}

impl fmt::Display for JobStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("starts from scratch"),
            Self::Checkpoint { number, triggered_ms } => {
                write!(
                    f,
                    "continues from checkpoint {number} of {}",
                    utc_time(*triggered_ms)
                )
            }
            Self::Savepoint {
                location,
                triggered_ms,
            } => write!(
                f,
                "starts from savepoint '{location}' of {}",
                utc_time(*triggered_ms)
            ),
            Self::Done { ended_ms } => write!(
                f,
                "had finished at {} before the script was interrupted and is not run again",
                utc_time(*ended_ms)
            ),
        }
    }
}

impl Checkpoints {
    /// Checkpoints in memory, for restarts within the process.
    pub fn in_memory() -> Self {
        Self {
            kept: Kept::Memory(None),
            savepoint: None,
            expected: None,
            lock: None,
            ownership: None,
        }
    }

    /// Checkpoints in the directory of the job's identity, or in memory if there is no storage.
    pub fn open(
        storage: Option<Arc<dyn Storage>>,
        identity: &str,
        retained: usize,
        fresh: bool,
    ) -> Result<Self, DataflowError> {
        let Some(storage) = storage else {
            return Ok(Self::in_memory());
        };
        let directory = directory_of(identity);
        if fresh {
            CheckpointStore::clear(storage.as_ref(), &directory)?;
        }
        let store = CheckpointStore::open(storage, &directory, retained)?;
        Ok(Self {
            kept: Kept::Stored(Box::new(store)),
            ..Self::in_memory()
        })
    }

    /// Like [`Checkpoints::open`], but fails if another process on this machine runs the job. Checkpoints that other
    /// machines reach as well are locked on this one's disk and owned by the process that opened them last.
    pub fn open_locked(
        storage: Option<Arc<dyn Storage>>,
        claim: &Claim<'_>,
        identity: &str,
        retained: usize,
        fresh: bool,
    ) -> Result<Self, DataflowError> {
        let directory = directory_of(identity);
        let shared = storage.clone().filter(|storage| storage.is_shared());
        let locks = if shared.is_some() {
            claim.local
        } else {
            storage.as_ref()
        };
        let now_ms = claim.now_ms;
        let lock = locks
            .map(|storage| JobLock::take(storage.as_ref(), identity, &directory, now_ms))
            .transpose()?;
        let ownership = shared
            .map(|storage| Ownership::take(storage, identity, &directory, now_ms, claim.rng))
            .transpose()?;
        let opened = Self::open(storage, identity, retained, fresh)?;
        if let Some(ownership) = ownership.as_ref().filter(|_| fresh) {
            ownership.claim()?;
        }
        Ok(Self {
            lock,
            ownership,
            ..opened
        })
    }

    /// Releases the lock, so that other processes can run the job.
    pub fn unlock(&mut self) {
        self.lock = None;
    }

    /// Declares the operators that restore. Until then, state is returned as stored.
    pub fn expect(
        &mut self,
        operators: Vec<OperatorEntry>,
        max_parallelism: u16,
        fingerprint: u64,
        allow_partial: bool,
    ) {
        self.expected = Some(Expected {
            operators,
            max_parallelism,
            fingerprint,
            allow_partial,
        });
    }

    /// Starts from a savepoint, unless the newest checkpoint comes from a run that already started from it.
    pub fn start_from(&mut self, location: &str, stores: &Options) -> Result<(), DataflowError> {
        if let Some(header) = self.newest_header()
            && header.origin.as_deref() == Some(location)
        {
            return Ok(());
        }
        self.savepoint = Some(SavepointSource {
            storage: open_savepoint(location, stores)?,
            location: location.to_owned(),
        });
        Ok(())
    }

    /// The savepoint that the current run of the job started from.
    pub fn origin(&self) -> Option<String> {
        match &self.savepoint {
            Some(savepoint) => Some(savepoint.location.clone()),
            None => self.newest_header().and_then(|header| header.origin.clone()),
        }
    }

    pub fn newest_header(&self) -> Option<&CheckpointHeader> {
        match &self.kept {
            Kept::Memory(state) => state.as_deref().map(|(header, _)| header),
            Kept::Stored(store) => store.header(store.latest()?),
        }
    }

    /// The lowest number that the next checkpoint may have.
    pub fn next_number(&self) -> u64 {
        let newest = match &self.kept {
            Kept::Memory(state) => state.as_deref().map(|(header, _)| header.checkpoint),
            Kept::Stored(store) => store.newest_number(),
        };
        newest.map_or(1, |number| number + 1)
    }

    /// Compares the state to restore with the job's operators before anything starts. Reads only manifests.
    /// `skips_done`: a job that has read all its input stays done; otherwise it runs again.
    pub fn preview(&mut self, skips_done: bool) -> Result<(JobStart, Comparison), DataflowError> {
        if let Some(savepoint) = &self.savepoint {
            let (header, _) = read_savepoint(savepoint.storage.as_ref(), "")
                .map_err(|error| cannot_start(&savepoint.location, error))?;
            let comparison = self.compare(&format!("savepoint '{}'", savepoint.location), &header)?;
            let (location, triggered_ms) = (savepoint.location.clone(), header.triggered_ms);
            let start = JobStart::Savepoint {
                location,
                triggered_ms,
            };
            return Ok((start, comparison));
        }
        let operators = self.expected.as_ref().map(|expected| expected.operators.clone());
        let operators = operators.unwrap_or_default();
        if let Some(header) = self.newest_header().filter(|header| header.finished) {
            let comparison = Comparison::new(&header.operators, &operators);
            let is_same = self.expected.as_ref().map(|e| e.fingerprint) == Some(header.fingerprint);
            if skips_done && is_same && comparison.is_unchanged() {
                let ended_ms = header.triggered_ms;
                return Ok((JobStart::Done { ended_ms }, comparison));
            }
            self.remove_all()?;
        }
        let Some(header) = self.newest_header() else {
            self.refuse_damaged()?;
            return Ok((JobStart::Fresh, Comparison::new(&[], &operators)));
        };
        let comparison = self.compare(&format!("checkpoint {}", header.checkpoint), header)?;
        let start = JobStart::Checkpoint {
            number: header.checkpoint,
            triggered_ms: header.triggered_ms,
        };
        Ok((start, comparison))
    }

    fn compare(&self, what: &str, header: &CheckpointHeader) -> Result<Comparison, DataflowError> {
        let Some(expected) = &self.expected else {
            return Ok(Comparison::new(&header.operators, &header.operators));
        };
        let (operators, groups) = (&expected.operators, expected.max_parallelism);
        let mut comparison = check(what, header, operators, groups, expected.allow_partial)?;
        comparison.statement_changed = header.fingerprint != expected.fingerprint;
        Ok(comparison)
    }

    /// A job whose checkpoints are all damaged must not silently start from scratch.
    fn refuse_damaged(&self) -> Result<(), DataflowError> {
        let Kept::Stored(store) = &self.kept else {
            return Ok(());
        };
        let faults: Vec<String> = store.damaged().map(|(_, error)| error.to_string()).collect();
        if faults.is_empty() {
            return Ok(());
        }
        let message = format!(
            "no checkpoint of the job can be read: {}; start from a savepoint, or use --fresh to start without state",
            faults.join("; ")
        );
        Err(DataflowError::new(ErrorKind::Data, message))
    }

    /// The newest intact state, mapped to the current operators. Skips damaged checkpoints with a warning.
    pub fn load_latest(&mut self) -> Result<Option<Arc<RestoredState>>, DataflowError> {
        if let Some(savepoint) = &self.savepoint {
            let (header, states) = read_savepoint(savepoint.storage.as_ref(), "")
                .map_err(|error| cannot_start(&savepoint.location, error))?;
            return self.adopt(&header, states).map(Some);
        }
        loop {
            let store = match &mut self.kept {
                Kept::Memory(state) => return Ok(state.as_deref().map(|(_, state)| Arc::clone(state))),
                Kept::Stored(store) => store,
            };
            let Some(checkpoint) = store.latest() else {
                self.refuse_damaged()?;
                return Ok(None);
            };
            match store.load(checkpoint) {
                Ok(states) => {
                    let header = store.header(checkpoint).cloned();
                    let header =
                        header.ok_or_else(|| DataflowError::internal("a checkpoint has no header"))?;
                    for (damaged, error) in store.damaged().filter(|(damaged, _)| *damaged > checkpoint) {
                        warn_of_fallback(damaged, error, &header);
                    }
                    failpoint::hit("recovery-loaded");
                    return self.adopt(&header, states).map(Some);
                }
                Err(error @ StateError::Corrupt { .. }) => store.set_aside(checkpoint, error),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Maps stored states to the uids of the job's operators.
    fn adopt(
        &self,
        header: &CheckpointHeader,
        states: Vec<InstanceState>,
    ) -> Result<Arc<RestoredState>, DataflowError> {
        let comparison = self.compare(&format!("checkpoint {}", header.checkpoint), header)?;
        let states = match &self.expected {
            Some(_) => comparison.adopt(states, &header.operators),
            None => states,
        };
        Ok(Arc::new(RestoredState {
            checkpoint: CheckpointId(header.checkpoint),
            is_branch: header.kind == CheckpointKind::Savepoint,
            states,
        }))
    }

    pub fn write(
        &mut self,
        header: CheckpointHeader,
        states: Vec<InstanceState>,
    ) -> Result<Written, DataflowError> {
        if let Some(ownership) = &self.ownership {
            ownership.check()?;
        }
        let written = match &mut self.kept {
            Kept::Stored(store) => {
                let number = CheckpointId(header.checkpoint);
                let size = store.write(header, &states)?;
                let mut cleanup = store.take_cleanup_failure();
                if self.savepoint.is_some() {
                    // All other checkpoints belong to a run that did not start from the savepoint.
                    cleanup = cleanup.or(store.retain_only(number).err());
                }
                if let Some(error) = cleanup {
                    tracing::warn!(%error, "old checkpoints cannot be removed; the next checkpoint tries again");
                }
                Written {
                    bytes: size.written_bytes,
                    full_bytes: size.full_bytes,
                    is_base: !size.rewrite_next,
                }
            }
            Kept::Memory(before) => {
                let written: usize = states.iter().map(|state| state.blocks.size_bytes()).sum();
                let states = whole(states, before.as_deref().map(|(_, state)| state.as_ref()))?;
                let full: usize = states.iter().map(|state| state.blocks.size_bytes()).sum();
                let checkpoint = CheckpointId(header.checkpoint);
                let state = Arc::new(RestoredState {
                    checkpoint,
                    is_branch: false,
                    states,
                });
                *before = Some(Box::new((header, state)));
                Written {
                    bytes: written as u64,
                    full_bytes: full as u64,
                    is_base: true,
                }
            }
        };
        self.savepoint = None;
        Ok(written)
    }

    /// Copies the newest checkpoint into a savepoint: `directory` below the root of `storage`.
    pub fn export(&self, storage: &dyn Storage, directory: &str) -> Result<u64, DataflowError> {
        let none = || DataflowError::internal("there is no checkpoint to make a savepoint of");
        let bytes = match &self.kept {
            Kept::Memory(state) => {
                let (header, state) = state.as_deref().ok_or_else(none)?;
                write_savepoint(storage, directory, header.clone(), &state.states)?
            }
            Kept::Stored(store) => {
                let checkpoint = store.latest().ok_or_else(none)?;
                let header = store.header(checkpoint).cloned().ok_or_else(none)?;
                write_savepoint(storage, directory, header, &store.load(checkpoint)?)?
            }
        };
        Ok(bytes)
    }

    /// Removes all checkpoints, because the job has ended for good.
    pub fn remove_all(&mut self) -> Result<(), DataflowError> {
        if let Some(ownership) = &self.ownership {
            // Another process may have started from them.
            ownership.check()?;
        }
        match &mut self.kept {
            Kept::Memory(state) => *state = None,
            Kept::Stored(store) => store.remove_all()?,
        }
        Ok(())
    }
}

/// Clears the mark that a job has read all its input, so that its next submission runs it again.
pub fn forget_finished(storage: Arc<dyn Storage>, identity: &str) -> Result<(), DataflowError> {
    let mut checkpoints = Checkpoints::open(Some(storage), identity, 1, false)?;
    match checkpoints.newest_header() {
        Some(header) if header.finished => checkpoints.remove_all(),
        _ => Ok(()),
    }
}

/// The identity of the job that took a savepoint.
pub fn job_of_savepoint(location: &str, stores: &Options) -> Result<String, DataflowError> {
    let storage = open_savepoint(location, stores)?;
    let (header, _) = read_savepoint(storage.as_ref(), "").map_err(|error| cannot_start(location, error))?;
    Ok(header.job)
}

fn cannot_start(location: &str, error: StateError) -> DataflowError {
    let mut error = DataflowError::from(error);
    error.message = format!("cannot start from savepoint '{location}': {}", error.message);
    error
}

fn warn_of_fallback(damaged: CheckpointId, error: &StateError, header: &CheckpointHeader) {
    tracing::warn!(
        job = header.job,
        damaged = damaged.0,
        %error,
        "checkpoint {} is damaged; the job falls back to checkpoint {} of {}. Output that was committed in between is \
         written again",
        damaged.0,
        header.checkpoint,
        utc_time(header.triggered_ms),
    );
}

/// Completes incremental states with the bytes of unchanged blocks from the previous checkpoint.
fn whole(
    states: Vec<InstanceState>,
    before: Option<&RestoredState>,
) -> Result<Vec<InstanceState>, DataflowError> {
    let before = before.map_or(&[][..], |before| &before.states);
    let known: HashMap<(&str, usize), &InstanceState> = before
        .iter()
        .map(|state| ((&*state.uid, state.subtask), state))
        .collect();
    let with_all_bytes = |mut state: InstanceState| {
        let known = known.get(&(&*state.uid, state.subtask));
        let blocks = known.map_or(&[][..], |known| &known.blocks.blocks);
        let known: HashMap<&str, &StateBlock> = blocks.iter().map(|b| (b.name.as_str(), b)).collect();
        let mut all = StateBlocks::new();
        for block in state.blocks.blocks {
            let found = match block.content {
                BlockContent::Bytes(_) | BlockContent::Stored(_) => Some(block),
                BlockContent::Unchanged => known.get(block.name.as_str()).copied().cloned(),
            };
            let missing =
                || DataflowError::internal(format!("a state block of '{}' was never written", state.uid));
            all.blocks.push(found.ok_or_else(missing)?);
        }
        state.blocks = all;
        Ok(state)
    };
    states.into_iter().map(with_all_bytes).collect()
}

/// `jobs/<identity>`; escapes everything but letters, digits, `-`, `_` and inner dots.
fn directory_of(identity: &str) -> String {
    let mut directory = String::from("jobs/");
    for (index, byte) in identity.bytes().enumerate() {
        let is_plain =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && index > 0);
        if is_plain {
            directory.push(char::from(byte));
        } else {
            directory.push_str(&format!("%{byte:02X}"));
        }
    }
    directory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_become_names_of_one_level() {
        assert_eq!(directory_of("job.sql-1"), "jobs/job.sql-1");
        assert_eq!(directory_of("../a b"), "jobs/%2E.%2Fa%20b");
        assert_eq!(directory_of("ü"), "jobs/%C3%BC");
    }
}
