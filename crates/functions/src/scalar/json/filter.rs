//! Conditions of JSON paths: `[?(@.price > 10 && @.title == 'B')]`.

use std::borrow::Cow;
use std::cmp::Ordering;

use millstream_types::limits::NESTING_DEPTH_MAX;

use super::error::JsonError;
use super::number::BigDecimal;
use super::path::{JsonPath, PathParser};
use super::tree::Json;
use crate::scalar::regexp::JavaRegex;

/// A condition over a node.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    /// A path that finds something.
    Exists(Operand),
    Compare(Operand, Operator, Operand),
    Matches(Operand, String),
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Value(Json),
    /// `@…`: from the node under test.
    Node(JsonPath),
    /// `$…`: from the document.
    Root(JsonPath),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    Contains,
    Size,
    Empty,
}

/// Operators by their spelling, longer ones first.
const OPERATORS: [(&str, Operator); 14] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("nin", Operator::NotIn),
    ("in", Operator::In),
    ("subsetof", Operator::SubsetOf),
    ("anyof", Operator::AnyOf),
    ("noneof", Operator::NoneOf),
    ("contains", Operator::Contains),
    ("size", Operator::Size),
    ("empty", Operator::Empty),
];

/// Parses a condition with its parentheses.
pub(super) fn parse(text: &str) -> Result<Filter, JsonError> {
    // The leading mark tells the path parser that blanks end a path.
    let mut parser = FilterParser {
        path: PathParser::new(&format!("?{text}")),
        depth: 0,
    };
    parser.path.at = 1;
    let filter = parser.or()?;
    parser.path.skip_blanks();
    if parser.path.peek().is_some() {
        return Err(parser.path.invalid("unexpected character in a filter"));
    }
    Ok(filter)
}

struct FilterParser {
    path: PathParser,
    depth: usize,
}

impl FilterParser {
    fn eat(&mut self, text: &str) -> bool {
        self.path.skip_blanks();
        self.path.eat(text)
    }

    fn or(&mut self) -> Result<Filter, JsonError> {
        self.depth += 1;
        if self.depth > NESTING_DEPTH_MAX {
            return Err(self.path.invalid("a filter is nested too deeply"));
        }
        let mut left = self.and()?;
        while self.eat("||") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, JsonError> {
        let mut left = self.not()?;
        while self.eat("&&") {
            left = Filter::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Filter, JsonError> {
        self.path.skip_blanks();
        if self.path.peek() == Some('!') && self.path.peek_at(1) != Some('=') {
            self.path.at += 1;
            return Ok(Filter::Not(Box::new(self.not()?)));
        }
        if self.eat("(") {
            let inner = self.or()?;
            return if self.eat(")") {
                Ok(inner)
            } else {
                Err(self.path.invalid("expected ')'"))
            };
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Filter, JsonError> {
        let left = self.operand()?;
        self.path.skip_blanks();
        if self.path.eat("=~") {
            return Ok(Filter::Matches(left, self.pattern()?));
        }
        let rest: String = self.path.chars[self.path.at..]
            .iter()
            .take(8)
            .collect::<String>()
            .to_lowercase();
        let found = OPERATORS.iter().find(|(spelling, _)| rest.starts_with(spelling));
        let Some((spelling, operator)) = found else {
            return Ok(Filter::Exists(left));
        };
        self.path.at += spelling.chars().count();
        Ok(Filter::Compare(left, *operator, self.operand()?))
    }

    /// `/pattern/flags`.
    fn pattern(&mut self) -> Result<String, JsonError> {
        self.path.skip_blanks();
        if !self.path.eat("/") {
            return Err(self.path.invalid("expected a pattern between slashes"));
        }
        let mut pattern = String::new();
        loop {
            match self.path.peek() {
                None => return Err(self.path.invalid("unclosed pattern")),
                Some('/') => break,
                Some('\\') if self.path.peek_at(1) == Some('/') => {
                    pattern.push('/');
                    self.path.at += 2;
                }
                Some(c) => {
                    pattern.push(c);
                    self.path.at += 1;
                }
            }
        }
        self.path.at += 1;
        let mut flags = String::new();
        while let Some(flag @ ('d' | 'i' | 'x' | 'm' | 's' | 'u')) = self.path.peek() {
            flags.push(flag);
            self.path.at += 1;
        }
        let pattern = if flags.is_empty() {
            pattern
        } else {
            format!("(?{flags}){pattern}")
        };
        JavaRegex::whole(&pattern)?;
        Ok(pattern)
    }

    fn operand(&mut self) -> Result<Operand, JsonError> {
        self.path.skip_blanks();
        match self.path.peek() {
            Some(root @ ('@' | '$')) => {
                self.path.at += 1;
                let steps = self.path.steps()?;
                let path = JsonPath { lax: true, steps };
                Ok(if root == '@' {
                    Operand::Node(path)
                } else {
                    Operand::Root(path)
                })
            }
            Some('\'' | '"') => self.path.quoted().map(|text| Operand::Value(Json::String(text))),
            Some('[' | '{') => self.literal_until_closed(),
            Some(_) => self.bare_literal(),
            None => Err(self.path.invalid("expected a value")),
        }
    }

    /// A JSON array or object, with strings in either quotes.
    fn literal_until_closed(&mut self) -> Result<Operand, JsonError> {
        let (mut depth, mut text) = (0usize, String::new());
        while let Some(c) = self.path.peek() {
            if c == '\'' || c == '"' {
                let string = self.path.quoted()?;
                super::tree::write_string(&string, &mut text);
                continue;
            }
            self.path.at += 1;
            text.push(c);
            match c {
                '[' | '{' => depth += 1,
                ']' | '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Json::parse(&text).map(Operand::Value);
            }
        }
        Err(self.path.invalid("unclosed value"))
    }

    fn bare_literal(&mut self) -> Result<Operand, JsonError> {
        let start = self.path.at;
        while self
            .path
            .peek()
            .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))
        {
            self.path.at += 1;
        }
        let text: String = self.path.chars[start..self.path.at].iter().collect();
        Json::parse(&text)
            .map(Operand::Value)
            .map_err(|_| self.path.invalid("expected a value"))
    }
}

impl Filter {
    pub(super) fn accepts(&self, node: &Json, root: &Json) -> bool {
        match self {
            Self::And(a, b) => a.accepts(node, root) && b.accepts(node, root),
            Self::Or(a, b) => a.accepts(node, root) || b.accepts(node, root),
            Self::Not(inner) => !inner.accepts(node, root),
            Self::Exists(Operand::Value(value)) => *value == Json::Boolean(true),
            Self::Exists(operand) => operand.value(node, root).is_some(),
            Self::Compare(left, operator, right) => match (left.value(node, root), right.value(node, root)) {
                (Some(left), Some(right)) => holds(&left, *operator, &right),
                // A path that finds nothing equals nothing.
                _ => matches!(operator, Operator::NotEqual | Operator::NotIn | Operator::NoneOf),
            },
            Self::Matches(operand, pattern) => operand.value(node, root).is_some_and(|value| {
                let mut text = String::new();
                value.write_scalar(&mut text);
                value.is_scalar()
                    && JavaRegex::whole(pattern)
                        .and_then(|regex| regex.is_match(&text))
                        .unwrap_or(false)
            }),
        }
    }
}

impl Operand {
    /// The value; `None` if a path finds nothing.
    fn value<'j>(&'j self, node: &'j Json, root: &'j Json) -> Option<Cow<'j, Json>> {
        match self {
            Self::Value(value) => Some(Cow::Borrowed(value)),
            Self::Node(path) => path.find(node),
            Self::Root(path) => path.find(root),
        }
    }
}

fn holds(left: &Json, operator: Operator, right: &Json) -> bool {
    let items = |value: &Json| {
        if let Json::Array(items) = value {
            items.clone()
        } else {
            Vec::new()
        }
    };
    let contains = |list: &[Json], value: &Json| list.iter().any(|item| equal(item, value));
    match operator {
        Operator::Equal => equal(left, right),
        Operator::NotEqual => !equal(left, right),
        Operator::Less => order(left, right) == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order(left, right), Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order(left, right) == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order(left, right), Some(Ordering::Greater | Ordering::Equal)),
        Operator::In => contains(&items(right), left),
        Operator::NotIn => !contains(&items(right), left),
        Operator::SubsetOf => {
            matches!(left, Json::Array(_)) && items(left).iter().all(|item| contains(&items(right), item))
        }
        Operator::AnyOf => items(left).iter().any(|item| contains(&items(right), item)),
        Operator::NoneOf => !items(left).iter().any(|item| contains(&items(right), item)),
        Operator::Contains => match (left, right) {
            (Json::String(text), Json::String(part)) => text.contains(part.as_str()),
            (Json::Array(list), value) => contains(list, value),
            _ => false,
        },
        Operator::Size => size(left).is_some_and(|size| equal(&Json::Number(size.to_string()), right)),
        Operator::Empty => size(left).is_some_and(|size| *right == Json::Boolean(size == 0)),
    }
}

fn size(value: &Json) -> Option<usize> {
    match value {
        Json::String(text) => Some(text.encode_utf16().count()),
        Json::Array(items) => Some(items.len()),
        _ => None,
    }
}

fn equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(_), Json::Number(_)) => order(left, right) == Some(Ordering::Equal),
        _ => left == right,
    }
}

/// Order of two numbers or two strings.
fn order(left: &Json, right: &Json) -> Option<Ordering> {
    match (left, right) {
        (Json::Number(a), Json::Number(b)) => Some(BigDecimal::parse(a)?.compare(&BigDecimal::parse(b)?)),
        (Json::String(a), Json::String(b)) => Some(a.encode_utf16().cmp(b.encode_utf16())),
        _ => None,
    }
}
