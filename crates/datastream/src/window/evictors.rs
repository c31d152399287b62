//! Which records of a window are dropped before or after its function runs.

use std::time::Duration;

use crate::window::TimeWindow;

/// Drops records of a window that fires. With an evictor a window keeps its records, not a running result.
pub trait Evictor<T>: Clone + Send + 'static {
    /// Before the window's function; `elements` are records with their timestamps.
    fn evict_before(&self, elements: &mut Vec<(T, i64)>, window: TimeWindow);

    /// After it.
    fn evict_after(&self, elements: &mut Vec<(T, i64)>, window: TimeWindow) {
        let _ = (elements, window);
    }
}

/// Keeps the last records.
#[derive(Clone, Copy, Debug)]
pub struct CountEvictor(usize);

impl CountEvictor {
    pub fn of(count: usize) -> Self {
        Self(count)
    }
}

impl<T> Evictor<T> for CountEvictor {
    fn evict_before(&self, elements: &mut Vec<(T, i64)>, _: TimeWindow) {
        let surplus = elements.len().saturating_sub(self.0);
        elements.drain(..surplus);
    }
}

/// Keeps the records of the last stretch of time before the newest.
#[derive(Clone, Copy, Debug)]
pub struct TimeEvictor(i64);

impl TimeEvictor {
    pub fn of(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}

impl<T> Evictor<T> for TimeEvictor {
    fn evict_before(&self, elements: &mut Vec<(T, i64)>, _: TimeWindow) {
        let Some(newest) = elements.iter().map(|(_, time)| *time).max() else {
            return;
        };
        let until = newest.saturating_sub(self.0);
        elements.retain(|(_, time)| *time > until);
    }
}

/// Keeps the records that are nearer to the last one than a threshold.
#[derive(Clone, Copy, Debug)]
pub struct DeltaEvictor<F> {
    threshold: f64,
    delta: F,
}

impl<F> DeltaEvictor<F> {
    pub fn of<T>(threshold: f64, delta: F) -> Self
    where
        F: Fn(&T, &T) -> f64,
    {
        Self { threshold, delta }
    }
}

impl<T: Clone, F: Fn(&T, &T) -> f64 + Clone + Send + 'static> Evictor<T> for DeltaEvictor<F> {
    fn evict_before(&self, elements: &mut Vec<(T, i64)>, _: TimeWindow) {
        let Some((last, _)) = elements.last().cloned() else {
            return;
        };
        elements.retain(|(element, _)| (self.delta)(element, &last) < self.threshold);
    }
}
