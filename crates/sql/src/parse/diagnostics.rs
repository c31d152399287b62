//! Errors of the lexer and the parser, and their form for people.
//!
//! An error knows its place, what stands there, what could have stood there, and often what to write instead.
//! `Display` gives one line for logs and protocols; [`ParseError::render`] shows the line of SQL with a caret.
//! [`Report`] does the same for any message with a span, so that the binder's errors look alike.

use std::collections::BTreeSet;

use millstream_types::ErrorCode;

use super::span::{LineColumn, Span};

/// A message lists at most this many of the things that could have stood at the place of an error.
pub const EXPECTED_SHOWN_MAX: usize = 8;

/// A line of SQL is shown up to this many characters around the caret.
const LINE_WIDTH_MAX: usize = 120;

/// A place and what it has to do with the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

impl Label {
    pub fn new(span: Span, text: impl Into<String>) -> Self {
        Self {
            span,
            text: text.into(),
        }
    }
}

/// A statement that violates the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} at {place}: {}", if self.is_of_syntax() { "syntax error" } else { "error" }, self.sentence())]
pub struct ParseError {
    pub code: ErrorCode,
    pub span: Span,
    /// Line and column of the span.
    pub place: LineColumn,
    /// The problem, without its position.
    pub message: String,
    /// What would be valid here; empty if the message already says so.
    pub expected: Vec<String>,
    /// What to write instead.
    pub hint: Option<String>,
    /// Another place that explains the error. Boxed, since errors are returned by value and most have none.
    pub related: Option<Box<Label>>,
}

impl ParseError {
    /// Message, expectations and hint in one line.
    pub fn sentence(&self) -> String {
        let mut sentence = self.message.clone();
        if let Some(expected) = self.expected_text() {
            sentence.push_str("; ");
            sentence.push_str(&expected);
        }
        if let Some(hint) = &self.hint {
            sentence.push_str("; ");
            sentence.push_str(hint);
        }
        sentence
    }

    /// The error with the line of `sql` that it speaks of.
    pub fn render(&self, sql: &str) -> String {
        Report {
            message: &self.headline(),
            span: self.span,
            note: self.expected_text().as_deref(),
            related: self.related.as_deref().map_or(&[], std::slice::from_ref),
            hint: self.hint.as_deref(),
        }
        .render(sql)
    }

    /// The message alone, without what was expected and without the hint.
    pub fn headline(&self) -> String {
        if self.is_of_syntax() {
            format!("syntax error: {}", self.message)
        } else {
            self.message.clone()
        }
    }

    /// Whether the grammar is violated. The other errors follow it and name something that cannot be.
    fn is_of_syntax(&self) -> bool {
        !matches!(
            self.code,
            ErrorCode::InvalidLiteral | ErrorCode::UnknownType | ErrorCode::LimitExceeded
        )
    }

    /// What could have stood at the place of the error, as part of a sentence.
    pub fn expected_text(&self) -> Option<String> {
        let shown = &self.expected[..self.expected.len().min(EXPECTED_SHOWN_MAX)];
        match shown {
            [] => None,
            [only] => Some(format!("expected {only}")),
            [rest @ .., last] if shown.len() == self.expected.len() => {
                Some(format!("expected {} or {last}", rest.join(", ")))
            }
            _ => Some(format!("expected {}, …", shown.join(", "))),
        }
    }
}

/// An error to be shown with the lines of SQL that it speaks of.
pub struct Report<'a> {
    pub message: &'a str,
    /// The place at fault, marked with carets.
    pub span: Span,
    /// What stands behind the carets.
    pub note: Option<&'a str>,
    /// Other places, marked with dashes.
    pub related: &'a [Label],
    pub hint: Option<&'a str>,
}

/// A line below a line of SQL that marks a part of it.
struct Mark<'a> {
    line: usize,
    span: Span,
    sign: &'static str,
    text: Option<&'a str>,
}

impl Report<'_> {
    /// The message, the lines with their marks, and the hint.
    pub fn render(&self, sql: &str) -> String {
        let marks = self.marks(sql);
        let lines: BTreeSet<usize> = marks.iter().map(|mark| mark.line).collect();
        let width = lines.last().map_or(1, |last| last.to_string().len());
        let margin = " ".repeat(width);
        let place = self.span.line_column(sql);
        let mut text = format!("{}\n{margin} --> {place}\n{margin} |", self.message);
        let mut previous = None;
        for line in lines {
            if previous.is_some_and(|previous| previous + 1 < line) {
                text.push_str("\n...");
            }
            previous = Some(line);
            let of_line: Vec<&Mark<'_>> = marks.iter().filter(|mark| mark.line == line).collect();
            push_line(&mut text, sql, line, width, &of_line);
        }
        if let Some(hint) = self.hint {
            text.push_str(&format!("\n{margin} = hint: {hint}"));
        }
        text
    }

    fn marks(&self, sql: &str) -> Vec<Mark<'_>> {
        let primary = Mark {
            line: self.span.line_column(sql).line,
            span: self.span,
            sign: "^",
            text: self.note,
        };
        let related = self.related.iter().map(|label| Mark {
            line: label.span.line_column(sql).line,
            span: label.span,
            sign: "-",
            text: Some(&label.text),
        });
        std::iter::once(primary).chain(related).collect()
    }
}

/// Appends a line of SQL and the marks below it. The first mark decides which part of a long line is shown.
fn push_line(text: &mut String, sql: &str, number: usize, width: usize, marks: &[&Mark<'_>]) {
    let line = sql.lines().nth(number - 1).unwrap_or("");
    let column = |mark: &Mark<'_>| mark.span.line_column(sql).column - 1;
    let (shown, skipped) = window(line, marks.first().map_or(0, |mark| column(mark)));
    text.push_str(&format!("\n{number:>width$} | {shown}"));
    for mark in marks {
        let Some(start) = column(mark).checked_sub(skipped) else {
            continue;
        };
        let start = start.min(shown.chars().count());
        let sign = mark.sign.repeat(mark_width(sql, mark.span, &shown, start));
        text.push_str(&format!("\n{:width$} | {}{sign}", "", padding(&shown, start)));
        if let Some(note) = mark.text {
            text.push_str(&format!(" {note}"));
        }
    }
}

/// The part of a long line around a column, and how many characters are left out before it.
fn window(line: &str, column: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= LINE_WIDTH_MAX {
        return (line.to_owned(), 0);
    }
    let start = column
        .saturating_sub(LINE_WIDTH_MAX / 2)
        .min(length.saturating_sub(LINE_WIDTH_MAX));
    let shown = line.chars().skip(start).take(LINE_WIDTH_MAX).collect();
    (shown, start)
}

/// Blanks up to the caret; tabs stay tabs, so that the caret stands right whatever their width.
fn padding(line: &str, column: usize) -> String {
    line.chars()
        .take(column)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect()
}

fn mark_width(sql: &str, span: Span, line: &str, column: usize) -> usize {
    let first_line = span.text(sql).lines().next().unwrap_or("");
    let rest_of_line = line.chars().count().saturating_sub(column);
    first_line.chars().count().min(rest_of_line).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report<'a>(span: Span, related: &'a [Label]) -> Report<'a> {
        Report {
            message: "oops",
            span,
            note: Some("expected WHERE"),
            related,
            hint: Some("did you mean WHERE?"),
        }
    }

    #[test]
    fn shows_the_line_and_a_caret() {
        let sql = "SELECT a\nFROM\tt WERE b";
        let start = sql.find("WERE").expect("is there");
        let text = report(Span::new(start, start + 4), &[]).render(sql);
        assert_eq!(
            text,
            "oops\n  --> line 2, column 8\n  |\n2 | FROM\tt WERE b\n  |     \t  ^^^^ expected WHERE\n  = hint: did you mean WHERE?"
        );
    }

    #[test]
    fn shows_related_places_in_the_order_of_the_text() {
        let sql = "SELECT (a\nFROM t\n\nWHERE b";
        let place = |word: &str| {
            let start = sql.find(word).expect("is there");
            Span::new(start, start + word.len())
        };
        let related = [
            Label::new(place("("), "opened here"),
            Label::new(place("b"), "a column"),
        ];
        assert_eq!(
            report(place("WHERE"), &related).render(sql),
            "oops\n  --> line 4, column 1\n  |\n1 | SELECT (a\n  |        - opened here\n...\n4 | WHERE b\n  | ^^^^^ \
             expected WHERE\n  |       - a column\n  = hint: did you mean WHERE?"
        );
    }

    #[test]
    fn survives_places_outside_the_text() {
        for (start, end) in [(0, 0), (5, 9), (2, 1), (1, 2)] {
            let text = report(Span::new(start, end), &[]).render("é");
            assert!(text.starts_with("oops\n"), "{text}");
        }
    }

    #[test]
    fn cuts_long_lines() {
        let sql = format!("SELECT {} x", "a, ".repeat(1_000));
        let related = [Label::new(Span::new(0, 6), "far away")];
        let span = Span::new(sql.len() - 1, sql.len());
        let text = report(span, &related).render(&sql);
        assert!(text.lines().all(|line| line.chars().count() < 150), "{text}");
    }
}
