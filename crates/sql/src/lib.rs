//! The Flink SQL front end: lexer, parser, catalog model, binder, rules, EXPLAIN.

pub mod bind;
pub mod catalog;
pub mod compatibility;
pub mod explain;
pub mod language;
pub mod parse;
pub mod rules;
pub mod stack;

pub use bind::error::{SqlError, SqlResult};
pub use bind::statement::{BoundStatement, InsertPlan, Planner, QueryPlan, bind_statement};
pub use catalog::{CatalogOperation, Catalogs, ShowResult};
