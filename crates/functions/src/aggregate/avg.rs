//! AVG: integers stay integers (truncated), DECIMAL gains at least 6 digits behind the point, floats add up as DOUBLE.

use std::sync::Arc;

use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, Float64Array, Int64Array};
use millstream_types::logical_type::MAX_DECIMAL_PRECISION;
use millstream_types::{LogicalType, TypeKind};

use super::rows::{arg, column_of, each_change, primitive};
use super::signatures::{as_given, one_numeric};
use super::sum::fit_decimal;
use super::window_only::Unavailable;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;

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
        TypeKind::TinyInt => Box::new(IntegerMean::<Int8Type>::new(result)),
        TypeKind::SmallInt => Box::new(IntegerMean::<Int16Type>::new(result)),
        TypeKind::Int => Box::new(IntegerMean::<Int32Type>::new(result)),
        TypeKind::BigInt => Box::new(IntegerMean::<Int64Type>::new(result)),
        TypeKind::Float => Box::new(FloatMean::<Float32Type>::new(result)),
        TypeKind::Double => Box::new(FloatMean::<Float64Type>::new(result)),
        TypeKind::Decimal { scale, .. } => Box::new(DecimalMean {
            slots: Vec::new(),
            scale,
            result,
        }),
        _ => Box::new(Unavailable::new("AVG", "its argument is not numeric")),
    }
}

/// Sum and number of values.
#[derive(Clone, Copy, Default)]
struct Slot<S> {
    sum: S,
    count: i64,
}

/// Mean of integers: the sum is a BIGINT that wraps around.
struct IntegerMean<T> {
    slots: Vec<Slot<i64>>,
    result: LogicalType,
    input: std::marker::PhantomData<fn(T)>,
}

impl<T> IntegerMean<T> {
    fn new(result: LogicalType) -> Self {
        Self {
            slots: Vec::new(),
            result,
            input: std::marker::PhantomData,
        }
    }
}

impl<T> GroupsAccumulator for IntegerMean<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64> + TryFrom<i64>,
{
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups.max(self.slots.len()), Slot::default());
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let array = primitive::<T>("AVG", arg("AVG", args, 0)?)?;
        let values = array.values();
        each_change(
            &mut self.slots,
            groups,
            array,
            retract,
            |slots, group, row| {
                let slot = &mut slots[group];
                slot.sum = slot.sum.wrapping_add(values[row].into());
                slot.count += 1;
            },
            |slots, group, row| {
                let slot = &mut slots[group];
                slot.sum = slot.sum.wrapping_sub(values[row].into());
                slot.count -= 1;
            },
        );
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![LogicalType::not_null(TypeKind::BigInt); 2]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let slots = || groups.iter().map(|group| self.slots[*group as usize]);
        Ok(vec![
            Arc::new(Int64Array::from_iter_values(slots().map(|slot| slot.sum))),
            Arc::new(Int64Array::from_iter_values(slots().map(|slot| slot.count))),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let sums = primitive::<Int64Type>("AVG", arg("AVG", state, 0)?)?.values();
        let counts = primitive::<Int64Type>("AVG", arg("AVG", state, 1)?)?.values();
        for ((group, sum), count) in groups.iter().zip(sums).zip(counts) {
            let slot = &mut self.slots[*group as usize];
            slot.sum = slot.sum.wrapping_add(*sum);
            slot.count += count;
        }
        Ok(())
    }

    fn can_unmerge(&self) -> bool {
        true
    }

    fn unmerge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let sums = primitive::<Int64Type>("AVG", arg("AVG", state, 0)?)?.values();
        let counts = primitive::<Int64Type>("AVG", arg("AVG", state, 1)?)?.values();
        for ((group, sum), count) in groups.iter().zip(sums).zip(counts) {
            let slot = &mut self.slots[*group as usize];
            slot.sum = slot.sum.wrapping_sub(*sum);
            slot.count -= count;
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let mean = |group: &u32| {
            let slot = self.slots[*group as usize];
            // The mean of values of a type fits the type: the sum wraps around only for BIGINT.
            if slot.count == 0 {
                None
            } else {
                T::Native::try_from(slot.sum.wrapping_div(slot.count)).ok()
            }
        };
        Ok(Arc::new(column_of::<T>(&self.result, groups.iter().map(mean))))
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.slots[*group as usize] = Slot::default());
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<i64>>()
    }
}

/// Mean of FLOAT or DOUBLE: the sum is a DOUBLE.
struct FloatMean<T> {
    slots: Vec<Slot<f64>>,
    result: LogicalType,
    input: std::marker::PhantomData<fn(T)>,
}

impl<T> FloatMean<T> {
    fn new(result: LogicalType) -> Self {
        Self {
            slots: Vec::new(),
            result,
            input: std::marker::PhantomData,
        }
    }
}

impl<T> GroupsAccumulator for FloatMean<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups.max(self.slots.len()), Slot::default());
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let array = primitive::<T>("AVG", arg("AVG", args, 0)?)?;
        let values = array.values();
        each_change(
            &mut self.slots,
            groups,
            array,
            retract,
            |slots, group, row| {
                slots[group].sum += values[row].into();
                slots[group].count += 1;
            },
            |slots, group, row| {
                slots[group].sum -= values[row].into();
                slots[group].count -= 1;
            },
        );
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![
            LogicalType::not_null(TypeKind::Double),
            LogicalType::not_null(TypeKind::BigInt),
        ]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let slots = || groups.iter().map(|group| self.slots[*group as usize]);
        Ok(vec![
            Arc::new(Float64Array::from_iter_values(slots().map(|slot| slot.sum))),
            Arc::new(Int64Array::from_iter_values(slots().map(|slot| slot.count))),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let sums = primitive::<Float64Type>("AVG", arg("AVG", state, 0)?)?.values();
        let counts = primitive::<Int64Type>("AVG", arg("AVG", state, 1)?)?.values();
        for ((group, sum), count) in groups.iter().zip(sums).zip(counts) {
            let slot = &mut self.slots[*group as usize];
            slot.sum += sum;
            slot.count += count;
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let mean = |group: &u32| {
            let slot = self.slots[*group as usize];
            (slot.count != 0).then(|| slot.sum / slot.count as f64)
        };
        let means = groups.iter().map(mean);
        if self.result.kind == TypeKind::Float {
            return Ok(Arc::new(column_of::<Float32Type>(
                &self.result,
                means.map(|m| m.map(|m| m as f32)),
            )));
        }
        Ok(Arc::new(column_of::<Float64Type>(&self.result, means)))
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.slots[*group as usize] = Slot::default());
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<f64>>()
    }
}

/// Sum and number of decimals; the sum is `None` from its first overflow on.
#[derive(Clone, Copy)]
struct DecimalSlot {
    sum: Option<i128>,
    count: i64,
}

const DECIMAL_EMPTY: DecimalSlot = DecimalSlot {
    sum: Some(0),
    count: 0,
};

struct DecimalMean {
    slots: Vec<DecimalSlot>,
    /// Digits behind the point of the values.
    scale: u8,
    result: LogicalType,
}

impl DecimalMean {
    /// The quotient with the result's scale, rounded half away from zero.
    fn mean(&self, slot: DecimalSlot) -> Option<i128> {
        let sum = slot.sum?;
        if slot.count == 0 {
            return None;
        }
        let TypeKind::Decimal { scale, .. } = self.result.kind else {
            return None;
        };
        let factor = 10i128.pow(u32::from(scale.saturating_sub(self.scale)));
        let count = i128::from(slot.count);
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

impl GroupsAccumulator for DecimalMean {
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups.max(self.slots.len()), DECIMAL_EMPTY);
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let array = primitive::<Decimal128Type>("AVG", arg("AVG", args, 0)?)?;
        let values = array.values();
        each_change(
            &mut self.slots,
            groups,
            array,
            retract,
            |slots, group, row| {
                let slot = &mut slots[group];
                slot.sum = fit_decimal(slot.sum.and_then(|sum| sum.checked_add(values[row])));
                slot.count += 1;
            },
            |slots, group, row| {
                let slot = &mut slots[group];
                slot.sum = fit_decimal(slot.sum.and_then(|sum| sum.checked_sub(values[row])));
                slot.count -= 1;
            },
        );
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![
            LogicalType::decimal(MAX_DECIMAL_PRECISION, self.scale),
            LogicalType::not_null(TypeKind::BigInt),
        ]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let slots = || groups.iter().map(|group| self.slots[*group as usize]);
        let ty = LogicalType::decimal(MAX_DECIMAL_PRECISION, self.scale);
        let sums = column_of::<Decimal128Type>(&ty, slots().map(|slot| slot.sum));
        Ok(vec![
            Arc::new(sums),
            Arc::new(Int64Array::from_iter_values(slots().map(|slot| slot.count))),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let sums = primitive::<Decimal128Type>("AVG", arg("AVG", state, 0)?)?;
        let counts = primitive::<Int64Type>("AVG", arg("AVG", state, 1)?)?.values();
        for (row, (group, count)) in groups.iter().zip(counts).enumerate() {
            let slot = &mut self.slots[*group as usize];
            let other = sums.is_valid(row).then(|| sums.value(row));
            slot.sum = fit_decimal(slot.sum.zip(other).and_then(|(a, b)| a.checked_add(b)));
            slot.count += count;
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let means = groups.iter().map(|group| self.mean(self.slots[*group as usize]));
        Ok(Arc::new(column_of::<Decimal128Type>(&self.result, means)))
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.slots[*group as usize] = DECIMAL_EMPTY);
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity() * size_of::<DecimalSlot>()
    }
}
