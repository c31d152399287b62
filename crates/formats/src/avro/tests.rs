use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, StringViewArray};
use arrow_buffer::Buffer;
use millstream_types::{Batch, LogicalType, RowField, Scalar, Schema, TypeKind};
use proptest::prelude::*;

use super::*;
use crate::{Decoded, Decoder, Encoded, Encoder, MessageRange};

const JSON: AvroOptions = AvroOptions {
    json: true,
    legacy_timestamps: false,
};
const BINARY: AvroOptions = AvroOptions { json: false, ..JSON };

fn encode(options: AvroOptions, schema: &Schema, columns: Vec<ArrayRef>, rows: usize) -> Vec<Vec<u8>> {
    let mut encoded = Encoded::default();
    let mut encoder = AvroEncoder::new(options, schema).unwrap();
    encoder
        .encode(&Batch::inserts(columns, rows), &mut encoded)
        .unwrap();
    encoded
        .messages()
        .map(|message| message.unwrap().to_vec())
        .collect()
}

fn decode(
    options: AvroOptions,
    (schema, all): (&Schema, &Schema),
    messages: &[Vec<u8>],
) -> Result<Decoded, String> {
    let (mut data, mut ranges) = (Vec::new(), Vec::new());
    for message in messages {
        ranges.push(MessageRange::new(data.len() as u32, message.len() as u32));
        data.extend_from_slice(message);
    }
    let mut decoder = AvroDecoder::new(options, schema, all).unwrap();
    let decoded = decoder.decode(&Buffer::from(data), &ranges);
    decoded.map_err(|error| error.to_string())
}

fn values(schema: &Schema, columns: &[ArrayRef], rows: usize) -> Vec<Vec<Scalar>> {
    let row = |row| {
        let cells = schema.types().zip(columns);
        cells
            .map(|(ty, column)| Scalar::from_array(ty, column, row))
            .collect()
    };
    (0..rows).map(row).collect()
}

fn int() -> LogicalType {
    LogicalType::INT.with_nullable(false)
}

/// `(id INT NOT NULL, s STRING, a ARRAY<INT>)` and the bytes that Flink 2.3 writes for two rows of it.
fn recorded() -> (Schema, Vec<Vec<u8>>) {
    let schema = Schema::new([
        ("id", int()),
        ("s", LogicalType::STRING),
        ("a", LogicalType::array(LogicalType::INT)),
    ]);
    let first = b"\x02\x02\x02\x78\x02\x04\x02\x02\x02\x04\x00".to_vec();
    (schema, vec![first, b"\x01\x00\x00".to_vec()])
}

#[test]
fn datums_of_flink_are_read_and_written_back() {
    let (schema, messages) = recorded();
    let decoded = decode(BINARY, (&schema, &schema), &messages).unwrap();
    assert_eq!(decoded.rows, 2);
    assert_eq!(encode(BINARY, &schema, decoded.columns, 2), messages);
}

#[test]
fn unneeded_columns_are_skipped() {
    let (all, messages) = recorded();
    let wanted = Schema::new([("id", int())]);
    let decoded = decode(BINARY, (&wanted, &all), &messages).unwrap();
    let ids = Int32Array::from(vec![1, -1]);
    assert_eq!(decoded.columns[0].as_ref(), &ids as &dyn arrow_array::Array);
}

#[test]
fn the_json_encoding_names_the_types_of_unions() {
    let schema = Schema::new([("id", int()), ("s", LogicalType::STRING)]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![1, 2])),
        Arc::new(StringViewArray::from(vec![Some("x"), None])),
    ];
    let messages = encode(JSON, &schema, columns, 2);
    let expected = [r#"{"id":1,"s":{"string":"x"}}"#, "\n{\"id\":2,\"s\":null}"];
    assert_eq!(messages, expected.map(|text| text.as_bytes().to_vec()));
}

/// A column of each type, and what Scalar calls its values.
fn every_type() -> Schema {
    let row = LogicalType::new(TypeKind::Row(vec![
        RowField {
            name: "x".to_owned(),
            ty: int(),
            description: None,
        },
        RowField {
            name: "y".to_owned(),
            ty: LogicalType::array(LogicalType::STRING),
            description: None,
        },
    ]));
    Schema::new([
        ("boolean", LogicalType::BOOLEAN),
        ("tiny", LogicalType::new(TypeKind::TinyInt)),
        ("small", LogicalType::new(TypeKind::SmallInt)),
        ("big", LogicalType::BIGINT),
        ("float", LogicalType::new(TypeKind::Float)),
        ("double", LogicalType::DOUBLE),
        ("bytes", LogicalType::new(TypeKind::Varbinary(100))),
        ("decimal", LogicalType::decimal(20, 3)),
        ("date", LogicalType::new(TypeKind::Date)),
        ("time", LogicalType::new(TypeKind::Time(3))),
        ("millis", LogicalType::timestamp(3)),
        ("micros", LogicalType::timestamp(6)),
        ("instant", LogicalType::timestamp_ltz(3)),
        ("row", row),
        ("map", LogicalType::map(LogicalType::STRING, LogicalType::DOUBLE)),
    ])
}

/// A row in the JSON format, which is tested elsewhere.
const EVERY_VALUE: &str = r#"{"boolean":true,"tiny":-7,"small":300,"big":-9223372036854775808,"float":1.5,"double":-0.1,
    "bytes":"AP+A","decimal":-123456789012.345,"date":"1969-12-31","time":"12:34:56","millis":"2024-02-29 01:02:03.004",
    "micros":"1960-01-01 00:00:00.000001","instant":"2024-02-29 01:02:03.004Z","row":{"x":1,"y":["é\"",null,""]},
    "map":{"k":2.5,"":null}}"#;

#[test]
fn every_type_comes_back_in_both_encodings() {
    let schema = every_type();
    let rows = [EVERY_VALUE, "{}"];
    let lines: Vec<Vec<u8>> = rows.iter().map(|row| row.as_bytes().to_vec()).collect();
    let (mut data, mut ranges) = (Vec::new(), Vec::new());
    for line in lines {
        ranges.push(MessageRange::new(data.len() as u32, line.len() as u32));
        data.extend(line);
    }
    let mut json = crate::decoder("json", &Options::new(), &schema, &schema).unwrap();
    let given = json.decode(&Buffer::from(data), &ranges).unwrap();
    for options in [BINARY, JSON] {
        let messages = encode(options, &schema, given.columns.clone(), 2);
        let back = decode(options, (&schema, &schema), &messages).unwrap();
        let expected = values(&schema, &given.columns, 2);
        assert_eq!(values(&schema, &back.columns, 2), expected, "{options:?}");
    }
}

#[test]
fn decimals_take_as_few_bytes_as_in_java() {
    let cases: &[(i128, &[u8])] = &[
        (0, &[0]),
        (127, &[127]),
        (128, &[0, 128]),
        (-1, &[255]),
        (-128, &[128]),
        (-129, &[255, 127]),
        (i128::MAX, &i128::MAX.to_be_bytes()),
        (i128::MIN, &i128::MIN.to_be_bytes()),
    ];
    for (value, bytes) in cases {
        assert_eq!(&encode::decimal_bytes(*value), bytes);
        assert_eq!(decode::decimal(bytes).unwrap(), *value);
    }
}

#[test]
fn types_without_an_avro_type_are_refused_as_in_flink() {
    let legacy = AvroOptions::default();
    let cases = [
        (
            legacy,
            LogicalType::timestamp(6),
            "TIMESTAMP type with precision: 6",
        ),
        (
            legacy,
            LogicalType::timestamp_ltz(3),
            "Unsupported to derive Schema for type: TIMESTAMP_LTZ(3)",
        ),
        (
            BINARY,
            LogicalType::timestamp(9),
            "LOCAL TIMESTAMP type with precision: 9",
        ),
        (
            BINARY,
            LogicalType::timestamp_ltz(9),
            "TIMESTAMP type with precision: 9",
        ),
        (
            BINARY,
            LogicalType::new(TypeKind::Time(6)),
            "TIME type with precision: 6",
        ),
        (
            BINARY,
            LogicalType::map(LogicalType::INT, LogicalType::INT),
            "non-string as key type of map",
        ),
    ];
    for (options, ty, expected) in cases {
        let nested = LogicalType::array(ty);
        let error = options.check(&nested).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn broken_datums_say_what_is_wrong() {
    let (schema, messages) = recorded();
    let cut = messages[0][..messages[0].len() - 1].to_vec();
    let cases: [(&[u8], &str); 5] = [
        (&cut, "ends too early"),
        (b"\x02\x04", "a union has no type 2"),
        (b"\x02\x02\x03", "length is -2"),
        (
            b"\x02\x00\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "more than the datum has bytes",
        ),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            "invalid long encoding",
        ),
    ];
    for (datum, expected) in cases {
        let error = decode(BINARY, (&schema, &schema), &[datum.to_vec()]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn whatever_the_bytes_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let schema = every_type();
        for options in [BINARY, JSON] {
            _ = decode(options, (&schema, &schema), std::slice::from_ref(&bytes));
        }
    }
}
