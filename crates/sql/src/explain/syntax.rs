//! `== Abstract Syntax Tree ==`: the bound query in the notation of Calcite's logical plans.
//!
//! Columns are positions in the input (`$0`). A projection that merely repeats the columns of a table or a query is
//! omitted, because it is not in the user's text.

use millstream_plan::explain::{Style, Tree, expression, interval, literal, record, unique};
use millstream_plan::{AggregateCall, Expr, JoinKind, RankKind, RankRange, SortKey, WindowKind};
use millstream_types::{LogicalType, Scalar, Schema, TypeKind};

use crate::bind::logical::{Aggregate, Bound, Join, Over, Rank, Rel, RelKind};
use crate::rules::Root;

/// Functions that depend only on the order of rows.
const RANKING: [&str; 3] = ["ROW_NUMBER", "RANK", "DENSE_RANK"];

/// A tree per root, separated by empty lines.
pub fn syntax_tree(roots: &[Root]) -> String {
    roots
        .iter()
        .map(|root| root_tree(root).to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

fn root_tree(root: &Root) -> Tree {
    match root {
        Root::Collect(rel) => tree(rel),
        Root::Sink(insert) => {
            let rows = if repeats_input(&insert.rel) {
                insert.rel.input()
            } else {
                None
            };
            let rows = rows.unwrap_or(&insert.rel);
            let fields = unique(&rows.schema).join(", ");
            let line = format!(
                "LogicalSink(table=[{}], fields=[{fields}])",
                insert.table.identifier
            );
            Tree {
                line,
                inputs: vec![tree(rows)],
            }
        }
    }
}

/// Whether a projection gives the columns of its input, all and in order.
fn repeats_input(rel: &Rel) -> bool {
    let (RelKind::Project { exprs }, Some(input)) = (&rel.kind, rel.input()) else {
        return false;
    };
    let is_column = |(i, expr): (usize, &Expr)| matches!(expr, Expr::Column { index, .. } if *index == i);
    exprs.len() == input.schema.len() && exprs.iter().enumerate().all(is_column)
}

fn tree(rel: &Rel) -> Tree {
    if let Some(input) = rel.input()
        && matches!(input.kind, RelKind::Scan(_))
        && repeats_input(rel)
        && rel.names() == input.names()
    {
        return tree(input);
    }
    if let Some(merged) = merged(rel) {
        return merged;
    }
    let line = line(rel);
    let inputs = match (&rel.kind, rel.inputs.as_slice()) {
        (RelKind::Join(join), [left, right]) => vec![tree(left), right_side(join, left, right)],
        (RelKind::Correlate { function, args, .. }, [input]) => {
            vec![tree(input), function_side(function, args, input, &rel.schema)]
        }
        (_, inputs) => inputs.iter().map(tree).collect(),
    };
    Tree { line, inputs }
}

/// Merges a projection into its input: names of aggregates, and OVER calls, which appear in the SELECT list.
fn merged(rel: &Rel) -> Option<Tree> {
    let (RelKind::Project { exprs }, Some(input)) = (&rel.kind, rel.input()) else {
        return None;
    };
    let inputs = || input.inputs.iter().map(tree).collect();
    match &input.kind {
        RelKind::Aggregate(aggregate) if repeats_input(rel) => Some(Tree {
            line: aggregate_line(aggregate, &unique(&rel.schema)),
            inputs: inputs(),
        }),
        RelKind::Over(over) => {
            let values = over_values(over, input);
            let texts = exprs.iter().map(|expr| expression(expr, Style::Tree(&values)));
            Some(Tree {
                line: projection(&rel.schema, texts),
                inputs: inputs(),
            })
        }
        _ => None,
    }
}

fn projection(schema: &Schema, values: impl Iterator<Item = String>) -> String {
    let items = unique(schema)
        .into_iter()
        .zip(values)
        .map(|(name, value)| format!("{name}=[{value}]"));
    format!("LogicalProject({})", list(items))
}

fn line(rel: &Rel) -> String {
    match &rel.kind {
        RelKind::Scan(scan) => {
            let id = &scan.table.identifier;
            format!(
                "LogicalTableScan(table=[[{}, {}, {}]])",
                id.catalog, id.database, id.name
            )
        }
        RelKind::Values { rows } => format!("LogicalValues(tuples=[[{}]])", tuples(rows)),
        RelKind::Project { exprs } => projection(&rel.schema, exprs.iter().map(text)),
        RelKind::Filter { condition } => format!("LogicalFilter(condition=[{}])", text(condition)),
        RelKind::Watermark { rowtime, expr, .. } => {
            let name = rel.schema.columns.get(*rowtime).map_or("", |c| c.name.as_str());
            format!(
                "LogicalWatermarkAssigner(rowtime=[{name}], watermark=[{}])",
                text(expr)
            )
        }
        RelKind::Window { time, kind, .. } => {
            let time = rel
                .input()
                .and_then(|input| input.schema.columns.get(*time))
                .map_or("", |c| c.name.as_str());
            let invocation = window_call(*kind, &format!("TABLE(#0), DESCRIPTOR(_UTF-16LE'{time}')"));
            format!(
                "LogicalTableFunctionScan(invocation=[{invocation}], rowType=[{}])",
                row_type(&rel.schema)
            )
        }
        RelKind::Aggregate(aggregate) => aggregate_line(aggregate, &unique(&rel.schema)),
        RelKind::Join(join) => {
            let condition = join.condition.as_ref().map_or_else(|| "true".to_owned(), text);
            format!(
                "LogicalJoin(condition=[{condition}], joinType=[{}])",
                join_type(join.kind)
            )
        }
        RelKind::Correlate { args, outer, .. } => {
            let mut columns: Vec<usize> = args.iter().flat_map(Expr::columns).collect();
            columns.sort_unstable();
            columns.dedup();
            let kind = if *outer { "left" } else { "inner" };
            format!(
                "LogicalCorrelate(correlation=[$cor0], joinType=[{kind}], requiredColumns=[{{{}}}])",
                list(columns.iter().map(usize::to_string))
            )
        }
        RelKind::Over(over) => projection(&rel.schema, over_values(over, rel).into_iter()),
        RelKind::Match(_) => {
            let row = row_type(&rel.schema);
            format!("LogicalMatch(outputFields=[{row}], allRows=[false])")
        }
        RelKind::Rank(rank) => rank_line(rank),
        RelKind::Sort {
            keys, offset, fetch, ..
        } => sort_line(keys, *offset, *fetch),
        RelKind::Union => "LogicalUnion(all=[true])".to_owned(),
    }
}

fn text(expr: &Expr) -> String {
    expression(expr, Style::Tree(&[]))
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn positions(columns: &[usize]) -> String {
    list(columns.iter().map(|column| format!("${column}")))
}

fn tuples(rows: &[Vec<Expr>]) -> String {
    list(rows.iter().map(|row| match row.as_slice() {
        // The input of a SELECT without FROM.
        [] => "{ 0 }".to_owned(),
        row => format!("{{ {} }}", list(row.iter().map(text))),
    }))
}

fn row_type(schema: &Schema) -> String {
    record(schema.columns.iter().map(|c| (c.name.as_str(), &c.ty)), false)
}

/// `TUMBLE(…, 900000:INTERVAL MINUTE)`; of HOP the slide comes before the size.
fn window_call(kind: WindowKind, operands: &str) -> String {
    let (function, lengths) = match kind {
        WindowKind::Tumble { size_ms, .. } => ("TUMBLE", vec![size_ms]),
        WindowKind::Hop {
            slide_ms, size_ms, ..
        } => ("HOP", vec![slide_ms, size_ms]),
        WindowKind::Cumulate { step_ms, size_ms, .. } => ("CUMULATE", vec![step_ms, size_ms]),
        WindowKind::Session { gap_ms } => ("SESSION", vec![gap_ms]),
    };
    let offset = Some(kind.offset_ms()).filter(|offset_ms| *offset_ms != 0);
    format!(
        "{function}({operands}, {})",
        list(lengths.into_iter().chain(offset).map(interval))
    )
}

fn aggregate_line(aggregate: &Aggregate, names: &[String]) -> String {
    let set = |positions: &[usize]| format!("{{{}}}", list(positions.iter().map(usize::to_string)));
    let mut parts = vec![format!("group=[{}]", set(&aggregate.keys))];
    if aggregate.sets.len() > 1 {
        let sets = aggregate.sets.iter().map(|members| {
            let keys: Vec<usize> = members
                .iter()
                .filter_map(|k| aggregate.keys.get(*k).copied())
                .collect();
            set(&keys)
        });
        parts.push(format!("groups=[[{}]]", list(sets)));
    }
    if let Some(window) = &aggregate.window {
        parts.push(format!(
            "window=[{}]",
            window_call(window.kind, &format!("${}", window.time))
        ));
    }
    let names = names.iter().skip(aggregate.keys.len());
    parts.extend(
        aggregate
            .calls
            .iter()
            .zip(names)
            .map(|(call, name)| format!("{name}=[{}]", call_text(call))),
    );
    format!("LogicalAggregate({})", parts.join(", "))
}

/// `COUNT(DISTINCT $1) FILTER $2`
fn call_text(call: &AggregateCall) -> String {
    let args = call.args.iter().map(|column| format!("${column}"));
    let parameters = call.parameters.iter().map(parameter);
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    let mut text = format!("{}({distinct}{})", call.function, list(args.chain(parameters)));
    if !call.order_by.is_empty() {
        let key = |(column, ascending): &(usize, bool)| {
            if *ascending {
                format!("{column}")
            } else {
                format!("{column} DESC")
            }
        };
        text.push_str(&format!(
            " WITHIN GROUP ([{}])",
            list(call.order_by.iter().map(key))
        ));
    }
    if let Some(filter) = call.filter {
        text.push_str(&format!(" FILTER ${filter}"));
    }
    text
}

/// A constant argument, with the type that its value shows.
fn parameter(value: &Scalar) -> String {
    let kind = match value {
        Scalar::String(text) => TypeKind::Char(u32::try_from(text.chars().count()).unwrap_or(u32::MAX)),
        _ => TypeKind::Null,
    };
    literal(value, &LogicalType::not_null(kind), true)
}

/// The columns of the input, then the OVER calls.
fn over_values(over: &Over, rel: &Rel) -> Vec<String> {
    let width = rel.input().map_or(0, |input| input.schema.len());
    let mut window = Vec::new();
    if !over.partition.is_empty() {
        window.push(format!("PARTITION BY {}", positions(&over.partition)));
    }
    if !over.order.is_empty() {
        window.push(format!("ORDER BY {}", list(over.order.iter().map(order_key))));
    }
    // ROW_NUMBER has no frame.
    if !over
        .calls
        .iter()
        .all(|call| RANKING.contains(&call.function.as_str()))
    {
        window.extend(frame_text(over));
    }
    let window = window.join(" ");
    let calls = over
        .calls
        .iter()
        .map(|call| format!("{} OVER ({window})", call_text(call)));
    (0..width).map(|i| format!("${i}")).chain(calls).collect()
}

/// `$2 DESC NULLS LAST`
fn order_key(key: &SortKey) -> String {
    let direction = if key.ascending { "" } else { " DESC" };
    let nulls = if key.nulls_first { "FIRST" } else { "LAST" };
    format!("${}{direction} NULLS {nulls}", key.column)
}

/// The frame, unless it is the default (all preceding rows and peers).
fn frame_text(over: &Over) -> Option<String> {
    let bound = |bound: Bound| match bound {
        Bound::UnboundedPreceding => "UNBOUNDED PRECEDING".to_owned(),
        Bound::Preceding(distance) => format!("{} PRECEDING", distance_text(distance, over.frame.rows)),
        Bound::CurrentRow => "CURRENT ROW".to_owned(),
        Bound::Following(distance) => format!("{} FOLLOWING", distance_text(distance, over.frame.rows)),
        Bound::UnboundedFollowing => "UNBOUNDED FOLLOWING".to_owned(),
    };
    let unit = if over.frame.rows { "ROWS" } else { "RANGE" };
    let (start, end) = (over.frame.start, over.frame.end);
    match (start, end) {
        (Bound::UnboundedPreceding, Bound::CurrentRow) if !over.frame.rows => None,
        (_, Bound::CurrentRow) => Some(format!("{unit} {}", bound(start))),
        _ => Some(format!("{unit} BETWEEN {} AND {}", bound(start), bound(end))),
    }
}

fn distance_text(distance: i64, rows: bool) -> String {
    if rows {
        distance.to_string()
    } else {
        interval(distance)
    }
}

fn rank_line(rank: &Rank) -> String {
    let kind = match rank.kind {
        RankKind::RowNumber => "ROW_NUMBER",
        RankKind::Rank => "RANK",
        RankKind::DenseRank => "DENSE_RANK",
    };
    let range = match rank.range {
        RankRange::Constant { from, to } => format!("rankStart={from}, rankEnd={to}"),
        RankRange::Variable { column } => format!("rankEnd=${column}"),
    };
    format!(
        "LogicalRank(rankType=[{kind}], rankRange=[{range}], partitionBy=[{}], orderBy=[{}])",
        positions(&rank.partition),
        list(rank.order.iter().map(order_key))
    )
}

fn sort_line(keys: &[SortKey], offset: u64, fetch: Option<u64>) -> String {
    let direction = |key: &SortKey| match (key.ascending, key.nulls_first) {
        (true, true) => "ASC-nulls-first",
        (true, false) => "ASC-nulls-last",
        (false, true) => "DESC-nulls-first",
        (false, false) => "DESC-nulls-last",
    };
    let columns = keys
        .iter()
        .enumerate()
        .map(|(i, key)| format!("sort{i}=[${}]", key.column));
    let directions = keys
        .iter()
        .enumerate()
        .map(|(i, key)| format!("dir{i}=[{}]", direction(key)));
    let offset = (offset > 0).then(|| format!("offset=[{offset}]"));
    let fetch = fetch.map(|rows| format!("fetch=[{rows}]"));
    format!(
        "LogicalSort({})",
        list(columns.chain(directions).chain(offset).chain(fetch))
    )
}

fn join_type(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "inner",
        JoinKind::Left => "left",
        JoinKind::Right => "right",
        JoinKind::Full => "full",
        JoinKind::Semi => "semi",
        JoinKind::Anti => "anti",
    }
}

/// The right input; `FOR SYSTEM_TIME AS OF` makes it a snapshot at a time of the left row.
fn right_side(join: &Join, left: &Rel, right: &Rel) -> Tree {
    let Some(period) = &join.as_of else {
        return tree(right);
    };
    let line = format!("LogicalSnapshot(period=[{}])", outer_text(period, left));
    Tree {
        line,
        inputs: vec![tree(right)],
    }
}

/// The function of a correlation, over the columns `$cor0` of the input.
fn function_side(function: &str, args: &[Expr], input: &Rel, output: &Schema) -> Tree {
    let made = output
        .columns
        .iter()
        .skip(input.schema.len())
        .map(|c| (c.name.as_str(), &c.ty));
    let args = list(args.iter().map(|arg| outer_text(arg, input)));
    Tree::leaf(format!(
        "LogicalTableFunctionScan(invocation=[{function}({args})], rowType=[{}])",
        record(made, false)
    ))
}

fn outer_text(expr: &Expr, outer: &Rel) -> String {
    let names: Vec<String> = outer
        .names()
        .into_iter()
        .map(|name| format!("$cor0.{name}"))
        .collect();
    expression(expr, Style::Tree(&names))
}
