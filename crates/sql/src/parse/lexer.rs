//! From text to tokens, by Flink's lexical rules: back-ticks quote identifiers, single quotes are strings, double
//! quotes are nothing, `--` and `//` and `/* */` are comments, `/*+` begins hints.
//!
//! Numbers have no sign and no letters other than an exponent: `0x1F` is the number `0` and the word `x1F`, as in
//! Flink. Whether a word is a key word is not decided here.

use millstream_types::ErrorCode;

use super::diagnostics::{Label, ParseError};
use super::span::Span;
use super::token::{SIGNS, Sign, Token, TokenKind};

/// The tokens of a text; the last one is [`TokenKind::End`].
pub fn tokenize(sql: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { sql, position: 0 };
    let mut tokens = Vec::with_capacity(sql.len() / 6 + 1);
    loop {
        let token = lexer
            .next_token()
            .map_err(|error| blame_opening_quote(error, sql, &tokens))?;
        let is_end = token.kind == TokenKind::End;
        tokens.push(token);
        if is_end {
            return Ok(tokens);
        }
    }
}

/// The true place of a string that is not closed: such a string ends at the next quote, where another string was meant
/// to begin, and everything after it is inside out. What gives it away is a word directly behind its closing quote.
fn blame_opening_quote(mut error: ParseError, sql: &str, tokens: &[Token]) -> ParseError {
    if error.code != ErrorCode::UnterminatedText || !error.span.text(sql).starts_with('\'') {
        return error;
    }
    let is_inside_out = |pair: &[Token]| {
        let [string, next] = pair else { return false };
        let touches = string.span.end == next.span.start;
        matches!(string.kind, TokenKind::String(_)) && next.kind == TokenKind::Word && touches
    };
    if let Some([string, _]) = tokens.windows(2).find(|pair| is_inside_out(pair)) {
        error.related = Some(Box::new(Label::new(error.span, "so this quote closes nothing")));
        error.span = Span::new(string.span.start, string.span.start + 1);
        error.place = error.span.line_column(sql);
    }
    error
}

/// Whether a character may begin an identifier without quotes.
pub(super) fn is_identifier_start(c: char) -> bool {
    c == '_' || c == '$' || c.is_ascii_alphabetic() || (!c.is_ascii() && c.is_alphabetic())
}

/// Whether a character may stand inside an identifier without quotes.
pub(super) fn is_identifier_part(c: char) -> bool {
    is_identifier_start(c) || c.is_ascii_digit() || (!c.is_ascii() && c.is_alphanumeric())
}

/// The character set of `N'…'`.
const NATIONAL_CHARSET: &str = "ISO-8859-1";

/// Length of `_CHARSET` if the text begins with it and a quote follows; the name may hold `-`, `:` and `.`.
fn charset_prefix(text: &str) -> Option<usize> {
    let name = text.strip_prefix('_')?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.');
    let length = name.find(|c| !is_part(c))?;
    (length > 0 && name[length..].starts_with('\'')).then_some(length + 1)
}

fn unterminated(error: ParseError) -> ParseError {
    ParseError {
        code: ErrorCode::UnterminatedText,
        ..error
    }
}

struct Lexer<'a> {
    sql: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.sql[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next_token(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks()?;
        let start = self.position;
        let Some(first) = self.peek() else {
            return Ok(Token {
                kind: TokenKind::End,
                span: Span::new(start, start),
            });
        };
        let kind = match first {
            '\'' => TokenKind::String(self.quoted('\'', "string literal")?),
            '`' => self.quoted_identifier()?,
            '0'..='9' => self.number(),
            '.' if self.digit_follows(1) => self.number(),
            // A name may begin with `$`, but a lone `$` is an anchor of a row pattern.
            '$' if !self.rest()[1..].starts_with(is_identifier_part) => self.sign(first)?,
            _ if is_identifier_start(first) => self.word_or_prefixed_string()?,
            _ => self.sign(first)?,
        };
        Ok(Token {
            kind,
            span: Span::new(start, self.position),
        })
    }

    fn digit_follows(&self, offset: usize) -> bool {
        self.rest().as_bytes().get(offset).is_some_and(u8::is_ascii_digit)
    }

    /// Skips white space and comments, but not hints.
    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            let trimmed = self
                .rest()
                .trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.position = self.sql.len() - trimmed.len();
            if trimmed.starts_with("--") || trimmed.starts_with("//") {
                self.position += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") && !trimmed.starts_with("/*+") {
                let Some(length) = trimmed[2..].find("*/") else {
                    let span = Span::new(self.position, self.position + 2);
                    let error = self.error(span, "unterminated comment, the closing */ is missing", None);
                    return Err(unterminated(error));
                };
                self.position += length + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn error(&self, span: Span, message: impl Into<String>, hint: Option<&str>) -> ParseError {
        ParseError {
            code: ErrorCode::InvalidCharacter,
            span,
            place: span.line_column(self.sql),
            message: message.into(),
            expected: Vec::new(),
            hint: hint.map(str::to_owned),
            related: None,
        }
    }

    /// Reads from a quote to the next single one; two quotes stand for one.
    fn quoted(&mut self, quote: char, what: &str) -> Result<String, ParseError> {
        let start = self.position;
        let mut value = String::new();
        self.position += 1;
        loop {
            let Some(length) = self.rest().find(quote) else {
                self.position = self.sql.len();
                let message = format!("unterminated {what}, the closing {quote} is missing");
                return Err(unterminated(self.error(
                    Span::new(start, start + 1),
                    message,
                    None,
                )));
            };
            value.push_str(&self.rest()[..length]);
            self.position += length + 1;
            if self.peek() != Some(quote) {
                return Ok(value);
            }
            value.push(quote);
            self.position += 1;
        }
    }

    fn quoted_identifier(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.position;
        let name = self.quoted('`', "identifier")?;
        if name.is_empty() {
            let span = Span::new(start, self.position);
            return Err(self.error(
                span,
                "encountered an empty identifier",
                Some("write a name in the back-ticks"),
            ));
        }
        Ok(TokenKind::QuotedIdent(name))
    }

    fn skip_digits(&mut self) {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.position += digits;
    }

    fn number(&mut self) -> TokenKind {
        self.skip_digits();
        if self.peek() == Some('.') {
            self.position += 1;
            self.skip_digits();
        }
        let bytes = self.rest().as_bytes();
        if matches!(bytes.first(), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(1), Some(b'+' | b'-')));
            if bytes.get(1 + sign).is_some_and(u8::is_ascii_digit) {
                self.position += 1 + sign;
                self.skip_digits();
            }
        }
        TokenKind::Number
    }

    fn word_or_prefixed_string(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.position;
        let length = self
            .rest()
            .find(|c| !is_identifier_part(c))
            .unwrap_or(self.rest().len());
        self.position += length;
        if let Some(length) = charset_prefix(&self.sql[start..]) {
            self.position = start + length;
            let charset = self.sql[start + 1..self.position].to_owned();
            return Ok(TokenKind::CharsetString {
                charset,
                value: self.quoted('\'', "string literal")?,
            });
        }
        let word = &self.sql[start..self.position];
        let followed_by_quote = self.peek() == Some('\'');
        if word.eq_ignore_ascii_case("u") && self.rest().starts_with("&'") {
            self.position += 1;
            return Ok(TokenKind::UnicodeString(self.quoted('\'', "string literal")?));
        }
        if !followed_by_quote {
            return Ok(TokenKind::Word);
        }
        if word.eq_ignore_ascii_case("x") {
            return Ok(TokenKind::BinaryString(self.quoted('\'', "binary literal")?));
        }
        if word.eq_ignore_ascii_case("n") {
            let value = self.quoted('\'', "string literal")?;
            return Ok(TokenKind::CharsetString {
                charset: NATIONAL_CHARSET.to_owned(),
                value,
            });
        }
        Ok(TokenKind::Word)
    }

    fn sign(&mut self, first: char) -> Result<TokenKind, ParseError> {
        let found: Option<Sign> = SIGNS
            .iter()
            .copied()
            .find(|sign| self.rest().starts_with(sign.text()));
        if let Some(sign) = found {
            self.position += sign.text().len();
            return Ok(TokenKind::Sign(sign));
        }
        let span = Span::new(self.position, self.position + first.len_utf8());
        let hint = match first {
            '"' => "strings are written in single quotes, identifiers in back-ticks",
            '&' | '~' => "there are no bitwise operators",
            '!' => "write <> for \"not equal\" and NOT for negation",
            '@' | '#' => "put a name with this sign in back-ticks",
            '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => "replace the typographic quote by a plain '",
            _ => return Err(self.error(span, format!("lexical error: encountered '{first}'"), None)),
        };
        Err(self.error(span, format!("lexical error: encountered '{first}'"), Some(hint)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        let tokens = tokenize(sql).expect("lexes");
        tokens
            .iter()
            .map(|token| token.span.text(sql))
            .filter(|text| !text.is_empty())
            .collect()
    }

    #[test]
    fn splits_words_numbers_and_signs() {
        assert_eq!(texts("a.b<>1.5e-3*x"), ["a", ".", "b", "<>", "1.5e-3", "*", "x"]);
        assert_eq!(texts("0x1F"), ["0", "x1F"]);
        assert_eq!(texts("1. .5 1.e"), ["1.", ".5", "1.", "e"]);
        assert_eq!(texts("f(a=>1)"), ["f", "(", "a", "=>", "1", ")"]);
        assert_eq!(texts("A $)"), ["A", "$", ")"]);
        assert_eq!(texts("EXPR$0 $f1"), ["EXPR$0", "$f1"]);
        assert_eq!(texts("länge 名前"), ["länge", "名前"]);
    }

    #[test]
    fn skips_comments_but_not_hints() {
        assert_eq!(texts("a -- b\nc // d\n/* e\n f */ g"), ["a", "c", "g"]);
        assert_eq!(texts("a /*+ b */"), ["a", "/*+", "b", "*/"]);
        assert_eq!(texts("-- only\n"), Vec::<&str>::new());
    }

    #[test]
    fn unescapes_quotes() {
        let kinds: Vec<_> = tokenize("'it''s' `a``b` X'0f' U&'\\00e9' _UTF8'u' n'v'")
            .expect("lexes")
            .into_iter()
            .map(|token| token.kind)
            .collect();
        assert_eq!(kinds[0], TokenKind::String("it's".into()));
        assert_eq!(kinds[1], TokenKind::QuotedIdent("a`b".into()));
        assert_eq!(kinds[2], TokenKind::BinaryString("0f".into()));
        assert_eq!(kinds[3], TokenKind::UnicodeString("\\00e9".into()));
        assert_eq!(
            kinds[4],
            TokenKind::CharsetString {
                charset: "UTF8".into(),
                value: "u".into()
            }
        );
        assert!(matches!(kinds[5], TokenKind::CharsetString { .. }));
    }

    #[test]
    fn refuses_what_is_no_token() {
        for (sql, expected) in [
            ("SELECT 'a", "unterminated string"),
            ("SELECT `a", "unterminated identifier"),
            ("SELECT /* a", "unterminated comment"),
            ("SELECT \"a\"", "single quotes"),
            ("SELECT 1 & 2", "bitwise"),
        ] {
            let error = tokenize(sql).expect_err(sql);
            assert!(error.to_string().contains(expected), "{sql}: {error}");
        }
    }
}
