//! Operator trees → the plan's graph. Equal sub-trees of several sinks become one node, so that a source is read once.

use std::collections::HashMap;

use millstream_plan::uid::kind_name;
use millstream_plan::{Node, NodeId, Op, Plan};

use super::physical::Phys;
use crate::bind::config::PlannerConfig;

/// One plan of all trees.
pub fn assemble(trees: Vec<Phys>, config: &PlannerConfig) -> Plan {
    let mut plan = Plan::new(config.options.clone());
    let mut shared = Shared::default();
    for tree in trees {
        let root = add(&mut plan, &mut shared, tree);
        plan.roots.push(root);
    }
    plan
}

/// Nodes that others may share, by their kind and inputs: only those need a comparison.
type Shared = HashMap<(String, Vec<NodeId>), Vec<NodeId>>;

fn add(plan: &mut Plan, shared: &mut Shared, tree: Phys) -> NodeId {
    let Phys {
        op,
        inputs,
        schema,
        traits,
        ..
    } = tree;
    let inputs: Vec<NodeId> = inputs.into_iter().map(|input| add(plan, shared, input)).collect();
    let node = Node {
        op,
        inputs,
        schema,
        traits,
    };
    if matches!(node.op, Op::Sink { .. } | Op::Collect) {
        return plan.add(node);
    }
    let alike = shared
        .entry((kind_name(&node.op).to_owned(), node.inputs.clone()))
        .or_default();
    if let Some(found) = alike.iter().find(|id| *plan.node(**id) == node) {
        return *found;
    }
    let id = plan.add(node);
    alike.push(id);
    id
}
