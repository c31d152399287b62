//! Why a message could not be decoded, a row not encoded, or a format not set up.
//!
//! A decoder may meet many wrong values when it skips them, so an error holds the parts of its sentence; the
//! sentence itself is made when it is printed.

use std::fmt;

use millstream_types::{LogicalType, TypeKind};

use crate::avro::SchemaMismatch;

/// Bytes of a message that an error shows.
const SHOWN_MESSAGE_BYTES_MAX: usize = 1024;

/// Why a message could not be decoded.
#[derive(Debug)]
pub struct DecodeError {
    /// Index of the message among those given.
    pub message: usize,
    /// What the message is, when the error shows it.
    pub subject: Option<Subject>,
    pub reason: ValueError,
}

/// A message as an error names it: with its text, or the first part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    AvroRecord,
    CsvRow(Box<str>),
    Json {
        text: Box<str>,
        is_cut: bool,
    },
    /// A change of a database table.
    Change {
        /// The program that wrote it.
        dialect: &'static str,
        text: Box<str>,
    },
}

impl Subject {
    pub(crate) fn csv_row(bytes: &[u8]) -> Self {
        Self::CsvRow(String::from_utf8_lossy(bytes).trim_end().into())
    }

    pub(crate) fn json(bytes: &[u8]) -> Self {
        Self::Json {
            text: first_part(bytes),
            is_cut: bytes.len() > SHOWN_MESSAGE_BYTES_MAX,
        }
    }

    pub(crate) fn change(dialect: &'static str, bytes: &[u8]) -> Self {
        Self::Change {
            dialect,
            text: first_part(bytes),
        }
    }
}

fn first_part(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_MESSAGE_BYTES_MAX)]).into()
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AvroRecord => f.write_str("Failed to deserialize Avro record"),
            Self::CsvRow(line) => write!(f, "failed to deserialize CSV row '{line}'"),
            Self::Json { text, is_cut } => {
                let more = if *is_cut { "…" } else { "" };
                write!(f, "failed to deserialize JSON '{text}{more}'")
            }
            Self::Change { dialect, text } => write!(f, "Corrupt {dialect} JSON message '{text}'"),
        }
    }
}

// A message is one sentence with its reason, as Flink prints it; so the reason is no `source`, which would repeat it.
impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{subject}: {}", self.reason),
            None => write!(f, "{}", self.reason),
        }
    }
}

impl std::error::Error for DecodeError {}

impl DecodeError {
    /// An error of all messages together: their values do not make a column.
    pub(crate) fn of_column(reason: ValueError) -> Self {
        Self {
            message: 0,
            subject: None,
            reason,
        }
    }
}

/// Why a value could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    #[error("invalid UTF-8")]
    Utf8,
    #[error("text '{text}' could not be parsed as {expected}")]
    Text { text: Box<str>, expected: &'static str },
    /// Java's words for a text that is no number.
    #[error("For input string: \"{0}\"")]
    Number(Box<str>),
    #[error("numeric value ({0}) out of range of INT")]
    IntRange(i64),
    #[error("Fail to deserialize at field: {name}. {reason}")]
    Field { name: Box<str>, reason: Box<ValueError> },
    /// The text breaks the syntax of the format, or lacks what every message must have.
    #[error("{0}")]
    Syntax(&'static str),
    #[error("unexpected end-of-input: expected '{0}'")]
    EndOfInput(char),
    #[error("unexpected character '{found}': expected '{expected}'")]
    Character { found: Box<str>, expected: char },
    #[error("illegal unquoted character (code {0}) in a string")]
    ControlCharacter(u8),
    #[error("nested deeper than {0} levels")]
    Nesting(usize),
    #[error("expected column separator character ('{0}') or end-of-line behind a quoted value")]
    Separator(char),
    #[error("Too many entries: expected at most {expected} (value #{expected} ({characters} chars) \"{surplus}\")",
        characters = .surplus.chars().count())]
    TooManyFields { expected: usize, surplus: Box<str> },
    #[error("Not enough column values: expected {expected}, found {found}")]
    TooFewFields { expected: usize, found: usize },
    #[error("Row length mismatch. {expected} fields expected but was {found}.")]
    RowLength { expected: usize, found: usize },
    #[error("Expected field name not found: {0}")]
    MissingField(Box<str>),
    #[error("{expected} is expected, not {found}")]
    Json { expected: &'static str, found: Box<str> },
    #[error("malformed data: length is {0}")]
    Length(i64),
    #[error("a block claims {0} items, more than the datum has bytes")]
    Block(u64),
    #[error("a union has no type {0}")]
    UnionBranch(i64),
    #[error(transparent)]
    Mismatch(#[from] SchemaMismatch),
    #[error("a decimal of {0} bytes is too large")]
    DecimalBytes(usize),
    #[error("Size of data received for deserializing {ty} type is not {expected}. the data size is {found}.")]
    Size {
        ty: TypeKind,
        expected: usize,
        found: usize,
    },
    #[error("Unknown \"{field}\" value \"{}\"", .value.as_deref().unwrap_or("null"))]
    Operation {
        field: &'static str,
        value: Option<String>,
    },
    #[error("The \"{side}\" field of {change} message is null; {hint}")]
    MissingSide {
        side: &'static str,
        change: &'static str,
        hint: &'static str,
    },
    /// Broken JSON; its position counts from the start of the part that was read.
    #[error(transparent)]
    Serde(#[from] serde_json::Error),
    #[error("a batch has more than {} list items", i32::MAX)]
    ListItems,
    /// Arrow refuses to make a column of the values.
    #[error(transparent)]
    Column(#[from] arrow_schema::ArrowError),
    #[error("format '{format}' does not support the type {ty}")]
    Type {
        format: &'static str,
        ty: Box<LogicalType>,
    },
}

/// Why a row could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("format '{format}' does not support the type {ty}")]
    Type {
        format: &'static str,
        ty: Box<LogicalType>,
    },
    #[error("format '{format}' does not support writing {kind} rows")]
    Kind {
        format: &'static str,
        kind: &'static str,
    },
    #[error(
        "JSON format doesn't support to serialize map data with null keys. you can drop null key entries or encode null \
         in literals by specifying 'map-null-key.mode' option"
    )]
    NullKey,
    #[error("a key of an Avro map is NULL")]
    AvroNullKey,
    #[error("a value of type {0} is NULL, for which the Avro schema has no place")]
    AvroNull(Box<LogicalType>),
}

/// Why a format could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("could not find any format for identifier '{0}'. available formats: {known}", known = crate::identifiers())]
    Unknown(String),
    #[error("invalid value '{value}' for option '{key}' of format '{format}': expected {expected}")]
    Option {
        format: &'static str,
        key: String,
        value: String,
        expected: String,
    },
    #[error(
        "Unsupported value '{0}' for option map-null-key.mode. Supported values are LITERAL, FAIL, DROP."
    )]
    MapNullKeyMode(String),
    #[error("Option 'csv.{key}' must be a string with single character, but was: {value}")]
    Character { key: &'static str, value: String },
    /// Two options that exclude each other.
    #[error("{0}")]
    Conflict(&'static str),
    #[error("format '{0}' has no metadata")]
    NoMetadata(String),
    #[error("the format has no metadata '{0}'")]
    UnknownMetadata(String),
    #[error("column '{0}' is not part of the line")]
    NotInLine(String),
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// A file whose schema does not fit the table.
    #[error(transparent)]
    Mismatch(#[from] SchemaMismatch),
    #[error("format '{0}' cannot be written")]
    NoEncoder(String),
}

/// A column whose type a format cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    #[error("JSON format doesn't support non-string as key type of map: column '{column}' has the type {ty}")]
    JsonKey { column: String, ty: LogicalType },
    #[error("format 'json' does not support the type {ty} of column '{column}'")]
    Json { column: String, ty: LogicalType },
    #[error("format 'csv' does not support maps: Unsupported type '{ty}' for field '{column}'")]
    CsvMap { column: String, ty: LogicalType },
    #[error("Unsupported to derive Schema for type: {0}")]
    Avro(LogicalType),
    #[error("Avro format doesn't support non-string as key type of {what}. The key type is: {key}")]
    AvroKey { what: &'static str, key: LogicalType },
    #[error(
        "Avro does not support {what} type with precision: {precision}, it only supports precision less than {limit}."
    )]
    AvroPrecision {
        what: &'static str,
        precision: u8,
        limit: u8,
    },
    #[error("the 'raw' format doesn't supports '{0}' as column type")]
    Raw(LogicalType),
    #[error(
        "the 'raw' format only supports single physical column. however the defined schema contains multiple physical \
         columns: [{}]", quoted(.0)
    )]
    RawColumns(Vec<String>),
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}
