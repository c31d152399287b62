//! COLLECT: the values as a multiset, and counted values for aggregates that need them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_select::take::take;
use millstream_types::java_hash::keys_in_map_order;
use millstream_types::{LogicalType, TypeKind, map_array};

use super::ordered_bytes::{CountedLists, OrderedBytes, counted_list_type, counted_lists};
use super::rows::{arg, defect, each_valid};
use super::signatures::{as_given, check_count};
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[AggregateFunction {
    name: "COLLECT",
    aliases: &[],
    syntax: "COLLECT([DISTINCT] value)",
    doc: "The values that are not NULL as a multiset; empty without such values.",
    window_only: false,
    constant_args: &[],
    signature,
    accumulator,
}];

fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count("COLLECT", args, 1..=1)?;
    let element = args[0].ty.without_time_attribute();
    Ok(as_given(
        args,
        LogicalType::not_null(TypeKind::Multiset(Box::new(element))),
    ))
}

fn accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    Box::new(Collect {
        counts: CountedValues::new("COLLECT", args.arg_types),
        result: args.result.clone(),
    })
}

/// Encoded values of each group with their counts, in the order of the values.
pub(super) struct CountedValues {
    function: &'static str,
    groups: Vec<BTreeMap<Box<[u8]>, i64>>,
    codec: OrderedBytes,
    heap_bytes: usize,
}

/// Bytes of a map entry beside the value's own, roughly.
const ENTRY_BYTES: usize = size_of::<(Box<[u8]>, i64)>();

impl CountedValues {
    pub(super) fn new(function: &'static str, types: &[LogicalType]) -> Self {
        Self {
            function,
            groups: Vec::new(),
            codec: OrderedBytes::new(types),
            heap_bytes: 0,
        }
    }

    pub(super) fn codec(&self) -> &OrderedBytes {
        &self.codec
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.groups
            .resize_with(groups.max(self.groups.len()), BTreeMap::new);
    }

    pub(super) fn change(&mut self, group: usize, value: &[u8], by: i64) {
        let values = &mut self.groups[group];
        if let Some(count) = values.get_mut(value) {
            *count += by;
            if *count == 0 {
                values.remove(value);
                self.heap_bytes -= value.len() + ENTRY_BYTES;
            }
        } else if by != 0 {
            values.insert(value.into(), by);
            self.heap_bytes += value.len() + ENTRY_BYTES;
        }
    }

    /// Counts the rows whose first argument is not NULL.
    pub(super) fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let array = arg(self.function, args, 0)?;
        let rows = self.codec.encode(args)?;
        each_valid(groups, array.as_ref() as &dyn Array, |group, row| {
            let by = if retract.is_some_and(|r| r[row]) { -1 } else { 1 };
            self.change(group, rows.row(row).data(), by);
        });
        Ok(())
    }

    /// The values that are there, with their counts.
    pub(super) fn present(&self, group: u32) -> impl Iterator<Item = (&[u8], i64)> {
        let values = &self.groups[group as usize];
        values
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(value, count)| (value.as_ref(), *count))
    }

    pub(super) fn state_types(&self) -> Vec<LogicalType> {
        vec![counted_list_type(self.codec.types())]
    }

    pub(super) fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let entries = |group: &u32| {
            let values = &self.groups[*group as usize];
            values
                .iter()
                .map(|(value, count)| (value.as_ref(), *count))
                .collect()
        };
        Ok(vec![counted_lists(&self.codec, groups.iter().map(entries))?])
    }

    pub(super) fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let lists = CountedLists::open(self.function, state)?;
        let rows = self.codec.encode(&lists.values)?;
        for (row, group) in groups.iter().enumerate() {
            for entry in lists.range(row) {
                self.change(
                    *group as usize,
                    rows.row(entry).data(),
                    lists.numbers.value(entry),
                );
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            let values = std::mem::take(&mut self.groups[*group as usize]);
            self.heap_bytes -= values.keys().map(|v| v.len() + ENTRY_BYTES).sum::<usize>();
        }
    }

    pub(super) fn memory_size(&self) -> usize {
        self.heap_bytes + self.groups.capacity() * size_of::<BTreeMap<Box<[u8]>, i64>>()
    }
}

/// Implements the parts of [`GroupsAccumulator`] that only pass on to a field `counts`.
macro_rules! delegate_to_counts {
    () => {
        fn resize(&mut self, groups: usize) {
            self.counts.resize(groups);
        }

        fn state_types(&self) -> Vec<LogicalType> {
            self.counts.state_types()
        }

        fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
            self.counts.state(groups)
        }

        fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
            self.counts.merge(groups, state)
        }

        fn clear(&mut self, groups: &[u32]) {
            self.counts.clear(groups);
        }

        fn memory_size(&self) -> usize {
            self.counts.memory_size()
        }
    };
}
pub(super) use delegate_to_counts;

struct Collect {
    counts: CountedValues,
    result: LogicalType,
}

impl GroupsAccumulator for Collect {
    delegate_to_counts!();

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        self.counts.update(groups, args, retract)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let (mut values, mut numbers, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            let before = values.len();
            for (value, count) in self.counts.present(*group) {
                values.push(value);
                numbers.push(i32::try_from(count).unwrap_or(i32::MAX));
            }
            lengths.push(values.len() - before);
        }
        let keys = self.counts.codec().decode(values.into_iter())?.into_iter().next();
        let keys = keys.ok_or_else(|| defect("COLLECT", "a value has one column"))?;
        let mut start = 0;
        let mut order = Vec::with_capacity(numbers.len());
        for length in &lengths {
            order.extend(
                keys_in_map_order(&keys, start..start + length)
                    .into_iter()
                    .map(|row| row as u32),
            );
            start += length;
        }
        let keys = take(&keys, &UInt32Array::from(order.clone()), None)?;
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(
            order.iter().map(|row| numbers[*row as usize]),
        ));
        Ok(map_array(
            &self.result,
            keys,
            numbers,
            OffsetBuffer::from_lengths(lengths),
            None,
        ))
    }
}
