//! CREATE VIEW and ALTER VIEW. A view stores its query as written, and with all names expanded.

use millstream_plan::ObjectIdentifier;
use millstream_types::{ErrorCode, Schema};

use crate::bind::error::{SqlError, SqlResult};
use crate::bind::{Binder, expand};
use crate::catalog::{CatalogOperation, CatalogTable, View};
use crate::parse::ast::{AlterView, CreateView, Ident, ObjectName, Query};
use crate::parse::unparse::query_to_sql;

impl Binder<'_> {
    pub(super) fn bind_create_view(&self, create: &CreateView) -> SqlResult<CatalogOperation> {
        let identifier = self.qualify(&create.name)?;
        let comment = create.comment.as_ref().map(|comment| comment.value.clone());
        let view = self.define_view(&create.query, &create.columns, comment)?;
        Ok(CatalogOperation::CreateTable {
            identifier,
            table: Box::new(CatalogTable::View(view)),
            temporary: create.temporary,
            if_not_exists: create.if_not_exists,
            // As in Flink, OR REPLACE is parsed but does not replace.
            replace: false,
        })
    }

    fn define_view(&self, query: &Query, columns: &[Ident], comment: Option<String>) -> SqlResult<View> {
        let binder = self.recording();
        let rel = binder.bind_query(query)?;
        let names = if columns.is_empty() {
            rel.names()
        } else {
            let names: Vec<String> = columns.iter().map(|column| column.value.clone()).collect();
            if names.len() != rel.schema.len() {
                let message = format!(
                    "VIEW definition and input fields not match: Def fields: [{}]; Input fields: [{}]",
                    names.join(", "),
                    rel.names().join(", ")
                );
                return Err(SqlError::at(columns[0].span, message).with_code(ErrorCode::InvalidSchema));
            }
            names
        };
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                let span = columns.get(i).map_or(query.span, |column| column.span);
                let message = format!("A column with the same name `{name}` has been defined");
                return Err(SqlError::at(span, message)
                    .with_code(ErrorCode::InvalidSchema)
                    .with_hint("give one of them another alias"));
            }
        }
        let types = rel.schema.types().cloned();
        let expanded = expand::expand(query, &binder.names);
        Ok(View {
            query: query.clone(),
            schema: Schema::new(names.into_iter().zip(types)),
            expanded: query_to_sql(&expanded),
            comment,
            catalog: self.catalog.clone(),
            database: self.database.clone(),
        })
    }

    pub(super) fn bind_alter_view(
        &self,
        name: &ObjectName,
        action: &AlterView,
    ) -> SqlResult<CatalogOperation> {
        let identifier = self.qualify(name)?;
        let view = self.view_to_alter(name, &identifier)?;
        match action {
            AlterView::Rename(to) => {
                let to = to.last().map(|ident| ident.value.clone()).unwrap_or_default();
                Ok(CatalogOperation::RenameTable { identifier, to })
            }
            AlterView::As(query) => {
                let view = self.define_view(query, &[], view.comment.clone())?;
                Ok(CatalogOperation::AlterTable {
                    identifier,
                    table: Box::new(CatalogTable::View(view)),
                })
            }
        }
    }

    fn view_to_alter(&self, name: &ObjectName, identifier: &ObjectIdentifier) -> SqlResult<&View> {
        match self.catalogs.table(identifier).map(|found| found.table) {
            Some(CatalogTable::View(view)) => Ok(view),
            Some(CatalogTable::Table(_)) => {
                let message = format!("ALTER VIEW for a table is not allowed: '{identifier}'");
                Err(SqlError::at(name.span, message)
                    .with_code(ErrorCode::InvalidSchema)
                    .with_hint("use ALTER TABLE"))
            }
            None => Err(SqlError::at(
                name.span,
                format!("View '{identifier}' doesn't exist or is a temporary view"),
            )
            .with_code(ErrorCode::UnknownTable)),
        }
    }
}
