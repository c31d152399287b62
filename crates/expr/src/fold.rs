//! Replacing constant parts of an expression by their values while planning.
//!
//! Only deterministic functions are evaluated. A part whose evaluation fails stays as it is, so that the error comes at
//! run time, and only if a row reaches it.

use millstream_functions::{Determinism, Environment, scalar_function};
use millstream_plan::Expr;
use millstream_types::{LogicalType, Scalar, TypeKind};

use crate::node::CompiledExpr;

/// Digits that Flink's planner keeps of a folded FLOAT.
const FOLDED_FLOAT_DIGITS: usize = 7;

/// The expression with its constant parts computed.
pub fn fold(expr: &Expr, env: &Environment) -> Expr {
    expr.clone().transform_up(&mut |node| fold_node(node, env))
}

/// `node` has folded children.
fn fold_node(node: Expr, env: &Environment) -> Expr {
    match node {
        Expr::Column { .. } | Expr::Literal { .. } => node,
        Expr::And(args) => fold_logic(args, true),
        Expr::Or(args) => fold_logic(args, false),
        Expr::Case {
            branches,
            otherwise,
            ty,
        } => fold_case(branches, *otherwise, ty),
        Expr::Coalesce { args, ty } => fold_coalesce(args, ty),
        Expr::Call { .. } | Expr::Cast { .. } | Expr::Field { .. } => {
            if is_constant(&node) {
                evaluate(&node, env).unwrap_or(node)
            } else {
                node
            }
        }
    }
}

fn is_constant(node: &Expr) -> bool {
    let deterministic = match node {
        Expr::Call { function, .. } => {
            scalar_function(function).is_some_and(|found| found.determinism == Determinism::Always)
        }
        _ => true,
    };
    deterministic
        && node
            .children()
            .iter()
            .all(|child| matches!(child, Expr::Literal { .. }))
}

fn evaluate(node: &Expr, env: &Environment) -> Option<Expr> {
    let mut compiled = CompiledExpr::compile(node).ok()?;
    let value = compiled.eval(&[], 1, env).ok()?;
    let ty = node.ty();
    let value = shortened(Scalar::from_array(&ty, value.array(), 0));
    Some(literal(value, ty))
}

/// A FLOAT that was computed while planning keeps seven decimal digits, as in Flink.
fn shortened(value: Scalar) -> Scalar {
    match value {
        Scalar::Float(v) if v.is_finite() => {
            let text = format!("{:.*e}", FOLDED_FLOAT_DIGITS - 1, f64::from(v));
            // The largest values may round up beyond the type.
            Scalar::Float(text.parse().ok().filter(|v: &f32| v.is_finite()).unwrap_or(v))
        }
        other => other,
    }
}

fn literal(value: Scalar, ty: LogicalType) -> Expr {
    let ty = if value.is_null() {
        ty.with_nullable(true)
    } else {
        ty
    };
    Expr::Literal { value, ty }
}

/// AND if `neutral`, else OR: the neutral value drops out, the other one decides.
fn fold_logic(args: Vec<Expr>, neutral: bool) -> Expr {
    let truth = |arg: &Expr| match arg {
        Expr::Literal {
            value: Scalar::Boolean(value),
            ..
        } => Some(*value),
        _ => None,
    };
    if args.iter().any(|arg| truth(arg) == Some(!neutral)) {
        return boolean(!neutral);
    }
    let mut kept: Vec<Expr> = args
        .into_iter()
        .filter(|arg| truth(arg) != Some(neutral))
        .collect();
    if kept.len() > 1 && kept.iter().all(is_null_literal) {
        kept.truncate(1);
    }
    match kept.len() {
        0 => boolean(neutral),
        1 => kept.swap_remove(0),
        _ if neutral => Expr::And(kept),
        _ => Expr::Or(kept),
    }
}

fn boolean(value: bool) -> Expr {
    Expr::Literal {
        value: Scalar::Boolean(value),
        ty: LogicalType::not_null(TypeKind::Boolean),
    }
}

fn is_null_literal(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Literal {
            value: Scalar::Null,
            ..
        }
    )
}

fn fold_case(branches: Vec<(Expr, Expr)>, otherwise: Expr, ty: LogicalType) -> Expr {
    let mut kept = Vec::with_capacity(branches.len());
    let mut last = otherwise;
    for (condition, value) in branches {
        match condition {
            Expr::Literal {
                value: Scalar::Boolean(true),
                ..
            } => {
                last = value;
                break;
            }
            Expr::Literal { .. } => {}
            condition => kept.push((condition, value)),
        }
    }
    if kept.is_empty() {
        last
    } else {
        Expr::Case {
            branches: kept,
            otherwise: Box::new(last),
            ty,
        }
    }
}

fn fold_coalesce(args: Vec<Expr>, ty: LogicalType) -> Expr {
    let mut kept = Vec::with_capacity(args.len());
    for arg in args {
        if is_null_literal(&arg) {
            continue;
        }
        let decides = matches!(arg, Expr::Literal { .. });
        kept.push(arg);
        if decides {
            break;
        }
    }
    match kept.len() {
        0 => literal(Scalar::Null, ty),
        1 => kept.swap_remove(0),
        _ => Expr::Coalesce { args: kept, ty },
    }
}
