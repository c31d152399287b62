//! The window of HOP that was emitted last, kept up to date from one window to the next.
//!
//! Consecutive windows differ by two slices: the newest comes in, the oldest goes. Where all aggregates can take partial
//! results out again, and the slide divides the size, a window costs the groups of those two slices and its own output, however many slices it has.
//! Otherwise each window is merged from its slices.

use std::collections::BTreeMap;
use std::ops::Bound;

use millstream_dataflow::DataflowError;

use super::Window;
use super::assign::Slicing;
use super::slice::{Room, Slice, SliceSpec};

pub(crate) struct RunningWindow {
    /// The groups of the slices from `start` to `end`.
    pub slice: Slice,
    /// End of the window that was emitted last.
    pub end: i64,
    start: i64,
    /// Whether the next window can be derived from this one.
    exact: bool,
}

impl RunningWindow {
    /// Whether rows of a slice must also be added here.
    pub(crate) fn contains(&self, slice_end: i64) -> bool {
        self.exact && self.start < slice_end && slice_end <= self.end
    }

    /// The window `window`, derived from the previous one if possible.
    pub(crate) fn advance(
        running: Option<Self>,
        slicing: Slicing,
        window: Window,
        slices: &BTreeMap<Window, Slice>,
        spec: &SliceSpec,
        room: &mut Room<'_>,
    ) -> Result<Self, DataflowError> {
        if let Some(mut running) = running.filter(|r| r.exact && r.end + slicing.slice_ms == window.end) {
            let newest = Window {
                end: window.end,
                start: window.end - slicing.slice_ms,
            };
            if let Some(slice) = slices.get(&newest) {
                running.slice.merge(slice, spec, room)?;
            }
            running.end = window.end;
            return Ok(running);
        }
        let mut slice = Slice::new(spec)?;
        let exact = slicing.slide_ms == slicing.slice_ms && slice.calls.can_unmerge();
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
                slice.merge(part, spec, room)?;
            }
        } else {
            // From the newest slice back, like Flink's HoppingSlicesIterable: sums of DOUBLE depend on the order.
            for part in parts.rev() {
                slice.merge(part, spec, room)?;
            }
        }
        Ok(Self {
            slice,
            end: window.end,
            start: window.start,
            exact,
        })
    }

    /// Subtracts the oldest slice after the window was emitted; the slice may be empty.
    pub(crate) fn leave(
        &mut self,
        slicing: Slicing,
        oldest: Option<&Slice>,
        spec: &SliceSpec,
        room: &mut Room<'_>,
    ) -> Result<(), DataflowError> {
        self.start += slicing.slice_ms;
        if !self.exact {
            self.slice = Slice::new(spec)?;
            return Ok(());
        }
        oldest.map_or(Ok(()), |oldest| self.slice.unmerge(oldest, spec, room))
    }
}
