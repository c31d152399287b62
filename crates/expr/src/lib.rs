//! The vectorised evaluator: typed expressions over columns.
//!
//! [`CompiledExpr`] turns a [`millstream_plan::Expr`] into a tree of nodes that hold everything that does not change
//! from batch to batch (kernels, casts, caches of call sites) and evaluates it column by column. [`CompiledCalc`] does a
//! whole projection with an optional condition; [`fold`] replaces constant parts of an expression while planning.
//!
//! AND, OR, CASE and COALESCE evaluate an operand only for the rows that need it, so that an error in a row that is not
//! taken does not surface. Constants stay one value until the edge. There is no type inference here and no SQL: types
//! are those that the binder wrote into the expression.

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
