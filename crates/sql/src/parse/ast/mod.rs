//! The syntax tree: the statement as written, before name resolution.
//!
//! The tree is purely syntactic. Columns, tables and functions are names, types are spellings, and nothing depends on a
//! catalog; the binder gives them meaning. Parentheses are not kept: the tree encodes the grouping, and the unparser
//! restores parentheses where precedence requires them.
//!
//! Every node has a [`Span`]. Equality ignores spans (see there), so `==` compares what two nodes say, not where.

mod ddl;
mod expr;
mod function;
mod literal;
mod query;
mod show;
mod statement;
mod types;
pub mod visit;

pub use ddl::*;
pub use expr::*;
pub use function::*;
pub use literal::*;
pub use query::*;
pub use show::*;
pub use statement::*;
pub use types::*;

pub use super::span::Span;

/// One identifier, without its back-ticks. Identifiers are case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ident {
    pub value: String,
    pub span: Span,
}

impl Ident {
    /// An identifier without a position, for generated trees.
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            span: Span::default(),
        }
    }
}

/// A name of one or more parts, such as `catalog.database.table` or `table.column.field`. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectName {
    pub parts: Vec<Ident>,
    pub span: Span,
}

impl ObjectName {
    /// A name of one part.
    pub fn simple(ident: Ident) -> Self {
        let span = ident.span;
        Self {
            parts: vec![ident],
            span,
        }
    }

    /// The only part of a name without dots.
    pub fn as_simple(&self) -> Option<&Ident> {
        match self.parts.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The last part, which names the object itself.
    pub fn last(&self) -> Option<&Ident> {
        self.parts.last()
    }

    /// The texts of the parts.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.value.as_str())
    }

    /// Whether this is the one-part name `word`, ignoring case, as for built-in functions.
    pub fn is_word(&self, word: &str) -> bool {
        self.as_simple()
            .is_some_and(|ident| ident.value.eq_ignore_ascii_case(word))
    }
}

impl std::fmt::Display for ObjectName {
    /// The parts joined by dots, without quotes: the form in which messages name an object.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&part.value)?;
        }
        Ok(())
    }
}

/// A quoted string that is not an expression: a comment, a path, a pattern, a class name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StringLiteral {
    pub value: String,
    pub span: Span,
}

/// `'key' = 'value'` of a WITH, SET or OPTIONS list, in the order written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SqlOption {
    pub key: StringLiteral,
    pub value: StringLiteral,
    pub span: Span,
}
