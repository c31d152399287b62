//! Columns that own every byte they hold.
//!
//! A string column of a batch is a list of views into buffers that it shares with the other columns of the batch, and
//! often with the whole message that a source fetched. State that kept such a column would keep the message: it would
//! hold, count and write to checkpoints many times the bytes of its rows. Rows therefore enter state through
//! [`concat_owned`], which copies exactly the bytes that they refer to.
//!
//! Field names of nested types are not part of what state keeps: a column takes the names of the type that it is
//! copied into.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryViewType, ByteViewType, StringViewType};
use arrow_array::{Array, ArrayRef, GenericByteViewArray, ListArray, StructArray, make_array};
use arrow_buffer::{NullBuffer, NullBufferBuilder, OffsetBuffer};
use arrow_data::transform::MutableArrayData;
use arrow_schema::{DataType, FieldRef, Fields};
use arrow_select::concat;

use crate::error::StateError;

/// Whether columns of `found` can be kept as columns of `expected`: the same but for the names of nested fields.
pub fn fits(expected: &DataType, found: &DataType) -> bool {
    expected == found || expected.equals_datatype(found)
}

/// The error for columns that state does not keep.
pub(crate) fn shape_error<'a>(
    expected: &[DataType],
    found: impl IntoIterator<Item = &'a DataType>,
) -> StateError {
    let names = |types: &mut dyn Iterator<Item = &DataType>| {
        types.map(DataType::to_string).collect::<Vec<_>>().join(", ")
    };
    StateError::Shape {
        expected: names(&mut expected.iter()),
        found: names(&mut found.into_iter()),
    }
}

/// The same column with the field names of `ty`, without copying.
pub fn with_names_of(ty: &DataType, column: &ArrayRef) -> Result<ArrayRef, StateError> {
    if column.data_type() == ty {
        return Ok(Arc::clone(column));
    }
    let nulls = column.nulls().cloned();
    match (ty, column.data_type()) {
        (DataType::Struct(fields), DataType::Struct(found)) if fields.len() == found.len() => {
            let children = column.as_struct().columns().iter();
            let children = fields
                .iter()
                .zip(children)
                .map(|(field, child)| with_names_of(field.data_type(), child));
            let children = children.collect::<Result<Vec<_>, _>>()?;
            let length = column.len();
            let renamed = StructArray::try_new_with_length(fields.clone(), children, nulls, length)?;
            Ok(Arc::new(renamed))
        }
        (DataType::List(field), DataType::List(_)) => {
            let list = column.as_list::<i32>();
            let values = with_names_of(field.data_type(), list.values())?;
            let offsets = list.offsets().clone();
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(field),
                offsets,
                values,
                nulls,
            )?))
        }
        (_, found) => Err(shape_error(std::slice::from_ref(ty), [found])),
    }
}

/// The rows of `parts` in order as one column of type `ty` that shares no buffer with them.
pub fn concat_owned(ty: &DataType, parts: &[&dyn Array]) -> Result<ArrayRef, StateError> {
    if let Some(other) = parts.iter().find(|part| !fits(ty, part.data_type())) {
        return Err(shape_error(std::slice::from_ref(ty), [other.data_type()]));
    }
    match ty {
        DataType::Utf8View => own_views::<StringViewType>(parts),
        DataType::BinaryView => own_views::<BinaryViewType>(parts),
        DataType::Struct(fields) => own_struct(fields, parts),
        DataType::List(field) => own_list(field, parts),
        _ => {
            let data: Vec<_> = parts.iter().map(|part| part.to_data()).collect();
            let rows = parts.iter().map(|part| part.len()).sum();
            if data.is_empty() {
                return Ok(arrow_array::new_empty_array(ty));
            }
            let mut copy = MutableArrayData::new(data.iter().collect(), false, rows);
            for (index, part) in parts.iter().enumerate() {
                copy.try_extend(index, 0, part.len())?;
            }
            Ok(make_array(copy.freeze()))
        }
    }
}

fn own_views<T: ByteViewType>(parts: &[&dyn Array]) -> Result<ArrayRef, StateError> {
    let whole = match parts {
        [] => return Ok(arrow_array::new_empty_array(&T::DATA_TYPE)),
        [only] => only.slice(0, only.len()),
        parts => concat::concat(parts)?,
    };
    let owned: GenericByteViewArray<T> = whole.as_byte_view::<T>().gc();
    // Without long strings `gc` hands on the views, which may be a slice of many more.
    if owned.data_buffers().is_empty() && parts.len() == 1 {
        let views = owned.views().to_vec().into();
        let nulls = owned_nulls(&[&owned]);
        return Ok(Arc::new(GenericByteViewArray::<T>::try_new(views, [], nulls)?));
    }
    Ok(Arc::new(owned))
}

fn own_struct(fields: &Fields, parts: &[&dyn Array]) -> Result<ArrayRef, StateError> {
    let child = |(index, field): (usize, &FieldRef)| {
        let children: Vec<&dyn Array> = parts
            .iter()
            .map(|part| part.as_struct().column(index).as_ref())
            .collect();
        concat_owned(field.data_type(), &children)
    };
    let children = fields
        .iter()
        .enumerate()
        .map(child)
        .collect::<Result<Vec<_>, _>>()?;
    let rows = parts.iter().map(|part| part.len()).sum();
    let nulls = owned_nulls(parts);
    let owned = StructArray::try_new_with_length(fields.clone(), children, nulls, rows)?;
    Ok(Arc::new(owned))
}

fn own_list(field: &FieldRef, parts: &[&dyn Array]) -> Result<ArrayRef, StateError> {
    let mut lengths = Vec::new();
    let mut values: Vec<ArrayRef> = Vec::with_capacity(parts.len());
    for part in parts {
        let list = part.as_list::<i32>();
        let offsets = list.value_offsets();
        lengths.extend(offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize));
        let (start, end) = (offsets[0] as usize, offsets[list.len()] as usize);
        values.push(list.values().slice(start, end - start));
    }
    let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
    let items: usize = lengths.iter().sum();
    if i32::try_from(items).is_err() {
        return Err(StateError::Limit {
            limit: "elements of a block of rows",
            value: i32::MAX as usize,
        });
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    let values = concat_owned(field.data_type(), &values)?;
    let list = ListArray::try_new(Arc::clone(field), offsets, values, owned_nulls(parts))?;
    Ok(Arc::new(list))
}

fn owned_nulls(parts: &[&dyn Array]) -> Option<NullBuffer> {
    if parts.iter().all(|part| part.null_count() == 0) {
        return None;
    }
    let mut nulls = NullBufferBuilder::new(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        match part.nulls() {
            Some(own) => nulls.append_buffer(own),
            None => nulls.append_n_non_nulls(part.len()),
        }
    }
    nulls.finish()
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringViewArray};
    use arrow_buffer::Buffer;
    use arrow_schema::Field;

    use super::*;

    /// Strings of ten rows that lie in a message of a megabyte.
    fn strings_of_a_large_message() -> ArrayRef {
        let mut builder = arrow_array::builder::StringViewBuilder::new();
        let block = builder.append_block(Buffer::from(vec![b'x'; 1 << 20]));
        for row in 0..10 {
            builder.try_append_view(block, row * 100, 50).unwrap();
        }
        Arc::new(builder.finish())
    }

    #[test]
    fn copies_hold_the_bytes_of_their_rows_only() {
        let column = strings_of_a_large_message();
        assert!(column.get_array_memory_size() > 1 << 20);
        let owned = concat_owned(&DataType::Utf8View, &[&column.slice(2, 5)]).unwrap();
        assert_eq!(&owned, &column.slice(2, 5));
        assert!(
            owned.get_array_memory_size() < 1000,
            "{}",
            owned.get_array_memory_size()
        );
    }

    #[test]
    fn strings_inside_of_nested_columns_are_copied_too() {
        let strings = strings_of_a_large_message();
        let item = Arc::new(Field::new("item", DataType::Utf8View, true));
        let list: ArrayRef = Arc::new(ListArray::new(
            Arc::clone(&item),
            OffsetBuffer::from_lengths([3, 0, 7]),
            strings,
            Some(NullBuffer::from(vec![true, false, true])),
        ));
        let fields = Fields::from(vec![Field::new("a", list.data_type().clone(), true)]);
        let row: ArrayRef = Arc::new(StructArray::new(fields.clone(), vec![list], None));
        let ty = DataType::Struct(Fields::from(vec![Field::new(
            "renamed",
            DataType::List(item),
            true,
        )]));
        let owned = concat_owned(&ty, &[&row.slice(1, 2), &row.slice(0, 1)]).unwrap();
        assert_eq!(owned.data_type(), &ty);
        assert!(
            owned.get_array_memory_size() < 3000,
            "{}",
            owned.get_array_memory_size()
        );
        let back = with_names_of(row.data_type(), &owned).unwrap();
        let expected = concat::concat(&[&row.slice(1, 2), &row.slice(0, 1)]).unwrap();
        assert_eq!(&back, &expected);
    }

    #[test]
    fn slices_of_short_strings_and_numbers_are_copied() {
        let short: ArrayRef = Arc::new(StringViewArray::from(vec!["a"; 10_000]));
        let owned = concat_owned(&DataType::Utf8View, &[&short.slice(5, 2)]).unwrap();
        assert!(owned.get_array_memory_size() < 500);
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        let owned = concat_owned(&DataType::Int64, &[&numbers.slice(5, 2)]).unwrap();
        assert!(owned.get_array_memory_size() < 500);
        let error = concat_owned(&DataType::Int64, &[&short]).unwrap_err();
        assert!(error.to_string().contains("does not fit"), "{error}");
    }
}
