//! SUM, and the SUM that is 0 without rows.
//!
//! Integers keep their type and wrap around on overflow; a DECIMAL sum has 38 digits and becomes NULL when it needs
//! more, after which the next value starts a new sum, as in Flink.

use std::sync::Arc;

use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow_array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, Int64Array};
use millstream_types::logical_type::MAX_DECIMAL_PRECISION;
use millstream_types::{LogicalType, TypeKind};

use super::rows::{arg, column_of, defect, each_change, primitive};
use super::signatures::{as_given, one_numeric};
use super::window_only::Unavailable;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
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
        Some(TypeKind::TinyInt) => Box::new(Sum::<Int8Type>::new(result, zero)),
        Some(TypeKind::SmallInt) => Box::new(Sum::<Int16Type>::new(result, zero)),
        Some(TypeKind::Int) => Box::new(Sum::<Int32Type>::new(result, zero)),
        Some(TypeKind::BigInt) => Box::new(Sum::<Int64Type>::new(result, zero)),
        Some(TypeKind::Float) => Box::new(Sum::<Float32Type>::new(result, zero)),
        Some(TypeKind::Double) => Box::new(Sum::<Float64Type>::new(result, zero)),
        Some(TypeKind::Decimal { .. }) => Box::new(DecimalSum {
            slots: Vec::new(),
            result,
            zero,
        }),
        _ => Box::new(Unavailable::new("SUM", "its argument is not numeric")),
    }
}

/// Sum and number of values, side by side so that a group costs one cache line.
#[derive(Clone, Copy)]
struct Slot<N> {
    sum: N,
    count: i64,
}

impl<N: ArrowNativeTypeOp> Slot<N> {
    /// Negative zero is what floats add to without any trace: the sum of a lone `-0.0` is `-0.0`.
    fn empty() -> Self {
        Self {
            sum: N::ZERO.neg_wrapping(),
            count: 0,
        }
    }
}

struct Sum<T: ArrowPrimitiveType> {
    slots: Vec<Slot<T::Native>>,
    result: LogicalType,
    /// 0 instead of NULL without values.
    zero: bool,
}

impl<T: ArrowPrimitiveType> Sum<T> {
    fn new(result: LogicalType, zero: bool) -> Self {
        Self {
            slots: Vec::new(),
            result,
            zero,
        }
    }
}

impl<T> GroupsAccumulator for Sum<T>
where
    T: ArrowPrimitiveType,
    T::Native: ArrowNativeTypeOp,
{
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups.max(self.slots.len()), Slot::empty());
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let array = primitive::<T>("SUM", arg("SUM", args, 0)?)?;
        let values = array.values();
        each_change(
            &mut self.slots,
            groups,
            array,
            retract,
            |slots, group, row| {
                let slot = &mut slots[group];
                slot.sum = slot.sum.add_wrapping(values[row]);
                slot.count += 1;
            },
            |slots, group, row| {
                let slot = &mut slots[group];
                slot.sum = slot.sum.sub_wrapping(values[row]);
                slot.count -= 1;
            },
        );
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![
            self.result.with_nullable(false),
            LogicalType::not_null(TypeKind::BigInt),
        ]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let slots = || groups.iter().map(|group| self.slots[*group as usize]);
        let sums = column_of::<T>(&self.result, slots().map(|slot| Some(slot.sum)));
        Ok(vec![
            Arc::new(sums),
            Arc::new(Int64Array::from_iter_values(slots().map(|slot| slot.count))),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let sums = primitive::<T>("SUM", arg("SUM", state, 0)?)?.values();
        let counts = primitive::<Int64Type>("SUM", arg("SUM", state, 1)?)?.values();
        for ((group, sum), count) in groups.iter().zip(sums).zip(counts) {
            let slot = &mut self.slots[*group as usize];
            slot.sum = slot.sum.add_wrapping(*sum);
            slot.count += count;
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let value = |group: &u32| {
            let slot = self.slots[*group as usize];
            if slot.count != 0 {
                Some(slot.sum)
            } else {
                self.zero.then(T::Native::default)
            }
        };
        Ok(Arc::new(column_of::<T>(&self.result, groups.iter().map(value))))
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.slots[*group as usize] = Slot::empty());
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<T::Native>>()
    }
}

/// The largest unscaled value of a DECIMAL.
pub(super) const DECIMAL_MAX: i128 = 10i128.pow(MAX_DECIMAL_PRECISION as u32) - 1;

/// A DECIMAL of 38 digits, or `None` if the value needs more.
pub(super) fn fit_decimal(value: Option<i128>) -> Option<i128> {
    value.filter(|v| (-DECIMAL_MAX..=DECIMAL_MAX).contains(v))
}

#[derive(Clone, Copy, Default)]
struct DecimalSlot {
    /// `None`: no value yet, or an overflow since the last one.
    sum: Option<i128>,
    count: i64,
}

impl DecimalSlot {
    fn add(&mut self, value: i128) {
        self.sum = match self.sum {
            None => Some(value),
            Some(sum) => fit_decimal(sum.checked_add(value)),
        };
    }
}

struct DecimalSum {
    slots: Vec<DecimalSlot>,
    result: LogicalType,
    zero: bool,
}

impl GroupsAccumulator for DecimalSum {
    fn resize(&mut self, groups: usize) {
        self.slots
            .resize(groups.max(self.slots.len()), DecimalSlot::default());
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let array = primitive::<Decimal128Type>("SUM", arg("SUM", args, 0)?)?;
        let values = array.values();
        each_change(
            &mut self.slots,
            groups,
            array,
            retract,
            |slots, group, row| {
                slots[group].add(values[row]);
                slots[group].count += 1;
            },
            |slots, group, row| {
                slots[group].add(-values[row]);
                slots[group].count -= 1;
            },
        );
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![
            self.result.with_nullable(true),
            LogicalType::not_null(TypeKind::BigInt),
        ]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let slots = || groups.iter().map(|group| self.slots[*group as usize]);
        let sums = column_of::<Decimal128Type>(&self.result, slots().map(|slot| slot.sum));
        Ok(vec![
            Arc::new(sums),
            Arc::new(Int64Array::from_iter_values(slots().map(|slot| slot.count))),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let sums = primitive::<Decimal128Type>("SUM", arg("SUM", state, 0)?)?;
        let counts = primitive::<Int64Type>("SUM", arg("SUM", state, 1)?)?.values();
        if sums.len() != groups.len() || counts.len() != groups.len() {
            return Err(defect("SUM", "partial results and groups differ in number"));
        }
        for (row, group) in groups.iter().enumerate() {
            let slot = &mut self.slots[*group as usize];
            if sums.is_valid(row) {
                slot.add(sums.value(row));
            }
            slot.count += counts[row];
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let value = |group: &u32| {
            let slot = self.slots[*group as usize];
            if slot.count != 0 {
                slot.sum
            } else {
                self.zero.then_some(0)
            }
        };
        Ok(Arc::new(column_of::<Decimal128Type>(
            &self.result,
            groups.iter().map(value),
        )))
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.slots[*group as usize] = DecimalSlot::default());
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity() * size_of::<DecimalSlot>()
    }
}
