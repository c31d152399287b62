//! One SELECT: FROM, WHERE, grouping, HAVING, OVER, QUALIFY, the list, DISTINCT, and ORDER BY, which may look at all of it.
//!
//! The expressions of all clauses are bound over the FROM columns first; aggregates and OVER calls are placeholders
//! then. When the nodes that compute these stand, the expressions are moved on top of them.

use millstream_plan::{Expr, SortKey};

use super::error::{SqlError, SqlResult};
use super::expr::{Calls, Clause, ExprBinder, as_column};
use super::grouping::{Grouping, group};
use super::logical::Rel;
use super::names::{StarColumn, unique_name};
use super::query::{Environment, SortedOutput, output_position, place_of, sort_key};
use super::scope::{Relation, Scope, ambiguous_column, field_of};
use super::set_operation::distinct;
use super::{Binder, over, set_aggregate_ttl, set_join_ttl, state_ttls, subquery};
use crate::parse::ast::{self, ExprKind, OrderItem, Select, SelectItem, SetQuantifier};
use crate::parse::span::Span;
use millstream_types::{ErrorCode, TypeKind};

/// An output column: its expression, name and span.
struct Item {
    expr: Expr,
    name: String,
    span: Span,
}

/// How an ORDER BY item is computed.
enum Order {
    /// An output column.
    Output(usize),
    Expr(Expr),
}

impl Binder<'_> {
    /// A SELECT with its ORDER BY.
    pub(super) fn bind_select(
        &self,
        select: &Select,
        order_by: &[OrderItem],
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<(Rel, SortedOutput)> {
        let (mut rel, mut scope) = match &select.from {
            Some(from) => self.bind_from(from, environment, outer)?,
            None => (Rel::one_row(), Scope::default()),
        };
        let ttls = state_ttls(&select.hints)?;
        for (table, millis) in &ttls {
            set_join_ttl(&mut rel, table, *millis);
        }
        // The clauses below see the columns of FROM, and the outer query through `parent`.
        scope.parent = outer;
        if let Some(condition) = &select.selection {
            rel = self.bind_where(rel, &scope, condition, environment)?;
        }
        let mut calls = Calls::default();
        let grouping = self.bind_grouping_clause(select, &scope, environment)?;
        let mut binder = ExprBinder::new(self, &scope, environment, &mut calls, Clause::Select);
        binder.windows = &select.windows;
        binder.group_window = grouping.window_call;
        binder.group_window_time = grouping.window_time();
        binder.global_aggregate = grouping.is_global();
        let mut items = self.bind_items(select, &scope, &mut binder)?;
        if select.qualify.is_some() {
            let named = |item: &Item| (item.name.clone(), item.expr.clone());
            binder.aliases = items.iter().map(named).collect();
        }
        binder.clause = Clause::Having;
        let mut having = binder.bind_optional_condition(select.having.as_ref())?;
        binder.clause = Clause::Qualify;
        let mut qualify = binder.bind_optional_condition(select.qualify.as_ref())?;
        binder.clause = Clause::OrderBy;
        let mut orders = bind_orders(&mut binder, order_by, &items)?;

        let is_aggregate = select.group_by.is_some() || having.is_some() || !calls.aggregates.is_empty();
        if is_aggregate {
            let (grouped, mapping) = group(rel, grouping, &calls.aggregates, &scope, select.span)?;
            rel = grouped;
            for (table, millis) in &ttls {
                set_aggregate_ttl(&mut rel, table, *millis);
            }
            let conditions = having.iter_mut().chain(qualify.iter_mut());
            let places = order_by.iter().map(|item| item.span);
            let listed = items.iter_mut().map(|item| (&mut item.expr, item.span));
            let ordered = orders
                .iter_mut()
                .zip(places)
                .filter_map(|(order, span)| order.expr().map(|e| (e, span)));
            for (expr, span) in listed.chain(conditions.map(|c| (c, select.span))).chain(ordered) {
                mapping.apply(expr, span)?;
            }
            mapping.apply_to_calls(&mut calls)?;
        }
        if let Some(having) = having {
            rel = subquery::filter(rel, having, &mut calls.subqueries)?;
        }
        let expressions = items.iter_mut().map(|item| &mut item.expr);
        let expressions: Vec<&mut Expr> = expressions
            .chain(qualify.iter_mut())
            .chain(order_exprs(&mut orders))
            .collect();
        rel = over::build(rel, &calls.overs, expressions, self.config.streaming)?;
        if let Some(qualify) = qualify {
            rel = subquery::filter(rel, qualify, &mut calls.subqueries)?;
        }
        let expressions = items
            .iter_mut()
            .map(|item| &mut item.expr)
            .chain(order_exprs(&mut orders))
            .collect();
        rel = subquery::attach(rel, &mut calls.subqueries, expressions)?;
        finish(rel, select, items, orders, order_by)
    }

    /// WHERE: subqueries that are conditions of their own become semi- and anti-joins.
    pub(super) fn bind_where(
        &self,
        rel: Rel,
        scope: &Scope<'_>,
        condition: &ast::Expr,
        environment: &Environment<'_>,
    ) -> SqlResult<Rel> {
        let mut calls = Calls::default();
        let mut binder = ExprBinder::new(self, scope, environment, &mut calls, Clause::Where);
        let condition = binder.bind_condition(condition)?;
        subquery::filter(rel, condition, &mut calls.subqueries)
    }

    /// The SELECT list, with stars expanded.
    fn bind_items(
        &self,
        select: &Select,
        scope: &Scope<'_>,
        binder: &mut ExprBinder<'_, '_>,
    ) -> SqlResult<Vec<Item>> {
        let mut items = Vec::new();
        for item in &select.items {
            match item {
                SelectItem::Wildcard { span } => {
                    let columns = scope.star();
                    if columns.is_empty() {
                        return Err(SqlError::at(*span, "SELECT * needs a FROM clause"));
                    }
                    scope
                        .relations
                        .iter()
                        .try_for_each(|relation| check_unambiguous(relation, *span))?;
                    let columns = columns.into_iter().map(|(name, c)| (name, c.full, c.expr));
                    self.add_star(&mut items, columns.collect(), *span);
                }
                SelectItem::QualifiedWildcard { qualifier, span } => {
                    let columns = qualified_star(scope, qualifier)?;
                    self.add_star(&mut items, columns, *span);
                }
                SelectItem::Expr { expr, alias } => {
                    let bound = as_column(binder.bind_typed(expr)?);
                    let name = match alias {
                        Some(alias) => alias.value.clone(),
                        None => derived_name(expr).unwrap_or_else(|| format!("EXPR${}", items.len())),
                    };
                    items.push(Item {
                        expr: bound,
                        name,
                        span: expr.span,
                    });
                }
            }
        }
        Ok(items)
    }

    /// Adds the columns of a star: names, full names and expressions. A name that an item before has gets a number.
    fn add_star(&self, items: &mut Vec<Item>, columns: Vec<(String, Vec<String>, Expr)>, span: Span) {
        let mut recorded = Vec::new();
        for (name, full, expr) in columns {
            let name = unique_name(&name, items.iter().map(|item| item.name.as_str()));
            recorded.push(StarColumn {
                full,
                output: name.clone(),
            });
            items.push(Item { expr, name, span });
        }
        self.names.record_star(span, || recorded);
    }
}

/// A star cannot name columns of a sub-query that share a name.
fn check_unambiguous(relation: &Relation, span: Span) -> SqlResult<()> {
    let names: Vec<&str> = relation
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    match names
        .iter()
        .enumerate()
        .find(|(i, name)| names[..*i].contains(name))
    {
        Some((_, name)) => Err(ambiguous_column(name, span)),
        None => Ok(()),
    }
}

/// `t.*`, or `t.row_column.*`: names, full names and expressions.
fn qualified_star(
    scope: &Scope<'_>,
    qualifier: &ast::ObjectName,
) -> SqlResult<Vec<(String, Vec<String>, Expr)>> {
    if let Some(relation) = scope.relation(&qualifier.parts) {
        check_unambiguous(relation, qualifier.span)?;
        let table = relation.name.clone();
        let column = |c: &super::scope::ScopeColumn| {
            let full = table.iter().cloned().chain([c.name.clone()]).collect();
            (c.name.clone(), full, Expr::column(c.index, c.ty.clone()))
        };
        return Ok(relation.columns.iter().map(column).collect());
    }
    let resolved = scope.resolve(qualifier).map_err(|_| {
        let tables = scope
            .relations
            .iter()
            .filter_map(|relation| relation.name.as_deref());
        let message = format!("Unknown identifier '{qualifier}': no table or row column has this name");
        SqlError::at(qualifier.span, message)
            .with_code(ErrorCode::UnknownColumn)
            .offering(&qualifier.to_string(), tables)
    })?;
    let ty = resolved.expr.ty();
    let TypeKind::Row(fields) = &ty.kind else {
        return Err(SqlError::at(
            qualifier.span,
            format!("'{qualifier}' is not a row: '.*' takes a table or a ROW column"),
        ));
    };
    let field = |field: &millstream_types::RowField| {
        let ident = ast::Ident {
            value: field.name.clone(),
            span: qualifier.span,
        };
        let full = resolved
            .full
            .iter()
            .cloned()
            .chain([field.name.clone()])
            .collect();
        Ok((field.name.clone(), full, field_of(resolved.expr.clone(), &ident)?))
    };
    fields.iter().map(field).collect()
}

/// The name of an output column without an alias: the last part of a name. Expressions have none.
fn derived_name(expr: &ast::Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Identifier(name) => name.last().map(|ident| ident.value.clone()),
        _ => None,
    }
}

fn bind_orders(
    binder: &mut ExprBinder<'_, '_>,
    order_by: &[OrderItem],
    items: &[Item],
) -> SqlResult<Vec<Order>> {
    let schema = millstream_types::Schema::new(items.iter().map(|item| (item.name.clone(), item.expr.ty())));
    let mut orders = Vec::new();
    for item in order_by {
        if let Some(position) = output_position(&item.expr, &schema)? {
            orders.push(Order::Output(position));
            continue;
        }
        let expr = binder.bind(&item.expr)?;
        let selected = items.iter().position(|selected| selected.expr == expr);
        orders.push(selected.map_or(Order::Expr(expr), Order::Output));
    }
    Ok(orders)
}

impl Order {
    /// The expression, unless it equals an output column.
    fn expr(&mut self) -> Option<&mut Expr> {
        match self {
            Self::Expr(expr) => Some(expr),
            Self::Output(_) => None,
        }
    }
}

fn order_exprs(orders: &mut [Order]) -> impl Iterator<Item = &mut Expr> {
    orders.iter_mut().filter_map(Order::expr)
}

/// The projection, DISTINCT, and the columns that only ORDER BY needs.
fn finish(
    rel: Rel,
    select: &Select,
    items: Vec<Item>,
    orders: Vec<Order>,
    order_by: &[OrderItem],
) -> SqlResult<(Rel, SortedOutput)> {
    let width = items.len();
    let is_distinct = select.quantifier == Some(SetQuantifier::Distinct);
    let (mut exprs, mut names): (Vec<Expr>, Vec<String>) =
        items.into_iter().map(|item| (item.expr, item.name)).unzip();
    let mut keys: Vec<SortKey> = Vec::new();
    for (order, item) in orders.into_iter().zip(order_by) {
        let column = match order {
            Order::Output(position) => position,
            Order::Expr(_) if is_distinct => {
                let message = "ORDER BY of SELECT DISTINCT may only use selected columns";
                return Err(SqlError::at(item.span, message));
            }
            Order::Expr(expr) => {
                names.push(format!("EXPR${}", exprs.len()));
                exprs.push(expr);
                exprs.len() - 1
            }
        };
        keys.push(sort_key(item, column));
    }
    let rel = rel.project(exprs, names);
    let rel = if is_distinct {
        distinct(rel, select.span)
    } else {
        rel
    };
    let span = place_of(order_by);
    Ok((rel, SortedOutput { keys, width, span }))
}

/// The clause's grouping, from GROUP BY.
impl Binder<'_> {
    fn bind_grouping_clause<'s>(
        &self,
        select: &'s Select,
        scope: &Scope<'_>,
        environment: &Environment<'_>,
    ) -> SqlResult<Grouping<'s>> {
        Grouping::bind(self, select.group_by.as_ref(), scope, environment, select.span)
    }
}
