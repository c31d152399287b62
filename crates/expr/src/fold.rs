//! Constant folding at planning time.
//!
//! Only deterministic functions are folded. A subexpression whose evaluation fails is left in place, so that the error
//! occurs at run time and only if a row reaches it.

use millstream_functions::{Determinism, Environment, scalar_function};
use millstream_plan::Expr;
use millstream_types::{LogicalType, Scalar, TypeKind, arrow_type};

use crate::node::CompiledExpr;

/// Significant digits that Flink's planner keeps of a folded FLOAT.
const FOLDED_FLOAT_DIGITS: usize = 7;

/// Replaces constant subexpressions by their values.
pub fn fold(expr: &Expr, env: &Environment) -> Expr {
    expr.clone().transform_up(&mut |node| fold_node(node, env))
}

/// Folds a node whose children are already folded.
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
            if let Some(rewritten) = row_equality(&node).or_else(|| self_comparison(&node)) {
                rewritten
            } else if is_constant(&node) {
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

/// A FLOAT that is folded keeps seven decimal digits, as in Flink.
fn shortened(value: Scalar) -> Scalar {
    match value {
        Scalar::Float(v) if v.is_finite() => {
            let text = format!("{:.*e}", FOLDED_FLOAT_DIGITS - 1, f64::from(v));
            // The largest values can round up to infinity.
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

/// Rewrites `ROW(a, b) = ROW(c, d)` to `a = c AND b = d` as Flink's planner does: a NULL field makes the result NULL,
/// not FALSE.
/// At least one side must be a row constructor; row columns are compared as whole values.
fn row_equality(node: &Expr) -> Option<Expr> {
    let Expr::Call { function, args, .. } = node else {
        return None;
    };
    let [left, right] = args.as_slice() else {
        return None;
    };
    if function != "=" || !(is_row_constructor(left) || is_row_constructor(right)) {
        return None;
    }
    let (left, right) = (row_parts(left)?, row_parts(right)?);
    let equal = |(a, b): (Expr, Expr)| {
        let ty = LogicalType::BOOLEAN.with_nullable(a.ty().nullable || b.ty().nullable);
        Expr::Call {
            function: "=".to_owned(),
            args: vec![a, b],
            ty,
        }
    };
    let mut equalities: Vec<Expr> = left.into_iter().zip(right).map(equal).collect();
    Some(if equalities.len() == 1 {
        equalities.swap_remove(0)
    } else {
        Expr::And(equalities)
    })
}

/// `x = x` is TRUE wherever `x` is not NULL. This includes NaN, although a comparison at run time finds NaN unequal to
/// itself.
fn self_comparison(node: &Expr) -> Option<Expr> {
    let Expr::Call { function, args, .. } = node else {
        return None;
    };
    let [left, right] = args.as_slice() else {
        return None;
    };
    let holds = match function.as_str() {
        "=" | "<=" | ">=" => true,
        "<>" | "<" | ">" => false,
        _ => return None,
    };
    if left != right
        || !left.ty().is_approximate()
        || matches!(left, Expr::Literal { .. })
        || !is_repeatable(left)
    {
        return None;
    }
    let test = |name: &str| Expr::Call {
        function: name.to_owned(),
        args: vec![left.clone()],
        ty: LogicalType::not_null(TypeKind::Boolean),
    };
    let unknown = literal(Scalar::Null, LogicalType::BOOLEAN);
    Some(if holds {
        Expr::Or(vec![test("IS NOT NULL"), unknown])
    } else {
        Expr::And(vec![test("IS NULL"), unknown])
    })
}

fn is_repeatable(expr: &Expr) -> bool {
    let mut repeatable = true;
    expr.visit(&mut |part| {
        if let Expr::Call { function, .. } = part {
            repeatable &= scalar_function(function).is_some_and(|f| f.determinism != Determinism::Never);
        }
    });
    repeatable
}

fn is_row_constructor(expr: &Expr) -> bool {
    match expr {
        Expr::Call { function, .. } => function == "ROW",
        Expr::Cast { input, .. } => is_row_constructor(input),
        _ => false,
    }
}

/// The fields of a row constructor, in the types of the row.
fn row_parts(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Call { function, args, .. } if function == "ROW" => Some(args.clone()),
        Expr::Literal {
            value: Scalar::Row(values),
            ty,
        } => {
            let types = ty.children().into_iter().cloned();
            Some(
                values
                    .iter()
                    .cloned()
                    .zip(types)
                    .map(|(value, ty)| literal(value, ty))
                    .collect(),
            )
        }
        Expr::Cast {
            input,
            ty,
            safe: false,
        } => {
            let cast = |(part, ty): (Expr, &LogicalType)| {
                let same = part.ty().kind == ty.kind;
                if same {
                    part
                } else {
                    Expr::Cast {
                        input: Box::new(part),
                        ty: ty.clone(),
                        safe: false,
                    }
                }
            };
            Some(
                row_parts(input)?
                    .into_iter()
                    .zip(ty.children())
                    .map(cast)
                    .collect(),
            )
        }
        _ => None,
    }
}

/// Folds AND if `neutral` is TRUE, otherwise OR: the neutral value drops out, the other value decides.
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
    if kept.is_empty() && arrow_type(&last.ty()) == arrow_type(&ty) {
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
