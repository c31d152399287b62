//! UNION, INTERSECT and EXCEPT. The latter two become joins and aggregates, as in Flink.

use millstream_plan::{AggregateCall, Expr, JoinKind};
use millstream_types::{ErrorCode, LogicalType, Scalar, Schema, TypeKind};

use super::coerce;
use super::error::{SqlError, SqlResult};
use super::expr::call;
use super::logical::{Aggregate, Join, Rel, RelKind, and_all};
use crate::parse::ast::{SetOperation, SetOperator};
use crate::parse::span::Span;

/// The table function that repeats a row as often as its first argument says.
pub const REPLICATE_ROWS: &str = "REPLICATE_ROWS";

/// Combines both sides.
pub fn combine(operation: &SetOperation, left: Rel, right: Rel) -> SqlResult<Rel> {
    let (left, right) = unify(operation, left, right)?;
    let span = operation.span;
    match (operation.operator, operation.all) {
        (SetOperator::Union, all) => {
            let schema = union_schema(&left.schema, &right.schema);
            let rel = Rel::new(RelKind::Union, vec![left, right], schema);
            Ok(if all { rel } else { distinct(rel, span) })
        }
        (SetOperator::Intersect, false) => Ok(distinct(match_rows(left, right, JoinKind::Semi, span)?, span)),
        (SetOperator::Except, false) => Ok(distinct(match_rows(left, right, JoinKind::Anti, span)?, span)),
        (operator, true) => replicate(left, right, operator, span),
    }
}

/// Groups by all columns.
pub fn distinct(rel: Rel, span: Span) -> Rel {
    let keys: Vec<usize> = (0..rel.schema.len()).collect();
    let schema = rel.schema.clone();
    let aggregate = Aggregate {
        sets: vec![keys.clone()],
        keys,
        calls: Vec::new(),
        window: None,
        set_id: false,
        ttl_ms: None,
        span,
    };
    Rel::new(RelKind::Aggregate(Box::new(aggregate)), vec![rel], schema)
}

fn name(operation: &SetOperation) -> String {
    let word = match operation.operator {
        SetOperator::Union => "UNION",
        SetOperator::Intersect => "INTERSECT",
        SetOperator::Except => "EXCEPT",
    };
    if operation.all {
        format!("{word} ALL")
    } else {
        word.to_owned()
    }
}

/// Casts both sides to common types.
fn unify(operation: &SetOperation, left: Rel, right: Rel) -> SqlResult<(Rel, Rel)> {
    if left.schema.len() != right.schema.len() {
        return Err(SqlError::at(
            operation.span,
            format!("Column count mismatch in {}", name(operation)),
        )
        .with_code(ErrorCode::ColumnCountMismatch));
    }
    let mut types = Vec::new();
    for (i, (l, r)) in left.schema.columns.iter().zip(&right.schema.columns).enumerate() {
        let common = coerce::common_type(&[l.ty.clone(), r.ty.clone()]);
        types.push(common.ok_or_else(|| {
            SqlError::at(
                operation.span,
                format!("Type mismatch in column {} of {}", i + 1, name(operation)),
            )
            .with_code(ErrorCode::TypeMismatch)
        })?);
    }
    let names = left.names();
    Ok((
        cast_columns(left, &types, &names),
        cast_columns(right, &types, &names),
    ))
}

/// Gives a relation these column types and names; unchanged if it already has them.
pub fn cast_columns(rel: Rel, types: &[LogicalType], names: &[String]) -> Rel {
    let exprs: Vec<Expr> = rel
        .column_exprs()
        .into_iter()
        .zip(types)
        .map(|(e, ty)| coerce::cast_to(e, ty))
        .collect();
    let is_cast = exprs.iter().any(|e| !matches!(e, Expr::Column { .. }));
    if is_cast || rel.names() != names {
        rel.project(exprs, names.to_vec())
    } else {
        rel
    }
}

fn union_schema(left: &Schema, right: &Schema) -> Schema {
    let column = |(l, r): (&millstream_types::Column, &millstream_types::Column)| {
        let same_attribute = l.ty.time_attribute() == r.ty.time_attribute();
        let ty = if same_attribute {
            l.ty.clone()
        } else {
            l.ty.without_time_attribute()
        };
        (l.name.clone(), ty.with_nullable(l.ty.nullable || r.ty.nullable))
    };
    Schema::new(left.columns.iter().zip(&right.columns).map(column))
}

/// Rows of the left side that exist, or do not exist, on the right side; NULL equals NULL.
fn match_rows(left: Rel, right: Rel, kind: JoinKind, span: Span) -> SqlResult<Rel> {
    let width = left.schema.len();
    let pairs = left.column_exprs().into_iter().zip(right.column_exprs());
    let conditions = pairs
        .map(|(l, r)| call("IS NOT DISTINCT FROM", vec![l, r.remap_columns(&|i| i + width)]))
        .collect::<SqlResult<Vec<_>>>()
        .map_err(|error| error.with_span(span))?;
    Ok(Rel::join(
        left,
        right,
        Join::plain(kind, and_all(conditions), span),
    ))
}

/// INTERSECT ALL and EXCEPT ALL: counts the rows of each side, then repeats each row as often as the counts require.
fn replicate(left: Rel, right: Rel, operator: SetOperator, span: Span) -> SqlResult<Rel> {
    let width = left.schema.len();
    let (schema, names) = (left.schema.clone(), left.names());
    let mark = |rel: Rel, sides: (i64, i64)| {
        let number =
            |value: i64| Expr::literal(Scalar::BigInt(value), LogicalType::not_null(TypeKind::BigInt));
        rel.extend(vec![
            (number(sides.0), "vcol_left".to_owned()),
            (number(sides.1), "vcol_right".to_owned()),
        ])
    };
    let (left, right) = (mark(left, (1, 0)), mark(right, (0, 1)));
    let marked = union_schema(&left.schema, &right.schema);
    let union = Rel::new(RelKind::Union, vec![left, right], marked.clone());
    let sum = |column: usize| AggregateCall {
        function: "SUM".to_owned(),
        args: vec![column],
        arg_types: vec![LogicalType::not_null(TypeKind::BigInt)],
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        parameters: Vec::new(),
        result: LogicalType::not_null(TypeKind::BigInt),
        name: format!("${column}"),
    };
    let keys: Vec<usize> = (0..width).collect();
    let aggregate = Aggregate {
        sets: vec![keys.clone()],
        keys,
        calls: vec![sum(width), sum(width + 1)],
        window: None,
        set_id: false,
        ttl_ms: None,
        span,
    };
    let counted = Rel::new(RelKind::Aggregate(Box::new(aggregate)), vec![union], marked);
    let count = |i: usize| Expr::column(width + i, LogicalType::not_null(TypeKind::BigInt));
    let times = match operator {
        SetOperator::Except => call("-", vec![count(0), count(1)])?,
        _ => Expr::Case {
            branches: vec![(call("<", vec![count(0), count(1)])?, count(0))],
            otherwise: Box::new(count(1)),
            ty: LogicalType::not_null(TypeKind::BigInt),
        },
    };
    let zero = Expr::literal(Scalar::BigInt(0), LogicalType::not_null(TypeKind::BigInt));
    let wanted = call(">", vec![times.clone(), zero])?;
    let counted = counted.filter(wanted);
    let mut args = vec![times];
    args.extend(counted.column_exprs().into_iter().take(width));
    let repeated = Schema::new(
        counted
            .schema
            .columns
            .iter()
            .chain(&schema.columns)
            .map(|c| (c.name.clone(), c.ty.without_time_attribute())),
    );
    let kind = RelKind::Correlate {
        function: REPLICATE_ROWS.to_owned(),
        args,
        outer: false,
        condition: None,
    };
    let offset = counted.schema.len();
    let repeated = Rel::new(kind, vec![counted], repeated);
    let exprs = (0..width)
        .map(|i| Expr::column(offset + i, repeated.schema.columns[offset + i].ty.clone()))
        .collect();
    Ok(repeated.project(exprs, names))
}
