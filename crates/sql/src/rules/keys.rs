//! Unique and upsert keys of operators, derived from the bottom up.
//!
//! A *unique* key identifies a row at any moment. An *upsert* key also identifies it over its updates as they arrive: it
//! is lost where rows are sent by other columns, because changes of one key may then overtake each other.

use millstream_functions::typing;
use millstream_plan::{Distribution, Expr, JoinKind, Op, RankRange, WindowProperty};

use super::physical::Phys;

/// Maximum number of unique keys tracked per relation; combinations of joins would multiply them.
const KEYS_MAX: usize = 16;

/// The keys of a relation.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Sets of columns that identify a row.
    pub unique: Vec<Vec<usize>>,
    /// Sets of columns that identify a row over its updates.
    pub upsert: Vec<Vec<usize>>,
}

impl Keys {
    /// The keys of a tree; visits each node once.
    pub fn of(node: &Phys) -> Self {
        let inputs: Vec<Self> = node.inputs.iter().map(Self::of).collect();
        Self::behind(node, &inputs)
    }

    /// The keys of a node, given the keys of its inputs.
    pub fn behind(node: &Phys, inputs: &[Self]) -> Self {
        Self {
            unique: derive(node, inputs, false),
            upsert: derive(node, inputs, true),
        }
    }
}

/// Sets of columns that identify a row.
pub fn unique_keys(node: &Phys) -> Vec<Vec<usize>> {
    Keys::of(node).unique
}

/// Sets of columns that identify a row over its updates.
pub fn upsert_keys(node: &Phys) -> Vec<Vec<usize>> {
    Keys::of(node).upsert
}

fn derive(node: &Phys, inputs: &[Keys], upsert: bool) -> Vec<Vec<usize>> {
    let input = || {
        let keys = inputs
            .first()
            .map(|keys| if upsert { &keys.upsert } else { &keys.unique });
        keys.cloned().unwrap_or_default()
    };
    let width = node.schema.len();
    let keys = match &node.op {
        Op::Scan { table, columns, .. } => primary_key(&table.primary_key, columns),
        Op::Calc { projections, .. } => input()
            .iter()
            .filter_map(|key| through(key, projections))
            .collect(),
        Op::GroupAggregate { keys, .. } => vec![(0..keys.len()).collect()],
        Op::WindowAggregate {
            keys,
            aggregates,
            properties,
            ..
        } => windowed(keys.len(), keys.len() + aggregates.len(), properties),
        Op::Deduplicate { keys, .. } => vec![sorted(keys.clone())],
        Op::Rank {
            partition,
            range,
            rank_output,
            ..
        } => {
            let rank = rank_output.then_some(width - 1);
            ranked(input(), partition, *range, rank, upsert)
        }
        Op::Exchange {
            distribution: Distribution::Hash(by),
        } if upsert => input()
            .into_iter()
            .filter(|key| by.iter().all(|column| key.contains(column)))
            .collect(),
        Op::Exchange {
            distribution: Distribution::Rebalance,
        } if upsert => Vec::new(),
        Op::ChangelogNormalize { keys, .. } => vec![sorted(keys.clone())],
        Op::Join {
            kind,
            left_keys,
            right_keys,
            ..
        } => joined(node, inputs, *kind, left_keys, right_keys, upsert),
        Op::IntervalJoin { kind, .. } | Op::WindowJoin { kind, .. }
            if matches!(kind, JoinKind::Semi | JoinKind::Anti) =>
        {
            input()
        }
        Op::WindowTableFunction { .. } => {
            let with_window =
                |key: Vec<usize>| sorted(key.into_iter().chain([width - 3, width - 2]).collect());
            input().into_iter().map(with_window).collect()
        }
        Op::TemporalJoin { .. }
        | Op::WatermarkAssigner { .. }
        | Op::Over { .. }
        | Op::Sort { .. }
        | Op::TemporalSort { .. }
        | Op::Limit { .. }
        | Op::SortLimit { .. }
        | Op::DropUpdateBefore
        | Op::Exchange { .. } => input(),
        _ => Vec::new(),
    };
    distinct(keys)
}

/// Each key once, of the first [`KEYS_MAX`].
fn distinct(keys: impl IntoIterator<Item = Vec<usize>>) -> Vec<Vec<usize>> {
    let mut distinct: Vec<Vec<usize>> = Vec::new();
    for key in keys {
        if distinct.len() == KEYS_MAX {
            break;
        }
        if !distinct.contains(&key) {
            distinct.push(key);
        }
    }
    distinct
}

/// The primary key, if all its columns are read.
fn primary_key(key: &[usize], columns: &[usize]) -> Vec<Vec<usize>> {
    let place = |key: &usize| columns.iter().position(|column| column == key);
    let key: Option<Vec<usize>> = key.iter().map(place).collect();
    key.filter(|key| !key.is_empty()).into_iter().collect()
}

/// The group's keys with any one window property; properties start at column `first`.
fn windowed(keys: usize, first: usize, properties: &[WindowProperty]) -> Vec<Vec<usize>> {
    let columns = first..first + properties.len();
    columns
        .map(|column| (0..keys).chain([column]).collect())
        .collect()
}

/// Keys of a Top-N: the partition if at most one row of it passes, and the partition with the rank if the rank is
/// output.
fn ranked(
    input: Vec<Vec<usize>>,
    partition: &[usize],
    range: RankRange,
    rank: Option<usize>,
    upsert: bool,
) -> Vec<Vec<usize>> {
    let mut found = input;
    if upsert {
        found.retain(|key| partition.iter().all(|column| key.contains(column)));
    }
    if range == (RankRange::Constant { from: 1, to: 1 }) {
        found.insert(0, sorted(partition.to_vec()));
    } else if let Some(rank) = rank {
        found.insert(0, sorted(partition.iter().copied().chain([rank]).collect()));
    }
    found
}

fn sorted(mut columns: Vec<usize>) -> Vec<usize> {
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// The keys of a projection that passes on all their columns.
fn through(key: &[usize], projections: &[Expr]) -> Option<Vec<usize>> {
    let place = |column: &usize| {
        projections
            .iter()
            .position(|e| injective_column(e) == Some(*column))
    };
    key.iter().map(place).collect::<Option<Vec<_>>>().map(sorted)
}

/// The column whose distinct values stay distinct in `expr`: the column itself, or its cast to a wider type.
fn injective_column(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Column { index, .. } => Some(*index),
        Expr::Cast { input, ty, .. } => {
            let from = input.ty();
            let widens = match (from.length(), ty.length()) {
                (Some(from_length), Some(length)) => {
                    from.is_character() && ty.is_character() && length >= from_length
                }
                _ => from.is_integer() && ty.is_integer(),
            };
            let is_implicit =
                typing::supports_implicit_cast(&from.with_nullable(true), &ty.with_nullable(true));
            (widens && is_implicit).then(|| injective_column(input)).flatten()
        }
        _ => None,
    }
}

fn joined(
    node: &Phys,
    inputs: &[Keys],
    kind: JoinKind,
    left_keys: &[usize],
    right_keys: &[usize],
    upsert: bool,
) -> Vec<Vec<usize>> {
    let ([left, right], [left_node, _]) = (inputs, node.inputs.as_slice()) else {
        return Vec::new();
    };
    let of = |keys: &Keys| {
        if upsert {
            keys.upsert.clone()
        } else {
            keys.unique.clone()
        }
    };
    let left_own = of(left);
    if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        return left_own;
    }
    let width = left_node.schema.len();
    let is_unique =
        |keys: &[Vec<usize>], by: &[usize]| keys.iter().any(|key| key.iter().all(|c| by.contains(c)));
    let right_own: Vec<Vec<usize>> = of(right)
        .iter()
        .map(|key| key.iter().map(|c| c + width).collect())
        .collect();
    let mut found = Vec::new();
    // A side that is unique by the join key adds at most one row to each row of the other side.
    if is_unique(&right.unique, right_keys) && !matches!(kind, JoinKind::Right | JoinKind::Full) {
        found.extend(left_own.clone());
    }
    if is_unique(&left.unique, left_keys) && !matches!(kind, JoinKind::Left | JoinKind::Full) {
        found.extend(right_own.clone());
    }
    let pairs = left_own.iter().flat_map(|l| {
        right_own
            .iter()
            .map(|r| sorted(l.iter().chain(r).copied().collect()))
    });
    distinct(found.into_iter().chain(pairs))
}
