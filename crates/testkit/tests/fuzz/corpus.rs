//! Valid inputs for each target: the driver begins where a parser has something to read.

use crate::targets::segment_directory;
use bytes::Bytes;
use millstream_broker::{Broker, BrokerConfig, Endpoint, Progress, RequestContext};
use millstream_kafka_wire::compression::{Codec, Compressor};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::{BatchBuilder, BatchProducer, Header};
use millstream_kafka_wire::{ApiKey, Request, RequestHeader, Response, Writer};
use millstream_testkit::storage::MemStorage;
use millstream_types::SeededRng;
use millstream_types::storage::Storage;
use std::ops::Range;
use std::sync::Arc;

/// Valid inputs for a target.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    match target {
        "headers" => frame_headers(),
        "batches_none" => vec![batch(Codec::None, 3), batch(Codec::None, 40)],
        "batches_gzip" => vec![batch(Codec::Gzip, 3), batch(Codec::Gzip, 40)],
        "batches_snappy" => vec![batch(Codec::Snappy, 3), batch(Codec::Snappy, 40)],
        "batches_lz4" => vec![batch(Codec::Lz4, 3), batch(Codec::Lz4, 40)],
        "batches_zstd" => vec![batch(Codec::Zstd, 3), batch(Codec::Zstd, 40)],
        "wal_files" => flagged(&wal_file()),
        "manifest" => manifests(),
        "index_files" => index_files(),
        "broker" => broker_requests(),
        _ => messages(target),
    }
}

/// A batch of some records.
pub fn batch(codec: Codec, count: usize) -> Vec<u8> {
    let producer = BatchProducer {
        producer_id: 1,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: false,
    };
    let mut builder = BatchBuilder::new(codec).with_producer(producer);
    for index in 0..count {
        let value = format!("value {index} {}", "x".repeat(index * 3));
        let header = Header {
            key: "trace",
            value: Some(b"1"),
        };
        builder.append(
            1_000 + index as i64,
            Some(b"key"),
            Some(value.as_bytes()),
            &[header],
        );
    }
    builder.build(&mut Compressor::default()).expect("a small batch")
}

fn frame_headers() -> Vec<Vec<u8>> {
    let header = |key: &ApiKey| {
        let mut writer = Writer::new();
        let header = RequestHeader {
            api_key: *key as i16,
            api_version: key.versions().1,
            correlation_id: 7,
            client_id: Some("client".into()),
        };
        header.encode(&mut writer).expect("a small header");
        writer.into_bytes().to_vec()
    };
    ApiKey::ALL.iter().map(header).collect()
}

fn flagged(file: &[u8]) -> Vec<Vec<u8>> {
    [0, 1].map(|flags| [&[flags], file].concat()).to_vec()
}

/// The manifest as it is, and one of the first version.
fn manifests() -> Vec<Vec<u8>> {
    let newest = segment_directory().read("checkpoint").expect("it is there");
    let mut older = newest.clone();
    older.drain(INDEX_SUMS);
    let mut manifests = flagged(&newest);
    manifests.push([&[3], &older[..]].concat());
    manifests
}

/// What the first version of the manifest did not have.
const INDEX_SUMS: Range<usize> = 125..137;

fn index_files() -> Vec<Vec<u8>> {
    let storage = segment_directory();
    let file = |choice: u8| {
        let suffix = ["index", "timeindex", "log"][usize::from(choice) % 3];
        let path = format!("logs/0000000000/00000000000000000000-0.{suffix}");
        [&[choice][..], &storage.read(&path).expect("it is there")].concat()
    };
    (0..9).map(file).collect()
}

/// The write-ahead log of a broker that was asked for some things.
fn wal_file() -> Vec<u8> {
    let storage = MemStorage::new();
    let config = BrokerConfig::new([]);
    let opened = Broker::open(
        config,
        Arc::new(storage.clone()),
        Arc::new(SeededRng::new(1)),
        1_000,
    );
    let mut broker = opened.expect("an empty directory opens");
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: 9092,
    };
    let context = RequestContext::internal("corpus", endpoint);
    for (version, request) in requests() {
        let key = request.api_key();
        if matches!(
            broker.handle(1_000, &context, version, request),
            Progress::Pending(_)
        ) && let Some(job) = broker.take_commit(1_000)
        {
            broker
                .on_commit(job.run())
                .unwrap_or_else(|error| panic!("{key:?}: {error}"));
        }
    }
    let files = storage.files();
    let path = files.iter().find(|(path, _)| path.ends_with(".wal"));
    storage
        .read(&path.expect("something was written").0)
        .expect("it is there")
}

/// Requests that do something, in the order in which a client sends them.
fn requests() -> Vec<(i16, Request)> {
    let topic = create_topics::CreatableTopic {
        name: "t".into(),
        num_partitions: 2,
        replication_factor: 1,
        ..Default::default()
    };
    let partition_data = vec![produce::PartitionProduceData {
        index: 0,
        records: Some(Bytes::from(batch(Codec::Lz4, 4))),
    }];
    let produce = ProduceRequest {
        acks: -1,
        topic_data: vec![produce::TopicProduceData {
            name: "t".into(),
            partition_data,
            ..Default::default()
        }],
        ..Default::default()
    };
    let fetch = FetchRequest {
        max_bytes: 1 << 20,
        topics: vec![fetch::FetchTopic {
            topic: "t".into(),
            partitions: vec![fetch::FetchPartition {
                current_leader_epoch: -1,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let create = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    let first = [
        (7, Request::from(create)),
        (9, produce.into()),
        (12, fetch.into()),
    ];
    first
        .into_iter()
        .chain(group_requests())
        .chain(transaction_requests())
        .collect()
}

fn group_requests() -> Vec<(i16, Request)> {
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![join_group::JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"\0\x01"),
        }],
        ..Default::default()
    };
    let beat = ConsumerGroupHeartbeatRequest {
        group_id: "new".into(),
        member_id: "m".into(),
        rebalance_timeout_ms: 1_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let commit = OffsetCommitRequest {
        group_id: "simple".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![offset_commit::OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![offset_commit::OffsetCommitRequestPartition {
                committed_offset: 3,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    vec![(3, join.into()), (1, beat.into()), (8, commit.into())]
}

fn transaction_requests() -> Vec<(i16, Request)> {
    let init = InitProducerIdRequest {
        transactional_id: Some("tx".into()),
        transaction_timeout_ms: 10_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let add = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: "tx".into(),
        v3_and_below_topics: vec![add_partitions_to_txn::AddPartitionsToTxnTopic {
            name: "t".into(),
            partitions: vec![0, 1],
        }],
        ..Default::default()
    };
    let end = EndTxnRequest {
        transactional_id: "tx".into(),
        committed: true,
        ..Default::default()
    };
    vec![(5, init.into()), (3, add.into()), (5, end.into())]
}

fn chosen(keys: &[ApiKey], key: ApiKey, version: i16, is_response: bool, body: &[u8]) -> Option<Vec<u8>> {
    let index = keys.iter().position(|each| *each == key)? as u8;
    let version = (version - key.versions().0) as u8;
    Some([&[index << 1 | u8::from(is_response), version], body].concat())
}

fn body(request: &Request, version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    request
        .encode(&mut writer, version)
        .expect("the version has these fields");
    writer.into_bytes().to_vec()
}

fn broker_requests() -> Vec<Vec<u8>> {
    let input = |(version, request): (i16, Request)| {
        let key = request.api_key();
        let index = ApiKey::ALL.iter().position(|each| *each == key).unwrap_or(0) as u8;
        [
            &[index, (version - key.versions().0) as u8],
            &body(&request, version)[..],
        ]
        .concat()
    };
    requests().into_iter().map(input).collect()
}

/// Requests and empty responses of the APIs of a target.
fn messages(target: &str) -> Vec<Vec<u8>> {
    let keys: &[ApiKey] = match target {
        "produce" => &[ApiKey::Produce],
        "fetch" => &[ApiKey::Fetch, ApiKey::ListOffsets],
        "metadata" => &[
            ApiKey::Metadata,
            ApiKey::ApiVersions,
            ApiKey::SaslHandshake,
            ApiKey::SaslAuthenticate,
        ],
        "groups" => &[
            ApiKey::JoinGroup,
            ApiKey::SyncGroup,
            ApiKey::Heartbeat,
            ApiKey::LeaveGroup,
            ApiKey::OffsetCommit,
            ApiKey::OffsetFetch,
            ApiKey::ConsumerGroupHeartbeat,
            ApiKey::FindCoordinator,
        ],
        "transactions" => &[
            ApiKey::InitProducerId,
            ApiKey::AddPartitionsToTxn,
            ApiKey::AddOffsetsToTxn,
            ApiKey::TxnOffsetCommit,
            ApiKey::EndTxn,
            ApiKey::WriteTxnMarkers,
        ],
        _ => ApiKey::ALL,
    };
    let requests = requests().into_iter().filter_map(|(version, request)| {
        chosen(keys, request.api_key(), version, false, &body(&request, version))
    });
    let response = |version: i16, response: Response| {
        let mut writer = Writer::new();
        response
            .encode(&mut writer, version)
            .expect("the version has these fields");
        chosen(keys, response.api_key(), version, true, &writer.into_bytes())
    };
    let responses = [
        response(12, fetched().into()),
        response(9, ProduceResponse::default().into()),
        response(12, MetadataResponse::default().into()),
    ];
    let metadata = MetadataRequest {
        topics: Some(vec![metadata::MetadataRequestTopic {
            name: Some("t".into()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let metadata = chosen(keys, ApiKey::Metadata, 12, false, &body(&metadata.into(), 12));
    let some = vec![0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    requests
        .chain(responses.into_iter().flatten())
        .chain(metadata)
        .chain([some])
        .collect()
}

fn fetched() -> FetchResponse {
    FetchResponse {
        responses: vec![fetch::FetchableTopicResponse {
            topic: "t".into(),
            partitions: vec![fetch::PartitionData {
                aborted_transactions: Some(vec![fetch::AbortedTransaction::default()]),
                records: Some(Bytes::from(batch(Codec::Zstd, 2))),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
