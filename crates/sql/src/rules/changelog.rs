//! Which kinds of rows flow between operators: Flink's inference, in one place.
//!
//! Three passes over the operator tree. *Modify kinds*, from the sources up: which operator can produce updates and
//! deletions, and who refuses them. *Update kind*, from the sink down: whether updates come as `-U` and `+U` or as `+U`
//! alone; the rule first requests `+U` alone where its consumer is keyed, and for both if that cannot be had.
//! *Delete kind*: all deletions carry the full row in this engine, so that nothing is left to negotiate.
//!
//! | operator | takes | makes | `-U` of its input |
//! |---|---|---|---|
//! | group aggregate | all | `+I +U`, and `-D` if the input takes rows back | yes |
//! | window aggregate | all | `+I` | yes |
//! | window Top-N, window dedup, window join, interval join, temporal sort, match | `+I` | `+I` | – |
//! | dedup | all | `+I` if it keeps the first row of an append-only input, else all | yes |
//! | Top-N, sort with limit | all | all | yes, unless the input is append-only |
//! | limit | all | as the input, then all | yes |
//! | OVER by time / by another column | `+I` / all | `+I` / all | – / yes |
//! | join | all | inner and semi: the inputs' kinds; outer and anti: all | not if the key is unique and the consumer does not want it |
//! | temporal join | all | the left side's | right: no |
//! | calc, exchange, union, correlate, expand, watermark, window function | all | the input's | as the consumer wishes |
//! | changelog normalize | all | all | no |

use millstream_plan::{ChangelogTraits, Distribution, Expr, JoinKind, Op};
use millstream_types::{ChangelogMode, ErrorCode, SinkAdaptation};

use super::keys::{Keys, unique_keys, upsert_keys};
use super::monotonic;
use super::physical::{Phys, by_key};
use super::windows::all_sources_have_watermarks;
use crate::bind::config::{PlannerConfig, UpsertMaterialize};
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::insert::BoundInsert;
use crate::explain::describe;
use crate::parse::ast::ConflictBehavior;

/// How updates are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Updates {
    /// There are none.
    None,
    /// `+U` alone.
    After,
    /// `-U` and `+U`.
    Both,
}

/// Determines the row kinds of a query whose rows go to a client.
pub fn infer(root: Phys) -> SqlResult<Phys> {
    let root = modify_kinds(root)?;
    let wanted = wanted_both(&root);
    let root = satisfy(root, wanted).ok_or_else(no_agreement)?;
    Ok(finish(root).0)
}

/// Determines the row kinds of a query whose rows go into a table; the sink is the root.
pub fn infer_sink(input: Phys, insert: &BoundInsert, config: &PlannerConfig) -> SqlResult<Phys> {
    let input = modify_kinds(input)?;
    let made = input.traits.mode;
    let sink = SinkKinds::new(insert, made);
    sink.check(&input, insert)?;
    let primary_key: Vec<usize> = insert.table.primary_key.clone();
    let keys = upsert_keys(&input);
    let materialize = sink.needs_materialize(&primary_key, &keys, made, insert, config)?;
    check_conflict_clause(&sink, insert, &input)?;
    // Without a primary key nothing is found by it, so that a sink without -U (`blackhole`) needs none of the input either.
    let is_exact = primary_key.is_empty() || keys.contains(&sorted(primary_key.clone()));
    let candidates = if !made.has_updates() {
        vec![Updates::None]
    } else if sink.mode.update_before || materialize || !is_exact {
        vec![Updates::Both]
    } else {
        vec![Updates::After, Updates::Both]
    };
    let satisfied = |wanted| satisfy(input.clone(), wanted);
    let found = candidates.into_iter().find_map(satisfied);
    let input = found.ok_or_else(no_agreement)?;
    let is_keyed =
        !primary_key.is_empty() && (materialize || (!sink.mode.update_before && !made.is_insert_only()));
    let input = if is_keyed && config.streaming {
        let traits = input.traits.clone();
        Phys {
            traits,
            ..by_key(input, &primary_key)
        }
    } else {
        input
    };
    let op = Op::Sink {
        table: insert.table.clone(),
        columns: (0..insert.table.physical.len()).collect(),
        metadata: insert.metadata.clone(),
        overwrite: insert.overwrite,
        static_partition: insert.static_partition.clone(),
        materialize,
        not_null: insert.not_null.clone(),
        not_null_drop: config.not_null_drop,
        length_enforcer: config.length_enforcer,
    };
    let mut root = Phys::on(op, input);
    root.traits.mode = root
        .inputs
        .first()
        .map(|input| input.traits.mode)
        .unwrap_or_default();
    Ok(finish(root).0)
}

fn no_agreement() -> SqlError {
    SqlError::internal("no kind of updates suits every operator of the query")
}

fn sorted(mut columns: Vec<usize>) -> Vec<usize> {
    columns.sort_unstable();
    columns
}

/// The row kinds that a sink accepts from this query.
struct SinkKinds {
    mode: ChangelogMode,
}

impl SinkKinds {
    fn new(insert: &BoundInsert, made: ChangelogMode) -> Self {
        let has_key = !insert.table.primary_key.is_empty();
        let mode = match insert.adaptation {
            SinkAdaptation::Fixed => insert.accepts,
            SinkAdaptation::AsProducedByKey if has_key => ChangelogMode {
                update_before: false,
                ..made
            },
            SinkAdaptation::AsProduced | SinkAdaptation::AsProducedByKey => ChangelogMode {
                update_before: made.update_after,
                ..made
            },
        };
        Self { mode }
    }

    fn is_upsert(&self) -> bool {
        self.mode.update_after && !self.mode.update_before
    }

    fn check(&self, input: &Phys, insert: &BoundInsert) -> SqlResult<()> {
        let made = input.traits.mode;
        let refused = ChangelogMode {
            insert: false,
            update_before: false,
            update_after: made.update_after && !self.mode.update_after,
            delete: made.delete && !self.mode.delete,
        };
        let requester = format!("Table sink '{}'", insert.table.identifier);
        refuse(&requester, refused, input).map_err(|error| error.with_span(insert.span))
    }

    /// Whether the sink must keep a row per key because changes may arrive out of order.
    fn needs_materialize(
        &self,
        primary_key: &[usize],
        keys: &[Vec<usize>],
        made: ChangelogMode,
        insert: &BoundInsert,
        config: &PlannerConfig,
    ) -> SqlResult<bool> {
        if primary_key.is_empty() || !self.is_upsert() || !config.streaming {
            return Ok(false);
        }
        let covered = keys
            .iter()
            .any(|key| key.iter().all(|column| primary_key.contains(column)));
        let differs = !covered;
        if differs && insert.on_conflict.is_none() && config.require_on_conflict {
            return Err(self.conflict(primary_key, keys, insert));
        }
        Ok(match config.upsert_materialize {
            UpsertMaterialize::None => false,
            UpsertMaterialize::Force => true,
            UpsertMaterialize::Auto => differs && !(made.is_insert_only() && insert.on_conflict.is_none()),
        })
    }

    fn conflict(&self, primary_key: &[usize], keys: &[Vec<usize>], insert: &BoundInsert) -> SqlError {
        let columns = &insert.table.physical.columns;
        let names = |key: &[usize]| {
            let names: Vec<&str> = key
                .iter()
                .filter_map(|i| columns.get(*i))
                .map(|c| c.name.as_str())
                .collect();
            format!("[{}]", names.join(", "))
        };
        let upsert: Vec<String> = keys.iter().map(|key| names(key)).collect();
        let upsert = if upsert.is_empty() {
            "none".to_owned()
        } else {
            upsert.join(", ")
        };
        SqlError::at(
            insert.span,
            format!(
                "The query has an upsert key that differs from the primary key of the sink table '{}'. Primary key: {}, \
                 upsert key: {upsert}. Please specify an ON CONFLICT clause",
                insert.table.identifier,
                names(primary_key)
            ),
        ).with_code(ErrorCode::UnsupportedChanges)
        .with_hint(
            "add ON CONFLICT DO DEDUPLICATE, or DO ERROR or DO NOTHING with watermarks on all sources; or SET \
             'table.exec.sink.require-on-conflict' = 'false'",
        )
    }
}

fn check_conflict_clause(sink: &SinkKinds, insert: &BoundInsert, input: &Phys) -> SqlResult<()> {
    let Some(behavior) = insert.on_conflict else {
        return Ok(());
    };
    if !sink.is_upsert() || insert.table.primary_key.is_empty() {
        let reason = if sink.mode.update_after {
            "it requires UPDATE_BEFORE (retract mode)"
        } else {
            "it only accepts INSERT (append-only) changes"
        };
        let message = format!(
            "ON CONFLICT clause is only allowed for upsert sinks. The sink '{}' is not an upsert sink because {reason}",
            insert.table.identifier
        );
        return Err(SqlError::at(insert.span, message).with_code(ErrorCode::UnsupportedChanges));
    }
    if behavior == ConflictBehavior::Deduplicate {
        return Ok(());
    }
    if !all_sources_have_watermarks(input) {
        let message = "ON CONFLICT DO ERROR and DO NOTHING require watermarks on all sources of the query";
        return Err(SqlError::at(insert.span, message)
            .with_code(ErrorCode::UnsupportedChanges)
            .with_hint("declare a WATERMARK, or use DO DEDUPLICATE"));
    }
    Err(SqlError::unsupported(
        insert.span,
        "ON CONFLICT DO ERROR and DO NOTHING",
    ))
}

/// `<requester> doesn't support consuming …`, if the operator rejects some of the kinds.
fn refuse(requester: &str, refused: ChangelogMode, producer: &Phys) -> SqlResult<()> {
    let what = match (refused.update_after, refused.delete) {
        (false, false) => return Ok(()),
        (true, true) => "update and delete changes",
        (true, false) => "update changes",
        (false, true) => "delete changes",
    };
    let node = describe::node(origin(producer));
    Err(SqlError::new(format!(
        "{requester} doesn't support consuming {what} which is produced by node {node}"
    ))
    .with_code(ErrorCode::UnsupportedChanges))
}

/// The operator below projections and exchanges that produces the changes.
fn origin(node: &Phys) -> &Phys {
    match (&node.op, node.inputs.as_slice()) {
        (Op::Calc { .. } | Op::Exchange { .. }, [input]) => origin(input),
        _ => node,
    }
}

const INSERTS: ChangelogMode = ChangelogMode::INSERT_ONLY;
/// Updates are written as `+U` until the second pass decides on `-U`.
const CHANGES: ChangelogMode = ChangelogMode::UPSERT;

/// First pass: sets `mode` to the row kinds that each operator produces.
fn modify_kinds(node: Phys) -> SqlResult<Phys> {
    let Phys {
        mut op,
        inputs,
        schema,
        source,
        ..
    } = node;
    let inputs = inputs
        .into_iter()
        .map(modify_kinds)
        .collect::<SqlResult<Vec<_>>>()?;
    if let Some(requester) = append_only(&op) {
        for input in &inputs {
            refuse(requester, input.traits.mode, input)?;
        }
    }
    let all = inputs
        .iter()
        .fold(INSERTS, |mode, input| mode.union(input.traits.mode));
    note_retractions(&mut op, !all.is_insert_only());
    let first = inputs.first().map_or(INSERTS, |input| input.traits.mode);
    let made = if matches!(op, Op::Scan { .. }) {
        source
    } else {
        made_kinds(&op, all, first)
    };
    let mode = ChangelogMode {
        update_before: false,
        ..made
    };
    let traits = ChangelogTraits {
        mode,
        upsert_keys: Vec::new(),
    };
    Ok(Phys {
        op,
        inputs,
        schema,
        source,
        traits,
    })
}

/// Sets whether an operator's input contains retractions.
fn note_retractions(op: &mut Op, takes_back: bool) {
    if let Op::GroupAggregate { retract_input, .. }
    | Op::WindowAggregate { retract_input, .. }
    | Op::Rank { retract_input, .. }
    | Op::SortLimit { retract_input, .. } = op
    {
        *retract_input = takes_back;
    }
}

/// The row kinds that an operator produces from the kinds `all` of its inputs; `first` are those of its first input.
fn made_kinds(op: &Op, all: ChangelogMode, first: ChangelogMode) -> ChangelogMode {
    let takes_back = !all.is_insert_only();
    let changes_unless = |appends: bool| if appends { INSERTS } else { CHANGES };
    match op {
        Op::GroupAggregate { bounded: true, .. } | Op::Join { bounded: true, .. } => INSERTS,
        Op::GroupAggregate { .. } => ChangelogMode {
            update_after: true,
            delete: takes_back,
            ..INSERTS
        },
        Op::Rank {
            bounded, window_end, ..
        } => changes_unless(*bounded || window_end.is_some()),
        Op::SortLimit { bounded, .. } => changes_unless(*bounded),
        Op::Deduplicate {
            keep_last,
            window_end,
            ..
        } => changes_unless(window_end.is_some() || (!*keep_last && !takes_back)),
        Op::Limit { .. } => changes_unless(!takes_back),
        Op::Over {
            event_time, bounded, ..
        } => changes_unless(event_time.is_some() || *bounded),
        Op::Join {
            kind: JoinKind::Inner | JoinKind::Semi,
            ..
        } => all,
        Op::Join { .. } | Op::ChangelogNormalize { .. } => CHANGES,
        Op::TemporalJoin { .. } | Op::LookupJoin { .. } => first,
        Op::WindowAggregate { .. }
        | Op::IntervalJoin { .. }
        | Op::WindowJoin { .. }
        | Op::TemporalSort { .. }
        | Op::Match { .. }
        | Op::Values { .. } => INSERTS,
        _ => all,
    }
}

/// Operators that accept only insertions, by the name in messages.
fn append_only(op: &Op) -> Option<&'static str> {
    match op {
        Op::IntervalJoin { .. } => Some("IntervalJoin"),
        Op::WindowJoin { .. } => Some("WindowJoin"),
        Op::TemporalSort { .. } => Some("Sort"),
        Op::Match { .. } => Some("Match Recognize"),
        Op::Over {
            event_time: Some(_),
            bounded: false,
            ..
        } => Some("OverAggregate"),
        Op::Rank {
            window_end: Some(_), ..
        } => Some("WindowRank"),
        Op::Deduplicate {
            window_end: Some(_), ..
        } => Some("WindowDeduplicate"),
        _ => None,
    }
}

/// `-U` and `+U` if there are updates at all.
fn wanted_both(node: &Phys) -> Updates {
    if node.traits.mode.has_updates() {
        Updates::Both
    } else {
        Updates::None
    }
}

fn wanted_after(node: &Phys) -> Updates {
    if node.traits.mode.has_updates() {
        Updates::After
    } else {
        Updates::None
    }
}

/// Second pass: the tree with updates in the required form, or `None` if it cannot produce them.
fn satisfy(node: Phys, wanted: Updates) -> Option<Phys> {
    let has_updates = node.traits.mode.has_updates();
    let wanted = if has_updates { wanted } else { Updates::None };
    if matches!(node.op, Op::Scan { .. }) {
        return satisfied_scan(node, wanted);
    }
    let Phys {
        mut op,
        inputs,
        schema,
        source,
        mut traits,
    } = node;
    let wants_both = wanted == Updates::Both;
    let inputs = match upserts_are_enough(&op, inputs) {
        Ok(satisfied) => {
            note_retractions(&mut op, false);
            Some(satisfied)
        }
        Err(inputs) => satisfied_inputs(&op, inputs, wanted),
    }?;
    if let Op::GroupAggregate { update_before, .. }
    | Op::Rank { update_before, .. }
    | Op::SortLimit { update_before, .. }
    | Op::Limit { update_before, .. }
    | Op::Deduplicate { update_before, .. }
    | Op::ChangelogNormalize { update_before, .. } = &mut op
    {
        *update_before = wants_both;
    }
    traits.mode.update_before = wants_both;
    Some(Phys {
        op,
        inputs,
        schema,
        source,
        traits,
    })
}

/// A source's row kinds are fixed; unneeded `-U` rows are dropped right after it.
fn satisfied_scan(mut scan: Phys, wanted: Updates) -> Option<Phys> {
    let makes_both = scan.source.update_before;
    if wanted == Updates::Both && !makes_both {
        return None;
    }
    scan.traits.mode.update_before = makes_both && scan.traits.mode.has_updates();
    let drops = wanted == Updates::After && makes_both;
    Some(if drops { without_before(scan) } else { scan })
}

/// The input of an operator that needs no `-U` because its values are monotonic; otherwise the inputs unchanged.
fn upserts_are_enough(op: &Op, inputs: Vec<Phys>) -> Result<Vec<Phys>, Vec<Phys>> {
    let [input] = inputs.as_slice() else {
        return Err(inputs);
    };
    let enough = match op {
        Op::GroupAggregate {
            keys,
            aggregates,
            bounded: false,
            ..
        } => monotonic::needs_no_retraction(keys, aggregates, input),
        Op::Rank {
            order,
            partition,
            bounded: false,
            window_end: None,
            ..
        } => monotonic::only_climbs(order, partition, input),
        Op::SortLimit { keys, bounded, .. } => !*bounded && monotonic::only_climbs(keys, &[], input),
        _ => false,
    };
    let satisfied = enough.then(|| satisfy(input.clone(), Updates::After)).flatten();
    satisfied.map(|input| vec![input]).ok_or(inputs)
}

/// The inputs, with updates in the form that the operator requires.
fn satisfied_inputs(op: &Op, inputs: Vec<Phys>, wanted: Updates) -> Option<Vec<Phys>> {
    match op {
        Op::GroupAggregate { .. }
        | Op::WindowAggregate { .. }
        | Op::Rank { .. }
        | Op::SortLimit { .. }
        | Op::Limit { .. }
        | Op::Deduplicate { .. } => all_of(inputs, wanted_both),
        Op::ChangelogNormalize { .. } => all_of(inputs, wanted_after),
        Op::Over { .. } if wanted == Updates::After => None,
        Op::Over { .. } => all_of(inputs, wanted_both),
        Op::Join {
            left_keys,
            right_keys,
            ..
        } => join_inputs(inputs, &[left_keys.clone(), right_keys.clone()], wanted),
        Op::TemporalJoin { .. } => {
            let mut inputs = inputs.into_iter();
            let (left, right) = (inputs.next()?, inputs.next()?);
            let (after, both) = (wanted_after(&right), wanted_both(&right));
            let right = satisfy(right.clone(), after).or_else(|| satisfy(right, both))?;
            Some(vec![satisfy(left, wanted)?, right])
        }
        Op::Calc {
            condition: Some(condition),
            ..
        } if wanted == Updates::After && inputs.iter().any(|input| !is_on_upsert_key(condition, input)) => {
            None
        }
        // All other operators pass on what they receive.
        _ => all_of(inputs, |input| {
            if input.traits.mode.has_updates() {
                wanted
            } else {
                Updates::None
            }
        }),
    }
}

fn all_of(inputs: Vec<Phys>, wanted: impl Fn(&Phys) -> Updates) -> Option<Vec<Phys>> {
    inputs
        .into_iter()
        .map(|input| {
            let own = wanted(&input);
            satisfy(input, own)
        })
        .collect()
}

/// A join does not need `-U` on a side if its consumer does not and the join key is part of the side's unique key.
fn join_inputs(inputs: Vec<Phys>, keys: &[Vec<usize>; 2], wanted: Updates) -> Option<Vec<Phys>> {
    inputs
        .into_iter()
        .zip(keys)
        .map(|(input, keys)| {
            if wanted != Updates::After {
                let own = wanted_both(&input);
                return satisfy(input, own);
            }
            let contains = unique_keys(&input)
                .iter()
                .any(|key| keys.iter().all(|column| key.contains(column)));
            if input.traits.mode.has_updates() && !contains {
                return None;
            }
            let own = wanted_after(&input);
            satisfy(input, own)
        })
        .collect()
}

/// A filter on columns outside the upsert key may pass only one row of an update.
fn is_on_upsert_key(condition: &Expr, input: &Phys) -> bool {
    if !input.traits.mode.has_updates() {
        return true;
    }
    let columns = condition.columns();
    upsert_keys(input)
        .iter()
        .any(|key| columns.iter().all(|column| key.contains(column)))
}

fn without_before(scan: Phys) -> Phys {
    let mut dropped = Phys::on(Op::DropUpdateBefore, scan);
    dropped.traits.mode = ChangelogMode {
        update_before: false,
        ..dropped.inputs[0].traits.mode
    };
    dropped
}

/// Records the upsert keys of every operator, and merges duplicates that the negotiation produced.
fn finish(mut node: Phys) -> (Phys, Keys) {
    let below = std::mem::take(&mut node.inputs).into_iter().map(finish);
    let (inputs, input_keys): (Vec<Phys>, Vec<Keys>) = below.unzip();
    node.inputs = inputs;
    let keys = Keys::behind(&node, &input_keys);
    node.traits.upsert_keys.clone_from(&keys.upsert);
    // Of two adjacent exchanges, the upper one wins.
    if let Op::Exchange { distribution } = &node.op
        && let [input] = node.inputs.as_slice()
        && matches!(input.op, Op::Exchange { .. })
        && *distribution != Distribution::Forward
    {
        node.inputs = node.inputs.remove(0).inputs;
    }
    (node, keys)
}
