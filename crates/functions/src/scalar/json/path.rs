//! JSON paths: `$.store.book[0]['title']`, with the steps of the path language that Flink uses.
//!
//! A path may begin with `lax` or `strict`; strict is the default. This module parses; [`super::evaluate`] evaluates.

use super::error::JsonError;
use super::filter::{self, Filter};

/// A compiled path.
#[derive(Clone, Debug)]
pub(super) struct JsonPath {
    pub(super) lax: bool,
    pub(super) steps: Vec<Step>,
}

/// One step of a path.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// `.name`, `['name']`, `['a','b']`.
    Members(Vec<String>),
    /// `.*`, `[*]`.
    Wildcard,
    /// `[0]`, `[0,2]`; negative from the end.
    Indices(Vec<i64>),
    /// `[from:to]`.
    Slice { from: Option<i64>, to: Option<i64> },
    /// `[?(…)]`.
    Filter(Filter),
    /// `..`: the next step at every place below.
    Scan,
    /// `.length()` and similar methods, at the end.
    Function(Function),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    Length,
    Min,
    Max,
    Average,
    Sum,
    Keys,
    First,
    Last,
}

impl JsonPath {
    /// Parses a path; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, JsonError> {
        let (lax, spec) = mode(text);
        let rooted = spec.starts_with(['$', '@']);
        let spec = if rooted {
            spec.to_owned()
        } else {
            format!("$.{spec}")
        };
        let mut parser = PathParser::new(&spec);
        parser.at = 1;
        let steps = parser.steps()?;
        if parser.at < parser.chars.len() {
            return Err(parser.invalid("unexpected character"));
        }
        Ok(Self { lax, steps })
    }
}

/// Takes `lax` or `strict` off the front.
fn mode(text: &str) -> (bool, &str) {
    let trimmed = text.trim_start();
    for (word, lax) in [("strict", false), ("lax", true)] {
        let matches = trimmed
            .get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word));
        let rest = if matches { &trimmed[word.len()..] } else { "" };
        if rest.starts_with(char::is_whitespace) && !rest.trim_start().is_empty() {
            return (lax, rest.trim_start());
        }
    }
    (false, text)
}

pub(super) struct PathParser {
    pub(super) chars: Vec<char>,
    pub(super) at: usize,
}

impl PathParser {
    pub(super) fn new(text: &str) -> Self {
        Self {
            chars: text.trim_end().chars().collect(),
            at: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|c| c == ' ') {
            self.at += 1;
        }
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.peek_at(i) == Some(c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    pub(super) fn invalid(&self, what: &'static str) -> JsonError {
        JsonError::Path {
            path: self.chars.iter().collect(),
            what,
            at: self.at,
        }
    }

    /// Steps up to the first character that cannot belong to a path.
    pub(super) fn steps(&mut self) -> Result<Vec<Step>, JsonError> {
        let mut steps = Vec::new();
        loop {
            match self.peek() {
                Some('.') if self.peek_at(1) == Some('.') => {
                    self.at += 2;
                    steps.push(Step::Scan);
                    if self.peek() != Some('[') {
                        steps.push(self.dotted()?);
                    }
                }
                Some('.') => {
                    self.at += 1;
                    if self.peek() == Some('[') {
                        continue;
                    }
                    steps.push(self.dotted()?);
                }
                Some('[') => steps.push(self.bracketed()?),
                _ => break,
            }
        }
        let early = steps
            .iter()
            .rev()
            .skip(1)
            .any(|step| matches!(step, Step::Function(_)));
        if early || matches!(steps.last(), Some(Step::Scan)) {
            return Err(self.invalid("the path ends too early or continues after a function"));
        }
        Ok(steps)
    }

    /// What follows a dot.
    fn dotted(&mut self) -> Result<Step, JsonError> {
        if self.eat("*") {
            return Ok(Step::Wildcard);
        }
        let mut name = String::new();
        while let Some(c) = self.peek() {
            match c {
                '.' | '[' | ')' | ',' | '=' | '<' | '>' | '!' | '&' | '|' => break,
                ' ' if self.chars[self.at..].iter().all(|c| *c == ' ') => break,
                ' ' if self.inside_filter() => break,
                ' ' if !name.is_empty() => {
                    return Err(self.invalid("names with blanks need brackets and quotes"));
                }
                '(' => return self.function(&name),
                other => name.push(other),
            }
            self.at += 1;
        }
        if name.is_empty() {
            return Err(self.invalid("a path must not end with a dot"));
        }
        Ok(Step::Members(vec![name]))
    }

    /// Whether the parser is in the parentheses of a filter, where blanks end a path.
    fn inside_filter(&self) -> bool {
        self.chars.first() == Some(&'?')
    }

    fn function(&mut self, name: &str) -> Result<Step, JsonError> {
        let function = match name {
            "length" | "size" => Function::Length,
            "min" => Function::Min,
            "max" => Function::Max,
            "avg" => Function::Average,
            "sum" => Function::Sum,
            "keys" => Function::Keys,
            "first" => Function::First,
            "last" => Function::Last,
            _ => {
                return Err(JsonError::Function {
                    path: self.chars.iter().collect(),
                    name: name.into(),
                    at: self.at,
                });
            }
        };
        self.at += 1;
        self.skip_blanks();
        if self.eat(")") {
            Ok(Step::Function(function))
        } else {
            Err(self.invalid("functions take no arguments"))
        }
    }

    fn bracketed(&mut self) -> Result<Step, JsonError> {
        self.at += 1;
        self.skip_blanks();
        let step = match self.peek() {
            Some('\'' | '"') => self.quoted_names()?,
            Some('*') => {
                self.at += 1;
                Step::Wildcard
            }
            Some('?') => {
                self.at += 1;
                self.skip_blanks();
                Step::Filter(self.filter()?)
            }
            Some(c) if c == '-' || c == ':' || c.is_ascii_digit() => self.positions()?,
            _ => return Err(self.invalid("expected a name in quotes, a position, '*' or '?(' after '['")),
        };
        self.skip_blanks();
        if self.eat("]") {
            Ok(step)
        } else {
            Err(self.invalid("expected ']'"))
        }
    }

    fn quoted_names(&mut self) -> Result<Step, JsonError> {
        let mut names = Vec::new();
        loop {
            self.skip_blanks();
            names.push(self.quoted()?);
            self.skip_blanks();
            if !self.eat(",") {
                return Ok(Step::Members(names));
            }
        }
    }

    /// A string in single or double quotes, with backslash escapes.
    pub(super) fn quoted(&mut self) -> Result<String, JsonError> {
        let Some(quote @ ('\'' | '"')) = self.peek() else {
            return Err(self.invalid("expected a string in quotes"));
        };
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                c if c == quote => return Ok(text),
                '\\' => {
                    let escaped = self.peek().ok_or_else(|| self.invalid("unclosed string"))?;
                    self.at += 1;
                    text.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
        Err(self.invalid("unclosed string"))
    }

    fn integer(&mut self) -> Result<Option<i64>, JsonError> {
        self.skip_blanks();
        let start = self.at;
        self.at += usize::from(self.peek() == Some('-'));
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        self.skip_blanks();
        if text.is_empty() {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|_| self.invalid("malformed position"))
    }

    fn positions(&mut self) -> Result<Step, JsonError> {
        let first = self.integer()?;
        if self.eat(":") {
            return Ok(Step::Slice {
                from: first,
                to: self.integer()?,
            });
        }
        let mut indices: Vec<i64> = first.into_iter().collect();
        while self.eat(",") {
            indices.extend(self.integer()?);
        }
        Ok(Step::Indices(indices))
    }

    /// `(…)` after `[?`. The condition is parsed on its own, so that blanks in it end paths.
    fn filter(&mut self) -> Result<Filter, JsonError> {
        let start = self.at;
        let (mut depth, mut quote) = (0usize, None);
        while let Some(c) = self.peek() {
            match (quote, c) {
                (Some(_), '\\') => self.at += 1,
                (Some(q), c) if c == q => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '(') => depth += 1,
                (None, ')') => depth = depth.saturating_sub(1),
                (None, _) => {}
            }
            self.at += 1;
            if depth == 0 && quote.is_none() && c == ')' {
                let text: String = self.chars[start..self.at].iter().collect();
                return filter::parse(&text);
            }
        }
        Err(self.invalid("a filter is written [?(…)]"))
    }
}
