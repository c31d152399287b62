//! Tracks which columns of a relation are the start, end and time of which window.

use millstream_plan::{Expr, JoinKind, Op, WindowKind};
use millstream_types::{TimeAttribute, TypeKind};

use super::physical::Phys;
use crate::bind::config::PlannerConfig;
use crate::bind::logical::{Join, Rel, RelKind, conjuncts};

/// Columns that carry a window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowColumns {
    pub starts: Vec<usize>,
    pub ends: Vec<usize>,
    pub times: Vec<usize>,
    pub kind: WindowKind,
    /// Event time (fires by watermark) or processing time.
    pub event_time: bool,
    /// Cut in the session's local wall time.
    pub local_time: bool,
}

impl WindowColumns {
    pub fn contains(&self, column: usize) -> bool {
        [&self.starts, &self.ends, &self.times]
            .into_iter()
            .any(|columns| columns.contains(&column))
    }

    /// The window under a column mapping; `None` if no bound is left.
    fn mapped(&self, map: impl Fn(usize) -> Vec<usize>) -> Option<Self> {
        let all = |columns: &[usize]| columns.iter().flat_map(|c| map(*c)).collect::<Vec<_>>();
        let found = Self {
            starts: all(&self.starts),
            ends: all(&self.ends),
            times: all(&self.times),
            ..self.clone()
        };
        (!found.starts.is_empty() || !found.ends.is_empty()).then_some(found)
    }
}

/// The window columns of a relation's output, if any.
pub fn window_columns(rel: &Rel, config: &PlannerConfig) -> Option<WindowColumns> {
    match &rel.kind {
        RelKind::Window { time, kind, .. } => {
            let input = rel.input()?;
            let width = input.schema.len();
            let ty = &input.schema.columns[*time].ty;
            Some(WindowColumns {
                starts: vec![width],
                ends: vec![width + 1],
                times: vec![width + 2],
                kind: *kind,
                event_time: ty.time_attribute() != TimeAttribute::Proctime,
                local_time: matches!(ty.kind, TypeKind::TimestampLtz { .. }),
            })
        }
        RelKind::Project { exprs } => {
            let below = window_columns(rel.input()?, config)?;
            below.mapped(|column| {
                let is_column = |e: &Expr| matches!(e, Expr::Column { index, .. } if *index == column);
                exprs
                    .iter()
                    .enumerate()
                    .filter(|(_, e)| is_column(e))
                    .map(|(i, _)| i)
                    .collect()
            })
        }
        RelKind::Filter { .. } | RelKind::Over(_) | RelKind::Rank(_) | RelKind::Correlate { .. } => {
            window_columns(rel.input()?, config)
        }
        RelKind::Aggregate(aggregate) => {
            let below = window_columns(rel.input()?, config)?;
            let has = |columns: &[usize]| columns.iter().any(|c| aggregate.keys.contains(c));
            if !has(&below.starts) || !has(&below.ends) {
                return None;
            }
            below.mapped(|column| {
                aggregate
                    .keys
                    .iter()
                    .position(|key| *key == column)
                    .into_iter()
                    .collect()
            })
        }
        RelKind::Join(join) => {
            let [left, right] = rel.inputs.as_slice() else {
                return None;
            };
            joined_windows(join, left, right, config).map(|(left_window, right_window)| {
                let width = left.schema.len();
                let shift = |columns: &[usize]| columns.iter().map(|c| c + width).collect::<Vec<_>>();
                let mut both = left_window;
                // Both sides carry the same window, except a padded side.
                let pads_left = matches!(join.kind, JoinKind::Right | JoinKind::Full);
                let pads_right = matches!(join.kind, JoinKind::Left | JoinKind::Full);
                if pads_left {
                    (both.starts, both.ends, both.times) = (Vec::new(), Vec::new(), Vec::new());
                }
                if !pads_right && !matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
                    both.starts.extend(shift(&right_window.starts));
                    both.ends.extend(shift(&right_window.ends));
                    both.times.extend(shift(&right_window.times));
                }
                both
            })
        }
        _ => None,
    }
}

/// The windows of both sides, if the join's condition makes it a window join.
pub fn joined_windows(
    join: &Join,
    left: &Rel,
    right: &Rel,
    config: &PlannerConfig,
) -> Option<(WindowColumns, WindowColumns)> {
    if join.as_of.is_some() {
        return None;
    }
    let (left_window, right_window) = (window_columns(left, config)?, window_columns(right, config)?);
    if left_window.kind != right_window.kind || left_window.event_time != right_window.event_time {
        return None;
    }
    let width = left.schema.len();
    let conditions = conjuncts(join.condition.clone()?);
    let equates = |lefts: &[usize], rights: &[usize]| {
        conditions.iter().any(|condition| {
            window_pair(condition, width).is_some_and(|(l, r)| lefts.contains(&l) && rights.contains(&r))
        })
    };
    let starts = equates(&left_window.starts, &right_window.starts);
    let ends = equates(&left_window.ends, &right_window.ends);
    (starts && ends).then_some((left_window, right_window))
}

/// The left and right column of `left = right`.
pub fn window_pair(condition: &Expr, width: usize) -> Option<(usize, usize)> {
    let Expr::Call { function, args, .. } = condition else {
        return None;
    };
    let (true, [Expr::Column { index: a, .. }, Expr::Column { index: b, .. }]) =
        (function == "=", args.as_slice())
    else {
        return None;
    };
    let (left, right) = if a < b { (*a, *b) } else { (*b, *a) };
    (left < width && right >= width).then(|| (left, right - width))
}

/// Whether every source below the node has a watermark.
pub fn all_sources_have_watermarks(node: &Phys) -> bool {
    match &node.op {
        Op::Scan { watermark, .. } => watermark.is_some(),
        Op::WatermarkAssigner { .. } => true,
        Op::Values { .. } => false,
        _ => node.inputs.iter().all(all_sources_have_watermarks),
    }
}
