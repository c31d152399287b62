//! Usage of client quotas, and throttle times.
//!
//! As in Kafka, bytes and request time are rates over `quota.window.num` samples of `quota.window.size.seconds`; a
//! client above its quota is throttled until the rate has fallen to it. Topic mutations are counted by partition in a
//! token bucket. User and client id select the quota, the most specific first; clients that share an entity other than
//! a default share its usage. The response carries the throttle time, and the connection is muted for that long.

use crate::broker::Broker;
use crate::context::RequestContext;
use crate::limits::{QUOTA_CLIENTS_MAX, QUOTA_IDLE_MS};
use crate::rate::{Rate, Window};
use crate::security::quotas::{
    CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, PRODUCER_BYTE_RATE, REQUEST_PERCENTAGE,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::BTreeMap;

/// The client that a request is charged to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuotaClient {
    user: KafkaString,
    client_id: KafkaString,
}

impl QuotaClient {
    /// The sender of a request; `None` for callers in the process, which have no quotas.
    pub fn of(context: &RequestContext) -> Option<Self> {
        let principal = context.principal.as_str();
        let user = principal.split_once(':').map_or(principal, |(_, name)| name);
        (!context.is_internal).then(|| QuotaClient {
            user: user.into(),
            client_id: context.client_id.detached(),
        })
    }
}

/// Tokens that come at the rate of the quota and may go below zero once.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_ms: i64,
}

impl Bucket {
    fn refill(&mut self, now_ms: i64, quota: f64, burst: f64) {
        let seconds = (now_ms - self.filled_ms).max(0) as f64 / 1000.0;
        self.tokens = burst.min(self.tokens + quota * seconds);
        self.filled_ms = now_ms;
    }
}

/// The quota's key, and the user and client id that share it.
type Usage = (&'static str, Option<KafkaString>, Option<KafkaString>);

#[derive(Debug)]
enum Measured {
    Rate(Rate),
    Bucket(Bucket),
}

/// The usage of all clients that have quotas.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    measured: BTreeMap<Usage, (i64, Measured)>,
}

impl Throttles {
    fn of(&mut self, now_ms: i64, usage: Usage, new: impl FnOnce() -> Measured) -> &mut Measured {
        // Beyond the cap, further clients share one measurement.
        let is_full = self.measured.len() >= QUOTA_CLIENTS_MAX && !self.measured.contains_key(&usage);
        let usage = if is_full { (usage.0, None, None) } else { usage };
        let (used_ms, measured) = self.measured.entry(usage).or_insert_with(|| (now_ms, new()));
        *used_ms = now_ms;
        measured
    }

    fn rate(&mut self, now_ms: i64, usage: Usage) -> Option<&mut Rate> {
        match self.of(now_ms, usage, || Measured::Rate(Rate::default())) {
            Measured::Rate(rate) => Some(rate),
            Measured::Bucket(_) => None,
        }
    }

    /// Drops clients that have been idle for long.
    pub fn forget_idle(&mut self, now_ms: i64) {
        self.measured
            .retain(|_, (used_ms, _)| now_ms - *used_ms < QUOTA_IDLE_MS);
    }
}

impl Broker {
    fn quota_window(&self) -> Window {
        let long = |name: &str| self.configs.long(name);
        Window::new(long("quota.window.num"), long("quota.window.size.seconds"))
    }

    fn quota_of(&self, client: Option<&QuotaClient>, key: &'static str) -> Option<(f64, Usage)> {
        let client = client?;
        let found = self.security.quotas.limit(key, &client.user, &client.client_id)?;
        let user = found.by_user.then(|| client.user.clone());
        let client_id = found.by_client_id.then(|| client.client_id.clone());
        Some((found.limit, (key, user, client_id)))
    }

    fn record_rate(
        &mut self,
        now_ms: i64,
        client: Option<&QuotaClient>,
        key: &'static str,
        value: f64,
    ) -> i64 {
        let Some((quota, usage)) = self.quota_of(client, key) else {
            return 0;
        };
        let window = self.quota_window();
        let Some(rate) = self.throttles.rate(now_ms, usage) else {
            return 0;
        };
        rate.record(now_ms, window, value);
        rate.throttle_ms(now_ms, window, quota)
    }

    /// Records produced bytes. Returns the throttle time.
    pub(crate) fn throttle_produce(
        &mut self,
        now_ms: i64,
        client: Option<&QuotaClient>,
        bytes: usize,
    ) -> i32 {
        clamp(self.record_rate(now_ms, client, PRODUCER_BYTE_RATE, bytes as f64))
    }

    /// Records bytes about to be fetched. A throttled client gets no records, and nothing is recorded.
    pub(crate) fn throttle_fetch(&mut self, now_ms: i64, client: Option<&QuotaClient>, bytes: usize) -> i32 {
        let throttle_ms = self.record_rate(now_ms, client, CONSUMER_BYTE_RATE, bytes as f64);
        if throttle_ms > 0 {
            self.record_rate(now_ms, client, CONSUMER_BYTE_RATE, -(bytes as f64));
        }
        clamp(throttle_ms)
    }

    /// Cap on a fetch response: a larger one could never be sent within the quota.
    pub(crate) fn fetch_quota_bytes(&self, client: Option<&QuotaClient>) -> usize {
        let window = self.quota_window();
        let seconds = (window.samples as f64 - 1.0) * window.sample_ms as f64 / 1000.0;
        self.quota_of(client, CONSUMER_BYTE_RATE)
            .map_or(usize::MAX, |(quota, _)| (quota * seconds) as usize)
    }

    /// Whether the time that requests take is limited for any client.
    pub fn has_request_quotas(&self) -> bool {
        self.security.quotas.has(REQUEST_PERCENTAGE)
    }

    /// Records the time of a request. Returns the throttle time, capped at one sample.
    pub fn throttle_request(&mut self, now_ms: i64, context: &RequestContext, taken_ms: i64) -> i32 {
        let percent = taken_ms as f64 / 10.0; // of a second
        let client = QuotaClient::of(context);
        let throttle_ms = self.record_rate(now_ms, client.as_ref(), REQUEST_PERCENTAGE, percent);
        clamp(throttle_ms.min(self.quota_window().sample_ms))
    }
}

/// The changes of topics that one request makes, counted by partitions.
#[derive(Debug)]
pub(crate) struct Mutations {
    client: Option<QuotaClient>,
    /// Whether a change is refused while the client is above its quota; otherwise it is made, and the client waits.
    is_strict: bool,
    pub throttle_time_ms: i32,
}

impl Mutations {
    pub fn of(context: &RequestContext, is_strict: bool) -> Self {
        Mutations {
            client: QuotaClient::of(context),
            is_strict,
            throttle_time_ms: 0,
        }
    }

    /// Counts a change; the error says that it must not be made.
    pub fn charge(&mut self, broker: &mut Broker, now_ms: i64, partitions: usize) -> Result<(), ErrorCode> {
        let Some((quota, usage)) = broker.quota_of(self.client.as_ref(), CONTROLLER_MUTATION_RATE) else {
            return Ok(());
        };
        let samples = broker.configs.long("controller.quota.window.num").max(1) as f64;
        let burst =
            samples * broker.configs.long("controller.quota.window.size.seconds").max(1) as f64 * quota;
        let full = || {
            Measured::Bucket(Bucket {
                tokens: burst,
                filled_ms: now_ms,
            })
        };
        let Measured::Bucket(bucket) = broker.throttles.of(now_ms, usage, full) else {
            return Ok(());
        };
        bucket.refill(now_ms, quota, burst);
        let is_refused = self.is_strict && bucket.tokens < 0.0;
        if !is_refused {
            bucket.tokens -= partitions as f64;
        }
        if bucket.tokens < 0.0 && (is_refused || !self.is_strict) {
            let wait_ms = clamp((-bucket.tokens / quota * 1000.0).round() as i64);
            self.throttle_time_ms = self.throttle_time_ms.max(wait_ms);
        }
        if is_refused {
            Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED)
        } else {
            Ok(())
        }
    }
}

/// Kafka's message for [`ErrorCode::THROTTLING_QUOTA_EXCEEDED`].
pub(crate) const QUOTA_EXCEEDED: &str = "The throttling quota has been exceeded.";

fn clamp(ms: i64) -> i32 {
    i32::try_from(ms).unwrap_or(i32::MAX)
}
