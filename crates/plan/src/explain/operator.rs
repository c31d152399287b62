//! An operator on one line: Flink's name for it, then its attributes.

use millstream_types::{ChangelogMode, LogicalType, Scalar, Schema, TypeKind};

use super::Notation;
use super::expression::{Style, expression};
use super::literal::literal;
use super::window::{property, window};
use crate::aggregate::{AggregateCall, WindowProperty, WindowSpec};
use crate::expr::Expr;
use crate::node::{Distribution, Node, Op, RankKind, RankRange, SortKey};
use crate::table::{MetadataColumn, ObjectIdentifier, ScanWatermark, TableSpec};
use crate::uid::kind_name;

/// An input of the operator.
pub(super) struct Input<'p> {
    pub names: Vec<String>,
    /// The upstream operator, if the plan is known.
    pub node: Option<&'p Node>,
}

/// An operator with the names that its text refers to.
pub(super) struct Described<'a> {
    pub op: &'a Op,
    pub inputs: &'a [Input<'a>],
    /// The output's columns, and their unique names.
    pub schema: &'a Schema,
    pub output: &'a [String],
    pub notation: Notation,
}

/// Names and values, in print order.
pub(super) type Attributes = Vec<(&'static str, String)>;

impl Described<'_> {
    /// `Calc(select=[a], where=[(a > 1)])`; a `changelog` mode is appended.
    pub fn line(&self, changelog: Option<ChangelogMode>) -> String {
        let mut parts: Vec<String> = self
            .attributes()
            .into_iter()
            .map(|(name, value)| format!("{name}=[{value}]"))
            .collect();
        // The mode prints its own brackets.
        parts.extend(changelog.map(|mode| format!("changelogMode={mode}")));
        let name = self.name();
        if parts.is_empty() {
            name.to_owned()
        } else {
            format!("{name}({})", parts.join(", "))
        }
    }

    fn name(&self) -> &str {
        match self.op {
            Op::Rank {
                window_end: Some(_), ..
            } => "WindowRank",
            Op::Deduplicate {
                window_end: Some(_), ..
            } => "WindowDeduplicate",
            other => kind_name(other),
        }
    }

    fn attributes(&self) -> Attributes {
        match self.op {
            Op::Scan {
                table,
                columns,
                metadata,
                watermark,
                limit,
                filters,
            } => self.scan(table, columns, metadata, watermark.as_ref(), *limit, filters),
            Op::Values { rows } => vec![("tuples", self.tuples(rows))],
            Op::Calc {
                projections,
                condition,
            } => self.calc(projections, condition.as_ref()),
            Op::WatermarkAssigner { rowtime, expr, .. } => {
                vec![("rowtime", self.column(*rowtime)), ("watermark", self.expr(expr))]
            }
            Op::WindowTableFunction { window: spec, .. } => vec![("window", window(spec, self.names()))],
            Op::GroupAggregate { .. } | Op::WindowAggregate { .. } | Op::Over { .. } => self.any_aggregate(),
            Op::Expand { projects } => vec![("projects", self.projects(projects))],
            Op::Rank { .. }
            | Op::Deduplicate { .. }
            | Op::Sort { .. }
            | Op::TemporalSort { .. }
            | Op::Limit { .. }
            | Op::SortLimit { .. } => self.any_order(),
            Op::Correlate {
                function,
                args,
                outer,
                condition,
                ..
            } => self.correlate(function, args, *outer, condition.as_ref()),
            Op::Match { spec, .. } => self.matching(spec),
            Op::UnionAll => vec![("all", "true".to_owned()), ("union", self.output.join(", "))],
            Op::ChangelogNormalize { keys, condition, .. } => {
                let mut attributes = vec![("key", self.columns(keys))];
                attributes.extend(condition.as_ref().map(|c| ("condition", self.expr(c))));
                attributes
            }
            Op::Exchange { distribution } => vec![("distribution", self.distribution(distribution))],
            Op::Sink {
                table, materialize, ..
            } => {
                let mut attributes = vec![
                    ("table", table.identifier.to_string()),
                    ("fields", self.names().join(", ")),
                ];
                attributes.extend(materialize.then(|| ("upsertMaterialize", "true".to_owned())));
                attributes
            }
            Op::DropUpdateBefore | Op::Collect | Op::Unsupported { .. } => Vec::new(),
            Op::Join { .. }
            | Op::IntervalJoin { .. }
            | Op::WindowJoin { .. }
            | Op::TemporalJoin { .. }
            | Op::LookupJoin { .. } => self.any_join(),
        }
    }

    /// Aggregations.
    fn any_aggregate(&self) -> Attributes {
        match self.op {
            Op::GroupAggregate {
                keys,
                aggregates,
                retract_input,
                ..
            } => {
                let mut attributes = self.group_by(keys);
                attributes.push((
                    "select",
                    self.aggregates(keys, aggregates, *retract_input).join(", "),
                ));
                attributes
            }
            Op::WindowAggregate {
                window: spec,
                keys,
                aggregates,
                properties,
                retract_input,
                ..
            } => self.window_aggregate(spec, keys, aggregates, properties, *retract_input),
            Op::Over { .. } => self.over(),
            _ => Vec::new(),
        }
    }

    /// Operators that select or order rows.
    fn any_order(&self) -> Attributes {
        match self.op {
            Op::Rank {
                kind,
                partition,
                order,
                range,
                window_end,
                retract_input,
                ..
            } => self.rank(*kind, partition, order, *range, *window_end, *retract_input),
            Op::Deduplicate {
                keys,
                time,
                keep_last,
                event_time,
                window_end,
                ..
            } => self.deduplicate(keys, *time, *keep_last, *event_time, *window_end),
            Op::Sort { keys } | Op::TemporalSort { keys } => vec![("orderBy", self.order(keys))],
            Op::Limit { offset, fetch, .. } => {
                let fetch = fetch.map_or_else(|| "unlimited".to_owned(), |rows| rows.to_string());
                vec![("offset", offset.to_string()), ("fetch", fetch)]
            }
            Op::SortLimit {
                keys,
                offset,
                fetch,
                retract_input,
                ..
            } => vec![
                ("orderBy", self.order(keys)),
                ("offset", offset.to_string()),
                ("fetch", fetch.to_string()),
                ("strategy", self.strategy(*retract_input)),
            ],
            _ => Vec::new(),
        }
    }

    /// The first input's column names.
    pub(super) fn names(&self) -> &[String] {
        self.inputs.first().map_or(&[], |input| &input.names)
    }

    pub(super) fn column(&self, index: usize) -> String {
        self.names()
            .get(index)
            .cloned()
            .unwrap_or_else(|| format!("${index}"))
    }

    pub(super) fn columns(&self, indices: &[usize]) -> String {
        indices
            .iter()
            .map(|index| self.column(*index))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn expr(&self, expr: &Expr) -> String {
        expression(expr, Style::of(self.notation, self.names()))
    }

    /// An expression over columns other than the input's.
    pub(super) fn expr_over(&self, expr: &Expr, names: &[String]) -> String {
        expression(expr, Style::of(self.notation, names))
    }

    pub(super) fn order(&self, keys: &[SortKey]) -> String {
        let key = |key: &SortKey| {
            format!(
                "{} {}",
                self.column(key.column),
                if key.ascending { "ASC" } else { "DESC" }
            )
        };
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }

    fn distribution(&self, distribution: &Distribution) -> String {
        match distribution {
            Distribution::Forward => "forward".to_owned(),
            Distribution::Hash(keys) => format!("hash[{}]", self.columns(keys)),
            Distribution::Single => "single".to_owned(),
            Distribution::Rebalance => "rebalance".to_owned(),
        }
    }

    fn scan(
        &self,
        table: &TableSpec,
        columns: &[usize],
        metadata: &[MetadataColumn],
        watermark: Option<&ScanWatermark>,
        limit: Option<u64>,
        filters: &[Expr],
    ) -> Attributes {
        // Filters that were pushed into the source refer to its own columns and are written as calls.
        let own = |expr: &Expr| expression(expr, Style::Prefix(self.output));
        let ObjectIdentifier {
            catalog,
            database,
            name,
        } = &table.identifier;
        let mut path = vec![catalog.clone(), database.clone(), name.clone()];
        if !filters.is_empty() {
            let conditions: Vec<String> = filters.iter().map(own).collect();
            let all = if filters.len() == 1 {
                conditions.join("")
            } else {
                format!("and({})", conditions.join(", "))
            };
            path.push(format!("filter=[{all}]"));
        }
        if !columns.iter().copied().eq(0..table.physical.len()) {
            let name = |column: &usize| {
                table
                    .physical
                    .columns
                    .get(*column)
                    .map_or("", |c| c.name.as_str())
            };
            let read: Vec<&str> = columns.iter().map(name).collect();
            let keys: Vec<&str> = metadata.iter().map(|column| column.key.as_str()).collect();
            path.push(format!("project=[{}]", read.join(", ")));
            path.push(format!("metadata=[{}]", keys.join(", ")));
        }
        path.extend(watermark.map(|watermark| format!("watermark=[{}]", own(&watermark.expr))));
        path.extend(limit.map(|rows| format!("limit=[{rows}]")));
        vec![
            ("table", format!("[{}]", path.join(", "))),
            ("fields", self.output.join(", ")),
        ]
    }

    /// `[{ 1, a }, { 2, b }]`; a row without columns, which a SELECT without FROM reads, is `{ 0 }`.
    fn tuples(&self, rows: &[Vec<Scalar>]) -> String {
        let row = |row: &Vec<Scalar>| {
            let values: Vec<String> = row
                .iter()
                .zip(self.schema.types())
                .map(|(value, ty)| constant(value, ty))
                .collect();
            format!(
                "{{ {} }}",
                if values.is_empty() {
                    "0".to_owned()
                } else {
                    values.join(", ")
                }
            )
        };
        format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(", "))
    }

    fn calc(&self, projections: &[Expr], condition: Option<&Expr>) -> Attributes {
        let select: Vec<String> = projections
            .iter()
            .zip(self.output)
            .map(|(expr, name)| named(self.expr(expr), name))
            .collect();
        let mut attributes = vec![("select", select.join(", "))];
        attributes.extend(condition.map(|condition| ("where", self.expr(condition))));
        attributes
    }

    fn projects(&self, projects: &[Vec<Expr>]) -> String {
        let project = |exprs: &Vec<Expr>| {
            let items: Vec<String> = exprs
                .iter()
                .zip(self.output)
                .map(|(expr, name)| named(self.expr(expr), name))
                .collect();
            format!("{{{}}}", items.join(", "))
        };
        projects.iter().map(project).collect::<Vec<_>>().join(", ")
    }

    fn group_by(&self, keys: &[usize]) -> Attributes {
        if keys.is_empty() {
            Vec::new()
        } else {
            vec![("groupBy", self.columns(keys))]
        }
    }

    /// Keys, then calls with their names.
    fn aggregates(&self, keys: &[usize], calls: &[AggregateCall], retract: bool) -> Vec<String> {
        let keys_and_calls = keys.iter().map(|key| self.column(*key));
        let outputs = self.output.iter().skip(keys.len());
        let calls = calls
            .iter()
            .zip(outputs)
            .map(|(call, name)| named(self.call(call, retract), name));
        keys_and_calls.chain(calls).collect()
    }

    /// `SUM_RETRACT(DISTINCT b) FILTER $f2`; `_RETRACT` marks an aggregate over an input with retractions.
    fn call(&self, call: &AggregateCall, retract: bool) -> String {
        let mut args: Vec<String> = call.args.iter().map(|column| self.column(*column)).collect();
        let untyped = LogicalType::not_null(TypeKind::Null);
        args.extend(call.parameters.iter().map(|value| constant(value, &untyped)));
        if args.is_empty() {
            args.push("*".to_owned());
        }
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let suffix = if retract { "_RETRACT" } else { "" };
        let mut text = format!("{}{suffix}({distinct}{})", call.function, args.join(", "));
        if !call.order_by.is_empty() {
            let key = |(column, ascending): &(usize, bool)| {
                format!(
                    "{} {}",
                    self.column(*column),
                    if *ascending { "ASC" } else { "DESC" }
                )
            };
            let keys: Vec<String> = call.order_by.iter().map(key).collect();
            text.push_str(&format!(" WITHIN GROUP ({})", keys.join(", ")));
        }
        if let Some(filter) = call.filter {
            text.push_str(&format!(" FILTER {}", self.column(filter)));
        }
        text
    }

    fn window_aggregate(
        &self,
        spec: &WindowSpec,
        keys: &[usize],
        calls: &[AggregateCall],
        properties: &[WindowProperty],
        retract: bool,
    ) -> Attributes {
        let mut select = self.aggregates(keys, calls, retract);
        let names = self.output.iter().skip(keys.len() + calls.len());
        select.extend(
            properties
                .iter()
                .zip(names)
                .map(|(p, name)| named(property(*p, spec.event_time).to_owned(), name)),
        );
        let mut attributes = self.group_by(keys);
        attributes.push(("window", window(spec, self.names())));
        attributes.push(("select", select.join(", ")));
        attributes
    }

    fn rank(
        &self,
        kind: RankKind,
        partition: &[usize],
        order: &[SortKey],
        range: RankRange,
        window_end: Option<usize>,
        retract: bool,
    ) -> Attributes {
        let first = match window_end {
            Some(end) => ("window", format!("win_end=[{}]", self.column(end))),
            None => ("strategy", self.strategy(retract)),
        };
        let kind = match kind {
            RankKind::RowNumber => "ROW_NUMBER",
            RankKind::Rank => "RANK",
            RankKind::DenseRank => "DENSE_RANK",
        };
        let range = match range {
            RankRange::Constant { from, to } => format!("rankStart={from}, rankEnd={to}"),
            RankRange::Variable { column } => format!("rankEnd={}", self.column(column)),
        };
        let partition: Vec<usize> = partition
            .iter()
            .copied()
            .filter(|column| Some(*column) != window_end)
            .collect();
        vec![
            first,
            ("rankType", kind.to_owned()),
            ("rankRange", range),
            ("partitionBy", self.columns(&partition)),
            ("orderBy", self.order(order)),
            ("select", self.output.join(", ")),
        ]
    }

    /// How the first rows are maintained; this depends on the changelog of the input.
    fn strategy(&self, retract: bool) -> String {
        let Some(node) = self.inputs.first().and_then(|input| input.node) else {
            return "UndefinedStrategy".to_owned();
        };
        if node.traits.mode.is_insert_only() {
            return "AppendFastStrategy".to_owned();
        }
        if retract {
            return "RetractStrategy".to_owned();
        }
        let key = node.traits.upsert_keys.first().map_or(&[][..], Vec::as_slice);
        let key: Vec<String> = key.iter().map(usize::to_string).collect();
        format!("UpdateFastStrategy[{}]", key.join(","))
    }

    fn deduplicate(
        &self,
        keys: &[usize],
        time: usize,
        keep_last: bool,
        event_time: bool,
        window_end: Option<usize>,
    ) -> Attributes {
        let keep = ("keep", if keep_last { "LastRow" } else { "FirstRow" }.to_owned());
        let order = (
            "order",
            if event_time { "ROWTIME" } else { "PROCTIME" }.to_owned(),
        );
        match window_end {
            Some(end) => vec![
                ("window", format!("win_end=[{}]", self.column(end))),
                keep,
                ("partitionKeys", self.columns(keys)),
                ("orderKey", self.column(time)),
                order,
            ],
            None => vec![keep, ("key", self.columns(keys)), order],
        }
    }

    fn over(&self) -> Attributes {
        let Op::Over {
            partition,
            order,
            rows,
            preceding,
            following,
            calls,
            ..
        } = self.op
        else {
            return Vec::new();
        };
        let mut attributes = Vec::new();
        if !partition.is_empty() {
            attributes.push(("partitionBy", self.columns(partition)));
        }
        attributes.push(("orderBy", self.order(order)));
        let frame = frame(*rows, *preceding, *following);
        attributes.push(("window", format!(" {frame}")));
        let width = self.names().len();
        let own = self.output.iter().take(width).cloned();
        let calls = calls.iter().zip(self.output.iter().skip(width));
        let select: Vec<String> = own
            .chain(calls.map(|(call, name)| named(self.call(call, false), name)))
            .collect();
        attributes.push(("select", select.join(", ")));
        attributes
    }

    fn correlate(&self, function: &str, args: &[Expr], outer: bool, condition: Option<&Expr>) -> Attributes {
        let outer_names: Vec<String> = self.names().iter().map(|name| format!("$cor0.{name}")).collect();
        let args: Vec<String> = args
            .iter()
            .map(|arg| expression(arg, Style::Prefix(&outer_names)))
            .collect();
        let invocation = format!("{function}({})", args.join(", "));
        let mut attributes = vec![
            ("correlate", format!("table({invocation})")),
            ("select", self.output.join(",")),
            ("joinType", if outer { "LEFT" } else { "INNER" }.to_owned()),
        ];
        attributes.insert(0, ("invocation", invocation));
        // The condition also reads the function's columns.
        let condition =
            condition.map(|c| ("condition", expression(c, Style::of(self.notation, self.output))));
        attributes.extend(condition);
        attributes
    }
}

fn named(text: String, name: &str) -> String {
    if text == name {
        text
    } else {
        format!("{text} AS {name}")
    }
}

/// A value without its type.
fn constant(value: &Scalar, ty: &LogicalType) -> String {
    if value.is_null() {
        "null".to_owned()
    } else {
        literal(value, ty, false)
    }
}

/// The frame of an OVER window.
fn frame(rows: bool, preceding: Option<i64>, following: Option<i64>) -> String {
    let unit = if rows { "ROWS" } else { "RANGE" };
    let bound = |before: i64| match before {
        0 => "CURRENT ROW".to_owned(),
        1.. => format!("{before} PRECEDING"),
        _ => format!("{} FOLLOWING", before.unsigned_abs()),
    };
    let start = preceding.map_or_else(|| "UNBOUNDED PRECEDING".to_owned(), bound);
    let end = following.map_or_else(|| "UNBOUNDED FOLLOWING".to_owned(), |behind| bound(-behind));
    format!("{unit} BETWEEN {start} AND {end}")
}
