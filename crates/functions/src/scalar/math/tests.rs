//! Numeric functions against recorded results.

use millstream_types::{LogicalType, Scalar};

use crate::scalar::arithmetic::tests::{Value, bigint, call, decimal, double, int, text};

fn check(cases: &[(&str, &[Value], &str, &str)]) {
    for (name, args, ty, expected) in cases {
        assert_eq!(
            call(name, args),
            Ok(((*ty).to_owned(), (*expected).to_owned())),
            "{name}({args:?})"
        );
    }
}

fn float(value: f32) -> Value {
    (LogicalType::FLOAT, Scalar::Float(value))
}

#[test]
fn floor_and_ceil() {
    check(&[
        ("FLOOR", &[double(-1.5)], "DOUBLE", "-2.0"),
        ("CEIL", &[double(-0.3)], "DOUBLE", "-0.0"),
        ("CEILING", &[float(1.5)], "FLOAT", "2.0"),
        ("FLOOR", &[decimal("-1.5", 10, 4)], "DECIMAL(10, 0)", "-2"),
        ("CEIL", &[decimal("-0.3", 10, 4)], "DECIMAL(10, 0)", "0"),
        ("CEIL", &[decimal("9.99", 3, 2)], "DECIMAL(3, 0)", "10"),
        ("FLOOR", &[int(-7)], "INT", "-7"),
    ]);
    assert!(call("FLOOR", &[text("1")]).expect_err("text").contains("FLOOR"));
}

#[test]
fn round_and_truncate() {
    check(&[
        (
            "ROUND",
            &[decimal("16.99150", 25, 5), int(2)],
            "DECIMAL(23, 2)",
            "16.99",
        ),
        (
            "ROUND",
            &[decimal("-3.50175", 25, 5), int(2)],
            "DECIMAL(23, 2)",
            "-3.50",
        ),
        (
            "ROUND",
            &[decimal("99999.999", 8, 3), int(1)],
            "DECIMAL(7, 1)",
            "100000.0",
        ),
        (
            "ROUND",
            &[double(2.7556759606310752), int(10)],
            "DOUBLE",
            "2.7556759606",
        ),
        ("ROUND", &[double(9.999), int(2)], "DOUBLE", "10.0"),
        ("ROUND", &[double(0.05), int(1)], "DOUBLE", "0.1"),
        ("ROUND", &[double(-0.04), int(1)], "DOUBLE", "0.0"),
        ("ROUND", &[double(1.5)], "DOUBLE", "2.0"),
        ("ROUND", &[int(155), int(-1)], "INT", "160"),
        ("TRUNCATE", &[int(-155), int(-1)], "INT", "-150"),
        ("TRUNCATE", &[int(i32::MAX), int(-1)], "INT", "2147483640"),
        ("TRUNCATE", &[double(-42.345), int(2)], "DOUBLE", "-42.34"),
        ("TRUNCATE", &[double(123.456), int(-1)], "DOUBLE", "120.0"),
        ("TRUNCATE", &[double(0.9999), int(-1)], "DOUBLE", "0.0"),
        ("TRUNCATE", &[double(1e17), int(2)], "DOUBLE", "1.0E17"),
        ("TRUNCATE", &[float(42.345), int(2)], "FLOAT", "42.34"),
        (
            "TRUNCATE",
            &[decimal("42.3456", 10, 4), int(1)],
            "DECIMAL(8, 1)",
            "42.3",
        ),
        (
            "TRUNCATE",
            &[decimal("999999.9999", 10, 4), int(-1)],
            "DECIMAL(7, 0)",
            "999990",
        ),
        (
            "TRUNCATE",
            &[decimal("42.3456", 10, 4), int(6)],
            "DECIMAL(10, 4)",
            "42.3456",
        ),
        ("TRUNCATE", &[decimal("42.3456", 10, 4)], "DECIMAL(7, 0)", "42"),
        (
            "TRUNCATE",
            &[double(1.5), (LogicalType::INT, Scalar::Null)],
            "DOUBLE",
            "NULL",
        ),
    ]);
}

#[test]
fn signs_and_approximate_functions() {
    check(&[
        ("ABS", &[int(i32::MIN)], "INT", "-2147483648"),
        ("ABS", &[decimal("-1.5", 3, 1)], "DECIMAL(3, 1)", "1.5"),
        ("SIGN", &[double(-0.0)], "DOUBLE", "-0.0"),
        ("SIGN", &[decimal("-1.5", 3, 1)], "DECIMAL(3, 1)", "-1.0"),
        ("SQRT", &[double(10.0)], "DOUBLE", "3.1622776601683795"),
        ("SQRT", &[int(-1)], "DOUBLE", "NaN"),
        ("POWER", &[int(10), int(20)], "DOUBLE", "1.0E20"),
        ("POWER", &[double(1.0), double(f64::INFINITY)], "DOUBLE", "NaN"),
        ("LOG2", &[int(8)], "DOUBLE", "3.0"),
        ("LOG", &[int(2), int(8)], "DOUBLE", "3.0"),
        ("COT", &[double(0.0)], "DOUBLE", "Infinity"),
        ("PI", &[], "DOUBLE", "3.141592653589793"),
        ("E", &[], "DOUBLE", "2.718281828459045"),
        ("DEGREES", &[double(std::f64::consts::PI)], "DOUBLE", "180.0"),
    ]);
    assert!(call("PI", &[int(1)]).expect_err("an argument").contains("PI"));
}

#[test]
fn number_bases() {
    check(&[
        ("BIN", &[int(10)], "STRING", "1010"),
        ("HEX", &[int(255)], "STRING", "FF"),
        ("HEX", &[bigint(-1)], "STRING", "FFFFFFFFFFFFFFFF"),
        ("HEX", &[text("hé")], "STRING", "68C3A9"),
        ("UNHEX", &[text("6869")], "BYTES", "x'6869'"),
        ("UNHEX", &[text("xyz")], "BYTES", "NULL"),
    ]);
    assert_eq!(call("BIN", &[bigint(-1)]).map(|(_, text)| text.len()), Ok(64));
}

#[test]
fn seeded_numbers_are_those_of_java() {
    let recorded: [(&str, &[Value], &str, &str); 5] = [
        ("RAND", &[int(42)], "DOUBLE", "0.7275636800328681"),
        ("RAND", &[int(0)], "DOUBLE", "0.730967787376657"),
        ("RAND", &[int(-1)], "DOUBLE", "0.26894263088050496"),
        ("RAND_INTEGER", &[int(42), int(1000)], "INT", "130"),
        ("RAND_INTEGER", &[int(0), int(10)], "INT", "0"),
    ];
    let first = crate::scalar::arithmetic::tests::call_constant;
    for (name, args, ty, expected) in recorded {
        assert_eq!(
            first(name, args),
            Ok((ty.to_owned(), expected.to_owned())),
            "{name}"
        );
    }
    assert!(
        first("RAND_INTEGER", &[int(0)])
            .expect_err("a bound of 0")
            .contains("bound must be positive")
    );
    let uuid = first("UUID", &[]).expect("a UUID").1;
    assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
}
