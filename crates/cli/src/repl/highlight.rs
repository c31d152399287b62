//! Syntax highlighting while typing, by the parser's lexer.

use std::ops::Range;

use millstream_functions::{aggregate_function, scalar_function};
use millstream_sql::parse::words::is_reserved;
use millstream_sql::parse::{Sign, Token, TokenKind};
use nu_ansi_term::{Color, Style};
use reedline::{Highlighter, StyledText};

use millstream_session::completion::STATEMENT_STARTS;
use millstream_session::completion::words::readable;

/// The category of a piece of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    Keyword,
    Function,
    String,
    Number,
    Comment,
    /// Names, signs, blanks.
    Plain,
    /// Text that the lexer rejects: an open string, a stray character.
    Unreadable,
}

/// Splits the line into categorised pieces that cover it completely.
pub fn pieces(line: &str) -> Vec<(Range<usize>, Piece)> {
    let (tokens, end) = readable(line);
    let mut pieces = Vec::new();
    let mut at = 0;
    for (i, token) in tokens.iter().enumerate() {
        between(line, at..token.span.start, &mut pieces);
        pieces.push((token.span.start..token.span.end, piece(&tokens, i, line)));
        at = token.span.end;
    }
    between(line, at..end, &mut pieces);
    if end < line.len() {
        pieces.push((end..line.len(), Piece::Unreadable));
    }
    pieces
}

/// The text between tokens: blanks or comments.
fn between(line: &str, range: Range<usize>, pieces: &mut Vec<(Range<usize>, Piece)>) {
    if range.is_empty() {
        return;
    }
    let is_blank = line[range.clone()].trim().is_empty();
    pieces.push((range, if is_blank { Piece::Plain } else { Piece::Comment }));
}

fn piece(tokens: &[Token], i: usize, line: &str) -> Piece {
    match &tokens[i].kind {
        TokenKind::Word => word(tokens, i, line),
        TokenKind::Number => Piece::Number,
        TokenKind::String(_)
        | TokenKind::CharsetString { .. }
        | TokenKind::UnicodeString(_)
        | TokenKind::BinaryString(_) => Piece::String,
        TokenKind::QuotedIdent(_) | TokenKind::Sign(_) | TokenKind::End => Piece::Plain,
    }
}

fn word(tokens: &[Token], i: usize, line: &str) -> Piece {
    let is_sign = |at: Option<usize>, sign: Sign| {
        at.and_then(|at| tokens.get(at))
            .is_some_and(|token| token.kind == TokenKind::Sign(sign))
    };
    let text = tokens[i].span.text(line);
    if is_sign(i.checked_sub(1), Sign::Dot) {
        return Piece::Plain;
    }
    let is_function = || scalar_function(text).is_some() || aggregate_function(text).is_some();
    if is_sign(Some(i + 1), Sign::LeftParen) && is_function() {
        return Piece::Function;
    }
    let begins = i == 0 || is_sign(i.checked_sub(1), Sign::Semicolon);
    let starts_statement = begins && STATEMENT_STARTS.contains(&text.to_ascii_uppercase().as_str());
    if is_reserved(text) || starts_statement {
        Piece::Keyword
    } else {
        Piece::Plain
    }
}

fn style(piece: Piece) -> Style {
    match piece {
        Piece::Keyword => Style::new().fg(Color::Blue).bold(),
        Piece::Function => Style::new().fg(Color::Cyan),
        Piece::String => Style::new().fg(Color::Green),
        Piece::Number => Style::new().fg(Color::Yellow),
        Piece::Comment => Style::new().dimmed(),
        Piece::Plain => Style::new(),
        Piece::Unreadable => Style::new().fg(Color::Red),
    }
}

/// Highlighting for the line editor.
pub struct ShellHighlighter {
    /// Whether colours are enabled (`NO_COLOR`).
    pub colors: bool,
}

impl Highlighter for ShellHighlighter {
    fn highlight(&self, line: &str, _: usize) -> StyledText {
        let mut text = StyledText::new();
        if !self.colors {
            text.push((Style::new(), line.to_owned()));
            return text;
        }
        for (range, piece) in pieces(line) {
            text.push((style(piece), line[range].to_owned()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<(&str, Piece)> {
        pieces(line)
            .into_iter()
            .filter(|(_, p)| *p != Piece::Plain)
            .map(|(range, p)| (&line[range], p))
            .collect()
    }

    #[test]
    fn every_piece_of_a_statement() {
        let line = "SELECT UPPER(t.name), 'it''s', 1.5 -- end\nFROM `select`";
        let expected = [
            ("SELECT", Piece::Keyword),
            ("UPPER", Piece::Function),
            ("'it''s'", Piece::String),
            ("1.5", Piece::Number),
            (" -- end\n", Piece::Comment),
            ("FROM", Piece::Keyword),
        ];
        assert_eq!(shown(line), expected);
    }

    #[test]
    fn an_open_string_is_unreadable() {
        assert_eq!(
            shown("SELECT 'abc"),
            [("SELECT", Piece::Keyword), ("'abc", Piece::Unreadable)]
        );
    }

    #[test]
    fn pieces_are_the_whole_line() {
        for line in [
            "",
            "  ",
            "SELECT a.b, `c` FROM t; -- x",
            "SHOW TABLES",
            "/* open",
            "ä ß 'ü",
            "SELECT \"x",
        ] {
            let whole: String = pieces(line).into_iter().map(|(range, _)| &line[range]).collect();
            assert_eq!(whole, line);
        }
    }
}
