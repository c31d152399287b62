//! Functions that exist only with OVER. The OVER operator computes them from row positions; there is no accumulator.

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, TypeKind};

use super::rows::defect;
use super::signatures::{as_given, check_count, refuse};
use super::{AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[
    AggregateFunction {
        name: "ROW_NUMBER",
        aliases: &[],
        syntax: "ROW_NUMBER()",
        doc: "Number of the row in its partition, from 1.",
        window_only: true,
        constant_args: &[],
        signature: |args| no_args("ROW_NUMBER", args, TypeKind::BigInt),
        accumulator: |_| Box::new(Unavailable::over("ROW_NUMBER")),
    },
    AggregateFunction {
        name: "RANK",
        aliases: &[],
        syntax: "RANK()",
        doc: "One more than the number of rows before the row in its partition; equal rows share it.",
        window_only: true,
        constant_args: &[],
        signature: |args| no_args("RANK", args, TypeKind::BigInt),
        accumulator: |_| Box::new(Unavailable::over("RANK")),
    },
    AggregateFunction {
        name: "DENSE_RANK",
        aliases: &[],
        syntax: "DENSE_RANK()",
        doc: "One more than the number of distinct ranks before the row's.",
        window_only: true,
        constant_args: &[],
        signature: |args| no_args("DENSE_RANK", args, TypeKind::BigInt),
        accumulator: |_| Box::new(Unavailable::over("DENSE_RANK")),
    },
    AggregateFunction {
        name: "PERCENT_RANK",
        aliases: &[],
        syntax: "PERCENT_RANK()",
        doc: "(rank − 1) / (rows of the partition − 1); 0 for a single row. Batch mode only.",
        window_only: true,
        constant_args: &[],
        signature: |args| no_args("PERCENT_RANK", args, TypeKind::Double),
        accumulator: |_| Box::new(Unavailable::over("PERCENT_RANK")),
    },
    AggregateFunction {
        name: "CUME_DIST",
        aliases: &[],
        syntax: "CUME_DIST()",
        doc: "Share of the partition's rows that stand before the row or equal it. Batch mode only.",
        window_only: true,
        constant_args: &[],
        signature: |args| no_args("CUME_DIST", args, TypeKind::Double),
        accumulator: |_| Box::new(Unavailable::over("CUME_DIST")),
    },
    AggregateFunction {
        name: "NTILE",
        aliases: &[],
        syntax: "NTILE(n)",
        doc: "Number of the row's bucket when the partition is cut into n buckets of nearly equal size. Batch mode only.",
        window_only: true,
        constant_args: &[0],
        signature: ntile,
        accumulator: |_| Box::new(Unavailable::over("NTILE")),
    },
    AggregateFunction {
        name: "LAG",
        aliases: &[],
        syntax: "LAG(value [, offset [, default]])",
        doc: "The value offset rows (1 by default) before the row, or default (NULL) where there is no such row.",
        window_only: true,
        constant_args: &[1, 2],
        signature: |args| shifted("LAG", args),
        accumulator: |_| Box::new(Unavailable::over("LAG")),
    },
    AggregateFunction {
        name: "LEAD",
        aliases: &[],
        syntax: "LEAD(value [, offset [, default]])",
        doc: "The value offset rows (1 by default) after the row, or default (NULL) where there is no such row. Batch \
              mode only.",
        window_only: true,
        constant_args: &[1, 2],
        signature: |args| shifted("LEAD", args),
        accumulator: |_| Box::new(Unavailable::over("LEAD")),
    },
];

fn no_args(function: &str, args: &[ArgInfo<'_>], result: TypeKind) -> Result<Signature, SignatureError> {
    check_count(function, args, 0..=0)?;
    Ok(Signature {
        args: Vec::new(),
        result: LogicalType::not_null(result),
    })
}

fn ntile(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("NTILE", args, 1..=1)?;
    match args {
        [n] if n.ty.is_integer() => Ok(as_given(args, LogicalType::not_null(TypeKind::BigInt))),
        _ => Err(refuse("NTILE", args, "NTILE(<INTEGER>)")),
    }
}

fn shifted(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count(function, args, 1..=3)?;
    let value = args[0].ty;
    if args.get(1).is_some_and(|offset| !offset.ty.is_integer()) {
        return Err(refuse(
            function,
            args,
            &format!("{function}(<ANY>, <INTEGER>, <DEFAULT>)"),
        ));
    }
    let mut signature = as_given(args, value.without_time_attribute().with_nullable(true));
    if let Some(default) = signature.args.get_mut(2) {
        *default = value.with_nullable(default.nullable);
        signature.result.nullable = value.nullable || default.nullable;
    }
    Ok(signature)
}

/// Stands where no accumulator can be made; using it is an error that says why.
pub(super) struct Unavailable {
    function: &'static str,
    reason: &'static str,
}

impl Unavailable {
    pub(super) fn new(function: &'static str, reason: &'static str) -> Self {
        Self { function, reason }
    }

    fn over(function: &'static str) -> Self {
        Self::new(function, "it is computed by the OVER operator")
    }

    fn error(&self) -> EvalError {
        defect(self.function, format!("no accumulator: {}", self.reason))
    }
}

impl GroupsAccumulator for Unavailable {
    fn resize(&mut self, _: usize) {}

    fn update(&mut self, _: &[u32], _: &[ArrayRef], _: Option<&[bool]>) -> Result<(), EvalError> {
        Err(self.error())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        Vec::new()
    }

    fn state(&self, _: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        Err(self.error())
    }

    fn merge(&mut self, _: &[u32], _: &[ArrayRef]) -> Result<(), EvalError> {
        Err(self.error())
    }

    fn evaluate(&self, _: &[u32]) -> Result<ArrayRef, EvalError> {
        Err(self.error())
    }

    fn clear(&mut self, _: &[u32]) {}

    fn memory_size(&self) -> usize {
        0
    }
}
