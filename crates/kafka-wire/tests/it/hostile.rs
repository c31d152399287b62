//! Bytes of bad intent: nothing panics, and nothing allocates more than its size justifies.

use bytes::Bytes;
use millstream_kafka_wire::messages::{ApiKey, MetadataRequest, Request, Response};
use millstream_kafka_wire::reader::MEMORY_PER_WIRE_BYTE;
use millstream_kafka_wire::record_batch::{RecordBatch, RecordColumns, batches, validate};
use millstream_kafka_wire::{DecodeError, Reader, RequestHeader};
use proptest::prelude::*;

use super::record_batches::sample;
use super::spec::Kind;
use super::wire_values::{Choices, every_version, random_body};
use millstream_kafka_wire::compression::{Codec, Decompressor};

const LIMIT: usize = 1 << 20;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        let _ = RequestHeader::decode(&mut Reader::new(bytes.clone()));
        for key in ApiKey::ALL {
            for version in key.versions().0..=key.versions().1 {
                let _ = Request::decode(*key, version, &mut Reader::new(bytes.clone()));
                let _ = Response::decode(*key, version, &mut Reader::new(bytes.clone()));
            }
        }
        for batch in batches(bytes) {
            let _ = batch.map(|batch| validate(&batch, LIMIT));
        }
    }

    #[test]
    fn damaged_messages_never_panic(seed: u64) {
        let mut choices = Choices(seed);
        for (message, version) in every_version() {
            let mut body = random_body(message, version, &mut choices);
            if body.is_empty() {
                continue;
            }
            let at = choices.below(body.len() as u64) as usize;
            body[at] = [0xff, 0x7f, 0x80, 0x00][choices.below(4) as usize];
            if choices.one_in(2) {
                body.truncate(choices.below(body.len() as u64 + 1) as usize);
            }
            let key = ApiKey::from_code(message.key).expect("every described API has a key");
            let mut r = Reader::new(Bytes::from(body));
            match message.kind {
                Kind::Request => drop(Request::decode(key, version, &mut r)),
                _ => drop(Response::decode(key, version, &mut r)),
            }
        }
    }

    #[test]
    fn damaged_batches_never_panic(seed: u64) {
        let mut choices = Choices(seed);
        let mut decompressor = Decompressor::new();
        for codec in Codec::ALL {
            let mut bytes = sample(codec, 50);
            let at = choices.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << choices.below(8);
            millstream_kafka_wire::record_batch::recompute_crc(&mut bytes);
            let Ok(batch) = RecordBatch::read(&Bytes::from(bytes)) else { continue };
            let _ = validate(&batch, LIMIT);
            if let Ok(data) = batch.records_data(&mut decompressor, LIMIT) {
                let _ = RecordColumns::new(true, true).append(&batch.header, &data, 0);
                for record in batch.records(&data).flatten() {
                    let _ = record.headers.iter().count();
                }
            }
        }
    }
}

#[test]
fn an_array_longer_than_its_message_is_refused_before_allocation() {
    let mut r = Reader::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 1, b'a']));
    assert_eq!(
        MetadataRequest::decode(&mut r, 1),
        Err(DecodeError::ArrayTooLong {
            count: 0x7fff_ffff,
            remaining: 3
        })
    );
}

#[test]
fn what_arrays_take_is_bounded_by_the_size_of_the_message() {
    // Each element takes one byte here and 32 in memory, which is more than a message of this size may claim.
    let mut bytes = vec![0xff, 0xff, 0x7f];
    bytes.resize(3 + 0x1f_fffe, 1);
    let mut r = Reader::new(Bytes::from(bytes));
    let strings = r.array(true, 1, |r| r.string(true));
    assert_eq!(strings, Err(DecodeError::MemoryExceeded));
    assert!(size_of::<millstream_kafka_wire::KafkaString>() > MEMORY_PER_WIRE_BYTE);
}

#[test]
fn lengths_and_varints_are_bounded() {
    let mut r = Reader::new(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01]));
    assert_eq!(r.unsigned_varint(), Err(DecodeError::VarintTooLong));
    let mut r = Reader::new(Bytes::from_static(&[0xff, 0xff]));
    assert_eq!(
        r.unsigned_varint(),
        Err(DecodeError::Truncated {
            wanted: 1,
            remaining: 0
        })
    );
    let mut r = Reader::new(Bytes::from_static(&[0x7f, 0xff, b'a']));
    assert_eq!(
        r.string(false),
        Err(DecodeError::Truncated {
            wanted: 0x7fff,
            remaining: 1
        })
    );
    let mut r = Reader::new(Bytes::from_static(&[0xff, 0xff]));
    assert_eq!(r.string(false), Err(DecodeError::UnexpectedNull("")));
    let mut r = Reader::new(Bytes::from_static(&[0, 2, 0xc3, 0x28]));
    assert_eq!(r.string(false), Err(DecodeError::InvalidUtf8));
}
