//! `(SELECT DISTINCT key FROM t) s, LATERAL (SELECT … FROM t WHERE key = s.key ORDER BY … LIMIT n)`: the first rows for each
//! key. It is the one form of a correlated LIMIT that Flink takes, and the rows are ranked in the sub-query.

use millstream_plan::{AggregateCall, Expr, SortKey};
use millstream_types::{LogicalType, Scalar, Schema};

use super::error::SqlResult;
use super::expr::call;
use super::logical::{Bound, Frame, Over, Rel, RelKind, placeholder};
use super::subquery::{correlate_error, is_correlated, pull_up};
use crate::parse::span::Span;

/// Whether `rel` has the distinct values of one column.
pub(super) fn is_distinct_key(rel: &Rel) -> bool {
    match &rel.kind {
        RelKind::Aggregate(aggregate) => {
            aggregate.calls.is_empty() && aggregate.keys.len() == 1 && aggregate.window.is_none()
        }
        RelKind::Project { .. } => rel.inputs.first().is_some_and(is_distinct_key),
        _ => false,
    }
}

/// The first rows of `rel` for each key, and the conditions that join them with the keys. `None` if `rel` is no
/// correlated query with ORDER BY and LIMIT.
pub(super) fn first_rows(rel: &Rel, span: Span) -> Option<SqlResult<(Rel, Vec<Expr>)>> {
    match &rel.kind {
        RelKind::Sort {
            keys,
            offset: 0,
            fetch: Some(fetch),
            ..
        } if !keys.is_empty() && is_correlated(rel) => {
            let input = rel.inputs.first()?.clone();
            Some(ranked(input, keys.clone(), *fetch, span))
        }
        _ => None,
    }
}

fn ranked(input: Rel, order: Vec<SortKey>, fetch: u64, span: Span) -> SqlResult<(Rel, Vec<Expr>)> {
    let (input, pulled) = pull_up(input, span)?;
    let keys: Option<Vec<usize>> = pulled.iter().map(key_column).collect();
    let partition = keys.filter(|keys| keys.len() == 1);
    let partition = partition.ok_or_else(|| correlate_error(span))?;
    let width = input.schema.len();
    let number = LogicalType::BIGINT.with_nullable(false);
    let columns = input
        .schema
        .columns
        .iter()
        .map(|c| (c.name.clone(), c.ty.clone()));
    let schema = Schema::new(
        columns
            .chain([("w0$o0".to_owned(), number.clone())])
            .collect::<Vec<_>>(),
    );
    let over = Over {
        partition,
        order,
        frame: Frame {
            rows: true,
            start: Bound::UnboundedPreceding,
            end: Bound::CurrentRow,
        },
        calls: vec![row_number(number.clone())],
        span,
    };
    let rel = Rel::new(RelKind::Over(Box::new(over)), vec![input], schema);
    let limit = Expr::literal(
        Scalar::BigInt(i64::try_from(fetch).unwrap_or(i64::MAX)),
        number.clone(),
    );
    let condition = call("<=", vec![Expr::column(width, number), limit])?;
    let visible: Vec<usize> = (0..width).collect();
    let conditions = pulled.into_iter().map(also_of_null).collect();
    Ok((rel.filter(condition).select(&visible), conditions))
}

/// Flink ranks the rows of the sub-query without the join, so that those whose key is NULL stay.
fn also_of_null(equality: Expr) -> Expr {
    match equality {
        Expr::Call { args, ty, .. } => Expr::Call {
            function: "IS NOT DISTINCT FROM".to_owned(),
            args,
            ty: ty.with_nullable(false),
        },
        other => other,
    }
}

/// The inner column of `column = expression of outer columns`.
fn key_column(condition: &Expr) -> Option<usize> {
    let Expr::Call { function, args, .. } = condition else {
        return None;
    };
    let is_outer = |e: &Expr| {
        let columns = e.columns();
        !columns.is_empty() && columns.iter().all(|column| *column >= placeholder::OUTER)
    };
    match args.as_slice() {
        [Expr::Column { index, .. }, other] | [other, Expr::Column { index, .. }]
            if function == "=" && *index < placeholder::OUTER && is_outer(other) =>
        {
            Some(*index)
        }
        _ => None,
    }
}

fn row_number(result: LogicalType) -> AggregateCall {
    AggregateCall {
        function: "ROW_NUMBER".to_owned(),
        args: Vec::new(),
        arg_types: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        parameters: Vec::new(),
        result,
        name: "ROW_NUMBER".to_owned(),
    }
}
