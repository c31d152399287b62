//! Evaluation of JSON paths over a tree.
//!
//! A path is definite if each of its steps leads to one place at most. A definite path gives the value or fails; an
//! indefinite one gives an array of what it finds. Under `lax` nothing fails, a definite path that finds nothing is null.

use std::borrow::Cow;

use millstream_types::java_text::write_double;

use super::error::JsonError;
use super::number::BigDecimal;
use super::path::{Function, JsonPath, Step};
use super::tree::Json;

impl JsonPath {
    /// What the path finds, or why it finds nothing.
    pub(super) fn evaluate<'j>(&self, root: &'j Json) -> Result<Cow<'j, Json>, JsonError> {
        let (steps, function) = match self.steps.split_last() {
            Some((Step::Function(function), steps)) => (steps, Some(*function)),
            _ => (self.steps.as_slice(), None),
        };
        let mut walk = Walk {
            root,
            steps,
            suppress: self.lax,
            found: Vec::new(),
        };
        let walked = walk.step(0, true, root);
        let mut found = walk.found;
        let definite = is_definite(steps);
        if let (Err(missing), false) = (walked, self.lax) {
            return Err(missing);
        }
        let value = match (definite, found.len()) {
            (true, 0) if self.lax => return Ok(Cow::Owned(Json::Null)),
            (true, 0) => return Err(JsonError::NothingFound),
            (true, _) => found.swap_remove(0),
            (false, _) => Cow::Owned(Json::Array(found.into_iter().map(Cow::into_owned).collect())),
        };
        match function {
            None => Ok(value),
            Some(function) => match apply(function, &value) {
                Ok(result) => Ok(Cow::Owned(result)),
                Err(_) if self.lax => Ok(Cow::Owned(Json::Null)),
                Err(reason) => Err(reason),
            },
        }
    }

    /// What the path finds inside of a filter: nothing is not null.
    pub(super) fn find<'j>(&self, root: &'j Json) -> Option<Cow<'j, Json>> {
        let strict = JsonPath {
            lax: false,
            steps: self.steps.clone(),
        };
        strict.evaluate(root).ok()
    }
}

fn is_definite(steps: &[Step]) -> bool {
    steps
        .iter()
        .enumerate()
        .all(|(i, step)| step_is_definite(step, i + 1 == steps.len()))
}

fn step_is_definite(step: &Step, leaf: bool) -> bool {
    match step {
        Step::Members(names) => names.len() == 1 || leaf,
        Step::Indices(indices) => indices.len() == 1,
        Step::Function(_) => true,
        Step::Wildcard | Step::Slice { .. } | Step::Filter(_) | Step::Scan => false,
    }
}

struct Walk<'p, 'j> {
    root: &'j Json,
    steps: &'p [Step],
    suppress: bool,
    found: Vec<Cow<'j, Json>>,
}

impl<'j> Walk<'_, 'j> {
    /// Applies step `at` to a node; `definite` says whether all steps before were.
    fn step(&mut self, at: usize, definite: bool, node: &'j Json) -> Result<(), JsonError> {
        let steps = self.steps;
        let Some(step) = steps.get(at) else {
            self.found.push(Cow::Borrowed(node));
            return Ok(());
        };
        let leaf = at + 1 == steps.len();
        let next = definite && step_is_definite(step, leaf);
        match step {
            Step::Members(names) => self.members(names, at, definite, node),
            Step::Wildcard => {
                let children: Vec<&'j Json> = match node {
                    Json::Array(items) => items.iter().collect(),
                    Json::Object(members) => members.iter().map(|(_, value)| value).collect(),
                    _ => Vec::new(),
                };
                // A child without the rest of the path is passed over.
                children
                    .into_iter()
                    .for_each(|child| drop(self.step(at + 1, next, child)));
                Ok(())
            }
            Step::Indices(indices) => {
                let Some(items) = self.array(node, definite)? else {
                    return Ok(());
                };
                indices
                    .iter()
                    .try_for_each(|index| self.item(items, *index, at, next))
            }
            Step::Slice { from, to } => {
                let Some(items) = self.array(node, definite)? else {
                    return Ok(());
                };
                let length = items.len() as i64;
                let (from, to) = slice_bounds(*from, *to, length);
                (from..to).try_for_each(|index| self.item(items, index, at, next))
            }
            Step::Filter(filter) => {
                match node {
                    Json::Array(items) => {
                        for item in items.iter().filter(|item| filter.accepts(item, self.root)) {
                            self.step(at + 1, next, item)?;
                        }
                    }
                    Json::Object(_) if filter.accepts(node, self.root) => self.step(at + 1, next, node)?,
                    Json::Object(_) => {}
                    _ if definite && !self.suppress => {
                        return Err(JsonError::FilterOfScalar);
                    }
                    _ => {}
                }
                Ok(())
            }
            Step::Scan => self.scan(at + 1, node),
            Step::Function(_) => Ok(()),
        }
    }

    fn members(
        &mut self,
        names: &[String],
        at: usize,
        definite: bool,
        node: &'j Json,
    ) -> Result<(), JsonError> {
        let leaf = at + 1 == self.steps.len();
        let Json::Object(members) = node else {
            if !definite || self.suppress {
                return Ok(());
            }
            return Err(JsonError::NoObject(names.to_vec()));
        };
        if let [name] = names {
            return match node.member(name) {
                Some(value) => self.step(at + 1, definite, value),
                None if leaf || !definite || self.suppress => Ok(()),
                None => Err(JsonError::NoMember(name.as_str().into())),
            };
        }
        if leaf {
            let chosen = members
                .iter()
                .filter(|(key, _)| names.contains(key))
                .cloned()
                .collect();
            self.found.push(Cow::Owned(Json::Object(chosen)));
            return Ok(());
        }
        names
            .iter()
            .filter_map(|name| node.member(name))
            .try_for_each(|value| self.step(at + 1, false, value))
    }

    /// The items of a node that must be an array.
    fn array(&self, node: &'j Json, definite: bool) -> Result<Option<&'j [Json]>, JsonError> {
        match node {
            Json::Array(items) => Ok(Some(items)),
            _ if !definite || self.suppress => Ok(None),
            _ => Err(JsonError::PositionOfNoArray),
        }
    }

    fn item(&mut self, items: &'j [Json], index: i64, at: usize, definite: bool) -> Result<(), JsonError> {
        let index = if index < 0 {
            items.len() as i64 + index
        } else {
            index
        };
        match usize::try_from(index).ok().and_then(|index| items.get(index)) {
            Some(item) => self.step(at + 1, definite, item),
            None => Ok(()),
        }
    }

    /// Applies step `at` at the node and everywhere below it.
    fn scan(&mut self, at: usize, node: &'j Json) -> Result<(), JsonError> {
        let leaf = at + 1 == self.steps.len();
        let matches = match (&self.steps[at], node) {
            (Step::Members(names), Json::Object(_)) => names.len() > 1 || node.member(&names[0]).is_some(),
            (Step::Members(_), _) => false,
            (Step::Indices(_) | Step::Slice { .. }, Json::Array(_)) => true,
            (Step::Wildcard, _) => true,
            (Step::Filter(filter), _) => filter.accepts(node, self.root),
            _ => false,
        };
        match node {
            Json::Object(members) => {
                if matches {
                    drop(self.step(at, false, node));
                }
                members.iter().try_for_each(|(_, value)| self.scan(at, value))
            }
            Json::Array(items) => {
                if matches && leaf {
                    drop(self.step(at, false, node));
                } else if matches {
                    items.iter().for_each(|item| drop(self.step(at + 1, false, item)));
                }
                items.iter().try_for_each(|item| self.scan(at, item))
            }
            _ => Ok(()),
        }
    }
}

/// The range of positions of `[from:to]`; positions may stay negative, counting from the end.
fn slice_bounds(from: Option<i64>, to: Option<i64>, length: i64) -> (i64, i64) {
    match (from, to) {
        (Some(from), Some(to)) => (from.max(-length), to.min(length)),
        (Some(from), None) => ((if from < 0 { length + from } else { from }).max(0), length),
        (None, Some(to)) => (0, (if to < 0 { length + to } else { to }).min(length)),
        (None, None) => (0, length),
    }
}

/// A function at the end of a path.
fn apply(function: Function, value: &Json) -> Result<Json, JsonError> {
    let items: &[Json] = if let Json::Array(items) = value {
        items
    } else {
        &[]
    };
    let numbers = || -> Vec<f64> {
        let number = |item: &Json| match item {
            Json::Number(text) => BigDecimal::parse(text).map(|number| number.to_f64()),
            _ => None,
        };
        items.iter().filter_map(number).collect()
    };
    let aggregate = |combine: &dyn Fn(&[f64]) -> f64| {
        let numbers = numbers();
        if numbers.is_empty() {
            return Err(JsonError::NoNumbers);
        }
        let mut text = String::new();
        write_double(&mut text, combine(&numbers));
        Ok(Json::Number(text))
    };
    match function {
        Function::Length => Ok(match value {
            Json::Array(items) => Json::Number(items.len().to_string()),
            Json::Object(members) => Json::Number(members.len().to_string()),
            _ => Json::Null,
        }),
        Function::Keys => Ok(match value {
            Json::Object(members) => {
                Json::Array(members.iter().map(|(key, _)| Json::String(key.clone())).collect())
            }
            _ => Json::Null,
        }),
        Function::First => items.first().cloned().ok_or(JsonError::EmptyArray),
        Function::Last => items.last().cloned().ok_or(JsonError::EmptyArray),
        Function::Min => aggregate(&|numbers| numbers.iter().copied().fold(f64::INFINITY, f64::min)),
        Function::Max => aggregate(&|numbers| numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        Function::Sum => aggregate(&|numbers| numbers.iter().sum()),
        Function::Average => aggregate(&|numbers| numbers.iter().sum::<f64>() / numbers.len() as f64),
    }
}
