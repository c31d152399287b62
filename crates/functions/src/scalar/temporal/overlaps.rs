//! OVERLAPS.
//!
//! `(a, b) OVERLAPS (c, d)` is called as `OVERLAPS(a, b, c, d)`; `b` and `d` may be intervals that start at `a` and `c`.

use arrow_array::ArrayRef;
use arrow_array::types::{DurationMillisecondType, IntervalYearMonthType};
use millstream_types::{LogicalType, TypeFamily};

use super::values::{Moments, NANOS_PER_DAY, NANOS_PER_MILLI};
use crate::display::calendar::add_months;
use crate::scalar::forms::{strict, wrong_count, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Temporal,
    "OVERLAPS",
    "(start1, end1) OVERLAPS (start2, end2)",
    "Whether two periods have a point in common, their ends included. An end may be an interval from its start.",
    signature,
    overlaps,
)];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() != 4 {
        return Err(wrong_count("OVERLAPS", "4", args.len()));
    }
    let types: Vec<LogicalType> = args.iter().map(|arg| arg.ty.without_time_attribute()).collect();
    let family = types[0].family();
    let starts = types[0].is_datetime() && types[2].family() == family;
    let ends = [&types[1], &types[3]]
        .iter()
        .all(|end| end.is_interval() || end.family() == family);
    if !starts || !ends {
        return Err(wrong_types(
            "OVERLAPS",
            args,
            "(<DATETIME>, <DATETIME or INTERVAL>) OVERLAPS (<DATETIME>, <DATETIME or INTERVAL>)",
        ));
    }
    strict(types, LogicalType::BOOLEAN)
}

/// The end of a period that starts at `start`, in nanoseconds.
fn end(args: &KernelArgs<'_>, index: usize, row: usize, start: i128) -> Result<Option<i128>, EvalError> {
    Ok(match args.arg_types[index].family() {
        TypeFamily::IntervalDayTime => {
            let millis = args.primitives::<DurationMillisecondType>(index)?.get(row);
            millis.map(|millis| start + i128::from(millis) * NANOS_PER_MILLI)
        }
        TypeFamily::IntervalYearMonth => {
            let months = args.primitives::<IntervalYearMonthType>(index)?.get(row);
            months.map(|months| {
                let days = add_months(start.div_euclid(NANOS_PER_DAY) as i64, i64::from(months));
                i128::from(days) * NANOS_PER_DAY + start.rem_euclid(NANOS_PER_DAY)
            })
        }
        _ => Moments::new(args, index)?.nanos(row),
    })
}

fn overlaps(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let args = &*args;
    let (first, second) = (Moments::new(args, 0)?, Moments::new(args, 2)?);
    args.try_write_booleans(|row| {
        let (Some(start1), Some(start2)) = (first.nanos(row), second.nanos(row)) else {
            return Ok(None);
        };
        let (Some(end1), Some(end2)) = (end(args, 1, row, start1)?, end(args, 3, row, start2)?) else {
            return Ok(None);
        };
        Ok(Some(
            start1.max(end1) >= start2.min(end2) && start2.max(end2) >= start1.min(end1),
        ))
    })
}
