//! Produce: validates, deduplicates and appends batches; responds once they are durable.

use crate::broker::{Broker, log_error_code};
use crate::config::TopicSettings;
use crate::context::RequestContext;
use crate::internal_topics::may_write;
use crate::limits::{INFLATION_FACTOR, RECORD_ERRORS_MAX, REFUSED_BYTES_MAX, REQUEST_INFLATED_BYTES_MIN};
use crate::mutants::Mutant;
use crate::purgatory::{Outcome, Reply};
use crate::security::{Operation, ResourceKind};
use crate::throttle::QuotaClient;
use crate::transactions::{ENLISTING_VERSION, Producer, verify_append};
use bytes::Bytes;
use millstream_kafka_wire::compression::{Codec, Compressor};
use millstream_kafka_wire::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use millstream_kafka_wire::record_batch::{
    BatchBuilder, BatchProducer, Header, RecordBatch, RecordsSummary, set_log_append_time, set_max_timestamp,
    validate,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_log::{BatchHeader, LogId, SequenceCheck, SequenceError};

/// Why a partition's records were refused.
#[derive(Debug)]
struct Refusal {
    code: ErrorCode,
    message: Option<String>,
    /// The records at fault, by their index in the batch; none if it is the batch as a whole.
    records: Vec<i32>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Refusal {
            code,
            message: None,
            records: Vec::new(),
        }
    }
}

fn refusal(code: ErrorCode, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        message: Some(message.into()),
        records: Vec::new(),
    }
}

/// The properties of a sender that validation depends on.
#[derive(Clone, Copy)]
struct Caller<'a> {
    version: i16,
    is_internal: bool,
    client_id: &'a str,
}

/// Budget of decompressed bytes for the batches of one request. A single batch is bounded by its topic; many small ones
/// together would monopolise the broker's thread.
struct Inflation {
    limit: usize,
    inflated: usize,
}

impl Inflation {
    /// The budget of a request with this many bytes of records.
    fn new(bytes: usize) -> Self {
        let limit = bytes.saturating_mul(INFLATION_FACTOR);
        Inflation {
            limit: limit.max(REQUEST_INFLATED_BYTES_MIN),
            inflated: 0,
        }
    }

    /// Checks the records of a batch. One that is refused counts as all that it may inflate to.
    fn validate(&mut self, batch: &RecordBatch, settings: &TopicSettings) -> Result<RecordsSummary, Refusal> {
        let is_plain = matches!(batch.header.attributes.codec(), Ok(Codec::None));
        if !is_plain && self.inflated > self.limit {
            return Err(refusal(
                ErrorCode::MESSAGE_TOO_LARGE,
                format!(
                    "the batches before this one inflated to {} bytes, more than the {} that one request may: send it in \
                     another one",
                    self.inflated, self.limit
                ),
            ));
        }
        let limit = settings.inflated_bytes_max();
        let validated = validate(batch, limit);
        if !is_plain {
            let inflated = validated.as_ref().map_or(limit, |summary| summary.records_bytes);
            self.inflated = self.inflated.saturating_add(inflated);
        }
        validated.map_err(|error| refusal(error.error_code(), error.to_string()))
    }
}

/// The result for one partition.
struct Appended {
    base_offset: i64,
    log_append_ms: i64,
    start_offset: i64,
    /// The WAL sequence that has to be durable.
    sequence: u64,
}

pub(crate) fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &ProduceRequest,
) -> Outcome {
    let caller = Caller {
        version,
        is_internal: context.is_internal,
        client_id: context.client_id.as_str(),
    };
    let mut sequence = 0;
    let mut has_error = false;
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let records = partitions.filter_map(|partition| partition.records.as_ref());
    let bytes = records.map(Bytes::len).sum();
    let mut inflation = Inflation::new(bytes);
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for partition in &topic.partition_data {
            let result = append(
                broker,
                now_ms,
                caller,
                &mut inflation,
                (request, topic, partition),
            );
            has_error |= result.is_err();
            match &result {
                Ok(appended) => sequence = sequence.max(appended.sequence),
                Err(_) => count_failed(broker, topic),
            }
            partition_responses.push(partition_response(partition.index, result));
        }
        responses.push(TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses,
        });
    }
    let throttle_time_ms = broker.throttle_produce(now_ms, QuotaClient::of(context).as_ref(), bytes);
    if request.acks == 0 {
        return if has_error {
            Outcome::Now(Reply::Close)
        } else if throttle_time_ms > 0 {
            // With `acks=0` there is no response to carry a throttle time, so the connection is muted instead.
            let until_ms = now_ms.saturating_add(i64::from(throttle_time_ms));
            Outcome::Waiting(broker.purgatory.at(until_ms, Reply::Silent))
        } else {
            Outcome::Now(Reply::Silent)
        };
    }
    Outcome::durable(
        sequence,
        ProduceResponse {
            responses,
            throttle_time_ms,
            node_endpoints: Vec::new(),
        },
    )
}

fn count_failed(broker: &mut Broker, topic: &TopicProduceData) {
    let known = broker.topics.find(topic.topic_id, &topic.name);
    let known = known.map(|topic| topic.id).ok();
    broker.counters.count(known, |counters| {
        counters.produce_requests += 1;
        counters.failed_produce_requests += 1;
    });
}

fn partition_response(index: i32, result: Result<Appended, Refusal>) -> PartitionProduceResponse {
    match result {
        Ok(appended) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_ms,
            log_start_offset: appended.start_offset,
            ..Default::default()
        },
        Err(refusal) => PartitionProduceResponse {
            index,
            error_code: refusal.code,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: refusal.records.into_iter().map(record_error).collect(),
            error_message: refusal.message.map(KafkaString::from),
            ..Default::default()
        },
    }
}

/// The message of the partition describes the error; this entry only names the record.
fn record_error(batch_index: i32) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: None,
    }
}

fn append(
    broker: &mut Broker,
    now_ms: i64,
    caller: Caller<'_>,
    inflation: &mut Inflation,
    (request, topic, partition): (&ProduceRequest, &TopicProduceData, &PartitionProduceData),
) -> Result<Appended, Refusal> {
    if !matches!(request.acks, -1..=1) {
        return Err(ErrorCode::INVALID_REQUIRED_ACKS.into());
    }
    let found = broker.accessible_topic(Operation::Write, topic.topic_id, &topic.name)?;
    if !may_write(&found.name, caller.client_id) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION.into());
    }
    let log = found
        .log(partition.index)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let topic_id = found.id;
    let records = partition.records.as_ref().filter(|records| !records.is_empty());
    let records =
        records.ok_or_else(|| refusal(ErrorCode::INVALID_RECORD, "a produce request needs a batch"))?;
    let batch = check_batch(records, &found.settings, caller.version)?;
    let place = (found.name.as_str(), partition.index);
    let summary = check_records(
        &batch,
        &found.settings,
        now_ms,
        inflation,
        (caller.is_internal, place),
    )?;
    let settings = found.settings.clone();
    let target = (log, topic_id, partition.index);
    if let Some(duplicate) = check_sender(broker, now_ms, caller.version, request, target, &batch)? {
        return Ok(duplicate);
    }
    let (bytes, log_append_ms) = rewrite(&batch, &summary, &settings, now_ms)?;
    let header =
        BatchHeader::parse(&bytes).map_err(|error| refusal(ErrorCode::CORRUPT_MESSAGE, error.to_string()))?;
    let (sequence, base_offset) = broker
        .log
        .append(now_ms, log, &bytes, &header)
        .map_err(|error| refusal(log_error_code(&error), error.to_string()))?;
    broker.counters.count(Some(topic_id), |counters| {
        counters.produce_requests += 1;
        counters.messages_in += u64::from(batch.header.record_count.unsigned_abs());
        counters.bytes_in += bytes.len() as u64;
    });
    let start_offset = broker.log.offsets(log).map_or(0, |offsets| offsets.start);
    Ok(Appended {
        base_offset,
        log_append_ms,
        start_offset,
        sequence,
    })
}

/// Checks authorisation, sequence and transaction of the sender. Returns `Some` for a duplicate that is already in the
/// log.
fn check_sender(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    request: &ProduceRequest,
    (log, topic_id, index): (LogId, Uuid, i32),
    batch: &RecordBatch,
) -> Result<Option<Appended>, Refusal> {
    let header = &batch.header;
    let mut transactional_id = None;
    if header.attributes.is_transactional() {
        let id = request.transactional_id.as_ref();
        let id = id.ok_or(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)?;
        broker.access(Operation::Write, ResourceKind::TransactionalId, id)?;
        transactional_id = Some(id);
    }
    if header.producer_id < 0 {
        return Ok(None);
    }
    if let Some(duplicate) = check_producer(broker, log, batch, version)? {
        return Ok(Some(duplicate));
    }
    if let Some(transactional_id) = transactional_id {
        let producer = Producer {
            transactional_id,
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
        };
        verify_append(broker, now_ms, producer, (topic_id, index), version)?;
    }
    Ok(None)
}

/// Validates without reading records: exactly one batch, of a size and kind that producers may send.
fn check_batch(records: &Bytes, settings: &TopicSettings, version: i16) -> Result<RecordBatch, Refusal> {
    let batch = RecordBatch::read(records).map_err(|error| refusal(error.error_code(), error.to_string()))?;
    if batch.data().len() < records.len() {
        return Err(refusal(
            ErrorCode::INVALID_RECORD,
            "a produce request needs exactly one batch for a partition",
        ));
    }
    if records.len() > settings.max_message_bytes {
        let limit = settings.max_message_bytes;
        return Err(refusal(
            ErrorCode::MESSAGE_TOO_LARGE,
            format!(
                "batch of {} bytes is larger than max.message.bytes {limit}",
                records.len()
            ),
        ));
    }
    if batch.header.attributes.is_control() {
        return Err(refusal(
            ErrorCode::INVALID_RECORD,
            "clients must not write control batches",
        ));
    }
    if batch.header.base_offset != 0 {
        let message = format!(
            "the base offset of a batch should be 0, it is {}",
            batch.header.base_offset
        );
        return Err(refusal(ErrorCode::INVALID_RECORD, message));
    }
    if batch
        .header
        .attributes
        .codec()
        .is_ok_and(|codec| codec == Codec::Zstd)
        && version < 7
    {
        return Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE.into());
    }
    Ok(batch)
}

fn check_records(
    batch: &RecordBatch,
    settings: &TopicSettings,
    now_ms: i64,
    inflation: &mut Inflation,
    (is_internal, place): (bool, (&str, i32)),
) -> Result<RecordsSummary, Refusal> {
    let summary = if is_internal && !settings.compact {
        trusted(batch)?
    } else {
        inflation.validate(batch, settings)?
    };
    if settings.compact && summary.has_null_keys {
        return Err(keyless(batch, place));
    }
    if !settings.log_append_time {
        let (early, late) = (summary.min_timestamp, summary.max_timestamp);
        let is_early = early.is_some_and(|early| now_ms.saturating_sub(early) > settings.before_max_ms);
        if is_early || late.saturating_sub(now_ms) > settings.after_max_ms {
            return Err(refusal(
                ErrorCode::INVALID_TIMESTAMP,
                format!(
                    "timestamps {} to {late} are too far from the broker's time {now_ms}",
                    early.unwrap_or(late)
                ),
            ));
        }
    }
    Ok(summary)
}

/// Refuses records without a key, and says which they are: clients write the others again.
fn keyless(batch: &RecordBatch, (topic, partition): (&str, i32)) -> Refusal {
    let message =
        format!("Compacted topic cannot accept message without key in topic partition {topic}-{partition}");
    let mut refusal = refusal(ErrorCode::INVALID_RECORD, message);
    if let Ok(data) = batch.records_data(&mut Default::default(), REFUSED_BYTES_MAX) {
        let records = (0..).zip(batch.records(&data));
        let keyless = records.filter(|(_, record)| record.as_ref().is_ok_and(|record| record.key.is_none()));
        refusal.records = keyless.map(|(index, _)| index).take(RECORD_ERRORS_MAX).collect();
    }
    refusal
}

/// Batches of the process itself were built by this code: their records are not read again, the checksum is.
fn trusted(batch: &RecordBatch) -> Result<RecordsSummary, Refusal> {
    batch
        .verify_checksum()
        .map_err(|error| refusal(error.error_code(), error.to_string()))?;
    let header = &batch.header;
    if header.record_count <= 0 || header.last_offset_delta != header.record_count - 1 {
        return Err(refusal(
            ErrorCode::INVALID_RECORD,
            "count and last offset delta do not fit",
        ));
    }
    Ok(RecordsSummary {
        min_timestamp: Some(header.base_timestamp).filter(|first| *first >= 0),
        max_timestamp: header.max_timestamp,
        max_timestamp_offset_delta: 0,
        has_null_keys: false,
        records_bytes: batch.data().len(),
    })
}

/// Checks sequence and epoch of the producer; a duplicate gets the response of the original.
fn check_producer(
    broker: &Broker,
    log: LogId,
    batch: &RecordBatch,
    version: i16,
) -> Result<Option<Appended>, Refusal> {
    let header = BatchHeader::parse(batch.data()).map_err(|_| ErrorCode::CORRUPT_MESSAGE)?;
    let Some(producers) = broker.log.producers(log) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
    };
    if header.has_producer() && header.base_sequence < 0 {
        let message = format!("producer {} sent no sequence", header.producer_id);
        return Err(refusal(ErrorCode::INVALID_RECORD, message));
    }
    // From this version on each transaction has its own epoch (KIP-890), so the first batch of a transaction must start
    // at sequence 0.
    let begins = version >= ENLISTING_VERSION && header.is_transactional();
    match producers.check(&header, begins) {
        Ok(SequenceCheck::Append) => Ok(None),
        Ok(SequenceCheck::Duplicate(_)) if broker.breaks(Mutant::AppendAgain) => Ok(None),
        Err(SequenceError::FencedEpoch { .. }) if broker.breaks(Mutant::ForgetFence) => Ok(None),
        Ok(SequenceCheck::Duplicate(known)) => Ok(Some(Appended {
            base_offset: known.base_offset,
            log_append_ms: known.timestamp,
            start_offset: broker.log.offsets(log).map_or(0, |offsets| offsets.start),
            sequence: broker.log.last_sequence(), // the first time may not be durable yet
        })),
        Err(SequenceError::OutOfOrder { expected }) => Err(refusal(
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            format!(
                "producer {} sent sequence {}, {expected} is next",
                header.producer_id, header.base_sequence
            ),
        )),
        Err(SequenceError::FencedEpoch { current }) => Err(refusal(
            ErrorCode::INVALID_PRODUCER_EPOCH,
            format!(
                "producer {} has epoch {}, {current} is the newest",
                header.producer_id, header.producer_epoch
            ),
        )),
        Err(SequenceError::NotTransactional) => Err(ErrorCode::INVALID_TXN_STATE.into()),
    }
}

/// The batch as it is stored; most batches are stored unchanged.
fn rewrite(
    batch: &RecordBatch,
    summary: &RecordsSummary,
    settings: &TopicSettings,
    now_ms: i64,
) -> Result<(Bytes, i64), Refusal> {
    let codec = batch
        .header
        .attributes
        .codec()
        .map_err(|error| refusal(error.error_code(), error.to_string()))?;
    let mut data = batch.data().clone();
    if let Some(wanted) = settings.compression.filter(|wanted| *wanted != codec) {
        data = recompress(batch, wanted, settings)?;
    }
    if settings.log_append_time {
        let mut copy = data.to_vec();
        set_log_append_time(&mut copy, now_ms);
        return Ok((Bytes::from(copy), now_ms));
    }
    if batch.header.max_timestamp != summary.max_timestamp {
        let mut copy = data.to_vec();
        set_max_timestamp(&mut copy, summary.max_timestamp);
        return Ok((Bytes::from(copy), -1));
    }
    Ok((data, -1))
}

/// Recompresses the records with the topic's `compression.type` and level. The result must fit `max.message.bytes` too,
/// because the producer's codec may have compressed better.
fn recompress(batch: &RecordBatch, codec: Codec, settings: &TopicSettings) -> Result<Bytes, Refusal> {
    let invalid = |error: millstream_kafka_wire::record_batch::BatchError| {
        refusal(error.error_code(), error.to_string())
    };
    let fits = |bytes: usize| {
        if bytes > settings.max_message_bytes {
            Err(refusal(
                ErrorCode::MESSAGE_TOO_LARGE,
                format!(
                    "batch of {bytes} bytes, as it would be stored with compression.type {codec}, is larger than \
                 max.message.bytes {}",
                    settings.max_message_bytes
                ),
            ))
        } else {
            Ok(())
        }
    };
    let header = &batch.header;
    let data = batch
        .records_data(&mut Default::default(), settings.inflated_bytes_max())
        .map_err(invalid)?;
    let mut builder = BatchBuilder::new(codec).with_producer(BatchProducer {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.attributes.is_transactional(),
    });
    for record in batch.records(&data) {
        let record = record.map_err(invalid)?;
        let headers: Vec<Header<'_>> = record
            .headers
            .iter()
            .map(|(key, value)| Header { key, value })
            .collect();
        builder.append(record.timestamp, record.key, record.value, &headers);
        if codec == Codec::None {
            fits(builder.size())?;
        }
    }
    let mut compressor = Compressor::new(settings.compression_levels);
    let bytes = builder.build(&mut compressor).map_err(invalid)?;
    fits(bytes.len())?;
    Ok(Bytes::from(bytes))
}
