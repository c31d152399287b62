//! Window table functions on their own: rows repeated for each of their windows, with the window's columns.
//!
//! Aggregates take windows in themselves; this is for joins, Top-N and deduplication within windows, and for queries
//! that only look. There is no state, and rows are never late here. Rows without a time are dropped.

use std::sync::Arc;

use arrow_array::ArrayRef;
use millstream_dataflow::{Context, DataflowError, Operator, Output};
use millstream_types::Batch;

use super::assign::Slicing;
use super::input::WindowInput;
use super::wall_clock::WallClock;
use super::{Window, WindowColumns};
use crate::emit::{push, take_columns};

/// The operator for TUMBLE, HOP and CUMULATE.
#[derive(Clone)]
pub(crate) struct WindowTableFunction {
    pub input: WindowInput,
    pub slicing: Slicing,
    pub clock: WallClock,
    pub properties: WindowColumns,
}

impl Operator for WindowTableFunction {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        context: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let times = self.input.times(&batch, &mut self.clock, context)?;
        let (mut rows, mut windows) = (Vec::new(), Vec::new());
        for (row, time) in times.values.iter().enumerate() {
            if times.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            for end in self.slicing.windows_of(*time) {
                rows.push(row as u32);
                windows.push(Window {
                    end,
                    start: self.slicing.window_start(end),
                });
            }
        }
        let mut columns: Vec<ArrayRef> = if rows.len() == batch.rows && self.slicing.is_tumble() {
            batch.columns.iter().map(Arc::clone).collect()
        } else {
            take_columns(&batch.columns, &rows)?
        };
        columns.extend(self.properties.columns_of(&windows, &self.clock));
        push(
            Batch {
                columns,
                kinds: batch.kinds_at(&rows),
                rows: rows.len(),
            },
            context,
            out,
        )
    }
}
