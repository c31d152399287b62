//! Texts as recorded from Flink.

use millstream_types::{LogicalType, Scalar, TypeKind};

use super::*;

fn printed(ty: &LogicalType, value: Scalar, style: Style) -> String {
    let array = value.to_array(ty, 1);
    let printer = Printer::new(ty, style);
    let single = printer
        .value(&array, 0, &TimeZone::UTC)
        .unwrap_or_else(|| NULL_TEXT.to_owned());
    let column = printer.column(&array, &TimeZone::UTC);
    if !column.is_null(0) {
        assert_eq!(
            column.as_string_view().value(0),
            single,
            "one value and a column print alike"
        );
    }
    single
}

#[test]
fn doubles_print_as_in_java() {
    let cases = [
        (1.0, "1.0"),
        (9_999_999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (12_345_678.9, "1.23456789E7"),
        (0.001, "0.001"),
        (0.0009999, "9.999E-4"),
        (2e-3, "0.002"),
        (100.0, "100.0"),
        (1e21, "1.0E21"),
        (5e-324, "4.9E-324"),
        (-5e-324, "-4.9E-324"),
        (9_007_199_254_740_993.0, "9.007199254740992E15"),
        (0.1 + 0.2, "0.30000000000000004"),
        (f64::MAX, "1.7976931348623157E308"),
        (1e-7, "1.0E-7"),
        (-1.5, "-1.5"),
        (-0.0, "-0.0"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
        (123_456.0, "123456.0"),
        (0.25, "0.25"),
    ];
    for (value, expected) in cases {
        assert_eq!(
            printed(&LogicalType::DOUBLE, Scalar::Double(value), Style::Cast),
            expected
        );
    }
    let floats = [
        (16_777_216.0, "1.6777216E7"),
        (1e-45, "1.4E-45"),
        (0.1, "0.1"),
        (12_345_678.9, "1.2345679E7"),
    ];
    for (value, expected) in floats {
        assert_eq!(
            printed(&LogicalType::FLOAT, Scalar::Float(value), Style::Cast),
            expected
        );
    }
}

#[test]
fn temporal_values_print_with_their_precision() {
    let nanos = 1_709_210_096_123_456_789;
    let cases = [
        (LogicalType::DATE, Scalar::Date(-1), "1969-12-31"),
        (LogicalType::DATE, Scalar::Date(-719_162), "0001-01-01"),
        (LogicalType::time(0), Scalar::Time(45_296_000), "12:34:56"),
        (LogicalType::time(3), Scalar::Time(45_296_000), "12:34:56.0"),
        (LogicalType::time(3), Scalar::Time(45_296_789), "12:34:56.789"),
        (LogicalType::time(3), Scalar::Time(100), "00:00:00.1"),
        (
            LogicalType::timestamp(0),
            Scalar::Timestamp(0),
            "1970-01-01 00:00:00",
        ),
        (
            LogicalType::timestamp(1),
            Scalar::Timestamp(nanos),
            "2024-02-29 12:34:56.1",
        ),
        (
            LogicalType::timestamp(4),
            Scalar::Timestamp(nanos),
            "2024-02-29 12:34:56.1234",
        ),
        (
            LogicalType::timestamp(9),
            Scalar::Timestamp(nanos),
            "2024-02-29 12:34:56.123456789",
        ),
        (
            LogicalType::timestamp(3),
            Scalar::Timestamp(-1_000_000),
            "1969-12-31 23:59:59.999",
        ),
        (interval_months(), Scalar::IntervalYearMonth(27), "+2-03"),
        (interval_months(), Scalar::IntervalYearMonth(-27), "-2-03"),
        (
            interval_millis(),
            Scalar::IntervalDayTime(93_784_567),
            "+1 02:03:04.567",
        ),
        (
            interval_millis(),
            Scalar::IntervalDayTime(-5_000),
            "-0 00:00:05.000",
        ),
    ];
    for (ty, value, expected) in cases {
        assert_eq!(printed(&ty, value, Style::Client), expected, "{ty}");
    }
}

#[test]
fn local_timestamps_print_in_the_session_zone() {
    let ty = LogicalType::timestamp_ltz(3);
    let array = Scalar::Timestamp(0).to_array(&ty, 1);
    let zone = TimeZone::get("Asia/Shanghai").expect("a bundled zone");
    let text = Printer::new(&ty, Style::Client).value(&array, 0, &zone);
    assert_eq!(text.as_deref(), Some("1970-01-01 08:00:00.000"));
}

#[test]
fn a_column_prints_as_its_values_do() {
    let zone = TimeZone::get("Europe/Berlin").expect("a bundled zone");
    for precision in [0, 3, 6, 9] {
        for ty in [
            LogicalType::timestamp(precision),
            LogicalType::timestamp_ltz(precision),
        ] {
            let hour = |h: i128| Scalar::Timestamp(h * 3_600_000_000_000 + 123_456_789);
            let values: Vec<Scalar> = (-9000..9000)
                .step_by(37)
                .map(hour)
                .chain([Scalar::Null])
                .collect();
            let array = millstream_types::scalars_to_array(&ty, values.iter());
            let printer = Printer::new(&ty, Style::Client);
            let column = printer.column(&array, &zone);
            for row in 0..array.len() {
                let text = column
                    .is_valid(row)
                    .then(|| column.as_string_view().value(row).to_owned());
                assert_eq!(text, printer.value(&array, row, &zone), "row {row} of {ty}");
            }
        }
    }
}

fn interval_months() -> LogicalType {
    LogicalType::new(TypeKind::IntervalYearMonth(
        millstream_types::logical_type::YearMonthResolution::Month,
    ))
}

fn interval_millis() -> LogicalType {
    LogicalType::new(TypeKind::IntervalDayTime(
        millstream_types::logical_type::DayTimeResolution::Second,
    ))
}

#[test]
fn nested_values_print_with_their_brackets() {
    let row = LogicalType::row([
        ("a".to_owned(), LogicalType::INT),
        ("b".to_owned(), LogicalType::STRING),
    ]);
    let array = LogicalType::array(LogicalType::INT);
    let map = LogicalType::map(LogicalType::STRING, array.clone());
    let one_null = Scalar::Array(vec![Scalar::Int(1), Scalar::Null]);
    let cases = [
        (array, one_null.clone(), Style::Client, "[1, NULL]"),
        (
            map,
            Scalar::Map(vec![(Scalar::String("a".into()), one_null)]),
            Style::Client,
            "{a=[1, NULL]}",
        ),
        (
            row.clone(),
            Scalar::Row(vec![Scalar::Int(1), Scalar::Null]),
            Style::Cast,
            "(1, NULL)",
        ),
        (
            row,
            Scalar::Row(vec![Scalar::Int(1), Scalar::String("a".into())]),
            Style::LegacyCast,
            "(1,a)",
        ),
        (
            LogicalType::BYTES,
            Scalar::Bytes(vec![0, 255]),
            Style::Client,
            "x'00ff'",
        ),
        (
            LogicalType::BYTES,
            Scalar::Bytes(b"hi".to_vec()),
            Style::Cast,
            "hi",
        ),
        (LogicalType::BOOLEAN, Scalar::Boolean(true), Style::Cast, "TRUE"),
        (
            LogicalType::BOOLEAN,
            Scalar::Boolean(true),
            Style::LegacyCast,
            "true",
        ),
        (
            LogicalType::decimal(10, 3),
            Scalar::Decimal(-100),
            Style::Cast,
            "-0.100",
        ),
        (LogicalType::BOOLEAN, Scalar::Null, Style::Cast, "NULL"),
    ];
    for (ty, value, style, expected) in cases {
        assert_eq!(printed(&ty, value, style), expected, "{ty}");
    }
}

/// What `print` tables of Flink 2.3 wrote.
#[test]
fn values_of_print_tables_are_java_objects() {
    let cases = [
        (LogicalType::BOOLEAN, Scalar::Boolean(true), "true"),
        (LogicalType::BYTES, Scalar::Bytes(vec![0xff, 0]), "[-1, 0]"),
        (LogicalType::BYTES, Scalar::Bytes(Vec::new()), "[]"),
        (LogicalType::time(0), Scalar::Time(36_000_000), "10:00"),
        (LogicalType::time(0), Scalar::Time(36_001_000), "10:00:01"),
        (
            LogicalType::timestamp(3),
            Scalar::Timestamp(0),
            "1970-01-01T00:00",
        ),
        (
            LogicalType::timestamp(3),
            Scalar::Timestamp(123_000_000),
            "1970-01-01T00:00:00.123",
        ),
        (
            LogicalType::timestamp(6),
            Scalar::Timestamp(60_000_001_000),
            "1970-01-01T00:01:00.000001",
        ),
        (
            LogicalType::timestamp_ltz(3),
            Scalar::Timestamp(1_500_000_000),
            "1970-01-01T00:00:01.500Z",
        ),
        (
            LogicalType::timestamp_ltz(3),
            Scalar::Timestamp(-1_000_000),
            "1969-12-31T23:59:59.999Z",
        ),
        (
            LogicalType::decimal(20, 10),
            Scalar::Decimal(1_000_000_000_000),
            "100.0000000000",
        ),
        (LogicalType::decimal(20, 10), Scalar::Decimal(100), "1.00E-8"),
        (LogicalType::DOUBLE, Scalar::Double(2e10), "2.0E10"),
    ];
    for (ty, value, expected) in cases {
        assert_eq!(printed(&ty, value, Style::Java), expected, "{ty}");
    }
}

/// A `HashMap` decides the order, and rows carry their kind.
#[test]
fn nested_values_of_print_tables_are_java_objects() {
    let text = |text: &str| Scalar::String(text.to_owned());
    let counts = ["zebra", "apple", "kiwi", "fig", "Aa", "BB"]
        .into_iter()
        .zip(1..)
        .map(|(key, number)| (text(key), Scalar::Int(number)));
    let map = LogicalType::map(LogicalType::STRING, LogicalType::INT);
    assert_eq!(
        printed(&map, Scalar::Map(counts.collect()), Style::Java),
        "{zebra=1, Aa=5, BB=6, apple=2, kiwi=3, fig=4}"
    );
    let dates = [(18_262, 1), (10_592, 2)].map(|(day, number)| (Scalar::Date(day), Scalar::Int(number)));
    let map = LogicalType::map(LogicalType::DATE, LogicalType::INT);
    assert_eq!(
        printed(&map, Scalar::Map(dates.to_vec()), Style::Java),
        "{2020-01-01=1, 1999-01-01=2}"
    );
    let fields = [("b", LogicalType::BYTES), ("n", LogicalType::INT)];
    let row = LogicalType::row(fields.map(|(name, ty)| (name.to_owned(), ty)));
    let value = Scalar::Row(vec![Scalar::Bytes(vec![1]), Scalar::Null]);
    assert_eq!(printed(&row, value, Style::Java), "+I[[1], null]");
}
