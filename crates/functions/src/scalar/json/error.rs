//! Why a JSON function has no result.

use millstream_types::LogicalType;

use crate::scalar::regexp::PatternError;

/// Characters of a text that an error shows.
const SHOWN_CHARS_MAX: usize = 80;

/// Why a JSON function has no result. Most clauses ignore the reason, so its sentence is only made when it is printed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("invalid JSON '{text}': {what} at position {at}")]
    Text {
        text: Box<str>,
        what: &'static str,
        at: usize,
    },
    #[error("invalid JSON path '{path}': {what} at position {at}")]
    Path {
        path: Box<str>,
        what: &'static str,
        at: usize,
    },
    #[error("invalid JSON path '{path}': the function '{name}' is not supported at position {at}")]
    Function {
        path: Box<str>,
        name: Box<str>,
        at: usize,
    },
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error("the JSON document is null")]
    NullDocument,
    #[error("no results for path")]
    NothingFound,
    #[error("a filter needs an array or an object")]
    FilterOfScalar,
    #[error("expected an object with the member '{}'", .0.join("', '"))]
    NoObject(Vec<String>),
    #[error("missing member '{0}' in the JSON path")]
    NoMember(Box<str>),
    #[error("a position can only be applied to an array")]
    PositionOfNoArray,
    #[error("a function of the JSON path has no numbers to work on")]
    NoNumbers,
    #[error("the array is empty")]
    EmptyArray,
    #[error("empty result of {0} function is not allowed")]
    EmptyResult(&'static str),
    #[error("strict jsonpath mode requires a scalar value")]
    NoScalar,
    #[error("strict jsonpath mode requires an array or an object")]
    Scalar,
    #[error("the value is not an array")]
    NoArray,
    #[error("the value does not fit the type {0}")]
    Type(Box<LogicalType>),
    #[error("VARIANT_DUPLICATE_KEY: the key '{0}' comes twice in one object")]
    DuplicateKey(Box<str>),
}

impl JsonError {
    pub(super) fn text(text: &str, what: &'static str, at: usize) -> Self {
        let end = text
            .char_indices()
            .nth(SHOWN_CHARS_MAX)
            .map_or(text.len(), |(at, _)| at);
        Self::Text {
            text: text[..end].into(),
            what,
            at,
        }
    }
}
