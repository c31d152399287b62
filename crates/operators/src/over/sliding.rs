//! Aggregates over frames with arbitrary bounds, for the sorted rows of a bounded input.
//!
//! Within a partition, neither end of the frame moves back from row to row: rows that enter are added to an
//! accumulator, rows that leave are retracted.

use std::ops::Range;

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_select::concat::concat;
use arrow_select::take::take;
use millstream_dataflow::DataflowError;
use millstream_plan::AggregateCall;

use crate::aggregate::AggregateSpec;

/// The ends of a frame, as distances from the current row; `None`: unbounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// By number of rows; otherwise by distance in the order column.
    pub rows: bool,
    /// Before the current row; negative: after it.
    pub preceding: Option<i64>,
    /// After the current row; negative: before it.
    pub following: Option<i64>,
}

impl Bounds {
    /// Whether the frame ends at the current row.
    pub fn ends_at_current_row(self) -> bool {
        self.following == Some(0) && self.preceding.is_none_or(|distance| distance >= 0)
    }

    /// The frame of each row of a partition. `order` are the rows' positions in the order.
    fn frames(self, partition: Range<usize>, order: &[i128]) -> Vec<Range<usize>> {
        let (mut start, mut end) = (partition.start, partition.start);
        let mut frames = Vec::with_capacity(partition.len());
        for row in partition.clone() {
            let place = |at: usize| if self.rows { at as i128 } else { order[at] };
            let here = place(row);
            if let Some(preceding) = self.preceding {
                while start < partition.end && place(start) < here - i128::from(preceding) {
                    start += 1;
                }
            }
            match self.following {
                None => end = partition.end,
                Some(following) => {
                    while end < partition.end && place(end) <= here + i128::from(following) {
                        end += 1;
                    }
                }
            }
            frames.push(start.min(end)..end);
        }
        frames
    }
}

/// The results of `calls`, a column each. `partitions` are the partition numbers of the sorted rows.
pub(super) fn aggregate(
    calls: &[AggregateCall],
    bounds: Bounds,
    columns: &[ArrayRef],
    partitions: &[u32],
    order: &[i128],
) -> Result<Vec<ArrayRef>, DataflowError> {
    let spec = AggregateSpec::new(calls, true)?;
    let read = spec.columns();
    let columns: Vec<ArrayRef> = read.iter().map(|column| columns[*column].clone()).collect();
    let place = |column: usize| read.iter().position(|c| *c == column).unwrap_or(0);
    let mut accumulators = spec.remap(place).instantiate();
    accumulators.resize(1);
    let mut results: Vec<Vec<ArrayRef>> = vec![Vec::new(); calls.len()];
    // Rows with the same frame share a result.
    let mut result_of = Vec::with_capacity(partitions.len());
    let change =
        |rows: Range<usize>, is_retraction: bool, accumulators: &mut crate::aggregate::AggregateCalls| {
            if rows.is_empty() {
                return Ok(());
            }
            let slices: Vec<ArrayRef> = columns.iter().map(|c| c.slice(rows.start, rows.len())).collect();
            let retract = vec![is_retraction; rows.len()];
            accumulators.update(&vec![0; rows.len()], &slices, Some(&retract))
        };
    let mut first = 0;
    while first < partitions.len() {
        let end = (first..partitions.len())
            .find(|row| partitions[*row] != partitions[first])
            .unwrap_or(partitions.len());
        accumulators.clear(&[0]);
        let mut held = first..first;
        for (i, frame) in bounds.frames(first..end, order).into_iter().enumerate() {
            if i == 0 || frame != held {
                change(held.end..frame.end, false, &mut accumulators)?;
                change(held.start..frame.start.max(held.start), true, &mut accumulators)?;
                held = frame;
                for (column, value) in results.iter_mut().zip(accumulators.evaluate(&[0])?) {
                    column.push(value);
                }
            }
            result_of.push(results.first().map_or(0, |column| column.len() as u32 - 1));
        }
        first = end;
    }
    let result_of = UInt32Array::from(result_of);
    let column = |values: Vec<ArrayRef>| {
        let parts: Vec<&dyn Array> = values.iter().map(|value| value.as_ref()).collect();
        Ok(take(&concat(&parts)?, &result_of, None)?)
    };
    results.into_iter().map(column).collect()
}
