//! State that grows without bound, and what bounds it: the advice of EXPLAIN PLAN_ADVICE.
//!
//! An operator is listed if it keeps something for every key or row that ever came. State that time takes away again
//! (windows, intervals, frames of time), state of a constant number of rows, and batch mode are not.

use millstream_types::Schema;

use crate::explain::operator;
use crate::node::{Node, Op, Plan};

/// An operator whose state only grows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Growth {
    /// The operator's line in the plan.
    pub operator: String,
    /// What it keeps.
    pub keeps: String,
    /// What bounds it.
    pub bound: &'static str,
}

const TTL: &str = "'table.exec.state.ttl' forgets what was not updated for a time";
const TTL_OR_WINDOW: &str = "'table.exec.state.ttl' or a STATE_TTL hint forgets groups that were not updated for a time; a \
     window (TUMBLE, HOP, CUMULATE, SESSION) drops them with its end";
const TTL_OR_TIMED_JOIN: &str = "'table.exec.state.ttl' or a STATE_TTL hint forgets rows that were not updated for a time; a \
     condition on the times of both inputs (interval join), a window join or FOR SYSTEM_TIME AS OF keeps only \
     what can still match";
const TTL_OR_WINDOW_RANK: &str = "'table.exec.state.ttl' forgets partitions that were not updated for a time; window_end in PARTITION BY drops them \
     with their window";
const FRAME: &str = "a frame of time (RANGE BETWEEN INTERVAL … PRECEDING AND CURRENT ROW) forgets partitions without recent rows";

/// The operators of a plan whose state only grows, in the order of the plan.
pub fn unbounded_state(plan: &Plan) -> Vec<Growth> {
    let of_node = |node: &Node| {
        let inputs: Vec<&Schema> = node.inputs.iter().map(|id| &plan.nodes[id.0].schema).collect();
        let (keeps, bound) = growth(&node.op, &inputs)?;
        Some(Growth {
            operator: operator(&node.op, &inputs, &node.schema),
            keeps,
            bound,
        })
    };
    plan.nodes.iter().filter_map(of_node).collect()
}

fn growth(op: &Op, inputs: &[&Schema]) -> Option<(String, &'static str)> {
    let names = |columns: &[usize]| names(inputs, columns);
    match op {
        Op::GroupAggregate { bounded: true, .. }
        | Op::Rank { bounded: true, .. }
        | Op::Join { bounded: true, .. } => None,
        Op::GroupAggregate { keys, ttl_ms: 0, .. } if !keys.is_empty() => {
            Some((format!("a result for each {}", names(keys)), TTL_OR_WINDOW))
        }
        Op::GroupAggregate {
            aggregates,
            ttl_ms: 0,
            ..
        } if aggregates.iter().any(|call| call.distinct) => {
            Some(("every distinct value that it counts".to_owned(), TTL_OR_WINDOW))
        }
        Op::Join {
            left_ttl_ms,
            right_ttl_ms,
            ..
        } => {
            let sides = match (left_ttl_ms, right_ttl_ms) {
                (0, 0) => "the rows of both inputs",
                (0, _) => "the rows of the left input",
                (_, 0) => "the rows of the right input",
                _ => return None,
            };
            Some((sides.to_owned(), TTL_OR_TIMED_JOIN))
        }
        Op::Rank { .. } | Op::SortLimit { .. } => growth_of_ranks(op, &names),
        Op::Deduplicate {
            keys,
            ttl_ms: 0,
            window_end: None,
            ..
        } => Some((
            format!("a row or a mark for each {}", names(keys)),
            TTL_OR_WINDOW_RANK,
        )),
        Op::ChangelogNormalize { keys, ttl_ms: 0, .. } => {
            Some((format!("the last row of each {}", names(keys)), TTL))
        }
        Op::Over { .. } | Op::Match { .. } | Op::TemporalJoin { .. } | Op::Sink { .. } => {
            growth_of_rows(op, &names)
        }
        _ => None,
    }
}

fn growth_of_ranks(op: &Op, names: &dyn Fn(&[usize]) -> String) -> Option<(String, &'static str)> {
    match op {
        Op::Rank {
            partition,
            retract_input,
            window_end: None,
            ttl_ms: 0,
            ..
        } => match (retract_input, partition.as_slice()) {
            (true, _) => Some((
                "every row, since a row of the result may be retracted".to_owned(),
                TTL_OR_WINDOW_RANK,
            )),
            (false, []) => None,
            (false, partition) => Some((
                format!("the first rows of each {}", names(partition)),
                TTL_OR_WINDOW_RANK,
            )),
        },
        Op::SortLimit {
            retract_input: true,
            bounded: false,
            ..
        } => Some((
            "every row, since a row of the result may be retracted".to_owned(),
            "nothing bounds it: sort rows that are not retracted, or limit them in a window",
        )),
        _ => None,
    }
}

fn growth_of_rows(op: &Op, names: &dyn Fn(&[usize]) -> String) -> Option<(String, &'static str)> {
    match op {
        Op::Over {
            event_time: None,
            bounded: false,
            ..
        } => Some((
            "every row, since the order is not that of time".to_owned(),
            "an order by event or processing time keeps only the rows of the frame",
        )),
        Op::Over {
            partition,
            rows,
            preceding,
            bounded: false,
            ..
        } if !partition.is_empty() && (*rows || preceding.is_none()) => {
            let what = if preceding.is_none() {
                "a result"
            } else {
                "the rows of a frame"
            };
            Some((format!("{what} for each {}", names(partition)), FRAME))
        }
        Op::Match { spec, .. } if spec.within_ms.is_none() => Some((
            "every match that has begun and may still be completed".to_owned(),
            "WITHIN INTERVAL … in the PATTERN drops matches that take longer",
        )),
        Op::TemporalJoin { .. } => Some((
            "the last version of each key of the right input".to_owned(),
            "deletions in the right input remove keys; nothing else does",
        )),
        Op::Sink {
            materialize: true, ..
        } => Some((
            "every row by the sink's primary key, to put changes in order".to_owned(),
            "'table.exec.sink.upsert-materialize' = 'NONE', if the upsert key of the query is the primary key",
        )),
        _ => None,
    }
}

/// `[a, b]`: columns of the first input.
fn names(inputs: &[&Schema], columns: &[usize]) -> String {
    let name = |column: &usize| {
        let column = inputs.first().and_then(|schema| schema.columns.get(*column));
        column.map_or("?", |column| column.name.as_str()).to_owned()
    };
    format!("[{}]", columns.iter().map(name).collect::<Vec<_>>().join(", "))
}
