//! Name resolution by position in the text: the record from which a view's query is expanded.

use std::cell::RefCell;

use millstream_plan::ObjectIdentifier;

use crate::parse::span::Span;

/// Records every resolved name. Costs nothing unless it is enabled.
#[derive(Debug, Default)]
pub struct NameRecord {
    entries: Option<RefCell<Vec<(Span, Meaning)>>>,
}

/// The meaning of a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// A column, as table alias, column and fields.
    Column(Vec<String>),
    /// A table, with the alias of its columns.
    Table(ObjectIdentifier),
    /// The columns of a star.
    Star(Vec<StarColumn>),
}

/// A column that a star stands for: as table alias, column and fields, and its name in the output.
#[derive(Debug, Clone, PartialEq)]
pub struct StarColumn {
    pub full: Vec<String>,
    pub output: String,
}

/// The name, or the first of `name0`, `name1`, … that is not taken.
pub fn unique_name<'n>(name: &str, taken: impl Iterator<Item = &'n str> + Clone) -> String {
    let is_taken = |name: &str| taken.clone().any(|known| known == name);
    if !is_taken(name) {
        return name.to_owned();
    }
    let numbered = (0..).map(|number: usize| format!("{name}{number}"));
    numbered
        .into_iter()
        .find(|candidate| !is_taken(candidate))
        .unwrap_or_default()
}

impl NameRecord {
    /// An enabled recorder.
    pub fn keeping() -> Self {
        Self {
            entries: Some(RefCell::default()),
        }
    }

    fn record(&self, span: Span, meaning: impl FnOnce() -> Meaning) {
        if let Some(entries) = &self.entries {
            entries.borrow_mut().push((span, meaning()));
        }
    }

    pub fn record_column(&self, span: Span, full: &[String]) {
        self.record(span, || Meaning::Column(full.to_vec()));
    }

    pub fn record_table(&self, span: Span, identifier: &ObjectIdentifier) {
        self.record(span, || Meaning::Table(identifier.clone()));
    }

    pub fn record_star(&self, span: Span, columns: impl FnOnce() -> Vec<StarColumn>) {
        self.record(span, || Meaning::Star(columns()));
    }

    /// The resolution of the name at `span`.
    pub fn at(&self, span: Span) -> Option<Meaning> {
        let entries = self.entries.as_ref()?.borrow();
        entries
            .iter()
            .rev()
            .find(|(place, _)| place.same_place(span))
            .map(|(_, meaning)| meaning.clone())
    }
}
