//! Names, strings and option lists: the small parts that all statements share.

use millstream_types::ErrorCode;

use super::{Expected, Parser, Result};
use crate::parse::ast::{ExprKind, Ident, Literal, ObjectName, Span, SqlOption, StringLiteral};
use crate::parse::diagnostics::{Label, ParseError};
use crate::parse::token::{Sign, TokenKind};
use crate::parse::words;

/// What messages call an identifier.
pub(super) const A_NAME: &str = "a name";

impl Parser<'_> {
    /// An identifier: in back-ticks, or a word that is not reserved.
    pub(super) fn identifier(&mut self) -> Result<Ident> {
        let token = self.peek();
        let span = token.span;
        let value = match &token.kind {
            TokenKind::QuotedIdent(name) => name.clone(),
            TokenKind::Word if !words::is_reserved(span.text(self.sql)) => span.text(self.sql).to_owned(),
            _ => return Err(self.unexpected_thing(A_NAME)),
        };
        self.advance();
        Ok(Ident { value, span })
    }

    /// An identifier if one stands here.
    pub(super) fn eat_identifier(&mut self) -> Option<Ident> {
        if self.is_identifier_at(0) {
            return self.identifier().ok();
        }
        self.note(Expected::Thing(A_NAME));
        None
    }

    /// `a`, `a.b`, `a.b.c` …
    pub(in crate::parse) fn object_name(&mut self) -> Result<ObjectName> {
        let mut parts = vec![self.identifier()?];
        while self.is_sign(Sign::Dot) {
            self.advance();
            parts.push(self.identifier()?);
        }
        let span = self.span_from(parts[0].span);
        Ok(ObjectName { parts, span })
    }

    /// `(a, b, …)`.
    pub(super) fn parenthesized_names(&mut self) -> Result<Vec<Ident>> {
        self.parenthesized_list(Self::identifier)
    }

    /// A plain string in quotes, not an expression.
    pub(super) fn string_literal(&mut self) -> Result<StringLiteral> {
        match self.eat_string()? {
            Some(literal) => Ok(literal),
            None => Err(self.unexpected_thing("a string in quotes")),
        }
    }

    /// A string if one stands here; `U&'…'` and continuation lines included.
    pub(super) fn eat_string(&mut self) -> Result<Option<StringLiteral>> {
        if !self.is_string() {
            return Ok(None);
        }
        let Some(expr) = self.plain_literal()? else {
            return Ok(None);
        };
        let ExprKind::Literal(Literal::String(literal)) = expr.kind else {
            return Ok(None);
        };
        Ok(Some(StringLiteral {
            value: literal.value,
            span: expr.span,
        }))
    }

    /// Whether a character string stands here.
    pub(super) fn is_string(&self) -> bool {
        matches!(
            self.peek().kind,
            TokenKind::String(_) | TokenKind::UnicodeString(_) | TokenKind::CharsetString { .. }
        )
    }

    /// An unsigned integer that fits 32 bits, such as a precision.
    pub(super) fn unsigned_integer(&mut self) -> Result<u32> {
        let span = self.span();
        let is_number = self.peek().kind == TokenKind::Number;
        match span.text(self.sql).parse::<u32>() {
            Ok(value) if is_number => {
                self.advance();
                Ok(value)
            }
            Err(_) if is_number && span.text(self.sql).bytes().all(|b| b.is_ascii_digit()) => Err(self
                .invalid(
                    span,
                    format!("the number {} is too large here", span.text(self.sql)),
                )),
            _ => Err(self.unexpected_thing("an unsigned integer")),
        }
    }

    /// `('key' = 'value', …)`, which may be empty.
    pub(super) fn option_list(&mut self) -> Result<Vec<SqlOption>> {
        self.expect_sign(Sign::LeftParen)?;
        if self.eat_sign(Sign::RightParen) {
            return Ok(Vec::new());
        }
        let options = self.comma_separated(Self::option)?;
        self.expect_sign(Sign::RightParen)?;
        Ok(options)
    }

    /// `'key' = 'value'`.
    pub(super) fn option(&mut self) -> Result<SqlOption> {
        let Some(key) = self.eat_string()? else {
            return Err(self.unquoted_option("key"));
        };
        self.expect_sign(Sign::Equals)?;
        let Some(value) = self.eat_string()? else {
            return Err(self.unquoted_option("value"));
        };
        if self.is_sign(Sign::Equals) && self.previous_is_string(1) && self.previous_is_string(2) {
            return Err(self.swallowed_option());
        }
        let span = key.span.to(value.span);
        Ok(SqlOption { key, value, span })
    }

    fn previous_is_string(&self, steps: usize) -> bool {
        let index = self.position.checked_sub(steps);
        index.is_some_and(|index| matches!(self.tokens[index].kind, TokenKind::String(_)))
    }

    /// The error of an option that was read as the continuation of the value before it, since a comma is missing.
    fn swallowed_option(&self) -> ParseError {
        let (value, key) = (
            self.tokens[self.position - 2].span,
            self.tokens[self.position - 1].span,
        );
        let message = format!(
            "encountered {} after {}: a comma is missing",
            key.text(self.sql),
            value.text(self.sql)
        );
        let mut error = self.error(ErrorCode::SyntaxError, Span::new(value.end, value.end), message);
        error.related = Some(Box::new(Label::new(key, "the next option begins here")));
        error
    }

    fn unquoted_option(&mut self, side: &'static str) -> ParseError {
        let mut error = self.unexpected_thing("a string in quotes");
        if matches!(
            self.peek().kind,
            TokenKind::Word | TokenKind::Number | TokenKind::QuotedIdent(_)
        ) {
            error.hint = Some(format!("the {side} of an option is a string: 'key' = 'value'"));
        }
        error
    }

    /// `('key', …)`, which may be empty.
    pub(super) fn option_keys(&mut self) -> Result<Vec<StringLiteral>> {
        self.expect_sign(Sign::LeftParen)?;
        if self.eat_sign(Sign::RightParen) {
            return Ok(Vec::new());
        }
        let keys = self.comma_separated(Self::string_literal)?;
        self.expect_sign(Sign::RightParen)?;
        Ok(keys)
    }

    /// `[IF NOT EXISTS]`.
    pub(super) fn if_not_exists(&mut self) -> bool {
        self.eat_words(&["IF", "NOT", "EXISTS"])
    }

    /// `[IF EXISTS]`.
    pub(super) fn if_exists(&mut self) -> bool {
        self.eat_words(&["IF", "EXISTS"])
    }

    /// `[COMMENT 'text']`.
    pub(super) fn comment(&mut self) -> Result<Option<StringLiteral>> {
        if self.eat_word("COMMENT") {
            self.string_literal().map(Some)
        } else {
            Ok(None)
        }
    }

    /// `[WITH ('key' = 'value', …)]`.
    pub(super) fn with_options(&mut self) -> Result<Vec<SqlOption>> {
        if self.eat_word("WITH") {
            self.option_list()
        } else {
            Ok(Vec::new())
        }
    }
}
