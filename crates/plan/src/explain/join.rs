//! Joins on one line: the condition, and the unique keys of the inputs.

use millstream_types::LogicalType;

use super::Notation;
use super::expression::{Style, expression};
use super::names::joined;
use super::operator::{Attributes, Described};
use crate::expr::Expr;
use crate::node::{JoinKind, Op, TimeBounds};
use crate::table::TableSpec;

/// Joins, which read two inputs.
impl Described<'_> {
    pub(super) fn any_join(&self) -> Attributes {
        match self.op {
            Op::Join {
                kind,
                left_keys,
                right_keys,
                null_safe,
                condition,
                left_unique,
                right_unique,
                ..
            } => {
                let keys = (left_keys.as_slice(), right_keys.as_slice());
                let mut attributes = self.join(*kind, keys, null_safe, condition.as_ref());
                attributes.push(("leftInputSpec", unique_spec(left_unique.as_deref(), left_keys)));
                attributes.push(("rightInputSpec", unique_spec(right_unique.as_deref(), right_keys)));
                attributes
            }
            Op::IntervalJoin {
                kind,
                left_keys,
                right_keys,
                bounds,
                condition,
            } => {
                let mut attributes = self.join(*kind, (left_keys, right_keys), &[], condition.as_ref());
                attributes.insert(1, ("windowBounds", window_bounds(bounds)));
                attributes
            }
            Op::WindowJoin {
                kind,
                left_keys,
                right_keys,
                left_end,
                right_end,
                condition,
            } => {
                let mut attributes = self.join(*kind, (left_keys, right_keys), &[], condition.as_ref());
                let end = |side: usize, end: usize| {
                    let names = self.inputs.get(side).map_or(&[][..], |input| &input.names);
                    format!("win_end=[{}]", names.get(end).map_or("", String::as_str))
                };
                attributes.insert(0, ("rightWindow", end(1, *right_end)));
                attributes.insert(0, ("leftWindow", end(0, *left_end)));
                attributes
            }
            Op::TemporalJoin {
                kind,
                left_keys,
                right_keys,
                left_time,
                right_time,
                condition,
            } => {
                let both = self.both();
                let width = self.names().len();
                let name = |column: usize| both.get(column).cloned().unwrap_or_default();
                let keys = |columns: &[usize], shift: usize| {
                    columns
                        .iter()
                        .map(|column| name(column + shift))
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                let version = format!(
                    "__TEMPORAL_JOIN_CONDITION({}, {}, __TEMPORAL_JOIN_LEFT_KEY({}), __TEMPORAL_JOIN_RIGHT_KEY({}))",
                    name(*left_time),
                    name(right_time + width),
                    keys(left_keys, 0),
                    keys(right_keys, width)
                );
                self.join_with(
                    *kind,
                    (left_keys, right_keys),
                    &[],
                    condition.as_ref(),
                    Some(version),
                )
            }
            Op::LookupJoin {
                kind,
                table,
                columns,
                keys,
                condition,
            } => self.lookup(*kind, table, columns, keys, condition.as_ref()),
            _ => Vec::new(),
        }
    }

    /// Names of both inputs, left then right.
    fn both(&self) -> Vec<String> {
        match self.inputs {
            [left, right] => joined(&left.names, &right.names),
            _ => self.names().to_vec(),
        }
    }

    fn join(
        &self,
        kind: JoinKind,
        keys: (&[usize], &[usize]),
        null_safe: &[bool],
        condition: Option<&Expr>,
    ) -> Attributes {
        self.join_with(kind, keys, null_safe, condition, None)
    }

    fn join_with(
        &self,
        kind: JoinKind,
        (left_keys, right_keys): (&[usize], &[usize]),
        null_safe: &[bool],
        condition: Option<&Expr>,
        further: Option<String>,
    ) -> Attributes {
        let both = self.both();
        let width = self.names().len();
        let ty = LogicalType::BOOLEAN;
        let mut conditions: Vec<String> = Vec::new();
        for (i, (left, right)) in left_keys.iter().zip(right_keys).enumerate() {
            let is_null_safe = null_safe.get(i).copied().unwrap_or(false);
            let function = if is_null_safe { "IS NOT DISTINCT FROM" } else { "=" }.to_owned();
            let args = vec![
                Expr::column(*left, ty.clone()),
                Expr::column(width + right, ty.clone()),
            ];
            let equal = Expr::Call {
                function,
                args,
                ty: ty.clone(),
            };
            conditions.push(expression(&equal, Style::of(self.notation, &both)));
        }
        let rest: &[Expr] = match condition {
            Some(Expr::And(args)) => args,
            Some(other) => std::slice::from_ref(other),
            None => &[],
        };
        conditions.extend(
            rest.iter()
                .map(|c| expression(c, Style::of(self.notation, &both))),
        );
        conditions.extend(further);
        vec![
            ("joinType", join_type(kind).to_owned()),
            ("where", all_of(conditions, self.notation)),
            ("select", self.output.join(", ")),
        ]
    }

    fn lookup(
        &self,
        kind: JoinKind,
        table: &TableSpec,
        columns: &[usize],
        keys: &[(usize, usize)],
        condition: Option<&Expr>,
    ) -> Attributes {
        let looked_up = |column: usize| {
            let physical = columns.get(column).and_then(|c| table.physical.columns.get(*c));
            physical.map_or_else(|| format!("${column}"), |c| c.name.clone())
        };
        let keys = keys
            .iter()
            .map(|(left, right)| format!("{}={}", looked_up(*right), self.column(*left)));
        let mut attributes = vec![
            ("table", table.identifier.to_string()),
            ("joinType", join_type(kind).to_owned()),
            ("lookup", keys.collect::<Vec<_>>().join(", ")),
        ];
        attributes.extend(condition.map(|c| ("where", expression(c, Style::of(self.notation, self.output)))));
        attributes.push(("select", self.output.join(", ")));
        attributes
    }
}

fn all_of(mut conditions: Vec<String>, notation: Notation) -> String {
    match conditions.len() {
        0 => "true".to_owned(),
        1 => conditions.remove(0),
        _ if notation == Notation::Prefix => format!("AND({})", conditions.join(", ")),
        _ => format!("({})", conditions.join(" AND ")),
    }
}

fn join_type(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "InnerJoin",
        JoinKind::Left => "LeftOuterJoin",
        JoinKind::Right => "RightOuterJoin",
        JoinKind::Full => "FullOuterJoin",
        JoinKind::Semi => "LeftSemiJoin",
        JoinKind::Anti => "LeftAntiJoin",
    }
}

/// The unique key of an input, which decides how a join stores its rows.
fn unique_spec(unique: Option<&[usize]>, keys: &[usize]) -> String {
    let text = match unique {
        None => "NoUniqueKey",
        Some(unique) if unique.iter().all(|column| keys.contains(column)) => "JoinKeyContainsUniqueKey",
        Some(_) => "HasUniqueKey",
    };
    text.to_owned()
}

fn window_bounds(bounds: &TimeBounds) -> String {
    let TimeBounds {
        lower_ms,
        upper_ms,
        left_time,
        right_time,
        event_time,
    } = bounds;
    format!(
        "isRowTime={event_time}, leftLowerBound={lower_ms}, leftUpperBound={upper_ms}, leftTimeIndex={left_time}, \
         rightTimeIndex={right_time}"
    )
}
