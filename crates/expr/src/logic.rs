//! Three-valued AND and OR.
//!
//! Two bitmaps hold the rows known to be TRUE and the rows known to be FALSE. Each operand is evaluated only for the
//! rows that the earlier operands leave undecided.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};
use millstream_functions::{Datum, Environment, EvalError};

use crate::input::Input;
use crate::node::{Lazy, true_rows};

/// The rows whose truth value is decided.
struct Known {
    holds: BooleanBuffer,
    fails: BooleanBuffer,
}

pub(crate) fn and(args: &mut [Lazy], input: Input<'_>, env: &Environment) -> Result<Datum, EvalError> {
    let mut known = Known {
        holds: BooleanBuffer::new_set(input.rows),
        fails: BooleanBuffer::new_unset(input.rows),
    };
    for arg in args {
        let open = !&known.fails;
        let count = open.count_set_bits();
        if count == 0 {
            break;
        }
        let next = truth(arg, &open, count, input, env)?;
        known.holds = &known.holds & &next.holds;
        known.fails = &known.fails | &next.fails;
    }
    Ok(known.into_datum())
}

pub(crate) fn or(args: &mut [Lazy], input: Input<'_>, env: &Environment) -> Result<Datum, EvalError> {
    let mut known = Known {
        holds: BooleanBuffer::new_unset(input.rows),
        fails: BooleanBuffer::new_set(input.rows),
    };
    for arg in args {
        let open = !&known.holds;
        let count = open.count_set_bits();
        if count == 0 {
            break;
        }
        let next = truth(arg, &open, count, input, env)?;
        known.holds = &known.holds | &next.holds;
        known.fails = &known.fails & &next.fails;
    }
    Ok(known.into_datum())
}

impl Known {
    fn into_datum(self) -> Datum {
        let known = &self.holds | &self.fails;
        let nulls = Some(NullBuffer::new(known)).filter(|nulls| nulls.null_count() > 0);
        Datum::Column(Arc::new(BooleanArray::new(self.holds, nulls)))
    }
}

/// The truth value of an operand for the requested rows; the values of other rows are undefined.
fn truth(
    arg: &mut Lazy,
    open: &BooleanBuffer,
    count: usize,
    input: Input<'_>,
    env: &Environment,
) -> Result<Known, EvalError> {
    let (datum, dense) = arg.eval(open, count, input, env)?;
    let rows = if dense { count } else { input.rows };
    let holds = true_rows(&datum, rows)?;
    let fails = false_rows(&datum, rows, &holds);
    if dense {
        Ok(Known {
            holds: scatter(&holds, open),
            fails: scatter(&fails, open),
        })
    } else {
        Ok(Known { holds, fails })
    }
}

fn false_rows(datum: &Datum, rows: usize, holds: &BooleanBuffer) -> BooleanBuffer {
    match (datum, datum.array().as_boolean().nulls()) {
        (Datum::Constant(_), _) if datum.is_null(0) => BooleanBuffer::new_unset(rows),
        (Datum::Column(_), Some(nulls)) => &!holds & nulls.inner(),
        _ => !holds,
    }
}

/// Moves the n-th of `bits` to the position of the n-th set bit of `places`.
pub(crate) fn scatter(bits: &BooleanBuffer, places: &BooleanBuffer) -> BooleanBuffer {
    let mut all = BooleanBufferBuilder::new(places.len());
    all.append_n(places.len(), false);
    for (bit, place) in bits.iter().zip(places.set_indices()) {
        if bit {
            all.set_bit(place, true);
        }
    }
    all.finish()
}
