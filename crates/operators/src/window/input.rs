//! From a batch to the rows of each slice.
//!
//! Time mostly stands still within a batch: all its rows fall into one slice, which is seen from the least and the
//! greatest time, without a look at each row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};
use millstream_dataflow::{Context, DataflowError};
use millstream_types::Batch;

use super::Window;
use super::assign::Slicing;
use super::wall_clock::WallClock;

/// The source of a row's time or window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowTime {
    /// A time column.
    Column(usize),
    /// The clock.
    Clock,
    /// Window columns; without a start it follows from the end.
    Attached {
        start: Option<usize>,
        end: usize,
        slicing: Option<Slicing>,
    },
}

/// The input columns that a window operator reads.
#[derive(Clone, Debug)]
pub(crate) struct WindowInput {
    pub time: WindowTime,
    /// Keys, then the columns that aggregates read.
    pub columns: Vec<usize>,
}

/// Local times of rows; rows without a time belong to no window.
pub(crate) struct Times {
    pub values: ScalarBuffer<i64>,
    pub nulls: Option<NullBuffer>,
    /// Window starts of rows with attached windows.
    starts: Option<ScalarBuffer<i64>>,
}

/// Rows of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    All,
    Some(Vec<u32>),
}

impl Rows {
    /// Their positions in the batch that they were taken from.
    pub(crate) fn positions(&self, batch: &Batch) -> Vec<u32> {
        match self {
            Self::All => (0..batch.rows as u32).collect(),
            Self::Some(rows) => rows.clone(),
        }
    }
}

impl WindowInput {
    pub(crate) fn project(&self, batch: &Batch) -> Vec<ArrayRef> {
        self.columns
            .iter()
            .map(|c| Arc::clone(&batch.columns[*c]))
            .collect()
    }

    pub(crate) fn times(
        &self,
        batch: &Batch,
        clock: &mut WallClock,
        context: &Context,
    ) -> Result<Times, DataflowError> {
        match self.time {
            WindowTime::Clock => {
                let now = clock.local_at(context.now_ms);
                Ok(Times {
                    values: vec![now; batch.rows].into(),
                    nulls: None,
                    starts: None,
                })
            }
            WindowTime::Column(column) => {
                let (values, nulls) = milliseconds(&batch.columns[column])?;
                let values = if clock.is_utc() {
                    values
                } else {
                    values.iter().map(|t| clock.local_at(*t)).collect()
                };
                Ok(Times {
                    values,
                    nulls,
                    starts: None,
                })
            }
            WindowTime::Attached { start, end, slicing } => {
                let (values, nulls) = milliseconds(&batch.columns[end])?;
                let starts = match (start, slicing) {
                    (Some(column), _) => milliseconds(&batch.columns[column])?.0,
                    (None, Some(slicing)) => values.iter().map(|end| slicing.window_start(*end)).collect(),
                    (None, None) => values.clone(),
                };
                Ok(Times {
                    values,
                    nulls,
                    starts: Some(starts),
                })
            }
        }
    }
}

/// A timestamp column as milliseconds.
pub(crate) fn milliseconds(
    column: &ArrayRef,
) -> Result<(ScalarBuffer<i64>, Option<NullBuffer>), DataflowError> {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => Ok((
            column.as_primitive::<TimestampMillisecondType>().values().clone(),
            nulls,
        )),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>().values();
            Ok((values.iter().map(|t| t.div_euclid(1000)).collect(), nulls))
        }
        other => Err(DataflowError::internal(format!(
            "a time attribute is a timestamp column, not {other}"
        ))),
    }
}

/// The rows of each slice, in order of first appearance.
pub(crate) fn split_by_slice(times: &Times, slicing: Slicing) -> Vec<(Window, Rows)> {
    let window = |end: i64| Window {
        end,
        start: end.saturating_sub(slicing.slice_ms),
    };
    let (Some(least), Some(greatest)) = (times.values.iter().min(), times.values.iter().max()) else {
        return Vec::new();
    };
    if times.nulls.is_none() {
        let end = slicing.slice_end(*least);
        if *greatest < end {
            return vec![(window(end), Rows::All)];
        }
    }
    let mut parts = Parts::default();
    let mut slice = window(i64::MIN);
    for (row, time) in times.values.iter().enumerate() {
        if times.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            continue;
        }
        if *time < slice.start || *time >= slice.end {
            slice = window(slicing.slice_end(*time));
        }
        parts.push(slice, row);
    }
    parts.finish()
}

/// The rows of each window, in order of first appearance.
pub(crate) fn split_by_window(times: &Times) -> Vec<(Window, Rows)> {
    let mut parts = Parts::default();
    for (row, end) in times.values.iter().enumerate() {
        if times.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            continue;
        }
        let start = times.starts.as_ref().map_or(*end, |starts| starts[row]);
        parts.push(Window { end: *end, start }, row);
    }
    parts.finish()
}

/// Groups rows by window; there are few windows, and mostly the previous row's.
#[derive(Default)]
struct Parts {
    parts: Vec<(Window, Vec<u32>)>,
    current: usize,
}

impl Parts {
    fn push(&mut self, window: Window, row: usize) {
        if self
            .parts
            .get(self.current)
            .is_none_or(|(held, _)| *held != window)
        {
            let found = self.parts.iter().position(|(held, _)| *held == window);
            self.current = found.unwrap_or_else(|| {
                self.parts.push((window, Vec::new()));
                self.parts.len() - 1
            });
        }
        self.parts[self.current].1.push(row as u32);
    }

    fn finish(self) -> Vec<(Window, Rows)> {
        self.parts
            .into_iter()
            .map(|(window, rows)| (window, Rows::Some(rows)))
            .collect()
    }
}
