//! The stable codes of errors: the one table from which messages, protocols and the reference take them.
//!
//! A code names what is wrong in a form that programs can match and people can search for. A name never changes its
//! meaning and is never used again; messages may change at any time.

mod table;

use std::fmt;

pub use table::ERROR_CODES;

use crate::error::ErrorKind;

/// What is wrong, in a form that stays the same between versions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ErrorCode {
    InvalidCharacter,
    UnterminatedText,
    SyntaxError,
    UnexpectedEnd,
    ReservedWord,
    InvalidLiteral,
    LimitExceeded,
    UnknownCatalog,
    UnknownDatabase,
    UnknownTable,
    UnknownColumn,
    AmbiguousColumn,
    UnknownFunction,
    UnknownType,
    UnknownObject,
    AlreadyExists,
    DuplicateName,
    ObjectInUse,
    UnknownConnector,
    UnknownFormat,
    UnknownOption,
    MissingOption,
    InvalidOption,
    InvalidSetting,
    TypeMismatch,
    WrongArguments,
    InvalidCast,
    UntypedNull,
    NotGrouped,
    MisplacedFunction,
    InvalidSubquery,
    InvalidOrderBy,
    InvalidWindow,
    InvalidOver,
    InvalidJoin,
    InvalidPattern,
    ColumnCountMismatch,
    UnboundedInput,
    UnsupportedChanges,
    InvalidStatement,
    InvalidSchema,
    InvalidWatermark,
    InvalidAlteration,
    SinkMismatch,
    WrongDirection,
    InvalidStatementSet,
    Unsupported,
    DivisionByZero,
    InvalidData,
    NotNullViolation,
    IncompatibleState,
    JobCanceled,
    TemporaryFailure,
    EnvironmentFailure,
    InternalError,
}

/// The tables over which the examples are written.
pub const EXAMPLE_TABLES: &str = "\
CREATE TABLE t (id INT, name STRING, list ARRAY<INT>, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen');
CREATE TABLE s (id INT) WITH ('connector' = 'blackhole');
CREATE TABLE required (id INT NOT NULL) WITH ('connector' = 'blackhole');
CREATE TABLE files (n BIGINT) WITH ('connector' = 'filesystem', 'path' = '/tmp/files', 'format' = 'json');";

/// The declaration of a code.
#[derive(Clone, Copy, Debug)]
pub struct ErrorCodeDecl {
    pub code: ErrorCode,
    /// How protocols and messages write it.
    pub name: &'static str,
    /// The heading under which the reference lists it.
    pub area: &'static str,
    pub kind: ErrorKind,
    pub meaning: &'static str,
    /// Statements of which the last one fails with this code, over the tables of the reference page. Empty where no
    /// statement alone causes the error.
    pub example: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl ErrorCodeDecl {
    /// How protocols write the kind.
    pub fn kind_name(&self) -> String {
        format!("{:?}", self.kind).to_lowercase()
    }
}

impl ErrorCode {
    /// The declaration of this code.
    pub fn declaration(self) -> &'static ErrorCodeDecl {
        &ERROR_CODES[self as usize]
    }

    /// The stable name, such as `UNKNOWN_COLUMN`.
    pub fn name(self) -> &'static str {
        self.declaration().name
    }

    /// The code of an error of which only the kind is known.
    pub fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Input => Self::InvalidStatement,
            ErrorKind::Data => Self::InvalidData,
            ErrorKind::Retry => Self::TemporaryFailure,
            ErrorKind::Environment => Self::EnvironmentFailure,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Internal => Self::InternalError,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_finds_its_declaration() {
        for (index, declared) in ERROR_CODES.iter().enumerate() {
            assert_eq!(declared.code as usize, index, "{}", declared.name);
            assert_eq!(declared.code.name(), declared.name);
        }
        // A variant without a row would be found by `of_kind` or not at all: the last one must be the last row.
        assert_eq!(ErrorCode::InternalError as usize + 1, ERROR_CODES.len());
    }

    #[test]
    fn names_are_unique_and_say_what_to_do() {
        let names: BTreeSet<&str> = ERROR_CODES.iter().map(|declared| declared.name).collect();
        assert_eq!(names.len(), ERROR_CODES.len());
        for declared in ERROR_CODES {
            let is_plain = |c: char| c.is_ascii_uppercase() || c == '_';
            assert!(declared.name.chars().all(is_plain), "{}", declared.name);
            assert!(
                declared.meaning.ends_with('.') && declared.remedy.ends_with('.'),
                "{}",
                declared.name
            );
        }
    }

    #[test]
    fn codes_of_kinds_have_these_kinds() {
        let kinds = [
            ErrorKind::Input,
            ErrorKind::Data,
            ErrorKind::Retry,
            ErrorKind::Environment,
            ErrorKind::Unsupported,
            ErrorKind::Internal,
        ];
        for kind in kinds {
            assert_eq!(ErrorCode::of_kind(kind).declaration().kind, kind);
        }
    }
}
