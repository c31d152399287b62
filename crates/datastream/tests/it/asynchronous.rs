//! Asynchronous calls for the records of a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use millstream_datastream::asynchronous::{AsyncDataStream, AsyncFunction, AsyncResult, AsyncRetryStrategy};
use millstream_datastream::environment::Stateful;
use millstream_datastream::watermark::WatermarkStrategy;
use millstream_datastream::{Error, Result};

use crate::coverage::program_of;
use crate::host::{collect, environment, failure, in_order};
use crate::recovery::{MS, Row, assert_recovers_all};

const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);

/// The calls for later records end first.
async fn backwards(n: u64) -> Result<Option<u64>> {
    tokio::time::sleep(Duration::from_millis(20 - n)).await;
    Ok(Some(n))
}

#[test]
fn ordered_results_keep_the_order_of_their_records() {
    let env = environment(1);
    let numbers = env.from_collection(0..20_u64);
    let rows = AsyncDataStream::ordered_wait(&numbers, backwards, MINUTE, 7);
    assert_eq!(in_order(rows), Vec::from_iter(0..20));
}

#[test]
fn unordered_results_are_all_there() {
    let env = environment(2);
    let numbers = env.from_collection(0..20_u64);
    let rows = AsyncDataStream::unordered_wait(&numbers, backwards, MINUTE, 7);
    assert_eq!(collect(rows), Vec::from_iter(0..20));
}

/// A watermark follows each record, so the results cannot change their order.
#[test]
fn unordered_results_do_not_pass_watermarks() {
    let env = environment(1);
    env.set("pipeline.auto-watermark-interval", "0 ms");
    env.set("millstream.batch.max-rows", "1");
    let strategy = WatermarkStrategy::for_monotonous_timestamps();
    let numbers = env
        .from_collection(0..20_u64)
        .assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(|n: &u64, _| *n as i64));
    let rows = AsyncDataStream::unordered_wait(&numbers, backwards, MINUTE, 20);
    assert_eq!(in_order(rows), Vec::from_iter(0..20));
}

#[test]
fn a_record_may_have_any_number_of_results() {
    let env = environment(1);
    let numbers = env.from_collection(0..4_u64);
    let repeat = |n: u64| async move { Ok(vec![n; n as usize]) };
    let rows = AsyncDataStream::ordered_wait(&numbers, repeat, MINUTE, 2);
    assert_eq!(in_order(rows), [1, 2, 2, 3, 3, 3]);
}

#[test]
fn no_more_records_are_in_flight_than_the_capacity() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let call = move |n: u64| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(Some(n))
        }
    };
    let env = environment(1);
    let rows = AsyncDataStream::unordered_wait(&env.from_collection(0..100_u64), call, MINUTE, 3);
    assert_eq!(collect(rows).len(), 100);
    assert!(highest.load(Ordering::SeqCst) <= 3);
}

#[test]
fn calls_are_retried_as_the_strategy_says() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let call = move |n: usize| {
        let attempt = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            match attempt {
                0 => Err(Error::environment("not yet")),
                1 => Ok(None),
                _ => Ok(Some(n)),
            }
        }
    };
    let strategy = AsyncRetryStrategy::fixed_delay(5, Duration::from_millis(1))
        .if_result(<[usize]>::is_empty)
        .if_error(|error| error.message == "not yet");
    let env = environment(1);
    let numbers = env.from_collection([7]);
    let rows = AsyncDataStream::ordered_wait_with_retry(&numbers, call, MINUTE, 1, strategy);
    assert_eq!(in_order(rows), [7]);
    assert_eq!(counted.load(Ordering::SeqCst), 3);
}

#[test]
fn the_last_result_counts_when_the_retries_are_used_up() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let call = move |_: usize| {
        calls.fetch_add(1, Ordering::SeqCst);
        async { Err::<Option<usize>, _>(Error::data("the customer is unknown")) }
    };
    let short = Duration::from_millis(1);
    let strategy = AsyncRetryStrategy::exponential_backoff(2, short, 2 * short, 2.0).if_error(|_| true);
    let env = environment(1);
    let numbers = env.from_collection([7]);
    let rows = AsyncDataStream::ordered_wait_with_retry(&numbers, call, MINUTE, 1, strategy);
    assert!(failure(rows).contains("the customer is unknown"));
    assert_eq!(counted.load(Ordering::SeqCst), 3);
}

#[derive(Clone)]
struct Slow;

impl AsyncFunction<u64, String> for Slow {
    fn async_invoke(&self, n: u64) -> AsyncResult<String> {
        Box::pin(async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok(vec![n.to_string()])
        })
    }

    fn timeout(&self, n: u64) -> Result<Vec<String>> {
        Ok(vec![format!("{n} is late")])
    }
}

#[test]
fn a_timeout_has_results_of_its_own_or_fails_the_job() {
    let env = environment(1);
    let numbers = env.from_collection(0..3_u64);
    let rows = AsyncDataStream::ordered_wait(&numbers, Slow, Duration::from_millis(20), 10);
    assert_eq!(in_order(rows), ["0", "1 is late", "2"]);
    let never = |_: u64| async {
        std::future::pending::<()>().await;
        Ok(Some(0_u64))
    };
    let env = environment(1);
    let numbers = env.from_collection(0..3_u64);
    let rows = AsyncDataStream::ordered_wait(&numbers, never, Duration::from_millis(20), 10);
    let message = failure(rows);
    assert!(message.contains("operator 'async wait operator'"), "{message}");
    assert!(
        message.contains("Async function call has timed out."),
        "{message}"
    );
}

#[test]
fn a_panic_in_a_future_fails_the_job() {
    let env = environment(1);
    let panics = |n: u64| async move {
        assert!(n < 2, "too high");
        Ok(Some(n))
    };
    let rows = AsyncDataStream::ordered_wait(&env.from_collection(0..3_u64), panics, MINUTE, 10);
    assert!(failure(rows).contains("panicked"));
}

#[test]
fn an_operator_without_capacity_is_refused() {
    let env = environment(1);
    let rows = AsyncDataStream::ordered_wait(&env.from_collection([1_u64]), backwards, SECOND, 0);
    assert_eq!(
        failure(rows),
        "the capacity of an async operator must be greater than 0"
    );
}

pub async fn looked_up((key, n): Row) -> Result<Option<String>> {
    tokio::time::sleep(MS(1 + n.unsigned_abs() % 2)).await;
    Ok(Some(format!("{key} {n}")))
}

#[test]
fn records_in_flight_are_called_for_again_after_a_restore() {
    assert_recovers_all(|_, data, _| AsyncDataStream::unordered_wait(&data, looked_up, MINUTE, 20));
    assert_recovers_all(program_of(Stateful::AsyncWait));
}
