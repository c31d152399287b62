//! Every kind of statement → what the session has to do.

use millstream_plan::Plan;
use millstream_types::{Declarations, ErrorCode, Options, Schema};

use super::Binder;
use super::config::PlannerConfig;
use super::error::{SqlError, SqlResult};
use super::insert::BoundInsert;
use super::logical::Rel;
use crate::catalog::{
    CatalogOperation, CatalogTable, Catalogs, ObjectIdentifier, ShowResult, describe, show,
};
use crate::explain;
use crate::parse::ast::{
    AnalyzeColumns, AnalyzeTable, CreateStatement, Explain, ExplainDetail, Insert, ObjectName, Query,
    Statement, StatementKind, StatementSet,
};
use crate::parse::span::Span;
use crate::rules::{self, Root};
use crate::stack::with_room;

/// A statement after binding and planning.
#[derive(Debug, Clone)]
pub enum BoundStatement {
    /// Apply a change to the catalog and return OK.
    Catalog(CatalogOperation),
    /// Run the plan and return its rows to the client.
    Query(QueryPlan),
    /// Run the plan as a job.
    Insert(InsertPlan),
    /// Apply a change to the catalog, then run the plan as a job.
    CreateTableAs {
        operation: CatalogOperation,
        insert: InsertPlan,
    },
    /// Return this table.
    Show(ShowResult),
    /// Handled by the session: SET, RESET, jobs, jars, statement sets that are entered statement by statement.
    Session,
}

/// A SELECT.
#[derive(Debug, Clone)]
pub struct QueryPlan {
    pub plan: Plan,
    /// Names and types of the result's columns.
    pub schema: Schema,
    /// Whether the result is bounded.
    pub bounded: bool,
}

/// One or more INSERTs as one job.
#[derive(Debug, Clone)]
pub struct InsertPlan {
    pub plan: Plan,
    /// `catalog.database.table` of each sink.
    pub sinks: Vec<String>,
    pub bounded: bool,
}

/// Binds statements against the catalog and configuration of a session.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    pub catalogs: &'a Catalogs,
    pub configuration: &'a Options,
    pub declarations: &'a Declarations,
}

/// Binds one statement: the crate's entry point.
pub fn bind_statement(
    statement: &Statement,
    catalogs: &Catalogs,
    configuration: &Options,
    declarations: &Declarations,
) -> SqlResult<BoundStatement> {
    Planner {
        catalogs,
        configuration,
        declarations,
    }
    .bind(statement)
}

const NO_PROCEDURES: &str = "CALL: no catalog has procedures";

/// What SHOW or DESCRIBE gives; `None`: only the session knows.
fn shown(result: Option<ShowResult>) -> BoundStatement {
    result.map_or(BoundStatement::Session, BoundStatement::Show)
}

impl Planner<'_> {
    /// Binds the statement without changing the catalog.
    pub fn bind(&self, statement: &Statement) -> SqlResult<BoundStatement> {
        with_room(|| self.bind_kind(statement))
    }

    fn bind_kind(&self, statement: &Statement) -> SqlResult<BoundStatement> {
        match &statement.kind {
            StatementKind::Query(query) => self.bind_query(query).map(BoundStatement::Query),
            StatementKind::Insert(insert) => {
                self.bind_inserts(&[insert.as_ref()]).map(BoundStatement::Insert)
            }
            StatementKind::StatementSet(set) => self.bind_statement_set(set),
            StatementKind::Create(CreateStatement::Table(table)) if table.query.is_some() => {
                let config = PlannerConfig::new(self.configuration)?;
                let binder = Binder::new(self.catalogs, self.declarations, &config);
                let bound = binder.bind_create_table_as(table, statement.span)?;
                let insert =
                    binder.bind_insert_all(&bound.identifier, &bound.table, bound.rel, statement.span)?;
                let insert = insert_plan(vec![insert], &config)?;
                Ok(BoundStatement::CreateTableAs {
                    operation: bound.operation,
                    insert,
                })
            }
            StatementKind::Explain(explain) => self
                .explain(explain)
                .map(|text| BoundStatement::Show(ShowResult::result(text))),
            StatementKind::Show(wanted) => show::show(self.catalogs, wanted, self.is_streaming()).map(shown),
            StatementKind::Describe(object) => {
                describe::describe(self.catalogs, object, self.is_streaming()).map(shown)
            }
            StatementKind::Create(_)
            | StatementKind::Alter(_)
            | StatementKind::Drop(_)
            | StatementKind::Use(_)
            | StatementKind::Module(_) => self.bind_ddl(statement).map(BoundStatement::Catalog),
            StatementKind::Set(_)
            | StatementKind::Reset(_)
            | StatementKind::BeginStatementSet
            | StatementKind::EndStatementSet
            | StatementKind::Jar(_)
            | StatementKind::StopJob(_)
            | StatementKind::Client(_) => Ok(BoundStatement::Session),
            StatementKind::Update(update) => {
                let refused = [
                    "UPDATE statement is not supported for streaming mode now",
                    "Can't perform update operation of",
                ];
                Err(self.no_row_changes(&update.target, statement.span, refused))
            }
            StatementKind::Delete(delete) => {
                let refused = [
                    "DELETE statement is not supported for streaming mode now",
                    "Can't perform delete operation of",
                ];
                Err(self.no_row_changes(&delete.target, statement.span, refused))
            }
            StatementKind::Truncate { name } => {
                let refused = [
                    "TRUNCATE TABLE statement is not supported in streaming mode",
                    "TRUNCATE TABLE statement is not supported for",
                ];
                Err(self.no_row_changes(name, statement.span, refused))
            }
            StatementKind::Analyze(analyze) => self.analyze(analyze, statement.span),
            StatementKind::Plan(_) => Err(SqlError::unsupported(
                statement.span,
                "COMPILE PLAN and EXECUTE PLAN",
            )),
            StatementKind::Call(_) => Err(SqlError::unsupported(statement.span, NO_PROCEDURES)),
        }
    }

    /// Binds several INSERTs (and CREATE TABLE … AS, whose tables exist already) as one job, for END of a statement
    /// set.
    pub fn bind_inserts(&self, inserts: &[&Insert]) -> SqlResult<InsertPlan> {
        with_room(|| {
            let config = PlannerConfig::new(self.configuration)?;
            let binder = Binder::new(self.catalogs, self.declarations, &config);
            let bound = inserts
                .iter()
                .map(|insert| binder.bind_insert(insert))
                .collect::<SqlResult<Vec<_>>>()?;
            insert_plan(bound, &config)
        })
    }

    fn is_streaming(&self) -> bool {
        PlannerConfig::new(self.configuration).is_ok_and(|config| config.streaming)
    }

    /// The error for a statement that changes rows in place: first for streaming mode, then for a missing table, then
    /// because no connector supports it.
    fn no_row_changes(&self, name: &ObjectName, span: Span, [streaming, refused]: [&str; 2]) -> SqlError {
        if self.is_streaming() {
            return SqlError::at(span, streaming);
        }
        match self.existing_table(name) {
            Ok(identifier) => {
                let message = format!("{refused} the table '{identifier}': its connector cannot change rows");
                SqlError::at(name.span, message)
            }
            Err(error) => error,
        }
    }

    fn existing_table(&self, name: &ObjectName) -> SqlResult<ObjectIdentifier> {
        let identifier = self.catalogs.qualify(name)?;
        match self.catalogs.table(&identifier) {
            Some(_) => Ok(identifier),
            None => Err(self.catalogs.object_not_found(name, &identifier)),
        }
    }

    /// ANALYZE TABLE validates its arguments. Plans are made without statistics, so nothing is read or stored.
    fn analyze(&self, analyze: &AnalyzeTable, span: Span) -> SqlResult<BoundStatement> {
        let identifier = self.existing_table(&analyze.name)?;
        let found = self.catalogs.table(&identifier).map(|found| found.table);
        let Some(CatalogTable::Table(table)) = found else {
            let message = format!("ANALYZE TABLE does not take the view '{identifier}'");
            return Err(SqlError::at(analyze.name.span, message));
        };
        let invalid = |what: String| {
            Err(SqlError::at(
                span,
                format!("Invalid ANALYZE TABLE statement. {what}"),
            ))
        };
        let given: Vec<&str> = analyze
            .partition
            .iter()
            .flat_map(|spec| &spec.entries)
            .map(|entry| entry.column.value.as_str())
            .collect();
        if table.partition_keys.is_empty() && !given.is_empty() {
            return invalid(format!(
                "Table '{identifier}' is not partitioned, while partition values are given"
            ));
        }
        let keys: Vec<&str> = table.partition_keys.iter().map(String::as_str).collect();
        if keys != given {
            return invalid(format!(
                "All partition keys have to be given: [{}], found: [{}]",
                keys.join(", "),
                given.join(", ")
            ));
        }
        if let AnalyzeColumns::Some(columns) = &analyze.columns {
            for column in columns {
                if table.column(&column.value).is_none() {
                    let message = format!(
                        "Column: {} does not exist in the table: '{identifier}'",
                        column.value
                    );
                    return Err(SqlError::at(column.span, message)
                        .with_code(ErrorCode::UnknownColumn)
                        .offering(&column.value, table.columns.iter().map(|c| c.name.as_str())));
                }
            }
        }
        if self.is_streaming() {
            return Err(SqlError::at(
                span,
                "ANALYZE TABLE is not supported for streaming mode now",
            ));
        }
        Ok(BoundStatement::Catalog(CatalogOperation::Nothing))
    }

    fn bind_query(&self, query: &Query) -> SqlResult<QueryPlan> {
        let config = PlannerConfig::new(self.configuration)?;
        let rel = Binder::new(self.catalogs, self.declarations, &config).bind_result(query)?;
        let schema = rel.schema.clone();
        let bounded = is_bounded(&rel);
        let plan = rules::plan(vec![Root::Collect(rel)], &config)?;
        Ok(QueryPlan {
            plan,
            schema,
            bounded,
        })
    }

    fn bind_statement_set(&self, set: &StatementSet) -> SqlResult<BoundStatement> {
        let mut inserts = Vec::new();
        for statement in &set.statements {
            match &statement.kind {
                StatementKind::Insert(insert) => inserts.push(insert.as_ref()),
                StatementKind::Create(CreateStatement::Table(table)) if table.query.is_some() => {
                    return Err(SqlError::unsupported(
                        statement.span,
                        "CREATE TABLE … AS in a statement set",
                    ));
                }
                _ => {
                    let message = "Only 'INSERT/CREATE TABLE AS' statement is allowed in Statement Set";
                    return Err(
                        SqlError::at(statement.span, message).with_code(ErrorCode::InvalidStatementSet)
                    );
                }
            }
        }
        self.bind_inserts(&inserts).map(BoundStatement::Insert)
    }

    fn bind_ddl(&self, statement: &Statement) -> SqlResult<CatalogOperation> {
        // An invalid planning setting must not block DDL.
        let config =
            PlannerConfig::new(self.configuration).or_else(|_| PlannerConfig::new(&Options::new()))?;
        let binder = Binder::new(self.catalogs, self.declarations, &config);
        match &statement.kind {
            StatementKind::Create(create) => binder.bind_create(create, statement.span),
            StatementKind::Alter(alter) => binder.bind_alter(alter, statement.span),
            StatementKind::Drop(drop) => binder.bind_drop(drop),
            StatementKind::Use(statement) => binder.bind_use(statement),
            StatementKind::Module(statement) => Ok(binder.bind_module(statement)),
            _ => Err(SqlError::internal("this statement is not DDL")),
        }
    }

    fn explain(&self, statement: &Explain) -> SqlResult<String> {
        let has = |detail: ExplainDetail| statement.details.contains(&detail);
        // Planning is rule-based, without costs, so ESTIMATED_COST adds nothing.
        let config = PlannerConfig::new(self.configuration)?;
        let binder = Binder::new(self.catalogs, self.declarations, &config);
        let roots = self.explained_roots(&binder, &statement.statement)?;
        let syntax = explain::syntax_tree(&roots);
        let plan = rules::plan(roots, &config)?;
        let details = explain::Details {
            changelog: has(ExplainDetail::ChangelogMode),
            advice: has(ExplainDetail::PlanAdvice),
            json: has(ExplainDetail::JsonExecutionPlan).then_some(config.parallelism),
        };
        Ok(explain::sections(&syntax, &plan, details))
    }

    fn explained_roots(&self, binder: &Binder<'_>, statement: &Statement) -> SqlResult<Vec<Root>> {
        match &statement.kind {
            StatementKind::Query(query) => Ok(vec![Root::Collect(binder.bind_result(query)?)]),
            StatementKind::Insert(insert) => Ok(vec![Root::Sink(Box::new(binder.bind_insert(insert)?))]),
            StatementKind::StatementSet(set) => {
                let mut roots = Vec::new();
                for statement in &set.statements {
                    roots.extend(self.explained_roots(binder, statement)?);
                }
                Ok(roots)
            }
            StatementKind::Create(CreateStatement::Table(table)) if table.query.is_some() => {
                let bound = binder.bind_create_table_as(table, statement.span)?;
                let insert =
                    binder.bind_insert_all(&bound.identifier, &bound.table, bound.rel, statement.span)?;
                Ok(vec![Root::Sink(Box::new(insert))])
            }
            _ => Err(SqlError::at(
                statement.span,
                match statement.kind {
                    StatementKind::Create(_) => {
                        "Unsupported CREATE OR REPLACE statement for EXPLAIN. The statement must define a query using the AS \
                         clause"
                    }
                    _ => {
                        "Unsupported operation: EXPLAIN takes a query, INSERT, STATEMENT SET or CREATE TABLE AS"
                    }
                },
            )),
        }
    }
}

fn insert_plan(inserts: Vec<BoundInsert>, config: &PlannerConfig) -> SqlResult<InsertPlan> {
    let sinks = inserts
        .iter()
        .map(|insert| insert.table.identifier.to_string())
        .collect();
    let bounded = inserts.iter().all(|insert| is_bounded(&insert.rel));
    let roots = inserts
        .into_iter()
        .map(|insert| Root::Sink(Box::new(insert)))
        .collect();
    Ok(InsertPlan {
        plan: rules::plan(roots, config)?,
        sinks,
        bounded,
    })
}

/// Whether every source is bounded.
fn is_bounded(rel: &Rel) -> bool {
    let mut bounded = true;
    rel.visit(&mut |node| {
        if let super::logical::RelKind::Scan(scan) = &node.kind {
            bounded &= scan.bounded;
        }
    });
    bounded
}
