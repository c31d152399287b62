//! Record batches: golden bytes, building and reading, validation, changes in place.

use bytes::Bytes;
use millstream_kafka_wire::ErrorCode;
use millstream_kafka_wire::compression::{Codec, Compressor, Decompressor};
use millstream_kafka_wire::record_batch::*;

const LIMIT: usize = 1 << 20;

/// A batch of `count` records with keys, values, headers, nulls.
pub fn sample(codec: Codec, count: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    for i in 0..count {
        let key = i.to_string();
        let value = format!("value {i} {}", "x".repeat((i % 40) as usize));
        let headers = [
            Header {
                key: "h",
                value: Some(b"1"),
            },
            Header {
                key: "n",
                value: None,
            },
        ];
        let key = (i % 3 != 0).then_some(key.as_bytes());
        let value = (i % 5 != 4).then_some(value.as_bytes());
        builder.append(1_000_000 - i * 3, key, value, &headers[..(i % 3) as usize]);
    }
    builder.build(&mut Compressor::default()).expect("buildable")
}

fn read(bytes: &[u8]) -> RecordBatch {
    RecordBatch::read(&Bytes::copy_from_slice(bytes)).expect("readable")
}

#[test]
fn golden_bytes_of_a_batch() {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1_600_000_000_000, Some(b"hello"), Some(b"world"), &[]);
    let mut bytes = builder.build(&mut Compressor::default()).expect("buildable");
    set_base_offset(&mut bytes, 5);
    set_partition_leader_epoch(&mut bytes, 3);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = concat!(
        "0000000000000005",
        "00000042",
        "00000003",
        "02",
        "CRC_____",
        "0000",
        "00000000",
        "0000017487 6e8000",
        "000001748 76e8000",
        "ffffffffffffffff",
        "ffff",
        "ffffffff",
        "00000001",
        "20",
        "00",
        "00",
        "00",
        "0a",
        "68656c6c6f",
        "0a",
        "776f726c64",
        "00"
    )
    .replace(' ', "")
    .replace("CRC_____", &format!("{:08x}", read(&bytes).header.crc));
    assert_eq!(hex, expected);
    read(&bytes)
        .verify_checksum()
        .expect("offset and epoch are not under the checksum");
}

#[test]
fn golden_bytes_of_another_producer() {
    // One record "hello" → "world", written by a foreign client.
    let bytes: [u8; 79] = [
        0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x43, 0x0, 0x0, 0x0, 0x0, 0x2, 0x73, 0x6d,
        0x29, 0x7b, 0x0, 0x0, 0x0, 0x0, 0x0, 0x3, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0,
        0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0,
        0x0, 0x1, 0x22, 0x1, 0xd0, 0xf, 0x2, 0xa, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0xa, 0x77, 0x6f, 0x72, 0x6c,
        0x64, 0x0,
    ];
    let batch = read(&bytes);
    assert_eq!(batch.header.last_offset_delta, 3);
    let data = batch
        .records_data(&mut Decompressor::new(), LIMIT)
        .expect("not compressed");
    let record = batch
        .records(&data)
        .next()
        .expect("one record")
        .expect("well-formed");
    assert_eq!((record.timestamp, record.offset), (1000, 1));
    assert_eq!(
        (record.key, record.value),
        (Some(&b"hello"[..]), Some(&b"world"[..]))
    );
    let mut bytes = bytes;
    recompute_crc(&mut bytes);
    let refused = validate(&read(&bytes), LIMIT).expect_err("count and last delta disagree");
    assert_eq!(refused.error_code(), ErrorCode::INVALID_RECORD);
}

#[test]
fn what_is_built_is_read_by_iterator_columns_and_validation() {
    for codec in Codec::ALL {
        for count in [1, 2, 50, 5000] {
            let mut bytes = sample(codec, count);
            set_base_offset(&mut bytes, 100);
            let batch = read(&bytes);
            let summary = validate(&batch, LIMIT).unwrap_or_else(|e| panic!("{codec} {count}: {e}"));
            assert_eq!(
                (summary.max_timestamp, summary.max_timestamp_offset_delta),
                (1_000_000, 0)
            );
            assert_eq!(summary.min_timestamp, Some(1_000_000 - 3 * (count - 1)));
            assert_eq!(batch.header.max_timestamp, 1_000_000);
            assert!(summary.has_null_keys);
            assert_eq!(batch.header.next_offset(), 100 + count);
            let data = batch.records_data(&mut Decompressor::new(), LIMIT).expect("fits");
            assert_eq!(summary.records_bytes, data.len());
            let mut columns = RecordColumns::new(true, true);
            columns.append(&batch.header, &data, 0).expect("well-formed");
            assert_eq!(columns.len() as i64, count);
            for (index, record) in batch.records(&data).enumerate() {
                let record = record.expect("well-formed");
                let i = index as i64;
                assert_eq!((record.offset, record.timestamp), (100 + i, 1_000_000 - 3 * i));
                assert_eq!(record.value.is_some(), i % 5 != 4);
                assert_eq!(record.key, (i % 3 != 0).then_some(i.to_string().as_bytes()));
                let headers: Vec<_> = record.headers.iter().collect();
                assert_eq!(headers, [("h", Some(&b"1"[..])), ("n", None)][..(i % 3) as usize]);
                assert_eq!(columns.offsets[index], record.offset);
                assert_eq!(columns.timestamps[index], record.timestamp);
                assert_eq!(columns.keys[index].of(&data), record.key);
                assert_eq!(columns.values[index].of(&data), record.value);
                let of_column = Headers::new(columns.headers[index].of(&data).expect("never null"));
                assert_eq!(of_column.count(), headers.len());
            }
        }
    }
}

#[test]
fn columns_start_where_the_reader_wants() {
    let mut bytes = sample(Codec::Lz4, 10);
    set_base_offset(&mut bytes, 100);
    let batch = read(&bytes);
    let data = batch.records_data(&mut Decompressor::new(), LIMIT).expect("fits");
    let mut columns = RecordColumns::default();
    columns.append(&batch.header, &data, 107).expect("well-formed");
    assert_eq!(columns.offsets, [107, 108, 109]);
    assert!(columns.keys.is_empty() && columns.headers.is_empty());
}

#[test]
fn log_append_time_holds_for_all_records() {
    let mut bytes = sample(Codec::Gzip, 3);
    set_log_append_time(&mut bytes, 42);
    let batch = read(&bytes);
    batch.verify_checksum().expect("recomputed");
    assert_eq!(batch.header.timestamp_type(), TimestampType::LogAppendTime);
    let data = batch.records_data(&mut Decompressor::new(), LIMIT).expect("fits");
    assert!(
        batch
            .records(&data)
            .all(|record| record.expect("well-formed").timestamp == 42)
    );
}

#[test]
fn producer_fields_are_set_in_place() {
    let producer = BatchProducer {
        producer_id: 9,
        producer_epoch: 2,
        base_sequence: i32::MAX,
        transactional: true,
    };
    let mut bytes = sample(Codec::Snappy, 3);
    set_producer(&mut bytes, producer);
    let batch = read(&bytes);
    batch.verify_checksum().expect("recomputed");
    assert_eq!((batch.header.producer_id, batch.header.producer_epoch), (9, 2));
    assert_eq!(batch.header.last_sequence(), 1, "sequences wrap to 0");
    assert!(batch.header.attributes.is_transactional());
    set_producer(&mut bytes, BatchProducer::NONE);
    assert_eq!(bytes, sample(Codec::Snappy, 3));
}

#[test]
fn markers_survive() {
    for marker in [Marker::Abort, Marker::Commit] {
        let marker = EndTransactionMarker {
            marker,
            coordinator_epoch: 17,
        };
        let batch = read(&marker.to_batch(5, 3, 1234));
        batch.verify_checksum().expect("fresh");
        assert!(batch.header.attributes.is_control() && batch.header.attributes.is_transactional());
        assert_eq!((batch.header.producer_id, batch.header.producer_epoch), (5, 3));
        assert_eq!(
            (batch.header.base_sequence, batch.header.record_count),
            (NO_SEQUENCE, 1)
        );
        let read = ControlRecord::read(&batch.header, &batch.payload()).expect("well-formed");
        assert_eq!(read, ControlRecord::EndTransaction(marker));
        let data = batch.payload();
        let record = batch.records(&data).next().expect("one").expect("well-formed");
        assert_eq!(record.key.map(<[u8]>::len), Some(4), "clients refuse other sizes");
    }
}

/// A change to a batch that makes it wrong, and Kafka's error code for it.
type Damage = (&'static str, fn(&mut Vec<u8>), ErrorCode);

#[test]
fn validation_agrees_with_kafka() {
    let damages: [Damage; 7] = [
        ("wrong checksum", |b| b[17] ^= 1, ErrorCode::CORRUPT_MESSAGE),
        ("magic 1", |b| b[16] = 1, ErrorCode::INVALID_RECORD),
        (
            "length below the header",
            |b| b[8..12].copy_from_slice(&10i32.to_be_bytes()),
            ErrorCode::CORRUPT_MESSAGE,
        ),
        ("length beyond the end", |b| b[11] += 1, ErrorCode::INVALID_RECORD),
        (
            "lying count",
            |b| {
                b[60] += 1;
                recompute_crc(b)
            },
            ErrorCode::INVALID_RECORD,
        ),
        (
            "no records",
            |b| {
                b[60] = 0;
                recompute_crc(b)
            },
            ErrorCode::INVALID_RECORD,
        ),
        (
            "unknown codec",
            |b| {
                b[22] = 7;
                recompute_crc(b)
            },
            ErrorCode::UNKNOWN_SERVER_ERROR,
        ),
    ];
    for (name, damage, code) in damages {
        let mut bytes = sample(Codec::None, 5);
        damage(&mut bytes);
        let refused = RecordBatch::read(&Bytes::from(bytes)).and_then(|batch| validate(&batch, LIMIT));
        assert_eq!(refused.expect_err(name).error_code(), code, "{name}");
    }
    for (codec, code) in [
        (Codec::Gzip, ErrorCode::UNKNOWN_SERVER_ERROR),
        (Codec::Snappy, ErrorCode::UNKNOWN_SERVER_ERROR),
        (Codec::Lz4, ErrorCode::UNKNOWN_SERVER_ERROR),
        (Codec::Zstd, ErrorCode::UNKNOWN_SERVER_ERROR),
    ] {
        let mut bytes = sample(Codec::None, 5);
        bytes[22] = codec.id();
        recompute_crc(&mut bytes);
        let refused = validate(&read(&bytes), LIMIT).expect_err("not compressed at all");
        assert_eq!(refused.error_code(), code, "{codec}");
    }
}

#[test]
fn validation_looks_into_every_record() {
    for codec in Codec::ALL {
        let mut plain = sample(Codec::None, 4);
        // The offset delta of the second record: length, attributes, timestamp delta of one byte each, after the first.
        let first = usize::from(plain[HEADER_SIZE] / 2) + 1;
        plain[HEADER_SIZE + first + 3] = 8;
        let refused = validate(&repacked(&plain, codec), LIMIT).expect_err("offset delta out of order");
        assert_eq!(refused.error_code(), ErrorCode::INVALID_RECORD);

        let mut trailing = sample(Codec::None, 4);
        trailing.push(0);
        let refused = validate(&repacked(&trailing, codec), LIMIT).expect_err("trailing byte");
        assert!(
            matches!(refused, BatchError::TrailingData { count: 4 }),
            "{codec}: {refused}"
        );

        let mut cut = sample(Codec::None, 4);
        cut.pop();
        assert!(validate(&repacked(&cut, codec), LIMIT).is_err(), "{codec}");
    }
}

/// The same header with the records compressed.
fn repacked(plain: &[u8], codec: Codec) -> RecordBatch {
    let mut bytes = plain[..HEADER_SIZE].to_vec();
    Compressor::default()
        .compress_into(codec, &plain[HEADER_SIZE..], &mut bytes)
        .expect("memory");
    bytes[22] = codec.id();
    let length = bytes.len() as i32 - 12;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    recompute_crc(&mut bytes);
    read(&bytes)
}

#[test]
fn a_bomb_is_refused_in_a_small_window() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new(codec);
        for _ in 0..200 {
            builder.append(0, None, Some(&[0u8; 50_000]), &[]);
        }
        let batch = read(&builder.build(&mut Compressor::default()).expect("buildable"));
        let refused = validate(&batch, LIMIT).expect_err("10 MB");
        assert_eq!(refused.error_code(), ErrorCode::MESSAGE_TOO_LARGE, "{codec}");
        assert!(validate(&batch, 20 << 20).is_ok());
        let refused = batch
            .records_data(&mut Decompressor::new(), LIMIT)
            .expect_err("10 MB");
        assert_eq!(refused.error_code(), ErrorCode::MESSAGE_TOO_LARGE, "{codec}");
    }
}

#[test]
fn batches_are_split_and_a_cut_one_at_the_end_is_left_out() {
    let mut all = sample(Codec::None, 3);
    all.extend(sample(Codec::Zstd, 4));
    let whole = all.len();
    all.extend(&sample(Codec::None, 5)[..70]);
    let counts = |bytes: &[u8]| -> Vec<i32> {
        batches(Bytes::copy_from_slice(bytes))
            .map(|b| b.expect("well-formed").header.record_count)
            .collect()
    };
    assert_eq!(counts(&all), [3, 4]);
    assert_eq!(counts(&all[..whole + 5]), [3, 4]);
    all.truncate(whole);
    all.extend([1u8; 100]);
    assert!(batches(Bytes::from(all)).nth(2).expect("an item").is_err());
}

#[test]
fn builder_tells_sizes_before_it_grows() {
    let mut builder = BatchBuilder::new(Codec::None);
    for i in 0..300i64 {
        let value = vec![7u8; i as usize];
        let before = builder.size();
        let announced = builder.record_size(i * 1000, None, Some(&value), &[]);
        builder.append(i * 1000, None, Some(&value), &[]);
        assert_eq!(builder.size(), before + announced);
    }
}
