//! Topics that lose records on purpose: one whose records are deleted up to an offset, one that is compacted.
//!
//! Each has a single client that writes, shrinks and reads, so that it knows at any time what must be there: of the first
//! everything that was acknowledged from the last deletion on, of the second the last committed value of every key, and in
//! both nothing that was not written. The committed reads of the second are filtered as clients filter them.

use crate::producers::produced;
use crate::reader::Hidden;
use crate::world::{Client, Handle};
use bytes::Bytes;
use millstream_kafka_wire::compression::{Codec, Compressor, Decompressor};
use millstream_kafka_wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use millstream_kafka_wire::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use millstream_kafka_wire::messages::fetch::{FetchPartition, FetchTopic, PartitionData};
use millstream_kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
use millstream_kafka_wire::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, EndTxnRequest, FetchRequest, InitProducerIdRequest,
    ProduceRequest,
};
use millstream_kafka_wire::record_batch::{BatchBuilder, BatchProducer, batches};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::{BTreeMap, BTreeSet};

const DELETED: &str = "deleted";
const COMPACTED: &str = "compacted";
/// Names of topics are known to this version of Produce, and transactions of version 2.
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 12;
const INFLATED_BYTES_MAX: usize = 1 << 20;
const TRANSACTION_TIMEOUT_MS: i32 = 600_000;
const KEYS: u64 = 5;
/// A reader that needs more fetches than this is held up by something.
const ROUNDS_MAX: u32 = 2_000;

/// A record as it is found: offset, key, value.
type Found = (i64, Bytes, Option<Bytes>);

async fn create(client: &mut Client, name: &'static str, configs: &[(&str, &str)]) {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.into(),
            num_partitions: 1,
            replication_factor: 1,
            configs: configs
                .iter()
                .map(|(name, value)| CreatableTopicConfig {
                    name: (*name).into(),
                    value: Some((*value).into()),
                })
                .collect(),
            ..Default::default()
        }],
        timeout_ms: 1_000,
        validate_only: false,
    };
    loop {
        let response = client.insist(7, request.clone()).await;
        match response.topics[0].error_code {
            ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS => return,
            ErrorCode::KAFKA_STORAGE_ERROR => client.world.sleep(100).await,
            code => {
                client
                    .world
                    .violation("unexpected-error", format!("creating {name} gets {code}"));
                return client.world.sleep(100).await;
            }
        }
    }
}

fn batch(world: &Handle, producer: BatchProducer, records: &[(u64, Option<u64>)]) -> Bytes {
    let codec = Codec::ALL[world.below(5) as usize];
    let mut builder = BatchBuilder::new(codec).with_producer(producer);
    for (key, value) in records {
        let (key, value) = (format!("k{key}"), value.map(|value| value.to_string()));
        let value = value.as_ref().map(String::as_bytes);
        builder.append(world.now_ms(), Some(key.as_bytes()), value, &[]);
    }
    let built = builder.build(&mut Compressor::default());
    built.expect("records here are small").into()
}

fn request(topic: &'static str, transactional_id: Option<&'static str>, records: Bytes) -> ProduceRequest {
    ProduceRequest {
        transactional_id: transactional_id.map(KafkaString::from_static),
        acks: -1,
        timeout_ms: 1_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(records),
            }],
            ..Default::default()
        }],
    }
}

async fn fetch(
    client: &mut Client,
    topic: &'static str,
    offset: i64,
    is_committed: bool,
) -> Option<PartitionData> {
    let request = FetchRequest {
        max_wait_ms: 0,
        max_bytes: 1 << 20,
        isolation_level: i8::from(is_committed),
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: vec![FetchPartition {
                current_leader_epoch: -1,
                fetch_offset: offset,
                partition_max_bytes: [200, 2_000, 1 << 20][client.world.below(3) as usize],
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = client.call(FETCH_VERSION, request).await.ok()?;
    response
        .responses
        .into_iter()
        .next()?
        .partitions
        .into_iter()
        .next()
}

/// Everything from an offset on that is shown to an application, and the log's start; `None` if that is not where it begins.
async fn read(
    client: &mut Client,
    topic: &'static str,
    from: i64,
    is_committed: bool,
) -> Option<(Vec<Found>, i64)> {
    let (mut position, mut shown) = (from, Vec::new());
    for _ in 0..ROUNDS_MAX {
        let Some(data) = fetch(client, topic, position, is_committed).await else {
            continue;
        };
        match data.error_code {
            ErrorCode::NONE => {}
            ErrorCode::OFFSET_OUT_OF_RANGE => return None,
            _ => {
                client.world.sleep(50).await;
                continue;
            }
        }
        let mut hidden = Hidden::new(data.aborted_transactions.clone().unwrap_or_default());
        for batch in batches(data.records.clone().unwrap_or_default()) {
            let taken = take(batch, position, &mut hidden, &mut shown);
            match taken {
                Ok(next) => position = next,
                Err(text) => client.world.violation("corrupt", format!("{topic}: {text}")),
            }
        }
        let end = if is_committed {
            data.last_stable_offset
        } else {
            data.high_watermark
        };
        if position >= end {
            return Some((shown, data.log_start_offset));
        }
    }
    let text = format!("a reader of {topic} stays at {position}");
    client.world.violation("stuck", text);
    None
}

fn take(
    batch: Result<
        millstream_kafka_wire::record_batch::RecordBatch,
        millstream_kafka_wire::record_batch::BatchError,
    >,
    position: i64,
    hidden: &mut Hidden,
    shown: &mut Vec<Found>,
) -> Result<i64, String> {
    let text = |error: millstream_kafka_wire::record_batch::BatchError| error.to_string();
    let batch = batch.map_err(text)?;
    batch.verify_checksum().map_err(text)?;
    let last = batch.header.base_offset + i64::from(batch.header.last_offset_delta);
    if last < position {
        return Err(format!("{last} is given where {position} is next"));
    }
    if hidden.shows(&batch) {
        let data = batch.records_data(&mut Decompressor::new(), INFLATED_BYTES_MAX);
        let data = data.map_err(text)?;
        for record in batch.records(&data) {
            let record = record.map_err(text)?;
            if record.offset >= position {
                let key = Bytes::copy_from_slice(record.key.unwrap_or_default());
                shown.push((record.offset, key, record.value.map(Bytes::copy_from_slice)));
            }
        }
    }
    Ok(last + 1)
}

/// Writes to a topic and deletes what it has up to some offset, again and again.
pub async fn deleting(world: Handle) {
    let mut client = Client::new(&world);
    create(&mut client, DELETED, &[("segment.ms", "1000")]).await;
    let (mut next, mut known) = (0, BTreeMap::new());
    // Up to where records are certainly gone, and up to where they may be.
    let (mut deleted, mut asked) = (0, 0);
    while !world.is_ending() {
        match world.below(6) {
            0 => delete(&mut client, &known, (&mut deleted, &mut asked)).await,
            1 => check_deleted(&mut client, &known, (deleted, asked)).await,
            _ => {
                let records: Vec<_> = (next..next + 1 + world.below(4))
                    .map(|value| (0, Some(value)))
                    .collect();
                next += records.len() as u64;
                let request = request(DELETED, None, batch(&world, BatchProducer::NONE, &records));
                if let Ok(response) = client.call(PRODUCE_VERSION, request).await {
                    let (code, offset) = produced(&response);
                    let values = records.iter().filter_map(|(_, value)| *value);
                    if code.is_none() {
                        known.extend((offset..).zip(values));
                    }
                }
            }
        }
        world.sleep(world.below(300)).await;
    }
    check_deleted(&mut client, &known, (deleted, asked)).await;
}

async fn delete(client: &mut Client, known: &BTreeMap<i64, u64>, (deleted, asked): (&mut i64, &mut i64)) {
    let end = known.last_key_value().map_or(0, |(offset, _)| offset + 1);
    let back = client.world.below(20) as i64;
    let offset = if client.world.once_in(2) {
        end
    } else {
        (end - back).max(0)
    };
    *asked = offset.max(*asked);
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: DELETED.into(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset,
            }],
        }],
        timeout_ms: 1_000,
    };
    let Ok(response) = client.call(2, request).await else {
        return;
    };
    let result = &response.topics[0].partitions[0];
    match result.error_code {
        ErrorCode::NONE if result.low_watermark < offset => {
            let text = format!(
                "what is below {offset} was deleted, the log starts at {}",
                result.low_watermark
            );
            client.world.violation("undeleted", text);
        }
        ErrorCode::NONE => *deleted = offset.max(*deleted),
        ErrorCode::KAFKA_STORAGE_ERROR => {}
        code => {
            let text = format!("deleting up to {offset} of {end} gets {code}");
            client.world.violation("unexpected-error", text);
        }
    }
}

async fn check_deleted(client: &mut Client, known: &BTreeMap<i64, u64>, (deleted, asked): (i64, i64)) {
    // Wherever the log starts, up to there everything may be gone.
    let mut from = deleted;
    let mut found = read(client, DELETED, from, false).await;
    if found.is_none() {
        from = asked;
        found = read(client, DELETED, from, false).await;
    }
    let Some((found, start)) = found else {
        let text = format!("the log can be read neither from {deleted} nor from {asked}");
        return client.world.violation("lost-write", text);
    };
    if start > asked || start < deleted {
        let text = format!("the log starts at {start}, {deleted} to {asked} was asked for");
        client.world.violation("lost-write", text);
    }
    let found: BTreeMap<i64, Option<Bytes>> = found.into_iter().map(|(at, _, value)| (at, value)).collect();
    for (offset, value) in known.range(start.max(from)..) {
        let expected = value.to_string();
        if found.get(offset).and_then(Option::as_deref) != Some(expected.as_bytes()) {
            let text = format!(
                "{value} was acknowledged at {offset}, {:?} is there",
                found.get(offset)
            );
            return client.world.violation("lost-write", text);
        }
    }
    let values: BTreeSet<&Option<Bytes>> = found.values().collect();
    let is_gapless = found
        .keys()
        .zip(found.keys().skip(1))
        .all(|(one, next)| one + 1 == *next);
    if values.len() < found.len() || !is_gapless {
        let text = format!("{DELETED} has {:?}", found.keys().collect::<Vec<_>>());
        client.world.violation("inconsistent-offsets", text);
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
    Unknown,
}

/// What a transaction writes to a key; no value is a tombstone.
type Writes = Vec<(u64, Option<u64>)>;

struct Compacting {
    world: Handle,
    client: Client,
    producer_id: i64,
    epoch: i16,
    next: u64,
    history: Vec<(Writes, Fate)>,
}

/// Writes to a compacted topic in transactions, of which some abort, and looks what is left of it.
pub async fn compacting(world: Handle) {
    let mut client = Client::new(&world);
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "500"),
    ];
    create(&mut client, COMPACTED, &configs).await;
    let mut each = Compacting {
        client,
        producer_id: -1,
        epoch: -1,
        next: 0,
        history: Vec::new(),
        world: world.clone(),
    };
    each.init().await;
    while !world.is_ending() {
        each.transaction().await;
        if world.once_in(6) {
            each.check().await;
        }
        world.sleep(world.below(300)).await;
    }
    each.check().await;
}

impl Compacting {
    /// Another epoch; what was open is aborted.
    async fn init(&mut self) {
        let request = InitProducerIdRequest {
            transactional_id: Some(COMPACTED.into()),
            transaction_timeout_ms: TRANSACTION_TIMEOUT_MS,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        loop {
            let response = self.client.insist(5, request.clone()).await;
            if response.error_code.is_none() {
                (self.producer_id, self.epoch) = (response.producer_id, response.producer_epoch);
                return;
            }
            self.world.sleep(100).await;
        }
    }

    async fn transaction(&mut self) {
        let mut writes = Writes::new();
        let mut sequence = 0;
        let fate = loop {
            let count = 1 + self.world.below(3);
            let records: Writes = (0..count).map(|_| self.write()).collect();
            writes.extend(&records);
            if !self.send(&records, sequence).await {
                break Fate::Aborted; // the next epoch aborts it
            }
            sequence += count as i32;
            if self.world.once_in(2) {
                let committed = !self.world.once_in(3);
                break match (self.end(committed).await, committed) {
                    (true, true) => Fate::Committed,
                    (false, true) => Fate::Unknown,
                    (_, false) => Fate::Aborted,
                };
            }
        };
        self.history.push((writes, fate));
        if fate != Fate::Committed {
            self.init().await;
        }
    }

    fn write(&mut self) -> (u64, Option<u64>) {
        self.next += 1;
        let value = Some(self.next).filter(|_| !self.world.once_in(8));
        (self.world.below(KEYS), value)
    }

    /// Sends a batch until it gets a response; `false` if the transaction cannot continue.
    async fn send(&mut self, records: &Writes, base_sequence: i32) -> bool {
        let producer = BatchProducer {
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            base_sequence,
            transactional: true,
        };
        let request = request(COMPACTED, Some(COMPACTED), batch(&self.world, producer, records));
        loop {
            match self.client.call(PRODUCE_VERSION, request.clone()).await {
                Ok(response) => match produced(&response).0 {
                    ErrorCode::NONE => return true,
                    ErrorCode::KAFKA_STORAGE_ERROR => self.world.sleep(50).await,
                    _ => return false,
                },
                Err(_) => self.world.sleep(20).await,
            }
        }
    }

    /// Ends the transaction; `false` if it is not known how.
    async fn end(&mut self, committed: bool) -> bool {
        let request = EndTxnRequest {
            transactional_id: COMPACTED.into(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
        };
        loop {
            let response = self.client.insist(5, request.clone()).await;
            match response.error_code {
                ErrorCode::NONE => {
                    (self.producer_id, self.epoch) = (response.producer_id, response.producer_epoch);
                    return true;
                }
                ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::CONCURRENT_TRANSACTIONS => {
                    self.world.sleep(50).await
                }
                _ => return false,
            }
        }
    }

    /// Of each key the last committed value must be there, and nothing that was aborted. Who reads for longer than tombstones
    /// are kept may find a value and no longer what buried it; it is not there when the log is read once more.
    async fn check(&mut self) {
        for last_try in [false, false, false, true] {
            let Some((found, _)) = read(&mut self.client, COMPACTED, 0, true).await else {
                let text = format!("{COMPACTED} does not begin at 0");
                return self.world.violation("lost-write", text);
            };
            if let Some(value) = self.aborted_value(&found) {
                let text = format!("{value} of {COMPACTED} is shown");
                return self.world.violation("aborted-read", text);
            }
            match (0..KEYS).find_map(|key| self.wrong_value(key, &found)) {
                None => return,
                Some(text) if last_try => return self.world.violation("lost-write", text),
                Some(_) => {}
            }
        }
    }

    fn aborted_value(&self, found: &[Found]) -> Option<String> {
        let aborted = self.history.iter().filter(|(_, fate)| *fate == Fate::Aborted);
        let aborted: BTreeSet<String> = aborted
            .flat_map(|(writes, _)| writes)
            .filter_map(|(_, value)| Some(value.as_ref()?.to_string()))
            .collect();
        let mut values = found.iter().filter_map(|(_, _, value)| text_of(value));
        values.find(|value| aborted.contains(value))
    }

    /// What is wrong with the last value of a key. A tombstone may be there still or be gone.
    fn wrong_value(&self, key: u64, found: &[Found]) -> Option<String> {
        let name = format!("k{key}");
        let last = found.iter().rfind(|each| each.1 == name.as_bytes());
        let value = last.and_then(|(_, _, value)| text_of(value));
        let allowed = self.allowed(key);
        (!allowed.contains(&value)).then(|| format!("'{name}' has {value:?}, one of {allowed:?} is expected"))
    }

    /// What may be the value of a key: that of the last commit, or of a later transaction whose outcome is unknown.
    fn allowed(&self, key: u64) -> BTreeSet<Option<String>> {
        let mut allowed = BTreeSet::new();
        for (writes, fate) in self
            .history
            .iter()
            .rev()
            .filter(|(_, fate)| *fate != Fate::Aborted)
        {
            let Some((_, value)) = writes.iter().rfind(|(each, _)| *each == key) else {
                continue;
            };
            allowed.insert(value.map(|value| value.to_string()));
            if *fate == Fate::Committed {
                return allowed;
            }
        }
        allowed.insert(None);
        allowed
    }
}

fn text_of(value: &Option<Bytes>) -> Option<String> {
    let value = value.as_ref()?;
    Some(String::from_utf8_lossy(value).into_owned())
}
