//! From plan nodes to operators.
//!
//! Everything that can fail early (an unknown function, an expression that does not compile) fails here, on the thread
//! that submits the job; a factory then makes one operator for each instance. Scans, sinks, collectors and exchanges
//! are not operators: they are made by connectors and the engine.

use std::sync::Arc;

use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, OperatorFactory, SourceFactory};
use millstream_functions::Environment;
use millstream_plan::aggregate::WindowAssign;
use millstream_plan::{
    AggregateCall, Expr, Node, NodeId, Op, Plan, RankKind, RankRange, TimeBounds, WindowKind, WindowProperty,
    WindowSpec,
};
use millstream_types::{ErrorKind, LogicalType, Schema, TimeAttribute, arrow_type};

use crate::aggregate::AggregateSpec;
use crate::calc::Calc;
use crate::changelog_normalize::{ChangelogNormalize, NormalizeSpec};
use crate::correlate::{Unnest, UnnestSpec};
use crate::deduplicate::{Deduplicate, DeduplicateSpec, FirstArrival};
use crate::expand::Expand;
use crate::expression::RowExpression;
use crate::group_aggregate::{GroupAggregate, GroupAggregateSpec};
use crate::join::bounded::BoundedJoin;
use crate::join::interval::{IntervalJoin, IntervalJoinSpec};
use crate::join::temporal::TemporalJoin;
use crate::join::window::WindowJoin;
use crate::join::{Join, JoinSpec, SideSpec};
use crate::limit::Limit;
use crate::over::bounded::{BoundedOver, BoundedOverSpec};
use crate::over::frames::FrameSpec;
use crate::over::updating::{UpdatingOver, UpdatingOverSpec};
use crate::over::{Over, OverSpec};
use crate::rank::bounded::{BoundedRank, BoundedRankSpec};
use crate::rank::window::WindowRank;
use crate::rank::{Rank, RankSpec, Strategy};
use crate::sink_input::{SinkInput, SinkInputSpec};
use crate::sort::Sort;
use crate::temporal_sort::TemporalSort;
use crate::union_all::{DropUpdateBefore, UnionAll};
use crate::values::ValuesFactory;
use crate::watermark_assigner::WatermarkAssigner;
use crate::window::assign::Slicing;
use crate::window::input::{WindowInput, WindowTime};
use crate::window::session::{SessionAggregate, SessionSpec};
use crate::window::slice::SliceSpec;
use crate::window::table_function::WindowTableFunction;
use crate::window::wall_clock::WallClock;
use crate::window::{WindowAggregate, WindowAggregateSpec, WindowColumns};

/// What a factory function gives.
type Factory = Arc<dyn OperatorFactory>;

/// The factory of the operator of a plan node. The environment is the query's, with the session's zone.
pub fn operator_factory(plan: &Plan, id: NodeId, env: &Environment) -> Result<Factory, DataflowError> {
    let node = plan.node(id);
    let builder = Builder { plan, node, env };
    match &node.op {
        Op::Calc { .. } | Op::Expand { .. } | Op::WatermarkAssigner { .. } => builder.row_wise(),
        Op::GroupAggregate { .. } => builder.group_aggregate(),
        Op::WindowAggregate { .. } => builder.window_aggregate(),
        Op::WindowTableFunction { window } => builder.window_table_function(window),
        Op::Rank { .. } => builder.rank(),
        Op::Deduplicate { .. } => builder.deduplicate(),
        Op::Sort { .. } | Op::Limit { .. } | Op::SortLimit { .. } => builder.ordered(),
        Op::Join { .. } => builder.join(),
        Op::IntervalJoin { .. } | Op::WindowJoin { .. } | Op::TemporalJoin { .. } => builder.timed_join(),
        Op::Over { .. } => builder.over(),
        Op::Correlate { .. } => builder.correlate(),
        Op::ChangelogNormalize { .. } => builder.changelog_normalize(),
        Op::TemporalSort { .. } => builder.ordered(),
        Op::UnionAll => Ok(factory(|_| Ok(UnionAll))),
        Op::DropUpdateBefore => Ok(factory(|_| Ok(DropUpdateBefore))),
        other => Err(unsupported(&format!("the operator {}", operator_name(other)))),
    }
}

/// What stands before a sink: constraints and materialisation; `None` if the sink needs nothing.
pub fn sink_input(plan: &Plan, id: NodeId) -> Result<Option<Factory>, DataflowError> {
    let node = plan.node(id);
    let Op::Sink {
        table,
        columns,
        materialize,
        not_null,
        not_null_drop,
        length_enforcer,
        ..
    } = &node.op
    else {
        return Err(DataflowError::internal("the node is no sink"));
    };
    let input = node.inputs.first().map(|input| &plan.node(*input).schema);
    let mut schema = input
        .cloned()
        .ok_or_else(|| DataflowError::internal("a sink has no input"))?;
    // The declared names and lengths are the table's, not the query's.
    for (column, declared) in schema.columns.iter_mut().zip(columns) {
        if let Some(declared) = table.physical.columns.get(*declared) {
            *column = declared.clone();
        }
    }
    let key = |key: &usize| columns.iter().position(|column| column == key);
    let keys: Option<Vec<usize>> = table.primary_key.iter().map(key).collect();
    let spec = SinkInputSpec {
        schema,
        not_null: not_null.clone(),
        not_null_drop: *not_null_drop,
        lengths: *length_enforcer,
        materialize: keys.filter(|keys| *materialize && !keys.is_empty()),
    };
    if !spec.is_needed() {
        return Ok(None);
    }
    SinkInput::new(&spec)?;
    Ok(Some(factory(move |_| SinkInput::new(&spec))))
}

/// The source of constant rows.
pub fn values_source(rows: &[Vec<millstream_types::Scalar>], schema: &Schema) -> Arc<dyn SourceFactory> {
    Arc::new(ValuesFactory::new(rows, schema))
}

fn factory<O: Operator + 'static>(
    make: impl Fn(&Context) -> Result<O, DataflowError> + Send + Sync + 'static,
) -> Factory {
    Arc::new(move |context: &Context| Ok(Box::new(make(context)?) as Box<dyn Operator>))
}

fn unsupported(what: &str) -> DataflowError {
    DataflowError::new(ErrorKind::Unsupported, format!("not supported yet: {what}"))
}

/// The variant's name, as it stands in the plan.
fn operator_name(op: &Op) -> String {
    let text = format!("{op:?}");
    match op {
        Op::Unsupported { name } => name.clone(),
        _ => text.split([' ', '(', '{']).next().unwrap_or_default().to_owned(),
    }
}

struct Builder<'a> {
    plan: &'a Plan,
    node: &'a Node,
    env: &'a Environment,
}

impl Builder<'_> {
    fn input(&self, port: usize) -> Result<&Node, DataflowError> {
        let id = self.node.inputs.get(port);
        let id = id.ok_or_else(|| DataflowError::internal(format!("a plan node has no input {port}")))?;
        Ok(self.plan.node(*id))
    }

    /// Arrow types of an input's columns.
    fn types(&self, port: usize) -> Result<Vec<DataType>, DataflowError> {
        Ok(self.input(port)?.schema.types().map(arrow_type).collect())
    }

    fn row_wise(&self) -> Result<Factory, DataflowError> {
        let (env, inputs) = (self.env.clone(), self.input(0)?.schema.len());
        match &self.node.op {
            Op::Calc {
                projections,
                condition,
            } => {
                let (projections, condition) = (projections.clone(), condition.clone());
                let make = move || Calc::new(&projections, condition.as_ref(), inputs, &env);
                make()?;
                Ok(factory(move |_| make()))
            }
            Op::Expand { projects } => {
                let projects = projects.clone();
                let make = move || Expand::new(&projects, inputs, &env);
                make()?;
                Ok(factory(move |_| make()))
            }
            Op::WatermarkAssigner {
                rowtime,
                expr,
                interval_ms,
            } => {
                let (rowtime, expr, interval_ms) = (*rowtime, expr.clone(), *interval_ms);
                let make = move || WatermarkAssigner::new(rowtime, &expr, interval_ms, &env);
                make()?;
                Ok(factory(move |_| make()))
            }
            other => Err(unsupported(&operator_name(other))),
        }
    }

    fn group_aggregate(&self) -> Result<Factory, DataflowError> {
        let Op::GroupAggregate {
            keys,
            aggregates,
            update_before,
            retract_input,
            bounded,
            ttl_ms,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is no group aggregate"));
        };
        let types = self.types(0)?;
        let spec = GroupAggregateSpec {
            key_types: keys.iter().map(|k| types[*k].clone()).collect(),
            keys: keys.clone(),
            aggregates: AggregateSpec::new(aggregates, *retract_input)?,
            update_before: *update_before,
            retract_input: *retract_input,
            bounded: *bounded,
            ttl_ms: *ttl_ms,
        };
        GroupAggregate::new(spec.clone())?;
        Ok(factory(move |_| GroupAggregate::new(spec.clone())))
    }

    fn window_aggregate(&self) -> Result<Factory, DataflowError> {
        let Op::WindowAggregate {
            window,
            keys,
            aggregates,
            properties,
            retract_input,
            bounded,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is no window aggregate"));
        };
        let clock = self.clock(window.local_time);
        let properties = self.window_columns(properties)?;
        let is_attached = matches!(window.assign, WindowAssign::Attached { .. });
        let slicing = Slicing::of(window.kind);
        if let (WindowKind::Session { gap_ms }, false) = (window.kind, is_attached) {
            let slices = self.slices(keys, aggregates, *retract_input, true)?;
            let (event_time, bounded) = (window.event_time, *bounded);
            let input = self.window_input(window, keys, aggregates, *retract_input)?;
            let spec = SessionSpec {
                input,
                slices,
                gap_ms,
                event_time,
                clock,
                properties,
                bounded,
            };
            SessionAggregate::new(spec.clone())?;
            return Ok(factory(move |_| SessionAggregate::new(spec.clone())));
        }
        if slicing.is_none() && !is_attached {
            return Err(DataflowError::internal("the sizes of a window are not positive"));
        }
        let slicing = slicing.filter(|_| !is_attached);
        let is_hop = slicing.is_some_and(|s| !s.is_tumble() && !s.cumulate);
        let spec = WindowAggregateSpec {
            input: self.window_input(window, keys, aggregates, *retract_input)?,
            slices: self.slices(keys, aggregates, *retract_input, *retract_input || is_hop)?,
            slicing,
            event_time: window.event_time,
            clock,
            properties,
            bounded: *bounded,
        };
        Ok(factory(move |_| Ok(WindowAggregate::new(spec.clone()))))
    }

    /// The wall clock of windows: the session's if the time column is an instant.
    fn clock(&self, local_time: bool) -> WallClock {
        if local_time {
            WallClock::of_zone(&self.env.zone)
        } else {
            WallClock::utc()
        }
    }

    /// Window columns stand last in the output.
    fn window_columns(&self, properties: &[WindowProperty]) -> Result<WindowColumns, DataflowError> {
        let types: Vec<&LogicalType> = self.node.schema.types().collect();
        let first = types.len().checked_sub(properties.len());
        let first =
            first.ok_or_else(|| DataflowError::internal("a window operator has too few output columns"))?;
        Ok(WindowColumns(
            properties
                .iter()
                .copied()
                .zip(types[first..].iter().map(|ty| (*ty).clone()))
                .collect(),
        ))
    }

    /// Keys first, then the columns that the aggregates read.
    fn window_input(
        &self,
        window: &WindowSpec,
        keys: &[usize],
        aggregates: &[AggregateCall],
        retract: bool,
    ) -> Result<WindowInput, DataflowError> {
        let mut columns = keys.to_vec();
        columns.extend(AggregateSpec::new(aggregates, retract)?.columns());
        Ok(WindowInput {
            time: window_time(window),
            columns,
        })
    }

    fn slices(
        &self,
        keys: &[usize],
        aggregates: &[AggregateCall],
        retract: bool,
        count_rows: bool,
    ) -> Result<SliceSpec, DataflowError> {
        let types = self.types(0)?;
        let spec = AggregateSpec::new(aggregates, retract)?;
        let read = spec.columns();
        let place = |column: usize| keys.len() + read.iter().position(|c| *c == column).unwrap_or(0);
        let key_types = keys.iter().map(|k| types[*k].clone()).collect();
        Ok(SliceSpec {
            key_types,
            aggregates: spec.remap(place),
            count_rows,
        })
    }

    fn window_table_function(&self, window: &WindowSpec) -> Result<Factory, DataflowError> {
        let slicing =
            Slicing::of(window.kind).ok_or_else(|| unsupported("SESSION windows without an aggregate"))?;
        let properties = [WindowProperty::Start, WindowProperty::End, WindowProperty::Time];
        let function = WindowTableFunction {
            input: WindowInput {
                time: window_time(window),
                columns: Vec::new(),
            },
            slicing,
            clock: self.clock(window.local_time),
            properties: self.window_columns(&properties)?,
        };
        Ok(factory(move |_| Ok(function.clone())))
    }

    fn rank(&self) -> Result<Factory, DataflowError> {
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

    fn streaming_rank(&self) -> Result<Factory, DataflowError> {
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
    fn strategy(&self, retract_input: bool) -> Result<Strategy, DataflowError> {
        if retract_input {
            return Ok(Strategy::Retract);
        }
        let traits = &self.input(0)?.traits;
        Ok(match traits.upsert_keys.first() {
            Some(key) if traits.mode.update_after => Strategy::UpdateFast(key.clone()),
            _ => Strategy::Append,
        })
    }

    fn deduplicate(&self) -> Result<Factory, DataflowError> {
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
    fn ordered(&self) -> Result<Factory, DataflowError> {
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

    fn join(&self) -> Result<Factory, DataflowError> {
        let Op::Join {
            kind,
            left_keys,
            right_keys,
            null_safe,
            condition,
            left_unique,
            right_unique,
            bounded,
            left_ttl_ms,
            right_ttl_ms,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is no join"));
        };
        let side = |port, keys: &[usize], unique: &Option<Vec<usize>>, ttl_ms: i64| {
            Ok::<_, DataflowError>(SideSpec {
                types: self.types(port)?,
                keys: keys.to_vec(),
                unique: unique.clone(),
                ttl_ms,
            })
        };
        let spec = JoinSpec {
            kind: *kind,
            left: side(0, left_keys, left_unique, *left_ttl_ms)?,
            right: side(1, right_keys, right_unique, *right_ttl_ms)?,
            null_safe: null_safe.clone(),
            condition: condition.clone(),
            env: self.env.clone(),
        };
        if *bounded {
            BoundedJoin::new(spec.clone())?;
            return Ok(factory(move |_| BoundedJoin::new(spec.clone())));
        }
        Join::new(spec.clone())?;
        Ok(factory(move |_| Join::new(spec.clone())))
    }

    /// Joins that wait for time.
    fn timed_join(&self) -> Result<Factory, DataflowError> {
        let side = |port, keys: &[usize]| {
            Ok::<_, DataflowError>(SideSpec {
                types: self.types(port)?,
                keys: keys.to_vec(),
                unique: None,
                ttl_ms: 0,
            })
        };
        let spec = |kind, left: &[usize], right: &[usize], condition: &Option<Expr>| {
            Ok::<_, DataflowError>(JoinSpec {
                kind,
                left: side(0, left)?,
                right: side(1, right)?,
                null_safe: vec![false; left.len()],
                condition: condition.clone(),
                env: self.env.clone(),
            })
        };
        match &self.node.op {
            Op::IntervalJoin {
                kind,
                left_keys,
                right_keys,
                bounds,
                condition,
            } => {
                let spec = IntervalJoinSpec {
                    kind: *kind,
                    types: [self.types(0)?, self.types(1)?],
                    keys: [left_keys.clone(), right_keys.clone()],
                    bounds: self.own_columns(*bounds)?,
                    condition: condition.clone(),
                    env: self.env.clone(),
                };
                IntervalJoin::new(spec.clone())?;
                Ok(factory(move |_| IntervalJoin::new(spec.clone())))
            }
            Op::WindowJoin {
                kind,
                left_keys,
                right_keys,
                left_end,
                right_end,
                condition,
            } => {
                let spec = spec(*kind, left_keys, right_keys, condition)?;
                let ends = [*left_end, *right_end];
                let clock = self.clock(self.windows_are_local());
                WindowJoin::new(spec.clone(), ends, clock.clone())?;
                Ok(factory(move |_| {
                    WindowJoin::new(spec.clone(), ends, clock.clone())
                }))
            }
            Op::TemporalJoin {
                kind,
                left_keys,
                right_keys,
                left_time,
                right_time,
                condition,
            } => {
                let spec = spec(*kind, left_keys, right_keys, condition)?;
                let right_types: Vec<LogicalType> = self.input(1)?.schema.types().cloned().collect();
                let (left_time, right_time) = (*left_time, *right_time);
                let make = move || TemporalJoin::new(spec.clone(), left_time, right_time, &right_types);
                make()?;
                Ok(factory(move |_| make()))
            }
            other => Err(unsupported(&operator_name(other))),
        }
    }

    /// Time columns of an interval join, each as a position in its own input.
    fn own_columns(&self, bounds: TimeBounds) -> Result<TimeBounds, DataflowError> {
        let width = self.input(0)?.schema.len();
        let is_joined = bounds.right_time >= self.input(1)?.schema.len();
        Ok(TimeBounds {
            right_time: bounds.right_time - if is_joined { width } else { 0 },
            ..bounds
        })
    }

    fn over(&self) -> Result<Factory, DataflowError> {
        let Op::Over {
            partition,
            order,
            rows,
            preceding,
            event_time,
            calls,
            bounded,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is no OVER window"));
        };
        let (types, partition) = (self.types(0)?, partition.clone());
        let frame = FrameSpec {
            rows: *rows,
            preceding: *preceding,
            calls: calls.clone(),
        };
        if *bounded {
            let spec = BoundedOverSpec {
                types,
                partition,
                order: order.clone(),
                frame,
            };
            BoundedOver::new(spec.clone())?;
            return Ok(factory(move |_| BoundedOver::new(spec.clone())));
        }
        let (Some(event_time), Some(key)) = (*event_time, order.first()) else {
            let order = order.clone();
            let spec = UpdatingOverSpec {
                types,
                partition,
                order,
                frame,
            };
            UpdatingOver::new(spec.clone())?;
            return Ok(factory(move |_| UpdatingOver::new(spec.clone())));
        };
        let spec = OverSpec {
            types,
            partition,
            time: key.column,
            event_time,
            frame,
        };
        Over::new(spec.clone())?;
        Ok(factory(move |_| Over::new(spec.clone())))
    }

    fn correlate(&self) -> Result<Factory, DataflowError> {
        let Op::Correlate {
            function,
            args,
            outer,
            condition,
            output,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is no table function"));
        };
        let (function, args, outer) = (function.clone(), args.clone(), *outer);
        let (condition, output, env) = (condition.clone(), output.clone(), self.env.clone());
        let make = move || {
            let spec = UnnestSpec {
                function: &function,
                args: &args,
                outer,
                condition: condition.as_ref(),
                output: &output,
            };
            Unnest::new(&spec, &env)
        };
        make()?;
        Ok(factory(move |_| make()))
    }

    fn changelog_normalize(&self) -> Result<Factory, DataflowError> {
        let Op::ChangelogNormalize {
            keys,
            update_before,
            condition,
            ttl_ms,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is no normalisation"));
        };
        let spec = NormalizeSpec {
            types: self.types(0)?,
            keys: keys.clone(),
            update_before: *update_before,
            ttl_ms: *ttl_ms,
        };
        let (condition, env) = (condition.clone(), self.env.clone());
        let make = move || {
            let condition = condition
                .as_ref()
                .map(|c| RowExpression::new(c, &env))
                .transpose()?;
            ChangelogNormalize::new(spec.clone(), condition)
        };
        make()?;
        Ok(factory(move |_| make()))
    }

    /// Whether the windows of the rows below were cut in local time.
    fn windows_are_local(&self) -> bool {
        fn search(plan: &Plan, node: &Node) -> bool {
            match &node.op {
                Op::WindowAggregate { window, .. } | Op::WindowTableFunction { window } => window.local_time,
                _ => node.inputs.iter().any(|input| search(plan, plan.node(*input))),
            }
        }
        search(self.plan, self.node)
    }
}

fn window_time(window: &WindowSpec) -> WindowTime {
    match window.assign {
        WindowAssign::Attached { start, end } => WindowTime::Attached {
            start,
            end,
            slicing: Slicing::of(window.kind),
        },
        WindowAssign::TimeColumn(_) if !window.event_time => WindowTime::Clock,
        WindowAssign::TimeColumn(column) => WindowTime::Column(column),
    }
}
