//! The codec against another one: what one writes, the other must read and write again, to the byte.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as PeerKey, RequestKind, ResponseKind};
use kafka_protocol::records::{
    Compression, Record as PeerRecord, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType as PeerTimestampType,
};
use millstream_kafka_wire::compression::{Codec, Decompressor};
use millstream_kafka_wire::record_batch::{RecordBatch, validate};
use proptest::prelude::*;

use super::messages::recode;
use super::record_batches::sample;
use super::spec::{Kind, Message};
use super::wire_values::{Choices, every_version, random_body};

/// Reads and writes a body with the peer; `None` if it does not know the version.
fn recode_by_peer(message: &Message, version: i16, body: &[u8]) -> Option<Vec<u8>> {
    let key = PeerKey::try_from(message.key).ok()?;
    let mut input = Bytes::copy_from_slice(body);
    let mut out = BytesMut::new();
    let result = match message.kind {
        Kind::Request => {
            RequestKind::decode(key, &mut input, version).and_then(|m| m.encode(&mut out, version))
        }
        Kind::Response => {
            ResponseKind::decode(key, &mut input, version).and_then(|m| m.encode(&mut out, version))
        }
        Kind::Data => return None,
    };
    match result.map_err(|error| format!("{error:#}")) {
        Ok(()) => {}
        Err(error) if error.contains("specified version not supported") => return None,
        Err(error) => panic!("peer, {} v{version}: {error}", message.name),
    }
    Some(out.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn both_codecs_write_the_same_bytes(seed: u64) {
        let mut choices = Choices(seed);
        let mut compared = 0;
        for (message, version) in every_version() {
            let body = random_body(message, version, &mut choices);
            let ours = recode(message, version, &body);
            if let Some(theirs) = recode_by_peer(message, version, &ours) {
                prop_assert_eq!(&theirs, &ours, "{} v{}", message.name, version);
                prop_assert_eq!(recode(message, version, &theirs), theirs, "{} v{}", message.name, version);
                compared += 1;
            }
        }
        prop_assert!(compared > 400, "only {} versions were compared", compared);
    }
}

fn peer_codecs() -> [(Codec, Compression); 4] {
    [
        (Codec::None, Compression::None),
        (Codec::Gzip, Compression::Gzip),
        (Codec::Snappy, Compression::Snappy),
        (Codec::Zstd, Compression::Zstd),
    ]
}

#[test]
fn the_peer_reads_our_batches() {
    for (codec, _) in peer_codecs() {
        let set = RecordBatchDecoder::decode(&mut Bytes::from(sample(codec, 100)));
        let set = set.unwrap_or_else(|e| panic!("{codec}: {e:#}"));
        assert_eq!(set.records.len(), 100);
        for (i, record) in set.records.iter().enumerate() {
            assert_eq!(record.offset, i as i64);
            assert_eq!(record.timestamp, 1_000_000 - 3 * i as i64);
            assert_eq!(record.headers.len(), i % 3);
        }
    }
}

#[test]
fn we_read_the_batches_of_the_peer() {
    let record = |i: i64| PeerRecord {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 2,
        producer_id: 77,
        producer_epoch: 3,
        timestamp_type: PeerTimestampType::Creation,
        offset: i,
        sequence: i as i32,
        timestamp: 5_000_000_000_000 + i * i,
        key: (i % 2 == 0).then(|| Bytes::from(i.to_string())),
        value: Some(Bytes::from(vec![b'v'; i as usize])),
        headers: Default::default(),
    };
    let records: Vec<PeerRecord> = (0..100).map(record).collect();
    for (codec, compression) in peer_codecs() {
        let mut out = BytesMut::new();
        let options = RecordEncodeOptions {
            version: 2,
            compression,
        };
        RecordBatchEncoder::encode(&mut out, &records, &options).expect("the peer writes");
        let batch = RecordBatch::read(&out.freeze()).expect("readable");
        let summary = validate(&batch, 1 << 20).unwrap_or_else(|e| panic!("{codec}: {e}"));
        assert_eq!(summary.max_timestamp, 5_000_000_000_000 + 99 * 99);
        assert_eq!(
            (
                batch.header.producer_id,
                batch.header.producer_epoch,
                batch.header.base_sequence
            ),
            (77, 3, 0)
        );
        assert_eq!(batch.header.attributes.codec().expect("known"), codec);
        let data = batch
            .records_data(&mut Decompressor::new(), 1 << 20)
            .expect("fits");
        for (i, ours) in batch.records(&data).enumerate() {
            let ours = ours.expect("well-formed");
            assert_eq!(
                (ours.offset, ours.timestamp),
                (records[i].offset, records[i].timestamp)
            );
            assert_eq!(ours.key, records[i].key.as_deref());
            assert_eq!(ours.value, records[i].value.as_deref());
        }
    }
}
