//! Implicit casts: converts bound expressions to the types required by signatures, set operations and sinks.

use millstream_functions::typing;
use millstream_plan::Expr;
use millstream_types::{LogicalType, Scalar, TimeAttribute, TypeKind};

/// Whether both types hold the same values, ignoring nullability and time attributes at every depth.
pub fn same_values(a: &LogicalType, b: &LogicalType) -> bool {
    match (&a.kind, &b.kind) {
        (TypeKind::Timestamp { precision: p, .. }, TypeKind::Timestamp { precision: q, .. })
        | (TypeKind::TimestampLtz { precision: p, .. }, TypeKind::TimestampLtz { precision: q, .. }) => {
            p == q
        }
        (TypeKind::Array(x), TypeKind::Array(y)) | (TypeKind::Multiset(x), TypeKind::Multiset(y)) => {
            same_values(x, y)
        }
        (TypeKind::Map(k1, v1), TypeKind::Map(k2, v2)) => same_values(k1, k2) && same_values(v1, v2),
        (TypeKind::Row(f1), TypeKind::Row(f2)) => {
            f1.len() == f2.len() && f1.iter().zip(f2).all(|(x, y)| same_values(&x.ty, &y.ty))
        }
        (TypeKind::IntervalYearMonth(_), TypeKind::IntervalYearMonth(_))
        | (TypeKind::IntervalDayTime(_), TypeKind::IntervalDayTime(_)) => true,
        (x, y) => x == y,
    }
}

/// Converts `expr` to `target`: unchanged if the values are the same, a typed NULL for an untyped one, otherwise a
/// cast.
pub fn cast_to(expr: Expr, target: &LogicalType) -> Expr {
    let from = expr.ty();
    if let Expr::Literal {
        value: Scalar::Null, ..
    } = &expr
    {
        return Expr::literal(Scalar::Null, target.without_time_attribute().with_nullable(true));
    }
    if same_values(&from, target) {
        return expr;
    }
    let ty = target.without_time_attribute().with_nullable(from.nullable);
    Expr::Cast {
        input: Box::new(expr),
        ty,
        safe: false,
    }
}

/// The common type of `types` in CASE, ARRAY, MAP, VALUES and set operations. A time attribute survives if all types
/// share it.
pub fn common_type(types: &[LogicalType]) -> Option<LogicalType> {
    unified(types, typing::least_restrictive)
}

/// Like [`common_type`], for COALESCE and IFNULL, which also convert timestamps to DATE or TIME.
pub fn coalesced_type(types: &[LogicalType]) -> Option<LogicalType> {
    unified(types, typing::common_type)
}

fn unified(types: &[LogicalType], rule: fn(&[&LogicalType]) -> Option<LogicalType>) -> Option<LogicalType> {
    let first = types.first()?;
    let attribute = first.time_attribute();
    let plain: Vec<LogicalType> = types.iter().map(LogicalType::without_time_attribute).collect();
    let common = rule(&plain.iter().collect::<Vec<_>>())?;
    let all_equal = types
        .iter()
        .all(|ty| ty.time_attribute() == attribute && same_values(ty, first));
    Some(if all_equal && attribute != TimeAttribute::None {
        common.with_time_attribute(attribute)
    } else {
        common
    })
}

/// The literal inside an expression, if it is one.
pub fn literal_of(expr: &Expr) -> Option<&Scalar> {
    match expr {
        Expr::Literal { value, .. } => Some(value),
        _ => None,
    }
}

/// A BOOLEAN literal.
pub fn boolean(value: bool) -> Expr {
    Expr::literal(Scalar::Boolean(value), LogicalType::not_null(TypeKind::Boolean))
}

/// A text literal: CHAR of its length, in UTF-16 units as Java counts.
pub fn text(value: &str) -> Expr {
    let length = value.encode_utf16().count().min(u32::MAX as usize) as u32;
    Expr::literal(
        Scalar::String(value.to_owned()),
        LogicalType::not_null(TypeKind::Char(length)),
    )
}

/// An INT literal.
pub fn integer(value: i32) -> Expr {
    Expr::literal(Scalar::Int(value), LogicalType::not_null(TypeKind::Int))
}
