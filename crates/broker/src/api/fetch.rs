//! Fetch: whole batches from the log, waiting for them if there are too few.
//!
//! What is read is a list of partitions, from the request or from the client's session. A fetch that waits is woken when
//! the high watermark or the last stable offset of one of its partitions moves.

use crate::broker::{Broker, log_error_code};
use crate::context::RequestContext;
use crate::fetch_sessions::{NO_SESSION, SessionUse, Wanted};
use crate::limits::FETCH_WAIT_MS_MAX;
use crate::security::{Operation, ResourceKind};
use crate::throttle::QuotaClient;
use crate::waits::{Outcome, Reply, Ticket, WaitingFetch};
use millstream_kafka_wire::messages::fetch::{
    AbortedTransaction, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use millstream_kafka_wire::{ErrorCode, Response};
use millstream_log::{Isolation, LogId, ReadLimit};
use std::sync::Arc;

const READ_COMMITTED: i8 = 1;

/// A request in the form in which it is worked on.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    partitions: Arc<[Wanted]>,
    session: SessionUse,
    client: Option<QuotaClient>,
    isolation: Isolation,
    min_bytes: usize,
    max_bytes: i32,
}

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &FetchRequest,
) -> Outcome {
    let (partitions, session) = match broker.fetch_sessions.begin(now_ms, version, request) {
        Ok(begun) => begun,
        Err(error_code) => {
            return Outcome::now(FetchResponse {
                error_code,
                ..Default::default()
            });
        }
    };
    let client = QuotaClient::of(context);
    let limit = broker.configs.int("fetch.max.bytes");
    let quota = i32::try_from(broker.fetch_quota_bytes(client.as_ref())).unwrap_or(i32::MAX);
    let fetch = Fetch {
        partitions,
        session,
        client,
        isolation: match request.isolation_level {
            READ_COMMITTED => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        },
        min_bytes: usize::try_from(request.min_bytes.min(quota)).unwrap_or(0),
        max_bytes: request.max_bytes.min(limit).min(quota),
    };
    let read = read(broker, &fetch);
    if read.is_enough(&fetch) || request.max_wait_ms <= 0 || read.logs.is_empty() {
        return Outcome::now(answer(broker, now_ms, &fetch, read));
    }
    let wait_ms = i64::from(request.max_wait_ms).min(FETCH_WAIT_MS_MAX);
    let deadline_ms = now_ms.saturating_add(wait_ms);
    Outcome::Waiting(broker.waits.add_fetch(WaitingFetch {
        fetch,
        deadline_ms,
        logs: read.logs,
    }))
}

/// Looks again at a fetch that waits, as one of its logs has moved.
pub(crate) fn wake(broker: &mut Broker, now_ms: i64, ticket: Ticket) {
    let Some(fetch) = broker.waits.fetch(ticket).map(|waiting| waiting.fetch.clone()) else {
        return;
    };
    let read = read(broker, &fetch);
    let has_lost_one = broker
        .waits
        .fetch(ticket)
        .is_some_and(|waiting| read.logs.len() < waiting.logs.len());
    if read.is_enough(&fetch) || has_lost_one {
        broker.waits.remove_fetch(ticket);
        complete(broker, now_ms, ticket, &fetch, read);
    }
}

/// A fetch has waited long enough: it gets what there is.
pub(crate) fn expire(broker: &mut Broker, now_ms: i64, ticket: Ticket) {
    if let Some(WaitingFetch { fetch, .. }) = broker.waits.remove_fetch(ticket) {
        let read = read(broker, &fetch);
        complete(broker, now_ms, ticket, &fetch, read);
    }
}

fn complete(broker: &mut Broker, now_ms: i64, ticket: Ticket, fetch: &Fetch, read: FetchRead) {
    let response = answer(broker, now_ms, fetch, read);
    broker
        .waits
        .complete(ticket, Reply::from(Response::from(response)));
}

/// What was read, a part for each partition that is wanted.
#[derive(Debug, Default)]
struct FetchRead {
    parts: Vec<PartitionData>,
    bytes: usize,
    has_read_error: bool,
    /// The logs that are there and may be read.
    logs: Vec<LogId>,
}

impl FetchRead {
    fn is_enough(&self, fetch: &Fetch) -> bool {
        self.has_read_error || self.bytes >= fetch.min_bytes
    }
}

fn read(broker: &mut Broker, fetch: &Fetch) -> FetchRead {
    let mut result = FetchRead::default();
    result.parts.reserve(fetch.partitions.len());
    for wanted in fetch.partitions.iter() {
        let part = match find(broker, fetch, wanted) {
            Ok(log) => {
                result.logs.push(log);
                read_partition(broker, fetch, (wanted, log), &mut result)
            }
            Err(code) => failed(wanted, code),
        };
        result.parts.push(part);
    }
    result
}

fn failed(wanted: &Wanted, error_code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: wanted.partition.partition,
        error_code,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        preferred_read_replica: -1,
        aborted_transactions: None,
        records: Some(bytes::Bytes::new()),
        ..Default::default()
    }
}

/// The log of a partition. What is wrong here does not end a wait for other partitions, as in Kafka.
fn find(broker: &Broker, fetch: &Fetch, wanted: &Wanted) -> Result<LogId, ErrorCode> {
    if fetch.max_bytes < 0 {
        return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
    }
    let topic = broker.topics.find(wanted.topic_id, &wanted.topic)?;
    broker.access(Operation::Read, ResourceKind::Topic, &topic.name)?;
    topic
        .log(wanted.partition.partition)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

fn read_partition(
    broker: &mut Broker,
    fetch: &Fetch,
    (wanted, log): (&Wanted, LogId),
    result: &mut FetchRead,
) -> PartitionData {
    let left = (fetch.max_bytes as usize).saturating_sub(result.bytes);
    let limit = ReadLimit {
        max_bytes: left.min(wanted.partition.partition_max_bytes.max(0) as usize),
        at_least_one: result.bytes == 0,
    };
    let read = check_epoch(wanted.partition.current_leader_epoch).and_then(|()| {
        broker
            .log
            .read(log, wanted.partition.fetch_offset, limit, fetch.isolation)
            .map_err(|error| log_error_code(&error))
    });
    let read = match read {
        Ok(read) => read,
        Err(code) => {
            result.has_read_error = true;
            return failed(wanted, code);
        }
    };
    result.bytes += read.bytes();
    let aborted = read.aborted.as_ref().map(|aborted| {
        let entry = |each: &millstream_log::AbortedTransaction| AbortedTransaction {
            producer_id: each.producer_id,
            first_offset: each.first_offset,
        };
        aborted.iter().map(entry).collect()
    });
    PartitionData {
        partition_index: wanted.partition.partition,
        high_watermark: read.offsets.high_watermark,
        last_stable_offset: read.offsets.last_stable,
        log_start_offset: read.offsets.start,
        aborted_transactions: aborted,
        preferred_read_replica: -1,
        records: Some(read.into_contiguous()),
        ..Default::default()
    }
}

/// What the client is told: everything, or what is news to its session; nothing if it has used up its quota.
fn answer(broker: &mut Broker, now_ms: i64, fetch: &Fetch, read: FetchRead) -> FetchResponse {
    let session_id = match fetch.session {
        SessionUse::Continue { id, .. } => id,
        SessionUse::None | SessionUse::Begin { .. } => NO_SESSION,
    };
    if let Err(error_code) = broker.fetch_sessions.check(fetch.session) {
        return FetchResponse {
            error_code,
            session_id,
            ..Default::default()
        };
    }
    let throttle_time_ms = broker.throttle_fetch(now_ms, fetch.client.as_ref(), read.bytes);
    if throttle_time_ms > 0 {
        return FetchResponse {
            throttle_time_ms,
            session_id,
            ..Default::default()
        };
    }
    let mut response = FetchResponse {
        session_id,
        ..Default::default()
    };
    if let SessionUse::Begin { uses_ids } = fetch.session {
        let slots = broker.configs.long("max.incremental.fetch.session.cache.slots");
        let slots = usize::try_from(slots).unwrap_or(0);
        let answered = fetch.partitions.iter().zip(&read.parts);
        response.session_id =
            broker
                .fetch_sessions
                .create(now_ms, slots, broker.rng.as_ref(), uses_ids, answered);
    }
    for (wanted, part) in fetch.partitions.iter().zip(read.parts) {
        if broker.fetch_sessions.note(fetch.session, wanted, &part) {
            add(&mut response.responses, wanted, part);
        }
    }
    response
}

/// Partitions of a topic that follow each other share its entry.
fn add(topics: &mut Vec<FetchableTopicResponse>, wanted: &Wanted, part: PartitionData) {
    let is_same =
        |topic: &FetchableTopicResponse| topic.topic_id == wanted.topic_id && topic.topic == wanted.topic;
    if let Some(topic) = topics.last_mut().filter(|topic| is_same(topic)) {
        topic.partitions.push(part);
        return;
    }
    topics.push(FetchableTopicResponse {
        topic: wanted.topic.clone(),
        topic_id: wanted.topic_id,
        partitions: vec![part],
    });
}

/// There is one leader epoch, 0; −1 stands for "not checked".
pub(crate) fn check_epoch(epoch: i32) -> Result<(), ErrorCode> {
    match epoch {
        ..=-1 | 0 => Ok(()),
        _ => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
    }
}
