//! Batches that the broker recompresses: by the codec of the topic, and as hard as its level says.

use crate::driver::{Driver, batch};
use bytes::Bytes;
use millstream_kafka_wire::compression::{Codec, CompressionLevels, Compressor};
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::record_batch::{BatchBuilder, RecordBatch};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use millstream_types::{Rng, SeededRng};

/// Text that levels make a difference to.
fn text() -> String {
    let words = (0..4000u64).map(|i| {
        let mixed = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        format!("word{} ", mixed % 700)
    });
    words.collect()
}

fn compressed(codec: Codec, levels: CompressionLevels, timestamp: i64, value: &str) -> usize {
    let mut builder = BatchBuilder::new(codec);
    builder.append(timestamp, Some(b"key"), Some(value.as_bytes()), &[]);
    builder.build(&mut Compressor::new(levels)).unwrap().len()
}

/// The codec and the size of the first batch as it is stored.
fn stored(driver: &mut Driver, topic: &str) -> (Codec, usize) {
    let records = driver.fetch(topic, 0, 0, 0).records.unwrap();
    let batch = RecordBatch::read(&records).unwrap();
    (batch.header.attributes.codec().unwrap(), batch.data().len())
}

fn set_for_all(driver: &mut Driver, name: &str, value: &str) {
    let config = incremental_alter_configs::AlterableConfig {
        name: name.into(),
        config_operation: 0,
        value: Some(value.into()),
    };
    let response = driver.call(IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs::AlterConfigsResource {
            resource_type: 4,
            resource_name: KafkaString::EMPTY,
            configs: vec![config],
        }],
        validate_only: false,
    });
    assert_eq!(response.responses[0].error_code, ErrorCode::NONE, "{name}");
}

#[test]
fn batches_are_recompressed_at_the_configured_level() {
    let value = text();
    let mut sizes = Vec::new();
    for (codec, level, levels) in [
        (Codec::Gzip, "1", CompressionLevels { gzip: 1, zstd: 3 }),
        (Codec::Gzip, "9", CompressionLevels { gzip: 9, zstd: 3 }),
        (Codec::Zstd, "-50", CompressionLevels { gzip: -1, zstd: -50 }),
        (Codec::Zstd, "19", CompressionLevels { gzip: -1, zstd: 19 }),
    ] {
        let key = format!("compression.{codec}.level");
        let on_topic = [("compression.type", codec.name()), (&key, level)];
        for of_broker in [false, true] {
            let mut driver = Driver::new();
            let own = if of_broker { &on_topic[..1] } else { &on_topic[..] };
            driver.create_with("t", 1, own);
            if of_broker {
                set_for_all(&mut driver, &key, level);
            }
            let (code, _) = driver.produce("t", 0, batch(driver.now, &[&value]));
            assert_eq!(code, ErrorCode::NONE);
            let size = compressed(codec, levels, driver.now, &value);
            assert_eq!(stored(&mut driver, "t"), (codec, size), "{key} = {level}");
            sizes.push(size);
        }
    }
    assert!(
        sizes[0] > sizes[2] && sizes[4] > sizes[6],
        "levels matter: {sizes:?}"
    );
}

#[test]
fn a_batch_in_the_codec_of_the_topic_stays_as_it_came_whatever_the_level() {
    let mut driver = Driver::new();
    let configs = [("compression.type", "gzip"), ("compression.gzip.level", "1")];
    driver.create_with("t", 1, &configs);
    let mut builder = BatchBuilder::new(Codec::Gzip);
    builder.append(driver.now, None, Some(text().as_bytes()), &[]);
    let levels = CompressionLevels { gzip: 9, zstd: 3 };
    let sent = Bytes::from(builder.build(&mut Compressor::new(levels)).unwrap());
    driver.produce("t", 0, sent.clone());
    assert_eq!(stored(&mut driver, "t"), (Codec::Gzip, sent.len()));
}

/// What a batch inflates to is measured like what comes: it would be stored as that.
#[test]
fn a_batch_that_recompression_makes_too_large_is_rejected() {
    let rows = [
        ("uncompressed", 10_000, ErrorCode::MESSAGE_TOO_LARGE),
        ("uncompressed", 900, ErrorCode::NONE),
        ("producer", 10_000, ErrorCode::NONE),
        ("zstd", 10_000, ErrorCode::NONE),
    ];
    for (compression, bytes, expected) in rows {
        let mut driver = Driver::new();
        let configs = [("compression.type", compression), ("max.message.bytes", "1000")];
        driver.create_with("t", 1, &configs);
        let mut builder = BatchBuilder::new(Codec::Gzip);
        builder.append(driver.now, None, Some("a".repeat(bytes).as_bytes()), &[]);
        let sent = Bytes::from(builder.build(&mut Compressor::default()).unwrap());
        assert!(sent.len() < 1000);
        let (code, _) = driver.produce("t", 0, sent);
        assert_eq!(code, expected, "{compression}, {bytes} bytes");
        let end = i64::from(expected == ErrorCode::NONE);
        assert_eq!(driver.offset_at("t", 0, -1), end, "{compression}, {bytes} bytes");
    }
    // What does not compress is larger in another codec.
    let mut driver = Driver::new();
    let rng = SeededRng::new(7);
    let noise: Vec<u8> = (0..900).map(|_| rng.next_u64() as u8).collect();
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(driver.now, None, Some(&noise), &[]);
    let sent = Bytes::from(builder.build(&mut Compressor::default()).unwrap());
    let limit = sent.len().to_string();
    driver.create_with(
        "t",
        1,
        &[("compression.type", "snappy"), ("max.message.bytes", &limit)],
    );
    assert_eq!(driver.produce("t", 0, sent).0, ErrorCode::MESSAGE_TOO_LARGE);
}

/// Each of them alone may be written; together they keep the broker's thread too long.
#[test]
fn small_batches_that_inflate_a_lot_are_limited_in_one_request() {
    let mut driver = Driver::new();
    driver.create("t", 4);
    let mut builder = BatchBuilder::new(Codec::Zstd);
    builder.append(driver.now, None, Some(&vec![0; 90 << 20]), &[]);
    let bomb = Bytes::from(builder.build(&mut Compressor::default()).unwrap());
    assert!(bomb.len() < 10_000);
    let mut request = driver.produce_request("t", 0, bomb.clone());
    for (index, records) in [
        (1, bomb.clone()),
        (2, bomb.clone()),
        (3, batch(driver.now, &["a"])),
    ] {
        let records = Some(records);
        let partition = produce::PartitionProduceData { index, records };
        request.topic_data[0].partition_data.push(partition);
    }
    let response = driver.call(request);
    let partitions = response.responses[0].partition_responses.iter();
    let codes: Vec<ErrorCode> = partitions.map(|result| result.error_code).collect();
    let expected = [
        ErrorCode::NONE,
        ErrorCode::NONE,
        ErrorCode::MESSAGE_TOO_LARGE,
        ErrorCode::NONE,
    ];
    assert_eq!(codes, expected);
    assert_eq!(
        driver.produce("t", 2, bomb).0,
        ErrorCode::NONE,
        "in a request of its own"
    );
}
