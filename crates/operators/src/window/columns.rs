//! The columns with the bounds of windows, in results and in the state of sessions.

use std::sync::Arc;

use arrow_array::types::TimestampMillisecondType;
use arrow_array::{ArrayRef, Int64Array, PrimitiveArray};
use millstream_dataflow::DataflowError;
use millstream_plan::WindowProperty;
use millstream_types::{LogicalType, TypeFamily, arrow_type};

use super::Window;
use super::wall_clock::WallClock;
use crate::aggregate::AggregateCalls;

/// The columns that a window appends after keys and results.
#[derive(Clone, Debug)]
pub(crate) struct WindowColumns(pub Vec<(WindowProperty, LogicalType)>);

impl WindowColumns {
    /// The columns for `rows` rows of one window.
    pub(crate) fn columns(&self, window: Window, rows: usize, clock: &WallClock) -> Vec<ArrayRef> {
        self.columns_of(&vec![window; rows], clock)
    }

    /// The columns for rows that each have a window.
    pub(crate) fn columns_of(&self, windows: &[Window], clock: &WallClock) -> Vec<ArrayRef> {
        let column = |(property, ty): &(WindowProperty, LogicalType)| {
            let is_instant = ty.family() == TypeFamily::TimestampLtz;
            let value = |window: &Window| match property {
                WindowProperty::Start => window.start,
                WindowProperty::End => window.end,
                WindowProperty::Time if is_instant => clock.to_instant(window.end - 1),
                WindowProperty::Time => window.end - 1,
            };
            let column =
                PrimitiveArray::<TimestampMillisecondType>::from_iter_values(windows.iter().map(value));
            Arc::new(column.with_data_type(arrow_type(ty))) as ArrayRef
        };
        self.0.iter().map(column).collect()
    }
}

/// What is kept of the sessions in these slots besides their keys: start, end, rows, partial results.
pub(super) fn session_values(
    owners: &[Option<(u32, Window)>],
    rows: &[i64],
    calls: &AggregateCalls,
    slots: &[u32],
) -> Result<Vec<ArrayRef>, DataflowError> {
    let numbers = |value: &dyn Fn(usize) -> i64| -> ArrayRef {
        let values = slots.iter().map(|slot| value(*slot as usize));
        Arc::new(Int64Array::from_iter_values(values))
    };
    let window = |slot: usize| owners[slot].map(|(_, window)| window);
    let mut columns: Vec<ArrayRef> = vec![
        numbers(&|slot| window(slot).map_or(0, |window| window.start)),
        numbers(&|slot| window(slot).map_or(0, |window| window.end)),
        numbers(&|slot| rows[slot]),
    ];
    columns.extend(calls.state(slots)?);
    Ok(columns)
}
