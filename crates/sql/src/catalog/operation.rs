//! Catalog changes as data: the checked form of DDL.

use millstream_plan::ObjectIdentifier;
use millstream_types::Options;

use super::object::{CatalogTable, Model, Partition, UserFunction};

/// A change that [`super::Catalogs::apply`] makes.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogOperation {
    CreateCatalog {
        name: String,
        options: Options,
        comment: Option<String>,
        if_not_exists: bool,
    },
    AlterCatalogOptions {
        name: String,
        options: Options,
    },
    AlterCatalogComment {
        name: String,
        comment: String,
    },
    DropCatalog {
        name: String,
        if_exists: bool,
    },
    UseCatalog {
        name: String,
    },
    CreateDatabase {
        catalog: String,
        name: String,
        options: Options,
        comment: Option<String>,
        if_not_exists: bool,
    },
    AlterDatabase {
        catalog: String,
        name: String,
        set: Options,
    },
    DropDatabase {
        catalog: String,
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    UseDatabase {
        catalog: String,
        name: String,
    },
    /// Creates a table or a view; `replace` overwrites an existing one.
    CreateTable {
        identifier: ObjectIdentifier,
        table: Box<CatalogTable>,
        temporary: bool,
        if_not_exists: bool,
        replace: bool,
    },
    /// Replaces the definition.
    AlterTable {
        identifier: ObjectIdentifier,
        table: Box<CatalogTable>,
    },
    /// `to` is a name in the same database.
    RenameTable {
        identifier: ObjectIdentifier,
        to: String,
    },
    AddPartitions {
        identifier: ObjectIdentifier,
        partitions: Vec<Partition>,
        if_not_exists: bool,
    },
    DropPartitions {
        identifier: ObjectIdentifier,
        partitions: Vec<Vec<(String, String)>>,
        if_exists: bool,
    },
    DropTable {
        identifier: ObjectIdentifier,
        temporary: bool,
        if_exists: bool,
    },
    DropView {
        identifier: ObjectIdentifier,
        temporary: bool,
        if_exists: bool,
    },
    CreateFunction {
        name: FunctionName,
        function: UserFunction,
        if_not_exists: bool,
    },
    AlterFunction {
        name: FunctionName,
        function: UserFunction,
        if_exists: bool,
    },
    DropFunction {
        name: FunctionName,
        if_exists: bool,
    },
    CreateModel {
        identifier: ObjectIdentifier,
        model: Model,
        temporary: bool,
        if_not_exists: bool,
    },
    AlterModel {
        identifier: ObjectIdentifier,
        options: Options,
    },
    RenameModel {
        identifier: ObjectIdentifier,
        to: String,
    },
    DropModel {
        identifier: ObjectIdentifier,
        temporary: bool,
        if_exists: bool,
    },
    LoadModule {
        name: String,
    },
    UnloadModule {
        name: String,
    },
    UseModules {
        names: Vec<String>,
    },
    /// Nothing to do: IF EXISTS on a missing object.
    Nothing,
}

/// Where a user function lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FunctionName {
    Permanent(ObjectIdentifier),
    Temporary(ObjectIdentifier),
    /// Visible in every database; shadows built-in functions.
    TemporarySystem(String),
}
