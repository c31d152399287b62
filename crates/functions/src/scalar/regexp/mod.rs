//! Regular expressions in Java's dialect.
//!
//! Patterns are parsed here and handed to the linear-time engine of the `regex` crate whenever it can run them. What it
//! cannot (look-around, back-references, atomic groups, line anchors) runs on a backtracking matcher with a bound on its
//! steps. What neither can do is refused with a message that names it; nothing is silently approximated.

mod backtrack;
mod class;
pub mod functions;
mod linear;
mod syntax;

use std::collections::HashMap;

use self::backtrack::{Program, Slots, is_line_terminator};
use self::syntax::Node;
use super::EvalError;

/// Compiled patterns that one call site keeps when the pattern is not a constant.
const PATTERNS_KEPT_MAX: usize = 64;

/// Why a pattern cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum PatternError {
    /// Java refuses it too.
    #[error("{0}")]
    Invalid(String),
    /// Java would take it.
    #[error("{0}")]
    Unsupported(String),
}

impl From<PatternError> for EvalError {
    fn from(error: PatternError) -> Self {
        EvalError::Data(error.to_string())
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct JavaRegex {
    linear: Option<regex::Regex>,
    /// The linear form takes `$` for the very end of the text.
    plain_end: bool,
    program: Option<Program>,
    groups: usize,
}

/// A match: byte offsets of all groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found(Slots);

impl Found {
    pub(crate) fn start(&self) -> usize {
        self.0.first().copied().flatten().unwrap_or(0)
    }

    pub(crate) fn end(&self) -> usize {
        self.0.get(1).copied().flatten().unwrap_or(0)
    }

    /// Text of a group; `None` if it took no part in the match.
    pub(crate) fn group<'t>(&self, text: &'t str, index: usize) -> Option<&'t str> {
        let start = self.0.get(2 * index).copied().flatten()?;
        let end = self.0.get(2 * index + 1).copied().flatten()?;
        text.get(start..end)
    }
}

impl JavaRegex {
    /// A pattern to search for.
    pub(crate) fn new(pattern: &str) -> Result<Self, PatternError> {
        let parsed = syntax::parse(pattern)?;
        Self::compile(parsed.node, parsed.groups)
    }

    /// A pattern that must match a whole text.
    pub(crate) fn whole(pattern: &str) -> Result<Self, PatternError> {
        let parsed = syntax::parse(pattern)?;
        Self::compile(
            Node::Concat(vec![Node::TextStart, parsed.node, Node::TextEnd]),
            parsed.groups,
        )
    }

    fn compile(node: Node, groups: usize) -> Result<Self, PatternError> {
        let linear = linear::translate(&node);
        let plain_end = linear.as_ref().is_some_and(|linear| linear.plain_end);
        // The crate refuses what would become too big; the program then says so too.
        let compiled = linear.and_then(|linear| regex::Regex::new(&linear.pattern).ok());
        let program = if compiled.is_none() || plain_end {
            Some(Program::new(&node, groups)?)
        } else {
            None
        };
        Ok(Self {
            linear: compiled,
            plain_end,
            program,
            groups,
        })
    }

    /// Number of capturing groups, without group 0.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// The matcher for a text.
    fn linear_for(&self, text: &str) -> Option<&regex::Regex> {
        let exact = !self.plain_end || !text.chars().next_back().is_some_and(is_line_terminator);
        self.linear.as_ref().filter(|_| exact)
    }

    pub(crate) fn is_match(&self, text: &str) -> Result<bool, PatternError> {
        if let Some(regex) = self.linear_for(text) {
            return Ok(regex.is_match(text));
        }
        Ok(self.find_at(text, 0)?.is_some())
    }

    /// The leftmost match that starts at byte `from` or later.
    pub(crate) fn find_at(&self, text: &str, from: usize) -> Result<Option<Found>, PatternError> {
        if let Some(regex) = self.linear_for(text) {
            if self.groups == 0 {
                let found = regex.find_at(text, from);
                return Ok(found.map(|m| Found(vec![Some(m.start()), Some(m.end())])));
            }
            let mut locations = regex.capture_locations();
            let found = regex.captures_read_at(&mut locations, text, from);
            let slots = || {
                (0..locations.len()).flat_map(|i| {
                    let group = locations.get(i);
                    [group.map(|g| g.0), group.map(|g| g.1)]
                })
            };
            return Ok(found.map(|_| Found(slots().collect())));
        }
        let Some(program) = &self.program else {
            return Err(PatternError::Unsupported(
                "the regular expression is too big".to_owned(),
            ));
        };
        Ok(program.find(text, from)?.map(Found))
    }

    /// Calls `f` with every match from left to right, as Java's `Matcher.find` in a loop: an empty match may follow another
    /// match directly.
    pub(crate) fn each_match(&self, text: &str, mut f: impl FnMut(&Found)) -> Result<(), PatternError> {
        let mut from = 0;
        while from <= text.len() {
            let Some(found) = self.find_at(text, from)? else {
                break;
            };
            f(&found);
            let (start, end) = (found.start(), found.end());
            let skipped = text[end..].chars().next().map_or(1, char::len_utf8);
            from = if end > start { end } else { end + skipped };
        }
        Ok(())
    }
}

/// The compiled patterns of one call site.
#[derive(Default)]
pub(crate) struct Patterns {
    last: String,
    compiled: HashMap<String, Result<JavaRegex, PatternError>>,
}

impl Patterns {
    /// The compiled form of `pattern`, made by `compile` when it is new.
    pub(crate) fn get_or_compile(
        &mut self,
        pattern: &str,
        compile: impl FnOnce(&str) -> Result<JavaRegex, PatternError>,
    ) -> Result<&JavaRegex, PatternError> {
        if self.last != pattern || self.compiled.is_empty() {
            if !self.compiled.contains_key(pattern) {
                if self.compiled.len() >= PATTERNS_KEPT_MAX {
                    self.compiled.clear();
                }
                self.compiled.insert(pattern.to_owned(), compile(pattern));
            }
            pattern.clone_into(&mut self.last);
        }
        let known = self
            .compiled
            .get(&self.last)
            .expect("the pattern was stored above");
        known.as_ref().map_err(Clone::clone)
    }

    pub(crate) fn get(&mut self, pattern: &str) -> Result<&JavaRegex, PatternError> {
        self.get_or_compile(pattern, JavaRegex::new)
    }
}

/// The result where the pattern is invalid: Flink logs it and returns NULL or FALSE. What only Millstream cannot do stays
/// an error.
pub(crate) fn or_invalid<T>(result: Result<T, PatternError>, invalid: T) -> Result<T, EvalError> {
    match result {
        Ok(value) => Ok(value),
        Err(PatternError::Invalid(_)) => Ok(invalid),
        Err(error @ PatternError::Unsupported(_)) => Err(error.into()),
    }
}
