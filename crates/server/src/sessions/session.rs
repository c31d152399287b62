//! A session of the server: statements in the order of their submission, one at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_session::{
    ClientCommand, JobHandle, JobStatus, Session, SessionError, StatementResult, TextTable,
};
use millstream_types::{ErrorCode, LogicalType, Options, Schema};

use super::error::OperationError;
use super::operation::{Operation, OperationStatus};
use super::results::{ResultKind, Results};
use crate::limits::OPERATIONS_PER_SESSION_MAX;

/// First and longest pause between two looks at a job that a statement waits for.
const JOB_LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// A statement to be executed.
#[derive(Clone, Debug, Default)]
pub struct StatementRequest {
    pub statement: String,
    /// The statement fails with TIMEOUT if it is not executed by then.
    pub timeout: Option<Duration>,
    /// Configuration of this statement alone.
    pub configuration: Options,
    /// Only statements that configure the session are allowed.
    pub configures: bool,
}

/// A session that clients have opened.
pub struct GatewaySession {
    handle: String,
    name: Option<String>,
    opened_ms: i64,
    last_used_ms: AtomicI64,
    session: Arc<tokio::sync::Mutex<Session>>,
    /// A copy that is readable while a statement is executed.
    properties: Mutex<Options>,
    operations: Mutex<BTreeMap<String, Arc<Operation>>>,
}

impl GatewaySession {
    pub(super) fn new(handle: String, name: Option<String>, session: Session, now_ms: i64) -> Self {
        Self {
            handle,
            name,
            opened_ms: now_ms,
            last_used_ms: AtomicI64::new(now_ms),
            properties: Mutex::new(session.configuration().values().clone()),
            session: Arc::new(tokio::sync::Mutex::new(session)),
            operations: Mutex::default(),
        }
    }

    pub fn handle(&self) -> &str {
        &self.handle
    }

    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub fn opened_ms(&self) -> i64 {
        self.opened_ms
    }

    pub fn last_used_ms(&self) -> i64 {
        self.last_used_ms.load(Ordering::Relaxed)
    }

    /// Keeps the session from being closed as idle.
    pub fn touch(&self, now_ms: i64) {
        self.last_used_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// The configuration of the session.
    pub fn properties(&self) -> Options {
        self.properties
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn operation(&self, handle: &str) -> Option<Arc<Operation>> {
        self.operations().get(handle).cloned()
    }

    /// Drops an operation and ends its query. An unknown one is already closed.
    pub fn close_operation(&self, handle: &str) {
        let operation = self.operations().remove(handle);
        if let Some(operation) = operation {
            operation.close();
        }
    }

    /// Whether a statement is being executed or a result is still open.
    pub fn is_busy(&self) -> bool {
        self.operations()
            .values()
            .any(|operation| !operation.status().is_terminal())
    }

    pub(super) fn close(&self) {
        let operations = std::mem::take(&mut *self.operations());
        operations.values().for_each(|operation| operation.close());
    }

    fn operations(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Operation>>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits a statement; it is executed when those before it have been. Must be called inside a tokio runtime.
    pub fn submit(
        self: &Arc<Self>,
        handle: String,
        request: StatementRequest,
        now_ms: i64,
    ) -> Result<Arc<Operation>, OperationError> {
        let operation = Arc::new(Operation::new(handle.clone(), request.statement.clone(), now_ms));
        {
            let mut operations = self.operations();
            if operations.len() >= OPERATIONS_PER_SESSION_MAX {
                return Err(OperationError::too_many_operations(OPERATIONS_PER_SESSION_MAX));
            }
            operations.insert(handle, Arc::clone(&operation));
        }
        let (session, executed) = (Arc::clone(self), Arc::clone(&operation));
        tokio::spawn(async move {
            let timeout = request.timeout.unwrap_or(Duration::MAX);
            let execution = session.execute(&executed, request);
            if tokio::time::timeout(timeout, execution).await.is_err() {
                let error = OperationError::timed_out(executed.handle(), timeout.as_millis());
                _ = executed.end(OperationStatus::Timeout, Some(error), None);
            }
        });
        Ok(operation)
    }

    async fn execute(&self, operation: &Arc<Operation>, request: StatementRequest) {
        let mut session = Arc::clone(&self.session).lock_owned().await;
        if !operation.begin() {
            return;
        }
        // Planning and submitting block, and a panic in them must fail the statement alone.
        let executed = tokio::task::spawn_blocking(move || {
            let result = if request.configures {
                session.configure(&request.statement)
            } else {
                session.execute_with(&request.statement, &request.configuration)
            };
            let waits = session.configuration().dml_sync();
            let properties = session.configuration().values().clone();
            (session, result, waits, properties)
        })
        .await;
        let (_session, result, waits, properties) = match executed {
            Ok(executed) => executed,
            Err(_) => {
                let error = OperationError::internal(
                    "the statement failed with an internal error; the log has the details",
                );
                _ = operation.end(OperationStatus::Error, Some(error), None);
                return;
            }
        };
        *self.properties.lock().unwrap_or_else(PoisonError::into_inner) = properties;
        let settled = match result {
            Err(error) => Err(error.into()),
            Ok(result) => settle(operation, result, waits).await,
        };
        _ = match settled {
            Ok(results) => operation.end(OperationStatus::Finished, None, Some(results)),
            Err(error) => operation.end(OperationStatus::Error, Some(error), None),
        };
    }

    /// Runs something with the session when no statement is being executed.
    pub async fn with_session<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Session) -> T + Send + 'static,
    ) -> Result<T, OperationError> {
        let mut session = Arc::clone(&self.session).lock_owned().await;
        tokio::task::spawn_blocking(move || look(&mut session))
            .await
            .map_err(|_| OperationError::internal("internal error; the log has the details"))
    }
}

/// Turns what a statement gave into a result; waits for the job of an INSERT if the session says so.
async fn settle(
    operation: &Operation,
    result: StatementResult,
    waits: bool,
) -> Result<Results, OperationError> {
    match result {
        StatementResult::Done => Ok(ok()),
        StatementResult::Client(command) => Err(OperationError::from(SessionError::input(format!(
            "{} is a command of a shell, not a statement",
            match command {
                ClientCommand::Quit => "QUIT",
                ClientCommand::Clear => "CLEAR",
                ClientCommand::Help => "HELP",
            }
        )))),
        StatementResult::Table(TextTable { schema, rows }) => {
            Ok(Results::texts(schema, ResultKind::SuccessWithContent, rows, None))
        }
        StatementResult::Query(query) => Ok(Results::query(query)),
        StatementResult::Job { job, .. } => {
            if waits {
                operation.await_job(&job);
                wait_for_end(&job).await?;
            }
            let id = job.id().to_string();
            let schema = Schema::new([("job id", LogicalType::STRING)]);
            let rows = vec![vec![Some(id.clone())]];
            Ok(Results::texts(
                schema,
                ResultKind::SuccessWithContent,
                rows,
                Some(id),
            ))
        }
    }
}

fn ok() -> Results {
    let schema = Schema::new([("result", LogicalType::STRING)]);
    Results::texts(
        schema,
        ResultKind::Success,
        vec![vec![Some("OK".to_owned())]],
        None,
    )
}

/// Waits for the end of a job without holding a thread; its failure is the error.
async fn wait_for_end(job: &JobHandle) -> Result<(), OperationError> {
    let (mut pause, longest) = JOB_LOOK;
    loop {
        match job.status() {
            JobStatus::Finished => return Ok(()),
            JobStatus::Canceled => {
                let message = format!("job '{}' was canceled", job.name());
                return Err(SessionError::coded(ErrorCode::JobCanceled, message).into());
            }
            JobStatus::Failed => {
                let error = job.error();
                return Err(error.map_or_else(
                    || OperationError::internal(format!("job '{}' failed", job.name())),
                    |error| SessionError::from(error).into(),
                ));
            }
            _ => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(longest);
    }
}
