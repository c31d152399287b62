//! FROM: tables, views, subqueries, joins, table functions → a relation and its scope.

use millstream_plan::{Expr, JoinKind};
use millstream_types::{ErrorCode, LogicalType, Schema};

use super::error::{SqlError, SqlResult};
use super::expr::{BoundSubquery, Calls, Clause, ExprBinder, call, unknown_function};
use super::logical::{Join, Rel, and_all, conjuncts, placeholder};
use super::query::{Environment, rename_columns};
use super::scope::{MergedColumn, Relation, Scope};
use super::top_rows::{first_rows, is_distinct_key};
use super::{Binder, subquery, window};
use crate::catalog::CatalogTable;
use crate::parse::ast::{
    self, Hint, Ident, JoinCondition, NamedTable, ObjectName, SampleMethod, TableAlias, TableRef,
    TableRefKind,
};
use crate::parse::span::Span;

/// The right side of a join, whose rows may depend on the left side.
struct RightSide {
    rel: Rel,
    scope: Scope<'static>,
    /// Conditions that refer to the left side, as expressions over left placeholders and right columns.
    pulled: Vec<Expr>,
    /// `FOR SYSTEM_TIME AS OF`.
    as_of: Option<ast::Expr>,
    /// Whether these are the first rows for each key of the left side, which takes an inner join.
    first_of_keys: bool,
}

impl RightSide {
    /// Rows that do not depend on the left.
    fn plain(rel: Rel, scope: Scope<'static>) -> Self {
        Self {
            rel,
            scope,
            pulled: Vec::new(),
            as_of: None,
            first_of_keys: false,
        }
    }
}

impl Binder<'_> {
    /// A whole FROM clause.
    pub(super) fn bind_from(
        &self,
        from: &TableRef,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<(Rel, Scope<'static>)> {
        let _guard = self.enter(from.span)?;
        if let TableRefKind::Join(join) = &from.kind {
            return self.bind_join(join, from.span, environment, outer);
        }
        let right = self.bind_item(from, environment, outer, None)?;
        if let Some(as_of) = right.as_of {
            return Err(SqlError::unsupported(
                as_of.span,
                "time travel: FOR SYSTEM_TIME AS OF outside a join",
            ));
        }
        Ok((right.rel, right.scope))
    }

    /// One element of FROM. `left` is what precedes it, for LATERAL.
    fn bind_item(
        &self,
        item: &TableRef,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
        left: Option<(&Rel, &Scope<'_>)>,
    ) -> SqlResult<RightSide> {
        let plain = RightSide::plain;
        let nameless = |rel: Rel| {
            let scope = Scope::of_schema(&rel.schema);
            plain(rel, scope)
        };
        refuse_substitute(item)?;
        if self.is_row_wise(item) {
            let scope = Scope {
                parent: outer,
                ..Scope::default()
            };
            let (rel, scope) = self.bind_unnest(item, Rel::one_row(), &scope, false, None, environment)?;
            return Ok(plain(rel, scope));
        }
        let mut right = match &item.kind {
            TableRefKind::Table(table) => {
                let (rel, scope) = self.bind_table(table, item.alias.as_ref(), environment)?;
                RightSide {
                    as_of: table.system_time.clone(),
                    ..plain(rel, scope)
                }
            }
            TableRefKind::Subquery { lateral, query } => {
                let outer = if *lateral {
                    left.map(|(_, scope)| scope).or(outer)
                } else {
                    outer
                };
                let rel = self.bind_query_in(query, environment, outer)?;
                if *lateral {
                    return lateral_query(rel, item, left, self.config.streaming);
                }
                let scope = Scope::of_schema(&rel.schema);
                plain(rel, scope)
            }
            TableRefKind::Function { call, .. } => {
                let name = call.name.to_string();
                if !window::is_window_function(&name) {
                    return Err(self.unknown_table_function(call));
                }
                nameless(self.bind_window_function(call, environment, outer)?)
            }
            TableRefKind::Join(join) => {
                let (rel, scope) = self.bind_join(join, item.span, environment, outer)?;
                plain(rel, scope)
            }
            TableRefKind::MatchRecognize(written) => {
                nameless(self.bind_match_recognize(written, environment, outer)?)
            }
            TableRefKind::Unnest { .. } => return Err(SqlError::internal("UNNEST has one row before it")),
            TableRefKind::Pivot(_) => return Err(SqlError::unsupported(item.span, "PIVOT")),
            TableRefKind::Unpivot(_) => return Err(SqlError::unsupported(item.span, "UNPIVOT")),
        };
        if let Some(alias) = &item.alias {
            (right.rel, right.scope) = aliased(right.rel, right.scope, alias)?;
        }
        Ok(right)
    }

    /// Resolves a table name: first WITH, then temporary objects, then the catalog.
    fn bind_table(
        &self,
        table: &NamedTable,
        alias: Option<&TableAlias>,
        environment: &Environment<'_>,
    ) -> SqlResult<(Rel, Scope<'static>)> {
        if !table.extend.is_empty() {
            return Err(SqlError::unsupported(table.name.span, "EXTEND"));
        }
        self.bind_table_name(&table.name, &table.hints, alias, environment)
    }

    /// The rows of a table, view or WITH query.
    pub(super) fn bind_table_name(
        &self,
        name: &ObjectName,
        hints: &[Hint],
        alias: Option<&TableAlias>,
        environment: &Environment<'_>,
    ) -> SqlResult<(Rel, Scope<'static>)> {
        let last = name.last().map(|ident| ident.value.clone()).unwrap_or_default();
        if let Some(only) = name.as_simple()
            && let Some(rel) = environment.find(&only.value)
        {
            let relation = Relation::new(Some(last), vec![only.value.clone()], &rel.schema, 0);
            return Ok((
                rel.clone(),
                Scope {
                    relations: vec![relation],
                    ..Scope::default()
                },
            ));
        }
        let identifier = self.qualify(name)?;
        let found = self.catalogs.table(&identifier);
        let found = found.ok_or_else(|| {
            let error = self.catalogs.object_not_found(name, &identifier);
            match name.as_simple() {
                // A name of WITH is nearer than any of the catalog.
                Some(only) => error.offering(&only.value, environment.names()),
                None => error,
            }
        })?;
        self.names.record_table(name.span, &identifier);
        super::check_hints(hints)?;
        let rel = match found.table {
            CatalogTable::Table(table) => {
                let alias = alias.map_or(last.as_str(), |alias| alias.name.value.as_str());
                self.bind_scan(&identifier, table, hints, alias)
                    .map_err(|error| error.with_span(name.span))?
            }
            CatalogTable::View(view) => {
                if let Some(hint) = hints
                    .iter()
                    .find(|hint| hint.name.value.eq_ignore_ascii_case("OPTIONS"))
                {
                    let message = format!(
                        "View '{identifier}' cannot be enriched with new options. Hints can only be applied to tables"
                    );
                    return Err(SqlError::at(hint.span, message));
                }
                self.bind_view(&identifier, view)
                    .map_err(|error| error.in_view(&identifier, name.span))?
            }
        };
        let qualified = vec![identifier.catalog, identifier.database, identifier.name];
        let relation = Relation::new(Some(last), qualified, &rel.schema, 0);
        Ok((
            rel,
            Scope {
                relations: vec![relation],
                ..Scope::default()
            },
        ))
    }

    /// Whether an element of FROM is evaluated for each row of what stands before it: UNNEST, and table functions of the
    /// program.
    fn is_row_wise(&self, item: &TableRef) -> bool {
        match &item.kind {
            TableRefKind::Unnest { .. } => true,
            TableRefKind::Function { call, .. } => {
                let found = self.catalogs.user_function(&call.name);
                found
                    .and_then(|found| found.native.as_deref())
                    .is_some_and(millstream_functions::user::is_table)
            }
            _ => false,
        }
    }

    fn unknown_table_function(&self, function: &ast::FunctionCall) -> SqlError {
        let name = function.name.to_string();
        let upper = name.to_uppercase();
        let known = [
            "ML_PREDICT",
            "VECTOR_SEARCH",
            "FROM_CHANGELOG",
            "TO_CHANGELOG",
            "SNAPSHOT",
        ];
        if known.contains(&upper.as_str()) || self.catalogs.user_function(&function.name).is_some() {
            return SqlError::unsupported(function.span, format!("the table function {name}"));
        }
        let error = unknown_function(&name, &[], function.name.span);
        let message = format!("Cannot apply '{upper}': {}", error.message);
        SqlError {
            message,
            hint: None,
            ..error
        }
        .offering(&upper, ["TUMBLE", "HOP", "CUMULATE", "SESSION"])
    }

    fn bind_join(
        &self,
        join: &ast::Join,
        span: Span,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<(Rel, Scope<'static>)> {
        let (left, mut left_scope) = self.bind_from(&join.left, environment, outer)?;
        let kind = join_kind(join.kind);
        // LATERAL sees the left side, then the outer query.
        let lateral_scope = Scope {
            parent: outer,
            ..left_scope.clone()
        };
        if self.is_row_wise(&join.right) {
            return self.bind_unnest_join(join, left, &lateral_scope, kind, environment);
        }
        let right = self.bind_item(&join.right, environment, outer, Some((&left, &lateral_scope)))?;
        if right.first_of_keys && kind != JoinKind::Inner {
            return Err(subquery::correlate_error(join.right.span));
        }
        let width = left.schema.len();
        let mut scope = Scope::default();
        let right_scope = right.scope;
        scope.append(std::mem::take(&mut left_scope), 0);
        let left_relations = scope.relations.len();
        check_relation_names(&scope, &right_scope, join.right.span)?;
        scope.append(right_scope, width);
        let as_of = self.bind_as_of(right.as_of.as_ref(), &lateral_scope, environment)?;
        let mut conditions: Vec<Expr> = right
            .pulled
            .into_iter()
            .map(|c| {
                c.remap_columns(&|i| {
                    placeholder::number(i, placeholder::OUTER).map_or(i + width, |outer| outer)
                })
            })
            .collect();
        let (on, mut subqueries) =
            self.join_condition(join, &mut scope, left_relations, kind, environment, outer)?;
        // Behind an inner join, a condition of ON is one of WHERE.
        let (filters, on): (Vec<Expr>, Vec<Expr>) = on.into_iter().partition(subquery::has_subquery);
        conditions.extend(on);
        let condition = and_all(conditions);
        if condition.is_none() && join.condition == JoinCondition::None && kind != JoinKind::Inner {
            let message = format!(
                "{} JOIN requires a condition (NATURAL keyword or ON or USING clause)",
                kind_name(kind)
            );
            return Err(SqlError::at(span, message));
        }
        let node = Join {
            as_of,
            ..Join::plain(kind, condition, span)
        };
        let mut rel = Rel::join(left, right.rel, node);
        if let Some(filters) = and_all(filters) {
            rel = subquery::filter(rel, filters, &mut subqueries)?;
        }
        scope.retype(&rel.schema);
        Ok((rel, scope))
    }

    /// The time of `FOR SYSTEM_TIME AS OF`.
    fn bind_as_of(
        &self,
        as_of: Option<&ast::Expr>,
        scope: &Scope<'_>,
        environment: &Environment<'_>,
    ) -> SqlResult<Option<Expr>> {
        let mut calls = Calls::default();
        let mut binder = ExprBinder::new(self, scope, environment, &mut calls, Clause::TableFunction);
        as_of.map(|as_of| binder.bind(as_of)).transpose()
    }

    /// The conditions of ON, USING or NATURAL, and the sub-queries of ON; adds merged columns to the scope.
    fn join_condition(
        &self,
        join: &ast::Join,
        scope: &mut Scope<'static>,
        left_relations: usize,
        kind: JoinKind,
        environment: &Environment<'_>,
        outer: Option<&Scope<'_>>,
    ) -> SqlResult<(Vec<Expr>, Vec<BoundSubquery>)> {
        let columns: Vec<Ident> = match &join.condition {
            JoinCondition::On(condition) => {
                let seen = Scope {
                    parent: outer,
                    ..scope.clone()
                };
                let mut calls = Calls::default();
                let mut binder = ExprBinder::new(self, &seen, environment, &mut calls, Clause::On);
                let bound = binder.bind_condition(condition)?;
                if let Some(subquery) = calls.subqueries.first().filter(|_| kind != JoinKind::Inner) {
                    return Err(SqlError::unsupported(
                        subquery.span,
                        "a sub-query in ON of an outer join; join with the sub-query first",
                    ));
                }
                return Ok((conjuncts(bound), calls.subqueries));
            }
            JoinCondition::Using(columns) => columns.clone(),
            JoinCondition::None if join.natural => common_columns(scope, left_relations),
            JoinCondition::None => {
                if matches!(join.kind, ast::JoinKind::Inner) {
                    let message = "INNER JOIN requires a condition (NATURAL keyword or ON or USING clause)";
                    return Err(SqlError::at(join.right.span, message));
                }
                return Ok((Vec::new(), Vec::new()));
            }
        };
        let mut conditions = Vec::new();
        for column in columns {
            conditions.push(merge_column(scope, left_relations, &column, kind)?);
        }
        Ok((conditions, Vec::new()))
    }
}

fn refuse_substitute(item: &TableRef) -> SqlResult<()> {
    match &item.sample {
        Some(sample) if sample.method == SampleMethod::Substitute => {
            Err(SqlError::unsupported(sample.span, "TABLESAMPLE SUBSTITUTE"))
        }
        _ => Ok(()),
    }
}

/// A LATERAL query. Conditions on outer columns are pulled out; the columns that they need are appended as hidden
/// columns.
fn lateral_query(
    rel: Rel,
    item: &TableRef,
    left: Option<(&Rel, &Scope<'_>)>,
    streaming: bool,
) -> SqlResult<RightSide> {
    let visible = rel.schema.clone();
    let of_keys = streaming && left.is_some_and(|(left, _)| is_distinct_key(left));
    let first = if of_keys {
        first_rows(&rel, item.span)
    } else {
        None
    };
    let first_of_keys = first.is_some();
    let (rel, pulled) = first.unwrap_or_else(|| subquery::pull_up(rel, item.span))?;
    let relation = Relation::new(None, Vec::new(), &visible, 0);
    let scope = Scope {
        relations: vec![relation],
        ..Scope::default()
    };
    let scope = match &item.alias {
        Some(alias) => alias_scope(scope, alias, &visible)?.0,
        None => scope,
    };
    Ok(RightSide {
        rel,
        scope,
        pulled,
        as_of: None,
        first_of_keys,
    })
}

fn join_kind(kind: ast::JoinKind) -> JoinKind {
    match kind {
        ast::JoinKind::Comma | ast::JoinKind::Cross | ast::JoinKind::Inner => JoinKind::Inner,
        ast::JoinKind::Left => JoinKind::Left,
        ast::JoinKind::Right => JoinKind::Right,
        ast::JoinKind::Full => JoinKind::Full,
    }
}

fn kind_name(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Left => "LEFT",
        JoinKind::Right => "RIGHT",
        JoinKind::Full => "FULL",
        _ => "INNER",
    }
}

/// The column names common to both sides of a join, in the order of the left side.
fn common_columns(scope: &Scope<'_>, left_relations: usize) -> Vec<Ident> {
    let (left, right) = scope.relations.split_at(left_relations);
    let in_right = |name: &str| {
        right
            .iter()
            .any(|relation| relation.columns.iter().any(|c| c.name == name))
    };
    let left_names = left
        .iter()
        .flat_map(|relation| relation.columns.iter().map(|c| c.name.clone()));
    left_names.filter(|name| in_right(name)).map(Ident::new).collect()
}

/// `left.column = right.column`, with one column in the scope for both.
/// Two tables of one FROM clause cannot have the same name or alias.
fn check_relation_names(left: &Scope<'_>, right: &Scope<'_>, span: Span) -> SqlResult<()> {
    let names = |scope: &Scope<'_>| -> Vec<String> {
        let relations = scope.relations.iter();
        relations.filter_map(|relation| relation.name.clone()).collect()
    };
    let known = names(left);
    match names(right).into_iter().find(|name| known.contains(name)) {
        Some(name) => Err(
            SqlError::at(span, format!("Duplicate relation name '{name}' in FROM clause"))
                .with_code(ErrorCode::AmbiguousColumn)
                .with_hint("give one of them another alias"),
        ),
        None => Ok(()),
    }
}

fn merge_column(
    scope: &mut Scope<'static>,
    left_relations: usize,
    column: &Ident,
    kind: JoinKind,
) -> SqlResult<Expr> {
    let find = |relations: &[Relation]| -> SqlResult<Option<(usize, LogicalType)>> {
        let mut found = relations
            .iter()
            .flat_map(|r| &r.columns)
            .filter(|c| c.name == column.value);
        let first = found.next().map(|c| (c.index, c.ty.clone()));
        if found.next().is_some() {
            return Err(
                SqlError::at(column.span, format!("Column '{}' is ambiguous", column.value))
                    .with_code(ErrorCode::AmbiguousColumn),
            );
        }
        Ok(first)
    };
    let (left, right) = scope.relations.split_at(left_relations);
    let earlier = scope.merged.iter().find(|merged| merged.name == column.value);
    let left = match earlier {
        Some(merged) => Some((merged.value.clone(), merged.hides.clone())),
        None => find(left)?.map(|(index, ty)| (Expr::column(index, ty), vec![index])),
    };
    let right = find(right)?.map(|(index, ty)| (Expr::column(index, ty), index));
    let (Some((left, mut hides)), Some((right, right_index))) = (left, right) else {
        let message = format!("Column '{}' not found in any table", column.value);
        return Err(SqlError::at(column.span, message)
            .with_code(ErrorCode::UnknownColumn)
            .with_hint("USING takes columns that both sides have"));
    };
    let condition =
        call("=", vec![left.clone(), right.clone()]).map_err(|error| error.with_span(column.span))?;
    hides.push(right_index);
    let nullable = |e: &Expr| e.clone();
    let value = match kind {
        JoinKind::Right => nullable(&right),
        JoinKind::Full => {
            let ty = left.ty().with_nullable(true);
            Expr::Coalesce {
                args: vec![left, right],
                ty,
            }
        }
        _ => left,
    };
    scope.merged.retain(|merged| merged.name != column.value);
    scope.merged.push(MergedColumn {
        name: column.value.clone(),
        value,
        hides,
    });
    Ok(condition)
}

/// The relation under an alias, with renamed columns if the alias lists names.
fn aliased(rel: Rel, scope: Scope<'static>, alias: &TableAlias) -> SqlResult<(Rel, Scope<'static>)> {
    let is_join = scope.relations.len() != 1 || !scope.merged.is_empty();
    if is_join && alias.columns.is_empty() {
        // A parenthesised join with an alias: all its columns now belong to the alias.
        let columns: Vec<usize> = (0..rel.schema.len()).collect();
        let rel = rel.select(&columns);
        let relation = Relation::new(Some(alias.name.value.clone()), Vec::new(), &rel.schema, 0);
        return Ok((
            rel,
            Scope {
                relations: vec![relation],
                ..Scope::default()
            },
        ));
    }
    let rel = rename_columns(rel, &alias.columns, alias.span, &alias.name.value)?;
    let relation = Relation::new(Some(alias.name.value.clone()), Vec::new(), &rel.schema, 0);
    Ok((
        rel,
        Scope {
            relations: vec![relation],
            ..Scope::default()
        },
    ))
}

/// A scope of one table under an alias, and the names of its columns.
pub(super) fn alias_scope(
    mut scope: Scope<'static>,
    alias: &TableAlias,
    schema: &Schema,
) -> SqlResult<(Scope<'static>, Vec<String>)> {
    if !alias.columns.is_empty() && alias.columns.len() != schema.len() {
        let message = format!(
            "List of column aliases must have same degree as table; table '{}' has {} columns, whereas alias list has {} columns",
            alias.name.value,
            schema.len(),
            alias.columns.len()
        );
        return Err(SqlError::at(alias.span, message));
    }
    for relation in &mut scope.relations {
        relation.name = Some(alias.name.value.clone());
        for (column, renamed) in relation.columns.iter_mut().zip(&alias.columns) {
            column.name.clone_from(&renamed.value);
        }
    }
    let names = scope
        .relations
        .iter()
        .flat_map(|r| r.columns.iter().map(|c| c.name.clone()))
        .collect();
    Ok((scope, names))
}
