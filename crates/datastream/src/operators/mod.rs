//! The operators behind the transformations. Each takes a batch of its own type, runs the user's code over it in a loop
//! that the compiler has seen whole, and hands a batch on.

pub(crate) mod async_wait;
pub(crate) mod broadcast;
pub(crate) mod checkpointed;
pub(crate) mod connect;
pub(crate) mod contents;
pub mod context;
pub(crate) mod keyed;
pub(crate) mod simple;
pub(crate) mod window;

use std::sync::{Arc, Mutex, PoisonError};

use millstream_dataflow::{Context, DataflowError, Operator, OperatorFactory};
use millstream_types::{Records, Routing};

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
    timestamps
        .get(row)
        .copied()
        .unwrap_or(millstream_types::records::NO_TIMESTAMP)
}
