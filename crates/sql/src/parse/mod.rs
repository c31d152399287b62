//! From SQL text to a syntax tree and back.
//!
//! Flink's grammar by hand: a lexer, a recursive-descent parser with operator precedence, the [`ast`], [`unparse`]
//! for Flink's canonical text, [`split`] for the ends of statements in a script or in arriving input, and
//! [`diagnostics`] with carets and suggestions. It knows nothing of catalogs, types or functions beyond their syntax:
//! the binder does.

pub mod ast;
mod calendar;
mod client;
pub mod diagnostics;
pub mod interval;
mod lexer;
mod parser;
mod precedence;
pub mod similar;
pub mod span;
pub mod split;
mod token;
pub mod unparse;
pub mod words;

pub use diagnostics::{Label, ParseError, Report};
pub use lexer::tokenize;
pub use parser::{NESTING_DEPTH_MAX, TREE_HEIGHT_MAX};
pub use span::{LineColumn, Span};
pub use token::{Sign, Token, TokenKind};

use ast::{DataType, Expr, ObjectName, Query, Statement};
use parser::Parser;

use crate::stack::with_room;

/// Parses one statement. A `;` behind it is allowed, a second statement is not.
pub fn parse_statement(sql: &str) -> Result<Statement, ParseError> {
    if let Some(statement) = client::loose_statement(sql) {
        return Ok(statement);
    }
    with_room(|| Parser::new(sql)?.only_statement())
}

/// Parses a script of statements that are separated by `;`.
///
/// The loose form `SET key = value` is not known here: split the text first where scripts may hold it.
pub fn parse_statements(sql: &str) -> Result<Vec<Statement>, ParseError> {
    with_room(|| Parser::new(sql)?.script())
}

/// Parses a query that stands alone, such as the stored text of a view.
pub fn parse_query(sql: &str) -> Result<Query, ParseError> {
    parse_whole(sql, Parser::query)
}

/// Parses an expression that stands alone, such as the stored text of a computed column.
pub fn parse_expression(sql: &str) -> Result<Expr, ParseError> {
    parse_whole(sql, Parser::expr)
}

/// Parses a data type that stands alone, such as `ROW<a INT NOT NULL>`.
pub fn parse_data_type(sql: &str) -> Result<DataType, ParseError> {
    parse_whole(sql, Parser::data_type)
}

/// Parses a name that stands alone, such as `db.t`.
pub fn parse_object_name(sql: &str) -> Result<ObjectName, ParseError> {
    parse_whole(sql, Parser::object_name)
}

/// Parses a text that is one production.
fn parse_whole<'a, T>(
    sql: &'a str,
    production: impl FnOnce(&mut Parser<'a>) -> Result<T, ParseError>,
) -> Result<T, ParseError> {
    with_room(|| {
        let mut parser = Parser::new(sql)?;
        let parsed = production(&mut parser)?;
        parser.expect_end()?;
        Ok(parsed)
    })
}
