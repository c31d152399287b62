//! Why a statement failed: the form in which every door shows it.

use millstream_dataflow::DataflowError;
use millstream_sql::bind::error::SqlError;
use millstream_sql::parse::{ParseError, Span, parse_statement};
use millstream_types::{ErrorCode, ErrorKind};
use serde::Serialize;

/// An error of a statement. Its serialised form is the same in JSON lines and in the bodies of HTTP responses.
#[derive(Clone, Debug, thiserror::Error, Serialize)]
#[error("{message}")]
pub struct SessionError {
    /// What is wrong, by a name that stays the same between versions.
    pub code: ErrorCode,
    /// What to do about it.
    pub kind: ErrorKind,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where in the statement; the place at fault comes first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<ErrorSpan>,
    /// All of it as people read it, with the lines of the statement; empty if there is nothing besides the message.
    #[serde(skip_serializing_if = "String::is_empty")]
    rendered: String,
}

/// A part of a statement. Lines and columns count from 1, columns in characters; the end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorSpan {
    /// Whether this is the place at fault and not one that explains it.
    pub primary: bool,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl ErrorSpan {
    fn new(sql: &str, span: Span, label: Option<String>) -> Self {
        let start = span.line_column(sql);
        let end = Span::new(span.end, span.end).line_column(sql);
        Self {
            primary: false,
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            label,
        }
    }

    fn primary(sql: &str, span: Span, label: Option<String>) -> Self {
        Self {
            primary: true,
            ..Self::new(sql, span, label)
        }
    }
}

impl SessionError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::of_kind(kind),
            kind,
            message: message.into(),
            hint: None,
            spans: Vec::new(),
            rendered: String::new(),
        }
    }

    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// An error of a code and the kind that is declared for it.
    pub fn coded(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            ..Self::new(code.declaration().kind, message)
        }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.rendered = format!("{}\n = hint: {hint}", self.message);
        self.hint = Some(hint);
        self
    }

    /// A syntax error with the line of `sql` that contains it.
    pub(crate) fn parse(error: &ParseError, sql: &str) -> Self {
        let related = error.related.as_deref().into_iter();
        let related = related.map(|label| ErrorSpan::new(sql, label.span, Some(label.text.clone())));
        Self {
            spans: std::iter::once(ErrorSpan::primary(sql, error.span, error.expected_text()))
                .chain(related)
                .collect(),
            hint: error.hint.clone(),
            rendered: error.render(sql),
            ..Self::coded(error.code, error.headline())
        }
    }

    /// A binding error with the line of `sql` that contains it.
    pub(crate) fn bind(error: &SqlError, sql: &str) -> Self {
        let primary = error.span.filter(|span| span.end > span.start);
        let primary = primary.map(|span| ErrorSpan::primary(sql, span, None));
        let related = error.related.iter();
        let related = related.map(|label| ErrorSpan::new(sql, label.span, Some(label.text.clone())));
        Self {
            code: error.code(),
            spans: primary.into_iter().chain(related).collect(),
            hint: error.hint.clone(),
            rendered: error.render(sql),
            ..Self::new(error.kind, error.message.clone())
        }
    }

    /// A binding error of several statements, whose places belong to different texts.
    pub(crate) fn bind_together(error: &SqlError) -> Self {
        let plain = Self {
            code: error.code(),
            ..Self::new(error.kind, error.message.clone())
        };
        match &error.hint {
            Some(hint) => plain.with_hint(hint),
            None => plain,
        }
    }

    /// The message with the lines of the statement and the hint, as people read it.
    pub fn rendered(&self) -> &str {
        if self.rendered.is_empty() {
            &self.message
        } else {
            &self.rendered
        }
    }
}

/// Whether a statement follows the grammar: for statements that are not executed because one before them has failed.
pub fn check_syntax(sql: &str) -> Result<(), SessionError> {
    match parse_statement(sql) {
        Ok(_) => Ok(()),
        Err(error) => Err(SessionError::parse(&error, sql)),
    }
}

impl From<DataflowError> for SessionError {
    fn from(error: DataflowError) -> Self {
        Self {
            code: error.code,
            ..Self::new(error.kind, error.message)
        }
    }
}
