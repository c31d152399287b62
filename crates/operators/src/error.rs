//! How errors of expressions and aggregates become errors of a job.

use millstream_dataflow::DataflowError;
use millstream_functions::EvalError;
use millstream_types::ErrorKind;

/// The job's error for a value that could not be computed.
pub(crate) fn eval_error(error: EvalError) -> DataflowError {
    let kind = match &error {
        EvalError::DivisionByZero | EvalError::Data(_) => ErrorKind::Data,
        EvalError::Internal { .. } => ErrorKind::Internal,
    };
    DataflowError::new(kind, error.to_string())
}
