//! Column pruning, down into the scans.

use millstream_plan::{AggregateCall, Expr, JoinKind, RankRange, SortKey};
use millstream_types::Schema;

use crate::bind::logical::{Aggregate, Join, Over, Rank, Rel, RelKind, Scan, join_schema};

/// New positions of old columns; `None` for dropped ones.
type Moved = Vec<Option<usize>>;

/// Prunes below a root, which keeps all its columns.
pub fn prune_root(rel: Rel) -> Rel {
    let width = rel.schema.len();
    let (rel, moved) = prune(rel, &vec![true; width]);
    let order: Vec<usize> = moved.into_iter().flatten().collect();
    let in_place = order.iter().copied().eq(0..width) && rel.schema.len() == width;
    if in_place { rel } else { rel.select(&order) }
}

/// The relation with at least the needed columns, and the new positions of the old ones.
fn prune(rel: Rel, needed: &[bool]) -> (Rel, Moved) {
    let Rel { kind, inputs, schema } = rel;
    match kind {
        RelKind::Project { exprs } => prune_project(exprs, inputs, schema, needed),
        RelKind::Filter { condition } => prune_filter(condition, inputs, schema, needed),
        RelKind::Scan(scan) => prune_scan(scan, schema, needed),
        RelKind::Values { rows } => {
            let (order, moved) = kept(needed);
            let pick = |row: Vec<Expr>| order.iter().map(|i| row[*i].clone()).collect();
            let kind = RelKind::Values {
                rows: rows.into_iter().map(pick).collect(),
            };
            (Rel::new(kind, inputs, schema.project(&order)), moved)
        }
        RelKind::Watermark { .. } => prune_watermark(kind, inputs, schema, needed),
        RelKind::Window { .. } => prune_window(kind, inputs, schema, needed),
        RelKind::Aggregate(aggregate) => prune_aggregate(*aggregate, inputs, schema, needed),
        RelKind::Join(join) => prune_join(*join, inputs, schema, needed),
        RelKind::Correlate {
            function,
            args,
            outer,
            condition,
        } => prune_correlate((function, args, outer, condition), inputs, schema, needed),
        RelKind::Match(matching) => {
            // Its input is a projection of exactly what it reads.
            let width = inputs.first().map_or(0, |input| input.schema.len());
            let (input, _) = prune_only(inputs, &vec![true; width]);
            let moved = (0..schema.len()).map(Some).collect();
            (Rel::new(RelKind::Match(matching), vec![input], schema), moved)
        }
        RelKind::Over(over) => prune_over(*over, inputs, schema, needed),
        RelKind::Rank(rank) => prune_rank(*rank, inputs, schema, needed),
        RelKind::Sort { .. } => prune_sort(kind, inputs, schema, needed),
        RelKind::Union => prune_union(inputs, schema, needed),
    }
}

fn prune_scan(mut scan: Box<Scan>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let mut needed = needed.to_vec();
    let filtered: Vec<usize> = scan.filters.iter().flat_map(Expr::columns).collect();
    filtered.into_iter().for_each(|i| mark(&mut needed, i));
    // Changes by key need the key columns even if no expression reads them.
    if !scan.changelog.is_insert_only() {
        let is_key = |i: &usize| scan.table.primary_key.contains(&scan.columns[*i]);
        (0..scan.columns.len())
            .filter(is_key)
            .for_each(|i| mark(&mut needed, i));
    }
    // A row without columns still counts, but a scan must decode at least one column.
    if !needed.contains(&true)
        && let Some(first) = needed.first_mut()
    {
        *first = true;
    }
    let (order, moved) = kept(&needed);
    let physical = scan.columns.len();
    let (columns, metadata): (Vec<usize>, Vec<usize>) = order.iter().partition(|i| **i < physical);
    scan.metadata = metadata
        .into_iter()
        .map(|i| scan.metadata[i - physical].clone())
        .collect();
    scan.columns = columns.into_iter().map(|i| scan.columns[i]).collect();
    scan.filters = scan.filters.into_iter().map(|f| remap(f, &moved)).collect();
    (
        Rel::new(RelKind::Scan(scan), Vec::new(), schema.project(&order)),
        moved,
    )
}

fn prune_watermark(kind: RelKind, inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let RelKind::Watermark {
        rowtime,
        expr,
        idle_timeout_ms,
    } = kind
    else {
        return (Rel::one_row(), Vec::new());
    };
    let mut needed = needed.to_vec();
    mark(&mut needed, rowtime);
    expr.columns().into_iter().for_each(|i| mark(&mut needed, i));
    let (input, moved) = prune_only(inputs, &needed);
    let (rowtime, expr) = (at(&moved, rowtime), remap(expr, &moved));
    let kind = RelKind::Watermark {
        rowtime,
        expr,
        idle_timeout_ms,
    };
    let schema = moved_schema(&schema, &moved, input.schema.len());
    (Rel::new(kind, vec![input], schema), moved)
}

fn prune_window(kind: RelKind, inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let RelKind::Window {
        time,
        kind,
        partition,
        span,
    } = kind
    else {
        return (Rel::one_row(), Vec::new());
    };
    let width = schema.len() - 3;
    let mut below = needed[..width].to_vec();
    mark(&mut below, time);
    partition.iter().for_each(|i| mark(&mut below, *i));
    let (input, mut moved) = prune_only(inputs, &below);
    let now = input.schema.len();
    let partition = partition.into_iter().map(|i| at(&moved, i)).collect();
    let kind = RelKind::Window {
        time: at(&moved, time),
        kind,
        partition,
        span,
    };
    moved.extend((0..3).map(|i| Some(now + i)));
    let schema = moved_schema(&schema, &moved, now + 3);
    (Rel::new(kind, vec![input], schema), moved)
}

fn prune_sort(kind: RelKind, inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let RelKind::Sort {
        keys,
        offset,
        fetch,
        span,
    } = kind
    else {
        return (Rel::one_row(), Vec::new());
    };
    let mut needed = needed.to_vec();
    keys.iter().for_each(|key| mark(&mut needed, key.column));
    let (input, moved) = prune_only(inputs, &needed);
    let keys = keys
        .into_iter()
        .map(|key| SortKey {
            column: at(&moved, key.column),
            ..key
        })
        .collect();
    let schema = moved_schema(&schema, &moved, input.schema.len());
    (
        Rel::new(
            RelKind::Sort {
                keys,
                offset,
                fetch,
                span,
            },
            vec![input],
            schema,
        ),
        moved,
    )
}

fn prune_union(inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let (order, moved) = kept(needed);
    let input = |input: Rel| {
        let (input, places) = prune(input, needed);
        let now: Vec<usize> = order.iter().map(|i| at(&places, *i)).collect();
        let in_place = now.iter().copied().eq(0..input.schema.len());
        if in_place { input } else { input.select(&now) }
    };
    let inputs = inputs.into_iter().map(input).collect();
    (Rel::new(RelKind::Union, inputs, schema.project(&order)), moved)
}

fn mark(needed: &mut [bool], column: usize) {
    if let Some(flag) = needed.get_mut(column) {
        *flag = true;
    }
}

/// The kept columns in order, and where each old column went.
fn kept(needed: &[bool]) -> (Vec<usize>, Moved) {
    let order: Vec<usize> = (0..needed.len()).filter(|i| needed[*i]).collect();
    let moved = (0..needed.len())
        .map(|i| order.iter().position(|o| *o == i))
        .collect();
    (order, moved)
}

fn at(moved: &Moved, column: usize) -> usize {
    moved.get(column).copied().flatten().unwrap_or(0)
}

fn remap(expr: Expr, moved: &Moved) -> Expr {
    expr.remap_columns(&|i| at(moved, i))
}

/// The schema after a move: columns at their new places.
fn moved_schema(old: &Schema, moved: &Moved, width: usize) -> Schema {
    let source = |new: usize| moved.iter().position(|m| *m == Some(new));
    let columns = (0..width)
        .filter_map(source)
        .map(|i| (old.columns[i].name.clone(), old.columns[i].ty.clone()));
    Schema::new(columns.collect::<Vec<_>>())
}

fn prune_only(mut inputs: Vec<Rel>, needed: &[bool]) -> (Rel, Moved) {
    match inputs.pop() {
        Some(input) => prune(input, needed),
        None => (Rel::one_row(), Vec::new()),
    }
}

fn prune_project(exprs: Vec<Expr>, inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let (order, moved) = kept(needed);
    let exprs: Vec<Expr> = order.iter().map(|i| exprs[*i].clone()).collect();
    let width = inputs.first().map_or(0, |input| input.schema.len());
    let mut below = vec![false; width];
    exprs
        .iter()
        .flat_map(Expr::columns)
        .for_each(|i| mark(&mut below, i));
    let (input, places) = prune_only(inputs, &below);
    let exprs = exprs.into_iter().map(|expr| remap(expr, &places)).collect();
    (
        Rel::new(RelKind::Project { exprs }, vec![input], schema.project(&order)),
        moved,
    )
}

fn prune_filter(condition: Expr, inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let mut below = needed.to_vec();
    condition.columns().into_iter().for_each(|i| mark(&mut below, i));
    let (input, moved) = prune_only(inputs, &below);
    let condition = remap(condition, &moved);
    let schema = moved_schema(&schema, &moved, input.schema.len());
    (
        Rel::new(RelKind::Filter { condition }, vec![input], schema),
        moved,
    )
}

fn call_columns(call: &AggregateCall) -> impl Iterator<Item = usize> + '_ {
    call.args
        .iter()
        .copied()
        .chain(call.filter)
        .chain(call.order_by.iter().map(|(column, _)| *column))
}

fn remap_call(call: AggregateCall, moved: &Moved) -> AggregateCall {
    AggregateCall {
        args: call.args.iter().map(|i| at(moved, *i)).collect(),
        filter: call.filter.map(|i| at(moved, i)),
        order_by: call.order_by.iter().map(|(i, up)| (at(moved, *i), *up)).collect(),
        ..call
    }
}

fn prune_aggregate(aggregate: Aggregate, inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let keys = aggregate.keys.len();
    let calls = aggregate.calls.len();
    // Keys define the groups and stay; so do the columns after the calls.
    let wanted: Vec<bool> = (0..schema.len())
        .map(|i| i < keys || i >= keys + calls || needed.get(i) == Some(&true))
        .collect();
    let (order, moved) = kept(&wanted);
    let kept_calls: Vec<AggregateCall> = aggregate
        .calls
        .into_iter()
        .enumerate()
        .filter(|(i, _)| wanted[keys + i])
        .map(|(_, call)| call)
        .collect();
    let width = inputs.first().map_or(0, |input| input.schema.len());
    let mut below = vec![false; width];
    aggregate.keys.iter().for_each(|i| mark(&mut below, *i));
    kept_calls
        .iter()
        .flat_map(call_columns)
        .for_each(|i| mark(&mut below, i));
    if let Some(window) = &aggregate.window {
        mark(&mut below, window.time);
    }
    let (input, places) = prune_only(inputs, &below);
    let aggregate = Aggregate {
        keys: aggregate.keys.iter().map(|i| at(&places, *i)).collect(),
        calls: kept_calls
            .into_iter()
            .map(|call| remap_call(call, &places))
            .collect(),
        window: aggregate.window.map(|window| crate::bind::logical::GroupWindow {
            time: at(&places, window.time),
            ..window
        }),
        ..aggregate
    };
    (
        Rel::new(
            RelKind::Aggregate(Box::new(aggregate)),
            vec![input],
            schema.project(&order),
        ),
        moved,
    )
}

fn prune_join(join: Join, mut inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let (Some(right), Some(left)) = (inputs.pop(), inputs.pop()) else {
        return (Rel::one_row(), vec![None; schema.len()]);
    };
    let width = left.schema.len();
    let mut all = needed.to_vec();
    all.resize(width + right.schema.len(), false);
    for expr in join.condition.iter().chain(join.as_of.iter()) {
        expr.columns().into_iter().for_each(|i| mark(&mut all, i));
    }
    if join.as_of.is_some() {
        // A versioned table is joined by its event time even if no expression reads the column.
        let is_time = |i: &usize| right.schema.columns[*i].ty.is_time_attribute();
        (0..right.schema.len())
            .filter(is_time)
            .for_each(|i| mark(&mut all, width + i));
    }
    let (left, left_moved) = prune(left, &all[..width]);
    let (right, right_moved) = prune(right, &all[width..]);
    let now = left.schema.len();
    let mut moved: Moved = left_moved;
    moved.extend(right_moved.into_iter().map(|place| place.map(|i| i + now)));
    let join = Join {
        condition: join.condition.map(|condition| remap(condition, &moved)),
        as_of: join.as_of.map(|as_of| remap(as_of, &moved)),
        ..join
    };
    let is_half = matches!(join.kind, JoinKind::Semi | JoinKind::Anti);
    let joined = if is_half {
        moved.truncate(width);
        moved_schema(&schema, &moved, now)
    } else {
        let natural = join_schema(join.kind, &left.schema, &right.schema);
        let known = moved_schema(&schema, &moved, natural.len());
        if known.len() == natural.len() {
            known
        } else {
            natural
        }
    };
    (
        Rel::new(RelKind::Join(Box::new(join)), vec![left, right], joined),
        moved,
    )
}

type CorrelateParts = (String, Vec<Expr>, bool, Option<Expr>);

fn prune_correlate(
    (function, args, outer, condition): CorrelateParts,
    inputs: Vec<Rel>,
    schema: Schema,
    needed: &[bool],
) -> (Rel, Moved) {
    let width = inputs.first().map_or(0, |input| input.schema.len());
    let mut below = needed[..width.min(needed.len())].to_vec();
    for expr in args.iter().chain(condition.iter()) {
        expr.columns().into_iter().for_each(|i| mark(&mut below, i));
    }
    let (input, mut moved) = prune_only(inputs, &below);
    let now = input.schema.len();
    moved.extend((0..schema.len() - width).map(|i| Some(now + i)));
    let kind = RelKind::Correlate {
        function,
        args: args.into_iter().map(|arg| remap(arg, &moved)).collect(),
        outer,
        condition: condition.map(|condition| remap(condition, &moved)),
    };
    let schema = moved_schema(&schema, &moved, now + schema.len() - width);
    (Rel::new(kind, vec![input], schema), moved)
}

fn prune_over(over: Over, inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let width = schema.len() - over.calls.len();
    let used: Vec<bool> = needed[width..].to_vec();
    if !used.contains(&true) {
        let (input, mut moved) = prune_only(inputs, &needed[..width]);
        moved.resize(schema.len(), None);
        return (input, moved);
    }
    let calls: Vec<AggregateCall> = over
        .calls
        .into_iter()
        .zip(&used)
        .filter(|(_, used)| **used)
        .map(|(call, _)| call)
        .collect();
    let mut below = needed[..width].to_vec();
    over.partition.iter().for_each(|i| mark(&mut below, *i));
    over.order.iter().for_each(|key| mark(&mut below, key.column));
    calls
        .iter()
        .flat_map(call_columns)
        .for_each(|i| mark(&mut below, i));
    let (input, mut moved) = prune_only(inputs, &below);
    let now = input.schema.len();
    let over = Over {
        partition: over.partition.iter().map(|i| at(&moved, *i)).collect(),
        order: over
            .order
            .iter()
            .map(|k| SortKey {
                column: at(&moved, k.column),
                ..*k
            })
            .collect(),
        calls: calls.into_iter().map(|call| remap_call(call, &moved)).collect(),
        ..over
    };
    let mut next = now;
    for used in used {
        moved.push(used.then(|| {
            next += 1;
            next - 1
        }));
    }
    let schema = moved_schema(&schema, &moved, next);
    (
        Rel::new(RelKind::Over(Box::new(over)), vec![input], schema),
        moved,
    )
}

fn prune_rank(rank: Rank, inputs: Vec<Rel>, schema: Schema, needed: &[bool]) -> (Rel, Moved) {
    let width = schema.len() - usize::from(rank.rank_output);
    let rank_output = rank.rank_output && needed.get(width) == Some(&true);
    let mut below = needed[..width].to_vec();
    rank.partition.iter().for_each(|i| mark(&mut below, *i));
    rank.order.iter().for_each(|key| mark(&mut below, key.column));
    if let RankRange::Variable { column } = rank.range {
        mark(&mut below, column);
    }
    let (input, mut moved) = prune_only(inputs, &below);
    let now = input.schema.len();
    let range = match rank.range {
        RankRange::Variable { column } => RankRange::Variable {
            column: at(&moved, column),
        },
        constant => constant,
    };
    let had_rank = rank.rank_output;
    let rank = Rank {
        partition: rank.partition.iter().map(|i| at(&moved, *i)).collect(),
        order: rank
            .order
            .iter()
            .map(|k| SortKey {
                column: at(&moved, k.column),
                ..*k
            })
            .collect(),
        range,
        rank_output,
        ..rank
    };
    if had_rank {
        moved.push(rank_output.then_some(now));
    }
    let schema = moved_schema(&schema, &moved, now + usize::from(rank_output));
    (
        Rel::new(RelKind::Rank(Box::new(rank)), vec![input], schema),
        moved,
    )
}
