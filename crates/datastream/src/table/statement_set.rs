//! Several INSERTs as one job.

use super::environment::{StreamTableEnvironment, Table};
use super::schema::quoted_path;
use crate::environment::JobClient;
use crate::error::Result;

/// INSERTs that run as one job, alone or with the streams of the program.
///
/// ```no_run
/// # fn example(
/// #     env: &millstream_datastream::Environment, t_env: &millstream_datastream::table::StreamTableEnvironment,
/// # ) -> millstream_datastream::Result<()> {
/// let set = t_env.create_statement_set();
/// let set = set.add_insert_sql("INSERT INTO large SELECT * FROM orders WHERE amount > 100");
/// set.add_insert_sql("INSERT INTO counts SELECT COUNT(*) FROM orders").attach_as_data_stream()?;
/// env.execute("orders")?;
/// # Ok(())
/// # }
/// ```
pub struct StatementSet {
    environment: StreamTableEnvironment,
    statements: Vec<String>,
}

impl StatementSet {
    pub(super) fn new(environment: StreamTableEnvironment) -> Self {
        Self {
            environment,
            statements: Vec::new(),
        }
    }

    /// Adds an INSERT.
    pub fn add_insert_sql(mut self, statement: impl Into<String>) -> Self {
        self.statements.push(statement.into());
        self
    }

    /// Adds an INSERT of a whole table into another.
    pub fn add_insert(self, target: &str, table: &Table) -> Self {
        let statement = format!("INSERT INTO {} SELECT * FROM {table}", quoted_path(target));
        self.add_insert_sql(statement)
    }

    /// Runs the INSERTs as a job of their own, with the streams that they read.
    pub fn execute(self) -> Result<JobClient> {
        let prepared = self.environment.prepare_inserts(&self.statements)?;
        self.environment.insert(prepared)
    }

    /// Adds the INSERTs to the job that the environment of the streams executes.
    pub fn attach_as_data_stream(self) -> Result<()> {
        let prepared = self.environment.prepare_inserts(&self.statements)?;
        self.environment.attach(prepared)
    }
}
