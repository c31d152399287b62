//! Small batches that inflate to a lot: the broker refuses them, and what it takes in memory is bounded by
//! `max.message.bytes`, whatever the codec and whatever it does with the batch.

use crate::allocated;
use bytes::Bytes;
use millstream_broker::{Broker, BrokerConfig, Endpoint, Progress, Reply, RequestContext};
use millstream_kafka_wire::compression::{Codec, Compressor};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::BatchBuilder;
use millstream_kafka_wire::{ErrorCode, Request, Response};
use millstream_testkit::storage::MemStorage;
use millstream_types::SeededRng;
use std::sync::Arc;

/// `max.message.bytes` of the topics here.
const MESSAGE_BYTES_MAX: usize = 100_000;
/// What a batch here inflates to.
const INFLATED_BYTES: usize = 64 << 20;
/// Inflated bytes for each that a message may have, as the broker's limit has it.
const FACTOR: usize = millstream_broker::limits::INFLATION_FACTOR;

struct Setup {
    broker: Broker,
    context: RequestContext,
}

impl Setup {
    fn new() -> Setup {
        let storage = Arc::new(MemStorage::new());
        let opened = Broker::open(BrokerConfig::new([]), storage, Arc::new(SeededRng::new(1)), 1_000);
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port: 9092,
        };
        Setup {
            broker: opened.expect("an empty directory opens"),
            context: RequestContext {
                is_internal: false,
                ..RequestContext::internal("bomb", endpoint)
            },
        }
    }

    fn call(&mut self, version: i16, request: impl Into<Request>) -> Response {
        let reply = match self.broker.handle(1_000, &self.context, version, request.into()) {
            Progress::Ready(reply) => reply,
            Progress::Pending(_) => {
                let job = self
                    .broker
                    .take_commit(1_000)
                    .expect("something waits for the disk");
                self.broker.on_commit(job.run()).expect("the disk is sound");
                self.broker.take_completed().remove(0).1
            }
        };
        match reply {
            Reply::Response(response) => *response,
            other => panic!("{other:?}"),
        }
    }

    fn create(&mut self, name: &str, configs: &[(&str, &str)]) {
        let config = |(name, value): &(&str, &str)| create_topics::CreatableTopicConfig {
            name: (*name).into(),
            value: Some((*value).into()),
        };
        let topic = create_topics::CreatableTopic {
            name: name.into(),
            num_partitions: 1,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        self.call(7, request);
    }

    /// Produces a batch; gives the code and the bytes that were allocated meanwhile.
    fn produce(&mut self, topic: &str, records: Bytes) -> (ErrorCode, usize) {
        let partition_data = vec![produce::PartitionProduceData {
            index: 0,
            records: Some(records),
        }];
        let request = ProduceRequest {
            acks: -1,
            topic_data: vec![produce::TopicProduceData {
                name: topic.into(),
                partition_data,
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut code = ErrorCode::NONE;
        let bytes = allocated(&mut || {
            if let Response::Produce(response) = self.call(9, request.clone()) {
                code = response.responses[0].partition_responses[0].error_code;
            }
        });
        (code, bytes)
    }
}

/// A batch of records of nothing but zeros.
fn bomb(codec: Codec, record_bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    let zeros = vec![0; record_bytes];
    for _ in 0..INFLATED_BYTES / record_bytes {
        builder.append(1_000, Some(b"key"), Some(&zeros), &[]);
    }
    Bytes::from(builder.build(&mut Compressor::default()).expect("zeros compress"))
}

/// Not a test of its own: memory is counted for the whole process.
pub fn a_bomb_takes_no_more_memory_than_the_limit_allows() {
    let limit = MESSAGE_BYTES_MAX * FACTOR;
    assert!(INFLATED_BYTES > limit, "the bombs here are bombs");
    let mut setup = Setup::new();
    let size = ("max.message.bytes", "100000");
    setup.create("plain", &[size]);
    setup.create("compacted", &[size, ("cleanup.policy", "compact")]);
    setup.create("recompressed", &[size, ("compression.type", "lz4")]);
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Snappy] {
        for record_bytes in [100, 10_000, 8 << 20, INFLATED_BYTES] {
            let records = bomb(codec, record_bytes);
            for topic in ["plain", "compacted", "recompressed"] {
                let (code, bytes) = setup.produce(topic, records.clone());
                let what =
                    format!("{codec:?}, records of {record_bytes}, topic {topic}: {code}, {bytes} bytes");
                assert_eq!(code, ErrorCode::MESSAGE_TOO_LARGE, "{what}");
                // A buffer that grows by doubling allocates twice what it holds at last.
                assert!(bytes <= 4 * limit, "{what}");
            }
        }
    }
}
