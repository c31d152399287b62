//! Places in the text of a statement.
//!
//! Every token, syntax node and diagnostic carries a [`Span`]; what is not here is the text itself, which the
//! caller keeps and hands to [`crate::parse::Report`] when something has to be shown.

use std::hash::{Hash, Hasher};

/// A range of bytes in the text that was parsed.
///
/// Two spans always compare equal, and hash to nothing: syntax nodes derive `PartialEq` and `Hash`, and two
/// expressions are the same expression wherever they stand (`GROUP BY a + 1` matches `SELECT a + 1`).
/// Use [`Span::same_place`] to compare places.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// A span over the bytes `start..end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// Whether both spans cover the same bytes.
    pub const fn same_place(self, other: Self) -> bool {
        self.start == other.start && self.end == other.end
    }

    /// The bytes of `text` under this span; empty when the span does not belong to the text.
    pub fn text(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or("")
    }

    /// The place of the first byte as line and column, both counted from one, columns in characters.
    pub fn line_column(self, text: &str) -> LineColumn {
        let mut start = self.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        LineColumn {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Span {}

impl Hash for Span {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A place for people: line and column, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumn {
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for LineColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}
