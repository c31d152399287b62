//! DDL → catalog operations.

mod alter_table;
mod as_query;
mod like;
pub mod table;
mod view;

use millstream_plan::ObjectIdentifier;
use millstream_types::{ErrorCode, Options};

use self::as_query::with_query_columns;
use self::table::{bind_column, bind_options};
use crate::bind::Binder;
use crate::bind::error::{SqlError, SqlResult};
use crate::bind::logical::Rel;
use crate::catalog::ddl_text::quoted_identifier;
use crate::catalog::operation::FunctionName;
use crate::catalog::{CatalogOperation, CatalogTable, Model, ResolvedTable, TableColumn, UserFunction};
use crate::parse::ast::{
    AlterOptions, AlterStatement, CreateCatalog, CreateDatabase, CreateFunction, CreateMode, CreateModel,
    CreateStatement, CreateTable, DropBehavior, DropStatement, FunctionDefinition, ModuleStatement,
    ObjectKind, ObjectName, SqlOption, StringLiteral, UseStatement,
};
use crate::parse::span::Span;

/// A table created from a query: its definition, and the rows to write.
pub struct TableAs {
    pub operation: CatalogOperation,
    pub identifier: ObjectIdentifier,
    pub table: ResolvedTable,
    pub rel: Rel,
}

impl Binder<'_> {
    /// Every CREATE except a table with AS.
    pub fn bind_create(&self, create: &CreateStatement, span: Span) -> SqlResult<CatalogOperation> {
        match create {
            CreateStatement::Table(table) => self.bind_create_table(table, span),
            CreateStatement::View(view) => self.bind_create_view(view),
            CreateStatement::Database(database) => self.bind_create_database(database),
            CreateStatement::Catalog(catalog) => bind_create_catalog(catalog),
            CreateStatement::Function(function) => self.bind_create_function(function),
            CreateStatement::Model(model) => self.bind_create_model(model, span),
            CreateStatement::MaterializedTable(table) => {
                if table.options.iter().all(|option| option.key.value != "connector") {
                    let message =
                        "Table options do not contain an option key 'connector' for discovering a connector";
                    return Err(SqlError::at(table.name.span, message).with_code(ErrorCode::UnknownConnector));
                }
                Err(SqlError::unsupported(
                    table.name.span,
                    "CREATE MATERIALIZED TABLE",
                ))
            }
            CreateStatement::Connection(connection) => {
                Err(SqlError::unsupported(connection.name.span, "CREATE CONNECTION"))
            }
        }
    }

    fn bind_create_table(&self, create: &CreateTable, span: Span) -> SqlResult<CatalogOperation> {
        if create.mode != CreateMode::Create {
            let message = "CREATE OR REPLACE TABLE and REPLACE TABLE need a query: … AS SELECT …";
            return Err(SqlError::at(create.name.span, message));
        }
        if let Some(bare) = create.schema.column_names.first() {
            let message = format!(
                "column '{}' has no type; a list of bare names is only allowed with AS query",
                bare.value
            );
            return Err(SqlError::at(bare.span, message));
        }
        let identifier = self.qualify(&create.name)?;
        let table = self
            .define_table(create)
            .map_err(|error| error.with_span(span_of(create, span)))?;
        Ok(CatalogOperation::CreateTable {
            identifier,
            table: Box::new(CatalogTable::Table(table)),
            temporary: create.temporary,
            if_not_exists: create.if_not_exists,
            replace: false,
        })
    }

    /// `CREATE TABLE … AS query`, `CREATE OR REPLACE TABLE … AS query`, `REPLACE TABLE … AS query`.
    pub fn bind_create_table_as(&self, create: &CreateTable, span: Span) -> SqlResult<TableAs> {
        let Some(query) = &create.query else {
            return Err(SqlError::internal("no query behind AS"));
        };
        if create.temporary {
            return Err(SqlError::at(
                create.name.span,
                "CREATE TABLE AS SELECT does not support to create temporary table yet",
            ));
        }
        if create.like.is_some() {
            return Err(SqlError::at(
                create.name.span,
                "LIKE and AS cannot stand in one CREATE TABLE",
            ));
        }
        let identifier = self.qualify(&create.name)?;
        let existing = self.catalogs.permanent_table(&identifier);
        if create.mode == CreateMode::Replace && existing.is_none() {
            let message = format!(
                "The table `{identifier}` to be replaced doesn't exist. You can try to use CREATE TABLE AS statement or \
                 CREATE OR REPLACE TABLE AS statement"
            );
            return Err(SqlError::at(create.name.span, message));
        }
        let rel = self.bind_result(query)?;
        // IF NOT EXISTS does not suppress the INSERT: it writes to the existing table.
        if let (true, Some(CatalogTable::Table(table))) = (create.if_not_exists, existing) {
            return Ok(TableAs {
                operation: CatalogOperation::Nothing,
                identifier,
                table: table.clone(),
                rel,
            });
        }
        let own = self.own_definition(create)?;
        let table = with_query_columns(own, create, &rel)?;
        let table = self.resolve_table(table).map_err(|error| error.with_span(span))?;
        let operation = CatalogOperation::CreateTable {
            identifier: identifier.clone(),
            table: Box::new(CatalogTable::Table(table.clone())),
            temporary: false,
            if_not_exists: false,
            replace: create.mode != CreateMode::Create,
        };
        Ok(TableAs {
            operation,
            identifier,
            table,
            rel,
        })
    }

    fn bind_create_database(&self, create: &CreateDatabase) -> SqlResult<CatalogOperation> {
        let (catalog, name) = self.catalogs.qualify_database(&create.name)?;
        Ok(CatalogOperation::CreateDatabase {
            catalog,
            name,
            options: bind_options(&create.options)?,
            comment: create.comment.as_ref().map(|comment| comment.value.clone()),
            if_not_exists: create.if_not_exists,
        })
    }

    fn function_name(&self, name: &ObjectName, temporary: bool, system: bool) -> SqlResult<FunctionName> {
        if system {
            return Ok(FunctionName::TemporarySystem(name.to_string()));
        }
        let identifier = self.qualify(name)?;
        Ok(if temporary {
            FunctionName::Temporary(identifier)
        } else {
            FunctionName::Permanent(identifier)
        })
    }

    fn bind_create_function(&self, create: &CreateFunction) -> SqlResult<CatalogOperation> {
        let name = self.function_name(&create.name, create.temporary, create.system)?;
        let function = user_function(&create.definition)?;
        // At this point, Flink loads the class of a temporary function; that of a permanent function is loaded at its
        // first use.
        if !matches!(name, FunctionName::Permanent(_)) {
            return Err(
                SqlError::at(create.definition.class.span, no_such_class(&function.class))
                    .with_hint("functions of Java and Python classes are not supported"),
            );
        }
        Ok(CatalogOperation::CreateFunction {
            name,
            function,
            if_not_exists: create.if_not_exists,
        })
    }

    fn bind_create_model(&self, create: &CreateModel, span: Span) -> SqlResult<CatalogOperation> {
        if create.mode != CreateMode::Create || create.query.is_some() {
            return Err(SqlError::unsupported(
                create.name.span,
                "REPLACE MODEL and CREATE MODEL … AS",
            ));
        }
        let options = match &create.options {
            Some(options) if !options.is_empty() => bind_options(options)?,
            _ => return Err(SqlError::at(span, "Model property list can not be empty")),
        };
        let columns = |columns: &[crate::parse::ast::ColumnDefinition]| {
            columns
                .iter()
                .map(bind_column)
                .collect::<SqlResult<Vec<TableColumn>>>()
        };
        let model = Model {
            input: columns(&create.input)?,
            output: columns(&create.output)?,
            comment: create.comment.as_ref().map(|comment| comment.value.clone()),
            options,
        };
        Ok(CatalogOperation::CreateModel {
            identifier: self.qualify(&create.name)?,
            model,
            temporary: create.temporary,
            if_not_exists: create.if_not_exists,
        })
    }

    pub fn bind_alter(&self, alter: &AlterStatement, span: Span) -> SqlResult<CatalogOperation> {
        match alter {
            AlterStatement::Table(table) => self.bind_alter_table(table),
            AlterStatement::View { name, action } => self.bind_alter_view(name, action),
            AlterStatement::Database { name, action } => {
                let (catalog, database) = self.catalogs.qualify_database(name)?;
                match action {
                    AlterOptions::Set(options) => Ok(CatalogOperation::AlterDatabase {
                        catalog,
                        name: database,
                        set: bind_options(options)?,
                    }),
                    _ => Err(SqlError::unsupported(
                        name.span,
                        "this form of ALTER DATABASE; use SET",
                    )),
                }
            }
            AlterStatement::Catalog { name, action } => {
                self.bind_alter_catalog(&name.value, name.span, action)
            }
            AlterStatement::Function(function) => Ok(CatalogOperation::AlterFunction {
                name: self.function_name(&function.name, function.temporary, function.system)?,
                function: user_function(&function.definition)?,
                if_exists: function.if_exists,
            }),
            AlterStatement::Model {
                if_exists,
                name,
                action,
            } => self.bind_alter_model(*if_exists, name, action),
            AlterStatement::MaterializedTable(alter) => {
                let identifier = self.qualify(&alter.name)?;
                let message =
                    format!("Cannot find table '{identifier}': there is no materialized table of this name");
                Err(SqlError::at(alter.name.span, message))
            }
            AlterStatement::Connection { .. } => Err(SqlError::unsupported(span, "ALTER CONNECTION")),
        }
    }

    fn bind_alter_catalog(
        &self,
        name: &str,
        span: Span,
        action: &AlterOptions,
    ) -> SqlResult<CatalogOperation> {
        let catalog = self
            .catalogs
            .require_catalog(name)
            .map_err(|error| error.with_span(span))?;
        let name = name.to_owned();
        match action {
            AlterOptions::Set(set) => {
                let options = with_set(&catalog.options, set, "type")?;
                Ok(CatalogOperation::AlterCatalogOptions { name, options })
            }
            AlterOptions::Reset(keys) if keys.is_empty() => Err(SqlError::at(
                span,
                "ALTER CATALOG RESET does not support empty key",
            )
            .with_code(ErrorCode::InvalidAlteration)),
            AlterOptions::Reset(keys) => {
                if let Some(key) = keys.iter().find(|key| key.value == "type") {
                    return Err(SqlError::at(
                        key.span,
                        "ALTER CATALOG RESET does not support changing 'type'",
                    ));
                }
                Ok(CatalogOperation::AlterCatalogOptions {
                    name,
                    options: without(&catalog.options, keys),
                })
            }
            AlterOptions::Comment(comment) => Ok(CatalogOperation::AlterCatalogComment {
                name,
                comment: comment.value.clone(),
            }),
            AlterOptions::Rename(_) => Err(SqlError::unsupported(span, "renaming a catalog")),
        }
    }

    fn bind_alter_model(
        &self,
        if_exists: bool,
        name: &ObjectName,
        action: &AlterOptions,
    ) -> SqlResult<CatalogOperation> {
        let identifier = self.qualify(name)?;
        let Some((model, _)) = self.catalogs.model(&identifier) else {
            if if_exists {
                return Ok(CatalogOperation::Nothing);
            }
            return Err(
                SqlError::at(name.span, format!("Model '{identifier}' doesn't exist"))
                    .with_code(ErrorCode::UnknownObject),
            );
        };
        match action {
            AlterOptions::Set(set) => {
                let mut options = model.options.clone();
                options.extend(bind_options(set)?);
                Ok(CatalogOperation::AlterModel { identifier, options })
            }
            AlterOptions::Reset(keys) => {
                let options = without(&model.options, keys);
                Ok(CatalogOperation::AlterModel { identifier, options })
            }
            AlterOptions::Rename(to) => {
                let to = to.last().map(|ident| ident.value.clone()).unwrap_or_default();
                Ok(CatalogOperation::RenameModel { identifier, to })
            }
            AlterOptions::Comment(comment) => {
                Err(SqlError::unsupported(comment.span, "changing a model's comment"))
            }
        }
    }

    pub fn bind_drop(&self, drop: &DropStatement) -> SqlResult<CatalogOperation> {
        let if_exists = drop.if_exists;
        let temporary = drop.temporary;
        match drop.kind {
            ObjectKind::Catalog => Ok(CatalogOperation::DropCatalog {
                name: drop.name.to_string(),
                if_exists,
            }),
            ObjectKind::Database => {
                let (catalog, name) = self.catalogs.qualify_database(&drop.name)?;
                let cascade = drop.behavior == Some(DropBehavior::Cascade);
                Ok(CatalogOperation::DropDatabase {
                    catalog,
                    name,
                    if_exists,
                    cascade,
                })
            }
            ObjectKind::Table => Ok(CatalogOperation::DropTable {
                identifier: self.qualify(&drop.name)?,
                temporary,
                if_exists,
            }),
            ObjectKind::View => Ok(CatalogOperation::DropView {
                identifier: self.qualify(&drop.name)?,
                temporary,
                if_exists,
            }),
            ObjectKind::Function => {
                let name = self.function_name(&drop.name, temporary, drop.system)?;
                Ok(CatalogOperation::DropFunction { name, if_exists })
            }
            ObjectKind::Model => Ok(CatalogOperation::DropModel {
                identifier: self.qualify(&drop.name)?,
                temporary,
                if_exists,
            }),
            ObjectKind::MaterializedTable if if_exists => {
                self.qualify(&drop.name)?;
                Ok(CatalogOperation::Nothing)
            }
            ObjectKind::MaterializedTable => {
                let identifier = self.qualify(&drop.name)?;
                let message = format!(
                    "Materialized table with identifier '{}' does not exist",
                    quoted_identifier(&identifier)
                );
                Err(SqlError::at(drop.name.span, message).with_code(ErrorCode::UnknownTable))
            }
            ObjectKind::Connection => Err(SqlError::unsupported(
                drop.name.span,
                format!("DROP {}", drop.kind.words()),
            )),
        }
    }

    pub fn bind_use(&self, statement: &UseStatement) -> SqlResult<CatalogOperation> {
        match statement {
            UseStatement::Catalog(name) => Ok(CatalogOperation::UseCatalog {
                name: name.value.clone(),
            }),
            UseStatement::Database(name) => {
                let (catalog, database) = self.catalogs.qualify_database(name)?;
                Ok(CatalogOperation::UseDatabase {
                    catalog,
                    name: database,
                })
            }
            UseStatement::Modules(names) => Ok(CatalogOperation::UseModules {
                names: names.iter().map(|name| name.value.clone()).collect(),
            }),
        }
    }

    pub fn bind_module(&self, statement: &ModuleStatement) -> CatalogOperation {
        match statement {
            ModuleStatement::Load { name, .. } => CatalogOperation::LoadModule {
                name: name.value.clone(),
            },
            ModuleStatement::Unload { name } => CatalogOperation::UnloadModule {
                name: name.value.clone(),
            },
        }
    }
}

fn span_of(create: &CreateTable, statement: Span) -> Span {
    if create.schema.span.end > create.schema.span.start {
        create.schema.span
    } else {
        statement
    }
}

fn bind_create_catalog(create: &CreateCatalog) -> SqlResult<CatalogOperation> {
    Ok(CatalogOperation::CreateCatalog {
        name: create.name.value.clone(),
        options: bind_options(&create.options)?,
        comment: create.comment.as_ref().map(|comment| comment.value.clone()),
        if_not_exists: create.if_not_exists,
    })
}

/// The error for functions that need a class.
pub fn no_such_class(class: &str) -> String {
    format!("could not load class '{class}': there is no Java virtual machine and no Python interpreter")
}

fn user_function(definition: &FunctionDefinition) -> SqlResult<UserFunction> {
    Ok(UserFunction {
        class: definition.class.value.clone(),
        language: definition.language,
        resources: definition
            .resources
            .iter()
            .map(|r| (r.kind, r.uri.value.clone()))
            .collect(),
        options: bind_options(&definition.options)?,
        native: None,
    })
}

fn with_set(options: &Options, set: &[SqlOption], fixed: &str) -> SqlResult<Options> {
    if let Some(option) = set.iter().find(|option| option.key.value == fixed) {
        return Err(SqlError::at(
            option.span,
            format!("ALTER CATALOG SET does not support changing '{fixed}'"),
        ));
    }
    let mut options = options.clone();
    options.extend(bind_options(set)?);
    Ok(options)
}

fn without(options: &Options, keys: &[StringLiteral]) -> Options {
    let is_reset = |key: &String| keys.iter().any(|reset| reset.value == *key);
    options
        .iter()
        .filter(|(key, _)| !is_reset(key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}
