//! ARRAY_CONTAINS, ARRAY_POSITION, ARRAY_REMOVE.

use arrow_array::ArrayRef;
use arrow_array::types::Int32Type;
use arrow_row::Rows;
use millstream_types::LogicalType;

use super::elements::{Keys, ListWriter, array_arg, element_type, flat, needle_arg};
use crate::scalar::forms::wrong_count;
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_CONTAINS",
        "ARRAY_CONTAINS(haystack, needle)",
        "Whether the array has the element; a NULL needle is found if the array has a NULL.",
        |args| {
            let types = searched("ARRAY_CONTAINS", args)?;
            let result = LogicalType::BOOLEAN.with_nullable(types[0].nullable);
            Ok(Signature { args: types, result })
        },
        array_contains,
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_POSITION",
        "ARRAY_POSITION(haystack, needle)",
        "The position, from 1, of the first such element; 0 if there is none, NULL if an argument is NULL.",
        |args| {
            let types = searched("ARRAY_POSITION", args)?;
            let result = LogicalType::INT.with_nullable(types.iter().any(|ty| ty.nullable));
            Ok(Signature { args: types, result })
        },
        array_position,
    ),
    ScalarFunction::new(
        Group::Collection,
        "ARRAY_REMOVE",
        "ARRAY_REMOVE(haystack, needle)",
        "The array without the elements that equal the needle; a NULL needle removes NULLs.",
        |args| {
            let types = searched("ARRAY_REMOVE", args)?;
            let result = types[0].clone();
            Ok(Signature { args: types, result })
        },
        array_remove,
    ),
];

fn searched(function: &str, args: &[ArgInfo<'_>]) -> Result<Vec<LogicalType>, SignatureError> {
    if args.len() != 2 {
        return Err(wrong_count(function, "2", args.len()));
    }
    let array = array_arg(function, args, 0)?;
    let needle = needle_arg(function, args, 1, &element_type(&array))?;
    Ok(vec![array, needle])
}

/// The elements and the needles in comparable form.
fn encoded(args: &KernelArgs<'_>) -> Result<(Rows, Rows), EvalError> {
    let items = flat(args, 0)?;
    let keys = Keys::new(items.data_type())?;
    Ok((keys.encode(&items)?, keys.encode(args.args[1].array())?))
}

fn array_contains(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, (items, needles)) = (args.lists(0)?, encoded(args)?);
    args.write_booleans(|row| {
        let needle = needles.row(args.args[1].index(row));
        Some(lists.range(row)?.any(|i| items.row(i) == needle))
    })
}

fn array_position(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, (items, needles)) = (args.lists(0)?, encoded(args)?);
    args.write_primitives::<Int32Type>(|row| {
        let range = lists.range(row)?;
        if args.args[1].is_null(row) {
            return None;
        }
        let needle = needles.row(args.args[1].index(row));
        Some(
            range
                .clone()
                .position(|i| items.row(i) == needle)
                .map_or(0, |place| place as i32 + 1),
        )
    })
}

fn array_remove(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, (items, needles)) = (args.lists(0)?, encoded(args)?);
    let mut writer = ListWriter::new(vec![flat(args, 0)?], args.rows);
    for row in 0..args.rows {
        let Some(range) = lists.range(row) else {
            writer.end_null();
            continue;
        };
        let needle = needles.row(args.args[1].index(row));
        range
            .filter(|i| items.row(*i) != needle)
            .for_each(|i| writer.push(0, i));
        writer.end_row();
    }
    writer.finish(args.result)
}
