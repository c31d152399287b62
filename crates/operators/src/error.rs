//! Converts errors of expressions and aggregates into errors of a job.

use millstream_dataflow::DataflowError;
use millstream_functions::EvalError;
use millstream_types::ErrorCode;

/// The job error for a value that could not be computed.
pub(crate) fn eval_error(error: EvalError) -> DataflowError {
    let code = match &error {
        EvalError::DivisionByZero => ErrorCode::DivisionByZero,
        EvalError::Data(_) => ErrorCode::InvalidData,
        EvalError::Internal { .. } => ErrorCode::InternalError,
    };
    DataflowError::coded(code, error.to_string())
}
