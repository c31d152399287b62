//! LIMIT and OFFSET without ORDER BY over an insert-only input: the first rows to arrive.
//!
//! Over an input with retractions, a limit is a Top-N without sort columns, see [`crate::rank`].

use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::StateError;
use millstream_types::Batch;

pub(crate) struct Limit {
    offset: u64,
    /// Number of the first row that does not pass.
    end: u64,
    seen: u64,
}

const SEEN_VERSION: u8 = 1;

impl Limit {
    pub(crate) fn new(offset: u64, fetch: Option<u64>) -> Self {
        Self {
            offset,
            end: fetch.map_or(u64::MAX, |fetch| offset.saturating_add(fetch)),
            seen: 0,
        }
    }
}

impl Operator for Limit {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let rows = batch.rows as u64;
        let first = self.seen;
        self.seen = self.seen.saturating_add(rows);
        let from = self.offset.clamp(first, self.seen);
        let until = self.end.clamp(first, self.seen);
        if until <= from {
            return Ok(());
        }
        crate::emit::push(
            batch.slice((from - first) as usize, (until - from) as usize),
            context,
            out,
        )
    }

    fn snapshot(&mut self, _: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut bytes = vec![SEEN_VERSION];
        bytes.extend(self.seen.to_le_bytes());
        Ok(StateBlocks::single("seen", bytes))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        // Only one instance counts; after a change of parallelism it is the first.
        if context.subtask > 0 {
            return Ok(());
        }
        for bytes in blocks.iter().filter_map(|b| b.get("seen")) {
            let seen = match bytes {
                [SEEN_VERSION, seen @ ..] => seen.try_into().map(u64::from_le_bytes).ok(),
                _ => None,
            };
            self.seen += seen.ok_or_else(|| StateError::corrupt("seen", "it is not a number"))?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.seen >= self.end
    }

    fn state_bytes(&self) -> usize {
        size_of::<u64>()
    }
}
