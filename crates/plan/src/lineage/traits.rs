//! What the state of each kind of operator depends on.
//!
//! Add a new field of an operator here only if another value of the field makes existing state unusable.

use crate::aggregate::AggregateCall;
use crate::expr::Expr;
use crate::node::{Op, RankRange, SortKey};

use super::{Tracer, Trait, expression, shorten};

impl Tracer<'_> {
    /// Empty for operators without state.
    pub(super) fn traits(&self) -> Vec<Trait> {
        match self.op() {
            Op::Scan { table, limit, .. } => {
                let connector = table.options.get("connector").cloned().unwrap_or_default();
                let mut traits = vec![("table", table.identifier.to_string()), ("connector", connector)];
                traits.extend(limit.map(|limit| ("limit", limit.to_string())));
                traits
            }
            Op::Values { .. } => vec![("rows", self.rows(&[]))],
            Op::Sink {
                table, materialize, ..
            } => {
                let connector = table.options.get("connector").cloned().unwrap_or_default();
                let mut traits = vec![("table", table.identifier.to_string()), ("connector", connector)];
                if *materialize {
                    traits.push(("primary key", format!("{:?}", table.primary_key)));
                    traits.push(("columns", self.all_typed(0)));
                }
                traits
            }
            Op::GroupAggregate { .. } | Op::WindowAggregate { .. } | Op::WindowTableFunction { .. } => {
                self.grouping_traits()
            }
            Op::Join { .. } | Op::IntervalJoin { .. } | Op::WindowJoin { .. } | Op::TemporalJoin { .. } => {
                self.join_traits()
            }
            Op::Calc { .. }
            | Op::WatermarkAssigner { .. }
            | Op::Expand { .. }
            | Op::UnionAll
            | Op::DropUpdateBefore
            | Op::Exchange { .. }
            | Op::Correlate { .. }
            | Op::LookupJoin { .. }
            | Op::Collect
            | Op::Unsupported { .. } => Vec::new(),
            _ => self.row_traits(),
        }
    }

    fn grouping_traits(&self) -> Vec<Trait> {
        let input = self.input_columns();
        let rows = ("rows", self.input_rows(0).to_owned());
        match self.op() {
            Op::GroupAggregate {
                keys,
                aggregates,
                retract_input,
                bounded,
                ..
            } => vec![
                ("keys", self.typed_list(0, keys)),
                ("aggregates", aggregates_text(aggregates, &input)),
                rows,
                ("input mode", mode_text(*retract_input, *bounded)),
            ],
            Op::WindowAggregate {
                window,
                keys,
                aggregates,
                retract_input,
                bounded,
                ..
            } => vec![
                ("window", self.window_text(window)),
                ("keys", self.typed_list(0, keys)),
                ("aggregates", aggregates_text(aggregates, &input)),
                rows,
                ("input mode", mode_text(*retract_input, *bounded)),
            ],
            Op::WindowTableFunction { window, partition } => vec![
                ("window", self.window_text(window)),
                ("keys", self.typed_list(0, partition)),
                ("columns", self.all_typed(0)),
                rows,
            ],
            _ => Vec::new(),
        }
    }

    fn join_traits(&self) -> Vec<Trait> {
        let input = self.input_columns();
        let (kind, left_keys, right_keys, condition, bounds) = match self.op() {
            Op::Join {
                kind,
                left_keys,
                right_keys,
                null_safe,
                condition,
                left_unique,
                right_unique,
                bounded,
                ..
            } => {
                let bounds = format!("{null_safe:?} {left_unique:?} {right_unique:?} {bounded}");
                (kind, left_keys, right_keys, condition, bounds)
            }
            Op::IntervalJoin {
                kind,
                left_keys,
                right_keys,
                bounds,
                condition,
            } => {
                let text = format!(
                    "{} between {} and {} ms of {}",
                    self.typed(0, bounds.left_time),
                    bounds.lower_ms,
                    bounds.upper_ms,
                    self.typed(1, bounds.right_time)
                );
                (kind, left_keys, right_keys, condition, text)
            }
            Op::WindowJoin {
                kind,
                left_keys,
                right_keys,
                left_end,
                right_end,
                condition,
            } => {
                let text = format!("{} = {}", self.typed(0, *left_end), self.typed(1, *right_end));
                (kind, left_keys, right_keys, condition, text)
            }
            Op::TemporalJoin {
                kind,
                left_keys,
                right_keys,
                left_time,
                right_time,
                condition,
            } => {
                let text = format!("{} of {}", self.typed(0, *left_time), self.typed(1, *right_time));
                (kind, left_keys, right_keys, condition, text)
            }
            _ => return Vec::new(),
        };
        vec![
            ("kind", format!("{kind:?}")),
            ("left keys", self.typed_list(0, left_keys)),
            ("right keys", self.typed_list(1, right_keys)),
            ("condition", condition_text(condition.as_ref(), &input)),
            ("bounds", bounds),
            ("left columns", self.all_typed(0)),
            ("right columns", self.all_typed(1)),
            ("left rows", self.input_rows(0).to_owned()),
            ("right rows", self.input_rows(1).to_owned()),
        ]
    }

    /// Traits of operators that keep rows.
    fn row_traits(&self) -> Vec<Trait> {
        let input = self.input_columns();
        let mut traits = match self.op() {
            Op::Rank { .. } | Op::Deduplicate { .. } => self.ranking_traits(),
            Op::Sort { keys } | Op::TemporalSort { keys } => vec![("order", self.order_text(keys))],
            Op::Limit { offset, fetch, .. } => vec![("range", format!("{offset} {fetch:?}"))],
            Op::SortLimit {
                keys,
                offset,
                fetch,
                retract_input,
                bounded,
                ..
            } => vec![
                ("order", self.order_text(keys)),
                ("range", format!("{offset} {fetch}")),
                ("input mode", mode_text(*retract_input, *bounded)),
            ],
            Op::Over {
                partition,
                order,
                rows,
                preceding,
                following,
                event_time,
                calls,
                bounded,
            } => vec![
                ("keys", self.typed_list(0, partition)),
                ("order", self.order_text(order)),
                (
                    "frame",
                    format!("rows: {rows}, {preceding:?} to {following:?}, event time: {event_time:?}"),
                ),
                ("aggregates", aggregates_text(calls, &input)),
                ("input mode", mode_text(false, *bounded)),
            ],
            Op::Match { spec, event_time } => vec![
                ("keys", self.typed_list(0, &spec.partition)),
                ("order", self.order_text(&spec.order)),
                ("pattern", shorten(format!("{spec:?} event time: {event_time}"))),
            ],
            Op::ChangelogNormalize { keys, condition, .. } => vec![
                ("keys", self.typed_list(0, keys)),
                ("condition", condition_text(condition.as_ref(), &input)),
            ],
            _ => Vec::new(),
        };
        traits.push(("columns", self.all_typed(0)));
        traits.push(("rows", self.input_rows(0).to_owned()));
        traits
    }

    /// Traits of operators that keep some rows of each key.
    fn ranking_traits(&self) -> Vec<Trait> {
        match self.op() {
            Op::Rank {
                kind,
                partition,
                order,
                range,
                retract_input,
                bounded,
                window_end,
                ..
            } => {
                let range = match range {
                    RankRange::Constant { from, to } => format!("{from} to {to}"),
                    RankRange::Variable { column } => format!("to {}", self.typed(0, *column)),
                };
                vec![
                    ("keys", self.typed_list(0, partition)),
                    ("order", self.order_text(order)),
                    ("ranks", format!("{kind:?} {range}")),
                    ("window", self.optional(*window_end)),
                    ("input mode", mode_text(*retract_input, *bounded)),
                ]
            }
            Op::Deduplicate {
                keys,
                time,
                keep_last,
                event_time,
                window_end,
                ..
            } => vec![
                ("keys", self.typed_list(0, keys)),
                (
                    "time",
                    format!("{} event time: {event_time}", self.typed(0, *time)),
                ),
                ("row", if *keep_last { "last" } else { "first" }.to_owned()),
                ("window", self.optional(*window_end)),
            ],
            _ => Vec::new(),
        }
    }

    fn optional(&self, column: Option<usize>) -> String {
        column.map_or_else(|| "none".to_owned(), |column| self.typed(0, column))
    }

    fn order_text(&self, keys: &[SortKey]) -> String {
        let text = |key: &SortKey| {
            let direction = if key.ascending { "ASC" } else { "DESC" };
            let nulls = if key.nulls_first { "FIRST" } else { "LAST" };
            format!("{} {direction} NULLS {nulls}", self.typed(0, key.column))
        };
        keys.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

fn condition_text(condition: Option<&Expr>, input: &[String]) -> String {
    condition.map_or_else(|| "none".to_owned(), |condition| expression(condition, input))
}

fn mode_text(retracts: bool, bounded: bool) -> String {
    let changes = if retracts { "changes" } else { "appends" };
    format!("{changes}{}", if bounded { ", bounded" } else { "" })
}

fn aggregates_text(calls: &[AggregateCall], input: &[String]) -> String {
    let texts: Vec<String> = calls.iter().map(|call| aggregate_text(call, input)).collect();
    texts.join(", ")
}

/// An aggregate call with the lineage of its arguments.
pub(super) fn aggregate_text(call: &AggregateCall, input: &[String]) -> String {
    let column = |index: &usize| input.get(*index).map_or("?", String::as_str);
    let args: Vec<String> = call
        .args
        .iter()
        .zip(&call.arg_types)
        .map(|(arg, ty)| format!("{} {}", column(arg), super::type_text(ty)))
        .collect();
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    let mut text = match args.as_slice() {
        [] => format!("{}(*)", call.function),
        args => format!("{}({distinct}{})", call.function, args.join(", ")),
    };
    if !call.parameters.is_empty() {
        text.push_str(&format!(" WITH {:?}", call.parameters));
    }
    if !call.order_by.is_empty() {
        let order: Vec<String> = call
            .order_by
            .iter()
            .map(|(index, ascending)| format!("{} {ascending}", column(index)))
            .collect();
        text.push_str(&format!(" ORDER BY {}", order.join(", ")));
    }
    if let Some(filter) = &call.filter {
        text.push_str(&format!(" FILTER {}", column(filter)));
    }
    shorten(text)
}
