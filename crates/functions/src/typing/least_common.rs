//! The least common type of several: what CASE, COALESCE, UNION, IN and array constructors unify their parts to.

use millstream_types::logical_type::{DayTimeResolution, MAX_LENGTH, YearMonthResolution};
use millstream_types::{LogicalType, RowField, TimeAttribute, TypeFamily, TypeKind};

use crate::typing::casts::supports_implicit_cast;
use crate::typing::decimal::{adjusted, digits};

/// The most specific type that all of `types` convert to; `None` if there is none, or only bare NULLs were given.
pub fn common_type(types: &[&LogicalType]) -> Option<LogicalType> {
    let (first, rest) = types.split_first()?;
    let mut found = (*first).clone();
    for ty in rest {
        found = common_type_of(&found, ty)?;
    }
    if found.is_null() { None } else { Some(found) }
}

/// The type of CASE, ARRAY, MAP and set operations: as [`common_type`], but a DATE or a TIME does not mix with timestamps,
/// and DECIMAL with FLOAT is DOUBLE in either order.
pub fn least_restrictive(types: &[&LogicalType]) -> Option<LogicalType> {
    use TypeFamily as F;
    let any = |families: [F; 2]| types.iter().any(|ty| families.contains(&ty.family()));
    if any([F::Date, F::Time]) && any([F::Timestamp, F::TimestampLtz]) {
        return None;
    }
    let common = common_type(types)?;
    let kind = match common.kind {
        TypeKind::Float if any([F::Decimal, F::Decimal]) => TypeKind::Double,
        TypeKind::Double if !any([F::Decimal, F::Decimal]) => first_approximate(types).unwrap_or(common.kind),
        kind => kind,
    };
    Some(LogicalType {
        kind,
        nullable: common.nullable,
    })
}

/// Of FLOAT and DOUBLE, Calcite takes the one that comes first.
fn first_approximate(types: &[&LogicalType]) -> Option<TypeKind> {
    let is_approximate = |ty: &&&LogicalType| ty.family() == TypeFamily::Approximate;
    types.iter().find(is_approximate).map(|ty| ty.kind.clone())
}

/// The common type of two; NULL with NULL stays NULL.
pub fn common_type_of(a: &LogicalType, b: &LogicalType) -> Option<LogicalType> {
    let nullable = a.nullable || b.nullable || a.is_null() || b.is_null();
    if a.is_null() {
        return Some(b.with_nullable(true));
    }
    if b.is_null() {
        return Some(a.with_nullable(true));
    }
    if a.kind == b.kind {
        return Some(a.with_nullable(nullable));
    }
    if let Some(kind) = merge(&a.kind, &b.kind) {
        return Some(LogicalType { kind, nullable });
    }
    castable(a, b).map(|ty| ty.with_nullable(nullable))
}

/// The type of `a || b`: CHAR only when both are CHAR, lengths added up to the largest.
pub fn concat_type(a: &LogicalType, b: &LogicalType) -> LogicalType {
    let length = |ty: &LogicalType| ty.length().unwrap_or(MAX_LENGTH);
    let total = length(a).saturating_add(length(b)).min(MAX_LENGTH);
    let kind = match (&a.kind, &b.kind) {
        (TypeKind::Char(_), TypeKind::Char(_)) => TypeKind::Char(total),
        (TypeKind::Binary(_), TypeKind::Binary(_)) => TypeKind::Binary(total),
        _ if a.is_binary() => TypeKind::Varbinary(total),
        _ => TypeKind::Varchar(total),
    };
    LogicalType {
        kind,
        nullable: a.nullable || b.nullable,
    }
}

fn castable(a: &LogicalType, b: &LogicalType) -> Option<LogicalType> {
    let (a, b) = (a.with_nullable(true), b.with_nullable(true));
    if supports_implicit_cast(&a, &b) {
        return Some(b);
    }
    supports_implicit_cast(&b, &a).then_some(a)
}

fn merge(a: &TypeKind, b: &TypeKind) -> Option<TypeKind> {
    use TypeFamily as F;
    match (a.family(), b.family()) {
        (F::CharacterString, F::CharacterString) | (F::BinaryString, F::BinaryString) => {
            Some(merge_strings(a, b))
        }
        (F::Integer, F::Integer) => Some(if width(a) >= width(b) {
            a.clone()
        } else {
            b.clone()
        }),
        (F::Integer | F::Decimal, F::Integer | F::Decimal) => merge_decimals(a, b),
        (F::Approximate, F::Approximate | F::Decimal) => Some(TypeKind::Double),
        // Unlike the other way round, DECIMAL in front of FLOAT is FLOAT.
        (F::Decimal, F::Approximate) => Some(b.clone()),
        (F::Approximate, F::Integer) => Some(a.clone()),
        (F::Integer, F::Approximate) => Some(b.clone()),
        (F::IntervalYearMonth, F::IntervalYearMonth) => {
            Some(TypeKind::IntervalYearMonth(YearMonthResolution::YearToMonth))
        }
        (F::IntervalDayTime, F::IntervalDayTime) => {
            Some(TypeKind::IntervalDayTime(DayTimeResolution::DayToSecond))
        }
        (
            F::Date | F::Time | F::Timestamp | F::TimestampLtz,
            F::Date | F::Time | F::Timestamp | F::TimestampLtz,
        ) => merge_datetimes(a, b),
        (F::Array | F::Map | F::Multiset | F::Row, _) => merge_nested(a, b),
        _ => None,
    }
}

fn merge_strings(a: &TypeKind, b: &TypeKind) -> TypeKind {
    let length = |kind: &TypeKind| match kind {
        TypeKind::Char(n) | TypeKind::Varchar(n) | TypeKind::Binary(n) | TypeKind::Varbinary(n) => *n,
        _ => MAX_LENGTH,
    };
    let longest = length(a).max(length(b));
    if a.family() == TypeFamily::CharacterString {
        TypeKind::Varchar(longest)
    } else {
        TypeKind::Varbinary(longest)
    }
}

fn width(kind: &TypeKind) -> u8 {
    match kind {
        TypeKind::TinyInt => 1,
        TypeKind::SmallInt => 2,
        TypeKind::Int => 4,
        _ => 8,
    }
}

fn merge_decimals(a: &TypeKind, b: &TypeKind) -> Option<TypeKind> {
    let ((p1, s1), (p2, s2)) = (digits(a)?, digits(b)?);
    let scale = s1.max(s2);
    Some(adjusted((p1 - s1).max(p2 - s2) + scale, scale))
}

fn merge_datetimes(a: &TypeKind, b: &TypeKind) -> Option<TypeKind> {
    let attribute = TimeAttribute::None;
    let (p1, p2) = (precision(a), precision(b));
    let most = p1.max(p2);
    Some(match (a, b) {
        (TypeKind::Time(_), TypeKind::Time(_)) => TypeKind::Time(most),
        // These convert one way only: the timestamp becomes a DATE or a TIME.
        (TypeKind::Time(_) | TypeKind::Date, _) | (_, TypeKind::Time(_) | TypeKind::Date) => return None,
        (TypeKind::TimestampLtz { .. }, _) | (_, TypeKind::TimestampLtz { .. }) => TypeKind::TimestampLtz {
            precision: most,
            attribute,
        },
        _ => TypeKind::Timestamp {
            precision: most,
            attribute,
        },
    })
}

fn precision(kind: &TypeKind) -> u8 {
    match kind {
        TypeKind::Time(p) => *p,
        TypeKind::Timestamp { precision, .. } | TypeKind::TimestampLtz { precision, .. } => *precision,
        _ => 0,
    }
}

fn merge_nested(a: &TypeKind, b: &TypeKind) -> Option<TypeKind> {
    Some(match (a, b) {
        (TypeKind::Array(x), TypeKind::Array(y)) => TypeKind::Array(Box::new(common_type_of(x, y)?)),
        (TypeKind::Multiset(x), TypeKind::Multiset(y)) => TypeKind::Multiset(Box::new(common_type_of(x, y)?)),
        (TypeKind::Map(k1, v1), TypeKind::Map(k2, v2)) => TypeKind::Map(
            Box::new(common_type_of(k1, k2)?),
            Box::new(common_type_of(v1, v2)?),
        ),
        (TypeKind::Row(f1), TypeKind::Row(f2)) if f1.len() == f2.len() => {
            let fields: Option<Vec<RowField>> = f1
                .iter()
                .zip(f2)
                .map(|(x, y)| {
                    let ty = common_type_of(&x.ty, &y.ty)?;
                    Some(RowField {
                        name: x.name.clone(),
                        ty,
                        description: x.description.clone(),
                    })
                })
                .collect();
            TypeKind::Row(fields?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn char(n: u32) -> LogicalType {
        LogicalType::not_null(TypeKind::Char(n))
    }

    #[test]
    fn recorded_common_types() {
        let int = LogicalType::INT;
        let cases = [
            (
                int.clone(),
                LogicalType::not_null(TypeKind::Decimal {
                    precision: 2,
                    scale: 1,
                }),
                "DECIMAL(11, 1)",
            ),
            (char(9), char(1), "VARCHAR(9) NOT NULL"),
            (char(3), char(3), "CHAR(3) NOT NULL"),
            (LogicalType::FLOAT, int.clone(), "FLOAT"),
            (LogicalType::FLOAT, LogicalType::decimal(3, 1), "DOUBLE"),
            (LogicalType::NULL, char(2), "CHAR(2)"),
            (
                LogicalType::timestamp(3),
                LogicalType::timestamp(6),
                "TIMESTAMP(6)",
            ),
            (LogicalType::BIGINT, LogicalType::decimal(2, 2), "DECIMAL(21, 2)"),
            (
                LogicalType::array(int.clone()),
                LogicalType::array(LogicalType::DOUBLE),
                "ARRAY<DOUBLE>",
            ),
        ];
        for (a, b, expected) in cases {
            assert_eq!(
                common_type(&[&a, &b]).map(|ty| ty.to_string()).as_deref(),
                Some(expected),
                "{a} and {b}"
            );
        }
        assert_eq!(common_type(&[&int, &LogicalType::STRING]), None);
        assert_eq!(common_type(&[&int, &LogicalType::DATE]), None);
        assert_eq!(common_type(&[&LogicalType::NULL, &LogicalType::NULL]), None);
    }

    #[test]
    fn the_first_of_float_and_double_wins() {
        let (float, double, int) = (LogicalType::FLOAT, LogicalType::DOUBLE, LogicalType::INT);
        let decimal = LogicalType::decimal(3, 1);
        let found = |types: &[&LogicalType]| least_restrictive(types).map(|ty| ty.to_string());
        assert_eq!(found(&[&float, &double]).as_deref(), Some("FLOAT"));
        assert_eq!(found(&[&double, &float]).as_deref(), Some("DOUBLE"));
        assert_eq!(found(&[&int, &float, &double]).as_deref(), Some("FLOAT"));
        assert_eq!(found(&[&float, &decimal, &double]).as_deref(), Some("DOUBLE"));
        assert_eq!(
            common_type(&[&float, &double])
                .map(|ty| ty.to_string())
                .as_deref(),
            Some("DOUBLE")
        );
    }

    #[test]
    fn concatenation_adds_lengths() {
        let varchar = |n| LogicalType::new(TypeKind::Varchar(n));
        assert_eq!(concat_type(&char(2), &char(1)).to_string(), "CHAR(3) NOT NULL");
        assert_eq!(concat_type(&varchar(3), &varchar(4)).to_string(), "VARCHAR(7)");
        assert_eq!(concat_type(&LogicalType::STRING, &char(1)).to_string(), "STRING");
    }
}
