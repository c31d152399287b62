//! Java's patterns of dates and times: `yyyy-MM-dd HH:mm:ss`.
//!
//! Flink uses two dialects. [`Dialect::Formatter`] is `java.time.format.DateTimeFormatter`, strict about what it reads and
//! exact to the nanosecond. [`Dialect::SimpleDate`] is `java.text.SimpleDateFormat`, which reads leniently (month 13 is
//! January of the next year), ignores what follows, and knows milliseconds only. Names are English.

use super::values::{NANOS_PER_DAY, NANOS_PER_SECOND};

/// Whose rules a pattern follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    Formatter,
    SimpleDate,
}

/// A part of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Element {
    Literal(String),
    /// A run of one letter.
    Field {
        letter: char,
        count: usize,
    },
    /// `[…]` of the formatter dialect.
    Optional(Vec<Element>),
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub(super) dialect: Dialect,
    pub(super) elements: Vec<Element>,
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Monday on.
pub(super) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Letters with a meaning in each dialect, and those that this crate refuses although Java has them.
const FORMATTER_LETTERS: &str = "GuyDMLdQqYwWEecFahKkHmsSAnNVvzOXxZpBg";
const FORMATTER_REFUSED: &str = "pBgV";
const SIMPLE_LETTERS: &str = "GyYMLwWDdFEuaHkKhmsSzZX";

/// A pattern that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid date and time pattern '{pattern}': {reason}")]
pub struct PatternError {
    pub pattern: Box<str>,
    pub reason: PatternReason,
}

/// What is wrong with a pattern, in Java's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternReason {
    #[error("pattern has ']' without '['")]
    Unopened,
    #[error("pattern includes reserved character: '{0}'")]
    Reserved(char),
    #[error("pattern has an unterminated quote")]
    OpenQuote,
    #[error("unknown pattern letter: {0}")]
    UnknownLetter(char),
    #[error("illegal pattern character '{0}'")]
    IllegalLetter(char),
    #[error("pattern letter '{0}' is not supported")]
    Unsupported(char),
    #[error("too many pattern letters: {0}")]
    TooLong(char),
}

impl Pattern {
    /// Compiles a pattern; the error says what is wrong with it.
    pub fn new(pattern: &str, dialect: Dialect) -> Result<Self, PatternError> {
        let mut compiler = Compiler {
            chars: pattern.chars().collect(),
            at: 0,
            dialect,
        };
        let elements = compiler.elements(0).map_err(|reason| PatternError {
            pattern: pattern.into(),
            reason,
        })?;
        Ok(Self { dialect, elements })
    }

    /// Points in time on a wall clock without a zone that lie in the same span of so many nanoseconds since the epoch
    /// have the same text.
    pub fn span_nanos(&self) -> i128 {
        span_nanos(&self.elements)
    }
}

fn span_nanos(elements: &[Element]) -> i128 {
    let span = |element: &Element| match element {
        Element::Literal(_) => NANOS_PER_DAY,
        Element::Optional(inner) => span_nanos(inner),
        Element::Field { letter, .. } => match letter {
            'G' | 'u' | 'y' | 'D' | 'M' | 'L' | 'd' | 'Q' | 'q' | 'Y' | 'w' | 'W' | 'E' | 'e' | 'c' | 'F' => {
                NANOS_PER_DAY
            }
            'a' | 'h' | 'K' | 'k' | 'H' => 3_600 * NANOS_PER_SECOND,
            'm' => 60 * NANOS_PER_SECOND,
            's' => NANOS_PER_SECOND,
            _ => 1,
        },
    };
    elements.iter().map(span).min().unwrap_or(NANOS_PER_DAY)
}

struct Compiler {
    chars: Vec<char>,
    at: usize,
    dialect: Dialect,
}

impl Compiler {
    fn elements(&mut self, depth: usize) -> Result<Vec<Element>, PatternReason> {
        let mut elements: Vec<Element> = Vec::new();
        let formatter = self.dialect == Dialect::Formatter;
        while let Some(&c) = self.chars.get(self.at) {
            self.at += 1;
            match c {
                '\'' => self.quoted(&mut elements)?,
                'a'..='z' | 'A'..='Z' => {
                    let field = self.field(c)?;
                    elements.push(field);
                }
                '[' if formatter && depth < 8 => elements.push(Element::Optional(self.elements(depth + 1)?)),
                ']' if formatter && depth > 0 => return Ok(elements),
                ']' if formatter => return Err(PatternReason::Unopened),
                '{' | '}' | '#' if formatter => {
                    return Err(PatternReason::Reserved(c));
                }
                other => push_literal(&mut elements, other),
            }
        }
        Ok(elements)
    }

    fn quoted(&mut self, elements: &mut Vec<Element>) -> Result<(), PatternReason> {
        if self.chars.get(self.at) == Some(&'\'') {
            self.at += 1;
            push_literal(elements, '\'');
            return Ok(());
        }
        while let Some(&c) = self.chars.get(self.at) {
            self.at += 1;
            if c != '\'' {
                push_literal(elements, c);
            } else if self.chars.get(self.at) == Some(&'\'') {
                self.at += 1;
                push_literal(elements, '\'');
            } else {
                return Ok(());
            }
        }
        Err(PatternReason::OpenQuote)
    }

    fn field(&mut self, letter: char) -> Result<Element, PatternReason> {
        let count = 1 + self.chars[self.at..].iter().take_while(|c| **c == letter).count();
        self.at += count - 1;
        let known = match self.dialect {
            Dialect::Formatter => FORMATTER_LETTERS,
            Dialect::SimpleDate => SIMPLE_LETTERS,
        };
        if !known.contains(letter) {
            return Err(match self.dialect {
                Dialect::Formatter => PatternReason::UnknownLetter(letter),
                Dialect::SimpleDate => PatternReason::IllegalLetter(letter),
            });
        }
        if self.dialect == Dialect::Formatter {
            if FORMATTER_REFUSED.contains(letter) {
                return Err(PatternReason::Unsupported(letter));
            }
            if count > longest(letter) {
                return Err(PatternReason::TooLong(letter));
            }
        }
        Ok(Element::Field { letter, count })
    }
}

fn push_literal(elements: &mut Vec<Element>, c: char) {
    match elements.last_mut() {
        Some(Element::Literal(text)) => text.push(c),
        _ => elements.push(Element::Literal(c.to_string())),
    }
}

/// How often the formatter dialect allows a letter in a row.
fn longest(letter: char) -> usize {
    match letter {
        'd' | 'h' | 'H' | 'k' | 'K' | 'm' | 's' | 'w' => 2,
        'D' => 3,
        'W' | 'F' | 'a' => 1,
        'G' | 'M' | 'L' | 'Q' | 'q' | 'E' | 'e' | 'c' | 'X' | 'x' | 'Z' => 5,
        'z' | 'v' | 'O' => 4,
        'S' => 9,
        _ => 19,
    }
}
