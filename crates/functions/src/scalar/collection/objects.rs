//! OBJECT_OF, OBJECT_UPDATE: structured values, which are rows with named fields.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::{Array, StructArray};

use millstream_types::{LogicalType, RowField, TypeKind, arrow_type, struct_array};

use super::constructors::{column, field_columns};
use crate::scalar::access::{conform, internal};
use crate::scalar::forms::{refused, wrong_count, wrong_types};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::supports_implicit_cast;

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Constructor,
        "OBJECT_OF",
        "OBJECT_OF(className, [key, value [, key, value]*])",
        "A structured value with the fields; the class name and the keys are literals.",
        object_of_signature,
        object_of,
    ),
    ScalarFunction::new(
        Group::Constructor,
        "OBJECT_UPDATE",
        "OBJECT_UPDATE(object, key, value [, key, value]*)",
        "The structured value with other values in the named fields.",
        object_update_signature,
        object_update,
    ),
];

/// The literal keys of `key, value, …`, which must be distinct.
fn keys<'a>(function: &str, args: &[ArgInfo<'a>]) -> Result<Vec<&'a str>, SignatureError> {
    let mut keys: Vec<&str> = Vec::new();
    for pair in args.chunks(2) {
        let key = pair[0].literal.and_then(|literal| literal.as_str());
        let key = key.ok_or_else(|| {
            refused(format!(
                "the field names of {function} must be character literals"
            ))
        })?;
        if keys.contains(&key) {
            return Err(refused(format!(
                "the field name '{key}' is used twice in {function}"
            )));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn object_of_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len().is_multiple_of(2) {
        return Err(wrong_count(
            "OBJECT_OF",
            "a class name and pairs of key and value",
            args.len(),
        ));
    }
    let Some(class) = args[0].literal.and_then(|literal| literal.as_str()) else {
        return Err(wrong_types(
            "OBJECT_OF",
            args,
            "OBJECT_OF(<class name literal>, <key>, <value>, ...)",
        ));
    };
    if !class.split('.').all(is_java_identifier) {
        return Err(refused(format!(
            "invalid class name '{class}'. The class name must comply with JVM identifier rules, as in 'com.shop.User'"
        )));
    }
    let names = keys("OBJECT_OF", &args[1..])?;
    let types: Vec<LogicalType> = args.iter().map(|arg| arg.ty.without_time_attribute()).collect();
    let field = |(i, name): (usize, &&str)| ((*name).to_owned(), types[2 + 2 * i].clone());
    let result = LogicalType::row(names.iter().enumerate().map(field)).with_nullable(false);
    Ok(Signature { args: types, result })
}

fn is_java_identifier(part: &str) -> bool {
    let is_start = |c: char| c.is_alphabetic() || c == '_' || c == '$';
    part.starts_with(is_start) && part.chars().all(|c| is_start(c) || c.is_numeric())
}

fn object_of(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let columns = field_columns(args.args.iter().skip(2).step_by(2), args.result, args.rows)?;
    Ok(struct_array(args.result, columns, None, args.rows))
}

fn object_update_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() < 3 || args.len().is_multiple_of(2) {
        return Err(wrong_count(
            "OBJECT_UPDATE",
            "an object and pairs of key and value",
            args.len(),
        ));
    }
    let TypeKind::Row(fields) = &args[0].ty.kind else {
        return Err(wrong_types(
            "OBJECT_UPDATE",
            args,
            "OBJECT_UPDATE(<STRUCTURED>, <key>, <value>, ...)",
        ));
    };
    let names = keys("OBJECT_UPDATE", &args[1..])?;
    let mut types = vec![args[0].ty.clone()];
    let mut updated: Vec<RowField> = fields.clone();
    for (i, name) in names.iter().enumerate() {
        let field = updated.iter_mut().find(|field| field.name == *name);
        let field = field.ok_or_else(|| refused(format!("the structured type has no field '{name}'")))?;
        let value = args[2 + 2 * i].ty.without_time_attribute();
        if !supports_implicit_cast(&value.with_nullable(true), &field.ty.with_nullable(true)) {
            return Err(refused(format!(
                "a value of type {value} does not fit the field '{name}' of type {}",
                field.ty
            )));
        }
        field.ty = field.ty.with_nullable(field.ty.nullable || value.nullable);
        types.push(args[1 + 2 * i].ty.clone());
        types.push(field.ty.with_nullable(value.nullable));
    }
    let result = LogicalType {
        kind: TypeKind::Row(updated),
        nullable: args[0].ty.nullable,
    };
    Ok(Signature { args: types, result })
}

fn object_update(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let object = column(&args.args[0], args.rows)?;
    let object: &StructArray = object.as_struct();
    let mut columns = object.columns().to_vec();
    let TypeKind::Row(fields) = &args.result.kind else {
        return Err(internal("the result is not a row"));
    };
    for pair in 0..(args.args.len() - 1) / 2 {
        let name = args.constant_text(1 + 2 * pair).unwrap_or_default();
        if let Some(place) = fields.iter().position(|field| field.name == name) {
            columns[place] = conform(
                &column(&args.args[2 + 2 * pair], args.rows)?,
                &arrow_type(&fields[place].ty),
            )?;
        }
    }
    let nulls = object.nulls().cloned();
    Ok(struct_array(args.result, columns, nulls, args.rows))
}
