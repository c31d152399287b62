//! Windows of a key: what is in them, when they fire, when they go.
//!
//! A key has a short list of panes, one for each window that is open: the content (a running result, or the records), the
//! trigger's state, and the timers of both. Timers are found in order of time, then of keys and windows; they are part of
//! the panes in a checkpoint.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use millstream_dataflow::{Context as Instance, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_state::StateValue;
use millstream_state::keyed::Declaration;
use millstream_types::records::NO_TIMESTAMP;
use millstream_types::{Records, Watermark};
use serde::{Deserialize, Serialize};

use crate::data::{Data, Key};
use crate::error::Error;
use crate::operators::batch::EndsKeys;
use crate::operators::contents::Contents;
use crate::operators::context::WindowContext;
use crate::operators::keyed::Backend;
use crate::operators::{Outputs, each_row, rows_of};
use crate::output::{OutputTag, SideOutputs};
use crate::stream::keyed::SharedSelector;
use crate::time::TimeDomain;
use crate::window::{TimeWindow, Trigger, TriggerContext, TriggerResult, WindowAssigner};

#[derive(Serialize, Deserialize)]
struct Pane<H, S> {
    window: TimeWindow,
    held: Option<H>,
    trigger: S,
    /// (event time?, time).
    timers: Vec<(bool, i64)>,
}

type Panes<H, S> = Vec<Pane<H, S>>;

/// Timers of all panes.
#[derive(Default)]
struct PaneTimers {
    event: BTreeSet<(i64, u32, TimeWindow)>,
    processing: BTreeSet<(i64, u32, TimeWindow)>,
    /// New timers are ignored, as [`crate::time::Timers::quiesce`] says.
    is_quiesced: bool,
}

impl PaneTimers {
    fn set(&mut self, event_time: bool) -> &mut BTreeSet<(i64, u32, TimeWindow)> {
        if event_time {
            &mut self.event
        } else {
            &mut self.processing
        }
    }

    fn register<H, S>(&mut self, pane: &mut Pane<H, S>, slot: u32, event_time: bool, time_ms: i64) {
        // Triggers ask for the end of the window at every record.
        if !self.is_quiesced && !pane.timers.contains(&(event_time, time_ms)) {
            self.set(event_time).insert((time_ms, slot, pane.window));
            pane.timers.push((event_time, time_ms));
        }
    }

    fn delete<H, S>(&mut self, pane: &mut Pane<H, S>, slot: u32, event_time: bool, time_ms: i64) {
        self.set(event_time).remove(&(time_ms, slot, pane.window));
        pane.timers.retain(|timer| *timer != (event_time, time_ms));
    }

    fn delete_all<H, S>(&mut self, pane: &Pane<H, S>, slot: u32) {
        for (event_time, time_ms) in &pane.timers {
            self.set(*event_time).remove(&(*time_ms, slot, pane.window));
        }
    }

    fn pop_due(&mut self, event_time: bool, until_ms: i64) -> Option<(i64, u32, TimeWindow)> {
        let set = self.set(event_time);
        let is_due = set.first().is_some_and(|(time_ms, ..)| *time_ms <= until_ms);
        if is_due { set.pop_first() } else { None }
    }
}

/// What is the same for all windows of a stream.
pub(crate) struct WindowSettings<T> {
    pub allowed_lateness_ms: i64,
    pub late: Option<OutputTag<T>>,
}

impl<T> Clone for WindowSettings<T> {
    fn clone(&self) -> Self {
        Self {
            allowed_lateness_ms: self.allowed_lateness_ms,
            late: self.late,
        }
    }
}

pub(crate) struct WindowOperator<K, T, U, A, Tr, C>
where
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
    C: Contents<K, T, U>,
    U: Data,
{
    selector: SharedSelector<K, T>,
    assigner: A,
    trigger: Tr,
    contents: C,
    settings: WindowSettings<T>,
    backend: Backend<K>,
    timers: PaneTimers,
    outputs: Outputs<U>,
    windows: Vec<TimeWindow>,
    asked: Asked,
    late_rows: u64,
    of: PhantomData<fn(T)>,
}

/// Timers that a trigger has asked for: room that is used again for each record.
#[derive(Default)]
struct Asked {
    registered: Vec<(TimeDomain, i64)>,
    deleted: Vec<(TimeDomain, i64)>,
}

impl Asked {
    fn context(&mut self, now: Now) -> TriggerContext<'_> {
        self.registered.clear();
        self.deleted.clear();
        TriggerContext {
            watermark: now.watermark,
            now_ms: now.now_ms,
            registered: &mut self.registered,
            deleted: &mut self.deleted,
        }
    }
}

/// The moment at which a pane is looked at.
#[derive(Clone, Copy)]
struct Now {
    watermark: i64,
    now_ms: i64,
}

impl<K, T, U, A, Tr, C> WindowOperator<K, T, U, A, Tr, C>
where
    K: Key,
    T: Data,
    U: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
    C: Contents<K, T, U>,
{
    pub fn new(
        assigner: A,
        trigger: Tr,
        contents: C,
        settings: WindowSettings<T>,
        selector: SharedSelector<K, T>,
        sides: SideOutputs,
    ) -> Result<Self, DataflowError> {
        let mut backend = Backend::new();
        backend
            .state
            .columns
            .declare(Declaration::<Panes<C::Held, Tr::State>> {
                name: "panes".to_owned(),
                kind: 0,
                version: 1,
                migrations: Vec::new(),
                time_to_live: None,
            })?;
        Ok(Self {
            selector,
            assigner,
            trigger,
            contents,
            settings,
            backend,
            timers: PaneTimers::default(),
            outputs: Outputs::new(sides),
            windows: Vec::new(),
            asked: Asked::default(),
            late_rows: 0,
            of: PhantomData,
        })
    }

    fn cleanup_ms(&self, window: TimeWindow) -> i64 {
        if self.assigner.is_event_time() {
            window
                .max_timestamp()
                .saturating_add(self.settings.allowed_lateness_ms)
        } else {
            window.max_timestamp()
        }
    }

    fn is_late(&self, window: TimeWindow, watermark: i64) -> bool {
        self.assigner.is_event_time() && self.cleanup_ms(window) <= watermark
    }

    /// Adds a record to its windows.
    fn element(&mut self, value: T, timestamp: i64, slot: u32, now: Now) -> Result<(), DataflowError> {
        if self.assigner.is_event_time() && timestamp == NO_TIMESTAMP {
            return Err(DataflowError::data(
                "Record has Long.MIN_VALUE timestamp (= no timestamp marker). Is the time characteristic set to \
                 'ProcessingTime', or did you forget to call 'assign_timestamps_and_watermarks(...)'?",
            ));
        }
        let mut windows = std::mem::take(&mut self.windows);
        windows.clear();
        self.assigner
            .assign_windows(&value, timestamp, now.now_ms, &mut windows);
        windows.retain(|window| self.assigner.is_merging() || !self.is_late(*window, now.watermark));
        let last = windows.pop();
        for window in &windows {
            self.add(value.clone(), timestamp, *window, slot, now)?;
        }
        self.windows = windows;
        match last {
            Some(window) => self.add(value, timestamp, window, slot, now),
            None => {
                self.late(value, timestamp);
                Ok(())
            }
        }
    }

    fn late(&mut self, value: T, timestamp: i64) {
        match self.settings.late {
            Some(tag) => self.outputs.sides.put(tag, value, timestamp),
            None => self.late_rows += 1,
        }
    }

    fn add(
        &mut self,
        value: T,
        timestamp: i64,
        window: TimeWindow,
        slot: u32,
        now: Now,
    ) -> Result<(), DataflowError> {
        let window = if self.assigner.is_merging() {
            let merged = self.merged(window, slot)?;
            if self.is_late(merged, now.watermark) {
                self.late(value, timestamp);
                return Ok(());
            }
            self.merge(merged, slot, now)?;
            merged
        } else {
            window
        };
        let cleanup_ms = self.cleanup_ms(window);
        let event_time = self.assigner.is_event_time();
        let panes = panes::<K, C::Held, Tr::State>(&mut self.backend, slot)?;
        let place = match panes.iter().rposition(|pane| pane.window == window) {
            Some(place) => place,
            None => {
                panes.push(Pane {
                    window,
                    held: None,
                    trigger: Tr::State::default(),
                    timers: Vec::new(),
                });
                if cleanup_ms < i64::MAX {
                    let place = panes.len() - 1;
                    self.timers
                        .register(&mut panes[place], slot, event_time, cleanup_ms);
                }
                panes.len() - 1
            }
        };
        let pane = &mut panes[place];
        let mut context = self.asked.context(now);
        let result = self
            .trigger
            .on_element(&value, timestamp, window, &mut pane.trigger, &mut context);
        self.contents.add(&mut pane.held, value, timestamp);
        note(&mut self.timers, pane, slot, &self.asked);
        self.carry_out(result, slot, place, now)
    }

    /// The window that `window` becomes with those of the key that it touches.
    fn merged(&mut self, window: TimeWindow, slot: u32) -> Result<TimeWindow, DataflowError> {
        let panes = panes::<K, C::Held, Tr::State>(&mut self.backend, slot)?;
        let touched = panes.iter().filter(|pane| pane.window.intersects(&window));
        Ok(touched.fold(window, |merged, pane| merged.cover(&pane.window)))
    }

    /// Makes one pane of all within `window`.
    fn merge(&mut self, window: TimeWindow, slot: u32, now: Now) -> Result<(), DataflowError> {
        let cleanup_ms = self.cleanup_ms(window);
        let event_time = self.assigner.is_event_time();
        let panes = panes::<K, C::Held, Tr::State>(&mut self.backend, slot)?;
        let is_touched = |pane: &Pane<C::Held, Tr::State>| pane.window.intersects(&window);
        let touched = panes.iter().filter(|pane| is_touched(pane)).count();
        if touched == 0 || (touched == 1 && panes.iter().any(|pane| pane.window == window)) {
            return Ok(());
        }
        let (mut held, mut states) = (None, Vec::new());
        for pane in panes.extract_if(.., |pane| is_touched(pane)) {
            self.timers.delete_all(&pane, slot);
            held = match (held, pane.held) {
                (Some(a), Some(b)) => Some(self.contents.merge(a, b)),
                (a, b) => a.or(b),
            };
            states.push(pane.trigger);
        }
        let mut context = self.asked.context(now);
        let trigger = self.trigger.on_merge(window, states, &mut context);
        let trigger = trigger.ok_or_else(|| {
            Error::input(
                "A merging window assigner cannot be used with a trigger that does not support merging.",
            )
        })?;
        let mut pane = Pane {
            window,
            held,
            trigger,
            timers: Vec::new(),
        };
        self.timers.register(&mut pane, slot, event_time, cleanup_ms);
        note(&mut self.timers, &mut pane, slot, &self.asked);
        panes.push(pane);
        Ok(())
    }

    /// Does what a trigger has decided.
    fn carry_out(
        &mut self,
        result: TriggerResult,
        slot: u32,
        place: usize,
        now: Now,
    ) -> Result<(), DataflowError> {
        if result == TriggerResult::Continue {
            return Ok(());
        }
        let Backend { state, .. } = &mut self.backend;
        let Some(key) = state.slots.key(slot) else {
            return Ok(());
        };
        let column = state.columns.column::<Panes<C::Held, Tr::State>>(0);
        let Some(panes) = column.and_then(|column| column.place(slot, 0).as_mut()) else {
            return Ok(());
        };
        let pane = &mut panes[place];
        if result.is_fire()
            && let Some(held) = &mut pane.held
        {
            self.outputs.main.set_timestamp(pane.window.max_timestamp());
            let mut context = WindowContext {
                window: pane.window,
                watermark: now.watermark,
                now_ms: now.now_ms,
                sides: &mut self.outputs.sides,
            };
            self.contents
                .fire(key, held, &mut context, &mut self.outputs.main)?;
        }
        if result.is_purge() {
            pane.held = None;
        }
        let is_spent = pane.held.is_none() && pane.timers.is_empty() && pane.trigger == Tr::State::default();
        if is_spent && pane.window == TimeWindow::GLOBAL {
            self.remove(slot, place);
        }
        Ok(())
    }

    /// Drops a pane, and the key with its last one.
    fn remove(&mut self, slot: u32, place: usize) {
        let column = self.backend.state.columns.column::<Panes<C::Held, Tr::State>>(0);
        let Some(column) = column else { return };
        let Some(panes) = column.place(slot, 0) else {
            return;
        };
        let pane = panes.swap_remove(place);
        self.timers.delete_all(&pane, slot);
        let is_last = panes.is_empty();
        if is_last {
            column.take(slot);
            self.backend.cleared = true;
        }
        self.backend.state.columns.mark(slot);
    }

    /// Fires timers that are due.
    fn fire(&mut self, event_time: bool, until_ms: i64, now: Now) -> Result<(), DataflowError> {
        while let Some((time_ms, slot, window)) = self.timers.pop_due(event_time, until_ms) {
            let panes = panes::<K, C::Held, Tr::State>(&mut self.backend, slot)?;
            let Some(place) = panes.iter().position(|pane| pane.window == window) else {
                continue;
            };
            let pane = &mut panes[place];
            pane.timers.retain(|timer| *timer != (event_time, time_ms));
            let mut context = self.asked.context(now);
            let result = if event_time {
                self.trigger
                    .on_event_time(time_ms, window, &mut pane.trigger, &mut context)
            } else {
                self.trigger
                    .on_processing_time(time_ms, window, &mut pane.trigger, &mut context)
            };
            note(&mut self.timers, pane, slot, &self.asked);
            self.backend.state.columns.mark(slot);
            self.carry_out(result, slot, place, now)?;
            let is_over = event_time == self.assigner.is_event_time() && time_ms == self.cleanup_ms(window);
            if is_over && window != TimeWindow::GLOBAL {
                self.remove(slot, place);
                self.backend.forget_if_empty(slot);
            }
        }
        Ok(())
    }
}

fn panes<K: Key, H: StateValue, S: StateValue>(
    backend: &mut Backend<K>,
    slot: u32,
) -> Result<&mut Panes<H, S>, DataflowError> {
    let column = backend.state.columns.column::<Panes<H, S>>(0);
    let column = column.ok_or_else(|| DataflowError::internal("windows without their state"))?;
    Ok(column.place(slot, 0).get_or_insert_default())
}

/// Registers and deletes the timers that a trigger has asked for.
fn note<H, S>(timers: &mut PaneTimers, pane: &mut Pane<H, S>, slot: u32, asked: &Asked) {
    for (domain, time_ms) in &asked.deleted {
        timers.delete(pane, slot, *domain == TimeDomain::EventTime, *time_ms);
    }
    for (domain, time_ms) in &asked.registered {
        timers.register(pane, slot, *domain == TimeDomain::EventTime, *time_ms);
    }
}

impl<K, T, U, A, Tr, C> Operator for WindowOperator<K, T, U, A, Tr, C>
where
    K: Key,
    T: Data,
    U: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
    C: Contents<K, T, U>,
{
    fn records(
        &mut self,
        _: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (rows, timestamps, routing) = rows_of::<T>(records)?;
        self.backend.resolve(self.selector.as_ref(), &rows, routing);
        let now = Now {
            watermark: instance.watermark.0,
            now_ms: instance.now_ms,
        };
        each_row(rows, &timestamps, |index, row, timestamp| {
            let slot = self.backend.slots[index];
            self.backend.state.columns.mark(slot);
            self.element(row, timestamp, slot, now)
        })?;
        self.backend.end_batch();
        self.outputs.flush(out)
    }

    fn watermark(
        &mut self,
        watermark: Watermark,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let now = Now {
            watermark: watermark.0,
            now_ms: instance.now_ms,
        };
        self.fire(true, watermark.0, now)?;
        self.outputs.flush(out)?;
        out.watermark(watermark)
    }

    /// The timer of a window names its last millisecond, in which records may still come. It fires when that is over, as
    /// Flink's timers do; otherwise such a record would fire the window a second time.
    fn next_timer(&self) -> Option<i64> {
        let first = self.timers.processing.first();
        first.map(|(time_ms, ..)| time_ms.saturating_add(1))
    }

    fn timer(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        let now = Now {
            watermark: instance.watermark.0,
            now_ms: instance.now_ms,
        };
        self.fire(false, instance.now_ms.saturating_sub(1), now)?;
        self.outputs.flush(out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        self.backend.snapshot(scope)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, instance: &Instance) -> Result<(), DataflowError> {
        self.backend.restore(&blocks, instance)?;
        let slots: Vec<u32> = self.backend.state.slots.iter(0..usize::MAX).collect();
        let column = self.backend.state.columns.column::<Panes<C::Held, Tr::State>>(0);
        let column = column.ok_or_else(|| DataflowError::internal("windows without their state"))?;
        for slot in slots {
            for pane in column.peek(slot).into_iter().flatten() {
                for (event_time, time_ms) in &pane.timers {
                    self.timers.set(*event_time).insert((*time_ms, slot, pane.window));
                }
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let timers = self.timers.event.len() + self.timers.processing.len();
        self.backend.memory_size() + timers * size_of::<(i64, u32, TimeWindow)>()
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}

impl<K, T, U, A, Tr, C> EndsKeys for WindowOperator<K, T, U, A, Tr, C>
where
    K: Key,
    T: Data,
    U: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T>,
    C: Contents<K, T, U>,
{
    fn end_key(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<(), DataflowError> {
        let end = Now {
            watermark: i64::MAX,
            now_ms: instance.now_ms,
        };
        self.timers.is_quiesced = true;
        self.fire(true, i64::MAX, end)?;
        self.fire(false, i64::MAX, end)?;
        self.timers = PaneTimers::default();
        self.backend.clear();
        self.outputs.flush(out)
    }
}
