//! One session: a catalog, a configuration, and the statements that change and use them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use millstream_connectors::kafka::KafkaClusters;
use millstream_connectors::{ConnectorContext, DECLARATIONS, PrintTarget};
use millstream_functions::Environment;
use millstream_functions::scalar::temporal::zone::{session_zone, system_zone_name};
use millstream_jobs::checkpoints::forget_finished;
use millstream_jobs::{BuiltIn, JobHandle, JobRegistry, JobRequest, JobStatus, SavepointStatus};
use millstream_plan::Plan;
use millstream_sql::bind::statement::{BoundStatement, InsertPlan, QueryPlan, bind_statement};
use millstream_sql::catalog::{Catalogs, ShowResult};
use millstream_sql::parse::ast::{
    ClientCommand as ParsedCommand, Insert, ShowStatement, Statement, StatementKind, StopJob,
};
use millstream_sql::parse::parse_statement;
use millstream_sql::stack::with_room;
use millstream_types::storage::Storage;
use millstream_types::{Clock, ErrorKind, LogicalType, Options, Rng, Scalar, Schema};

use crate::configuration::Configuration;
use crate::durable::{JobDecision, KeptJobs};
use crate::error::SessionError;
use crate::result::{ClientCommand, PreparedJob, QueryResult, StatementResult, TextTable};

/// How long one look at a job that is waited for takes; the wait itself has no end.
const WAIT_STEP: Duration = Duration::from_secs(3600);

/// What sessions share: the process's clock, randomness, clusters, jobs.
#[derive(Clone)]
pub struct SessionContext {
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub kafka: Arc<dyn KafkaClusters>,
    pub print: Arc<dyn PrintTarget>,
    pub jobs: Arc<JobRegistry>,
    /// Where checkpoints of named jobs are kept; `None`: jobs keep theirs in memory and are forgotten at their end.
    pub checkpoints: Option<Arc<dyn Storage>>,
    /// Forget the checkpoints of earlier runs.
    pub fresh: bool,
    /// Who runs the statements tells how each job ends, so that the log need not.
    pub attended: bool,
    /// Cores of the machine: the parallelism unless it is set.
    pub cores: usize,
}

/// Names of the jobs of a session, by which they find their checkpoints again.
#[derive(Default)]
struct JobNames {
    /// How often each `pipeline.name` was used.
    uses: BTreeMap<String, u64>,
    submitted: Vec<String>,
}

impl JobNames {
    /// The name itself for the first job under it; the others are numbered, since they must not share checkpoints.
    fn unused(&mut self, name: &str) -> String {
        let uses = self.uses.entry(name.to_owned()).or_default();
        *uses += 1;
        match *uses {
            1 => name.to_owned(),
            uses => format!("{name}#{uses}"),
        }
    }
}

/// A session. Statements are executed one after the other.
pub struct Session {
    pub(crate) context: SessionContext,
    pub(crate) catalogs: Catalogs,
    pub(crate) configuration: Configuration,
    /// The INSERTs of a statement set that was begun with BEGIN STATEMENT SET.
    statement_set: Option<Vec<(String, Insert)>>,
    jars: Vec<String>,
    /// Name for the jobs of a script; the ordinal of its INSERT is added.
    script: Option<String>,
    inserts: u64,
    names: JobNames,
    /// With `table.dml-sync`, the caller waits for the job instead of the session.
    caller_waits: bool,
    /// Remembers the jobs of this session, so that they go on after a restart.
    pub(crate) kept: Option<KeptJobs>,
}

impl Session {
    /// A session with an empty catalog. `defaults` are the configuration that RESET goes back to.
    pub fn new(context: SessionContext, defaults: Options) -> Result<Self, SessionError> {
        Ok(Self {
            context,
            catalogs: Catalogs::new(),
            configuration: Configuration::new(defaults)?,
            statement_set: None,
            jars: Vec::new(),
            script: None,
            inserts: 0,
            names: JobNames::default(),
            caller_waits: false,
            kept: None,
        })
    }

    /// Names the jobs of this session after a script.
    pub fn name_jobs_after(&mut self, script: impl Into<String>) {
        self.script = Some(script.into());
    }

    /// The script ended well: its next run executes every statement again, those of finished jobs included.
    pub fn forget_finished_jobs(&mut self) -> Result<(), SessionError> {
        for name in self.names.submitted.drain(..) {
            if let Some(storage) = &self.context.checkpoints {
                forget_finished(Arc::clone(storage), &name)?;
            }
        }
        Ok(())
    }

    /// Leaves it to the caller to wait for jobs under `table.dml-sync`: [`Session::execute`] gives the running job.
    pub fn leave_waiting_to_caller(&mut self) {
        self.caller_waits = true;
    }

    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The catalog, for completion.
    pub fn catalogs(&self) -> &Catalogs {
        &self.catalogs
    }

    /// Executes one statement. An error leaves the session as it was.
    pub fn execute(&mut self, sql: &str) -> Result<StatementResult, SessionError> {
        // Whatever walks the tree or the plan, up to the start of the job, has enough stack.
        with_room(|| self.execute_here(sql))
    }

    fn execute_here(&mut self, sql: &str) -> Result<StatementResult, SessionError> {
        let statement = parse_statement(sql).map_err(|e| SessionError::parse(&e, sql))?;
        if let Some(result) = self.statement_set_part(&statement, sql)? {
            return Ok(result);
        }
        if let Some(result) = self.own_business(&statement)? {
            return Ok(result);
        }
        if let StatementKind::Plan(plan) = &statement.kind {
            return self.plan_statement(plan, sql);
        }
        let bound = self.bind(&statement, sql)?;
        match bound {
            BoundStatement::Catalog(operation) => {
                self.apply(operation, sql)?;
                Ok(StatementResult::Done)
            }
            BoundStatement::Show(result) => self.table(&result),
            BoundStatement::Query(query) => self.run_query(query),
            BoundStatement::Insert(insert) => self.run_insert(insert, &[sql]),
            BoundStatement::CreateTableAs { operation, insert } => {
                self.catalogs
                    .apply(operation)
                    .map_err(|e| SessionError::bind(&e, sql))?;
                let result = self.run_insert(insert, &[sql]);
                // The job itself is submitted again as a whole; later ones need the table alone.
                self.remember_catalog_statement(sql);
                result
            }
            BoundStatement::Session => Err(SessionError::new(
                ErrorKind::Unsupported,
                "not supported yet: this statement",
            )),
        }
    }

    /// What a statement means under the catalog and the configuration as they are.
    pub(crate) fn bind(&self, statement: &Statement, sql: &str) -> Result<BoundStatement, SessionError> {
        let options = self.planning_options();
        bind_statement(statement, &self.catalogs, &options, &DECLARATIONS)
            .map_err(|e| SessionError::bind(&e, sql))
    }

    /// What could complete a statement at a position, in bytes.
    pub fn complete(&self, statement: &str, position: usize) -> Vec<String> {
        let mut position = position.min(statement.len());
        while !statement.is_char_boundary(position) {
            position -= 1;
        }
        let vocabulary = crate::completion::Vocabulary::of(self);
        let (_, candidates) = crate::completion::candidates(&vocabulary, statement, position);
        candidates.into_iter().map(|candidate| candidate.text).collect()
    }

    /// Executes one statement under some configuration of its own.
    pub fn execute_with(
        &mut self,
        sql: &str,
        configuration: &Options,
    ) -> Result<StatementResult, SessionError> {
        let hidden = self.configuration.overlay(configuration)?;
        let result = self.execute(sql);
        self.configuration.restore(hidden);
        result
    }

    /// Executes a statement that configures the session; refuses others in Flink's words.
    pub fn configure(&mut self, sql: &str) -> Result<StatementResult, SessionError> {
        let statement = parse_statement(sql).map_err(|e| SessionError::parse(&e, sql))?;
        let configures = matches!(
            statement.kind,
            StatementKind::Set(_)
                | StatementKind::Reset(_)
                | StatementKind::Create(_)
                | StatementKind::Alter(_)
                | StatementKind::Drop(_)
                | StatementKind::Use(_)
                | StatementKind::Module(_)
                | StatementKind::Jar(_)
        );
        match configures {
            true => self.execute(sql),
            false => Err(SessionError::input(format!(
                "Unsupported statement for configuring session: {sql}\nThe configureSession API only supports executing \
                 statements of type SET, RESET, CREATE, DROP, ALTER, USE, LOAD MODULE, UNLOAD MODULE, ADD JAR."
            ))),
        }
    }

    /// Statements between BEGIN STATEMENT SET and END.
    fn statement_set_part(
        &mut self,
        statement: &Statement,
        sql: &str,
    ) -> Result<Option<StatementResult>, SessionError> {
        const ONLY: &str = "Only 'INSERT/CREATE TABLE AS' statement is allowed in Statement Set or use 'END' to submit Statement Set";
        let options = self.planning_options();
        let Some(inserts) = &mut self.statement_set else {
            return match &statement.kind {
                StatementKind::BeginStatementSet => {
                    self.statement_set = Some(Vec::new());
                    Ok(Some(StatementResult::Done))
                }
                StatementKind::EndStatementSet => Err(SessionError::input(
                    "No Statement Set to submit. \"END\" statement should be used when \"BEGIN STATEMENT SET\"",
                )),
                _ => Ok(None),
            };
        };
        match &statement.kind {
            StatementKind::Insert(insert) => {
                // Bound now, so that a mistake is told at its own statement; bound again with the others at the end.
                bind_statement(statement, &self.catalogs, &options, &DECLARATIONS)
                    .map_err(|e| SessionError::bind(&e, sql))?;
                inserts.push((sql.to_owned(), insert.as_ref().clone()));
                Ok(Some(StatementResult::Done))
            }
            StatementKind::EndStatementSet => {
                let inserts = std::mem::take(inserts);
                self.statement_set = None;
                self.submit_set(&inserts).map(Some)
            }
            _ => Err(SessionError::input(ONLY)),
        }
    }

    pub(crate) fn submit_set(
        &mut self,
        inserts: &[(String, Insert)],
    ) -> Result<StatementResult, SessionError> {
        if inserts.is_empty() {
            return Ok(StatementResult::Done);
        }
        let planner = millstream_sql::bind::statement::Planner {
            catalogs: &self.catalogs,
            configuration: &self.planning_options(),
            declarations: &DECLARATIONS,
        };
        let parsed: Vec<&Insert> = inserts.iter().map(|(_, insert)| insert).collect();
        let plan = planner
            .bind_inserts(&parsed)
            .map_err(|e| SessionError::new(e.kind, e.to_string()))?;
        let texts: Vec<&str> = inserts.iter().map(|(sql, _)| sql.as_str()).collect();
        self.run_insert(plan, &texts)
    }

    /// Statements that concern the session alone.
    fn own_business(&mut self, statement: &Statement) -> Result<Option<StatementResult>, SessionError> {
        Ok(Some(match &statement.kind {
            StatementKind::Set(None) => {
                let schema = Schema::new([("key", LogicalType::STRING), ("value", LogicalType::STRING)]);
                let text = |t: &String| Scalar::String(t.clone());
                let rows = self
                    .configuration
                    .values()
                    .iter()
                    .map(|(k, v)| vec![text(k), text(v)])
                    .collect();
                self.table(&ShowResult { schema, rows })?
            }
            StatementKind::Set(Some(option)) => {
                self.configuration.set(&option.key.value, &option.value.value)?;
                StatementResult::Done
            }
            StatementKind::Reset(None) => {
                self.configuration.reset_all();
                StatementResult::Done
            }
            StatementKind::Reset(Some(key)) => {
                self.configuration.reset(&key.value);
                StatementResult::Done
            }
            StatementKind::Client(command) => StatementResult::Client(match command {
                ParsedCommand::Quit => ClientCommand::Quit,
                ParsedCommand::Clear => ClientCommand::Clear,
                ParsedCommand::Help => ClientCommand::Help,
            }),
            StatementKind::Show(ShowStatement::Jars) => {
                self.table(&ShowResult::texts("jars", self.jars.iter().cloned()))?
            }
            StatementKind::Show(ShowStatement::Jobs) => self.show_jobs()?,
            StatementKind::Jar(_) => {
                return Err(SessionError::new(
                    ErrorKind::Unsupported,
                    "not supported yet: jars; connectors and formats are part of the program",
                ));
            }
            StatementKind::StopJob(stop) => self.stop_job(stop)?,
            _ => return Ok(None),
        }))
    }

    fn show_jobs(&self) -> Result<StatementResult, SessionError> {
        let schema = Schema::new([
            ("job id", LogicalType::STRING),
            ("job name", LogicalType::STRING),
            ("status", LogicalType::STRING),
            ("start time", LogicalType::timestamp_ltz(3)),
        ]);
        let row = |job: &JobHandle| {
            vec![
                Scalar::String(job.id().to_string()),
                Scalar::String(job.name().to_owned()),
                Scalar::String(job.status().name().to_owned()),
                Scalar::Timestamp(i128::from(job.started_ms()) * 1_000_000),
            ]
        };
        let rows = self.context.jobs.list().iter().map(row).collect();
        self.table(&ShowResult { schema, rows })
    }

    fn stop_job(&self, stop: &StopJob) -> Result<StatementResult, SessionError> {
        let id = &stop.id.value;
        let job = millstream_jobs::JobId::parse(id).and_then(|id| self.context.jobs.get(id));
        let job = job
            .ok_or_else(|| SessionError::input(format!("job '{id}' does not exist; SHOW JOBS lists them")))?;
        if !stop.with_savepoint {
            if stop.with_drain {
                return Err(SessionError::input(
                    "WITH DRAIN could only be used after WITH SAVEPOINT.",
                ));
            }
            self.decided(&job, JobDecision::Stop)?;
            job.stop();
            wait_for(&job)?;
            self.decided(&job, JobDecision::Stopped)?;
            return Ok(StatementResult::Done);
        }
        let directory = self.configuration.get("execution.checkpointing.savepoint-dir");
        let savepoint = job.stop_with_savepoint(directory, stop.with_drain);
        let location = loop {
            match savepoint.wait(WAIT_STEP) {
                SavepointStatus::Completed { location } => break location,
                SavepointStatus::Failed(error) => return Err(error.into()),
                SavepointStatus::InProgress => {}
            }
        };
        wait_for(&job)?;
        self.decided(&job, JobDecision::Stopped)?;
        self.table(&ShowResult::texts("savepoint path", [location]))
    }

    fn decided(&self, job: &JobHandle, decision: JobDecision) -> Result<(), SessionError> {
        match &self.kept {
            Some(kept) => kept.keeper.decided(job.id(), decision),
            None => Ok(()),
        }
    }

    fn table(&self, result: &ShowResult) -> Result<StatementResult, SessionError> {
        // A wrong zone must not keep people from looking at what they set.
        let zone = self.zone().unwrap_or(TimeZone::UTC);
        Ok(StatementResult::Table(TextTable::new(result, &zone)))
    }

    fn zone_name(&self) -> String {
        match self.configuration.get("table.local-time-zone") {
            None | Some("default") => system_zone_name(),
            Some(name) => name.to_owned(),
        }
    }

    /// The configuration with what the machine decides where nothing is set: the zone by name, so that what is folded
    /// while planning is what rows would give, and the parallelism.
    pub(crate) fn planning_options(&self) -> Options {
        let mut options = self.configuration.values().clone();
        let cores = || self.context.cores.to_string();
        options
            .entry("parallelism.default".to_owned())
            .or_insert_with(cores);
        options.insert("table.local-time-zone".to_owned(), self.zone_name());
        options
    }

    fn zone(&self) -> Result<TimeZone, SessionError> {
        session_zone(&self.zone_name()).map_err(SessionError::input)
    }

    /// Binds a query or an INSERT and does not start its job: for callers that drive jobs by themselves. `None` for
    /// statements that are more or less than one job; the session is left as it was.
    pub fn prepare(&self, sql: &str) -> Result<Option<PreparedJob>, SessionError> {
        with_room(|| self.prepare_here(sql))
    }

    fn prepare_here(&self, sql: &str) -> Result<Option<PreparedJob>, SessionError> {
        let statement = parse_statement(sql).map_err(|e| SessionError::parse(&e, sql))?;
        let is_job = matches!(statement.kind, StatementKind::Query(_) | StatementKind::Insert(_));
        if self.statement_set.is_some() || !is_job {
            return Ok(None);
        }
        let options = self.planning_options();
        let bound = bind_statement(&statement, &self.catalogs, &options, &DECLARATIONS)
            .map_err(|e| SessionError::bind(&e, sql))?;
        let (schema, plan, bounded) = match bound {
            BoundStatement::Query(query) => (Some(query.schema), query.plan, query.bounded),
            BoundStatement::Insert(insert) => (None, insert.plan, insert.bounded),
            _ => return Ok(None),
        };
        if self.configuration.is_batch() && !bounded {
            return Err(unbounded_in_batch(&plan));
        }
        let (request, zone) = (self.request("prepared".to_owned(), plan, None)?, self.zone()?);
        Ok(Some(PreparedJob {
            request,
            schema,
            zone,
        }))
    }

    fn run_query(&mut self, query: QueryPlan) -> Result<StatementResult, SessionError> {
        if self.configuration.is_batch() && !query.bounded {
            return Err(unbounded_in_batch(&query.plan));
        }
        let zone = self.zone()?;
        let job = self.submit("collect".to_owned(), query.plan, None)?;
        let reader = job.results().cloned();
        let reader =
            reader.ok_or_else(|| SessionError::new(ErrorKind::Internal, "a query's job has no results"))?;
        let is_changelog = !self.configuration.is_batch();
        Ok(StatementResult::Query(QueryResult {
            schema: query.schema,
            is_changelog,
            reader,
            job,
            zone,
        }))
    }

    /// `statements` are the texts that the plan came from.
    pub(crate) fn run_insert(
        &mut self,
        insert: InsertPlan,
        statements: &[&str],
    ) -> Result<StatementResult, SessionError> {
        if self.configuration.is_batch() && !insert.bounded {
            return Err(unbounded_in_batch(&insert.plan));
        }
        self.inserts += 1;
        let name = match (self.configuration.get("pipeline.name"), &self.script) {
            (Some(name), _) => Some(self.names.unused(name)),
            (None, Some(script)) => Some(format!("{script}#{}", self.inserts)),
            (None, None) => None,
        };
        self.names.submitted.extend(name.clone());
        let sinks = insert.sinks.join(",");
        let job = self.submit_insert(insert.plan, name, &sinks, statements)?;
        if self.configuration.dml_sync() && !self.caller_waits {
            wait_for(&job)?;
        }
        Ok(StatementResult::Job {
            job,
            bounded: insert.bounded,
        })
    }

    pub(crate) fn submit(
        &self,
        name: String,
        plan: Plan,
        storage: Option<Arc<dyn Storage>>,
    ) -> Result<JobHandle, SessionError> {
        let request = self.request(name, plan, storage)?;
        Ok(self.context.jobs.submit(request)?)
    }

    pub(crate) fn request(
        &self,
        name: String,
        plan: Plan,
        storage: Option<Arc<dyn Storage>>,
    ) -> Result<JobRequest, SessionError> {
        let zone = self.zone()?;
        let zone_name: Arc<str> = self.zone_name().into();
        let batch = self.configuration.is_batch();
        let connectors = ConnectorContext {
            clock: Arc::clone(&self.context.clock),
            rng: Arc::clone(&self.context.rng),
            print: Arc::clone(&self.context.print),
            kafka: Arc::clone(&self.context.kafka),
            zone: zone.clone(),
            zone_name: Arc::clone(&zone_name),
            batch,
        };
        let legacy = self.configuration.get("table.exec.legacy-cast-behaviour");
        let environment = Environment {
            zone,
            zone_name,
            now_ms: self.context.clock.now_ms(),
            watermark_ms: None,
            rng: Arc::clone(&self.context.rng),
            legacy_cast: legacy.is_some_and(|v| v.eq_ignore_ascii_case("enabled")),
            current_database: self.catalogs.current_database().into(),
            streaming: !batch,
        };
        Ok(JobRequest {
            identity: name,
            plan: Arc::new(plan),
            components: Arc::new(BuiltIn {
                connectors,
                environment,
            }),
            clock: Arc::clone(&self.context.clock),
            rng: Arc::clone(&self.context.rng),
            storage,
            cores: self.context.cores,
            fresh: self.context.fresh,
            attended: self.context.attended || self.configuration.dml_sync(),
            // A kept job that had ended must not run again because the server died before it noted the end.
            remembers_end: self.script.is_some() || self.kept.is_some(),
        })
    }
}

fn unbounded_in_batch(plan: &Plan) -> SessionError {
    let scans = plan.nodes.iter().filter_map(|node| match &node.op {
        millstream_plan::Op::Scan { table, .. } => Some(table),
        _ => None,
    });
    let unbounded = |table: &&millstream_plan::TableSpec| {
        let connector = table
            .options
            .get("connector")
            .and_then(|c| DECLARATIONS.connector(c));
        connector.is_some_and(|c| !(c.bounded)(&table.options))
    };
    let name = scans
        .into_iter()
        .find(unbounded)
        .map_or_else(|| "?".to_owned(), |t| t.identifier.to_string());
    SessionError::input(format!(
        "Querying an unbounded table '{name}' in batch mode is not allowed. The table source is unbounded."
    ))
}

/// Waits until a job has ended; its failure is the error.
pub fn wait_for(job: &JobHandle) -> Result<(), SessionError> {
    loop {
        match job.wait(WAIT_STEP) {
            JobStatus::Finished => return Ok(()),
            JobStatus::Canceled => {
                return Err(SessionError::new(
                    ErrorKind::Input,
                    format!("job '{}' was canceled", job.name()),
                ));
            }
            JobStatus::Failed => {
                let error = job.error();
                return Err(error.map_or_else(
                    || SessionError::new(ErrorKind::Internal, format!("job '{}' failed", job.name())),
                    SessionError::from,
                ));
            }
            _ => {}
        }
    }
}
