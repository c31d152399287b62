//! The values of a group in order of arrival, as several aggregates keep them (ARRAY_AGG, JSON_ARRAYAGG, LISTAGG with
//! retracted rows).

use std::collections::VecDeque;

use arrow_array::{Array, ArrayRef};
use millstream_types::LogicalType;

use super::ordered_bytes::{CountedLists, OrderedBytes, counted_list_type, counted_lists};
use super::rows::{arg, each_valid};
use crate::scalar::EvalError;

/// Lists of encoded values by group.
pub(super) struct ValueLists {
    function: &'static str,
    groups: Vec<VecDeque<Box<[u8]>>>,
    codec: OrderedBytes,
    /// NULLs are values too.
    keep_nulls: bool,
    heap_bytes: usize,
}

impl ValueLists {
    pub(super) fn new(function: &'static str, ty: &LogicalType, keep_nulls: bool) -> Self {
        let codec = OrderedBytes::new(std::slice::from_ref(ty));
        Self {
            function,
            groups: Vec::new(),
            codec,
            keep_nulls,
            heap_bytes: 0,
        }
    }

    pub(super) fn codec(&self) -> &OrderedBytes {
        &self.codec
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.groups
            .resize_with(groups.max(self.groups.len()), VecDeque::new);
    }

    /// Adds values, or removes the oldest equal one.
    pub(super) fn update(
        &mut self,
        groups: &[u32],
        args: &[ArrayRef],
        retract: Option<&[bool]>,
    ) -> Result<(), EvalError> {
        let array = arg(self.function, args, 0)?;
        let rows = self.codec.encode(std::slice::from_ref(array))?;
        let keep_nulls = self.keep_nulls;
        let mut change = |group: usize, row: usize| {
            let value = rows.row(row);
            if retract.is_some_and(|r| r[row]) {
                self.remove(group, value.data());
            } else {
                self.push(group, value.data());
            }
        };
        if keep_nulls {
            groups
                .iter()
                .enumerate()
                .for_each(|(row, group)| change(*group as usize, row));
        } else {
            each_valid(groups, array.as_ref() as &dyn Array, change);
        }
        Ok(())
    }

    fn push(&mut self, group: usize, value: &[u8]) {
        self.heap_bytes += value.len() + size_of::<Box<[u8]>>();
        self.groups[group].push_back(value.into());
    }

    fn remove(&mut self, group: usize, value: &[u8]) {
        let list = &mut self.groups[group];
        if let Some(at) = list.iter().position(|held| held.as_ref() == value) {
            list.remove(at);
            self.heap_bytes -= value.len() + size_of::<Box<[u8]>>();
        }
    }

    /// The encoded values of a group, oldest first.
    pub(super) fn values(&self, group: u32) -> impl ExactSizeIterator<Item = &[u8]> {
        self.groups[group as usize].iter().map(AsRef::as_ref)
    }

    pub(super) fn state_types(&self) -> Vec<LogicalType> {
        vec![counted_list_type(self.codec.types())]
    }

    pub(super) fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
        let entries = |group: &u32| self.values(*group).map(|value| (value, 1)).collect();
        Ok(vec![counted_lists(&self.codec, groups.iter().map(entries))?])
    }

    pub(super) fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
        let lists = CountedLists::open(self.function, state)?;
        let rows = self.codec.encode(&lists.values)?;
        for (row, group) in groups.iter().enumerate() {
            for entry in lists.range(row) {
                self.push(*group as usize, rows.row(entry).data());
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            let list = std::mem::take(&mut self.groups[*group as usize]);
            self.heap_bytes -= list
                .iter()
                .map(|v| v.len() + size_of::<Box<[u8]>>())
                .sum::<usize>();
        }
    }

    pub(super) fn memory_size(&self) -> usize {
        self.heap_bytes + self.groups.capacity() * size_of::<VecDeque<Box<[u8]>>>()
    }
}

/// Implements the parts of [`super::GroupsAccumulator`] that only pass on to a field `lists`.
macro_rules! delegate_to_lists {
    () => {
        fn resize(&mut self, groups: usize) {
            self.lists.resize(groups);
        }

        fn update(
            &mut self,
            groups: &[u32],
            args: &[ArrayRef],
            retract: Option<&[bool]>,
        ) -> Result<(), EvalError> {
            self.lists.update(groups, args, retract)
        }

        fn state_types(&self) -> Vec<LogicalType> {
            self.lists.state_types()
        }

        fn state(&self, groups: &[u32]) -> Result<Vec<ArrayRef>, EvalError> {
            self.lists.state(groups)
        }

        fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) -> Result<(), EvalError> {
            self.lists.merge(groups, state)
        }

        fn clear(&mut self, groups: &[u32]) {
            self.lists.clear(groups);
        }

        fn memory_size(&self) -> usize {
            self.lists.memory_size()
        }
    };
}
pub(super) use delegate_to_lists;
