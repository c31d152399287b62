//! PERCENTILE: exact percentiles with linear interpolation between neighbours.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use millstream_types::{LogicalType, Scalar, TypeKind};

use super::collect::{CountedValues, delegate_to_counts};
use super::rows::{arg, each_valid, primitive};
use super::signatures::{check_count, refuse};
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::cast::to_double;
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[AggregateFunction {
    name: "PERCENTILE",
    aliases: &[],
    syntax: "PERCENTILE(value, percentage [, frequency])",
    doc: "The exact percentile of the values that are not NULL, between neighbours by their distance; percentage is a \
          constant from 0 to 1, an array of percentages gives an array. frequency is the weight of a value.",
    window_only: false,
    constant_args: &[1],
    signature,
    accumulator,
}];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("PERCENTILE", args, 2..=3)?;
    let several = match &args[1].ty.kind {
        TypeKind::Array(element) => element.is_numeric(),
        _ => false,
    };
    let fits = args[0].ty.is_numeric()
        && (several || args[1].ty.is_numeric())
        && args.get(2).is_none_or(|frequency| frequency.ty.is_integer());
    if !fits {
        return Err(refuse(
            "PERCENTILE",
            args,
            "PERCENTILE(<NUMERIC>, <NUMERIC> | <ARRAY<NUMERIC>>, <INTEGER>)",
        ));
    }
    let constant = args[1]
        .literal
        .and_then(|value| percentages_of(value, args[1].ty));
    if constant.is_none() {
        return Err(SignatureError::Other(
            "the percentage of PERCENTILE must be a constant from 0.0 to 1.0, or an array of such constants"
                .to_owned(),
        ));
    }
    let percentage = if several {
        LogicalType::array(LogicalType::DOUBLE)
    } else {
        LogicalType::DOUBLE
    };
    let mut types = vec![LogicalType::DOUBLE, percentage.clone(), LogicalType::BIGINT];
    types.truncate(args.len());
    Ok(Signature {
        args: types,
        result: percentage,
    })
}

/// The percentages of a constant, if all are numbers from 0 to 1.
fn percentages_of(value: &Scalar, ty: &LogicalType) -> Option<Vec<f64>> {
    if let (Scalar::Array(items), TypeKind::Array(element)) = (value, &ty.kind) {
        let one = |item: &Scalar| percentages_of(item, element)?.first().copied();
        return items.iter().map(one).collect();
    }
    let number = match (value, &ty.kind) {
        (Scalar::Double(v), _) => *v,
        (Scalar::Float(v), _) => f64::from(*v),
        (Scalar::Decimal(v), TypeKind::Decimal { scale, .. }) => to_double(*v, *scale),
        (other, _) => other.as_i64()? as f64,
    };
    (0.0..=1.0).contains(&number).then(|| vec![number])
}

fn accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    let percentages = args
        .parameters
        .first()
        .and_then(|value| percentages_of(value, args.result));
    Box::new(Percentile {
        counts: CountedValues::new("PERCENTILE", &[LogicalType::DOUBLE]),
        percentages: percentages.unwrap_or_default(),
        several: matches!(args.result.kind, TypeKind::Array(_)),
    })
}

struct Percentile {
    counts: CountedValues,
    /// Constants of the call, so that no group has to keep them.
    percentages: Vec<f64>,
    /// The result is an array.
    several: bool,
}

impl Percentile {
    /// The values with their counts, ascending, as far as they are there.
    fn sorted(&self, group: u32) -> Result<Vec<(f64, i64)>, EvalError> {
        let (bytes, counts): (Vec<&[u8]>, Vec<i64>) = self.counts.present(group).unzip();
        let columns = self.counts.codec().decode(bytes.into_iter())?;
        let values = columns.first().and_then(|c| c.as_primitive_opt::<Float64Type>());
        Ok(values
            .map(|v| v.values().iter().copied().zip(counts).collect())
            .unwrap_or_default())
    }
}

/// The value at a percentage: between the two neighbours of its position, by distance.
fn percentile(sorted: &[(f64, i64)], percentage: f64) -> Option<f64> {
    let total: i64 = sorted.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return None;
    }
    // Positions count from 1, as in Flink: the last digits of the result depend on it.
    let position = 1.0 + percentage * (total - 1) as f64;
    let (lower, upper) = (position.floor() as i64, position.ceil() as i64);
    let at = |index: i64| {
        let mut before = 0;
        let entry = sorted.iter().find(|(_, count)| {
            before += count;
            index <= before
        });
        entry.map(|(value, _)| *value)
    };
    let (low, high) = (at(lower)?, at(upper)?);
    if lower == upper || low == high {
        return Some(low);
    }
    Some((upper as f64 - position) * low + (position - lower as f64) * high)
}

impl GroupsAccumulator for Percentile {
    delegate_to_counts!();

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let frequency = match args.get(1) {
            Some(column) => Some(primitive::<Int64Type>("PERCENTILE", column)?.clone()),
            None => None,
        };
        let values = arg("PERCENTILE", args, 0)?;
        let rows = self.counts.codec().encode(std::slice::from_ref(values))?;
        let counts = &mut self.counts;
        each_valid(groups, values.as_ref() as &dyn Array, |group, row| {
            let times = frequency
                .as_ref()
                .map_or(1, |f| if f.is_valid(row) { f.value(row).max(0) } else { 0 });
            let by = if retract.is_some_and(|r| r[row]) {
                -times
            } else {
                times
            };
            counts.change(group, rows.row(row).data(), by);
        });
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let mut values: Vec<Option<f64>> = Vec::with_capacity(groups.len() * self.percentages.len());
        let mut lengths = Vec::with_capacity(groups.len());
        for group in groups {
            let sorted = self.sorted(*group)?;
            let before = values.len();
            if self.several && sorted.is_empty() {
                lengths.push(0);
                continue;
            }
            values.extend(self.percentages.iter().map(|p| percentile(&sorted, *p)));
            if !self.several && values.len() == before {
                values.push(None);
            }
            lengths.push(values.len() - before);
        }
        let items = Float64Array::from(values);
        if !self.several {
            return Ok(Arc::new(items));
        }
        let nulls = arrow_buffer::NullBuffer::from_iter(lengths.iter().map(|n| *n > 0));
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let field = Arc::new(Field::new("item", DataType::Float64, true));
        Ok(Arc::new(ListArray::new(
            field,
            OffsetBuffer::from_lengths(lengths),
            Arc::new(items),
            nulls,
        )))
    }
}
