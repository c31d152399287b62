//! Scalar and table functions.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use millstream_dataflow::DataflowError;
use millstream_functions::signature::{ArgInfo, Signature, SignatureError};
use millstream_functions::user::{UserArgs, UserFunction, UserKernel, UserScalar};
use millstream_functions::{Datum, EvalError};
use millstream_types::{LogicalType, Scalar, arrow_type};

use super::{Parameters, ScalarFunction, is_list, result_type};
use crate::error::{Error, Result};
use crate::guard::{at_record, catching_as};
use crate::table::row::{ColumnWriter, ColumnsToRows};

/// A function over values.
pub(super) fn rows<S: ScalarFunction>(name: &str, function: S, is_table: bool) -> Result<UserFunction> {
    let result = result_type::<S::Output>()?;
    if is_table && !is_list(&result) {
        return Err(Error::input(format!(
            "table function '{name}' gives no list of rows"
        )));
    }
    // A type that cannot be written is found now.
    ColumnWriter::new(name, &result)?;
    Ok(UserFunction::Scalar(Arc::new(Rows {
        parameters: Parameters::of::<S::Args>(name)?,
        result,
        is_table,
        function,
    })))
}

struct Rows<S> {
    parameters: Parameters,
    result: LogicalType,
    is_table: bool,
    function: S,
}

impl<S: ScalarFunction> UserScalar for Rows<S> {
    fn signature(&self, args: &[ArgInfo<'_>]) -> std::result::Result<Signature, SignatureError> {
        self.parameters.signature(args, &self.result)
    }

    fn is_deterministic(&self) -> bool {
        self.function.is_deterministic()
    }

    fn is_table(&self) -> bool {
        self.is_table
    }

    fn instance(&self) -> Box<dyn UserKernel> {
        Box::new(RowsKernel {
            reader: self.parameters.reader(),
            parameters: self.parameters.clone(),
            function: self.function.clone(),
        })
    }
}

struct RowsKernel<S> {
    parameters: Parameters,
    reader: ColumnsToRows,
    function: S,
}

impl<S: ScalarFunction> UserKernel for RowsKernel<S> {
    fn evaluate(&mut self, args: &UserArgs<'_>) -> std::result::Result<ArrayRef, EvalError> {
        let name = Arc::clone(&self.parameters.function);
        let columns = columns_of(args);
        let mut results =
            ColumnWriter::new(&name, args.result).map_err(|error| data_error(&name, &error.message))?;
        calling(&name, || {
            for row in 0..args.rows {
                at_record(row);
                if self.parameters.skips(&columns, row) {
                    results
                        .null()
                        .map_err(|error| DataflowError::data(error.to_string()))?;
                    continue;
                }
                let value = self.function.eval(self.reader.row(&columns, row)?)?;
                let written = results.push(&value);
                written.map_err(|error| DataflowError::data(error.to_string()))?;
            }
            Ok(())
        })?;
        Ok(results.finish())
    }
}

/// A function over columns.
pub(super) fn columns<F>(name: &str, args: Vec<LogicalType>, result: LogicalType, function: F) -> UserFunction
where
    F: FnMut(&[ArrayRef], usize) -> Result<ArrayRef> + Clone + Send + Sync + 'static,
{
    let numbered = args.into_iter().enumerate();
    let types = numbered.map(|(index, ty)| (format!("f{index}"), ty)).collect();
    let parameters = Parameters {
        function: name.into(),
        types,
    };
    UserFunction::Scalar(Arc::new(Columns {
        parameters,
        result,
        function,
    }))
}

struct Columns<F> {
    parameters: Parameters,
    result: LogicalType,
    function: F,
}

impl<F> UserScalar for Columns<F>
where
    F: FnMut(&[ArrayRef], usize) -> Result<ArrayRef> + Clone + Send + Sync + 'static,
{
    fn signature(&self, args: &[ArgInfo<'_>]) -> std::result::Result<Signature, SignatureError> {
        self.parameters.signature(args, &self.result)
    }

    fn instance(&self) -> Box<dyn UserKernel> {
        Box::new(ColumnsKernel {
            name: Arc::clone(&self.parameters.function),
            function: self.function.clone(),
        })
    }
}

struct ColumnsKernel<F> {
    name: Arc<str>,
    function: F,
}

impl<F: FnMut(&[ArrayRef], usize) -> Result<ArrayRef> + Send> UserKernel for ColumnsKernel<F> {
    fn evaluate(&mut self, args: &UserArgs<'_>) -> std::result::Result<ArrayRef, EvalError> {
        let columns = columns_of(args);
        let result = calling(&self.name, || Ok((self.function)(&columns, args.rows)?))?;
        let wanted = arrow_type(args.result);
        if result.len() != args.rows || result.data_type() != &wanted {
            let message = format!(
                "it gave {} values of {}, not {} of {wanted}",
                result.len(),
                result.data_type(),
                args.rows
            );
            return Err(data_error(&self.name, &message));
        }
        Ok(result)
    }
}

/// The arguments as columns; a constant is repeated.
pub(super) fn columns_of(args: &UserArgs<'_>) -> Vec<ArrayRef> {
    let column = |(datum, ty): (&Datum, &LogicalType)| match datum {
        Datum::Column(array) => Arc::clone(array),
        Datum::Constant(array) => Scalar::from_array(ty, array.as_ref(), 0).to_array(ty, args.rows),
    };
    args.args.iter().zip(args.arg_types).map(column).collect()
}

/// Runs code of the user; an error or a panic names the function.
pub(super) fn calling<T>(
    name: &str,
    body: impl FnOnce() -> std::result::Result<T, DataflowError>,
) -> std::result::Result<T, EvalError> {
    let result = catching_as("function", name, body);
    result.map_err(|error| {
        if error.message.starts_with("function '") {
            EvalError::Data(error.message)
        } else {
            data_error(name, &error.message)
        }
    })
}

pub(super) fn data_error(name: &str, message: &str) -> EvalError {
    EvalError::Data(format!("function '{name}': {message}"))
}
