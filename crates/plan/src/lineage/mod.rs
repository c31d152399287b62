//! What an operator's state depends on, in terms of the tables that a statement reads and writes.
//!
//! Positions in a plan change with every edit of a statement, so they cannot identify state. This module traces every
//! column through projections to the table columns that it derives from, and describes the state of each stateful
//! operator by its [`Trait`]s. Two operators with equal traits can exchange their state. Traits are readable text
//! because the message that rejects a checkpoint shows them.
//!
//! This is not a planner's notion of equivalence: `a + b` and `b + a` differ here. The cost is a rejected checkpoint,
//! never a wrong result.

mod columns;
mod traits;

use std::collections::BTreeSet;

use millstream_types::{LogicalType, TypeKind};

use crate::expr::Expr;
use crate::node::{NodeId, Op, Plan};

/// Longest lineage text; anything longer is hashed, because every level of nested views would double it.
const TEXT_BYTES_MAX: usize = 200;

/// One property that the state of an operator depends on.
pub type Trait = (&'static str, String);

/// The lineage of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLineage {
    /// The origin of each output column.
    pub columns: Vec<String>,
    /// Identifies the rows of the output, regardless of their columns.
    pub rows: String,
    /// What the node's state depends on; empty for stateless nodes.
    pub traits: Vec<Trait>,
    /// The sinks that the node's rows reach, sorted.
    pub sinks: Vec<String>,
}

/// The lineage of every node, in the order of the nodes.
pub fn lineage(plan: &Plan) -> Vec<NodeLineage> {
    let mut nodes: Vec<NodeLineage> = Vec::with_capacity(plan.nodes.len());
    for index in 0..plan.nodes.len() {
        let tracer = Tracer {
            plan,
            done: &nodes,
            node: NodeId(index),
        };
        let traits = tracer.traits();
        let mut found = NodeLineage {
            columns: tracer.columns(),
            rows: shorten(tracer.rows(&traits)),
            traits: Vec::new(),
            sinks: Vec::new(),
        };
        if keeps_state(&plan.nodes[index].op) {
            found.traits = traits;
        }
        nodes.push(found);
    }
    for (node, sinks) in nodes.iter_mut().zip(sinks(plan)) {
        node.sinks = sinks.into_iter().collect();
    }
    nodes
}

/// A fingerprint of everything that a plan computes: equal plans write the same rows.
pub fn fingerprint(plan: &Plan, lineage: &[NodeLineage]) -> u64 {
    let mut text = String::new();
    for node in &plan.nodes {
        if let Op::Sink { table, .. } = &node.op {
            text.push_str(&format!("{}|", table.identifier));
            for input in node.inputs.iter().filter_map(|id| lineage.get(id.0)) {
                text.push_str(&format!("{}|{}|", input.rows, input.columns.join(",")));
            }
        }
    }
    hash(&text)
}

/// Whether an operator keeps state that a checkpoint must match. Watermark generators can restart from nothing.
pub fn keeps_state(op: &Op) -> bool {
    match op {
        Op::WindowTableFunction { window, .. } => window.kind.is_session(),
        Op::Calc { .. }
        | Op::WatermarkAssigner { .. }
        | Op::Expand { .. }
        | Op::UnionAll
        | Op::DropUpdateBefore
        | Op::Exchange { .. }
        | Op::Correlate { .. }
        | Op::LookupJoin { .. }
        | Op::Collect
        | Op::Unsupported { .. } => false,
        _ => true,
    }
}

/// The sinks that each node's rows reach.
fn sinks(plan: &Plan) -> Vec<BTreeSet<String>> {
    let mut sinks: Vec<BTreeSet<String>> = vec![BTreeSet::new(); plan.nodes.len()];
    // Inputs precede the nodes that read them.
    for (index, node) in plan.nodes.iter().enumerate().rev() {
        match &node.op {
            Op::Sink { table, .. } => _ = sinks[index].insert(table.identifier.to_string()),
            Op::Collect => _ = sinks[index].insert("the client".to_owned()),
            _ => {}
        }
        let own = sinks[index].clone();
        for input in &node.inputs {
            sinks[input.0].extend(own.iter().cloned());
        }
    }
    sinks
}

/// Traces one node whose inputs are already traced.
struct Tracer<'a> {
    plan: &'a Plan,
    done: &'a [NodeLineage],
    node: NodeId,
}

impl Tracer<'_> {
    fn op(&self) -> &Op {
        &self.plan.node(self.node).op
    }

    fn input(&self, port: usize) -> Option<&NodeLineage> {
        let id = self.plan.node(self.node).inputs.get(port)?;
        self.done.get(id.0)
    }

    fn input_rows(&self, port: usize) -> &str {
        self.input(port).map_or("", |input| &input.rows)
    }

    /// The lineages of the columns of all inputs, concatenated; positions in expressions index this list.
    fn input_columns(&self) -> Vec<String> {
        let inputs = &self.plan.node(self.node).inputs;
        let columns = inputs.iter().filter_map(|id| self.done.get(id.0));
        columns.flat_map(|input| input.columns.iter().cloned()).collect()
    }

    fn input_types(&self, port: usize) -> Vec<&LogicalType> {
        let id = self.plan.node(self.node).inputs.get(port);
        id.map_or_else(Vec::new, |id| self.plan.node(*id).schema.types().collect())
    }

    /// A column of an input with its type.
    fn typed(&self, port: usize, column: usize) -> String {
        let lineage = self.input(port).and_then(|input| input.columns.get(column));
        let ty = self.input_types(port).get(column).map(|ty| type_text(ty));
        format!(
            "{} {}",
            lineage.map_or("?", String::as_str),
            ty.unwrap_or_default()
        )
    }

    fn typed_list(&self, port: usize, columns: &[usize]) -> String {
        let typed: Vec<String> = columns.iter().map(|column| self.typed(port, *column)).collect();
        typed.join(", ")
    }

    /// All columns of an input with their types.
    fn all_typed(&self, port: usize) -> String {
        let count = self.input(port).map_or(0, |input| input.columns.len());
        shorten(self.typed_list(port, &(0..count).collect::<Vec<_>>()))
    }
}

/// An expression over columns with the given lineages.
fn expression(expr: &Expr, columns: &[String]) -> String {
    let list = |args: &[Expr], separator: &str| -> String {
        let texts: Vec<String> = args.iter().map(|arg| expression(arg, columns)).collect();
        texts.join(separator)
    };
    let text = match expr {
        Expr::Column { index, .. } => columns.get(*index).cloned().unwrap_or_else(|| "?".to_owned()),
        Expr::Literal { value, ty } => format!("{value:?}:{}", type_text(ty)),
        Expr::Call { function, args, .. } => format!("{function}({})", list(args, ", ")),
        Expr::Cast { input, ty, safe } => {
            let function = if *safe { "TRY_CAST" } else { "CAST" };
            format!("{function}({} AS {})", expression(input, columns), type_text(ty))
        }
        Expr::And(args) => format!("({})", list(args, " AND ")),
        Expr::Or(args) => format!("({})", list(args, " OR ")),
        Expr::Case {
            branches, otherwise, ..
        } => {
            let branch = |(when, then): &(Expr, Expr)| {
                format!("{}: {}", expression(when, columns), expression(then, columns))
            };
            let branches: Vec<String> = branches.iter().map(branch).collect();
            format!(
                "CASE({}; {})",
                branches.join("; "),
                expression(otherwise, columns)
            )
        }
        Expr::Coalesce { args, .. } => format!("COALESCE({})", list(args, ", ")),
        Expr::Field { input, index, .. } => format!("{}.{index}", expression(input, columns)),
    };
    shorten(text)
}

/// The part of a type that state depends on: field names, time attributes and nullability are left out.
fn type_text(ty: &LogicalType) -> String {
    match &ty.kind {
        TypeKind::Row(fields) => {
            let fields: Vec<String> = fields.iter().map(|field| type_text(&field.ty)).collect();
            format!("ROW<{}>", fields.join(", "))
        }
        TypeKind::Array(element) => format!("ARRAY<{}>", type_text(element)),
        TypeKind::Multiset(element) => format!("MULTISET<{}>", type_text(element)),
        TypeKind::Map(key, value) => format!("MAP<{}, {}>", type_text(key), type_text(value)),
        TypeKind::Timestamp { precision, .. } => format!("TIMESTAMP({precision})"),
        TypeKind::TimestampLtz { precision, .. } => format!("TIMESTAMP_LTZ({precision})"),
        kind => kind.to_string(),
    }
}

/// Keeps texts readable and bounded; the hash distinguishes long texts.
fn shorten(text: String) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let mut end = TEXT_BYTES_MAX / 2;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…#{:016x}", &text[..end], hash(&text))
}

/// FNV-1a. Identities in stored checkpoints depend on it, so it must never change.
pub(crate) fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    text.bytes().fold(0xCBF2_9CE4_8422_2325, step)
}
