//! Splits a join's condition into equal keys, time bounds, and the remaining condition.

use millstream_functions::typing;
use millstream_plan::{Expr, TimeBounds};
use millstream_types::{Scalar, Schema, TimeAttribute, arrow_type};

use super::{Phys, calc};
use crate::bind::coerce;
use crate::bind::logical::{and_all, conjuncts};

/// The parts of a join's condition.
#[derive(Debug, Default)]
pub struct Keys {
    pub left: Vec<Expr>,
    /// Over the right input alone.
    pub right: Vec<Expr>,
    /// Whether NULL matches NULL, for each key.
    pub null_safe: Vec<bool>,
    /// Over left, then right columns.
    pub rest: Vec<Expr>,
}

/// Splits a condition over `left` columns followed by the right side's.
pub fn split(condition: Option<Expr>, left: usize) -> Keys {
    let mut keys = Keys::default();
    for condition in condition.map(conjuncts).unwrap_or_default() {
        match equality(&condition, left) {
            Some((l, r, null_safe)) => {
                keys.left.push(l);
                keys.right.push(r);
                keys.null_safe.push(null_safe);
            }
            None => keys.rest.push(condition),
        }
    }
    keys
}

/// `left = right` with one side over each input, right columns counted from 0.
fn equality(condition: &Expr, width: usize) -> Option<(Expr, Expr, bool)> {
    let Expr::Call { function, args, .. } = condition else {
        return None;
    };
    let null_safe = match function.as_str() {
        "=" => false,
        "IS NOT DISTINCT FROM" => true,
        _ => return None,
    };
    let [a, b] = args.as_slice() else { return None };
    let side = |e: &Expr| {
        let columns = e.columns();
        let (is_left, is_right) = (
            columns.iter().all(|i| *i < width),
            columns.iter().all(|i| *i >= width),
        );
        if columns.is_empty() {
            None
        } else {
            Some((is_left, is_right))
        }
    };
    let (l, r) = match (side(a)?, side(b)?) {
        ((true, _), (_, true)) => (a, b),
        ((_, true), (true, _)) => (b, a),
        _ => return None,
    };
    Some((l.clone(), r.clone().remap_columns(&|i| i - width), null_safe))
}

/// Both inputs with their keys as columns of one physical type, and the positions of these.
pub struct Keyed {
    pub left: Phys,
    pub right: Phys,
    pub left_keys: Vec<usize>,
    pub right_keys: Vec<usize>,
    pub null_safe: Vec<bool>,
    /// The remaining condition over the new inputs.
    pub condition: Option<Expr>,
    /// Widths of the inputs before keys were added.
    pub widths: [usize; 2],
}

impl Keyed {
    pub fn new(left: Phys, right: Phys, keys: Keys) -> Self {
        let widths = [left.schema.len(), right.schema.len()];
        let (mut left_exprs, mut right_exprs) = (Vec::new(), Vec::new());
        for (l, r) in keys.left.into_iter().zip(keys.right) {
            let (l, r) = same_physical_type(l, r);
            left_exprs.push(l);
            right_exprs.push(r);
        }
        let (left, left_keys) = with_columns(left, left_exprs);
        let (right, right_keys) = with_columns(right, right_exprs);
        let (old, new) = (widths[0], left.schema.len());
        let moved = keys
            .rest
            .into_iter()
            .map(|e| e.remap_columns(&|i| if i < old { i } else { i - old + new }));
        let condition = and_all(moved.collect());
        Self {
            left,
            right,
            left_keys,
            right_keys,
            null_safe: keys.null_safe,
            condition,
            widths,
        }
    }

    /// Positions of the original columns in the join's output.
    pub fn visible(&self, both: bool) -> Vec<usize> {
        let left = 0..self.widths[0];
        let offset = self.left.schema.len();
        let right = if both {
            offset..offset + self.widths[1]
        } else {
            0..0
        };
        left.chain(right).collect()
    }
}

/// Equal values need the same representation to hash and compare equal.
fn same_physical_type(left: Expr, right: Expr) -> (Expr, Expr) {
    let (l, r) = (
        left.ty().without_time_attribute(),
        right.ty().without_time_attribute(),
    );
    if arrow_type(&l) == arrow_type(&r) {
        return (left, right);
    }
    match typing::common_type(&[&l, &r]) {
        Some(common) => (coerce::cast_to(left, &common), coerce::cast_to(right, &common)),
        None => (left, right),
    }
}

/// The input with every expression as a column; appends those that are not.
pub fn with_columns(input: Phys, exprs: Vec<Expr>) -> (Phys, Vec<usize>) {
    let width = input.schema.len();
    let mut added: Vec<Expr> = Vec::new();
    let mut places = Vec::new();
    for expr in exprs {
        if let Expr::Column { index, .. } = &expr {
            places.push(*index);
            continue;
        }
        let known = added.iter().position(|e| *e == expr);
        places.push(
            width
                + known.unwrap_or_else(|| {
                    added.push(expr);
                    added.len() - 1
                }),
        );
    }
    if added.is_empty() {
        return (input, places);
    }
    let own = input
        .schema
        .columns
        .iter()
        .map(|c| (c.name.clone(), c.ty.clone()));
    let new = added.iter().enumerate().map(|(i, e)| (format!("$k{i}"), e.ty()));
    let names = Schema::new(own.chain(new).collect::<Vec<_>>());
    let mut exprs: Vec<Expr> = input
        .schema
        .columns
        .iter()
        .enumerate()
        .map(|(i, c)| Expr::column(i, c.ty.clone()))
        .collect();
    exprs.extend(added);
    (calc(input, exprs, None, &names), places)
}

/// Extracts the time bounds from `conditions`. Both a lower and an upper bound are needed.
pub fn time_bounds(conditions: &mut Vec<Expr>, left: &Phys, right: &Phys) -> Option<TimeBounds> {
    let width = left.schema.len();
    let (mut lower, mut upper, mut pair) = (None, None, None);
    let mut rest = Vec::new();
    for condition in conditions.iter() {
        match bounds_of(condition, left, right, width) {
            Some(found) if pair.is_none_or(|known| known == found.pair) => {
                pair = Some(found.pair);
                lower = found
                    .lower
                    .map(|l| lower.map_or(l, |known: i64| known.max(l)))
                    .or(lower);
                upper = found
                    .upper
                    .map(|u| upper.map_or(u, |known: i64| known.min(u)))
                    .or(upper);
            }
            _ => rest.push(condition.clone()),
        }
    }
    let (Some(lower_ms), Some(upper_ms), Some((left_time, right_time))) = (lower, upper, pair) else {
        return None;
    };
    let event_time = left.ty(left_time).time_attribute() == TimeAttribute::Rowtime;
    *conditions = rest;
    Some(TimeBounds {
        lower_ms,
        upper_ms,
        left_time,
        right_time,
        event_time,
    })
}

struct Bounds {
    pair: (usize, usize),
    lower: Option<i64>,
    upper: Option<i64>,
}

/// `left.time + a OP right.time + b` as bounds of `left.time − right.time`.
fn bounds_of(condition: &Expr, left: &Phys, right: &Phys, width: usize) -> Option<Bounds> {
    let Expr::Call { function, args, .. } = condition else {
        return None;
    };
    let [a, b] = args.as_slice() else { return None };
    let ((i, a_ms), (j, b_ms)) = (time_and_offset(a)?, time_and_offset(b)?);
    let (left_time, right_time, distance, turned) = if i < width && j >= width {
        (i, j - width, b_ms - a_ms, false)
    } else if j < width && i >= width {
        (j, i - width, a_ms - b_ms, true)
    } else {
        return None;
    };
    let attribute = left.ty(left_time).time_attribute();
    if attribute == TimeAttribute::None || right.ty(right_time).time_attribute() != attribute {
        return None;
    }
    let pair = (left_time, right_time);
    let operator = match (function.as_str(), turned) {
        ("=", _) => "=",
        (">=", false) | ("<=", true) => ">=",
        (">", false) | ("<", true) => ">",
        ("<=", false) | (">=", true) => "<=",
        ("<", false) | (">", true) => "<",
        _ => return None,
    };
    let (lower, upper) = match operator {
        "=" => (Some(distance), Some(distance)),
        ">=" => (Some(distance), None),
        ">" => (Some(distance + 1), None),
        "<=" => (None, Some(distance)),
        _ => (None, Some(distance - 1)),
    };
    Some(Bounds { pair, lower, upper })
}

/// A time column shifted by a constant interval.
fn time_and_offset(expr: &Expr) -> Option<(usize, i64)> {
    match expr {
        Expr::Column { index, ty } if ty.is_timestamp_like() => Some((*index, 0)),
        Expr::Cast { input, ty, .. } if ty.is_timestamp_like() && coerce::same_values(&input.ty(), ty) => {
            time_and_offset(input)
        }
        Expr::Call { function, args, .. } => {
            let [a, b] = args.as_slice() else { return None };
            let interval = |e: &Expr| match coerce::literal_of(e) {
                Some(Scalar::IntervalDayTime(ms)) => Some(*ms),
                _ => None,
            };
            match function.as_str() {
                "+" => match (interval(a), interval(b)) {
                    (None, Some(ms)) => time_and_offset(a).map(|(column, offset)| (column, offset + ms)),
                    (Some(ms), None) => time_and_offset(b).map(|(column, offset)| (column, offset + ms)),
                    _ => None,
                },
                "-" => interval(b)
                    .and_then(|ms| time_and_offset(a).map(|(column, offset)| (column, offset - ms))),
                _ => None,
            }
        }
        _ => None,
    }
}
