//! Ranks, deduplication, sorts and limits.

use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError};
use millstream_plan::{Op, RankKind, RankRange, SortKey};
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
            return Err(DataflowError::internal("the node is not a rank"));
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
            return Ok(factory(move |context| {
                let rank = WindowRank::new(bounded_spec.clone(), window_end, clock.clone());
                Ok(rank.spill_to(context.spill.as_ref()))
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
            return Err(DataflowError::internal("the node is not a rank"));
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
        Rank::check(&spec)?;
        Ok(factory(move |context| Rank::new(spec.clone(), context)))
    }

    /// Rows of an input with updates but without retractions are identified by the upsert key.
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
            return Err(DataflowError::internal("the node is not a deduplication"));
        };
        let types = self.types(0)?;
        if let Some(window_end) = *window_end {
            let clock = self.clock(self.windows_are_local());
            let spec = crate::rank::window::deduplicate_spec(&types, keys, *time, *keep_last);
            let keep_last = *keep_last;
            return Ok(factory(move |context| {
                let rank =
                    WindowRank::new(spec.clone(), window_end, clock.clone()).spill_to(context.spill.as_ref());
                Ok(rank.last_of_equals(keep_last))
            }));
        }
        let spec = DeduplicateSpec {
            types,
            keys: keys.clone(),
            time: *time,
            keep_last: *keep_last,
            event_time: *event_time,
            update_before: *update_before,
            insert_only: self.input(0)?.traits.mode.is_insert_only(),
            ttl_ms: *ttl_ms,
        };
        Deduplicate::new(spec.clone(), &Context::new(0, 1))?;
        if !*keep_last && !*event_time {
            return Ok(factory(move |context| FirstArrival::new(&spec, context)));
        }
        Ok(factory(move |context| Deduplicate::new(spec.clone(), context)))
    }

    fn temporal_sort(&self, keys: &[SortKey], types: Vec<DataType>) -> Result<Factory, DataflowError> {
        let keys = keys.to_vec();
        let attribute = keys
            .first()
            .and_then(|k| self.input(0).ok()?.schema.columns.get(k.column));
        let event_time = attribute.is_none_or(|c| c.ty.time_attribute() != TimeAttribute::Proctime);
        Ok(factory(move |context| {
            let sort = TemporalSort::new(&keys, &types, event_time)?;
            Ok(sort.spill_to(context.spill.as_ref()))
        }))
    }

    /// Sort, Limit and SortLimit.
    pub(super) fn ordered(&self) -> Result<Factory, DataflowError> {
        let types = self.types(0)?;
        let (order, offset, fetch, update_before, strategy) = match &self.node.op {
            Op::TemporalSort { keys } => return self.temporal_sort(keys, types),
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
        Rank::check(&spec)?;
        Ok(factory(move |context| Rank::new(spec.clone(), context)))
    }
}
