//! OVER windows of a bounded input: all rows are sorted by partition and order at the end.
//!
//! Functions that need the size of the partition are computed here from positions.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, UInt32Array};
use arrow_schema::DataType;
use millstream_dataflow::{Context, DataflowError, Operator, Output, SnapshotScope, StateBlocks};
use millstream_plan::{AggregateCall, SortKey};
use millstream_state::RowBuffer;
use millstream_types::{Batch, Scalar, arrow_type};

use super::frames::{FrameSpec, Frames, Missing};
use super::sliding::{self, Bounds};
use crate::emit::push;
use crate::join::pairs::take_optional;
use crate::owned_rows::restore_owned;
use crate::sort_keys::{SortKeys, key_of};
use crate::window::input::milliseconds;

/// The parameters of OVER windows over a bounded input in a plan.
#[derive(Clone, Debug)]
pub(crate) struct BoundedOverSpec {
    pub types: Vec<DataType>,
    pub partition: Vec<usize>,
    pub order: Vec<SortKey>,
    /// The calls; of the frame only the start counts, and only if it ends with the current row.
    pub frame: FrameSpec,
    /// As in the plan: rows or distance after the current row.
    pub following: Option<i64>,
}

pub(crate) struct BoundedOver {
    spec: BoundedOverSpec,
    rows: RowBuffer,
}

/// Sorted rows, with their partitions and peer groups.
struct Sorted {
    batch: Batch,
    partitions: Vec<u32>,
    /// The number of each row's peer group, ascending.
    runs: Vec<i64>,
}

impl BoundedOver {
    pub(crate) fn new(spec: BoundedOverSpec) -> Result<Self, DataflowError> {
        let positional: Vec<AggregateCall> = spec
            .frame
            .calls
            .iter()
            .filter(|call| !needs_size(call))
            .cloned()
            .collect();
        let frame = FrameSpec {
            calls: positional,
            preceding: None,
            ..spec.frame.clone()
        };
        Frames::new(&frame, &spec.types, &[])?;
        Ok(Self {
            rows: RowBuffer::new(&spec.types),
            spec,
        })
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            rows: self.spec.frame.rows,
            preceding: self.spec.frame.preceding,
            following: self.spec.following,
        }
    }

    /// Whether a call's frame ends elsewhere than at the current row.
    fn slides(&self, call: &AggregateCall) -> bool {
        !self.bounds().ends_at_current_row() && !is_positional(call)
    }

    fn sort(&self, batch: Batch) -> Result<Sorted, DataflowError> {
        let key = |column: &usize| SortKey {
            column: *column,
            ascending: true,
            nulls_first: true,
        };
        let by: Vec<SortKey> = self.spec.partition.iter().map(key).collect();
        let partition_keys = SortKeys::new(&by, &self.spec.types)?;
        let order_keys = SortKeys::new(&self.spec.order, &self.spec.types)?;
        let (partitions, orders) = (
            partition_keys.encode(&batch.columns)?,
            order_keys.encode(&batch.columns)?,
        );
        let partition = |row: u32| key_of(&partitions, &partition_keys, row as usize);
        let order = |row: u32| key_of(&orders, &order_keys, row as usize);
        let mut rows: Vec<u32> = (0..batch.rows as u32).collect();
        rows.sort_by(|a, b| {
            partition(*a)
                .cmp(partition(*b))
                .then_with(|| order(*a).cmp(order(*b)))
        });
        let (mut numbers, mut runs) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        let (mut number, mut run) = (0, 0);
        for (i, row) in rows.iter().enumerate() {
            if i > 0 {
                let same = partition(rows[i - 1]) == partition(*row);
                number += u32::from(!same);
                run += i64::from(!same || order(rows[i - 1]) != order(*row));
            }
            numbers.push(number);
            runs.push(run);
        }
        Ok(Sorted {
            batch: batch.take(&UInt32Array::from(rows))?,
            partitions: numbers,
            runs,
        })
    }

    /// The order column as a number, for RANGE frames with a distance; otherwise peer groups are sufficient.
    fn order_numbers(&self, sorted: &Sorted) -> Result<Vec<i64>, DataflowError> {
        let distances = [self.spec.frame.preceding, self.spec.following];
        let measures = !self.spec.frame.rows && distances.iter().flatten().any(|distance| *distance != 0);
        let Some(key) = self.spec.order.first().filter(|_| measures) else {
            return Ok(sorted.runs.clone());
        };
        let column = &sorted.batch.columns[key.column];
        let numbers: Vec<i64> = match column.data_type() {
            DataType::Int8 => column
                .as_primitive::<Int8Type>()
                .values()
                .iter()
                .map(|v| i64::from(*v))
                .collect(),
            DataType::Int16 => column
                .as_primitive::<Int16Type>()
                .values()
                .iter()
                .map(|v| i64::from(*v))
                .collect(),
            DataType::Int32 => column
                .as_primitive::<Int32Type>()
                .values()
                .iter()
                .map(|v| i64::from(*v))
                .collect(),
            DataType::Int64 => column.as_primitive::<Int64Type>().values().to_vec(),
            DataType::Date32 => {
                let days = column.as_primitive::<Date32Type>().values();
                days.iter().map(|v| i64::from(*v) * 86_400_000).collect()
            }
            _ => milliseconds(column)?.0.to_vec(),
        };
        Ok(if key.ascending {
            numbers
        } else {
            numbers.into_iter().map(i64::wrapping_neg).collect()
        })
    }

    /// The positions of rows in the order; NULLs are further away than any distance.
    fn order_places(&self, sorted: &Sorted) -> Result<Vec<i128>, DataflowError> {
        let numbers = self.order_numbers(sorted)?;
        let nulls = self.spec.order.first().and_then(|key| {
            let column = &sorted.batch.columns[key.column];
            Some((column.logical_nulls()?, key.nulls_first))
        });
        let place = |(row, number): (usize, i64)| match &nulls {
            Some((nulls, true)) if nulls.is_null(row) => i128::MIN / 2,
            Some((nulls, false)) if nulls.is_null(row) => i128::MAX / 2,
            _ => i128::from(number),
        };
        Ok(numbers.into_iter().enumerate().map(place).collect())
    }

    /// Whether the call before this one, over the same window, is a rank: Flink puts CUME_DIST into the group of such a
    /// call, which counts row by row, while a CUME_DIST of its own counts all peers.
    fn is_led_by_rank(&self, place: usize) -> bool {
        let mut before = self.spec.frame.calls[..place].iter().rev();
        before
            .find(|call| call.function != "ROW_NUMBER")
            .is_some_and(is_rank)
    }

    fn results(&self, sorted: &Sorted) -> Result<Vec<ArrayRef>, DataflowError> {
        let calls = &self.spec.frame.calls;
        let (sliding, others): (Vec<AggregateCall>, Vec<AggregateCall>) =
            calls.iter().cloned().partition(|call| self.slides(call));
        let mut sliding = if sliding.is_empty() {
            Vec::new()
        } else {
            let (rows, order) = (&sorted.batch.columns, self.order_places(sorted)?);
            sliding::aggregate(&sliding, self.bounds(), rows, &sorted.partitions, &order)?
        }
        .into_iter();
        let frame = FrameSpec {
            calls: others.into_iter().filter(|call| !needs_size(call)).collect(),
            preceding: self.spec.frame.preceding.filter(|distance| *distance >= 0),
            ..self.spec.frame.clone()
        };
        let mut frames = Frames::new(&frame, &self.spec.types, &[])?;
        frames.resize(sorted.partitions.last().map_or(0, |last| *last as usize + 1));
        let mut framed = frames
            .apply(&sorted.batch, &sorted.partitions, &self.order_numbers(sorted)?)?
            .into_iter();
        let mut columns = Vec::with_capacity(calls.len());
        for (place, call) in calls.iter().enumerate() {
            let column = if needs_size(call) {
                Some(sized(call, self.is_led_by_rank(place), sorted)?)
            } else if self.slides(call) {
                sliding.next()
            } else {
                framed.next()
            };
            columns.push(column.ok_or_else(|| DataflowError::internal("an OVER call has no result"))?);
        }
        Ok(columns)
    }
}

fn is_rank(call: &AggregateCall) -> bool {
    matches!(call.function.as_str(), "RANK" | "DENSE_RANK" | "PERCENT_RANK")
}

/// Functions of a row's position, which ignore the frame.
fn is_positional(call: &AggregateCall) -> bool {
    let by_rank = ["ROW_NUMBER", "RANK", "DENSE_RANK", "LAG"];
    needs_size(call) || by_rank.contains(&call.function.as_str())
}

/// Functions of a row's position within its whole partition.
fn needs_size(call: &AggregateCall) -> bool {
    matches!(
        call.function.as_str(),
        "LEAD" | "NTILE" | "PERCENT_RANK" | "CUME_DIST"
    )
}

/// `by_rows`: CUME_DIST ignores the peers behind a row.
fn sized(call: &AggregateCall, by_rows: bool, sorted: &Sorted) -> Result<ArrayRef, DataflowError> {
    let rows = sorted.partitions.len();
    let end_of =
        |values: &dyn Fn(usize) -> bool, from: usize| (from..rows).find(|i| !values(*i)).unwrap_or(rows);
    let (mut numbers, mut shares, mut places) = (Vec::new(), Vec::new(), Vec::new());
    let mut start = 0;
    while start < rows {
        let end = end_of(&|i| sorted.partitions[i] == sorted.partitions[start], start);
        let size = end - start;
        let mut peers = start;
        // Behind the rows that CUME_DIST counts.
        let mut counted_end = start;
        for row in start..end {
            if sorted.runs[row] != sorted.runs[peers] {
                peers = row;
            }
            match call.function.as_str() {
                "LEAD" => {
                    let offset = call.parameters.first().and_then(Scalar::as_i64).unwrap_or(1);
                    let place = row
                        .checked_add(usize::try_from(offset).unwrap_or(0))
                        .filter(|p| *p < end);
                    places.push(place.map(|p| p as u32));
                }
                "NTILE" => numbers.push(bucket(call, row - start, size)),
                "PERCENT_RANK" if size == 1 => shares.push(0.0),
                "PERCENT_RANK" => shares.push((peers - start) as f64 / (size - 1) as f64),
                _ => {
                    if row == counted_end {
                        let peers_end = || end_of(&|i| sorted.runs[i] == sorted.runs[row], row);
                        counted_end = if by_rows { row + 1 } else { peers_end() };
                    }
                    shares.push((counted_end - start) as f64 / size as f64);
                }
            }
        }
        start = end;
    }
    Ok(match call.function.as_str() {
        "LEAD" => lead(call, sorted, &places)?,
        "NTILE" => Arc::new(Int64Array::from(numbers)),
        _ => Arc::new(Float64Array::from(shares)),
    })
}

/// The bucket of a row; the first buckets get one more row if the size does not divide evenly.
fn bucket(call: &AggregateCall, row: usize, size: usize) -> i64 {
    let buckets = call
        .parameters
        .first()
        .and_then(Scalar::as_i64)
        .unwrap_or(1)
        .max(1) as usize;
    let (small, longer) = (size / buckets, size % buckets);
    let in_longer = longer * (small + 1);
    let bucket = if row < in_longer {
        row / (small + 1)
    } else {
        longer + (row - in_longer) / small.max(1)
    };
    bucket as i64 + 1
}

fn lead(call: &AggregateCall, sorted: &Sorted, places: &[Option<u32>]) -> Result<ArrayRef, DataflowError> {
    let column = call.args.first().and_then(|c| sorted.batch.columns.get(*c));
    let column = column.ok_or_else(|| DataflowError::internal("LEAD has no argument"))?;
    let (default, ty) = (Missing::of(call), arrow_type(&call.result));
    let values = take_optional(std::slice::from_ref(column), places)?.remove(0);
    let missing: Vec<usize> = (0..places.len()).filter(|row| places[*row].is_none()).collect();
    let defaults: Vec<ArrayRef> = missing
        .iter()
        .map(|row| default.value(&sorted.batch, *row, &ty))
        .collect();
    let mut parts: Vec<&dyn Array> = vec![values.as_ref()];
    parts.extend(defaults.iter().map(|part| part.as_ref() as &dyn Array));
    let mut next = 0;
    let mut pick = Vec::with_capacity(places.len());
    for (row, place) in places.iter().enumerate() {
        if place.is_some() {
            pick.push((0, row));
        } else {
            next += 1;
            pick.push((next, 0));
        }
    }
    Ok(arrow_select::interleave::interleave(&parts, &pick)?)
}

impl Operator for BoundedOver {
    fn process(
        &mut self,
        _: usize,
        batch: Batch,
        _: &Context,
        _: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        self.rows.push(&batch, None)?;
        Ok(())
    }

    fn finish(&mut self, context: &Context, out: &mut dyn Output) -> Result<(), DataflowError> {
        let Some(all) = self.rows.take_all()? else {
            return Ok(());
        };
        let sorted = self.sort(all)?;
        let results = self.results(&sorted)?;
        let mut columns = sorted.batch.columns;
        columns.extend(results);
        push(Batch::inserts(columns, sorted.batch.rows), context, out)
    }

    fn snapshot(&mut self, scope: &SnapshotScope) -> Result<StateBlocks, DataflowError> {
        let mut out = StateBlocks::new();
        self.rows.snapshot("rows", scope, &mut out)?;
        Ok(out)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        restore_owned(&mut self.rows, "rows", &blocks, &self.spec.partition, context)
    }

    fn state_bytes(&self) -> usize {
        self.rows.memory_size()
    }
}
