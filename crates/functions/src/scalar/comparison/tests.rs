//! Comparisons against recorded results and slow oracles.

use millstream_types::{LogicalType, Scalar};
use proptest::prelude::*;

use super::compare_utf16;
use crate::scalar::arithmetic::tests::{Value, bigint, call, decimal, double, int, signature, text};

fn null(ty: LogicalType) -> Value {
    (ty, Scalar::Null)
}

fn evaluate(name: &str, args: &[Value]) -> String {
    call(name, args)
        .map(|(_, text)| text)
        .unwrap_or_else(|error| format!("error: {error}"))
}

#[test]
fn values_compare_by_their_types() {
    let date = |days| (LogicalType::DATE, Scalar::Date(days));
    let timestamp = |precision, nanos| (LogicalType::timestamp(precision), Scalar::Timestamp(nanos));
    let boolean = |value| (LogicalType::BOOLEAN, Scalar::Boolean(value));
    let cases = [
        (int(1), "=", bigint(1), "TRUE"),
        (int(1), "<", double(1.5), "TRUE"),
        (int(1), "=", null(LogicalType::NULL), "NULL"),
        (decimal("1.10", 6, 2), "=", decimal("1.1", 2, 1), "TRUE"),
        (decimal("1.10", 6, 2), ">", decimal("1.1", 2, 1), "FALSE"),
        (decimal("1", 38, 0), "<", decimal("1.5", 38, 30), "TRUE"),
        (int(10), "=", decimal("10.0000", 6, 4), "TRUE"),
        (text("a"), "<", text("b"), "TRUE"),
        (text("äpfel"), "<", text("b"), "FALSE"),
        (text("😀"), ">", text("｡"), "FALSE"),
        (text("ab"), "=", text("ab  "), "FALSE"),
        (boolean(false), "<", boolean(true), "TRUE"),
        (date(0), "<=", date(0), "TRUE"),
        (timestamp(3, 1_000_000), ">", timestamp(9, 999_999), "TRUE"),
        (timestamp(3, 0), "=", text("1970-01-01 00:00:00"), "TRUE"),
        (double(f64::NAN), "=", double(f64::NAN), "FALSE"),
        (double(f64::NAN), "<>", double(1.0), "TRUE"),
        (double(0.0), "=", double(-0.0), "TRUE"),
        (
            null(LogicalType::INT),
            "IS DISTINCT FROM",
            null(LogicalType::INT),
            "FALSE",
        ),
        (null(LogicalType::INT), "IS DISTINCT FROM", int(1), "TRUE"),
        (int(1), "IS NOT DISTINCT FROM", decimal("1.0", 2, 1), "TRUE"),
        (
            null(LogicalType::NULL),
            "IS NOT DISTINCT FROM",
            null(LogicalType::NULL),
            "TRUE",
        ),
    ];
    for (a, name, b, expected) in cases {
        assert_eq!(
            evaluate(name, &[a.clone(), b.clone()]),
            expected,
            "{a:?} {name} {b:?}"
        );
    }
    for (a, b) in [
        (int(1), boolean(true)),
        (date(1), int(1)),
        (date(1), timestamp(3, 0)),
        (int(1), text("1")),
    ] {
        assert!(evaluate("=", &[a, b]).starts_with("error"));
    }
    assert!(signature("=", &[int(1), int(1)]).is_ok_and(|s| s.result.nullable));
}

#[test]
fn nested_values_compare_part_by_part() {
    let ints = |values: &[Scalar]| {
        (
            LogicalType::array(LogicalType::INT),
            Scalar::Array(values.to_vec()),
        )
    };
    let map = |entries: &[(i32, i32)]| {
        let entries = entries
            .iter()
            .map(|(k, v)| (Scalar::Int(*k), Scalar::Int(*v)))
            .collect();
        (
            LogicalType::map(LogicalType::INT, LogicalType::INT),
            Scalar::Map(entries),
        )
    };
    let one_null = ints(&[Scalar::Int(1), Scalar::Null]);
    assert_eq!(evaluate("=", &[one_null.clone(), one_null.clone()]), "TRUE");
    assert_eq!(
        evaluate("=", &[one_null.clone(), ints(&[Scalar::Int(1), Scalar::Int(2)])]),
        "FALSE"
    );
    assert_eq!(
        evaluate("<>", &[one_null.clone(), ints(&[Scalar::Int(1)])]),
        "TRUE"
    );
    assert_eq!(
        evaluate("=", &[one_null.clone(), null(one_null.0.clone())]),
        "NULL"
    );
    assert_eq!(
        evaluate("=", &[map(&[(1, 2), (3, 4)]), map(&[(3, 4), (1, 2)])]),
        "TRUE"
    );
    assert_eq!(
        evaluate("IS DISTINCT FROM", &[map(&[(1, 2)]), map(&[(1, 3)])]),
        "TRUE"
    );
    let row = |a: Scalar| {
        let ty = LogicalType::row([
            ("a".to_owned(), LogicalType::INT),
            ("b".to_owned(), LogicalType::DOUBLE),
        ]);
        (ty, Scalar::Row(vec![a, Scalar::Double(1.0)]))
    };
    assert_eq!(evaluate("=", &[row(Scalar::Int(1)), row(Scalar::Int(1))]), "TRUE");
    assert_eq!(evaluate("<>", &[row(Scalar::Null), row(Scalar::Int(1))]), "TRUE");
    assert!(evaluate("<", &[one_null.clone(), one_null]).starts_with("error: cannot apply"));
    let arrays = [ints(&[]), int(1)];
    assert!(evaluate("=", &arrays).contains("'<INTEGER ARRAY> = <INTEGER>'"));
}

#[test]
fn lists_of_every_length_agree() {
    let list = |first: Value, members: &[Value]| [&[first], members].concat();
    let many: Vec<Value> = (1..20).map(int).collect();
    assert_eq!(evaluate("IN", &list(int(7), &many)), "TRUE");
    assert_eq!(evaluate("IN", &list(int(77), &many)), "FALSE");
    assert_eq!(evaluate("IN", &list(null(LogicalType::INT), &many)), "NULL");
    let with_null = [many.as_slice(), &[null(LogicalType::INT)]].concat();
    assert_eq!(evaluate("IN", &list(int(7), &with_null)), "TRUE");
    assert_eq!(evaluate("IN", &list(int(77), &with_null)), "NULL");
    let words: Vec<Value> = ["a", "b", "c", "d", "e", ""].map(text).to_vec();
    assert_eq!(evaluate("IN", &list(text(""), &words)), "TRUE");
    assert_eq!(evaluate("IN", &list(text("B"), &words)), "FALSE");
    assert_eq!(
        evaluate("IN", &list(int(1), &[decimal("1.0", 2, 1), decimal("2.5", 2, 1)])),
        "TRUE"
    );
    assert_eq!(evaluate("IN", &list(double(2.5), &many)), "FALSE");
    assert!(evaluate("IN", &list(int(1), &[text("p"), text("q")])).contains("'p'"));
    assert!(evaluate("IN", &list(int(1), &[(LogicalType::DATE, Scalar::Date(1))])).starts_with("error"));
}

proptest! {
    #[test]
    fn strings_order_as_utf16(a in "[a\u{7FF}\u{FFFD}\u{E000}\u{D7FF}\u{1F600}]{0,4}", b in "[a\u{7FF}\u{FFFD}\u{E000}\u{D7FF}\u{1F600}]{0,4}") {
        let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        prop_assert_eq!(compare_utf16(&a, &b), units(&a).cmp(&units(&b)));
    }
}
