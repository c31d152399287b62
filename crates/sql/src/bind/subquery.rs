//! Sub-queries inside expressions → joins.
//!
//! A condition of its own that is `EXISTS`, `IN` or their negation becomes a semi- or anti-join. Any other sub-query
//! becomes a column: a join that adds its value (or a mark that a row was found) to each row. Conditions that refer to
//! the outer query are pulled up out of the sub-query into the join's condition.

use millstream_plan::{AggregateCall, Expr, JoinKind};
use millstream_types::{ErrorCode, LogicalType, Scalar, Schema, TypeKind};

use super::coerce;
use super::error::{SqlError, SqlResult};
use super::expr::{BoundSubquery, SubqueryKind, call};
use super::logical::{Aggregate, Join, Rel, RelKind, and_all, conjuncts, placeholder};
use super::membership;
use super::set_operation::distinct;
use crate::parse::span::Span;

/// Filters `rel` by `condition`.
pub fn filter(rel: Rel, condition: Expr, subqueries: &mut [BoundSubquery]) -> SqlResult<Rel> {
    if subqueries.is_empty() {
        return Ok(rel.filter(condition));
    }
    let width = rel.schema.len();
    let (mut rel, mut plain) = (rel, Vec::new());
    for conjunct in conjuncts(condition) {
        match as_membership(&conjunct, subqueries) {
            Some((number, negated)) => {
                let subquery = take(subqueries, number)?;
                rel = semi_join(rel, subquery, negated)?;
            }
            None => plain.push(conjunct),
        }
    }
    let Some(mut condition) = and_all(plain) else {
        return Ok(rel);
    };
    rel = attach(rel, subqueries, vec![&mut condition])?;
    let rel = rel.filter(condition);
    Ok(if rel.schema.len() == width {
        rel
    } else {
        rel.select(&(0..width).collect::<Vec<_>>())
    })
}

/// Appends the values of the subqueries in `expressions` as columns to `rel`, and replaces the placeholders.
pub fn attach(rel: Rel, subqueries: &mut [BoundSubquery], mut expressions: Vec<&mut Expr>) -> SqlResult<Rel> {
    let mut used: Vec<usize> = Vec::new();
    for expression in &expressions {
        expression.visit(&mut |e| used.extend(subquery_number(e)));
    }
    used.sort_unstable();
    used.dedup();
    let mut rel = rel;
    for number in used {
        let subquery = take(subqueries, number)?;
        let (joined, value) = value_join(rel, subquery)?;
        rel = joined;
        for expression in &mut expressions {
            let taken = std::mem::replace(*expression, coerce::boolean(false));
            **expression = taken.transform_up(&mut |e| {
                if subquery_number(&e) == Some(number) {
                    value.clone()
                } else {
                    e
                }
            });
        }
    }
    Ok(rel)
}

/// Whether the subquery refers to columns of the outer query.
pub fn is_correlated(rel: &Rel) -> bool {
    let mut found = false;
    rel.visit(&mut |node| found |= node_exprs(node).iter().any(|e| has_outer(e)));
    found
}

/// Whether the expression reads the result of a sub-query.
pub fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit(&mut |e| found |= subquery_number(e).is_some());
    found
}

fn subquery_number(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Column { index, .. } => placeholder::number(*index, placeholder::SUBQUERY),
        _ => None,
    }
}

fn take(subqueries: &mut [BoundSubquery], number: usize) -> SqlResult<BoundSubquery> {
    let held = subqueries
        .get_mut(number)
        .ok_or_else(|| SqlError::internal("a sub-query without a number"))?;
    let rel = std::mem::replace(&mut held.rel, Rel::one_row());
    let kind = std::mem::replace(&mut held.kind, SubqueryKind::Scalar);
    Ok(BoundSubquery {
        kind,
        rel,
        span: held.span,
    })
}

/// A conjunct that consists of `[NOT] EXISTS` or `[NOT] IN`.
fn as_membership(conjunct: &Expr, subqueries: &[BoundSubquery]) -> Option<(usize, bool)> {
    let (inner, negated) = match conjunct {
        Expr::Call { function, args, .. } if function == "NOT" => (args.first()?, true),
        other => (other, false),
    };
    let number = subquery_number(inner)?;
    let is_membership = match subqueries.get(number)?.kind {
        SubqueryKind::Exists | SubqueryKind::In { .. } => true,
        SubqueryKind::Compare { .. } => !negated,
        SubqueryKind::Scalar | SubqueryKind::Collection { .. } => false,
    };
    is_membership.then_some((number, negated))
}

fn semi_join(left: Rel, subquery: BoundSubquery, negated: bool) -> SqlResult<Rel> {
    let BoundSubquery { kind, rel, span } = subquery;
    let width = left.schema.len();
    let (right, pulled) = pull_up(rel, span)?;
    let left = match kind {
        SubqueryKind::Compare { needs_rows: true, .. } if pulled.is_empty() => {
            Rel::join(left, right.clone(), Join::plain(JoinKind::Semi, None, span))
        }
        _ => left,
    };
    let mut conditions: Vec<Expr> = pulled.into_iter().map(|c| onto_join(c, width)).collect();
    let mut is_anti = negated;
    match kind {
        SubqueryKind::In { operands } => {
            for (i, operand) in operands.into_iter().enumerate() {
                let column = Expr::column(width + i, right.schema.columns[i].ty.clone());
                conditions.push(membership(operand, column, negated, span)?);
            }
        }
        SubqueryKind::Compare {
            operand,
            operator,
            all,
            ..
        } => {
            let column = Expr::column(width, right.schema.columns[0].ty.clone());
            let holds = call(operator, vec![operand, column]).map_err(|error| error.with_span(span))?;
            // ALL: there is no row for which the comparison is not TRUE.
            is_anti = all;
            conditions.push(if all {
                call("IS NOT TRUE", vec![holds])?
            } else {
                holds
            });
        }
        _ => {}
    }
    let kind = if is_anti { JoinKind::Anti } else { JoinKind::Semi };
    Ok(Rel::join(
        left,
        right,
        Join::plain(kind, and_all(conditions), span),
    ))
}

/// `operand = column`; for NOT IN, a NULL on either side counts as a possible match.
fn membership(operand: Expr, column: Expr, negated: bool, span: Span) -> SqlResult<Expr> {
    let at = |error: SqlError| error.with_span(span);
    let nullable: Vec<Expr> = [&operand, &column]
        .into_iter()
        .filter(|e| e.ty().nullable)
        .cloned()
        .collect();
    let equal = call("=", vec![operand, column]).map_err(at)?;
    if !negated || nullable.is_empty() {
        return Ok(equal);
    }
    let mut perhaps = vec![equal];
    for side in nullable {
        perhaps.push(call("IS NULL", vec![side]).map_err(at)?);
    }
    Ok(Expr::Or(perhaps))
}

/// Joins the value of a subquery to each row of `left`; also returns the value as an expression over the join.
fn value_join(left: Rel, subquery: BoundSubquery) -> SqlResult<(Rel, Expr)> {
    let BoundSubquery { kind, rel, span } = subquery;
    let width = left.schema.len();
    match kind {
        SubqueryKind::Scalar => scalar_join(left, rel, span),
        SubqueryKind::Exists => {
            let (right, pulled) = pull_up(rel, span)?;
            mark_join(left, right, Vec::new(), pulled, span)
        }
        SubqueryKind::In { operands } => {
            let (right, mut pulled) = pull_up(rel, span)?;
            if let [operand] = operands.as_slice()
                && pulled.is_empty()
                && (operand.ty().nullable || right.schema.columns[0].ty.nullable)
            {
                return membership::value(left, right, operand.clone(), span);
            }
            for (i, operand) in operands.into_iter().enumerate() {
                let outer = operand.remap_columns(&|i| i | placeholder::OUTER);
                let column = Expr::column(i, right.schema.columns[i].ty.clone());
                pulled.push(call("=", vec![outer, column]).map_err(|error| error.with_span(span))?);
            }
            mark_join(left, right, Vec::new(), pulled, span)
        }
        SubqueryKind::Compare { .. } => Err(SqlError::unsupported(
            span,
            "a quantified comparison inside another expression; put it into WHERE",
        )),
        SubqueryKind::Collection { function } => {
            if is_correlated(&rel) {
                return Err(SqlError::unsupported(
                    span,
                    "a correlated ARRAY or MULTISET query",
                ));
            }
            let element = rel.schema.columns[0].ty.without_time_attribute();
            let result = match function {
                "COLLECT" => TypeKind::Multiset(Box::new(element.clone())),
                _ => TypeKind::Array(Box::new(element.clone())),
            };
            let call = aggregate_call(function, vec![0], vec![element], LogicalType::new(result));
            let right = aggregate(rel, Vec::new(), vec![call], span);
            let ty = right.schema.columns[0].ty.clone();
            let joined = Rel::join(left, right, Join::plain(JoinKind::Left, None, span));
            Ok((joined, Expr::column(width, ty)))
        }
    }
}

/// Joins a scalar subquery; its value is NULL without a row, and 0 for a count.
fn scalar_join(left: Rel, rel: Rel, span: Span) -> SqlResult<(Rel, Expr)> {
    let (counts, single) = (is_count(&rel), is_single_row(&rel));
    let (width, visible) = (left.schema.len(), rel.schema.len());
    let (right, pulled) = pull_up(rel, span)?;
    let right = if single {
        right
    } else {
        single_value(right, visible, span)
    };
    let ty = right.schema.columns[0]
        .ty
        .without_time_attribute()
        .with_nullable(true);
    let conditions: Vec<Expr> = pulled.into_iter().map(|c| onto_join(c, width)).collect();
    let is_correlated = !conditions.is_empty();
    let joined = Rel::join(
        left,
        right,
        Join::plain(JoinKind::Left, and_all(conditions), span),
    );
    let value = Expr::column(width, ty.clone());
    if !counts || !is_correlated {
        return Ok((joined, value));
    }
    let zero = Expr::literal(Scalar::BigInt(0), LogicalType::not_null(TypeKind::BigInt));
    let args = vec![value, coerce::cast_to(zero, &ty)];
    Ok((
        joined,
        Expr::Coalesce {
            args,
            ty: ty.with_nullable(false),
        },
    ))
}

/// Joins a mark that says whether the right side has a matching row: TRUE or FALSE, never NULL.
pub(super) fn mark_join(
    left: Rel,
    right: Rel,
    mut keys: Vec<usize>,
    conditions: Vec<Expr>,
    span: Span,
) -> SqlResult<(Rel, Expr)> {
    let width = left.schema.len();
    for condition in &conditions {
        keys.extend(
            condition
                .columns()
                .into_iter()
                .filter(|i| *i < placeholder::OUTER),
        );
    }
    keys.sort_unstable();
    keys.dedup();
    let position = |i: usize| keys.iter().position(|key| *key == i).unwrap_or(i);
    let conditions: Vec<Expr> = conditions
        .into_iter()
        .map(|c| c.remap_columns(&|i| if i < placeholder::OUTER { position(i) } else { i }))
        .collect();
    let found =
        distinct(right.select(&keys), span).extend(vec![(coerce::boolean(true), "$found".to_owned())]);
    // Without conditions, the right side is reduced to at most one row: TRUE if there is any.
    let mark = width + found.schema.len() - 1;
    let conditions: Vec<Expr> = conditions.into_iter().map(|c| onto_join(c, width)).collect();
    let joined = Rel::join(
        left,
        found,
        Join::plain(JoinKind::Left, and_all(conditions), span),
    );
    let value = call("IS NOT NULL", vec![Expr::column(mark, LogicalType::BOOLEAN)])?;
    Ok((joined, value))
}

/// A pulled-up condition over a join: outer columns refer to the left side, the subquery's to the right.
fn onto_join(condition: Expr, width: usize) -> Expr {
    condition.remap_columns(&|i| match placeholder::number(i, placeholder::OUTER) {
        Some(outer) => outer,
        None => i + width,
    })
}

fn is_count(rel: &Rel) -> bool {
    match &rel.kind {
        RelKind::Project { exprs } => {
            matches!(exprs.as_slice(), [Expr::Column { .. }]) && rel.input().is_some_and(is_count)
        }
        RelKind::Aggregate(a) => {
            a.keys.is_empty() && a.calls.first().is_some_and(|call| call.function == "COUNT")
        }
        _ => false,
    }
}

/// Whether the relation has at most one row by construction.
pub fn is_single_row(rel: &Rel) -> bool {
    match &rel.kind {
        RelKind::Project { .. } | RelKind::Filter { .. } => rel.input().is_some_and(is_single_row),
        RelKind::Aggregate(a) => a.keys.is_empty() && a.sets.len() == 1 && a.window.is_none(),
        RelKind::Values { rows } => rows.len() <= 1,
        _ => false,
    }
}

/// One row per combination of the hidden columns after `visible`; a second value is an error at run time.
fn single_value(rel: Rel, visible: usize, span: Span) -> Rel {
    let keys: Vec<usize> = (visible..rel.schema.len()).collect();
    let ty = rel.schema.columns[0].ty.without_time_attribute();
    let call = aggregate_call("SINGLE_VALUE", vec![0], vec![ty.clone()], ty.with_nullable(true));
    let key_count = keys.len();
    let grouped = aggregate(rel, keys, vec![call], span);
    // Value first, then keys, as the conditions expect.
    let order: Vec<usize> = std::iter::once(key_count).chain(0..key_count).collect();
    grouped.select(&order)
}

pub(super) fn aggregate_call(
    function: &str,
    args: Vec<usize>,
    arg_types: Vec<LogicalType>,
    result: LogicalType,
) -> AggregateCall {
    AggregateCall {
        function: function.to_owned(),
        name: function.to_owned(),
        args,
        arg_types,
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        parameters: Vec::new(),
        result,
    }
}

pub(super) fn aggregate(rel: Rel, keys: Vec<usize>, calls: Vec<AggregateCall>, span: Span) -> Rel {
    let key_columns = keys.iter().map(|&k| {
        (
            rel.schema.columns[k].name.clone(),
            rel.schema.columns[k].ty.clone(),
        )
    });
    let call_columns = calls.iter().map(|call| (call.name.clone(), call.result.clone()));
    let schema = Schema::new(key_columns.chain(call_columns).collect::<Vec<_>>());
    let sets = vec![(0..keys.len()).collect()];
    let aggregate = Aggregate {
        keys,
        sets,
        calls,
        window: None,
        set_id: false,
        ttl_ms: None,
        span,
    };
    Rel::new(RelKind::Aggregate(Box::new(aggregate)), vec![rel], schema)
}

fn has_outer(expr: &Expr) -> bool {
    expr.columns()
        .iter()
        .any(|index| placeholder::number(*index, placeholder::OUTER).is_some())
}

/// All expressions of a node.
fn node_exprs(rel: &Rel) -> Vec<&Expr> {
    match &rel.kind {
        RelKind::Values { rows } => rows.iter().flatten().collect(),
        RelKind::Project { exprs } => exprs.iter().collect(),
        RelKind::Filter { condition } => vec![condition],
        RelKind::Join(join) => join.condition.iter().chain(join.as_of.iter()).collect(),
        RelKind::Correlate { args, condition, .. } => args.iter().chain(condition.iter()).collect(),
        RelKind::Watermark { expr, .. } => vec![expr],
        _ => Vec::new(),
    }
}

pub(super) fn correlate_error(span: Span) -> SqlError {
    let message = "the sub-query cannot be decorrelated: it refers to the outer query in a place that cannot become a join";
    SqlError::at(span, message)
        .with_code(ErrorCode::InvalidSubquery)
        .with_hint("compare with the outer columns in WHERE, by equality where rows are grouped")
}

/// Extracts the conditions on outer columns from `rel`. The result has the columns of `rel`, then hidden columns that
/// the conditions need. The conditions refer to the result and to outer placeholders.
pub fn pull_up(rel: Rel, span: Span) -> SqlResult<(Rel, Vec<Expr>)> {
    if !is_correlated(&rel) {
        return Ok((rel, Vec::new()));
    }
    let Rel {
        kind,
        mut inputs,
        schema,
    } = rel;
    match kind {
        RelKind::Filter { condition } => {
            let (input, mut pulled) = pull_up(one(inputs)?, span)?;
            let (outer, inner): (Vec<Expr>, Vec<Expr>) =
                conjuncts(condition).into_iter().partition(has_outer);
            pulled.extend(outer);
            let rel = match and_all(inner) {
                Some(condition) => input.filter(condition),
                None => input,
            };
            Ok((rel, pulled))
        }
        RelKind::Project { mut exprs } => {
            let (input, pulled) = pull_up(one(inputs)?, span)?;
            if exprs.iter().any(has_outer) {
                return Err(correlate_error(span));
            }
            let mut names: Vec<String> = schema.columns.iter().map(|c| c.name.clone()).collect();
            let pulled = expose(pulled, &input, &mut exprs, &mut names);
            Ok((input.project(exprs, names), pulled))
        }
        RelKind::Aggregate(aggregate) => pull_through_aggregate(*aggregate, one(inputs)?, schema, span),
        RelKind::Join(join)
            if matches!(join.kind, JoinKind::Inner | JoinKind::Left) && join.as_of.is_none() =>
        {
            pull_through_join(*join, inputs, span)
        }
        RelKind::Watermark { .. } | RelKind::Correlate { .. } | RelKind::Window { .. } => {
            let (input, pulled) = pull_up(one(std::mem::take(&mut inputs))?, span)?;
            if pulled.is_empty() {
                return Ok((Rel::new(kind, vec![input], schema), pulled));
            }
            Err(correlate_error(span))
        }
        _ => Err(correlate_error(span)),
    }
}

fn one(mut inputs: Vec<Rel>) -> SqlResult<Rel> {
    inputs
        .pop()
        .ok_or_else(|| SqlError::internal("a node without its input"))
}

/// Adds the input columns that `pulled` needs to a projection, and moves the conditions above it.
fn expose(pulled: Vec<Expr>, input: &Rel, exprs: &mut Vec<Expr>, names: &mut Vec<String>) -> Vec<Expr> {
    let mut place = |i: usize| {
        let is_column = |e: &Expr| matches!(e, Expr::Column { index, .. } if *index == i);
        if let Some(found) = exprs.iter().position(is_column) {
            return found;
        }
        let column = &input.schema.columns[i];
        exprs.push(Expr::column(i, column.ty.clone()));
        names.push(column.name.clone());
        exprs.len() - 1
    };
    let mut move_up = |condition: Expr| {
        condition.transform_up(&mut |e| match e {
            Expr::Column { index, ty } if index < placeholder::OUTER => Expr::Column {
                index: place(index),
                ty,
            },
            other => other,
        })
    };
    pulled.into_iter().map(&mut move_up).collect()
}

/// Equalities with outer columns become additional keys of the aggregate.
fn pull_through_aggregate(
    mut aggregate: Aggregate,
    input: Rel,
    schema: Schema,
    span: Span,
) -> SqlResult<(Rel, Vec<Expr>)> {
    let (input, pulled) = pull_up(input, span)?;
    let is_plain = aggregate.sets.len() == 1 && aggregate.window.is_none();
    let is_equality = |e: &Expr| matches!(e, Expr::Call { function, .. } if function == "=");
    if !is_plain || !pulled.iter().all(is_equality) {
        return Err(correlate_error(span));
    }
    let (old_keys, calls) = (aggregate.keys.len(), aggregate.calls.len());
    let mut needed: Vec<usize> = pulled
        .iter()
        .flat_map(Expr::columns)
        .filter(|i| *i < placeholder::OUTER)
        .collect();
    needed.sort_unstable();
    needed.dedup();
    let added: Vec<usize> = needed
        .into_iter()
        .filter(|i| !aggregate.keys.contains(i))
        .collect();
    aggregate.keys.extend(&added);
    aggregate.sets = vec![(0..aggregate.keys.len()).collect()];
    let keys = aggregate.keys.clone();
    let key_columns = keys.iter().map(|&k| {
        (
            input.schema.columns[k].name.clone(),
            input.schema.columns[k].ty.clone(),
        )
    });
    let call_columns = schema.columns[old_keys..]
        .iter()
        .map(|c| (c.name.clone(), c.ty.clone()));
    let grouped_schema = Schema::new(key_columns.chain(call_columns).collect::<Vec<_>>());
    let grouped = Rel::new(
        RelKind::Aggregate(Box::new(aggregate)),
        vec![input],
        grouped_schema,
    );
    // Existing keys, calls, then the added keys.
    let order: Vec<usize> = (0..old_keys)
        .chain(keys.len()..keys.len() + calls)
        .chain(old_keys..keys.len())
        .collect();
    let place = |column: usize| {
        let key = keys.iter().position(|k| *k == column).unwrap_or(0);
        order.iter().position(|o| *o == key).unwrap_or(0)
    };
    let pulled = pulled
        .into_iter()
        .map(|c| c.remap_columns(&|i| if i < placeholder::OUTER { place(i) } else { i }))
        .collect();
    Ok((grouped.select(&order), pulled))
}

fn pull_through_join(mut join: Join, mut inputs: Vec<Rel>, span: Span) -> SqlResult<(Rel, Vec<Expr>)> {
    let (Some(right), Some(left)) = (inputs.pop(), inputs.pop()) else {
        return Err(SqlError::internal("a join without two inputs"));
    };
    let (old_left, old_right) = (left.schema.len(), right.schema.len());
    let (left, mut pulled) = pull_up(left, span)?;
    let (right, right_pulled) = pull_up(right, span)?;
    let width = left.schema.len();
    let is_inner = join.kind == JoinKind::Inner;
    if !is_inner && !right_pulled.is_empty() {
        return Err(correlate_error(span));
    }
    let shift = |i: usize| if i < placeholder::OUTER { i + width } else { i };
    pulled.extend(right_pulled.into_iter().map(|c| c.remap_columns(&shift)));
    // The join's own condition refers to the former widths.
    let move_over = |i: usize| {
        if (old_left..placeholder::OUTER).contains(&i) {
            i - old_left + width
        } else {
            i
        }
    };
    if let Some(condition) = join.condition.take() {
        let moved = condition.remap_columns(&move_over);
        let (outer, inner): (Vec<Expr>, Vec<Expr>) = conjuncts(moved).into_iter().partition(has_outer);
        if !is_inner && !outer.is_empty() {
            return Err(correlate_error(span));
        }
        pulled.extend(outer);
        join.condition = and_all(inner);
    }
    let joined = Rel::join(left, right, join);
    // Visible columns first, then hidden ones.
    let total = joined.schema.len();
    let visible = (0..old_left).chain(width..width + old_right);
    let hidden = (old_left..width).chain(width + old_right..total);
    let order: Vec<usize> = visible.chain(hidden).collect();
    let place = |i: usize| order.iter().position(|o| *o == i).unwrap_or(i);
    let pulled = pulled
        .into_iter()
        .map(|c| c.remap_columns(&|i| if i < placeholder::OUTER { place(i) } else { i }))
        .collect();
    Ok((joined.select(&order), pulled))
}
