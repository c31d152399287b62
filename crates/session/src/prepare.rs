//! Statements that are planned and not started: for callers that run jobs by themselves, and for programs that make the
//! plan a part of a larger job.

use std::any::TypeId;

use millstream_functions::user::{self, UserFunction as UserImplementation};
use millstream_plan::Plan;
use millstream_sql::bind::error::SqlError;
use millstream_sql::bind::statement::{BoundStatement, InsertPlan, Planner};
use millstream_sql::catalog::operation::FunctionName;
use millstream_sql::catalog::{CatalogOperation, UserFunction};
use millstream_sql::parse::ast::{Insert, StatementKind};
use millstream_sql::parse::{parse_object_name, parse_statement};
use millstream_sql::stack::with_room;
use millstream_types::{Options, Schema};

use crate::durable::parse_insert;
use crate::error::SessionError;
use crate::result::PreparedJob;
use crate::session::{Session, unbounded_in_batch};

impl Session {
    /// Binds a query, an INSERT or a statement set and does not start its job. `None` for statements that are more or less
    /// than one job; the session is left as it was.
    pub fn prepare(&mut self, sql: &str) -> Result<Option<PreparedJob>, SessionError> {
        with_room(|| self.prepare_here(sql))
    }

    fn prepare_here(&mut self, sql: &str) -> Result<Option<PreparedJob>, SessionError> {
        let statement = parse_statement(sql).map_err(|e| SessionError::parse(&e, sql))?;
        let is_job = matches!(
            statement.kind,
            StatementKind::Query(_) | StatementKind::Insert(_) | StatementKind::StatementSet(_)
        );
        if self.statement_set.is_some() || !is_job {
            return Ok(None);
        }
        self.forget_topics();
        match self.bind(&statement, sql)? {
            BoundStatement::Query(query) => {
                self.prepared(query.plan, Some(query.schema), Vec::new(), query.bounded)
            }
            BoundStatement::Insert(insert) => self.prepared(insert.plan, None, insert.sinks, insert.bounded),
            _ => return Ok(None),
        }
        .map(Some)
    }

    /// Binds several INSERTs as one job and does not start it.
    pub fn prepare_inserts(&mut self, statements: &[String]) -> Result<PreparedJob, SessionError> {
        with_room(|| {
            let inserts: Vec<(String, Insert)> = statements
                .iter()
                .map(|sql| parse_insert(sql))
                .collect::<Result<_, _>>()?;
            let parsed: Vec<&Insert> = inserts.iter().map(|(_, insert)| insert).collect();
            let insert = self.bind_set(&parsed)?;
            self.prepared(insert.plan, None, insert.sinks, insert.bounded)
        })
    }

    /// Makes a function of the program known to statements, as a temporary function under a path, or as one that every
    /// database sees (`system`). `of` is the type of the implementation.
    pub fn create_native_function(
        &mut self,
        path: &str,
        system: bool,
        class: &str,
        of: TypeId,
        implementation: UserImplementation,
    ) -> Result<(), SessionError> {
        let parsed = parse_object_name(path).map_err(|e| SessionError::parse(&e, path))?;
        let identifier = self
            .catalogs
            .qualify(&parsed)
            .map_err(|e| SessionError::bind(&e, path))?;
        let (key, name) = if system {
            (
                format!("system.{}", identifier.name),
                FunctionName::TemporarySystem(identifier.name.clone()),
            )
        } else {
            (identifier.to_string(), FunctionName::Temporary(identifier))
        };
        let function = UserFunction {
            class: class.to_owned(),
            language: None,
            resources: Vec::new(),
            options: Options::new(),
            native: Some(user::register(&key, of, implementation)),
        };
        let created = self.catalogs.apply(CatalogOperation::CreateFunction {
            name,
            function,
            if_not_exists: false,
        });
        created.map_err(|e| SessionError::bind(&e, path))
    }

    /// Takes over the configuration of a program around the session, as if each key had been SET.
    pub fn adopt(&mut self, configuration: &Options) -> Result<(), SessionError> {
        let gone = |key: &&String| !configuration.contains_key(*key);
        let gone: Vec<String> = self.configuration.values().keys().filter(gone).cloned().collect();
        gone.iter().for_each(|key| self.configuration.reset(key));
        for (key, value) in configuration {
            if self.configuration.get(key) != Some(value) {
                self.configuration.set(key, value)?;
            }
        }
        Ok(())
    }

    pub(crate) fn plan_inserts(&self, inserts: &[&Insert]) -> Result<InsertPlan, SqlError> {
        let planner = Planner {
            catalogs: &self.catalogs,
            configuration: &self.planning_options(),
            declarations: &self.declarations,
        };
        planner.bind_inserts(inserts)
    }

    fn prepared(
        &self,
        plan: Plan,
        schema: Option<Schema>,
        sinks: Vec<String>,
        bounded: bool,
    ) -> Result<PreparedJob, SessionError> {
        if self.configuration.is_batch() && !bounded {
            return Err(unbounded_in_batch(&plan));
        }
        Ok(PreparedJob {
            request: self.request("prepared".to_owned(), plan, None)?,
            schema,
            sinks,
            zone: self.zone()?,
        })
    }
}
