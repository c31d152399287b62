//! The columns with the bounds of windows.

use std::sync::Arc;

use arrow_array::types::TimestampMillisecondType;
use arrow_array::{ArrayRef, PrimitiveArray};
use millstream_plan::WindowProperty;
use millstream_types::{LogicalType, TypeFamily, arrow_type};

use super::Window;
use super::wall_clock::WallClock;

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
