//! Constant folding.

use millstream_expr::fold;
use millstream_plan::Expr;
use millstream_types::{LogicalType, Scalar};

use crate::support::{call, case, cast, environment, int, int_column, null};

fn folded(expr: &Expr) -> Expr {
    fold(expr, &environment())
}

fn value(expr: &Expr) -> Option<Scalar> {
    match folded(expr) {
        Expr::Literal { value, .. } => Some(value),
        _ => None,
    }
}

fn boolean(value: bool) -> Expr {
    Expr::literal(Scalar::Boolean(value), LogicalType::BOOLEAN.with_nullable(false))
}

#[test]
fn constant_parts_become_values() {
    let sum = call("+", vec![int(1), call("*", vec![int(2), int(3)])]);
    assert_eq!(value(&sum), Some(Scalar::Int(7)));
    let mixed = call("+", vec![int_column(0), sum]);
    assert_eq!(folded(&mixed).columns(), [0]);
    assert!(matches!(&folded(&mixed), Expr::Call { args, .. } if matches!(args[1], Expr::Literal { .. })));
    assert_eq!(
        value(&cast(int(5), LogicalType::STRING)),
        Some(Scalar::String("5".to_owned()))
    );
    let null_sum = call("+", vec![int(1), null(LogicalType::INT)]);
    assert_eq!(value(&null_sum), Some(Scalar::Null));
}

#[test]
fn what_fails_or_is_random_stays() {
    let failing = call("/", vec![int(1), int(0)]);
    assert_eq!(folded(&failing), failing);
    let random = call("RAND", vec![]);
    assert_eq!(folded(&random), random);
}

#[test]
fn folded_floats_keep_seven_digits() {
    let float = |v: f64| Expr::Cast {
        input: Box::new(Expr::literal(
            Scalar::Double(v),
            LogicalType::DOUBLE.with_nullable(false),
        )),
        ty: LogicalType::FLOAT.with_nullable(false),
        safe: false,
    };
    assert_eq!(value(&float(16_777_216.0)), Some(Scalar::Float(16_777_220.0)));
    assert_eq!(value(&float(3.4028235E38)), Some(Scalar::Float(3.402823E38)));
    assert_eq!(value(&float(0.1)), Some(Scalar::Float(0.1)));
}

#[test]
fn logic_and_choice_lose_what_cannot_be_taken() {
    let condition = call(">", vec![int_column(0), int(1)]);
    assert_eq!(
        folded(&Expr::And(vec![boolean(true), condition.clone()])),
        condition
    );
    assert_eq!(
        value(&Expr::And(vec![condition.clone(), boolean(false)])),
        Some(Scalar::Boolean(false))
    );
    assert_eq!(
        value(&Expr::Or(vec![condition.clone(), boolean(true)])),
        Some(Scalar::Boolean(true))
    );
    assert_eq!(
        folded(&Expr::Or(vec![condition.clone(), boolean(false)])),
        condition
    );
    let choice = case(
        vec![
            (boolean(false), int(1)),
            (null(LogicalType::BOOLEAN), int(2)),
            (boolean(true), int(3)),
        ],
        int(4),
    );
    assert_eq!(value(&choice), Some(Scalar::Int(3)));
    let open = case(vec![(condition.clone(), int(1)), (boolean(true), int(3))], int(4));
    assert!(
        matches!(folded(&open), Expr::Case { branches, otherwise, .. } if branches.len() == 1 && *otherwise == int(3))
    );
    let coalesce = Expr::Coalesce {
        args: vec![null(LogicalType::INT), int_column(0), int(1), int(2)],
        ty: LogicalType::INT,
    };
    assert!(matches!(folded(&coalesce), Expr::Coalesce { args, .. } if args == [int_column(0), int(1)]));
}

#[test]
fn rows_that_are_written_out_compare_field_by_field() {
    let row = |fields: Vec<Expr>| call("ROW", fields);
    let equal = call(
        "=",
        vec![row(vec![int_column(0), int_column(1)]), row(vec![int(1), int(2)])],
    );
    let folded = folded(&equal);
    assert!(
        matches!(&folded, Expr::And(parts) if parts.len() == 2),
        "{folded:?}"
    );
    let columns = [
        crate::support::ints(&[None, Some(1), None]),
        crate::support::ints(&[Some(2), Some(2), Some(3)]),
    ];
    let expected = vec![Scalar::Null, Scalar::Boolean(true), Scalar::Boolean(false)];
    assert_eq!(crate::support::evaluate(&folded, &columns, 3), Ok(expected));
}

#[test]
fn a_value_equals_itself_even_if_it_is_nan() {
    let v = Expr::column(0, LogicalType::DOUBLE);
    let columns = [crate::support::column(
        &LogicalType::DOUBLE,
        &[Scalar::Double(f64::NAN), Scalar::Double(1.0), Scalar::Null],
    )];
    let results =
        |name: &str| crate::support::evaluate(&folded(&call(name, vec![v.clone(), v.clone()])), &columns, 3);
    let boolean = Scalar::Boolean;
    assert_eq!(results("="), Ok(vec![boolean(true), boolean(true), Scalar::Null]));
    assert_eq!(
        results("<>"),
        Ok(vec![boolean(false), boolean(false), Scalar::Null])
    );
}
