//! Literals as they are written. Their values are checked for form, not converted: types belong to the binder.

use super::{Ident, Span};

/// A constant in the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Literal {
    /// `NULL`.
    Null,
    /// `TRUE` or `FALSE`.
    Boolean(bool),
    /// `UNKNOWN`, the NULL of BOOLEAN.
    Unknown,
    /// A number: see [`NumberLiteral`].
    Number(NumberLiteral),
    /// `DECIMAL '…'`, the text as written.
    Decimal(String),
    /// A character string, escapes resolved; adjacent strings on separate lines are one literal.
    String(CharacterLiteral),
    /// `X'00ff'`.
    Binary(Vec<u8>),
    /// `DATE '2024-02-29'`, with the text as written; its form has been checked.
    Date(String),
    /// `TIME '12:34:56.789'`.
    Time(String),
    /// `TIMESTAMP '2024-02-29 12:34:56'`; the time of day may be missing.
    Timestamp(String),
    /// `TIMESTAMP WITH LOCAL TIME ZONE '…'`.
    TimestampLtz(String),
    /// `INTERVAL [-]'…' qualifier`.
    Interval(IntervalLiteral),
}

/// An unsigned number: `1` and `1.50` are exact, `1E3` is approximate (DOUBLE). The digits are as written, but
/// without leading zeros and with a digit before the point: `.5` is `0.5`, `1.` is `1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NumberLiteral {
    pub text: String,
    /// Number of digits as written, leading zeros included, before an exponent.
    pub digits: usize,
}

impl NumberLiteral {
    /// Whether the number has an exponent, which makes it a DOUBLE.
    pub fn is_approximate(&self) -> bool {
        self.text.contains('E')
    }

    /// Number of digits after the point that are written.
    pub fn scale(&self) -> usize {
        self.text
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len())
    }
}

/// A character string and the character set that was written before it (`_UTF8'…'`, `N'…'`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CharacterLiteral {
    pub value: String,
    pub charset: Option<String>,
}

/// `INTERVAL [sign]'value' qualifier`, not yet converted to months or milliseconds
/// (see [`crate::parse::interval`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IntervalLiteral {
    pub negative: bool,
    pub value: String,
    pub qualifier: IntervalQualifier,
}

/// `DAY(3)`, `DAY TO SECOND(3)`, `YEAR TO MONTH` …
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IntervalQualifier {
    pub start: TimeUnit,
    /// Digits of the first field; two when missing.
    pub start_precision: Option<u32>,
    pub end: Option<TimeUnit>,
    /// Digits of fractional seconds.
    pub fractional_precision: Option<u32>,
    pub span: Span,
}

impl IntervalQualifier {
    /// Whether the interval counts months (YEAR, QUARTER, MONTH) rather than milliseconds.
    pub fn is_year_month(&self) -> bool {
        matches!(self.start, TimeUnit::Year | TimeUnit::Quarter | TimeUnit::Month)
    }
}

/// The units of intervals, EXTRACT, FLOOR and TIMESTAMPADD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    DayOfWeek,
    DayOfYear,
    IsoDayOfWeek,
    IsoYear,
    Epoch,
    Decade,
    Century,
    Millennium,
}

/// Units by the word that canonical text uses.
const TIME_UNIT_WORDS: [(&str, TimeUnit); 19] = [
    ("YEAR", TimeUnit::Year),
    ("QUARTER", TimeUnit::Quarter),
    ("MONTH", TimeUnit::Month),
    ("WEEK", TimeUnit::Week),
    ("DAY", TimeUnit::Day),
    ("HOUR", TimeUnit::Hour),
    ("MINUTE", TimeUnit::Minute),
    ("SECOND", TimeUnit::Second),
    ("MILLISECOND", TimeUnit::Millisecond),
    ("MICROSECOND", TimeUnit::Microsecond),
    ("NANOSECOND", TimeUnit::Nanosecond),
    ("DOW", TimeUnit::DayOfWeek),
    ("DOY", TimeUnit::DayOfYear),
    ("ISODOW", TimeUnit::IsoDayOfWeek),
    ("ISOYEAR", TimeUnit::IsoYear),
    ("EPOCH", TimeUnit::Epoch),
    ("DECADE", TimeUnit::Decade),
    ("CENTURY", TimeUnit::Century),
    ("MILLENNIUM", TimeUnit::Millennium),
];

impl TimeUnit {
    /// The unit's key word.
    pub fn word(self) -> &'static str {
        TIME_UNIT_WORDS
            .iter()
            .find(|(_, unit)| *unit == self)
            .map_or("", |(word, _)| word)
    }

    /// The unit with this name, in any case; including `SQL_TSI_DAY` and similar ones.
    pub fn from_word(word: &str) -> Option<Self> {
        let upper = word.to_ascii_uppercase();
        let name = upper.strip_prefix("SQL_TSI_").unwrap_or(&upper);
        if name == "FRAC_SECOND" {
            return Some(Self::Microsecond);
        }
        TIME_UNIT_WORDS
            .iter()
            .find(|(word, _)| *word == name)
            .map(|(_, unit)| *unit)
    }
}

/// The unit of EXTRACT, FLOOR, CEIL, TIMESTAMPADD and TIMESTAMPDIFF: a known unit, or a name that the binder refuses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TimeFrame {
    pub name: Ident,
}

impl TimeFrame {
    /// The unit, if the name is one.
    pub fn unit(&self) -> Option<TimeUnit> {
        TimeUnit::from_word(&self.name.value)
    }
}
