//! Maps times to slices, and slices to windows.
//!
//! A slice is the longest interval that lies within every window that it overlaps: a whole TUMBLE window, one step of
//! CUMULATE, of HOP the greatest common divisor of slide and size, which is the slide if it divides the size. Slices and windows are identified by their ends.

use millstream_plan::WindowKind;

/// The slices and windows of one window function other than SESSION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slicing {
    pub slice_ms: i64,
    pub size_ms: i64,
    /// Distance between the windows of HOP and TUMBLE.
    pub slide_ms: i64,
    offset_ms: i64,
    pub cumulate: bool,
}

impl Slicing {
    /// `None` for SESSION, or for sizes that are not positive.
    pub(crate) fn of(kind: WindowKind) -> Option<Self> {
        let (slide_ms, size_ms, cumulate) = match kind {
            WindowKind::Tumble { size_ms, .. } => (size_ms, size_ms, false),
            WindowKind::Hop {
                slide_ms, size_ms, ..
            } => (slide_ms, size_ms, false),
            WindowKind::Cumulate { step_ms, size_ms, .. } => (step_ms, size_ms, true),
            WindowKind::Session { .. } => return None,
        };
        if slide_ms <= 0 || size_ms <= 0 || (cumulate && size_ms < slide_ms) {
            return None;
        }
        Some(Self {
            slice_ms: if cumulate {
                slide_ms
            } else {
                common_divisor(slide_ms, size_ms)
            },
            size_ms,
            slide_ms,
            offset_ms: kind.offset_ms(),
            cumulate,
        })
    }

    /// Whether a window is a single slice.
    pub(crate) fn is_tumble(self) -> bool {
        self.slide_ms == self.size_ms
    }

    /// The first end of a window of HOP at or after `end`.
    pub(crate) fn next_window_end(self, end: i64) -> i64 {
        let behind = end.saturating_sub(self.size_ms).saturating_sub(self.offset_ms);
        end.saturating_add(behind.saturating_neg().rem_euclid(self.slide_ms))
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
        let latest = slice_end
            .saturating_sub(self.slice_ms)
            .saturating_add(self.size_ms);
        self.start_of(latest.saturating_sub(self.size_ms), self.slide_ms)
            .saturating_add(self.size_ms)
    }

    /// Start of the window with this end.
    pub(crate) fn window_start(self, window_end: i64) -> i64 {
        if self.cumulate {
            return self.start_of(window_end.saturating_sub(1), self.size_ms);
        }
        window_end.saturating_sub(self.size_ms)
    }

    /// Whether a window contains the slice: with a slide beyond the size, there are gaps.
    pub(crate) fn is_covered(self, slice_end: i64) -> bool {
        self.last_window_end(slice_end) >= slice_end
    }

    /// Ends of the windows that contain a time, ascending.
    pub(crate) fn windows_of(self, time_ms: i64) -> impl Iterator<Item = i64> {
        let slice = self.slice_end(time_ms);
        let first = if self.cumulate {
            slice
        } else {
            self.next_window_end(slice)
        };
        let last = self.last_window_end(slice);
        let count = (last - first).div_euclid(self.slide_ms) + 1;
        (0..count.max(0)).map(move |i| first + i * self.slide_ms)
    }
}

fn common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
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
        for (slide, size) in [(4, 10), (3, 7), (10, 4), (6, 4), (5, 5)] {
            let hop = Slicing::of(WindowKind::Hop {
                slide_ms: slide,
                size_ms: size,
                offset_ms: 1,
            })
            .unwrap();
            for time in -40..40i64 {
                let holds =
                    |start: &i64| (start - 1).rem_euclid(slide) == 0 && *start <= time && time < start + size;
                let expected: Vec<i64> = (-80..80).filter(holds).map(|start| start + size).collect();
                assert_eq!(
                    hop.windows_of(time).collect::<Vec<_>>(),
                    expected,
                    "{slide} {size} {time}"
                );
                assert_eq!(hop.is_covered(hop.slice_end(time)), !expected.is_empty());
            }
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
