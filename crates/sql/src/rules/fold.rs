//! Constant folding: evaluates constant expressions and removes conditions that are always TRUE or FALSE.

use millstream_plan::{AggregateCall, Expr};
use millstream_types::Scalar;

use crate::bind::config::PlannerConfig;
use crate::bind::logical::{Rel, RelKind};

/// Folds all expressions of a relation.
pub fn fold_rel(rel: Rel, config: &PlannerConfig) -> Rel {
    let Rel { kind, inputs, schema } = rel;
    let inputs: Vec<Rel> = inputs.into_iter().map(|input| fold_rel(input, config)).collect();
    let kind = match kind {
        RelKind::Project { exprs } => RelKind::Project {
            exprs: exprs.into_iter().map(|expr| fold(expr, config)).collect(),
        },
        RelKind::Filter { condition } => {
            let condition = fold(condition, config);
            if is_true(&condition)
                && let [input] = inputs.as_slice()
            {
                return input.clone();
            }
            RelKind::Filter { condition }
        }
        RelKind::Values { rows } => {
            let fold_row = |row: Vec<Expr>| row.into_iter().map(|expr| fold(expr, config)).collect();
            RelKind::Values {
                rows: rows.into_iter().map(fold_row).collect(),
            }
        }
        RelKind::Aggregate(aggregate)
            if aggregate.keys.is_empty()
                && aggregate.window.is_none()
                && aggregate.sets.len() == 1
                && !aggregate.set_id
                && inputs.iter().all(is_empty) =>
        {
            let result = |call: &AggregateCall| {
                if call.result.nullable {
                    Expr::literal(Scalar::Null, call.result.clone())
                } else {
                    Expr::literal(Scalar::BigInt(0), call.result.clone())
                }
            };
            let all_known = |call: &AggregateCall| call.result.nullable || call.function == "COUNT";
            if aggregate.calls.iter().all(all_known) {
                let rows = vec![aggregate.calls.iter().map(result).collect()];
                return Rel::new(RelKind::Values { rows }, Vec::new(), schema);
            }
            RelKind::Aggregate(aggregate)
        }
        RelKind::Join(mut join) => {
            join.condition = join
                .condition
                .map(|condition| fold(condition, config))
                .filter(|c| !is_true(c));
            RelKind::Join(join)
        }
        RelKind::Correlate {
            function,
            args,
            outer,
            condition,
        } => RelKind::Correlate {
            function,
            args: args.into_iter().map(|expr| fold(expr, config)).collect(),
            outer,
            condition: condition
                .map(|condition| fold(condition, config))
                .filter(|c| !is_true(c)),
        },
        other => other,
    };
    Rel { kind, inputs, schema }
}

/// Whether a relation is empty by definition.
fn is_empty(rel: &Rel) -> bool {
    match &rel.kind {
        RelKind::Filter { condition } => is_false(condition) || rel.inputs.iter().all(is_empty),
        RelKind::Project { .. } => rel.inputs.iter().all(is_empty),
        RelKind::Values { rows } => rows.is_empty(),
        _ => false,
    }
}

/// Folds the constant parts of an expression.
pub fn fold(expr: Expr, config: &PlannerConfig) -> Expr {
    millstream_expr::fold(&expr, &config.environment)
}

pub fn is_true(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Literal {
            value: Scalar::Boolean(true),
            ..
        }
    )
}

pub fn is_false(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Literal {
            value: Scalar::Boolean(false),
            ..
        }
    )
}
