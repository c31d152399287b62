//! Casts as recorded from Flink.

use std::sync::Arc;

use jiff::tz::TimeZone;
use millstream_types::{LogicalType, Scalar, SeededRng, TypeKind};

use super::*;
use crate::display::{NULL_TEXT, Printer, Style};

fn environment() -> Environment {
    Environment {
        zone: TimeZone::UTC,
        zone_name: "UTC".into(),
        now_ms: 0,
        watermark_ms: None,
        rng: Arc::new(SeededRng::new(1)),
        legacy_cast: false,
        current_database: "default_database".into(),
        streaming: true,
    }
}

fn text(value: &str) -> Scalar {
    Scalar::String(value.to_owned())
}

fn try_text(from: &LogicalType, value: Scalar, to: &LogicalType) -> String {
    let env = environment();
    let array = value.to_array(from, 1);
    let converted = cast(&array, from, to, true, &env).expect("an allowed cast");
    assert_eq!(converted.data_type(), &arrow_type(to), "{from} to {to}");
    Printer::new(to, Style::Client)
        .value(&converted, 0, &env.zone)
        .unwrap_or_else(|| NULL_TEXT.to_owned())
}

fn check(from: &LogicalType, to: &LogicalType, cases: &[(Scalar, &str)]) {
    for (value, expected) in cases {
        assert_eq!(
            try_text(from, value.clone(), to),
            *expected,
            "{value:?} from {from} to {to}"
        );
    }
}

fn check_texts(to: &LogicalType, cases: &[(&str, &str)]) {
    for (value, expected) in cases {
        assert_eq!(
            try_text(&LogicalType::STRING, text(value), to),
            *expected,
            "'{value}' to {to}"
        );
    }
}

fn failure(value: &str, to: &LogicalType) -> String {
    let array = text(value).to_array(&LogicalType::STRING, 1);
    cast(&array, &LogicalType::STRING, to, false, &environment())
        .expect_err(value)
        .to_string()
}

#[test]
fn strings_to_booleans() {
    let yes = ["true", "TRUE", "t", "yes", "Y", "1"];
    let no = ["false", "F", "no", "n", "0"];
    yes.iter()
        .for_each(|value| check_texts(&LogicalType::BOOLEAN, &[(value, "TRUE")]));
    no.iter()
        .for_each(|value| check_texts(&LogicalType::BOOLEAN, &[(value, "FALSE")]));
    for value in ["on", "off", "", "maybe", " true ", "2"] {
        check_texts(&LogicalType::BOOLEAN, &[(value, "NULL")]);
    }
    assert!(failure("maybe", &LogicalType::BOOLEAN).contains("cannot parse 'maybe' as BOOLEAN"));
}

#[test]
fn strings_to_integers() {
    let int = [
        (" 12 ", "12"),
        ("1.9", "1"),
        ("+3", "3"),
        ("-2147483648", "-2147483648"),
        ("2147483648", "NULL"),
    ];
    check_texts(&LogicalType::INT, &int);
    check_texts(
        &LogicalType::INT,
        &[
            ("", "NULL"),
            ("-", "NULL"),
            ("1.x", "NULL"),
            ("1e3", "NULL"),
            (".5", "0"),
        ],
    );
    check_texts(&LogicalType::TINYINT, &[("127", "127"), ("128", "NULL")]);
    check_texts(
        &LogicalType::BIGINT,
        &[
            ("9223372036854775808", "NULL"),
            ("-9223372036854775808", "-9223372036854775808"),
        ],
    );
    assert!(failure("abc", &LogicalType::INT).contains("for input string: 'abc'. invalid character found"));
}

#[test]
fn strings_to_approximate_and_exact_numbers() {
    check_texts(
        &LogicalType::DOUBLE,
        &[
            ("0x1p3", "8.0"),
            ("1.5f", "1.5"),
            (" 1e39 ", "1.0E39"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
            ("inf", "NULL"),
            ("1_0", "NULL"),
            ("", "NULL"),
        ],
    );
    check_texts(&LogicalType::FLOAT, &[("1e39", "Infinity"), ("0.1", "0.1")]);
    let decimal = LogicalType::decimal(5, 2);
    check_texts(
        &decimal,
        &[
            ("42", "42.00"),
            ("1.005", "1.01"),
            ("-1.005", "-1.01"),
            ("1e2", "100.00"),
            ("999.995", "NULL"),
            ("2024-01-01", "NULL"),
            (".5", "0.50"),
            ("1e-400", "0.00"),
            (".", "NULL"),
        ],
    );
    let wide = LogicalType::decimal(38, 0);
    let nines = "99999999999999999999999999999999999999";
    check_texts(
        &wide,
        &[
            (nines, nines),
            ("99999999999999999999999999999999999999.5", "NULL"),
        ],
    );
    assert!(failure("1000", &decimal).contains("overflow"));
}

#[test]
fn strings_to_points_in_time() {
    check_texts(
        &LogicalType::DATE,
        &[
            ("2024", "2024-01-01"),
            ("42", "0042-01-01"),
            ("2024-2", "2024-02-01"),
            ("2024-02-30", "NULL"),
            ("2024-1-5 x", "2024-01-05"),
            ("abc", "NULL"),
            ("", "NULL"),
        ],
    );
    check_texts(
        &LogicalType::time(3),
        &[
            ("12:34:56.789", "12:34:56.789"),
            ("12", "12:00:00.0"),
            ("x", "NULL"),
            ("12:00:00+02:00", "14:00:00.0"),
        ],
    );
    let timestamp = LogicalType::timestamp(3);
    check_texts(
        &timestamp,
        &[
            ("2024-02-29 12:34:56.789123", "2024-02-29 12:34:56.789"),
            ("2024-1-5", "2024-01-05 00:00:00.000"),
            ("2023-12-31 24:00:00", "2024-01-01 00:00:00.000"),
            ("2023-02-29 12:00:00", "2023-02-28 12:00:00.000"),
            ("2024-01-01T00:00:00", "NULL"),
            ("2024-01-01 12:00", "NULL"),
            (" 2024-01-01", "NULL"),
            ("2024-13-01", "NULL"),
        ],
    );
    let mut env = environment();
    env.zone = TimeZone::get("Asia/Shanghai").expect("a bundled zone");
    let array = text("1970-01-01 08:00:00").to_array(&LogicalType::STRING, 1);
    let ltz = LogicalType::timestamp_ltz(3);
    let instant = cast(&array, &LogicalType::STRING, &ltz, false, &env).expect("a timestamp");
    assert_eq!(Scalar::from_array(&ltz, &instant, 0), Scalar::Timestamp(0));
    assert!(failure("2024-01-01T00", &timestamp).contains("2024-01-01T00"));
}

#[test]
fn floats_convert_as_in_java() {
    let double = |v: f64| Scalar::Double(v);
    check(
        &LogicalType::DOUBLE,
        &LogicalType::TINYINT,
        &[
            (double(300.7), "44"),
            (double(1e38), "-1"),
            (double(-1e19), "0"),
            (double(f64::NAN), "0"),
        ],
    );
    check(
        &LogicalType::DOUBLE,
        &LogicalType::INT,
        &[
            (double(3e9), "2147483647"),
            (double(f64::NEG_INFINITY), "-2147483648"),
            (double(-1.5), "-1"),
        ],
    );
    check(
        &LogicalType::DOUBLE,
        &LogicalType::BIGINT,
        &[(double(3e9), "3000000000"), (double(1e19), "9223372036854775807")],
    );
    check(
        &LogicalType::DOUBLE,
        &LogicalType::decimal(5, 2),
        &[
            (double(123.456), "123.46"),
            (double(3e9), "NULL"),
            (double(-1.5), "-1.50"),
        ],
    );
    check(
        &LogicalType::FLOAT,
        &LogicalType::decimal(10, 5),
        &[(Scalar::Float(300.7), "300.70001")],
    );
    check(
        &LogicalType::DOUBLE,
        &LogicalType::BOOLEAN,
        &[
            (double(1e-300), "TRUE"),
            (double(0.0), "FALSE"),
            (double(f64::NAN), "TRUE"),
        ],
    );
    let array = double(f64::NAN).to_array(&LogicalType::DOUBLE, 1);
    let error = cast(
        &array,
        &LogicalType::DOUBLE,
        &LogicalType::decimal(10, 2),
        false,
        &environment(),
    );
    assert!(error.expect_err("NaN").to_string().contains("NaN"));
}

#[test]
fn decimals_round_half_up_and_overflow_to_null() {
    let (from, value) = (LogicalType::decimal(12, 4), |v: i128| Scalar::Decimal(v));
    check(
        &from,
        &LogicalType::decimal(12, 2),
        &[
            (value(10_050), "1.01"),
            (value(-24_450), "-2.45"),
            (value(999_999_999_999), "100000000.00"),
        ],
    );
    check(
        &from,
        &LogicalType::decimal(2, 2),
        &[(value(10_000), "NULL"), (value(4_999), "0.50")],
    );
    check(
        &from,
        &LogicalType::decimal(20, 10),
        &[(value(-24_450), "-2.4450000000")],
    );
    check(
        &from,
        &LogicalType::TINYINT,
        &[
            (value(1_280_000), "-128"),
            (value(999_999_999_999), "-1"),
            (value(-15_000), "-1"),
        ],
    );
    check(
        &from,
        &LogicalType::DOUBLE,
        &[
            (value(10_050), "1.005"),
            (value(999_999_999_999), "9.99999999999E7"),
        ],
    );
    check(
        &LogicalType::BOOLEAN,
        &LogicalType::decimal(3, 1),
        &[(Scalar::Boolean(true), "1.0")],
    );
    check(
        &LogicalType::BIGINT,
        &LogicalType::decimal(3, 1),
        &[(Scalar::BigInt(99), "99.0"), (Scalar::BigInt(100), "NULL")],
    );
    check(
        &LogicalType::BIGINT,
        &LogicalType::INT,
        &[(Scalar::BigInt(1 << 32 | 7), "7")],
    );
}

#[test]
fn lengths_are_cut_and_padded() {
    let char = |n| LogicalType::new(TypeKind::Char(n));
    let varchar = |n| LogicalType::new(TypeKind::Varchar(n));
    check_texts(
        &char(4),
        &[
            ("ab", "ab  "),
            ("abcdef", "abcd"),
            ("日本語テキス", "日本語テ"),
            ("", "    "),
        ],
    );
    check_texts(&varchar(4), &[("ab   ", "ab  "), ("日本語テキス", "日本語テ")]);
    check_texts(&varchar(0), &[("a", "")]);
    check(&LogicalType::BOOLEAN, &char(3), &[(Scalar::Boolean(true), "TRU")]);
    check(&LogicalType::INT, &char(5), &[(Scalar::Int(12), "12   ")]);
    let bytes = |b: &[u8]| Scalar::Bytes(b.to_vec());
    let binary = LogicalType::new(TypeKind::Binary(4));
    check(
        &LogicalType::BYTES,
        &binary,
        &[(bytes(b"hi"), "x'68690000'"), (bytes(b"hijkl"), "x'68696a6b'")],
    );
    check(
        &LogicalType::BYTES,
        &LogicalType::new(TypeKind::Varbinary(2)),
        &[(bytes(b"hij"), "x'6869'")],
    );
    check(&LogicalType::BYTES, &char(4), &[(bytes(b"hi"), "hi  ")]);
    check(
        &LogicalType::BYTES,
        &LogicalType::STRING,
        &[(bytes(&[0xff, 0x41]), "\u{FFFD}A")],
    );
    check_texts(&LogicalType::BYTES, &[("hé", "x'68c3a9'")]);
}

#[test]
fn timestamps_change_precision_zone_and_kind() {
    let nanos = Scalar::Timestamp(1_709_210_096_123_456_789);
    let from = LogicalType::timestamp(9);
    for (precision, expected) in [
        (0, "12:34:56"),
        (1, "12:34:56.1"),
        (4, "12:34:56.1234"),
        (6, "12:34:56.123456"),
    ] {
        check(
            &from,
            &LogicalType::timestamp(precision),
            &[(nanos.clone(), &format!("2024-02-29 {expected}"))],
        );
        check(
            &from,
            &LogicalType::timestamp_ltz(precision),
            &[(nanos.clone(), &format!("2024-02-29 {expected}"))],
        );
    }
    check(
        &from,
        &LogicalType::DATE,
        &[
            (nanos.clone(), "2024-02-29"),
            (Scalar::Timestamp(-1), "1969-12-31"),
        ],
    );
    check(&from, &LogicalType::time(0), &[(nanos.clone(), "12:34:56")]);
    check(&from, &LogicalType::time(3), &[(nanos.clone(), "12:34:56.123")]);
    check(
        &LogicalType::timestamp(3),
        &LogicalType::timestamp(9),
        &[(Scalar::Timestamp(5_000_000), "1970-01-01 00:00:00.005000000")],
    );
    check(
        &LogicalType::timestamp(3),
        &LogicalType::timestamp(6),
        &[(Scalar::Timestamp(-5_000_000), "1969-12-31 23:59:59.995000")],
    );
    check(
        &LogicalType::DATE,
        &LogicalType::timestamp(6),
        &[(Scalar::Date(-1), "1969-12-31 00:00:00.000000")],
    );
    let mut env = environment();
    env.zone = TimeZone::get("Asia/Shanghai").expect("a bundled zone");
    let (local, instant) = (LogicalType::timestamp(3), LogicalType::timestamp_ltz(3));
    let midnight = Scalar::Timestamp(0).to_array(&instant, 1);
    let wall_clock = cast(&midnight, &instant, &local, false, &env).expect("a cast");
    assert_eq!(
        Scalar::from_array(&local, &wall_clock, 0),
        Scalar::Timestamp(8 * 3_600_000_000_000)
    );
    let back = cast(&wall_clock, &local, &instant, false, &env).expect("a cast");
    assert_eq!(Scalar::from_array(&instant, &back, 0), Scalar::Timestamp(0));
}

#[test]
fn nested_values_convert_part_by_part() {
    let (texts, ints) = (
        LogicalType::array(LogicalType::STRING),
        LogicalType::array(LogicalType::INT),
    );
    let list = |values: &[&str]| Scalar::Array(values.iter().map(|v| text(v)).collect());
    check(
        &texts,
        &ints,
        &[
            (list(&["1", "2"]), "[1, 2]"),
            (list(&["1", "x"]), "NULL"),
            (Scalar::Null, "NULL"),
        ],
    );
    check(
        &ints,
        &LogicalType::STRING,
        &[(Scalar::Array(vec![Scalar::Int(1), Scalar::Null]), "[1, NULL]")],
    );
    let row = |a: LogicalType, b: LogicalType| LogicalType::row([("a".to_owned(), a), ("b".to_owned(), b)]);
    let from = row(LogicalType::INT, texts.clone());
    let to = row(LogicalType::BIGINT, ints.clone());
    check(
        &from,
        &to,
        &[(Scalar::Row(vec![Scalar::Int(1), list(&["7"])]), "(1, [7])")],
    );
    let map = |v: LogicalType| LogicalType::map(LogicalType::STRING, v);
    let entry = Scalar::Map(vec![(text("k"), Scalar::Int(1))]);
    check(
        &map(LogicalType::INT),
        &map(LogicalType::DOUBLE),
        &[(entry, "{k=1.0}")],
    );
    let rows = scalars(
        &texts,
        &[list(&["1"]), Scalar::Null, list(&["2", "x"]), list(&["3"])],
    );
    let sliced = rows.slice(1, 3);
    let converted = cast(&sliced, &texts, &ints, true, &environment()).expect("TRY_CAST does not fail");
    let shown: Vec<Scalar> = (0..3).map(|i| Scalar::from_array(&ints, &converted, i)).collect();
    assert_eq!(
        shown,
        [Scalar::Null, Scalar::Null, Scalar::Array(vec![Scalar::Int(3)])]
    );
}

fn scalars(ty: &LogicalType, values: &[Scalar]) -> ArrayRef {
    millstream_types::scalars_to_array(ty, values.iter())
}

#[test]
fn legacy_casts_are_lenient() {
    let mut env = environment();
    env.legacy_cast = true;
    let show = |from: &LogicalType, value: Scalar, to: &LogicalType| {
        let converted =
            cast(&value.to_array(from, 1), from, to, false, &env).expect("legacy casts do not fail");
        Printer::new(to, Style::Client)
            .value(&converted, 0, &env.zone)
            .unwrap_or_else(|| NULL_TEXT.to_owned())
    };
    assert_eq!(show(&LogicalType::STRING, text("abc"), &LogicalType::INT), "NULL");
    let char = LogicalType::new(TypeKind::Char(3));
    assert_eq!(
        show(&LogicalType::STRING, text("2024-01-01"), &char),
        "2024-01-01"
    );
    assert_eq!(
        show(&LogicalType::BOOLEAN, Scalar::Boolean(true), &LogicalType::STRING),
        "true"
    );
    let row = LogicalType::row([
        ("a".to_owned(), LogicalType::INT),
        ("b".to_owned(), LogicalType::STRING),
    ]);
    assert_eq!(
        show(
            &row,
            Scalar::Row(vec![Scalar::Int(1), text("a")]),
            &LogicalType::STRING
        ),
        "(1,a)"
    );
}
