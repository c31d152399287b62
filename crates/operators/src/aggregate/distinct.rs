//! DISTINCT around any accumulator: the accumulator sees the first copy of a value, and a retraction of its last copy.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array};
use arrow_schema::DataType;
use millstream_functions::aggregate::ordered_bytes::{CountedLists, counted_list_column, counted_list_type};
use millstream_functions::{EvalError, GroupsAccumulator};
use millstream_state::{GroupTable, NO_GROUP, StateError};
use millstream_types::{LogicalType, arrow_type};

/// How many copies of a value exist, and when the first one arrived.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// How often the value is there; an entry with 0 is in no list.
    count: i64,
    next: u32,
    previous: u32,
}

const NO_ENTRY: Entry = Entry {
    count: 0,
    next: NO_GROUP,
    previous: NO_GROUP,
};

/// First and last value of a group.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

const NO_VALUES: Ends = Ends {
    first: NO_GROUP,
    last: NO_GROUP,
};

/// The effect of a count change on the inner accumulator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Nothing,
    Comes,
    Goes,
}

/// The values of all groups.
struct Values {
    /// Group and value to entry.
    table: GroupTable,
    entries: Vec<Entry>,
    groups: Vec<Ends>,
}

impl Values {
    fn new(arg_types: &[LogicalType]) -> Result<Self, StateError> {
        let mut types = vec![DataType::Int32];
        types.extend(arg_types.iter().map(arrow_type));
        Ok(Self {
            table: GroupTable::new(&types)?,
            entries: Vec::new(),
            groups: Vec::new(),
        })
    }

    /// The entry of each row.
    fn find(&mut self, groups: &[u32], args: &[ArrayRef]) -> Result<Vec<u32>, StateError> {
        let numbers = Int32Array::from_iter_values(groups.iter().map(|group| *group as i32));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(numbers)];
        columns.extend_from_slice(args);
        let mut found = Vec::new();
        self.table.intern(&columns, groups.len(), &mut found)?;
        self.entries.resize(self.table.end(), NO_ENTRY);
        Ok(found)
    }

    fn change(&mut self, group: u32, entry: u32, by: i64) -> Effect {
        let before = self.entries[entry as usize].count;
        let after = before + by;
        match (before == 0, after == 0) {
            (true, false) => self.link(group, entry),
            (false, true) => self.unlink(group, entry),
            _ => {}
        }
        self.entries[entry as usize].count = after;
        match (before > 0, after > 0) {
            (false, true) => Effect::Comes,
            (true, false) => Effect::Goes,
            _ => Effect::Nothing,
        }
    }

    fn link(&mut self, group: u32, entry: u32) {
        let ends = &mut self.groups[group as usize];
        let last = std::mem::replace(&mut ends.last, entry);
        match last {
            NO_GROUP => ends.first = entry,
            last => self.entries[last as usize].next = entry,
        }
        let entry = &mut self.entries[entry as usize];
        (entry.previous, entry.next) = (last, NO_GROUP);
    }

    fn unlink(&mut self, group: u32, entry: u32) {
        let Entry { next, previous, .. } = self.entries[entry as usize];
        let ends = &mut self.groups[group as usize];
        match previous {
            NO_GROUP => ends.first = next,
            previous => self.entries[previous as usize].next = next,
        }
        match next {
            NO_GROUP => ends.last = previous,
            next => self.entries[next as usize].previous = previous,
        }
    }

    /// Frees the entries among these that are not there any more.
    fn free(&mut self, entries: &[u32]) -> Result<(), StateError> {
        for entry in entries {
            if self.entries[*entry as usize].count == 0 && self.table.contains(*entry) {
                self.table.remove(*entry)?;
            }
        }
        self.give_back();
        Ok(())
    }

    /// Gives the memory back when no value is left.
    fn give_back(&mut self) {
        if self.table.is_empty() {
            self.table.clear();
            self.entries = Vec::new();
        }
    }

    /// The entries of a group in the order in which they came.
    fn of_group(&self, group: u32) -> impl Iterator<Item = u32> + '_ {
        let some = |entry: u32| (entry != NO_GROUP).then_some(entry);
        let next = move |entry: &u32| some(self.entries[*entry as usize].next);
        std::iter::successors(some(self.groups[group as usize].first), next)
    }

    fn clear(&mut self, groups: &[u32]) -> Result<(), StateError> {
        for group in groups {
            let entries: Vec<u32> = self.of_group(*group).collect();
            for entry in entries {
                self.entries[entry as usize] = NO_ENTRY;
                self.table.remove(entry)?;
            }
            self.groups[*group as usize] = NO_VALUES;
        }
        self.give_back();
        Ok(())
    }
}

/// An accumulator that sees each distinct value of a group once.
pub(super) struct Distinct {
    inner: Box<dyn GroupsAccumulator>,
    types: Vec<LogicalType>,
    /// The error: values of a type that cannot be compared.
    values: Result<Values, StateError>,
}

fn state_error(error: impl std::fmt::Display) -> EvalError {
    EvalError::Data(error.to_string())
}

impl Distinct {
    pub(super) fn new(inner: Box<dyn GroupsAccumulator>, arg_types: &[LogicalType]) -> Self {
        Self {
            inner,
            types: arg_types.to_vec(),
            values: Values::new(arg_types),
        }
    }

    /// Applies count changes of encoded values; forwards values that appear or disappear.
    fn apply(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        by: impl Fn(usize) -> i64,
    ) -> Result<(), EvalError> {
        let values = self.values.as_mut().map_err(state_error)?;
        let entries = values.find(groups, args).map_err(state_error)?;
        let (mut indices, mut inner_groups, mut goes) = (Vec::new(), Vec::new(), Vec::new());
        let mut has_removals = false;
        for (row, (group, entry)) in groups.iter().zip(&entries).enumerate() {
            let by = by(row);
            has_removals |= by < 0;
            let effect = values.change(*group, *entry, by);
            if effect == Effect::Nothing {
                continue;
            }
            indices.push(row as u32);
            inner_groups.push(*group);
            goes.push(effect == Effect::Goes);
        }
        if has_removals {
            values.free(&entries).map_err(state_error)?;
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
        if let Ok(values) = &mut self.values {
            let groups = groups.max(values.groups.len());
            values.groups.resize(groups, NO_VALUES);
        }
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
        vec![counted_list_type(&self.types)]
    }

    fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let values = self.values.as_ref().map_err(state_error)?;
        let (mut entries, mut lengths) = (Vec::new(), Vec::with_capacity(groups.len()));
        for group in groups {
            let before = entries.len();
            entries.extend(values.of_group(*group));
            lengths.push(entries.len() - before);
        }
        let counts = entries
            .iter()
            .map(|entry| values.entries[*entry as usize].count)
            .collect();
        let mut columns = values.table.keys(&entries).map_err(state_error)?;
        columns.remove(0);
        Ok(vec![counted_list_column(&self.types, columns, counts, lengths)?])
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
        if let Ok(values) = &mut self.values {
            // Only entries that are there are removed, and that does not fail.
            let cleared = values.clear(groups);
            debug_assert!(cleared.is_ok());
        }
        self.inner.clear(groups);
    }

    fn memory_size(&self) -> usize {
        let values = self.values.as_ref().map_or(0, |values| {
            values.table.memory_size()
                + values.entries.capacity() * size_of::<Entry>()
                + values.groups.capacity() * size_of::<Ends>()
        });
        self.inner.memory_size() + values
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
            function: count.name,
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
                .expect("retracted");
            assert_eq!(distinct.memory_size(), empty);
            distinct
                .update(&groups, std::slice::from_ref(&values), None)
                .expect("added");
            distinct.clear(&[0, 1]);
            assert_eq!(distinct.memory_size(), empty);
        }
    }
}
