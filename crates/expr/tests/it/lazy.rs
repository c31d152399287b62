//! Operands that a row does not need are not evaluated for it.

use millstream_expr::EvalError;
use millstream_plan::Expr;
use millstream_types::{LogicalType, Scalar};

use crate::support::{call, case, cast, evaluate, int, int_column, ints, null};

/// `10 / x`
fn ten_over_x() -> Expr {
    call("/", vec![int(10), int_column(0)])
}

fn x_is_not_zero() -> Expr {
    call("<>", vec![int_column(0), int(0)])
}

fn booleans(values: &[Option<bool>]) -> Vec<Scalar> {
    values
        .iter()
        .map(|v| v.map_or(Scalar::Null, Scalar::Boolean))
        .collect()
}

fn numbers(values: &[Option<i32>]) -> Vec<Scalar> {
    values
        .iter()
        .map(|v| v.map_or(Scalar::Null, Scalar::Int))
        .collect()
}

#[test]
fn and_guards_a_failing_operand() {
    let guarded = Expr::And(vec![x_is_not_zero(), call(">", vec![ten_over_x(), int(5)])]);
    let columns = [ints(&[Some(0), Some(1), Some(2), None])];
    let result = evaluate(&guarded, &columns, 4);
    assert_eq!(
        result,
        Ok(booleans(&[Some(false), Some(true), Some(false), None]))
    );
    let unguarded = Expr::And(vec![call(">", vec![ten_over_x(), int(5)]), x_is_not_zero()]);
    assert_eq!(evaluate(&unguarded, &columns, 4), Err(EvalError::DivisionByZero));
}

#[test]
fn or_guards_a_failing_operand() {
    let guarded = Expr::Or(vec![
        call("=", vec![int_column(0), int(0)]),
        call("<", vec![ten_over_x(), int(5)]),
    ]);
    let columns = [ints(&[Some(0), Some(1), None, Some(5)])];
    assert_eq!(
        evaluate(&guarded, &columns, 4),
        Ok(booleans(&[Some(true), Some(false), None, Some(true)]))
    );
}

#[test]
fn a_long_list_of_alternatives_is_a_set() {
    let equals = |value: Expr| call("=", vec![int_column(0), value]);
    let mut alternatives: Vec<Expr> = [1, 2, 3, 5, 8].map(|n| equals(int(n))).to_vec();
    let columns = [ints(&[Some(5), Some(4), None])];
    let any = |alternatives: &[Expr]| evaluate(&Expr::Or(alternatives.to_vec()), &columns, 3);
    assert_eq!(any(&alternatives), Ok(booleans(&[Some(true), Some(false), None])));
    alternatives.push(equals(null(LogicalType::INT)));
    assert_eq!(any(&alternatives), Ok(booleans(&[Some(true), None, None])));
    alternatives.push(call("=", vec![int_column(0), ten_over_x()]));
    assert_eq!(any(&alternatives), Ok(booleans(&[Some(true), None, None])));
}

#[test]
fn three_valued_tables() {
    let values = [Some(true), Some(false), None];
    let scalars = |pick: fn(usize) -> usize| -> Vec<Scalar> {
        booleans(&(0..9).map(|i| values[pick(i)]).collect::<Vec<_>>())
    };
    let columns = [
        crate::support::column(&LogicalType::BOOLEAN, &scalars(|i| i / 3)),
        crate::support::column(&LogicalType::BOOLEAN, &scalars(|i| i % 3)),
    ];
    let operands = || {
        vec![
            Expr::column(0, LogicalType::BOOLEAN),
            Expr::column(1, LogicalType::BOOLEAN),
        ]
    };
    let and = |a: Option<bool>, b: Option<bool>| match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    };
    let or = |a: Option<bool>, b: Option<bool>| and(a.map(|v| !v), b.map(|v| !v)).map(|v| !v);
    let expected = |f: &dyn Fn(Option<bool>, Option<bool>) -> Option<bool>| {
        booleans(
            &(0..9)
                .map(|i| f(values[i / 3], values[i % 3]))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(evaluate(&Expr::And(operands()), &columns, 9), Ok(expected(&and)));
    assert_eq!(evaluate(&Expr::Or(operands()), &columns, 9), Ok(expected(&or)));
}

#[test]
fn case_evaluates_the_taken_branch_alone() {
    let guarded = case(vec![(x_is_not_zero(), ten_over_x())], int(-1));
    let columns = [ints(&[Some(0), Some(1), None, Some(-3)])];
    assert_eq!(
        evaluate(&guarded, &columns, 4),
        Ok(numbers(&[Some(-1), Some(10), Some(-1), Some(-3)]))
    );
    let later = case(
        vec![
            (call("=", vec![int_column(0), int(0)]), int(0)),
            (call(">", vec![ten_over_x(), int(5)]), int(1)),
            (call("IS NULL", vec![int_column(0)]), int(2)),
        ],
        null(LogicalType::INT),
    );
    assert_eq!(
        evaluate(&later, &columns, 4),
        Ok(numbers(&[Some(0), Some(1), Some(2), None]))
    );
    assert_eq!(
        evaluate(&later, &[ints(&[Some(1), Some(1)])], 2),
        Ok(numbers(&[Some(1), Some(1)]))
    );
}

#[test]
fn coalesce_stops_at_the_first_value() {
    let safe = |x: Expr| Expr::Coalesce {
        args: vec![x, ten_over_x()],
        ty: LogicalType::INT,
    };
    let columns = [ints(&[Some(0), Some(5), None]), ints(&[Some(7), None, None])];
    assert_eq!(
        evaluate(&safe(int_column(1)), &columns, 3),
        Ok(numbers(&[Some(7), Some(2), None]))
    );
    let three = Expr::Coalesce {
        args: vec![int_column(1), int_column(0), int(9)],
        ty: LogicalType::INT,
    };
    assert_eq!(
        evaluate(&three, &columns, 3),
        Ok(numbers(&[Some(7), Some(5), Some(9)]))
    );
    let texts = Expr::Coalesce {
        args: vec![
            cast(int_column(1), LogicalType::STRING),
            cast(ten_over_x(), LogicalType::STRING),
        ],
        ty: LogicalType::STRING,
    };
    let text = |value: &str| Scalar::String(value.to_owned());
    assert_eq!(
        evaluate(&texts, &columns, 3),
        Ok(vec![text("7"), text("2"), Scalar::Null])
    );
}

#[test]
fn rows_with_other_field_names_make_one_column() {
    let row = |name: &str| LogicalType::row([(name.to_owned(), LogicalType::INT)]);
    let columns = [
        crate::support::column(&row("a"), &[Scalar::Row(numbers(&[Some(1)])), Scalar::Null]),
        crate::support::column(&row("b"), &[Scalar::Null, Scalar::Row(numbers(&[Some(2)]))]),
    ];
    let args = vec![Expr::column(0, row("a")), Expr::column(1, row("b"))];
    let first = Expr::Coalesce { args, ty: row("a") };
    let expected = vec![Scalar::Row(numbers(&[Some(1)])), Scalar::Row(numbers(&[Some(2)]))];
    assert_eq!(evaluate(&first, &columns, 2), Ok(expected));
}

#[test]
fn fields_of_a_null_row_are_null() {
    let row = LogicalType::row([
        ("a".to_owned(), LogicalType::INT),
        ("b".to_owned(), LogicalType::STRING),
    ]);
    let values = [Scalar::Row(vec![Scalar::Int(1), Scalar::Null]), Scalar::Null];
    let columns = [crate::support::column(&row, &values)];
    let field = |index, ty| Expr::Field {
        input: Box::new(Expr::column(0, row.clone())),
        index,
        ty,
    };
    assert_eq!(
        evaluate(&field(0, LogicalType::INT), &columns, 2),
        Ok(numbers(&[Some(1), None]))
    );
    assert_eq!(
        evaluate(&field(1, LogicalType::STRING), &columns, 2),
        Ok(vec![Scalar::Null, Scalar::Null])
    );
}

#[test]
fn nothing_is_evaluated_without_rows() {
    let failing = call("/", vec![int(1), int(0)]);
    assert_eq!(evaluate(&failing, &[], 0), Ok(Vec::new()));
    assert_eq!(evaluate(&failing, &[], 1), Err(EvalError::DivisionByZero));
}
