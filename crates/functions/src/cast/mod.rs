//! Casts among all types, with Flink's rules.
//!
//! A [`Cast`] is made once for a pair of types and then converts whole columns. Values that cannot be converted fail
//! the query, or become NULL under TRY_CAST and `table.exec.legacy-cast-behaviour`; DECIMAL overflow is NULL in any
//! case. Which casts are allowed at all is decided by [`crate::typing::casts`]; text forms come from
//! [`crate::display`].

mod binary;
mod decimal;
mod interval;
mod nested;
mod numeric;
pub mod parse;
mod temporal;
mod text;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_select::nullif::nullif;
use millstream_types::{LogicalType, TypeFamily, TypeKind, arrow_type};

pub(crate) use decimal::to_double;
pub use decimal::{power_of_ten, rescale};
pub use nested::mask_nulls;

use crate::display::ZoneOffsets;
use crate::scalar::{Environment, EvalError};
use crate::typing::{cast_refusal, supports_explicit_cast};

/// Converts a column of one type; `None` in place of a step means that the column is already right.
type Step = Arc<dyn Fn(&ArrayRef, &mut Run<'_>) -> Result<ArrayRef, EvalError> + Send + Sync>;

/// A conversion from one type to another.
#[derive(Clone)]
pub struct Cast {
    step: Option<Step>,
    /// TRY_CAST.
    safe: bool,
    can_fail: bool,
}

impl std::fmt::Debug for Cast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cast")
            .field("identity", &self.is_identity())
            .field("safe", &self.safe)
            .finish()
    }
}

/// What a conversion of one column knows and gathers.
struct Run<'a> {
    env: &'a Environment,
    zone: ZoneOffsets,
    /// Values that do not convert become NULL.
    tolerant: bool,
    failures: Vec<Failure>,
}

/// A row whose value did not convert; its place in the result holds NULL.
struct Failure {
    row: usize,
    message: String,
}

impl Run<'_> {
    /// Notes that the value at `row` did not convert.
    fn fail(&mut self, row: usize, message: impl FnOnce() -> String) {
        let message = if self.tolerant { String::new() } else { message() };
        self.failures.push(Failure { row, message });
    }
}

impl Cast {
    /// The conversion `CAST(from AS to)`, or TRY_CAST if `safe`.
    pub fn new(from: &LogicalType, to: &LogicalType, safe: bool) -> Result<Self, EvalError> {
        let target = to.with_nullable(true);
        if !supports_explicit_cast(from, &target) {
            return Err(EvalError::Data(cast_refusal(from, to)));
        }
        Ok(Self {
            step: compile(from, to),
            safe,
            can_fail: can_fail(from, to),
        })
    }

    /// Whether every column passes through unchanged.
    pub fn is_identity(&self) -> bool {
        self.step.is_none()
    }

    /// Whether some value can fail the query.
    pub fn can_fail(&self) -> bool {
        self.can_fail && !self.safe
    }

    /// The converted column.
    pub fn apply(&self, array: &ArrayRef, env: &Environment) -> Result<ArrayRef, EvalError> {
        let Some(step) = &self.step else {
            return Ok(Arc::clone(array));
        };
        let tolerant = self.safe || env.legacy_cast;
        let mut run = Run {
            env,
            zone: ZoneOffsets::new(env.zone.clone()),
            tolerant,
            failures: Vec::new(),
        };
        let converted = step(array, &mut run)?;
        if run.failures.is_empty() {
            return Ok(converted);
        }
        if !tolerant {
            return Err(EvalError::Data(run.failures.swap_remove(0).message));
        }
        without_failed_rows(&converted, &run.failures)
    }
}

/// Converts one column; prefer to keep a [`Cast`] where many columns of the same types come.
pub fn cast(
    array: &ArrayRef,
    from: &LogicalType,
    to: &LogicalType,
    safe: bool,
    env: &Environment,
) -> Result<ArrayRef, EvalError> {
    Cast::new(from, to, safe)?.apply(array, env)
}

/// A nested value with a part that did not convert is NULL as a whole.
fn without_failed_rows(array: &ArrayRef, failures: &[Failure]) -> Result<ArrayRef, EvalError> {
    let mut failed = vec![false; array.len()];
    failures.iter().for_each(|failure| failed[failure.row] = true);
    Ok(nullif(
        array,
        &BooleanArray::new(BooleanBuffer::from(failed), None),
    )?)
}

/// The step from one type to another, `None` for none. The pair is one that `supports_explicit_cast` allows.
fn compile(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    use TypeFamily as F;
    let (from, to) = (from.without_time_attribute(), to.without_time_attribute());
    if from.kind == to.kind {
        return None;
    }
    if from.is_null() {
        let data_type = arrow_type(&to);
        return Some(Arc::new(move |array, _| {
            Ok(new_null_array(&data_type, array.len()))
        }));
    }
    match (from.family(), to.family()) {
        (F::Array | F::Map | F::Multiset | F::Row, F::Array | F::Map | F::Multiset | F::Row) => {
            nested::compile(&from, &to)
        }
        (F::BinaryString, F::CharacterString) => binary::to_text(&to),
        (F::BinaryString | F::CharacterString | F::Bitmap, F::BinaryString) => binary::to_binary(&from, &to),
        (_, F::CharacterString) => text::compile(&from, &to),
        (F::CharacterString, _) => parse::compile(&to),
        (F::Boolean | F::Integer | F::Approximate, _) => numeric::compile(&from, &to),
        (F::Decimal, _) => decimal::compile(&from, &to),
        _ => temporal::compile(&from, &to),
    }
}

/// Whether a value of `from` may fail to convert. DECIMAL overflow does not count: it is NULL.
fn can_fail(from: &LogicalType, to: &LogicalType) -> bool {
    if from.is_nested() && to.is_nested() {
        return from
            .children()
            .iter()
            .zip(to.children())
            .any(|(f, t)| can_fail(f, t));
    }
    let parsed = from.is_character() && !to.is_character() && !to.is_binary();
    parsed || (from.is_approximate() && matches!(to.kind, TypeKind::Decimal { .. }))
}

#[cfg(test)]
mod tests;
