//! UNNEST: the elements of a collection as rows, for each row of the left side.

use millstream_functions::typing::sql_type_name;
use millstream_plan::{Expr, JoinKind};
use millstream_types::{ErrorCode, LogicalType, Schema, TypeKind};

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
                    "RIGHT and FULL JOIN with UNNEST or a table function",
                ));
            }
        };
        let condition = match &join.condition {
            JoinCondition::None => None,
            JoinCondition::On(on) => Some(on),
            _ => {
                return Err(SqlError::unsupported(
                    join.right.span,
                    "USING with UNNEST or a table function",
                ));
            }
        };
        self.bind_unnest(&join.right, left, lateral_scope, outer, condition, environment)
    }

    /// The collection whose elements are rows, its place, and whether they are numbered.
    fn unnested(
        &self,
        item: &TableRef,
        scope: &Scope<'_>,
        environment: &Environment<'_>,
    ) -> SqlResult<(Expr, Span, bool)> {
        let mut calls = Calls::default();
        let mut binder = ExprBinder::new(self, scope, environment, &mut calls, Clause::TableFunction);
        match &item.kind {
            TableRefKind::Unnest {
                collections,
                with_ordinality,
            } => {
                let [collection] = collections.as_slice() else {
                    return Err(SqlError::unsupported(item.span, "UNNEST of several collections"));
                };
                Ok((binder.bind(collection)?, collection.span, *with_ordinality))
            }
            TableRefKind::Function { call, .. } => Ok((binder.bind_table_function(call)?, call.span, false)),
            _ => Err(SqlError::internal("this is not an UNNEST")),
        }
    }

    /// `UNNEST(collection)`, or a table function of the program, for each row of `left`.
    pub(super) fn bind_unnest(
        &self,
        item: &TableRef,
        left: Rel,
        scope: &Scope<'_>,
        outer: bool,
        condition: Option<&ast::Expr>,
        environment: &Environment<'_>,
    ) -> SqlResult<(Rel, Scope<'static>)> {
        let (argument, place, with_ordinality) = self.unnested(item, scope, environment)?;
        let is_function = matches!(item.kind, TableRefKind::Function { .. });
        let mut right = unnested_schema(&argument.ty(), with_ordinality, outer, place)?;
        if is_function
            && let [only] = right.columns.as_mut_slice()
            && only.name == "EXPR$0"
        {
            // A table function of single values has the column f0.
            "f0".clone_into(&mut only.name);
        }
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
        let function = if with_ordinality {
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

/// The columns that UNNEST adds; all are nullable if it pads rows without elements.
fn unnested_schema(ty: &LogicalType, with_ordinality: bool, outer: bool, span: Span) -> SqlResult<Schema> {
    let Some(mut columns) = unnested_columns(ty) else {
        let name = sql_type_name(ty);
        let message = format!(
            "Cannot apply 'UNNEST' to arguments of type 'UNNEST(<{name}>)'. Supported form(s): UNNEST(<ARRAY>), \
             UNNEST(<MAP>), UNNEST(<MULTISET>)"
        );
        return Err(SqlError::at(span, message).with_code(ErrorCode::TypeMismatch));
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
