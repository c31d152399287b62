//! Built-ins whose arguments are joined by key words, such as `EXTRACT(unit FROM value)`.

use super::{Expected, Parser, Result};
use crate::parse::ast::{Expr, ExprKind, Ident, Span, SpecialFunction, TimeFrame, TimeUnit, TrimSide};
use crate::parse::precedence;
use crate::parse::token::{Sign, TokenKind};

impl Parser<'_> {
    /// The function named by `word`, if it has a syntax of its own and the call uses it.
    pub(super) fn special_function(&mut self, word: &str) -> Result<Option<Expr>> {
        let start = self.span();
        let function = match word {
            "EXTRACT" => self.extract()?,
            "FLOOR" | "CEIL" | "CEILING" => return self.floor_or_ceil(word),
            "TIMESTAMPADD" | "TIMESTAMPDIFF" => self.timestamp_arithmetic(word)?,
            "POSITION" => self.position_of()?,
            "TRIM" => self.trim()?,
            "SUBSTRING" => self.substring()?,
            "OVERLAY" => self.overlay()?,
            "CONVERT" | "TRANSLATE" => return self.using(),
            _ => return Ok(None),
        };
        Ok(Some(self.special(function, start)))
    }

    fn special(&self, function: SpecialFunction, start: Span) -> Expr {
        Expr::new(ExprKind::Special(Box::new(function)), self.span_from(start))
    }

    fn open(&mut self) -> Result<()> {
        self.advance();
        self.expect_sign(Sign::LeftParen)
    }

    fn close(&mut self) -> Result<()> {
        self.expect_sign(Sign::RightParen)
    }

    /// A unit, or any name in its place: the binder refuses what is not a unit. Units are reserved words in part.
    fn time_frame(&mut self) -> Result<TimeFrame> {
        let span = self.span();
        let is_unit = self
            .word()
            .is_some_and(|word| TimeUnit::from_word(word).is_some());
        if is_unit {
            let value = span.text(self.sql).to_owned();
            self.advance();
            return Ok(TimeFrame {
                name: Ident { value, span },
            });
        }
        if self.is_identifier_at(0) {
            return self.identifier().map(|name| TimeFrame { name });
        }
        Err(self.unexpected_thing("a unit of time such as DAY"))
    }

    fn extract(&mut self) -> Result<SpecialFunction> {
        self.open()?;
        let frame = self.time_frame()?;
        self.expect_word("FROM")?;
        let operand = self.expr()?;
        self.close()?;
        Ok(SpecialFunction::Extract { frame, operand })
    }

    /// `FLOOR(x TO unit)`; the numeric form is an ordinary call.
    fn floor_or_ceil(&mut self, word: &str) -> Result<Option<Expr>> {
        let start = self.span();
        self.open()?;
        let operand = self.expr()?;
        if self.eat_word("TO") {
            let to = self.time_frame()?;
            self.close()?;
            let function = match word {
                "FLOOR" => SpecialFunction::Floor { operand, to },
                _ => SpecialFunction::Ceil { operand, to },
            };
            return Ok(Some(self.special(function, start)));
        }
        self.close()?;
        let name = if word == "FLOOR" { "FLOOR" } else { "CEIL" };
        let name = crate::parse::ast::ObjectName::simple(Ident {
            value: name.to_owned(),
            span: start,
        });
        let mut call = crate::parse::ast::FunctionCall::plain(name, vec![operand], self.span_from(start));
        call.over = self.over()?;
        let span = self.span_from(start);
        call.span = span;
        Ok(Some(Expr::new(ExprKind::Function(Box::new(call)), span)))
    }

    fn timestamp_arithmetic(&mut self, word: &str) -> Result<SpecialFunction> {
        self.open()?;
        let frame = self.time_frame()?;
        self.expect_sign(Sign::Comma)?;
        let second = self.expr()?;
        self.expect_sign(Sign::Comma)?;
        let third = self.expr()?;
        self.close()?;
        Ok(match word {
            "TIMESTAMPADD" => SpecialFunction::TimestampAdd {
                frame,
                count: second,
                operand: third,
            },
            _ => SpecialFunction::TimestampDiff {
                frame,
                start: second,
                end: third,
            },
        })
    }

    fn position_of(&mut self) -> Result<SpecialFunction> {
        self.open()?;
        // IN separates the arguments here, so that the first one may hold only what binds tighter.
        let needle = self.expr_above(precedence::RANGE + 1)?;
        self.expect_word("IN")?;
        let haystack = self.expr()?;
        let from = if self.eat_word("FROM") {
            Some(self.expr()?)
        } else {
            None
        };
        self.close()?;
        Ok(SpecialFunction::Position {
            needle,
            haystack,
            from,
        })
    }

    fn trim(&mut self) -> Result<SpecialFunction> {
        self.open()?;
        let sides = [TrimSide::Both, TrimSide::Leading, TrimSide::Trailing];
        let side = self.eat_any_word(&["BOTH", "LEADING", "TRAILING"]);
        let mut characters = None;
        let mut operand = None;
        if !(side.is_some() && self.at_word("FROM")) {
            operand = Some(self.expr()?);
        }
        if self.at_word("FROM") || side.is_some() {
            self.expect_word("FROM")?;
            characters = operand.take();
            operand = Some(self.expr()?);
        }
        self.close()?;
        let side = sides[side.unwrap_or(0)];
        match operand {
            Some(operand) => Ok(SpecialFunction::Trim {
                side,
                characters,
                operand,
            }),
            None => Err(self.unexpected_thing(super::primary::AN_EXPRESSION)),
        }
    }

    fn substring(&mut self) -> Result<SpecialFunction> {
        self.open()?;
        let operand = self.expr()?;
        let with_words = self.eat_word("FROM");
        if !with_words {
            self.expect_sign(Sign::Comma)?;
        }
        let from = self.expr()?;
        let has_length = if with_words {
            self.eat_word("FOR")
        } else {
            self.eat_sign(Sign::Comma)
        };
        let length = if has_length { Some(self.expr()?) } else { None };
        self.close()?;
        Ok(SpecialFunction::Substring {
            operand,
            from,
            length,
        })
    }

    fn overlay(&mut self) -> Result<SpecialFunction> {
        self.open()?;
        let operand = self.expr()?;
        self.expect_word("PLACING")?;
        let replacement = self.expr()?;
        self.expect_word("FROM")?;
        let from = self.expr()?;
        let length = if self.eat_word("FOR") {
            Some(self.expr()?)
        } else {
            None
        };
        self.close()?;
        Ok(SpecialFunction::Overlay {
            operand,
            replacement,
            from,
            length,
        })
    }

    /// `CONVERT(x USING name)`; with commas instead it is an ordinary call.
    fn using(&mut self) -> Result<Option<Expr>> {
        let start = self.span();
        let function = Ident {
            value: start.text(self.sql).to_ascii_uppercase(),
            span: start,
        };
        self.open()?;
        let operand = self.expr()?;
        if self.eat_word("USING") {
            let name = self.object_name()?;
            self.close()?;
            return Ok(Some(self.special(
                SpecialFunction::Using {
                    function,
                    operand,
                    name,
                },
                start,
            )));
        }
        let mut arguments = vec![operand];
        while self.eat_sign(Sign::Comma) {
            let is_type = function.value == "CONVERT" && self.peek().kind == TokenKind::Word;
            if is_type && !self.is_identifier_at(0) {
                self.note(Expected::Word("USING"));
            }
            arguments.push(self.expr()?);
        }
        self.close()?;
        let name = crate::parse::ast::ObjectName::simple(function);
        let span = self.span_from(start);
        let call = crate::parse::ast::FunctionCall::plain(name, arguments, span);
        Ok(Some(Expr::new(ExprKind::Function(Box::new(call)), span)))
    }
}
