//! Operators without state: map, filter, flat_map, process, the hashes of keys, timestamps.

use std::marker::PhantomData;

use millstream_dataflow::{Context as Instance, DataflowError, Operator, Output};
use millstream_types::{Records, Routing, Watermark};

use crate::data::Data;
use crate::functions::ProcessFunction;
use crate::operators::{Outputs, each_collecting, rows_of};
use crate::output::Collector;
use crate::stream::keyed::SharedSelector;

/// A function over whole batches without timestamps of its own; `map` and `filter` are made of it.
pub(crate) struct Rows<T, U, F> {
    pub function: F,
    pub of: PhantomData<fn(T) -> U>,
}

impl<T, U, F> Operator for Rows<T, U, F>
where
    T: Data,
    U: Data,
    F: FnMut(Vec<T>, Vec<i64>) -> Result<(Vec<U>, Vec<i64>), DataflowError> + Send,
{
    fn records(
        &mut self,
        _: usize,
        records: Records,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        let (rows, timestamps) = (self.function)(rows, timestamps)?;
        out.records(Records::with_timestamps(rows, timestamps))
    }
}

/// Any number of results for each record.
pub(crate) struct FlatMap<T, U, F> {
    pub function: F,
    pub collector: Collector<U>,
    pub of: PhantomData<fn(T)>,
}

impl<T: Data, U: Data, F: FnMut(T, &mut Collector<U>) + Send> Operator for FlatMap<T, U, F> {
    fn records(
        &mut self,
        _: usize,
        records: Records,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        each_collecting(records, &mut self.function, &mut self.collector)?;
        self.collector.flush(out)
    }
}

/// A [`ProcessFunction`].
pub(crate) struct Process<T, U, F> {
    pub function: F,
    pub outputs: Outputs<U>,
    pub of: PhantomData<fn(T)>,
}

impl<T: Data, U: Data, F: ProcessFunction<T, U>> Operator for Process<T, U, F> {
    fn records(
        &mut self,
        _: usize,
        records: Records,
        instance: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let function = &mut self.function;
        self.outputs.each(records, instance, |row, context, out| {
            function.process_element(row, context, out)
        })?;
        self.outputs.flush(out)
    }
}

/// Notes the hash of each row's key, by which the exchange behind sends it.
pub(crate) struct HashKeys<K, T> {
    pub selector: SharedSelector<K, T>,
}

impl<K: 'static, T: Data> Operator for HashKeys<K, T> {
    fn records(
        &mut self,
        _: usize,
        records: Records,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        let mut hashes = Vec::with_capacity(rows.len());
        self.selector.hash(&rows, &mut hashes);
        let mut records = Records::with_timestamps(rows, timestamps);
        records.routing = Routing::Keys(hashes);
        out.records(records)
    }
}

/// Names the instance for each row (`partition_custom`).
pub(crate) struct ChooseTargets<T, F> {
    pub function: F,
    pub of: PhantomData<fn(T)>,
}

impl<T: Data, F: FnMut(&T) -> u32 + Send> Operator for ChooseTargets<T, F> {
    fn records(
        &mut self,
        _: usize,
        records: Records,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        let targets = rows.iter().map(&mut self.function).collect();
        let mut records = Records::with_timestamps(rows, timestamps);
        records.routing = Routing::Targets(targets);
        out.records(records)
    }
}

/// Reads one side output of the operator before it.
pub(crate) struct SelectOutput {
    pub output: u32,
}

impl Operator for SelectOutput {
    fn records(
        &mut self,
        _: usize,
        mut records: Records,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        records.output = 0;
        out.records(records)
    }

    fn reads(&self, records: &Records) -> bool {
        records.output == self.output
    }
}

/// Timestamps and watermarks that are made behind the source.
pub(crate) struct AssignTimestamps<T, G> {
    pub generator: G,
    pub last: Watermark,
    pub of: PhantomData<fn(T)>,
}

/// Gives rows their timestamps; returns the watermark after them.
pub(crate) trait Timestamps<T>: Send {
    fn assign(&mut self, rows: &[T], timestamps: Vec<i64>) -> (Vec<i64>, Option<i64>);
}

impl<T: Data, G: Timestamps<T>> Operator for AssignTimestamps<T, G> {
    fn records(
        &mut self,
        _: usize,
        records: Records,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        let (timestamps, watermark) = self.generator.assign(&rows, timestamps);
        out.records(Records::with_timestamps(rows, timestamps))?;
        match watermark
            .map(Watermark)
            .filter(|watermark| *watermark > self.last)
        {
            Some(watermark) => {
                self.last = watermark;
                out.watermark(watermark)
            }
            None => Ok(()),
        }
    }

    /// Watermarks from before end here, but for the end of the input.
    fn watermark(
        &mut self,
        watermark: Watermark,
        _: &Instance,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        if watermark == Watermark::MAX {
            return out.watermark(watermark);
        }
        Ok(())
    }
}
