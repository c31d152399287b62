//! The interface of a function's type inference.

use millstream_types::{LogicalType, Scalar};

/// One argument as the binder found it.
#[derive(Clone, Copy, Debug)]
pub struct ArgInfo<'a> {
    pub ty: &'a LogicalType,
    /// The value, if the argument is a literal.
    pub literal: Option<&'a Scalar>,
}

/// Types that the arguments are cast to, and the type of the result.
#[derive(Clone, PartialEq, Debug)]
pub struct Signature {
    /// One for each argument. The binder inserts implicit casts where an argument's type differs.
    pub args: Vec<LogicalType>,
    pub result: LogicalType,
}

/// Why a call does not type-check. The binder adds the place and the function's syntax.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("invalid number of arguments to function '{function}': expected {expected}, found {found}")]
    Count {
        function: String,
        expected: String,
        found: usize,
    },
    /// The message starts with Flink's words, as users search for them.
    #[error(
        "cannot apply '{function}' to arguments of type '{function}({found})'. supported form(s): {expected}"
    )]
    Types {
        function: String,
        found: String,
        expected: String,
    },
    #[error("{0}")]
    Other(String),
}
