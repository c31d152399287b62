//! Every built-in function, declared once: name, signature and type inference, documentation, kernel.
//!
//! The declaration feeds the binder (names, coercion, result types), the evaluator (kernels), `SHOW FUNCTIONS`, the
//! reference and the REPL. One file holds a function or a tight family; its `FUNCTIONS` slice is listed in
//! [`registry`]. There is no evaluation of expressions here (see `expr`) and no SQL text.
//!
//! Rules of the semantics are Flink's: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/functions/systemfunctions/>.

pub mod aggregate;
pub mod cast;
pub mod display;
pub mod registry;
pub mod scalar;
pub mod signature;
pub mod typing;
pub mod user;

pub use aggregate::{AggregateFunction, GroupsAccumulator};
pub use registry::{aggregate_function, all_aggregates, all_scalars, scalar_function};
pub use scalar::{CallCache, Datum, Determinism, Environment, EvalError, Group, KernelArgs, ScalarFunction};
pub use signature::{ArgInfo, Signature, SignatureError};
