//! Keyed state, as functions see it: handles that are declared once and read through the context of each call.
//!
//! A handle holds a number, not a value; [`StateAccess`] (every keyed context is one) leads to the values of the current
//! key. Values are what they are in memory. A checkpoint encodes them with serde under named fields, so a struct may gain
//! fields with `#[serde(default)]`; other changes take a new [`StateDescriptor::version`] and a migration.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use millstream_state::keyed::{Declaration, decode_value};
use millstream_state::{Column, StateColumns, StateValue, TimeToLive};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::functions::AggregateFunction;

const VALUE: u8 = 1;
const LIST: u8 = 2;
const MAP: u8 = 3;
const REDUCING: u8 = 4;
const AGGREGATING: u8 = 5;

/// How long state lives, by processing time.
///
/// ```
/// # use std::time::Duration;
/// # use millstream_datastream::state::StateTtlConfig;
/// let ttl = StateTtlConfig::new(Duration::from_secs(3600)).update_on_read();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StateTtlConfig(TimeToLive);

impl StateTtlConfig {
    /// Counted from the last write; expired values are never given (Flink's defaults).
    pub fn new(ttl: Duration) -> Self {
        Self(TimeToLive {
            ttl_ms: i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            refresh_on_read: false,
            return_expired: false,
        })
    }

    /// Reading counts too (`OnReadAndWrite`).
    pub fn update_on_read(mut self) -> Self {
        self.0.refresh_on_read = true;
        self
    }

    /// Expired values are given until they are cleaned up (`ReturnExpiredIfNotCleanedUp`).
    pub fn return_expired(mut self) -> Self {
        self.0.return_expired = true;
        self
    }
}

/// Name and options of a state.
///
/// ```
/// # use std::time::Duration;
/// # use millstream_datastream::state::{StateDescriptor, StateTtlConfig};
/// let descriptor = StateDescriptor::new("last-amount").ttl(StateTtlConfig::new(Duration::from_secs(60)));
/// ```
#[derive(Clone, Debug)]
pub struct StateDescriptor {
    name: String,
    version: u32,
    ttl: Option<StateTtlConfig>,
}

impl StateDescriptor {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: 1,
            ttl: None,
        }
    }

    /// Version of the type of the values; 1 unless set. A checkpoint with another version is refused, unless the state
    /// was declared with a migration from it.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    pub fn ttl(mut self, ttl: StateTtlConfig) -> Self {
        self.ttl = Some(ttl);
        self
    }

    fn declaration<C: StateValue>(&self, kind: u8) -> Declaration<C> {
        Declaration {
            name: self.name.clone(),
            kind,
            version: self.version,
            migrations: Vec::new(),
            time_to_live: self.ttl.map(|ttl| ttl.0),
        }
    }
}

impl From<&str> for StateDescriptor {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// Where a function declares its states, in its `open`.
pub struct RuntimeContext<'a> {
    pub(crate) columns: &'a mut StateColumns,
    pub(crate) subtask: usize,
    pub(crate) parallelism: usize,
}

impl RuntimeContext<'_> {
    /// Number of this instance.
    pub fn index_of_this_subtask(&self) -> usize {
        self.subtask
    }

    pub fn number_of_parallel_subtasks(&self) -> usize {
        self.parallelism
    }

    /// One value for each key.
    pub fn value_state<V: StateValue>(&mut self, state: impl Into<StateDescriptor>) -> Result<ValueState<V>> {
        let declaration = state.into().declaration::<V>(VALUE);
        Ok(ValueState(Handle::new(self.columns.declare(declaration)?)))
    }

    /// As [`RuntimeContext::value_state`], taking over values of an older version of their type.
    pub fn value_state_migrated<Old: DeserializeOwned + 'static, V: StateValue>(
        &mut self,
        state: impl Into<StateDescriptor>,
        from_version: u32,
        migrate: impl Fn(Old) -> V + Send + 'static,
    ) -> Result<ValueState<V>> {
        let mut declaration = state.into().declaration::<V>(VALUE);
        if declaration.time_to_live.is_some() {
            // The bytes of an older version do not say when they were written.
            return Err(Error::unsupported(
                "a state with a time to live cannot be migrated",
            ));
        }
        let read = move |bytes: &[u8]| decode_value::<Old>("state of an older version", bytes).map(&migrate);
        declaration.migrations.push((from_version, Box::new(read)));
        Ok(ValueState(Handle::new(self.columns.declare(declaration)?)))
    }

    /// A list for each key.
    pub fn list_state<V: StateValue>(&mut self, state: impl Into<StateDescriptor>) -> Result<ListState<V>> {
        let mut declaration = state.into().declaration::<Vec<Stamped<V>>>(LIST);
        let ttl = declaration.time_to_live.take();
        let handle = Handle::new(self.columns.declare(declaration)?);
        Ok(ListState { handle, ttl })
    }

    /// A map for each key, in the order of its own keys.
    pub fn map_state<UK: StateValue + Ord, UV: StateValue>(
        &mut self,
        state: impl Into<StateDescriptor>,
    ) -> Result<MapState<UK, UV>> {
        let mut declaration = state.into().declaration::<BTreeMap<UK, Stamped<UV>>>(MAP);
        let ttl = declaration.time_to_live.take();
        let handle = Handle::new(self.columns.declare(declaration)?);
        Ok(MapState { handle, ttl })
    }

    /// One value for each key, to which others are added with `reduce`.
    pub fn reducing_state<V: StateValue + Clone>(
        &mut self,
        state: impl Into<StateDescriptor>,
        reduce: fn(V, V) -> V,
    ) -> Result<ReducingState<V>> {
        let declaration = state.into().declaration::<V>(REDUCING);
        let handle = Handle::new(self.columns.declare(declaration)?);
        Ok(ReducingState {
            handle,
            reduce: Some(reduce),
        })
    }

    /// An accumulator for each key, to which values are added with `aggregate`.
    pub fn aggregating_state<I, O, A: AggregateFunction<I, O>>(
        &mut self,
        state: impl Into<StateDescriptor>,
        aggregate: A,
    ) -> Result<AggregatingState<I, O, A>> {
        let declaration = state.into().declaration::<A::Accumulator>(AGGREGATING);
        let handle = Handle::new(self.columns.declare(declaration)?);
        Ok(AggregatingState {
            handle,
            aggregate: Some(aggregate),
            of: PhantomData,
        })
    }
}

/// The state of the current key. Every keyed context is one.
pub trait StateAccess {
    #[doc(hidden)]
    fn cursor(&mut self) -> StateCursor<'_>;
}

#[doc(hidden)]
pub struct StateCursor<'a> {
    pub(crate) columns: &'a mut StateColumns,
    pub(crate) slot: u32,
    pub(crate) now_ms: i64,
    /// Set when a value was taken away: the key may have nothing left.
    pub(crate) cleared: &'a mut bool,
}

impl<'a> StateCursor<'a> {
    #[inline]
    fn column<C: StateValue>(self, handle: Handle<C>) -> (&'a mut Column<C>, u32, i64) {
        match self.columns.column::<C>(handle.state) {
            Some(column) => (column, self.slot, self.now_ms),
            None => panic!("a state is used that the function did not declare in its 'open'"),
        }
    }

    #[inline]
    fn write<C: StateValue>(self, handle: Handle<C>) -> &'a mut Option<C> {
        self.columns.mark(self.slot);
        let (column, slot, now_ms) = self.column(handle);
        column.place(slot, now_ms)
    }

    fn remove<C: StateValue>(self, handle: Handle<C>) -> Option<C> {
        self.columns.mark(self.slot);
        *self.cleared = true;
        let (column, slot, _) = self.column(handle);
        column.take(slot)
    }
}

struct Handle<C> {
    state: usize,
    of: PhantomData<fn() -> C>,
}

impl<C> Handle<C> {
    fn new(state: usize) -> Self {
        Self {
            state,
            of: PhantomData,
        }
    }
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Handle<C> {}

impl<C> Default for Handle<C> {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

/// An element with the time of its last access that counts.
type Stamped<V> = (i64, V);

/// One value for the current key.
pub struct ValueState<V>(Handle<V>);

impl<V> Clone for ValueState<V> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<V> Default for ValueState<V> {
    fn default() -> Self {
        Self(Handle::default())
    }
}

impl<V: StateValue> ValueState<V> {
    /// The value, if there is one.
    #[inline]
    pub fn value<'c>(&self, ctx: &'c mut impl StateAccess) -> Option<&'c V> {
        let (column, slot, now_ms) = ctx.cursor().column(self.0);
        column.get(slot, now_ms).map(|value| &*value)
    }

    #[inline]
    pub fn update(&self, ctx: &mut impl StateAccess, value: V) {
        *ctx.cursor().write(self.0) = Some(value);
    }

    /// The value to be changed in place; `None` takes it away.
    #[inline]
    pub fn value_mut<'c>(&self, ctx: &'c mut impl StateAccess) -> &'c mut Option<V> {
        ctx.cursor().write(self.0)
    }

    /// Takes the value away and gives it.
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Option<V> {
        ctx.cursor().remove(self.0)
    }
}

/// A list for the current key.
pub struct ListState<V> {
    handle: Handle<Vec<Stamped<V>>>,
    ttl: Option<TimeToLive>,
}

impl<V> Clone for ListState<V> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle,
            ttl: self.ttl,
        }
    }
}

impl<V> Default for ListState<V> {
    fn default() -> Self {
        Self {
            handle: Handle::default(),
            ttl: None,
        }
    }
}

impl<V: StateValue> ListState<V> {
    /// The elements in the order in which they were added.
    pub fn get<'c, C: StateAccess>(&self, ctx: &'c mut C) -> impl Iterator<Item = &'c V> + use<'c, V, C> {
        let ttl = self.ttl;
        let (column, slot, now_ms) = ctx.cursor().column(self.handle);
        if let Some(elements) = column.get(slot, now_ms)
            && let Some(ttl) = ttl
        {
            elements.retain(|(stamp, _)| ttl.return_expired || !ttl.is_over(*stamp, now_ms));
            if ttl.refresh_on_read {
                elements.iter_mut().for_each(|(stamp, _)| *stamp = now_ms);
            }
        }
        column.peek(slot).into_iter().flatten().map(|(_, value)| value)
    }

    pub fn add(&self, ctx: &mut impl StateAccess, value: V) {
        let cursor = ctx.cursor();
        let now_ms = cursor.now_ms;
        cursor
            .write(self.handle)
            .get_or_insert_default()
            .push((now_ms, value));
    }

    pub fn add_all(&self, ctx: &mut impl StateAccess, values: impl IntoIterator<Item = V>) {
        let cursor = ctx.cursor();
        let now_ms = cursor.now_ms;
        let stamped = values.into_iter().map(|value| (now_ms, value));
        cursor.write(self.handle).get_or_insert_default().extend(stamped);
    }

    /// Replaces all elements.
    pub fn update(&self, ctx: &mut impl StateAccess, values: impl IntoIterator<Item = V>) {
        let cursor = ctx.cursor();
        let now_ms = cursor.now_ms;
        let stamped = values.into_iter().map(|value| (now_ms, value)).collect();
        *cursor.write(self.handle) = Some(stamped);
    }

    /// Takes all elements away and gives them.
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Vec<V> {
        let elements = ctx.cursor().remove(self.handle).unwrap_or_default();
        elements.into_iter().map(|(_, value)| value).collect()
    }
}

/// A map for the current key.
pub struct MapState<UK, UV> {
    handle: Handle<BTreeMap<UK, Stamped<UV>>>,
    ttl: Option<TimeToLive>,
}

impl<UK, UV> Clone for MapState<UK, UV> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle,
            ttl: self.ttl,
        }
    }
}

impl<UK, UV> Default for MapState<UK, UV> {
    fn default() -> Self {
        Self {
            handle: Handle::default(),
            ttl: None,
        }
    }
}

impl<UK: StateValue + Ord, UV: StateValue> MapState<UK, UV> {
    fn live<'c>(&self, ctx: &'c mut impl StateAccess) -> Option<&'c mut BTreeMap<UK, Stamped<UV>>> {
        let ttl = self.ttl;
        let (column, slot, now_ms) = ctx.cursor().column(self.handle);
        let map = column.get(slot, now_ms)?;
        if let Some(ttl) = ttl.filter(|ttl| !ttl.return_expired) {
            map.retain(|_, (stamp, _)| !ttl.is_over(*stamp, now_ms));
        }
        Some(map)
    }

    pub fn get<'c>(&self, ctx: &'c mut impl StateAccess, key: &UK) -> Option<&'c UV> {
        let ttl = self.ttl;
        let (column, slot, now_ms) = ctx.cursor().column(self.handle);
        let (stamp, value) = column.get(slot, now_ms)?.get_mut(key)?;
        if let Some(ttl) = ttl {
            if !ttl.return_expired && ttl.is_over(*stamp, now_ms) {
                return None;
            }
            if ttl.refresh_on_read {
                *stamp = now_ms;
            }
        }
        Some(value)
    }

    pub fn contains(&self, ctx: &mut impl StateAccess, key: &UK) -> bool {
        self.get(ctx, key).is_some()
    }

    pub fn put(&self, ctx: &mut impl StateAccess, key: UK, value: UV) {
        let cursor = ctx.cursor();
        let now_ms = cursor.now_ms;
        cursor
            .write(self.handle)
            .get_or_insert_default()
            .insert(key, (now_ms, value));
    }

    pub fn remove(&self, ctx: &mut impl StateAccess, key: &UK) -> Option<UV> {
        let place = ctx.cursor().write(self.handle);
        let removed = place.as_mut()?.remove(key);
        if place.as_ref().is_some_and(BTreeMap::is_empty) {
            *place = None;
            *ctx.cursor().cleared = true;
        }
        removed.map(|(_, value)| value)
    }

    /// Keys and values in the order of the keys.
    pub fn entries<'c, C: StateAccess>(
        &self,
        ctx: &'c mut C,
    ) -> impl Iterator<Item = (&'c UK, &'c UV)> + use<'c, UK, UV, C> {
        let map = self.live(ctx);
        map.into_iter()
            .flat_map(|map| map.iter().map(|(key, (_, value))| (key, value)))
    }

    pub fn is_empty(&self, ctx: &mut impl StateAccess) -> bool {
        self.live(ctx).is_none_or(|map| map.is_empty())
    }

    pub fn clear(&self, ctx: &mut impl StateAccess) {
        ctx.cursor().remove(self.handle);
    }
}

/// A value for the current key to which others are added.
pub struct ReducingState<V> {
    handle: Handle<V>,
    reduce: Option<fn(V, V) -> V>,
}

impl<V> Clone for ReducingState<V> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle,
            reduce: self.reduce,
        }
    }
}

impl<V> Default for ReducingState<V> {
    fn default() -> Self {
        Self {
            handle: Handle::default(),
            reduce: None,
        }
    }
}

impl<V: StateValue + Clone> ReducingState<V> {
    pub fn get<'c>(&self, ctx: &'c mut impl StateAccess) -> Option<&'c V> {
        let (column, slot, now_ms) = ctx.cursor().column(self.handle);
        column.get(slot, now_ms).map(|value| &*value)
    }

    pub fn add(&self, ctx: &mut impl StateAccess, value: V) {
        let place = ctx.cursor().write(self.handle);
        *place = Some(match (place.take(), self.reduce) {
            (Some(before), Some(reduce)) => reduce(before, value),
            _ => value,
        });
    }

    pub fn clear(&self, ctx: &mut impl StateAccess) -> Option<V> {
        ctx.cursor().remove(self.handle)
    }
}

/// An accumulator for the current key.
pub struct AggregatingState<I, O, A: AggregateFunction<I, O>> {
    handle: Handle<A::Accumulator>,
    aggregate: Option<A>,
    of: PhantomData<fn(I) -> O>,
}

impl<I, O, A: AggregateFunction<I, O>> Clone for AggregatingState<I, O, A> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle,
            aggregate: self.aggregate.clone(),
            of: PhantomData,
        }
    }
}

impl<I, O, A: AggregateFunction<I, O>> Default for AggregatingState<I, O, A> {
    fn default() -> Self {
        Self {
            handle: Handle::default(),
            aggregate: None,
            of: PhantomData,
        }
    }
}

impl<I, O, A: AggregateFunction<I, O>> AggregatingState<I, O, A> {
    /// The result so far; `None` before the first value.
    pub fn get(&self, ctx: &mut impl StateAccess) -> Result<Option<O>> {
        let aggregate = self.aggregate()?;
        let (column, slot, now_ms) = ctx.cursor().column(self.handle);
        Ok(column
            .get(slot, now_ms)
            .map(|accumulator| aggregate.get_result(accumulator)))
    }

    pub fn add(&self, ctx: &mut impl StateAccess, value: I) -> Result<()> {
        let aggregate = self.aggregate()?;
        let place = ctx.cursor().write(self.handle);
        aggregate.add(place.get_or_insert_with(|| aggregate.create_accumulator()), value);
        Ok(())
    }

    pub fn clear(&self, ctx: &mut impl StateAccess) {
        ctx.cursor().remove(self.handle);
    }

    fn aggregate(&self) -> Result<&A> {
        let missing =
            || Error::input("an aggregating state is used that the function did not declare in its 'open'");
        self.aggregate.as_ref().ok_or_else(missing)
    }
}
