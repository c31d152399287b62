//! NULLIF, GREATEST, LEAST, TYPEOF, and the types of the lazy forms CASE, COALESCE, IF and IFNULL.
//!
//! CASE, COALESCE, IF and IFNULL evaluate an argument only for the rows that need it, so in plans they are expressions of
//! their own; the binder takes their result types from here. COALESCE, IF and IFNULL are declared as functions too, for
//! their documentation and for callers that have all arguments at hand. NULLIF keeps the type of its first argument, which
//! the binder gets by rewriting it to `CASE WHEN a = b THEN NULL ELSE a END`.

use std::cmp::Ordering;

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, RowField, TypeKind, arrow_type};

use super::compare_rows::{Comparator, pick};
use super::forms::{Arg, check, refused, wrong_count, wrong_types};
use super::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::{Comparison, common_type, comparison_types};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Conditional,
        "COALESCE",
        "COALESCE(value1 [, value2]*)",
        "The first value that is not NULL.",
        |args| {
            let types: Vec<LogicalType> = args.iter().map(|arg| arg.ty.clone()).collect();
            unified(coalesce_type(&types)?, args.len(), &[])
        },
        coalesce,
    ),
    ScalarFunction::new(
        Group::Conditional,
        "IFNULL",
        "IFNULL(input, null_replacement)",
        "The input, or the replacement where the input is NULL.",
        |args| {
            let [input, replacement] = args else {
                return Err(wrong_count("IFNULL", "2", args.len()));
            };
            unified(ifnull_type(input.ty, replacement.ty)?, 2, &[])
        },
        coalesce,
    ),
    ScalarFunction::new(
        Group::Conditional,
        "IF",
        "IF(condition, true_value, false_value)",
        "The first value where the condition is TRUE, the second where it is FALSE or NULL.",
        |args| {
            let [condition, yes, no] = args else {
                return Err(wrong_count("IF", "3", args.len()));
            };
            let result = if_type(condition.ty, yes.ty, no.ty)?;
            unified(
                result,
                2,
                &[LogicalType::BOOLEAN.with_nullable(condition.ty.nullable)],
            )
        },
        if_then_else,
    ),
    ScalarFunction::new(
        Group::Conditional,
        "NULLIF",
        "NULLIF(value1, value2)",
        "NULL where both values are equal, the first value elsewhere.",
        nullif_signature,
        nullif,
    ),
    ScalarFunction::new(
        Group::Conditional,
        "GREATEST",
        "GREATEST(value1[, value2]*)",
        "The greatest of the values; NULL if one is NULL.",
        |args| extreme_signature("GREATEST", args),
        |args| extreme(args, Ordering::Greater),
    ),
    ScalarFunction::new(
        Group::Conditional,
        "LEAST",
        "LEAST(value1[, value2]*)",
        "The least of the values; NULL if one is NULL.",
        |args| extreme_signature("LEAST", args),
        |args| extreme(args, Ordering::Less),
    ),
    ScalarFunction::new(
        Group::Conversion,
        "TYPEOF",
        "TYPEOF(input[, force_serializable])",
        "The type of the input as text; with TRUE in a form that can be parsed as a type.",
        typeof_signature,
        type_of,
    ),
];

fn joined(types: &[LogicalType]) -> String {
    types
        .iter()
        .map(LogicalType::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn common(function: &str, types: &[LogicalType]) -> Result<LogicalType, SignatureError> {
    let plain: Vec<LogicalType> = types.iter().map(LogicalType::without_time_attribute).collect();
    let types: Vec<&LogicalType> = plain.iter().collect();
    if types.iter().all(|ty| ty.is_null()) {
        return Err(refused(format!(
            "illegal use of 'NULL': {function} needs a non-NULL argument"
        )));
    }
    common_type(&types).ok_or_else(|| {
        refused(format!(
            "{function} cannot cast its arguments of type {} to a common type",
            joined(&plain)
        ))
    })
}

/// The type of `CASE`, given the types of its values with ELSE last (a bare NULL if there is no ELSE).
pub fn case_type(values: &[LogicalType]) -> Result<LogicalType, SignatureError> {
    common("CASE", values)
}

/// The type of COALESCE: NULL-able only if all arguments are.
pub fn coalesce_type(args: &[LogicalType]) -> Result<LogicalType, SignatureError> {
    if args.is_empty() {
        return Err(wrong_count("COALESCE", "at least 1", 0));
    }
    let nullable = args.iter().all(|ty| ty.nullable);
    Ok(common("COALESCE", args)?.with_nullable(nullable))
}

/// The type of IFNULL: NULL-able if both arguments are.
pub fn ifnull_type(input: &LogicalType, replacement: &LogicalType) -> Result<LogicalType, SignatureError> {
    let common = common("IFNULL", &[input.clone(), replacement.clone()])?;
    Ok(common.with_nullable(input.nullable && replacement.nullable))
}

/// The type of IF: NULL-able if any argument is, the condition included.
pub fn if_type(
    condition: &LogicalType,
    yes: &LogicalType,
    no: &LogicalType,
) -> Result<LogicalType, SignatureError> {
    if condition.kind != TypeKind::Boolean && !condition.is_null() {
        return Err(refused(format!(
            "the condition of IF must be BOOLEAN, but its type is {condition}"
        )));
    }
    let common = common("IF", &[yes.clone(), no.clone()])?;
    Ok(common.with_nullable(condition.nullable || yes.nullable || no.nullable))
}

/// A signature with all values cast to the result's kind, after some arguments of other types.
fn unified(result: LogicalType, values: usize, before: &[LogicalType]) -> Result<Signature, SignatureError> {
    let value = result.with_nullable(true);
    let args = before
        .iter()
        .cloned()
        .chain(std::iter::repeat_n(value, values))
        .collect();
    Ok(Signature { args, result })
}

fn coalesce(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let first = |row: usize| args.args.iter().position(|datum| !datum.is_null(row));
    pick(args.args, &arrow_type(args.result), (0..args.rows).map(first))
}

fn if_then_else(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let condition = args.booleans(0)?;
    let branch = |row: usize| Some(usize::from(condition.get(row) != Some(true)));
    pick(
        &args.args[1..],
        &arrow_type(args.result),
        (0..args.rows).map(branch),
    )
}

fn nullif_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let [value, other] = args else {
        return Err(wrong_count("NULLIF", "2", args.len()));
    };
    let compared = comparison_types(value.ty, other.ty, Comparison::Equality);
    let Some((left, right)) = compared else {
        return Err(wrong_types("NULLIF", args, "NULLIF(<COMPARABLE>, <COMPARABLE>)"));
    };
    Ok(Signature {
        result: left.with_nullable(true),
        args: vec![left, right],
    })
}

fn nullif(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let comparator = Comparator::new(&args.args[0], &args.args[1])?;
    let value = |row: usize| {
        let null = args.args.iter().any(|datum| datum.is_null(row));
        (null || comparator.compare(row) != Ordering::Equal).then_some(0)
    };
    pick(
        &args.args[..1],
        &arrow_type(args.result),
        (0..args.rows).map(value),
    )
}

fn extreme_signature(function: &str, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.is_empty() {
        return Err(wrong_count(function, "at least 1", 0));
    }
    let plain: Vec<LogicalType> = args.iter().map(|arg| arg.ty.without_time_attribute()).collect();
    let types: Vec<&LogicalType> = plain.iter().collect();
    let found = common_type(&types).filter(|ty| comparison_types(ty, ty, Comparison::Ordering).is_some());
    let Some(common) = found else {
        return Err(wrong_types(
            function,
            args,
            format!("{function}(<COMPARABLE>...) of one common type"),
        ));
    };
    let nullable = plain.iter().any(|ty| ty.nullable);
    unified(common.with_nullable(nullable), args.len(), &[])
}

fn extreme(args: &KernelArgs<'_>, wanted: Ordering) -> Result<ArrayRef, EvalError> {
    let mut best: Vec<Option<usize>> = (0..args.rows)
        .map(|row| (!args.args[0].is_null(row)).then_some(0))
        .collect();
    for candidate in 1..args.args.len() {
        let mut comparators = Vec::with_capacity(candidate);
        for earlier in 0..candidate {
            comparators.push(Comparator::new(&args.args[candidate], &args.args[earlier])?);
        }
        for (row, best) in best.iter_mut().enumerate() {
            let Some(leader) = *best else { continue };
            if args.args[candidate].is_null(row) {
                *best = None;
            } else if comparators[leader].compare(row) == wanted {
                *best = Some(candidate);
            }
        }
    }
    pick(args.args, &arrow_type(args.result), best.into_iter())
}

fn typeof_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let types = check("TYPEOF", args, &[&[Arg::Any], &[Arg::Any, Arg::Boolean]])?;
    if args.get(1).is_some_and(|flag| flag.literal.is_none()) {
        return Err(wrong_types(
            "TYPEOF",
            args,
            "TYPEOF(<ANY>), TYPEOF(<ANY>, <BOOLEAN literal>)",
        ));
    }
    // The type of the argument itself is the result, so it must not change.
    let input = args[0].ty.clone();
    let args = std::iter::once(input).chain(types.into_iter().skip(1)).collect();
    Ok(Signature {
        args,
        result: LogicalType::STRING,
    })
}

fn type_of(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let serializable = if args.args.len() > 1 {
        args.booleans(1)?.get(0) == Some(true)
    } else {
        false
    };
    let text = type_text(&args.arg_types[0], serializable);
    args.text_slices(|_| Some(text.as_str()))
}

/// The type's text: intervals by their widest form, and in full for the serializable form.
pub fn type_text(ty: &LogicalType, serializable: bool) -> String {
    let part = |ty: &LogicalType| type_text(ty, serializable);
    let kind = match &ty.kind {
        TypeKind::IntervalYearMonth(_) => "INTERVAL MONTH".to_owned(),
        TypeKind::IntervalDayTime(_) => "INTERVAL SECOND(3)".to_owned(),
        TypeKind::Varchar(n) if serializable => format!("VARCHAR({n})"),
        TypeKind::Varbinary(n) if serializable => format!("VARBINARY({n})"),
        TypeKind::Timestamp { precision, .. } if serializable => format!("TIMESTAMP({precision})"),
        TypeKind::TimestampLtz { precision, .. } if serializable => {
            format!("TIMESTAMP({precision}) WITH LOCAL TIME ZONE")
        }
        TypeKind::Array(element) => format!("ARRAY<{}>", part(element)),
        TypeKind::Multiset(element) => format!("MULTISET<{}>", part(element)),
        TypeKind::Map(key, value) => format!("MAP<{}, {}>", part(key), part(value)),
        TypeKind::Row(fields) => {
            let field = |f: &RowField| {
                let description = f
                    .description
                    .as_ref()
                    .map(|text| format!(" '{}'", text.replace('\'', "''")));
                format!(
                    "`{}` {}{}",
                    f.name.replace('`', "``"),
                    part(&f.ty),
                    description.unwrap_or_default()
                )
            };
            format!("ROW<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        _ => return ty.to_string(),
    };
    let null = if ty.nullable { "" } else { " NOT NULL" };
    let text = format!("{kind}{null}");
    // A time attribute is shown after the nullability, by the type's own text.
    if ty.is_time_attribute() && !serializable {
        ty.to_string()
    } else {
        text
    }
}
