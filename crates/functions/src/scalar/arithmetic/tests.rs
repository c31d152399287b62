//! Operators against recorded results, and kernels against slow oracles.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type};
use arrow_array::{Array, ArrayRef, Int32Array, PrimitiveArray};
use arrow_buffer::i256;
use jiff::tz::TimeZone;
use millstream_types::logical_type::{DayTimeResolution, YearMonthResolution};
use millstream_types::{LogicalType, Scalar, SeededRng, TypeKind, arrow_type};
use proptest::prelude::*;

use crate::cast::cast;
use crate::display::{NULL_TEXT, Printer, Style};
use crate::scalar::{CallCache, Datum, Environment, EvalError, KernelArgs};
use crate::signature::ArgInfo;
use crate::{Signature, scalar_function};

pub(crate) fn environment() -> Environment {
    Environment {
        zone: TimeZone::UTC,
        zone_name: "UTC".into(),
        now_ms: 0,
        watermark_ms: None,
        rng: Arc::new(SeededRng::new(7)),
        legacy_cast: false,
        current_database: "default_database".into(),
        streaming: true,
    }
}

pub(crate) type Value = (LogicalType, Scalar);

/// Two operands that may be NULL.
type Pair = (Option<i32>, Option<i32>);
type Oracle = (&'static str, fn(i32, i32) -> i32);

pub(crate) fn signature(name: &str, args: &[Value]) -> Result<Signature, String> {
    let infos: Vec<ArgInfo<'_>> = args
        .iter()
        .map(|(ty, value)| ArgInfo {
            ty,
            literal: Some(value),
        })
        .collect();
    let function = scalar_function(name).unwrap_or_else(|| panic!("no function {name}"));
    (function.signature)(&infos).map_err(|error| error.to_string())
}

/// Type and text of a call, computed both for constants and for columns.
pub(crate) fn call(name: &str, args: &[Value]) -> Result<(String, String), String> {
    let constant = call_constant(name, args)?;
    let signature = signature(name, args)?;
    let column = compute(name, args, &signature, Datum::Column, 3).map_err(|error| error.to_string())?;
    assert_eq!(constant.1, column, "{name} of constants and of columns");
    Ok(constant)
}

/// Type and text of a call of constants.
pub(crate) fn call_constant(name: &str, args: &[Value]) -> Result<(String, String), String> {
    let signature = signature(name, args)?;
    let text = compute(name, args, &signature, Datum::Constant, 1).map_err(|error| error.to_string())?;
    Ok((signature.result.with_nullable(true).to_string(), text))
}

fn compute(
    name: &str,
    args: &[Value],
    signature: &Signature,
    make: fn(ArrayRef) -> Datum,
    rows: usize,
) -> Result<String, EvalError> {
    let env = environment();
    let function = scalar_function(name).expect("a function with a signature");
    let mut data = Vec::new();
    for ((ty, value), target) in args.iter().zip(&signature.args) {
        data.push(make(cast(&value.to_array(ty, rows), ty, target, false, &env)?));
    }
    let result = (function.kernel)(&mut KernelArgs {
        function: function.name,
        args: &data,
        arg_types: &signature.args,
        result: &signature.result,
        rows,
        env: &env,
        cache: &mut CallCache::default(),
    })?;
    assert_eq!(result.data_type(), &arrow_type(&signature.result), "{name}");
    assert_eq!(result.len(), rows, "{name}");
    let printer = Printer::new(&signature.result, Style::Client);
    Ok(printer
        .value(&result, rows - 1, &env.zone)
        .unwrap_or_else(|| NULL_TEXT.to_owned()))
}

pub(crate) fn int(value: i32) -> Value {
    (LogicalType::INT, Scalar::Int(value))
}

pub(crate) fn bigint(value: i64) -> Value {
    (LogicalType::BIGINT, Scalar::BigInt(value))
}

pub(crate) fn double(value: f64) -> Value {
    (LogicalType::DOUBLE, Scalar::Double(value))
}

pub(crate) fn text(value: &str) -> Value {
    (LogicalType::STRING, Scalar::String(value.to_owned()))
}

/// A DECIMAL(precision, scale) from its text.
pub(crate) fn decimal(value: &str, precision: u8, scale: u8) -> Value {
    let unscaled = crate::cast::parse::parse_decimal(value, precision, scale).expect("a decimal number");
    (LogicalType::decimal(precision, scale), Scalar::Decimal(unscaled))
}

fn shown(name: &str, args: &[Value]) -> String {
    call(name, args)
        .map(|(_, text)| text)
        .unwrap_or_else(|error| format!("error: {error}"))
}

#[test]
fn integers_wrap_and_divide_towards_zero() {
    let cases = [
        ("+", int(i32::MAX), int(1), "-2147483648"),
        ("-", bigint(i64::MIN), bigint(1), "9223372036854775807"),
        ("*", int(100_000), int(100_000), "1410065408"),
        ("/", int(-7), int(2), "-3"),
        ("/", int(i32::MIN), int(-1), "-2147483648"),
        ("%", int(-7), int(2), "-1"),
        ("%", int(i32::MIN), int(-1), "0"),
        ("MOD", bigint(-10_000_000_000), int(7), "-4"),
        ("+", int(1), bigint(2), "3"),
    ];
    for (name, a, b, expected) in cases {
        assert_eq!(shown(name, &[a, b]), expected, "{name}");
    }
    let tiny = (LogicalType::TINYINT, Scalar::TinyInt(127));
    assert_eq!(
        call("+", &[tiny.clone(), tiny]),
        Ok(("TINYINT".into(), "-2".into()))
    );
    assert_eq!(call("%", &[bigint(10), int(7)]), Ok(("INT".into(), "3".into())));
    assert!(shown("/", &[int(1), int(0)]).contains("division by zero"));
    assert!(shown("%", &[int(1), int(0)]).contains("division by zero"));
}

#[test]
fn floats_follow_ieee_and_mixed_types_widen() {
    let float = (LogicalType::FLOAT, Scalar::Float(0.1));
    assert_eq!(
        call("+", &[float.clone(), int(-3)]),
        Ok(("FLOAT".into(), "-2.9".into()))
    );
    assert_eq!(
        call("*", &[float.clone(), decimal("0.2", 2, 1)]),
        Ok(("DOUBLE".into(), "0.020000000298023225".into()))
    );
    assert_eq!(
        call("-", &[double(-1.5), float]),
        Ok(("DOUBLE".into(), "-1.6000000014901161".into()))
    );
    assert_eq!(shown("/", &[double(1.0), double(0.0)]), "Infinity");
    assert_eq!(shown("/", &[double(0.0), double(0.0)]), "NaN");
    assert_eq!(shown("NEG", &[double(0.0)]), "-0.0");
    assert_eq!(shown("-", &[int(i32::MIN)]), "-2147483648");
    assert!(shown("-", &[text("a")]).contains("'-<STRING>"));
}

#[test]
fn decimals_derive_round_and_overflow() {
    let (a, b) = (decimal("123.45", 5, 2), decimal("1234.5678", 10, 4));
    let (c, e) = (decimal("12.0000000001", 38, 10), decimal("7", 38, 0));
    let cases = [
        ("+", a.clone(), b.clone(), "DECIMAL(11, 4)", "1358.0178"),
        ("-", a.clone(), b.clone(), "DECIMAL(11, 4)", "-1111.1178"),
        ("*", a.clone(), b.clone(), "DECIMAL(16, 6)", "152407.394910"),
        ("/", a.clone(), b.clone(), "DECIMAL(20, 13)", "0.0999945081995"),
        ("%", a.clone(), b.clone(), "DECIMAL(7, 4)", "123.4500"),
        ("MOD", b, a.clone(), "DECIMAL(7, 4)", "0.0678"),
        ("+", c.clone(), c.clone(), "DECIMAL(38, 9)", "24.000000000"),
        ("*", c.clone(), c.clone(), "DECIMAL(38, 6)", "144.000000"),
        ("/", c.clone(), c.clone(), "DECIMAL(38, 6)", "1.000000"),
        ("%", c.clone(), e.clone(), "DECIMAL(38, 10)", "5.0000000001"),
        ("/", e, c, "DECIMAL(38, 6)", "0.583333"),
        ("/", int(3), a.clone(), "DECIMAL(18, 6)", "0.024301"),
        ("/", a.clone(), int(3), "DECIMAL(16, 13)", "41.1500000000000"),
        ("+", a, bigint(4), "DECIMAL(22, 2)", "127.45"),
        ("MOD", int(-10), decimal("3.5", 2, 1), "DECIMAL(2, 1)", "-3.0"),
    ];
    for (name, x, y, ty, expected) in cases {
        assert_eq!(call(name, &[x, y]), Ok((ty.into(), expected.into())), "{name}");
    }
    let nines = decimal("99999999999999999999999999999999999999", 38, 0);
    assert_eq!(shown("+", &[nines.clone(), int(1)]), "NULL");
    assert_eq!(
        shown("-", &[nines.clone(), int(1)]),
        "99999999999999999999999999999999999998"
    );
    assert_eq!(shown("*", &[nines.clone(), int(10)]), "NULL");
    assert_eq!(shown("/", &[nines.clone(), int(10)]), "NULL");
    assert_eq!(shown("NEG", &[nines]), "-99999999999999999999999999999999999999");
    let z = decimal("12345678901234567890.123456789012345678", 38, 18);
    assert_eq!(
        shown("+", &[z.clone(), z.clone()]),
        "24691357802469135780.24691357802469136"
    );
    assert_eq!(shown("*", &[z.clone(), int(2)]), "24691357802469135780.2469136");
    assert_eq!(
        shown("/", &[z.clone(), int(3)]),
        "4115226300411522630.041152263004115226"
    );
    assert_eq!(shown("*", &[z.clone(), z]), "NULL");
    assert!(shown("/", &[decimal("1.0", 2, 1), int(0)]).contains("division by zero"));
}

#[test]
fn what_does_not_fit_is_refused_in_the_words_of_flink() {
    let error = |name: &str, args: &[Value]| call(name, args).expect_err("a refusal");
    assert!(
        error("+", &[int(1), text("a")])
            .starts_with("cannot apply '+' to arguments of type '<INTEGER> + <STRING>")
    );
    assert!(error("%", &[double(1.0), double(0.3)]).contains("cannot apply '%'"));
    assert!(error("MOD", &[double(1.0), int(2)]).contains("'MOD(<DOUBLE>, <INTEGER>)'"));
    assert!(error("MOD", &[int(1)]).contains("'MOD'"));
}

fn days(n: i64) -> Value {
    day_time(DayTimeResolution::Day, n * 86_400_000)
}

fn day_time(resolution: DayTimeResolution, millis: i64) -> Value {
    (
        LogicalType::new(TypeKind::IntervalDayTime(resolution)),
        Scalar::IntervalDayTime(millis),
    )
}

fn months(n: i32) -> Value {
    let kind = TypeKind::IntervalYearMonth(YearMonthResolution::Month);
    (LogicalType::new(kind), Scalar::IntervalYearMonth(n))
}

fn timestamp(precision: u8, nanos: i128) -> Value {
    (LogicalType::timestamp(precision), Scalar::Timestamp(nanos))
}

#[test]
fn datetimes_move_by_intervals() {
    let date = |days| (LogicalType::DATE, Scalar::Date(days));
    let leap_day = date(19_782);
    let hour = day_time(DayTimeResolution::Hour, 3_600_000);
    let cases = [
        ("+", leap_day.clone(), days(1), "DATE", "2024-03-01"),
        ("-", days(0), days(1), "INTERVAL SECOND(3)", "-1 00:00:00.000"),
        ("-", leap_day.clone(), months(12), "DATE", "2023-02-28"),
        ("+", leap_day.clone(), hour.clone(), "DATE", "2024-02-29"),
        ("+", days(2), leap_day, "DATE", "2024-03-02"),
        (
            "+",
            timestamp(9, -1),
            day_time(DayTimeResolution::Second, 1),
            "TIMESTAMP(9)",
            "1970-01-01 00:00:00.000999999",
        ),
        (
            "+",
            timestamp(3, 86_399_000_000_000 * 31),
            months(1),
            "TIMESTAMP(3)",
            "1970-02-28 23:59:29.000",
        ),
        (
            "-",
            timestamp(6, 0),
            months(1),
            "TIMESTAMP(6)",
            "1969-12-01 00:00:00.000000",
        ),
        (
            "+",
            (LogicalType::time(0), Scalar::Time(84_600_000)),
            hour.clone(),
            "TIME(0)",
            "00:30:00",
        ),
        ("+", months(3), months(11), "INTERVAL MONTH", "+1-02"),
        ("*", hour.clone(), int(3), "INTERVAL SECOND(3)", "+0 03:00:00.000"),
        (
            "*",
            double(1.5),
            hour.clone(),
            "INTERVAL SECOND(3)",
            "+0 01:30:00.000",
        ),
        ("/", hour, int(4), "INTERVAL SECOND(3)", "+0 00:15:00.000"),
    ];
    for (name, a, b, ty, expected) in cases {
        assert_eq!(call(name, &[a, b]), Ok((ty.into(), expected.into())), "{name}");
    }
    assert_eq!(shown("NEG", &[months(3)]), "-0-03");
    let midnight = (LogicalType::time(0), Scalar::Time(0));
    assert_eq!(shown("+", &[midnight, months(1)]), "00:00:00");
}

#[test]
fn datetimes_differ_by_intervals() {
    let day = 86_400_000_000_000;
    let (a, b) = (timestamp(3, 59 * day), timestamp(3, day / 2));
    assert_eq!(
        shown("MINUS_DATE", &[a.clone(), b.clone(), text("DAY")]),
        "+58 12:00:00.000"
    );
    assert_eq!(
        shown("MINUS_DATE", &[a.clone(), b.clone(), text("MONTH")]),
        "+0-01"
    );
    assert_eq!(shown("MINUS_DATE", &[b, a, text("MONTH")]), "-0-01");
}

/// `numerator / 10^scale` at another scale, rounded half up, if it has at most `precision` digits.
fn oracle_round(numerator: i256, denominator: i256, precision: u8) -> Option<i128> {
    let two = i256::from_i128(2);
    let (n, d) = if denominator.is_negative() {
        (numerator.wrapping_neg(), denominator.wrapping_neg())
    } else {
        (numerator, denominator)
    };
    let magnitude = n
        .wrapping_abs()
        .wrapping_mul(two)
        .wrapping_add(d)
        .wrapping_div(d.wrapping_mul(two));
    let value = if n.is_negative() {
        magnitude.wrapping_neg()
    } else {
        magnitude
    }
    .to_i128()?;
    (value.unsigned_abs() < 10u128.pow(u32::from(precision))).then_some(value)
}

fn ten(exponent: u32) -> i256 {
    (0..exponent).fold(i256::ONE, |power, _| power.wrapping_mul(i256::from_i128(10)))
}

fn decimal_columns(
    name: &str,
    (p1, s1): (u8, u8),
    (p2, s2): (u8, u8),
    rows: &[(i128, i128)],
) -> (Signature, ArrayRef) {
    let types = [LogicalType::decimal(p1, s1), LogicalType::decimal(p2, s2)];
    let infos: Vec<ArgInfo<'_>> = types.iter().map(|ty| ArgInfo { ty, literal: None }).collect();
    let function = scalar_function(name).expect("an operator");
    let signature = (function.signature)(&infos).expect("two DECIMALs");
    let column = |values: Vec<i128>, ty: &LogicalType| -> Datum {
        let array = PrimitiveArray::<Decimal128Type>::from(values).with_data_type(arrow_type(ty));
        Datum::Column(Arc::new(array))
    };
    let args = [
        column(rows.iter().map(|r| r.0).collect(), &types[0]),
        column(rows.iter().map(|r| r.1).collect(), &types[1]),
    ];
    let env = environment();
    let result = (function.kernel)(&mut KernelArgs {
        function: function.name,
        args: &args,
        arg_types: &signature.args,
        result: &signature.result,
        rows: rows.len(),
        env: &env,
        cache: &mut CallCache::default(),
    });
    (signature, result.expect("no division by zero"))
}

prop_compose! {
    fn decimal_type()(precision in 1u8..=38)(precision in Just(precision), scale in 0..=precision) -> (u8, u8) {
        (precision, scale)
    }
}

fn limited(value: i128, precision: u8) -> i128 {
    value % 10i128.pow(u32::from(precision))
}

proptest! {
    #[test]
    fn decimal_kernels_equal_exact_arithmetic(
        (p1, s1) in decimal_type(),
        (p2, s2) in decimal_type(),
        seeds in proptest::collection::vec((any::<i128>(), any::<i128>()), 1..20),
    ) {
        let rows: Vec<(i128, i128)> = seeds
            .iter()
            .map(|(x, y)| (limited(*x, p1), limited(*y, p2)))
            .map(|(x, y)| (x, if y == 0 { 1 } else { y }))
            .collect();
        for name in ["+", "-", "*", "/", "%"] {
            let (signature, result) = decimal_columns(name, (p1, s1), (p2, s2), &rows);
            let TypeKind::Decimal { precision, scale } = signature.result.kind else { panic!("{}", signature.result) };
            let result = result.as_primitive::<Decimal128Type>();
            for (i, (x, y)) in rows.iter().enumerate() {
                let (x, y) = (i256::from_i128(*x), i256::from_i128(*y));
                let most = s1.max(s2);
                let (wide_x, wide_y) = (x.wrapping_mul(ten(u32::from(most - s1))), y.wrapping_mul(ten(u32::from(most - s2))));
                // A quotient may need more than 256 bits on the way: its operands are then left out.
                let (exact, exact_scale) = match name {
                    "+" => (wide_x.wrapping_add(wide_y), most),
                    "-" => (wide_x.wrapping_sub(wide_y), most),
                    "*" => (x.wrapping_mul(y), s1 + s2),
                    "%" => (wide_x.wrapping_rem(wide_y), most),
                    _ => {
                        let shift = u32::from(scale + s2);
                        let Some(numerator) = x.checked_mul(ten(shift.min(76))) else { continue };
                        let Some(denominator) = y.checked_mul(ten(u32::from(s1))) else { continue };
                        if shift > 76 || numerator.wrapping_abs().checked_mul(i256::from_i128(2)).is_none() { continue }
                        if denominator.wrapping_abs().checked_mul(i256::from_i128(2)).is_none() { continue }
                        let expected = oracle_round(numerator, denominator, precision);
                        prop_assert_eq!(result.is_valid(i).then(|| result.value(i)), expected, "row {} of {}", i, name);
                        continue;
                    }
                };
                let expected = if exact_scale >= scale {
                    oracle_round(exact, ten(u32::from(exact_scale - scale)), precision)
                } else {
                    oracle_round(exact.wrapping_mul(ten(u32::from(scale - exact_scale))), i256::ONE, precision)
                };
                prop_assert_eq!(result.is_valid(i).then(|| result.value(i)), expected, "row {} of {}", i, name);
            }
        }
    }

    #[test]
    fn integer_kernels_equal_java(
        rows in proptest::collection::vec((proptest::option::of(any::<i32>()), proptest::option::of(any::<i32>())), 1..50),
    ) {
        let column = |pick: fn(&Pair) -> Option<i32>| -> Datum {
            Datum::Column(Arc::new(rows.iter().map(pick).collect::<Int32Array>()))
        };
        let args = [column(|r| r.0), column(|r| r.1.map(|v| if v == 0 { 1 } else { v }))];
        let oracles: [Oracle; 5] = [
            ("+", i32::wrapping_add),
            ("-", i32::wrapping_sub),
            ("*", i32::wrapping_mul),
            ("/", i32::wrapping_div),
            ("%", i32::wrapping_rem),
        ];
        let env = environment();
        for (name, oracle) in oracles {
            let function = scalar_function(name).expect("an operator");
            let result = (function.kernel)(&mut KernelArgs {
                function: function.name,
                args: &args,
                arg_types: &[LogicalType::INT, LogicalType::INT],
                result: &LogicalType::INT,
                rows: rows.len(),
                env: &env,
                cache: &mut CallCache::default(),
            }).expect("no division by zero");
            let result = result.as_primitive::<Int32Type>();
            for (i, (x, y)) in rows.iter().enumerate() {
                let y = y.map(|v| if v == 0 { 1 } else { v });
                let expected = x.zip(y).map(|(x, y)| oracle(x, y));
                prop_assert_eq!(result.is_valid(i).then(|| result.value(i)), expected);
            }
        }
    }
}
