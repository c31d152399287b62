//! Casts of ARRAY, MAP, MULTISET and ROW: their parts are cast, the shape stays.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType};
use arrow_select::nullif::nullif;
use millstream_types::{LogicalType, TypeKind, arrow_type, map_array, struct_array};

use super::{Failure, Run, Step};
use crate::scalar::EvalError;

/// The step between nested types of one shape; `None` if every part is already right.
pub(super) fn compile(from: &LogicalType, to: &LogicalType) -> Option<Step> {
    let parts: Vec<Option<Step>> = from
        .children()
        .iter()
        .zip(to.children())
        .map(|(f, t)| super::compile(f, t))
        .collect();
    if parts.iter().all(Option::is_none) && arrow_type(from) == arrow_type(to) {
        return None;
    }
    let to = to.clone();
    Some(match to.kind {
        TypeKind::Row(_) => Arc::new(move |array, run| convert_rows(array, &parts, &to, run)),
        TypeKind::Array(_) => Arc::new(move |array, run| convert_lists(array, &parts[0], &to, run)),
        _ => Arc::new(move |array, run| convert_maps(array, &parts, &to, run)),
    })
}

/// `array` with NULL also wherever `nulls` has one.
pub fn mask_nulls(array: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => Ok(Arc::clone(array)),
        Some(_) if matches!(array.data_type(), DataType::Null) => Ok(Arc::clone(array)),
        Some(nulls) => nullif(array, &BooleanArray::new(!nulls.inner(), None)),
    }
}

fn convert_rows(
    array: &ArrayRef,
    parts: &[Option<Step>],
    to: &LogicalType,
    run: &mut Run<'_>,
) -> Result<ArrayRef, EvalError> {
    let rows = array.as_struct();
    let mut columns = Vec::with_capacity(parts.len());
    for (part, column) in parts.iter().zip(rows.columns()) {
        // What a NULL row holds underneath is not a value and must not fail.
        let column = mask_nulls(column, rows.nulls())?;
        columns.push(convert(part.as_ref(), &column, run)?);
    }
    Ok(struct_array(to, columns, rows.nulls().cloned(), rows.len()))
}

fn convert_lists(
    array: &ArrayRef,
    part: &Option<Step>,
    to: &LogicalType,
    run: &mut Run<'_>,
) -> Result<ArrayRef, EvalError> {
    let lists = array.as_list::<i32>();
    let (items, offsets) = used_items(lists);
    let items = convert_items(&[(part.as_ref(), items)], &offsets, lists.nulls(), run)?.swap_remove(0);
    let DataType::List(field) = arrow_type(to) else {
        return Err(shape_error(to));
    };
    Ok(Arc::new(ListArray::try_new(
        field,
        offsets,
        items,
        lists.nulls().cloned(),
    )?))
}

fn convert_maps(
    array: &ArrayRef,
    parts: &[Option<Step>],
    to: &LogicalType,
    run: &mut Run<'_>,
) -> Result<ArrayRef, EvalError> {
    let maps = array.as_list::<i32>();
    let (entries, offsets) = used_items(maps);
    let entries = entries.as_struct();
    let columns: Vec<(Option<&Step>, ArrayRef)> = entries
        .columns()
        .iter()
        .enumerate()
        .map(|(i, column)| (parts.get(i).and_then(Option::as_ref), Arc::clone(column)))
        .collect();
    let mut converted = convert_items(&columns, &offsets, maps.nulls(), run)?;
    let (Some(values), Some(keys)) = (converted.pop(), converted.pop()) else {
        return Err(shape_error(to));
    };
    Ok(map_array(to, keys, values, offsets, maps.nulls().cloned()))
}

/// Items between the first and the last offset, and the offsets into them.
fn used_items(lists: &ListArray) -> (ArrayRef, OffsetBuffer<i32>) {
    let offsets = lists.offsets();
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let items = lists.values().slice(first as usize, (last - first) as usize);
    if first == 0 {
        return (items, offsets.clone());
    }
    let moved: Vec<i32> = offsets.iter().map(|offset| offset - first).collect();
    (items, OffsetBuffer::new(moved.into()))
}

/// Converts columns of items; failures move from items to the rows that hold them.
fn convert_items(
    columns: &[(Option<&Step>, ArrayRef)],
    offsets: &OffsetBuffer<i32>,
    nulls: Option<&NullBuffer>,
    run: &mut Run<'_>,
) -> Result<Vec<ArrayRef>, EvalError> {
    let outer = std::mem::take(&mut run.failures);
    let converted = columns
        .iter()
        .map(|(part, items)| convert(*part, items, run))
        .collect();
    let inner = std::mem::replace(&mut run.failures, outer);
    for Failure { row: item, message } in inner {
        // The row is the last whose first item is not after this one.
        let row = offsets
            .partition_point(|offset| *offset as usize <= item)
            .saturating_sub(1);
        if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            run.failures.push(Failure { row, message });
        }
    }
    converted
}

fn convert(part: Option<&Step>, array: &ArrayRef, run: &mut Run<'_>) -> Result<ArrayRef, EvalError> {
    match part {
        None => Ok(Arc::clone(array)),
        Some(step) => step(array, run),
    }
}

fn shape_error(to: &LogicalType) -> EvalError {
    EvalError::Internal {
        function: "CAST".to_owned(),
        message: format!("a value of another shape than {to}"),
    }
}
