//! Statements about jobs: SHOW JOBS, STOP JOB, and waiting for one.

use std::time::Duration;

use millstream_jobs::{JobHandle, JobId, JobStatus, SavepointStatus};
use millstream_sql::catalog::ShowResult;
use millstream_sql::parse::ast::StopJob;
use millstream_types::{ErrorCode, ErrorKind, LogicalType, Scalar, Schema};

use crate::durable::JobDecision;
use crate::error::SessionError;
use crate::result::StatementResult;
use crate::session::Session;

/// Interval at which a wait for a job wakes up; the wait itself has no deadline.
const WAIT_STEP: Duration = Duration::from_secs(3600);

impl Session {
    pub(crate) fn show_jobs(&self) -> Result<StatementResult, SessionError> {
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

    pub(crate) fn stop_job(&self, stop: &StopJob) -> Result<StatementResult, SessionError> {
        let id = &stop.id.value;
        let job = JobId::parse(id).and_then(|id| self.context.jobs.get(id));
        let job = job.ok_or_else(|| {
            let message = format!("job '{id}' does not exist");
            SessionError::coded(ErrorCode::UnknownObject, message).with_hint("SHOW JOBS lists the jobs")
        })?;
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
        if let Some(directory) = directory {
            self.files.check("directory of savepoints", directory)?;
        }
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
}

/// Waits until a job has ended. Returns the job's failure as an error.
pub fn wait_for(job: &JobHandle) -> Result<(), SessionError> {
    loop {
        match job.wait(WAIT_STEP) {
            JobStatus::Finished => return Ok(()),
            JobStatus::Canceled => {
                return Err(SessionError::coded(
                    ErrorCode::JobCanceled,
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
