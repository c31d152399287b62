//! Stable identities of operators, by which state finds its operator after a restart.
//!
//! An identity combines the kind of the operator, the sinks that its rows reach, and what its state depends on
//! ([`crate::lineage`]). It survives changes elsewhere in the statement, and two INSERTs that swap places keep theirs.
//! Only otherwise indistinguishable operators are numbered.

use std::collections::BTreeMap;

use crate::lineage::{NodeLineage, hash, lineage};
use crate::node::{Op, Plan};

/// The identity of every node, in the order of the nodes.
pub fn uids(plan: &Plan) -> Vec<String> {
    uids_of(plan, &lineage(plan))
}

/// Like [`uids`], with a lineage that is already computed.
pub fn uids_of(plan: &Plan, lineage: &[NodeLineage]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut all = Vec::with_capacity(plan.nodes.len());
    for (node, known) in plan.nodes.iter().zip(lineage) {
        let label = match &node.op {
            Op::Scan { table, .. } | Op::Sink { table, .. } => {
                format!("{}[{}]", kind_name(&node.op), table.identifier)
            }
            op => kind_name(op).to_owned(),
        };
        let mut meaning = known.sinks.join(",");
        match known.traits.as_slice() {
            [] => meaning.push_str(&format!("|{}|{}", known.rows, known.columns.join(","))),
            traits => traits
                .iter()
                .for_each(|(name, value)| meaning.push_str(&format!("|{name}={value}"))),
        }
        let hash = hash(&meaning);
        let folded = (hash >> 32) as u32 ^ hash as u32;
        let uid = format!("{label}-{folded:08x}");
        let count = seen.entry(uid.clone()).or_default();
        *count += 1;
        all.push(match *count {
            1 => uid,
            count => format!("{uid}-{count}"),
        });
    }
    all
}

/// The kind of an operator, under the name that Flink's plans use.
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
