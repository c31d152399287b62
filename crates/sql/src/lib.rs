//! The Flink SQL front end: lexer, parser, catalog model, binder, rules, EXPLAIN.

pub mod parse;
