//! Producers without transactions: plain ones, which send once, one request after the other or several at a time, and
//! idempotent ones, which repeat until they know.

use crate::history::{Order, PARTITIONS, RecordId};
use crate::reader::TOPIC;
use crate::world::{Call, Client, Handle};
use bytes::Bytes;
use millstream_kafka_wire::compression::{Codec, Compressor};
use millstream_kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
use millstream_kafka_wire::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse, Response};
use millstream_kafka_wire::record_batch::{BatchBuilder, BatchProducer};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_testkit::network::ConnectionId;
use std::collections::VecDeque;

/// Batches that an idempotent producer may have under way, as in Kafka.
const IN_FLIGHT_MAX: usize = 5;
/// Requests sent on a connection before another one is opened.
const STREAM_REQUESTS: usize = 200;

/// A batch of records, each with its number as value and some bytes behind it.
pub fn batch(world: &Handle, producer: BatchProducer, ids: &[RecordId]) -> Bytes {
    let codec = Codec::ALL[world.below(5) as usize];
    let mut builder = BatchBuilder::new(codec).with_producer(producer);
    let now_ms = world.now_ms();
    for id in ids {
        let filler = "x".repeat(world.below(120) as usize);
        builder.append(
            now_ms,
            Some(b"key"),
            Some(format!("{id}:{filler}").as_bytes()),
            &[],
        );
    }
    let built = builder.build(&mut Compressor::default());
    built.expect("records here are small").into()
}

/// A produce request of one batch.
pub fn produce_request(version: i16, topic_id: Uuid, partition: usize, records: Bytes) -> ProduceRequest {
    let (name, topic_id) = if version >= 13 {
        (KafkaString::EMPTY, topic_id)
    } else {
        (KafkaString::from_static(TOPIC), Uuid::ZERO)
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 1_000,
        topic_data: vec![TopicProduceData {
            name,
            topic_id,
            partition_data: vec![PartitionProduceData {
                index: partition as i32,
                records: Some(records),
            }],
        }],
        ..Default::default()
    }
}

/// Code and base offset of the response for the only partition.
pub fn produced(response: &ProduceResponse) -> (ErrorCode, i64) {
    let result = &response.responses[0].partition_responses[0];
    (result.error_code, result.base_offset)
}

/// Makes records for a partition.
pub fn write(world: &Handle, writer: usize, partition: usize, transaction: Option<usize>) -> Vec<RecordId> {
    let count = 1 + world.below(4);
    world.history(|history| {
        (0..count)
            .map(|_| history.write(writer, partition, transaction))
            .collect()
    })
}

pub fn acknowledge(world: &Handle, ids: &[RecordId], base_offset: i64) {
    world.history(|history| {
        for (offset, id) in (base_offset..).zip(ids) {
            history.acknowledge(*id, offset);
        }
    });
}

/// Sends every batch once and takes what comes; now and then it does not even wait.
pub async fn plain(world: Handle, topic_id: Uuid) {
    let writer = world.history(|history| history.writer(Order::Any));
    let mut client = Client::new(&world);
    while !world.is_ending() {
        let partition = world.below(PARTITIONS as u64) as usize;
        let ids = write(&world, writer, partition, None);
        let version = 3 + world.below(11) as i16;
        let version = if version < 7 { 9 } else { version }; // zstd is known since 7
        let records = batch(&world, BatchProducer::NONE, &ids);
        let mut request = produce_request(version, topic_id, partition, records);
        if world.once_in(8) {
            request.acks = 0; // no response will come
            let connection = client.connection().await;
            drop(world.send(connection, version, i64::MAX / 4, request));
            client.forget_connection();
        } else if let Ok(response) = client.call(version, request).await {
            match produced(&response) {
                (ErrorCode::NONE, offset) => acknowledge(&world, &ids, offset),
                (ErrorCode::KAFKA_STORAGE_ERROR, _) => {}
                (code, _) => world.violation("unexpected-error", format!("a plain producer gets {code}")),
            }
        }
        world.sleep(world.below(400)).await;
    }
}

/// Has several requests under way on a connection, and repeats nothing.
pub async fn pipelined(world: Handle, topic_id: Uuid) {
    let writer = world.history(|history| history.writer(Order::Any));
    let mut client = Client::new(&world);
    while !world.is_ending() {
        let connection = client.connection().await;
        stream(&world, connection, client.timeout_ms, topic_id, writer).await;
        client.forget_connection();
        world.sleep(world.below(400)).await;
    }
}

/// What is acknowledged on one connection stands in the order in which it was sent there.
async fn stream(world: &Handle, connection: ConnectionId, timeout_ms: i64, topic_id: Uuid, writer: usize) {
    const VERSION: i16 = 12;
    let mut queue: VecDeque<(usize, Vec<RecordId>, Call)> = VecDeque::new();
    let mut acknowledged = [-1; PARTITIONS];
    for _ in 0..STREAM_REQUESTS {
        while queue.len() < IN_FLIGHT_MAX && world.is_connected(connection) && !world.is_ending() {
            let partition = world.below(2) as usize;
            let ids = write(world, writer, partition, None);
            let records = batch(world, BatchProducer::NONE, &ids);
            let request = produce_request(VERSION, topic_id, partition, records);
            let call = world.send(connection, VERSION, timeout_ms, request);
            queue.push_back((partition, ids, call));
            world.sleep(world.below(8)).await;
        }
        let Some((partition, ids, call)) = queue.pop_front() else {
            return;
        };
        let Ok(Response::Produce(response)) = call.await else {
            return;
        };
        let (code, offset) = produced(&response);
        match code {
            ErrorCode::NONE => acknowledge(world, &ids, offset),
            ErrorCode::KAFKA_STORAGE_ERROR => continue,
            code => {
                let text = format!("a pipelined producer gets {code}");
                return world.violation("unexpected-error", text);
            }
        }
        let before = std::mem::replace(&mut acknowledged[partition], offset);
        if offset <= before {
            let text =
                format!("records of {partition} got offset {offset} after those sent before got {before}");
            world.violation("reordered", text);
        }
    }
}

struct Batch {
    partition: usize,
    ids: Vec<RecordId>,
    records: Bytes,
    /// None: to be sent (again).
    sent: Option<Call>,
}

/// Has several batches under way and repeats, in order, what got no response.
pub async fn idempotent(world: Handle, topic_id: Uuid) {
    let writer = world.history(|history| history.writer(Order::Gapless));
    let mut client = Client::new(&world);
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let (producer_id, producer_epoch) = loop {
        let response = client.insist(world.below(6) as i16, request.clone()).await;
        match response.error_code {
            ErrorCode::NONE => break (response.producer_id, response.producer_epoch),
            ErrorCode::KAFKA_STORAGE_ERROR => world.sleep(100).await,
            code => return world.violation("unexpected-error", format!("InitProducerId gets {code}")),
        }
    };
    let mut sequences = [0; PARTITIONS];
    let mut queue: VecDeque<Batch> = VecDeque::new();
    while !world.is_ending() || !queue.is_empty() {
        let wanted = if world.is_ending() {
            0
        } else {
            1 + world.below(IN_FLIGHT_MAX as u64) as usize
        };
        while queue.len() < wanted {
            let partition = world.below(PARTITIONS as u64) as usize;
            let ids = write(&world, writer, partition, None);
            let by = BatchProducer {
                producer_id,
                producer_epoch,
                base_sequence: sequences[partition],
                transactional: false,
            };
            sequences[partition] += ids.len() as i32;
            let records = batch(&world, by, &ids);
            queue.push_back(Batch {
                partition,
                ids,
                records,
                sent: None,
            });
        }
        drive(&world, &mut client, topic_id, &mut queue).await;
        world.sleep(world.below(400)).await;
    }
}

/// Sends what is to be sent and waits for all of it. What failed is to be sent again, with all that came after it.
async fn drive(world: &Handle, client: &mut Client, topic_id: Uuid, queue: &mut VecDeque<Batch>) {
    const VERSION: i16 = 13;
    let connection = client.connection().await;
    for batch in queue.iter_mut().filter(|batch| batch.sent.is_none()) {
        let request = produce_request(VERSION, topic_id, batch.partition, batch.records.clone());
        batch.sent = Some(world.send(connection, VERSION, client.timeout_ms, request));
    }
    let mut left = VecDeque::new();
    let mut failed = [false; PARTITIONS];
    for mut batch in queue.drain(..) {
        let Some(call) = batch.sent.take() else { continue };
        let code = match call.await {
            Ok(Response::Produce(response)) => {
                let (code, offset) = produced(&response);
                if code.is_none() {
                    acknowledge(world, &batch.ids, offset);
                    continue;
                }
                Some(code)
            }
            _ => None,
        };
        // Behind one that failed, a gap in the sequences is the expected response.
        let is_follower = failed[batch.partition] && code == Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        let is_expected = matches!(code, None | Some(ErrorCode::KAFKA_STORAGE_ERROR)) || is_follower;
        if let Some(code) = code.filter(|_| !is_expected) {
            world.violation("unexpected-error", format!("an idempotent producer gets {code}"));
        }
        failed[batch.partition] = true;
        left.push_back(batch);
    }
    *queue = left;
    if failed.contains(&true) {
        world.sleep(20 + world.below(200)).await;
    }
}
