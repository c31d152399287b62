//! Operands of expressions: literals, names, calls, CASE, CAST, constructors and parentheses.

use super::{Parser, Result};
use crate::parse::ast::{
    BinaryOperator, CaseBranch, CastKind, Expr, ExprKind, Ident, Literal, ObjectName, Query, Span,
};
use crate::parse::token::{Sign, TokenKind};
use crate::parse::words;

/// What messages call the place of an operand.
pub(super) const AN_EXPRESSION: &str = "an expression";

/// What stood between two parentheses.
pub(super) enum Parenthesized {
    Query(Box<Query>),
    Exprs(Vec<Expr>),
}

impl Parser<'_> {
    /// An operand with the field and element accesses behind it.
    pub(super) fn primary(&mut self) -> Result<Expr> {
        let mut base = self.operand()?;
        loop {
            let start = base.span;
            if self.is_sign(Sign::LeftBracket) {
                self.advance();
                let index = Box::new(self.expr()?);
                self.expect_sign(Sign::RightBracket)?;
                base = Expr::new(
                    ExprKind::Element {
                        base: Box::new(base),
                        index,
                    },
                    self.span_from(start),
                );
            } else if self.is_sign(Sign::Dot) && self.is_identifier_at(1) {
                self.advance();
                let field = self.identifier()?;
                base = Expr::new(
                    ExprKind::Field {
                        base: Box::new(base),
                        field,
                    },
                    self.span_from(start),
                );
            } else {
                return Ok(base);
            }
            self.grow()?;
        }
    }

    fn operand(&mut self) -> Result<Expr> {
        if let Some(literal) = self.plain_literal()? {
            return Ok(literal);
        }
        let start = self.span();
        match &self.peek().kind {
            TokenKind::Sign(Sign::LeftParen) => self.parenthesized_expr(),
            TokenKind::Sign(Sign::Question) => {
                self.advance();
                Ok(Expr::new(ExprKind::Parameter, start))
            }
            TokenKind::QuotedIdent(_) => self.name_or_call(),
            TokenKind::Word => self.word_operand(),
            _ => Err(self.unexpected_thing(AN_EXPRESSION)),
        }
    }

    fn word_operand(&mut self) -> Result<Expr> {
        let word = self.word().unwrap_or("").to_ascii_uppercase();
        if let Some(literal) = self.word_literal(&word) {
            return Ok(literal);
        }
        let is_temporal = matches!(word.as_str(), "DATE" | "TIME" | "TIMESTAMP");
        if is_temporal && let Some(literal) = self.temporal_literal(&word)? {
            return Ok(literal);
        }
        if word == "DECIMAL"
            && let Some(literal) = self.decimal_literal()
        {
            return Ok(literal);
        }
        let is_call = self.is_sign_at(1, Sign::LeftParen);
        match word.as_str() {
            "INTERVAL" => self.interval(),
            "CASE" => self.case(),
            "CAST" | "TRY_CAST" | "SAFE_CAST" if is_call => self.cast(&word),
            "EXISTS" | "UNIQUE" if is_call => self.exists(&word),
            "ROW" | "PERIOD" if is_call => self.row_constructor(),
            "ARRAY" | "MAP" | "MULTISET" if is_call || self.is_sign_at(1, Sign::LeftBracket) => {
                self.collection(&word)
            }
            "NEXT" | "CURRENT" if self.is_word_at(1, "VALUE") && self.is_word_at(2, "FOR") => self.sequence(),
            "RUNNING" | "FINAL" if self.is_call_at(1) => self.match_modifier(&word),
            _ => self.call_or_name(&word, is_call),
        }
    }

    fn call_or_name(&mut self, word: &str, is_call: bool) -> Result<Expr> {
        if is_call {
            if let Some(special) = self.special_function(word)? {
                return Ok(special);
            }
            if let Some(json) = self.json_function(word)? {
                return Ok(json);
            }
        }
        let is_named_by_reserved_word = is_call && words::is_reserved_function(word);
        if is_named_by_reserved_word || words::is_context_variable(word) {
            return self.reserved_call();
        }
        if self.is_identifier_at(0) {
            return self.name_or_call();
        }
        Err(self.unexpected_thing(AN_EXPRESSION))
    }

    fn word_literal(&mut self, word: &str) -> Option<Expr> {
        let literal = match word {
            "NULL" => Literal::Null,
            "TRUE" => Literal::Boolean(true),
            "FALSE" => Literal::Boolean(false),
            "UNKNOWN" => Literal::Unknown,
            _ => return None,
        };
        let span = self.span();
        self.advance();
        Some(Expr::new(ExprKind::Literal(literal), span))
    }

    /// A name, or the call of a function with this name.
    fn name_or_call(&mut self) -> Result<Expr> {
        let name = self.object_name()?;
        if self.is_sign(Sign::LeftParen) {
            return self.call(name);
        }
        let span = name.span;
        Ok(Expr::new(ExprKind::Identifier(name), span))
    }

    fn case(&mut self) -> Result<Expr> {
        let start = self.span();
        self.expect_word("CASE")?;
        let mut operand = None;
        if !self.at_word("WHEN") {
            operand = Some(Box::new(self.expr()?));
        }
        let mut branches = Vec::new();
        while self.at_word("WHEN") || branches.is_empty() {
            let branch_start = self.span();
            self.expect_word("WHEN")?;
            let when = if operand.is_some() {
                self.comma_separated(Self::expr)?
            } else {
                vec![self.expr()?]
            };
            self.expect_word("THEN")?;
            let then = self.expr()?;
            branches.push(CaseBranch {
                when,
                then,
                span: self.span_from(branch_start),
            });
        }
        let mut otherwise = None;
        if self.eat_word("ELSE") {
            otherwise = Some(Box::new(self.expr()?));
        }
        self.expect_word("END")?;
        Ok(Expr::new(
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            },
            self.span_from(start),
        ))
    }

    fn cast(&mut self, word: &str) -> Result<Expr> {
        let start = self.span();
        let kind = match word {
            "CAST" => CastKind::Cast,
            "TRY_CAST" => CastKind::TryCast,
            _ => CastKind::SafeCast,
        };
        self.advance();
        self.expect_sign(Sign::LeftParen)?;
        let operand = Box::new(self.expr()?);
        self.expect_word("AS")?;
        let data_type = Box::new(self.data_type()?);
        self.expect_sign(Sign::RightParen)?;
        Ok(Expr::new(
            ExprKind::Cast {
                kind,
                operand,
                data_type,
            },
            self.span_from(start),
        ))
    }

    fn exists(&mut self, word: &str) -> Result<Expr> {
        let start = self.span();
        self.advance();
        let query = Box::new(self.parenthesized_query()?);
        let kind = if word == "EXISTS" {
            ExprKind::Exists(query)
        } else {
            ExprKind::Unique(query)
        };
        Ok(Expr::new(kind, self.span_from(start)))
    }

    fn row_constructor(&mut self) -> Result<Expr> {
        let start = self.span();
        self.advance();
        let fields = self.parenthesized_list(Self::expr)?;
        Ok(Expr::new(
            ExprKind::Row {
                fields,
                explicit: true,
            },
            self.span_from(start),
        ))
    }

    fn collection(&mut self, word: &str) -> Result<Expr> {
        let start = self.span();
        self.advance();
        if self.is_sign(Sign::LeftParen) && (word != "MAP" || self.starts_query_at(1)) {
            let query = Box::new(self.parenthesized_query()?);
            let kind = match word {
                "ARRAY" => ExprKind::ArrayQuery(query),
                "MAP" => ExprKind::MapQuery(query),
                _ => ExprKind::MultisetQuery(query),
            };
            return Ok(Expr::new(kind, self.span_from(start)));
        }
        if self.is_sign(Sign::LeftParen) {
            // MAP is not a reserved word: this is the call of a function of that name.
            return self.call(ObjectName::simple(Ident {
                value: word.to_owned(),
                span: start,
            }));
        }
        self.expect_sign(Sign::LeftBracket)?;
        let mut elements = Vec::new();
        if !self.eat_sign(Sign::RightBracket) {
            elements = self.comma_separated(Self::expr)?;
            self.expect_sign(Sign::RightBracket)?;
        }
        let kind = match word {
            "ARRAY" => ExprKind::Array(elements),
            "MAP" => ExprKind::Map(elements),
            _ => ExprKind::Multiset(elements),
        };
        Ok(Expr::new(kind, self.span_from(start)))
    }

    fn sequence(&mut self) -> Result<Expr> {
        let start = self.span();
        let next = self.eat_word("NEXT");
        if !next {
            self.expect_word("CURRENT")?;
        }
        self.expect_words(&["VALUE", "FOR"])?;
        let sequence = self.object_name()?;
        Ok(Expr::new(
            ExprKind::Sequence { next, sequence },
            self.span_from(start),
        ))
    }

    // --- parentheses ---

    fn parenthesized_expr(&mut self) -> Result<Expr> {
        let start = self.span();
        let contents = self.parenthesized()?;
        let span = self.span_from(start);
        match contents {
            Parenthesized::Query(query) => Ok(Expr::new(ExprKind::Subquery(query), span)),
            Parenthesized::Exprs(exprs) if exprs.len() == 1 && self.at_interval_unit() => {
                self.datetime_difference(row_or_single(exprs, span), start)
            }
            Parenthesized::Exprs(exprs) => Ok(row_or_single(exprs, span)),
        }
    }

    /// An expression or a query in parentheses, whatever follows.
    pub(super) fn enclosed_expr(&mut self) -> Result<Expr> {
        let start = self.span();
        let contents = self.parenthesized()?;
        let span = self.span_from(start);
        Ok(match contents {
            Parenthesized::Query(query) => Expr::new(ExprKind::Subquery(query), span),
            Parenthesized::Exprs(exprs) => row_or_single(exprs, span),
        })
    }

    /// `(left - right) unit`, of which the parentheses have been read.
    fn datetime_difference(&mut self, difference: Expr, start: Span) -> Result<Expr> {
        let ExprKind::Binary {
            operator: BinaryOperator::Minus,
            left,
            right,
        } = difference.kind
        else {
            let message = "an interval qualifier in this place must follow a difference, such as (a - b) DAY";
            return Err(self.invalid(self.span(), message));
        };
        let qualifier = self.interval_qualifier()?;
        let kind = ExprKind::DatetimeDifference {
            left,
            right,
            qualifier,
        };
        Ok(Expr::new(kind, self.span_from(start)))
    }

    /// `( query )` or `( expression, … )`.
    ///
    /// After two parentheses it is not known yet which of them it is; the inner pair is read first, and what follows
    /// it tells whether it was a value or a part of a query. So no text is read twice.
    pub(super) fn parenthesized(&mut self) -> Result<Parenthesized> {
        self.nested(|parser| {
            parser.expect_sign(Sign::LeftParen)?;
            let contents = parser.parenthesized_contents()?;
            parser.expect_sign(Sign::RightParen)?;
            Ok(contents)
        })
    }

    fn parenthesized_contents(&mut self) -> Result<Parenthesized> {
        if self.starts_query() {
            return self.query().map(|query| Parenthesized::Query(Box::new(query)));
        }
        if !(self.is_sign(Sign::LeftParen) && self.starts_query_inside()) {
            return self.comma_separated(Self::expr).map(Parenthesized::Exprs);
        }
        let start = self.span();
        let first = match self.parenthesized()? {
            Parenthesized::Query(query) if self.continues_query() => {
                return self
                    .query_after(*query, start)
                    .map(|query| Parenthesized::Query(Box::new(query)));
            }
            Parenthesized::Query(query) if self.is_sign(Sign::RightParen) => {
                return Ok(Parenthesized::Query(query));
            }
            Parenthesized::Query(query) => Expr::new(ExprKind::Subquery(query), self.span_from(start)),
            Parenthesized::Exprs(exprs) => row_or_single(exprs, self.span_from(start)),
        };
        let mut exprs = vec![self.operators(first, 0)?];
        while self.eat_sign(Sign::Comma) {
            exprs.push(self.expr()?);
        }
        Ok(Parenthesized::Exprs(exprs))
    }
}

/// The value of parentheses around expressions.
fn row_or_single(mut exprs: Vec<Expr>, span: Span) -> Expr {
    match exprs.pop() {
        Some(only) if exprs.is_empty() => only,
        Some(last) => {
            exprs.push(last);
            Expr::new(
                ExprKind::Row {
                    fields: exprs,
                    explicit: false,
                },
                span,
            )
        }
        None => Expr::new(
            ExprKind::Row {
                fields: exprs,
                explicit: false,
            },
            span,
        ),
    }
}
