//! Precision and scale of DECIMAL results.
//!
//! The table is the one of SQL Server as Hive adopted it: when a result would need more than 38 digits, fractional
//! digits are dropped first, down to six.

use millstream_types::logical_type::MAX_DECIMAL_PRECISION;
use millstream_types::{LogicalType, TypeKind};

/// Fractional digits that survive when precision runs out.
const MINIMUM_ADJUSTED_SCALE: i32 = 6;
/// Digits of a count, by which AVG divides.
const COUNT_DIGITS: i32 = 20;

/// Precision and scale of an exact numeric type; integers have scale 0.
pub(crate) fn digits(kind: &TypeKind) -> Option<(i32, i32)> {
    Some(match kind {
        TypeKind::TinyInt => (3, 0),
        TypeKind::SmallInt => (5, 0),
        TypeKind::Int => (10, 0),
        TypeKind::BigInt => (19, 0),
        TypeKind::Decimal { precision, scale } => (i32::from(*precision), i32::from(*scale)),
        _ => return None,
    })
}

/// The DECIMAL that holds every value of an integer type; other types stay as they are.
pub fn integer_as_decimal(ty: &LogicalType) -> LogicalType {
    match digits(&ty.kind) {
        Some((precision, _)) if ty.is_integer() => LogicalType {
            kind: TypeKind::Decimal {
                precision: precision as u8,
                scale: 0,
            },
            nullable: ty.nullable,
        },
        _ => ty.clone(),
    }
}

/// `a + b` and `a - b` of exact numerics.
pub(crate) fn addition(a: &TypeKind, b: &TypeKind) -> Option<TypeKind> {
    let ((p1, s1), (p2, s2)) = (digits(a)?, digits(b)?);
    let scale = s1.max(s2);
    Some(adjusted((p1 - s1).max(p2 - s2) + scale + 1, scale))
}

/// `a * b` of exact numerics.
pub(crate) fn multiplication(a: &TypeKind, b: &TypeKind) -> Option<TypeKind> {
    let ((p1, s1), (p2, s2)) = (digits(a)?, digits(b)?);
    Some(adjusted(p1 + p2 + 1, s1 + s2))
}

/// `a / b` of exact numerics.
pub(crate) fn division(a: &TypeKind, b: &TypeKind) -> Option<TypeKind> {
    let ((p1, s1), (p2, s2)) = (digits(a)?, digits(b)?);
    let scale = (s1 + p2 + 1).max(6);
    Some(adjusted(p1 - s1 + s2 + scale, scale))
}

/// `a % b` of exact numerics.
pub(crate) fn modulo(a: &TypeKind, b: &TypeKind) -> Option<TypeKind> {
    let ((p1, s1), (p2, s2)) = (digits(a)?, digits(b)?);
    let scale = s1.max(s2);
    Some(adjusted((p1 - s1).min(p2 - s2) + scale, scale))
}

/// ROUND and TRUNCATE of a DECIMAL to `places` digits; other types keep their type.
pub fn round_type(ty: &LogicalType, places: i64) -> LogicalType {
    let TypeKind::Decimal { precision, scale } = ty.kind else {
        return ty.clone();
    };
    let (p, s) = (i64::from(precision), i64::from(scale));
    let (precision, scale) = match places {
        places if places >= s => (p, s),
        places if places < 0 => (1 + p - s, 0),
        places => (1 + p - s + places, places),
    };
    let precision = precision.min(i64::from(MAX_DECIMAL_PRECISION)) as u8;
    LogicalType {
        kind: TypeKind::Decimal {
            precision,
            scale: scale as u8,
        },
        nullable: ty.nullable,
    }
}

/// AVG: integers stay integers, a DECIMAL gets six fractional digits at least.
pub fn average_type(ty: &LogicalType) -> LogicalType {
    let TypeKind::Decimal { scale, .. } = ty.kind else {
        return ty.clone();
    };
    let sum_precision = i32::from(MAX_DECIMAL_PRECISION);
    let result_scale = (i32::from(scale) + COUNT_DIGITS + 1).max(6);
    let kind = adjusted(sum_precision - i32::from(scale) + result_scale, result_scale);
    LogicalType {
        kind,
        nullable: ty.nullable,
    }
}

/// SUM: the argument's type, a DECIMAL with all digits.
pub fn sum_type(ty: &LogicalType) -> LogicalType {
    match ty.kind {
        TypeKind::Decimal { scale, .. } => LogicalType {
            kind: TypeKind::Decimal {
                precision: MAX_DECIMAL_PRECISION,
                scale,
            },
            nullable: ty.nullable,
        },
        _ => ty.clone(),
    }
}

/// DECIMAL(precision, scale), or the best fit within 38 digits.
pub(crate) fn adjusted(precision: i32, scale: i32) -> TypeKind {
    let most = i32::from(MAX_DECIMAL_PRECISION);
    if precision <= most {
        return TypeKind::Decimal {
            precision: precision.max(1) as u8,
            scale: scale as u8,
        };
    }
    let whole_digits = precision - scale;
    let scale = (most - whole_digits).max(scale.min(MINIMUM_ADJUSTED_SCALE));
    TypeKind::Decimal {
        precision: MAX_DECIMAL_PRECISION,
        scale: scale as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: u8) -> TypeKind {
        TypeKind::Decimal { precision, scale }
    }

    #[test]
    fn recorded_derivations() {
        let (a, b, c, e, g) = (
            decimal(5, 2),
            decimal(10, 4),
            decimal(38, 10),
            decimal(38, 0),
            decimal(3, 3),
        );
        let int = TypeKind::Int;
        let cases = [
            (addition(&a, &b), (11, 4)),
            (multiplication(&a, &b), (16, 6)),
            (division(&a, &b), (20, 13)),
            (modulo(&a, &b), (7, 4)),
            (addition(&c, &c), (38, 9)),
            (multiplication(&c, &c), (38, 6)),
            (division(&c, &c), (38, 6)),
            (addition(&e, &e), (38, 0)),
            (division(&e, &e), (38, 6)),
            (modulo(&c, &e), (38, 10)),
            (addition(&a, &int), (13, 2)),
            (division(&int, &a), (18, 6)),
            (division(&a, &int), (16, 13)),
            (multiplication(&TypeKind::BigInt, &a), (25, 2)),
            (multiplication(&g, &a), (9, 5)),
            (division(&a, &g), (12, 6)),
            (addition(&g, &e), (38, 3)),
        ];
        for (i, (found, (precision, scale))) in cases.into_iter().enumerate() {
            assert_eq!(found, Some(decimal(precision, scale)), "case {i}");
        }
        assert_eq!(
            average_type(&LogicalType::decimal(10, 2)),
            LogicalType::decimal(38, 6)
        );
        assert_eq!(
            round_type(&LogicalType::decimal(25, 5), 2),
            LogicalType::decimal(23, 2)
        );
        assert_eq!(
            round_type(&LogicalType::decimal(10, 4), -1),
            LogicalType::decimal(7, 0)
        );
    }
}
