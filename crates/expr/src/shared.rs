//! Common subexpression elimination across several expressions over the same rows.
//!
//! A shared subexpression becomes one more column after the input's columns, so the evaluator needs no special case. A
//! subexpression is shared only if some expression evaluates it for every row anyway; one that a condition guards must
//! not be hoisted.

use millstream_functions::{Determinism, scalar_function};
use millstream_plan::Expr;

/// Maximum number of shared subexpressions in a projection.
const SHARED_MAX: usize = 32;
/// Total number of nodes above which the search is skipped, because it is quadratic.
const NODES_MAX: usize = 1_000;

/// Rewrites `exprs` to read shared subexpressions from columns `first_column..`, and returns these subexpressions in
/// evaluation order. The first `certain` expressions are evaluated for every row.
pub(crate) fn extract(exprs: &mut [Expr], certain: usize, first_column: usize) -> Vec<Expr> {
    let mut shared: Vec<Expr> = Vec::new();
    if exprs.iter().map(size).sum::<usize>() > NODES_MAX {
        return shared;
    }
    while shared.len() < SHARED_MAX {
        let Some(part) = largest_shared(exprs, certain) else {
            break;
        };
        let column = Expr::column(first_column + shared.len(), part.ty());
        for expr in exprs.iter_mut() {
            *expr = replace(expr.clone(), &part, &column);
        }
        shared.push(part);
    }
    shared
}

/// The largest subexpression that occurs at least twice and is evaluated for every row at least once. Smaller
/// subexpressions inside it are not shared further; this costs little and keeps the evaluation order trivial.
fn largest_shared(exprs: &[Expr], certain: usize) -> Option<Expr> {
    let mut parts: Vec<&Expr> = Vec::new();
    exprs
        .iter()
        .take(certain)
        .for_each(|expr| collect_certain(expr, &mut parts));
    parts.retain(|part| is_worth_sharing(part));
    let mut best: Option<(&Expr, usize)> = None;
    for part in parts {
        let part_size = size(part);
        if best.is_some_and(|(_, best_size)| best_size >= part_size) {
            continue;
        }
        if exprs.iter().map(|expr| count(expr, part)).sum::<usize>() > 1 {
            best = Some((part, part_size));
        }
    }
    best.map(|(part, _)| part.clone())
}

/// The subexpressions that are evaluated whenever `expr` is.
fn collect_certain<'e>(expr: &'e Expr, found: &mut Vec<&'e Expr>) {
    found.push(expr);
    match expr {
        Expr::And(args) | Expr::Or(args) | Expr::Coalesce { args, .. } => {
            args.first()
                .into_iter()
                .for_each(|first| collect_certain(first, found));
        }
        Expr::Case { branches, .. } => {
            branches
                .first()
                .into_iter()
                .for_each(|(condition, _)| collect_certain(condition, found));
        }
        _ => expr
            .children()
            .into_iter()
            .for_each(|child| collect_certain(child, found)),
    }
}

fn is_worth_sharing(expr: &Expr) -> bool {
    if matches!(
        expr,
        Expr::Column { .. } | Expr::Literal { .. } | Expr::Field { .. }
    ) {
        return false;
    }
    let mut repeatable = true;
    expr.visit(&mut |part| {
        if let Expr::Call { function, .. } = part {
            repeatable &= scalar_function(function).is_some_and(|f| f.determinism != Determinism::Never);
        }
    });
    repeatable && !expr.columns().is_empty()
}

fn size(expr: &Expr) -> usize {
    1 + expr.children().into_iter().map(size).sum::<usize>()
}

fn count(expr: &Expr, part: &Expr) -> usize {
    if expr == part {
        return 1;
    }
    expr.children().into_iter().map(|child| count(child, part)).sum()
}

fn replace(expr: Expr, part: &Expr, by: &Expr) -> Expr {
    if &expr == part {
        return by.clone();
    }
    expr.map_children(&mut |child| replace(child, part, by))
}
