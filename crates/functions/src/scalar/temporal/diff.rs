//! TIMESTAMPDIFF.
//!
//! Called with the unit as a constant in front: `TIMESTAMPDIFF('DAY', from, to)`.

use arrow_array::ArrayRef;
use arrow_array::types::Int32Type;
use millstream_types::calendar::civil_from_days;
use millstream_types::{LogicalType, TypeFamily};

use super::unit::{Unit, unit_arg};
use super::values::{MILLIS_PER_DAY, Moments, NANOS_PER_MILLI};
use crate::display::calendar::add_months;
use crate::scalar::access::internal;
use crate::scalar::forms::{refused, strict, wrong_count, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::Temporal,
    "TIMESTAMPDIFF",
    "TIMESTAMPDIFF(unit, from, to)",
    "The number of whole units between two dates or timestamps as INT: SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER, YEAR.",
    signature,
    timestamp_diff,
)];

const SECONDS_PER_WEEK: i32 = 604_800;

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() != 3 {
        return Err(wrong_count("TIMESTAMPDIFF", "3", args.len()));
    }
    let unit = unit_arg(args, 0)?;
    let supported = matches!(
        unit,
        Unit::Year
            | Unit::Quarter
            | Unit::Month
            | Unit::Week
            | Unit::Day
            | Unit::Hour
            | Unit::Minute
            | Unit::Second
    );
    if !supported {
        return Err(refused(format!(
            "the unit {unit:?} cannot be applied to the TIMESTAMPDIFF function"
        )));
    }
    let mut types = vec![args[0].ty.with_nullable(false)];
    for arg in &args[1..] {
        let ty = arg.ty.without_time_attribute();
        let ty = if ty.is_null() {
            LogicalType::timestamp(3)
        } else {
            ty
        };
        if !ty.is_datetime() {
            return Err(wrong_types(
                "TIMESTAMPDIFF",
                args,
                "TIMESTAMPDIFF(<unit>, <TIMESTAMP or DATE>, <TIMESTAMP or DATE>)",
            ));
        }
        types.push(ty);
    }
    // Two times of one day are not dates: they have hours between them, but no months.
    let times = types[1..]
        .iter()
        .filter(|ty| ty.family() == TypeFamily::Time)
        .count();
    if times == 1 || (times == 2 && unit.months().is_some()) {
        return Err(wrong_types(
            "TIMESTAMPDIFF",
            args,
            "TIMESTAMPDIFF(<unit>, <TIMESTAMP or DATE>, <TIMESTAMP or DATE>), TIMESTAMPDIFF(<unit up to WEEK>, <TIME>, <TIME>)",
        ));
    }
    strict(types, LogicalType::INT)
}

/// Whole months from `earlier` to `later` in days since the epoch.
fn months_between_days(later: i64, earlier: i64) -> i64 {
    if later < earlier {
        return -months_between_days(earlier, later);
    }
    let month_number = |days: i64| {
        let (year, month, _) = civil_from_days(days);
        year * 12 + i64::from(month)
    };
    let months = month_number(later) - month_number(earlier);
    if add_months(earlier, months) > later {
        months - 1
    } else {
        months
    }
}

/// Whole months from `from` to `to` in milliseconds.
fn months_between(to: i64, from: i64) -> i64 {
    let (to_day, from_day) = (to.div_euclid(MILLIS_PER_DAY), from.div_euclid(MILLIS_PER_DAY));
    let months = months_between_days(to_day, from_day);
    let early = add_months(from_day, months) == to_day
        && to.rem_euclid(MILLIS_PER_DAY) < from.rem_euclid(MILLIS_PER_DAY);
    if early { months - 1 } else { months }
}

fn timestamp_diff(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let unit = args.constant_text(0).and_then(Unit::parse);
    let unit = unit.ok_or_else(|| internal("the unit of TIMESTAMPDIFF is not a constant"))?;
    let (from, to) = (Moments::new(args, 1)?, Moments::new(args, 2)?);
    // An instant against a wall-clock time is compared on the session's wall clock.
    let mixed = (from.family() == TypeFamily::TimestampLtz) != (to.family() == TypeFamily::TimestampLtz);
    let mut zone = crate::display::ZoneOffsets::new(args.env.zone.clone());
    args.write_primitives::<Int32Type>(|row| {
        let mut millis = |moments: &Moments<'_>| {
            let nanos = if mixed {
                moments.local_nanos(row, &mut zone)
            } else {
                moments.nanos(row)
            };
            nanos.map(|nanos| nanos.div_euclid(NANOS_PER_MILLI) as i64)
        };
        let (from, to) = (millis(&from)?, millis(&to)?);
        let units = match unit.months() {
            Some(length) => months_between(to, from) / length,
            // Flink counts weeks from a 32-bit number of seconds.
            None if unit == Unit::Week => {
                i64::from((to.wrapping_sub(from) / 1_000) as i32 / SECONDS_PER_WEEK)
            }
            None => to.wrapping_sub(from) / (unit.nanos()? / NANOS_PER_MILLI) as i64,
        };
        // Java's narrowing cast wraps.
        Some(units as i32)
    })
}
