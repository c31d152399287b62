//! Kinds of errors, by what a user can do about them.

use std::fmt;

/// What to do about an error.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// The statement or a setting is wrong: change it.
    Input,
    /// The data is wrong: change it, or choose an error policy.
    Data,
    /// Something outside failed and may work later: try again.
    Retry,
    /// The machine or an outside system refuses: make room, give rights, start it.
    Environment,
    /// Not built yet.
    Unsupported,
    /// A defect of Millstream: report it.
    Internal,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "invalid input",
            Self::Data => "invalid data",
            Self::Retry => "temporary failure",
            Self::Environment => "environment",
            Self::Unsupported => "not supported yet",
            Self::Internal => "internal error",
        })
    }
}

/// An error and its causes in one line, each said once.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}
