//! DISTINCT around any accumulator: a value reaches it when it comes for the first time, and leaves it when its last
//! copy is taken back.

use arrow_array::ArrayRef;
use hashbrown::HashMap;
use millstream_functions::aggregate::ordered_bytes::{
    CountedLists, OrderedBytes, counted_list_type, counted_lists,
};
use millstream_functions::{EvalError, GroupsAccumulator};
use millstream_types::LogicalType;

/// How often a value is there, and when it came first.
#[derive(Clone, Copy, Debug)]
struct Held {
    count: i64,
    number: u64,
}

/// The values of one group.
#[derive(Default)]
struct Values {
    held: HashMap<Box<[u8]>, Held, foldhash::fast::FixedState>,
    next: u64,
    bytes: usize,
}

/// Bytes of a value beside its own: its entry, at the load that a map has on average.
const ENTRY_BYTES: usize = size_of::<(Box<[u8]>, Held)>() * 4 / 3;

/// What a change of a value's count means for the accumulator inside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Nothing,
    Comes,
    Goes,
}

impl Values {
    fn change(&mut self, value: &[u8], by: i64) -> Effect {
        if let Some(held) = self.held.get_mut(value) {
            let before = held.count;
            held.count += by;
            let after = held.count;
            if after == 0 {
                self.held.remove(value);
                self.bytes -= value.len() + ENTRY_BYTES;
            }
            return match (before > 0, after > 0) {
                (false, true) => Effect::Comes,
                (true, false) => Effect::Goes,
                _ => Effect::Nothing,
            };
        }
        self.held.insert(
            value.into(),
            Held {
                count: by,
                number: self.next,
            },
        );
        self.next += 1;
        self.bytes += value.len() + ENTRY_BYTES;
        if by > 0 { Effect::Comes } else { Effect::Nothing }
    }

    /// Values and counts in the order in which they came.
    fn in_order(&self) -> Vec<(&[u8], i64)> {
        // The order of the map does not matter: the entries are sorted by number.
        #[allow(clippy::iter_over_hash_type)]
        let mut entries: Vec<(u64, &[u8], i64)> = {
            let mut entries = Vec::with_capacity(self.held.len());
            for (value, held) in &self.held {
                entries.push((held.number, value.as_ref(), held.count));
            }
            entries
        };
        entries.sort_unstable_by_key(|(number, _, _)| *number);
        entries
            .into_iter()
            .map(|(_, value, count)| (value, count))
            .collect()
    }
}

/// An accumulator that sees each distinct value of a group once.
pub(super) struct Distinct {
    inner: Box<dyn GroupsAccumulator>,
    codec: OrderedBytes,
    groups: Vec<Values>,
    heap_bytes: usize,
}

impl Distinct {
    pub(super) fn new(inner: Box<dyn GroupsAccumulator>, arg_types: &[LogicalType]) -> Self {
        Self {
            inner,
            codec: OrderedBytes::new(arg_types),
            groups: Vec::new(),
            heap_bytes: 0,
        }
    }

    /// Applies count changes of encoded values and passes on what comes and goes.
    fn apply(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        by: impl Fn(usize) -> i64,
    ) -> Result<(), EvalError> {
        let rows = self.codec.encode(args)?;
        let (mut indices, mut inner_groups, mut goes) = (Vec::new(), Vec::new(), Vec::new());
        for (row, group) in groups.iter().enumerate() {
            let value = rows.row(row);
            let values = &mut self.groups[*group as usize];
            let before = values.bytes;
            let effect = values.change(value.data(), by(row));
            self.heap_bytes = self.heap_bytes - before + values.bytes;
            if effect == Effect::Nothing {
                continue;
            }
            indices.push(row as u32);
            inner_groups.push(*group);
            goes.push(effect == Effect::Goes);
        }
        if indices.is_empty() {
            return Ok(());
        }
        let indices = arrow_array::UInt32Array::from(indices);
        let args: Result<Vec<ArrayRef>, _> = args
            .iter()
            .map(|c| arrow_select::take::take(c, &indices, None))
            .collect();
        let retract = goes.contains(&true).then_some(goes.as_slice());
        self.inner.update(&inner_groups, &args?, retract)
    }
}

impl GroupsAccumulator for Distinct {
    fn resize(&mut self, groups: usize) {
        self.groups
            .resize_with(groups.max(self.groups.len()), Values::default);
        self.inner.resize(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        self.apply(
            groups,
            args,
            |row| if retract.is_some_and(|r| r[row]) { -1 } else { 1 },
        )
    }

    fn state_types(&self) -> Vec<LogicalType> {
        vec![counted_list_type(self.codec.types())]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let entries = |group: &u32| self.groups[*group as usize].in_order();
        Ok(vec![counted_lists(&self.codec, groups.iter().map(entries))?])
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let lists = CountedLists::open("DISTINCT", state)?;
        let entry_groups = lists.entry_groups(groups);
        let first = lists.start();
        let values: Vec<ArrayRef> = lists
            .values
            .iter()
            .map(|c| c.slice(first, entry_groups.len()))
            .collect();
        self.apply(&entry_groups, &values, |row| lists.numbers.value(first + row))
    }

    fn evaluate(&self, groups: &[u32]) -> Result<ArrayRef, EvalError> {
        self.inner.evaluate(groups)
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            let cleared = std::mem::take(&mut self.groups[*group as usize]);
            self.heap_bytes -= cleared.bytes;
        }
        self.inner.clear(groups);
    }

    fn memory_size(&self) -> usize {
        self.inner.memory_size() + self.heap_bytes + self.groups.capacity() * size_of::<Values>()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::StringViewArray;
    use millstream_functions::aggregate::AccumulatorArgs;
    use millstream_functions::aggregate_function;
    use millstream_types::TypeKind;

    use super::*;

    #[test]
    fn values_that_left_take_no_memory() {
        let count = aggregate_function("COUNT").expect("COUNT is there");
        let inner = (count.accumulator)(&AccumulatorArgs {
            arg_types: &[LogicalType::STRING],
            result: &LogicalType::not_null(TypeKind::BigInt),
            retract: true,
            parameters: &[],
        });
        let mut distinct = Distinct::new(inner, &[LogicalType::STRING]);
        distinct.resize(2);
        let empty = distinct.memory_size();
        let values: ArrayRef = Arc::new(StringViewArray::from_iter_values(
            (0..100).map(|i| format!("a value with the number {i}")),
        ));
        let groups: Vec<u32> = (0..100).map(|i| i % 2).collect();
        for _ in 0..3 {
            distinct
                .update(&groups, std::slice::from_ref(&values), None)
                .expect("added");
            assert!(distinct.memory_size() > empty + 2000);
            let back = vec![true; 100];
            distinct
                .update(&groups, std::slice::from_ref(&values), Some(&back))
                .expect("taken back");
            assert_eq!(distinct.memory_size(), empty);
            distinct
                .update(&groups, std::slice::from_ref(&values), None)
                .expect("added");
            distinct.clear(&[0, 1]);
            assert_eq!(distinct.memory_size(), empty);
        }
    }
}
