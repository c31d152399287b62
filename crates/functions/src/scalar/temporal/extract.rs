//! EXTRACT, and YEAR, QUARTER, MONTH, … as its short forms.
//!
//! EXTRACT is called with the unit as a constant in front: `EXTRACT('YEAR', ts)`.

use arrow_array::ArrayRef;
use arrow_array::types::{DurationMillisecondType, Int64Type, IntervalYearMonthType};
use millstream_types::calendar::civil_from_days;
use millstream_types::{LogicalType, TypeFamily};

use super::civil::{day_of_year, iso_day_of_week, iso_week};
use super::unit::{Unit, unit_arg};
use super::values::{Moments, NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND};
use crate::display::ZoneOffsets;
use crate::scalar::access::internal;
use crate::scalar::forms::{refused, strict, wrong_count, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Temporal,
        "EXTRACT",
        "EXTRACT(unit FROM temporal)",
        "A part of a date, time, timestamp or interval as BIGINT: YEAR, QUARTER, MONTH, WEEK (ISO), DAY, DOY, DOW (Sunday is 1), \
         ISODOW, ISOYEAR, DECADE, CENTURY, MILLENNIUM, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND, NANOSECOND, EPOCH.",
        extract_signature,
        extract,
    ),
    short(
        "YEAR",
        "YEAR(temporal)",
        "The year.",
        |args| short_signature("YEAR", Unit::Year, args),
        |args| extract_unit(args, 0, Unit::Year),
    ),
    short(
        "QUARTER",
        "QUARTER(temporal)",
        "The quarter of the year.",
        |args| short_signature("QUARTER", Unit::Quarter, args),
        |args| extract_unit(args, 0, Unit::Quarter),
    ),
    short(
        "MONTH",
        "MONTH(temporal)",
        "The month of the year.",
        |args| short_signature("MONTH", Unit::Month, args),
        |args| extract_unit(args, 0, Unit::Month),
    ),
    short(
        "WEEK",
        "WEEK(temporal)",
        "The ISO week of the year.",
        |args| short_signature("WEEK", Unit::Week, args),
        |args| extract_unit(args, 0, Unit::Week),
    ),
    short(
        "DAYOFYEAR",
        "DAYOFYEAR(temporal)",
        "The day of the year.",
        |args| short_signature("DAYOFYEAR", Unit::DayOfYear, args),
        |args| extract_unit(args, 0, Unit::DayOfYear),
    ),
    short(
        "DAYOFMONTH",
        "DAYOFMONTH(temporal)",
        "The day of the month.",
        |args| short_signature("DAYOFMONTH", Unit::Day, args),
        |args| extract_unit(args, 0, Unit::Day),
    ),
    short(
        "DAYOFWEEK",
        "DAYOFWEEK(temporal)",
        "The day of the week, Sunday is 1.",
        |args| short_signature("DAYOFWEEK", Unit::DayOfWeek, args),
        |args| extract_unit(args, 0, Unit::DayOfWeek),
    ),
    short(
        "HOUR",
        "HOUR(temporal)",
        "The hour of the day.",
        |args| short_signature("HOUR", Unit::Hour, args),
        |args| extract_unit(args, 0, Unit::Hour),
    ),
    short(
        "MINUTE",
        "MINUTE(temporal)",
        "The minute of the hour.",
        |args| short_signature("MINUTE", Unit::Minute, args),
        |args| extract_unit(args, 0, Unit::Minute),
    ),
    short(
        "SECOND",
        "SECOND(temporal)",
        "The second of the minute.",
        |args| short_signature("SECOND", Unit::Second, args),
        |args| extract_unit(args, 0, Unit::Second),
    ),
];

const fn short(
    name: &'static str,
    syntax: &'static str,
    doc: &'static str,
    signature: crate::scalar::forms::SignatureFn,
    kernel: crate::scalar::forms::KernelFn,
) -> ScalarFunction {
    ScalarFunction::new(Group::Temporal, name, syntax, doc, signature, kernel)
}

fn extract_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() != 2 {
        return Err(wrong_count("EXTRACT", "2", args.len()));
    }
    let unit = unit_arg(args, 0)?;
    let source = source_type("EXTRACT", unit, args, 1)?;
    let unit_type = args[0].ty.with_nullable(false);
    strict(vec![unit_type, source], LogicalType::BIGINT)
}

fn short_signature(function: &str, unit: Unit, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() != 1 {
        return Err(wrong_count(function, "1", args.len()));
    }
    strict(vec![source_type(function, unit, args, 0)?], LogicalType::BIGINT)
}

fn of_clock(unit: Unit) -> bool {
    matches!(
        unit,
        Unit::Hour | Unit::Minute | Unit::Second | Unit::Millisecond | Unit::Microsecond | Unit::Nanosecond
    )
}

/// The type of the argument that a unit is taken from, if it has such a unit.
fn source_type(
    function: &str,
    unit: Unit,
    args: &[ArgInfo<'_>],
    index: usize,
) -> Result<LogicalType, SignatureError> {
    let ty = args[index].ty.without_time_attribute();
    let has_unit = match ty.family() {
        TypeFamily::Date | TypeFamily::Timestamp | TypeFamily::TimestampLtz => true,
        TypeFamily::Null => return Ok(LogicalType::timestamp(3)),
        TypeFamily::Time => of_clock(unit) || unit == Unit::Epoch,
        TypeFamily::IntervalDayTime => of_clock(unit) || matches!(unit, Unit::Day | Unit::Week | Unit::Epoch),
        TypeFamily::IntervalYearMonth => unit.months().is_some(),
        _ => {
            // `YEAR(x)` is short for `EXTRACT(YEAR FROM x)`, and Flink's messages name that.
            return Err(wrong_types(
                "EXTRACT",
                args,
                format!("{function}(<DATETIME or INTERVAL>)"),
            ));
        }
    };
    if has_unit {
        return Ok(ty);
    }
    Err(refused(format!(
        "{function} cannot take the unit {} from a value of type {ty}",
        format!("{unit:?}").to_uppercase()
    )))
}

fn extract(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let unit = args.constant_text(0).and_then(Unit::parse);
    let unit = unit.ok_or_else(|| internal("the unit of EXTRACT is not a constant"))?;
    extract_unit(args, 1, unit)
}

fn extract_unit(args: &KernelArgs<'_>, index: usize, unit: Unit) -> Result<ArrayRef, EvalError> {
    match args.arg_types[index].family() {
        TypeFamily::IntervalYearMonth => {
            let months = args.primitives::<IntervalYearMonthType>(index)?;
            args.write_primitives::<Int64Type>(|row| Some(part_of_months(unit, i64::from(months.get(row)?))))
        }
        TypeFamily::IntervalDayTime => {
            let millis = args.primitives::<DurationMillisecondType>(index)?;
            args.write_primitives::<Int64Type>(|row| Some(part_of_millis(unit, millis.get(row)?)))
        }
        _ => {
            let moments = Moments::new(args, index)?;
            let mut zone = ZoneOffsets::new(args.env.zone.clone());
            args.write_primitives::<Int64Type>(|row| {
                Some(part_of_moment(unit, moments.local_nanos(row, &mut zone)?))
            })
        }
    }
}

fn part_of_months(unit: Unit, months: i64) -> i64 {
    match unit {
        Unit::Month => months % 12,
        Unit::Quarter => months % 12 / 3 + 1,
        other => months / other.months().unwrap_or(12),
    }
}

fn part_of_millis(unit: Unit, millis: i64) -> i64 {
    match unit {
        Unit::Week => millis / 604_800_000,
        Unit::Day => millis / 86_400_000,
        Unit::Hour => millis / 3_600_000 % 24,
        Unit::Minute => millis / 60_000 % 60,
        Unit::Second => millis / 1_000 % 60,
        Unit::Millisecond => millis % 1_000,
        Unit::Microsecond => millis % 1_000 * 1_000,
        Unit::Nanosecond => millis % 1_000 * 1_000_000,
        _ => millis / 1_000,
    }
}

/// A part of nanoseconds since the epoch on a wall clock.
fn part_of_moment(unit: Unit, nanos: i128) -> i64 {
    let days = nanos.div_euclid(NANOS_PER_DAY) as i64;
    let of_day = nanos.rem_euclid(NANOS_PER_DAY);
    let of_second = (of_day % NANOS_PER_SECOND) as i64;
    let second = (of_day / NANOS_PER_SECOND) as i64;
    let (year, month, day) = civil_from_days(days);
    match unit {
        Unit::Millennium => {
            if year > 0 {
                (year + 999) / 1000
            } else {
                (year - 999) / 1000
            }
        }
        Unit::Century => {
            if year > 0 {
                (year + 99) / 100
            } else {
                (year - 99) / 100
            }
        }
        Unit::Decade => year / 10,
        Unit::Year => year,
        Unit::IsoYear => iso_week(days).0,
        Unit::Quarter => (i64::from(month) + 2) / 3,
        Unit::Month => i64::from(month),
        Unit::Week => iso_week(days).1,
        Unit::Day => i64::from(day),
        Unit::DayOfYear => day_of_year(days),
        Unit::DayOfWeek => iso_day_of_week(days) % 7 + 1,
        Unit::IsoDayOfWeek => iso_day_of_week(days),
        Unit::Hour => second / 3600,
        Unit::Minute => second / 60 % 60,
        Unit::Second => second % 60,
        Unit::Millisecond => of_second / NANOS_PER_MILLI as i64,
        Unit::Microsecond => of_second / 1_000,
        Unit::Nanosecond => of_second,
        Unit::Epoch => nanos.div_euclid(NANOS_PER_SECOND) as i64,
    }
}
