//! Stable identities of operators, so that state finds its operator again after a restart.
//!
//! An identity is made of what the operator is (and, for tables, which one) and its ordinal among its like in the plan,
//! so that it survives changes elsewhere in the statement. Whether the state of an operator still fits one of the
//! same identity is another question, asked by whoever restores.

use std::collections::BTreeMap;

use crate::node::{Op, Plan};

/// The identity of every node, in the order of the nodes.
pub fn uids(plan: &Plan) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let uid = |op: &Op| {
        let label = match op {
            Op::Scan { table, .. } | Op::Sink { table, .. } => {
                format!("{}[{}]", kind_name(op), table.identifier)
            }
            _ => kind_name(op).to_owned(),
        };
        let ordinal = seen.entry(label.clone()).or_default();
        *ordinal += 1;
        format!("{label}-{ordinal}")
    };
    plan.nodes.iter().map(|node| &node.op).map(uid).collect()
}

/// What kind of operator it is, as Flink's plans call it.
pub fn kind_name(op: &Op) -> &str {
    match op {
        Op::Scan { .. } => "TableSourceScan",
        Op::Values { .. } => "Values",
        Op::Calc { .. } => "Calc",
        Op::WatermarkAssigner { .. } => "WatermarkAssigner",
        Op::WindowTableFunction { .. } => "WindowTableFunction",
        Op::GroupAggregate { .. } => "GroupAggregate",
        Op::WindowAggregate { .. } => "WindowAggregate",
        Op::Expand { .. } => "Expand",
        Op::Rank { .. } => "Rank",
        Op::Deduplicate { .. } => "Deduplicate",
        Op::Sort { .. } => "Sort",
        Op::TemporalSort { .. } => "TemporalSort",
        Op::Limit { .. } => "Limit",
        Op::SortLimit { .. } => "SortLimit",
        Op::Join { .. } => "Join",
        Op::IntervalJoin { .. } => "IntervalJoin",
        Op::WindowJoin { .. } => "WindowJoin",
        Op::TemporalJoin { .. } => "TemporalJoin",
        Op::LookupJoin { .. } => "LookupJoin",
        Op::Correlate { .. } => "Correlate",
        Op::Over { .. } => "OverAggregate",
        Op::Match { .. } => "Match",
        Op::UnionAll => "Union",
        Op::ChangelogNormalize { .. } => "ChangelogNormalize",
        Op::DropUpdateBefore => "DropUpdateBefore",
        Op::Exchange { .. } => "Exchange",
        Op::Sink { .. } => "Sink",
        Op::Collect => "Collect",
        Op::Unsupported { name } => name,
    }
}
