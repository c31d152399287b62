//! Every message in every version: bytes made from the descriptions are read and written again without a change.

use bytes::Bytes;
use millstream_kafka_wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{EncodeError, Reader, RequestHeader, ResponseHeader, Writer};
use proptest::prelude::*;

use super::spec::{Kind, Message};
use super::wire_values::{Choices, every_version, random_body};

/// Reads a body with the codec and writes it again.
pub fn recode(message: &Message, version: i16, body: &[u8]) -> Vec<u8> {
    let key = ApiKey::from_code(message.key).expect("every described API has a key");
    let mut r = Reader::new(Bytes::copy_from_slice(body));
    let mut w = Writer::new();
    let name = &message.name;
    match message.kind {
        Kind::Request => {
            let decoded =
                Request::decode(key, version, &mut r).unwrap_or_else(|e| panic!("{name} v{version}: {e}"));
            decoded
                .encode(&mut w, version)
                .unwrap_or_else(|e| panic!("{name} v{version}: {e}"));
        }
        Kind::Response => {
            let decoded =
                Response::decode(key, version, &mut r).unwrap_or_else(|e| panic!("{name} v{version}: {e}"));
            decoded
                .encode(&mut w, version)
                .unwrap_or_else(|e| panic!("{name} v{version}: {e}"));
        }
        Kind::Data => unreachable!("data is not sent by itself"),
    }
    assert_eq!(r.remaining(), 0, "{name} v{version}: bytes are left over");
    w.into_bytes().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn bytes_survive_reading_and_writing(seed: u64) {
        let mut choices = Choices(seed);
        for (message, version) in every_version() {
            let body = random_body(message, version, &mut choices);
            prop_assert_eq!(recode(message, version, &body), body, "{} v{}", message.name, version);
        }
    }
}

#[test]
fn defaults_are_encodable_in_every_version() {
    for (message, version) in every_version() {
        let key = ApiKey::from_code(message.key).expect("every described API has a key");
        assert_eq!(key.versions(), (message.valid.min, message.valid.max));
        assert_eq!(key.flexible_from(), message.flexible_from);
        // A body of the smallest values; what is absent on the wire gets its default, which must then be encodable.
        let mut always_zero = Choices(0);
        let body = random_body(message, version, &mut always_zero);
        recode(message, version, &body);
    }
}

#[test]
fn a_field_that_the_version_lacks_is_refused_unless_ignorable() {
    let not_ignorable = MetadataRequest {
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    assert_eq!(
        not_ignorable.encode(&mut Writer::new(), 3),
        Err(EncodeError::UnsupportedField {
            message: "MetadataRequest",
            field: "AllowAutoTopicCreation",
            version: 3
        })
    );
    assert_eq!(not_ignorable.encode(&mut Writer::new(), 4), Ok(()));
    let ignorable = MetadataRequestTopic {
        topic_id: millstream_kafka_wire::Uuid::from_u128(7),
        name: Some("t".into()),
    };
    let request = MetadataRequest {
        topics: Some(vec![ignorable]),
        ..Default::default()
    };
    assert_eq!(request.encode(&mut Writer::new(), 9), Ok(()));
}

#[test]
fn a_tagged_field_that_the_version_lacks_is_refused_unless_ignorable() {
    let endpoint = produce::NodeEndpoint {
        node_id: 1,
        host: "h".into(),
        port: 2,
        rack: None,
    };
    let response = ProduceResponse {
        node_endpoints: vec![endpoint],
        ..Default::default()
    };
    assert_eq!(
        response.encode(&mut Writer::new(), 9),
        Err(EncodeError::UnsupportedField {
            message: "ProduceResponse",
            field: "NodeEndpoints",
            version: 9
        })
    );
    assert_eq!(response.encode(&mut Writer::new(), 10), Ok(()));
}

#[test]
fn null_is_refused_where_the_version_does_not_have_it() {
    let all_topics = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    assert_eq!(
        all_topics.encode(&mut Writer::new(), 0),
        Err(EncodeError::NullField {
            message: "MetadataRequest",
            field: "Topics",
            version: 0
        })
    );
    assert_eq!(all_topics.encode(&mut Writer::new(), 1), Ok(()));
}

#[test]
fn metadata_v1_reads_any_negative_length_as_null() {
    let mut r = Reader::new(Bytes::copy_from_slice(&(-2i32).to_be_bytes()));
    let request = MetadataRequest::decode(&mut r, 1).expect("Kafka reads it as all topics");
    assert_eq!(request.topics, None);
    let mut r = Reader::new(Bytes::copy_from_slice(&(-2i32).to_be_bytes()));
    assert!(MetadataRequest::decode(&mut r, 0).is_err());
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    let mut choices = Choices(1);
    for (message, version) in every_version() {
        if message.flexible_from.is_none_or(|from| version < from) {
            continue;
        }
        let mut body = random_body(message, version, &mut choices);
        // The tagged fields of the message itself come last; take a body that has none, and give it an unknown one.
        if body.last() != Some(&0) || message.fields.iter().any(|f| f.tag.is_some()) {
            continue;
        }
        let expected = body.clone();
        body.pop();
        body.extend([1, 0xff, 0x7f, 3, 1, 2, 3]);
        assert_eq!(
            recode(message, version, &body),
            expected,
            "{} v{version}",
            message.name
        );
    }
}

#[test]
fn headers_of_requests_and_responses() {
    for key in ApiKey::ALL {
        for version in key.versions().0..=key.versions().1 {
            let header = RequestHeader {
                api_key: *key as i16,
                api_version: version,
                correlation_id: 7,
                client_id: Some("me".into()),
            };
            let mut w = Writer::new();
            header.encode(&mut w).expect("encodable");
            let bytes = w.into_bytes();
            assert_eq!(bytes.len(), 12 + usize::from(key.is_flexible(version)));
            assert_eq!(RequestHeader::decode(&mut Reader::new(bytes)), Ok(header));

            let mut w = Writer::new();
            ResponseHeader { correlation_id: 9 }.encode(&mut w, *key, version);
            let bytes = w.into_bytes();
            let flexible = key.is_flexible(version) && *key != ApiKey::ApiVersions;
            assert_eq!(bytes.len(), 4 + usize::from(flexible));
            let header = ResponseHeader::decode(&mut Reader::new(bytes), *key, version);
            assert_eq!(header, Ok(ResponseHeader { correlation_id: 9 }));
        }
    }
}

#[test]
fn the_header_of_an_unknown_api_is_read_as_far_as_it_is_known() {
    let bytes = Bytes::from_static(&[0x7f, 0, 0, 1, 0, 0, 0, 5]);
    let header = RequestHeader::decode(&mut Reader::new(bytes)).expect("the fixed part is there");
    assert_eq!(
        (header.api_key, header.api_version, header.correlation_id),
        (0x7f00, 1, 5)
    );
}

#[test]
fn long_records_are_not_copied_into_frames() {
    use millstream_kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
    let records = Bytes::from(vec![1u8; 10_000]);
    let request = ProduceRequest {
        topic_data: vec![TopicProduceData {
            name: "t".into(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(records.clone()),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let chunks =
        millstream_kafka_wire::header::encode_request(&request.into(), 9, 1, None).expect("encodable");
    assert!(chunks.iter().any(|chunk| chunk.as_ptr() == records.as_ptr()));
    let total: usize = chunks.iter().map(Bytes::len).sum();
    let length = i32::from_be_bytes(chunks[0][..4].try_into().expect("four bytes"));
    assert_eq!(total, 4 + length as usize);
}
