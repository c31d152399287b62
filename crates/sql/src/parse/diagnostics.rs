//! Errors of the lexer and the parser, and their form for people.
//!
//! An error knows its place, what stands there, what could have stood there, and often what to write instead.
//! `Display` gives one line for logs and protocols; [`ParseError::render`] shows the line of SQL with a caret.
//! [`render`] does the same for anybody's message with a span, so that the binder's errors look alike.

use super::span::{LineColumn, Span};

/// A message lists at most this many of the things that could have stood at the place of an error.
pub const EXPECTED_SHOWN_MAX: usize = 8;

/// A line of SQL is shown up to this many characters around the caret.
const LINE_WIDTH_MAX: usize = 120;

/// A statement that does not follow the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("syntax error at {place}: {}", self.sentence())]
pub struct ParseError {
    pub kind: ParseErrorKind,
    pub span: Span,
    /// Line and column of the span.
    pub place: LineColumn,
    /// What is wrong, without the place.
    pub message: String,
    /// What could have stood there; empty when the message says it.
    pub expected: Vec<String>,
    /// What to write instead.
    pub hint: Option<String>,
}

/// The kinds of syntax errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// The text is not made of tokens: an unclosed string, a stray sign.
    Lexical,
    /// A token stands where it may not.
    Unexpected,
    /// The text ends too early; more input may complete it.
    EndOfInput,
    /// The form is right, the value is not, such as `DATE '2024-02-30'`.
    Invalid,
    /// A limit of the parser.
    Limit,
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
        let message = format!("syntax error: {}", self.message);
        render(
            sql,
            self.span,
            &message,
            self.expected_text().as_deref(),
            self.hint.as_deref(),
        )
    }

    fn expected_text(&self) -> Option<String> {
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

/// A message with the line of `sql` that `span` lies in, a caret under it, a note behind the caret and a hint below.
pub fn render(sql: &str, span: Span, message: &str, note: Option<&str>, hint: Option<&str>) -> String {
    let place = span.line_column(sql);
    let line = sql.lines().nth(place.line - 1).unwrap_or("");
    let (shown, caret_column) = window(line, place.column - 1);
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let caret = "^".repeat(caret_width(sql, span, &shown, caret_column));
    let mut text = format!("{message}\n{margin} --> {place}\n{margin} |\n{number} | {shown}\n");
    text.push_str(&format!("{margin} | {}{caret}", padding(&shown, caret_column)));
    if let Some(note) = note {
        text.push_str(&format!(" {note}"));
    }
    if let Some(hint) = hint {
        text.push_str(&format!("\n{margin} = hint: {hint}"));
    }
    text
}

/// The part of a long line around a column, and the column inside this part.
fn window(line: &str, column: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= LINE_WIDTH_MAX {
        return (line.to_owned(), column.min(length));
    }
    let start = column
        .saturating_sub(LINE_WIDTH_MAX / 2)
        .min(length.saturating_sub(LINE_WIDTH_MAX));
    let shown = line.chars().skip(start).take(LINE_WIDTH_MAX).collect();
    (shown, column - start)
}

/// Blanks up to the caret; tabs stay tabs, so that the caret stands right whatever their width.
fn padding(line: &str, column: usize) -> String {
    line.chars()
        .take(column)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect()
}

fn caret_width(sql: &str, span: Span, line: &str, column: usize) -> usize {
    let first_line = span.text(sql).lines().next().unwrap_or("");
    let rest_of_line = line.chars().count().saturating_sub(column);
    first_line.chars().count().min(rest_of_line).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_and_a_caret() {
        let sql = "SELECT a\nFROM\tt WERE b";
        let start = sql.find("WERE").expect("is there");
        let text = render(
            sql,
            Span::new(start, start + 4),
            "oops",
            Some("expected WHERE"),
            Some("did you mean WHERE?"),
        );
        assert_eq!(
            text,
            "oops\n  --> line 2, column 8\n  |\n2 | FROM\tt WERE b\n  |     \t  ^^^^ expected WHERE\n  = hint: did you mean WHERE?"
        );
    }

    #[test]
    fn survives_places_outside_the_text() {
        for (start, end) in [(0, 0), (5, 9), (2, 1), (1, 2)] {
            let text = render("é", Span::new(start, end), "oops", None, None);
            assert!(text.starts_with("oops\n"), "{text}");
        }
    }

    #[test]
    fn cuts_long_lines() {
        let sql = format!("SELECT {} x", "a, ".repeat(1_000));
        let span = Span::new(sql.len() - 1, sql.len());
        assert!(
            render(&sql, span, "oops", None, None)
                .lines()
                .all(|line| line.len() < 140)
        );
    }
}
