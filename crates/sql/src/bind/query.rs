//! Queries → logical plans: WITH, VALUES, set operations, ORDER BY and LIMIT around a body.

use millstream_plan::{Expr, SortKey};
use millstream_types::{ErrorCode, LogicalType, Scalar, Schema};

use super::error::{SqlError, SqlResult};
use super::expr::{Calls, Clause, ExprBinder};
use super::logical::{Rel, RelKind};
use super::names::unique_name;
use super::scope::{Scope, ambiguous_column};
use super::{Binder, coerce, set_operation};
use crate::parse::ast::{self, NullsOrder, OrderItem, Query, QueryBody, Values};
use crate::parse::span::Span;

/// The queries of WITH clauses, innermost first.
#[derive(Debug, Default)]
pub struct Environment<'e> {
    named: Vec<(String, Rel)>,
    parent: Option<&'e Environment<'e>>,
}

impl Environment<'_> {
    /// The query called `name`; later definitions shadow earlier ones.
    pub fn find(&self, name: &str) -> Option<&Rel> {
        let here = self
            .named
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, rel)| rel);
        here.or_else(|| self.parent.and_then(|parent| parent.find(name)))
    }

    /// Names of all queries that can be found, the nearest first.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.named.iter().rev().map(|(name, _)| name.as_str()).collect();
        names.extend(self.parent.into_iter().flat_map(Environment::names));
        names
    }
}

impl<'a> Binder<'a> {
    /// A query whose result has names: those that stand twice get numbers.
    pub fn bind_result(&self, query: &Query) -> SqlResult<Rel> {
        let mut rel = self.bind_query(query)?;
        let mut names: Vec<String> = Vec::new();
        for column in &mut rel.schema.columns {
            column.name = unique_name(&column.name, names.iter().map(String::as_str));
            names.push(column.name.clone());
        }
        Ok(rel)
    }

    /// A query without an outer query.
    pub fn bind_query(&self, query: &Query) -> SqlResult<Rel> {
        self.bind_query_in(query, &Environment::default(), None)
    }

    /// A query that may refer to the columns of `outer`.
    pub fn bind_subquery(
        &self,
        query: &Query,
        outer: &Scope<'_>,
        environment: &Environment<'_>,
    ) -> SqlResult<Rel> {
        self.bind_query_in(query, environment, Some(outer))
    }

    pub(super) fn bind_query_in(
        &self,
        query: &Query,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<Rel> {
        let _guard = self.enter(query.span)?;
        let mut inner = Environment {
            named: Vec::new(),
            parent: Some(environment),
        };
        if let Some(with) = &query.with {
            if with.recursive {
                return Err(SqlError::unsupported(with.span, "WITH RECURSIVE"));
            }
            for item in &with.items {
                let rel = self.bind_query_in(&item.query, &inner, outer)?;
                if let (true, Some(name)) = (item.columns.is_empty(), repeated(&rel.names())) {
                    let message =
                        format!("Column has duplicate column name '{name}' and no column list specified");
                    return Err(SqlError::at(item.span, message).with_code(ErrorCode::AmbiguousColumn));
                }
                let rel = rename_columns(rel, &item.columns, item.span, &item.name.value)?;
                inner.named.push((item.name.value.clone(), rel));
            }
        }
        let (offset, fetch) = self.bind_limits(query)?;
        if let QueryBody::Select(select) = &query.body {
            let (rel, keys) = self.bind_select(select, &query.order_by, &inner, outer)?;
            return Ok(sorted(rel, keys, offset, fetch));
        }
        let rel = self.bind_body(&query.body, &inner, outer)?;
        let keys = self.bind_output_order(&query.order_by, &rel)?;
        let width = rel.schema.len();
        let span = place_of(&query.order_by);
        Ok(sorted(rel, SortedOutput { keys, width, span }, offset, fetch))
    }

    pub(super) fn bind_body(
        &self,
        body: &QueryBody,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<Rel> {
        match body {
            QueryBody::Select(select) => {
                let (rel, output) = self.bind_select(select, &[], environment, outer)?;
                Ok(sorted(rel, output, 0, None))
            }
            QueryBody::Values(values) => self.bind_values(values, environment, outer),
            QueryBody::Table(table) => {
                let (rel, _) = self.bind_table_name(&table.name, &[], None, environment)?;
                Ok(rel)
            }
            QueryBody::SetOperation(operation) => {
                let left = self.bind_body(&operation.left, environment, outer)?;
                let right = self.bind_body(&operation.right, environment, outer)?;
                set_operation::combine(operation, left, right)
            }
            QueryBody::Nested(query) => self.bind_query_in(query, environment, outer),
        }
    }

    /// OFFSET and LIMIT.
    fn bind_limits(&self, query: &Query) -> SqlResult<(u64, Option<u64>)> {
        let number = |expr: &ast::Expr| -> SqlResult<u64> {
            let scope = Scope::default();
            let mut calls = Calls::default();
            let environment = Environment::default();
            let mut binder = ExprBinder::new(self, &scope, &environment, &mut calls, Clause::TableFunction);
            let value = binder.bind(expr)?;
            let number = coerce::literal_of(&value)
                .and_then(Scalar::as_i64)
                .and_then(|n| u64::try_from(n).ok());
            number.ok_or_else(|| {
                SqlError::at(
                    expr.span,
                    "LIMIT and OFFSET take a whole number that is not negative",
                )
            })
        };
        let offset = query.offset.as_ref().map(number).transpose()?.unwrap_or(0);
        Ok((offset, query.limit.as_ref().map(number).transpose()?))
    }

    fn bind_values(
        &self,
        values: &Values,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<Rel> {
        let scope = Scope {
            parent: outer,
            ..Scope::default()
        };
        let mut rows = Vec::new();
        let mut calls = Calls::default();
        for row in &values.rows {
            let mut binder = ExprBinder::new(self, &scope, environment, &mut calls, Clause::Values);
            rows.push(
                row.values
                    .iter()
                    .map(|value| binder.bind(value))
                    .collect::<SqlResult<Vec<_>>>()?,
            );
        }
        if let Some(subquery) = calls.subqueries.first() {
            return Err(SqlError::unsupported(subquery.span, "a sub-query in VALUES"));
        }
        let width = rows.first().map_or(0, Vec::len);
        if let Some(place) = rows.iter().position(|row| row.len() != width) {
            let span = values.rows.get(place).map_or(values.span, |row| row.span);
            return Err(SqlError::at(
                span,
                "Values passed to VALUES operator must have compatible types: rows have different numbers of columns",
            ).with_code(ErrorCode::ColumnCountMismatch));
        }
        let types = (0..width)
            .map(|i| column_type(&rows, i, values))
            .collect::<SqlResult<Vec<_>>>()?;
        for row in &mut rows {
            for (value, ty) in row.iter_mut().zip(&types) {
                let taken = std::mem::replace(value, coerce::boolean(false));
                *value = coerce::cast_to(taken, ty);
            }
        }
        let names = (0..width).map(|i| format!("EXPR${i}"));
        let schema = Schema::new(names.zip(types));
        Ok(Rel::new(RelKind::Values { rows }, Vec::new(), schema))
    }

    /// ORDER BY over the columns of a bound body.
    fn bind_output_order(&self, items: &[OrderItem], rel: &Rel) -> SqlResult<Vec<SortKey>> {
        let scope = Scope::of_schema(&rel.schema);
        let environment = Environment::default();
        let mut keys = Vec::new();
        for item in items {
            let column = match output_position(&item.expr, &rel.schema)? {
                Some(position) => position,
                None => {
                    let mut calls = Calls::default();
                    let mut binder = ExprBinder::new(self, &scope, &environment, &mut calls, Clause::OrderBy);
                    match binder.bind(&item.expr)? {
                        Expr::Column { index, .. } => index,
                        _ => {
                            let what =
                                "an expression in ORDER BY of a set operation; select it as a column first";
                            return Err(SqlError::unsupported(item.span, what));
                        }
                    }
                }
            };
            keys.push(sort_key(item, column));
        }
        Ok(keys)
    }
}

/// Sort keys over a relation that may have hidden columns after the first `width`.
pub(super) struct SortedOutput {
    pub keys: Vec<SortKey>,
    pub width: usize,
    /// The items of ORDER BY.
    pub span: Span,
}

/// From the first item of ORDER BY to the last.
pub(super) fn place_of(items: &[OrderItem]) -> Span {
    items
        .iter()
        .map(|item| item.span)
        .reduce(Span::to)
        .unwrap_or_default()
}

/// Sorts, limits, and drops hidden columns.
fn sorted(rel: Rel, output: SortedOutput, offset: u64, fetch: Option<u64>) -> Rel {
    let SortedOutput { keys, width, span } = output;
    let rel = if keys.is_empty() && offset == 0 && fetch.is_none() {
        rel
    } else {
        let schema = rel.schema.clone();
        Rel::new(
            RelKind::Sort {
                keys,
                offset,
                fetch,
                span,
            },
            vec![rel],
            schema,
        )
    };
    if rel.schema.len() == width {
        rel
    } else {
        rel.select(&(0..width).collect::<Vec<_>>())
    }
}

/// The sort key of an ORDER BY item that refers to a column.
pub(super) fn sort_key(item: &OrderItem, column: usize) -> SortKey {
    let ascending = !item.descending;
    let nulls_first = item.nulls.map_or(ascending, |nulls| nulls == NullsOrder::First);
    SortKey {
        column,
        ascending,
        nulls_first,
    }
}

/// The output column that an ORDER BY item refers to by alias or number.
pub(super) fn output_position(expr: &ast::Expr, schema: &Schema) -> SqlResult<Option<usize>> {
    match &expr.kind {
        ast::ExprKind::Identifier(name) => {
            let Some(ident) = name.as_simple() else {
                return Ok(None);
            };
            let named = |column: &&millstream_types::Column| column.name == ident.value;
            if schema.columns.iter().filter(named).count() > 1 {
                return Err(ambiguous_column(&ident.value, expr.span));
            }
            Ok(schema.index_of(&ident.value))
        }
        ast::ExprKind::Literal(ast::Literal::Number(number)) => {
            let position = number
                .text
                .parse::<usize>()
                .ok()
                .filter(|n| (1..=schema.len()).contains(n));
            let Some(position) = position else {
                return Err(
                    SqlError::at(expr.span, "Ordinal out of range: ORDER BY has no such column")
                        .with_code(ErrorCode::UnknownColumn),
                );
            };
            Ok(Some(position - 1))
        }
        _ => Ok(None),
    }
}

/// The first name that stands twice.
fn repeated(names: &[String]) -> Option<&String> {
    let mut places = names.iter().enumerate();
    places
        .find(|(i, name)| names[..*i].contains(name))
        .map(|(_, name)| name)
}

/// Renames the relation's columns; without names, keeps them.
pub(super) fn rename_columns(rel: Rel, columns: &[ast::Ident], span: Span, table: &str) -> SqlResult<Rel> {
    if columns.is_empty() {
        return Ok(rel);
    }
    if columns.len() != rel.schema.len() {
        return Err(SqlError::at(
            span,
            format!(
                "List of column aliases must have same degree as table; table '{table}' has {} columns ({}), \
                 whereas alias list has {} columns",
                rel.schema.len(),
                rel.names().join(", "),
                columns.len()
            ),
        ));
    }
    let names: Vec<String> = columns.iter().map(|column| column.value.clone()).collect();
    if let Some(name) = repeated(&names) {
        let message = format!("Duplicate name '{name}' in column alias list");
        return Err(SqlError::at(span, message).with_code(ErrorCode::AmbiguousColumn));
    }
    let exprs = rel.column_exprs();
    Ok(rel.project(exprs, columns.iter().map(|column| column.value.clone()).collect()))
}

fn column_type(rows: &[Vec<Expr>], column: usize, values: &Values) -> SqlResult<LogicalType> {
    let types: Vec<LogicalType> = rows
        .iter()
        .filter_map(|row| row.get(column))
        .map(Expr::ty)
        .collect();
    if let Some(row) = types.iter().position(LogicalType::is_null) {
        let span = values.rows[row]
            .values
            .get(column)
            .map_or(values.span, |value| value.span);
        return Err(SqlError::at(span, "Illegal use of 'NULL'")
            .with_code(ErrorCode::UntypedNull)
            .with_hint("give it a type: CAST(NULL AS INT)"));
    }
    coerce::common_type(&types).ok_or_else(|| {
        SqlError::at(
            values.span,
            "Values passed to VALUES operator must have compatible types",
        )
        .with_code(ErrorCode::TypeMismatch)
    })
}
