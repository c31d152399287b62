//! Which types compare with which, and the types in which they are compared.

use millstream_types::{LogicalType, TypeFamily, TypeKind};

use crate::typing::decimal::integer_as_decimal;
use crate::typing::least_common::common_type_of;

/// What is asked of two values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `=`, `<>`, IN, NULLIF and CASE with an operand.
    Equality,
    /// IS [NOT] DISTINCT FROM.
    Distinction,
    /// `<`, `<=`, `>`, `>=`, ORDER BY, MIN and MAX.
    Ordering,
}

/// The types that two operands are cast to before they are compared; `None` if they do not compare.
///
/// Character strings and DECIMALs keep their own types: blanks are significant, and DECIMALs of any scale compare
/// exactly. A FLOAT and a DOUBLE are equal in the type of the first, but are ordered and told apart as DOUBLE. A DECIMAL
/// equals an approximate number as DOUBLE; for the other comparisons both keep their types, because Java's total order
/// of doubles decides there.
pub fn comparison_types(
    a: &LogicalType,
    b: &LogicalType,
    comparison: Comparison,
) -> Option<(LogicalType, LogicalType)> {
    use TypeFamily as F;
    let (a, b) = (a.without_time_attribute(), b.without_time_attribute());
    let both = |kind: TypeKind| {
        let of = |ty: &LogicalType| LogicalType {
            kind: kind.clone(),
            nullable: ty.nullable,
        };
        Some((of(&a), of(&b)))
    };
    match (a.family(), b.family()) {
        (F::Null, F::Null) => both(TypeKind::Boolean),
        (F::Null, _) => both(b.kind.clone()),
        (_, F::Null) => both(a.kind.clone()),
        (F::CharacterString, F::CharacterString) | (F::BinaryString, F::BinaryString) => Some((a, b)),
        (F::Boolean, F::Boolean)
        | (F::Date, F::Date)
        | (F::IntervalYearMonth, F::IntervalYearMonth)
        | (F::IntervalDayTime, F::IntervalDayTime) => Some((a, b)),
        (F::Decimal, F::Integer | F::Decimal) | (F::Integer, F::Decimal) => {
            Some((integer_as_decimal(&a), integer_as_decimal(&b)))
        }
        (F::Approximate, F::Approximate) if comparison == Comparison::Equality => both(a.kind.clone()),
        (F::Decimal, F::Approximate) | (F::Approximate, F::Decimal) if comparison == Comparison::Equality => {
            both(TypeKind::Double)
        }
        (F::Decimal, F::Approximate) => Some((a, LogicalType::DOUBLE.with_nullable(b.nullable))),
        (F::Approximate, F::Decimal) => Some((LogicalType::DOUBLE.with_nullable(a.nullable), b)),
        (F::Integer | F::Approximate, F::Integer | F::Approximate)
        | (F::Time, F::Time)
        | (F::Timestamp | F::TimestampLtz, F::Timestamp | F::TimestampLtz) => {
            both(common_type_of(&a, &b)?.kind)
        }
        (F::CharacterString, F::Date | F::Time | F::Timestamp | F::TimestampLtz) => both(b.kind.clone()),
        (F::Date | F::Time | F::Timestamp | F::TimestampLtz, F::CharacterString) => both(a.kind.clone()),
        // Flink orders a text against a number or a BOOLEAN by the value that the text stands for; it refuses `=` of numbers.
        (F::CharacterString, F::Boolean) | (F::Boolean, F::CharacterString)
            if comparison == Comparison::Ordering =>
        {
            both(TypeKind::Boolean)
        }
        (F::CharacterString, F::Integer | F::Decimal | F::Approximate)
            if comparison == Comparison::Ordering =>
        {
            both(ordered_with_text(&b)?)
        }
        (F::Integer | F::Decimal | F::Approximate, F::CharacterString)
            if comparison == Comparison::Ordering =>
        {
            both(ordered_with_text(&a)?)
        }
        (F::CharacterString, F::Boolean | F::IntervalYearMonth | F::IntervalDayTime)
        | (F::Boolean | F::IntervalYearMonth | F::IntervalDayTime, F::CharacterString) => {
            (comparison != Comparison::Ordering).then_some((a, b))
        }
        (F::Array, F::Array) | (F::Map, F::Map) | (F::Multiset, F::Multiset) | (F::Row, F::Row)
            if comparison != Comparison::Ordering =>
        {
            both(common_type_of(&a, &b)?.kind)
        }
        (F::Variant, F::Variant) | (F::Bitmap, F::Bitmap) if comparison != Comparison::Ordering => {
            Some((a, b))
        }
        _ => None,
    }
}

/// The type in which a number and a text are ordered: wide enough for every BIGINT as well.
fn ordered_with_text(number: &LogicalType) -> Option<TypeKind> {
    Some(common_type_of(number, &LogicalType::BIGINT)?.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_like_compares_with_like() {
        let refused = [
            (LogicalType::INT, LogicalType::BOOLEAN),
            (LogicalType::DATE, LogicalType::INT),
            (LogicalType::DATE, LogicalType::timestamp(3)),
            (LogicalType::timestamp(3), LogicalType::INT),
            (LogicalType::INT, LogicalType::STRING),
            (LogicalType::array(LogicalType::INT), LogicalType::INT),
        ];
        for (a, b) in &refused {
            assert_eq!(comparison_types(a, b, Comparison::Equality), None, "{a} = {b}");
        }
        let arrays = LogicalType::array(LogicalType::INT);
        assert!(comparison_types(&arrays, &arrays, Comparison::Equality).is_some());
        assert!(comparison_types(&arrays, &arrays, Comparison::Ordering).is_none());
        let (float, double, decimal) = (
            LogicalType::FLOAT,
            LogicalType::DOUBLE,
            LogicalType::decimal(3, 1),
        );
        let equal = |a: &LogicalType, b: &LogicalType| comparison_types(a, b, Comparison::Equality);
        let ordered = |a: &LogicalType, b: &LogicalType| comparison_types(a, b, Comparison::Ordering);
        assert_eq!(equal(&float, &double), Some((float.clone(), float.clone())));
        assert_eq!(equal(&double, &float), Some((double.clone(), double.clone())));
        assert_eq!(ordered(&float, &double), Some((double.clone(), double.clone())));
        assert_eq!(equal(&float, &decimal), Some((double.clone(), double.clone())));
        assert_eq!(ordered(&float, &decimal), Some((double, decimal)));
        let (ltz, text) = (LogicalType::timestamp_ltz(3), LogicalType::STRING);
        let found = comparison_types(&ltz, &text, Comparison::Ordering);
        assert_eq!(found, Some((ltz.clone(), ltz)));
    }
}
