//! Tokens of an incomplete line, for completion and highlighting.
//!
//! While a user types, a line is rarely a complete statement: a string may be open, a parenthesis missing. The parser's
//! lexer reads the part that is complete; the rest stays plain text.

use millstream_sql::parse::{Token, TokenKind, tokenize};

/// The tokens of a line up to the first position that the lexer rejects, and that position (the line's length if there
/// is none).
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

/// The position after the opening quote of a string that is still open at the end of `text`. Quotes inside comments and
/// back-ticks do not open a string.
pub fn open_string(text: &str) -> Option<usize> {
    let mut rest = text;
    loop {
        let at = rest.find(['\'', '`', '-'])?;
        let (first, behind) = (&rest[at..at + 1], &rest[at + 1..]);
        rest = match first {
            // A doubled quote is one character of the string, although the lexer sees two adjacent strings.
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

/// The position after the opening quote of a string, given where the piece after its last doubled quote starts.
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
