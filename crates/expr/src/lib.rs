//! The vectorised evaluator: typed expressions over columns.
//!
//! [`CompiledExpr`] compiles a [`millstream_plan::Expr`] into a tree of nodes, which hold what stays the same across
//! batches (kernels, casts, caches of call sites), and evaluates it column by column. [`CompiledCalc`] evaluates a
//! whole projection with an optional condition. [`fold`] replaces constant subexpressions at planning time.
//!
//! AND, OR, CASE and COALESCE evaluate an operand only for the rows that need it, so an error in a branch that is not
//! taken does not surface. Constants stay single values until the result is materialised. This crate infers no types
//! and knows no SQL: the binder has written all types into the expression.

mod calc;
mod choice;
mod compile;
mod fold;
mod input;
mod logic;
mod node;
mod shared;

pub use calc::CompiledCalc;
pub use compile::CompileError;
pub use fold::fold;
pub use input::expand;
pub use millstream_functions::{Datum, Environment, EvalError};
pub use node::CompiledExpr;
