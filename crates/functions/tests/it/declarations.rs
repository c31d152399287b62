//! What holds for every declared scalar function, whatever it computes.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use jiff::tz::TimeZone;
use millstream_functions::{
    ArgInfo, CallCache, Datum, Environment, EvalError, KernelArgs, ScalarFunction, all_scalars,
};
use millstream_types::logical_type::{DayTimeResolution, YearMonthResolution};
use millstream_types::{LogicalType, Scalar, SeededRng, TypeKind, arrow_type};

#[test]
fn names_are_unique_and_documented() {
    let mut names = BTreeSet::new();
    for function in all_scalars() {
        for name in function.aliases.iter().chain([&function.name]) {
            assert!(names.insert(*name), "{name} is declared twice");
            assert_eq!(*name, name.to_uppercase(), "names are in upper case");
        }
        assert!(!function.syntax.is_empty(), "{} has no syntax", function.name);
        assert!(
            function.doc.ends_with('.'),
            "the documentation of {} is not a sentence",
            function.name
        );
    }
}

/// A type with two values of it, the second NULL.
fn samples() -> Vec<(LogicalType, Scalar)> {
    let row = LogicalType::row([("a".to_owned(), LogicalType::INT)]);
    vec![
        (LogicalType::NULL, Scalar::Null),
        (LogicalType::STRING, Scalar::String("DAY".into())),
        (LogicalType::new(TypeKind::Char(3)), Scalar::String("日😀".into())),
        (LogicalType::INT, Scalar::Int(i32::MIN)),
        (LogicalType::BIGINT, Scalar::BigInt(i64::MAX)),
        (LogicalType::TINYINT, Scalar::TinyInt(-1)),
        (LogicalType::DOUBLE, Scalar::Double(f64::MIN_POSITIVE)),
        (LogicalType::decimal(38, 10), Scalar::Decimal(10i128.pow(38) - 1)),
        (LogicalType::BOOLEAN, Scalar::Boolean(true)),
        (LogicalType::BYTES, Scalar::Bytes(vec![0xFF, 0])),
        (LogicalType::DATE, Scalar::Date(i32::MAX)),
        (LogicalType::time(3), Scalar::Time(86_399_999)),
        (
            LogicalType::timestamp(3),
            Scalar::Timestamp(i128::from(i64::MAX) * 1_000_000),
        ),
        (LogicalType::timestamp(9), Scalar::Timestamp(-1)),
        (
            LogicalType::timestamp_ltz(6),
            Scalar::Timestamp(i128::from(i64::MIN) * 1_000),
        ),
        (
            LogicalType::new(TypeKind::IntervalYearMonth(YearMonthResolution::Month)),
            Scalar::IntervalYearMonth(i32::MAX),
        ),
        (
            LogicalType::new(TypeKind::IntervalDayTime(DayTimeResolution::Second)),
            Scalar::IntervalDayTime(i64::MAX),
        ),
        (
            LogicalType::array(LogicalType::INT),
            Scalar::Array(vec![Scalar::Int(1), Scalar::Null]),
        ),
        (
            LogicalType::map(LogicalType::STRING, LogicalType::INT),
            Scalar::Map(vec![(Scalar::Null, Scalar::Int(1))]),
        ),
        (row, Scalar::Row(vec![Scalar::Null])),
        (
            LogicalType::new(TypeKind::Variant),
            Scalar::Bytes(b"[1]".to_vec()),
        ),
        (
            LogicalType::new(TypeKind::Bitmap),
            Scalar::Bytes(vec![0x3A, 0x30, 0, 0, 0, 0, 0, 0]),
        ),
    ]
}

fn environment() -> Environment {
    Environment {
        zone: TimeZone::get("Europe/Berlin").expect("a bundled zone"),
        zone_name: "Europe/Berlin".into(),
        now_ms: 0,
        watermark_ms: None,
        rng: Arc::new(SeededRng::new(1)),
        legacy_cast: false,
        current_database: "default_database".into(),
        streaming: true,
    }
}

/// Calls a function with columns or constants of the given types, if its signature takes them.
fn call(function: &ScalarFunction, args: &[&(LogicalType, Scalar)], literal: bool, env: &Environment) {
    let infos: Vec<ArgInfo<'_>> = args
        .iter()
        .map(|(ty, value)| ArgInfo {
            ty,
            literal: literal.then_some(value),
        })
        .collect();
    let Ok(signature) = (function.signature)(&infos) else {
        return;
    };
    assert_eq!(
        signature.args.len(),
        args.len(),
        "{}: one type for each argument",
        function.name
    );
    const ROWS: usize = 2;
    let data: Vec<Datum> = args
        .iter()
        .zip(&signature.args)
        .map(|((from, value), to)| {
            // A cast is the binder's business: where the type changes, NULL stands for its result.
            let value = if from.kind == to.kind {
                value
            } else {
                &Scalar::Null
            };
            let column = |values: &[&Scalar]| millstream_types::scalars_to_array(to, values.iter().copied());
            if literal {
                Datum::Constant(column(&[value]))
            } else {
                Datum::Column(column(&[value, &Scalar::Null]))
            }
        })
        .collect();
    let mut cache = CallCache::default();
    for _ in 0..2 {
        let mut kernel_args = KernelArgs {
            function: function.name,
            args: &data,
            arg_types: &signature.args,
            result: &signature.result,
            rows: ROWS,
            env,
            cache: &mut cache,
        };
        let types = || {
            args.iter()
                .map(|(ty, _)| ty.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let result: Result<ArrayRef, EvalError> = (function.kernel)(&mut kernel_args);
        match result {
            Ok(column) => {
                assert_eq!(column.len(), ROWS, "{}({})", function.name, types());
                assert_eq!(
                    *column.data_type(),
                    arrow_type(&signature.result),
                    "{}({})",
                    function.name,
                    types()
                );
            }
            Err(EvalError::Internal { message, .. }) => panic!("{}({}): {message}", function.name, types()),
            Err(_) => {}
        }
    }
}

#[test]
fn every_accepted_call_has_a_result_of_its_type() {
    let samples = samples();
    let env = environment();
    for function in all_scalars() {
        for literal in [false, true] {
            call(function, &[], literal, &env);
            for a in &samples {
                call(function, &[a], literal, &env);
                for b in &samples {
                    call(function, &[a, b], literal, &env);
                    call(function, &[a, b, b], literal, &env);
                    call(function, &[&samples[1], a, b], literal, &env);
                    call(function, &[a, b, a, b], literal, &env);
                }
                call(function, &[a; 6], literal, &env);
            }
        }
    }
}
