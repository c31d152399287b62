//! MAP_KEYS, MAP_VALUES, MAP_ENTRIES, MAP_UNION, MAP_FROM_ARRAYS.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, StructArray, UInt32Array};
use arrow_row::Row;
use arrow_schema::DataType;
use arrow_select::take::take;
use hashbrown::HashSet;
use millstream_types::{LogicalType, TypeKind, arrow_type, map_array};

use super::elements::{Keys, ListWriter, array_arg, common_collection, element_type, flat};
use crate::scalar::access::{conform, data_error, internal};
use crate::scalar::forms::{Arg, check, check_repeated, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Collection,
        "MAP_KEYS",
        "MAP_KEYS(map)",
        "The keys of the map as an array.",
        |args| {
            let (ty, key, _) = map_arg("MAP_KEYS", args)?;
            strict(vec![ty], LogicalType::array(key))
        },
        |args| column_of_entries(args, 0),
    ),
    ScalarFunction::new(
        Group::Collection,
        "MAP_VALUES",
        "MAP_VALUES(map)",
        "The values of the map as an array.",
        |args| {
            let (ty, _, value) = map_arg("MAP_VALUES", args)?;
            strict(vec![ty], LogicalType::array(value))
        },
        |args| column_of_entries(args, 1),
    ),
    ScalarFunction::new(
        Group::Collection,
        "MAP_ENTRIES",
        "MAP_ENTRIES(map)",
        "The entries of the map as an array of rows with the fields key and value.",
        |args| {
            let (ty, key, value) = map_arg("MAP_ENTRIES", args)?;
            let entry = LogicalType::row([("key".to_owned(), key), ("value".to_owned(), value)]);
            strict(vec![ty], LogicalType::array(entry))
        },
        map_entries,
    ),
    ScalarFunction::new(
        Group::Collection,
        "MAP_UNION",
        "MAP_UNION(map1, ...)",
        "The entries of all maps; of equal keys that of the last map. NULL if one map is NULL.",
        union_signature,
        map_union,
    ),
    ScalarFunction::new(
        Group::Collection,
        "MAP_FROM_ARRAYS",
        "MAP_FROM_ARRAYS(array_of_keys, array_of_values)",
        "The map of the keys to the values at the same places; equal keys are kept. Arrays of different lengths are an error.",
        from_arrays_signature,
        map_from_arrays,
    ),
];

fn map_arg(
    function: &str,
    args: &[ArgInfo<'_>],
) -> Result<(LogicalType, LogicalType, LogicalType), SignatureError> {
    let ty = check(function, args, &[&[Arg::Map]])?.swap_remove(0);
    match &ty.kind {
        TypeKind::Map(key, value) => Ok((ty.clone(), (**key).clone(), (**value).clone())),
        _ => Ok((ty.clone(), LogicalType::NULL, LogicalType::NULL)),
    }
}

/// A map argument with one row for each row of the batch, and its entries.
fn expanded(args: &KernelArgs<'_>) -> Result<(ListArray, StructArray), EvalError> {
    let maps = args.maps(0)?;
    let lists = if args.args[0].is_constant() {
        let indices = UInt32Array::from_iter_values(std::iter::repeat_n(0, args.rows));
        take(maps.array(), &indices, None)?.as_list::<i32>().clone()
    } else {
        maps.array().clone()
    };
    let entries = lists.values().as_struct().clone();
    Ok((lists, entries))
}

fn column_of_entries(args: &KernelArgs<'_>, column: usize) -> Result<ArrayRef, EvalError> {
    let (lists, entries) = expanded(args)?;
    let DataType::List(field) = arrow_type(args.result) else {
        return Err(internal("the result is not an array"));
    };
    let items = conform(entries.column(column), field.data_type())?;
    Ok(Arc::new(ListArray::try_new(
        field,
        lists.offsets().clone(),
        items,
        lists.nulls().cloned(),
    )?))
}

fn map_entries(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, entries) = expanded(args)?;
    let DataType::List(field) = arrow_type(args.result) else {
        return Err(internal("the result is not an array"));
    };
    let DataType::Struct(fields) = field.data_type() else {
        return Err(internal("the entries are not rows"));
    };
    let columns = entries.columns().iter().zip(fields);
    let columns = columns
        .map(|(column, field)| conform(column, field.data_type()))
        .collect::<Result<_, _>>()?;
    let rows = StructArray::try_new(fields.clone(), columns, None)?;
    Ok(Arc::new(ListArray::try_new(
        field,
        lists.offsets().clone(),
        Arc::new(rows),
        lists.nulls().cloned(),
    )?))
}

fn union_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check_repeated("MAP_UNION", args, 1, Arg::Map)?;
    let common = common_collection("MAP_UNION", args)?;
    let types: Vec<LogicalType> = args
        .iter()
        .map(|arg| common.with_nullable(arg.ty.nullable))
        .collect();
    strict(types, common)
}

fn map_union(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let count = args.args.len();
    let maps = (0..count).map(|i| args.maps(i)).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<ArrayRef> = maps.iter().map(|map| Arc::clone(map.keys())).collect();
    let values: Vec<ArrayRef> = maps.iter().map(|map| Arc::clone(map.values())).collect();
    let converter = Keys::new(keys[0].data_type())?;
    let encoded = keys
        .iter()
        .map(|keys| converter.encode(keys))
        .collect::<Result<Vec<_>, _>>()?;
    let mut key_writer = ListWriter::new(keys, args.rows);
    let mut value_writer = ListWriter::new(values, args.rows);
    for row in 0..args.rows {
        let ranges: Option<Vec<_>> = maps.iter().map(|map| map.range(row)).collect();
        let Some(ranges) = ranges else {
            key_writer.end_null();
            value_writer.end_null();
            continue;
        };
        for (source, i) in united(&ranges, &encoded) {
            key_writer.push(source, i);
            value_writer.push(source, i);
        }
        key_writer.end_row();
        value_writer.end_row();
    }
    let (key, value) = entry_types(args.result);
    let (keys, offsets, nulls) = key_writer.parts(&arrow_type(&key))?;
    let (values, _, _) = value_writer.parts(&arrow_type(&value))?;
    Ok(map_array(args.result, keys, values, offsets, Some(nulls)))
}

/// The entries of the union of one row's maps, in Flink's order: each further map comes before what stays of the earlier.
fn united(ranges: &[std::ops::Range<usize>], encoded: &[arrow_row::Rows]) -> Vec<(usize, usize)> {
    let mut result: Vec<(usize, usize)> = ranges[0].clone().map(|i| (0, i)).collect();
    for (source, range) in ranges
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, range)| !range.is_empty())
    {
        let taken: HashSet<Row<'_>> = range.clone().map(|i| encoded[source].row(i)).collect();
        let kept = result
            .into_iter()
            .filter(|(s, i)| !taken.contains(&encoded[*s].row(*i)));
        result = range
            .clone()
            .map(|i| (source, i))
            .chain(kept.collect::<Vec<_>>())
            .collect();
    }
    result
}

fn entry_types(ty: &LogicalType) -> (LogicalType, LogicalType) {
    match &ty.kind {
        TypeKind::Map(key, value) => ((**key).clone(), (**value).clone()),
        _ => (LogicalType::NULL, LogicalType::NULL),
    }
}

fn from_arrays_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    check("MAP_FROM_ARRAYS", args, &[&[Arg::Array, Arg::Array]])?;
    let (keys, values) = (
        array_arg("MAP_FROM_ARRAYS", args, 0)?,
        array_arg("MAP_FROM_ARRAYS", args, 1)?,
    );
    let result = LogicalType::map(element_type(&keys), element_type(&values));
    strict(vec![keys, values], result)
}

fn map_from_arrays(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (keys, values) = (args.lists(0)?, args.lists(1)?);
    let mut key_writer = ListWriter::new(vec![flat(args, 0)?], args.rows);
    let mut value_writer = ListWriter::new(vec![flat(args, 1)?], args.rows);
    for row in 0..args.rows {
        let (Some(k), Some(v)) = (keys.range(row), values.range(row)) else {
            key_writer.end_null();
            value_writer.end_null();
            continue;
        };
        if k.len() != v.len() {
            return Err(data_error(format!(
                "invalid function MAP_FROM_ARRAYS call: the length of the keys array {} is not equal to the length of the \
                 values array {}",
                k.len(),
                v.len()
            )));
        }
        k.for_each(|i| key_writer.push(0, i));
        v.for_each(|i| value_writer.push(0, i));
        key_writer.end_row();
        value_writer.end_row();
    }
    let (key, value) = entry_types(args.result);
    let (keys, offsets, nulls) = key_writer.parts(&arrow_type(&key))?;
    let (values, _, _) = value_writer.parts(&arrow_type(&value))?;
    Ok(map_array(args.result, keys, values, offsets, Some(nulls)))
}
