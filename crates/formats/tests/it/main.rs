//! Tests of the formats: the predicted JSON decoder against the general one, round trips, tables of odd input.

mod nested_json;

use std::sync::Arc;

use arrow_array::{Array, StructArray};
use arrow_buffer::Buffer;
use millstream_formats::json::{JsonDecoder, JsonOptions};
use millstream_formats::{Decoded, Decoder, Encoded, MessageRange, decoder, decoder_with_metadata, encoder};
use millstream_types::{Batch, LogicalType, Options, RowKind, Scalar, Schema};
use proptest::prelude::*;

fn options(pairs: &[(&str, &str)]) -> Options {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// Messages laid out back to back.
fn layout(messages: &[Vec<u8>]) -> (Buffer, Vec<MessageRange>) {
    let (mut data, mut ranges) = (Vec::new(), Vec::new());
    for message in messages {
        ranges.push(MessageRange::new(data.len() as u32, message.len() as u32));
        data.extend_from_slice(message);
    }
    (Buffer::from(data), ranges)
}

fn rows(schema: &Schema, decoded: &Decoded) -> Vec<Vec<Scalar>> {
    let row = |r| {
        schema
            .columns
            .iter()
            .zip(&decoded.columns)
            .map(|(c, a)| Scalar::from_array(&c.ty, a, r))
            .collect()
    };
    (0..decoded.rows).map(row).collect()
}

fn decode(
    format: &str,
    pairs: &[(&str, &str)],
    schema: &Schema,
    lines: &[&str],
) -> Result<Vec<Vec<Scalar>>, String> {
    let messages: Vec<Vec<u8>> = lines.iter().map(|l| l.as_bytes().to_vec()).collect();
    let (data, ranges) = layout(&messages);
    let mut decoder = decoder(format, &options(pairs), schema, schema).map_err(|e| e.to_string())?;
    let decoded = decoder.decode(&data, &ranges).map_err(|e| e.to_string())?;
    Ok(rows(schema, &decoded))
}

fn event_schema() -> Schema {
    Schema::new([
        ("id", LogicalType::BIGINT),
        ("k", LogicalType::STRING),
        ("ts", LogicalType::timestamp(3)),
        ("amount", LogicalType::DOUBLE),
        ("qty", LogicalType::INT),
        ("ok", LogicalType::BOOLEAN),
        ("d", LogicalType::DATE),
        ("tags", LogicalType::array(LogicalType::STRING)),
    ])
}

/// One of a few spellings of a value, right and wrong ones.
fn json_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|v| v.to_string()),
        (-1000i32..1000).prop_map(|v| v.to_string()),
        any::<f64>()
            .prop_filter("finite", |v| v.is_finite())
            .prop_map(|v| format!("{v}")),
        "[a-z\"\\\\é😀\u{1}]{0,12}".prop_map(|s| serde_json::Value::from(s).to_string()),
        Just("\"2024-05-01 10:20:30.123\"".to_owned()),
        Just("\"2024-05-01\"".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("[\"a\", null, 3]".to_owned()),
        Just("{\"x\": [1, {\"y\": 2}]}".to_owned()),
        Just("01".to_owned()),
        Just("1.".to_owned()),
        Just("\"open".to_owned()),
        Just("-".to_owned()),
    ]
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    let keys = prop::sample::subsequence(
        vec!["id", "k", "ts", "amount", "qty", "ok", "d", "tags", "more", "k"],
        0..=10,
    );
    (
        keys,
        prop::collection::vec(json_value(), 10),
        prop::sample::select(vec![",", ", ", " , "]),
        any::<bool>(),
    )
        .prop_map(|(keys, values, comma, cut)| {
            let fields: Vec<String> = keys
                .iter()
                .zip(&values)
                .map(|(k, v)| format!("\"{k}\":{v}"))
                .collect();
            let mut text = format!("{{{}}}", fields.join(comma)).into_bytes();
            if cut && text.len() > 40 {
                text.truncate(text.len() - 3);
            }
            text
        })
}

/// Records of one shape, as a producer writes them, with a stranger now and then.
fn stream() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let regular = (any::<i32>(), "[a-c]{0,3}", 0..1000u32, any::<bool>()).prop_map(|(id, k, qty, ok)| {
        format!(
            "{{\"id\": {id}, \"k\": \"{k}\", \"ts\": \"2024-05-01 10:20:{:02}.{:03}\", \"amount\": {}.5, \"qty\": {qty}, \
             \"ok\": {ok}, \"d\": \"2024-02-29\", \"tags\": null, \"note\": \"x\"}}",
            qty % 60, qty, qty
        )
        .into_bytes()
    });
    prop::collection::vec(prop_oneof![6 => regular, 1 => record()], 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn predicted_json_equals_general_json(messages in stream(), ignore in any::<bool>()) {
        let schema = event_schema();
        let parsed = JsonOptions::parse(&options(&[("ignore-parse-errors", if ignore { "true" } else { "false" })])).unwrap();
        let (data, ranges) = layout(&messages);
        let mut predicted = JsonDecoder::new(parsed.clone(), &schema).unwrap();
        let mut general = JsonDecoder::new(parsed, &schema).unwrap().general_only();
        // Twice, so that the second call starts with a learnt shape.
        for _ in 0..2 {
            match (predicted.decode(&data, &ranges), general.decode(&data, &ranges)) {
                (Ok(a), Ok(b)) => {
                    prop_assert_eq!(rows(&schema, &a), rows(&schema, &b));
                    prop_assert_eq!(a.messages, b.messages);
                }
                (a, b) => prop_assert_eq!(
                    a.map(|_| ()).map_err(|e| (e.message, e.to_string())),
                    b.map(|_| ()).map_err(|e| (e.message, e.to_string()))
                ),
            }
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8)) {
        let (data, ranges) = layout(&messages);
        let schema = event_schema();
        for format in ["json", "csv"] {
            let mut decoder = decoder(format, &Options::new(), &schema, &schema).unwrap();
            let _ = decoder.decode(&data, &ranges);
        }
    }
}

#[test]
fn a_projection_skips_columns_that_do_not_fit() {
    let schema = Schema::new([("a", LogicalType::INT)]);
    let rows = decode("json", &[], &schema, &[r#"{"b":"no number","a":7}"#]).unwrap();
    assert_eq!(rows, [[Scalar::Int(7)]]);
}

#[test]
fn json_conversions_follow_flink() {
    let schema = Schema::new([("v", LogicalType::STRING), ("n", LogicalType::INT)]);
    let cases = [
        (r#"{"v": 1.50, "n": "12"}"#, Ok(("1.50", 12))),
        (r#"{"v": {"a": [1, 2]}, "n": 3.9}"#, Ok((r#"{"a":[1,2]}"#, 3))),
        (r#"{"v": true, "n": -1} trailing"#, Ok(("true", -1))),
        (r#"{"v": "a", "n": 3000000000}"#, Err("out of range of INT")),
        (r#"{"v": "a", "n": "x"}"#, Err("Fail to deserialize at field: n")),
        ("", Err("No content to map due to end-of-input")),
        ("[1]", Err("a JSON object is expected")),
        (r#"{"v": "a",}"#, Err("unexpected character")),
    ];
    for (line, expected) in cases {
        match (decode("json", &[], &schema, &[line]), expected) {
            (Ok(rows), Ok((text, number))) => {
                assert_eq!(
                    rows,
                    [[Scalar::String(text.to_owned()), Scalar::Int(number)]],
                    "{line}"
                );
            }
            (Err(message), Err(part)) => assert!(message.contains(part), "{line}: {message}"),
            (found, _) => panic!("{line}: {found:?}"),
        }
    }
}

#[test]
fn an_array_of_objects_gives_a_row_each() {
    let schema = Schema::new([("a", LogicalType::INT)]);
    let rows = decode(
        "json",
        &[],
        &schema,
        &[r#"[{"a":1},{"a":2}]"#, "[]", r#"{"a":3}"#],
    )
    .unwrap();
    assert_eq!(rows, [[Scalar::Int(1)], [Scalar::Int(2)], [Scalar::Int(3)]]);
}

#[test]
fn csv_quotes_what_jackson_quotes() {
    let schema = Schema::new([("a", LogicalType::STRING), ("b", LogicalType::STRING)]);
    let types: Vec<LogicalType> = schema.types().cloned().collect();
    let cases = [
        ("x y", "plain", ",", "\"x y\",plain"),
        ("say \"hi\"", "", ",", "\"say \"\"hi\"\"\","),
        ("a|b", "c,d", "|", "\"a|b\"|\"c,d\""),
        ("x y", "a,b", "\\t", "\"x y\"\ta,b"),
    ];
    for (a, b, delimiter, expected) in cases {
        let column = |i: usize, text: &str| Scalar::String(text.to_owned()).to_array(&types[i], 1);
        let batch = Batch::inserts(vec![column(0, a), column(1, b)], 1);
        let mut out = Encoded::default();
        let mut encoder = encoder("csv", &options(&[("field-delimiter", delimiter)]), &schema).unwrap();
        encoder.encode(&batch, &mut out).unwrap();
        assert_eq!(String::from_utf8(out.data).unwrap(), expected);
    }
}

#[test]
fn csv_lines_of_the_wrong_length_are_named() {
    let schema = Schema::new([("id", LogicalType::INT), ("s", LogicalType::STRING)]);
    let error = |pairs: &[(&str, &str)], line| decode("csv", pairs, &schema, &[line]).unwrap_err();
    assert!(error(&[], "2").contains("2 fields expected but was 1"));
    assert!(error(&[("fail-on-missing-columns", "true")], "2").contains("Not enough column values"));
    assert!(error(&[], "1,a,b").contains("Too many entries: expected at most 2"));
    assert!(error(&[], ",a").contains("For input string: \"\""));
    assert!(decode("csv", &[], &schema, &["1,a,"]).is_ok());
    let kept = decode("csv", &[("ignore-parse-errors", "true")], &schema, &["x,a", "2"]).unwrap();
    assert_eq!(kept[0][0], Scalar::Null);
    assert_eq!(kept[1], [Scalar::Int(2), Scalar::Null]);
}

#[test]
fn json_rows_come_back() {
    let nested = LogicalType::row([
        ("x".to_owned(), LogicalType::INT),
        ("y".to_owned(), LogicalType::STRING),
    ]);
    let schema = Schema::new([
        ("r", nested.clone()),
        (
            "m",
            LogicalType::map(LogicalType::STRING, LogicalType::decimal(10, 2)),
        ),
        ("t", LogicalType::timestamp_ltz(9)),
        ("b", LogicalType::BYTES),
    ]);
    let row = vec![
        Scalar::Row(vec![Scalar::Int(1), Scalar::String("ä\"\n😀".to_owned())]),
        Scalar::Map(vec![(Scalar::String("k".to_owned()), Scalar::Decimal(150))]),
        Scalar::Timestamp(253_402_300_799_999_999_999),
        Scalar::Bytes(vec![0, 255, 16]),
    ];
    let columns = schema
        .columns
        .iter()
        .zip(&row)
        .map(|(c, v)| v.to_array(&c.ty, 1))
        .collect();
    let mut out = Encoded::default();
    encoder("json", &Options::new(), &schema)
        .unwrap()
        .encode(&Batch::inserts(columns, 1), &mut out)
        .unwrap();
    let text = String::from_utf8(out.data).unwrap();
    assert_eq!(
        text,
        r#"{"r":{"x":1,"y":"ä\"\n\uD83D\uDE00"},"m":{"k":1.5},"t":"9999-12-31 23:59:59.999999999Z","b":"AP8Q"}"#
    );
    assert_eq!(decode("json", &[], &schema, &[&text]).unwrap(), [row]);
}

#[test]
fn raw_reads_numbers_in_both_byte_orders() {
    let schema = Schema::new([("v", LogicalType::INT)]);
    let (data, ranges) = layout(&[vec![0, 0, 0, 1]]);
    for (order, expected) in [("big-endian", 1), ("little-endian", 16_777_216)] {
        let mut decoder = decoder("raw", &options(&[("endianness", order)]), &schema, &schema).unwrap();
        assert_eq!(
            rows(&schema, &decoder.decode(&data, &ranges).unwrap()),
            [[Scalar::Int(expected)]]
        );
    }
    let mut decoder = decoder("raw", &Options::new(), &schema, &schema).unwrap();
    let (short, range) = layout(&[vec![1, 2]]);
    let message = decoder.decode(&short, &range).unwrap_err().to_string();
    assert!(
        message.contains("Size of data received for deserializing INT type is not 4"),
        "{message}"
    );
}

#[test]
fn decoded_columns_have_the_declared_physical_types() {
    let schema = event_schema();
    let line = br#"{"id":1,"k":"a","ts":null,"amount":1,"qty":2,"ok":true,"d":null,"tags":[]}"#.to_vec();
    let (data, ranges) = layout(&[line]);
    let mut decoder = decoder("json", &Options::new(), &schema, &schema).unwrap();
    let decoded = decoder.decode(&data, &ranges).unwrap();
    let fields = schema.to_arrow().fields().clone();
    let columns: Vec<Arc<dyn Array>> = decoded.columns;
    assert!(StructArray::try_new(fields, columns, None).is_ok());
}

#[test]
fn debezium_messages_are_changes() {
    let schema = Schema::new([("id", LogicalType::INT)]);
    let types: Vec<LogicalType> = schema.types().cloned().collect();
    let lines = [
        r#"{"before": null, "after": {"id": 1}, "op": "c", "ts_ms": 5}"#,
        r#"{"op": "u", "before": {"id": 1}, "after": {"id": 2}}"#,
        r#"{"before": {"id": 2}, "after": null, "op": "d"}"#,
    ];
    let messages: Vec<Vec<u8>> = lines.iter().map(|l| l.as_bytes().to_vec()).collect();
    let (data, ranges) = layout(&messages);
    let mut reader = decoder("debezium-json", &Options::new(), &schema, &schema).unwrap();
    let decoded = reader.decode(&data, &ranges).unwrap();
    let kinds: Vec<&str> = decoded
        .kinds
        .as_ref()
        .unwrap()
        .iter()
        .map(|k| k.symbol())
        .collect();
    assert_eq!(kinds, ["+I", "-U", "+U", "-D"]);
    assert_eq!(decoded.messages.as_deref(), Some(&[0, 1, 1, 2][..]));
    let ids: Vec<Scalar> = (0..4)
        .map(|r| Scalar::from_array(&types[0], &decoded.columns[0], r))
        .collect();
    assert_eq!(
        ids,
        [Scalar::Int(1), Scalar::Int(1), Scalar::Int(2), Scalar::Int(2)]
    );
    let (broken, range) = layout(&[br#"{"after": {"id": 1}, "op": "x"}"#.to_vec()]);
    let message = reader.decode(&broken, &range).unwrap_err().to_string();
    assert!(
        message.contains("Corrupt Debezium JSON message") && message.contains("\"x\""),
        "{message}"
    );
    let mut out = Encoded::default();
    let batch = Batch {
        columns: decoded.columns,
        kinds: decoded.kinds.map(Into::into),
        rows: 4,
    }
    .slice(1, 1);
    encoder("debezium-json", &Options::new(), &schema)
        .unwrap()
        .encode(&batch, &mut out)
        .unwrap();
    assert_eq!(
        String::from_utf8(out.data).unwrap(),
        r#"{"before":{"id":1},"after":null,"op":"d"}"#
    );
}

/// The rows of messages with their kinds, and the metadata columns behind them, as text.
fn changes(
    format: &str,
    options: &Options,
    lines: &[&str],
    metadata: &[&str],
) -> Result<Vec<String>, String> {
    let schema = Schema::new([("id", LogicalType::INT), ("n", LogicalType::STRING)]);
    let messages: Vec<Vec<u8>> = lines.iter().map(|l| l.as_bytes().to_vec()).collect();
    let (data, ranges) = layout(&messages);
    let mut reader =
        decoder_with_metadata(format, options, &schema, &schema, metadata).expect("known columns");
    let decoded = reader.decode(&data, &ranges).map_err(|e| e.to_string())?;
    let kind = |row: usize| decoded.kinds.as_ref().map_or(RowKind::Insert, |kinds| kinds[row]);
    let text = |row: usize| {
        let id = Scalar::from_array(&LogicalType::INT, &decoded.columns[0], row);
        let others = decoded.columns[1..].iter();
        let others: Vec<String> = others
            .map(|column| text_at(column, row).unwrap_or_else(|| "-".to_owned()))
            .collect();
        let id = id.as_i64().map_or_else(|| "-".to_owned(), |id| id.to_string());
        format!("{} {id} {}", kind(row).symbol(), others.join(" "))
    };
    Ok((0..decoded.rows).map(text).collect())
}

/// Rows of a shape that was seen before are decoded by it. A decoder of a single message has seen none.
#[test]
fn rows_of_envelopes_mean_the_same_in_every_company() {
    let debezium = [
        r#"{"before":null,"after":{"id":1,"n":"a"},"op":"c"}"#,
        r#"{"before":{"id":1,"n":"a"},"after":{"id":2,"n":null},"op":"u"}"#,
        r#"{"before":null,"after":{"n":"b\u0041","id":3,"other":{"x":[1]}},"op":"c"}"#,
        r#"{"before":null,"after":{"id":4},"op":"c"}"#,
        r#"{"before":{"id":"5","n":7},"after":null,"op":"d"}"#,
        r#"{"before":null,"after":{"id":6,"n":"c","n":"d"},"op":"r"}"#,
    ];
    let canal = [
        r#"{"data":[{"id":1,"n":"a"},{"id":2,"n":"b"}],"old":null,"type":"INSERT"}"#,
        r#"{"data":[{"id":1,"n":"c"}],"old":[{"n":"a"}],"type":"UPDATE"}"#,
        r#"{"data":[{"id":2,"n":null}],"old":null,"type":"DELETE"}"#,
    ];
    for (format, lines) in [("debezium-json", &debezium[..]), ("canal-json", &canal)] {
        let decode = |lines: &[&str]| changes(format, &Options::new(), lines, &[]).unwrap();
        let alone: Vec<String> = lines.iter().flat_map(|line| decode(&[line])).collect();
        assert_eq!(decode(&lines.repeat(3)), [&alone[..]; 3].concat(), "{format}");
    }
}

/// A string, or a timestamp in milliseconds; `None` for NULL.
fn text_at(column: &arrow_array::ArrayRef, row: usize) -> Option<String> {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::TimestampMillisecondType;
    if column.is_null(row) {
        return None;
    }
    let text = column
        .as_string_view_opt()
        .map(|texts| texts.value(row).to_owned());
    text.or_else(|| {
        let times = column.as_primitive_opt::<TimestampMillisecondType>()?;
        Some(times.value(row).to_string())
    })
}

#[test]
fn canal_messages_have_several_rows_and_only_changed_old_fields() {
    let lines = [
        r#"{"data":[{"id":"1","n":"a"},{"id":"2","n":"b"}],"type":"INSERT","database":"d","es":7}"#,
        r#"{"data":[{"id":"1","n":"c"},{"id":"3","n":"b"}],"old":[{"n":"a"},{"id":"2"}],"type":"UPDATE"}"#,
        r#"{"data":null,"type":"CREATE","isDdl":true}"#,
        r#"{"data":[{"id":"3","n":null}],"type":"DELETE"}"#,
    ];
    let found = changes(
        "canal-json",
        &Options::new(),
        &lines,
        &["database", "event-timestamp"],
    )
    .unwrap();
    // A name that occurs anywhere in "old" counts as changed, as in Flink.
    let expected = [
        "+I 1 a d 7",
        "+I 2 b d 7",
        "-U - a - -",
        "+U 1 c - -",
        "-U 2 - - -",
        "+U 3 b - -",
        "-D 3 - - -",
    ];
    assert_eq!(found, expected);
    let only = Options::from([("database.include".to_owned(), "x|d".to_owned())]);
    assert_eq!(
        changes("canal-json", &only, &lines, &[]).unwrap(),
        ["+I 1 a", "+I 2 b"]
    );
    let error = changes(
        "canal-json",
        &Options::new(),
        &[r#"{"data":[],"type":"TRUNC"}"#],
        &[],
    )
    .unwrap_err();
    assert!(error.contains("Unknown \"type\" value \"TRUNC\""), "{error}");
}

#[test]
fn maxwell_and_ogg_messages_are_changes() {
    let maxwell = [
        r#"{"data":{"id":1,"n":"a"},"type":"insert","ts":2}"#,
        r#"{"data":{"id":1,"n":"b"},"old":{"n":"a"},"type":"update"}"#,
        r#"{"data":{"id":1,"n":"b"},"type":"delete"}"#,
    ];
    let found = changes(
        "maxwell-json",
        &Options::new(),
        &maxwell,
        &["ingestion-timestamp"],
    )
    .unwrap();
    assert_eq!(found, ["+I 1 a 2000", "-U 1 a -", "+U 1 b -", "-D 1 b -"]);
    let ogg = [
        r#"{"table":"T","op_type":"I","after":{"id":1,"n":"a"},"op_ts":"1970-01-01 00:00:01.5"}"#,
        r#"{"op_type":"U","before":{"id":1,"n":"a"},"after":{"id":1,"n":"b"}}"#,
        r#"{"op_type":"D","before":{"id":1,"n":"b"},"after":{}}"#,
    ];
    let found = changes("ogg-json", &Options::new(), &ogg, &["table", "event-timestamp"]).unwrap();
    assert_eq!(found, ["+I 1 a T 1500", "-U 1 a - -", "+U 1 b - -", "-D 1 b - -"]);
    let skipping = Options::from([("ignore-parse-errors".to_owned(), "true".to_owned())]);
    let broken = ["{", r#"{"op_type":"U","after":{"id":1}}"#, ogg[0]];
    assert_eq!(changes("ogg-json", &skipping, &broken, &[]).unwrap(), ["+I 1 a"]);
    assert!(
        changes("ogg-json", &Options::new(), &broken[1..], &[])
            .unwrap_err()
            .contains("\"before\"")
    );
}
