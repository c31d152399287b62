//! The catalog model: catalogs → databases → tables, views, functions and models; temporary objects in front of them;
//! modules; the current catalog and database.
//!
//! [`Catalogs`] resolves names for the binder and applies [`CatalogOperation`]s, which the binder derives from DDL. It is
//! plain data without IO: a durable catalog stores the text that [`ddl_text`] prints.

pub mod database;
pub mod ddl_text;
pub mod describe;
pub mod object;
pub mod operation;
pub mod show;
pub mod topics;

mod apply;
mod apply_objects;
mod function_names;

use std::collections::BTreeMap;

pub use millstream_plan::ObjectIdentifier;
use millstream_types::{ErrorCode, Options};

pub use database::{Catalog, Database};
pub use object::{
    CatalogTable, Model, Partition, PrimaryKey, ResolvedTable, TableColumn, TableColumnKind,
    TableDistribution, UserFunction, View, WatermarkDefinition,
};
pub use operation::CatalogOperation;
pub use show::ShowResult;

use crate::bind::error::{SqlError, SqlResult};
use crate::parse::ast::ObjectName;

/// Name of the initial catalog.
pub const DEFAULT_CATALOG: &str = "default_catalog";
/// Name of the initial database.
pub const DEFAULT_DATABASE: &str = "default_database";
/// The module with Flink's own functions.
pub const CORE_MODULE: &str = "core";

/// All catalogs of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogs {
    catalogs: BTreeMap<String, Catalog>,
    temporary_tables: BTreeMap<ObjectIdentifier, CatalogTable>,
    temporary_functions: BTreeMap<ObjectIdentifier, UserFunction>,
    temporary_system_functions: BTreeMap<String, UserFunction>,
    temporary_models: BTreeMap<ObjectIdentifier, Model>,
    current_catalog: String,
    current_database: String,
    /// Loaded modules: used ones in order, then the unused.
    modules: Vec<Module>,
}

/// A loaded module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    pub name: String,
    pub used: bool,
}

/// What a table name resolves to.
#[derive(Debug, Clone)]
pub struct TableLookup<'a> {
    pub identifier: ObjectIdentifier,
    pub table: &'a CatalogTable,
    pub temporary: bool,
}

impl Default for Catalogs {
    fn default() -> Self {
        Self::new()
    }
}

impl Catalogs {
    /// `default_catalog.default_database`, empty.
    pub fn new() -> Self {
        let options: Options = [
            ("type".to_owned(), database::GENERIC_IN_MEMORY.to_owned()),
            (
                database::DEFAULT_DATABASE_OPTION.to_owned(),
                DEFAULT_DATABASE.to_owned(),
            ),
        ]
        .into();
        let catalog = Catalog::new(options, None);
        Self {
            catalogs: [(DEFAULT_CATALOG.to_owned(), catalog)].into(),
            temporary_tables: BTreeMap::new(),
            temporary_functions: BTreeMap::new(),
            temporary_system_functions: BTreeMap::new(),
            temporary_models: BTreeMap::new(),
            current_catalog: DEFAULT_CATALOG.to_owned(),
            current_database: DEFAULT_DATABASE.to_owned(),
            modules: vec![Module {
                name: CORE_MODULE.to_owned(),
                used: true,
            }],
        }
    }

    pub fn current_catalog(&self) -> &str {
        &self.current_catalog
    }

    pub fn current_database(&self) -> &str {
        &self.current_database
    }

    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Whether Flink's own functions (those outside the SQL standard) are available.
    pub fn is_core_module_used(&self) -> bool {
        self.modules.iter().any(|m| m.name == CORE_MODULE && m.used)
    }

    pub fn catalog(&self, name: &str) -> Option<&Catalog> {
        self.catalogs.get(name)
    }

    /// Catalogs that SHOW CATALOGS lists.
    pub fn catalog_names(&self) -> impl Iterator<Item = &str> {
        let listed = self.catalogs.iter().filter(|(_, catalog)| !catalog.is_offered);
        listed.map(|(name, _)| name.as_str())
    }

    /// The catalog `name`, or Flink's error.
    pub fn require_catalog(&self, name: &str) -> SqlResult<&Catalog> {
        self.catalogs.get(name).ok_or_else(|| {
            SqlError::new(format!("catalog {name} does not exist"))
                .with_code(ErrorCode::UnknownCatalog)
                .offering(name, self.catalog_names())
        })
    }

    /// The database `catalog.database`, or Flink's error.
    pub fn require_database(&self, catalog: &str, database: &str) -> SqlResult<&Database> {
        let found = self.require_catalog(catalog)?;
        found.database(database).ok_or_else(|| {
            SqlError::new(format!("database {database} does not exist in catalog {catalog}"))
                .with_code(ErrorCode::UnknownDatabase)
                .offering(database, found.database_names())
        })
    }

    /// The full name of an object; the current catalog and database fill in missing parts.
    pub fn qualify(&self, name: &ObjectName) -> SqlResult<ObjectIdentifier> {
        self.qualify_in(name, &self.current_catalog, &self.current_database)
    }

    /// Like [`Self::qualify`], with another current catalog and database.
    pub(crate) fn qualify_in(
        &self,
        name: &ObjectName,
        current_catalog: &str,
        current_database: &str,
    ) -> SqlResult<ObjectIdentifier> {
        let parts: Vec<&str> = name.values().collect();
        let (catalog, database, object) = match parts.as_slice() {
            [object] => (current_catalog, current_database, *object),
            [first, object] => {
                let topics = self.topics_database(current_catalog, first);
                let (catalog, database) = topics.unwrap_or((current_catalog, first));
                (catalog, database, *object)
            }
            [catalog, database, object] => (*catalog, *database, *object),
            _ => {
                let message =
                    format!("invalid name '{name}': an object has at most a catalog, a database and a name");
                return Err(SqlError::at(name.span, message));
            }
        };
        let own = |s: &str| s.to_owned();
        Ok(ObjectIdentifier {
            catalog: own(catalog),
            database: own(database),
            name: own(object),
        })
    }

    /// Catalog and database of a name of one or two parts.
    pub fn qualify_database(&self, name: &ObjectName) -> SqlResult<(String, String)> {
        let parts: Vec<&str> = name.values().collect();
        match parts.as_slice() {
            [first] => {
                let topics = self.topics_database(&self.current_catalog, first);
                let (catalog, database) = topics.unwrap_or((&self.current_catalog, first));
                Ok((catalog.to_owned(), database.to_owned()))
            }
            [catalog, database] => Ok(((*catalog).to_owned(), (*database).to_owned())),
            _ => Err(SqlError::at(
                name.span,
                format!("invalid name of a database '{name}'"),
            )),
        }
    }

    /// The table or view `identifier`; temporary ones take precedence.
    pub fn table(&self, identifier: &ObjectIdentifier) -> Option<TableLookup<'_>> {
        if let Some(table) = self.temporary_tables.get(identifier) {
            return Some(TableLookup {
                identifier: identifier.clone(),
                table,
                temporary: true,
            });
        }
        let table = self.permanent_table(identifier)?;
        Some(TableLookup {
            identifier: identifier.clone(),
            table,
            temporary: false,
        })
    }

    /// The permanent table or view `identifier`.
    pub fn permanent_table(&self, identifier: &ObjectIdentifier) -> Option<&CatalogTable> {
        self.catalogs
            .get(&identifier.catalog)?
            .database(&identifier.database)?
            .tables
            .get(&identifier.name)
    }

    pub fn temporary_table(&self, identifier: &ObjectIdentifier) -> Option<&CatalogTable> {
        self.temporary_tables.get(identifier)
    }

    /// Resolves a table name of a query: first in the current database, then as `database.table`.
    pub fn find_table(&self, name: &ObjectName) -> SqlResult<TableLookup<'_>> {
        let identifier = self.qualify(name)?;
        self.table(&identifier)
            .ok_or_else(|| self.object_not_found(name, &identifier))
    }

    /// "object 'x' not found within 'y'", with the nearest name.
    pub fn object_not_found(&self, name: &ObjectName, identifier: &ObjectIdentifier) -> SqlError {
        let unknown_catalog = !self.catalogs.contains_key(&identifier.catalog);
        let unknown_database = self
            .catalog(&identifier.catalog)
            .and_then(|c| c.database(&identifier.database))
            .is_none();
        let (missing, within) = if unknown_catalog {
            (identifier.catalog.clone(), String::new())
        } else if unknown_database {
            (
                identifier.database.clone(),
                format!(" within '{}'", identifier.catalog),
            )
        } else {
            (
                identifier.name.clone(),
                format!(" within '{}.{}'", identifier.catalog, identifier.database),
            )
        };
        let error = SqlError::at(name.span, format!("object '{missing}' not found{within}"))
            .with_code(ErrorCode::UnknownTable)
            .missing(identifier);
        if unknown_catalog {
            return error.offering(&missing, self.catalog_names());
        }
        if unknown_database {
            let names = self
                .catalog(&identifier.catalog)
                .into_iter()
                .flat_map(Catalog::database_names);
            return error.offering(&missing, names);
        }
        let names = self.table_names(&identifier.catalog, &identifier.database);
        error.offering(&missing, names.iter().map(String::as_str))
    }

    /// Names of the tables and views of a database, temporary ones included, sorted.
    pub fn table_names(&self, catalog: &str, database: &str) -> Vec<String> {
        self.names_where(catalog, database, true, |_| true)
    }

    /// Names of the views of a database, temporary ones included, sorted. A temporary table hides a view.
    pub fn view_names(&self, catalog: &str, database: &str) -> Vec<String> {
        self.names_where(catalog, database, false, |table| table.as_view().is_some())
    }

    fn names_where(
        &self,
        catalog: &str,
        database: &str,
        with_topics: bool,
        keep: impl Fn(&CatalogTable) -> bool,
    ) -> Vec<String> {
        let permanent = self.catalog(catalog).and_then(|c| c.database(database));
        let permanent = permanent
            .into_iter()
            .flat_map(|d| d.tables.iter())
            .filter(|(_, t)| keep(t))
            .map(|(n, _)| n);
        let topics = self.catalog(catalog).and_then(|c| c.database(database));
        let topics = topics.into_iter().filter(|_| with_topics).flat_map(|d| &d.topics);
        let temporary = self
            .temporary_tables
            .iter()
            .filter(|(id, table)| id.catalog == catalog && id.database == database && keep(table))
            .map(|(id, _)| &id.name);
        let mut names: Vec<String> = permanent.chain(topics).chain(temporary).cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// The model `identifier`; temporary ones take precedence.
    pub fn model(&self, identifier: &ObjectIdentifier) -> Option<(&Model, bool)> {
        if let Some(model) = self.temporary_models.get(identifier) {
            return Some((model, true));
        }
        let database = self
            .catalog(&identifier.catalog)?
            .database(&identifier.database)?;
        database.models.get(&identifier.name).map(|m| (m, false))
    }

    /// Names of the models of a database, temporary ones included, sorted.
    pub fn model_names(&self, catalog: &str, database: &str) -> Vec<String> {
        let permanent = self.catalog(catalog).and_then(|c| c.database(database));
        let permanent = permanent.into_iter().flat_map(|d| d.models.keys());
        let here = |id: &&ObjectIdentifier| id.catalog == catalog && id.database == database;
        let temporary = self.temporary_models.keys().filter(here).map(|id| &id.name);
        let mut names: Vec<String> = permanent.chain(temporary).cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// A user function visible under `name`.
    pub fn user_function(&self, name: &ObjectName) -> Option<&UserFunction> {
        if let Some(only) = name.as_simple()
            && let Some(function) = self.temporary_system_functions.get(&only.value.to_lowercase())
        {
            return Some(function);
        }
        let identifier = self.qualify(name).ok()?;
        self.temporary_functions.get(&identifier).or_else(|| {
            self.catalog(&identifier.catalog)?
                .database(&identifier.database)?
                .functions
                .get(&identifier.name)
        })
    }

    /// Names of the user functions visible in a database, sorted.
    pub fn user_function_names(&self, catalog: &str, database: &str) -> Vec<String> {
        let permanent = self.catalog(catalog).and_then(|c| c.database(database));
        let permanent = permanent.into_iter().flat_map(|d| d.functions.keys());
        let here = |id: &&ObjectIdentifier| id.catalog == catalog && id.database == database;
        let temporary = self.temporary_functions.keys().filter(here).map(|id| &id.name);
        let system = self.temporary_system_functions.keys();
        let mut names: Vec<String> = permanent.chain(temporary).chain(system).cloned().collect();
        names.sort();
        names.dedup();
        names
    }
}
