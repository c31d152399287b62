//! The text of a line as words: what completion and highlighting have in common.
//!
//! A person types a line from left to right, so that most of the time it is no whole statement: a string may be open,
//! a sign may be missing. What can be read is read with the parser's own lexer; the rest is left as text.

use millstream_sql::parse::{Token, TokenKind, tokenize};

/// The tokens of a line up to the first place that cannot be read, and that place (the line's length if there is none).
pub fn readable(line: &str) -> (Vec<Token>, usize) {
    let (tokens, end) = match tokenize(line) {
        Ok(tokens) => (tokens, line.len()),
        Err(error) => {
            let end = error.span.start.min(line.len());
            (tokenize(&line[..end]).unwrap_or_default(), end)
        }
    };
    (
        tokens
            .into_iter()
            .filter(|token| token.kind != TokenKind::End)
            .collect(),
        end,
    )
}

/// Where the string begins that is open at the end of `text`: the place behind its quote. Quotes in comments and in
/// back-ticks are none.
pub fn open_string(text: &str) -> Option<usize> {
    let mut rest = text;
    loop {
        let at = rest.find(['\'', '`', '-'])?;
        let (first, behind) = (&rest[at..at + 1], &rest[at + 1..]);
        rest = match first {
            // Two quotes in a string are one of its characters, which reads like two strings.
            "'" => match behind.find('\'') {
                Some(end) => &behind[end + 1..],
                None => return Some(string_start(text, text.len() - behind.len())),
            },
            "`" => behind.find('`').map_or("", |end| &behind[end + 1..]),
            _ if behind.starts_with('-') => behind.find('\n').map_or("", |end| &behind[end..]),
            _ => behind,
        };
    }
}

/// The place behind the first quote of a string whose last piece, behind a doubled quote, begins at `piece`.
fn string_start(text: &str, piece: usize) -> usize {
    let mut start = piece;
    while text[..start].ends_with("''") {
        let Some(quote) = text[..start - 2].rfind('\'') else {
            break;
        };
        start = quote + 1;
    }
    start
}

/// Whether a character may stand in a word.
pub fn is_word_part(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_ends_the_tokens() {
        let line = "SELECT a, 'open";
        let (tokens, end) = readable(line);
        let texts: Vec<&str> = tokens.iter().map(|token| token.span.text(line)).collect();
        assert_eq!((texts, &line[end..]), (vec!["SELECT", "a", ","], "'open"));
    }

    #[test]
    fn open_strings() {
        let open = |text: &str| open_string(text).map(|start| text[start..].to_owned());
        assert_eq!(open("SELECT 'a''b"), Some("a''b".to_owned()));
        assert_eq!(open("SELECT 'a' "), None);
        assert_eq!(open("SELECT `it's` "), None);
        assert_eq!(open("-- it's\nSELECT 'x"), Some("x".to_owned()));
    }
}
