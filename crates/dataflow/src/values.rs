//! A source of rows that are known beforehand: VALUES, and the input of tests.

use millstream_state::StateBlocks;
use millstream_types::Batch;

use crate::factory::SourceFactory;
use crate::operator::{Context, DataflowError, Output};
use crate::source::{Source, SourceStatus, Waker};

/// Makes sources that emit the same batch. One instance emits it; others have nothing.
#[derive(Clone, Debug)]
pub struct ValuesFactory {
    rows: Batch,
}

impl ValuesFactory {
    pub fn new(rows: Batch) -> Self {
        Self { rows }
    }
}

impl SourceFactory for ValuesFactory {
    fn create(&self, context: &Context) -> Result<Box<dyn Source>, DataflowError> {
        let position = if context.subtask == 0 { 0 } else { self.rows.rows };
        Ok(Box::new(ValuesSource {
            rows: self.rows.clone(),
            position,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        Some(1)
    }

    fn is_bounded(&self) -> bool {
        true
    }
}

struct ValuesSource {
    rows: Batch,
    position: usize,
}

/// Block with the position, a 64-bit little-endian number behind a version byte.
const POSITION_BLOCK: &str = "position";
const POSITION_VERSION: u8 = 1;

impl Source for ValuesSource {
    fn open(&mut self, _context: &Context, _waker: Waker) -> Result<(), DataflowError> {
        Ok(())
    }

    fn poll(&mut self, context: &Context, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        let rows = context.batch_rows.min(self.rows.rows - self.position);
        if rows > 0 {
            out.batch(self.rows.slice(self.position, rows))?;
            self.position += rows;
        }
        let ended = self.position == self.rows.rows;
        Ok(if ended {
            SourceStatus::Finished
        } else {
            SourceStatus::Ready
        })
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        let mut bytes = vec![POSITION_VERSION];
        bytes.extend_from_slice(&(self.position as u64).to_le_bytes());
        Ok(StateBlocks::single(POSITION_BLOCK, bytes))
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        if context.subtask > 0 {
            return Ok(());
        }
        let corrupt = || DataflowError::internal("the position of a values source is corrupt");
        for block in &blocks {
            let bytes = block.get(POSITION_BLOCK).ok_or_else(corrupt)?;
            let (version, position) = bytes.split_first().ok_or_else(corrupt)?;
            let position = <[u8; 8]>::try_from(position).map_err(|_| corrupt())?;
            if *version != POSITION_VERSION {
                return Err(corrupt());
            }
            self.position = usize::try_from(u64::from_le_bytes(position))
                .unwrap_or(usize::MAX)
                .min(self.rows.rows);
        }
        Ok(())
    }

    fn pending_records(&self) -> Option<u64> {
        Some((self.rows.rows - self.position) as u64)
    }
}
