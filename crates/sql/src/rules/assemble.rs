//! Operator trees → the plan's graph. Equal sub-trees of several sinks become one node, so that a source is read once.

use millstream_plan::{Node, NodeId, Op, Plan};

use super::physical::Phys;
use crate::bind::config::PlannerConfig;

/// One plan of all trees.
pub fn assemble(trees: Vec<Phys>, config: &PlannerConfig) -> Plan {
    let mut plan = Plan::new(config.options.clone());
    for tree in trees {
        let root = add(&mut plan, tree);
        plan.roots.push(root);
    }
    plan
}

fn add(plan: &mut Plan, tree: Phys) -> NodeId {
    let Phys {
        op,
        inputs,
        schema,
        traits,
        ..
    } = tree;
    let inputs: Vec<NodeId> = inputs.into_iter().map(|input| add(plan, input)).collect();
    let node = Node {
        op,
        inputs,
        schema,
        traits,
    };
    let is_shared = !matches!(node.op, Op::Sink { .. } | Op::Collect);
    match plan.nodes.iter().position(|known| is_shared && *known == node) {
        Some(found) => NodeId(found),
        None => plan.add(node),
    }
}
