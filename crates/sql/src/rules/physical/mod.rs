//! Logical nodes → physical operators.
//!
//! The types of a [`Phys`] node are stricter than those of the logical plan: a time attribute survives only where the
//! engine still has event time for the column (it is passed on, not computed). What needs event time is checked here.

mod aggregate;
mod calc;
mod join;
mod join_keys;
mod order;

use millstream_plan::{ChangelogTraits, Distribution, Expr, Op, ScanWatermark, WindowKind, WindowSpec};
use millstream_types::{
    ChangelogMode, ErrorCode, LogicalType, Scalar, Schema, SourceWatermarks, TimeAttribute,
};

pub use calc::{calc, identity};

use crate::bind::coerce;
use crate::bind::config::PlannerConfig;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::logical::{Rel, RelKind, Scan};
use crate::rules::windows;

/// An operator with its inputs, before the plan's graph is assembled.
#[derive(Clone, Debug, PartialEq)]
pub struct Phys {
    pub op: Op,
    pub inputs: Vec<Phys>,
    pub schema: Schema,
    pub traits: ChangelogTraits,
    /// Kinds of rows that a scan's connector produces; empty for other operators.
    pub source: ChangelogMode,
}

impl Phys {
    pub fn new(op: Op, inputs: Vec<Phys>, schema: Schema) -> Self {
        Self {
            op,
            inputs,
            schema,
            traits: ChangelogTraits::default(),
            source: ChangelogMode::default(),
        }
    }

    /// An operator with one input and the same columns.
    pub fn on(op: Op, input: Phys) -> Self {
        let schema = input.schema.clone();
        Self::new(op, vec![input], schema)
    }

    pub fn ty(&self, column: usize) -> &LogicalType {
        &self.schema.columns[column].ty
    }
}

/// Rows to the client.
pub fn collect(input: Phys) -> Phys {
    Phys::on(Op::Collect, exchanged(input, Distribution::Single))
}

/// The operator tree of a logical plan.
pub fn convert(rel: Rel, config: &PlannerConfig) -> SqlResult<Phys> {
    let Rel {
        kind,
        mut inputs,
        schema,
    } = rel;
    match kind {
        RelKind::Scan(scan) => convert_scan(*scan, schema, None, config),
        RelKind::Values { rows } => Ok(convert_values(rows, schema)),
        RelKind::Project { exprs } => {
            let input = convert(one(inputs)?, config)?;
            Ok(calc(input, exprs, None, &schema))
        }
        RelKind::Filter { condition } => {
            let input = convert(one(inputs)?, config)?;
            Ok(calc::filter(input, condition))
        }
        RelKind::Watermark {
            rowtime,
            expr,
            idle_timeout_ms,
        } => convert_watermark(one(inputs)?, schema, rowtime, expr, idle_timeout_ms, config),
        RelKind::Window {
            time,
            kind,
            partition,
            span,
        } => {
            let input = convert(one(inputs)?, config)?;
            let window = aggregate::window_spec(&input, time, kind, span, config)?;
            let is_session = matches!(kind, WindowKind::Session { .. });
            let input = if is_session {
                by_key(input, &partition)
            } else {
                input
            };
            Ok(window_function(input, window, partition, time))
        }
        RelKind::Aggregate(a) => aggregate::convert(*a, one(inputs)?, schema, config),
        RelKind::Join(join) => {
            let right = inputs
                .pop()
                .ok_or_else(|| SqlError::internal("a join without inputs"))?;
            join::convert(*join, one(inputs)?, right, schema, config)
        }
        RelKind::Correlate {
            function,
            args,
            outer,
            condition,
        } => {
            let input = convert(one(inputs)?, config)?;
            Ok(correlate(input, (function, args, outer, condition), schema))
        }
        RelKind::Match(matching) => order::convert_match(*matching, one(inputs)?, &schema, config),
        RelKind::Over(over) => order::convert_over(*over, one(inputs)?, schema, config),
        RelKind::Rank(rank) => order::convert_rank(*rank, one(inputs)?, schema, config),
        kind @ RelKind::Sort { .. } => order::convert_sort(kind, one(inputs)?, config),
        RelKind::Union => {
            let inputs = inputs
                .into_iter()
                .map(|input| convert(input, config))
                .collect::<SqlResult<Vec<_>>>()?;
            Ok(union_all(inputs, schema))
        }
    }
}

/// Rows with their windows, for consumers other than window aggregates.
fn window_function(input: Phys, window: WindowSpec, partition: Vec<usize>, time: usize) -> Phys {
    let mut schema = input.schema.clone();
    // From here on the time column is plain data; the window's time replaces it.
    let ty = input.ty(time).clone();
    schema.columns[time].ty = ty.without_time_attribute();
    let columns = crate::bind::window::window_columns(&ty);
    schema.columns.extend(Schema::new(columns).columns);
    Phys::new(Op::WindowTableFunction { window, partition }, vec![input], schema)
}

type Correlation = (String, Vec<Expr>, bool, Option<Expr>);

/// A table function for each row; the types of its columns are the logical ones.
fn correlate(input: Phys, (function, args, outer, condition): Correlation, logical: Schema) -> Phys {
    let added = &logical.columns[input.schema.len()..];
    let output: Vec<LogicalType> = added.iter().map(|c| c.ty.clone()).collect();
    let columns = input.schema.columns.iter().chain(added).cloned().collect();
    let op = Op::Correlate {
        function,
        args,
        outer,
        condition,
        output,
    };
    Phys::new(op, vec![input], Schema { columns })
}

fn one(mut inputs: Vec<Rel>) -> SqlResult<Rel> {
    inputs
        .pop()
        .ok_or_else(|| SqlError::internal("a node without its input"))
}

/// All inputs concatenated; nested unions are flattened.
fn union_all(inputs: Vec<Phys>, schema: Schema) -> Phys {
    let mut flat = Vec::new();
    for input in inputs {
        match input.op {
            Op::UnionAll => flat.extend(input.inputs),
            _ => flat.push(input),
        }
    }
    let mut schema = schema;
    for (i, column) in schema.columns.iter_mut().enumerate() {
        let attribute = flat
            .first()
            .map_or(TimeAttribute::None, |f| f.ty(i).time_attribute());
        let all_alike = flat.iter().all(|input| input.ty(i).time_attribute() == attribute);
        let attribute = if all_alike { attribute } else { TimeAttribute::None };
        column.ty = column.ty.with_time_attribute(attribute);
    }
    Phys::new(Op::UnionAll, flat, schema)
}

/// Adds an exchange, unless the rows are already distributed that way.
pub fn exchanged(input: Phys, distribution: Distribution) -> Phys {
    if let Op::Exchange { distribution: known } = &input.op
        && *known == distribution
    {
        return input;
    }
    Phys::on(Op::Exchange { distribution }, input)
}

/// By key, or to one instance if there is no key.
pub fn by_key(input: Phys, keys: &[usize]) -> Phys {
    let distribution = if keys.is_empty() {
        Distribution::Single
    } else {
        Distribution::Hash(keys.to_vec())
    };
    exchanged(input, distribution)
}

/// The source, followed by the operators that turn upserts and duplicate changes into a regular changelog.
fn convert_scan(
    scan: Scan,
    schema: Schema,
    watermark: Option<ScanWatermark>,
    config: &PlannerConfig,
) -> SqlResult<Phys> {
    if let Some(reason) = scan.unreadable {
        return Err(SqlError::new(reason).with_code(ErrorCode::WrongDirection));
    }
    let is_upsert = scan.changelog.update_after && !scan.changelog.update_before;
    let may_repeat = !scan.changelog.is_insert_only() && config.cdc_events_duplicate;
    let place = |key: &usize| scan.columns.iter().position(|column| column == key);
    let keys: Option<Vec<usize>> = scan.table.primary_key.iter().map(place).collect();
    let keys = keys.filter(|keys| !keys.is_empty());
    let identifier = scan.table.identifier.to_string();
    let op = Op::Scan {
        table: scan.table,
        columns: scan.columns,
        metadata: scan.metadata,
        watermark,
        limit: scan.limit,
        filters: scan.filters,
    };
    let scanned = Phys {
        source: scan.changelog,
        ..Phys::new(op, Vec::new(), schema)
    };
    if !is_upsert && !may_repeat {
        return Ok(scanned);
    }
    let Some(keys) = keys else {
        let cause = if is_upsert {
            "produces a changelog stream that contains UPDATE_AFTER but no UPDATE_BEFORE"
        } else {
            "may produce duplicate changes, as 'table.exec.source.cdc-events-duplicate' says"
        };
        let message = format!(
            "Table '{identifier}' {cause}. This requires defining a primary key constraint on the table"
        );
        return Err(SqlError::new(message).with_hint("declare PRIMARY KEY (…) NOT ENFORCED"));
    };
    let op = Op::ChangelogNormalize {
        keys: keys.clone(),
        update_before: false,
        condition: None,
        ttl_ms: config.state_ttl_ms,
    };
    Ok(Phys::on(op, by_key(scanned, &keys)))
}

/// Constant rows; rows that could not be folded to constants become projections of one empty row.
fn convert_values(rows: Vec<Vec<Expr>>, schema: Schema) -> Phys {
    let literal = |row: &Vec<Expr>| -> Option<Vec<Scalar>> {
        row.iter()
            .map(|value| coerce::literal_of(value).cloned())
            .collect()
    };
    let constants: Option<Vec<Vec<Scalar>>> = rows.iter().map(literal).collect();
    if let Some(rows) = constants {
        return Phys::new(Op::Values { rows }, Vec::new(), schema);
    }
    let one_row = || {
        Phys::new(
            Op::Values {
                rows: vec![Vec::new()],
            },
            Vec::new(),
            Schema::default(),
        )
    };
    let mut inputs: Vec<Phys> = rows
        .into_iter()
        .map(|row| calc(one_row(), row, None, &schema))
        .collect();
    match inputs.len() {
        1 => inputs.remove(0),
        _ => union_all(inputs, schema),
    }
}

/// A source that generates watermarks per split gets the watermark; otherwise an operator after the source generates
/// it.
fn convert_watermark(
    input: Rel,
    schema: Schema,
    rowtime: usize,
    expr: Expr,
    idle_timeout_ms: i64,
    config: &PlannerConfig,
) -> SqlResult<Phys> {
    if is_source_watermark(&expr) {
        return forward_watermark(input, rowtime, &schema, config);
    }
    let interval_ms = config.watermark_interval_ms;
    if let RelKind::Project { exprs } = &input.kind
        && let Some(RelKind::Scan(scan)) = input.input().map(|below| &below.kind)
        && scan.abilities.watermarks == SourceWatermarks::PerSplit
    {
        let expr = crate::rules::filter::substitute(expr, exprs);
        let watermark = ScanWatermark {
            expr,
            idle_timeout_ms,
            interval_ms,
        };
        let scan_schema = input
            .input()
            .map(|below| below.schema.clone())
            .unwrap_or_default();
        let scanned = convert_scan((**scan).clone(), scan_schema, Some(watermark), config)?;
        let mut projected = calc(scanned, exprs.clone(), None, &schema);
        set_rowtime(&mut projected.schema, rowtime, &schema);
        return Ok(projected);
    }
    let mut input = convert(input, config)?;
    input.schema.columns[rowtime].ty = input.ty(rowtime).without_time_attribute();
    let mut out = input.schema.clone();
    set_rowtime(&mut out, rowtime, &schema);
    Ok(Phys::new(
        Op::WatermarkAssigner {
            rowtime,
            expr,
            interval_ms,
        },
        vec![input],
        out,
    ))
}

fn set_rowtime(schema: &mut Schema, rowtime: usize, declared: &Schema) {
    schema.columns[rowtime].ty = declared.columns[rowtime]
        .ty
        .with_time_attribute(TimeAttribute::Rowtime);
}

fn is_source_watermark(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit(&mut |e| found |= matches!(e, Expr::Call { function, .. } if function == "SOURCE_WATERMARK"));
    found
}

/// `SOURCE_WATERMARK()`: the watermarks that come with the rows. Only streams of programs bring their own.
fn forward_watermark(input: Rel, rowtime: usize, schema: &Schema, config: &PlannerConfig) -> SqlResult<Phys> {
    let brings_watermarks = input.input().is_some_and(|below| match &below.kind {
        RelKind::Scan(scan) => scan.abilities.watermarks == SourceWatermarks::WithRows,
        _ => false,
    });
    if !brings_watermarks {
        let message = "SOURCE_WATERMARK(): the connector does not make watermarks of its own";
        return Err(SqlError::new(message)
            .with_code(ErrorCode::InvalidWatermark)
            .with_hint("write an expression, for example ts - INTERVAL '5' SECOND"));
    }
    let mut input = convert(input, config)?;
    set_rowtime(&mut input.schema, rowtime, schema);
    Ok(input)
}

/// The window of a relation, if the physical columns still carry it.
pub(super) fn window_of(rel: &Rel, config: &PlannerConfig) -> Option<windows::WindowColumns> {
    windows::window_columns(rel, config)
}
