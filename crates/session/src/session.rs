//! A session: a catalog, a configuration, and the statements that change and use them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use millstream_connectors::kafka::KafkaClusters;
use millstream_connectors::{ConnectorContext, DECLARATIONS, PROGRAM_DECLARATIONS, PrintTarget};
use millstream_dataflow::alignment::AlignmentGroups;
use millstream_functions::Environment;
use millstream_functions::scalar::temporal::zone::session_zone;
use millstream_jobs::checkpoints::forget_finished;
use millstream_jobs::{BuiltIn, JobHandle, JobRegistry, JobRequest};
use millstream_plan::Plan;
use millstream_sql::bind::statement::{BoundStatement, InsertPlan, QueryPlan};
use millstream_sql::catalog::{Catalogs, ShowResult};
use millstream_sql::parse::ast::{
    ClientCommand as ParsedCommand, Insert, ShowStatement, Statement, StatementKind,
};
use millstream_sql::parse::parse_statement;
use millstream_sql::stack::with_room;
use millstream_types::storage::Storage;
use millstream_types::{
    Clock, Declarations, ErrorCode, ErrorKind, LogicalType, Options, Rng, Scalar, Schema,
};

use crate::configuration::Configuration;
use crate::durable::KeptJobs;
use crate::error::SessionError;
use crate::files::FileAccess;
use crate::jobs::wait_for;
use crate::result::{ClientCommand, QueryResult, StatementResult, TextTable};
use crate::shared_catalog::SharedCatalog;
use crate::topics::TopicTables;

/// What all sessions of a process share: clock, randomness, clusters, jobs.
#[derive(Clone)]
pub struct SessionContext {
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub kafka: Arc<dyn KafkaClusters>,
    pub print: Arc<dyn PrintTarget>,
    pub jobs: Arc<JobRegistry>,
    /// Storage for checkpoints of named jobs. With `None`, jobs keep checkpoints in memory and lose them when they end.
    pub checkpoints: Option<Arc<dyn Storage>>,
    /// Discard the checkpoints of earlier runs.
    pub fresh: bool,
    /// The caller reports how each job ends, so the log does not have to.
    pub attended: bool,
    /// Cores of the machine: the default parallelism.
    pub cores: usize,
    /// IANA name of the machine's time zone: the zone of a session unless `table.local-time-zone` is set.
    pub zone_name: Arc<str>,
}

/// The names of a session's jobs, by which jobs find their checkpoints again.
#[derive(Default)]
struct JobNames {
    /// How often each `pipeline.name` was used.
    uses: BTreeMap<String, u64>,
    submitted: Vec<String>,
}

impl JobNames {
    /// The first job of a name gets the name itself. Later ones are numbered, because two jobs must not share
    /// checkpoints.
    fn unused(&mut self, name: &str) -> String {
        let uses = self.uses.entry(name.to_owned()).or_default();
        *uses += 1;
        match *uses {
            1 => name.to_owned(),
            uses => format!("{name}#{uses}"),
        }
    }
}

/// Executes statements one at a time.
pub struct Session {
    pub(crate) context: SessionContext,
    pub(crate) catalogs: Catalogs,
    /// Connectors and formats that statements may name.
    pub(crate) declarations: Declarations,
    pub(crate) configuration: Configuration,
    /// The INSERTs collected since BEGIN STATEMENT SET.
    pub(crate) statement_set: Option<Vec<(String, Insert)>>,
    jars: Vec<String>,
    /// Base name for the jobs of a script; each job appends the ordinal of its INSERT.
    script: Option<String>,
    inserts: u64,
    names: JobNames,
    /// With `table.dml-sync`, the caller waits for the job, not the session.
    caller_waits: bool,
    /// Stores the jobs of this session so that they resume after a restart.
    pub(crate) kept: Option<KeptJobs>,
    pub(crate) files: FileAccess,
    /// The catalog that is kept, if one is.
    pub(crate) shared: Option<SharedCatalog>,
    pub(crate) topic_tables: TopicTables,
}

impl Session {
    /// Creates a session with an empty catalog. RESET restores `defaults`.
    pub fn new(context: SessionContext, defaults: Options) -> Result<Self, SessionError> {
        Ok(Self {
            context,
            catalogs: Catalogs::new(),
            declarations: DECLARATIONS,
            configuration: Configuration::new(defaults)?,
            statement_set: None,
            jars: Vec::new(),
            script: None,
            inserts: 0,
            names: JobNames::default(),
            caller_waits: false,
            kept: None,
            files: FileAccess::Everything,
            shared: None,
            topic_tables: TopicTables::new(),
        })
    }

    /// Lets statements name the streams of the program around the session as tables.
    pub fn with_streams(mut self) -> Self {
        self.declarations = PROGRAM_DECLARATIONS;
        self
    }

    /// Names the jobs of this session after a script.
    pub fn name_jobs_after(&mut self, script: impl Into<String>) {
        self.script = Some(script.into());
    }

    /// Called when a script has succeeded: its next run executes every statement again, including those of finished
    /// jobs.
    pub fn forget_finished_jobs(&mut self) -> Result<(), SessionError> {
        for name in self.names.submitted.drain(..) {
            if let Some(storage) = &self.context.checkpoints {
                forget_finished(Arc::clone(storage), &name)?;
            }
        }
        Ok(())
    }

    /// Makes [`Session::execute`] return running jobs even under `table.dml-sync`; the caller waits for them.
    pub fn leave_waiting_to_caller(&mut self) {
        self.caller_waits = true;
    }

    /// Limits the files that statements may name.
    pub fn limit_files(&mut self, files: FileAccess) {
        self.files = files;
    }

    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The catalog, for completion.
    pub fn catalogs(&self) -> &Catalogs {
        &self.catalogs
    }

    /// Executes one statement. On error, the session stays unchanged.
    pub fn execute(&mut self, sql: &str) -> Result<StatementResult, SessionError> {
        // Binding, planning and building recurse over the tree and the plan; this gives all of them enough stack.
        with_room(|| self.execute_here(sql))
    }

    fn execute_here(&mut self, sql: &str) -> Result<StatementResult, SessionError> {
        let statement = parse_statement(sql).map_err(|e| SessionError::parse(&e, sql))?;
        let store = self.store_of_change(&statement);
        let changing = store.as_ref().map(|store| store.begin()).transpose()?;
        self.take_over_changes()?;
        self.forget_topics();
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
                self.change_catalog(operation, sql, changing.as_ref())?;
                Ok(StatementResult::Done)
            }
            BoundStatement::Show(result) => self.table(&result),
            BoundStatement::Query(query) => self.run_query(query),
            BoundStatement::Insert(insert) => self.run_insert(insert, &[sql]),
            BoundStatement::CreateTableAs { operation, insert } => {
                self.change_catalog(operation, sql, changing.as_ref())?;
                drop(changing);
                // A resumed job is submitted as a whole. Later jobs need only the table.
                self.forget_catalog_statement();
                let result = self.run_insert(insert, &[sql]);
                self.remember_catalog_statement(sql);
                result
            }
            BoundStatement::Session => Err(SessionError::new(
                ErrorKind::Unsupported,
                "not supported yet: this statement",
            )),
        }
    }

    /// The completions for a statement at a byte position.
    pub fn complete(&self, statement: &str, position: usize) -> Vec<String> {
        let mut position = position.min(statement.len());
        while !statement.is_char_boundary(position) {
            position -= 1;
        }
        let vocabulary = crate::completion::Vocabulary::of(self);
        let (_, candidates) = crate::completion::candidates(&vocabulary, statement, position);
        candidates.into_iter().map(|candidate| candidate.text).collect()
    }

    /// Executes one statement with its own overrides of the configuration.
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

    /// Executes a statement that configures the session. Rejects other statements with Flink's message.
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
        if configures {
            self.execute(sql)
        } else {
            Err(SessionError::input(format!(
                "Unsupported statement for configuring session: {sql}\nThe configureSession API only supports executing \
             statements of type SET, RESET, CREATE, DROP, ALTER, USE, LOAD MODULE, UNLOAD MODULE, ADD JAR."
            )))
        }
    }

    /// Handles statements between BEGIN STATEMENT SET and END.
    fn statement_set_part(
        &mut self,
        statement: &Statement,
        sql: &str,
    ) -> Result<Option<StatementResult>, SessionError> {
        const ONLY: &str = "Only 'INSERT/CREATE TABLE AS' statement is allowed in Statement Set or use 'END' statement to submit \
                            Statement Set.";
        let Some(inserts) = &mut self.statement_set else {
            return match &statement.kind {
                StatementKind::BeginStatementSet => {
                    self.statement_set = Some(Vec::new());
                    Ok(Some(StatementResult::Done))
                }
                StatementKind::EndStatementSet => Err(SessionError::coded(
                    ErrorCode::InvalidStatementSet,
                    "No Statement Set to submit. 'END' statement should be used after 'BEGIN STATEMENT SET'.",
                )),
                _ => Ok(None),
            };
        };
        match &statement.kind {
            StatementKind::Insert(insert) => {
                // Binding here reports a mistake at its own statement; END binds all statements of the set together.
                self.bind(statement, sql)?;
                if let Some(inserts) = &mut self.statement_set {
                    inserts.push((sql.to_owned(), insert.as_ref().clone()));
                }
                Ok(Some(StatementResult::Done))
            }
            StatementKind::EndStatementSet => {
                let inserts = std::mem::take(inserts);
                self.statement_set = None;
                self.submit_set(&inserts).map(Some)
            }
            _ => Err(SessionError::coded(ErrorCode::InvalidStatementSet, ONLY)),
        }
    }

    pub(crate) fn submit_set(
        &mut self,
        inserts: &[(String, Insert)],
    ) -> Result<StatementResult, SessionError> {
        if inserts.is_empty() {
            return Ok(StatementResult::Done);
        }
        let parsed: Vec<&Insert> = inserts.iter().map(|(_, insert)| insert).collect();
        let plan = self.bind_set(&parsed)?;
        let texts: Vec<&str> = inserts.iter().map(|(sql, _)| sql.as_str()).collect();
        self.run_insert(plan, &texts)
    }

    /// Handles statements that affect only the session.
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

    pub(crate) fn table(&self, result: &ShowResult) -> Result<StatementResult, SessionError> {
        // SET with an invalid time zone must not prevent SET from listing the values.
        let zone = self.zone().unwrap_or(TimeZone::UTC);
        Ok(StatementResult::Table(TextTable::new(result, &zone)))
    }

    fn zone_name(&self) -> String {
        match self.configuration.get("table.local-time-zone") {
            None | Some("default") => self.context.zone_name.to_string(),
            Some(name) => name.to_owned(),
        }
    }

    /// The configuration with unset values filled in from the machine: the time zone by name, so that constant folding
    /// and run time use the same zone, and the parallelism.
    pub(crate) fn planning_options(&self) -> Options {
        let mut options = self.configuration.values().clone();
        let cores = || self.context.cores.to_string();
        options
            .entry("parallelism.default".to_owned())
            .or_insert_with(cores);
        options.insert("table.local-time-zone".to_owned(), self.zone_name());
        options
    }

    pub(crate) fn zone(&self) -> Result<TimeZone, SessionError> {
        session_zone(&self.zone_name())
            .map_err(|error| SessionError::coded(ErrorCode::InvalidSetting, error.to_string()))
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

    /// `statements` are the SQL texts behind the plan.
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
        self.files.check_job(&plan, self.configuration.values())?;
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
            alignment: AlignmentGroups::default(),
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
            // If the server dies between the end of a kept job and the note of that end, the job must not run again.
            remembers_end: self.script.is_some() || self.kept.is_some(),
        })
    }
}

pub(crate) fn unbounded_in_batch(plan: &Plan) -> SessionError {
    let scans = plan.nodes.iter().filter_map(|node| match &node.op {
        millstream_plan::Op::Scan { table, .. } => Some(table),
        _ => None,
    });
    let unbounded = |table: &&millstream_plan::TableSpec| {
        let connector = table
            .options
            .get("connector")
            .and_then(|c| PROGRAM_DECLARATIONS.connector(c));
        connector.is_some_and(|c| !(c.bounded)(&table.options))
    };
    let name = scans
        .into_iter()
        .find(unbounded)
        .map_or_else(|| "?".to_owned(), |t| t.identifier.to_string());
    SessionError::coded(
        ErrorCode::UnboundedInput,
        format!(
            "Querying an unbounded table '{name}' in batch mode is not allowed. The table source is unbounded."
        ),
    )
}
