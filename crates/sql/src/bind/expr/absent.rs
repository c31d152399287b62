//! Elements of arrays and maps that are not there, as a query shows them.
//!
//! The type of `array[n]` and `map[k]` is nullable, but in Flink's generated code the value has the type of the elements. If
//! these are numbers, booleans, dates, intervals or texts that are NOT NULL, then what looks at the type alone (a column of a
//! row, IS NULL) finds the initial value of a variable instead of NULL; functions and operators find NULL. Asked of Flink
//! 2.3.

use millstream_plan::Expr;
use millstream_types::{LogicalType, Scalar, TypeKind};

/// The value of a column that is the element `expr`, where there is no such element; `None` if that is NULL.
pub(super) fn absent_element(expr: &Expr) -> Option<Scalar> {
    let Expr::Call { function, args, .. } = expr else {
        return None;
    };
    let collection = args.first().filter(|_| function == "ITEM")?.ty();
    let element = match &collection.kind {
        TypeKind::Array(element) => element,
        TypeKind::Map(_, value) => value,
        _ => return None,
    };
    if element.nullable {
        return None;
    }
    Some(match element.kind {
        TypeKind::Boolean => Scalar::Boolean(false),
        TypeKind::TinyInt => Scalar::TinyInt(-1),
        TypeKind::SmallInt => Scalar::SmallInt(-1),
        TypeKind::Int => Scalar::Int(-1),
        TypeKind::BigInt => Scalar::BigInt(-1),
        TypeKind::Float => Scalar::Float(-1.0),
        TypeKind::Double => Scalar::Double(-1.0),
        TypeKind::Date => Scalar::Date(-1),
        TypeKind::Char(length) => Scalar::String(" ".repeat(length as usize)),
        TypeKind::Varchar(_) => Scalar::String(String::new()),
        TypeKind::IntervalYearMonth(_) => Scalar::IntervalYearMonth(-1),
        TypeKind::IntervalDayTime(_) => Scalar::IntervalDayTime(-1),
        _ => return None,
    })
}

/// The column of a select list that `expr` becomes.
pub fn as_column(expr: Expr) -> Expr {
    let Some(absent) = absent_element(&expr) else {
        return expr;
    };
    let ty = expr.ty();
    let unknown = unknown_arguments(&expr);
    let absent = Expr::literal(absent, ty.with_nullable(false));
    let present = Expr::Coalesce {
        args: vec![expr, absent],
        ty: ty.clone(),
    };
    match unknown {
        None => present,
        Some(unknown) => Expr::Case {
            branches: vec![(unknown, Expr::literal(Scalar::Null, ty.clone()))],
            otherwise: Box::new(present),
            ty,
        },
    }
}

/// `IS NULL` of an element that has an [`absent_element`]: only an array, map, position or key that is NULL makes it so.
pub(super) fn element_is_null(element: &Expr) -> Expr {
    let never = Expr::literal(Scalar::Boolean(false), LogicalType::not_null(TypeKind::Boolean));
    unknown_arguments(element).unwrap_or(never)
}

/// Whether an argument is NULL; `None` if none may be.
fn unknown_arguments(call: &Expr) -> Option<Expr> {
    let Expr::Call { args, .. } = call else {
        return None;
    };
    let nullable = args.iter().filter(|arg| arg.ty().nullable);
    let mut tests: Vec<Expr> = nullable
        .map(|arg| Expr::Call {
            function: "IS NULL".to_owned(),
            args: vec![arg.clone()],
            ty: LogicalType::not_null(TypeKind::Boolean),
        })
        .collect();
    if tests.len() > 1 {
        return Some(Expr::Or(tests));
    }
    tests.pop()
}
