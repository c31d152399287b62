//! ListOffsets: first and next offsets, and offsets by time.

use crate::api::fetch::{READ_COMMITTED, check_epoch};
use crate::api::repeated;
use crate::broker::{Broker, log_error_code};
use crate::limits::INFLATED_BYTES_MAX;
use crate::purgatory::{Outcome, Reply, Ticket};
use crate::security::{Operation, ResourceKind};
use bytes::Bytes;
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
use millstream_kafka_wire::record_batch::RecordBatch;
use millstream_kafka_wire::{ErrorCode, Response, Uuid};
use millstream_log::{LogId, TimeSearch};
use std::collections::BTreeSet;

const READ_UNCOMMITTED: i8 = 0;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
/// The first versions that know each of them.
const MAX_TIMESTAMP_VERSION: i16 = 7;
const EARLIEST_LOCAL_VERSION: i16 = 8;
const LATEST_TIERED_VERSION: i16 = 9;
const EARLIEST_PENDING_UPLOAD_VERSION: i16 = 11;
/// The first version with leader epochs.
const LEADER_EPOCH_VERSION: i16 = 4;

pub(crate) fn handle(broker: &mut Broker, version: i16, request: &ListOffsetsRequest) -> Outcome {
    let names = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| (&topic.name, partition.partition_index))
    });
    let repeated = repeated(names);
    let mut refused = BTreeSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut searches = Vec::new();
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let is_repeated = repeated.contains(&(&topic.name, index));
            if is_repeated && !refused.insert((&topic.name, index)) {
                continue;
            }
            let listed = if is_repeated {
                Err(named_twice(broker, topic))
            } else {
                list(broker, version, request.isolation_level, (topic, partition))
            };
            let found = match listed {
                Ok(Listed::Known(found)) => Ok(found),
                // Records in memory are searched by a job too: they may have to be decompressed.
                Ok(Listed::Searching(search)) if broker.disk_reads.is_deferred => {
                    searches.push(((topics.len(), partitions.len()), search));
                    Ok(None)
                }
                Ok(Listed::Searching(mut search)) => search.run(&mut broker.decompressor),
                Err(error_code) => Err(error_code),
            };
            partitions.push(completed(version, index, found));
        }
        if !partitions.is_empty() {
            topics.push(ListOffsetsTopicResponse {
                name: topic.name.clone(),
                partitions,
            });
        }
    }
    let response = ListOffsetsResponse {
        throttle_time_ms: 0,
        topics,
    };
    if searches.is_empty() {
        return Outcome::now(response);
    }
    let ticket = broker.purgatory.ticket();
    let listing = Listing { version, response };
    broker.disk_reads.start_listing(ticket, listing, searches);
    Outcome::Waiting(ticket)
}

/// The error, reported once, of a partition that a request names more than once.
fn named_twice(broker: &Broker, topic: &ListOffsetsTopic) -> ErrorCode {
    let access = broker.access(Operation::Describe, ResourceKind::Topic, &topic.name);
    access.err().unwrap_or(ErrorCode::INVALID_REQUEST)
}

/// Position of a partition in the response: index of the topic, index of the partition.
pub(crate) type Place = (usize, usize);

/// A response whose segments are being searched.
#[derive(Debug)]
pub(crate) struct Listing {
    version: i16,
    response: ListOffsetsResponse,
}

/// Timestamp and offset of a record, if there is one; −1 for a timestamp that was not requested.
pub(crate) type FoundOffset = Result<Option<(i64, i64)>, ErrorCode>;

/// Completes a response after its segments have been searched.
pub(crate) fn on_searched(
    broker: &mut Broker,
    ticket: Ticket,
    mut listing: Listing,
    outcomes: Vec<(Place, OffsetSearch, FoundOffset)>,
) {
    for ((topic, partition), search, found) in outcomes {
        // Segments that cannot be read may have been deleted meanwhile.
        let found = match found {
            Err(ErrorCode::KAFKA_STORAGE_ERROR) if broker.log.is_outdated(&search.search) => {
                search.again(broker)
            }
            found => found,
        };
        let topics = &mut listing.response.topics;
        if let Some(slot) = topics
            .get_mut(topic)
            .and_then(|topic| topic.partitions.get_mut(partition))
        {
            *slot = completed(listing.version, slot.partition_index, found);
        }
    }
    let reply = Reply::from(Response::from(listing.response));
    broker.purgatory.complete(ticket, reply);
}

fn completed(version: i16, partition_index: i32, found: FoundOffset) -> ListOffsetsPartitionResponse {
    let none = ListOffsetsPartitionResponse {
        partition_index,
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
        ..Default::default()
    };
    match found {
        Ok(Some((timestamp, offset))) => ListOffsetsPartitionResponse {
            timestamp,
            offset,
            leader_epoch: if version >= LEADER_EPOCH_VERSION { 0 } else { -1 },
            ..none
        },
        Ok(None) => none,
        Err(error_code) => ListOffsetsPartitionResponse { error_code, ..none },
    }
}

/// The immediate result for a partition.
enum Listed {
    Known(Option<(i64, i64)>),
    Searching(OffsetSearch),
}

fn list(
    broker: &mut Broker,
    version: i16,
    isolation_level: i8,
    (topic, partition): (&ListOffsetsTopic, &ListOffsetsPartition),
) -> Result<Listed, ErrorCode> {
    let is_committed = match isolation_level {
        READ_UNCOMMITTED => false,
        READ_COMMITTED => true,
        _ => return Err(ErrorCode::UNKNOWN_SERVER_ERROR), // as Kafka says
    };
    let found = broker.accessible_topic(Operation::Describe, Uuid::ZERO, &topic.name)?;
    let log = found
        .log(partition.partition_index)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    check_epoch(partition.current_leader_epoch)?;
    let offsets = broker
        .log
        .offsets(log)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if broker.log.quarantine_reason(log).is_some() {
        return Err(ErrorCode::KAFKA_STORAGE_ERROR);
    }
    let end = if is_committed {
        offsets.last_stable
    } else {
        offsets.high_watermark
    };
    let first_version = match partition.timestamp {
        MAX_TIMESTAMP => MAX_TIMESTAMP_VERSION,
        EARLIEST_LOCAL => EARLIEST_LOCAL_VERSION,
        LATEST_TIERED => LATEST_TIERED_VERSION,
        EARLIEST_PENDING_UPLOAD => EARLIEST_PENDING_UPLOAD_VERSION,
        _ => 0,
    };
    if version < first_version {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    match partition.timestamp {
        LATEST => Ok(Listed::Known(Some((-1, end)))),
        EARLIEST | EARLIEST_LOCAL => Ok(Listed::Known(Some((-1, offsets.start)))),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(Listed::Known(None)),
        MAX_TIMESTAMP | 0.. => {
            OffsetSearch::new(broker, log, partition.timestamp, end).map(Listed::Searching)
        }
        _ => Err(ErrorCode::UNSUPPORTED_VERSION),
    }
}

/// Looks for the first record of a time or later, or of the greatest time, and not below the log's start.
#[derive(Debug)]
pub(crate) struct OffsetSearch {
    search: TimeSearch,
    log: LogId,
    timestamp: i64,
    start: i64,
    /// Upper bound of the search; later records are not visible to this reader.
    end: i64,
}

impl OffsetSearch {
    fn new(broker: &Broker, log: LogId, timestamp: i64, end: i64) -> Result<Self, ErrorCode> {
        let start = broker.log.offsets(log).map_or(0, |offsets| offsets.start);
        let search = match timestamp {
            MAX_TIMESTAMP => broker.log.search_max_timestamp(log),
            _ => broker.log.search_time(log, timestamp, start),
        };
        Ok(OffsetSearch {
            search: search.map_err(|error| log_error_code(&error))?,
            log,
            timestamp,
            start,
            end,
        })
    }

    pub fn run(&mut self, decompressor: &mut Decompressor) -> FoundOffset {
        let wanted = match self.timestamp {
            MAX_TIMESTAMP => None,
            timestamp => Some(timestamp),
        };
        let mut from = self.start;
        while let Some(bytes) = self.search.next(from).map_err(|error| log_error_code(&error))? {
            let holds = |max: i64, at: i64| wanted.map_or(at == max, |wanted| at >= wanted);
            let (found, next) = scan(decompressor, &bytes, holds, self.start)?;
            match found {
                Some((_, offset)) if offset >= self.end => return Ok(None),
                Some(found) => return Ok(Some(found)),
                None if wanted.is_none() => return Ok(None),
                None => from = next,
            }
        }
        Ok(None)
    }

    /// The same with the log as it is by now, at once.
    fn again(self, broker: &mut Broker) -> FoundOffset {
        OffsetSearch::new(broker, self.log, self.timestamp, self.end)?.run(&mut broker.decompressor)
    }
}

/// The first record for which `holds` is true, given the greatest timestamp of its batch and its own; and the offset
/// after the batch.
fn scan(
    decompressor: &mut Decompressor,
    bytes: &Bytes,
    holds: impl Fn(i64, i64) -> bool,
    start: i64,
) -> Result<(Option<(i64, i64)>, i64), ErrorCode> {
    let corrupt = |_| ErrorCode::CORRUPT_MESSAGE;
    let batch = RecordBatch::read(bytes).map_err(corrupt)?;
    let header = &batch.header;
    let next = header.base_offset + i64::from(header.last_offset_delta) + 1;
    if header.attributes.is_control() {
        return Ok((
            Some((header.max_timestamp, header.base_offset)).filter(|_| header.base_offset >= start),
            next,
        ));
    }
    let data = batch
        .records_data(decompressor, INFLATED_BYTES_MAX)
        .map_err(corrupt)?;
    for record in batch.records(&data) {
        let record = record.map_err(corrupt)?;
        if record.offset >= start && holds(header.max_timestamp, record.timestamp) {
            return Ok((Some((record.timestamp, record.offset)), next));
        }
    }
    Ok((None, next))
}
