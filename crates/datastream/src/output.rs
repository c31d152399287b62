//! Where functions put their results: the main output, and side outputs by tag.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use millstream_dataflow::{DataflowError, Output};
use millstream_types::Records;
use millstream_types::records::NO_TIMESTAMP;

use crate::data::Data;

/// Takes the results of a function.
///
/// A result has the timestamp of the record that is being processed, that of the timer, or the end of the window.
pub struct Collector<T> {
    rows: Vec<T>,
    timestamps: Vec<i64>,
    timestamp: i64,
}

impl<T: Data> Collector<T> {
    pub(crate) fn new() -> Self {
        Self {
            rows: Vec::new(),
            timestamps: Vec::new(),
            timestamp: NO_TIMESTAMP,
        }
    }

    /// Adds a result.
    #[inline]
    pub fn collect(&mut self, value: T) {
        if self.timestamp != NO_TIMESTAMP || !self.timestamps.is_empty() {
            self.timestamps.resize(self.rows.len(), NO_TIMESTAMP);
            self.timestamps.push(self.timestamp);
        }
        self.rows.push(value);
    }

    /// Adds a result with a timestamp of its own.
    pub fn collect_with_timestamp(&mut self, value: T, timestamp: i64) {
        self.timestamps.resize(self.rows.len(), NO_TIMESTAMP);
        self.timestamps.push(timestamp);
        self.rows.push(value);
    }

    #[inline]
    pub(crate) fn set_timestamp(&mut self, timestamp: i64) {
        self.timestamp = timestamp;
    }

    pub(crate) fn take(&mut self) -> Option<Records> {
        if self.rows.is_empty() {
            return None;
        }
        let room = self.rows.len();
        let rows = std::mem::replace(&mut self.rows, Vec::with_capacity(room));
        let timestamps = std::mem::take(&mut self.timestamps);
        Some(Records::with_timestamps(rows, timestamps))
    }

    pub(crate) fn flush(&mut self, out: &mut dyn Output) -> Result<(), DataflowError> {
        match self.take() {
            Some(records) => out.records(records),
            None => Ok(()),
        }
    }
}

/// Names a side output and its type.
///
/// ```
/// # use millstream_datastream::OutputTag;
/// const LATE: OutputTag<String> = OutputTag::new("late");
/// ```
pub struct OutputTag<T> {
    name: &'static str,
    of: PhantomData<fn() -> T>,
}

impl<T> OutputTag<T> {
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            of: PhantomData,
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for OutputTag<T> {}

/// The side outputs of one operator that have a consumer, in the order in which they were asked for.
#[derive(Clone, Default)]
pub(crate) struct SideTags(Arc<Mutex<Vec<&'static str>>>);

impl SideTags {
    /// The number of a side output: 0 is the main one.
    pub fn number_of(&self, name: &'static str) -> u32 {
        let mut tags = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = tags.iter().position(|tag| *tag == name).unwrap_or_else(|| {
            tags.push(name);
            tags.len() - 1
        });
        place as u32 + 1
    }

    /// Buffers for an instance.
    pub fn buffers(&self) -> SideOutputs {
        let tags = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        SideOutputs {
            outputs: tags.iter().map(|tag| (*tag, None)).collect(),
        }
    }
}

trait SideBuffer: Send {
    fn take(&mut self) -> Option<Records>;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Data> SideBuffer for Collector<T> {
    fn take(&mut self) -> Option<Records> {
        Collector::take(self)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// Results of an instance for its side outputs. Results that no stream reads are dropped, as in Flink.
#[derive(Default)]
pub(crate) struct SideOutputs {
    outputs: Vec<(&'static str, Option<Box<dyn SideBuffer>>)>,
}

impl SideOutputs {
    pub fn put<T: Data>(&mut self, tag: OutputTag<T>, value: T, timestamp: i64) {
        let Some((_, buffer)) = self.outputs.iter_mut().find(|(name, _)| *name == tag.name) else {
            return;
        };
        let buffer = buffer.get_or_insert_with(|| Box::new(Collector::<T>::new()));
        match buffer.as_any().downcast_mut::<Collector<T>>() {
            Some(collector) => {
                collector.set_timestamp(timestamp);
                collector.collect(value);
            }
            None => panic!("side output '{}' is used with two types", tag.name),
        }
    }

    pub fn flush(&mut self, out: &mut dyn Output) -> Result<(), DataflowError> {
        for (place, (_, buffer)) in self.outputs.iter_mut().enumerate() {
            if let Some(mut records) = buffer.as_mut().and_then(|buffer| buffer.take()) {
                records.output = place as u32 + 1;
                out.records(records)?;
            }
        }
        Ok(())
    }
}
