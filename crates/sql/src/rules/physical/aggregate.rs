//! Aggregation: plain, by grouping sets, and by windows. A window function directly below is merged into the aggregate.

use millstream_plan::aggregate::WindowAssign;
use millstream_plan::{AggregateCall, Expr, Op, WindowKind, WindowProperty, WindowSpec};
use millstream_types::{ErrorCode, LogicalType, Scalar, Schema, TimeAttribute, TypeKind};

use super::{Phys, by_key, calc, convert as convert_rel, window_of};
use crate::bind::config::PlannerConfig;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::expr::proctime;
use crate::bind::logical::{Aggregate, Rel, RelKind, and_all, conjuncts};
use crate::bind::window::{not_a_time_attribute, window_columns};
use crate::parse::span::Span;
use crate::rules::filter::substitute;
use crate::rules::windows::WindowColumns;

pub(super) fn convert(
    aggregate: Aggregate,
    input: Rel,
    schema: Schema,
    config: &PlannerConfig,
) -> SqlResult<Phys> {
    if let Some(call) = aggregate
        .calls
        .iter()
        .find(|call| call.function == "APPROX_COUNT_DISTINCT")
        && config.streaming
    {
        let message = format!(
            "{} aggregate function is not supported in streaming mode",
            call.function
        );
        return Err(SqlError::at(aggregate.span, message)
            .with_code(ErrorCode::InvalidWindow)
            .with_hint("use COUNT(DISTINCT …)"));
    }
    if aggregate.window.is_some() {
        return legacy_window(aggregate, input, schema, config);
    }
    if let Some(columns) = window_of(&input, config) {
        let has = |wanted: &[usize]| aggregate.keys.iter().any(|key| wanted.contains(key));
        let in_all_sets = |wanted: &[usize]| {
            aggregate
                .sets
                .iter()
                .all(|set| set.iter().any(|k| wanted.contains(&aggregate.keys[*k])))
        };
        if has(&columns.starts)
            && has(&columns.ends)
            && in_all_sets(&columns.starts)
            && in_all_sets(&columns.ends)
            && groups_whole_sessions(&aggregate, &input, &columns)
        {
            return window_aggregate(aggregate, input, schema, &columns, config);
        }
    }
    if config.mini_batch_size.is_some_and(|size| size <= 0) {
        let message = "Key: 'table.exec.mini-batch.size' , default: -1 (fallback keys: []) must be > 0";
        return Err(SqlError::new(message)
            .with_code(ErrorCode::InvalidSetting)
            .with_hint("SET 'table.exec.mini-batch.size' = '5000'"));
    }
    let input = convert_rel(input, config)?;
    let grouped = grouping_input(input, &aggregate);
    Ok(plain_aggregate(grouped, &aggregate, &schema, config))
}

/// The input of an aggregate, expanded if there are several grouping sets.
struct Grouped {
    input: Phys,
    keys: Vec<usize>,
    calls: Vec<AggregateCall>,
    /// The column with the set's number.
    set: Option<usize>,
}

fn grouping_input(input: Phys, aggregate: &Aggregate) -> Grouped {
    if !aggregate.set_id {
        return Grouped {
            input,
            keys: aggregate.keys.clone(),
            calls: aggregate.calls.clone(),
            set: None,
        };
    }
    // Copies of the keys (NULL outside the set), then the input unchanged: calls may aggregate a key column.
    let keys = aggregate.keys.len();
    let id = LogicalType::not_null(TypeKind::BigInt);
    let projects = aggregate
        .sets
        .iter()
        .enumerate()
        .map(|(number, set)| {
            let copies = aggregate.keys.iter().enumerate().map(|(k, column)| {
                let ty = input.ty(*column).without_time_attribute();
                if set.contains(&k) {
                    Expr::column(*column, ty)
                } else {
                    Expr::literal(Scalar::Null, ty.with_nullable(true))
                }
            });
            let own = input
                .schema
                .columns
                .iter()
                .enumerate()
                .map(|(i, c)| Expr::column(i, c.ty.clone()));
            let number = Expr::literal(Scalar::BigInt(number as i64), id.clone());
            copies.chain(own).chain([number]).collect()
        })
        .collect();
    let copies = aggregate.keys.iter().map(|column| {
        let ty = input.ty(*column).without_time_attribute().with_nullable(true);
        (input.schema.columns[*column].name.clone(), ty)
    });
    let own = input
        .schema
        .columns
        .iter()
        .map(|c| (c.name.clone(), c.ty.clone()));
    let schema = Schema::new(
        copies
            .chain(own)
            .chain([("$e".to_owned(), id)])
            .collect::<Vec<_>>(),
    );
    let set = schema.len() - 1;
    let calls = aggregate.calls.iter().map(|call| shifted(call, keys)).collect();
    let input = Phys::new(Op::Expand { projects }, vec![input], schema);
    Grouped {
        input,
        keys: (0..keys).chain([set]).collect(),
        calls,
        set: Some(set),
    }
}

fn shifted(call: &AggregateCall, by: usize) -> AggregateCall {
    remapped(call, &|i| i + by)
}

fn remapped(call: &AggregateCall, map: &impl Fn(usize) -> usize) -> AggregateCall {
    AggregateCall {
        args: call.args.iter().map(|i| map(*i)).collect(),
        filter: call.filter.map(map),
        order_by: call.order_by.iter().map(|(i, up)| (map(*i), *up)).collect(),
        ..call.clone()
    }
}

fn plain_aggregate(grouped: Grouped, aggregate: &Aggregate, schema: &Schema, config: &PlannerConfig) -> Phys {
    let Grouped {
        input,
        keys,
        calls,
        set,
    } = grouped;
    let key_columns = keys
        .iter()
        .map(|k| (input.schema.columns[*k].name.clone(), input.ty(*k).clone()));
    let call_columns = calls
        .iter()
        .map(|call| (call.name.clone(), call.result.without_time_attribute()));
    let mut out = Schema::new(key_columns.chain(call_columns).collect::<Vec<_>>());
    // Grouping by event time keeps the column, but rows are emitted in no particular order.
    if config.streaming {
        out.columns
            .iter_mut()
            .take(keys.len())
            .for_each(|c| c.ty = c.ty.without_time_attribute());
    }
    let exchanged = by_key(input, &keys);
    let calls_count = calls.len();
    let op = Op::GroupAggregate {
        keys,
        aggregates: calls,
        update_before: false,
        retract_input: false,
        bounded: !config.streaming,
        ttl_ms: aggregate.ttl_ms.unwrap_or(config.state_ttl_ms),
    };
    let grouped = Phys::new(op, vec![exchanged], out);
    let key_count = aggregate.keys.len();
    let order: Vec<usize> = match set {
        None => (0..key_count + calls_count).collect(),
        // Keys, the set's number, calls → keys, calls, the set's number.
        Some(_) => (0..key_count)
            .chain(key_count + 1..key_count + 1 + calls_count)
            .chain([key_count])
            .collect(),
    };
    reordered(grouped, &order, schema)
}

/// The columns at `order`, with logical types (a key outside its set is NULL).
fn reordered(input: Phys, order: &[usize], names: &Schema) -> Phys {
    let exprs = order
        .iter()
        .map(|&i| Expr::column(i, input.ty(i).clone()))
        .collect();
    calc(input, exprs, None, names)
}

/// Validates the window of a time column.
pub(super) fn window_spec(
    input: &Phys,
    time: usize,
    kind: WindowKind,
    span: Span,
    config: &PlannerConfig,
) -> SqlResult<WindowSpec> {
    let ty = input.ty(time);
    if config.streaming && ty.time_attribute() == TimeAttribute::None {
        let function = match kind {
            WindowKind::Tumble { .. } => "TUMBLE",
            WindowKind::Hop { .. } => "HOP",
            WindowKind::Cumulate { .. } => "CUMULATE",
            WindowKind::Session { .. } => "SESSION",
        };
        return Err(SqlError::at(span, not_a_time_attribute(function, ty))
            .with_code(ErrorCode::InvalidWindow)
            .with_hint("a computed column is plain data; pass the column with the WATERMARK on as it is"));
    }
    refuse_batch_session(kind, span, config)?;
    Ok(spec_of(ty, WindowAssign::TimeColumn(time), kind))
}

/// Whether windows consist of whole slices of their slide. If not, rows get their windows one by one.
fn is_sliced(kind: WindowKind) -> bool {
    match kind {
        WindowKind::Hop {
            slide_ms, size_ms, ..
        } => size_ms % slide_ms == 0,
        _ => true,
    }
}

/// Refuses what a window aggregate of a streaming query cannot do.
fn check_window(kind: WindowKind, span: Span, config: &PlannerConfig) -> SqlResult<()> {
    let WindowKind::Hop {
        slide_ms, size_ms, ..
    } = kind
    else {
        return Ok(());
    };
    if !config.streaming || is_sliced(kind) {
        return Ok(());
    }
    let message = format!(
        "HOP table function based aggregate requires size must be an integral multiple of slide, but got size \
         {size_ms} ms and slide {slide_ms} ms"
    );
    Err(SqlError::at(span, message).with_code(ErrorCode::InvalidWindow))
}

fn refuse_batch_session(kind: WindowKind, span: Span, config: &PlannerConfig) -> SqlResult<()> {
    if !config.streaming && matches!(kind, WindowKind::Session { .. }) {
        return Err(
            SqlError::at(span, "SESSION windows are not supported in batch mode")
                .with_code(ErrorCode::InvalidWindow),
        );
    }
    Ok(())
}

fn spec_of(time: &LogicalType, assign: WindowAssign, kind: WindowKind) -> WindowSpec {
    WindowSpec {
        kind,
        assign,
        event_time: time.time_attribute() != TimeAttribute::Proctime,
        local_time: matches!(time.kind, TypeKind::TimestampLtz { .. }),
    }
}

/// The input of a window aggregate, whether the window function was merged or its columns are attached.
struct Windowed {
    input: Phys,
    window: WindowSpec,
    /// Type of the time column, for `window_time`.
    time: LogicalType,
    /// The current positions of the logical input's columns; window columns disappear if the function was merged.
    place: Vec<Option<usize>>,
}

/// Whether the groups of an aggregate over SESSION are those whose rows make the sessions: its keys are the partition of the
/// window function. Rows of other groups share sessions, so that these must be known before the rows are grouped.
fn groups_whole_sessions(aggregate: &Aggregate, input: &Rel, columns: &WindowColumns) -> bool {
    if !matches!(columns.kind, WindowKind::Session { .. }) {
        return true;
    }
    let keys = aggregate.keys.iter().filter(|key| !columns.contains(**key));
    let exprs = input.column_exprs();
    let mut keys: Vec<Expr> = keys.filter_map(|key| exprs.get(*key).cloned()).collect();
    let mut rel = input;
    loop {
        match &rel.kind {
            RelKind::Project { exprs: below } => {
                keys = keys.into_iter().map(|key| substitute(key, below)).collect();
            }
            RelKind::Filter { .. } => {}
            RelKind::Window { partition, .. } => {
                let is_partition =
                    |key: &Expr| matches!(key, Expr::Column { index, .. } if partition.contains(index));
                let is_key = |wanted: &usize| {
                    keys.iter()
                        .any(|key| matches!(key, Expr::Column { index, .. } if index == wanted))
                };
                return aggregate.sets.len() == 1
                    && keys.iter().all(is_partition)
                    && partition.iter().all(is_key);
            }
            _ => return true,
        }
        let Some(next) = rel.input() else { return true };
        rel = next;
    }
}

fn window_aggregate(
    aggregate: Aggregate,
    input: Rel,
    schema: Schema,
    columns: &WindowColumns,
    config: &PlannerConfig,
) -> SqlResult<Phys> {
    check_window(columns.kind, aggregate.span, config)?;
    let windowed = match fused(&aggregate, &input, columns, config)? {
        Some(fused) => fused,
        None => attached(input, columns, config)?,
    };
    let is_window = |key: usize| columns.contains(key);
    let plain_keys: Vec<usize> = (0..aggregate.keys.len())
        .filter(|k| !is_window(aggregate.keys[*k]))
        .collect();
    let place = |column: usize| windowed.place.get(column).copied().flatten().unwrap_or(0);
    // The aggregate over the new input, without its window keys.
    let reduced = Aggregate {
        keys: plain_keys.iter().map(|k| place(aggregate.keys[*k])).collect(),
        sets: aggregate
            .sets
            .iter()
            .map(|set| {
                set.iter()
                    .filter_map(|k| plain_keys.iter().position(|p| p == k))
                    .collect()
            })
            .collect(),
        calls: aggregate
            .calls
            .iter()
            .map(|call| remapped(call, &place))
            .collect(),
        ..aggregate.clone()
    };
    let width = reduced.keys.len();
    let grouped = grouping_input(windowed.input, &reduced);
    let shift = if reduced.set_id { width } else { 0 };
    let window = shifted_window(windowed.window, shift);
    let properties = vec![WindowProperty::Start, WindowProperty::End, WindowProperty::Time];
    let aggregated = windowed_op(grouped, window, properties, &windowed.time, config);
    let calls = width + usize::from(reduced.set_id);
    let first_property = calls + reduced.calls.len();
    let key_place = |(k, column): (usize, &usize)| match plain_keys.iter().position(|p| *p == k) {
        Some(place) => place,
        None if columns.starts.contains(column) => first_property,
        None if columns.ends.contains(column) => first_property + 1,
        None => first_property + 2,
    };
    let mut order: Vec<usize> = aggregate.keys.iter().enumerate().map(key_place).collect();
    order.extend(calls..first_property);
    if aggregate.set_id {
        order.push(width);
    }
    Ok(reordered(aggregated, &order, &schema))
}

/// The window over an input with `shift` columns prepended.
fn shifted_window(window: WindowSpec, shift: usize) -> WindowSpec {
    let assign = match window.assign {
        WindowAssign::TimeColumn(time) => WindowAssign::TimeColumn(time + shift),
        WindowAssign::Attached { start, end } => {
            let start = start.map(|s| s + shift);
            WindowAssign::Attached {
                start,
                end: end + shift,
            }
        }
    };
    WindowSpec { assign, ..window }
}

fn windowed_op(
    grouped: Grouped,
    window: WindowSpec,
    properties: Vec<WindowProperty>,
    time: &LogicalType,
    config: &PlannerConfig,
) -> Phys {
    let Grouped {
        input, keys, calls, ..
    } = grouped;
    let [start, end, window_time] = window_columns(time);
    let property_columns = properties.iter().map(|property| match property {
        WindowProperty::Start => start.clone(),
        WindowProperty::End => end.clone(),
        WindowProperty::Time => window_time.clone(),
    });
    let key_columns = keys.iter().map(|k| {
        (
            input.schema.columns[*k].name.clone(),
            input.ty(*k).without_time_attribute(),
        )
    });
    let call_columns = calls
        .iter()
        .map(|call| (call.name.clone(), call.result.without_time_attribute()));
    let out = Schema::new(
        key_columns
            .chain(call_columns)
            .chain(property_columns)
            .collect::<Vec<_>>(),
    );
    let exchanged = by_key(input, &keys);
    let op = Op::WindowAggregate {
        window,
        keys,
        aggregates: calls,
        properties,
        retract_input: false,
        bounded: !config.streaming,
    };
    Phys::new(op, vec![exchanged], out)
}

/// Merges the window function below projections and filters into the aggregate, if no expression uses its columns.
fn fused(
    aggregate: &Aggregate,
    input: &Rel,
    columns: &WindowColumns,
    config: &PlannerConfig,
) -> SqlResult<Option<Windowed>> {
    // The nodes in between, from the aggregate down, as expressions over the window function's output.
    let mut exprs: Vec<Expr> = input.column_exprs();
    let mut conditions: Vec<Expr> = Vec::new();
    let mut rel = input;
    loop {
        match &rel.kind {
            RelKind::Project { exprs: below } => {
                exprs = exprs.into_iter().map(|e| substitute(e, below)).collect();
                conditions = conditions.into_iter().map(|c| substitute(c, below)).collect();
            }
            RelKind::Filter { condition } => conditions.extend(conjuncts(condition.clone())),
            _ => break,
        }
        let Some(next) = rel.input() else { return Ok(None) };
        rel = next;
    }
    let RelKind::Window { time, kind, span, .. } = &rel.kind else {
        return Ok(None);
    };
    if !is_sliced(*kind) {
        return Ok(None);
    }
    let Some(below) = rel.input() else { return Ok(None) };
    let width = below.schema.len();
    let reads_window = |e: &Expr| e.columns().iter().any(|i| *i >= width);
    let used: Vec<usize> = used_columns(aggregate);
    let computes = used
        .iter()
        .any(|c| !columns.contains(*c) && reads_window(&exprs[*c]));
    let misuses = aggregate
        .calls
        .iter()
        .flat_map(|call| call.args.iter().chain(call.filter.iter()));
    if computes || conditions.iter().any(reads_window) || misuses.into_iter().any(|c| columns.contains(*c)) {
        return Ok(None);
    }
    let source = convert_rel(below.clone(), config)?;
    let time_type = source.ty(*time).clone();
    let spec = window_spec(&source, *time, *kind, *span, config)?;
    let mut projections = Vec::new();
    let mut names = Vec::new();
    let mut place = vec![None; exprs.len()];
    for column in used.into_iter().filter(|c| !columns.contains(*c)) {
        place[column] = Some(projections.len());
        names.push((input.schema.columns[column].name.clone(), exprs[column].ty()));
        projections.push(exprs[column].clone());
    }
    names.push((source.schema.columns[*time].name.clone(), time_type.clone()));
    projections.push(Expr::column(*time, time_type.clone()));
    let time_place = projections.len() - 1;
    let input = calc(source, projections, and_all(conditions), &Schema::new(names));
    let window = WindowSpec {
        assign: WindowAssign::TimeColumn(time_place),
        ..spec
    };
    Ok(Some(Windowed {
        input,
        window,
        time: time_type,
        place,
    }))
}

fn used_columns(aggregate: &Aggregate) -> Vec<usize> {
    let calls = aggregate.calls.iter();
    let of_calls = calls.flat_map(|c| {
        c.args
            .iter()
            .copied()
            .chain(c.filter)
            .chain(c.order_by.iter().map(|(i, _)| *i))
    });
    let mut used: Vec<usize> = aggregate.keys.iter().copied().chain(of_calls).collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// The rows already carry window columns: a cascade, a join, or expressions over the bounds.
fn attached(input: Rel, columns: &WindowColumns, config: &PlannerConfig) -> SqlResult<Windowed> {
    let width = input.schema.len();
    let time = columns.times.first().map(|t| input.schema.columns[*t].ty.clone());
    let input = convert_rel(input, config)?;
    let end = *columns
        .ends
        .first()
        .ok_or_else(|| SqlError::internal("a window without its end"))?;
    let attribute = if columns.event_time {
        TimeAttribute::Rowtime
    } else {
        TimeAttribute::Proctime
    };
    let time = time.unwrap_or_else(|| {
        if columns.local_time {
            LogicalType::not_null(TypeKind::TimestampLtz {
                precision: 3,
                attribute,
            })
        } else {
            LogicalType::not_null(TypeKind::Timestamp {
                precision: 3,
                attribute,
            })
        }
    });
    let window = WindowSpec {
        kind: columns.kind,
        assign: WindowAssign::Attached {
            start: columns.starts.first().copied(),
            end,
        },
        event_time: columns.event_time,
        local_time: columns.local_time,
    };
    Ok(Windowed {
        input,
        window,
        time,
        place: (0..width).map(Some).collect(),
    })
}

/// `GROUP BY TUMBLE(ts, …)`: the properties follow the calls.
fn legacy_window(
    aggregate: Aggregate,
    input: Rel,
    schema: Schema,
    config: &PlannerConfig,
) -> SqlResult<Phys> {
    let Some(group) = aggregate.window.clone() else {
        return Err(SqlError::internal("no group window"));
    };
    refuse_batch_session(group.kind, group.span, config)?;
    // The binder has checked the column; legacy syntax accepts an attribute shifted by an interval.
    let time = input.schema.columns[group.time].ty.clone();
    let input = convert_rel(input, config)?;
    let window = spec_of(&time, WindowAssign::TimeColumn(group.time), group.kind);
    if aggregate.set_id {
        return Err(SqlError::unsupported(
            group.span,
            "grouping sets with a group window; use a window table function",
        ));
    }
    let grouped = grouping_input(input, &aggregate);
    let (keys, calls) = (grouped.keys.len(), grouped.calls.len());
    let properties = vec![WindowProperty::Start, WindowProperty::End, WindowProperty::Time];
    let aggregated = windowed_op(grouped, window, properties, &time, config);
    let mut exprs: Vec<Expr> = (0..keys + calls + 3)
        .map(|i| Expr::column(i, aggregated.ty(i).clone()))
        .collect();
    exprs.push(proctime());
    Ok(calc(aggregated, exprs, None, &schema))
}
