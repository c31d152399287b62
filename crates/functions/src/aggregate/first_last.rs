//! FIRST_VALUE and LAST_VALUE: by order of arrival, leaving NULLs out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow_array::ArrayRef;
use hashbrown::HashMap;
use millstream_types::LogicalType;

use super::min_max::decode_options;
use super::ordered_bytes::{CountedLists, OrderedBytes, counted_list_type, counted_lists};
use super::rows::{arg, each_valid};
use super::signatures::{as_given, check_count};
use super::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::EvalError;
use crate::signature::{ArgInfo, Signature, SignatureError};

pub const FUNCTIONS: &[AggregateFunction] = &[
    AggregateFunction {
        name: "FIRST_VALUE",
        aliases: &[],
        syntax: "FIRST_VALUE(value)",
        doc: "The value that came first, NULLs left out.",
        window_only: false,
        constant_args: &[],
        signature: |args| signature("FIRST_VALUE", args),
        accumulator: accumulator::<false>,
    },
    AggregateFunction {
        name: "LAST_VALUE",
        aliases: &[],
        syntax: "LAST_VALUE(value)",
        doc: "The value that came last, NULLs left out.",
        window_only: false,
        constant_args: &[],
        signature: |args| signature("LAST_VALUE", args),
        accumulator: accumulator::<true>,
    },
];

fn signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_count(function, args, 1..=1)?;
    Ok(as_given(args, args[0].ty.without_time_attribute()))
}

fn accumulator<const LAST: bool>(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    let codec = OrderedBytes::new(args.arg_types);
    if args.retract {
        return Box::new(Arrivals::<LAST> {
            groups: Vec::new(),
            codec,
        });
    }
    Box::new(OneValue::<LAST> {
        slots: Vec::new(),
        codec,
    })
}

/// The value that is kept while rows only come. Empty bytes: no value yet (no value encodes to nothing).
struct OneValue<const LAST: bool> {
    slots: Vec<Vec<u8>>,
    codec: OrderedBytes,
}

impl<const LAST: bool> GroupsAccumulator for OneValue<LAST> {
    fn resize(&mut self, groups: usize) {
        self.slots.resize_with(groups.max(self.slots.len()), Vec::new);
    }

    fn update(&mut self, groups: &[u32], args: &[ArrayRef], _: Option<&[bool]>) -> Result<(), EvalError> {
        let array = arg("FIRST_VALUE", args, 0)?;
        let rows = self.codec.encode(&args[..1])?;
        each_valid(groups, array, |group, row| {
            let slot = &mut self.slots[group];
            if LAST || slot.is_empty() {
                slot.clear();
                slot.extend_from_slice(rows.row(row).data());
            }
        });
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        self.codec
            .types()
            .iter()
            .map(|ty| ty.with_nullable(true))
            .collect()
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        self.update(groups, state, None)
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let held =
            |group: &u32| Some(self.slots[*group as usize].as_slice()).filter(|bytes| !bytes.is_empty());
        decode_options(&self.codec, &groups.iter().map(held).collect::<Vec<_>>())
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.slots[*group as usize].clear());
    }

    fn memory_size(&self) -> usize {
        self.slots
            .iter()
            .map(|slot| slot.capacity() + size_of::<Vec<u8>>())
            .sum()
    }
}

/// The values of a group by arrival; a retraction removes the oldest equal value.
#[derive(Default)]
struct ArrivalOrder {
    by_number: BTreeMap<u64, Arc<[u8]>>,
    numbers: HashMap<Arc<[u8]>, VecDeque<u64>, foldhash::fast::FixedState>,
    next: u64,
}

impl ArrivalOrder {
    fn add(&mut self, value: &[u8]) {
        let value: Arc<[u8]> = match self.numbers.get_key_value(value) {
            Some((held, _)) => Arc::clone(held),
            None => value.into(),
        };
        self.numbers
            .entry(Arc::clone(&value))
            .or_default()
            .push_back(self.next);
        self.by_number.insert(self.next, value);
        self.next += 1;
    }

    fn remove(&mut self, value: &[u8]) {
        let Some(numbers) = self.numbers.get_mut(value) else {
            return;
        };
        if let Some(oldest) = numbers.pop_front() {
            self.by_number.remove(&oldest);
        }
        if numbers.is_empty() {
            self.numbers.remove(value);
        }
    }
}

struct Arrivals<const LAST: bool> {
    groups: Vec<ArrivalOrder>,
    codec: OrderedBytes,
}

impl<const LAST: bool> GroupsAccumulator for Arrivals<LAST> {
    fn resize(&mut self, groups: usize) {
        self.groups
            .resize_with(groups.max(self.groups.len()), ArrivalOrder::default);
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let array = arg("FIRST_VALUE", args, 0)?;
        let rows = self.codec.encode(&args[..1])?;
        each_valid(groups, array, |group, row| {
            let value = rows.row(row);
            if retract.is_some_and(|r| r[row]) {
                self.groups[group].remove(value.data());
            } else {
                self.groups[group].add(value.data());
            }
        });
        Ok(())
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![counted_list_type(self.codec.types())]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let entries = |group: &u32| {
            let values = &self.groups[*group as usize].by_number;
            values.values().map(|value| (value.as_ref(), 1)).collect()
        };
        Ok(vec![counted_lists(&self.codec, groups.iter().map(entries))?])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let lists = CountedLists::open("FIRST_VALUE", state)?;
        let rows = self.codec.encode(&lists.values)?;
        for (row, group) in groups.iter().enumerate() {
            for entry in lists.range(row) {
                self.groups[*group as usize].add(rows.row(entry).data());
            }
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        let value = |group: &u32| {
            let values = &self.groups[*group as usize].by_number;
            let entry = if LAST {
                values.last_key_value()
            } else {
                values.first_key_value()
            };
            entry.map(|(_, value)| value.as_ref())
        };
        decode_options(&self.codec, &groups.iter().map(value).collect::<Vec<_>>())
    }

    fn clear(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|group| self.groups[*group as usize] = ArrivalOrder::default());
    }

    fn memory_size(&self) -> usize {
        let entry = size_of::<(u64, Arc<[u8]>)>() + 2 * size_of::<u64>();
        let bytes = |group: &ArrivalOrder| group.by_number.values().map(|v| v.len() + entry).sum::<usize>();
        self.groups.iter().map(bytes).sum::<usize>() + self.groups.capacity() * size_of::<ArrivalOrder>()
    }
}
