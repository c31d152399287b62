//! The parser: recursive descent over the tokens, with operator precedence for expressions and set operations.
//!
//! This file holds the cursor that all productions share: looking ahead, taking tokens, and making an error that
//! knows what could have stood at its place (every check that fails is remembered for its position). The
//! productions are in the other files, one family of the grammar each.
//!
//! Nothing here backtracks over more than a token or two, so that parsing takes time in proportion to the text, and
//! two limits keep hostile input from overflowing the stack, here and in everything that walks the tree later.

mod alter;
mod create;
mod expr;
mod function;
mod insert;
mod json;
mod literal;
mod match_recognize;
mod name;
mod primary;
mod query;
mod schema;
mod session;
mod show;
mod special;
mod statement;
mod table_ref;
mod types;

use millstream_types::ErrorCode;

use super::ast::Span;
use super::diagnostics::{Label, ParseError};
use super::lexer::tokenize;
use super::similar::nearest;
use super::token::{Sign, Token, TokenKind};
use super::words;

/// Maximum nesting of parentheses, calls, subqueries and types.
pub const NESTING_DEPTH_MAX: usize = 128;

/// Maximum height of a syntax tree. Chains such as `a + b + c …` and `q UNION ALL q …` count as well, because tree
/// walks recurse into them.
pub const TREE_HEIGHT_MAX: usize = 1_000;

/// Words that start a clause. A misspelled one is easily parsed as an alias.
const CLAUSE_WORDS: [&str; 16] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "QUALIFY",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "VALUES",
    "WITH",
];

/// What messages call the place of any operator.
const OPERATOR: &str = "an operator";

/// Something that would be valid at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Word(&'static str),
    Sign(Sign),
    /// A kind of thing, such as "an expression".
    Thing(&'static str),
}

impl Expected {
    fn text(self) -> String {
        match self {
            Self::Word(word) => format!("'{word}'"),
            Self::Sign(sign) => format!("'{}'", sign.text()),
            Self::Thing(thing) => thing.to_owned(),
        }
    }
}

type Result<T> = std::result::Result<T, ParseError>;

/// The cursor over the tokens of one text.
pub(super) struct Parser<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    position: usize,
    /// What productions expected at `expected_position`.
    expected: Vec<Expected>,
    expected_position: usize,
    depth: usize,
    /// Height of the highest tree completed in the current production.
    height: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(sql: &'a str) -> Result<Self> {
        Ok(Self {
            sql,
            tokens: tokenize(sql)?,
            position: 0,
            expected: Vec::new(),
            expected_position: 0,
            depth: 0,
            height: 0,
        })
    }

    // --- looking ---

    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    /// The token `offset` after the current one; the end when there is none.
    fn peek_at(&self, offset: usize) -> &Token {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.position + offset).min(last)]
    }

    fn span(&self) -> Span {
        self.peek().span
    }

    /// Span of the token before the current one.
    fn previous_span(&self) -> Span {
        match self.position.checked_sub(1) {
            Some(previous) => self.tokens[previous].span,
            None => Span::default(),
        }
    }

    /// From a start to the end of the last token taken.
    fn span_from(&self, start: Span) -> Span {
        if self.previous_span().end < start.start {
            return Span::new(start.start, start.start);
        }
        Span::new(start.start, self.previous_span().end)
    }

    /// The current token's text if it is a word without quotes.
    fn word(&self) -> Option<&'a str> {
        self.word_at(0)
    }

    fn word_at(&self, offset: usize) -> Option<&'a str> {
        let token = self.peek_at(offset);
        (token.kind == TokenKind::Word).then(|| token.span.text(self.sql))
    }

    fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    fn is_word_at(&self, offset: usize, word: &str) -> bool {
        self.word_at(offset)
            .is_some_and(|text| text.eq_ignore_ascii_case(word))
    }

    fn is_any_word(&self, list: &[&str]) -> bool {
        list.iter().any(|word| self.is_word(word))
    }

    /// Whether the next tokens are these words.
    fn is_words(&self, list: &[&str]) -> bool {
        list.iter()
            .enumerate()
            .all(|(offset, word)| self.is_word_at(offset, word))
    }

    fn is_sign(&self, sign: Sign) -> bool {
        self.is_sign_at(0, sign)
    }

    fn is_sign_at(&self, offset: usize, sign: Sign) -> bool {
        self.peek_at(offset).kind == TokenKind::Sign(sign)
    }

    fn is_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    /// Whether an identifier stands `offset` after the current token.
    fn is_identifier_at(&self, offset: usize) -> bool {
        match &self.peek_at(offset).kind {
            TokenKind::QuotedIdent(_) => true,
            TokenKind::Word => !self.word_at(offset).is_some_and(words::is_reserved),
            _ => false,
        }
    }

    // --- taking ---

    fn advance(&mut self) {
        if self.position + 1 < self.tokens.len() {
            self.position += 1;
        }
    }

    fn note(&mut self, expected: Expected) {
        if self.expected_position != self.position {
            self.expected.clear();
            self.expected_position = self.position;
        }
        if !self.expected.contains(&expected) {
            self.expected.push(expected);
        }
    }

    fn eat_word(&mut self, word: &'static str) -> bool {
        let found = self.at_word(word);
        if found {
            self.advance();
        }
        found
    }

    /// Checks for a word without consuming it, and records it for messages.
    fn at_word(&mut self, word: &'static str) -> bool {
        let found = self.is_word(word);
        if !found {
            self.note(Expected::Word(word));
        }
        found
    }

    /// Consumes all the words or none.
    fn eat_words(&mut self, list: &[&'static str]) -> bool {
        let found = self.is_words(list);
        if found {
            list.iter().for_each(|_| self.advance());
        } else if let Some(first) = list.first().filter(|first| !self.is_word(first)) {
            self.note(Expected::Word(first));
        }
        found
    }

    fn expect_word(&mut self, word: &'static str) -> Result<()> {
        if self.eat_word(word) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn expect_words(&mut self, list: &[&'static str]) -> Result<()> {
        list.iter().try_for_each(|word| self.expect_word(word))
    }

    /// Consumes the first of these words that matches and returns its index.
    fn eat_any_word(&mut self, list: &[&'static str]) -> Option<usize> {
        list.iter().position(|word| self.eat_word(word))
    }

    /// Consumes one of these words and returns its index.
    fn expect_any_word(&mut self, list: &[&'static str]) -> Result<usize> {
        match self.eat_any_word(list) {
            Some(index) => Ok(index),
            None => Err(self.unexpected()),
        }
    }

    fn eat_sign(&mut self, sign: Sign) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.advance();
        } else {
            self.note(Expected::Sign(sign));
        }
        found
    }

    fn expect_sign(&mut self, sign: Sign) -> Result<()> {
        if self.eat_sign(sign) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// One or more elements, separated by commas.
    fn comma_separated<T>(&mut self, mut element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut elements = vec![element(self)?];
        while self.eat_sign(Sign::Comma) {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// `( element, … )`.
    fn parenthesized_list<T>(&mut self, element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_sign(Sign::LeftParen)?;
        let elements = self.comma_separated(element)?;
        self.expect_sign(Sign::RightParen)?;
        Ok(elements)
    }

    // --- limits ---

    /// Runs a nested production, one level deeper.
    fn nested<T>(&mut self, production: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= NESTING_DEPTH_MAX {
            let message = format!("the statement is nested more than {NESTING_DEPTH_MAX} levels deep");
            return Err(self.error(ErrorCode::LimitExceeded, self.span(), message));
        }
        self.depth += 1;
        let siblings = std::mem::replace(&mut self.height, 0);
        let result = production(self);
        self.depth -= 1;
        self.grow()?;
        self.height = self.height.max(siblings);
        result
    }

    /// Records that the current tree grew by a node at the top.
    fn grow(&mut self) -> Result<()> {
        self.height += 1;
        if self.height <= TREE_HEIGHT_MAX {
            return Ok(());
        }
        let message = format!("an expression or query has more than {TREE_HEIGHT_MAX} steps in a chain");
        let mut error = self.error(ErrorCode::LimitExceeded, self.span(), message);
        error.hint = Some("use IN lists or VALUES instead of long chains of operators".to_owned());
        Err(error)
    }

    // --- errors ---

    fn error(&self, code: ErrorCode, span: Span, message: impl Into<String>) -> ParseError {
        ParseError {
            code,
            span,
            place: span.line_column(self.sql),
            message: message.into(),
            expected: Vec::new(),
            hint: None,
            related: None,
        }
    }

    fn invalid(&self, span: Span, message: impl Into<String>) -> ParseError {
        self.error(ErrorCode::InvalidLiteral, span, message)
    }

    /// An error at the current token that lists what was expected.
    fn unexpected(&self) -> ParseError {
        if let Some(error) = self.reserved_as_name() {
            return error;
        }
        let mut error = self.error(
            self.code_here(),
            self.span(),
            format!("encountered {}", self.here()),
        );
        if self.expected_position == self.position {
            let mut expected = self.expected.clone();
            // Punctuation first, because it is forgotten most often; operators last, because they are valid almost
            // anywhere.
            expected.sort_by_key(|expected| match expected {
                Expected::Sign(_) => 0,
                Expected::Thing(OPERATOR) | Expected::Word("IS") => 2,
                _ => 1,
            });
            error.expected = expected.into_iter().map(Expected::text).collect();
        }
        error.hint = self.hint();
        if error.hint.is_none() || self.ends_element() {
            self.blame_missing_comma(&mut error);
        }
        if self.is_end() || (self.begins_clause() && self.looked_for(Expected::Sign(Sign::RightParen))) {
            error.related = self.unclosed_parenthesis().map(Box::new);
        }
        error
    }

    fn code_here(&self) -> ErrorCode {
        if self.is_end() {
            ErrorCode::UnexpectedEnd
        } else {
            ErrorCode::SyntaxError
        }
    }

    /// The current token and the one before it, for a message.
    fn here(&self) -> String {
        let what = if self.is_end() {
            "end of input".to_owned()
        } else {
            format!("'{}'", shortened(self.span().text(self.sql)))
        };
        match self.previous_span().text(self.sql) {
            "" => what,
            previous => format!("{what} after '{}'", shortened(previous)),
        }
    }

    /// Whether this thing was looked for at the current token.
    fn looked_for(&self, wanted: Expected) -> bool {
        self.expected_position == self.position && self.expected.contains(&wanted)
    }

    /// The error of a reserved word that is used as a name.
    fn reserved_as_name(&self) -> Option<ParseError> {
        let word = self.word().filter(|word| words::is_reserved(word))?;
        let wants_name = self.looked_for(Expected::Thing(name::A_NAME))
            || self.looked_for(Expected::Thing(primary::AN_EXPRESSION));
        // A word that begins a clause or an expression is followed by the rest of it, a name by what ends an item.
        let ends_item = match &self.peek_at(1).kind {
            TokenKind::End => true,
            TokenKind::Sign(sign) => !matches!(sign, Sign::LeftParen | Sign::Star),
            TokenKind::Word => [
                "FROM", "AS", "ASC", "DESC", "AND", "OR", "IS", "IN", "BETWEEN", "LIKE",
            ]
            .iter()
            .any(|next| self.is_word_at(1, next)),
            _ => false,
        };
        let begins_column = self.looked_for(Expected::Thing(name::A_NAME))
            && (!self.begins_clause() || self.word_at(1).is_some_and(types::is_type_word));
        if !wants_name || !(ends_item || begins_column) || self.foreign_spelling().is_some() {
            return None;
        }
        let message = format!("encountered {}: it is a reserved word", self.here());
        let mut error = self.error(ErrorCode::ReservedWord, self.span(), message);
        error.hint = Some(format!("put the name in back-ticks: `{word}`"));
        Some(error)
    }

    fn begins_clause(&self) -> bool {
        self.is_any_word(&CLAUSE_WORDS) || self.is_any_word(&["ON", "USING", "SET", "INTO", "AND", "OR"])
    }

    /// Whether the current token is a whole element of a list, and not a mistyped word with the rest of its clause behind it.
    fn ends_element(&self) -> bool {
        let next = self.peek_at(1);
        let between = Span::new(self.span().end, next.span.start).text(self.sql);
        between.contains('\n') || matches!(next.kind, TokenKind::Sign(Sign::Comma | Sign::RightParen))
    }

    /// An element of a list that begins on a line of its own where a comma was possible: the line before lacks the comma.
    fn blame_missing_comma(&self, error: &mut ParseError) {
        let previous = self.previous_span();
        let between = Span::new(previous.end, self.span().start).text(self.sql);
        let begins_element = matches!(
            self.peek().kind,
            TokenKind::Word | TokenKind::QuotedIdent(_) | TokenKind::String(_) | TokenKind::Number
        );
        if !self.looked_for(Expected::Sign(Sign::Comma))
            || !begins_element
            || !between.contains('\n')
            || self.begins_clause()
        {
            return;
        }
        let here = Label::new(self.span(), "the next element begins here");
        error.message = format!("encountered {}: a comma is missing", self.here());
        error.span = Span::new(previous.end, previous.end);
        error.place = error.span.line_column(self.sql);
        error.expected.clear();
        error.hint = None;
        error.related = Some(Box::new(here));
    }

    /// The innermost parenthesis that is open at the current token.
    fn unclosed_parenthesis(&self) -> Option<Label> {
        let mut open = Vec::new();
        for token in &self.tokens[..self.position] {
            match token.kind {
                TokenKind::Sign(Sign::LeftParen) => open.push(token.span),
                TokenKind::Sign(Sign::RightParen) => {
                    open.pop();
                }
                _ => {}
            }
        }
        open.pop().map(|span| Label::new(span, "not closed"))
    }

    /// Like [`Self::unexpected`], with a single expectation.
    fn unexpected_thing(&mut self, thing: &'static str) -> ParseError {
        self.note(Expected::Thing(thing));
        self.unexpected()
    }

    fn unexpected_with_hint(&self, hint: impl Into<String>) -> ParseError {
        let mut error = self.unexpected();
        error.hint = Some(hint.into());
        error
    }

    /// A hint for the current token: a spelling of another system, a reserved word, a typing mistake.
    fn hint(&self) -> Option<String> {
        if let Some(hint) = self.foreign_spelling() {
            return Some(hint.to_owned());
        }
        let expected_words = self.expected.iter().filter_map(|expected| match expected {
            Expected::Word(word) => Some(*word),
            _ => None,
        });
        let here = self.word();
        let mistyped = here.filter(|word| !words::is_reserved(word));
        if let Some(meant) = mistyped.and_then(|word| nearest(word, expected_words)) {
            return Some(format!("did you mean {meant}?"));
        }
        self.mistyped_clause()
    }

    fn follows_word(&self, word: &str) -> bool {
        self.position > 0 && self.previous_span().text(self.sql).eq_ignore_ascii_case(word)
    }

    /// Detects a misspelled clause keyword that was just parsed as an alias.
    fn mistyped_clause(&self) -> Option<String> {
        let previous = self.position.checked_sub(1).map(|index| &self.tokens[index])?;
        let word = (previous.kind == TokenKind::Word).then(|| previous.span.text(self.sql))?;
        if words::is_keyword(word) {
            return None;
        }
        nearest(word, CLAUSE_WORDS).map(|meant| format!("did you mean {meant} instead of '{word}'?"))
    }

    /// The equivalent of another system's syntax.
    fn foreign_spelling(&self) -> Option<&'static str> {
        let previous = self.position.checked_sub(1).map(|index| &self.tokens[index].kind);
        match &self.peek().kind {
            TokenKind::Sign(Sign::DoubleColon) => Some("write CAST(value AS type)"),
            TokenKind::Sign(Sign::Equals) if previous == Some(&TokenKind::Sign(Sign::Equals)) => {
                Some("equality is written with one =")
            }
            TokenKind::Sign(Sign::BangEquals) => Some("write <> for \"not equal\""),
            TokenKind::Sign(Sign::Star) if previous == Some(&TokenKind::Sign(Sign::Star)) => {
                Some("write POWER(base, exponent)")
            }
            TokenKind::Sign(Sign::Pipe | Sign::Caret) => Some("there are no bitwise operators"),
            TokenKind::Sign(Sign::HintStart) => {
                Some("hints stand after SELECT, after a table in FROM or after the target of INSERT INTO")
            }
            TokenKind::Word if self.is_any_word(&["CHANGES", "FINAL"]) && self.follows_word("EMIT") => {
                Some("there is no EMIT clause: a streaming query emits its changes by itself")
            }
            TokenKind::Word if self.is_word("MINUS") => Some("write EXCEPT"),
            TokenKind::Word if self.is_word("DIV") => Some("write / between integers"),
            TokenKind::Word if self.is_words(&["AT", "TIME", "ZONE"]) => Some(
                "there is no AT TIME ZONE: CAST between TIMESTAMP and TIMESTAMP_LTZ uses the session's time zone, \
                 CONVERT_TZ converts texts",
            ),
            TokenKind::Number if self.follows_word("TOP") => {
                Some("there is no TOP: write LIMIT at the end of the query")
            }
            _ => None,
        }
    }
}

/// A token in a message; long literals are truncated.
fn shortened(text: &str) -> String {
    const SHOWN_CHARACTERS_MAX: usize = 40;
    if text.chars().count() <= SHOWN_CHARACTERS_MAX {
        return text.to_owned();
    }
    let mut start: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    start.push('…');
    start
}
