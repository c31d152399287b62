//! What names turned out to mean, by place: the record from which a view's query is written out in full.

use std::cell::RefCell;

use millstream_plan::ObjectIdentifier;

use crate::parse::span::Span;

/// A note for each name that was resolved. Recording costs nothing unless it was switched on.
#[derive(Debug, Default)]
pub struct NameRecord {
    entries: Option<RefCell<Vec<(Span, Meaning)>>>,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// A column, as table alias, column and fields.
    Column(Vec<String>),
    /// A table, with the name under which its columns are known.
    Table(ObjectIdentifier),
    /// The columns of a star.
    Star(Vec<Vec<String>>),
}

impl NameRecord {
    /// A record that keeps what it is told.
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

    pub fn record_star(&self, span: Span, columns: impl FnOnce() -> Vec<Vec<String>>) {
        self.record(span, || Meaning::Star(columns()));
    }

    /// What was found at `span`.
    pub fn at(&self, span: Span) -> Option<Meaning> {
        let entries = self.entries.as_ref()?.borrow();
        entries
            .iter()
            .rev()
            .find(|(place, _)| place.same_place(span))
            .map(|(_, meaning)| meaning.clone())
    }
}
