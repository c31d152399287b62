//! Applies [`CatalogOperation`]s: existence checks with Flink's messages, then the change.

use millstream_plan::ObjectIdentifier;
use millstream_types::{ErrorCode, Options};

use super::Catalogs;
use super::database::{Catalog, Database, GENERIC_IN_MEMORY, KAFKA};
use super::object::{CatalogTable, Partition};
use super::operation::CatalogOperation;
use crate::bind::error::{SqlError, SqlResult};

/// Options of a `generic_in_memory` catalog.
const CATALOG_OPTIONS: [&str; 3] = ["type", "default-database", "property-version"];

impl Catalogs {
    /// Applies the change. On error, nothing has changed.
    pub fn apply(&mut self, operation: CatalogOperation) -> SqlResult<()> {
        use CatalogOperation as Op;
        match operation {
            Op::CreateCatalog {
                name,
                options,
                comment,
                if_not_exists,
            } => self.create_catalog(name, options, comment, if_not_exists),
            Op::AlterCatalogOptions { name, options } => {
                self.require_catalog(&name)?;
                check_catalog_options(&options)?;
                self.catalog_mut(&name)?.set_options(options);
                Ok(())
            }
            Op::AlterCatalogComment { name, comment } => {
                self.catalog_mut(&name)?.comment = Some(comment);
                Ok(())
            }
            Op::DropCatalog { name, if_exists } => self.drop_catalog(&name, if_exists),
            Op::UseCatalog { name } => {
                let catalog = self.catalog_mut(&name)?;
                catalog.open();
                self.current_database = catalog.default_database.clone();
                self.current_catalog = name;
                Ok(())
            }
            Op::CreateDatabase {
                catalog,
                name,
                options,
                comment,
                if_not_exists,
            } => {
                let database = Database {
                    comment,
                    options,
                    ..Database::default()
                };
                self.create_database(&catalog, name, database, if_not_exists)
            }
            Op::AlterDatabase { catalog, name, set } => {
                self.require_database(&catalog, &name)?;
                self.database_mut(&catalog, &name)?.options.extend(set);
                Ok(())
            }
            Op::DropDatabase {
                catalog,
                name,
                if_exists,
                cascade,
            } => self.drop_database(&catalog, &name, if_exists, cascade),
            Op::UseDatabase { catalog, name } => {
                self.require_database(&catalog, &name)?;
                self.list_offered(&catalog);
                self.current_catalog = catalog;
                self.current_database = name;
                Ok(())
            }
            Op::CreateTable { .. }
            | Op::AlterTable { .. }
            | Op::RenameTable { .. }
            | Op::AddPartitions { .. }
            | Op::DropPartitions { .. }
            | Op::DropTable { .. }
            | Op::DropView { .. } => self.apply_to_table(operation),
            Op::Nothing => Ok(()),
            other => self.apply_to_object(other),
        }
    }

    fn apply_to_table(&mut self, operation: CatalogOperation) -> SqlResult<()> {
        use CatalogOperation as Op;
        match operation {
            Op::CreateTable {
                identifier,
                table,
                temporary,
                if_not_exists,
                replace,
            } => self.create_table(identifier, *table, temporary, if_not_exists, replace),
            Op::AlterTable { identifier, table } => {
                *self.table_mut(&identifier)? = *table;
                Ok(())
            }
            Op::RenameTable { identifier, to } => self.rename_table(&identifier, to),
            Op::AddPartitions {
                identifier,
                partitions,
                if_not_exists,
            } => self.add_partitions(&identifier, partitions, if_not_exists),
            Op::DropPartitions {
                identifier,
                partitions,
                if_exists,
            } => self.drop_partitions(&identifier, &partitions, if_exists),
            Op::DropTable {
                identifier,
                temporary,
                if_exists,
            } => self.drop_table(&identifier, temporary, if_exists, "Table", |t| {
                t.as_table().is_some()
            }),
            Op::DropView {
                identifier,
                temporary,
                if_exists,
            } => self.drop_table(&identifier, temporary, if_exists, "View", |t| {
                t.as_view().is_some()
            }),
            other => Err(SqlError::internal(format!(
                "{other:?} is not an operation on a table"
            ))),
        }
    }

    pub(super) fn catalog_mut(&mut self, name: &str) -> SqlResult<&mut Catalog> {
        self.require_catalog(name)?;
        self.catalogs
            .get_mut(name)
            .ok_or_else(|| SqlError::internal("catalog vanished"))
    }

    pub(super) fn database_mut(&mut self, catalog: &str, name: &str) -> SqlResult<&mut Database> {
        self.require_database(catalog, name)?;
        let database = self.catalog_mut(catalog)?.database_mut(name);
        database.ok_or_else(|| SqlError::internal("database vanished"))
    }

    fn table_mut(&mut self, identifier: &ObjectIdentifier) -> SqlResult<&mut CatalogTable> {
        if let Some(table) = self.temporary_tables.get_mut(identifier) {
            return Ok(table);
        }
        let database = self
            .catalogs
            .get_mut(&identifier.catalog)
            .and_then(|catalog| catalog.database_mut(&identifier.database));
        database
            .and_then(|database| database.tables.get_mut(&identifier.name))
            .ok_or_else(|| {
                SqlError::new(format!(
                    "table {} doesn't exist or is a temporary table",
                    quoted(identifier)
                ))
                .with_code(ErrorCode::UnknownTable)
            })
    }

    fn create_catalog(
        &mut self,
        name: String,
        options: Options,
        comment: Option<String>,
        if_not_exists: bool,
    ) -> SqlResult<()> {
        if self.catalogs.contains_key(&name) && !self.is_offered(&name) {
            return unless(if_not_exists, ErrorCode::AlreadyExists, || {
                format!("catalog {name} already exists")
            });
        }
        check_catalog_options(&options)?;
        self.catalogs.insert(name, Catalog::new(options, comment));
        Ok(())
    }

    fn drop_catalog(&mut self, name: &str, if_exists: bool) -> SqlResult<()> {
        let is_there = self.catalogs.contains_key(name) && !self.is_offered(name);
        if !is_there {
            return unless(if_exists, ErrorCode::UnknownCatalog, || {
                format!("catalog {name} does not exist")
            });
        }
        if name == self.current_catalog {
            return Err(SqlError::new(format!(
                "cannot drop a catalog which is currently in use: '{name}'; run USE CATALOG with another one first"
            )).with_code(ErrorCode::ObjectInUse));
        }
        self.catalogs.remove(name);
        Ok(())
    }

    fn create_database(
        &mut self,
        catalog: &str,
        name: String,
        database: Database,
        quiet: bool,
    ) -> SqlResult<()> {
        let found = self.catalog_mut(catalog)?;
        refuse_of_topics(found, catalog)?;
        if found.database(&name).is_some() {
            return unless(quiet, ErrorCode::AlreadyExists, || {
                format!("database {name} already exists in catalog {catalog}")
            });
        }
        found.add_database(name, database);
        Ok(())
    }

    fn drop_database(&mut self, catalog: &str, name: &str, if_exists: bool, cascade: bool) -> SqlResult<()> {
        let Some(database) = self.require_catalog(catalog)?.database(name) else {
            return unless(if_exists, ErrorCode::UnknownDatabase, || {
                format!("database {name} does not exist in catalog {catalog}")
            });
        };
        if catalog == self.current_catalog && name == self.current_database {
            return Err(SqlError::new(format!(
                "cannot drop a database which is currently in use: '{name}'; run USE with another one first"
            ))
            .with_code(ErrorCode::ObjectInUse));
        }
        refuse_of_topics(self.require_catalog(catalog)?, catalog)?;
        if !database.is_empty() && !cascade {
            return Err(SqlError::new(format!(
                "database {name} in catalog {catalog} is not empty; DROP DATABASE … CASCADE drops what it holds"
            )).with_code(ErrorCode::ObjectInUse));
        }
        self.catalog_mut(catalog)?.remove_database(name);
        Ok(())
    }

    fn create_table(
        &mut self,
        identifier: ObjectIdentifier,
        table: CatalogTable,
        temporary: bool,
        if_not_exists: bool,
        replace: bool,
    ) -> SqlResult<()> {
        if temporary {
            if self.temporary_tables.contains_key(&identifier) {
                return unless(if_not_exists, ErrorCode::AlreadyExists, || {
                    format!("temporary table {} already exists", quoted(&identifier))
                });
            }
            self.temporary_tables.insert(identifier, table);
            return Ok(());
        }
        let database = self.database_mut(&identifier.catalog, &identifier.database)?;
        if database.tables.contains_key(&identifier.name) && !replace {
            return unless(if_not_exists, ErrorCode::AlreadyExists, || {
                format!(
                    "could not execute CreateTable in path {}: table (or view) {identifier} already exists in catalog {}",
                    quoted(&identifier),
                    identifier.catalog
                )
            });
        }
        database.tables.insert(identifier.name, table);
        Ok(())
    }

    fn rename_table(&mut self, identifier: &ObjectIdentifier, to: String) -> SqlResult<()> {
        if self.temporary_tables.contains_key(identifier) {
            return Err(SqlError::new(format!(
                "cannot rename temporary table {}: it hides a permanent one; drop the temporary table first",
                quoted(identifier)
            ))
            .with_code(ErrorCode::ObjectInUse));
        }
        let database = self.database_mut(&identifier.catalog, &identifier.database)?;
        if database.tables.contains_key(&to) {
            return Err(SqlError::new(format!(
                "table (or view) '{to}' already exists in catalog {}",
                identifier.catalog
            ))
            .with_code(ErrorCode::AlreadyExists));
        }
        let Some(table) = database.tables.remove(&identifier.name) else {
            return Err(SqlError::new(format!(
                "table {} doesn't exist or is a temporary table",
                quoted(identifier)
            ))
            .with_code(ErrorCode::UnknownTable));
        };
        database.tables.insert(to, table);
        Ok(())
    }

    fn drop_table(
        &mut self,
        identifier: &ObjectIdentifier,
        temporary: bool,
        if_exists: bool,
        kind: &str,
        is_kind: impl Fn(&CatalogTable) -> bool,
    ) -> SqlResult<()> {
        if temporary {
            if !self.temporary_tables.get(identifier).is_some_and(is_kind) {
                return unless(if_exists, ErrorCode::UnknownTable, || {
                    format!(
                        "temporary table or view with identifier {} does not exist",
                        quoted(identifier)
                    )
                });
            }
            self.temporary_tables.remove(identifier);
            return Ok(());
        }
        if self.temporary_tables.get(identifier).is_some_and(&is_kind) {
            return Err(SqlError::new(format!(
                "temporary {} with identifier {} exists; drop it first with DROP TEMPORARY {}, before the permanent one",
                kind.to_lowercase(),
                quoted(identifier),
                kind.to_uppercase()
            )).with_code(ErrorCode::ObjectInUse));
        }
        if !self.permanent_table(identifier).is_some_and(is_kind) {
            return unless(if_exists, ErrorCode::UnknownTable, || {
                format!("{kind} with identifier {} does not exist", quoted(identifier))
            });
        }
        self.database_mut(&identifier.catalog, &identifier.database)?
            .tables
            .remove(&identifier.name);
        Ok(())
    }

    fn add_partitions(
        &mut self,
        identifier: &ObjectIdentifier,
        partitions: Vec<Partition>,
        if_not_exists: bool,
    ) -> SqlResult<()> {
        let CatalogTable::Table(table) = self.table_mut(identifier)? else {
            return Err(SqlError::new(format!(
                "{identifier} is a view, which has no partitions"
            )));
        };
        for partition in partitions {
            if !table.partitions.iter().any(|p| p.spec == partition.spec) {
                table.partitions.push(partition);
            } else if !if_not_exists {
                let name = partition_text(&partition.spec);
                return Err(
                    SqlError::new(format!("partition {name} of table {identifier} already exists"))
                        .with_code(ErrorCode::AlreadyExists),
                );
            }
        }
        Ok(())
    }

    fn drop_partitions(
        &mut self,
        identifier: &ObjectIdentifier,
        partitions: &[Vec<(String, String)>],
        if_exists: bool,
    ) -> SqlResult<()> {
        let CatalogTable::Table(table) = self.table_mut(identifier)? else {
            return Err(SqlError::new(format!(
                "{identifier} is a view, which has no partitions"
            )));
        };
        for spec in partitions {
            if table.partitions.iter().any(|p| p.spec == *spec) {
                table.partitions.retain(|p| p.spec != *spec);
            } else if !if_exists {
                let name = partition_text(spec);
                return Err(
                    SqlError::new(format!("partition {name} of table {identifier} does not exist"))
                        .with_code(ErrorCode::UnknownObject),
                );
            }
        }
        Ok(())
    }
}

/// `` `a`.`b`.`c` ``
pub(super) fn quoted(identifier: &ObjectIdentifier) -> String {
    format!(
        "'`{}`.`{}`.`{}`'",
        identifier.catalog, identifier.database, identifier.name
    )
}

/// `dt=2024-01-01/hr=1`
pub(super) fn partition_text(spec: &[(String, String)]) -> String {
    spec.iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join("/")
}

/// Fine when `allowed`, else the error.
pub(super) fn unless(allowed: bool, code: ErrorCode, message: impl FnOnce() -> String) -> SqlResult<()> {
    if allowed {
        Ok(())
    } else {
        Err(SqlError::new(message()).with_code(code))
    }
}

/// A catalog of topics has one database.
fn refuse_of_topics(catalog: &Catalog, name: &str) -> SqlResult<()> {
    if !catalog.is_kafka() {
        return Ok(());
    }
    Err(SqlError::new(format!(
        "catalog '{name}' of type '{KAFKA}' has only the database '{}', whose tables are topics",
        catalog.default_database
    )))
}

fn check_catalog_options(options: &Options) -> SqlResult<()> {
    let kind = options.get("type").map_or("", String::as_str);
    match options.get("type").map(String::as_str) {
        None => {
            return Err(SqlError::new(
                "a catalog needs the option 'type', for example 'type' = 'generic_in_memory'",
            )
            .with_code(ErrorCode::MissingOption));
        }
        Some(GENERIC_IN_MEMORY | KAFKA) => {}
        Some(other) => {
            return Err(SqlError::new(format!(
                "could not find any catalog of type '{other}'; known types: {GENERIC_IN_MEMORY}, {KAFKA}"
            ))
            .with_code(ErrorCode::InvalidOption));
        }
    }
    let unknown: Vec<&str> = options
        .keys()
        .map(String::as_str)
        .filter(|key| !CATALOG_OPTIONS.contains(key))
        .filter(|key| kind != KAFKA || !key.starts_with("properties."))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(SqlError::new(format!(
        "unsupported options found for '{kind}': {}; supported options: {}{}",
        unknown.join(", "),
        CATALOG_OPTIONS.join(", "),
        if kind == KAFKA { ", properties.*" } else { "" }
    ))
    .with_code(ErrorCode::UnknownOption))
}
