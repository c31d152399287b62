//! Type algebra: common types, implicit and explicit casts, derivation of DECIMAL and string results, comparability.
//!
//! The rules are those of Flink's `LogicalTypeMerging` and `LogicalTypeCasts`. The binder asks them where it unifies
//! types (CASE, UNION, IN); the signatures of functions are written with them. No values are touched here.

pub mod arguments;
pub mod casts;
pub mod compare;
pub mod decimal;
pub mod interval;
pub mod least_common;
pub mod names;

pub use arguments::{any_nullable, call_error, check_count, operator_error};
pub use casts::{cast_refusal, supports_explicit_cast, supports_implicit_cast};
pub use compare::{Comparison, comparison_types};
pub use decimal::{average_type, integer_as_decimal, round_type, sum_type};
pub use least_common::{common_type, common_type_of, concat_type, least_restrictive};
pub use names::sql_type_name;
