//! Streams as tables and tables as streams: SQL in the middle of a program.
//!
//! A [`StreamTableEnvironment`] holds a catalog beside the streams of an [`crate::Environment`]. A stream becomes a table
//! by the columns of its type ([`RowType`]); a query becomes a stream again, and everything in between is one job with
//! one kind of checkpoint. Statements are planned by [`millstream_session`]; a plan is added to the graph of the program
//! as a part, with an operator at each edge that turns records into columns or columns into records.

mod convert;
mod environment;
mod function;
mod part;
mod result;
mod row;
mod schema;
mod statement_set;

pub use environment::{StreamTableEnvironment, Table};
pub use function::{AsyncSettings, Function, ScalarFunction};
pub use millstream_types::LogicalType;
pub use millstream_types::RowKind;
pub(crate) use part::PlanPart;
pub use result::{TableResult, TableRows};
pub use row::{Row, RowType, Value};
pub use schema::Schema;
pub use statement_set::StatementSet;
