//! Order-dependent nodes: OVER windows, Top-N, deduplication, sorting, limits.

use millstream_plan::{Distribution, Expr, Op, RankKind, RankRange};
use millstream_types::{ErrorCode, LogicalType, Schema, TimeAttribute, TypeKind};

use super::{Phys, by_key, calc, convert as convert_rel, exchanged, window_of};
use crate::bind::config::PlannerConfig;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::logical::{Bound, Match, Over, Rank, Rel, RelKind};
use crate::rules::filter::{RANK_END_NONE, constant_rank};

/// OVER functions that require a bounded input.
const BATCH_ONLY_FUNCTIONS: [&str; 4] = ["LEAD", "NTILE", "PERCENT_RANK", "CUME_DIST"];

pub(super) fn convert_over(over: Over, input: Rel, names: Schema, config: &PlannerConfig) -> SqlResult<Phys> {
    let input = convert_rel(input, config)?;
    let event_time = if config.streaming {
        streaming_order(&over, &input)?
    } else {
        batch_order(&over, &input)?
    };
    let (preceding, following) = frame(&over)?;
    let call_columns = over
        .calls
        .iter()
        .map(|call| (call.name.clone(), call.result.without_time_attribute()));
    let own = input
        .schema
        .columns
        .iter()
        .map(|c| (c.name.clone(), c.ty.clone()));
    let schema = Schema::new(own.chain(call_columns).collect::<Vec<_>>());
    let exchanged = by_key(input, &over.partition);
    let op = Op::Over {
        partition: over.partition,
        order: over.order,
        rows: over.frame.rows,
        preceding,
        following,
        event_time,
        calls: over.calls,
        bounded: !config.streaming,
    };
    let schema = Schema {
        columns: schema
            .columns
            .into_iter()
            .zip(&names.columns)
            .map(|(column, name)| millstream_types::Column {
                name: name.name.clone(),
                ty: column.ty,
            })
            .collect(),
    };
    Ok(Phys::new(op, vec![exchanged], schema))
}

/// The frame as distances before and after the current row.
fn frame(over: &Over) -> SqlResult<(Option<i64>, Option<i64>)> {
    let before = |bound: Bound| match bound {
        Bound::Preceding(distance) => Some(distance),
        Bound::CurrentRow => Some(0),
        Bound::Following(distance) => Some(distance.saturating_neg()),
        Bound::UnboundedPreceding | Bound::UnboundedFollowing => None,
    };
    if over.frame.start == Bound::UnboundedFollowing || over.frame.end == Bound::UnboundedPreceding {
        return Err(
            SqlError::at(over.span, "the frame of an OVER window ends before it begins")
                .with_code(ErrorCode::InvalidOver),
        );
    }
    // Without ORDER BY, all rows are peers.
    if over.order.is_empty() && !over.frame.rows && over.frame.end == Bound::UnboundedFollowing {
        return Ok((before(over.frame.start), Some(0)));
    }
    Ok((
        before(over.frame.start),
        before(over.frame.end).map(i64::saturating_neg),
    ))
}

/// Flink's rules for streaming: one ascending column; event time, processing time, or (unbounded only) any column.
fn streaming_order(over: &Over, input: &Phys) -> SqlResult<Option<bool>> {
    let refuse = |message: String| Err(SqlError::at(over.span, message).with_code(ErrorCode::InvalidOver));
    for call in &over.calls {
        if BATCH_ONLY_FUNCTIONS.contains(&call.function.as_str()) {
            return refuse(format!(
                "Over aggregate function {} is not supported in streaming mode",
                call.function
            ));
        }
    }
    // Flink calls every frame RANGE here, and its words are what people search for.
    let following = || {
        let frame = if over.frame.rows { "ROWS" } else { "RANGE" };
        refuse("OVER RANGE FOLLOWING windows are not supported yet".to_owned())
            .map_err(|error: SqlError| error.with_hint(format!("let the {frame} frame end at CURRENT ROW")))
    };
    if matches!(over.frame.end, Bound::Following(_)) {
        return following();
    }
    let [key] = over.order.as_slice() else {
        return refuse("The window can only be ordered by a single time column".to_owned());
    };
    if !key.ascending {
        return refuse("The window can only be ordered in ASCENDING mode".to_owned());
    }
    if over.frame.end != Bound::CurrentRow {
        return following();
    }
    let attribute = input.ty(key.column).time_attribute();
    let is_bounded_frame = over.frame.start != Bound::UnboundedPreceding;
    match attribute {
        TimeAttribute::Rowtime => Ok(Some(true)),
        TimeAttribute::Proctime => Ok(Some(false)),
        TimeAttribute::None if is_bounded_frame => {
            refuse("Non-time attribute sort is not supported for a bounded OVER window".to_owned())
        }
        TimeAttribute::None => Ok(None),
    }
}

fn batch_order(over: &Over, input: &Phys) -> SqlResult<Option<bool>> {
    if let Some(call) = over.calls.iter().find(|call| call.distinct) {
        return Err(SqlError::at(
            over.span,
            format!("Distinct not supported in windowing clause: {}", call.function),
        )
        .with_code(ErrorCode::InvalidOver));
    }
    let is_time = over
        .order
        .first()
        .is_some_and(|key| input.ty(key.column).is_timestamp_like());
    Ok(is_time.then_some(true))
}

pub(super) fn convert_match(
    matching: Match,
    input: Rel,
    schema: &Schema,
    config: &PlannerConfig,
) -> SqlResult<Phys> {
    let input = by_key(convert_rel(input, config)?, &matching.spec.partition);
    let op = Op::Match {
        spec: Box::new(matching.spec),
        event_time: matching.event_time,
    };
    Ok(Phys::new(op, vec![input], schema.clone()))
}

pub(super) fn convert_rank(rank: Rank, input: Rel, names: Schema, config: &PlannerConfig) -> SqlResult<Phys> {
    check_streaming_rank(&rank, config)?;
    let window = window_of(&input, config).filter(|window| {
        let has = |columns: &[usize]| columns.iter().any(|c| rank.partition.contains(c));
        config.streaming && has(&window.starts) && has(&window.ends)
    });
    let window_end = window.and_then(|window| window.ends.first().copied());
    let input = convert_rel(input, config)?;
    let is_row_number = rank.kind == RankKind::RowNumber;
    let known_rank = constant_rank(rank.range).filter(|_| is_row_number && rank.rank_output);
    let rank_output = rank.rank_output && known_rank.is_none();
    let ranked = ranked(&rank, input, rank_output, window_end, config);
    let Some(known) = known_rank else {
        return Ok(Phys {
            schema: renamed(&ranked.schema, &names),
            ..ranked
        });
    };
    let columns = ranked.schema.columns.iter().enumerate();
    let exprs = columns
        .map(|(i, c)| Expr::column(i, c.ty.clone()))
        .chain([known])
        .collect();
    Ok(calc(ranked, exprs, None, &names))
}

/// Rejects Top-N queries that streaming does not support.
fn check_streaming_rank(rank: &Rank, config: &PlannerConfig) -> SqlResult<()> {
    let name = match rank.kind {
        _ if !config.streaming => return Ok(()),
        RankKind::RowNumber => "",
        RankKind::Rank => "RANK",
        RankKind::DenseRank => "DENSE_RANK",
    };
    if !name.is_empty() {
        let message = format!("{name}() on streaming table is not supported currently");
        return Err(SqlError::at(rank.span, message)
            .with_code(ErrorCode::InvalidOver)
            .with_hint("use ROW_NUMBER()"));
    }
    match rank.range {
        RankRange::Constant {
            to: RANK_END_NONE, ..
        } => {
            let hint = "bound the row number from above, for example WHERE rn <= 10";
            Err(SqlError::at(rank.span, "Rank end is not specified")
                .with_code(ErrorCode::InvalidOver)
                .with_hint(hint))
        }
        _ => Ok(()),
    }
}

/// Top-N, or deduplication if it selects the first row by a time attribute.
fn ranked(
    rank: &Rank,
    input: Phys,
    rank_output: bool,
    window_end: Option<usize>,
    config: &PlannerConfig,
) -> Phys {
    let out = ranked_schema(&input.schema, rank_output);
    let is_first = rank.range == RankRange::Constant { from: 1, to: 1 } && rank.kind == RankKind::RowNumber;
    let op = match rank.order.as_slice() {
        [key] if is_first && !rank_output && config.streaming && input.ty(key.column).is_time_attribute() => {
            Op::Deduplicate {
                keys: rank.partition.clone(),
                time: key.column,
                keep_last: !key.ascending,
                event_time: input.ty(key.column).time_attribute() == TimeAttribute::Rowtime,
                update_before: false,
                ttl_ms: config.state_ttl_ms,
                window_end,
            }
        }
        _ => Op::Rank {
            kind: rank.kind,
            partition: rank.partition.clone(),
            order: rank.order.clone(),
            range: rank.range,
            rank_output,
            update_before: false,
            retract_input: false,
            bounded: !config.streaming,
            window_end,
            ttl_ms: config.state_ttl_ms,
        },
    };
    Phys::new(op, vec![by_key(input, &rank.partition)], out)
}

fn ranked_schema(input: &Schema, rank_output: bool) -> Schema {
    let mut schema = input.clone();
    if rank_output {
        let rank = ("w0$o0".to_owned(), LogicalType::not_null(TypeKind::BigInt));
        schema.columns.extend(Schema::new([rank]).columns);
    }
    schema
}

fn renamed(schema: &Schema, names: &Schema) -> Schema {
    let columns = schema.columns.iter().enumerate().map(|(i, column)| {
        let name = names.columns.get(i).map_or(&column.name, |c| &c.name);
        (name.clone(), column.ty.clone())
    });
    Schema::new(columns.collect::<Vec<_>>())
}

/// Pushes a limit into a scan, if no row is filtered in between.
fn limit_scan(rel: &mut Rel, limit: u64) {
    match &mut rel.kind {
        RelKind::Project { .. } => {
            if let [input] = rel.inputs.as_mut_slice() {
                limit_scan(input, limit);
            }
        }
        RelKind::Scan(scan) if scan.abilities.limits => scan.limit = Some(limit),
        _ => {}
    }
}

pub(super) fn convert_sort(sort: RelKind, input: Rel, config: &PlannerConfig) -> SqlResult<Phys> {
    let RelKind::Sort {
        keys,
        offset,
        fetch,
        span,
    } = sort
    else {
        return Err(SqlError::internal("no sort"));
    };
    let mut input = input;
    if let (true, Some(fetch)) = (keys.is_empty(), fetch) {
        limit_scan(&mut input, offset.saturating_add(fetch));
    }
    let input = exchanged(convert_rel(input, config)?, Distribution::Single);
    if keys.is_empty() {
        return Ok(Phys::on(
            Op::Limit {
                offset,
                fetch,
                update_before: false,
            },
            input,
        ));
    }
    if let Some(fetch) = fetch {
        let op = Op::SortLimit {
            keys,
            offset,
            fetch,
            update_before: false,
            retract_input: false,
            bounded: !config.streaming,
        };
        return Ok(Phys::on(op, input));
    }
    if !config.streaming {
        let sorted = Phys::on(Op::Sort { keys }, input);
        if offset == 0 {
            return Ok(sorted);
        }
        return Ok(Phys::on(
            Op::Limit {
                offset,
                fetch: None,
                update_before: false,
            },
            sorted,
        ));
    }
    let is_time_order = keys
        .first()
        .is_some_and(|key| key.ascending && input.ty(key.column).is_time_attribute());
    if !is_time_order || offset > 0 {
        return Err(
            SqlError::at(span, "Sort on a non-time-attribute field is not supported")
                .with_code(ErrorCode::InvalidOrderBy)
                .with_hint("begin ORDER BY with the event-time column in ascending order, or add LIMIT"),
        );
    }
    Ok(Phys::on(Op::TemporalSort { keys }, input))
}
