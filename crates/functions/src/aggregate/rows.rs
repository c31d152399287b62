//! Loops over (group number, row) that the accumulators share, and access to their columns.
//!
//! The loops are generic and inlined, so that the common case (no NULLs, no retractions) is one pass without
//! branches per row.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use millstream_types::{LogicalType, arrow_type};

use crate::scalar::EvalError;

/// Calls `f` with group number and row for each row of `array` that is not NULL.
#[inline(always)]
pub(super) fn each_valid(groups: &[u32], array: &dyn Array, mut f: impl FnMut(usize, usize)) {
    debug_assert_eq!(groups.len(), array.len());
    match array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        None => {
            for (row, group) in groups.iter().enumerate() {
                f(*group as usize, row);
            }
        }
        Some(nulls) => {
            for row in nulls.valid_indices() {
                f(groups[row] as usize, row);
            }
        }
    }
}

/// Like [`each_valid`], distinguishing insertions from retractions.
#[inline(always)]
pub(super) fn each_change<S>(
    state: &mut S,
    groups: &[u32],
    array: &dyn Array,
    retract: Option<&[bool]>,
    add: impl Fn(&mut S, usize, usize),
    subtract: impl Fn(&mut S, usize, usize),
) {
    match retract {
        None => each_valid(groups, array, |group, row| add(state, group, row)),
        Some(retract) => each_valid(groups, array, |group, row| {
            if retract[row] {
                subtract(state, group, row)
            } else {
                add(state, group, row)
            }
        }),
    }
}

/// Applies the values of the first argument to the slots of their groups; NULLs are skipped.
#[inline(always)]
pub(super) fn accumulate<T: ArrowPrimitiveType, S>(
    function: &str,
    slots: &mut Vec<S>,
    groups: &[u32],
    args: &[ArrayRef],
    retract: Option<&[bool]>,
    add: impl Fn(&mut S, T::Native),
    subtract: impl Fn(&mut S, T::Native),
) -> Result<(), EvalError> {
    let array = primitive::<T>(function, arg(function, args, 0)?)?;
    let values = array.values();
    each_change(
        slots,
        groups,
        array,
        retract,
        |slots, group, row| add(&mut slots[group], values[row]),
        |slots, group, row| subtract(&mut slots[group], values[row]),
    );
    Ok(())
}

/// The argument at `index`.
pub(super) fn arg<'a>(function: &str, args: &'a [ArrayRef], index: usize) -> Result<&'a ArrayRef, EvalError> {
    args.get(index)
        .ok_or_else(|| defect(function, format!("argument {index} is missing")))
}

/// A column as the primitive array that the signature promised.
pub(super) fn primitive<'a, T: ArrowPrimitiveType>(
    function: &str,
    array: &'a ArrayRef,
) -> Result<&'a PrimitiveArray<T>, EvalError> {
    array.as_primitive_opt::<T>().ok_or_else(|| {
        defect(
            function,
            format!(
                "expected a column of {}, found {}",
                T::DATA_TYPE,
                array.data_type()
            ),
        )
    })
}

/// A primitive column of the Arrow type of `ty` (which keeps zones, precisions and scales).
pub(super) fn column_of<T: ArrowPrimitiveType>(
    ty: &LogicalType,
    values: impl Iterator<Item = Option<T::Native>>,
) -> PrimitiveArray<T> {
    values
        .collect::<PrimitiveArray<T>>()
        .with_data_type(arrow_type(ty))
}

/// An error for promises of the signature that do not hold.
pub(super) fn defect(function: &str, message: impl Into<String>) -> EvalError {
    EvalError::Internal {
        function: function.to_owned(),
        message: message.into(),
    }
}
