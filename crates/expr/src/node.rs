//! Nodes of a compiled expression and how each is evaluated.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, new_empty_array};
use arrow_buffer::BooleanBuffer;
use millstream_functions::cast::{Cast, mask_nulls};
use millstream_functions::{
    CallCache, Datum, Determinism, Environment, EvalError, KernelArgs, ScalarFunction,
};
use millstream_plan::Expr;
use millstream_types::{LogicalType, arrow_type};

use crate::choice::{self, Branch};
use crate::compile::{CompileError, compile};
use crate::input::{Input, expand};
use crate::logic;

/// A compiled expression, evaluated batch by batch.
pub struct CompiledExpr {
    root: Node,
    ty: LogicalType,
}

pub(crate) enum Node {
    Column(usize),
    /// An array of length 1.
    Constant(ArrayRef),
    Call(Call),
    Cast {
        input: Box<Node>,
        cast: Cast,
    },
    And(Vec<Lazy>),
    Or(Vec<Lazy>),
    Case {
        branches: Vec<Branch>,
        otherwise: Box<Lazy>,
    },
    Coalesce(Vec<Lazy>),
    Field {
        input: Box<Node>,
        index: usize,
    },
}

/// A function applied to arguments.
pub(crate) struct Call {
    pub(crate) function: &'static ScalarFunction,
    pub(crate) args: Vec<Node>,
    pub(crate) arg_types: Vec<LogicalType>,
    pub(crate) result: LogicalType,
    pub(crate) cache: CallCache,
}

/// An operand that is evaluated only for some rows.
pub(crate) struct Lazy {
    pub(crate) node: Node,
    /// Columns that it reads.
    pub(crate) columns: Vec<usize>,
    /// Cheap and infallible: may be evaluated for all rows.
    pub(crate) eager: bool,
}

impl std::fmt::Debug for CompiledExpr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledExpr")
            .field("ty", &self.ty)
            .finish_non_exhaustive()
    }
}

impl CompiledExpr {
    pub fn compile(expr: &Expr) -> Result<Self, CompileError> {
        Ok(Self {
            root: compile(expr)?,
            ty: expr.ty(),
        })
    }

    pub fn ty(&self) -> &LogicalType {
        &self.ty
    }

    /// The position of the input column, if this expression is a plain column reference.
    pub fn as_column(&self) -> Option<usize> {
        match self.root {
            Node::Column(index) => Some(index),
            _ => None,
        }
    }

    /// The value for each of `rows` rows, or one value that holds for all of them.
    pub fn eval(&mut self, columns: &[ArrayRef], rows: usize, env: &Environment) -> Result<Datum, EvalError> {
        if rows == 0 {
            return Ok(Datum::Column(new_empty_array(&arrow_type(&self.ty))));
        }
        self.root.eval(Input { columns, rows }, env)
    }

    /// The value for each of `rows` rows.
    pub fn eval_array(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        env: &Environment,
    ) -> Result<ArrayRef, EvalError> {
        Ok(expand(&self.eval(columns, rows, env)?, rows)?)
    }

    /// The rows that satisfy this condition. NULL does not satisfy it; the result contains no NULL.
    pub fn eval_filter(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        env: &Environment,
    ) -> Result<BooleanArray, EvalError> {
        let held = true_rows(&self.eval(columns, rows, env)?, rows)?;
        Ok(BooleanArray::new(held, None))
    }
}

/// The rows where a BOOLEAN datum is TRUE.
pub(crate) fn true_rows(datum: &Datum, rows: usize) -> Result<BooleanBuffer, EvalError> {
    let array = datum
        .array()
        .as_boolean_opt()
        .ok_or_else(|| EvalError::Internal {
            function: "condition".to_owned(),
            message: format!("expected a BOOLEAN, found {}", datum.array().data_type()),
        })?;
    Ok(match datum {
        Datum::Constant(_) if array.is_valid(0) && array.value(0) => BooleanBuffer::new_set(rows),
        Datum::Constant(_) => BooleanBuffer::new_unset(rows),
        Datum::Column(_) => match array.nulls() {
            None => array.values().clone(),
            Some(nulls) => array.values() & nulls.inner(),
        },
    })
}

impl Node {
    /// `input` has at least one row.
    pub(crate) fn eval(&mut self, input: Input<'_>, env: &Environment) -> Result<Datum, EvalError> {
        match self {
            Self::Column(index) => column(input, *index),
            Self::Constant(array) => Ok(Datum::Constant(Arc::clone(array))),
            Self::Call(call) => call.eval(input, env),
            Self::Cast { input: inner, cast } => map(inner.eval(input, env)?, |array| cast.apply(array, env)),
            Self::And(args) => logic::and(args, input, env),
            Self::Or(args) => logic::or(args, input, env),
            Self::Case { branches, otherwise } => choice::case(branches, otherwise, input, env),
            Self::Coalesce(args) => choice::coalesce(args, input, env),
            Self::Field { input: inner, index } => map(inner.eval(input, env)?, |array| field(array, *index)),
        }
    }
}

fn column(input: Input<'_>, index: usize) -> Result<Datum, EvalError> {
    let column = input.columns.get(index).ok_or_else(|| EvalError::Internal {
        function: "column".to_owned(),
        message: format!("no column {index} among {}", input.columns.len()),
    })?;
    debug_assert_eq!(
        column.len(),
        input.rows,
        "column {index} was selected before it is read"
    );
    Ok(Datum::Column(Arc::clone(column)))
}

/// Applies a function of columns to a datum; a single value stays a single value.
fn map(datum: Datum, f: impl FnOnce(&ArrayRef) -> Result<ArrayRef, EvalError>) -> Result<Datum, EvalError> {
    Ok(match datum {
        Datum::Column(array) => Datum::Column(f(&array)?),
        Datum::Constant(array) => Datum::Constant(f(&array)?),
    })
}

fn field(array: &ArrayRef, index: usize) -> Result<ArrayRef, EvalError> {
    let missing = || EvalError::Internal {
        function: "field".to_owned(),
        message: format!("no field {index} in a {}", array.data_type()),
    };
    let rows = array.as_struct_opt().ok_or_else(missing)?;
    let field = rows.columns().get(index).ok_or_else(missing)?;
    Ok(mask_nulls(field, rows.nulls())?)
}

impl Call {
    fn eval(&mut self, input: Input<'_>, env: &Environment) -> Result<Datum, EvalError> {
        let mut args = Vec::with_capacity(self.args.len());
        for arg in &mut self.args {
            args.push(arg.eval(input, env)?);
        }
        let one_for_all =
            self.function.determinism != Determinism::Never && args.iter().all(Datum::is_constant);
        let rows = if one_for_all { 1 } else { input.rows };
        let result = (self.function.kernel)(&mut KernelArgs {
            function: self.function.name,
            args: &args,
            arg_types: &self.arg_types,
            result: &self.result,
            rows,
            env,
            cache: &mut self.cache,
        })?;
        debug_assert_eq!(result.len(), rows, "rows of {}", self.function.name);
        debug_assert_eq!(
            result.data_type(),
            &arrow_type(&self.result),
            "type of {}",
            self.function.name
        );
        Ok(if one_for_all {
            Datum::Constant(result)
        } else {
            Datum::Column(result)
        })
    }
}

impl Lazy {
    /// The value for the rows whose bit is set. The flag says which rows the datum covers: all rows, if all are
    /// selected or if that is cheaper; otherwise only the selected ones (dense).
    pub(crate) fn eval(
        &mut self,
        rows: &BooleanBuffer,
        count: usize,
        input: Input<'_>,
        env: &Environment,
    ) -> Result<(Datum, bool), EvalError> {
        if self.eager || count == input.rows {
            return Ok((self.node.eval(input, env)?, false));
        }
        let selected = input.select(rows, &self.columns)?;
        Ok((self.node.eval(selected.as_input(), env)?, true))
    }
}
