//! What a statement gives.

use std::sync::Arc;

use millstream_connectors::PrintTarget;
use millstream_session::TextTable;
use millstream_types::Schema;

use super::row::Row;
use crate::environment::{JobClient, JobExecutionResult};
use crate::error::{Error, Result};
use crate::sink::CollectedRows;

/// The result of a statement.
pub enum TableResult {
    /// Nothing to show.
    Done,
    /// A small table of texts: SHOW, DESCRIBE, EXPLAIN.
    Table(TextTable),
    /// Rows of a query as they come.
    Rows(TableRows),
    /// A job that writes tables.
    Job(JobClient),
}

impl TableResult {
    /// The job of a query or an INSERT.
    pub fn job_client(&self) -> Option<&JobClient> {
        match self {
            Self::Rows(rows) => Some(rows.rows.client()),
            Self::Job(client) => Some(client),
            Self::Done | Self::Table(_) => None,
        }
    }

    /// The rows of a query.
    pub fn collect(self) -> Result<TableRows> {
        match self {
            Self::Rows(rows) => Ok(rows),
            _ => Err(Error::input("the statement has no rows")),
        }
    }

    /// Waits for the end of an INSERT.
    pub fn wait(&self) -> Result<Option<JobExecutionResult>> {
        self.job_client().map(JobClient::wait).transpose()
    }

    /// Prints the rows as they come, each as its [`Row`] prints.
    pub fn print(self) -> Result<()> {
        match self {
            Self::Rows(rows) => {
                let target = Arc::clone(&rows.print);
                for row in rows {
                    target.print_line(&row?.to_string(), false);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Rows of a query as they come. Dropping it ends the query.
pub struct TableRows {
    schema: Schema,
    rows: CollectedRows<Row>,
    print: Arc<dyn PrintTarget>,
}

impl TableRows {
    pub(super) fn new(schema: Schema, rows: CollectedRows<Row>, print: Arc<dyn PrintTarget>) -> Self {
        Self { schema, rows, print }
    }

    /// Names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.schema.columns.iter().map(|column| column.name.as_str())
    }
}

impl Iterator for TableRows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        self.rows.next()
    }
}
