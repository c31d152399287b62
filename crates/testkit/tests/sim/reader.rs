//! Readers: they fetch every partition from its beginning and hold every response against what must be.

use crate::history::{PARTITIONS, RecordId};
use crate::world::{Client, Handle};
use bytes::Bytes;
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::messages::fetch::{AbortedTransaction, FetchPartition, FetchTopic, PartitionData};
use millstream_kafka_wire::messages::{FetchRequest, FetchResponse};
use millstream_kafka_wire::record_batch::{ControlRecord, Marker, RecordBatch, batches};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the topic that everything happens in.
pub const TOPIC: &str = "events";
const INFLATED_BYTES_MAX: usize = 1 << 20;
/// A reader at the end of a run that needs more fetches than this is held up by something.
const ROUNDS_MAX: u32 = 1_000;

/// A reader of all partitions, of either isolation.
pub struct Reader {
    pub client: Client,
    pub is_committed: bool,
    topic_id: Uuid,
    pub positions: [i64; PARTITIONS],
    /// Where transactions that are not decided begin, by producer; known to readers of everything.
    open: [BTreeMap<i64, i64>; PARTITIONS],
    /// What the application gets to see.
    pub shown: Vec<Vec<(i64, RecordId)>>,
    /// The high watermarks of the last response.
    pub ends: [i64; PARTITIONS],
}

impl Reader {
    pub fn new(world: &Handle, topic_id: Uuid, is_committed: bool) -> Reader {
        Reader {
            client: Client::new(world),
            is_committed,
            topic_id,
            positions: [0; PARTITIONS],
            open: Default::default(),
            shown: vec![Vec::new(); PARTITIONS],
            ends: [-1; PARTITIONS],
        }
    }

    fn request(&self, version: i16) -> FetchRequest {
        let world = &self.client.world;
        let partition_max_bytes = [200, 2_000, 1 << 20][world.below(3) as usize];
        let partitions = (0..PARTITIONS).map(|partition| FetchPartition {
            partition: partition as i32,
            current_leader_epoch: -1,
            fetch_offset: self.positions[partition],
            partition_max_bytes,
            ..Default::default()
        });
        let (topic, topic_id) = if version >= 13 {
            (KafkaString::EMPTY, self.topic_id)
        } else {
            (KafkaString::from_static(TOPIC), Uuid::ZERO)
        };
        FetchRequest {
            max_wait_ms: world.below(500) as i32,
            min_bytes: 1,
            max_bytes: 1 << 20,
            isolation_level: i8::from(self.is_committed),
            topics: vec![FetchTopic {
                topic,
                topic_id,
                partitions: partitions.collect(),
            }],
            ..Default::default()
        }
    }

    /// Fetches once; false if there was no response.
    pub async fn poll(&mut self) -> bool {
        let version = 11 + self.client.world.below(8) as i16;
        let request = self.request(version);
        let Ok(response) = self.client.call(version, request).await else {
            return false;
        };
        self.take_in(response);
        true
    }

    fn take_in(&mut self, response: FetchResponse) {
        for data in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            if let Err((kind, text)) = self.take_partition(&data) {
                let name = if self.is_committed {
                    "read_committed"
                } else {
                    "read_uncommitted"
                };
                let partition = data.partition_index;
                self.client
                    .world
                    .violation(kind, format!("{name} reader of partition {partition}: {text}"));
                return;
            }
        }
    }

    fn take_partition(&mut self, data: &PartitionData) -> Result<(), (&'static str, String)> {
        let partition = data.partition_index as usize;
        match data.error_code {
            ErrorCode::NONE => {}
            ErrorCode::KAFKA_STORAGE_ERROR => return Ok(()), // the disk has trouble
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                return Err((
                    "lost-write",
                    format!("offset {} is out of range", self.positions[partition]),
                ));
            }
            code => return Err(("unexpected-error", format!("{code}"))),
        }
        let is_listed = data.aborted_transactions.is_some();
        if is_listed != self.is_committed {
            return Err(("protocol", format!("a list of aborted transactions: {is_listed}")));
        }
        let mut hidden = Hidden::new(data.aborted_transactions.clone().unwrap_or_default());
        let limit = if self.is_committed {
            data.last_stable_offset
        } else {
            data.high_watermark
        };
        for batch in batches(data.records.clone().unwrap_or_default()) {
            let batch = batch.map_err(|error| ("corrupt", error.to_string()))?;
            self.take_batch(partition, &batch, limit, &mut hidden)?;
        }
        self.ends[partition] = data.high_watermark;
        if !self.is_committed && self.positions[partition] == data.high_watermark {
            let first_open = self.open[partition].values().min().copied();
            let expected = first_open.unwrap_or(data.high_watermark);
            if data.last_stable_offset != expected {
                let text = format!(
                    "the last stable offset is {}, not {expected}",
                    data.last_stable_offset
                );
                return Err(("stable-offset", text));
            }
        }
        Ok(())
    }

    fn take_batch(
        &mut self,
        partition: usize,
        batch: &RecordBatch,
        limit: i64,
        hidden: &mut Hidden,
    ) -> Result<(), (&'static str, String)> {
        let header = &batch.header;
        let position = self.positions[partition];
        let last = header.base_offset + i64::from(header.last_offset_delta);
        if header.base_offset >= limit {
            return Err((
                "stable-offset",
                format!("offset {} is given beyond {limit}", header.base_offset),
            ));
        }
        if last < position {
            return Err((
                "nonmonotonic-poll",
                format!("{last} is given where {position} is next"),
            ));
        }
        if header.base_offset > position {
            return Err((
                "poll-skip",
                format!("{} is given where {position} is next", header.base_offset),
            ));
        }
        batch
            .verify_checksum()
            .map_err(|error| ("corrupt", error.to_string()))?;
        let is_shown = hidden.shows(batch);
        if header.attributes.is_control() {
            self.open[partition].remove(&header.producer_id);
        } else {
            if header.attributes.is_transactional() {
                self.open[partition]
                    .entry(header.producer_id)
                    .or_insert(header.base_offset);
            }
            for (offset, id) in records(batch).map_err(|text| ("corrupt", text))? {
                let shows = is_shown && offset >= position;
                let is_committed = self.is_committed;
                self.client
                    .world
                    .history(|history| history.saw(partition, offset, id, is_committed && shows));
                if shows {
                    self.shown[partition].push((offset, id));
                }
            }
        }
        self.positions[partition] = last + 1;
        Ok(())
    }

    pub fn is_at_end(&self) -> bool {
        self.positions == self.ends
    }
}

/// What clients hide of the response to a read-committed fetch, by Kafka's rule.
pub struct Hidden {
    aborted: Vec<AbortedTransaction>,
    active: BTreeSet<i64>,
}

impl Hidden {
    pub fn new(mut aborted: Vec<AbortedTransaction>) -> Hidden {
        aborted.sort_by_key(|each| std::cmp::Reverse(each.first_offset));
        Hidden {
            aborted,
            active: BTreeSet::new(),
        }
    }

    pub fn shows(&mut self, batch: &RecordBatch) -> bool {
        let header = &batch.header;
        let last = header.base_offset + i64::from(header.last_offset_delta);
        while let Some(each) = self.aborted.pop_if(|each| each.first_offset <= last) {
            self.active.insert(each.producer_id);
        }
        if header.attributes.is_control() {
            let marker = ControlRecord::read(header, &batch.payload());
            if let Ok(ControlRecord::EndTransaction(end)) = marker
                && end.marker == Marker::Abort
            {
                self.active.remove(&header.producer_id);
            }
            return false;
        }
        !(header.attributes.is_transactional() && self.active.contains(&header.producer_id))
    }
}

/// The numbers of the records of a batch, with their offsets.
fn records(batch: &RecordBatch) -> Result<Vec<(i64, RecordId)>, String> {
    let data: Bytes = batch
        .records_data(&mut Decompressor::new(), INFLATED_BYTES_MAX)
        .map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for record in batch.records(&data) {
        let record = record.map_err(|error| error.to_string())?;
        let value = record.value.unwrap_or_default();
        let text = value.split(|byte| *byte == b':').next().unwrap_or_default();
        let id = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        found.push((record.offset, id.ok_or_else(|| format!("a value of {value:?}"))?));
    }
    Ok(found)
}

/// A reader that continues as long as there is anything to read.
pub async fn follow(world: Handle, topic_id: Uuid, is_committed: bool) -> Reader {
    let mut reader = Reader::new(&world, topic_id, is_committed);
    while !world.is_ending() {
        reader.poll().await;
        if world.once_in(10) {
            world.sleep(world.below(2_000)).await;
        }
    }
    reader
}

/// A reader that reads everything there is, once all is over.
pub async fn read_all(world: &Handle, topic_id: Uuid, is_committed: bool) -> Reader {
    let mut reader = Reader::new(world, topic_id, is_committed);
    for round in 0.. {
        let before = reader.positions;
        if reader.poll().await && reader.is_at_end() {
            break;
        }
        if reader.positions == before {
            world.sleep(500).await; // a transaction is open: it will time out
        }
        if round == ROUNDS_MAX {
            let text = format!("a reader stays at {:?} of {:?}", reader.positions, reader.ends);
            world.violation("hanging-transaction", text);
            break;
        }
    }
    reader
}
