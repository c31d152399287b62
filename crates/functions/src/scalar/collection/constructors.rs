//! ARRAY, MAP and ROW constructors.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_select::take::take;
use millstream_types::{LogicalType, TypeKind, arrow_type, map_array, struct_array};

use super::elements::{Keys, ListWriter};
use crate::scalar::access::{conform, internal};
use crate::scalar::forms::{refused, wrong_count, wrong_types};
use crate::scalar::{Datum, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::common_type;

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Constructor,
        "ARRAY",
        "ARRAY[value1 [, value2]*]",
        "An array of the values, which are cast to their common type.",
        array_signature,
        array,
    ),
    ScalarFunction::new(
        Group::Constructor,
        "MAP",
        "MAP[key1, value1 [, key2, value2]*]",
        "A map of the keys to the values; keys and values are each cast to their common type.",
        map_signature,
        map,
    ),
    ScalarFunction::new(
        Group::Constructor,
        "ROW",
        "ROW(value1 [, value2]*)",
        "A row of the values, with the field names EXPR$0, EXPR$1 and so on.",
        row_signature,
        row,
    ),
];

fn common(function: &str, args: &[ArgInfo<'_>]) -> Result<LogicalType, SignatureError> {
    let types: Vec<LogicalType> = args.iter().map(|arg| arg.ty.without_time_attribute()).collect();
    let types: Vec<&LogicalType> = types.iter().collect();
    if types.iter().all(|ty| ty.is_null()) {
        return Err(refused(format!(
            "illegal use of 'NULL': {function} needs a value that is not NULL to have a type"
        )));
    }
    common_type(&types)
        .ok_or_else(|| wrong_types(function, args, format!("{function}[...] of one common type")))
}

fn array_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.is_empty() {
        return Err(wrong_count("ARRAY", "at least 1", 0));
    }
    let element = common("ARRAY", args)?;
    let types = args
        .iter()
        .map(|arg| element.with_nullable(arg.ty.nullable))
        .collect();
    Ok(Signature {
        args: types,
        result: LogicalType::array(element).with_nullable(false),
    })
}

/// Every second argument: the keys from 0, the values from 1.
fn side<'a>(args: &KernelArgs<'a>, from: usize) -> Vec<&'a Datum> {
    args.args.iter().skip(from).step_by(2).collect()
}

fn sources(data: &[&Datum]) -> Vec<ArrayRef> {
    data.iter().map(|datum| Arc::clone(datum.array())).collect()
}

/// Lists of all arguments in each row.
fn lists(args: &KernelArgs<'_>) -> ListWriter {
    let data: Vec<&Datum> = args.args.iter().collect();
    let mut writer = ListWriter::new(sources(&data), args.rows);
    for row in 0..args.rows {
        for (source, datum) in data.iter().enumerate() {
            writer.push_datum(source, datum, row);
        }
        writer.end_row();
    }
    writer
}

fn array(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    lists(args).finish(args.result)
}

fn map_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.is_empty() {
        return Err(wrong_count("MAP", "at least 2", 0));
    }
    if !args.len().is_multiple_of(2) {
        return Err(wrong_count("MAP", "an even number of", args.len()));
    }
    let side = |from: usize| args.iter().skip(from).step_by(2).copied().collect::<Vec<_>>();
    let (key, value) = (common("MAP", &side(0))?, common("MAP", &side(1))?);
    let types = args
        .iter()
        .enumerate()
        .map(|(i, arg)| if i % 2 == 0 { &key } else { &value }.with_nullable(arg.ty.nullable))
        .collect();
    Ok(Signature {
        args: types,
        result: LogicalType::map(key, value).with_nullable(false),
    })
}

fn map(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let TypeKind::Map(key, value) = &args.result.kind else {
        return Err(internal("the result is not a map"));
    };
    let (key_data, value_data) = (side(args, 0), side(args, 1));
    let converter = Keys::new(&arrow_type(key))?;
    let encoded = key_data
        .iter()
        .map(|datum| converter.encode(&conform(datum.array(), &arrow_type(key))?))
        .collect::<Result<Vec<_>, _>>()?;
    let mut key_writer = ListWriter::new(sources(&key_data), args.rows);
    let mut value_writer = ListWriter::new(sources(&value_data), args.rows);
    let mut kept: Vec<(usize, usize)> = Vec::with_capacity(key_data.len());
    // Flink's maps compare numbers and texts; of equal floats, decimals and nested values each stays.
    let has_equals =
        key.is_character() || key.is_integer() || key.is_datetime() || key.kind == TypeKind::Boolean;
    for row in 0..args.rows {
        kept.clear();
        for entry in 0..key_data.len() {
            let bytes = |entry: usize| encoded[entry].row(key_data[entry].index(row));
            // Of equal keys the first gives the place and the last the value, as in Java's maps.
            match kept
                .iter_mut()
                .find(|(known, _)| has_equals && bytes(*known) == bytes(entry))
            {
                Some((_, value)) => *value = entry,
                None => kept.push((entry, entry)),
            }
        }
        for (key, value) in &kept {
            key_writer.push_datum(*key, key_data[*key], row);
            value_writer.push_datum(*value, value_data[*value], row);
        }
        key_writer.end_row();
        value_writer.end_row();
    }
    let (keys, offsets, nulls) = key_writer.parts(&arrow_type(key))?;
    let (values, _, _) = value_writer.parts(&arrow_type(value))?;
    Ok(map_array(args.result, keys, values, offsets, Some(nulls)))
}

fn row_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types: Vec<LogicalType> = args.iter().map(|arg| arg.ty.without_time_attribute()).collect();
    let fields = types
        .iter()
        .enumerate()
        .map(|(i, ty)| (format!("EXPR${i}"), ty.clone()));
    let result = LogicalType::row(fields).with_nullable(false);
    Ok(Signature { args: types, result })
}

/// A datum as a column with this number of rows.
pub(super) fn column(datum: &Datum, rows: usize) -> Result<ArrayRef, EvalError> {
    match datum {
        Datum::Column(array) => Ok(Arc::clone(array)),
        Datum::Constant(array) => {
            let indices = arrow_array::UInt32Array::from_iter_values(std::iter::repeat_n(0, rows));
            Ok(take(array, &indices, None)?)
        }
    }
}

/// The data of a row's fields as columns of the types of the row's fields.
pub(super) fn field_columns<'d>(
    data: impl Iterator<Item = &'d Datum>,
    row: &LogicalType,
    rows: usize,
) -> Result<Vec<ArrayRef>, EvalError> {
    let types = row.children().into_iter().map(arrow_type);
    data.zip(types)
        .map(|(datum, ty)| conform(&column(datum, rows)?, &ty))
        .collect()
}

fn row(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let columns = field_columns(args.args.iter(), args.result, args.rows)?;
    Ok(struct_array(args.result, columns, None, args.rows))
}
