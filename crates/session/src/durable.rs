//! Jobs that outlive the process: what a [`JobKeeper`] stores so that a job can be submitted again.
//!
//! The plan is not stored, because the next version of the program may plan better. The statements, the configuration
//! and the statements that built the catalog are. Together they produce the same operators, which find their state by
//! uid.

use std::sync::Arc;

use millstream_jobs::{Checkpoints, JobHandle, JobId};
use millstream_plan::Plan;
use millstream_sql::bind::statement::BoundStatement;
use millstream_sql::catalog::CatalogOperation;
use millstream_sql::parse::ast::{Insert, StatementKind};
use millstream_sql::parse::parse_statement;
use millstream_types::{ErrorKind, Options};

use crate::error::SessionError;
use crate::files::FileAccess;
use crate::result::StatementResult;
use crate::session::{Session, SessionContext};

/// Everything needed to submit a job again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSubmission {
    pub id: JobId,
    /// For display.
    pub name: String,
    /// Identifies the job's checkpoints.
    pub identity: String,
    /// The INSERT, or those of a statement set.
    pub statements: Vec<String>,
    /// The statements that built the catalog of the session, in execution order.
    pub catalog: Vec<String>,
    /// The session configuration at submission.
    pub configuration: Options,
    /// Whether the session was limited neither in files nor in hosts.
    pub unlimited: bool,
}

/// A user's decision that a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobDecision {
    Cancel,
    /// The job takes a last checkpoint and ends.
    Stop,
    /// The job was stopped and has ended.
    Stopped,
}

/// Stores the jobs of sessions durably.
///
/// - `submitted` is called before the job starts; once it has returned, the submission survives a crash;
/// - `rejected` is called if the job could not be started after all;
/// - `decided` is called before a job is canceled or stopped; once it has returned, the job does not run again after a
///   crash.
pub trait JobKeeper: Send + Sync {
    fn submitted(&self, submission: &JobSubmission) -> Result<(), SessionError>;
    fn rejected(&self, id: JobId);
    fn decided(&self, id: JobId, decision: JobDecision) -> Result<(), SessionError>;
}

/// Deletes the checkpoints of a canceled job, unless its configuration retains them.
pub fn forget_checkpoints(context: &SessionContext, submission: &JobSubmission) -> Result<(), SessionError> {
    let is_elsewhere = submission
        .configuration
        .contains_key("execution.checkpointing.dir");
    if let Some(storage) = context.checkpoints.clone().filter(|_| !is_elsewhere) {
        Checkpoints::open(Some(storage), &submission.identity, 1, true)?;
    }
    Ok(())
}

/// The session's side of job keeping.
pub(crate) struct KeptJobs {
    pub(crate) keeper: Arc<dyn JobKeeper>,
    /// The statements that changed the catalog, in execution order.
    catalog: Vec<String>,
    /// The job that is being resubmitted.
    resumed: Option<Resumed>,
}

/// What a resubmitted job inherits from its earlier run.
struct Resumed {
    id: JobId,
    name: String,
    identity: String,
}

impl Session {
    /// Registers a keeper for every job of this session, so that jobs resume after a restart of the process.
    pub fn keep_jobs(&mut self, keeper: Arc<dyn JobKeeper>) {
        self.kept = Some(KeptJobs {
            keeper,
            catalog: Vec::new(),
            resumed: None,
        });
    }

    /// Resubmits a stored job; it continues from its newest checkpoint. `context` and `files` are as limited as the
    /// session that submitted it was.
    pub fn resume(
        context: SessionContext,
        files: FileAccess,
        keeper: Arc<dyn JobKeeper>,
        submission: &JobSubmission,
    ) -> Result<JobHandle, SessionError> {
        let mut session = Self::new(context, submission.configuration.clone())?;
        session.limit_files(files);
        session.leave_waiting_to_caller();
        for sql in &submission.catalog {
            session.replay(sql)?;
        }
        session.kept = Some(KeptJobs {
            keeper,
            catalog: submission.catalog.clone(),
            resumed: Some(Resumed {
                id: submission.id,
                name: submission.name.clone(),
                identity: submission.identity.clone(),
            }),
        });
        let result = match submission.statements.as_slice() {
            [only] => session.execute(only)?,
            several => {
                let inserts: Vec<(String, Insert)> = several
                    .iter()
                    .map(|sql| parse_insert(sql))
                    .collect::<Result<_, _>>()?;
                session.submit_set(&inserts)?
            }
        };
        match result {
            StatementResult::Job { job, .. } => Ok(job),
            _ => Err(SessionError::new(
                ErrorKind::Internal,
                "the statement of a kept job starts no job",
            )),
        }
    }

    /// Applies a statement to the catalog only.
    fn replay(&mut self, sql: &str) -> Result<(), SessionError> {
        let statement = parse_statement(sql).map_err(|e| SessionError::parse(&e, sql))?;
        match self.bind(&statement, sql)? {
            BoundStatement::Catalog(operation) | BoundStatement::CreateTableAs { operation, .. } => {
                self.apply(operation, sql)
            }
            _ => Ok(()),
        }
    }

    /// Changes the catalog.
    pub(crate) fn apply(&mut self, operation: CatalogOperation, sql: &str) -> Result<(), SessionError> {
        self.before_change(&operation);
        self.catalogs
            .apply(operation)
            .map_err(|e| SessionError::bind(&e, sql))?;
        self.remember_catalog_statement(sql);
        Ok(())
    }

    pub(crate) fn remember_catalog_statement(&mut self, sql: &str) {
        if let Some(kept) = &mut self.kept {
            kept.catalog.push(sql.to_owned());
        }
    }

    /// Undoes the last [`Session::remember_catalog_statement`].
    pub(crate) fn forget_catalog_statement(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.catalog.pop();
        }
    }

    /// Starts the job of an INSERT under the name that the user or the script gave it.
    pub(crate) fn submit_insert(
        &self,
        plan: Plan,
        name: Option<String>,
        sinks: &str,
        statements: &[&str],
    ) -> Result<JobHandle, SessionError> {
        let shown = name.clone().unwrap_or_else(|| format!("insert-into_{sinks}"));
        let Some(kept) = &self.kept else {
            // Only a named job can be found again, so only its checkpoints outlive the process.
            let storage = name.as_ref().and_then(|_| self.context.checkpoints.clone());
            return self.submit(shown, plan, storage);
        };
        let (id, shown, identity) = match &kept.resumed {
            Some(job) => (job.id, job.name.clone(), job.identity.clone()),
            None => {
                let id = JobId::random(self.context.rng.as_ref());
                (id, shown, name.unwrap_or_else(|| id.to_string()))
            }
        };
        let request = self.request(identity.clone(), plan, self.context.checkpoints.clone())?;
        if kept.resumed.is_none() {
            kept.keeper.submitted(&JobSubmission {
                id,
                name: shown.clone(),
                identity,
                statements: statements.iter().map(|sql| (*sql).to_owned()).collect(),
                catalog: kept.catalog.clone(),
                configuration: self.configuration.values().clone(),
                unlimited: matches!(self.files, FileAccess::Everything),
            })?;
        }
        self.context.jobs.submit_as(id, &shown, request).map_err(|error| {
            if kept.resumed.is_none() {
                kept.keeper.rejected(id);
            }
            SessionError::from(error)
        })
    }
}

pub(crate) fn parse_insert(sql: &str) -> Result<(String, Insert), SessionError> {
    let statement = parse_statement(sql).map_err(|e| SessionError::parse(&e, sql))?;
    match statement.kind {
        StatementKind::Insert(insert) => Ok((sql.to_owned(), *insert)),
        _ => Err(SessionError::new(
            ErrorKind::Input,
            "only INSERT is allowed in a statement set",
        )),
    }
}
