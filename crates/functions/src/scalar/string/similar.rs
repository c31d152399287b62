//! SIMILAR TO.
//!
//! The pattern is rewritten to a Java regular expression by the rules of Flink, which leave most of it as it stands: a dot
//! matches any character. The third argument, if there is one, is the escape character of `ESCAPE`.

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::scalar::access::data_error;
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::regexp::{JavaRegex, PatternError, Patterns};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Comparison,
    "SIMILAR TO",
    "string1 [NOT] SIMILAR TO string2 [ESCAPE character]",
    "Whether the whole first string matches the SQL regular expression: `_` is one character, `%` any characters, and |, *, +, \
     ?, {n,m}, (…), […] and [[:ALPHA:]] mean what they mean in regular expressions.",
    |args| {
        let two: &[Arg] = &[Arg::Character, Arg::Character];
        let three: &[Arg] = &[Arg::Character, Arg::Character, Arg::Character];
        strict(check("SIMILAR TO", args, &[two, three])?, LogicalType::BOOLEAN)
    },
    similar_to,
)];

const SQL_SPECIALS: &str = "[]()|^-+*_%?{}";
const JAVA_SPECIALS: &str = "[]()|^-+*?{}$\\.";
const CLASSES: [(&str, &str); 8] = [
    ("[:ALPHA:]", r"\p{Alpha}"),
    ("[:UPPER:]", r"\p{Upper}"),
    ("[:LOWER:]", r"\p{Lower}"),
    ("[:DIGIT:]", r"\d"),
    ("[:SPACE:]", " "),
    ("[:WHITESPACE:]", r"\s"),
    ("[:ALNUM:]", r"\p{Alnum}"),
    ("[:PUNCT:]", r"\p{Punct}"),
];

fn invalid(pattern: &str, at: usize) -> PatternError {
    PatternError::Invalid(format!("invalid regular expression '{pattern}' near index {at}"))
}

/// The character that an escape stands for, quoted for Java.
fn push_escaped(
    pattern: &str,
    at: usize,
    next: Option<char>,
    escape: char,
    out: &mut String,
) -> Result<(), PatternError> {
    let next = next.filter(|c| SQL_SPECIALS.contains(*c) || *c == escape);
    let c = next.ok_or_else(|| {
        PatternError::Invalid(format!(
            "invalid escape sequence in the pattern '{pattern}' near index {at}"
        ))
    })?;
    if JAVA_SPECIALS.contains(c) {
        out.push('\\');
    }
    out.push(c);
    Ok(())
}

/// The Java regular expression of an SQL one.
fn rewrite(pattern: &str, escape: Option<char>) -> Result<String, PatternError> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() * 2);
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        match c {
            c if Some(c) == escape => {
                at += 1;
                push_escaped(pattern, at, chars.get(at).copied(), c, &mut out)?;
            }
            '_' => out.push('.'),
            '%' => out.push_str("(?s:.*)"),
            '[' => {
                out.push('[');
                at = rewrite_enumeration(pattern, &chars, at + 1, escape, &mut out)?;
                out.push(']');
            }
            ']' => return Err(invalid(pattern, at)),
            '\\' => out.push_str("\\\\"),
            '$' => out.push_str("\\$"),
            other => out.push(other),
        }
        at += 1;
    }
    Ok(out)
}

/// The members of `[…]`; the index of the closing bracket.
fn rewrite_enumeration(
    pattern: &str,
    chars: &[char],
    start: usize,
    escape: Option<char>,
    out: &mut String,
) -> Result<usize, PatternError> {
    let mut at = start;
    loop {
        let Some(&c) = chars.get(at) else {
            return Err(invalid(pattern, at));
        };
        let rest = || chars[at..].iter().take(16).collect::<String>().to_uppercase();
        match c {
            ']' => return Ok(at),
            c if Some(c) == escape => {
                at += 1;
                push_escaped(pattern, at, chars.get(at).copied(), c, out)?;
            }
            '-' | '^' => out.push(c),
            '[' => {
                let rest = rest();
                let known = CLASSES.iter().find(|(name, _)| rest.starts_with(name));
                let (name, class) = known.ok_or_else(|| invalid(pattern, at))?;
                out.push_str(class);
                at += name.len() - 1;
            }
            c if SQL_SPECIALS.contains(c) => return Err(invalid(pattern, at)),
            other => out.push(other),
        }
        at += 1;
    }
}

fn similar_to(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, pattern, escape) = (args.text(0)?, args.text(1)?, args.optional_text(2)?);
    let mut patterns = std::mem::take(args.cache.get_or_insert_with(Patterns::default));
    let result = args.try_write_booleans(|row| {
        let escape = match &escape {
            Some(escape) => match escape.get(row) {
                Some(escape) => Some(escape),
                None => return Ok(None),
            },
            None => None,
        };
        let escape_char = escape.and_then(|escape| escape.chars().next());
        if escape.is_some_and(|escape| escape.chars().count() != 1) {
            return Err(data_error(format!(
                "invalid escape character '{}'",
                escape.unwrap_or_default()
            )));
        }
        let (Some(text), Some(pattern)) = (text.get(row), pattern.get(row)) else {
            return Ok(None);
        };
        // One call site has one escape character, so the pattern alone is a good key.
        let regex = patterns.get_or_compile(pattern, |sql| JavaRegex::whole(&rewrite(sql, escape_char)?))?;
        Ok(Some(regex.is_match(text)?))
    });
    *args.cache.get_or_insert_with(Patterns::default) = patterns;
    result
}
