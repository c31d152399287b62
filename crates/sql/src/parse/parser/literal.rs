//! Literals, with the checks of form that belong to the grammar: escapes, hexadecimal digits, calendar dates.

use super::{Parser, Result};
use crate::parse::ast::{
    CharacterLiteral, Expr, ExprKind, IntervalLiteral, IntervalQualifier, Literal, NumberLiteral, Span,
    TimeUnit,
};
use crate::parse::calendar;
use crate::parse::token::{Sign, TokenKind};

/// What an interval's value may be written as.
const INTERVAL_UNITS: [&str; 8] = [
    "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND",
];

impl Parser<'_> {
    /// A number or string, if one stands here.
    pub(super) fn plain_literal(&mut self) -> Result<Option<Expr>> {
        let start = self.span();
        let literal = match self.peek().kind.clone() {
            TokenKind::Number => {
                self.advance();
                Literal::Number(NumberLiteral {
                    text: canonical_number(start.text(self.sql)),
                    digits: mantissa_digits(start.text(self.sql)),
                })
            }
            TokenKind::String(value) => {
                self.advance();
                Literal::String(CharacterLiteral {
                    value: self.continued_string(value)?,
                    charset: None,
                })
            }
            TokenKind::CharsetString { charset, value } => {
                self.advance();
                let value = self.continued_string(value)?;
                Literal::String(CharacterLiteral {
                    value,
                    charset: Some(charset),
                })
            }
            TokenKind::UnicodeString(value) => {
                self.advance();
                Literal::String(CharacterLiteral {
                    value: self.unicode_string(start, value)?,
                    charset: None,
                })
            }
            TokenKind::BinaryString(digits) => {
                self.advance();
                Literal::Binary(self.binary_string(start, digits)?)
            }
            _ => return Ok(None),
        };
        Ok(Some(Expr::new(ExprKind::Literal(literal), self.span_from(start))))
    }

    /// Appends the strings that follow on later lines.
    fn continued_string(&mut self, mut value: String) -> Result<String> {
        while let TokenKind::String(next) = &self.peek().kind {
            let next = next.clone();
            self.check_line_break()?;
            value.push_str(&next);
            self.advance();
        }
        Ok(value)
    }

    fn check_line_break(&self) -> Result<()> {
        let between = Span::new(self.previous_span().end, self.span().start);
        if between.text(self.sql).contains('\n') {
            return Ok(());
        }
        let mut error = self.invalid(self.span(), "string literal continued on same line");
        error.hint = Some("join strings with ||, and write a quote inside a string twice".to_owned());
        Err(error)
    }

    /// Resolves `\XXXX`, `\+XXXXXX` and the doubled escape character, which UESCAPE may change.
    fn unicode_string(&mut self, span: Span, value: String) -> Result<String> {
        let value = self.continued_string(value)?;
        let mut escape = '\\';
        if self.eat_word("UESCAPE") {
            let literal = self.string_literal()?;
            let mut characters = literal.value.chars();
            escape = match (characters.next(), characters.next()) {
                (Some(c), None) if !c.is_ascii_hexdigit() && !"+'\"".contains(c) && !c.is_whitespace() => c,
                _ => {
                    return Err(self.invalid(
                        literal.span,
                        "UESCAPE must be a single character, not a digit, + or quote",
                    ));
                }
            };
        }
        unescape_unicode(&value, escape).map_err(|at| {
            let message =
                format!("unicode escape sequence starting at character {at} is not exactly four hex digits");
            self.invalid(span, message)
        })
    }

    fn binary_string(&mut self, span: Span, digits: String) -> Result<Vec<u8>> {
        let digits = self.continued_string(digits)?;
        let values: Option<Vec<u8>> = digits
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let Some(values) = values else {
            return Err(self.invalid(
                span,
                "binary literal string must contain only characters '0' - '9', 'A' - 'F'",
            ));
        };
        if values.len() % 2 != 0 {
            return Err(self.invalid(
                span,
                "binary literal string must contain an even number of hexits",
            ));
        }
        Ok(values
            .chunks_exact(2)
            .map(|pair| pair[0] * 16 + pair[1])
            .collect())
    }

    /// `DECIMAL '…'`, if it stands here.
    pub(super) fn decimal_literal(&mut self) -> Option<Expr> {
        let start = self.span();
        let TokenKind::String(value) = &self.peek_at(1).kind else {
            return None;
        };
        let value = value.clone();
        self.advance();
        self.advance();
        Some(Expr::new(
            ExprKind::Literal(Literal::Decimal(value)),
            self.span_from(start),
        ))
    }

    /// `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`, if the current word begins one.
    pub(super) fn temporal_literal(&mut self, word: &str) -> Result<Option<Expr>> {
        let start = self.span();
        let words_before = match word {
            "TIMESTAMP" if self.is_words(&["TIMESTAMP", "WITH", "LOCAL", "TIME", "ZONE"]) => 5,
            _ => 1,
        };
        let TokenKind::String(value) = &self.peek_at(words_before).kind else {
            return Ok(None);
        };
        let value = value.clone();
        (0..=words_before).for_each(|_| self.advance());
        let span = self.span_from(start);
        let (is_valid, format) = match word {
            "DATE" => (calendar::is_date(&value), "yyyy-MM-dd"),
            "TIME" => (calendar::is_time(&value), "HH:mm:ss"),
            _ => (calendar::is_timestamp(&value), "yyyy-MM-dd HH:mm:ss"),
        };
        if !is_valid {
            let message = format!(
                "illegal {word} literal '{value}': not in format '{format}', or no such {}",
                word.to_lowercase()
            );
            return Err(self.invalid(span, message));
        }
        let literal = match word {
            "DATE" => Literal::Date(value),
            "TIME" => Literal::Time(value),
            _ if words_before > 1 => Literal::TimestampLtz(value),
            _ => Literal::Timestamp(value),
        };
        Ok(Some(Expr::new(ExprKind::Literal(literal), span)))
    }

    /// `INTERVAL [sign] '…' qualifier` or `INTERVAL expression qualifier`.
    pub(super) fn interval(&mut self) -> Result<Expr> {
        let start = self.span();
        self.expect_word("INTERVAL")?;
        let negative = self.eat_sign(Sign::Minus);
        if !negative {
            self.eat_sign(Sign::Plus);
        }
        if let Some(value) = self.eat_string()? {
            let qualifier = self.interval_qualifier()?;
            let literal = IntervalLiteral {
                negative,
                value: value.value,
                qualifier,
            };
            return Ok(Expr::new(
                ExprKind::Literal(Literal::Interval(literal)),
                self.span_from(start),
            ));
        }
        if negative {
            return Err(self.unexpected_thing("a string in quotes"));
        }
        let value = Box::new(self.interval_value()?);
        let qualifier = self.interval_qualifier()?;
        Ok(Expr::new(
            ExprKind::Interval { value, qualifier },
            self.span_from(start),
        ))
    }

    fn interval_value(&mut self) -> Result<Expr> {
        if self.is_sign(Sign::LeftParen) {
            return self.enclosed_expr();
        }
        if self.peek().kind == TokenKind::Number || self.is_identifier_at(0) {
            return self.primary();
        }
        Err(self.unexpected_thing("a string in quotes"))
    }

    /// `YEAR [(p)] [TO MONTH]`, `DAY [(p)] [TO SECOND [(f)]]`, `SECOND [(p [, f])]` …
    pub(super) fn interval_qualifier(&mut self) -> Result<IntervalQualifier> {
        let span = self.span();
        let Some(start) = self.eat_interval_unit() else {
            return Err(self.interval_unit_expected());
        };
        let (start_precision, mut fractional_precision) =
            self.interval_precision(start == TimeUnit::Second)?;
        let mut end = None;
        if self.is_word("TO") && self.may_have_end(start) {
            self.advance();
            let unit_span = self.span();
            let unit = self.eat_interval_unit();
            end = unit.filter(|unit| is_finer(start, *unit));
            if end.is_none() {
                let message = format!("an interval cannot go from {} to this unit", start.word());
                return Err(self.invalid(unit_span, message));
            }
            if end == Some(TimeUnit::Second) {
                fractional_precision = self.interval_precision(false)?.0;
            }
        }
        let span = self.span_from(span);
        Ok(IntervalQualifier {
            start,
            start_precision,
            end,
            fractional_precision,
            span,
        })
    }

    fn may_have_end(&self, start: TimeUnit) -> bool {
        matches!(
            start,
            TimeUnit::Year | TimeUnit::Day | TimeUnit::Hour | TimeUnit::Minute
        )
    }

    fn interval_unit_expected(&mut self) -> crate::parse::ParseError {
        for word in INTERVAL_UNITS {
            self.note(super::Expected::Word(word));
        }
        let mut error = self.unexpected();
        if self.is_word("MILLISECOND") || self.is_word("MILLISECONDS") {
            error.hint = Some("write a fraction of a second, such as INTERVAL '0.250' SECOND".to_owned());
        }
        error
    }

    /// Whether a unit stands here that cannot be a name.
    pub(super) fn at_interval_unit(&self) -> bool {
        self.is_any_word(&["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"])
    }

    fn eat_interval_unit(&mut self) -> Option<TimeUnit> {
        let word = self.word()?.to_ascii_uppercase();
        let singular = word.strip_suffix('S').unwrap_or(&word);
        let unit = INTERVAL_UNITS.iter().find(|unit| **unit == singular)?;
        self.advance();
        TimeUnit::from_word(unit)
    }

    /// `[(p)]`, or `[(p [, f])]` where a fraction may follow.
    fn interval_precision(&mut self, with_fraction: bool) -> Result<(Option<u32>, Option<u32>)> {
        // A parenthesis belongs to the unit only if a number follows: `INTERVAL x DAY (…)` is nothing else.
        if !self.is_sign(Sign::LeftParen) || self.peek_at(1).kind != TokenKind::Number {
            return Ok((None, None));
        }
        self.advance();
        let precision = self.unsigned_integer()?;
        let mut fraction = None;
        if with_fraction && self.eat_sign(Sign::Comma) {
            fraction = Some(self.unsigned_integer()?);
        }
        self.expect_sign(Sign::RightParen)?;
        Ok((Some(precision), fraction))
    }
}

/// A number without leading zeros, with a digit before the point, and with a capital E.
fn mantissa_digits(text: &str) -> usize {
    text.bytes()
        .take_while(|b| !b.eq_ignore_ascii_case(&b'e'))
        .filter(u8::is_ascii_digit)
        .count()
}

fn canonical_number(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    let (mantissa, exponent) = match upper.split_once('E') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (upper.as_str(), None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    let mut number = if whole.is_empty() {
        "0".to_owned()
    } else {
        whole.to_owned()
    };
    if !fraction.is_empty() {
        number.push('.');
        number.push_str(fraction);
    }
    if let Some(exponent) = exponent {
        number.push('E');
        number.push_str(exponent.strip_prefix('+').unwrap_or(exponent));
    }
    number
}

fn is_finer(start: TimeUnit, end: TimeUnit) -> bool {
    use TimeUnit::{Day, Hour, Minute, Month, Second, Year};
    matches!(
        (start, end),
        (Year, Month) | (Day, Hour | Minute | Second) | (Hour, Minute | Second) | (Minute, Second)
    )
}

/// The text without escapes, or the index of the first bad one.
fn unescape_unicode(text: &str, escape: char) -> std::result::Result<String, usize> {
    let characters: Vec<char> = text.chars().collect();
    let mut units: Vec<u16> = Vec::with_capacity(characters.len());
    let mut index = 0;
    while let Some(&character) = characters.get(index) {
        if character != escape {
            units.extend(character.encode_utf16(&mut [0; 2]).iter());
            index += 1;
            continue;
        }
        if characters.get(index + 1) == Some(&escape) {
            units.extend(escape.encode_utf16(&mut [0; 2]).iter());
            index += 2;
            continue;
        }
        let digits: String = characters.iter().skip(index + 1).take(4).collect();
        let is_hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        match u16::from_str_radix(&digits, 16) {
            Ok(unit) if is_hex => units.push(unit),
            _ => return Err(index),
        }
        index += 5;
    }
    Ok(String::from_utf16_lossy(&units))
}
