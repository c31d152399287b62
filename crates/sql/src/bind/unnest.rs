//! UNNEST: the elements of a collection as rows, for each row of what stands before it.

use millstream_functions::typing::sql_type_name;
use millstream_plan::JoinKind;
use millstream_types::{LogicalType, Schema, TypeKind};

use super::Binder;
use super::error::{SqlError, SqlResult};
use super::expr::{Calls, Clause, ExprBinder};
use super::from::alias_scope;
use super::logical::{Rel, RelKind};
use super::query::Environment;
use super::scope::Scope;
use crate::parse::ast::{self, JoinCondition, TableRef, TableRefKind};
use crate::parse::span::Span;
use crate::rules::fold::is_true;

/// The function behind UNNEST, as the plan names it.
pub const UNNEST: &str = "UNNEST";
/// UNNEST … WITH ORDINALITY: a counter from 1 is the last column.
pub const UNNEST_WITH_ORDINALITY: &str = "UNNEST_WITH_ORDINALITY";

impl Binder<'_> {
    pub(super) fn bind_unnest_join(
        &self,
        join: &ast::Join,
        left: Rel,
        lateral_scope: &Scope<'_>,
        kind: JoinKind,
        environment: &Environment<'_>,
    ) -> SqlResult<(Rel, Scope<'static>)> {
        let outer = match kind {
            JoinKind::Inner => false,
            JoinKind::Left => true,
            _ => {
                return Err(SqlError::unsupported(
                    join.right.span,
                    "RIGHT and FULL JOIN with UNNEST",
                ));
            }
        };
        let condition = match &join.condition {
            JoinCondition::None => None,
            JoinCondition::On(on) => Some(on),
            _ => return Err(SqlError::unsupported(join.right.span, "USING with UNNEST")),
        };
        self.bind_unnest(&join.right, left, lateral_scope, outer, condition, environment)
    }

    /// `UNNEST(collection)` for each row of `left`.
    pub(super) fn bind_unnest(
        &self,
        item: &TableRef,
        left: Rel,
        scope: &Scope<'_>,
        outer: bool,
        condition: Option<&ast::Expr>,
        environment: &Environment<'_>,
    ) -> SqlResult<(Rel, Scope<'static>)> {
        let TableRefKind::Unnest {
            collections,
            with_ordinality,
        } = &item.kind
        else {
            return Err(SqlError::internal("this is no UNNEST"));
        };
        let [collection] = collections.as_slice() else {
            return Err(SqlError::unsupported(item.span, "UNNEST of several collections"));
        };
        let mut calls = Calls::default();
        let mut binder = ExprBinder::new(self, scope, environment, &mut calls, Clause::TableFunction);
        let argument = binder.bind(collection)?;
        let right = unnested_schema(&argument.ty(), *with_ordinality, outer, collection.span)?;
        let right_scope = Scope::of_schema(&right);
        let (right_scope, names) = match &item.alias {
            Some(alias) => alias_scope(right_scope, alias, &right)?,
            None => (
                right_scope,
                right.columns.iter().map(|c| c.name.clone()).collect(),
            ),
        };
        let width = left.schema.len();
        let mut all = Scope {
            parent: None,
            relations: scope.relations.clone(),
            merged: scope.merged.clone(),
        };
        all.append(right_scope, width);
        let condition = match condition {
            Some(on) => {
                let mut calls = Calls::default();
                let mut binder = ExprBinder::new(self, &all, environment, &mut calls, Clause::On);
                Some(binder.bind_condition(on)?).filter(|condition| !is_true(condition))
            }
            None => None,
        };
        let added = names.into_iter().zip(right.types().cloned());
        let columns = left
            .schema
            .columns
            .iter()
            .map(|c| (c.name.clone(), c.ty.clone()))
            .chain(added);
        let schema = Schema::new(columns.collect::<Vec<_>>());
        let function = if *with_ordinality {
            UNNEST_WITH_ORDINALITY
        } else {
            UNNEST
        };
        let (function, args) = (function.to_owned(), vec![argument]);
        let kind = RelKind::Correlate {
            function,
            args,
            outer,
            condition,
        };
        Ok((Rel::new(kind, vec![left], schema), all))
    }
}

/// Columns that UNNEST adds; all of them nullable where it pads rows without elements.
fn unnested_schema(ty: &LogicalType, with_ordinality: bool, outer: bool, span: Span) -> SqlResult<Schema> {
    let Some(mut columns) = unnested_columns(ty) else {
        let name = sql_type_name(ty);
        let message = format!(
            "Cannot apply 'UNNEST' to arguments of type 'UNNEST(<{name}>)'. Supported form(s): UNNEST(<ARRAY>), \
             UNNEST(<MAP>), UNNEST(<MULTISET>)"
        );
        return Err(SqlError::at(span, message));
    };
    if with_ordinality {
        columns.push(("ORDINALITY".to_owned(), LogicalType::not_null(TypeKind::Int)));
    }
    if outer {
        columns.iter_mut().for_each(|(_, ty)| ty.nullable = true);
    }
    Ok(Schema::new(columns))
}

/// Columns of an unnested collection; `None` for other types.
fn unnested_columns(ty: &LogicalType) -> Option<Vec<(String, LogicalType)>> {
    let element = match &ty.kind {
        TypeKind::Array(element) | TypeKind::Multiset(element) => element,
        TypeKind::Map(key, value) => {
            return Some(vec![
                ("KEY".to_owned(), (**key).clone()),
                ("VALUE".to_owned(), (**value).clone()),
            ]);
        }
        _ => return None,
    };
    match &element.kind {
        TypeKind::Row(fields) => {
            let nullable = |ty: &LogicalType| ty.with_nullable(ty.nullable || element.nullable);
            Some(
                fields
                    .iter()
                    .map(|field| (field.name.clone(), nullable(&field.ty)))
                    .collect(),
            )
        }
        _ => Some(vec![("EXPR$0".to_owned(), (**element).clone())]),
    }
}
