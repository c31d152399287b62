//! `== Physical Execution Plan ==`: the operators of a job as JSON, in the layout of Flink's `JSON_EXECUTION_PLAN`.
//!
//! Each operator appears once, however many read it. Exchanges become the `ship_strategy` of their readers, and a union
//! becomes the list of its inputs. The numbers are positions in this text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::View;
use crate::node::{Distribution, NodeId, Op};
use crate::uid::kind_name;

/// An upstream operator and the ship strategy between it and its reader.
type Feed = (NodeId, &'static str);

impl View<'_> {
    /// `parallelism` applies to operators that do not set their own.
    pub(super) fn json(&self, parallelism: usize) -> String {
        let shown = self.shown();
        let numbers: BTreeMap<NodeId, usize> = shown.iter().zip(1..).map(|(id, n)| (*id, n)).collect();
        let mut instances = BTreeMap::new();
        let mut nodes: Vec<String> = Vec::new();
        for id in &shown {
            let feeds = self.feeds_of(*id);
            let count = self.instances(*id, &feeds, &instances, parallelism);
            instances.insert(*id, count);
            nodes.push(self.json_node(*id, &feeds, &numbers, count));
        }
        format!("{{\n  \"nodes\" : [ {} ]\n}}", nodes.join(", "))
    }

    /// The operators to print, inputs before readers.
    fn shown(&self) -> Vec<NodeId> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<NodeId> = self
            .plan
            .roots
            .iter()
            .map(|root| self.visible_root(*root))
            .collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&self.plan.node(id).inputs);
            }
        }
        // The plan already lists inputs first.
        let is_operator = |id: &NodeId| !matches!(self.plan.node(*id).op, Op::Exchange { .. } | Op::UnionAll);
        seen.into_iter().filter(is_operator).collect()
    }

    fn feeds_of(&self, id: NodeId) -> Vec<Feed> {
        let inputs = &self.plan.node(id).inputs;
        inputs.iter().flat_map(|input| self.feeds(*input)).collect()
    }

    /// The operators behind an input, with exchanges and unions resolved.
    fn feeds(&self, id: NodeId) -> Vec<Feed> {
        match &self.plan.node(id).op {
            Op::UnionAll => self.feeds_of(id),
            Op::Exchange { distribution } => {
                let strategy = match distribution {
                    Distribution::Forward => "FORWARD",
                    Distribution::Hash(_) => "HASH",
                    Distribution::Single => "GLOBAL",
                    Distribution::Rebalance => "REBALANCE",
                };
                let behind = self.feeds_of(id).into_iter();
                behind.map(|(id, _)| (id, strategy)).collect()
            }
            _ => vec![(id, "FORWARD")],
        }
    }

    fn instances(
        &self,
        id: NodeId,
        feeds: &[Feed],
        known: &BTreeMap<NodeId, usize>,
        parallelism: usize,
    ) -> usize {
        let option = |options: &millstream_types::Options, key: &str| {
            options
                .get(key)
                .and_then(|text| text.trim().parse::<usize>().ok())
        };
        let inherited = match feeds.first() {
            Some((_, "GLOBAL")) => 1,
            Some((input, "FORWARD")) => known.get(input).copied().unwrap_or(parallelism),
            _ => parallelism,
        };
        match &self.plan.node(id).op {
            Op::Values { .. } => 1,
            Op::Scan { table, .. } => option(&table.options, "scan.parallelism").unwrap_or(parallelism),
            Op::Sink { table, .. } => option(&table.options, "sink.parallelism").unwrap_or(inherited),
            _ => inherited,
        }
    }

    fn json_node(
        &self,
        id: NodeId,
        feeds: &[Feed],
        numbers: &BTreeMap<NodeId, usize>,
        parallelism: usize,
    ) -> String {
        let node = self.plan.node(id);
        let number = numbers.get(&id).copied().unwrap_or_default();
        let (name, pact) = match &node.op {
            Op::Scan { table, .. } => (format!("Source: {}", table.identifier.name), "Data Source"),
            Op::Values { .. } => ("Source: Values".to_owned(), "Data Source"),
            Op::Sink { table, .. } => (format!("Sink: {}", table.identifier.name), "Data Sink"),
            other => (kind_name(other).to_owned(), "Operator"),
        };
        let contents = format!("[{number}]:{}", self.line(node, id));
        let mut text = format!(
            "{{\n    \"id\" : {number},\n    \"type\" : {},\n    \"pact\" : \"{pact}\",\n    \"contents\" : {},\n    \
             \"parallelism\" : {parallelism}",
            quoted(&format!("{name}[{number}]")),
            quoted(&contents),
        );
        let feeds: Vec<String> = feeds
            .iter()
            .filter_map(|(input, strategy)| {
                let number = numbers.get(input)?;
                Some(format!(
                    "{{\n      \"id\" : {number},\n      \"ship_strategy\" : \"{strategy}\",\n      \"side\" : \"second\"\n    }}"
                ))
            })
            .collect();
        if !feeds.is_empty() {
            text.push_str(&format!(",\n    \"predecessors\" : [ {} ]", feeds.join(", ")));
        }
        text.push_str("\n  }");
        text
    }
}

/// Quotes a JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
