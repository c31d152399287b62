//! Compares whole batches with one row at a time: lazy evaluation over many rows must agree with eager evaluation over
//! one.

use millstream_expr::EvalError;
use millstream_plan::Expr;
use millstream_types::{LogicalType, Scalar};
use proptest::prelude::*;

use crate::support::{call, case, evaluate, int, int_column, ints};

/// INT expressions over two columns; divisions may fail.
fn integer() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![(-3i32..4).prop_map(int), (0usize..2).prop_map(int_column)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator = prop_oneof![Just("+"), Just("-"), Just("*"), Just("/"), Just("%")];
        prop_oneof![
            (operator, inner.clone(), inner.clone()).prop_map(|(name, a, b)| call(name, vec![a, b])),
            (condition(inner.clone()), inner.clone(), inner.clone())
                .prop_map(|(c, a, b)| case(vec![(c, a)], b)),
            proptest::collection::vec(inner, 1..4).prop_map(|args| Expr::Coalesce {
                args,
                ty: LogicalType::INT
            }),
        ]
    })
}

fn condition(operand: impl Strategy<Value = Expr> + Clone) -> impl Strategy<Value = Expr> {
    let operator = prop_oneof![Just("="), Just("<>"), Just("<"), Just(">=")];
    let comparison = (operator, operand.clone(), operand).prop_map(|(name, a, b)| call(name, vec![a, b]));
    prop_oneof![
        comparison.clone(),
        proptest::collection::vec(comparison.clone(), 2..4).prop_map(Expr::And),
        proptest::collection::vec(comparison, 2..4).prop_map(Expr::Or),
    ]
}

/// Evaluates each row alone; the first row that fails fails the whole.
fn one_by_one(expr: &Expr, rows: &[(Option<i32>, Option<i32>)]) -> Result<Vec<Scalar>, EvalError> {
    let mut values = Vec::new();
    for (a, b) in rows {
        values.extend(evaluate(expr, &[ints(&[*a]), ints(&[*b])], 1)?);
    }
    Ok(values)
}

proptest! {
    #[test]
    fn batches_equal_single_rows(
        expr in integer(),
        rows in proptest::collection::vec((proptest::option::of(-3i32..4), proptest::option::of(-3i32..4)), 1..12),
    ) {
        let columns = [
            ints(&rows.iter().map(|r| r.0).collect::<Vec<_>>()),
            ints(&rows.iter().map(|r| r.1).collect::<Vec<_>>()),
        ];
        prop_assert_eq!(evaluate(&expr, &columns, rows.len()), one_by_one(&expr, &rows));
    }
}
