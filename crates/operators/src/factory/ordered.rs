//! Ranks, deduplication, sorts and limits.

use millstream_dataflow::DataflowError;
use millstream_plan::{Op, RankKind, RankRange};
use millstream_types::TimeAttribute;

use super::{Builder, Factory, factory, operator_name, unsupported};
use crate::deduplicate::{Deduplicate, DeduplicateSpec, FirstArrival};
use crate::limit::Limit;
use crate::rank::bounded::{BoundedRank, BoundedRankSpec};
use crate::rank::window::WindowRank;
use crate::rank::{Rank, RankSpec, Strategy};
use crate::sort::Sort;
use crate::temporal_sort::TemporalSort;

impl Builder<'_> {
    pub(super) fn rank(&self) -> Result<Factory, DataflowError> {
        let Op::Rank {
            kind,
            partition,
            order,
            range,
            rank_output,
            bounded,
            window_end,
            ..
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is no rank"));
        };
        let bounded_spec = BoundedRankSpec {
            kind: *kind,
            types: self.types(0)?,
            partition: partition.clone(),
            order: order.clone(),
            range: *range,
            rank_output: *rank_output,
        };
        if *bounded {
            return Ok(factory(move |_| Ok(BoundedRank::new(bounded_spec.clone()))));
        }
        if let Some(window_end) = *window_end {
            let clock = self.clock(self.windows_are_local());
            return Ok(factory(move |_| {
                Ok(WindowRank::new(bounded_spec.clone(), window_end, clock.clone()))
            }));
        }
        self.streaming_rank()
    }

    pub(super) fn streaming_rank(&self) -> Result<Factory, DataflowError> {
        let Op::Rank {
            kind,
            partition,
            order,
            range,
            rank_output,
            update_before,
            retract_input,
            ttl_ms,
            ..
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is no rank"));
        };
        if *kind != RankKind::RowNumber {
            return Err(unsupported(
                "RANK and DENSE_RANK in a streaming Top-N; use ROW_NUMBER",
            ));
        }
        let spec = RankSpec {
            types: self.types(0)?,
            partition: partition.clone(),
            order: order.clone(),
            range: *range,
            rank_output: *rank_output,
            update_before: *update_before,
            strategy: self.strategy(*retract_input)?,
            ttl_ms: *ttl_ms,
        };
        Rank::new(spec.clone())?;
        Ok(factory(move |_| Rank::new(spec.clone())))
    }

    /// An input with updates that are not taken back first is known by its upsert key.
    pub(super) fn strategy(&self, retract_input: bool) -> Result<Strategy, DataflowError> {
        if retract_input {
            return Ok(Strategy::Retract);
        }
        let traits = &self.input(0)?.traits;
        Ok(match traits.upsert_keys.first() {
            Some(key) if traits.mode.update_after => Strategy::UpdateFast(key.clone()),
            _ => Strategy::Append,
        })
    }

    pub(super) fn deduplicate(&self) -> Result<Factory, DataflowError> {
        let Op::Deduplicate {
            keys,
            time,
            keep_last,
            event_time,
            update_before,
            ttl_ms,
            window_end,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is no deduplication"));
        };
        let types = self.types(0)?;
        if let Some(window_end) = *window_end {
            let clock = self.clock(self.windows_are_local());
            let spec = crate::rank::window::deduplicate_spec(&types, keys, *time, *keep_last);
            let keep_last = *keep_last;
            return Ok(factory(move |_| {
                Ok(WindowRank::new(spec.clone(), window_end, clock.clone()).last_of_equals(keep_last))
            }));
        }
        let spec = DeduplicateSpec {
            types,
            keys: keys.clone(),
            time: *time,
            keep_last: *keep_last,
            event_time: *event_time,
            update_before: *update_before,
            ttl_ms: *ttl_ms,
        };
        Deduplicate::new(spec.clone())?;
        if !*keep_last && !*event_time {
            return Ok(factory(move |_| FirstArrival::new(&spec)));
        }
        Ok(factory(move |_| Deduplicate::new(spec.clone())))
    }

    /// Sort, Limit and SortLimit.
    pub(super) fn ordered(&self) -> Result<Factory, DataflowError> {
        let types = self.types(0)?;
        let (order, offset, fetch, update_before, strategy) = match &self.node.op {
            Op::TemporalSort { keys } => {
                let keys = keys.clone();
                let attribute = keys
                    .first()
                    .and_then(|k| self.input(0).ok()?.schema.columns.get(k.column));
                let event_time = attribute.is_none_or(|c| c.ty.time_attribute() != TimeAttribute::Proctime);
                return Ok(factory(move |_| TemporalSort::new(&keys, &types, event_time)));
            }
            Op::Sort { keys } => {
                let keys = keys.clone();
                return Ok(factory(move |_| Sort::new(&keys, &types, 0, None)));
            }
            Op::SortLimit {
                keys,
                offset,
                fetch,
                bounded: true,
                ..
            } => {
                let (keys, offset, fetch) = (keys.clone(), *offset, *fetch);
                return Ok(factory(move |_| Sort::new(&keys, &types, offset, Some(fetch))));
            }
            Op::SortLimit {
                keys,
                offset,
                fetch,
                update_before,
                retract_input,
                ..
            } => (
                keys.clone(),
                *offset,
                *fetch,
                *update_before,
                self.strategy(*retract_input)?,
            ),
            Op::Limit {
                offset,
                fetch,
                update_before,
            } => {
                if self.input(0)?.traits.mode.is_insert_only() {
                    let (offset, fetch) = (*offset, *fetch);
                    return Ok(factory(move |_| Ok(Limit::new(offset, fetch))));
                }
                (
                    Vec::new(),
                    *offset,
                    fetch.unwrap_or(u64::MAX),
                    *update_before,
                    Strategy::Retract,
                )
            }
            other => return Err(unsupported(&operator_name(other))),
        };
        let range = RankRange::Constant {
            from: offset.saturating_add(1),
            to: offset.saturating_add(fetch),
        };
        let spec = RankSpec {
            types,
            partition: Vec::new(),
            order,
            range,
            rank_output: false,
            update_before,
            strategy,
            ttl_ms: 0,
        };
        Rank::new(spec.clone())?;
        Ok(factory(move |_| Rank::new(spec.clone())))
    }
}
