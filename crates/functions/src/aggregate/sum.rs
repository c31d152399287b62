//! SUM, and the SUM that is 0 without rows.
//!
//! Integers keep their type and wrap around on overflow; a DECIMAL sum has 38 digits and becomes NULL when it needs
//! more, after which the next value starts a new sum, as in Flink.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow_array::{ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType};
use millstream_types::logical_type::MAX_DECIMAL_PRECISION;
use millstream_types::{LogicalType, TypeKind};

use super::rows::column_of;
use super::signatures::{as_given, one_numeric};
use super::totals::{Summing, Total, Totals};
use super::window_only::Unavailable;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[
    AggregateFunction {
        name: "SUM",
        aliases: &[],
        syntax: "SUM([DISTINCT] value)",
        doc: "Sum of the values that are not NULL, in the type of value (DECIMAL: 38 digits); NULL without such values. \
              Integers wrap around on overflow, a DECIMAL sum becomes NULL.",
        window_only: false,
        constant_args: &[],
        signature: |args| Ok(as_given(args, sum_type(one_numeric("SUM", args)?))),
        accumulator: |args| accumulator(args, false),
    },
    AggregateFunction {
        name: "$SUM0",
        aliases: &[],
        syntax: "$SUM0(value)",
        doc: "SUM that is 0 instead of NULL without values. Made by rules of the planner, not for SQL text.",
        window_only: false,
        constant_args: &[],
        signature: zero_signature,
        accumulator: |args| accumulator(args, true),
    },
];

fn zero_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    Ok(as_given(
        args,
        sum_type(one_numeric("$SUM0", args)?).with_nullable(false),
    ))
}

fn sum_type(ty: &LogicalType) -> LogicalType {
    match ty.kind {
        TypeKind::Decimal { scale, .. } => LogicalType {
            kind: TypeKind::Decimal {
                precision: MAX_DECIMAL_PRECISION,
                scale,
            },
            nullable: ty.nullable,
        },
        _ => ty.clone(),
    }
}

fn accumulator(args: &AccumulatorArgs<'_>, zero: bool) -> Box<dyn GroupsAccumulator> {
    let result = args.result.clone();
    match args.arg_types.first().map(|ty| &ty.kind) {
        Some(TypeKind::TinyInt) => numbers::<Int8Type>(result, zero),
        Some(TypeKind::SmallInt) => numbers::<Int16Type>(result, zero),
        Some(TypeKind::Int) => numbers::<Int32Type>(result, zero),
        Some(TypeKind::BigInt) => numbers::<Int64Type>(result, zero),
        Some(TypeKind::Float) => numbers::<Float32Type>(result, zero),
        Some(TypeKind::Double) => numbers::<Float64Type>(result, zero),
        Some(TypeKind::Decimal { .. }) => Box::new(Totals::new(DecimalSum { result, zero })),
        _ => Box::new(Unavailable::new("SUM", "its argument is not numeric")),
    }
}

fn numbers<T: ArrowPrimitiveType>(result: LogicalType, zero: bool) -> Box<dyn GroupsAccumulator> {
    let values = PhantomData::<fn(T)>;
    Box::new(Totals::new(Sum { result, zero, values }))
}

/// Sum of integers, which wraps around, or of floats.
struct Sum<T> {
    result: LogicalType,
    /// 0 instead of NULL without values.
    zero: bool,
    values: PhantomData<fn(T)>,
}

impl<T: ArrowPrimitiveType> Summing for Sum<T> {
    type Value = T;
    type Sum = T::Native;
    type Stored = T;
    const NAME: &'static str = "SUM";

    /// Negative zero is what floats add to without any trace: the sum of a lone `-0.0` is `-0.0`.
    fn empty() -> T::Native {
        T::Native::ZERO.neg_wrapping()
    }

    fn add(sum: &mut T::Native, value: T::Native) {
        *sum = sum.add_wrapping(value);
    }

    fn subtract(sum: &mut T::Native, value: T::Native) {
        *sum = sum.sub_wrapping(value);
    }

    fn stored_type(&self) -> LogicalType {
        self.result.with_nullable(false)
    }

    fn stored(sum: T::Native) -> Option<T::Native> {
        Some(sum)
    }

    fn merge(sum: &mut T::Native, other: Option<T::Native>) {
        *sum = sum.add_wrapping(other.unwrap_or_else(Self::empty));
    }

    fn results(&self, totals: impl Iterator<Item = Total<T::Native>>) -> ArrayRef {
        let value = |total: Total<T::Native>| {
            if total.count != 0 {
                Some(total.sum)
            } else {
                self.zero.then(T::Native::default)
            }
        };
        Arc::new(column_of::<T>(&self.result, totals.map(value)))
    }
}

/// The largest unscaled value of a DECIMAL.
pub(super) const DECIMAL_MAX: i128 = 10i128.pow(MAX_DECIMAL_PRECISION as u32) - 1;

/// A DECIMAL of 38 digits, or `None` if the value needs more.
pub(super) fn fit_decimal(value: Option<i128>) -> Option<i128> {
    value.filter(|v| (-DECIMAL_MAX..=DECIMAL_MAX).contains(v))
}

struct DecimalSum {
    result: LogicalType,
    zero: bool,
}

/// The sum is `None` before the first value, and after an overflow until the next value.
impl Summing for DecimalSum {
    type Value = Decimal128Type;
    type Sum = Option<i128>;
    type Stored = Decimal128Type;
    const NAME: &'static str = "SUM";

    fn empty() -> Option<i128> {
        None
    }

    fn add(sum: &mut Option<i128>, value: i128) {
        *sum = match *sum {
            None => Some(value),
            Some(sum) => fit_decimal(sum.checked_add(value)),
        };
    }

    fn subtract(sum: &mut Option<i128>, value: i128) {
        Self::add(sum, -value);
    }

    fn stored_type(&self) -> LogicalType {
        self.result.with_nullable(true)
    }

    fn stored(sum: Option<i128>) -> Option<i128> {
        sum
    }

    fn merge(sum: &mut Option<i128>, other: Option<i128>) {
        if let Some(other) = other {
            Self::add(sum, other);
        }
    }

    fn results(&self, totals: impl Iterator<Item = Total<Option<i128>>>) -> ArrayRef {
        let value = |total: Total<Option<i128>>| {
            if total.count != 0 {
                total.sum
            } else {
                self.zero.then_some(0)
            }
        };
        Arc::new(column_of::<Decimal128Type>(&self.result, totals.map(value)))
    }
}
