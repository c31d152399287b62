//! Windows and OVER.

use millstream_dataflow::{Context, DataflowError};
use millstream_plan::aggregate::WindowAssign;
use millstream_plan::{AggregateCall, Node, Op, Plan, WindowKind, WindowProperty, WindowSpec};
use millstream_types::LogicalType;

use super::{Builder, Factory, factory};
use crate::aggregate::AggregateSpec;
use crate::over::bounded::{BoundedOver, BoundedOverSpec};
use crate::over::frames::FrameSpec;
use crate::over::updating::{UpdatingOver, UpdatingOverSpec};
use crate::over::{Over, OverSpec};
use crate::window::assign::Slicing;
use crate::window::input::{WindowInput, WindowTime};
use crate::window::session::{SessionAggregate, SessionSpec};
use crate::window::session_rows::{SessionRows, SessionRowsSpec};
use crate::window::slice::SliceSpec;
use crate::window::table_function::WindowTableFunction;
use crate::window::wall_clock::WallClock;
use crate::window::{WindowAggregate, WindowAggregateSpec, WindowColumns};

impl Builder<'_> {
    pub(super) fn window_aggregate(&self) -> Result<Factory, DataflowError> {
        let Op::WindowAggregate {
            window,
            keys,
            aggregates,
            properties,
            retract_input,
            bounded,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is not a window aggregate"));
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
            SessionAggregate::new(spec.clone(), None)?;
            return Ok(factory(move |context| {
                SessionAggregate::new(spec.clone(), context.spill.as_ref())
            }));
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
        Ok(factory(move |context| {
            WindowAggregate::new(spec.clone(), context)
        }))
    }

    /// The wall clock of windows: the session's time zone if the time column is an instant.
    pub(super) fn clock(&self, local_time: bool) -> WallClock {
        if local_time {
            WallClock::of_zone(&self.env.zone)
        } else {
            WallClock::utc()
        }
    }

    /// Window columns are the last of the output.
    pub(super) fn window_columns(
        &self,
        properties: &[WindowProperty],
    ) -> Result<WindowColumns, DataflowError> {
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
    pub(super) fn window_input(
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

    pub(super) fn slices(
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
            space: None,
        })
    }

    pub(super) fn window_table_function(
        &self,
        window: &WindowSpec,
        partition: &[usize],
    ) -> Result<Factory, DataflowError> {
        let properties = [WindowProperty::Start, WindowProperty::End, WindowProperty::Time];
        if let WindowKind::Session { gap_ms } = window.kind {
            let spec = SessionRowsSpec {
                input: WindowInput {
                    time: window_time(window),
                    columns: Vec::new(),
                },
                types: self.types(0)?,
                partition: partition.to_vec(),
                gap_ms,
                event_time: window.event_time,
                clock: self.clock(window.local_time),
                properties: self.window_columns(&properties)?,
            };
            SessionRows::new(spec.clone())?;
            return Ok(factory(move |context| {
                Ok(SessionRows::new(spec.clone())?.spill_to(context.spill.as_ref()))
            }));
        }
        let slicing = Slicing::of(window.kind)
            .ok_or_else(|| DataflowError::internal("a window of this kind has no slices"))?;
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

    pub(super) fn over(&self) -> Result<Factory, DataflowError> {
        let Op::Over {
            partition,
            order,
            rows,
            preceding,
            following,
            event_time,
            calls,
            bounded,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is not an OVER window"));
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
                following: *following,
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
            UpdatingOver::new(spec.clone(), &Context::new(0, 1))?;
            return Ok(factory(move |context| UpdatingOver::new(spec.clone(), context)));
        };
        let spec = OverSpec {
            types,
            partition,
            time: key.column,
            event_time,
            frame,
        };
        Over::new(spec.clone())?;
        Ok(factory(move |context| {
            Ok(Over::new(spec.clone())?.spill_to(context.spill.as_ref()))
        }))
    }

    /// Whether the upstream windows follow local time.
    pub(super) fn windows_are_local(&self) -> bool {
        fn search(plan: &Plan, node: &Node) -> bool {
            match &node.op {
                Op::WindowAggregate { window, .. } | Op::WindowTableFunction { window, .. } => {
                    window.local_time
                }
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
