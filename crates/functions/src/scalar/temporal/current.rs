//! The current date and time, CURRENT_WATERMARK, PROCTIME, and CURRENT_DATABASE.

use arrow_array::ArrayRef;
use millstream_types::{LogicalType, TimeAttribute, TypeKind};

use super::values::{MILLIS_PER_DAY, NANOS_PER_MILLI, repeated};
use crate::display::ZoneOffsets;
use crate::scalar::access::data_error;
use crate::scalar::forms::{check, refused, wrong_count};
use crate::scalar::{Determinism, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Temporal,
        "CURRENT_DATE",
        "CURRENT_DATE",
        "The current date in the session's time zone.",
        |args| niladic("CURRENT_DATE", args, LogicalType::DATE),
        current_date,
    )
    .determinism(Determinism::WithinQuery),
    ScalarFunction::new(
        Group::Temporal,
        "CURRENT_TIME",
        "CURRENT_TIME",
        "The current time of day in the session's time zone.",
        |args| niladic("CURRENT_TIME", args, LogicalType::time(0)),
        local_time,
    )
    .determinism(Determinism::WithinQuery),
    ScalarFunction::new(
        Group::Temporal,
        "LOCALTIME",
        "LOCALTIME",
        "The current time of day in the session's time zone.",
        |args| niladic("LOCALTIME", args, LogicalType::time(0)),
        local_time,
    )
    .determinism(Determinism::WithinQuery),
    ScalarFunction::new(
        Group::Temporal,
        "LOCALTIMESTAMP",
        "LOCALTIMESTAMP",
        "The current time in the session's time zone, as TIMESTAMP(3).",
        |args| niladic("LOCALTIMESTAMP", args, LogicalType::timestamp(3)),
        |args| repeated(args.rows, args.result, Some(local_nanos(args))),
    )
    .determinism(Determinism::WithinQuery),
    ScalarFunction::new(
        Group::Temporal,
        "CURRENT_TIMESTAMP",
        "CURRENT_TIMESTAMP",
        "The current time, as TIMESTAMP_LTZ(3).",
        |args| niladic("CURRENT_TIMESTAMP", args, LogicalType::timestamp_ltz(3)),
        |args| repeated(args.rows, args.result, Some(now_nanos(args))),
    )
    .determinism(Determinism::WithinQuery),
    ScalarFunction::new(
        Group::Temporal,
        "NOW",
        "NOW()",
        "The current time, as TIMESTAMP_LTZ(3).",
        |args| niladic("NOW", args, LogicalType::timestamp_ltz(3)),
        |args| repeated(args.rows, args.result, Some(now_nanos(args))),
    )
    .determinism(Determinism::WithinQuery),
    ScalarFunction::new(
        Group::Temporal,
        "CURRENT_ROW_TIMESTAMP",
        "CURRENT_ROW_TIMESTAMP()",
        "The time at which the row is processed, in batch mode too.",
        |args| niladic("CURRENT_ROW_TIMESTAMP", args, LogicalType::timestamp_ltz(3)),
        |args| repeated(args.rows, args.result, Some(now_nanos(args))),
    )
    .determinism(Determinism::Never),
    ScalarFunction::new(
        Group::Temporal,
        "PROCTIME",
        "PROCTIME()",
        "The processing time attribute: the time at which the row is processed.",
        |args| {
            let attribute = LogicalType::timestamp_ltz(3).with_time_attribute(TimeAttribute::Proctime);
            niladic("PROCTIME", args, attribute)
        },
        |args| repeated(args.rows, args.result, Some(now_nanos(args))),
    )
    .determinism(Determinism::Never),
    ScalarFunction::new(
        Group::Temporal,
        "CURRENT_WATERMARK",
        "CURRENT_WATERMARK(rowtime)",
        "The current watermark of the rowtime attribute; NULL if there is none yet.",
        watermark_signature,
        current_watermark,
    )
    .determinism(Determinism::Never),
    ScalarFunction::new(
        Group::Temporal,
        "SOURCE_WATERMARK",
        "SOURCE_WATERMARK()",
        "Stands for the watermarks of the source in a WATERMARK clause; it cannot be evaluated anywhere else.",
        |args| {
            let types = check("SOURCE_WATERMARK", args, &[&[]])?;
            Ok(Signature { args: types, result: LogicalType::timestamp_ltz(3) })
        },
        |_| Err(data_error("SOURCE_WATERMARK() is only allowed in the WATERMARK clause of a source table")),
    )
    .determinism(Determinism::Never),
    ScalarFunction::new(
        Group::Auxiliary,
        "CURRENT_DATABASE",
        "CURRENT_DATABASE()",
        "The name of the current database.",
        |args| niladic("CURRENT_DATABASE", args, LogicalType::STRING),
        |args| args.text_slices(|_| Some(&args.env.current_database)),
    )
    .determinism(Determinism::WithinQuery),
];

fn niladic(function: &str, args: &[ArgInfo<'_>], result: LogicalType) -> Result<Signature, SignatureError> {
    let types = check(function, args, &[&[]])?;
    Ok(Signature {
        args: types,
        result: result.with_nullable(false),
    })
}

fn now_nanos(args: &KernelArgs<'_>) -> i128 {
    i128::from(args.env.now_ms) * NANOS_PER_MILLI
}

/// The current time on the wall clock of the session.
fn local_nanos(args: &KernelArgs<'_>) -> i128 {
    ZoneOffsets::new(args.env.zone.clone()).to_local_nanos(now_nanos(args))
}

fn current_date(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    repeated(args.rows, args.result, Some(local_nanos(args)))
}

fn local_time(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let of_day = local_nanos(args).rem_euclid(i128::from(MILLIS_PER_DAY) * NANOS_PER_MILLI);
    repeated(args.rows, args.result, Some(of_day))
}

fn watermark_signature(args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError> {
    let [arg] = args else {
        return Err(wrong_count("CURRENT_WATERMARK", "1", args.len()));
    };
    if arg.ty.time_attribute() != TimeAttribute::Rowtime {
        return Err(refused(format!(
            "CURRENT_WATERMARK() must be called with a single rowtime attribute argument, but '{}' cannot be a time attribute",
            arg.ty
        )));
    }
    let plain = arg.ty.without_time_attribute();
    let result = match plain.kind {
        TypeKind::TimestampLtz { precision, .. } => LogicalType::timestamp_ltz(precision),
        _ => LogicalType::timestamp(plain.precision().unwrap_or(3)),
    };
    Ok(Signature {
        args: vec![arg.ty.clone()],
        result,
    })
}

fn current_watermark(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let watermark = args.env.watermark_ms.filter(|ms| *ms != i64::MIN);
    repeated(
        args.rows,
        args.result,
        watermark.map(|ms| i128::from(ms) * NANOS_PER_MILLI),
    )
}
