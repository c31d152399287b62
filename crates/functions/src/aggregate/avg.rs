//! AVG: integers stay integers (truncated), DECIMAL gains at least 6 digits behind the point, floats add up as DOUBLE.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow_array::{ArrayRef, ArrowPrimitiveType};
use millstream_types::logical_type::MAX_DECIMAL_PRECISION;
use millstream_types::{LogicalType, TypeKind};

use super::rows::column_of;
use super::signatures::{as_given, one_numeric};
use super::sum::fit_decimal;
use super::totals::{Summing, Total, Totals};
use super::window_only::Unavailable;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};

pub const FUNCTIONS: &[AggregateFunction] = &[AggregateFunction {
    name: "AVG",
    aliases: &[],
    syntax: "AVG([DISTINCT] value)",
    doc: "Mean of the values that are not NULL; NULL without such values. The mean of integers is an integer, cut \
          towards zero.",
    window_only: false,
    constant_args: &[],
    signature: |args| Ok(as_given(args, mean_type(one_numeric("AVG", args)?))),
    accumulator,
}];

/// Digits behind the point of a DECIMAL mean, at least.
const MEAN_SCALE_MIN: u8 = 6;

/// The result type of AVG, VAR_* and STDDEV_*.
pub(super) fn mean_type(ty: &LogicalType) -> LogicalType {
    match ty.kind {
        TypeKind::Decimal { scale, .. } => {
            let kind = TypeKind::Decimal {
                precision: MAX_DECIMAL_PRECISION,
                scale: scale.max(MEAN_SCALE_MIN),
            };
            LogicalType {
                kind,
                nullable: ty.nullable,
            }
        }
        _ => ty.clone(),
    }
}

fn accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    let result = args.result.clone();
    let Some(ty) = args.arg_types.first() else {
        return Box::new(Unavailable::new("AVG", "its argument is missing"));
    };
    match ty.kind {
        TypeKind::TinyInt => integers::<Int8Type>(result),
        TypeKind::SmallInt => integers::<Int16Type>(result),
        TypeKind::Int => integers::<Int32Type>(result),
        TypeKind::BigInt => integers::<Int64Type>(result),
        TypeKind::Float => floats::<Float32Type>(result),
        TypeKind::Double => floats::<Float64Type>(result),
        TypeKind::Decimal { scale, .. } => Box::new(Totals::new(DecimalMean { scale, result })),
        _ => Box::new(Unavailable::new("AVG", "its argument is not numeric")),
    }
}

fn integers<T: ArrowPrimitiveType>(result: LogicalType) -> Box<dyn GroupsAccumulator>
where
    T::Native: Into<i64> + TryFrom<i64>,
{
    let values = PhantomData::<fn(T)>;
    Box::new(Totals::new(IntegerMean { result, values }))
}

fn floats<T: ArrowPrimitiveType>(result: LogicalType) -> Box<dyn GroupsAccumulator>
where
    T::Native: Into<f64>,
{
    let values = PhantomData::<fn(T)>;
    Box::new(Totals::new(FloatMean { result, values }))
}

/// Mean of integers: the sum is a BIGINT that wraps around.
struct IntegerMean<T> {
    result: LogicalType,
    values: PhantomData<fn(T)>,
}

impl<T> Summing for IntegerMean<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64> + TryFrom<i64>,
{
    type Value = T;
    type Sum = i64;
    type Stored = Int64Type;
    const NAME: &'static str = "AVG";
    const CAN_UNMERGE: bool = true;

    fn empty() -> i64 {
        0
    }

    fn add(sum: &mut i64, value: T::Native) {
        *sum = sum.wrapping_add(value.into());
    }

    fn subtract(sum: &mut i64, value: T::Native) {
        *sum = sum.wrapping_sub(value.into());
    }

    fn stored_type(&self) -> LogicalType {
        LogicalType::not_null(TypeKind::BigInt)
    }

    fn stored(sum: i64) -> Option<i64> {
        Some(sum)
    }

    fn merge(sum: &mut i64, other: Option<i64>) {
        *sum = sum.wrapping_add(other.unwrap_or(0));
    }

    fn unmerge(sum: &mut i64, other: Option<i64>) {
        *sum = sum.wrapping_sub(other.unwrap_or(0));
    }

    fn results(&self, totals: impl Iterator<Item = Total<i64>>) -> ArrayRef {
        // The mean of values of a type fits the type: the sum wraps around only for BIGINT.
        let mean = |total: Total<i64>| match total.count {
            0 => None,
            count => T::Native::try_from(total.sum.wrapping_div(count)).ok(),
        };
        Arc::new(column_of::<T>(&self.result, totals.map(mean)))
    }
}

/// Mean of FLOAT or DOUBLE: the sum is a DOUBLE.
struct FloatMean<T> {
    result: LogicalType,
    values: PhantomData<fn(T)>,
}

impl<T> Summing for FloatMean<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    type Value = T;
    type Sum = f64;
    type Stored = Float64Type;
    const NAME: &'static str = "AVG";

    fn empty() -> f64 {
        0.0
    }

    fn add(sum: &mut f64, value: T::Native) {
        *sum += value.into();
    }

    fn subtract(sum: &mut f64, value: T::Native) {
        *sum -= value.into();
    }

    fn stored_type(&self) -> LogicalType {
        LogicalType::not_null(TypeKind::Double)
    }

    fn stored(sum: f64) -> Option<f64> {
        Some(sum)
    }

    fn merge(sum: &mut f64, other: Option<f64>) {
        *sum += other.unwrap_or(0.0);
    }

    fn results(&self, totals: impl Iterator<Item = Total<f64>>) -> ArrayRef {
        let means = totals.map(|total| (total.count != 0).then(|| total.sum / total.count as f64));
        if self.result.kind == TypeKind::Float {
            let means = means.map(|mean| mean.map(|mean| mean as f32));
            return Arc::new(column_of::<Float32Type>(&self.result, means));
        }
        Arc::new(column_of::<Float64Type>(&self.result, means))
    }
}

struct DecimalMean {
    /// Digits behind the point of the values.
    scale: u8,
    result: LogicalType,
}

impl DecimalMean {
    /// The quotient with the result's scale, rounded half away from zero.
    fn mean(&self, total: Total<Option<i128>>) -> Option<i128> {
        let sum = total.sum?;
        if total.count == 0 {
            return None;
        }
        let TypeKind::Decimal { scale, .. } = self.result.kind else {
            return None;
        };
        let factor = 10i128.pow(u32::from(scale.saturating_sub(self.scale)));
        let count = i128::from(total.count);
        let (quotient, remainder) = (sum / count, sum % count);
        // The remainder is below 2^63 and the factor at most 10^6, so their product fits.
        let scaled = remainder * factor;
        let half = (2 * (scaled % count)).abs() >= count.abs();
        let away = if half { scaled.signum() * count.signum() } else { 0 };
        fit_decimal(
            quotient
                .checked_mul(factor)
                .and_then(|q| q.checked_add(scaled / count + away)),
        )
    }
}

/// The sum is `None` from its first overflow on.
impl Summing for DecimalMean {
    type Value = Decimal128Type;
    type Sum = Option<i128>;
    type Stored = Decimal128Type;
    const NAME: &'static str = "AVG";

    fn empty() -> Option<i128> {
        Some(0)
    }

    fn add(sum: &mut Option<i128>, value: i128) {
        *sum = fit_decimal(sum.and_then(|sum| sum.checked_add(value)));
    }

    fn subtract(sum: &mut Option<i128>, value: i128) {
        *sum = fit_decimal(sum.and_then(|sum| sum.checked_sub(value)));
    }

    fn stored_type(&self) -> LogicalType {
        LogicalType::decimal(MAX_DECIMAL_PRECISION, self.scale)
    }

    fn stored(sum: Option<i128>) -> Option<i128> {
        sum
    }

    fn merge(sum: &mut Option<i128>, other: Option<i128>) {
        *sum = fit_decimal(sum.zip(other).and_then(|(a, b)| a.checked_add(b)));
    }

    fn results(&self, totals: impl Iterator<Item = Total<Option<i128>>>) -> ArrayRef {
        let means = totals.map(|total| self.mean(total));
        Arc::new(column_of::<Decimal128Type>(&self.result, means))
    }
}
