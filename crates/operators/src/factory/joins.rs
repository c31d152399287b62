//! Joins and table functions.

use millstream_dataflow::{Context, DataflowError};
use millstream_plan::{Expr, Op, TimeBounds};

use super::{Builder, Factory, factory, operator_name, unsupported};
use crate::correlate::{Unnest, UnnestSpec};
use crate::join::bounded::BoundedJoin;
use crate::join::interval::{IntervalJoin, IntervalJoinSpec};
use crate::join::temporal::TemporalJoin;
use crate::join::window::WindowJoin;
use crate::join::{Join, JoinSpec, SideSpec};
use crate::replicate_rows::{self, ReplicateRows};

impl Builder<'_> {
    pub(super) fn join(&self) -> Result<Factory, DataflowError> {
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
            return Err(DataflowError::internal("the node is not a join"));
        };
        let spec = JoinSpec {
            kind: *kind,
            left: self.join_side(0, left_keys, left_unique.as_ref(), *left_ttl_ms)?,
            right: self.join_side(1, right_keys, right_unique.as_ref(), *right_ttl_ms)?,
            null_safe: null_safe.clone(),
            condition: condition.clone(),
            env: self.env.clone(),
        };
        if *bounded {
            BoundedJoin::new(spec.clone())?;
            return Ok(factory(move |_| BoundedJoin::new(spec.clone())));
        }
        Join::new(spec.clone(), &Context::new(0, 1))?;
        Ok(factory(move |context| Join::new(spec.clone(), context)))
    }

    fn join_side(
        &self,
        port: usize,
        keys: &[usize],
        unique: Option<&Vec<usize>>,
        ttl_ms: i64,
    ) -> Result<SideSpec, DataflowError> {
        Ok(SideSpec {
            types: self.types(port)?,
            keys: keys.to_vec(),
            unique: unique.cloned(),
            by_content: unique.is_none() && !self.input(port)?.traits.mode.is_insert_only(),
            ttl_ms,
        })
    }

    /// Joins that wait for the watermark.
    pub(super) fn timed_join(&self) -> Result<Factory, DataflowError> {
        let spec = |kind, left: &[usize], right: &[usize], condition: &Option<Expr>| {
            Ok::<_, DataflowError>(JoinSpec {
                kind,
                left: self.join_side(0, left, None, 0)?,
                right: self.join_side(1, right, None, 0)?,
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
                IntervalJoin::new(spec.clone(), &Context::new(0, 1))?;
                Ok(factory(move |context| IntervalJoin::new(spec.clone(), context)))
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
                Ok(factory(move |context| {
                    let join = WindowJoin::new(spec.clone(), ends, clock.clone())?;
                    Ok(join.spill_to(context.spill.as_ref()))
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
                let (left_time, right_time) = (*left_time, *right_time);
                let make = move || TemporalJoin::new(spec.clone(), left_time, right_time);
                make()?;
                Ok(factory(move |context| {
                    Ok(make()?.spill_to(context.spill.as_ref()))
                }))
            }
            other => Err(unsupported(&operator_name(other))),
        }
    }

    /// Time columns of an interval join, each as a position in its own input.
    pub(super) fn own_columns(&self, bounds: TimeBounds) -> Result<TimeBounds, DataflowError> {
        let width = self.input(0)?.schema.len();
        let is_joined = bounds.right_time >= self.input(1)?.schema.len();
        Ok(TimeBounds {
            right_time: bounds.right_time - if is_joined { width } else { 0 },
            ..bounds
        })
    }

    pub(super) fn correlate(&self) -> Result<Factory, DataflowError> {
        let Op::Correlate {
            function,
            args,
            outer,
            condition,
            output,
        } = &self.node.op
        else {
            return Err(DataflowError::internal("the node is not a table function"));
        };
        let (function, args, outer) = (function.clone(), args.clone(), *outer);
        let (condition, output, env) = (condition.clone(), output.clone(), self.env.clone());
        if function == replicate_rows::NAME {
            ReplicateRows::new(&args, &env)?;
            return Ok(factory(move |_| ReplicateRows::new(&args, &env)));
        }
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
}
