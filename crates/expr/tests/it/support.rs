//! Builders of expressions, inputs and environments for the tests.

use std::sync::Arc;

use arrow_array::ArrayRef;
use jiff::tz::TimeZone;
use millstream_expr::{CompiledExpr, Environment, EvalError};
use millstream_functions::{ArgInfo, scalar_function};
use millstream_plan::Expr;
use millstream_types::{LogicalType, Scalar, SeededRng, scalars_to_array};

pub fn environment() -> Environment {
    Environment {
        zone: TimeZone::UTC,
        zone_name: "UTC".into(),
        now_ms: 0,
        watermark_ms: None,
        rng: Arc::new(SeededRng::new(7)),
        legacy_cast: false,
        current_database: "default_database".into(),
        streaming: true,
    }
}

pub fn int(value: i32) -> Expr {
    Expr::literal(Scalar::Int(value), LogicalType::INT.with_nullable(false))
}

pub fn null(ty: LogicalType) -> Expr {
    Expr::literal(Scalar::Null, ty)
}

pub fn int_column(index: usize) -> Expr {
    Expr::column(index, LogicalType::INT)
}

/// A call as the binder writes it: arguments cast to the types of the signature.
pub fn call(name: &str, args: Vec<Expr>) -> Expr {
    let function = scalar_function(name).unwrap_or_else(|| panic!("no function {name}"));
    let types: Vec<LogicalType> = args.iter().map(Expr::ty).collect();
    let infos: Vec<ArgInfo<'_>> = types.iter().map(|ty| ArgInfo { ty, literal: None }).collect();
    let signature = (function.signature)(&infos).expect("arguments that fit");
    let args = args
        .into_iter()
        .zip(signature.args)
        .map(|(arg, ty)| cast(arg, ty))
        .collect();
    Expr::Call {
        function: name.to_owned(),
        args,
        ty: signature.result,
    }
}

pub fn cast(input: Expr, ty: LogicalType) -> Expr {
    if input.ty().kind == ty.kind {
        input
    } else {
        Expr::Cast {
            input: Box::new(input),
            ty,
            safe: false,
        }
    }
}

pub fn case(branches: Vec<(Expr, Expr)>, otherwise: Expr) -> Expr {
    let ty = otherwise.ty().with_nullable(true);
    Expr::Case {
        branches,
        otherwise: Box::new(otherwise),
        ty,
    }
}

pub fn column(ty: &LogicalType, values: &[Scalar]) -> ArrayRef {
    scalars_to_array(ty, values.iter())
}

pub fn ints(values: &[Option<i32>]) -> ArrayRef {
    let scalars: Vec<Scalar> = values
        .iter()
        .map(|v| v.map_or(Scalar::Null, Scalar::Int))
        .collect();
    column(&LogicalType::INT, &scalars)
}

/// The values of an expression over columns.
pub fn evaluate(expr: &Expr, columns: &[ArrayRef], rows: usize) -> Result<Vec<Scalar>, EvalError> {
    let mut compiled = CompiledExpr::compile(expr).expect("an expression that compiles");
    let array = compiled.eval_array(columns, rows, &environment())?;
    Ok((0..rows)
        .map(|row| Scalar::from_array(&expr.ty(), &array, row))
        .collect())
}
