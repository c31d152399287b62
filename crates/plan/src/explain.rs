//! EXPLAIN text of physical plans, in the layout and with the words of Flink's plans.
//!
//! Two views of the same operators: the physical plan repeats what several readers share and writes expressions as
//! calls (`>(a, 10)`); the execution plan names what is shared (`reuse_id`) and writes them as SQL does (`(a > 10)`).
//! The hand-over of a query's rows to the client is not an operator to the reader and is left out. The text is for people:
//! nothing reads it back.

pub mod expression;
mod join;
mod json;
mod literal;
mod matching;
mod names;
mod operator;
mod tree;
mod window;

use std::collections::BTreeMap;

use millstream_types::{ChangelogMode, Schema};

use crate::node::{Distribution, Node, NodeId, Op, Plan};

pub use expression::{Style, expression};
pub use literal::{duration, interval, literal, record, type_name};
pub use names::unique;
pub use tree::Tree;

use operator::{Described, Input};

/// `== Optimized Physical Plan ==`: a tree for each root; `changelog` adds the kinds of rows that each operator makes.
pub fn physical_plan(plan: &Plan, changelog: bool) -> String {
    let view = View::new(plan, Notation::Prefix, changelog);
    view.roots(&mut BTreeMap::new(), false)
}

/// `== Optimized Execution Plan ==`: a tree for each root; what several operators read is written once.
pub fn execution_plan(plan: &Plan) -> String {
    let view = View::new(plan, Notation::Infix, false);
    view.roots(&mut BTreeMap::new(), true)
}

/// `== Physical Execution Plan ==`: the operators as JSON; `parallelism` is that of operators which the plan does not fix.
pub fn json_execution_plan(plan: &Plan, parallelism: usize) -> String {
    View::new(plan, Notation::Infix, false).json(parallelism)
}

/// One operator in one line, for messages: `GroupAggregate(groupBy=[k], select=[k, SUM(v) AS s])`.
pub fn operator(op: &Op, inputs: &[&Schema], output: &Schema) -> String {
    let inputs: Vec<Input<'_>> = inputs
        .iter()
        .map(|schema| Input {
            names: unique(schema),
            node: None,
        })
        .collect();
    let notation = Notation::Infix;
    Described {
        op,
        inputs: &inputs,
        schema: output,
        output: &unique(output),
        notation,
    }
    .line(None)
}

/// How calls of operators are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notation {
    /// `>(a, 10)`
    Prefix,
    /// `(a > 10)`
    Infix,
}

/// A plan on its way to text.
struct View<'p> {
    plan: &'p Plan,
    /// Names of the columns of each node, made unique.
    names: Vec<Vec<String>>,
    /// How many operators read each node.
    readers: Vec<usize>,
    notation: Notation,
    changelog: bool,
}

impl<'p> View<'p> {
    fn new(plan: &'p Plan, notation: Notation, changelog: bool) -> Self {
        let names = plan.nodes.iter().map(|node| unique(&node.schema)).collect();
        let mut readers = vec![0; plan.nodes.len()];
        for input in plan.nodes.iter().flat_map(|node| &node.inputs) {
            if let Some(count) = readers.get_mut(input.0) {
                *count += 1;
            }
        }
        Self {
            plan,
            names,
            readers,
            notation,
            changelog,
        }
    }

    /// All trees with an empty line between them. `reused` holds the numbers of shared nodes written so far.
    fn roots(&self, reused: &mut BTreeMap<NodeId, usize>, reuse: bool) -> String {
        let draw = |root: &NodeId| self.tree(self.visible_root(*root), reused, reuse).to_string();
        self.plan.roots.iter().map(draw).collect::<Vec<_>>().join("\n")
    }

    /// The root without the hand-over to the client.
    fn visible_root(&self, root: NodeId) -> NodeId {
        let node = self.plan.node(root);
        let (Op::Collect, [input]) = (&node.op, node.inputs.as_slice()) else {
            return root;
        };
        let below = self.plan.node(*input);
        match (&below.op, below.inputs.as_slice()) {
            (
                Op::Exchange {
                    distribution: Distribution::Single,
                },
                [rows],
            ) => *rows,
            _ => *input,
        }
    }

    fn tree(&self, id: NodeId, reused: &mut BTreeMap<NodeId, usize>, reuse: bool) -> Tree {
        if let Some(number) = reused.get(&id) {
            return Tree::leaf(format!("Reused(reference_id=[{number}])"));
        }
        let node = self.plan.node(id);
        let mut line = self.line(node, id);
        let is_shared = self.readers.get(id.0).is_some_and(|readers| *readers > 1);
        if reuse && is_shared {
            let number = reused.len() + 1;
            reused.insert(id, number);
            line.push_str(&format!("(reuse_id=[{number}])"));
        }
        let inputs = node
            .inputs
            .iter()
            .map(|input| self.tree(*input, reused, reuse))
            .collect();
        Tree { line, inputs }
    }

    fn line(&self, node: &Node, id: NodeId) -> String {
        let input = |input: &NodeId| Input {
            names: self.names[input.0].clone(),
            node: Some(self.plan.node(*input)),
        };
        let inputs: Vec<Input<'_>> = node.inputs.iter().map(input).collect();
        let described = Described {
            op: &node.op,
            inputs: &inputs,
            schema: &node.schema,
            output: &self.names[id.0],
            notation: self.notation,
        };
        // A sink hands on nothing.
        let made = if matches!(node.op, Op::Sink { .. }) {
            ChangelogMode::default()
        } else {
            node.traits.mode
        };
        described.line(self.changelog.then_some(made))
    }
}
