//! Strings, ids, error codes, hashes.

use std::collections::HashMap;

use bytes::Bytes;
use millstream_kafka_wire::partitioner::{murmur2, partition_for_key};
use millstream_kafka_wire::varint::*;
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use proptest::prelude::*;

#[test]
fn murmur2_agrees_with_kafka() {
    // The values of Kafka's own unit test.
    let cases: [(&[u8], i32); 7] = [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
        (b"", 275646681),
    ];
    for (key, hash) in cases {
        assert_eq!(murmur2(key), hash, "{key:?}");
    }
    assert_eq!(partition_for_key(b"21", 0), None);
    assert_eq!(partition_for_key(b"21", 4), Some((-973932308i32 & i32::MAX) % 4));
}

#[test]
fn uuid_text_is_url_safe_base64() {
    assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(Uuid([0xff; 16]).to_string(), "_____________________w");
    for refused in [
        "",
        "AAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAB",
        "AAAAAAAAAAAAAAAAAAAA+A",
    ] {
        assert!(refused.parse::<Uuid>().is_err(), "{refused}");
    }
}

proptest! {
    #[test]
    fn uuids_survive_their_text_form(bits: u128) {
        let id = Uuid::from_u128(bits);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert!(!Uuid::from_random(bits).to_string().starts_with('-'));
    }

    #[test]
    fn varints_survive(value: i32, long: i64) {
        let mut out = Vec::new();
        write_varint(&mut out, value);
        prop_assert_eq!(out.len(), varint_size(value));
        write_varlong(&mut out, long);
        prop_assert_eq!(out.len(), varint_size(value) + varlong_size(long));
        write_unsigned_varint(&mut out, value as u32);
        let mut position = 0;
        prop_assert_eq!(read_varint(&out, &mut position), Some(value));
        prop_assert_eq!(read_varlong(&out, &mut position), Some(long));
        prop_assert_eq!(read_unsigned_varint(&out, &mut position), Some(value as u32));
        prop_assert_eq!(position, out.len());
    }
}

#[test]
fn strings_are_found_in_maps_by_text() {
    let frame = Bytes::from_static(b"xxtopicxx");
    let name = KafkaString::from_utf8(frame.slice(2..7)).expect("valid");
    assert_eq!(name, "topic");
    let map = HashMap::from([(name.clone(), 1)]);
    assert_eq!(map.get("topic"), Some(&1));
    assert_ne!(name.detached().as_bytes().as_ptr(), name.as_bytes().as_ptr());
}

#[test]
fn error_codes_have_names_and_retriability() {
    assert_eq!(ErrorCode(-1), ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(ErrorCode::NONE.check(), Ok(()));
    assert!(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS.is_retriable());
    assert!(!ErrorCode::PRODUCER_FENCED.is_retriable());
    assert_eq!(ErrorCode(9999).to_string(), "UNKNOWN_ERROR_CODE_9999");
}
