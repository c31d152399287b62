//! Why a statement failed.

use millstream_dataflow::DataflowError;
use millstream_sql::bind::error::SqlError;
use millstream_sql::parse::ParseError;
use millstream_types::ErrorKind;

/// An error of a statement, as people see it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SessionError {
    pub kind: ErrorKind,
    /// What happened, in one or a few lines; with the place in the SQL text where there is one.
    pub message: String,
}

impl SessionError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// A syntax error with the line of `sql` it is in.
    pub(crate) fn parse(error: &ParseError, sql: &str) -> Self {
        Self::input(error.render(sql))
    }

    /// A binding error with the line of `sql` it is in.
    pub(crate) fn bind(error: &SqlError, sql: &str) -> Self {
        Self::new(error.kind, error.render(sql))
    }
}

impl From<DataflowError> for SessionError {
    fn from(error: DataflowError) -> Self {
        Self::new(error.kind, error.message)
    }
}
