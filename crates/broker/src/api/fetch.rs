//! Fetch: returns whole batches from the log, and parks the request if there are fewer than `fetch.min.bytes`.
//!
//! The partitions come from the request or from the client's fetch session. A delayed fetch wakes up when the high
//! watermark or the last stable offset of one of its partitions moves.

use crate::broker::{Broker, log_error_code};
use crate::context::RequestContext;
use crate::disk_reads::Reading;
use crate::fetch_sessions::{NO_SESSION, SessionUse, Wanted};
use crate::limits::{FETCH_WAIT_MS_MAX, SEGMENT_BYTES_PER_FETCH};
use crate::mutants::Mutant;
use crate::purgatory::{Outcome, Reply, Ticket, WaitingFetch};
use crate::security::Operation;
use crate::throttle::QuotaClient;
use millstream_kafka_wire::messages::fetch::{
    AbortedTransaction, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use millstream_kafka_wire::{ErrorCode, Response};
use millstream_log::{Isolation, LogError, LogId, PlannedRead, Read, ReadJob, ReadLimit, ReadOutcome};
use std::sync::Arc;

/// An isolation level of the protocol.
pub(crate) const READ_COMMITTED: i8 = 1;

/// Partitions that are not read, with their error codes.
type RejectedPartitions = Arc<[(Wanted, ErrorCode)]>;

/// A request in the form in which it is worked on.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    /// Partitions to read.
    partitions: Arc<[Wanted]>,
    /// Partitions that the client may not read, or that did not exist when the request arrived. The decision is final
    /// for this request: a delayed fetch is not authorised again when it wakes up. As in Kafka, rejected partitions
    /// come after the others in the response.
    refused: RejectedPartitions,
    session: SessionUse,
    client: Option<QuotaClient>,
    isolation: Isolation,
    min_bytes: usize,
    max_bytes: i32,
}

impl Fetch {
    /// All requested partitions, in the order of the response.
    fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        let refused = self.refused.iter().map(|(wanted, _)| wanted);
        self.partitions.iter().chain(refused)
    }
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
    let (partitions, refused) = parted(broker, partitions);
    let fetch = Fetch {
        partitions,
        refused,
        session,
        client,
        isolation: match request.isolation_level {
            READ_COMMITTED => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        },
        min_bytes: usize::try_from(request.min_bytes.min(quota)).unwrap_or(0),
        max_bytes: request.max_bytes.min(limit).min(quota),
    };
    let wait_ms = i64::from(request.max_wait_ms).clamp(0, FETCH_WAIT_MS_MAX);
    let deadline_ms = now_ms.saturating_add(wait_ms);
    let read = read(broker, &fetch);
    let is_complete = read.is_enough(&fetch) || is_over(broker, now_ms, deadline_ms) || read.logs.is_empty();
    if read.jobs.is_empty() && is_complete {
        return Outcome::now(respond(broker, now_ms, &fetch, read));
    }
    let ticket = broker.purgatory.ticket();
    park(
        broker,
        ticket,
        Reading {
            fetch,
            read,
            deadline_ms,
        },
    );
    Outcome::Waiting(ticket)
}

/// Whether a fetch has waited for as long as it may.
fn is_over(broker: &Broker, now_ms: i64, deadline_ms: i64) -> bool {
    broker.purgatory.are_over || now_ms >= deadline_ms
}

/// Separates readable partitions from rejected ones.
fn parted(broker: &Broker, partitions: Arc<[Wanted]>) -> (Arc<[Wanted]>, RejectedPartitions) {
    let refusal = |wanted: &Wanted| {
        let topic = broker.accessible_topic(Operation::Read, wanted.topic_id, &wanted.topic);
        let log = topic.map(|topic| topic.log(wanted.partition.partition));
        log.and_then(|log| log.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
            .err()
    };
    if partitions.iter().all(|wanted| refusal(wanted).is_none()) {
        return (partitions, Arc::default());
    }
    let (mut readable, mut refused) = (Vec::new(), Vec::new());
    for wanted in partitions.iter().cloned() {
        match refusal(&wanted) {
            None => readable.push(wanted),
            Some(code) => refused.push((wanted, code)),
        }
    }
    (readable.into(), refused.into())
}

/// Parks the fetch until a disk read completes or new records arrive.
fn park(broker: &mut Broker, ticket: Ticket, reading: Reading) {
    if !reading.read.jobs.is_empty() {
        return broker.disk_reads.start(ticket, reading);
    }
    let Reading {
        fetch,
        read,
        deadline_ms,
    } = reading;
    let waiting = WaitingFetch {
        fetch,
        deadline_ms,
        logs: read.logs,
    };
    broker.purgatory.add_fetch(ticket, waiting);
}

/// Looks again at a fetch that waits, as one of its logs has moved.
pub(crate) fn wake(broker: &mut Broker, now_ms: i64, ticket: Ticket) {
    let Some(waiting) = broker.purgatory.fetch(ticket) else {
        return;
    };
    let (fetch, deadline_ms, logs) = (waiting.fetch.clone(), waiting.deadline_ms, waiting.logs.len());
    let read = read(broker, &fetch);
    let has_lost_one = read.logs.len() < logs;
    if !read.jobs.is_empty() {
        broker.purgatory.remove_fetch(ticket);
        park(
            broker,
            ticket,
            Reading {
                fetch,
                read,
                deadline_ms,
            },
        );
    } else if read.is_enough(&fetch) || has_lost_one {
        broker.purgatory.remove_fetch(ticket);
        complete(broker, now_ms, ticket, &fetch, read);
    }
}

impl Broker {
    /// Completes all delayed fetches with the records available now, and delays no further ones: the listeners are
    /// about to close.
    pub fn end_waits_of_fetches(&mut self) {
        self.purgatory.are_over = true;
        for ticket in self.purgatory.expired_fetches(i64::MAX) {
            expire(self, self.last_now_ms, ticket);
        }
    }
}

/// The fetch has reached its deadline: completes it with the records available now.
pub(crate) fn expire(broker: &mut Broker, now_ms: i64, ticket: Ticket) {
    let Some(WaitingFetch {
        fetch, deadline_ms, ..
    }) = broker.purgatory.remove_fetch(ticket)
    else {
        return;
    };
    let read = read(broker, &fetch);
    if read.jobs.is_empty() {
        return complete(broker, now_ms, ticket, &fetch, read);
    }
    park(
        broker,
        ticket,
        Reading {
            fetch,
            read,
            deadline_ms,
        },
    );
}

/// The segments that a fetch needs have been read.
pub(crate) fn on_read(
    broker: &mut Broker,
    now_ms: i64,
    ticket: Ticket,
    reading: Reading,
    outcomes: Vec<(usize, ReadOutcome)>,
) {
    let Reading {
        fetch,
        mut read,
        deadline_ms,
    } = reading;
    for (index, outcome) in outcomes {
        let found = broker.log.finish_read(outcome);
        let part = give(broker, &fetch.partitions[index], found, &mut read);
        read.parts[index] = part;
    }
    let size = |part: &PartitionData| part.records.as_ref().map_or(0, bytes::Bytes::len);
    read.bytes = read.parts.iter().map(size).sum();
    if read.is_enough(&fetch) || is_over(broker, now_ms, deadline_ms) {
        return complete(broker, now_ms, ticket, &fetch, read);
    }
    let has_moved = read.marks != marks(broker, &read.logs);
    let waiting = Reading {
        fetch,
        read,
        deadline_ms,
    };
    park(broker, ticket, waiting);
    if has_moved {
        wake(broker, now_ms, ticket);
    }
}

/// Where logs stand that a fetch waits for.
fn marks(broker: &Broker, logs: &[LogId]) -> Vec<Option<(i64, i64)>> {
    let mark = |log: &LogId| {
        let offsets = broker.log.offsets(*log)?;
        Some((offsets.high_watermark, offsets.last_stable))
    };
    logs.iter().map(mark).collect()
}

fn complete(broker: &mut Broker, now_ms: i64, ticket: Ticket, fetch: &Fetch, read: FetchRead) {
    let response = respond(broker, now_ms, fetch, read);
    broker
        .purgatory
        .complete(ticket, Reply::from(Response::from(response)));
}

/// The records read so far, one part for each partition.
#[derive(Debug, Default)]
pub(crate) struct FetchRead {
    parts: Vec<PartitionData>,
    /// Bytes read, plus the most that pending jobs will read.
    bytes: usize,
    /// Share of `bytes` that comes from segments.
    segment_bytes: usize,
    /// Whether segments hold more than the cap of one response.
    is_cut: bool,
    has_read_error: bool,
    /// The logs that are there and may be read.
    logs: Vec<LogId>,
    /// High watermark and last stable offset of each partition before jobs run. Records that arrive during a read must
    /// not move them.
    marks: Vec<Option<(i64, i64)>>,
    /// Reads of segments, each with the index of its part.
    pub jobs: Vec<(usize, ReadJob)>,
}

impl FetchRead {
    fn is_enough(&self, fetch: &Fetch) -> bool {
        self.has_read_error || self.bytes >= fetch.min_bytes || self.is_cut && self.bytes > 0
    }
}

fn read(broker: &mut Broker, fetch: &Fetch) -> FetchRead {
    let mut result = FetchRead::default();
    result.parts.reserve(fetch.partitions.len());
    for (index, wanted) in fetch.partitions.iter().enumerate() {
        let part = match find(broker, fetch, index) {
            Ok(log) => {
                result.logs.push(log);
                read_partition(broker, fetch, (wanted, log), &mut result)
            }
            Err(code) => failed(wanted, code),
        };
        result.parts.push(part);
    }
    if !result.jobs.is_empty() {
        result.marks = marks(broker, &result.logs);
    }
    result
}

/// The part of a partition that failed. As in Kafka, a partition rejected before the read has an empty list of aborted
/// transactions, and one that failed later has none.
fn failed(wanted: &Wanted, error_code: ErrorCode) -> PartitionData {
    let aborted_transactions = match error_code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::TOPIC_AUTHORIZATION_FAILED => Some(Vec::new()),
        _ => None,
    };
    PartitionData {
        partition_index: wanted.partition.partition,
        error_code,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        preferred_read_replica: -1,
        aborted_transactions,
        records: Some(bytes::Bytes::new()),
        ..Default::default()
    }
}

/// Looks up the log of a partition. As in Kafka, an error here does not complete a delayed fetch of other partitions.
fn find(broker: &Broker, fetch: &Fetch, index: usize) -> Result<LogId, ErrorCode> {
    let wanted = &fetch.partitions[index];
    if fetch.max_bytes < 0 || wanted.partition.partition_max_bytes < 0 {
        return Err(ErrorCode::UNKNOWN_SERVER_ERROR); // as Kafka says
    }
    broker
        .topics
        .find(wanted.topic_id, &wanted.topic)?
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
    if let Err(code) = check_epoch(wanted.partition.current_leader_epoch) {
        result.has_read_error = true;
        return failed(wanted, code);
    }
    let offset = wanted.partition.fetch_offset;
    let isolation = if broker.breaks(Mutant::ReadUndecided) {
        Isolation::ReadUncommitted
    } else {
        fetch.isolation
    };
    let found = match plan(broker, fetch, (log, offset, limit, isolation), result) {
        Ok(PlannedRead::Segments(job)) => {
            result.segment_bytes += job.bytes_max();
            if broker.disk_reads.is_deferred {
                result.bytes += job.bytes_max().max(1);
                result.jobs.push((result.parts.len(), job));
                return PartitionData::default();
            }
            broker.log.finish_read(job.run())
        }
        Ok(PlannedRead::Ready(read)) => Ok(read),
        Err(error) => Err(error),
    };
    let mut data = give(broker, wanted, found, result);
    let hides_aborted = broker.breaks(Mutant::HideAborted) || broker.breaks(Mutant::ReadUndecided);
    if hides_aborted && fetch.isolation == Isolation::ReadCommitted {
        data.aborted_transactions = Some(Vec::new());
    }
    data
}

/// Plans the read of a partition, within the remaining budget of segment bytes.
fn plan(
    broker: &Broker,
    fetch: &Fetch,
    (log, offset, limit, isolation): (LogId, i64, ReadLimit, Isolation),
    result: &mut FetchRead,
) -> Result<PlannedRead, LogError> {
    let planned = broker.log.plan_read(log, offset, limit, isolation)?;
    if fetch.min_bytes > SEGMENT_BYTES_PER_FETCH {
        return Ok(planned);
    }
    let max_bytes = SEGMENT_BYTES_PER_FETCH.saturating_sub(result.segment_bytes);
    match planned {
        PlannedRead::Segments(job) if job.bytes_max() > max_bytes => {
            result.is_cut = true;
            let limit = ReadLimit { max_bytes, ..limit };
            broker.log.plan_read(log, offset, limit, isolation)
        }
        planned => Ok(planned),
    }
}

/// Reads a partition from memory, or adds a job for its segments.
fn give(
    broker: &Broker,
    wanted: &Wanted,
    found: Result<Read, LogError>,
    result: &mut FetchRead,
) -> PartitionData {
    let read = match found {
        Ok(read) => read,
        Err(error) => {
            result.has_read_error = true;
            return failed(wanted, log_error_code(&error));
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
        records: Some(broker.log.contiguous(read.chunks)),
        ..Default::default()
    }
}

/// Builds the response: all partitions, or those with news for the session. Empty if the client has exceeded its quota.
fn respond(broker: &mut Broker, now_ms: i64, fetch: &Fetch, read: FetchRead) -> FetchResponse {
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
    let mut parts = read.parts;
    parts.extend(fetch.refused.iter().map(|(wanted, code)| failed(wanted, *code)));
    if let SessionUse::Begin { uses_ids } = fetch.session {
        let slots = broker.configs.long("max.incremental.fetch.session.cache.slots");
        let slots = usize::try_from(slots).unwrap_or(0);
        let completed = (fetch.wanted(), &parts[..]);
        response.session_id =
            broker
                .fetch_sessions
                .create(now_ms, slots, broker.rng.as_ref(), uses_ids, completed);
    }
    for (wanted, part) in fetch.wanted().zip(parts) {
        if broker.fetch_sessions.note(fetch.session, wanted, &part) {
            count(broker, wanted, &part);
            add(&mut response.responses, wanted, part);
        }
    }
    response
}

/// Counts the bytes sent for a partition.
fn count(broker: &mut Broker, wanted: &Wanted, part: &PartitionData) {
    let known = broker
        .topics
        .find(wanted.topic_id, &wanted.topic)
        .map(|topic| topic.id);
    let bytes = part.records.as_ref().map_or(0, |records| records.len() as u64);
    broker.counters.count(known.ok(), |counters| {
        counters.fetch_requests += 1;
        counters.bytes_out += bytes;
        counters.failed_fetch_requests += u64::from(part.error_code.is_error());
    });
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

/// There is one leader epoch, 0; −1 means "do not check".
pub(crate) fn check_epoch(epoch: i32) -> Result<(), ErrorCode> {
    match epoch {
        ..=-1 | 0 => Ok(()),
        _ => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
    }
}
