//! OVER calls → [`RelKind::Over`] nodes: one for each distinct window.

use millstream_plan::{AggregateCall, Expr, SortKey};
use millstream_types::{ErrorCode, Schema};

use super::coerce;
use super::error::{SqlError, SqlResult};
use super::expr::{BoundAggregate, BoundOrder, BoundOver};
use super::logical::{Over, Rel, RelKind, placeholder};

/// Appends a column for each OVER call to `rel` and replaces the placeholders in `expressions`.
pub fn build(rel: Rel, overs: &[BoundOver], expressions: Vec<&mut Expr>, streaming: bool) -> SqlResult<Rel> {
    if overs.is_empty() {
        return Ok(rel);
    }
    let mut windows: Vec<Vec<usize>> = Vec::new();
    for (number, over) in overs.iter().enumerate() {
        let shares = |window: &Vec<usize>| {
            window
                .first()
                .is_some_and(|first| same_window(&overs[*first], over))
        };
        match windows.iter_mut().find(|window| shares(window)) {
            Some(window) => window.push(number),
            None => windows.push(vec![number]),
        }
    }
    if streaming && let Some(second) = windows.get(1).and_then(|window| window.first()) {
        let message = "Over Agg: Unsupported use of OVER windows. All aggregates must be computed on the same window. \
                       please re-check the over window statement";
        return Err(SqlError::at(overs[*second].span, message).with_code(ErrorCode::InvalidOver));
    }
    let mut rel = rel;
    let mut columns: Vec<Option<Expr>> = vec![None; overs.len()];
    for window in windows {
        let members: Vec<&BoundOver> = window.iter().map(|number| &overs[*number]).collect();
        let first = rel_over(&mut rel, &members);
        for (i, number) in window.iter().enumerate() {
            columns[*number] = Some(Expr::column(first + i, overs[*number].call.result.clone()));
        }
    }
    for expression in expressions {
        let taken = std::mem::replace(expression, coerce::boolean(false));
        *expression = taken.transform_up(&mut |e| match &e {
            Expr::Column { index, .. } => placeholder::number(*index, placeholder::OVER)
                .and_then(|number| columns.get(number).cloned().flatten())
                .unwrap_or(e),
            _ => e,
        });
    }
    Ok(rel)
}

fn same_window(a: &BoundOver, b: &BoundOver) -> bool {
    a.partition == b.partition && a.order == b.order && a.frame == b.frame
}

/// Adds an OVER node above `rel`; returns the position of its first call.
fn rel_over(rel: &mut Rel, members: &[&BoundOver]) -> usize {
    let input = std::mem::replace(rel, Rel::one_row());
    let mut extra: Vec<(Expr, String)> = Vec::new();
    let width = input.schema.len();
    let mut column = |expr: &Expr| match expr {
        Expr::Column { index, .. } => *index,
        other => {
            let known = extra.iter().position(|(e, _)| e == other);
            width
                + known.unwrap_or_else(|| {
                    extra.push((other.clone(), format!("$o{}", extra.len())));
                    extra.len() - 1
                })
        }
    };
    let window = members[0];
    let partition: Vec<usize> = window.partition.iter().map(&mut column).collect();
    let order: Vec<SortKey> = window
        .order
        .iter()
        .map(|o| sort_key(o, column(&o.expr)))
        .collect();
    let calls: Vec<AggregateCall> = members
        .iter()
        .map(|member| aggregate_call(&member.call, &mut column))
        .collect();
    let input = input.extend(extra);
    let first = input.schema.len();
    let call_columns = calls
        .iter()
        .enumerate()
        .map(|(i, call)| (format!("w0$o{i}"), call.result.clone()));
    let schema = Schema::new(
        input
            .schema
            .columns
            .iter()
            .map(|c| (c.name.clone(), c.ty.clone()))
            .chain(call_columns),
    );
    let over = Over {
        partition,
        order,
        frame: window.frame,
        calls,
        span: window.span,
    };
    *rel = Rel::new(RelKind::Over(Box::new(over)), vec![input], schema);
    first
}

/// The call over columns; `column` finds or creates them.
fn aggregate_call(call: &BoundAggregate, column: &mut impl FnMut(&Expr) -> usize) -> AggregateCall {
    let plain_type = |arg: &Expr| arg.ty().without_time_attribute();
    AggregateCall {
        function: call.function.clone(),
        args: call.args.iter().map(&mut *column).collect(),
        arg_types: call.args.iter().map(plain_type).collect(),
        distinct: call.distinct,
        filter: call.filter.as_ref().map(&mut *column),
        order_by: call
            .order_by
            .iter()
            .map(|(expr, up)| (column(expr), *up))
            .collect(),
        parameters: call.parameters.clone(),
        result: call.result.clone(),
        name: call.function.clone(),
    }
}

fn sort_key(order: &BoundOrder, column: usize) -> SortKey {
    SortKey {
        column,
        ascending: order.ascending,
        nulls_first: order.nulls_first,
    }
}
