//! The predicted JSON decoder against the general one on nested events of several shapes.

use millstream_formats::Decoder;
use millstream_formats::json::{JsonDecoder, JsonOptions};
use millstream_types::{LogicalType, Schema};
use proptest::prelude::*;

use crate::{layout, options, rows};

fn row<const N: usize>(fields: [(&str, LogicalType); N]) -> LogicalType {
    LogicalType::row(fields.map(|(name, ty)| (name.to_owned(), ty)))
}

fn schema() -> Schema {
    let address = row([("city", LogicalType::STRING), ("zip", LogicalType::INT)]);
    let item = row([("a", LogicalType::INT), ("b", LogicalType::STRING)]);
    let person = row([
        ("id", LogicalType::BIGINT),
        ("name", LogicalType::STRING),
        ("address", address),
    ]);
    let bid = row([
        ("price", LogicalType::BIGINT),
        ("rate", LogicalType::decimal(10, 2)),
        ("at", LogicalType::timestamp(3)),
        ("precise", LogicalType::timestamp(6)),
        ("items", LogicalType::array(item)),
        ("labels", LogicalType::map(LogicalType::STRING, LogicalType::INT)),
    ]);
    Schema::new([
        ("kind", LogicalType::INT),
        ("person", person),
        ("bid", bid),
        ("score", LogicalType::DOUBLE),
    ])
}

/// One field of [`schema`].
fn narrow_schema() -> Schema {
    Schema::new([("bid", row([("price", LogicalType::BIGINT)]))])
}

/// An object of some of the members, in their order or reversed, with one kind of white space.
fn object(members: Vec<(&'static str, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    let (keys, values): (Vec<&str>, Vec<BoxedStrategy<String>>) = members.into_iter().unzip();
    let present = prop::collection::vec(prop::bool::weighted(0.9), keys.len());
    let style = (
        prop::bool::weighted(0.05),
        prop::sample::select(vec![",", ",", ",", ", "]),
    );
    (values, present, style)
        .prop_map(move |(values, present, (reversed, comma))| {
            let mut texts: Vec<String> = keys
                .iter()
                .zip(values)
                .zip(present)
                .filter(|(_, present)| *present)
                .map(|((key, value), _)| format!("\"{key}\":{value}"))
                .collect();
            if reversed {
                texts.reverse();
            }
            format!("{{{}}}", texts.join(comma))
        })
        .boxed()
}

/// The value, with NULL, a value of another kind or broken text now and then.
fn mostly(value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    let odd = prop::sample::select(vec![
        "7",
        "-0",
        "\"7\"",
        "1.5",
        "true",
        "{}",
        "{\"x\":[1,2]}",
        "[]",
        "[{\"a\":1},null]",
        "\"a\\nb\"",
        "12345678901234567890",
        "01",
        "\"open",
        "nul",
    ]);
    prop_oneof![
        60 => value,
        6 => Just("null".to_owned()),
        1 => odd.prop_map(str::to_owned),
    ]
    .boxed()
}

fn number() -> BoxedStrategy<String> {
    mostly(any::<i32>().prop_map(|value| value.to_string()))
}

fn text() -> BoxedStrategy<String> {
    mostly("[a-zé\\\\\"]{0,40}".prop_map(|text| serde_json::Value::from(text).to_string()))
}

fn time() -> BoxedStrategy<String> {
    mostly((0..60, 0..1000).prop_map(|(s, ms)| format!("\"2024-02-29 23:59:{s:02}.{ms:03}\"")))
}

fn event() -> BoxedStrategy<String> {
    let address = object(vec![("city", text()), ("zip", number())]);
    let person = object(vec![
        ("id", number()),
        ("name", text()),
        ("address", mostly(address)),
        ("more", text()),
    ]);
    let item = object(vec![("a", number()), ("b", text())]);
    let items = prop::collection::vec(mostly(item), 0..3).prop_map(|items| format!("[{}]", items.join(",")));
    let bid = object(vec![
        ("price", number()),
        (
            "rate",
            mostly((0..10_000).prop_map(|v| format!("{}.{:02}", v / 100, v % 100))),
        ),
        ("at", time()),
        ("precise", time()),
        ("unread", object(vec![("x", number()), ("y", text())])),
        ("items", mostly(items)),
        ("labels", mostly(object(vec![("p", number()), ("q", number())]))),
    ]);
    let person_event = object(vec![
        ("kind", Just("0".to_owned()).boxed()),
        ("person", person),
        ("bid", Just("null".to_owned()).boxed()),
        ("score", mostly(any::<i16>().prop_map(|v| format!("{v}.25")))),
    ]);
    let bid_event = object(vec![
        ("kind", number()),
        ("person", Just("null".to_owned()).boxed()),
        ("bid", bid),
        (
            "person",
            prop::sample::select(vec!["null", "{\"id\":1}"])
                .prop_map(str::to_owned)
                .boxed(),
        ),
    ]);
    prop_oneof![person_event, bid_event].boxed()
}

fn json_options(ignore_errors: bool) -> JsonOptions {
    let pairs: &[(&str, &str)] = if ignore_errors {
        &[("ignore-parse-errors", "true")]
    } else {
        &[]
    };
    JsonOptions::parse(&options(pairs)).expect("valid options")
}

/// Decodes with both, twice, so that the second call begins with learnt shapes.
fn compare(schema: &Schema, messages: &[Vec<u8>], ignore_errors: bool) -> Result<(), TestCaseError> {
    let (data, ranges) = layout(messages);
    let mut predicted = JsonDecoder::new(json_options(ignore_errors), schema).expect("a decoder");
    let mut general = JsonDecoder::new(json_options(ignore_errors), schema)
        .expect("a decoder")
        .general_only();
    for _ in 0..2 {
        match (predicted.decode(&data, &ranges), general.decode(&data, &ranges)) {
            (Ok(a), Ok(b)) => {
                prop_assert_eq!(rows(schema, &a), rows(schema, &b));
                prop_assert_eq!(a.messages, b.messages);
            }
            (a, b) => prop_assert_eq!(
                a.map(|_| ()).map_err(|e| (e.message, e.to_string())),
                b.map(|_| ()).map_err(|e| (e.message, e.to_string()))
            ),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn nested_events_decode_as_the_general_decoder_does(
        events in prop::collection::vec(event(), 1..40),
        ignore in prop::bool::weighted(0.8),
    ) {
        let messages: Vec<Vec<u8>> = events.into_iter().map(String::into_bytes).collect();
        compare(&schema(), &messages, ignore)?;
    }

    #[test]
    fn damaged_events_decode_as_the_general_decoder_does(
        events in prop::collection::vec(event(), 1..20),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 20),
    ) {
        let mut messages: Vec<Vec<u8>> = Vec::new();
        for (event, (place, byte)) in events.iter().zip(damage) {
            let mut damaged = event.clone().into_bytes();
            let place = place.index(damaged.len());
            damaged[place] = byte;
            let trailing = [event.as_bytes(), &[byte]].concat();
            messages.extend([event.clone().into_bytes(), event.clone().into_bytes(), damaged, trailing]);
        }
        compare(&schema(), &messages, true)?;
        compare(&narrow_schema(), &messages, true)?;
    }

    #[test]
    fn narrowed_rows_hold_what_whole_rows_hold(events in prop::collection::vec(event(), 1..30)) {
        let messages: Vec<Vec<u8>> = events.into_iter().map(String::into_bytes).collect();
        compare(&narrow_schema(), &messages, true)?;
    }
}

#[test]
fn a_failed_record_leaves_nothing_in_nested_columns() {
    let pair = row([
        ("a", LogicalType::INT),
        ("b", LogicalType::array(LogicalType::INT)),
    ]);
    let schema = Schema::new([("r", pair)]);
    let broken: &[u8] = br#"{"r":{"a":1,"b":[1,2,BROKEN"#;
    let messages = vec![
        broken.to_vec(),
        br#"{"r":{"b":[3]}}"#.to_vec(),
        br#"{"r":{}}"#.to_vec(),
    ];
    let (data, ranges) = layout(&messages);
    let mut decoder = JsonDecoder::new(json_options(true), &schema).unwrap();
    let decoded = decoder.decode(&data, &ranges).unwrap();
    let shown: Vec<String> = rows(&schema, &decoded)
        .iter()
        .map(|row| format!("{:?}", row[0]))
        .collect();
    assert_eq!(decoded.messages, Some(vec![1, 2]));
    assert!(
        !shown.iter().any(|row| row.contains('1') || row.contains('2')),
        "{shown:?}"
    );
}

#[test]
fn keys_that_are_data_do_not_stop_the_decoder() {
    let schema = Schema::new([("id", LogicalType::BIGINT)]);
    let messages: Vec<Vec<u8>> = (0..3000)
        .map(|i| format!("{{\"key-{i}\":{{\"k{i}\":1}},\"id\":{i}}}").into_bytes())
        .collect();
    compare(&schema, &messages, false).unwrap();
}

#[test]
fn rows_below_the_depth_limit_are_read_and_deeper_ones_refused() {
    let schema = Schema::new([("id", LogicalType::BIGINT)]);
    let nested = |depth: usize| {
        let text = format!("{{\"x\":{}{},\"id\":1}}", "[".repeat(depth), "]".repeat(depth));
        text.into_bytes()
    };
    let limit = millstream_types::limits::NESTING_DEPTH_MAX;
    for depth in [1, limit - 1, limit, limit + 1] {
        compare(&schema, &[nested(1), nested(depth), nested(depth)], false).unwrap();
        let mut decoder = JsonDecoder::new(json_options(false), &schema).unwrap();
        let (data, ranges) = layout(&[nested(1), nested(depth)]);
        assert_eq!(decoder.decode(&data, &ranges).is_ok(), depth < limit, "{depth}");
    }
}

/// A value of a known shape is checked for UTF-8 by itself, whether a column reads it or not.
#[test]
fn invalid_utf8_is_found_in_records_of_known_shapes() {
    let schema = Schema::new([("id", LogicalType::BIGINT), ("name", LogicalType::STRING)]);
    let record = |name: &[u8], more: &[u8]| {
        let parts: [&[u8]; 5] = [b"{\"id\":1,\"name\":", name, b",\"more\":", more, b"}"];
        parts.concat()
    };
    let long = [b"\"".as_slice(), &[b'x'; 40], b"\xC3\""].concat();
    let bad: [&[u8]; 4] = [b"\"\xFF\"", &long, b"\"\\n\xC3\"", b"[\"\xE2\x82\"]"];
    let good = record("\"é\"".as_bytes(), "\"€\"".as_bytes());
    for value in bad {
        for damaged in [
            record(value, b"\"\""),
            record(b"\"\"", value),
            [&good, value].concat(),
        ] {
            let messages = [good.clone(), good.clone(), damaged, good.clone()];
            compare(&schema, &messages, true).unwrap();
            let (data, ranges) = layout(&messages);
            let mut decoder = JsonDecoder::new(json_options(true), &schema).unwrap();
            assert_eq!(
                decoder.decode(&data, &ranges).unwrap().messages,
                Some(vec![0, 1, 3])
            );
        }
    }
}
