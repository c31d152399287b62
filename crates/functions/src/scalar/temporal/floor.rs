//! FLOOR(x TO unit) and CEIL(x TO unit).
//!
//! They are called as `FLOOR_TO(x, unit)` and `CEIL_TO(x, unit)` with the unit as a constant.

use arrow_array::ArrayRef;
use millstream_types::TypeFamily;

use super::civil::round_date;
use super::unit::{Unit, unit_arg};
use super::values::{Moments, NANOS_PER_DAY, NANOS_PER_MILLI, write_moments};
use crate::display::ZoneOffsets;
use crate::scalar::access::internal;
use crate::scalar::forms::{refused, strict, wrong_count, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use millstream_types::LogicalType;

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Temporal,
        "FLOOR_TO",
        "FLOOR(temporal TO unit)",
        "The start of the unit that the date, time or timestamp is in; weeks start on Sunday.",
        |args| signature("FLOOR", args),
        |args| round(args, false),
    ),
    ScalarFunction::new(
        Group::Temporal,
        "CEIL_TO",
        "CEIL(temporal TO unit)",
        "The start of the next unit, or the value itself if it is the start of a unit; weeks start on Sunday.",
        |args| signature("CEIL", args),
        |args| round(args, true),
    )
    .aliases(&["CEILING_TO"]),
];

fn signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() != 2 {
        return Err(wrong_count(function, "2", args.len()));
    }
    let unit = unit_arg(args, 1)?;
    let ty = args[0].ty.without_time_attribute();
    let ty = if ty.is_null() {
        LogicalType::timestamp(3)
    } else {
        ty
    };
    if !ty.is_datetime() {
        return Err(wrong_types(
            function,
            args,
            format!("{function}(<DATETIME> TO <unit>)"),
        ));
    }
    let calendar = round_date(unit, 0, false).is_some();
    let clock = unit.nanos().is_some() && !calendar && unit != Unit::Microsecond && unit != Unit::Nanosecond;
    let fits = match ty.family() {
        TypeFamily::Time => clock,
        _ => calendar || clock,
    };
    if !fits {
        return Err(refused(format!(
            "{function} of {ty} does not support the unit {unit:?}"
        )));
    }
    let result = ty.clone();
    strict(vec![ty, args[1].ty.with_nullable(false)], result)
}

fn round(args: &KernelArgs<'_>, up: bool) -> Result<ArrayRef, EvalError> {
    let unit = args.constant_text(1).and_then(Unit::parse);
    let unit = unit.ok_or_else(|| internal("the unit of FLOOR or CEIL is not a constant"))?;
    let moments = Moments::new(args, 0)?;
    let mut zone = ZoneOffsets::new(args.env.zone.clone());
    let local = moments.family() == TypeFamily::TimestampLtz;
    write_moments(args.rows, args.result, |row| {
        let Some(nanos) = moments.nanos(row) else {
            return Ok(None);
        };
        let offset_ms = if local {
            zone.offset_ms(nanos.div_euclid(NANOS_PER_MILLI) as i64)
        } else {
            0
        };
        let offset = i128::from(offset_ms) * NANOS_PER_MILLI;
        Ok(rounded(unit, nanos + offset, up, moments.family()).map(|rounded| rounded - offset))
    })
}

fn rounded(unit: Unit, nanos: i128, up: bool, family: TypeFamily) -> Option<i128> {
    let by_clock =
        !matches!(family, TypeFamily::Date) && (unit == Unit::Day || round_date(unit, 0, up).is_none());
    if by_clock {
        let length = unit.nanos()?;
        // Flink looks at whole milliseconds only, but where they are what it rounds to.
        let is_fine = unit == Unit::Millisecond && family == TypeFamily::Timestamp;
        let nanos = if is_fine {
            nanos
        } else {
            nanos.div_euclid(NANOS_PER_MILLI) * NANOS_PER_MILLI
        };
        let start = nanos.div_euclid(length) * length;
        return Some(if up && start < nanos {
            start + length
        } else {
            start
        });
    }
    let days = nanos.div_euclid(NANOS_PER_DAY) as i64;
    // A DATE has no clock: it is the start of its hour.
    let days = round_date(unit, days, up).unwrap_or(days);
    Some(i128::from(days) * NANOS_PER_DAY)
}
