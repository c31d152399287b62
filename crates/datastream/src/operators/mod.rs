//! The operators behind the transformations. Each takes a batch of its own type, runs the user's code over it in a loop
//! that the compiler has seen whole, and hands a batch on.

pub(crate) mod async_wait;
pub(crate) mod batch;
pub(crate) mod broadcast;
pub(crate) mod checkpointed;
pub(crate) mod connect;
pub(crate) mod contents;
pub mod context;
pub(crate) mod keyed;
pub(crate) mod simple;
pub(crate) mod window;

use std::sync::{Arc, Mutex, PoisonError};

use millstream_dataflow::{Context, DataflowError, Operator, OperatorFactory, Output};
use millstream_types::records::NO_TIMESTAMP;
use millstream_types::{Records, Routing};

use crate::data::Data;
use crate::error::Result as UserResult;
use crate::guard::at_record;
use crate::output::{Collector, SideOutputs};

/// A factory that gives every instance a clone of the user's function.
pub(crate) fn factory<F, O>(
    function: F,
    make: impl Fn(F, &Context) -> Result<O, DataflowError> + Send + Sync + 'static,
) -> Arc<dyn OperatorFactory>
where
    F: Clone + Send + 'static,
    O: Operator + 'static,
{
    // Functions need not be shared between threads; their clones are made under a lock, once an instance.
    let function = Mutex::new(function);
    Arc::new(
        move |context: &Context| -> Result<Box<dyn Operator>, DataflowError> {
            let own = function.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Ok(Box::new(make(own, context)?))
        },
    )
}

/// The rows of a batch, their timestamps and hashes.
pub(crate) fn rows_of<T: 'static>(records: Records) -> Result<(Vec<T>, Vec<i64>, Routing), DataflowError> {
    records.into_rows().map_err(|found| {
        let expected = std::any::type_name::<T>();
        DataflowError::internal(format!("rows of type {found} came where {expected} is read"))
    })
}

/// The timestamp of a row.
#[inline]
pub(crate) fn timestamp_at(timestamps: &[i64], row: usize) -> i64 {
    timestamps.get(row).copied().unwrap_or(NO_TIMESTAMP)
}

/// A timestamp as programs see it.
#[inline]
pub(crate) fn known(timestamp: i64) -> Option<i64> {
    (timestamp != NO_TIMESTAMP).then_some(timestamp)
}

/// Calls the user's code for the rows of a batch, with their places and timestamps.
#[inline]
pub(crate) fn each_row<T, E>(
    rows: Vec<T>,
    timestamps: &[i64],
    mut each: impl FnMut(usize, T, i64) -> Result<(), E>,
) -> Result<(), DataflowError>
where
    DataflowError: From<E>,
{
    for (index, row) in rows.into_iter().enumerate() {
        at_record(index);
        each(index, row, timestamp_at(timestamps, index))?;
    }
    Ok(())
}

/// Calls a closure that collects results for the rows of a batch.
pub(crate) fn each_collecting<T: Data, U: Data>(
    records: Records,
    function: &mut impl FnMut(T, &mut Collector<U>),
    collector: &mut Collector<U>,
) -> Result<(), DataflowError> {
    let (rows, timestamps, _) = rows_of::<T>(records)?;
    each_row(rows, &timestamps, |_, row, timestamp| {
        collector.set_timestamp(timestamp);
        function(row, collector);
        Ok::<(), DataflowError>(())
    })
}

/// Where the functions of an operator put their results.
pub(crate) struct Outputs<U> {
    pub main: Collector<U>,
    pub sides: SideOutputs,
}

impl<U: Data> Outputs<U> {
    pub fn new(sides: SideOutputs) -> Self {
        Self {
            main: Collector::new(),
            sides,
        }
    }

    /// Calls `each` for the rows of a batch without keys.
    pub fn each<T: Data>(
        &mut self,
        records: Records,
        instance: &Context,
        mut each: impl FnMut(T, &mut context::Context<'_>, &mut Collector<U>) -> UserResult<()>,
    ) -> Result<(), DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        each_row(rows, &timestamps, |_, row, timestamp| {
            self.main.set_timestamp(timestamp);
            let mut context = context::Context {
                timestamp,
                watermark: instance.watermark.0,
                now_ms: instance.now_ms,
                sides: &mut self.sides,
            };
            each(row, &mut context, &mut self.main)
        })
    }

    pub fn flush(&mut self, out: &mut dyn Output) -> Result<(), DataflowError> {
        self.main.flush(out)?;
        self.sides.flush(out)
    }
}
