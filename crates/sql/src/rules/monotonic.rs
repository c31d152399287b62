//! Columns of a changelog that only ever increase or decrease as rows are updated.
//!
//! A count only grows. Therefore its maximum needs no retractions, and a Top-N by the largest counts can process
//! updates by key alone. Anything not listed here counts as non-monotonic.

use millstream_plan::{AggregateCall, Expr, Op, SortKey};

use super::keys::upsert_keys;
use super::physical::Phys;

/// How updates change a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Motion {
    /// Never.
    Constant,
    Increasing,
    Decreasing,
    Any,
}

/// The direction of each column; `None` if rows may be deleted or nothing is known.
fn motions(node: &Phys) -> Option<Vec<Motion>> {
    let input = || node.inputs.first().and_then(motions);
    match &node.op {
        Op::Scan { .. } if !node.source.is_insert_only() => None,
        _ if node.traits.mode.is_insert_only() => Some(vec![Motion::Constant; node.schema.len()]),
        Op::Calc {
            projections,
            condition,
        } => {
            let below = input()?;
            let is_constant = |expr: &Expr| expr.columns().iter().all(|c| below[*c] == Motion::Constant);
            if condition
                .as_ref()
                .is_some_and(|condition| !is_constant(condition))
            {
                return None;
            }
            let motion = |expr: &Expr| match expr {
                Expr::Column { index, .. } => below[*index],
                other if is_constant(other) => Motion::Constant,
                _ => Motion::Any,
            };
            Some(projections.iter().map(motion).collect())
        }
        Op::Exchange { .. } | Op::DropUpdateBefore => input(),
        Op::GroupAggregate { keys, aggregates, .. } => {
            let below = input()?;
            if keys.iter().any(|key| below[*key] != Motion::Constant) {
                return None;
            }
            let of_keys = keys.iter().map(|_| Motion::Constant);
            Some(
                of_keys
                    .chain(aggregates.iter().map(|call| aggregated(call, &below)))
                    .collect(),
            )
        }
        _ => None,
    }
}

/// The direction of an aggregate over groups that only receive insertions.
fn aggregated(call: &AggregateCall, below: &[Motion]) -> Motion {
    let of_args = |motion: Motion| {
        call.args
            .iter()
            .all(|arg| below[*arg] == motion || below[*arg] == Motion::Constant)
    };
    let of_filter = call.filter.is_none_or(|filter| below[filter] == Motion::Constant);
    match call.function.as_str() {
        _ if !of_filter => Motion::Any,
        "COUNT" if of_args(Motion::Constant) || !call.distinct => Motion::Increasing,
        "MAX" if of_args(Motion::Increasing) => Motion::Increasing,
        "MIN" if of_args(Motion::Decreasing) => Motion::Decreasing,
        _ => Motion::Any,
    }
}

/// Whether aggregates over an updating input are correct without its `-U` rows: the new value of a row is never worse
/// than the old one, and no row changes its group.
pub fn needs_no_retraction(keys: &[usize], aggregates: &[AggregateCall], input: &Phys) -> bool {
    let mode = input.traits.mode;
    if aggregates.is_empty() || mode.delete || mode.is_insert_only() {
        return false;
    }
    let Some(below) = motions(input) else {
        return false;
    };
    if keys.iter().any(|key| below[*key] != Motion::Constant) {
        return false;
    }
    let grows = |call: &AggregateCall| {
        let one_way = match call.function.as_str() {
            "MAX" => Motion::Increasing,
            "MIN" => Motion::Decreasing,
            _ => return false,
        };
        let is_one_way = |column: &usize| below[*column] == one_way || below[*column] == Motion::Constant;
        call.args.iter().chain(&call.filter).all(is_one_way)
    };
    aggregates.iter().all(grows)
}

/// Whether a Top-N can process updates by key: an updated row never moves down, and its key determines its partition.
pub fn only_climbs(order: &[SortKey], partition: &[usize], input: &Phys) -> bool {
    let mode = input.traits.mode;
    if order.is_empty() || mode.delete || mode.is_insert_only() {
        return false;
    }
    let has_key = upsert_keys(input)
        .iter()
        .any(|key| partition.iter().all(|column| key.contains(column)));
    let Some(below) = motions(input).filter(|_| has_key) else {
        return false;
    };
    order.iter().all(|key| match below[key.column] {
        Motion::Constant => true,
        Motion::Increasing => !key.ascending,
        Motion::Decreasing => key.ascending,
        Motion::Any => false,
    })
}
