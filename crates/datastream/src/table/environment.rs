//! The environment of a program with tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_connectors::stream::{BOUNDED, DATASTREAM, DATASTREAM_CHANGELOG, DATASTREAM_UPSERT, STREAM};
use millstream_dataflow::OperatorFactory;
use millstream_plan::{Op, Plan};
use millstream_session::{PreparedJob, Session, SessionContext, StatementResult, wait_for};
use millstream_types::{ErrorKind, LogicalType, Options};

use super::convert::{ToDynamic, ToTyped, table_to_stream};
use super::function::Function;
use super::part::{PlanPart, StreamTable, streams_of};
use super::result::{TableResult, TableRows};
use super::row::{Row, RowType, Shape, check_target};
use super::schema::{Schema, quoted, quoted_path};
use super::statement_set::StatementSet;
use crate::data::Data;
use crate::environment::{Environment, Job, JobClient};
use crate::error::{Error, Result};
use crate::graph::{Input, Node, NodeKind, Stateful, append};
use crate::sink;
use crate::stream::DataStream;

/// SQL beside the streams of a program.
///
/// ```no_run
/// use millstream_datastream::table::StreamTableEnvironment;
/// # fn example(env: &millstream_datastream::Environment) -> millstream_datastream::Result<()> {
/// let t_env = StreamTableEnvironment::create(env)?;
/// let orders = env.from_collection([("apple".to_owned(), 3_i64), ("pear".to_owned(), 5)]);
/// t_env.create_temporary_view("orders", &t_env.from_data_stream(&orders)?)?;
/// let totals = t_env.sql_query("SELECT f0, SUM(f1) FROM orders GROUP BY f0")?;
/// t_env.to_changelog_stream(&totals)?.print();
/// env.execute("totals")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StreamTableEnvironment {
    inner: Arc<Inner>,
}

struct Inner {
    job: Job,
    session: Mutex<Session>,
    /// Streams that are tables, by number.
    streams: Mutex<BTreeMap<String, StreamTable>>,
    /// Objects that the program did not name, so far.
    unnamed: AtomicU64,
}

/// A table, view or query of a [`StreamTableEnvironment`]. `Display` gives its name for use in SQL.
///
/// ```no_run
/// # fn example(t_env: &millstream_datastream::table::StreamTableEnvironment) -> millstream_datastream::Result<()> {
/// let large = t_env.sql_query("SELECT * FROM orders WHERE amount > 100")?;
/// let by_user = t_env.sql_query(format!("SELECT user_id, COUNT(*) FROM {large} GROUP BY user_id"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StreamTableEnvironment {
    /// An empty catalog beside the streams of `environment`.
    pub fn create(environment: &Environment) -> Result<Self> {
        let job = environment.job.clone();
        let host = job.host();
        let context = SessionContext {
            clock: Arc::clone(&host.clock),
            rng: Arc::clone(&host.rng),
            kafka: Arc::clone(&host.kafka),
            print: Arc::clone(&host.print),
            jobs: Arc::new(host.jobs.clone()),
            checkpoints: host.checkpoints.clone(),
            fresh: host.fresh,
            attended: true,
            cores: host.cores,
            zone_name: Arc::clone(&host.zone_name),
        };
        let session = Session::new(context, job.configuration())?.with_streams();
        Ok(Self {
            inner: Arc::new(Inner {
                job,
                session: Mutex::new(session),
                streams: Mutex::default(),
                unnamed: AtomicU64::new(0),
            }),
        })
    }

    /// Sets a configuration key, as `SET` does; the streams see it, too.
    pub fn set(&self, key: &str, value: impl Into<String>) -> Result<()> {
        let mut configuration = self.inner.job.configuration();
        configuration.insert(key.to_owned(), value.into());
        self.inner.job.set_configuration(configuration);
        self.session().map(|_| ())
    }

    /// The session, under the configuration of the program.
    fn session(&self) -> Result<MutexGuard<'_, Session>> {
        let mut session = lock(&self.inner.session);
        session.adopt(&self.inner.job.configuration())?;
        Ok(session)
    }

    /// Runs a statement. A query and an INSERT run as a job of their own, with the streams that they read; both return at
    /// once. Everything else has been done when this returns.
    ///
    /// ```no_run
    /// # fn example(t_env: &millstream_datastream::table::StreamTableEnvironment) -> millstream_datastream::Result<()> {
    /// t_env.execute_sql("CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'number-of-rows' = '3')")?;
    /// for row in t_env.execute_sql("SELECT COUNT(*) FROM numbers")?.collect()? {
    ///     println!("{}", row?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn execute_sql(&self, statement: impl AsRef<str>) -> Result<TableResult> {
        self.inner.job.check()?;
        let sql = statement.as_ref();
        let mut session = self.session()?;
        let prepared = session.prepare(sql)?;
        let Some(prepared) = prepared else {
            let result = session.execute(sql)?;
            self.inner
                .job
                .set_configuration(session.configuration().values().clone());
            return match result {
                StatementResult::Table(table) => Ok(TableResult::Table(table)),
                StatementResult::Job { job, .. } => Ok(TableResult::Job(JobClient::from(job))),
                StatementResult::Done | StatementResult::Client(_) => Ok(TableResult::Done),
                StatementResult::Query(_) => Err(Error {
                    kind: ErrorKind::Internal,
                    message: "a query was run without being prepared".to_owned(),
                }),
            };
        };
        drop(session);
        match prepared.schema.clone() {
            Some(schema) => self.select(prepared, &schema).map(TableResult::Rows),
            None => self.insert(prepared).map(TableResult::Job),
        }
    }

    /// Runs a query as a job of its own.
    fn select(&self, prepared: PreparedJob, schema: &millstream_types::Schema) -> Result<TableRows> {
        let make = ToDynamic::new(schema);
        let collect = table_to_stream::<Row>(schema, move || Box::new(make.clone()))?;
        let part = self.part(prepared, Some(collect))?;
        let mut nodes = self.inner.job.draft().behind(&part.inputs());
        let query = append(&mut nodes, plan_node(part));
        let (collector, rows) = sink::collecting::<Row>();
        let input = Input {
            from: query,
            port: 0,
            partitioning: millstream_dataflow::Partitioning::Forward,
        };
        let mut sink =
            Node::new("Collect", NodeKind::Sink(Arc::new(collector)), vec![input]).stateful(Stateful::Sink);
        sink.parallelism = Some(1);
        append(&mut nodes, sink);
        let client = self.inner.job.submit_nodes("collect", &nodes, true, None)?;
        let print = Arc::clone(&self.inner.job.host().print);
        Ok(TableRows::new(schema.clone(), rows.of(client), print))
    }

    /// Runs INSERTs as a job of its own. As in a session, only a job with a name finds its checkpoints again.
    pub(super) fn insert(&self, prepared: PreparedJob) -> Result<JobClient> {
        let name = self.inner.job.configuration().get("pipeline.name").cloned();
        let shown = name
            .clone()
            .unwrap_or_else(|| format!("insert-into_{}", prepared.sinks.join(",")));
        let host = self.inner.job.host();
        let storage = name.and_then(|_| host.checkpoints.clone());
        let part = self.part(prepared, None)?;
        let mut nodes = self.inner.job.draft().behind(&part.inputs());
        append(&mut nodes, plan_node(part));
        let client = self.inner.job.submit_nodes(&shown, &nodes, false, storage)?;
        if lock(&self.inner.session).configuration().dml_sync() {
            wait_for(client.handle())?;
        }
        Ok(client)
    }

    /// Adds INSERTs to the job that the program executes.
    pub(super) fn attach(&self, prepared: PreparedJob) -> Result<()> {
        let part = self.part(prepared, None)?;
        self.inner.job.draft().add(plan_node(part));
        Ok(())
    }

    fn part(&self, prepared: PreparedJob, collect: Option<Arc<dyn OperatorFactory>>) -> Result<PlanPart> {
        let request = prepared.request;
        let known = lock(&self.inner.streams);
        let names: BTreeSet<&str> = streams_of(&request.plan).collect();
        let stream = |name: &str| {
            let found = known.get(name).cloned();
            let found = found.ok_or_else(|| Error::input(format!("the program has no stream '{name}'")));
            found.map(|stream| (name.to_owned(), stream))
        };
        let streams = names.into_iter().map(stream).collect::<Result<_>>()?;
        Ok(PlanPart {
            plan: request.plan,
            components: request.components,
            streams,
            collect,
        })
    }

    /// The table, view or query as a name for SQL.
    pub fn from(&self, path: &str) -> Result<Table> {
        self.sql_query(format!("SELECT * FROM {}", quoted_path(path)))
    }

    /// A query, to be used in other queries or as a stream.
    pub fn sql_query(&self, query: impl AsRef<str>) -> Result<Table> {
        let name = self.unnamed("UnnamedTable");
        let statement = format!("CREATE TEMPORARY VIEW {name} AS {}", query.as_ref());
        self.session()?.execute(&statement)?;
        Ok(Table { name })
    }

    /// Names a table or query for SQL.
    pub fn create_temporary_view(&self, path: &str, table: &Table) -> Result<()> {
        let statement = format!(
            "CREATE TEMPORARY VIEW {} AS SELECT * FROM {table}",
            quoted_path(path)
        );
        self.session()?.execute(&statement)?;
        Ok(())
    }

    /// Forgets a name that [`StreamTableEnvironment::create_temporary_view`] gave.
    pub fn drop_temporary_view(&self, path: &str) -> Result<()> {
        self.session()?
            .execute(&format!("DROP TEMPORARY VIEW {}", quoted_path(path)))?;
        Ok(())
    }

    /// The rows of a stream as insertions into a table, with the columns of their type.
    pub fn from_data_stream<T: RowType>(&self, stream: &DataStream<T>) -> Result<Table> {
        self.from_data_stream_with(stream, Schema::new())
    }

    /// As [`StreamTableEnvironment::from_data_stream`], with types, computed columns and event time of a schema.
    ///
    /// ```no_run
    /// # use millstream_datastream::table::{Schema, StreamTableEnvironment};
    /// # fn example(
    /// #     t_env: &StreamTableEnvironment, clicks: &millstream_datastream::DataStream<(String, i64)>,
    /// # ) -> millstream_datastream::Result<()> {
    /// let schema = Schema::new()
    ///     .column("user_id", "STRING")
    ///     .column("n", "BIGINT")
    ///     .column_by_metadata("rowtime", "TIMESTAMP_LTZ(3)")
    ///     .watermark("rowtime", "SOURCE_WATERMARK()");
    /// let clicks = t_env.from_data_stream_with(clicks, schema)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_data_stream_with<T: RowType>(&self, stream: &DataStream<T>, schema: Schema) -> Result<Table> {
        let shape = Shape::of::<T>()?;
        let columns = shape.columns();
        let declared = schema.physical_names();
        let named = |name: &str| columns.iter().any(|(field, _)| *field == name);
        let by_name = declared.iter().all(|name| named(name));
        if !by_name && declared.len() != columns.len() {
            let fields: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::input(format!(
                "the schema's columns ({}) are not the fields of '{}' ({})",
                declared.join(", "),
                std::any::type_name::<T>(),
                fields.join(", ")
            )));
        }
        let shape = if by_name { shape } else { shape.renamed(&declared)? };
        let stream_table = StreamTable::typed::<T>(stream.inputs(0), shape);
        self.register(stream_table, DATASTREAM, &schema, &columns)
    }

    /// Dynamic rows as insertions into a table; the schema names all columns.
    pub fn from_row_stream(&self, stream: &DataStream<Row>, schema: Schema) -> Result<Table> {
        self.dynamic(stream, &schema, DATASTREAM)
    }

    /// The changes of a table. Updates come as `-U` and `+U`; with [`StreamTableEnvironment::from_upsert_stream`] as `+U`
    /// alone.
    pub fn from_changelog_stream(&self, stream: &DataStream<Row>, schema: Schema) -> Result<Table> {
        self.dynamic(stream, &schema, DATASTREAM_CHANGELOG)
    }

    /// The changes of a table by the primary key of the schema: insertions, updates without the row before, deletions
    /// (Flink's `ChangelogMode.upsert()`).
    pub fn from_upsert_stream(&self, stream: &DataStream<Row>, schema: Schema) -> Result<Table> {
        if !schema.has_primary_key() {
            return Err(Error::input(
                "a stream of upserts needs a schema with a primary key",
            ));
        }
        self.dynamic(stream, &schema, DATASTREAM_UPSERT)
    }

    fn dynamic(&self, stream: &DataStream<Row>, schema: &Schema, connector: &str) -> Result<Table> {
        if schema.physical_names().is_empty() {
            return Err(Error::input(
                "a stream of dynamic rows needs a schema with columns",
            ));
        }
        let changes = connector != DATASTREAM;
        self.register(
            StreamTable::dynamic(stream.inputs(0), changes),
            connector,
            schema,
            &[],
        )
    }

    fn register(
        &self,
        stream: StreamTable,
        connector: &str,
        schema: &Schema,
        derived: &[(String, LogicalType)],
    ) -> Result<Table> {
        let name = self.unnamed("Unregistered_DataStream_Source");
        let behind = self.inner.job.draft().behind(&stream.inputs);
        let unbounded = |node: &Node| matches!(&node.kind, NodeKind::Source(source) if !source.is_bounded());
        let mut number = name.clone();
        number.retain(|c| c != '`');
        let options = [
            ("connector", connector.to_owned()),
            (STREAM, number.clone()),
            (BOUNDED, (!behind.values().any(unbounded)).to_string()),
        ];
        self.session()?
            .execute(&schema.create_table(&name, derived, &options))?;
        lock(&self.inner.streams).insert(number, stream);
        Ok(Table { name })
    }

    fn unnamed(&self, prefix: &str) -> String {
        let number = self.inner.unnamed.fetch_add(1, Ordering::Relaxed);
        quoted(&format!("{prefix}_{number}"))
    }

    /// The rows of a table as a stream. The table must take no rows back.
    pub fn to_data_stream(&self, table: &Table) -> Result<DataStream<Row>> {
        let prepared = self.query(table)?;
        refuse_updates(&prepared.1.request.plan)?;
        self.to_rows(prepared)
    }

    /// As [`StreamTableEnvironment::to_data_stream`], as rows of a type: fields of a struct by the names of columns, those
    /// of a tuple by position.
    pub fn to_data_stream_as<T: RowType>(&self, table: &Table) -> Result<DataStream<T>> {
        let (schema, prepared) = self.query(table)?;
        refuse_updates(&prepared.request.plan)?;
        check_target::<T>(&schema)?;
        let of_rows = schema.clone();
        let collect = table_to_stream::<T>(&schema, move || Box::new(ToTyped::new(&of_rows)))?;
        self.stream(prepared, collect)
    }

    /// The changes of a table as a stream.
    pub fn to_changelog_stream(&self, table: &Table) -> Result<DataStream<Row>> {
        self.to_rows(self.query(table)?)
    }

    fn query(&self, table: &Table) -> Result<(millstream_types::Schema, PreparedJob)> {
        let prepared = self.session()?.prepare(&format!("SELECT * FROM {table}"))?;
        let prepared = prepared.and_then(|prepared| Some((prepared.schema.clone()?, prepared)));
        prepared.ok_or_else(|| Error::input(format!("'{table}' is not a query")))
    }

    fn to_rows(
        &self,
        (schema, prepared): (millstream_types::Schema, PreparedJob),
    ) -> Result<DataStream<Row>> {
        let make = ToDynamic::new(&schema);
        let collect = table_to_stream::<Row>(&schema, move || Box::new(make.clone()))?;
        self.stream(prepared, collect)
    }

    fn stream<T: Data>(
        &self,
        prepared: PreparedJob,
        collect: Arc<dyn OperatorFactory>,
    ) -> Result<DataStream<T>> {
        let part = self.part(prepared, Some(collect))?;
        Ok(self.inner.job.add(plan_node(part)))
    }

    /// Makes a function of the program known to SQL under a path.
    ///
    /// ```no_run
    /// # use millstream_datastream::table::{Function, StreamTableEnvironment};
    /// # fn example(t_env: &StreamTableEnvironment) -> millstream_datastream::Result<()> {
    /// let domain = Function::scalar(|(address,): (String,)| address.split('@').nth(1).map(str::to_owned));
    /// t_env.create_temporary_function("domain_of", domain)?;
    /// t_env.execute_sql("SELECT domain_of(email), COUNT(*) FROM users GROUP BY domain_of(email)")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_temporary_function(&self, path: &str, function: Function) -> Result<()> {
        self.create_function(path, false, function)
    }

    /// As [`StreamTableEnvironment::create_temporary_function`]: every database sees the function, and it goes before a
    /// built-in one of its name.
    pub fn create_temporary_system_function(&self, name: &str, function: Function) -> Result<()> {
        self.create_function(name, true, function)
    }

    fn create_function(&self, path: &str, system: bool, function: Function) -> Result<()> {
        let (class, of) = (function.class(), function.type_id());
        let implementation = function.build(path, &self.inner.job.host().runtime)?;
        let mut session = self.session()?;
        session.create_native_function(&quoted_path(path), system, class, of, implementation)?;
        Ok(())
    }

    /// INSERTs that run as one job.
    pub fn create_statement_set(&self) -> StatementSet {
        StatementSet::new(self.clone())
    }

    pub(super) fn prepare_inserts(&self, statements: &[String]) -> Result<PreparedJob> {
        Ok(self.session()?.prepare_inserts(statements)?)
    }

    /// The physical plan and the syntax tree of a query.
    pub fn explain_sql(&self, statement: impl AsRef<str>) -> Result<String> {
        match self.execute_sql(format!("EXPLAIN {}", statement.as_ref()))? {
            TableResult::Table(table) => {
                let lines = table.rows.into_iter().flatten().flatten();
                Ok(lines.collect::<Vec<_>>().join("\n"))
            }
            _ => Ok(String::new()),
        }
    }

    /// The configuration under which statements run.
    pub fn configuration(&self) -> Options {
        self.inner.job.configuration()
    }
}

fn plan_node(part: PlanPart) -> Node {
    let inputs = part.inputs();
    Node::new("SQL", NodeKind::Plan(Arc::new(part)), inputs)
}

fn refuse_updates(plan: &Plan) -> Result<()> {
    let is_passed = |op: &Op| matches!(op, Op::Collect | Op::Exchange { .. });
    let roots = plan.nodes.iter().filter(|node| matches!(node.op, Op::Collect));
    for root in roots {
        let mut node = root;
        while let Some(input) = node.inputs.first().filter(|_| is_passed(&node.op)) {
            node = plan.node(*input);
        }
        if !node.traits.mode.is_insert_only() {
            return Err(Error::input(format!(
                "a table that takes rows back does not become a stream of insertions: its {} produces {} changes. Use \
                 to_changelog_stream",
                millstream_plan::uid::kind_name(&node.op),
                node.traits.mode
            )));
        }
    }
    Ok(())
}
