//! Which slice a time falls into, and which windows consist of which slices.
//!
//! A slice is the longest stretch of time that lies in all windows which it touches: a whole TUMBLE window, one slide of
//! HOP, one step of CUMULATE. Slices and windows are named by their ends; all times are local.

use millstream_plan::WindowKind;

/// The slices and windows of one window function other than SESSION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slicing {
    pub slice_ms: i64,
    pub size_ms: i64,
    offset_ms: i64,
    pub cumulate: bool,
}

impl Slicing {
    /// `None` for SESSION, or for sizes that are not positive.
    pub(crate) fn of(kind: WindowKind) -> Option<Self> {
        let (slice_ms, size_ms, cumulate) = match kind {
            WindowKind::Tumble { size_ms, .. } => (size_ms, size_ms, false),
            WindowKind::Hop {
                slide_ms, size_ms, ..
            } => (slide_ms, size_ms, false),
            WindowKind::Cumulate { step_ms, size_ms, .. } => (step_ms, size_ms, true),
            WindowKind::Session { .. } => return None,
        };
        let slicing = Self {
            slice_ms,
            size_ms,
            offset_ms: kind.offset_ms(),
            cumulate,
        };
        (slice_ms > 0 && size_ms >= slice_ms).then_some(slicing)
    }

    /// Whether a window is a single slice.
    pub(crate) fn is_tumble(self) -> bool {
        self.slice_ms == self.size_ms
    }

    /// End of the slice of a time.
    #[inline]
    pub(crate) fn slice_end(self, time_ms: i64) -> i64 {
        self.start_of(time_ms, self.slice_ms)
            .saturating_add(self.slice_ms)
    }

    #[inline]
    fn start_of(self, time_ms: i64, length_ms: i64) -> i64 {
        time_ms.saturating_sub(time_ms.saturating_sub(self.offset_ms).rem_euclid(length_ms))
    }

    /// End of the last window that contains the slice.
    #[inline]
    pub(crate) fn last_window_end(self, slice_end: i64) -> i64 {
        if self.cumulate {
            return self.window_start(slice_end).saturating_add(self.size_ms);
        }
        slice_end.saturating_add(self.size_ms - self.slice_ms)
    }

    /// Start of the window with this end.
    pub(crate) fn window_start(self, window_end: i64) -> i64 {
        if self.cumulate {
            return self.start_of(window_end.saturating_sub(1), self.size_ms);
        }
        window_end.saturating_sub(self.size_ms)
    }

    /// Ends of the windows that contain a time, ascending.
    pub(crate) fn windows_of(self, time_ms: i64) -> impl Iterator<Item = i64> {
        let first = self.slice_end(time_ms);
        let count = (self.last_window_end(first) - first) / self.slice_ms + 1;
        (0..count).map(move |i| first + i * self.slice_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_by_definition() {
        let hop = Slicing::of(WindowKind::Hop {
            slide_ms: 5,
            size_ms: 15,
            offset_ms: 2,
        })
        .unwrap();
        for time in -40..40 {
            // A window [start, start + 15) starts at 2 modulo 5.
            let expected: Vec<i64> = (-80..80)
                .filter(|start: &i64| (start - 2).rem_euclid(5) == 0 && *start <= time && time < start + 15)
                .map(|start| start + 15)
                .collect();
            assert_eq!(hop.windows_of(time).collect::<Vec<_>>(), expected, "{time}");
            assert_eq!(hop.last_window_end(hop.slice_end(time)), expected[2]);
        }
        let cumulate = Slicing::of(WindowKind::Cumulate {
            step_ms: 5,
            size_ms: 15,
            offset_ms: 0,
        })
        .unwrap();
        assert_eq!(cumulate.windows_of(-1).collect::<Vec<_>>(), [0]);
        assert_eq!(cumulate.windows_of(0).collect::<Vec<_>>(), [5, 10, 15]);
        assert_eq!(cumulate.windows_of(7).collect::<Vec<_>>(), [10, 15]);
        assert_eq!(cumulate.window_start(10), 0);
        assert_eq!(cumulate.window_start(15), 0);
        assert_eq!(cumulate.window_start(20), 15);
    }
}
