//! VAR_POP, VAR_SAMP, STDDEV_POP, STDDEV_SAMP, by Welford's update: count, mean and sum of squared distances.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array};
use millstream_types::{LogicalType, TypeKind};

use super::avg::mean_type;
use super::rows::{arg, column_of, defect, each_change, primitive};
use super::signatures::{as_given, one_numeric};
use super::sum::fit_decimal;
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;

pub const FUNCTIONS: &[AggregateFunction] = &[
    AggregateFunction {
        name: "VAR_POP",
        aliases: &[],
        syntax: "VAR_POP([DISTINCT] value)",
        doc: "Population variance (the mean squared distance from the mean), in the type of AVG(value).",
        window_only: false,
        constant_args: &[],
        signature: |args| Ok(as_given(args, mean_type(one_numeric("VAR_POP", args)?))),
        accumulator: |args| accumulator(args, false, false),
    },
    AggregateFunction {
        name: "VAR_SAMP",
        aliases: &["VARIANCE"],
        syntax: "VAR_SAMP([DISTINCT] value)",
        doc: "Sample variance, in the type of AVG(value); NULL for fewer than two values, \
              or -1 where the result is NOT NULL.",
        window_only: false,
        constant_args: &[],
        signature: |args| Ok(as_given(args, sample_type(one_numeric("VAR_SAMP", args)?))),
        accumulator: |args| accumulator(args, true, false),
    },
    AggregateFunction {
        name: "STDDEV_POP",
        aliases: &[],
        syntax: "STDDEV_POP([DISTINCT] value)",
        doc: "Population standard deviation, in the type of AVG(value).",
        window_only: false,
        constant_args: &[],
        signature: |args| Ok(as_given(args, mean_type(one_numeric("STDDEV_POP", args)?))),
        accumulator: |args| accumulator(args, false, true),
    },
    AggregateFunction {
        name: "STDDEV_SAMP",
        aliases: &["STDDEV"],
        syntax: "STDDEV_SAMP([DISTINCT] value)",
        doc: "Sample standard deviation, in the type of AVG(value); NULL for fewer than two values, \
              or -1 where the result is NOT NULL.",
        window_only: false,
        constant_args: &[],
        signature: |args| Ok(as_given(args, sample_type(one_numeric("STDDEV_SAMP", args)?))),
        accumulator: |args| accumulator(args, true, true),
    },
];

/// NOT NULL if the values are, as in Flink, whose generated code then writes [`ABSENT`] for NULL; a DECIMAL, which it would
/// fail to write, may be NULL here.
fn sample_type(value: &LogicalType) -> LogicalType {
    let mean = mean_type(value);
    let is_decimal = matches!(mean.kind, TypeKind::Decimal { .. });
    let nullable = mean.nullable || is_decimal;
    mean.with_nullable(nullable)
}

/// What stands for NULL in a number that is NOT NULL: the initial value of a variable in Flink's generated code.
const ABSENT: f64 = -1.0;

fn accumulator(args: &AccumulatorArgs<'_>, sample: bool, root: bool) -> Box<dyn GroupsAccumulator> {
    Box::new(Variance {
        slots: Vec::new(),
        sample,
        root,
        result: args.result.clone(),
    })
}

#[derive(Clone, Copy, Default)]
struct Slot {
    count: i64,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Slot {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    fn subtract(&mut self, value: f64) {
        if self.count <= 1 {
            *self = Self {
                count: self.count - 1,
                ..Self::default()
            };
            return;
        }
        self.count -= 1;
        let distance = value - self.mean;
        self.mean -= distance / self.count as f64;
        self.squares = (self.squares - distance * (value - self.mean)).max(0.0);
    }

    fn merge(&mut self, other: Self) {
        if self.count == 0 || other.count == 0 {
            *self = if self.count == 0 { other } else { *self };
            return;
        }
        let count = self.count + other.count;
        let distance = other.mean - self.mean;
        let (a, b) = (self.count as f64, other.count as f64);
        self.squares += other.squares + distance * distance * a * b / count as f64;
        self.mean += distance * b / count as f64;
        self.count = count;
    }
}

struct Variance {
    slots: Vec<Slot>,
    /// Divides by count − 1.
    sample: bool,
    /// Standard deviation.
    root: bool,
    result: LogicalType,
}

impl Variance {
    fn value(&self, slot: Slot) -> Option<f64> {
        let divisor = if self.sample { slot.count - 1 } else { slot.count };
        if slot.count <= 0 || divisor <= 0 {
            return (slot.count > 0 && !self.result.nullable).then_some(ABSENT);
        }
        let variance = slot.squares / divisor as f64;
        Some(if self.root { variance.sqrt() } else { variance })
    }
}

impl GroupsAccumulator for Variance {
    fn resize(&mut self, groups: usize) {
        self.slots.resize(groups.max(self.slots.len()), Slot::default());
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let values = as_doubles("VARIANCE", arg("VARIANCE", args, 0)?)?;
        each_change(
            &mut self.slots,
            groups,
            &values,
            retract,
            |slots, group, row| slots[group].add(values.value(row)),
            |slots, group, row| slots[group].subtract(values.value(row)),
        );
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        let double = LogicalType::not_null(TypeKind::Double);
        vec![LogicalType::not_null(TypeKind::BigInt), double.clone(), double]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let slots = || groups.iter().map(|group| self.slots[*group as usize]);
        Ok(vec![
            Arc::new(Int64Array::from_iter_values(slots().map(|slot| slot.count))),
            Arc::new(Float64Array::from_iter_values(slots().map(|slot| slot.mean))),
            Arc::new(Float64Array::from_iter_values(slots().map(|slot| slot.squares))),
        ])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let counts = primitive::<Int64Type>("VARIANCE", arg("VARIANCE", state, 0)?)?.values();
        let means = primitive::<Float64Type>("VARIANCE", arg("VARIANCE", state, 1)?)?.values();
        let squares = primitive::<Float64Type>("VARIANCE", arg("VARIANCE", state, 2)?)?.values();
        for (row, group) in groups.iter().enumerate() {
            let other = Slot {
                count: counts[row],
                mean: means[row],
                squares: squares[row],
            };
            self.slots[*group as usize].merge(other);
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let values = groups.iter().map(|group| self.value(self.slots[*group as usize]));
        from_doubles(&self.result, values)
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.slots[*group as usize] = Slot::default());
    }

    fn memory_size(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}

/// A numeric column as DOUBLE.
pub(super) fn as_doubles(function: &str, array: &ArrayRef) -> Result<Float64Array, EvalError> {
    use arrow_schema::DataType;
    Ok(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().unary(f64::from),
        DataType::Int16 => array.as_primitive::<Int16Type>().unary(f64::from),
        DataType::Int32 => array.as_primitive::<Int32Type>().unary(f64::from),
        DataType::Int64 => array.as_primitive::<Int64Type>().unary(|v| v as f64),
        DataType::Float32 => array.as_primitive::<Float32Type>().unary(f64::from),
        DataType::Float64 => array.as_primitive::<Float64Type>().clone(),
        DataType::Decimal128(_, scale) => {
            let divisor = 10f64.powi(i32::from(*scale));
            array
                .as_primitive::<Decimal128Type>()
                .unary(|v| v as f64 / divisor)
        }
        other => {
            return Err(defect(
                function,
                format!("expected a numeric column, found {other}"),
            ));
        }
    })
}

/// A column of the numeric type `ty`: integers are cut towards zero, decimals rounded.
fn from_doubles(ty: &LogicalType, values: impl Iterator<Item = Option<f64>>) -> Result<ArrayRef, EvalError> {
    Ok(match ty.kind {
        TypeKind::TinyInt => Arc::new(column_of::<Int8Type>(ty, values.map(|v| v.map(|v| v as i8)))),
        TypeKind::SmallInt => Arc::new(column_of::<Int16Type>(ty, values.map(|v| v.map(|v| v as i16)))),
        TypeKind::Int => Arc::new(column_of::<Int32Type>(ty, values.map(|v| v.map(|v| v as i32)))),
        TypeKind::BigInt => Arc::new(column_of::<Int64Type>(ty, values.map(|v| v.map(|v| v as i64)))),
        TypeKind::Float => Arc::new(column_of::<Float32Type>(ty, values.map(|v| v.map(|v| v as f32)))),
        TypeKind::Double => Arc::new(column_of::<Float64Type>(ty, values)),
        TypeKind::Decimal { scale, .. } => {
            let factor = 10f64.powi(i32::from(scale));
            let unscaled = |v: f64| fit_decimal(Some((v * factor).round() as i128));
            Arc::new(column_of::<Decimal128Type>(
                ty,
                values.map(|v| v.and_then(unscaled)),
            ))
        }
        _ => return Err(defect("VARIANCE", format!("{ty} is not a numeric result"))),
    })
}
