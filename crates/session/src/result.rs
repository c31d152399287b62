//! Results of statements.

use std::task::{Context, Poll};
use std::time::Duration;

use arrow_array::{Array, ArrayRef};
use jiff::tz::TimeZone;
use millstream_functions::display::{Printer, Style};
use millstream_jobs::{Collected, JobHandle, JobId, JobRequest, ResultReader};
use millstream_sql::catalog::ShowResult;
use millstream_types::{Batch, LogicalType, RowKind, Schema, scalars_to_array};

use crate::error::SessionError;
use crate::rows::ResultRows;

/// The result of one statement.
pub enum StatementResult {
    /// Nothing to show.
    Done,
    /// A small, complete table: SHOW, DESCRIBE, EXPLAIN, SET.
    Table(TextTable),
    /// Rows that arrive while the query runs.
    Query(QueryResult),
    /// A job that writes tables. It has already ended if `table.dml-sync` is set. `bounded` says that the job ends
    /// without being stopped.
    Job { job: JobHandle, bounded: bool },
    /// A command of the shell: QUIT, CLEAR, HELP.
    Client(ClientCommand),
}

/// A command that only a shell can execute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientCommand {
    Quit,
    Clear,
    Help,
}

/// Rows as text; `None` is NULL.
#[derive(Clone, Debug)]
pub struct TextTable {
    pub schema: Schema,
    pub rows: Vec<Vec<Option<String>>>,
}

impl TextTable {
    /// Prints the values of a result that the catalog made.
    pub fn new(result: &ShowResult, zone: &TimeZone) -> Self {
        let columns: Vec<ArrayRef> = result
            .schema
            .types()
            .enumerate()
            .map(|(i, ty)| scalars_to_array(ty, result.rows.iter().map(|row| &row[i])))
            .collect();
        let texts = Texts::new(result.schema.types(), &columns, zone);
        let rows = (0..result.rows.len())
            .map(|row| texts.row(row).map(|t| t.map(str::to_owned)).collect())
            .collect();
        Self {
            schema: result.schema.clone(),
            rows,
        }
    }
}

/// Columns rendered as text.
struct Texts {
    columns: Vec<ArrayRef>,
}

impl Texts {
    fn new<'a>(types: impl Iterator<Item = &'a LogicalType>, columns: &[ArrayRef], zone: &TimeZone) -> Self {
        let printed = types
            .zip(columns)
            .map(|(ty, column)| Printer::new(ty, Style::Client).column(column, zone));
        Self {
            columns: printed.collect(),
        }
    }

    fn row(&self, row: usize) -> impl Iterator<Item = Option<&str>> {
        use arrow_array::cast::AsArray;
        self.columns.iter().map(move |column| {
            let texts = column.as_string_view_opt()?;
            texts.is_valid(row).then(|| texts.value(row))
        })
    }
}

/// A job that was bound but not started.
pub struct PreparedJob {
    pub request: JobRequest,
    /// The columns of a query's result; `None` for a job that writes tables.
    pub schema: Option<Schema>,
    /// `catalog.database.table` of each table that is written.
    pub sinks: Vec<String>,
    pub zone: TimeZone,
}

/// A running query. Dropping it cancels the query.
pub struct QueryResult {
    pub schema: Schema,
    /// Whether the row kinds carry information.
    pub is_changelog: bool,
    pub(crate) reader: ResultReader,
    pub(crate) job: JobHandle,
    pub(crate) zone: TimeZone,
}

/// The outcome of waiting for rows.
pub enum Progress {
    Rows(TextRows),
    /// The query has ended and all rows were returned.
    End,
    /// The timeout passed without rows.
    Nothing,
}

/// The outcome of polling for rows, for callers that wait without blocking a thread.
pub enum Polled {
    Rows(ResultRows),
    /// The query has ended and all rows were returned.
    End,
    Failed(SessionError),
}

/// Rows with their kinds, as text.
pub struct TextRows {
    texts: Texts,
    kinds: Option<std::sync::Arc<[RowKind]>>,
    rows: usize,
}

impl TextRows {
    /// Renders a batch of columns of these types.
    pub fn new(schema: &Schema, batch: Batch, zone: &TimeZone) -> Self {
        Self {
            texts: Texts::new(schema.types(), &batch.columns, zone),
            kinds: batch.kinds,
            rows: batch.rows,
        }
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub fn kind(&self, row: usize) -> RowKind {
        self.kinds.as_ref().map_or(RowKind::Insert, |kinds| kinds[row])
    }

    /// The values of a row; `None` is NULL.
    pub fn values(&self, row: usize) -> Vec<Option<&str>> {
        self.texts.row(row).collect()
    }
}

impl QueryResult {
    /// Waits up to `timeout` for the next rows.
    pub fn next(&mut self, timeout: Duration) -> Result<Progress, SessionError> {
        match self.reader.next(timeout) {
            Collected::Batch(batch) => Ok(Progress::Rows(TextRows::new(&self.schema, batch, &self.zone))),
            Collected::End => Ok(Progress::End),
            Collected::Failed(error) => Err(error.into()),
            Collected::Nothing => Ok(Progress::Nothing),
        }
    }

    /// Polls for the next rows; wakes the task of `context` when rows arrive.
    pub fn poll_rows(&mut self, context: &mut Context<'_>) -> Poll<Polled> {
        let collected = self.reader.poll_next(Some(context.waker()));
        self.polled(collected).map_or(Poll::Pending, Poll::Ready)
    }

    /// The next rows, if any have arrived.
    pub fn take_rows(&mut self) -> Option<Polled> {
        let collected = self.reader.poll_next(None);
        self.polled(collected)
    }

    fn polled(&self, collected: Collected) -> Option<Polled> {
        match collected {
            Collected::Batch(batch) => Some(Polled::Rows(ResultRows {
                schema: self.schema.clone(),
                batch,
                zone: self.zone.clone(),
            })),
            Collected::End => Some(Polled::End),
            Collected::Failed(error) => Some(Polled::Failed(error.into())),
            Collected::Nothing => None,
        }
    }

    /// The job that runs the query.
    pub fn job_id(&self) -> JobId {
        self.job.id()
    }

    /// Ends the query.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}

impl Drop for QueryResult {
    fn drop(&mut self) {
        self.job.cancel();
    }
}
