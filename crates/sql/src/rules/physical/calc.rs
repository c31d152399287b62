//! Projections and filters as one operator, merged with a calc below.

use millstream_plan::{Expr, Op};
use millstream_types::{LogicalType, Schema, TimeAttribute};

use super::Phys;
use crate::bind::logical::{and_all, conjuncts};
use crate::rules::filter::{is_cheap, is_movable, substitute};
use crate::rules::fold::{is_false, is_true};

/// Projects (and filters) the input; names come from `names`.
pub fn calc(input: Phys, projections: Vec<Expr>, condition: Option<Expr>, names: &Schema) -> Phys {
    let condition = condition.filter(|c| !is_true(c)).map(with_plain_arguments);
    let projections: Vec<Expr> = projections.into_iter().map(with_plain_arguments).collect();
    let types: Vec<LogicalType> = projections
        .iter()
        .map(|expr| physical_type(expr, &input.schema))
        .collect();
    let schema = Schema::new(names.columns.iter().map(|c| c.name.clone()).zip(types));
    if condition.is_none() && identity(&projections, &input.schema) {
        return renamed(input, schema);
    }
    if let Some((below, inner, inner_condition)) = mergeable(&input, &projections, condition.as_ref()) {
        let (below, inner, inner_condition) = (below.clone(), inner.to_vec(), inner_condition.cloned());
        let substituted = |e: Expr| with_plain_arguments(substitute(e, &inner));
        let projections: Vec<Expr> = projections.into_iter().map(substituted).collect();
        let outer = condition.map(substituted);
        let conditions: Vec<Expr> = inner_condition
            .into_iter()
            .chain(outer)
            .flat_map(conjuncts)
            .collect();
        let known: Vec<(usize, i64)> = conditions.iter().filter_map(equality).collect();
        let projections = projections.into_iter().map(|e| decided(e, &known)).collect();
        let condition = and_all(conditions);
        return Phys::new(
            Op::Calc {
                projections,
                condition,
            },
            vec![below],
            schema,
        );
    }
    let (input, condition) = into_normalisation(input, condition);
    if condition.is_none() && identity(&projections, &input.schema) {
        return renamed(input, schema);
    }
    Phys::new(
        Op::Calc {
            projections,
            condition,
        },
        vec![input],
        schema,
    )
}

/// Moves a condition into the normalisation below: a row that begins to satisfy it is an insertion there, and one that
/// no longer does is a deletion. What reads only the key is checked before the exchange.
fn into_normalisation(mut input: Phys, condition: Option<Expr>) -> (Phys, Option<Expr>) {
    let Op::ChangelogNormalize {
        keys,
        condition: within @ None,
        ..
    } = &mut input.op
    else {
        return (input, condition);
    };
    let (movable, above): (Vec<Expr>, Vec<Expr>) =
        condition.into_iter().flat_map(conjuncts).partition(is_movable);
    let (of_key, of_row): (Vec<Expr>, Vec<Expr>) = movable
        .into_iter()
        .partition(|c| c.columns().iter().all(|column| keys.contains(column)));
    *within = and_all(of_row);
    if let (Some(of_key), [exchange]) = (and_all(of_key), input.inputs.as_mut_slice()) {
        let is_exchange = matches!(exchange.op, Op::Exchange { .. });
        let place = match exchange.inputs.first_mut() {
            Some(below) if is_exchange => below,
            _ => exchange,
        };
        let below = std::mem::replace(place, Phys::new(Op::UnionAll, Vec::new(), Schema::default()));
        *place = filter(below, of_key);
    }
    (input, and_all(above))
}

/// `column = integer`.
fn equality(condition: &Expr) -> Option<(usize, i64)> {
    let Expr::Call { function, args, .. } = condition else {
        return None;
    };
    match args.as_slice() {
        [Expr::Column { index, ty }, Expr::Literal { value, .. }]
        | [Expr::Literal { value, .. }, Expr::Column { index, ty }]
            if function == "=" && ty.is_integer() =>
        {
            Some((*index, value.as_i64()?))
        }
        _ => None,
    }
}

/// Substitutes known column values: behind a filter on the kind of an event, a CASE over the kind reduces to one
/// branch.
fn decided(expr: Expr, known: &[(usize, i64)]) -> Expr {
    if known.is_empty() {
        return expr;
    }
    expr.transform_up(&mut |expr| match expr {
        Expr::Case {
            branches,
            otherwise,
            ty,
        } => decided_case(branches, otherwise, ty, known),
        other => other,
    })
}

fn decided_case(
    branches: Vec<(Expr, Expr)>,
    otherwise: Box<Expr>,
    ty: LogicalType,
    known: &[(usize, i64)],
) -> Expr {
    let truth = |condition: &Expr| {
        let (column, value) = equality(condition)?;
        let is = known.iter().find(|(known, _)| *known == column)?;
        Some(is.1 == value)
    };
    let mut open = branches
        .iter()
        .filter(|(condition, _)| truth(condition) != Some(false));
    let first = match open.next() {
        None => Some(otherwise.as_ref()),
        Some((condition, value)) => (truth(condition) == Some(true)).then_some(value),
    };
    match first {
        Some(value) if value.ty().kind == ty.kind => value.clone(),
        _ => Expr::Case {
            branches,
            otherwise,
            ty,
        },
    }
}

/// The expression with plain columns as arguments: inside a call, a time attribute is an ordinary timestamp.
fn with_plain_arguments(expr: Expr) -> Expr {
    expr.map_children(&mut |child| match child {
        Expr::Column { index, ty } => Expr::Column {
            index,
            ty: ty.without_time_attribute(),
        },
        other => with_plain_arguments(other),
    })
}

/// The rows of the input where the condition is TRUE.
pub fn filter(input: Phys, condition: Expr) -> Phys {
    if is_true(&condition) {
        return input;
    }
    if is_false(&condition) && input.inputs.is_empty() && matches!(input.op, Op::Values { .. }) {
        return Phys {
            op: Op::Values { rows: Vec::new() },
            ..input
        };
    }
    let schema = input.schema.clone();
    let projections = schema
        .columns
        .iter()
        .enumerate()
        .map(|(i, c)| Expr::column(i, c.ty.clone()))
        .collect();
    calc(input, projections, Some(condition), &schema)
}

/// Whether the projections are the input's columns in order.
pub fn identity(projections: &[Expr], input: &Schema) -> bool {
    let is_column = |(i, e): (usize, &Expr)| matches!(e, Expr::Column { index, .. } if *index == i);
    projections.len() == input.len() && projections.iter().enumerate().all(is_column)
}

/// Renames the input's columns. A scan or an exchange keeps its own names, which have no meaning there.
fn renamed(input: Phys, schema: Schema) -> Phys {
    Phys { schema, ..input }
}

/// Types with the time attributes that the engine still tracks.
fn physical_type(expr: &Expr, input: &Schema) -> LogicalType {
    match expr {
        Expr::Column { index, ty } => {
            let attribute = input
                .columns
                .get(*index)
                .map_or(TimeAttribute::None, |c| c.ty.time_attribute());
            ty.with_time_attribute(attribute)
        }
        Expr::Call { function, ty, .. } if function == "PROCTIME" => ty.clone(),
        other => other.ty().without_time_attribute(),
    }
}

type Parts<'p> = (&'p Phys, &'p [Expr], Option<&'p Expr>);

/// The parts of a calc below that can be merged into this one, without computing anything expensive or random twice.
fn mergeable<'p>(input: &'p Phys, projections: &[Expr], condition: Option<&Expr>) -> Option<Parts<'p>> {
    let Op::Calc {
        projections: inner,
        condition: inner_condition,
    } = &input.op
    else {
        return None;
    };
    let [below] = input.inputs.as_slice() else {
        return None;
    };
    let mut uses = vec![0usize; inner.len()];
    for expr in projections.iter().chain(condition) {
        expr.visit(&mut |e| {
            if let Expr::Column { index, .. } = e
                && let Some(count) = uses.get_mut(*index)
            {
                *count += 1;
            }
        });
    }
    let fits = inner.iter().zip(&uses).all(|(expr, uses)| {
        is_cheap(expr) || *uses == 0 || (*uses == 1 && is_movable(expr)) || is_proctime(expr)
    });
    let conditions_commute = inner_condition.is_none() || condition.is_none_or(is_movable);
    (fits && conditions_commute).then_some((below, inner.as_slice(), inner_condition.as_ref()))
}

fn is_proctime(expr: &Expr) -> bool {
    matches!(expr, Expr::Call { function, .. } if function == "PROCTIME")
}
