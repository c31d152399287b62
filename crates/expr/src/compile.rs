//! Compiles an expression into the tree that evaluates it.

use millstream_functions::cast::Cast;
use millstream_functions::{CallCache, EvalError, scalar_function};
use millstream_plan::Expr;
use millstream_types::{LogicalType, arrow_type};

use crate::choice::Branch;
use crate::node::{Call, Lazy, Node};

/// Functions that are cheap and never fail: evaluating all rows costs less than selecting some of them.
const CHEAP_AND_SAFE: &[&str] = &[
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "NEG",
    "NOT",
    "IN",
    "IS NULL",
    "IS NOT NULL",
    "IS TRUE",
    "IS NOT TRUE",
    "IS FALSE",
    "IS NOT FALSE",
    "IS UNKNOWN",
    "IS NOT UNKNOWN",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
];

/// Number of alternatives from which a set lookup beats a chain of comparisons.
const MEMBERSHIP_MIN: usize = 5;

/// Why an expression cannot be compiled.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum CompileError {
    #[error("no function is called '{0}'")]
    UnknownFunction(String),
    #[error("an expression reads column {index}, but its input has {columns}")]
    UnknownColumn { index: usize, columns: usize },
    #[error(transparent)]
    Cast(EvalError),
}

pub(crate) fn compile(expr: &Expr) -> Result<Node, CompileError> {
    Ok(match expr {
        Expr::Column { index, .. } => Node::Column(*index),
        Expr::Literal { value, ty } => Node::Constant(value.to_array(ty, 1)),
        Expr::Call { function, args, ty } => Node::Call(compile_call(function, args, ty)?),
        Expr::Cast { input, ty, safe } => {
            let cast = Cast::new(&input.ty(), ty, *safe).map_err(CompileError::Cast)?;
            let input = compile(input)?;
            if cast.is_identity() {
                input
            } else {
                Node::Cast {
                    input: Box::new(input),
                    cast,
                }
            }
        }
        Expr::And(args) => Node::And(compile_lazy(args)?),
        Expr::Or(args) => match as_membership(args) {
            Some(membership) => compile(&membership)?,
            None => Node::Or(compile_lazy(args)?),
        },
        Expr::Case {
            branches,
            otherwise,
            ty,
        } => {
            let branches: Result<Vec<Branch>, CompileError> = branches
                .iter()
                .map(|(condition, value)| {
                    Ok(Branch {
                        condition: lazy(condition)?,
                        value: alternative(value, ty)?,
                    })
                })
                .collect();
            Node::Case {
                branches: branches?,
                otherwise: Box::new(alternative(otherwise, ty)?),
            }
        }
        Expr::Coalesce { args, ty } => {
            let args: Result<Vec<Lazy>, CompileError> = args.iter().map(|arg| alternative(arg, ty)).collect();
            Node::Coalesce(args?)
        }
        Expr::Field { input, index, .. } => Node::Field {
            input: Box::new(compile(input)?),
            index: *index,
        },
    })
}

/// Turns `x = 1 OR x = 2 OR …` into one set lookup, if all alternatives have this form and there are enough of them.
fn as_membership(args: &[Expr]) -> Option<Expr> {
    if args.len() < MEMBERSHIP_MIN {
        return None;
    }
    let mut members = Vec::with_capacity(args.len() + 1);
    let mut nullable = false;
    for arg in args {
        let Expr::Call {
            function,
            args: sides,
            ty,
        } = arg
        else {
            return None;
        };
        let [value, member @ Expr::Literal { .. }] = sides.as_slice() else {
            return None;
        };
        let alike = members.first().is_none_or(|first| first == value);
        if function != "=" || !alike || arrow_type(&value.ty()) != arrow_type(&member.ty()) {
            return None;
        }
        if members.is_empty() {
            members.push(value.clone());
        }
        members.push(member.clone());
        nullable |= ty.nullable;
    }
    Some(Expr::Call {
        function: "IN".to_owned(),
        args: members,
        ty: LogicalType::BOOLEAN.with_nullable(nullable),
    })
}

fn compile_call(name: &str, args: &[Expr], ty: &LogicalType) -> Result<Call, CompileError> {
    let function = scalar_function(name).ok_or_else(|| CompileError::UnknownFunction(name.to_owned()))?;
    let nodes: Result<Vec<Node>, CompileError> = args.iter().map(compile).collect();
    let arg_types = args.iter().map(Expr::ty).collect();
    Ok(Call {
        function,
        args: nodes?,
        arg_types,
        result: ty.clone(),
        cache: CallCache::default(),
    })
}

fn compile_lazy(args: &[Expr]) -> Result<Vec<Lazy>, CompileError> {
    args.iter().map(lazy).collect()
}

fn lazy(expr: &Expr) -> Result<Lazy, CompileError> {
    Ok(Lazy {
        node: compile(expr)?,
        columns: expr.columns(),
        eager: is_cheap_and_safe(expr),
    })
}

/// One of several values that end up in one column. Their types already agree except for the names of ROW fields, which
/// are part of the physical type.
fn alternative(value: &Expr, ty: &LogicalType) -> Result<Lazy, CompileError> {
    let from = value.ty();
    if arrow_type(&from) == arrow_type(ty) {
        return lazy(value);
    }
    lazy(&Expr::Cast {
        input: Box::new(value.clone()),
        ty: ty.clone(),
        safe: false,
    })
}

/// Whether an expression may be evaluated for rows that do not need its value.
fn is_cheap_and_safe(expr: &Expr) -> bool {
    let alone = match expr {
        Expr::Call { function, .. } => CHEAP_AND_SAFE.contains(&function.as_str()),
        Expr::Cast { input, ty, safe } => {
            Cast::new(&input.ty(), ty, *safe).is_ok_and(|cast| cast.is_identity())
        }
        Expr::Case { .. } | Expr::Coalesce { .. } => false,
        _ => true,
    };
    alone && expr.children().into_iter().all(is_cheap_and_safe)
}
