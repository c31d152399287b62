//! Errors of the binder and the rules: a message in Flink's words, the place in the text, and what to write instead.
//!
//! `Display` is one line for logs and protocols; [`SqlError::render`] adds the line of SQL with a caret, in the same
//! form as syntax errors.

use millstream_plan::ObjectIdentifier;
use millstream_types::{ErrorCode, ErrorKind};

use crate::parse::similar::nearest;
use crate::parse::span::Span;
use crate::parse::{Label, Report};

/// Why a statement was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    pub kind: ErrorKind,
    /// What is wrong, if it has been classified more closely than by its kind. [`SqlError::code`] reads it.
    pub(crate) code: Option<ErrorCode>,
    pub message: String,
    /// Where in the statement's text; missing when no single place is at fault.
    pub span: Option<Span>,
    /// What to write instead.
    pub hint: Option<String>,
    /// Other places that explain the error.
    pub related: Vec<Label>,
    /// The table that the catalog lacks. A session whose catalog reads its tables on demand looks it up and binds again.
    pub missing_table: Option<Box<ObjectIdentifier>>,
}

/// The result of everything in this crate that looks at a statement.
pub type SqlResult<T> = Result<T, SqlError>;

impl SqlError {
    /// The statement is wrong.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Input,
            code: None,
            message: message.into(),
            span: None,
            hint: None,
            related: Vec::new(),
            missing_table: None,
        }
    }

    /// The statement is wrong at this place.
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self::new(message).with_span(span)
    }

    /// The statement is right, but this build does not run it.
    pub fn unsupported(span: Span, what: impl std::fmt::Display) -> Self {
        Self {
            kind: ErrorKind::Unsupported,
            ..Self::at(span, format!("not supported yet: {what}"))
        }
    }

    /// A promise between rooms does not hold.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self {
            kind: ErrorKind::Internal,
            ..Self::new(format!("internal error: {message}"))
        }
    }

    /// The stable code. An error that no caller has classified has the code of its kind.
    pub fn code(&self) -> ErrorCode {
        self.code.unwrap_or(ErrorCode::of_kind(self.kind))
    }

    /// The same error with a code, unless it has one already: the place that knows most classifies first, and callers
    /// give the rest of their clause a common code. Errors of other kinds than the code's stay what they are.
    pub fn with_code(mut self, code: ErrorCode) -> Self {
        if self.kind == code.declaration().kind {
            self.code.get_or_insert(code);
        }
        self
    }

    /// The same error with a place, unless it has one already.
    pub fn with_span(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// The same error without places: they belong to the text of another statement.
    pub fn without_places(mut self) -> Self {
        self.span = None;
        self.related.clear();
        self
    }

    /// The same error with another place that explains it.
    pub fn with_related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label::new(span, text));
        self
    }

    /// The same error, naming the table that the catalog lacks.
    pub fn missing(mut self, table: &ObjectIdentifier) -> Self {
        self.missing_table = Some(Box::new(table.clone()));
        self
    }

    /// The error of a view's query, at the place where the view is used.
    pub fn in_view(mut self, view: &ObjectIdentifier, span: Span) -> Self {
        self.message = format!("{} (in view '{view}')", self.message);
        self.without_places().with_span(span)
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Offers the candidate nearest to `name`, if one is near.
    pub fn offering<'a>(self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(name, candidates) {
            Some(near) => self.with_hint(format!("did you mean '{near}'?")),
            None => self,
        }
    }

    /// The error with the line of `sql` that it speaks of.
    pub fn render(&self, sql: &str) -> String {
        match (self.span, &self.hint) {
            (Some(span), hint) if span.end > span.start => Report {
                message: &self.message,
                span,
                note: None,
                related: &self.related,
                hint: hint.as_deref(),
            }
            .render(sql),
            (_, Some(hint)) => format!("{}\n = hint: {hint}", self.message),
            (_, None) => self.message.clone(),
        }
    }
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SqlError {}
