//! The window of HOP that was emitted last, kept up to date from one window to the next.
//!
//! Consecutive windows differ by two slices: the newest comes in, the oldest goes. Where all aggregates can take partial
//! results out again, a window costs the groups of those two slices and its own output, however many slices it has.
//! Otherwise each window is merged from its slices.

use std::collections::BTreeMap;
use std::ops::Bound;

use millstream_dataflow::DataflowError;

use super::Window;
use super::assign::Slicing;
use super::slice::{Slice, SliceSpec};

pub(crate) struct RunningWindow {
    /// The groups of the slices from `start` to `end`.
    pub slice: Slice,
    /// End of the window that was emitted last.
    pub end: i64,
    start: i64,
    /// Whether the next window can follow from this one.
    exact: bool,
}

impl RunningWindow {
    /// Whether rows of a slice must be added here too.
    pub(crate) fn contains(&self, slice_end: i64) -> bool {
        self.exact && self.start < slice_end && slice_end <= self.end
    }

    /// The window `window`, from the one before if that is possible.
    pub(crate) fn advance(
        running: Option<Self>,
        slicing: Slicing,
        window: Window,
        slices: &BTreeMap<Window, Slice>,
        spec: &SliceSpec,
    ) -> Result<Self, DataflowError> {
        if let Some(mut running) = running.filter(|r| r.exact && r.end + slicing.slice_ms == window.end) {
            let newest = Window {
                end: window.end,
                start: window.end - slicing.slice_ms,
            };
            if let Some(slice) = slices.get(&newest) {
                running.slice.merge(slice)?;
            }
            running.end = window.end;
            return Ok(running);
        }
        let mut slice = Slice::new(spec)?;
        let exact = slice.calls.can_unmerge();
        let first = Bound::Excluded(Window {
            end: window.start,
            start: i64::MAX,
        });
        let last = Bound::Included(Window {
            end: window.end,
            start: i64::MAX,
        });
        let parts = slices.range((first, last)).map(|(_, part)| part);
        if exact {
            for part in parts {
                slice.merge(part)?;
            }
        } else {
            // From the newest slice back, as Flink's HoppingSlicesIterable goes: sums of DOUBLE depend on the order.
            for part in parts.rev() {
                slice.merge(part)?;
            }
        }
        Ok(Self {
            slice,
            end: window.end,
            start: window.start,
            exact,
        })
    }

    /// Takes the oldest slice out, after the window was emitted; it may have no rows.
    pub(crate) fn leave(
        &mut self,
        slicing: Slicing,
        oldest: Option<&Slice>,
        spec: &SliceSpec,
    ) -> Result<(), DataflowError> {
        self.start += slicing.slice_ms;
        if !self.exact {
            self.slice = Slice::new(spec)?;
            return Ok(());
        }
        oldest.map_or(Ok(()), |oldest| self.slice.unmerge(oldest))
    }
}
