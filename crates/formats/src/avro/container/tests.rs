use std::io::Cursor;

use arrow_buffer::Buffer;
use millstream_types::scalar::scalars_to_array;
use millstream_types::{Batch, LogicalType, Scalar, Schema};

use super::{AvroCodec, CODEC_KEY, ContainerReader, ContainerWriter, MAGIC, SCHEMA_KEY, SYNC_BYTES};
use crate::avro::encode::{write_bytes, write_long};
use crate::avro::{AvroEncoder, AvroOptions};
use crate::{Encoded, Encoder, MessageRange};

const SYNC: [u8; SYNC_BYTES] = [7; SYNC_BYTES];

fn codecs() -> [AvroCodec; 5] {
    ["null", "deflate", "snappy", "bzip2", "zstandard"].map(|name| AvroCodec::parse(name).unwrap())
}

/// A file with a schema of its own and one block of `count` records.
fn file(schema: &str, codec: AvroCodec, count: i64, datums: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    // The size of the entries is given, as some writers do.
    write_long(&mut out, -2);
    write_long(&mut out, 1000);
    for (key, value) in [(CODEC_KEY, codec.name()), (SCHEMA_KEY, schema)] {
        write_bytes(&mut out, key.as_bytes());
        write_bytes(&mut out, value.as_bytes());
    }
    write_long(&mut out, 0);
    out.extend_from_slice(&SYNC);
    write_long(&mut out, count);
    write_bytes(&mut out, &codec.compress(datums).unwrap());
    out.extend_from_slice(&SYNC);
    out
}

/// All rows of a file as text.
fn rows(file: &[u8], schema: &Schema) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut reader = ContainerReader::open(Cursor::new(file))?;
    let mut decoder = reader.decoder(AvroOptions::default(), schema)?;
    let mut rows = Vec::new();
    while let Some(block) = reader.block()? {
        let range = MessageRange::new(0, block.len() as u32);
        let decoded = decoder.decode(&Buffer::from(block), &[range])?;
        rows.extend((0..decoded.rows).map(|row| {
            let values = schema.types().zip(&decoded.columns);
            let values = values.map(|(ty, column)| match Scalar::from_array(ty, column, row) {
                Scalar::Null => "NULL".to_owned(),
                value => format!("{value:?}"),
            });
            values.collect::<Vec<_>>().join(" ")
        }));
    }
    Ok(rows)
}

fn schema() -> Schema {
    let row = LogicalType::row([
        ("x".to_owned(), LogicalType::INT),
        ("y".to_owned(), LogicalType::STRING),
    ]);
    Schema::new([
        ("id", LogicalType::BIGINT),
        ("name", LogicalType::STRING.with_nullable(false)),
        ("price", LogicalType::decimal(10, 2)),
        ("tags", LogicalType::array(LogicalType::STRING)),
        ("counts", LogicalType::map(LogicalType::STRING, LogicalType::INT)),
        ("part", row),
    ])
}

/// A thousand rows in blocks, as `schema()` has them.
fn written(codec: AvroCodec) -> Vec<u8> {
    let mut writer = ContainerWriter::new(codec, SYNC);
    let mut out = writer.header(AvroOptions::default(), &schema()).unwrap();
    for id in 0..1000i64 {
        let mut datum = Vec::new();
        write_long(&mut datum, 1);
        write_long(&mut datum, id);
        write_bytes(&mut datum, format!("name é {id} {}", "x".repeat(100)).as_bytes());
        write_long(&mut datum, 1);
        write_bytes(&mut datum, &[0x04, 0xD2]);
        for empty in [1, 0, 1, 0, 0] {
            write_long(&mut datum, empty);
        }
        if let Some(block) = writer.append(&datum).unwrap() {
            out.extend(block);
        }
    }
    out.extend(writer.block().unwrap().unwrap());
    assert!(writer.block().unwrap().is_none());
    out
}

#[test]
fn files_of_every_codec_are_read_as_written() {
    for codec in codecs() {
        let file = written(codec);
        let rows = rows(&file, &schema()).unwrap();
        assert_eq!(rows.len(), 1000, "{codec:?}");
        assert_eq!(rows, self::rows(&written(AvroCodec::Null), &schema()).unwrap());
        assert!(
            rows[41].contains("41") && rows[41].ends_with("NULL"),
            "{}",
            rows[41]
        );
    }
}

#[test]
fn a_reader_goes_on_at_a_position() {
    let file = written(AvroCodec::Snappy);
    let mut reader = ContainerReader::open(Cursor::new(&file)).unwrap();
    let mut blocks = Vec::new();
    loop {
        let position = reader.position();
        let Some(block) = reader.block().unwrap() else {
            break;
        };
        blocks.push((position, block));
    }
    assert!(blocks.len() > 1, "{}", blocks.len());
    for (position, block) in blocks {
        let mut reader = ContainerReader::open(Cursor::new(&file)).unwrap();
        reader.seek(position).unwrap();
        assert_eq!(reader.block().unwrap(), Some(block));
    }
}

#[test]
fn values_encode_to_datums_that_a_container_gives_back() {
    let schema = Schema::new([("n", LogicalType::INT), ("s", LogicalType::STRING)]);
    let columns = vec![
        scalars_to_array(&LogicalType::INT, [Scalar::Int(1), Scalar::Null].iter()),
        scalars_to_array(
            &LogicalType::STRING,
            [Scalar::Null, Scalar::String("é".to_owned())].iter(),
        ),
    ];
    let mut encoded = Encoded::default();
    let mut encoder = AvroEncoder::new(AvroOptions::default(), &schema).unwrap();
    encoder.encode(&Batch::inserts(columns, 2), &mut encoded).unwrap();
    let mut writer = ContainerWriter::new(AvroCodec::Deflate, SYNC);
    let mut file = writer.header(AvroOptions::default(), &schema).unwrap();
    for datum in encoded.messages() {
        assert!(writer.append(datum.unwrap()).unwrap().is_none());
    }
    file.extend(writer.block().unwrap().unwrap());
    assert_eq!(
        rows(&file, &schema).unwrap(),
        ["Int(1) NULL", "NULL String(\"é\")"]
    );
}

/// What another program wrote: fields in another order, more of them, narrower numbers, unions the other way round, a
/// record that contains itself, an enum and a fixed type.
#[test]
fn the_schema_of_a_file_is_resolved_to_the_columns_of_the_table() {
    let written = r#"{"type":"record","name":"Event","namespace":"shop","fields":[
        {"name":"tree","type":{"type":"record","name":"Tree","fields":[{"name":"next","type":["null","Tree"]},
            {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B"]}},
            {"name":"hash","type":{"type":"fixed","name":"Hash","size":4}}]}},
        {"name":"score","type":"int"},
        {"name":"name","type":["string","null"]},
        {"name":"id","type":["int","null"]},
        {"name":"tags","type":{"type":"array","items":"string"}}]}"#;
    let mut datums = Vec::new();
    for (id, name) in [(Some(5), Some("a")), (None, None)] {
        // A tree of two levels: another, kind, hash, none, kind, hash.
        for level in [1, 0] {
            write_long(&mut datums, level);
        }
        for _ in 0..2 {
            write_long(&mut datums, 1);
            datums.extend_from_slice(b"hash");
        }
        write_long(&mut datums, -3);
        write_long(&mut datums, i64::from(name.is_none()));
        name.iter()
            .for_each(|name| write_bytes(&mut datums, name.as_bytes()));
        write_long(&mut datums, i64::from(id.is_none()));
        id.iter().for_each(|id| write_long(&mut datums, *id));
        // One block of tags with its size, then the end.
        write_long(&mut datums, -1);
        write_long(&mut datums, 2);
        write_bytes(&mut datums, b"t");
        write_long(&mut datums, 0);
    }
    let schema = Schema::new([
        ("id", LogicalType::BIGINT),
        ("name", LogicalType::STRING),
        ("score", LogicalType::DOUBLE.with_nullable(false)),
        ("tags", LogicalType::array(LogicalType::STRING)),
        ("absent", LogicalType::INT),
    ]);
    for codec in codecs() {
        let rows = rows(&file(written, codec, 2, &datums), &schema).unwrap();
        assert!(
            rows[0].starts_with("BigInt(5) String(\"a\") Double(-3.0)"),
            "{}",
            rows[0]
        );
        assert!(
            rows[0].ends_with("NULL") && rows[0].contains("\"t\""),
            "{}",
            rows[0]
        );
        assert!(rows[1].starts_with("NULL NULL Double(-3.0)"), "{}", rows[1]);
    }
    let missing = Schema::new([("absent", LogicalType::INT.with_nullable(false))]);
    let error = rows(&file(written, AvroCodec::Null, 2, &datums), &missing)
        .unwrap_err()
        .to_string();
    assert!(error.contains("missing required field absent"), "{error}");
    let other = Schema::new([("name", LogicalType::INT)]);
    let error = rows(&file(written, AvroCodec::Null, 2, &datums), &other)
        .unwrap_err()
        .to_string();
    assert!(error.contains("Found string, expecting union"), "{error}");
}

#[test]
fn damaged_files_are_errors() {
    let schema = schema();
    for codec in codecs() {
        let file = written(codec);
        for place in (0..file.len()).step_by(file.len() / 300 + 1) {
            let mut damaged = file.clone();
            damaged[place] ^= 0x55;
            let _ = rows(&damaged, &schema);
            let _ = rows(&file[..place], &schema);
        }
        let end = file.len() - 1;
        assert!(
            rows(&file[..end], &schema)
                .unwrap_err()
                .to_string()
                .contains("the file ends within it")
        );
    }
    for (name, text) in [
        ("empty", &b""[..]),
        ("text", b"{\"a\":1}\n"),
        ("magic", b"Obj\x01"),
    ] {
        assert!(rows(text, &schema).is_err(), "{name}");
    }
    let cases = [
        ("\"string\"", "expecting record"),
        ("{", "it is not JSON"),
        (
            "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"Other\"}]}",
            "Undefined name: Other",
        ),
    ];
    for (written, expected) in cases {
        let error = rows(&file(written, AvroCodec::Null, 0, b""), &schema)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (name, expected) in [("xz", "not supported yet"), ("lz4", "Unrecognized codec: lz4")] {
        let error = AvroCodec::parse(name).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
