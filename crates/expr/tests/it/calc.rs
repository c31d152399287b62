//! Calcs: filter, then project; common subexpressions are computed once.

use std::sync::Arc;

use millstream_expr::{CompileError, CompiledCalc};
use millstream_plan::Expr;
use millstream_types::{Batch, LogicalType, RowKind, Scalar};

use crate::support::{call, cast, environment, int, int_column, ints};

fn batch() -> Batch {
    let columns = vec![
        ints(&[Some(0), Some(1), Some(2), None]),
        ints(&[Some(5), Some(6), Some(7), Some(8)]),
    ];
    Batch::changes(
        columns,
        vec![
            RowKind::Insert,
            RowKind::Insert,
            RowKind::UpdateAfter,
            RowKind::Delete,
        ],
    )
}

fn rows(batch: &Batch, types: &[LogicalType]) -> Vec<Vec<Scalar>> {
    let row = |i| {
        batch
            .columns
            .iter()
            .zip(types)
            .map(|(c, ty)| Scalar::from_array(ty, c, i))
            .collect()
    };
    (0..batch.rows).map(row).collect()
}

#[test]
fn rows_are_filtered_before_they_are_projected() {
    let not_zero = call("<>", vec![int_column(0), int(0)]);
    let quotient = call("/", vec![int(10), int_column(0)]);
    let mut calc = CompiledCalc::compile(Some(&not_zero), &[quotient, int_column(1)], 2).expect("a calc");
    let result = calc.apply(&batch(), &environment()).expect("no division by zero");
    let expected = vec![
        vec![Scalar::Int(10), Scalar::Int(6)],
        vec![Scalar::Int(5), Scalar::Int(7)],
    ];
    assert_eq!(rows(&result, &[LogicalType::INT, LogicalType::INT]), expected);
    assert_eq!(
        result.kinds.as_deref(),
        Some([RowKind::Insert, RowKind::UpdateAfter].as_slice())
    );
}

#[test]
fn columns_pass_by_reference_and_constants_expand() {
    let input = batch();
    let mut calc = CompiledCalc::compile(None, &[int_column(1), int(3)], 2).expect("a calc");
    let result = calc.apply(&input, &environment()).expect("a projection");
    assert!(Arc::ptr_eq(&result.columns[0], &input.columns[1]));
    assert_eq!(
        rows(&result, &[LogicalType::INT, LogicalType::INT])[3],
        [Scalar::Int(8), Scalar::Int(3)]
    );
    assert_eq!(result.kinds, input.kinds);
}

#[test]
fn nothing_left_is_an_empty_batch_of_the_right_types() {
    let never = call(">", vec![int_column(1), int(100)]);
    let text = cast(int_column(0), LogicalType::STRING);
    let mut calc = CompiledCalc::compile(Some(&never), &[text], 2).expect("a calc");
    let result = calc.apply(&batch(), &environment()).expect("a calc");
    assert_eq!((result.rows, result.columns[0].len()), (0, 0));
    assert_eq!(result.columns[0].data_type(), &arrow_schema::DataType::Utf8View);
}

#[test]
fn shared_parts_do_not_change_results() {
    let product = || call("*", vec![int_column(0), int_column(1)]);
    let condition = call(">", vec![product(), int(5)]);
    let plus = |n| call("+", vec![call("-", vec![product(), int(1)]), int(n)]);
    let guarded = Expr::Case {
        branches: vec![(
            call("=", vec![int_column(0), int(2)]),
            call("/", vec![plus(1), int_column(0)]),
        )],
        otherwise: Box::new(product()),
        ty: LogicalType::INT,
    };
    let projections = [plus(1), plus(2), guarded, product()];
    let mut calc = CompiledCalc::compile(Some(&condition), &projections, 2).expect("a calc");
    let result = calc.apply(&batch(), &environment()).expect("a calc");
    let types = vec![LogicalType::INT; 4];
    let expected = vec![
        [6, 7, 6, 6].map(Scalar::Int).to_vec(),
        [14, 15, 7, 14].map(Scalar::Int).to_vec(),
    ];
    assert_eq!(rows(&result, &types), expected);
}

#[test]
fn a_part_behind_a_condition_is_not_hoisted() {
    let quotient = || call("/", vec![int(10), int_column(0)]);
    let guarded = || {
        Expr::And(vec![
            call("<>", vec![int_column(0), int(0)]),
            call(">", vec![quotient(), int(5)]),
        ])
    };
    let mut calc =
        CompiledCalc::compile(None, &[guarded(), Expr::Or(vec![guarded(), guarded()])], 2).expect("a calc");
    assert!(calc.apply(&batch(), &environment()).is_ok());
}

#[test]
fn a_column_beyond_the_input_is_refused() {
    let error = CompiledCalc::compile(None, &[int_column(2)], 2).expect_err("no third column");
    assert_eq!(error, CompileError::UnknownColumn { index: 2, columns: 2 });
}
