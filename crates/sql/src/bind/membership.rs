//! `operand IN (subquery)` as a value, in three-valued logic.

use millstream_plan::Expr;
use millstream_types::{LogicalType, Scalar, TypeKind};

use super::coerce;
use super::error::{SqlError, SqlResult};
use super::expr::call;
use super::logical::{Join, Rel, placeholder};
use super::subquery::{aggregate, aggregate_call, mark_join};
use crate::parse::span::Span;
use millstream_plan::JoinKind;

/// The value of `operand IN (right)` with NULLs: TRUE if it is found; otherwise NULL if `right` has rows and the
/// operand or some row is NULL; otherwise FALSE.
pub(super) fn value(left: Rel, right: Rel, operand: Expr, span: Span) -> SqlResult<(Rel, Expr)> {
    let at = |error: SqlError| error.with_span(span);
    let column = right.schema.columns[0].ty.without_time_attribute();
    let outer = operand.clone().remap_columns(&|i| i | placeholder::OUTER);
    let equal = call("=", vec![outer, Expr::column(0, column.clone())]).map_err(at)?;
    let count = LogicalType::not_null(TypeKind::BigInt);
    let calls = vec![
        aggregate_call("COUNT", Vec::new(), Vec::new(), count.clone()),
        aggregate_call("COUNT", vec![0], vec![column], count.clone()),
    ];
    let counts = aggregate(right.clone(), Vec::new(), calls, span);
    let (joined, found) = mark_join(left, right, Vec::new(), vec![equal], span)?;
    let width = joined.schema.len();
    let joined = Rel::join(joined, counts, Join::plain(JoinKind::Left, None, span));
    // In streaming mode, there is no count before the first row.
    let count = |i: usize| Expr::column(width + i, LogicalType::BIGINT);
    let zero = Expr::literal(Scalar::BigInt(0), LogicalType::not_null(TypeKind::BigInt));
    let has_rows = call(">", vec![count(0), zero])?;
    let has_nulls = call("<", vec![count(1), count(0)])?;
    let is_unknown = Expr::Or(vec![call("IS NULL", vec![operand])?, has_nulls]);
    let unknown = call("IS TRUE", vec![Expr::And(vec![has_rows, is_unknown])])?;
    let value = Expr::Case {
        branches: vec![
            (found, coerce::boolean(true)),
            (unknown, Expr::literal(Scalar::Null, LogicalType::BOOLEAN)),
        ],
        otherwise: Box::new(coerce::boolean(false)),
        ty: LogicalType::BOOLEAN,
    };
    Ok((joined, value))
}
