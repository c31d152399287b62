//! Rows that leave a pipeline beside its results: records that cannot be decoded, and rows that came too late.
//!
//! They travel as side outputs of [`millstream_types::Records`] behind the source or operator that found them, in order
//! with its batches and barriers. So a side output belongs to the same checkpoint as the rows around it. Where no
//! operator reads a side output, nothing of it is made.

use arrow_array::UInt32Array;
use millstream_types::{Batch, Watermark};

use crate::operator::{Context, DataflowError};

/// Number of the side output of [`LateBatch`]es. User programs number theirs from 1.
pub const LATE_ROWS: u32 = u32::MAX;
/// Number of the side output of records that a source cannot decode; the connectors say what they are.
pub const DEAD_LETTERS: u32 = u32::MAX - 1;

/// Rows of one batch that came too late for an operator.
#[derive(Clone, Debug)]
pub struct LateBatch {
    /// The input that they came from.
    pub port: usize,
    pub rows: Batch,
    /// The watermark that had passed them.
    pub watermark: Watermark,
}

/// Counts the late rows of an operator instance, and keeps them until the driver takes them if the job wants them.
#[derive(Debug, Default)]
pub struct LateRows {
    count: u64,
    kept: Vec<LateBatch>,
}

impl LateRows {
    /// Notes rows of `batch`, by their positions.
    pub fn add(
        &mut self,
        port: usize,
        batch: &Batch,
        rows: &[u32],
        context: &Context,
    ) -> Result<(), DataflowError> {
        self.count += rows.len() as u64;
        if context.keeps_late_rows && !rows.is_empty() {
            self.kept.push(LateBatch {
                port,
                rows: batch.take(&UInt32Array::from(rows.to_vec()))?,
                watermark: context.watermark,
            });
        }
        Ok(())
    }

    /// Splits the rows of a batch: notes those for which `is_late` holds and returns the others; `None`: all are others.
    pub fn divide(
        &mut self,
        port: usize,
        batch: &Batch,
        context: &Context,
        is_late: impl Fn(usize) -> bool,
    ) -> Result<Option<Batch>, DataflowError> {
        let (late, on_time): (Vec<u32>, Vec<u32>) =
            (0..batch.rows as u32).partition(|row| is_late(*row as usize));
        if late.is_empty() {
            return Ok(None);
        }
        self.add(port, batch, &late, context)?;
        Ok(Some(batch.take(&UInt32Array::from(on_time))?))
    }

    /// Rows noted since the instance was made.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn take(&mut self) -> Vec<LateBatch> {
        std::mem::take(&mut self.kept)
    }
}
