//! Comparing values of arguments row by row, and picking values from several of them.

use std::cmp::Ordering;

use arrow_array::{ArrayRef, new_null_array};
use arrow_ord::ord::{DynComparator, make_comparator};
use arrow_schema::{DataType, SortOptions};
use arrow_select::interleave::interleave;

use super::access::conform;
use super::{Datum, EvalError};

/// Compares values of two arguments of one type; neither may be NULL.
pub(crate) struct Comparator {
    left_constant: bool,
    right_constant: bool,
    compare: DynComparator,
}

impl Comparator {
    pub(crate) fn new(left: &Datum, right: &Datum) -> Result<Self, EvalError> {
        let compare = make_comparator(left.array(), right.array(), SortOptions::default())?;
        Ok(Self {
            left_constant: left.is_constant(),
            right_constant: right.is_constant(),
            compare,
        })
    }

    pub(crate) fn compare(&self, row: usize) -> Ordering {
        let left = if self.left_constant { 0 } else { row };
        let right = if self.right_constant { 0 } else { row };
        (self.compare)(left, right)
    }
}

/// A column whose value in each row is that of the argument with the number given; `None` is NULL.
pub(crate) fn pick(
    args: &[Datum],
    data_type: &DataType,
    picks: impl Iterator<Item = Option<usize>>,
) -> Result<ArrayRef, EvalError> {
    let mut sources = args
        .iter()
        .map(|datum| conform(datum.array(), data_type))
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    let null = sources.len();
    sources.push(new_null_array(data_type, 1));
    let indices: Vec<(usize, usize)> = picks
        .enumerate()
        .map(|(row, pick)| pick.map_or((null, 0), |i| (i, args[i].index(row))))
        .collect();
    let sources: Vec<&dyn arrow_array::Array> = sources.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&sources, &indices)?)
}
