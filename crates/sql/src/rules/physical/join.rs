//! Joins: window, interval, temporal and regular, in this order of preference.

use millstream_plan::{Expr, JoinKind, Op};
use millstream_types::{Column, ErrorCode, LogicalType, Schema, TimeAttribute};

use super::join_keys::{Keyed, Keys, split, time_bounds};
use super::{Phys, by_key, calc, convert as convert_rel};
use crate::bind::config::PlannerConfig;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::logical::{Join, Rel, and_all, conjuncts, join_schema};
use crate::parse::span::Span;
use crate::rules::keys::unique_keys;
use crate::rules::windows::{WindowColumns, joined_windows, window_pair};

pub(super) fn convert(
    join: Join,
    left: Rel,
    right: Rel,
    names: Schema,
    config: &PlannerConfig,
) -> SqlResult<Phys> {
    let windows = joined_windows(&join, &left, &right, config);
    let (left, right) = (convert_rel(left, config)?, convert_rel(right, config)?);
    if join.as_of.is_some() {
        return temporal_join(join, left, right, &names, config);
    }
    if let Some((left_window, right_window)) = windows.filter(|_| config.streaming) {
        return Ok(window_join(join, left, right, &names, left_window, right_window));
    }
    let width = left.schema.len();
    let mut keys = split(join.condition.clone(), width);
    check_key_types(&keys)?;
    let is_padding_or_inner = !matches!(join.kind, JoinKind::Semi | JoinKind::Anti);
    if config.streaming && is_padding_or_inner {
        // An equality of time attributes is a bound, not a key.
        let mut rest = keys.rest.clone();
        rest.extend(time_equalities(&join, &left, &right));
        if let Some(bounds) = time_bounds(&mut rest, &left, &right) {
            drop_time_keys(&mut keys, &bounds);
            let rest = rest
                .into_iter()
                .filter(|e| !is_time_equality(e, &left, &right))
                .collect();
            let keyed = Keyed::new(left, right, Keys { rest, ..keys });
            let bounds_left = bounds.left_time;
            return Ok(finish(keyed, join.kind, &names, true, |keyed| {
                debug_assert!(bounds_left < keyed.left.schema.len());
                Op::IntervalJoin {
                    kind: join.kind,
                    left_keys: keyed.left_keys.clone(),
                    right_keys: keyed.right_keys.clone(),
                    bounds,
                    condition: keyed.condition.clone(),
                }
            }));
        }
    }
    Ok(regular_join(&join, Keyed::new(left, right, keys), &names, config))
}

/// Keys are hashed as they are, so that both sides must have comparable values without a conversion of texts.
fn check_key_types(keys: &Keys) -> SqlResult<()> {
    let types = keys
        .left
        .iter()
        .map(Expr::ty)
        .zip(keys.right.iter().map(Expr::ty));
    for (left, right) in types {
        if left.is_character() != right.is_character() && !left.is_null() && !right.is_null() {
            return Err(SqlError::new(format!(
                "implicit type conversion between {left} and {right} is not supported on join's condition now"
            ))
            .with_code(ErrorCode::TypeMismatch)
            .with_hint("cast one side"));
        }
    }
    Ok(())
}

fn regular_join(join: &Join, keyed: Keyed, names: &Schema, config: &PlannerConfig) -> Phys {
    let ttl = |side: usize| join.ttl_ms[side].unwrap_or(config.state_ttl_ms);
    let (left_ttl_ms, right_ttl_ms) = (ttl(0), ttl(1));
    finish(keyed, join.kind, names, false, |keyed| Op::Join {
        kind: join.kind,
        left_keys: keyed.left_keys.clone(),
        right_keys: keyed.right_keys.clone(),
        null_safe: keyed.null_safe.clone(),
        condition: keyed.condition.clone(),
        left_unique: unique_keys(&keyed.left).into_iter().next(),
        right_unique: unique_keys(&keyed.right).into_iter().next(),
        bounded: !config.streaming,
        left_ttl_ms,
        right_ttl_ms,
    })
}

/// Exchanges by key, the join, and a projection to the logical columns.
fn finish(
    keyed: Keyed,
    kind: JoinKind,
    names: &Schema,
    keeps_time: bool,
    make: impl FnOnce(&Keyed) -> Op,
) -> Phys {
    let op = make(&keyed);
    let both = !matches!(kind, JoinKind::Semi | JoinKind::Anti);
    let visible = keyed.visible(both);
    let mut schema = join_schema(kind, &keyed.left.schema, &keyed.right.schema);
    if !keeps_time && both {
        // A regular join does not preserve order, so event time becomes plain data.
        schema
            .columns
            .iter_mut()
            .for_each(|c| c.ty = plain_rowtime(&c.ty));
    }
    let left = by_key(keyed.left, &keyed.left_keys);
    let right = by_key(keyed.right, &keyed.right_keys);
    let joined = Phys::new(op, vec![left, right], schema);
    let exprs = visible
        .iter()
        .map(|&i| Expr::column(i, joined.ty(i).clone()))
        .collect();
    calc(joined, exprs, None, names)
}

fn plain_rowtime(ty: &LogicalType) -> LogicalType {
    if ty.time_attribute() == TimeAttribute::Rowtime {
        ty.without_time_attribute()
    } else {
        ty.clone()
    }
}

/// Equalities between time attributes, which act as time bounds too.
fn time_equalities(join: &Join, left: &Phys, right: &Phys) -> Vec<Expr> {
    let all = join.condition.clone().map(conjuncts).unwrap_or_default();
    all.into_iter()
        .filter(|e| is_time_equality(e, left, right))
        .collect()
}

fn is_time_equality(expr: &Expr, left: &Phys, right: &Phys) -> bool {
    let mut single = vec![expr.clone()];
    let is_equal = matches!(expr, Expr::Call { function, .. } if function == "=");
    is_equal && time_bounds(&mut single, left, right).is_some()
}

/// Keys that became time bounds are not keys.
fn drop_time_keys(keys: &mut Keys, bounds: &millstream_plan::TimeBounds) {
    let is_bound = |l: &Expr, r: &Expr| {
        l.columns() == [bounds.left_time] && r.columns() == [bounds.right_time] && l.ty().is_timestamp_like()
    };
    let kept: Vec<usize> = (0..keys.left.len())
        .filter(|i| !is_bound(&keys.left[*i], &keys.right[*i]))
        .collect();
    keys.left = kept.iter().map(|i| keys.left[*i].clone()).collect();
    keys.right = kept.iter().map(|i| keys.right[*i].clone()).collect();
    keys.null_safe = kept.iter().map(|i| keys.null_safe[*i]).collect();
}

/// Both sides have windows and the condition equates them, so rows join within their window.
fn window_join(
    join: Join,
    left: Phys,
    right: Phys,
    names: &Schema,
    left_window: WindowColumns,
    right_window: WindowColumns,
) -> Phys {
    let width = left.schema.len();
    let is_window_equality = |condition: &Expr| {
        window_pair(condition, width).is_some_and(|(l, r)| {
            (left_window.starts.contains(&l) && right_window.starts.contains(&r))
                || (left_window.ends.contains(&l) && right_window.ends.contains(&r))
        })
    };
    let rest = join.condition.map(conjuncts).unwrap_or_default();
    let condition = and_all(rest.into_iter().filter(|c| !is_window_equality(c)).collect());
    let keyed = Keyed::new(left, right, split(condition, width));
    let end = |window: &WindowColumns| window.ends.first().copied().unwrap_or(0);
    let (left_end, right_end) = (end(&left_window), end(&right_window));
    finish(keyed, join.kind, names, true, |keyed| Op::WindowJoin {
        kind: join.kind,
        left_keys: keyed.left_keys.clone(),
        right_keys: keyed.right_keys.clone(),
        left_end,
        right_end,
        condition: keyed.condition.clone(),
    })
}

const WRONG_AS_OF: &str =
    "Temporal table join currently only supports 'FOR SYSTEM_TIME AS OF' left table's time attribute field";

/// `FOR SYSTEM_TIME AS OF`: in event time against a versioned table, in processing time against an external one.
fn temporal_join(
    join: Join,
    left: Phys,
    right: Phys,
    names: &Schema,
    config: &PlannerConfig,
) -> SqlResult<Phys> {
    let span = join.span;
    let refuse = |message: &str| Err(SqlError::at(span, message).with_code(ErrorCode::InvalidJoin));
    if !matches!(join.kind, JoinKind::Inner | JoinKind::Left) {
        return refuse("Temporal table join currently only supports INNER JOIN and LEFT JOIN");
    }
    let Some(Expr::Column { index: left_time, .. }) = join.as_of else {
        return refuse(WRONG_AS_OF);
    };
    let keys = split(join.condition.clone(), left.schema.len());
    if keys.left.is_empty() {
        return refuse("Currently the join key in Temporal Table Join can not be empty");
    }
    match left.ty(left_time).time_attribute() {
        TimeAttribute::Rowtime => {}
        TimeAttribute::Proctime => {
            let what = "a lookup join: no connector of this build can be looked up";
            return Err(SqlError::unsupported(span, what));
        }
        TimeAttribute::None if !config.streaming => {
            return Err(SqlError::unsupported(span, "a temporal join in batch mode"));
        }
        TimeAttribute::None => return refuse(WRONG_AS_OF),
    }
    let right_time = version_time(&right, &keys, span)?;
    let keyed = Keyed::new(left, right, keys);
    Ok(finish(keyed, join.kind, names, true, |keyed| Op::TemporalJoin {
        kind: join.kind,
        left_keys: keyed.left_keys.clone(),
        right_keys: keyed.right_keys.clone(),
        left_time,
        right_time,
        condition: keyed.condition.clone(),
    }))
}

/// The event time of a versioned table, whose primary key must be part of the join's keys.
fn version_time(right: &Phys, keys: &Keys, span: Span) -> SqlResult<usize> {
    let is_rowtime = |column: &Column| column.ty.time_attribute() == TimeAttribute::Rowtime;
    let Some(time) = right.schema.columns.iter().position(is_rowtime) else {
        return Err(SqlError::at(
            span,
            "Event-Time Temporal Table Join requires both primary key and row time attribute in versioned table, but no \
             row time attribute can be found",
        ).with_code(ErrorCode::InvalidJoin));
    };
    let unique = unique_keys(right);
    if unique.is_empty() {
        return Err(SqlError::at(
            span,
            "Currently the join key in Temporal Table Join can not be empty: the versioned table has no primary key",
        ).with_code(ErrorCode::InvalidJoin)
        .with_hint("declare PRIMARY KEY (…) NOT ENFORCED, or make a versioned view with ROW_NUMBER() … = 1"));
    }
    let joined: Vec<usize> = keys.right.iter().flat_map(Expr::columns).collect();
    if unique
        .iter()
        .any(|key| key.iter().all(|column| joined.contains(column)))
    {
        return Ok(time);
    }
    let message =
        "Temporal table's primary key must be included in the equivalence condition of temporal join";
    Err(SqlError::at(span, message).with_code(ErrorCode::InvalidJoin))
}
