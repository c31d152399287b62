//! One statement of a session, from submission to close.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_session::JobHandle;
use tokio::sync::watch;

use super::error::OperationError;
use super::results::Results;

/// Flink's states of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OperationStatus {
    Initialized,
    Pending,
    Running,
    Finished,
    Canceled,
    Closed,
    Error,
    Timeout,
}

impl OperationStatus {
    /// As REST names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialized => "INITIALIZED",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Canceled => "CANCELED",
            Self::Closed => "CLOSED",
            Self::Error => "ERROR",
            Self::Timeout => "TIMEOUT",
        }
    }

    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Initialized | Self::Pending | Self::Running)
    }
}

struct State {
    error: Option<OperationError>,
    results: Option<Arc<Results>>,
    /// The job of an INSERT that the operation waits for; canceled with the operation.
    awaited_job: Option<JobHandle>,
}

/// A submitted statement.
pub struct Operation {
    handle: String,
    statement: String,
    submitted_ms: i64,
    status: watch::Sender<OperationStatus>,
    state: Mutex<State>,
}

impl Operation {
    pub(super) fn new(handle: String, statement: String, submitted_ms: i64) -> Self {
        Self {
            handle,
            statement,
            submitted_ms,
            status: watch::channel(OperationStatus::Pending).0,
            state: Mutex::new(State {
                error: None,
                results: None,
                awaited_job: None,
            }),
        }
    }

    pub fn handle(&self) -> &str {
        &self.handle
    }

    /// The text of the statement, as it was submitted.
    pub fn statement(&self) -> &str {
        &self.statement
    }

    pub fn submitted_ms(&self) -> i64 {
        self.submitted_ms
    }

    pub fn status(&self) -> OperationStatus {
        *self.status.borrow()
    }

    /// Waits until the operation is over or `patience` has passed; the status then.
    pub async fn settled(&self, patience: Duration) -> OperationStatus {
        let mut status = self.status.subscribe();
        let over = status.wait_for(|status| status.is_terminal());
        // The sender lives as long as the operation: the only error is that the time is up.
        _ = tokio::time::timeout(patience, over).await;
        self.status()
    }

    /// The result once the statement has been executed; `None` before.
    pub fn results(&self) -> Result<Option<Arc<Results>>, OperationError> {
        let state = self.lock();
        match self.status() {
            OperationStatus::Finished => Ok(state.results.clone()),
            OperationStatus::Initialized | OperationStatus::Pending | OperationStatus::Running => Ok(None),
            _ => Err(state
                .error
                .clone()
                .unwrap_or_else(|| OperationError::canceled(&self.handle))),
        }
    }

    /// Cancels the statement; an error if it is over.
    pub fn cancel(&self) -> Result<(), OperationError> {
        let error = OperationError::canceled(&self.handle);
        self.end(OperationStatus::Canceled, Some(error), None)
            .map_err(|from| OperationError::transition(&self.handle, from.name(), "CANCELED"))
    }

    /// Ends the statement and its query, whatever it was doing.
    pub(super) fn close(&self) {
        _ = self.end(OperationStatus::Closed, None, None);
        self.lock().results = None;
        self.status.send_replace(OperationStatus::Closed);
    }

    /// Moves to a terminal status unless the operation is over already; the error is the status that it has.
    pub(super) fn end(
        &self,
        to: OperationStatus,
        error: Option<OperationError>,
        results: Option<Results>,
    ) -> Result<(), OperationStatus> {
        let mut state = self.lock();
        let from = self.status();
        if from.is_terminal() {
            return Err(from);
        }
        state.error = error;
        state.results = results.map(Arc::new);
        let job = state.awaited_job.take();
        self.status.send_replace(to);
        drop(state);
        if let Some(job) = job
            && to != OperationStatus::Finished
        {
            job.cancel();
        }
        Ok(())
    }

    /// The statement leaves the queue; `false` if it was canceled meanwhile.
    pub(super) fn begin(&self) -> bool {
        let _state = self.lock();
        let is_pending = !self.status().is_terminal();
        if is_pending {
            self.status.send_replace(OperationStatus::Running);
        }
        is_pending
    }

    /// The statement waits for this job.
    pub(super) fn await_job(&self, job: &JobHandle) {
        let mut state = self.lock();
        if self.status().is_terminal() {
            drop(state);
            job.cancel();
            return;
        }
        state.awaited_job = Some(job.clone());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
