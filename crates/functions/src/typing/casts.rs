//! Which types can be cast to which, implicitly and explicitly.
//!
//! Both relations only say whether a cast is allowed; how values convert is in [`crate::cast`].

use millstream_types::{LogicalType, TypeFamily, TypeKind};

use crate::typing::names::sql_type_name;

/// Whether a value of `from` may stand where `to` is expected, without a CAST being written.
pub fn supports_implicit_cast(from: &LogicalType, to: &LogicalType) -> bool {
    supports_cast(from, to, false)
}

/// Whether `CAST(from AS to)` is allowed.
pub fn supports_explicit_cast(from: &LogicalType, to: &LogicalType) -> bool {
    supports_cast(from, to, true)
}

/// What to tell the user whose CAST is not allowed.
pub fn cast_refusal(from: &LogicalType, to: &LogicalType) -> String {
    let hint = if from.is_numeric() && to.is_timestamp_like() {
        ". the cast from NUMERIC type to TIMESTAMP type is not allowed; use TO_TIMESTAMP(FROM_UNIXTIME(n)) or TO_TIMESTAMP_LTZ(n, 0|3)"
    } else if from.family() == TypeFamily::Timestamp && to.is_numeric() {
        ". the cast from TIMESTAMP type to NUMERIC type is not allowed; use UNIX_TIMESTAMP(CAST(ts AS STRING))"
    } else if from.family() == TypeFamily::TimestampLtz && to.is_numeric() {
        ". the cast from TIMESTAMP_LTZ type to NUMERIC type is not allowed"
    } else {
        ""
    };
    format!(
        "cast function cannot convert value of type {} to type {}{hint}",
        sql_type_name(from),
        sql_type_name(to)
    )
}

fn supports_cast(from: &LogicalType, to: &LogicalType, explicit: bool) -> bool {
    if from.nullable && !to.nullable {
        return false;
    }
    let (from, to) = (from.without_time_attribute(), to.without_time_attribute());
    if from.kind == to.kind || from.is_null() {
        return true;
    }
    if from.is_nested() || to.is_nested() {
        return supports_nested(&from, &to, explicit);
    }
    implicit_root(&from, &to) || (explicit && explicit_root(&from, &to))
}

fn supports_nested(from: &LogicalType, to: &LogicalType, explicit: bool) -> bool {
    if explicit && to.is_character() {
        return from
            .children()
            .iter()
            .all(|child| supports_cast(&child.with_nullable(false), to, true));
    }
    if from.family() != to.family() {
        return false;
    }
    let (from, to) = (from.children(), to.children());
    from.len() == to.len() && from.iter().zip(&to).all(|(f, t)| supports_cast(f, t, explicit))
}

fn implicit_root(from: &LogicalType, to: &LogicalType) -> bool {
    use TypeFamily as F;
    let family = from.family();
    match &to.kind {
        TypeKind::Char(_) => matches!(from.kind, TypeKind::Char(_)),
        TypeKind::Varchar(_) => from.is_character(),
        TypeKind::Binary(_) => matches!(from.kind, TypeKind::Binary(_)),
        TypeKind::Varbinary(_) => from.is_binary(),
        TypeKind::Decimal { .. } | TypeKind::Double => from.is_numeric(),
        TypeKind::SmallInt => matches!(from.kind, TypeKind::TinyInt),
        TypeKind::Int => matches!(from.kind, TypeKind::TinyInt | TypeKind::SmallInt),
        TypeKind::BigInt => matches!(from.kind, TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int),
        TypeKind::Float => from.is_exact_numeric(),
        TypeKind::Date => family == F::Timestamp,
        TypeKind::Time(_) => matches!(family, F::Time | F::Timestamp),
        TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => from.is_timestamp_like(),
        TypeKind::IntervalYearMonth(_) => family == F::IntervalYearMonth,
        TypeKind::IntervalDayTime(_) => family == F::IntervalDayTime,
        _ => false,
    }
}

fn explicit_root(from: &LogicalType, to: &LogicalType) -> bool {
    use TypeFamily as F;
    let family = from.family();
    let text = from.is_character();
    match &to.kind {
        TypeKind::Char(_) | TypeKind::Varchar(_) => !matches!(family, F::Variant | F::Descriptor | F::Raw),
        TypeKind::Binary(_) => text || from.is_binary() || family == F::Bitmap,
        TypeKind::Varbinary(_) => text || family == F::Bitmap,
        TypeKind::Boolean => text || from.is_numeric(),
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int | TypeKind::BigInt => {
            text || from.is_numeric() || family == F::Boolean
        }
        TypeKind::Float | TypeKind::Double | TypeKind::Decimal { .. } => {
            text || from.is_numeric() || family == F::Boolean
        }
        TypeKind::Date => text || from.is_timestamp_like(),
        TypeKind::Time(_) => text || from.is_timestamp_like() || family == F::Time,
        TypeKind::Timestamp { .. } | TypeKind::TimestampLtz { .. } => text || from.is_datetime(),
        TypeKind::IntervalYearMonth(_) | TypeKind::IntervalDayTime(_) => from.is_integer(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAR4: LogicalType = LogicalType::new(TypeKind::Char(4));

    #[test]
    fn implicit_casts_widen_and_never_narrow() {
        let yes = [
            (LogicalType::INT, LogicalType::BIGINT),
            (LogicalType::BIGINT, LogicalType::FLOAT),
            (LogicalType::DOUBLE, LogicalType::decimal(10, 2)),
            (LogicalType::STRING, LogicalType::new(TypeKind::Varchar(3))),
            (LogicalType::timestamp(3), LogicalType::DATE),
            (LogicalType::timestamp_ltz(3), LogicalType::timestamp(6)),
            (LogicalType::NULL, LogicalType::array(LogicalType::INT)),
            (
                LogicalType::array(LogicalType::INT),
                LogicalType::array(LogicalType::BIGINT),
            ),
        ];
        let no = [
            (LogicalType::BIGINT, LogicalType::INT),
            (LogicalType::STRING, CHAR4),
            (LogicalType::DATE, LogicalType::timestamp(3)),
            (LogicalType::STRING, LogicalType::INT),
            (LogicalType::INT, LogicalType::INT.with_nullable(false)),
            (LogicalType::array(LogicalType::INT), LogicalType::STRING),
        ];
        assert!(
            yes.iter().all(|(from, to)| supports_implicit_cast(from, to)),
            "{yes:?}"
        );
        assert!(
            no.iter().all(|(from, to)| !supports_implicit_cast(from, to)),
            "{no:?}"
        );
    }

    #[test]
    fn explicit_casts_refuse_what_has_no_meaning() {
        let no = [
            (LogicalType::INT, LogicalType::BYTES),
            (LogicalType::BYTES, LogicalType::INT),
            (LogicalType::BYTES, LogicalType::BOOLEAN),
            (LogicalType::BOOLEAN, LogicalType::DATE),
            (LogicalType::BOOLEAN, LogicalType::timestamp(6)),
            (LogicalType::BOOLEAN, LogicalType::array(LogicalType::INT)),
            (LogicalType::BIGINT, LogicalType::timestamp_ltz(3)),
            (LogicalType::new(TypeKind::Variant), LogicalType::STRING),
            (LogicalType::INT, LogicalType::new(TypeKind::Variant)),
        ];
        for (from, to) in &no {
            assert!(!supports_explicit_cast(from, to), "{from} to {to}");
            assert!(cast_refusal(from, to).contains("cast"));
        }
        let yes = [
            (LogicalType::BYTES, LogicalType::STRING),
            (LogicalType::BOOLEAN, LogicalType::decimal(3, 1)),
            (LogicalType::DOUBLE, LogicalType::BOOLEAN),
            (
                LogicalType::map(LogicalType::STRING, LogicalType::INT),
                LogicalType::STRING,
            ),
            (LogicalType::DATE, LogicalType::timestamp_ltz(3)),
        ];
        assert!(
            yes.iter().all(|(from, to)| supports_explicit_cast(from, to)),
            "{yes:?}"
        );
    }
}
