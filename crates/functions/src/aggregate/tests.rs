//! Laws that hold for every accumulator, and results of each function.

use arrow_array::{ArrayRef, UInt32Array};
use arrow_select::take::take;
use millstream_types::{LogicalType, Rng, Scalar, SeededRng, TypeKind, scalars_to_array};

use super::{AccumulatorArgs, GroupsAccumulator};
use crate::registry::{aggregate_function, all_aggregates};
use crate::signature::ArgInfo;

/// One call: arguments by type, with the types and the result that the signature gives.
struct Call {
    function: &'static str,
    args: Vec<LogicalType>,
    parameters: Vec<Scalar>,
    result: LogicalType,
}

impl Call {
    fn new(function: &'static str, args: &[LogicalType], parameters: &[(LogicalType, Scalar)]) -> Self {
        let declared = aggregate_function(function).unwrap();
        let columns = args.iter().map(|ty| ArgInfo { ty, literal: None });
        let literals = parameters.iter().map(|(ty, value)| ArgInfo {
            ty,
            literal: Some(value),
        });
        let infos: Vec<ArgInfo<'_>> = columns.chain(literals).collect();
        let signature = (declared.signature)(&infos).unwrap();
        let args = signature.args[..args.len()].to_vec();
        let parameters = parameters.iter().map(|(_, value)| value.clone()).collect();
        Self {
            function,
            args,
            parameters,
            result: signature.result,
        }
    }

    fn accumulator(&self, retract: bool) -> Box<dyn GroupsAccumulator> {
        let args = AccumulatorArgs {
            function: self.function,
            arg_types: &self.args,
            result: &self.result,
            retract,
            parameters: &self.parameters,
        };
        (aggregate_function(self.function).unwrap().accumulator)(&args)
    }

    fn value(&self, accumulator: &dyn GroupsAccumulator, group: u32) -> Scalar {
        Scalar::from_array(&self.result, &accumulator.evaluate(&[group]).unwrap(), 0)
    }

    /// The result over one group of rows, each a list of arguments.
    fn result(&self, rows: &[Vec<Scalar>]) -> Scalar {
        let mut accumulator = self.accumulator(false);
        accumulator.resize(1);
        let columns: Vec<ArrayRef> = self
            .args
            .iter()
            .enumerate()
            .map(|(i, ty)| scalars_to_array(ty, rows.iter().map(|row| &row[i])))
            .collect();
        accumulator.update(&vec![0; rows.len()], &columns, None).unwrap();
        self.value(accumulator.as_ref(), 0)
    }
}

fn decimal(scale: u8) -> LogicalType {
    LogicalType::decimal(10, scale)
}

fn calls() -> Vec<Call> {
    let numeric = [
        LogicalType::TINYINT,
        LogicalType::SMALLINT,
        LogicalType::INT,
        LogicalType::BIGINT,
        LogicalType::DOUBLE,
        decimal(2),
    ];
    let mut calls = vec![
        Call::new("COUNT", &[], &[]),
        Call::new("COUNT", &[LogicalType::STRING], &[]),
    ];
    for ty in &numeric {
        for function in ["SUM", "$SUM0", "AVG"] {
            calls.push(Call::new(function, std::slice::from_ref(ty), &[]));
        }
    }
    let others = [
        LogicalType::STRING,
        LogicalType::DATE,
        LogicalType::BOOLEAN,
        LogicalType::timestamp(6),
    ];
    for ty in numeric.iter().chain(&others) {
        for function in [
            "MIN",
            "MAX",
            "FIRST_VALUE",
            "LAST_VALUE",
            "COLLECT",
            "ARRAY_AGG",
            "APPROX_COUNT_DISTINCT",
        ] {
            calls.push(Call::new(function, std::slice::from_ref(ty), &[]));
        }
    }
    calls.push(Call::new("LISTAGG", &[LogicalType::STRING], &[]));
    let half = (LogicalType::DOUBLE, Scalar::Double(0.5));
    calls.push(Call::new("PERCENTILE", &[LogicalType::INT], &[half]));
    calls
}

fn random_value(ty: &LogicalType, rng: &SeededRng) -> Scalar {
    if rng.below(5) == 0 {
        return Scalar::Null;
    }
    let n = rng.below(12) as i64 - 4;
    match ty.kind {
        TypeKind::TinyInt => Scalar::TinyInt(n as i8),
        TypeKind::SmallInt => Scalar::SmallInt(n as i16),
        TypeKind::Int => Scalar::Int(n as i32),
        TypeKind::BigInt => Scalar::BigInt(n),
        // Halves add up without rounding, so that the order of additions does not matter.
        TypeKind::Double => Scalar::Double(n as f64 / 2.0),
        TypeKind::Decimal { .. } => Scalar::Decimal(i128::from(n) * 25),
        TypeKind::Boolean => Scalar::Boolean(n > 0),
        TypeKind::Date => Scalar::Date(n as i32),
        TypeKind::Timestamp { .. } => Scalar::Timestamp(i128::from(n) * 1_000_000),
        _ => Scalar::String(format!("value {n}")),
    }
}

struct Input {
    groups: Vec<u32>,
    columns: Vec<ArrayRef>,
}

const GROUPS: u32 = 3;
const ALL: [u32; GROUPS as usize] = [0, 1, 2];

fn random_input(call: &Call, rows: usize, rng: &SeededRng) -> Input {
    let column = |ty: &LogicalType| {
        let values: Vec<Scalar> = (0..rows).map(|_| random_value(ty, rng)).collect();
        scalars_to_array(ty, values.iter())
    };
    let columns = call.args.iter().map(column).collect();
    Input {
        groups: (0..rows).map(|_| rng.below(u64::from(GROUPS)) as u32).collect(),
        columns,
    }
}

fn fresh(call: &Call, retract: bool) -> Box<dyn GroupsAccumulator> {
    let mut accumulator = call.accumulator(retract);
    accumulator.resize(GROUPS as usize);
    accumulator
}

fn results(call: &Call, accumulator: &dyn GroupsAccumulator) -> Vec<Scalar> {
    ALL.iter().map(|group| call.value(accumulator, *group)).collect()
}

/// Rows of an input, as an input.
fn part(input: &Input, rows: &[u32]) -> Input {
    let indices = UInt32Array::from(rows.to_vec());
    let columns = input
        .columns
        .iter()
        .map(|c| take(c, &indices, None).unwrap())
        .collect();
    Input {
        groups: rows.iter().map(|row| input.groups[*row as usize]).collect(),
        columns,
    }
}

#[test]
fn parts_merge_to_the_whole() {
    let rng = SeededRng::new(7);
    for call in calls() {
        for retract in [false, true] {
            let input = random_input(&call, 40, &rng);
            let mut whole = fresh(&call, retract);
            whole.update(&input.groups, &input.columns, None).unwrap();
            let mut merged = fresh(&call, retract);
            for rows in [(0..15).collect::<Vec<u32>>(), (15..40).collect()] {
                let part = part(&input, &rows);
                let mut accumulator = fresh(&call, retract);
                accumulator.update(&part.groups, &part.columns, None).unwrap();
                let state = accumulator.state(&ALL).unwrap();
                assert_eq!(state.len(), accumulator.state_types().len());
                merged.merge(&ALL, &state).unwrap();
            }
            let expected = results(&call, whole.as_ref());
            assert_eq!(
                results(&call, merged.as_ref()),
                expected,
                "{} {:?}",
                call.function,
                call.args
            );
        }
    }
}

#[test]
fn rows_that_are_taken_back_leave_no_trace() {
    let rng = SeededRng::new(11);
    for call in calls() {
        let input = random_input(&call, 40, &rng);
        let kept: Vec<u32> = (0..40).filter(|row| row % 3 != 0).collect();
        let gone: Vec<u32> = (0..40).filter(|row| row % 3 == 0).collect();
        // The rows to go come first: FIRST_VALUE and lists take the oldest equal value back.
        let order: Vec<u32> = gone.iter().chain(&kept).chain(&gone).copied().collect();
        let back: Vec<bool> = (0..order.len()).map(|i| i >= 40).collect();
        let all = part(&input, &order);
        let mut accumulator = fresh(&call, true);
        accumulator
            .update(&all.groups, &all.columns, Some(&back))
            .unwrap();
        let left = part(&input, &kept);
        let mut expected = fresh(&call, true);
        expected.update(&left.groups, &left.columns, None).unwrap();
        let expected = results(&call, expected.as_ref());
        assert_eq!(
            results(&call, accumulator.as_ref()),
            expected,
            "{} {:?}",
            call.function,
            call.args
        );
    }
}

#[test]
fn what_was_merged_can_be_taken_out() {
    let rng = SeededRng::new(13);
    for call in calls()
        .iter()
        .filter(|call| call.accumulator(false).can_unmerge())
    {
        let (a, b) = (random_input(call, 20, &rng), random_input(call, 20, &rng));
        let mut accumulator = fresh(call, false);
        accumulator.update(&a.groups, &a.columns, None).unwrap();
        let expected = results(call, accumulator.as_ref());
        let mut other = fresh(call, false);
        other.update(&b.groups, &b.columns, None).unwrap();
        let state = other.state(&ALL).unwrap();
        accumulator.merge(&ALL, &state).unwrap();
        accumulator.unmerge(&ALL, &state).unwrap();
        assert_eq!(results(call, accumulator.as_ref()), expected, "{}", call.function);
    }
}

#[test]
fn a_cleared_group_is_empty() {
    let rng = SeededRng::new(17);
    for call in calls() {
        for retract in [false, true] {
            let input = random_input(&call, 30, &rng);
            let mut accumulator = fresh(&call, retract);
            let empty = results(&call, accumulator.as_ref());
            accumulator.update(&input.groups, &input.columns, None).unwrap();
            accumulator.clear(&ALL);
            assert_eq!(results(&call, accumulator.as_ref()), empty, "{}", call.function);
        }
    }
}

#[test]
fn integers_wrap_and_decimals_overflow_to_null() {
    let rows = |values: &[Scalar]| values.iter().map(|v| vec![v.clone()]).collect::<Vec<_>>();
    let sum = Call::new("SUM", &[LogicalType::TINYINT], &[]);
    assert_eq!(
        sum.result(&rows(&[Scalar::TinyInt(127), Scalar::TinyInt(1)])),
        Scalar::TinyInt(-128)
    );
    let mean = Call::new("AVG", &[LogicalType::BIGINT], &[]);
    let big = rows(&[Scalar::BigInt(i64::MAX), Scalar::BigInt(1)]);
    assert_eq!(mean.result(&big), Scalar::BigInt(-4_611_686_018_427_387_904));
    let largest = 10i128.pow(38) - 1;
    let sum = Call::new("SUM", &[LogicalType::decimal(38, 0)], &[]);
    assert_eq!(
        sum.result(&rows(&[Scalar::Decimal(largest)])),
        Scalar::Decimal(largest)
    );
    assert_eq!(
        sum.result(&rows(&[Scalar::Decimal(largest), Scalar::Decimal(1)])),
        Scalar::Null
    );
}

#[test]
fn means_of_decimals_are_rounded() {
    let mean = Call::new("AVG", &[LogicalType::decimal(10, 4)], &[]);
    assert_eq!(mean.result, LogicalType::decimal(38, 6));
    let rows: Vec<Vec<Scalar>> = [3333, 6667, 1_000_000_000]
        .iter()
        .map(|v| vec![Scalar::Decimal(*v)])
        .collect();
    assert_eq!(mean.result(&rows), Scalar::Decimal(33_333_666_667));
    let negative: Vec<Vec<Scalar>> = [-1, -1, 0].iter().map(|v| vec![Scalar::Decimal(*v)]).collect();
    assert_eq!(mean.result(&negative), Scalar::Decimal(-67));
}

#[test]
fn nan_stays_where_java_leaves_it() {
    let rows = |values: [f64; 2]| {
        values
            .iter()
            .map(|v| vec![Scalar::Double(*v)])
            .collect::<Vec<_>>()
    };
    for function in ["MAX", "MIN"] {
        let call = Call::new(function, &[LogicalType::DOUBLE], &[]);
        assert!(matches!(call.result(&rows([f64::NAN, 1.0])), Scalar::Double(v) if v.is_nan()));
        assert_eq!(call.result(&rows([1.0, f64::NAN])), Scalar::Double(1.0));
    }
}

#[test]
fn percentiles_lie_between_neighbours() {
    let rows: Vec<Vec<Scalar>> = [12, 10, 6]
        .iter()
        .map(|v| vec![Scalar::Double(f64::from(*v))])
        .collect();
    let at = |p: f64| {
        Call::new(
            "PERCENTILE",
            &[LogicalType::DOUBLE],
            &[(LogicalType::DOUBLE, Scalar::Double(p))],
        )
    };
    assert_eq!(at(0.25).result(&rows), Scalar::Double(8.0));
    assert_eq!(at(1.0).result(&rows), Scalar::Double(12.0));
    let several = Scalar::Array(vec![Scalar::Double(0.0), Scalar::Double(0.5)]);
    let both = Call::new(
        "PERCENTILE",
        &[LogicalType::DOUBLE],
        &[(LogicalType::array(LogicalType::DOUBLE), several)],
    );
    assert_eq!(
        both.result(&rows),
        Scalar::Array(vec![Scalar::Double(6.0), Scalar::Double(10.0)])
    );
    assert_eq!(both.result(&[]), Scalar::Null);
}

#[test]
fn variances() {
    let rows: Vec<Vec<Scalar>> = [2, 4, 4, 4, 5, 5, 7, 9]
        .iter()
        .map(|v| vec![Scalar::Double(f64::from(*v))])
        .collect();
    let of = |function| Call::new(function, &[LogicalType::DOUBLE], &[]).result(&rows);
    assert_eq!(of("VAR_POP"), Scalar::Double(4.0));
    assert_eq!(of("STDDEV_POP"), Scalar::Double(2.0));
    let Scalar::Double(sample) = of("VARIANCE") else {
        panic!("a number")
    };
    assert!((sample - 32.0 / 7.0).abs() < 1e-12);
    let single = Call::new("VAR_SAMP", &[LogicalType::INT], &[]);
    assert_eq!(single.result(&[vec![Scalar::Int(3)]]), Scalar::Null);
}

#[test]
fn json_objects_order_their_keys_and_refuse_duplicates() {
    let call = Call::new("JSON_OBJECTAGG", &[LogicalType::STRING, LogicalType::INT], &[]);
    let row = |key: &str, value| vec![Scalar::String(key.to_owned()), value];
    let rows = [row("y", Scalar::Null), row("x", Scalar::Int(1))];
    assert_eq!(
        call.result(&rows),
        Scalar::String(r#"{"x":1,"y":null}"#.to_owned())
    );
    let mut accumulator = fresh(&call, false);
    let column = |i: usize| scalars_to_array(&call.args[i], rows.iter().map(|row| &row[i]));
    let columns = [column(0), column(1)];
    accumulator.update(&[0, 0], &columns, None).unwrap();
    let error = accumulator.update(&[0, 0], &columns, None).unwrap_err();
    assert!(
        error.to_string().contains("key 'y' is already present"),
        "{error}"
    );
    let array = Call::new("JSON_ARRAYAGG", &[LogicalType::INT], &[]);
    let values = [vec![Scalar::Int(1)], vec![Scalar::Null]];
    assert_eq!(array.result(&values), Scalar::String("[1]".to_owned()));
}

#[test]
fn wrong_arguments_are_refused_with_the_functions_name() {
    for function in all_aggregates().filter(|f| !f.window_only) {
        let none: &[ArgInfo<'_>] = &[];
        if function.name != "COUNT" {
            let error = (function.signature)(none).unwrap_err().to_string();
            assert!(error.contains(function.name), "{error}");
        }
    }
    let text = LogicalType::STRING;
    let error = (aggregate_function("SUM").unwrap().signature)(&[ArgInfo {
        ty: &text,
        literal: None,
    }])
    .unwrap_err();
    assert!(error.to_string().contains("cannot apply 'SUM'"), "{error}");
}
