//! A catalog: databases and their objects. One of kind `kafka` has the topics of a cluster beside them, see
//! [`super::topics`].

use std::collections::{BTreeMap, BTreeSet};

use millstream_types::Options;

use super::object::{CatalogTable, Model, UserFunction};

/// The kind of catalog that Flink has built in.
pub const GENERIC_IN_MEMORY: &str = "generic_in_memory";
/// The option with the initial database of a catalog.
pub const DEFAULT_DATABASE_OPTION: &str = "default-database";
/// The default initial database.
pub const DEFAULT_DATABASE: &str = "default";
/// The kind of catalog whose tables are the topics of a Kafka cluster.
pub const KAFKA: &str = "kafka";
/// The database of a catalog of kind `kafka`.
pub const TOPICS_DATABASE: &str = "topics";

/// A catalog: named databases, and the options it was created with.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    pub comment: Option<String>,
    pub options: Options,
    pub default_database: String,
    /// In the order of their creation, as SHOW DATABASES lists them.
    databases: Vec<(String, Database)>,
    /// Whether the catalog is there to be named, but was not yet: SHOW CATALOGS does not list it, as in Flink.
    pub(super) is_offered: bool,
    /// Whether the catalog was accessed since its creation; until then, changed options still apply to its initial
    /// database.
    opened: bool,
}

/// A database. Tables and views share a namespace; functions and models have their own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Database {
    pub comment: Option<String>,
    pub options: Options,
    pub tables: BTreeMap<String, CatalogTable>,
    pub functions: BTreeMap<String, UserFunction>,
    pub models: BTreeMap<String, Model>,
    /// Topics known by name, whose tables are made when a statement names them.
    pub topics: BTreeSet<String>,
    /// The tables that were made so; each statement makes its own.
    pub(super) inferred: BTreeSet<String>,
}

impl Database {
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.functions.is_empty() && self.models.is_empty()
    }
}

impl Catalog {
    /// A catalog with its default database.
    pub fn new(options: Options, comment: Option<String>) -> Self {
        let is_kafka = options.get("type").is_some_and(|kind| kind == KAFKA);
        let initial = if is_kafka {
            TOPICS_DATABASE
        } else {
            DEFAULT_DATABASE
        };
        let default_database = options
            .get(DEFAULT_DATABASE_OPTION)
            .map_or(initial, String::as_str)
            .to_owned();
        let databases = vec![(default_database.clone(), Database::default())];
        Self {
            comment,
            options,
            default_database,
            databases,
            is_offered: false,
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

    /// Whether its tables are the topics of a Kafka cluster.
    pub fn is_kafka(&self) -> bool {
        self.options.get("type").is_some_and(|kind| kind == KAFKA)
    }

    /// Freezes the catalog: its options no longer rename the default database.
    pub fn open(&mut self) {
        self.opened = true;
        self.is_offered = false;
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

    /// Adds a database whose name the caller knows to be free.
    pub fn add_database(&mut self, name: String, database: Database) {
        self.opened = true;
        self.databases.push((name, database));
    }

    pub fn remove_database(&mut self, name: &str) {
        self.databases.retain(|(n, _)| n != name);
    }
}
