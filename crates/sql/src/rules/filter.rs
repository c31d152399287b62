//! Moving conditions towards the sources: through projections, unions, joins and partitions, into scans as advice.
//!
//! Conditions stop at a watermark: the rows that they would drop still move event time. On the way a condition on a row
//! number turns an OVER window into Top-N.

use millstream_functions::{Determinism, scalar_function};
use millstream_plan::{Expr, JoinKind, RankKind, RankRange, WindowKind};
use millstream_types::{LogicalType, Scalar, Schema, TypeKind};

use crate::bind::config::PlannerConfig;
use crate::bind::logical::{Over, Rank, Rel, RelKind, and_all, conjuncts, join_schema};
use crate::rules::windows;

/// Filters `rel` by `conditions`, each pushed down as far as possible.
pub fn push(rel: Rel, conditions: Vec<Expr>, config: &PlannerConfig) -> Rel {
    let Rel { kind, inputs, schema } = rel;
    match kind {
        RelKind::Filter { condition } => {
            let all: Vec<Expr> = conjuncts(condition).into_iter().chain(conditions).collect();
            match push_each(inputs, &all, config).pop() {
                Some(filtered) => filtered,
                None => Rel::one_row(),
            }
        }
        RelKind::Project { exprs } => {
            let (down, up) = split(conditions, |c| through_projection(c, &exprs));
            let inputs = push_each(inputs, &down, config);
            above(Rel::new(RelKind::Project { exprs }, inputs, schema), up)
        }
        kind @ (RelKind::Union
        | RelKind::Sort {
            offset: 0,
            fetch: None,
            ..
        }) => Rel::new(kind, push_each(inputs, &conditions, config), schema),
        RelKind::Join(_) => push_into_join(Rel::new(kind, inputs, schema), conditions, config),
        RelKind::Over(over) => push_into_over(*over, inputs, schema, conditions, config),
        RelKind::Rank(rank) => {
            let partition = rank.partition.clone();
            let rel = Rel::new(RelKind::Rank(rank), inputs, schema);
            keep_over(rel, conditions, &partition, config)
        }
        RelKind::Aggregate(_) => push_into_aggregate(Rel::new(kind, inputs, schema), conditions, config),
        RelKind::Window { .. } | RelKind::Correlate { .. } => {
            let width = inputs.first().map_or(0, |input| input.schema.len());
            // Rows that a condition leaves out are part of their session.
            let keeps_rows = |c: &Expr| match &kind {
                RelKind::Window {
                    kind: WindowKind::Session { .. },
                    partition,
                    ..
                } => c.columns().iter().all(|column| partition.contains(column)),
                _ => true,
            };
            let goes_down = |c: &Expr| is_below(c, width) && is_movable(c) && keeps_rows(c);
            let (down, up): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(goes_down);
            above(Rel::new(kind, push_each(inputs, &down, config), schema), up)
        }
        RelKind::Scan(mut scan) => {
            if scan.changelog.is_insert_only() {
                let advice = conditions.iter().filter(|c| is_movable(c)).cloned();
                scan.filters.extend(advice);
            }
            above(Rel::new(RelKind::Scan(scan), inputs, schema), conditions)
        }
        kind @ (RelKind::Watermark { .. }
        | RelKind::Match(_)
        | RelKind::Sort { .. }
        | RelKind::Values { .. }) => {
            above(Rel::new(kind, push_each(inputs, &[], config), schema), conditions)
        }
    }
}

/// The same conditions on every input.
fn push_each(inputs: Vec<Rel>, conditions: &[Expr], config: &PlannerConfig) -> Vec<Rel> {
    let pushed = inputs
        .into_iter()
        .map(|input| push(input, conditions.to_vec(), config));
    pushed.collect()
}

/// Adds a filter, unless there are no conditions.
fn above(rel: Rel, conditions: Vec<Expr>) -> Rel {
    match and_all(conditions) {
        Some(condition) => rel.filter(condition),
        None => rel,
    }
}

/// Splits conditions into those that `f` can rewrite for the input, and the others.
fn split(conditions: Vec<Expr>, f: impl Fn(&Expr) -> Option<Expr>) -> (Vec<Expr>, Vec<Expr>) {
    let (mut down, mut up) = (Vec::new(), Vec::new());
    for condition in conditions {
        match f(&condition) {
            Some(moved) => down.push(moved),
            None => up.push(condition),
        }
    }
    (down, up)
}

fn is_below(expr: &Expr, width: usize) -> bool {
    expr.columns().iter().all(|i| *i < width)
}

/// Whether evaluating the expression elsewhere gives the same value.
pub fn is_movable(expr: &Expr) -> bool {
    let mut movable = true;
    expr.visit(&mut |e| {
        if let Expr::Call { function, .. } = e {
            movable &= scalar_function(function).is_some_and(|f| f.determinism == Determinism::Always);
        }
    });
    movable
}

/// Columns, fields and casts, which are cheap enough to compute twice.
pub fn is_cheap(expr: &Expr) -> bool {
    match expr {
        Expr::Column { .. } | Expr::Literal { .. } => true,
        Expr::Field { input, .. } | Expr::Cast { input, .. } => is_cheap(input),
        _ => false,
    }
}

/// Rewrites the condition over the projection's input, if the expressions that it reads are cheap.
fn through_projection(condition: &Expr, exprs: &[Expr]) -> Option<Expr> {
    let reads_cheap = condition
        .columns()
        .iter()
        .all(|i| exprs.get(*i).is_some_and(is_cheap));
    if !reads_cheap || !is_movable(condition) {
        return None;
    }
    Some(substitute(condition.clone(), exprs))
}

/// Replaces columns by the expressions that compute them.
pub fn substitute(expr: Expr, columns: &[Expr]) -> Expr {
    expr.transform_up(&mut |e| match e {
        Expr::Column { index, ty } => columns.get(index).cloned().unwrap_or(Expr::Column { index, ty }),
        other => other,
    })
}

/// Where the conditions of a join and those above it are evaluated.
#[derive(Default)]
struct Placed {
    left: Vec<Expr>,
    right: Vec<Expr>,
    on: Vec<Expr>,
    above: Vec<Expr>,
}

impl Placed {
    /// Places the conditions that stand above (`above`) and in ON (`on`) of a join of this kind.
    fn new(kind: JoinKind, right_moves: bool, above: Vec<Expr>, on: Vec<Expr>, width: usize) -> Self {
        use JoinKind::{Anti, Inner, Left, Right, Semi};
        let is_left = |c: &Expr| is_below(c, width);
        let is_right = |c: &Expr| {
            let columns = c.columns();
            right_moves && !columns.is_empty() && columns.iter().all(|i| *i >= width)
        };
        let mut placed = Self::default();
        for condition in above {
            match kind {
                _ if !is_movable(&condition) => placed.above.push(condition),
                Inner | Left | Semi | Anti if is_left(&condition) => placed.left.push(condition),
                Inner | Right if is_right(&condition) => placed.right.push(condition),
                Inner => placed.on.push(condition),
                _ => placed.above.push(condition),
            }
        }
        for condition in on {
            match kind {
                _ if !is_movable(&condition) => placed.on.push(condition),
                Inner | Right | Semi if is_left(&condition) => placed.left.push(condition),
                Inner | Left | Semi | Anti if is_right(&condition) => placed.right.push(condition),
                _ => placed.on.push(condition),
            }
        }
        placed
    }
}

fn push_into_join(rel: Rel, conditions: Vec<Expr>, config: &PlannerConfig) -> Rel {
    let Rel {
        kind,
        mut inputs,
        schema,
    } = rel;
    let (RelKind::Join(mut join), Some(right), Some(left)) = (kind, inputs.pop(), inputs.pop()) else {
        return Rel::new(RelKind::Union, inputs, schema);
    };
    let width = left.schema.len();
    let total = width + right.schema.len();
    if join.as_of.is_none() {
        join.kind = strengthened(join.kind, &conditions, width, total);
    }
    let on = join.condition.take().map(conjuncts).unwrap_or_default();
    let placed = Placed::new(join.kind, join.as_of.is_none(), conditions, on, width);
    let to_right = placed
        .right
        .into_iter()
        .map(|c| c.remap_columns(&|i| i - width))
        .collect();
    let (left, right) = (push(left, placed.left, config), push(right, to_right, config));
    join.condition = and_all(placed.on);
    let joined = join_schema(join.kind, &left.schema, &right.schema);
    // An outer join that was reduced to an inner join pads no rows; the columns keep the types that upper nodes expect.
    let schema = if joined.len() == schema.len() {
        schema
    } else {
        joined
    };
    above(
        Rel::new(RelKind::Join(join), vec![left, right], schema),
        placed.above,
    )
}

/// Reduces an outer join whose padded rows the conditions reject.
fn strengthened(kind: JoinKind, conditions: &[Expr], width: usize, total: usize) -> JoinKind {
    let refuses = |from: usize, to: usize| conditions.iter().any(|c| refuses_nulls(c, from..to));
    match kind {
        JoinKind::Left if refuses(width, total) => JoinKind::Inner,
        JoinKind::Right if refuses(0, width) => JoinKind::Inner,
        JoinKind::Full => match (refuses(0, width), refuses(width, total)) {
            (true, true) => JoinKind::Inner,
            (true, false) => JoinKind::Left,
            (false, true) => JoinKind::Right,
            (false, false) => JoinKind::Full,
        },
        other => other,
    }
}

/// Whether the condition cannot be TRUE when all columns of `side` are NULL.
fn refuses_nulls(condition: &Expr, side: std::ops::Range<usize>) -> bool {
    let is_strict_comparison = |f: &str| {
        matches!(
            f,
            "=" | "<>" | "<" | "<=" | ">" | ">=" | "LIKE" | "IS NOT NULL" | "IS TRUE" | "SIMILAR TO"
        )
    };
    match condition {
        Expr::Call { function, args, .. } if is_strict_comparison(function) => {
            args.iter().any(|arg| is_null_with(arg, &side))
        }
        Expr::And(args) => args.iter().any(|arg| refuses_nulls(arg, side.clone())),
        Expr::Or(args) => args.iter().all(|arg| refuses_nulls(arg, side.clone())),
        Expr::Column { index, .. } => side.contains(index),
        _ => false,
    }
}

/// Whether the value is NULL when all columns of `side` are.
fn is_null_with(expr: &Expr, side: &std::ops::Range<usize>) -> bool {
    match expr {
        Expr::Column { index, .. } => side.contains(index),
        Expr::Cast { input, .. } | Expr::Field { input, .. } => is_null_with(input, side),
        Expr::Call { function, args, .. }
            if matches!(function.as_str(), "+" | "-" | "*" | "/" | "%" | "UPPER" | "LOWER") =>
        {
            args.iter().any(|arg| is_null_with(arg, side))
        }
        _ => false,
    }
}

fn push_into_aggregate(rel: Rel, conditions: Vec<Expr>, config: &PlannerConfig) -> Rel {
    let Rel { kind, inputs, schema } = rel;
    let (RelKind::Aggregate(aggregate), [input]) = (&kind, inputs.as_slice()) else {
        return Rel { kind, inputs, schema };
    };
    let keys = aggregate.keys.clone();
    let is_plain = aggregate.sets.len() == 1 && aggregate.window.is_none() && !keys.is_empty();
    let window = windows::window_columns(input, config);
    let is_window = |i: usize| window.as_ref().is_some_and(|w| w.contains(keys[i]));
    let (down, up): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(|c: &Expr| {
        let on_keys = c.columns().iter().all(|i| *i < keys.len() && !is_window(*i));
        is_plain && on_keys && !c.columns().is_empty() && is_movable(c)
    });
    let down: Vec<Expr> = down.into_iter().map(|c| c.remap_columns(&|i| keys[i])).collect();
    let inputs = inputs
        .into_iter()
        .map(|input| push(input, down.clone(), config))
        .collect();
    above(Rel { kind, inputs, schema }, up)
}

/// Pushes down conditions on partition columns and keeps the others.
fn keep_over(rel: Rel, conditions: Vec<Expr>, partition: &[usize], config: &PlannerConfig) -> Rel {
    let on_partition = |c: &Expr| {
        let columns = c.columns();
        !columns.is_empty() && columns.iter().all(|i| partition.contains(i)) && is_movable(c)
    };
    let (down, up): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(on_partition);
    let inputs = rel
        .inputs
        .into_iter()
        .map(|input| push(input, down.clone(), config))
        .collect();
    above(Rel { inputs, ..rel }, up)
}

fn push_into_over(
    over: Over,
    inputs: Vec<Rel>,
    schema: Schema,
    conditions: Vec<Expr>,
    config: &PlannerConfig,
) -> Rel {
    let width = inputs.first().map_or(0, |input| input.schema.len());
    let kind = match over.calls.as_slice() {
        [call] => rank_kind(&call.function),
        _ => None,
    };
    let partition = over.partition.clone();
    let Some(kind) = kind else {
        return keep_over(
            Rel {
                kind: RelKind::Over(Box::new(over)),
                inputs,
                schema,
            },
            conditions,
            &partition,
            config,
        );
    };
    let (ranks, rest): (Vec<Expr>, Vec<Expr>) =
        conditions.into_iter().partition(|c| c.columns().contains(&width));
    if let Some((RankRange::Constant { from: 1, to: 0 }, _)) = rank_range(&ranks, width) {
        return Rel {
            kind: RelKind::Values { rows: Vec::new() },
            inputs: Vec::new(),
            schema,
        };
    }
    let Some((range, left_over)) = rank_range(&ranks, width) else {
        let all = ranks.into_iter().chain(rest).collect();
        return keep_over(
            Rel {
                kind: RelKind::Over(Box::new(over)),
                inputs,
                schema,
            },
            all,
            &partition,
            config,
        );
    };
    let rank = Rank {
        kind,
        partition: over.partition,
        order: over.order,
        range,
        rank_output: true,
        span: over.span,
    };
    let rel = Rel {
        kind: RelKind::Rank(Box::new(rank)),
        inputs,
        schema,
    };
    let all = left_over.into_iter().chain(rest).collect();
    keep_over(rel, all, &partition, config)
}

fn rank_kind(function: &str) -> Option<RankKind> {
    match function {
        "ROW_NUMBER" => Some(RankKind::RowNumber),
        "RANK" => Some(RankKind::Rank),
        "DENSE_RANK" => Some(RankKind::DenseRank),
        _ => None,
    }
}

/// The ranks that pass the conditions (from 1 to 0: none), and the conditions that the range does not cover. `None` without any bound; a
/// range without an upper end reaches to [`RANK_END_NONE`].
fn rank_range(conditions: &[Expr], rank: usize) -> Option<(RankRange, Vec<Expr>)> {
    let (mut from, mut to, mut rest): (i64, Option<i64>, Vec<Expr>) = (1, None, Vec::new());
    let mut variable = None;
    for condition in conditions {
        match comparison(condition, rank) {
            Some(("<=", Bound::Constant(n))) => to = Some(to.map_or(n, |t| t.min(n))),
            Some(("<", Bound::Constant(n))) => to = Some(to.map_or(n - 1, |t| t.min(n - 1))),
            Some((">=", Bound::Constant(n))) => from = from.max(n),
            Some((">", Bound::Constant(n))) => from = from.max(n + 1),
            Some(("=", Bound::Constant(n))) => {
                from = from.max(n);
                to = Some(to.map_or(n, |t| t.min(n)));
            }
            Some(("<=", Bound::Column(column))) if variable.is_none() => variable = Some(column),
            _ => rest.push(condition.clone()),
        }
    }
    match (to, variable) {
        (Some(to), None) if to >= from => Some((
            RankRange::Constant {
                from: from as u64,
                to: to as u64,
            },
            rest,
        )),
        (Some(_), None) => Some((RankRange::Constant { from: 1, to: 0 }, rest)),
        (None, Some(column)) if from == 1 => Some((RankRange::Variable { column }, rest)),
        (None, None) if from > 1 => Some((
            RankRange::Constant {
                from: from as u64,
                to: RANK_END_NONE,
            },
            rest,
        )),
        _ => None,
    }
}

/// The end of a range that has none; only a bounded input can be ranked so.
pub const RANK_END_NONE: u64 = u64::MAX;

enum Bound {
    Constant(i64),
    Column(usize),
}

/// `rank op bound`, turned round if the rank stands on the right.
fn comparison(condition: &Expr, rank: usize) -> Option<(&str, Bound)> {
    let Expr::Call { function, args, .. } = condition else {
        return None;
    };
    let [left, right] = args.as_slice() else {
        return None;
    };
    let is_rank = |e: &Expr| matches!(uncast(e), Expr::Column { index, .. } if *index == rank);
    let bound = |e: &Expr| match uncast(e) {
        Expr::Literal { value, .. } => bound_value(value),
        Expr::Column { index, .. } if *index != rank => Some(Bound::Column(*index)),
        _ => None,
    };
    if is_rank(left) {
        return Some((function.as_str(), bound(right)?));
    }
    if !is_rank(right) {
        return None;
    }
    let turned = match function.as_str() {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        "=" => "=",
        _ => return None,
    };
    Some((turned, bound(left)?))
}

fn bound_value(value: &Scalar) -> Option<Bound> {
    value.as_i64().map(Bound::Constant)
}

fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast { input, ty, .. } if ty.is_numeric() => uncast(input),
        other => other,
    }
}

/// The rank of a range with one value is known.
pub fn constant_rank(range: RankRange) -> Option<Expr> {
    match range {
        RankRange::Constant { from, to } if from == to => {
            let ty = LogicalType::not_null(TypeKind::BigInt);
            Some(Expr::literal(
                Scalar::BigInt(i64::try_from(from).unwrap_or(i64::MAX)),
                ty,
            ))
        }
        _ => None,
    }
}
