//! CASE and COALESCE: each row takes its value from one of several operands.
//!
//! The rows are first divided among the operands. Then each operand is evaluated for its own rows, and the parts are
//! merged in row order.

use arrow_array::{Array, ArrayRef, BooleanArray, Scalar};
use arrow_buffer::BooleanBuffer;
use arrow_select::interleave::interleave;
use arrow_select::zip::zip;
use millstream_functions::{Datum, Environment, EvalError};

use crate::input::{Input, null_rows};
use crate::logic::scatter;
use crate::node::{Lazy, true_rows};

/// WHEN condition THEN value.
pub(crate) struct Branch {
    pub(crate) condition: Lazy,
    pub(crate) value: Lazy,
}

/// The rows that take their value from one operand.
struct Part {
    rows: BooleanBuffer,
    value: Datum,
    /// Whether the value contains only the chosen rows.
    dense: bool,
}

pub(crate) fn case(
    branches: &mut [Branch],
    otherwise: &mut Lazy,
    input: Input<'_>,
    env: &Environment,
) -> Result<Datum, EvalError> {
    let mut open = BooleanBuffer::new_set(input.rows);
    let mut parts = Vec::with_capacity(branches.len() + 1);
    for branch in branches {
        let count = open.count_set_bits();
        if count == 0 {
            break;
        }
        let taken = &condition_rows(&mut branch.condition, &open, count, input, env)? & &open;
        open = &open & &!&taken;
        add_part(&mut parts, &mut branch.value, taken, input, env)?;
    }
    add_part(&mut parts, otherwise, open, input, env)?;
    weave(parts, input.rows)
}

fn condition_rows(
    condition: &mut Lazy,
    open: &BooleanBuffer,
    count: usize,
    input: Input<'_>,
    env: &Environment,
) -> Result<BooleanBuffer, EvalError> {
    let (datum, dense) = condition.eval(open, count, input, env)?;
    if !dense {
        return true_rows(&datum, input.rows);
    }
    Ok(scatter(&true_rows(&datum, count)?, open))
}

fn add_part(
    parts: &mut Vec<Part>,
    value: &mut Lazy,
    rows: BooleanBuffer,
    input: Input<'_>,
    env: &Environment,
) -> Result<(), EvalError> {
    let count = rows.count_set_bits();
    if count == 0 {
        return Ok(());
    }
    let (value, dense) = value.eval(&rows, count, input, env)?;
    parts.push(Part { rows, value, dense });
    Ok(())
}

pub(crate) fn coalesce(args: &mut [Lazy], input: Input<'_>, env: &Environment) -> Result<Datum, EvalError> {
    let mut open = BooleanBuffer::new_set(input.rows);
    let mut parts = Vec::with_capacity(args.len());
    let last = args.len().saturating_sub(1);
    for (i, arg) in args.iter_mut().enumerate() {
        let count = open.count_set_bits();
        if count == 0 {
            break;
        }
        let (value, dense) = arg.eval(&open, count, input, env)?;
        let nulls = null_rows(&value, if dense { count } else { input.rows });
        let left = match nulls {
            // The last operand also provides the NULLs of rows where every operand is NULL.
            _ if i == last => BooleanBuffer::new_unset(input.rows),
            None => BooleanBuffer::new_unset(input.rows),
            Some(nulls) if dense => scatter(&nulls, &open),
            Some(nulls) => &nulls & &open,
        };
        // A dense value has one row for each open row, including rows that the next operand takes.
        parts.push(Part {
            rows: open.clone(),
            value,
            dense,
        });
        open = left;
    }
    weave(parts, input.rows)
}

/// Merges the parts in row order. Where parts overlap, the later one wins. Every row belongs to a part.
fn weave(mut parts: Vec<Part>, rows: usize) -> Result<Datum, EvalError> {
    if parts.len() == 1 {
        return Ok(parts.swap_remove(0).value);
    }
    if let [first, second] = parts.as_slice()
        && !first.dense
        && !second.dense
    {
        return weave_two(first, second);
    }
    let mut places = vec![(0usize, 0usize); rows];
    for (part_index, part) in parts.iter().enumerate() {
        for (rank, row) in part.rows.set_indices().enumerate() {
            let at = match (&part.value, part.dense) {
                (Datum::Constant(_), _) => 0,
                (_, true) => rank,
                (_, false) => row,
            };
            places[row] = (part_index, at);
        }
    }
    let arrays: Vec<&dyn Array> = parts.iter().map(|part| part.value.array().as_ref()).collect();
    Ok(Datum::Column(interleave(&arrays, &places)?))
}

fn weave_two(first: &Part, second: &Part) -> Result<Datum, EvalError> {
    let from_second = BooleanArray::new(second.rows.clone(), None);
    let woven = match (&second.value, &first.value) {
        (Datum::Column(a), Datum::Column(b)) => zip(&from_second, a, b)?,
        (Datum::Column(a), Datum::Constant(b)) => zip(&from_second, a, &scalar(b))?,
        (Datum::Constant(a), Datum::Column(b)) => zip(&from_second, &scalar(a), b)?,
        (Datum::Constant(a), Datum::Constant(b)) => zip(&from_second, &scalar(a), &scalar(b))?,
    };
    Ok(Datum::Column(woven))
}

fn scalar(array: &ArrayRef) -> Scalar<ArrayRef> {
    Scalar::new(ArrayRef::clone(array))
}
