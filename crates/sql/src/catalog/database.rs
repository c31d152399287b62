//! One catalog of kind `generic_in_memory`: databases and what they hold.

use std::collections::BTreeMap;

use millstream_types::Options;

use super::object::{CatalogTable, Model, UserFunction};

/// The only kind of catalog that is built in.
pub const GENERIC_IN_MEMORY: &str = "generic_in_memory";
/// Option that names the database a catalog starts with.
pub const DEFAULT_DATABASE_OPTION: &str = "default-database";
/// The database a catalog starts with when nothing else is said.
pub const DEFAULT_DATABASE: &str = "default";

/// A catalog: named databases, and the options it was created with.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    pub comment: Option<String>,
    pub options: Options,
    pub default_database: String,
    /// In the order of their creation, as SHOW DATABASES lists them.
    databases: Vec<(String, Database)>,
    /// Whether anything was looked up since creation: until then, changed options still shape the catalog.
    opened: bool,
}

/// A database: tables and views share names, functions and models have their own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Database {
    pub comment: Option<String>,
    pub options: Options,
    pub tables: BTreeMap<String, CatalogTable>,
    pub functions: BTreeMap<String, UserFunction>,
    pub models: BTreeMap<String, Model>,
}

impl Database {
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.functions.is_empty() && self.models.is_empty()
    }
}

impl Catalog {
    /// A catalog with its default database.
    pub fn new(options: Options, comment: Option<String>) -> Self {
        let default_database = options
            .get(DEFAULT_DATABASE_OPTION)
            .map_or(DEFAULT_DATABASE, String::as_str)
            .to_owned();
        let databases = vec![(default_database.clone(), Database::default())];
        Self {
            comment,
            options,
            default_database,
            databases,
            opened: false,
        }
    }

    /// Replaces the options. A catalog in which nothing was created yet takes its default database from them.
    pub fn set_options(&mut self, options: Options) {
        let untouched = !self.opened && self.databases.iter().all(|(_, database)| database.is_empty());
        if untouched && self.databases.len() == 1 {
            *self = Self::new(options, self.comment.take());
        } else {
            self.options = options;
        }
    }

    /// Fixes the shape of the catalog: its options no longer rename the default database.
    pub fn open(&mut self) {
        self.opened = true;
    }

    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, database)| database)
    }

    pub fn database_mut(&mut self, name: &str) -> Option<&mut Database> {
        self.databases
            .iter_mut()
            .find(|(n, _)| n == name)
            .map(|(_, database)| database)
    }

    pub fn database_names(&self) -> impl Iterator<Item = &str> {
        self.databases.iter().map(|(name, _)| name.as_str())
    }

    /// Adds a database; the caller has checked that the name is free.
    pub fn add_database(&mut self, name: String, database: Database) {
        self.opened = true;
        self.databases.push((name, database));
    }

    pub fn remove_database(&mut self, name: &str) {
        self.databases.retain(|(n, _)| n != name);
    }
}
