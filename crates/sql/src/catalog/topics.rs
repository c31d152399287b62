//! Catalogs of kind `kafka`: the topics of a cluster as tables.
//!
//! The catalog does no IO. A name that it lacks is reported as [`SqlError::missing_table`](crate::bind::error::SqlError);
//! the session looks at the topic, defines the table with [`Catalogs::define_topic`] and binds the statement again.
//! A table that was inferred from a topic lives for one statement, so that the next one sees what the topic holds by
//! then. A table created under the name of a topic stays and takes precedence.

use millstream_plan::ObjectIdentifier;
use millstream_types::Options;

use super::database::{Catalog, KAFKA};
use super::object::{CatalogTable, ResolvedTable};
use super::{CORE_MODULE, Catalogs, DEFAULT_CATALOG};

/// The catalog of the embedded broker's topics.
pub const KAFKA_CATALOG: &str = "kafka";

impl Catalogs {
    /// Offers the topics of the default cluster as the catalog `kafka`. It is not listed until a statement names it, and
    /// a CREATE CATALOG of that name replaces it.
    pub fn offer_topics(&mut self) {
        debug_assert!(KAFKA_CATALOG != DEFAULT_CATALOG && KAFKA_CATALOG != CORE_MODULE);
        let catalog = || {
            let mut catalog = Catalog::new(Options::from([("type".to_owned(), KAFKA.to_owned())]), None);
            catalog.is_offered = true;
            catalog
        };
        self.catalogs
            .entry(KAFKA_CATALOG.to_owned())
            .or_insert_with(catalog);
    }

    /// Whether the catalog is only offered: no statement has named it yet.
    pub fn is_offered(&self, catalog: &str) -> bool {
        self.catalog(catalog).is_some_and(|catalog| catalog.is_offered)
    }

    /// A statement has named the catalog.
    pub(super) fn list_offered(&mut self, catalog: &str) {
        if let Some(catalog) = self.catalogs.get_mut(catalog) {
            catalog.is_offered = false;
        }
    }

    /// The catalog and database that `name.topic` means, where `name` is no database of the current catalog.
    pub(super) fn topics_database(&self, current_catalog: &str, name: &str) -> Option<(&str, &str)> {
        let is_database = |catalog: &Catalog| catalog.database(name).is_some();
        if self.catalog(current_catalog).is_some_and(is_database) {
            return None;
        }
        let (name, catalog) = self.catalogs.get_key_value(name)?;
        catalog
            .is_kafka()
            .then_some((name.as_str(), catalog.default_database.as_str()))
    }

    /// The client properties of the cluster whose topics are the tables of this database; `None` for other databases.
    pub fn cluster_of(&self, catalog: &str, database: &str) -> Option<Options> {
        let catalog = self.catalog(catalog).filter(|catalog| catalog.is_kafka())?;
        if catalog.default_database != database {
            return None;
        }
        let property = |(key, value): (&String, &String)| {
            let key = key.strip_prefix("properties.")?;
            Some((key.to_owned(), value.clone()))
        };
        Some(catalog.options.iter().filter_map(property).collect())
    }

    /// Notes the names of the cluster's topics.
    pub fn list_topics(&mut self, catalog: &str, topics: impl IntoIterator<Item = String>) {
        let Some(catalog) = self.catalogs.get_mut(catalog) else {
            return;
        };
        let database = catalog.default_database.clone();
        if let Some(database) = catalog.database_mut(&database) {
            database.topics = topics.into_iter().collect();
        }
    }

    /// Makes the table of a topic, for one statement.
    pub fn define_topic(&mut self, identifier: &ObjectIdentifier, table: ResolvedTable) {
        let Some(catalog) = self.catalogs.get_mut(&identifier.catalog) else {
            return;
        };
        catalog.open();
        if let Some(database) = catalog.database_mut(&identifier.database) {
            let name = identifier.name.clone();
            database.tables.insert(name.clone(), CatalogTable::Table(table));
            database.inferred.insert(name);
        }
    }

    /// Drops the tables that [`Self::define_topic`] has made.
    pub fn forget_topics(&mut self) {
        for catalog in self.catalogs.values_mut().filter(|catalog| catalog.is_kafka()) {
            let name = catalog.default_database.clone();
            let Some(database) = catalog.database_mut(&name) else {
                continue;
            };
            for table in std::mem::take(&mut database.inferred) {
                database.tables.remove(&table);
            }
        }
    }
}
