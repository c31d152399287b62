//! The origin of output columns, and which rows an operator emits.

use crate::aggregate::{AggregateCall, WindowAssign, WindowSpec};
use crate::node::{JoinKind, Op};
use crate::table::TableSpec;

use super::traits::aggregate_text;
use super::{Tracer, Trait, expression, hash, shorten};
use crate::uid::kind_name;

/// Traits that describe the layout of state, not which rows come out.
const NOT_OF_ROWS: &[&str] = &[
    "columns",
    "left columns",
    "right columns",
    "aggregates",
    "input mode",
];

impl Tracer<'_> {
    pub(super) fn columns(&self) -> Vec<String> {
        let schema = &self.plan.node(self.node).schema;
        let mut columns = self.known_columns();
        columns.truncate(schema.len());
        for index in columns.len()..schema.len() {
            columns.push(format!("{} {}", kind_name(self.op()), schema.columns[index].name));
        }
        columns
    }

    /// The columns whose origin the operator itself determines; columns of the input follow them.
    fn known_columns(&self) -> Vec<String> {
        let input = self.input_columns();
        match self.op() {
            Op::Scan {
                table,
                columns,
                metadata,
                ..
            } => {
                let name = |i: &usize| format!("{}.{}", table.identifier, column_name(table, *i));
                let key = |m: &crate::table::MetadataColumn| format!("{}.'{}'", table.identifier, m.key);
                columns.iter().map(name).chain(metadata.iter().map(key)).collect()
            }
            Op::Values { rows } => {
                let values = hash(&format!("{rows:?}"));
                let count = rows.first().map_or(0, Vec::len);
                (0..count).map(|i| format!("VALUES#{values:016x}.{i}")).collect()
            }
            Op::Calc { projections, .. } => projections.iter().map(|p| expression(p, &input)).collect(),
            Op::GroupAggregate { keys, aggregates, .. } => self.grouped(&input, keys, aggregates),
            Op::WindowAggregate {
                keys,
                aggregates,
                properties,
                ..
            } => {
                let mut columns = self.grouped(&input, keys, aggregates);
                columns.extend(properties.iter().map(|property| format!("window {property:?}")));
                columns
            }
            Op::Expand { projects } => expanded(projects, &input),
            Op::UnionAll => self.united(),
            Op::Join { kind, .. }
            | Op::IntervalJoin { kind, .. }
            | Op::WindowJoin { kind, .. }
            | Op::TemporalJoin { kind, .. }
                if matches!(kind, JoinKind::Semi | JoinKind::Anti) =>
            {
                self.input(0).map_or_else(Vec::new, |left| left.columns.clone())
            }
            Op::LookupJoin { .. } | Op::Correlate { .. } => self.extended(input),
            Op::Over { calls, .. } => {
                let over = |call: &AggregateCall| format!("{} OVER", aggregate_text(call, &input));
                let over: Vec<String> = calls.iter().map(over).collect();
                input.into_iter().chain(over).collect()
            }
            Op::Match { spec, .. } => {
                let partition = spec.partition.iter();
                partition
                    .filter_map(|column| input.get(*column).cloned())
                    .collect()
            }
            _ => input,
        }
    }

    /// The input's columns, then those that are looked up or produced for each row.
    fn extended(&self, input: Vec<String>) -> Vec<String> {
        match self.op() {
            Op::LookupJoin { table, columns, .. } => {
                let name = |i: &usize| format!("{}.{}", table.identifier, column_name(table, *i));
                input.into_iter().chain(columns.iter().map(name)).collect()
            }
            Op::Correlate {
                function,
                args,
                output,
                ..
            } => {
                let args: Vec<String> = args.iter().map(|arg| expression(arg, &input)).collect();
                let call = shorten(format!("{function}({})", args.join(", ")));
                let produced = (0..output.len()).map(|i| format!("{call}.{i}"));
                input.iter().cloned().chain(produced).collect()
            }
            _ => input,
        }
    }

    fn grouped(&self, input: &[String], keys: &[usize], aggregates: &[AggregateCall]) -> Vec<String> {
        let keys = keys
            .iter()
            .map(|key| input.get(*key).cloned().unwrap_or_default());
        keys.chain(aggregates.iter().map(|call| aggregate_text(call, input)))
            .collect()
    }

    /// Columns that merge several inputs by position.
    fn united(&self) -> Vec<String> {
        let ports = 0..self.plan.node(self.node).inputs.len();
        let inputs: Vec<&[String]> = ports
            .filter_map(|port| self.input(port))
            .map(|input| input.columns.as_slice())
            .collect();
        let count = inputs.first().map_or(0, |first| first.len());
        let column = |i: usize| {
            let mut texts: Vec<&str> = inputs
                .iter()
                .filter_map(|c| c.get(i))
                .map(String::as_str)
                .collect();
            texts.sort_unstable();
            texts.dedup();
            shorten(texts.join(" | "))
        };
        (0..count).map(column).collect()
    }

    /// Describes which rows come out. Operators that filter, group or join rows contribute; those that only add columns
    /// do not.
    pub(super) fn rows(&self, traits: &[Trait]) -> String {
        let input = self.input_columns();
        match self.op() {
            Op::Scan { table, limit, .. } => match limit {
                Some(limit) => format!("{} LIMIT {limit}", table.identifier),
                None => table.identifier.to_string(),
            },
            Op::Values { rows } => format!("VALUES#{:016x}", hash(&format!("{rows:?}"))),
            Op::Calc { condition, .. } => match condition {
                Some(condition) => {
                    format!("{} WHERE {}", self.input_rows(0), expression(condition, &input))
                }
                None => self.input_rows(0).to_owned(),
            },
            Op::WatermarkAssigner { .. }
            | Op::Exchange { .. }
            | Op::DropUpdateBefore
            | Op::Over { .. }
            | Op::Sort { .. }
            | Op::TemporalSort { .. } => self.input_rows(0).to_owned(),
            Op::WindowTableFunction { window, .. } => {
                format!("{} IN {}", self.input_rows(0), self.window_text(window))
            }
            Op::Expand { projects } => {
                format!(
                    "{} EXPANDED#{:016x}",
                    self.input_rows(0),
                    hash(&format!("{projects:?}"))
                )
            }
            Op::UnionAll => {
                let mut inputs: Vec<&str> = (0..self.plan.node(self.node).inputs.len())
                    .map(|port| self.input_rows(port))
                    .collect();
                inputs.sort_unstable();
                format!("({})", inputs.join(" UNION "))
            }
            Op::Correlate {
                function,
                args,
                outer,
                condition,
                ..
            } => {
                let exprs = args.iter().chain(condition);
                let texts: Vec<String> = exprs.map(|e| expression(e, &input)).collect();
                let kind = if *outer { "OUTER" } else { "CROSS" };
                format!("{} {kind} {function}({})", self.input_rows(0), texts.join(", "))
            }
            Op::LookupJoin {
                table,
                keys,
                condition,
                ..
            } => {
                let condition = condition.as_ref().map(|c| expression(c, &input));
                let condition = condition.unwrap_or_default();
                format!(
                    "{} LOOKUP {} {keys:?} {condition}",
                    self.input_rows(0),
                    table.identifier
                )
            }
            op => {
                let of_rows = traits.iter().filter(|(name, _)| !NOT_OF_ROWS.contains(name));
                let texts: Vec<String> = of_rows.map(|(name, value)| format!("{name} {value}")).collect();
                format!("{}({})", kind_name(op), texts.join("; "))
            }
        }
    }

    /// A window and the time column that assigns rows to it.
    pub(super) fn window_text(&self, window: &WindowSpec) -> String {
        let time = match &window.assign {
            WindowAssign::TimeColumn(column) => self.typed(0, *column),
            WindowAssign::Attached { end, .. } => format!("window ending at {}", self.typed(0, *end)),
        };
        let clock = if window.event_time {
            ""
        } else {
            " of processing time"
        };
        let local = if window.local_time { " in local time" } else { "" };
        format!("{:?} over {time}{clock}{local}", window.kind)
    }
}

fn column_name(table: &TableSpec, index: usize) -> &str {
    table
        .physical
        .columns
        .get(index)
        .map_or("?", |column| &column.name)
}

fn expanded(projects: &[Vec<crate::expr::Expr>], input: &[String]) -> Vec<String> {
    let count = projects.first().map_or(0, Vec::len);
    let column = |i: usize| {
        let mut texts: Vec<String> = projects
            .iter()
            .filter_map(|project| project.get(i))
            .map(|e| expression(e, input))
            .collect();
        texts.sort_unstable();
        texts.dedup();
        shorten(texts.join(" | "))
    };
    (0..count).map(column).collect()
}
