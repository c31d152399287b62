//! LIKE.
//!
//! The third argument, if there is one, is the escape character of `ESCAPE`.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::scalar::access::data_error;
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Comparison,
    "LIKE",
    "string1 [NOT] LIKE string2 [ESCAPE character]",
    "Whether the first string matches the pattern: `_` stands for one character that is not a line terminator, `%` for any \
     characters. The escape character makes either stand for itself.",
    |args| {
        let two: &[Arg] = &[Arg::Character, Arg::Character];
        let three: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];
        strict(check("LIKE", args, &[two, three])?, LogicalType::BOOLEAN)
    },
    like,
)];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    Char(char),
    One,
    Any,
}

/// A compiled pattern; the common shapes need no general matching.
#[derive(Debug)]
enum Matcher {
    Equal(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    General(Vec<Token>),
}

impl Matcher {
    fn new(pattern: &str, escape: Option<char>) -> Result<Self, EvalError> {
        let mut tokens = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                c if Some(c) == escape => match chars.next() {
                    Some(next) if next == '_' || next == '%' || Some(next) == escape => Token::Char(next),
                    _ => {
                        return Err(data_error(format!(
                            "invalid escape sequence in the LIKE pattern '{pattern}'"
                        )));
                    }
                },
                '_' => Token::One,
                '%' if tokens.last() == Some(&Token::Any) => continue,
                '%' => Token::Any,
                other => Token::Char(other),
            });
        }
        let literal = |tokens: &[Token]| -> Option<String> {
            tokens
                .iter()
                .map(|token| {
                    if let Token::Char(c) = token {
                        Some(*c)
                    } else {
                        None
                    }
                })
                .collect()
        };
        let simple = match tokens.as_slice() {
            [Token::Any, middle @ .., Token::Any] => literal(middle).map(Self::Contains),
            [Token::Any, rest @ ..] => literal(rest).map(Self::Suffix),
            [rest @ .., Token::Any] => literal(rest).map(Self::Prefix),
            all => literal(all).map(Self::Equal),
        };
        Ok(simple.unwrap_or(Self::General(tokens)))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equal(wanted) => text == wanted,
            Self::Prefix(wanted) => text.starts_with(wanted.as_str()),
            Self::Suffix(wanted) => text.ends_with(wanted.as_str()),
            Self::Contains(wanted) => text.contains(wanted.as_str()),
            Self::General(tokens) => general(tokens, text),
        }
    }
}

/// Greedy matching that goes back to the last `%` only, so it takes at most length times length steps.
fn general(tokens: &[Token], text: &str) -> bool {
    let (mut token, mut rest) = (0, text.chars());
    let mut retry = None;
    loop {
        let mut ahead = rest.clone();
        let next = ahead.next();
        let advanced = match (tokens.get(token), next) {
            (None, None) => return true,
            (Some(Token::Any), _) => {
                retry = Some((token + 1, rest.clone()));
                token += 1;
                continue;
            }
            (Some(Token::One), Some(c)) => !matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'),
            (Some(Token::Char(wanted)), Some(c)) => *wanted == c,
            _ => false,
        };
        if advanced {
            token += 1;
            rest = ahead;
            continue;
        }
        // One more character for the last `%`.
        let Some((after, from)) = &mut retry else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        token = *after;
        rest = from.clone();
    }
}

/// The matcher of the pattern seen last.
#[derive(Default)]
struct Last(Option<(String, Option<char>, Matcher)>);

impl Last {
    fn get(&mut self, pattern: &str, escape: Option<&str>) -> Result<&Matcher, EvalError> {
        let escape = match escape {
            None => None,
            Some(text) => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Some(c),
                    _ => return Err(data_error(format!("invalid escape character '{text}'"))),
                }
            }
        };
        let known = self
            .0
            .as_ref()
            .is_some_and(|(p, e, _)| p == pattern && *e == escape);
        if !known {
            self.0 = Some((pattern.to_owned(), escape, Matcher::new(pattern, escape)?));
        }
        let (_, _, matcher) = self.0.as_ref().expect("the matcher was stored above");
        Ok(matcher)
    }
}

fn like(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, pattern, escape) = (args.text(0)?, args.text(1)?, args.optional_text(2)?);
    let mut last = std::mem::take(args.cache.get_or_insert_with(Last::default));
    let result = args.try_write_booleans(|row| {
        let escape = match &escape {
            Some(escape) => match escape.get(row) {
                Some(escape) => Some(escape),
                None => return Ok(None),
            },
            None => None,
        };
        let (Some(text), Some(pattern)) = (text.get(row), pattern.get(row)) else {
            return Ok(None);
        };
        Ok(Some(last.get(pattern, escape)?.matches(text)))
    });
    *args.cache.get_or_insert_with(Last::default) = last;
    result
}
