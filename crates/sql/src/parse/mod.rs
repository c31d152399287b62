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

pub use diagnostics::{ParseError, ParseErrorKind};
pub use lexer::tokenize;
pub use parser::{NESTING_DEPTH_MAX, TREE_HEIGHT_MAX};
pub use span::{LineColumn, Span};
pub use token::{Sign, Token, TokenKind};

use ast::{DataType, Expr, Query, Statement};
use parser::Parser;

/// Parses one statement. A `;` behind it is allowed, a second statement is not.
pub fn parse_statement(sql: &str) -> Result<Statement, ParseError> {
    if let Some(statement) = client::loose_statement(sql) {
        return Ok(statement);
    }
    Parser::new(sql)?.only_statement()
}

/// Parses a script of statements that are separated by `;`.
///
/// The loose form `SET key = value` is not known here: split the text first where scripts may hold it.
pub fn parse_statements(sql: &str) -> Result<Vec<Statement>, ParseError> {
    Parser::new(sql)?.script()
}

/// Parses a query that stands alone, such as the stored text of a view.
pub fn parse_query(sql: &str) -> Result<Query, ParseError> {
    let mut parser = Parser::new(sql)?;
    let query = parser.query()?;
    parser.expect_end()?;
    Ok(query)
}

/// Parses an expression that stands alone, such as the stored text of a computed column.
pub fn parse_expression(sql: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(sql)?;
    let expr = parser.expr()?;
    parser.expect_end()?;
    Ok(expr)
}

/// Parses a data type that stands alone, such as `ROW<a INT NOT NULL>`.
pub fn parse_data_type(sql: &str) -> Result<DataType, ParseError> {
    let mut parser = Parser::new(sql)?;
    let data_type = parser.data_type()?;
    parser.expect_end()?;
    Ok(data_type)
}
