//! CARDINALITY, ELEMENT, ITEM.
//!
//! ITEM is `array[position]`, `map[key]`, `row[position]`, `row['field']`, `variant[position]` and `variant['field']`.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::builder::BinaryViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, new_null_array};
use millstream_types::{LogicalType, TypeFamily, TypeKind, arrow_type};

use super::constructors::column;
use super::elements::{Keys, array_arg, element_type, flat, gather};
use crate::scalar::access::{data_error, internal};
use crate::scalar::forms::{Arg, check, refused, wrong_count, wrong_types};
use crate::scalar::json::variant::{Step, part};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::supports_implicit_cast;

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Collection,
        "CARDINALITY",
        "CARDINALITY(array_or_map)",
        "The number of elements of an array or entries of a map.",
        cardinality_signature,
        cardinality,
    ),
    ScalarFunction::new(
        Group::Collection,
        "ELEMENT",
        "ELEMENT(array)",
        "The only element of the array; NULL if it is empty, an error if it has more than one.",
        |args| {
            check("ELEMENT", args, &[&[Arg::Array]])?;
            let array = array_arg("ELEMENT", args, 0)?;
            let result = element_type(&array).with_nullable(true);
            Ok(Signature {
                args: vec![array],
                result,
            })
        },
        element,
    ),
    ScalarFunction::new(
        Group::Collection,
        "ITEM",
        "collection[key]",
        "The element of an array at a position from 1, the value of a map for a key, the field of a row, or a part of a \
         VARIANT. NULL if there is none.",
        item_signature,
        item,
    ),
];

fn cardinality_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let [arg] = args else {
        return Err(wrong_count("CARDINALITY", "1", args.len()));
    };
    if !matches!(arg.ty.family(), TypeFamily::Array | TypeFamily::Map) {
        return Err(refused(format!(
            "CARDINALITY takes an array or a map, but its argument has the type {}",
            arg.ty
        )));
    }
    let result = LogicalType::INT.with_nullable(arg.ty.nullable);
    Ok(Signature {
        args: vec![arg.ty.clone()],
        result,
    })
}

fn cardinality(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    if matches!(args.arg_types[0].kind, TypeKind::Map(..)) {
        let maps = args.maps(0)?;
        return args.write_primitives::<Int32Type>(|row| Some(maps.range(row)?.len() as i32));
    }
    let lists = args.lists(0)?;
    args.write_primitives::<Int32Type>(|row| Some(lists.range(row)?.len() as i32))
}

/// A column of elements picked from the flat array; `None` is NULL.
fn picked(
    items: ArrayRef,
    result: &LogicalType,
    picks: impl Iterator<Item = Option<usize>>,
) -> Result<ArrayRef, EvalError> {
    let data_type = arrow_type(result);
    let picks: Vec<(usize, usize)> = picks.map(|pick| pick.map_or((1, 0), |i| (0, i))).collect();
    gather(&[items, new_null_array(&data_type, 1)], &picks, &data_type)
}

fn element(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let lists = args.lists(0)?;
    let only = |row: usize| match lists.range(row) {
        Some(range) if range.len() > 1 => Err(data_error("array has more than one element")),
        Some(range) => Ok(range.clone().next()),
        None => Ok(None),
    };
    let picks = (0..args.rows).map(only).collect::<Result<Vec<_>, _>>()?;
    picked(flat(args, 0)?, args.result, picks.into_iter())
}

fn item_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let [collection, key] = args else {
        return Err(wrong_count("ITEM", "2", args.len()));
    };
    let key_type = key.ty.without_time_attribute();
    let refuse = |expected: &str| Err(wrong_types("ITEM", args, expected));
    let signature = |key: LogicalType, result: LogicalType| {
        Ok(Signature {
            args: vec![collection.ty.clone(), key],
            result: result.with_nullable(true),
        })
    };
    match &collection.ty.kind {
        TypeKind::Array(element) => {
            if !key_type.is_integer() && !key_type.is_null() {
                return refuse("ARRAY[<INTEGER_NUMERIC>]");
            }
            if let Some(position) = key
                .literal
                .and_then(|literal| literal.as_i64())
                .filter(|p| *p < 1)
            {
                return Err(refused(format!(
                    "array element access needs an index starting at 1 but was {position}"
                )));
            }
            let key = if key_type.is_null() {
                LogicalType::INT
            } else {
                key_type
            };
            signature(key, (**element).clone())
        }
        TypeKind::Map(wanted, value) => {
            let wanted = wanted.with_nullable(true);
            if !key_type.is_null() && !supports_implicit_cast(&key_type.with_nullable(true), &wanted) {
                return refuse("MAP[<key>]");
            }
            signature(wanted, (**value).clone())
        }
        TypeKind::Row(fields) => {
            let position = key.literal.and_then(|literal| literal.as_i64());
            let place = match (position, key.literal.and_then(|literal| literal.as_str())) {
                (Some(position), _) => position.checked_sub(1).and_then(|i| usize::try_from(i).ok()),
                (None, Some(name)) => fields.iter().position(|field| field.name == name),
                (None, None) => return refuse("ROW[<field name or position literal>]"),
            };
            let field = place.and_then(|place| fields.get(place));
            let field = field.ok_or_else(|| refused("the row has no field with this name or position"))?;
            signature(key_type, field.ty.clone())
        }
        TypeKind::Variant => {
            if !key_type.is_integer() && !key_type.is_character() {
                return refuse("VARIANT[<INTEGER_NUMERIC>], VARIANT[<CHARACTER_STRING>]");
            }
            signature(key_type, LogicalType::new(TypeKind::Variant))
        }
        _ => refuse("ARRAY[<INTEGER_NUMERIC>], MAP[<key>], ROW[<field>], VARIANT[<key>]"),
    }
}

fn item(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    match &args.arg_types[0].kind {
        TypeKind::Array(_) => array_item(args),
        TypeKind::Map(..) => map_item(args),
        TypeKind::Row(_) => row_item(args),
        TypeKind::Variant => variant_item(args),
        other => Err(internal(format!("{other} has no items"))),
    }
}

fn array_item(args: &KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (lists, positions) = (args.lists(0)?, args.integers(1)?);
    let find = |row: usize| {
        let range = lists.range(row)?;
        let place = usize::try_from(positions.get(row)?.checked_sub(1)?).ok()?;
        (place < range.len()).then(|| range.start + place)
    };
    picked(flat(args, 0)?, args.result, (0..args.rows).map(find))
}

fn map_item(args: &KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let maps = args.maps(0)?;
    let keys = maps.keys();
    let converter = Keys::new(keys.data_type())?;
    let (known, wanted) = (converter.encode(keys)?, converter.encode(args.args[1].array())?);
    let find = |row: usize| {
        let mut range = maps.range(row)?;
        if args.args[1].is_null(row) {
            return None;
        }
        let key = wanted.row(args.args[1].index(row));
        range.find(|i| known.row(*i) == key)
    };
    picked(Arc::clone(maps.values()), args.result, (0..args.rows).map(find))
}

fn row_item(args: &KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let TypeKind::Row(fields) = &args.arg_types[0].kind else {
        return Err(internal("the argument is not a row"));
    };
    let place = match args.constant_text(1) {
        Some(name) => fields.iter().position(|field| field.name == name),
        None => args
            .integers(1)?
            .get(0)
            .and_then(|position| usize::try_from(position - 1).ok()),
    };
    let rows = column(&args.args[0], args.rows)?;
    let field = place.and_then(|place| rows.as_struct().columns().get(place));
    let field = field.ok_or_else(|| internal("the row has no such field"))?;
    let valid = (0..args.rows).map(|row| rows.is_valid(row).then_some(row));
    picked(Arc::clone(field), args.result, valid)
}

fn variant_item(args: &KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let variants = args.bytes(0)?;
    let mut builder = BinaryViewBuilder::with_capacity(args.rows);
    let names = if args.arg_types[1].is_character() {
        Some(args.text(1)?)
    } else {
        None
    };
    let positions = if names.is_none() {
        Some(args.integers(1)?)
    } else {
        None
    };
    for row in 0..args.rows {
        let name = names.as_ref().and_then(|names| names.get(row)).map(Step::Member);
        let position = positions
            .as_ref()
            .and_then(|positions| positions.get(row))
            .map(Step::Position);
        let found = match (variants.get(row), name.or(position)) {
            (Some(variant), Some(step)) => part(variant, step)?,
            _ => None,
        };
        builder.append_option(found.map(String::into_bytes));
    }
    Ok(Arc::new(builder.finish()))
}
