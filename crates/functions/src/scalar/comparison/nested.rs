//! Equality of ARRAY, MAP, MULTISET and ROW values.
//!
//! A NULL value compares to NULL, but inside a value NULL equals NULL. The order of a MAP's entries does not count.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_ord::ord::make_comparator;
use arrow_schema::SortOptions;
use millstream_types::{LogicalType, TypeKind};

use crate::scalar::arithmetic::lanes::column_nulls;
use crate::scalar::{Datum, EvalError};

/// Whether the values at two places, in the left and the right array, are equal.
type Equal = Box<dyn Fn(usize, usize) -> bool>;

/// Compares two operands of one nested type.
pub(super) fn equal(
    operands: [&Datum; 2],
    ty: &LogicalType,
    negated: bool,
    rows: usize,
) -> Result<BooleanArray, EvalError> {
    let [a, b] = operands;
    let equal = compile(ty, a.array(), b.array())?;
    let bits = BooleanBuffer::collect_bool(rows, |row| equal(a.index(row), b.index(row)) != negated);
    let constant_null = [a, b].iter().any(|datum| datum.is_constant() && datum.is_null(0));
    let nulls = if constant_null {
        Some(NullBuffer::new_null(rows))
    } else {
        NullBuffer::union(column_nulls(a), column_nulls(b))
    };
    Ok(BooleanArray::new(bits, nulls))
}

/// Equality in which NULL equals NULL, for two arrays of one type.
fn compile(ty: &LogicalType, a: &ArrayRef, b: &ArrayRef) -> Result<Equal, EvalError> {
    let values = match &ty.kind {
        TypeKind::Float => floats(
            a.as_primitive::<Float32Type>().clone(),
            b.as_primitive::<Float32Type>().clone(),
        ),
        TypeKind::Double => floats(
            a.as_primitive::<Float64Type>().clone(),
            b.as_primitive::<Float64Type>().clone(),
        ),
        TypeKind::Row(fields) => {
            let columns = a.as_struct().columns().iter().zip(b.as_struct().columns());
            let parts: Result<Vec<Equal>, EvalError> = fields
                .iter()
                .zip(columns)
                .map(|(field, (x, y))| compile(&field.ty, x, y))
                .collect();
            let parts = parts?;
            Box::new(move |i, j| parts.iter().all(|part| part(i, j)))
        }
        TypeKind::Array(element) => lists(element, a, b)?,
        TypeKind::Map(key, value) => maps(key, value, a, b)?,
        TypeKind::Multiset(element) => maps(element, &LogicalType::INT, a, b)?,
        TypeKind::Null | TypeKind::Descriptor => return Ok(Box::new(|_, _| true)),
        _ => {
            let compare = make_comparator(a, b, SortOptions::default())?;
            return Ok(Box::new(move |i, j| compare(i, j).is_eq()));
        }
    };
    let (a, b) = (Arc::clone(a), Arc::clone(b));
    Ok(Box::new(move |i, j| match (a.is_null(i), b.is_null(j)) {
        (true, true) => true,
        (false, false) => values(i, j),
        _ => false,
    }))
}

fn floats<T: arrow_array::ArrowPrimitiveType>(
    a: arrow_array::PrimitiveArray<T>,
    b: arrow_array::PrimitiveArray<T>,
) -> Equal {
    Box::new(move |i, j| a.value(i) == b.value(j))
}

fn lists(element: &LogicalType, a: &ArrayRef, b: &ArrayRef) -> Result<Equal, EvalError> {
    let (a, b) = (a.as_list::<i32>().clone(), b.as_list::<i32>().clone());
    let equal = compile(element, a.values(), b.values())?;
    Ok(Box::new(move |i, j| {
        let (x, y) = (range(a.offsets(), i), range(b.offsets(), j));
        x.len() == y.len() && x.zip(y).all(|(x, y)| equal(x, y))
    }))
}

fn maps(key: &LogicalType, value: &LogicalType, a: &ArrayRef, b: &ArrayRef) -> Result<Equal, EvalError> {
    let (a, b) = (a.as_list::<i32>().clone(), b.as_list::<i32>().clone());
    let (x, y) = (a.values().as_struct().columns(), b.values().as_struct().columns());
    let keys = compile(key, &x[0], &y[0])?;
    let values = compile(value, &x[1], &y[1])?;
    Ok(Box::new(move |i, j| {
        let (x, y) = (range(a.offsets(), i), range(b.offsets(), j));
        x.len() == y.len() && x.clone().all(|x| y.clone().any(|y| keys(x, y) && values(x, y)))
    }))
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}
