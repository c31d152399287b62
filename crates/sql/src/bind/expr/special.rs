//! Built-ins whose arguments are separated by keywords, rewritten to plain calls; units and sides become text literals.

use millstream_plan::Expr;
use millstream_types::ErrorCode;

use super::ExprBinder;
use crate::bind::coerce;
use crate::bind::error::{SqlError, SqlResult};
use crate::parse::ast::{self, SpecialFunction, TimeFrame, TrimSide};
use crate::parse::span::Span;

impl ExprBinder<'_, '_> {
    pub(super) fn bind_special(&mut self, special: &SpecialFunction, span: Span) -> SqlResult<Expr> {
        match special {
            SpecialFunction::Extract { frame, operand } => {
                let args = vec![unit(frame)?, self.bind(operand)?];
                self.call(span, "EXTRACT", args)
            }
            SpecialFunction::Floor { operand, to } => self.bind_rounding("FLOOR", operand, to, span),
            SpecialFunction::Ceil { operand, to } => self.bind_rounding("CEIL", operand, to, span),
            SpecialFunction::TimestampAdd {
                frame,
                count,
                operand,
            } => {
                let args = vec![unit(frame)?, self.bind(count)?, self.bind(operand)?];
                self.call(span, "TIMESTAMPADD", args)
            }
            SpecialFunction::TimestampDiff { frame, start, end } => {
                let args = vec![unit(frame)?, self.bind(start)?, self.bind(end)?];
                self.call(span, "TIMESTAMPDIFF", args)
            }
            SpecialFunction::Position {
                needle,
                haystack,
                from,
            } => self.bind_with_optional("POSITION", &[needle, haystack], from.as_ref(), span),
            SpecialFunction::Trim {
                side,
                characters,
                operand,
            } => {
                let side = match side {
                    TrimSide::Both => "BOTH",
                    TrimSide::Leading => "LEADING",
                    TrimSide::Trailing => "TRAILING",
                };
                let characters = match characters {
                    Some(characters) => self.bind(characters)?,
                    None => coerce::text(" "),
                };
                let args = vec![coerce::text(side), characters, self.bind(operand)?];
                self.call(span, "TRIM", args)
            }
            SpecialFunction::Substring {
                operand,
                from,
                length,
            } => self.bind_with_optional("SUBSTRING", &[operand, from], length.as_ref(), span),
            SpecialFunction::Overlay {
                operand,
                replacement,
                from,
                length,
            } => self.bind_with_optional("OVERLAY", &[operand, replacement, from], length.as_ref(), span),
            SpecialFunction::Using { function, .. } => {
                Err(SqlError::unsupported(span, format!("{} … USING", function.value)))
            }
        }
    }

    /// A call with an optional last argument.
    fn bind_with_optional(
        &mut self,
        function: &str,
        operands: &[&ast::Expr],
        last: Option<&ast::Expr>,
        span: Span,
    ) -> SqlResult<Expr> {
        let operands = operands.iter().copied().chain(last);
        let args = operands
            .map(|operand| self.bind(operand))
            .collect::<SqlResult<Vec<_>>>()?;
        self.call(span, function, args)
    }

    fn bind_rounding(
        &mut self,
        function: &str,
        operand: &ast::Expr,
        to: &TimeFrame,
        span: Span,
    ) -> SqlResult<Expr> {
        let args = vec![self.bind(operand)?, unit(to)?];
        self.call(span, function, args)
    }
}

/// The unit as a literal.
fn unit(frame: &TimeFrame) -> SqlResult<Expr> {
    match frame.unit() {
        Some(unit) => Ok(coerce::text(unit.word())),
        None => {
            let message = format!("'{}' is not a valid time frame", frame.name.value);
            Err(SqlError::at(frame.name.span, message)
                .with_code(ErrorCode::WrongArguments)
                .offering(&frame.name.value.to_uppercase(), UNIT_WORDS))
        }
    }
}

const UNIT_WORDS: [&str; 11] = [
    "YEAR",
    "QUARTER",
    "MONTH",
    "WEEK",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MILLISECOND",
    "DOY",
    "DOW",
];
