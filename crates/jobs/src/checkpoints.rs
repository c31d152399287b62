//! Where a job's checkpoints are kept, and whether one fits a plan.

use std::sync::Arc;

use millstream_dataflow::{DataflowError, InstanceState, RestoredState};
use millstream_plan::uid::{kind_name, uids};
use millstream_plan::{Op, Plan, WindowKind};
use millstream_state::{BlockContent, CheckpointHeader, CheckpointStore, OperatorEntry, StateBlocks};
use millstream_types::storage::Storage;
use millstream_types::{CheckpointId, ErrorKind};

/// The checkpoints of one job.
#[derive(Debug)]
pub enum Checkpoints {
    /// For restarts within the process.
    Memory(Option<Arc<RestoredState>>),
    /// For restarts of the process too.
    Stored(Box<CheckpointStore>),
}

/// Bytes written, bytes in full, and whether the next snapshot may refer to this one.
pub type WrittenSizes = (u64, u64, bool);

impl Checkpoints {
    /// In the directory of the job's identity, or in memory without a storage.
    pub fn open(
        storage: Option<Arc<dyn Storage>>,
        identity: &str,
        retained: usize,
        fresh: bool,
    ) -> Result<Self, DataflowError> {
        let Some(storage) = storage else {
            return Ok(Self::Memory(None));
        };
        let mut store = CheckpointStore::open(storage, &directory_of(identity), retained)?;
        if fresh {
            store.remove_all()?;
        }
        Ok(Self::Stored(Box::new(store)))
    }

    pub fn latest(&self) -> Option<CheckpointId> {
        match self {
            Self::Memory(state) => state.as_ref().map(|state| state.checkpoint),
            Self::Stored(store) => store.latest(),
        }
    }

    /// The newest checkpoint, to start from.
    pub fn load_latest(&self) -> Result<Option<Arc<RestoredState>>, DataflowError> {
        match self {
            Self::Memory(state) => Ok(state.clone()),
            Self::Stored(store) => {
                let Some(checkpoint) = store.latest() else {
                    return Ok(None);
                };
                Ok(Some(Arc::new(RestoredState {
                    checkpoint,
                    states: store.load(checkpoint)?,
                })))
            }
        }
    }

    pub fn write(
        &mut self,
        header: CheckpointHeader,
        states: Vec<InstanceState>,
    ) -> Result<WrittenSizes, DataflowError> {
        match self {
            Self::Stored(store) => {
                let size = store.write(header, &states)?;
                Ok((size.written_bytes, size.full_bytes, !size.rewrite_next))
            }
            Self::Memory(before) => {
                let written: usize = states.iter().map(|state| state.blocks.size_bytes()).sum();
                let states = states
                    .into_iter()
                    .map(|state| with_all_bytes(state, before.as_deref()));
                let states: Vec<InstanceState> = states.collect::<Result<_, _>>()?;
                let full: usize = states.iter().map(|state| state.blocks.size_bytes()).sum();
                let checkpoint = CheckpointId(header.checkpoint);
                *before = Some(Arc::new(RestoredState { checkpoint, states }));
                Ok((written as u64, full as u64, true))
            }
        }
    }

    /// Forgets everything: the job is over and will not go on.
    pub fn remove_all(&mut self) -> Result<(), DataflowError> {
        match self {
            Self::Memory(state) => *state = None,
            Self::Stored(store) => store.remove_all()?,
        }
        Ok(())
    }

    /// Checks that the newest stored checkpoint belongs to these operators; the error names the one that changed.
    pub fn check_fit(
        &self,
        identity: &str,
        now: &[OperatorEntry],
        max_parallelism: u16,
    ) -> Result<(), DataflowError> {
        let Self::Stored(store) = self else { return Ok(()) };
        let Some(checkpoint) = store.latest() else {
            return Ok(());
        };
        let Some(header) = store.header(checkpoint) else {
            return Ok(());
        };
        let refuse = |reason: String| {
            let message = format!(
                "checkpoint {} of job '{identity}' does not fit the statement: {reason}; use --fresh to forget \
                 the old state, or give the job another 'pipeline.name'",
                checkpoint.0
            );
            Err(DataflowError::new(ErrorKind::Input, message))
        };
        if header.max_parallelism != max_parallelism {
            return refuse(format!(
                "'pipeline.max-parallelism' was {} and is {max_parallelism}",
                header.max_parallelism
            ));
        }
        for before in &header.operators {
            match now.iter().find(|entry| entry.uid == before.uid) {
                Some(entry) if entry.fingerprint == before.fingerprint => {}
                Some(_) => return refuse(format!("operator '{}' ({}) has changed", before.name, before.uid)),
                None => return refuse(format!("operator '{}' ({}) is gone", before.name, before.uid)),
            }
        }
        let is_known = |entry: &&OperatorEntry| header.operators.iter().any(|before| before.uid == entry.uid);
        match now.iter().find(|entry| !is_known(entry)) {
            Some(new) => refuse(format!("operator '{}' ({}) is new", new.name, new.uid)),
            None => Ok(()),
        }
    }
}

/// The state with the bytes of unchanged blocks from the checkpoint before.
fn with_all_bytes(
    mut state: InstanceState,
    before: Option<&RestoredState>,
) -> Result<InstanceState, DataflowError> {
    let known = before.and_then(|before| {
        before
            .states
            .iter()
            .find(|known| known.uid == state.uid && known.subtask == state.subtask)
    });
    let mut whole = StateBlocks::new();
    for block in state.blocks.blocks {
        let found = match block.content {
            BlockContent::Bytes(_) => Some(block),
            BlockContent::Unchanged => {
                known.and_then(|known| known.blocks.blocks.iter().find(|b| b.name == block.name).cloned())
            }
        };
        let missing =
            || DataflowError::internal(format!("a state block of '{}' was never written", state.uid));
        whole.blocks.push(found.ok_or_else(missing)?);
    }
    state.blocks = whole;
    Ok(state)
}

/// The operators of a plan that may keep state, as a checkpoint names them.
pub fn operator_entries(plan: &Plan) -> Vec<OperatorEntry> {
    let entry = |(uid, op): (String, &Op)| {
        keeps_state(op).then(|| OperatorEntry {
            uid,
            name: kind_name(op).to_owned(),
            fingerprint: fingerprint(op),
        })
    };
    uids(plan)
        .into_iter()
        .zip(plan.nodes.iter().map(|node| &node.op))
        .filter_map(entry)
        .collect()
}

/// Operators that only transform rows may change between runs: no state depends on them but by the types of the
/// columns that stateful operators name themselves.
fn keeps_state(op: &Op) -> bool {
    if let Op::WindowTableFunction { window, .. } = op {
        return matches!(window.kind, WindowKind::Session { .. });
    }
    !matches!(
        op,
        Op::Calc { .. }
            | Op::Expand { .. }
            | Op::UnionAll
            | Op::DropUpdateBefore
            | Op::Exchange { .. }
            | Op::Correlate { .. }
            | Op::LookupJoin { .. }
            | Op::Collect
    )
}

/// Equal for operators whose state is interchangeable. Of tables only the identity and the connector count: options
/// such as addresses or formats may change.
fn fingerprint(op: &Op) -> String {
    let content = match op {
        Op::Scan { table, .. } | Op::Sink { table, .. } => {
            format!(
                "{}|{}",
                table.identifier,
                table.options.get("connector").map_or("", String::as_str)
            )
        }
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in content.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    format!("{hash:016x}")
}

/// `jobs/<identity>`, with everything but letters, digits, `-`, `_` and inner dots escaped.
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
