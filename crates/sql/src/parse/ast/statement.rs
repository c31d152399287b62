//! Statements, and those families that have no file of their own: changing data, running plans, the session.

use super::{
    AlterStatement, CreateStatement, DescribeStatement, DropStatement, Expr, FunctionCall, Hint, Ident,
    ObjectName, PartitionSpec, Query, ShowStatement, Span, SqlOption, StringLiteral,
};

/// A statement and its place, without the `;` that ends it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Statement {
    pub kind: StatementKind,
    pub span: Span,
}

/// All statements, by family.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// A query; `EXECUTE query` is the same.
    Query(Box<Query>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    /// `EXECUTE STATEMENT SET BEGIN …; END`.
    StatementSet(StatementSet),
    /// `BEGIN STATEMENT SET`, which `END` closes some statements later.
    BeginStatementSet,
    EndStatementSet,
    Create(CreateStatement),
    Alter(Box<AlterStatement>),
    Drop(DropStatement),
    Use(UseStatement),
    Show(ShowStatement),
    Describe(DescribeStatement),
    Explain(Box<Explain>),
    /// `SET` alone lists the session's options.
    Set(Option<SqlOption>),
    /// `RESET` alone resets all options.
    Reset(Option<StringLiteral>),
    Plan(PlanStatement),
    /// `CALL procedure(arguments)`.
    Call(Box<FunctionCall>),
    Jar(JarStatement),
    Module(ModuleStatement),
    StopJob(StopJob),
    /// `TRUNCATE TABLE name`.
    Truncate {
        name: ObjectName,
    },
    Analyze(AnalyzeTable),
    Client(ClientCommand),
}

/// `[EXECUTE] INSERT INTO|OVERWRITE target … query [ON CONFLICT …]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Insert {
    pub overwrite: bool,
    pub target: ObjectName,
    pub hints: Vec<Hint>,
    /// `PARTITION (k = 'v')`.
    pub partition: Option<PartitionSpec>,
    /// Target columns; a nested field has several parts.
    pub columns: Vec<ObjectName>,
    pub source: Box<Query>,
    pub on_conflict: Option<ConflictBehavior>,
    pub span: Span,
}

/// `ON CONFLICT DO …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictBehavior {
    Error,
    Nothing,
    Deduplicate,
}

/// `UPDATE target SET column = value, … [WHERE condition]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Update {
    pub target: ObjectName,
    pub hints: Vec<Hint>,
    pub alias: Option<Ident>,
    pub assignments: Vec<Assignment>,
    pub condition: Option<Expr>,
}

/// `column = value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assignment {
    pub column: Ident,
    pub value: Expr,
}

/// `DELETE FROM target [WHERE condition]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delete {
    pub target: ObjectName,
    pub hints: Vec<Hint>,
    pub alias: Option<Ident>,
    pub condition: Option<Expr>,
}

/// The INSERTs that become one job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatementSet {
    /// INSERT, or CREATE TABLE … AS.
    pub statements: Vec<Statement>,
    pub span: Span,
}

/// `USE …`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UseStatement {
    Database(ObjectName),
    Catalog(Ident),
    Modules(Vec<Ident>),
}

/// `EXPLAIN …`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Explain {
    pub details: Vec<ExplainDetail>,
    pub statement: Statement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExplainDetail {
    EstimatedCost,
    ChangelogMode,
    JsonExecutionPlan,
    PlanAdvice,
}

impl ExplainDetail {
    pub fn word(self) -> &'static str {
        match self {
            Self::EstimatedCost => "ESTIMATED_COST",
            Self::ChangelogMode => "CHANGELOG_MODE",
            Self::JsonExecutionPlan => "JSON_EXECUTION_PLAN",
            Self::PlanAdvice => "PLAN_ADVICE",
        }
    }
}

/// Compiled plans in files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PlanStatement {
    Compile {
        path: StringLiteral,
        if_not_exists: bool,
        statement: Box<Statement>,
    },
    Execute {
        path: StringLiteral,
    },
    CompileAndExecute {
        path: StringLiteral,
        statement: Box<Statement>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JarStatement {
    Add(StringLiteral),
    Remove(StringLiteral),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ModuleStatement {
    Load { name: Ident, options: Vec<SqlOption> },
    Unload { name: Ident },
}

/// `STOP JOB 'id' [WITH SAVEPOINT] [WITH DRAIN]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StopJob {
    pub id: StringLiteral,
    pub with_savepoint: bool,
    pub with_drain: bool,
}

/// `ANALYZE TABLE name [PARTITION (…)] COMPUTE STATISTICS [FOR …]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnalyzeTable {
    pub name: ObjectName,
    pub partition: Option<PartitionSpec>,
    pub columns: AnalyzeColumns,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AnalyzeColumns {
    None,
    All,
    Some(Vec<Ident>),
}

/// Commands of the SQL client that never reach the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientCommand {
    /// `QUIT` or `EXIT`.
    Quit,
    Clear,
    Help,
}
