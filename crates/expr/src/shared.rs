//! Common subexpressions: what several expressions over the same rows compute alike is computed once.
//!
//! A shared part becomes one more column behind the input's, so nothing else needs to know of it. A part is shared only
//! if some expression evaluates it for every row anyway; one that stands behind a condition must not be hoisted.

use millstream_functions::{Determinism, scalar_function};
use millstream_plan::Expr;

/// Shared parts of one projection; more are not looked for.
const SHARED_MAX: usize = 32;
/// Nodes of the expressions together above which sharing is not looked for: the search is quadratic.
const NODES_MAX: usize = 1_000;

/// Rewrites `exprs` so that what they share is read from columns `first_column..`, and returns the shared parts in the
/// order in which they must be evaluated. The first `certain` expressions are evaluated for every row.
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

/// The largest part that stands twice or more and is evaluated for every row at least once. Parts inside of it that are
/// shared further stay in it, which costs a little and keeps the order of evaluation trivial.
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

/// Parts that are evaluated whenever `expr` is.
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
