//! Loops over primitive operands: a value for each row, or one for all.
//!
//! The infallible forms touch values only, so that they vectorise, and combine null bitmaps once. The fallible forms
//! visit valid rows alone: what lies under a NULL is not a value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, new_null_array};
use arrow_buffer::NullBuffer;
use millstream_types::arrow_type;

use crate::scalar::access::internal;
use crate::scalar::{Datum, EvalError, KernelArgs};

/// The values of one operand.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a, N> {
    Column(&'a [N]),
    Constant(N),
}

impl<N: Copy> Operand<'_, N> {
    #[inline]
    pub(crate) fn at(&self, row: usize) -> N {
        match self {
            Self::Column(values) => values[row],
            Self::Constant(value) => *value,
        }
    }
}

/// The values of a datum; `None` if it is a constant NULL.
pub(crate) fn operand<T: ArrowPrimitiveType>(
    datum: &Datum,
) -> Result<Option<Operand<'_, T::Native>>, EvalError> {
    let array = datum.array().as_primitive_opt::<T>().ok_or_else(|| {
        internal(format!(
            "expected a column of {}, found {}",
            T::DATA_TYPE,
            datum.array().data_type()
        ))
    })?;
    Ok(match datum {
        Datum::Column(_) => Some(Operand::Column(array.values())),
        Datum::Constant(_) if array.is_null(0) => None,
        Datum::Constant(_) => Some(Operand::Constant(array.value(0))),
    })
}

/// Rows at which a column is NULL; a constant adds none.
pub(crate) fn column_nulls(datum: &Datum) -> Option<&NullBuffer> {
    match datum {
        Datum::Column(array) => array.nulls(),
        Datum::Constant(_) => None,
    }
}

/// All NULL, of the result's type.
pub(crate) fn all_null(args: &KernelArgs<'_>) -> ArrayRef {
    new_null_array(&arrow_type(args.result), args.rows)
}

fn finish<R: ArrowPrimitiveType>(
    args: &KernelArgs<'_>,
    values: Vec<R::Native>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<R>::new(values.into(), nulls).with_data_type(arrow_type(args.result)))
}

/// Applies `f` to the first argument; the result has the argument's physical type.
pub(crate) fn unary<T: ArrowPrimitiveType, F: Fn(T::Native) -> T::Native>(
    args: &KernelArgs<'_>,
    f: F,
) -> Result<ArrayRef, EvalError> {
    unary_into::<T, T>(args, &args.args[0], f)
}

/// Applies `f` to every value of one operand.
pub(crate) fn unary_into<T: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    args: &KernelArgs<'_>,
    datum: &Datum,
    f: impl Fn(T::Native) -> R::Native,
) -> Result<ArrayRef, EvalError> {
    let values = match operand::<T>(datum)? {
        None => return Ok(all_null(args)),
        Some(Operand::Column(values)) => values.iter().map(|v| f(*v)).collect(),
        Some(Operand::Constant(value)) => vec![f(value); args.rows],
    };
    Ok(finish::<R>(args, values, column_nulls(datum).cloned()))
}

/// Applies `f` to two operands row by row.
pub(crate) fn binary<A: ArrowPrimitiveType, B: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    args: &KernelArgs<'_>,
    [a, b]: [&Datum; 2],
    f: impl Fn(A::Native, B::Native) -> R::Native,
) -> Result<ArrayRef, EvalError> {
    let (Some(x), Some(y)) = (operand::<A>(a)?, operand::<B>(b)?) else {
        return Ok(all_null(args));
    };
    let values = match (x, y) {
        (Operand::Column(x), Operand::Column(y)) => x.iter().zip(y).map(|(x, y)| f(*x, *y)).collect(),
        (Operand::Column(x), Operand::Constant(y)) => x.iter().map(|x| f(*x, y)).collect(),
        (Operand::Constant(x), Operand::Column(y)) => y.iter().map(|y| f(x, *y)).collect(),
        (Operand::Constant(x), Operand::Constant(y)) => vec![f(x, y); args.rows],
    };
    Ok(finish::<R>(
        args,
        values,
        NullBuffer::union(column_nulls(a), column_nulls(b)),
    ))
}

/// As [`binary`], for rows that can fail or be NULL.
pub(crate) fn try_binary<A: ArrowPrimitiveType, B: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    args: &KernelArgs<'_>,
    [a, b]: [&Datum; 2],
    f: impl Fn(A::Native, B::Native) -> Result<Option<R::Native>, EvalError>,
) -> Result<ArrayRef, EvalError> {
    let (Some(x), Some(y)) = (operand::<A>(a)?, operand::<B>(b)?) else {
        return Ok(all_null(args));
    };
    let nulls = NullBuffer::union(column_nulls(a), column_nulls(b));
    let mut values = vec![R::Native::default(); args.rows];
    let mut dropped = Vec::new();
    for (row, value) in values.iter_mut().enumerate() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            continue;
        }
        match f(x.at(row), y.at(row))? {
            Some(computed) => *value = computed,
            None => dropped.push(row),
        }
    }
    Ok(finish::<R>(
        args,
        values,
        without_rows(nulls, &dropped, args.rows),
    ))
}

/// A null bitmap with further rows NULL.
pub(crate) fn without_rows(nulls: Option<NullBuffer>, dropped: &[usize], rows: usize) -> Option<NullBuffer> {
    if dropped.is_empty() {
        return nulls;
    }
    let mut valid: Vec<bool> = match &nulls {
        Some(nulls) => nulls.iter().collect(),
        None => vec![true; rows],
    };
    dropped.iter().for_each(|row| valid[*row] = false);
    Some(NullBuffer::from(valid))
}
