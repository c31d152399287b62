//! When a window fires.

use std::time::Duration;

use millstream_state::StateValue;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::time::TimeDomain;
use crate::window::TimeWindow;

/// What a trigger decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriggerResult {
    Continue,
    /// The window's function is called; the content stays.
    Fire,
    /// The content is dropped.
    Purge,
    FireAndPurge,
}

impl TriggerResult {
    pub fn is_fire(self) -> bool {
        matches!(self, Self::Fire | Self::FireAndPurge)
    }

    pub fn is_purge(self) -> bool {
        matches!(self, Self::Purge | Self::FireAndPurge)
    }
}

/// Time and timers of the window that a trigger is asked about.
pub struct TriggerContext<'a> {
    pub(crate) watermark: i64,
    pub(crate) now_ms: i64,
    pub(crate) registered: &'a mut Vec<(TimeDomain, i64)>,
    pub(crate) deleted: &'a mut Vec<(TimeDomain, i64)>,
}

impl TriggerContext<'_> {
    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    pub fn current_processing_time(&self) -> i64 {
        self.now_ms
    }

    pub fn register_event_time_timer(&mut self, time_ms: i64) {
        self.registered.push((TimeDomain::EventTime, time_ms));
    }

    pub fn register_processing_time_timer(&mut self, time_ms: i64) {
        self.registered.push((TimeDomain::ProcessingTime, time_ms));
    }

    pub fn delete_event_time_timer(&mut self, time_ms: i64) {
        self.deleted.push((TimeDomain::EventTime, time_ms));
    }

    pub fn delete_processing_time_timer(&mut self, time_ms: i64) {
        self.deleted.push((TimeDomain::ProcessingTime, time_ms));
    }
}

/// Decides when a window fires. Its state is kept for each key and window, and goes with the window; so do its timers.
pub trait Trigger<T>: Clone + Send + 'static {
    type State: StateValue + Default + Clone + PartialEq;

    fn on_element(
        &self,
        element: &T,
        timestamp: i64,
        window: TimeWindow,
        state: &mut Self::State,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult;

    fn on_event_time(
        &self,
        time_ms: i64,
        window: TimeWindow,
        state: &mut Self::State,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        let _ = (time_ms, window, state, ctx);
        TriggerResult::Continue
    }

    fn on_processing_time(
        &self,
        time_ms: i64,
        window: TimeWindow,
        state: &mut Self::State,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        let _ = (time_ms, window, state, ctx);
        TriggerResult::Continue
    }

    /// Windows became one: registers what `window` needs and gives its state. `None`: this trigger cannot do that.
    fn on_merge(
        &self,
        window: TimeWindow,
        states: Vec<Self::State>,
        ctx: &mut TriggerContext<'_>,
    ) -> Option<Self::State>;
}

/// Fires when the watermark passes the end of the window.
#[derive(Clone, Copy, Debug)]
pub struct EventTimeTrigger;

impl<T: 'static> Trigger<T> for EventTimeTrigger {
    type State = ();

    fn on_element(
        &self,
        _: &T,
        _: i64,
        window: TimeWindow,
        _: &mut (),
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if window.max_timestamp() <= ctx.watermark {
            return TriggerResult::Fire;
        }
        ctx.register_event_time_timer(window.max_timestamp());
        TriggerResult::Continue
    }

    fn on_event_time(
        &self,
        time_ms: i64,
        window: TimeWindow,
        _: &mut (),
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if time_ms == window.max_timestamp() {
            TriggerResult::Fire
        } else {
            TriggerResult::Continue
        }
    }

    fn on_merge(&self, window: TimeWindow, _: Vec<()>, ctx: &mut TriggerContext<'_>) -> Option<()> {
        if window.max_timestamp() > ctx.watermark {
            ctx.register_event_time_timer(window.max_timestamp());
        }
        Some(())
    }
}

/// Fires when the clock passes the end of the window.
#[derive(Clone, Copy, Debug)]
pub struct ProcessingTimeTrigger;

impl<T: 'static> Trigger<T> for ProcessingTimeTrigger {
    type State = ();

    fn on_element(
        &self,
        _: &T,
        _: i64,
        window: TimeWindow,
        _: &mut (),
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        ctx.register_processing_time_timer(window.max_timestamp());
        TriggerResult::Continue
    }

    fn on_processing_time(
        &self,
        _: i64,
        _: TimeWindow,
        _: &mut (),
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        TriggerResult::Fire
    }

    fn on_merge(&self, window: TimeWindow, _: Vec<()>, ctx: &mut TriggerContext<'_>) -> Option<()> {
        if window.max_timestamp() > ctx.now_ms {
            ctx.register_processing_time_timer(window.max_timestamp());
        }
        Some(())
    }
}

/// Never fires.
#[derive(Clone, Copy, Debug)]
pub struct NeverTrigger;

impl<T: 'static> Trigger<T> for NeverTrigger {
    type State = ();

    fn on_element(
        &self,
        _: &T,
        _: i64,
        _: TimeWindow,
        _: &mut (),
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        TriggerResult::Continue
    }

    fn on_merge(&self, _: TimeWindow, _: Vec<()>, _: &mut TriggerContext<'_>) -> Option<()> {
        Some(())
    }
}

/// Fires at every so many records.
#[derive(Clone, Copy, Debug)]
pub struct CountTrigger(u64);

impl CountTrigger {
    pub fn of(count: u64) -> Self {
        Self(count)
    }
}

impl<T: 'static> Trigger<T> for CountTrigger {
    type State = u64;

    fn on_element(
        &self,
        _: &T,
        _: i64,
        _: TimeWindow,
        count: &mut u64,
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        *count += 1;
        if *count < self.0 {
            return TriggerResult::Continue;
        }
        *count = 0;
        TriggerResult::Fire
    }

    fn on_merge(&self, _: TimeWindow, states: Vec<u64>, _: &mut TriggerContext<'_>) -> Option<u64> {
        Some(states.into_iter().sum())
    }
}

/// Fires as another trigger does, and drops the content each time.
#[derive(Clone, Copy, Debug)]
pub struct PurgingTrigger<Tr>(Tr);

impl<Tr> PurgingTrigger<Tr> {
    pub fn of(trigger: Tr) -> Self {
        Self(trigger)
    }
}

fn purging(result: TriggerResult) -> TriggerResult {
    if result.is_fire() {
        TriggerResult::FireAndPurge
    } else {
        result
    }
}

impl<T, Tr: Trigger<T>> Trigger<T> for PurgingTrigger<Tr> {
    type State = Tr::State;

    fn on_element(
        &self,
        element: &T,
        timestamp: i64,
        window: TimeWindow,
        state: &mut Tr::State,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_element(element, timestamp, window, state, ctx))
    }

    fn on_event_time(
        &self,
        time_ms: i64,
        window: TimeWindow,
        state: &mut Tr::State,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_event_time(time_ms, window, state, ctx))
    }

    fn on_processing_time(
        &self,
        time_ms: i64,
        window: TimeWindow,
        state: &mut Tr::State,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        purging(self.0.on_processing_time(time_ms, window, state, ctx))
    }

    fn on_merge(
        &self,
        window: TimeWindow,
        states: Vec<Tr::State>,
        ctx: &mut TriggerContext<'_>,
    ) -> Option<Tr::State> {
        self.0.on_merge(window, states, ctx)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// When a continuous trigger fires next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NextFire(Option<i64>);

fn next_fire(time_ms: i64, interval_ms: i64) -> i64 {
    time_ms - time_ms.rem_euclid(interval_ms) + interval_ms
}

/// Fires at every interval of event time, and at the end of the window.
#[derive(Clone, Copy, Debug)]
pub struct ContinuousEventTimeTrigger(i64);

impl ContinuousEventTimeTrigger {
    pub fn of(interval: Duration) -> Self {
        Self(millis(interval))
    }
}

impl<T: 'static> Trigger<T> for ContinuousEventTimeTrigger {
    type State = NextFire;

    fn on_element(
        &self,
        _: &T,
        timestamp: i64,
        window: TimeWindow,
        next: &mut NextFire,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if window.max_timestamp() <= ctx.watermark {
            return TriggerResult::Fire;
        }
        ctx.register_event_time_timer(window.max_timestamp());
        if next.0.is_none() {
            let at = next_fire(timestamp, self.0).min(window.max_timestamp());
            ctx.register_event_time_timer(at);
            next.0 = Some(at);
        }
        TriggerResult::Continue
    }

    fn on_event_time(
        &self,
        time_ms: i64,
        window: TimeWindow,
        next: &mut NextFire,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if time_ms == window.max_timestamp() {
            return TriggerResult::Fire;
        }
        if next.0 != Some(time_ms) {
            return TriggerResult::Continue;
        }
        let at = time_ms.saturating_add(self.0).min(window.max_timestamp());
        ctx.register_event_time_timer(at);
        next.0 = Some(at);
        TriggerResult::Fire
    }

    fn on_merge(
        &self,
        window: TimeWindow,
        states: Vec<NextFire>,
        ctx: &mut TriggerContext<'_>,
    ) -> Option<NextFire> {
        ctx.register_event_time_timer(window.max_timestamp());
        let next = states.into_iter().filter_map(|state| state.0).min();
        next.into_iter().for_each(|at| ctx.register_event_time_timer(at));
        Some(NextFire(next))
    }
}

/// Fires at every interval of the clock.
#[derive(Clone, Copy, Debug)]
pub struct ContinuousProcessingTimeTrigger(i64);

impl ContinuousProcessingTimeTrigger {
    pub fn of(interval: Duration) -> Self {
        Self(millis(interval))
    }
}

impl<T: 'static> Trigger<T> for ContinuousProcessingTimeTrigger {
    type State = NextFire;

    fn on_element(
        &self,
        _: &T,
        _: i64,
        window: TimeWindow,
        next: &mut NextFire,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if next.0.is_none() {
            let at = next_fire(ctx.now_ms, self.0).min(window.max_timestamp());
            ctx.register_processing_time_timer(at);
            next.0 = Some(at);
        }
        TriggerResult::Continue
    }

    fn on_processing_time(
        &self,
        time_ms: i64,
        window: TimeWindow,
        next: &mut NextFire,
        ctx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        if next.0 != Some(time_ms) {
            return TriggerResult::Continue;
        }
        let at = time_ms.saturating_add(self.0).min(window.max_timestamp());
        if at > time_ms {
            ctx.register_processing_time_timer(at);
        }
        next.0 = Some(at);
        TriggerResult::Fire
    }

    fn on_merge(
        &self,
        _: TimeWindow,
        states: Vec<NextFire>,
        ctx: &mut TriggerContext<'_>,
    ) -> Option<NextFire> {
        let next = states.into_iter().filter_map(|state| state.0).min();
        next.into_iter()
            .for_each(|at| ctx.register_processing_time_timer(at));
        Some(NextFire(next))
    }
}

/// Fires when a record is further from the one of the last firing than a threshold.
#[derive(Clone, Copy, Debug)]
pub struct DeltaTrigger<F> {
    threshold: f64,
    delta: F,
}

impl<F> DeltaTrigger<F> {
    /// `delta` measures how far a new record is from an old one.
    pub fn of<T>(threshold: f64, delta: F) -> Self
    where
        F: Fn(&T, &T) -> f64,
    {
        Self { threshold, delta }
    }
}

impl<T, F> Trigger<T> for DeltaTrigger<F>
where
    T: Data + StateValue + PartialEq,
    F: Fn(&T, &T) -> f64 + Clone + Send + 'static,
{
    type State = Option<T>;

    fn on_element(
        &self,
        element: &T,
        _: i64,
        _: TimeWindow,
        last: &mut Option<T>,
        _: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        let Some(before) = last else {
            *last = Some(element.clone());
            return TriggerResult::Continue;
        };
        if (self.delta)(before, element) > self.threshold {
            *last = Some(element.clone());
            return TriggerResult::Fire;
        }
        TriggerResult::Continue
    }

    fn on_merge(&self, _: TimeWindow, _: Vec<Option<T>>, _: &mut TriggerContext<'_>) -> Option<Option<T>> {
        None
    }
}
