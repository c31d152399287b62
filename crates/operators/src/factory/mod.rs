//! From plan nodes to operators.
//!
//! Everything that can fail early (an unknown function, an expression that does not compile) fails here, on the thread
//! that submits the job; a factory then makes one operator for each instance. Scans, sinks, collectors and exchanges
//! are not operators: they are made by connectors and the engine.

mod joins;
mod ordered;
mod windows;

use std::sync::Arc;

use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, OperatorFactory, SourceFactory};
use millstream_functions::Environment;
use millstream_plan::{AggregateCall, Node, NodeId, Op, Plan};
use millstream_types::options::parse_duration;
use millstream_types::{ErrorKind, Options, Schema, arrow_type};

use crate::aggregate::AggregateSpec;
use crate::calc::Calc;
use crate::changelog_normalize::{ChangelogNormalize, NormalizeSpec};
use crate::expand::Expand;
use crate::expression::RowExpression;
use crate::group_aggregate::{GroupAggregate, GroupAggregateSpec};
use crate::match_recognize::MatchRecognize;
use crate::mini_batch::{BundleRows, Keys, MiniBatch, MiniBatchSpec};
use crate::sink_input::{SinkInput, SinkInputSpec};
use crate::union_all::{DropUpdateBefore, UnionAll};
use crate::values::ValuesFactory;
use crate::watermark_assigner::WatermarkAssigner;

/// The result of a factory function.
type Factory = Arc<dyn OperatorFactory>;

/// Creates the factory of a plan node's operator. The environment is the query's, with the session's time zone.
pub fn operator_factory(plan: &Plan, id: NodeId, env: &Environment) -> Result<Factory, DataflowError> {
    let node = plan.node(id);
    let builder = Builder { plan, node, env };
    match &node.op {
        Op::Calc { .. } | Op::Expand { .. } | Op::WatermarkAssigner { .. } => builder.row_wise(),
        Op::GroupAggregate { .. } => builder.group_aggregate(),
        Op::WindowAggregate { .. } => builder.window_aggregate(),
        Op::WindowTableFunction { window, partition } => builder.window_table_function(window, partition),
        Op::Rank { .. } => builder.rank(),
        Op::Deduplicate { .. } => builder.deduplicate(),
        Op::Sort { .. } | Op::Limit { .. } | Op::SortLimit { .. } => builder.ordered(),
        Op::Join { .. } => builder.join(),
        Op::IntervalJoin { .. } | Op::WindowJoin { .. } | Op::TemporalJoin { .. } => builder.timed_join(),
        Op::Over { .. } => builder.over(),
        Op::Match { .. } => builder.match_recognize(),
        Op::Correlate { .. } => builder.correlate(),
        Op::ChangelogNormalize { .. } => builder.changelog_normalize(),
        Op::TemporalSort { .. } => builder.ordered(),
        Op::UnionAll => Ok(factory(|_| Ok(UnionAll))),
        Op::DropUpdateBefore => Ok(factory(|_| Ok(DropUpdateBefore))),
        other => Err(unsupported(&format!("the operator {}", operator_name(other)))),
    }
}

/// The operator in front of a sink: constraints and materialisation; `None` if the sink needs neither.
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
        return Err(DataflowError::internal("the node is not a sink"));
    };
    let input = node.inputs.first().map(|input| &plan.node(*input).schema);
    let mut schema = input
        .cloned()
        .ok_or_else(|| DataflowError::internal("a sink has no input"))?;
    // Names and lengths are those declared by the table, not the query's.
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
    SinkInput::new(&spec, &Context::new(0, 1))?;
    Ok(Some(factory(move |context| SinkInput::new(&spec, context))))
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

/// The bundles that the configuration asks for. Planning has checked the values.
fn mini_batches(configuration: &Options) -> Option<MiniBatchSpec> {
    let value = |key: &str| configuration.get(key).map(|value| value.trim());
    if !value("table.exec.mini-batch.enabled").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return None;
    }
    let latency = value("table.exec.mini-batch.allow-latency").and_then(parse_duration)?;
    let rows: usize = value("table.exec.mini-batch.size")?.parse().ok()?;
    Some(MiniBatchSpec {
        rows: rows.max(1),
        latency_ms: i64::try_from(latency.as_millis()).unwrap_or(i64::MAX),
        content: BundleRows::All,
    })
}

/// Whether Flink aggregates before and after the exchange: all functions must be able to merge partial results.
fn allows_two_phases(configuration: &Options, calls: &[AggregateCall], retract: bool) -> bool {
    let strategy = configuration.get("table.optimizer.agg-phase-strategy");
    let merges = |call: &AggregateCall| match call.function.as_str() {
        "FIRST_VALUE" | "LAST_VALUE" => retract,
        "JSON_OBJECTAGG" | "JSON_ARRAYAGG" | "SINGLE_VALUE" => false,
        _ => true,
    };
    !strategy.is_some_and(|s| s.eq_ignore_ascii_case("ONE_PHASE")) && calls.iter().all(merges)
}

fn unsupported(what: &str) -> DataflowError {
    DataflowError::new(ErrorKind::Unsupported, format!("not supported yet: {what}"))
}

/// The variant's name in the plan.
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
            return Err(DataflowError::internal("the node is not a group aggregate"));
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
        GroupAggregate::new(spec.clone(), &Context::new(0, 1))?;
        if let Some(bundles) = mini_batches(&self.plan.configuration).filter(|_| !*bounded) {
            let has_phases = allows_two_phases(&self.plan.configuration, aggregates, *retract_input);
            let content = if has_phases {
                BundleRows::PartialResults(Keys(spec.keys.clone(), spec.key_types.clone()))
            } else {
                BundleRows::All
            };
            let bundles = MiniBatchSpec { content, ..bundles };
            return Ok(factory(move |context| {
                let inner = GroupAggregate::new(spec.clone(), context)?;
                Ok(MiniBatch::new(inner, bundles.clone()))
            }));
        }
        Ok(factory(move |context| GroupAggregate::new(spec.clone(), context)))
    }

    fn match_recognize(&self) -> Result<Factory, DataflowError> {
        let Op::Match { spec, event_time } = &self.node.op else {
            return Err(DataflowError::internal("the node is not a pattern"));
        };
        let (spec, types, event_time, env) = (spec.clone(), self.types(0)?, *event_time, self.env.clone());
        let make = move || MatchRecognize::new(&spec, types.clone(), event_time, &env);
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
            return Err(DataflowError::internal("the node is not a normalisation"));
        };
        let spec = NormalizeSpec {
            types: self.types(0)?,
            keys: keys.clone(),
            update_before: *update_before,
            ttl_ms: *ttl_ms,
        };
        let spec_types = spec.types.clone();
        let (condition, env) = (condition.clone(), self.env.clone());
        let make = move |context: &Context| {
            let condition = condition
                .as_ref()
                .map(|c| RowExpression::new(c, &env))
                .transpose()?;
            ChangelogNormalize::new(spec.clone(), condition, context)
        };
        make(&Context::new(0, 1))?;
        if let Some(bundles) = mini_batches(&self.plan.configuration) {
            let types = keys.iter().map(|key| spec_types[*key].clone()).collect();
            let content = BundleRows::Last(Keys(keys.clone(), types));
            let bundles = MiniBatchSpec { content, ..bundles };
            return Ok(factory(move |context| {
                Ok(MiniBatch::new(make(context)?, bundles.clone()))
            }));
        }
        Ok(factory(make))
    }
}
