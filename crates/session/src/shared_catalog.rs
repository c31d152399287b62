//! Sessions over a kept catalog: taking over what others changed, and keeping one's own changes.

use std::sync::Arc;

use millstream_sql::bind::statement::BoundStatement;
use millstream_sql::catalog::ddl_text::{Secrets, create_table, create_view, quoted_name};
use millstream_sql::catalog::operation::FunctionName;
use millstream_sql::catalog::{CatalogOperation, CatalogTable, Catalogs};
use millstream_sql::parse::ast::{Statement, StatementKind};
use millstream_sql::parse::parse_statement;

use crate::catalog_store::{CatalogChange, CatalogStore, Changing};
use crate::error::SessionError;
use crate::session::Session;

/// What a session knows of the kept catalog.
pub(crate) struct SharedCatalog {
    store: Arc<CatalogStore>,
    /// Changes before this one are in the session's catalog.
    position: usize,
}

impl Session {
    /// Shares the catalog of a store: what it holds is here, and what changes here is kept there.
    pub fn keep_catalog(&mut self, store: Arc<CatalogStore>) -> Result<(), SessionError> {
        self.shared = Some(SharedCatalog { store, position: 0 });
        self.take_over_changes()
    }

    /// Applies what other sessions have changed since the last look.
    pub(crate) fn take_over_changes(&mut self) -> Result<(), SessionError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let changes = shared.store.since(shared.position)?;
        for change in &changes {
            if let Err(error) = self.take_over(change) {
                tracing::warn!(
                    statement = change.statement,
                    error = error.message,
                    "a kept statement cannot be applied to the catalog and is passed over"
                );
            }
        }
        if let Some(shared) = &mut self.shared {
            shared.position += changes.len();
        }
        Ok(())
    }

    fn take_over(&mut self, change: &CatalogChange) -> Result<(), SessionError> {
        let current = self.current_database();
        let then = (change.catalog.clone(), change.database.clone());
        let moves = current != then;
        if moves {
            self.use_database(&then.0, &then.1)?;
        }
        let applied = self.apply_statement(&change.statement);
        // This change may have dropped it.
        if moves && self.use_database(&current.0, &current.1).is_err() {
            tracing::warn!("the current database was dropped by another session");
        }
        applied
    }

    fn current_database(&self) -> (String, String) {
        let catalogs = &self.catalogs;
        let (catalog, database) = (catalogs.current_catalog(), catalogs.current_database());
        (catalog.to_owned(), database.to_owned())
    }

    fn use_database(&mut self, catalog: &str, name: &str) -> Result<(), SessionError> {
        let operation = CatalogOperation::UseDatabase {
            catalog: catalog.to_owned(),
            name: name.to_owned(),
        };
        let sql = format!("USE {}.{}", quoted_name(catalog), quoted_name(name));
        self.apply(operation, &sql)
    }

    fn apply_statement(&mut self, sql: &str) -> Result<(), SessionError> {
        let statement = parse_statement(sql).map_err(|error| SessionError::parse(&error, sql))?;
        match self.bind(&statement, sql)? {
            BoundStatement::Catalog(operation) | BoundStatement::CreateTableAs { operation, .. } => {
                self.apply(operation, sql)
            }
            _ => Ok(()),
        }
    }

    /// The store, if the statement may change what it keeps.
    pub(crate) fn store_of_change(&self, statement: &Statement) -> Option<Arc<CatalogStore>> {
        let changes = matches!(
            statement.kind,
            StatementKind::Create(_) | StatementKind::Alter(_) | StatementKind::Drop(_)
        );
        let shared = self.shared.as_ref().filter(|_| changes)?;
        Some(Arc::clone(&shared.store))
    }

    /// Changes the session's catalog and, if the change is for all, the store's. An error leaves both as they were.
    pub(crate) fn change_catalog(
        &mut self,
        operation: CatalogOperation,
        sql: &str,
        changing: Option<&Changing<'_>>,
    ) -> Result<(), SessionError> {
        let Some(changing) = changing.filter(|_| is_shared(&operation, &self.catalogs)) else {
            return self.apply(operation, sql);
        };
        let before = self.catalogs.clone();
        let (catalog, database) = self.current_database();
        let created = match &operation {
            CatalogOperation::CreateTable {
                identifier,
                replace: false,
                ..
            } => Some(identifier.clone()),
            _ => None,
        };
        self.apply(operation, sql)?;
        // What a table is made from, such as a temporary one, may not be there for others: the whole definition is kept.
        let definition = created.and_then(|name| Some((self.catalogs.permanent_table(&name)?, name)));
        let statement = match definition {
            Some((CatalogTable::Table(table), name)) if before.permanent_table(&name).is_none() => {
                create_table(&name, table, false, Secrets::Kept)
            }
            Some((CatalogTable::View(view), name)) if before.permanent_table(&name).is_none() => {
                create_view(&name, view, false)
            }
            _ => sql.trim().to_owned(),
        };
        let change = CatalogChange {
            statement,
            catalog,
            database,
        };
        match (changing.append(change), &mut self.shared) {
            (Ok(position), Some(shared)) => shared.position = position,
            (Ok(_), None) => {}
            (Err(error), _) => {
                self.catalogs = before;
                self.forget_catalog_statement();
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Whether a change concerns every session.
fn is_shared(operation: &CatalogOperation, catalogs: &Catalogs) -> bool {
    use CatalogOperation as Op;
    match operation {
        Op::AlterTable { identifier, .. }
        | Op::RenameTable { identifier, .. }
        | Op::AddPartitions { identifier, .. }
        | Op::DropPartitions { identifier, .. } => catalogs.temporary_table(identifier).is_none(),
        Op::CreateTable { temporary, .. }
        | Op::DropTable { temporary, .. }
        | Op::DropView { temporary, .. }
        | Op::CreateModel { temporary, .. }
        | Op::DropModel { temporary, .. } => !temporary,
        Op::CreateFunction { name, .. } | Op::AlterFunction { name, .. } | Op::DropFunction { name, .. } => {
            matches!(name, FunctionName::Permanent(_))
        }
        Op::UseCatalog { .. }
        | Op::UseDatabase { .. }
        | Op::LoadModule { .. }
        | Op::UnloadModule { .. }
        | Op::UseModules { .. }
        | Op::Nothing => false,
        _ => true,
    }
}
