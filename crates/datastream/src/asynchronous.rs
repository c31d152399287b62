//! Asynchronous calls for the records of a stream: lookups in another system that do not wait for each other.
//!
//! [`AsyncDataStream`] adds an operator that keeps a number of calls in flight. The futures run in the runtime of the
//! process; the operator's thread only starts them and passes on their results. Records whose result was not passed on yet
//! are part of every checkpoint, and are called for again after a restore: a call must bear being repeated.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use millstream_dataflow::Context as Instance;
use millstream_state::StateValue;

use crate::data::Data;
use crate::error::{Error, Result};
use crate::graph::Stateful;
use crate::operators::async_wait::{AsyncWait, Calls, OutputMode};
use crate::operators::factory;
use crate::stream::DataStream;

/// What an async function gives: the results for a record, when they have come.
pub type AsyncResult<O> = Pin<Box<dyn Future<Output = Result<Vec<O>>> + Send>>;

/// Calls another system for a record. Closures that return a future are async functions.
///
/// ```
/// # use millstream_datastream::Result;
/// # use millstream_datastream::asynchronous::{AsyncFunction, AsyncResult};
/// #[derive(Clone)]
/// struct NameOf;
///
/// impl AsyncFunction<u64, String> for NameOf {
///     fn async_invoke(&self, id: u64) -> AsyncResult<String> {
///         Box::pin(async move { Ok(vec![format!("customer {id}")]) })
///     }
///
///     fn timeout(&self, id: u64) -> Result<Vec<String>> {
///         Ok(vec![format!("customer {id}, whose name did not come in time")])
///     }
/// }
/// ```
pub trait AsyncFunction<I, O>: Clone + Send + 'static {
    /// The results for a record: any number of them. An error fails the job, unless the retry strategy retries it.
    fn async_invoke(&self, input: I) -> AsyncResult<O>;

    /// The results for a record whose call took too long. Unless it is implemented, a timeout fails the job.
    fn timeout(&self, input: I) -> Result<Vec<O>> {
        let _ = input;
        Err(Error::environment("Async function call has timed out."))
    }
}

impl<I, O, F, R, C> AsyncFunction<I, O> for F
where
    F: Fn(I) -> R + Clone + Send + 'static,
    R: Future<Output = Result<C>> + Send + 'static,
    C: IntoIterator<Item = O>,
{
    fn async_invoke(&self, input: I) -> AsyncResult<O> {
        let call = self(input);
        Box::pin(async move { Ok(call.await?.into_iter().collect()) })
    }
}

type Delays = Arc<dyn Fn(u32) -> Option<Duration> + Send + Sync>;
type ResultPredicate<O> = Arc<dyn Fn(&[O]) -> bool + Send + Sync>;
type ErrorPredicate = Arc<dyn Fn(&Error) -> bool + Send + Sync>;

/// When a call is made again. A strategy without [`if_result`](Self::if_result) and [`if_error`](Self::if_error) retries
/// nothing.
///
/// ```
/// # use std::time::Duration;
/// # use millstream_datastream::asynchronous::AsyncRetryStrategy;
/// let strategy = AsyncRetryStrategy::<String>::fixed_delay(3, Duration::from_millis(100))
///     .if_result(|results| results.is_empty())
///     .if_error(|_| true);
/// ```
pub struct AsyncRetryStrategy<O> {
    delays: Delays,
    retries_result: Option<ResultPredicate<O>>,
    retries_error: Option<ErrorPredicate>,
}

impl<O> Clone for AsyncRetryStrategy<O> {
    fn clone(&self) -> Self {
        Self {
            delays: Arc::clone(&self.delays),
            retries_result: self.retries_result.clone(),
            retries_error: self.retries_error.clone(),
        }
    }
}

impl<O> AsyncRetryStrategy<O> {
    /// Every call is made once.
    pub fn no_retry() -> Self {
        Self::of(|_| None)
    }

    /// At most `max_attempts` retries after the first call, each after the same time.
    pub fn fixed_delay(max_attempts: u32, delay: Duration) -> Self {
        Self::of(move |attempt| (attempt <= max_attempts).then_some(delay))
    }

    /// At most `max_attempts` retries after the first call; the time before them begins with `initial`, grows by
    /// `multiplier`, and does not exceed `max`.
    pub fn exponential_backoff(max_attempts: u32, initial: Duration, max: Duration, multiplier: f64) -> Self {
        Self::of(move |attempt| {
            let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
            let grown = initial.as_secs_f64() * multiplier.powi(exponent);
            let delay = Duration::try_from_secs_f64(grown).unwrap_or(max).min(max);
            (attempt <= max_attempts).then_some(delay)
        })
    }

    /// The program's own: the time to wait after the attempt of this number, from 1, or `None` for no retry.
    pub fn of(delay_after: impl Fn(u32) -> Option<Duration> + Send + Sync + 'static) -> Self {
        Self {
            delays: Arc::new(delay_after),
            retries_result: None,
            retries_error: None,
        }
    }

    /// Retries calls with such results.
    pub fn if_result(mut self, retries: impl Fn(&[O]) -> bool + Send + Sync + 'static) -> Self {
        self.retries_result = Some(Arc::new(retries));
        self
    }

    /// Retries calls with such errors.
    pub fn if_error(mut self, retries: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.retries_error = Some(Arc::new(retries));
        self
    }

    /// The time until the call is made again, if it is.
    fn delay_after(&self, attempt: u32, result: &Result<Vec<O>>) -> Option<Duration> {
        let retries = match result {
            Ok(results) => self.retries_result.as_ref().is_some_and(|is| is(results)),
            Err(error) => self.retries_error.as_ref().is_some_and(|is| is(error)),
        };
        if retries { (self.delays)(attempt) } else { None }
    }
}

/// Calls until `again` names no delay; `None` if that takes longer than `timeout`.
pub(crate) async fn within<O, R: Future<Output = Result<O>>>(
    timeout: Duration,
    mut call: impl FnMut() -> R,
    again: impl Fn(u32, &Result<O>) -> Option<Duration>,
) -> Option<Result<O>> {
    let attempts = async {
        let mut attempt: u32 = 1;
        loop {
            let result = call().await;
            match again(attempt, &result) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return result,
            }
            attempt = attempt.saturating_add(1);
        }
    };
    tokio::time::timeout(timeout, attempts).await.ok()
}

/// The results for one record: a timeout is what the function makes of it.
async fn results_of<I: Clone, O, F: AsyncFunction<I, O>>(
    input: I,
    function: F,
    timeout: Duration,
    retry: AsyncRetryStrategy<O>,
) -> Result<Vec<O>> {
    let again = move |attempt: u32, result: &Result<Vec<O>>| retry.delay_after(attempt, result);
    let (called, repeated) = (function.clone(), input.clone());
    let call = move || called.async_invoke(repeated.clone());
    match within(timeout, call, again).await {
        Some(result) => result,
        None => function.timeout(input),
    }
}

/// Adds asynchronous calls to a stream.
///
/// `timeout` is the time for the results of a record, with all retries; `capacity` is the number of records in flight in
/// an instance, beyond which the operator takes no more input.
///
/// ```no_run
/// # use std::time::Duration;
/// # use millstream_datastream::{DataStream, Result};
/// # use millstream_datastream::asynchronous::AsyncDataStream;
/// # async fn lookup(id: u64) -> Result<String> { Ok(String::new()) }
/// # fn example(ids: DataStream<u64>) {
/// let names = AsyncDataStream::unordered_wait(
///     &ids,
///     |id| async move { Ok(Some((id, lookup(id).await?))) },
///     Duration::from_secs(1),
///     100,
/// );
/// # }
/// ```
pub struct AsyncDataStream;

impl AsyncDataStream {
    /// Results in the order of their records.
    pub fn ordered_wait<I: Data + StateValue, O: Data>(
        input: &DataStream<I>,
        function: impl AsyncFunction<I, O>,
        timeout: Duration,
        capacity: usize,
    ) -> DataStream<O> {
        let once = AsyncRetryStrategy::no_retry();
        Self::ordered_wait_with_retry(input, function, timeout, capacity, once)
    }

    /// As [`AsyncDataStream::ordered_wait`], with a retry strategy.
    pub fn ordered_wait_with_retry<I: Data + StateValue, O: Data>(
        input: &DataStream<I>,
        function: impl AsyncFunction<I, O>,
        timeout: Duration,
        capacity: usize,
        retry: AsyncRetryStrategy<O>,
    ) -> DataStream<O> {
        add(input, function, timeout, capacity, retry, OutputMode::Ordered)
    }

    /// Results as they come; they do not pass watermarks.
    pub fn unordered_wait<I: Data + StateValue, O: Data>(
        input: &DataStream<I>,
        function: impl AsyncFunction<I, O>,
        timeout: Duration,
        capacity: usize,
    ) -> DataStream<O> {
        let once = AsyncRetryStrategy::no_retry();
        Self::unordered_wait_with_retry(input, function, timeout, capacity, once)
    }

    /// As [`AsyncDataStream::unordered_wait`], with a retry strategy.
    pub fn unordered_wait_with_retry<I: Data + StateValue, O: Data>(
        input: &DataStream<I>,
        function: impl AsyncFunction<I, O>,
        timeout: Duration,
        capacity: usize,
        retry: AsyncRetryStrategy<O>,
    ) -> DataStream<O> {
        add(input, function, timeout, capacity, retry, OutputMode::Unordered)
    }
}

fn add<I: Data + StateValue, O: Data, F: AsyncFunction<I, O>>(
    input: &DataStream<I>,
    function: F,
    timeout: Duration,
    capacity: usize,
    retry: AsyncRetryStrategy<O>,
    mode: OutputMode,
) -> DataStream<O> {
    if capacity == 0 || timeout.is_zero() {
        let what = if capacity == 0 { "capacity" } else { "timeout" };
        input.env.fail(Error::input(format!(
            "the {what} of an async operator must be greater than 0"
        )));
    }
    let runtime = input.env.host().runtime.clone();
    let make = move |function: F, instance: &Instance| {
        let retry = retry.clone();
        let call = move |row| results_of(row, function.clone(), timeout, retry.clone());
        let calls = Calls::new(runtime.clone());
        Ok(AsyncWait::new(call, calls, mode, capacity, instance.parallelism))
    };
    input.then("async wait operator", factory(function, make), |node| {
        node.stateful(Stateful::AsyncWait)
    })
}
