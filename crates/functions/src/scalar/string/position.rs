//! POSITION, LOCATE, INSTR.

use arrow_array::ArrayRef;
use arrow_array::types::Int32Type;
use millstream_types::LogicalType;

use super::{char_count, char_offset};
use crate::scalar::access::data_error;
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

const TWO: &[Arg] = &[Arg::Character, Arg::Character];
const FROM: &[Arg] = &[Arg::Character, Arg::Character, Arg::Integer];
const FROM_NTH: &[Arg] = &[Arg::Character, Arg::Character, Arg::Integer, Arg::Integer];

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::String,
        "POSITION",
        "POSITION(search IN string)",
        "The position, from 1, of the first occurrence of the search string; 0 if there is none.",
        |args| strict(check("POSITION", args, &[TWO, FROM])?, LogicalType::INT),
        locate,
    ),
    ScalarFunction::new(
        Group::String,
        "LOCATE",
        "LOCATE(search, string[, start])",
        "The position, from 1, of the first occurrence of the search string at the start position or after it; 0 if there \
         is none.",
        |args| strict(check("LOCATE", args, &[TWO, FROM])?, LogicalType::INT),
        locate,
    ),
    ScalarFunction::new(
        Group::String,
        "INSTR",
        "INSTR(string, search[, start[, occurrence]])",
        "The position, from 1, of an occurrence of the search string (the first by default); 0 if there is none. A negative \
         start counts from the end and searches backwards.",
        |args| strict(check("INSTR", args, &[TWO, FROM, FROM_NTH])?, LogicalType::INT),
        instr,
    ),
];

/// Position from 1 of `search` in `text` at position `start` or after it, in characters; 0 if there is none.
fn find(text: &str, search: &str, start: i64) -> i64 {
    if search.is_empty() {
        return 1;
    }
    let from = char_offset(text, usize::try_from(start - 1).unwrap_or(0));
    match text[from..].find(search) {
        Some(at) => char_count(&text[..from + at]) as i64 + 1,
        None => 0,
    }
}

fn locate(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (search, text, start) = (args.text(0)?, args.text(1)?, args.optional_integers(2)?);
    args.write_primitives::<Int32Type>(|row| {
        let start = match &start {
            Some(start) => start.get(row)?,
            None => 1,
        };
        Some(find(text.get(row)?, search.get(row)?, start) as i32)
    })
}

fn instr(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let (text, search) = (args.text(0)?, args.text(1)?);
    let (start, nth) = (args.optional_integers(2)?, args.optional_integers(3)?);
    args.try_write_primitives::<Int32Type>(|row| {
        let start = start.as_ref().map_or(Some(1), |start| start.get(row));
        let nth = nth.as_ref().map_or(Some(1), |nth| nth.get(row));
        let (Some(text), Some(search), Some(start), Some(nth)) = (text.get(row), search.get(row), start, nth)
        else {
            return Ok(None);
        };
        if nth <= 0 {
            return Err(data_error("INSTR: the occurrence must be positive"));
        }
        Ok(Some(nth_position(text, search, start, nth) as i32))
    })
}

fn nth_position(text: &str, search: &str, start: i64, nth: i64) -> i64 {
    if start == 0 {
        return 0;
    }
    if start < 0 {
        let (reversed, backwards) = (
            text.chars().rev().collect::<String>(),
            search.chars().rev().collect::<String>(),
        );
        let position = nth_position(&reversed, &backwards, start.saturating_neg(), nth);
        let (count, searched) = (char_count(text) as i64, char_count(search) as i64);
        return if position == 0 {
            0
        } else {
            count + 2 - position - searched
        };
    }
    let (mut from, mut position) = (start, 0);
    for _ in 0..nth {
        position = find(text, search, from);
        if position == 0 || search.is_empty() {
            break;
        }
        from = position + 1;
    }
    position
}
