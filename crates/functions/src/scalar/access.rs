//! Reading arguments and writing results, row by row.
//!
//! Kernels of functions with per-row logic (text, JSON, dates) get typed views of their arguments from here and hand back
//! a closure that computes one row. This is *not* for arithmetic and comparison, which work on whole buffers.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, BooleanBuilder, PrimitiveBuilder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryViewArray, BooleanArray, ListArray, PrimitiveArray,
    StringViewArray, StructArray, new_null_array,
};
use arrow_schema::DataType;
use millstream_types::arrow_type;

use super::{Datum, EvalError, KernelArgs};

/// An argument of a known array type.
pub(crate) struct Rows<'a, A> {
    array: &'a A,
    constant: bool,
}

impl<A> Clone for Rows<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Rows<'_, A> {}

impl<'a, A: Array> Rows<'a, A> {
    pub(crate) fn array(&self) -> &'a A {
        self.array
    }

    /// The place of a row's value in the array; `None` where the value is NULL.
    pub(crate) fn valid_index(&self, row: usize) -> Option<usize> {
        let index = if self.constant { 0 } else { row };
        self.array.is_valid(index).then_some(index)
    }
}

pub(crate) type Text<'a> = Rows<'a, StringViewArray>;
pub(crate) type Bytes<'a> = Rows<'a, BinaryViewArray>;
pub(crate) type Booleans<'a> = Rows<'a, BooleanArray>;
pub(crate) type Lists<'a> = Rows<'a, ListArray>;

impl<'a> Text<'a> {
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        self.valid_index(row).map(|i| self.array.value(i))
    }
}

impl<'a> Bytes<'a> {
    pub(crate) fn get(&self, row: usize) -> Option<&'a [u8]> {
        self.valid_index(row).map(|i| self.array.value(i))
    }
}

impl Booleans<'_> {
    pub(crate) fn get(&self, row: usize) -> Option<bool> {
        self.valid_index(row).map(|i| self.array.value(i))
    }
}

impl<T: ArrowPrimitiveType> Rows<'_, PrimitiveArray<T>> {
    pub(crate) fn get(&self, row: usize) -> Option<T::Native> {
        self.valid_index(row).map(|i| self.array.value(i))
    }
}

/// The range of a row's elements in the flat child of a list or map.
pub(crate) type Range = std::ops::Range<usize>;

impl Lists<'_> {
    pub(crate) fn range(&self, row: usize) -> Option<Range> {
        let offsets = self.array.value_offsets();
        self.valid_index(row)
            .map(|i| offsets[i] as usize..offsets[i + 1] as usize)
    }
}

/// A MAP argument: lists of entries.
#[derive(Clone, Copy)]
pub(crate) struct Maps<'a> {
    lists: Lists<'a>,
    entries: &'a StructArray,
}

impl<'a> Maps<'a> {
    pub(crate) fn array(&self) -> &'a ListArray {
        self.lists.array()
    }

    pub(crate) fn range(&self, row: usize) -> Option<Range> {
        self.lists.range(row)
    }

    /// The keys of all rows.
    pub(crate) fn keys(&self) -> &'a ArrayRef {
        self.entries.column(0)
    }

    /// The values of all rows.
    pub(crate) fn values(&self) -> &'a ArrayRef {
        self.entries.column(1)
    }
}

/// An argument of any integer width, read as 64 bits.
#[derive(Clone, Copy)]
pub(crate) enum Integers<'a> {
    Tiny(Rows<'a, PrimitiveArray<Int8Type>>),
    Small(Rows<'a, PrimitiveArray<Int16Type>>),
    Int(Rows<'a, PrimitiveArray<Int32Type>>),
    Big(Rows<'a, PrimitiveArray<Int64Type>>),
}

impl Integers<'_> {
    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        match self {
            Self::Tiny(rows) => rows.get(row).map(i64::from),
            Self::Small(rows) => rows.get(row).map(i64::from),
            Self::Int(rows) => rows.get(row).map(i64::from),
            Self::Big(rows) => rows.get(row),
        }
    }
}

impl<'a> KernelArgs<'a> {
    fn datum(&self, i: usize) -> Result<&'a Datum, EvalError> {
        self.args
            .get(i)
            .ok_or_else(|| internal(format!("argument {i} is missing")))
    }

    /// Argument `i` as an array of type `A`.
    pub(crate) fn rows_of<A: Array + 'static>(&self, i: usize) -> Result<Rows<'a, A>, EvalError> {
        let datum = self.datum(i)?;
        let array = datum.array().as_any().downcast_ref::<A>();
        let array =
            array.ok_or_else(|| internal(format!("argument {i} is a {}", datum.array().data_type())))?;
        Ok(Rows {
            array,
            constant: datum.is_constant(),
        })
    }

    pub(crate) fn text(&self, i: usize) -> Result<Text<'a>, EvalError> {
        self.rows_of(i)
    }

    pub(crate) fn bytes(&self, i: usize) -> Result<Bytes<'a>, EvalError> {
        self.rows_of(i)
    }

    pub(crate) fn booleans(&self, i: usize) -> Result<Booleans<'a>, EvalError> {
        self.rows_of(i)
    }

    pub(crate) fn lists(&self, i: usize) -> Result<Lists<'a>, EvalError> {
        self.rows_of(i)
    }

    pub(crate) fn maps(&self, i: usize) -> Result<Maps<'a>, EvalError> {
        let lists = self.lists(i)?;
        let entries = lists
            .array()
            .values()
            .as_struct_opt()
            .filter(|entries| entries.num_columns() == 2);
        let entries = entries.ok_or_else(|| internal(format!("argument {i} has no entries")))?;
        Ok(Maps { lists, entries })
    }

    pub(crate) fn primitives<T: ArrowPrimitiveType>(
        &self,
        i: usize,
    ) -> Result<Rows<'a, PrimitiveArray<T>>, EvalError> {
        self.rows_of(i)
    }

    pub(crate) fn integers(&self, i: usize) -> Result<Integers<'a>, EvalError> {
        match self.datum(i)?.array().data_type() {
            DataType::Int8 => Ok(Integers::Tiny(self.rows_of(i)?)),
            DataType::Int16 => Ok(Integers::Small(self.rows_of(i)?)),
            DataType::Int32 => Ok(Integers::Int(self.rows_of(i)?)),
            DataType::Int64 => Ok(Integers::Big(self.rows_of(i)?)),
            other => Err(internal(format!("argument {i} is a {other}"))),
        }
    }

    /// Argument `i` if the call has it and it is text.
    pub(crate) fn optional_text(&self, i: usize) -> Result<Option<Text<'a>>, EvalError> {
        if i < self.args.len() {
            self.text(i).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(crate) fn optional_integers(&self, i: usize) -> Result<Option<Integers<'a>>, EvalError> {
        if i < self.args.len() {
            self.integers(i).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The text of argument `i` if it is a constant and not NULL.
    pub(crate) fn constant_text(&self, i: usize) -> Option<&'a str> {
        let datum = self
            .args
            .get(i)
            .filter(|datum| datum.is_constant() && !datum.is_null(0))?;
        datum.array().as_string_view_opt().map(|array| array.value(0))
    }

    /// A STRING column; the closure writes a row's text and returns `None` for NULL.
    pub(crate) fn write_text(
        &self,
        mut row_text: impl FnMut(usize, &mut String) -> Option<()>,
    ) -> Result<ArrayRef, EvalError> {
        self.try_write_text(|row, out| Ok(row_text(row, out)))
    }

    /// As [`Self::write_text`], for rows that can fail.
    pub(crate) fn try_write_text(
        &self,
        mut row_text: impl FnMut(usize, &mut String) -> Result<Option<()>, EvalError>,
    ) -> Result<ArrayRef, EvalError> {
        let mut builder = StringViewBuilder::with_capacity(self.rows);
        let mut buffer = String::new();
        for row in 0..self.rows {
            buffer.clear();
            match row_text(row, &mut buffer)? {
                Some(()) => builder.append_value(&buffer),
                None => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    /// A STRING column of slices of existing text.
    pub(crate) fn text_slices<'t>(
        &self,
        row_text: impl FnMut(usize) -> Option<&'t str>,
    ) -> Result<ArrayRef, EvalError> {
        let mut builder = StringViewBuilder::with_capacity(self.rows);
        (0..self.rows)
            .map(row_text)
            .for_each(|text| builder.append_option(text));
        Ok(Arc::new(builder.finish()))
    }

    /// A BYTES column; the closure writes a row's bytes and returns `None` for NULL.
    pub(crate) fn try_write_bytes(
        &self,
        mut row_bytes: impl FnMut(usize, &mut Vec<u8>) -> Result<Option<()>, EvalError>,
    ) -> Result<ArrayRef, EvalError> {
        let mut builder = BinaryViewBuilder::with_capacity(self.rows);
        let mut buffer = Vec::new();
        for row in 0..self.rows {
            buffer.clear();
            match row_bytes(row, &mut buffer)? {
                Some(()) => builder.append_value(&buffer),
                None => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    pub(crate) fn write_booleans(
        &self,
        row_value: impl FnMut(usize) -> Option<bool>,
    ) -> Result<ArrayRef, EvalError> {
        let mut builder = BooleanBuilder::with_capacity(self.rows);
        (0..self.rows)
            .map(row_value)
            .for_each(|value| builder.append_option(value));
        Ok(Arc::new(builder.finish()))
    }

    pub(crate) fn try_write_booleans(
        &self,
        mut row_value: impl FnMut(usize) -> Result<Option<bool>, EvalError>,
    ) -> Result<ArrayRef, EvalError> {
        let mut builder = BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            builder.append_option(row_value(row)?);
        }
        Ok(Arc::new(builder.finish()))
    }

    /// A column of the result's physical type, which must be that of `T`.
    pub(crate) fn write_primitives<T: ArrowPrimitiveType>(
        &self,
        mut row_value: impl FnMut(usize) -> Option<T::Native>,
    ) -> Result<ArrayRef, EvalError> {
        self.try_write_primitives::<T>(|row| Ok(row_value(row)))
    }

    pub(crate) fn try_write_primitives<T: ArrowPrimitiveType>(
        &self,
        mut row_value: impl FnMut(usize) -> Result<Option<T::Native>, EvalError>,
    ) -> Result<ArrayRef, EvalError> {
        let mut builder =
            PrimitiveBuilder::<T>::with_capacity(self.rows).with_data_type(arrow_type(self.result));
        for row in 0..self.rows {
            builder.append_option(row_value(row)?);
        }
        Ok(Arc::new(builder.finish()))
    }
}

/// The array with the type `to`, from which its own may differ only in the names of fields of rows.
pub(crate) fn conform(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, EvalError> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), to) {
        (DataType::Null, _) => Ok(new_null_array(to, array.len())),
        (DataType::Struct(from), DataType::Struct(fields))
            if from.len() == fields.len() && !fields.is_empty() =>
        {
            let columns = array.as_struct().columns().iter().zip(fields);
            let columns = columns
                .map(|(column, field)| conform(column, field.data_type()))
                .collect::<Result<_, _>>()?;
            Ok(Arc::new(StructArray::try_new(
                fields.clone(),
                columns,
                array.nulls().cloned(),
            )?))
        }
        (DataType::List(_), DataType::List(field)) => {
            let lists = array.as_list::<i32>();
            let items = conform(lists.values(), field.data_type())?;
            let nulls = array.nulls().cloned();
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(field),
                lists.offsets().clone(),
                items,
                nulls,
            )?))
        }
        (from, _) => Err(internal(format!(
            "a column of {from} stands where {to} was promised"
        ))),
    }
}

/// The error of a kernel whose arguments do not have the promised types.
pub(crate) fn internal(message: impl Into<String>) -> EvalError {
    EvalError::Internal {
        function: "built-in".to_owned(),
        message: message.into(),
    }
}

/// The error of a value that a function refuses.
pub(crate) fn data_error(message: impl Into<String>) -> EvalError {
    EvalError::Data(message.into())
}
