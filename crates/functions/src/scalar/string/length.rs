//! CHAR_LENGTH.

use arrow_array::ArrayRef;
use arrow_array::types::Int32Type;
use millstream_types::LogicalType;

use super::char_count;
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[ScalarFunction::new(
    Group::String,
    "CHAR_LENGTH",
    "CHAR_LENGTH(string)",
    "The number of characters (code points) of the string.",
    |args| {
        strict(
            check("CHAR_LENGTH", args, &[&[Arg::Character]])?,
            LogicalType::INT,
        )
    },
    char_length,
)
.aliases(&["CHARACTER_LENGTH"])];

fn char_length(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let text = args.text(0)?;
    args.write_primitives::<Int32Type>(|row| Some(char_count(text.get(row)?) as i32))
}
