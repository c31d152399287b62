//! Records of a topic, as deserialisers see them.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryViewArray, StringViewArray};

/// A record as it lies in the topic.
#[derive(Clone, Copy, Debug)]
pub struct KafkaRecord<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// The headers of a record, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    names: &'a StringViewArray,
    values: &'a BinaryViewArray,
    start: usize,
    end: usize,
}

impl<'a> Headers<'a> {
    /// Names and values; a header without a value is left out.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let is_whole = move |row: &usize| self.names.is_valid(*row) && self.values.is_valid(*row);
        (self.start..self.end)
            .filter(is_whole)
            .map(move |row| (self.names.value(row), self.values.value(row)))
    }

    /// The last value of this name.
    pub fn last(self, name: &str) -> Option<&'a [u8]> {
        let of_name = self.iter().filter(|(found, _)| *found == name);
        of_name.last().map(|(_, value)| value)
    }
}

/// The columns of a fetched batch.
pub(super) struct Columns<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offsets: &'a [i64],
    pub timestamps: &'a [i64],
    pub key: Option<&'a BinaryViewArray>,
    pub value: &'a BinaryViewArray,
    pub headers: Option<HeaderColumn<'a>>,
}

/// The headers of all records of a batch.
pub(super) struct HeaderColumn<'a> {
    offsets: &'a [i32],
    names: &'a StringViewArray,
    values: &'a BinaryViewArray,
}

impl<'a> HeaderColumn<'a> {
    pub fn new(column: &'a ArrayRef) -> Option<Self> {
        let lists = column.as_list_opt::<i32>()?;
        let entries = lists.values().as_struct_opt()?;
        Some(Self {
            offsets: lists.value_offsets(),
            names: entries.column(0).as_string_view_opt()?,
            values: entries.column(1).as_binary_view_opt()?,
        })
    }

    pub fn of(&self, row: usize) -> Headers<'a> {
        Headers {
            names: self.names,
            values: self.values,
            start: self.offsets[row] as usize,
            end: self.offsets[row + 1] as usize,
        }
    }
}

impl Columns<'_> {
    pub fn place(&self, row: usize) -> String {
        format!(
            "record of topic '{}', partition {}, offset {}",
            self.topic, self.partition, self.offsets[row]
        )
    }
}
