//! IN over a list.
//!
//! A list of constants becomes a set at the first batch of a call site; short lists, and types without a set, are
//! compared member by member over whole columns.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, TimeUnit};
use hashbrown::HashSet;
use millstream_types::{LogicalType, TypeFamily};

use super::kernels::compare_data;
use super::{Comparison, Operator};
use crate::scalar::logical::repeated;
use crate::scalar::{Datum, EvalError, KernelArgs};
use crate::signature::{ArgInfo, Signature, SignatureError};
use crate::typing::{any_nullable, common_type, comparison_types, operator_error};

/// Lists up to this length are compared member by member, which vectorises.
const SHORT_LIST: usize = 4;

type Set<T> = HashSet<T, foldhash::fast::FixedState>;

/// All operands get one type; texts in a list for a number are read as numbers.
pub(super) fn signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    if args.len() < 2 {
        return Err(SignatureError::Count {
            function: "IN".to_owned(),
            expected: "at least 2".to_owned(),
            found: args.len(),
        });
    }
    let refused = || operator_error("IN", args, "<COMPARABLE_TYPE> IN (<COMPARABLE_TYPE>, ...)");
    let plain: Vec<LogicalType> = args.iter().map(|arg| arg.ty.without_time_attribute()).collect();
    let needle = &plain[0];
    // Texts are converted to what they are compared with.
    let typed: Vec<&LogicalType> = plain
        .iter()
        .filter(|ty| !ty.is_character() && !ty.is_null())
        .collect();
    let common = match typed.as_slice() {
        [] if needle.is_null() && plain.iter().all(LogicalType::is_null) => LogicalType::BOOLEAN,
        [] => LogicalType::STRING,
        typed if needle.is_character() && typed.iter().any(|ty| ty.is_numeric() || ty.is_nested()) => {
            return Err(refused());
        }
        typed => common_type(typed).ok_or_else(refused)?,
    };
    let comparable = typed
        .iter()
        .all(|ty| comparison_types(ty, &common, Comparison::Equality).is_some());
    if !comparable {
        return Err(refused());
    }
    let types = plain
        .iter()
        .map(|ty| common.with_nullable(ty.nullable || ty.is_null()))
        .collect();
    let nullable = any_nullable(args) || plain.iter().any(LogicalType::is_null);
    Ok(Signature {
        args: types,
        result: LogicalType::BOOLEAN.with_nullable(nullable),
    })
}

/// A list of constants, ready for look-ups.
struct Members {
    values: Values,
    /// One of the members is NULL.
    has_null: bool,
}

enum Values {
    Integers(Set<i64>),
    Decimals(Set<i128>),
    Texts(Set<Box<str>>),
    /// Compared one by one.
    Listed,
}

pub(super) fn kernel(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (needle, list) = (&args.args[0], &args.args[1..]);
    if list.len() <= SHORT_LIST || !list.iter().all(Datum::is_constant) {
        return one_by_one(args);
    }
    let rows = if needle.is_constant() { 1 } else { args.rows };
    let members = args
        .cache
        .get_or_insert_with(|| Members::new(&args.arg_types[0], list));
    let Some(found) = members.find(needle.array(), rows) else {
        return one_by_one(args);
    };
    let unknown_unless_found = members.has_null;
    let nulls = match (needle.array().nulls(), unknown_unless_found) {
        (nulls, false) => nulls.cloned(),
        (None, true) => Some(NullBuffer::new(found.clone())),
        (Some(nulls), true) => Some(NullBuffer::new(nulls.inner() & &found)),
    };
    let result: ArrayRef = Arc::new(BooleanArray::new(found, nulls));
    if needle.is_constant() {
        repeated(&result, args.rows)
    } else {
        Ok(result)
    }
}

impl Members {
    fn new(ty: &LogicalType, list: &[Datum]) -> Self {
        let has_null = list.iter().any(|member| member.is_null(0));
        let arrays: Vec<&ArrayRef> = list.iter().filter(|m| !m.is_null(0)).map(Datum::array).collect();
        let values = match ty.family() {
            TypeFamily::CharacterString => Values::Texts(
                arrays
                    .iter()
                    .map(|array| array.as_string_view().value(0).into())
                    .collect(),
            ),
            _ => match arrays
                .iter()
                .map(|array| integer(array))
                .collect::<Option<Set<i64>>>()
            {
                Some(integers) => Values::Integers(integers),
                None => match arrays
                    .iter()
                    .map(|array| decimal(array))
                    .collect::<Option<Set<i128>>>()
                {
                    Some(decimals) => Values::Decimals(decimals),
                    None => Values::Listed,
                },
            },
        };
        Self { values, has_null }
    }

    /// Which values of a column are members; NULLs give any bit.
    fn find(&self, array: &ArrayRef, rows: usize) -> Option<BooleanBuffer> {
        Some(match &self.values {
            Values::Listed => return None,
            Values::Texts(set) => {
                let texts = array.as_string_view_opt()?;
                BooleanBuffer::collect_bool(rows, |row| texts.is_valid(row) && set.contains(texts.value(row)))
            }
            Values::Decimals(set) => {
                let values = array.as_primitive_opt::<Decimal128Type>()?.values();
                BooleanBuffer::collect_bool(rows, |row| set.contains(&values[row]))
            }
            Values::Integers(set) => match array.data_type() {
                DataType::Int8 => find_integers::<Int8Type>(array, set, rows),
                DataType::Int16 => find_integers::<Int16Type>(array, set, rows),
                DataType::Int32 => find_integers::<Int32Type>(array, set, rows),
                DataType::Int64 => find_integers::<Int64Type>(array, set, rows),
                DataType::Date32 => find_integers::<Date32Type>(array, set, rows),
                DataType::Time32(_) => find_integers::<Time32MillisecondType>(array, set, rows),
                DataType::Timestamp(TimeUnit::Millisecond, _) => {
                    find_integers::<TimestampMillisecondType>(array, set, rows)
                }
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    find_integers::<TimestampMicrosecondType>(array, set, rows)
                }
                _ => return None,
            },
        })
    }
}

fn find_integers<T: ArrowPrimitiveType>(array: &ArrayRef, set: &Set<i64>, rows: usize) -> BooleanBuffer
where
    T::Native: Into<i64>,
{
    let values = array.as_primitive::<T>().values();
    BooleanBuffer::collect_bool(rows, |row| set.contains(&values[row].into()))
}

/// The first value of a column whose values are integers physically.
fn integer(array: &ArrayRef) -> Option<i64> {
    Some(match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(0).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(0).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(0).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(0),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(0).into(),
        DataType::Time32(_) => array.as_primitive::<Time32MillisecondType>().value(0).into(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().value(0)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().value(0)
        }
        _ => return None,
    })
}

fn decimal(array: &ArrayRef) -> Option<i128> {
    array
        .as_primitive_opt::<Decimal128Type>()
        .map(|array| array.value(0))
}

/// `a = b OR a = c OR …` in three-valued logic.
fn one_by_one(args: &KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let needle = &args.args[0];
    let mut holds = BooleanBuffer::new_unset(args.rows);
    let mut fails = BooleanBuffer::new_set(args.rows);
    for (member, ty) in args.args[1..].iter().zip(&args.arg_types[1..]) {
        let equal = compare_data(
            [needle, member],
            [&args.arg_types[0], ty],
            Operator::Equal,
            args.rows,
        )?;
        let known = equal.nulls().map(|nulls| nulls.inner());
        let not_equal = !equal.values();
        match known {
            None => {
                holds = &holds | equal.values();
                fails = &fails & &not_equal;
            }
            Some(known) => {
                holds = &holds | &(equal.values() & known);
                fails = &fails & &(&not_equal & known);
            }
        }
    }
    let known = &holds | &fails;
    Ok(Arc::new(BooleanArray::new(
        holds,
        Some(NullBuffer::new(known)).filter(|nulls| nulls.null_count() > 0),
    )))
}
