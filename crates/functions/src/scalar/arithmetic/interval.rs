//! Arithmetic of intervals, and of datetimes with intervals.
//!
//! Months move the date and clamp to the last day of the target month; days and shorter units move the instant. A
//! TIMESTAMP_LTZ moves in UTC.

use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMillisecondType, Float64Type, Int64Type, IntervalYearMonthType,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{ArrayRef, ArrowPrimitiveType};
use millstream_types::calendar::civil_from_days;
use millstream_types::logical_type::{DayTimeResolution, YearMonthResolution};
use millstream_types::{LogicalType, TypeFamily, TypeKind};

use super::{Operator, lanes};
use crate::display::calendar::{MILLIS_PER_DAY, add_months};
use crate::scalar::access::internal;
use crate::scalar::{Datum, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::interval::{datetime_plus_interval, widest_interval};
use crate::typing::{any_nullable, call_error, check_count};

/// `(a - b) unit`: the interval between two datetimes.
pub(super) const MINUS_DATE: ScalarFunction = ScalarFunction::new(
    Group::Arithmetic,
    "MINUS_DATE",
    "(a - b) unit",
    "The interval from `b` to `a`: whole months if the unit is YEAR, QUARTER or MONTH, else milliseconds.",
    minus_date_signature,
    minus_date_kernel,
);

/// Types of an infix operator with an interval among its operands; `None` if they do not fit.
pub(super) fn signature(operator: Operator, a: &LogicalType, b: &LogicalType) -> Option<Signature> {
    use Operator::{Add, Divide, Multiply, Subtract};
    let nullable = a.nullable || b.nullable;
    let same_family = a.is_interval() && a.family() == b.family();
    match operator {
        Add | Subtract if same_family => {
            let result = widest_interval(a).with_nullable(nullable);
            Some(Signature {
                args: vec![a.clone(), b.clone()],
                result,
            })
        }
        Add | Subtract if a.is_datetime() && (b.is_interval() || b.is_null()) => moved(a, b, false),
        Add if b.is_datetime() && (a.is_interval() || a.is_null()) => moved(b, a, true),
        Multiply | Divide if a.is_interval() && b.is_numeric() => Some(Signature {
            args: vec![a.clone(), factor_type(b)],
            result: widest_interval(a).with_nullable(nullable),
        }),
        Multiply if a.is_numeric() && b.is_interval() => Some(Signature {
            args: vec![factor_type(a), b.clone()],
            result: widest_interval(b).with_nullable(nullable),
        }),
        _ => None,
    }
}

fn moved(datetime: &LogicalType, interval: &LogicalType, interval_first: bool) -> Option<Signature> {
    let interval = if interval.is_null() {
        LogicalType::new(TypeKind::IntervalDayTime(DayTimeResolution::Day))
    } else {
        interval.clone()
    };
    let result = datetime_plus_interval(datetime, &interval)?;
    let mut args = vec![datetime.clone(), interval];
    if interval_first {
        args.reverse();
    }
    Some(Signature { args, result })
}

fn factor_type(number: &LogicalType) -> LogicalType {
    let kind = if number.is_integer() {
        TypeKind::BigInt
    } else {
        TypeKind::Double
    };
    LogicalType {
        kind,
        nullable: number.nullable,
    }
}

pub(super) fn kernel(args: &KernelArgs<'_>, operator: Operator) -> Result<ArrayRef, EvalError> {
    let (a, b) = (&args.arg_types[0], &args.arg_types[1]);
    let sign = if operator == Operator::Subtract { -1 } else { 1 };
    match (a.is_interval(), b.is_interval()) {
        (true, true) => add_intervals(args, sign),
        (false, true) if a.is_datetime() => move_datetime(args, [0, 1], sign),
        (true, false) if b.is_datetime() => move_datetime(args, [1, 0], sign),
        (true, false) => scale(args, [0, 1], operator),
        (false, true) => scale(args, [1, 0], operator),
        _ => Err(internal(format!("arithmetic on {a} and {b}"))),
    }
}

/// Unary minus of an interval.
pub(super) fn negate(args: &KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    match args.arg_types[0].family() {
        TypeFamily::IntervalYearMonth => lanes::unary::<IntervalYearMonthType, _>(args, |v| v.wrapping_neg()),
        _ => lanes::unary::<DurationMillisecondType, _>(args, |v| v.wrapping_neg()),
    }
}

fn add_intervals(args: &KernelArgs<'_>, sign: i64) -> Result<ArrayRef, EvalError> {
    let operands = [&args.args[0], &args.args[1]];
    match args.arg_types[0].family() {
        TypeFamily::IntervalYearMonth => {
            type Months = IntervalYearMonthType;
            lanes::binary::<Months, Months, Months>(args, operands, |x, y| {
                x.wrapping_add(y.wrapping_mul(sign as i32))
            })
        }
        _ => {
            type Millis = DurationMillisecondType;
            lanes::binary::<Millis, Millis, Millis>(args, operands, |x, y| {
                x.wrapping_add(y.wrapping_mul(sign))
            })
        }
    }
}

/// An interval times or by a number; `[interval, number]` are argument positions.
fn scale(
    args: &KernelArgs<'_>,
    [interval, number]: [usize; 2],
    operator: Operator,
) -> Result<ArrayRef, EvalError> {
    let months = args.arg_types[interval].family() == TypeFamily::IntervalYearMonth;
    let exact = args.arg_types[number].family() == TypeFamily::Integer;
    match (months, exact) {
        (true, true) => {
            scale_exact::<IntervalYearMonthType>(args, [interval, number], operator, |v| v as i32)
        }
        (false, true) => scale_exact::<DurationMillisecondType>(args, [interval, number], operator, |v| v),
        (true, false) => {
            scale_approximate::<IntervalYearMonthType>(args, [interval, number], operator, |v| v as i32)
        }
        (false, false) => {
            scale_approximate::<DurationMillisecondType>(args, [interval, number], operator, |v| v as i64)
        }
    }
}

fn scale_exact<T: ArrowPrimitiveType>(
    args: &KernelArgs<'_>,
    [interval, number]: [usize; 2],
    operator: Operator,
    narrow: impl Fn(i64) -> T::Native,
) -> Result<ArrayRef, EvalError>
where
    T::Native: Into<i64>,
{
    let operands = [&args.args[interval], &args.args[number]];
    lanes::try_binary::<T, Int64Type, T>(args, operands, |x, y| match (operator, y) {
        (Operator::Divide, 0) => Err(EvalError::DivisionByZero),
        (Operator::Divide, y) => Ok(Some(narrow(x.into().wrapping_div(y)))),
        (_, y) => Ok(Some(narrow(x.into().wrapping_mul(y)))),
    })
}

fn scale_approximate<T: ArrowPrimitiveType>(
    args: &KernelArgs<'_>,
    [interval, number]: [usize; 2],
    operator: Operator,
    narrow: impl Fn(f64) -> T::Native,
) -> Result<ArrayRef, EvalError>
where
    T::Native: Into<i64>,
{
    let operands = [&args.args[interval], &args.args[number]];
    lanes::binary::<T, Float64Type, T>(args, operands, |x, y| {
        let x = x.into() as f64;
        narrow(if operator == Operator::Divide {
            x / y
        } else {
            x * y
        })
    })
}

/// A datetime moved by an interval; `[datetime, interval]` are argument positions.
fn move_datetime(
    args: &KernelArgs<'_>,
    [datetime, interval]: [usize; 2],
    sign: i64,
) -> Result<ArrayRef, EvalError> {
    let operands = [&args.args[datetime], &args.args[interval]];
    let months = args.arg_types[interval].family() == TypeFamily::IntervalYearMonth;
    if months {
        move_by_months(args, operands, datetime, sign)
    } else {
        move_by_millis(args, operands, datetime, sign)
    }
}

fn move_by_months(
    args: &KernelArgs<'_>,
    operands: [&Datum; 2],
    datetime: usize,
    sign: i64,
) -> Result<ArrayRef, EvalError> {
    type Months = IntervalYearMonthType;
    let moved = |value: i64, months: i32, units_per_day: i64| {
        let days = add_months(value.div_euclid(units_per_day), i64::from(months) * sign);
        days.wrapping_mul(units_per_day)
            .wrapping_add(value.rem_euclid(units_per_day))
    };
    match args.arg_types[datetime].family() {
        TypeFamily::Date => {
            lanes::binary::<Date32Type, Months, Date32Type>(args, operands, |date, months| {
                moved(i64::from(date), months, 1) as i32
            })
        }
        // A time of day is the same in every month.
        TypeFamily::Time => {
            type Time = Time32MillisecondType;
            lanes::binary::<Time, Months, Time>(args, operands, |time, _| time)
        }
        _ => match args.arg_types[datetime].precision().unwrap_or(0) {
            0..=3 => {
                type T = TimestampMillisecondType;
                lanes::binary::<T, Months, T>(args, operands, |at, months| moved(at, months, MILLIS_PER_DAY))
            }
            4..=6 => {
                type T = TimestampMicrosecondType;
                lanes::binary::<T, Months, T>(args, operands, |at, months| {
                    moved(at, months, MILLIS_PER_DAY * 1_000)
                })
            }
            _ => {
                type T = Decimal128Type;
                let nanos_per_day = i128::from(MILLIS_PER_DAY) * 1_000_000;
                lanes::binary::<T, Months, T>(args, operands, |at, months| {
                    let days = moved(at.div_euclid(nanos_per_day) as i64, months, 1);
                    (i128::from(days) * nanos_per_day).wrapping_add(at.rem_euclid(nanos_per_day))
                })
            }
        },
    }
}

fn move_by_millis(
    args: &KernelArgs<'_>,
    operands: [&Datum; 2],
    datetime: usize,
    sign: i64,
) -> Result<ArrayRef, EvalError> {
    type Millis = DurationMillisecondType;
    let family = args.arg_types[datetime].family();
    match family {
        TypeFamily::Date => lanes::binary::<Date32Type, Millis, Date32Type>(args, operands, |date, ms| {
            date.wrapping_add((sign * (ms / MILLIS_PER_DAY)) as i32)
        }),
        TypeFamily::Time => lanes::binary::<Time32MillisecondType, Millis, Time32MillisecondType>(
            args,
            operands,
            |time, ms| {
                ms.wrapping_mul(sign)
                    .wrapping_add(i64::from(time))
                    .rem_euclid(MILLIS_PER_DAY) as i32
            },
        ),
        _ => match args.arg_types[datetime].precision().unwrap_or(0) {
            0..=3 => {
                type T = TimestampMillisecondType;
                lanes::binary::<T, Millis, T>(args, operands, |at, ms| at.wrapping_add(ms.wrapping_mul(sign)))
            }
            4..=6 => {
                type T = TimestampMicrosecondType;
                lanes::binary::<T, Millis, T>(args, operands, |at, ms| {
                    at.wrapping_add(ms.wrapping_mul(sign).wrapping_mul(1_000))
                })
            }
            _ => {
                type T = Decimal128Type;
                lanes::binary::<T, Millis, T>(args, operands, |at, ms| {
                    at.wrapping_add(i128::from(ms.wrapping_mul(sign)) * 1_000_000)
                })
            }
        },
    }
}

fn minus_date_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("MINUS_DATE", args, 3..=3)?;
    let refused = || call_error("MINUS_DATE", args, "(<DATETIME> - <DATETIME>) unit");
    let (a, b) = (
        args[0].ty.without_time_attribute(),
        args[1].ty.without_time_attribute(),
    );
    // Milliseconds are all that a day-time interval holds.
    let compared = match (a.family(), b.family()) {
        (TypeFamily::Time, TypeFamily::Time) => LogicalType::time(3),
        (TypeFamily::Date, TypeFamily::Time) | (TypeFamily::Time, TypeFamily::Date) => return Err(refused()),
        (TypeFamily::TimestampLtz, _) | (_, TypeFamily::TimestampLtz)
            if a.is_datetime() && b.is_datetime() =>
        {
            LogicalType::timestamp_ltz(3)
        }
        _ if a.is_datetime() && b.is_datetime() => LogicalType::timestamp(3),
        _ => return Err(refused()),
    };
    let unit = args[2]
        .literal
        .and_then(|unit| unit.as_str())
        .ok_or_else(refused)?;
    let kind = match unit.to_ascii_uppercase().as_str() {
        "YEAR" | "QUARTER" | "MONTH" | "YEAR TO MONTH" => {
            TypeKind::IntervalYearMonth(YearMonthResolution::Month)
        }
        _ => TypeKind::IntervalDayTime(DayTimeResolution::Second),
    };
    let result = LogicalType {
        kind,
        nullable: any_nullable(&args[..2]),
    };
    let types = vec![
        compared.with_nullable(a.nullable),
        compared.with_nullable(b.nullable),
        args[2].ty.clone(),
    ];
    Ok(Signature { args: types, result })
}

fn minus_date_kernel(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    type At = TimestampMillisecondType;
    let operands = [&args.args[0], &args.args[1]];
    let months = args.result.family() == TypeFamily::IntervalYearMonth;
    if args.arg_types[0].family() == TypeFamily::Time {
        type Time = Time32MillisecondType;
        return lanes::binary::<Time, Time, DurationMillisecondType>(args, operands, |a, b| {
            i64::from(a) - i64::from(b)
        });
    }
    if months {
        return lanes::binary::<At, At, IntervalYearMonthType>(args, operands, months_between);
    }
    lanes::binary::<At, At, DurationMillisecondType>(args, operands, |a, b| a.wrapping_sub(b))
}

/// Whole months from `b` to `a`, both in milliseconds.
fn months_between(a: i64, b: i64) -> i32 {
    if a < b {
        return -months_between(b, a);
    }
    let (day_a, day_b) = (a.div_euclid(MILLIS_PER_DAY), b.div_euclid(MILLIS_PER_DAY));
    let ((year_a, month_a, _), (year_b, month_b, _)) = (civil_from_days(day_a), civil_from_days(day_b));
    let months = (year_a - year_b) * 12 + i64::from(month_a) - i64::from(month_b);
    // The last month counts only if `b` moved by it does not pass `a`.
    let reached = add_months(day_b, months) * MILLIS_PER_DAY + b.rem_euclid(MILLIS_PER_DAY);
    (if reached > a { months - 1 } else { months }) as i32
}
