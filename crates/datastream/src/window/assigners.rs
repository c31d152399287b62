//! Which windows a record belongs to.

use std::time::Duration;

use crate::window::TimeWindow;
use crate::window::triggers::{EventTimeTrigger, NeverTrigger, ProcessingTimeTrigger, Trigger};

/// Assigns records to windows.
pub trait WindowAssigner<T>: Clone + Send + 'static {
    /// What fires the windows unless the program says otherwise.
    type Trigger: Trigger<T>;

    /// Adds the windows of a record; `timestamp` is its event time, `now_ms` the clock's.
    fn assign_windows(&self, element: &T, timestamp: i64, now_ms: i64, windows: &mut Vec<TimeWindow>);

    fn default_trigger(&self) -> Self::Trigger;

    /// Whether windows are of event time: records must have timestamps, and may be late.
    fn is_event_time(&self) -> bool;

    /// Whether windows that overlap become one.
    fn is_merging(&self) -> bool {
        false
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

fn start_of(timestamp: i64, size_ms: i64, offset_ms: i64) -> i64 {
    timestamp - (timestamp - offset_ms).rem_euclid(size_ms)
}

macro_rules! tumbling {
    ($name:ident, $trigger:ident, $event_time:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// ```
        /// # use std::time::Duration;
        #[doc = concat!("# use millstream_datastream::window::", stringify!($name), ";")]
        #[doc = concat!("let windows = ", stringify!($name), "::of(Duration::from_secs(10));")]
        /// ```
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            size_ms: i64,
            offset_ms: i64,
        }

        impl $name {
            pub fn of(size: Duration) -> Self {
                Self {
                    size_ms: millis(size),
                    offset_ms: 0,
                }
            }

            /// Windows begin so many milliseconds after the whole multiples of their size.
            pub fn with_offset_ms(mut self, offset_ms: i64) -> Self {
                self.offset_ms = offset_ms;
                self
            }
        }

        impl<T: 'static> WindowAssigner<T> for $name {
            type Trigger = $trigger;

            fn assign_windows(&self, _: &T, timestamp: i64, now_ms: i64, windows: &mut Vec<TimeWindow>) {
                let time_ms = if $event_time { timestamp } else { now_ms };
                let start = start_of(time_ms, self.size_ms, self.offset_ms);
                windows.push(TimeWindow::new(start, start.saturating_add(self.size_ms)));
            }

            fn default_trigger(&self) -> $trigger {
                $trigger
            }

            fn is_event_time(&self) -> bool {
                $event_time
            }
        }
    };
}

macro_rules! sliding {
    ($name:ident, $trigger:ident, $event_time:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// ```
        /// # use std::time::Duration;
        #[doc = concat!("# use millstream_datastream::window::", stringify!($name), ";")]
        #[doc = concat!("let windows = ", stringify!($name), "::of(Duration::from_secs(60), Duration::from_secs(10));")]
        /// ```
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            size_ms: i64,
            slide_ms: i64,
            offset_ms: i64,
        }

        impl $name {
            pub fn of(size: Duration, slide: Duration) -> Self {
                Self {
                    size_ms: millis(size),
                    slide_ms: millis(slide),
                    offset_ms: 0,
                }
            }

            /// Windows begin so many milliseconds after the whole multiples of their slide.
            pub fn with_offset_ms(mut self, offset_ms: i64) -> Self {
                self.offset_ms = offset_ms;
                self
            }
        }

        impl<T: 'static> WindowAssigner<T> for $name {
            type Trigger = $trigger;

            fn assign_windows(
                &self,
                _: &T,
                timestamp: i64,
                now_ms: i64,
                windows: &mut Vec<TimeWindow>,
            ) {
                let time_ms = if $event_time { timestamp } else { now_ms };
                let mut start = start_of(time_ms, self.slide_ms, self.offset_ms);
                while start > time_ms - self.size_ms {
                    windows.push(TimeWindow::new(start, start.saturating_add(self.size_ms)));
                    start -= self.slide_ms;
                }
            }

            fn default_trigger(&self) -> $trigger {
                $trigger
            }

            fn is_event_time(&self) -> bool {
                $event_time
            }
        }
    };
}

macro_rules! session {
    ($name:ident, $dynamic:ident, $trigger:ident, $event_time:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// ```
        /// # use std::time::Duration;
        #[doc = concat!("# use millstream_datastream::window::", stringify!($name), ";")]
        #[doc = concat!("let windows = ", stringify!($name), "::with_gap(Duration::from_secs(30));")]
        /// ```
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            gap_ms: i64,
        }

        impl $name {
            pub fn with_gap(gap: Duration) -> Self {
                Self {
                    gap_ms: millis(gap),
                }
            }

            /// A gap that each record names itself.
            pub fn with_dynamic_gap<F>(gap: F) -> $dynamic<F> {
                $dynamic(gap)
            }
        }

        impl<T: 'static> WindowAssigner<T> for $name {
            type Trigger = $trigger;

            fn assign_windows(&self, _: &T, timestamp: i64, now_ms: i64, windows: &mut Vec<TimeWindow>) {
                let time_ms = if $event_time { timestamp } else { now_ms };
                windows.push(TimeWindow::new(
                    time_ms,
                    time_ms.saturating_add(self.gap_ms),
                ));
            }

            fn default_trigger(&self) -> $trigger {
                $trigger
            }

            fn is_event_time(&self) -> bool {
                $event_time
            }

            fn is_merging(&self) -> bool {
                true
            }
        }

        #[doc = concat!("[`", stringify!($name), "`] whose gap each record names itself.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $dynamic<F>(F);

        impl<T: 'static, F: Fn(&T) -> Duration + Clone + Send + 'static> WindowAssigner<T> for $dynamic<F> {
            type Trigger = $trigger;

            fn assign_windows(
                &self,
                element: &T,
                timestamp: i64,
                now_ms: i64,
                windows: &mut Vec<TimeWindow>,
            ) {
                let time_ms = if $event_time { timestamp } else { now_ms };
                let gap_ms = millis((self.0)(element));
                windows.push(TimeWindow::new(time_ms, time_ms.saturating_add(gap_ms)));
            }

            fn default_trigger(&self) -> $trigger {
                $trigger
            }

            fn is_event_time(&self) -> bool {
                $event_time
            }

            fn is_merging(&self) -> bool {
                true
            }
        }
    };
}

tumbling!(
    TumblingEventTimeWindows,
    EventTimeTrigger,
    true,
    "Windows of one size, one after the other, by event time."
);
tumbling!(
    TumblingProcessingTimeWindows,
    ProcessingTimeTrigger,
    false,
    "Windows of one size, one after the other, by the clock."
);
sliding!(
    SlidingEventTimeWindows,
    EventTimeTrigger,
    true,
    "Windows of one size that begin every slide, by event time."
);
sliding!(
    SlidingProcessingTimeWindows,
    ProcessingTimeTrigger,
    false,
    "Windows of one size that begin every slide, by the clock."
);
session!(
    EventTimeSessionWindows,
    DynamicEventTimeSessionWindows,
    EventTimeTrigger,
    true,
    "Windows that end when no record has come for the gap, by event time."
);
session!(
    ProcessingTimeSessionWindows,
    DynamicProcessingTimeSessionWindows,
    ProcessingTimeTrigger,
    false,
    "Windows that end when no record has come for the gap, by the clock."
);

/// One window of all time; it fires only by a trigger of the program.
///
/// ```
/// # use millstream_datastream::window::GlobalWindows;
/// let windows = GlobalWindows::create();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GlobalWindows;

impl GlobalWindows {
    pub fn create() -> Self {
        Self
    }
}

impl<T: 'static> WindowAssigner<T> for GlobalWindows {
    type Trigger = NeverTrigger;

    fn assign_windows(&self, _: &T, _: i64, _: i64, windows: &mut Vec<TimeWindow>) {
        windows.push(TimeWindow::GLOBAL);
    }

    fn default_trigger(&self) -> NeverTrigger {
        NeverTrigger
    }

    fn is_event_time(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(assigner: &impl WindowAssigner<()>, timestamp: i64) -> Vec<(i64, i64)> {
        let mut windows = Vec::new();
        assigner.assign_windows(&(), timestamp, timestamp, &mut windows);
        windows.into_iter().map(|w| (w.start, w.end)).collect()
    }

    #[test]
    fn windows_begin_at_multiples_also_before_the_epoch() {
        let tumbling = TumblingEventTimeWindows::of(Duration::from_millis(10));
        assert_eq!(windows(&tumbling, 0), [(0, 10)]);
        assert_eq!(windows(&tumbling, 9), [(0, 10)]);
        assert_eq!(windows(&tumbling, -1), [(-10, 0)]);
        assert_eq!(windows(&tumbling.with_offset_ms(3), 2), [(-7, 3)]);
        let sliding = SlidingEventTimeWindows::of(Duration::from_millis(10), Duration::from_millis(5));
        assert_eq!(windows(&sliding, 7), [(5, 15), (0, 10)]);
    }
}
