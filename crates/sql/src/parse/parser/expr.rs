//! Operators of expressions, by precedence; the operands are in `primary`.
//!
//! The numbers are the operators' binding powers in Flink's grammar; a higher number binds tighter.

use super::primary::Parenthesized;
use super::{Expected, OPERATOR, Parser, Result};
use crate::parse::ast::{
    BinaryOperator, Expr, ExprKind, IsTest, JsonShape, LikeKind, QuantifiedSource, Quantifier, UnaryOperator,
};
use crate::parse::precedence;
use crate::parse::token::{Sign, TokenKind};

impl Parser<'_> {
    /// An expression of any kind.
    pub(in crate::parse) fn expr(&mut self) -> Result<Expr> {
        self.expr_above(0)
    }

    /// An expression whose operators bind at least as tight as `power`.
    pub(super) fn expr_above(&mut self, power: u8) -> Result<Expr> {
        self.nested(|parser| {
            let left = parser.prefix()?;
            parser.operators(left, power)
        })
    }

    /// Applies the operators that follow to an expression that has been read.
    pub(super) fn operators(&mut self, mut left: Expr, power: u8) -> Result<Expr> {
        loop {
            match self.operator(left, power)? {
                (next, true) => left = next,
                (done, false) => return Ok(done),
            }
            self.grow()?;
        }
    }

    fn prefix(&mut self) -> Result<Expr> {
        let start = self.span();
        let (operator, power) = if self.eat_sign(Sign::Minus) {
            (UnaryOperator::Minus, precedence::SIGN)
        } else if self.eat_sign(Sign::Plus) {
            (UnaryOperator::Plus, precedence::SIGN)
        } else if self.eat_word("NOT") {
            (UnaryOperator::Not, precedence::NOT)
        } else {
            return self.primary();
        };
        let operand = Box::new(self.expr_above(power)?);
        Ok(Expr::new(
            ExprKind::Unary { operator, operand },
            self.span_from(start),
        ))
    }

    /// Applies one operator; `false` if none follows that binds tight enough.
    fn operator(&mut self, left: Expr, power: u8) -> Result<(Expr, bool)> {
        if let Some(operator) = self.binary_operator() {
            return self.binary(left, operator, power);
        }
        if power <= precedence::IS && self.at_word("IS") {
            return Ok((self.is_test(left)?, true));
        }
        if power > precedence::RANGE {
            return self.multiset_operator(left, power);
        }
        let negated = self.is_word("NOT");
        let offset = usize::from(negated);
        let next = self
            .word_at(offset)
            .map(str::to_ascii_uppercase)
            .unwrap_or_default();
        match next.as_str() {
            "BETWEEN" => Ok((self.between(left, negated)?, true)),
            "IN" => Ok((self.in_list(left, negated)?, true)),
            "LIKE" | "SIMILAR" | "ILIKE" | "RLIKE" => Ok((self.like(left, negated)?, true)),
            "SUBMULTISET" if power <= precedence::COMPARISON => {
                (0..=offset).for_each(|_| self.advance());
                self.eat_word("OF");
                let operator = if negated {
                    BinaryOperator::NotSubmultisetOf
                } else {
                    BinaryOperator::SubmultisetOf
                };
                self.finish_binary(left, operator).map(|expr| (expr, true))
            }
            _ => {
                self.note(Expected::Thing(OPERATOR));
                self.multiset_operator(left, power)
            }
        }
    }

    /// The infix operator that stands here, with the number of its tokens.
    fn binary_operator(&self) -> Option<(BinaryOperator, usize)> {
        use BinaryOperator as Op;
        let one = match &self.peek().kind {
            TokenKind::Sign(Sign::Equals) => Op::Equals,
            TokenKind::Sign(Sign::NotEquals) => Op::NotEquals,
            TokenKind::Sign(Sign::LessThan) => Op::LessThan,
            TokenKind::Sign(Sign::LessThanOrEqual) => Op::LessThanOrEqual,
            TokenKind::Sign(Sign::GreaterThan) => Op::GreaterThan,
            TokenKind::Sign(Sign::GreaterThanOrEqual) => Op::GreaterThanOrEqual,
            TokenKind::Sign(Sign::Plus) => Op::Plus,
            TokenKind::Sign(Sign::Minus) => Op::Minus,
            TokenKind::Sign(Sign::Star) => Op::Multiply,
            TokenKind::Sign(Sign::Slash) => Op::Divide,
            TokenKind::Sign(Sign::Percent) => Op::Modulo,
            TokenKind::Sign(Sign::Concat) => Op::Concat,
            TokenKind::Word => return self.word_operator(),
            _ => return None,
        };
        Some((one, 1))
    }

    fn word_operator(&self) -> Option<(BinaryOperator, usize)> {
        use BinaryOperator as Op;
        let word = self.word()?.to_ascii_uppercase();
        Some(match word.as_str() {
            "AND" => (Op::And, 1),
            "OR" => (Op::Or, 1),
            "IS" if self.is_words(&["IS", "DISTINCT", "FROM"]) => (Op::IsDistinctFrom, 3),
            "IS" if self.is_words(&["IS", "NOT", "DISTINCT", "FROM"]) => (Op::IsNotDistinctFrom, 4),
            "OVERLAPS" => (Op::Overlaps, 1),
            "CONTAINS" => (Op::Contains, 1),
            "EQUALS" => (Op::Equal, 1),
            "PRECEDES" => (Op::Precedes, 1),
            "SUCCEEDS" => (Op::Succeeds, 1),
            "IMMEDIATELY" if self.is_word_at(1, "PRECEDES") => (Op::ImmediatelyPrecedes, 2),
            "IMMEDIATELY" if self.is_word_at(1, "SUCCEEDS") => (Op::ImmediatelySucceeds, 2),
            "MEMBER" => (Op::MemberOf, 1 + usize::from(self.is_word_at(1, "OF"))),
            _ => return None,
        })
    }

    fn binary(&mut self, left: Expr, operator: (BinaryOperator, usize), power: u8) -> Result<(Expr, bool)> {
        let (operator, tokens) = operator;
        if precedence::of(operator) < power {
            return Ok((left, false));
        }
        (0..tokens).for_each(|_| self.advance());
        if operator.is_comparison()
            && let Some(quantifier) = self.quantifier()
        {
            let operand = Box::new(left);
            let source = match self.parenthesized()? {
                Parenthesized::Query(query) => QuantifiedSource::Query(query),
                Parenthesized::Exprs(list) => QuantifiedSource::List(list),
            };
            let span = self.span_from(operand.span);
            let kind = ExprKind::Quantified {
                operand,
                operator,
                quantifier,
                source,
            };
            return Ok((Expr::new(kind, span), true));
        }
        self.finish_binary(left, operator).map(|expr| (expr, true))
    }

    fn finish_binary(&mut self, left: Expr, operator: BinaryOperator) -> Result<Expr> {
        let right = self.expr_above(precedence::of(operator) + 1)?;
        let span = left.span.to(right.span);
        let kind = ExprKind::Binary {
            operator,
            left: Box::new(left),
            right: Box::new(right),
        };
        Ok(Expr::new(kind, span))
    }

    /// `SOME`, `ANY` or `ALL` before a parenthesis.
    fn quantifier(&mut self) -> Option<Quantifier> {
        if !self.is_sign_at(1, Sign::LeftParen) {
            return None;
        }
        let quantifiers = [Quantifier::Some, Quantifier::Any, Quantifier::All];
        self.eat_any_word(&["SOME", "ANY", "ALL"])
            .map(|index| quantifiers[index])
    }

    fn multiset_operator(&mut self, left: Expr, power: u8) -> Result<(Expr, bool)> {
        use BinaryOperator as Op;
        let operators = match self.word_at(1).map(str::to_ascii_uppercase).as_deref() {
            Some("UNION") => (Op::MultisetUnion, Op::MultisetUnionAll),
            Some("INTERSECT") => (Op::MultisetIntersect, Op::MultisetIntersectAll),
            Some("EXCEPT") => (Op::MultisetExcept, Op::MultisetExceptAll),
            _ => return Ok((left, false)),
        };
        if !self.is_word("MULTISET") || power > precedence::of(operators.0) {
            return Ok((left, false));
        }
        self.advance();
        self.advance();
        let all = self.eat_word("ALL");
        if !all {
            self.eat_word("DISTINCT");
        }
        self.finish_binary(left, if all { operators.1 } else { operators.0 })
            .map(|expr| (expr, true))
    }

    fn is_test(&mut self, operand: Expr) -> Result<Expr> {
        self.expect_word("IS")?;
        let negated = self.eat_word("NOT");
        let tests = [
            IsTest::Null,
            IsTest::True,
            IsTest::False,
            IsTest::Unknown,
            IsTest::Empty,
        ];
        let test = if let Some(index) = self.eat_any_word(&["NULL", "TRUE", "FALSE", "UNKNOWN", "EMPTY"]) {
            tests[index]
        } else if self.eat_words(&["A", "SET"]) {
            IsTest::ASet
        } else if self.eat_word("JSON") {
            let shapes = [
                JsonShape::Value,
                JsonShape::Object,
                JsonShape::Array,
                JsonShape::Scalar,
            ];
            let index = self.eat_any_word(&["VALUE", "OBJECT", "ARRAY", "SCALAR"]);
            IsTest::Json(shapes[index.unwrap_or(0)])
        } else {
            self.note(Expected::Word("DISTINCT FROM"));
            return Err(self.unexpected());
        };
        let span = self.span_from(operand.span);
        Ok(Expr::new(
            ExprKind::Is {
                operand: Box::new(operand),
                test,
                negated,
            },
            span,
        ))
    }

    fn between(&mut self, operand: Expr, negated: bool) -> Result<Expr> {
        if negated {
            self.advance();
        }
        self.expect_word("BETWEEN")?;
        let symmetric = self.eat_word("SYMMETRIC");
        if !symmetric {
            self.eat_word("ASYMMETRIC");
        }
        let low = self.expr_above(precedence::AND + 1)?;
        self.expect_word("AND")?;
        let high = self.expr_above(precedence::RANGE + 1)?;
        let span = self.span_from(operand.span);
        let (operand, low, high) = (Box::new(operand), Box::new(low), Box::new(high));
        Ok(Expr::new(
            ExprKind::Between {
                operand,
                low,
                high,
                symmetric,
                negated,
            },
            span,
        ))
    }

    fn in_list(&mut self, operand: Expr, negated: bool) -> Result<Expr> {
        if negated {
            self.advance();
        }
        self.expect_word("IN")?;
        let contents = self.parenthesized()?;
        let span = self.span_from(operand.span);
        let operand = Box::new(operand);
        let kind = match contents {
            Parenthesized::Query(query) => ExprKind::InSubquery {
                operand,
                query,
                negated,
            },
            Parenthesized::Exprs(list) => ExprKind::InList {
                operand,
                list,
                negated,
            },
        };
        Ok(Expr::new(kind, span))
    }

    fn like(&mut self, operand: Expr, negated: bool) -> Result<Expr> {
        if negated {
            self.advance();
        }
        let kinds = [
            LikeKind::Like,
            LikeKind::ILike,
            LikeKind::RLike,
            LikeKind::SimilarTo,
        ];
        let kind = kinds[self.expect_any_word(&["LIKE", "ILIKE", "RLIKE", "SIMILAR"])?];
        if kind == LikeKind::SimilarTo {
            self.expect_word("TO")?;
        }
        let pattern = Box::new(self.expr_above(precedence::RANGE + 1)?);
        let mut escape = None;
        if self.eat_word("ESCAPE") {
            escape = Some(Box::new(self.expr_above(precedence::RANGE + 1)?));
        }
        let span = self.span_from(operand.span);
        let operand = Box::new(operand);
        Ok(Expr::new(
            ExprKind::Like {
                kind,
                operand,
                pattern,
                escape,
                negated,
            },
            span,
        ))
    }
}
