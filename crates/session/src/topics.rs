//! Topics as tables: a statement that names a topic in a catalog of kind `kafka` gets the table that its newest records
//! suggest.
//!
//! The catalog cannot read topics, so a statement is bound until no topic is missing any more. Jobs that resume after a
//! restart need the tables as they were: each is remembered as the CREATE TABLE that SHOW CREATE TABLE prints.

use std::collections::BTreeMap;

use millstream_connectors::kafka::inference::{InferredTable, infer};
use millstream_connectors::kafka::topics::TopicReader;
use millstream_plan::ObjectIdentifier;
use millstream_sql::bind::error::SqlError;
use millstream_sql::bind::statement::{BoundStatement, InsertPlan, bind_statement};
use millstream_sql::catalog::ddl_text::{Secrets, create_catalog, create_table, quoted_identifier};
use millstream_sql::catalog::{CatalogOperation, ResolvedTable, TableColumn, TableColumnKind};
use millstream_sql::parse::ast::{Insert, ShowStatement, Statement, StatementKind};
use millstream_types::Options;

use crate::error::SessionError;
use crate::session::Session;

/// Topics that one statement may name.
const TOPICS_PER_STATEMENT_MAX: usize = 100;

/// The statements that made the tables of topics, as a resumed job repeats them.
pub(crate) type TopicTables = BTreeMap<ObjectIdentifier, String>;

impl Session {
    /// Lets statements name the topics of the default cluster as tables of the catalog `kafka`.
    pub fn offer_topics(&mut self) {
        self.catalogs.offer_topics();
    }

    /// Binds a statement under the current catalog and configuration, and makes the tables of the topics that it names.
    pub(crate) fn bind(&mut self, statement: &Statement, sql: &str) -> Result<BoundStatement, SessionError> {
        self.list_topics_for(statement)?;
        let options = self.planning_options();
        self.with_topics(|session| {
            bind_statement(statement, &session.catalogs, &options, &session.declarations)
        })?
        .map_err(|error| SessionError::bind(&error, sql))
    }

    /// Binds INSERTs that make up one job.
    pub(crate) fn bind_set(&mut self, inserts: &[&Insert]) -> Result<InsertPlan, SessionError> {
        self.with_topics(|session| session.plan_inserts(inserts))?
            .map_err(|error| SessionError::bind_together(&error))
    }

    /// Binds until no topic is missing. The outer error is that of reading a topic.
    fn with_topics<T>(
        &mut self,
        bind: impl Fn(&Self) -> Result<T, SqlError>,
    ) -> Result<Result<T, SqlError>, SessionError> {
        for _ in 0..TOPICS_PER_STATEMENT_MAX {
            match bind(self) {
                Err(SqlError {
                    missing_table: Some(missing),
                    ..
                }) => {
                    if !self.define_topic(&missing)? {
                        break;
                    }
                }
                bound => return Ok(bound),
            }
        }
        // The error offers the names that the catalog has learnt.
        Ok(bind(self))
    }

    /// Makes the table of a topic. `false` if the name means none; near names are then known to the catalog.
    fn define_topic(&mut self, name: &ObjectIdentifier) -> Result<bool, SessionError> {
        let Some(properties) = self.catalogs.cluster_of(&name.catalog, &name.database) else {
            return Ok(false);
        };
        // A table that is there and yet not found, such as one where a view is needed.
        if self.catalogs.permanent_table(name).is_some() {
            return Ok(false);
        }
        let reader = self.topic_reader(&properties)?;
        let Some(records) = reader.sample(&name.name)? else {
            let names = reader.names()?;
            self.catalogs.list_topics(&name.catalog, names);
            return Ok(false);
        };
        let table = topic_table(
            &name.name,
            infer(&records),
            &properties,
            self.configuration.is_batch(),
        );
        self.remember_topic(name, &table);
        self.catalogs.define_topic(name, table);
        Ok(true)
    }

    /// SHOW TABLES lists the topics of today.
    fn list_topics_for(&mut self, statement: &Statement) -> Result<(), SessionError> {
        let StatementKind::Show(ShowStatement::Tables { from, .. }) = &statement.kind else {
            return Ok(());
        };
        let current = || {
            let catalogs = &self.catalogs;
            Ok((
                catalogs.current_catalog().to_owned(),
                catalogs.current_database().to_owned(),
            ))
        };
        let scope = from
            .as_ref()
            .map_or_else(current, |from| self.catalogs.qualify_database(&from.name));
        // A wrong name is an error of the statement, with its place.
        let Ok((catalog, database)) = scope else {
            return Ok(());
        };
        if let Some(properties) = self.catalogs.cluster_of(&catalog, &database) {
            let names = self.topic_reader(&properties)?.names()?;
            self.catalogs.list_topics(&catalog, names);
        }
        Ok(())
    }

    fn topic_reader(&self, properties: &Options) -> Result<TopicReader, SessionError> {
        let context = &self.context;
        Ok(TopicReader::new(
            context.kafka.as_ref(),
            properties,
            context.rng.clone(),
        )?)
    }

    /// Tables of topics live for one statement.
    pub(crate) fn forget_topics(&mut self) {
        self.catalogs.forget_topics();
    }

    /// Adds the table to the statements that a resumed job repeats, where it is not among them.
    fn remember_topic(&mut self, name: &ObjectIdentifier, table: &ResolvedTable) {
        if self.kept.is_none() {
            return;
        }
        let text = create_table(name, table, false, Secrets::Kept);
        let before = self.topic_tables.insert(name.clone(), text.clone());
        if before.as_ref() == Some(&text) {
            return;
        }
        if before.is_some() {
            self.remember_catalog_statement(&drop_table(name));
        } else if let Some(catalog) = self.catalogs.catalog(&name.catalog)
            && self.catalogs.is_offered(&name.catalog)
        {
            let text = create_catalog(&name.catalog, catalog, Secrets::Kept);
            self.remember_catalog_statement(&text);
        }
        self.remember_catalog_statement(&text);
    }

    /// Makes room among the remembered statements for a table of the same name as a topic's.
    pub(crate) fn before_change(&mut self, operation: &CatalogOperation) {
        if let CatalogOperation::CreateTable {
            identifier,
            temporary: false,
            ..
        } = operation
            && self.topic_tables.remove(identifier).is_some()
        {
            self.remember_catalog_statement(&drop_table(identifier));
        }
    }
}

fn drop_table(name: &ObjectIdentifier) -> String {
    format!("DROP TABLE {}", quoted_identifier(name))
}

fn topic_table(topic: &str, inferred: InferredTable, properties: &Options, is_batch: bool) -> ResolvedTable {
    let mut options = inferred.options;
    let mut put = |key: &str, value: &str| _ = options.insert(key.to_owned(), value.to_owned());
    put("connector", "kafka");
    put("topic", topic);
    put("scan.startup.mode", "earliest-offset");
    if is_batch {
        put("scan.bounded.mode", "latest-offset");
    }
    for (key, value) in properties {
        put(&format!("properties.{key}"), value);
    }
    let column = |(name, ty)| TableColumn {
        name,
        ty,
        kind: TableColumnKind::Physical,
        comment: None,
    };
    ResolvedTable {
        columns: inferred.columns.into_iter().map(column).collect(),
        options,
        ..ResolvedTable::default()
    }
}
