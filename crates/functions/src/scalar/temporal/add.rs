//! TIMESTAMPADD.
//!
//! Called with the unit as a constant in front: `TIMESTAMPADD('DAY', n, ts)`.

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, TypeFamily};

use super::unit::{Unit, unit_arg};
use super::values::{Moments, NANOS_PER_DAY, NANOS_PER_MILLI, write_moments};
use crate::display::calendar::add_months;
use crate::scalar::access::internal;
use crate::scalar::forms::{refused, strict, wrong_count, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

/// Precision of a DATE to which hours or less are added.
const DATE_WITH_CLOCK_PRECISION: u8 = 6;

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Temporal,
    "TIMESTAMPADD",
    "TIMESTAMPADD(unit, integer, temporal)",
    "Adds a number of units to a date, time or timestamp. A day that the month does not have becomes its last. A DATE moved by \
     hours or less is a TIMESTAMP(6).",
    signature,
    timestamp_add,
)];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() != 3 {
        return Err(wrong_count("TIMESTAMPADD", "3", args.len()));
    }
    let unit = unit_arg(args, 0)?;
    let days_or_more = unit.months().is_some() || matches!(unit, Unit::Day | Unit::Week);
    if !days_or_more && unit.nanos().is_none() {
        return Err(refused(format!(
            "TIMESTAMPADD does not support the unit {unit:?}"
        )));
    }
    let count = if args[1].ty.is_null() {
        LogicalType::INT
    } else {
        args[1].ty.clone()
    };
    let source = args[2].ty.without_time_attribute();
    let source = if source.is_null() {
        LogicalType::timestamp(3)
    } else {
        source
    };
    if !count.is_integer() || !source.is_datetime() {
        return Err(wrong_types(
            "TIMESTAMPADD",
            args,
            "TIMESTAMPADD(<unit>, <INTEGER_NUMERIC>, <DATETIME>)",
        ));
    }
    let result = match source.family() {
        TypeFamily::Date if !days_or_more => LogicalType::timestamp(DATE_WITH_CLOCK_PRECISION),
        TypeFamily::Time if unit.months().is_some() => {
            return Err(refused("TIMESTAMPADD cannot move a TIME by months or years"));
        }
        _ => source.clone(),
    };
    strict(vec![args[0].ty.with_nullable(false), count, source], result)
}

/// `nanos` moved by this number of units. As in Flink, an interval is a 64-bit number of milliseconds or a 32-bit number of
/// months and wraps around.
fn moved(unit: Unit, count: i64, nanos: i128) -> Option<i128> {
    if let Some(length) = unit.nanos() {
        if length < NANOS_PER_MILLI {
            return nanos.checked_add(length.checked_mul(i128::from(count))?);
        }
        let millis = count.wrapping_mul((length / NANOS_PER_MILLI) as i64);
        return Some(nanos + i128::from(millis) * NANOS_PER_MILLI);
    }
    let months = i64::from(unit.months()?.wrapping_mul(count) as i32);
    let days = i64::try_from(nanos.div_euclid(NANOS_PER_DAY)).ok()?;
    // Beyond this, no precision of a timestamp holds the result.
    let reachable = months.unsigned_abs() < 12 * 1_000_000;
    reachable.then(|| i128::from(add_months(days, months)) * NANOS_PER_DAY + nanos.rem_euclid(NANOS_PER_DAY))
}

fn timestamp_add(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let unit = args.constant_text(0).and_then(Unit::parse);
    let unit = unit.ok_or_else(|| internal("the unit of TIMESTAMPADD is not a constant"))?;
    let (counts, moments) = (args.integers(1)?, Moments::new(args, 2)?);
    let of_day = moments.family() == TypeFamily::Time;
    write_moments(args.rows, args.result, |row| {
        let (Some(count), Some(nanos)) = (counts.get(row), moments.nanos(row)) else {
            return Ok(None);
        };
        let moved = moved(unit, count, nanos);
        Ok(if of_day {
            moved.map(|nanos| nanos.rem_euclid(NANOS_PER_DAY))
        } else {
            moved
        })
    })
}
