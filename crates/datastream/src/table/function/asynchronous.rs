//! Scalar functions that give futures.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::ArrayRef;
use millstream_dataflow::DataflowError;
use millstream_functions::EvalError;
use millstream_functions::signature::{ArgInfo, Signature, SignatureError};
use millstream_functions::user::{UserArgs, UserFunction, UserKernel, UserScalar};
use millstream_types::LogicalType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::scalar::{calling, columns_of, data_error};
use super::{Parameters, result_type};
use crate::asynchronous::within;
use crate::error::{Error, Result};
use crate::table::row::{ColumnWriter, ColumnsToRows};

/// How futures of a function run; the defaults are Flink's (`table.exec.async-scalar.*`).
#[derive(Clone, Copy, Debug)]
pub struct AsyncSettings {
    /// Futures at the same time, for each instance of the operator.
    pub max_concurrent_operations: usize,
    /// Time for a value, with all attempts.
    pub timeout: Duration,
    /// Attempts for a value.
    pub max_attempts: usize,
    /// Time between two attempts.
    pub retry_delay: Duration,
}

impl Default for AsyncSettings {
    fn default() -> Self {
        Self {
            max_concurrent_operations: 10,
            timeout: Duration::from_secs(180),
            max_attempts: 3,
            retry_delay: Duration::from_millis(100),
        }
    }
}

pub(super) fn function<A, O, F, R>(
    name: &str,
    settings: AsyncSettings,
    function: F,
    runtime: &Handle,
) -> Result<UserFunction>
where
    A: DeserializeOwned + Clone + Send + 'static,
    O: Serialize + DeserializeOwned + Send + 'static,
    F: Fn(A) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<O>> + Send + 'static,
{
    Ok(UserFunction::Scalar(Arc::new(Asynchronous {
        parameters: Parameters::of::<A>(name)?,
        result: result_type::<O>()?,
        settings,
        function,
        runtime: runtime.clone(),
        of: PhantomData::<fn(A) -> O>,
    })))
}

struct Asynchronous<A, O, F> {
    parameters: Parameters,
    result: LogicalType,
    settings: AsyncSettings,
    function: F,
    runtime: Handle,
    of: PhantomData<fn(A) -> O>,
}

impl<A, O, F, R> UserScalar for Asynchronous<A, O, F>
where
    A: DeserializeOwned + Clone + Send + 'static,
    O: Serialize + DeserializeOwned + Send + 'static,
    F: Fn(A) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<O>> + Send + 'static,
{
    fn signature(&self, args: &[ArgInfo<'_>]) -> std::result::Result<Signature, SignatureError> {
        self.parameters.signature(args, &self.result)
    }

    /// What another system says may change, and is not asked while planning.
    fn is_deterministic(&self) -> bool {
        false
    }

    fn instance(&self) -> Box<dyn UserKernel> {
        Box::new(AsyncKernel {
            reader: self.parameters.reader(),
            parameters: self.parameters.clone(),
            settings: self.settings,
            function: self.function.clone(),
            runtime: self.runtime.clone(),
            of: PhantomData::<fn(A) -> O>,
        })
    }
}

struct AsyncKernel<A, O, F> {
    parameters: Parameters,
    reader: ColumnsToRows,
    settings: AsyncSettings,
    function: F,
    runtime: Handle,
    of: PhantomData<fn(A) -> O>,
}

impl<A, O, F, R> UserKernel for AsyncKernel<A, O, F>
where
    A: DeserializeOwned + Clone + Send + 'static,
    O: Serialize + DeserializeOwned + Send + 'static,
    F: Fn(A) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<O>> + Send + 'static,
{
    fn evaluate(&mut self, args: &UserArgs<'_>) -> std::result::Result<ArrayRef, EvalError> {
        let name = Arc::clone(&self.parameters.function);
        let columns = columns_of(args);
        let mut results =
            ColumnWriter::new(&name, args.result).map_err(|error| data_error(&name, &error.message))?;
        calling(&name, || {
            let mut calls = Vec::with_capacity(args.rows);
            for row in 0..args.rows {
                let skips = self.parameters.skips(&columns, row);
                calls.push(if skips {
                    None
                } else {
                    Some(self.reader.row::<A>(&columns, row)?)
                });
            }
            let values = self.runtime.block_on(all(calls, self.settings, &self.function))?;
            for value in values {
                let written = match value {
                    Some(value) => results.push(&value),
                    None => results.null(),
                };
                written.map_err(|error| DataflowError::data(error.to_string()))?;
            }
            Ok(())
        })?;
        Ok(results.finish())
    }
}

/// The values of all calls in their order.
async fn all<A, O, F, R>(
    calls: Vec<Option<A>>,
    settings: AsyncSettings,
    function: &F,
) -> Result<Vec<Option<O>>>
where
    A: Clone + Send + 'static,
    O: Send + 'static,
    F: Fn(A) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<O>> + Send + 'static,
{
    let mut values: Vec<Option<O>> = calls.iter().map(|_| None).collect();
    let mut running = JoinSet::new();
    let mut waiting = calls
        .into_iter()
        .enumerate()
        .filter_map(|(row, call)| Some((row, call?)));
    loop {
        while running.len() < settings.max_concurrent_operations.max(1)
            && let Some((row, call)) = waiting.next()
        {
            let function = function.clone();
            running.spawn(async move { (row, one(call, settings, function).await) });
        }
        match running.join_next().await {
            None => return Ok(values),
            Some(Ok((row, value))) => values[row] = Some(value?),
            Some(Err(error)) => return Err(Error::data(format!("a future panicked: {error}"))),
        }
    }
}

/// One value, after as many attempts as it takes.
async fn one<A, O, F, R>(call: A, settings: AsyncSettings, function: F) -> Result<O>
where
    A: Clone,
    F: Fn(A) -> R,
    R: Future<Output = Result<O>>,
{
    let again = move |attempt: u32, result: &Result<O>| {
        let is_over = usize::try_from(attempt).is_ok_and(|attempt| attempt >= settings.max_attempts);
        (result.is_err() && !is_over).then_some(settings.retry_delay)
    };
    let result = within(settings.timeout, move || function(call.clone()), again).await;
    result.unwrap_or_else(|| {
        Err(Error::environment(format!(
            "no value came within {} ms",
            settings.timeout.as_millis()
        )))
    })
}
