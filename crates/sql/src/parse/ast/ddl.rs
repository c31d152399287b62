//! CREATE, ALTER and DROP.

use super::{DataType, Expr, Ident, ObjectName, Query, Span, SqlOption, StringLiteral};

/// What a CREATE statement creates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CreateStatement {
    Table(Box<CreateTable>),
    MaterializedTable(Box<CreateMaterializedTable>),
    View(Box<CreateView>),
    Database(CreateDatabase),
    Catalog(CreateCatalog),
    Function(CreateFunction),
    Model(Box<CreateModel>),
    Connection(CreateConnection),
}

/// `CREATE [OR REPLACE] [TEMPORARY] TABLE …` or `REPLACE TABLE …`, with or without `AS query`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateTable {
    pub mode: CreateMode,
    pub temporary: bool,
    pub if_not_exists: bool,
    pub name: ObjectName,
    pub schema: TableSchema,
    pub comment: Option<StringLiteral>,
    pub distribution: Option<Distribution>,
    pub partitioned_by: Vec<Ident>,
    /// `USING CONNECTION name`.
    pub connection: Option<ObjectName>,
    pub options: Vec<SqlOption>,
    pub like: Option<TableLike>,
    pub query: Option<Box<Query>>,
}

/// What happens if the object exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreateMode {
    Create,
    /// `CREATE OR REPLACE`.
    CreateOrReplace,
    /// `REPLACE`.
    Replace,
    /// `CREATE OR ALTER`.
    CreateOrAlter,
}

/// The elements inside the parentheses of CREATE TABLE, each kind in the order written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TableSchema {
    pub columns: Vec<ColumnDefinition>,
    pub constraints: Vec<TableConstraint>,
    pub watermark: Option<Watermark>,
    /// Names without types, which CREATE TABLE … AS uses to order the query's columns.
    pub column_names: Vec<Ident>,
    pub span: Span,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnDefinition {
    pub name: Ident,
    pub kind: ColumnKind,
    pub comment: Option<StringLiteral>,
    pub span: Span,
}

/// The origin of a column's values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    Physical {
        data_type: DataType,
        constraint: Option<TableConstraint>,
    },
    /// `name type METADATA [FROM 'key'] [VIRTUAL]`.
    Metadata {
        data_type: DataType,
        key: Option<StringLiteral>,
        is_virtual: bool,
    },
    /// `name AS expr`.
    Computed(Expr),
}

/// `[CONSTRAINT name] PRIMARY KEY|UNIQUE (columns) [[NOT] ENFORCED]`. On a column, the list holds this column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableConstraint {
    pub name: Option<Ident>,
    pub kind: ConstraintKind,
    pub columns: Vec<Ident>,
    /// `None` if it is not specified, which the standard reads as ENFORCED.
    pub enforced: Option<bool>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConstraintKind {
    PrimaryKey,
    Unique,
}

/// `WATERMARK FOR column AS expr`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Watermark {
    pub column: ObjectName,
    pub expr: Expr,
    pub span: Span,
}

/// `DISTRIBUTED BY [HASH|RANGE] (columns) [INTO n BUCKETS]` or `DISTRIBUTED INTO n BUCKETS`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Distribution {
    pub kind: DistributionKind,
    pub columns: Vec<Ident>,
    pub bucket_count: Option<BucketCount>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DistributionKind {
    Unknown,
    Hash,
    Range,
}

/// The number before BUCKETS, as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BucketCount {
    pub text: String,
    pub span: Span,
}

/// `LIKE source ( merging feature, … )`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableLike {
    pub source: ObjectName,
    pub options: Vec<TableLikeOption>,
    pub span: Span,
}

/// One `{INCLUDING|EXCLUDING|OVERWRITING} feature`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableLikeOption {
    pub strategy: MergingStrategy,
    pub feature: LikeFeature,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MergingStrategy {
    Including,
    Excluding,
    Overwriting,
}

impl MergingStrategy {
    pub fn word(self) -> &'static str {
        match self {
            Self::Including => "INCLUDING",
            Self::Excluding => "EXCLUDING",
            Self::Overwriting => "OVERWRITING",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LikeFeature {
    All,
    Constraints,
    Distribution,
    Generated,
    Metadata,
    Options,
    Partitions,
    Watermarks,
}

impl LikeFeature {
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Constraints => "CONSTRAINTS",
            Self::Distribution => "DISTRIBUTION",
            Self::Generated => "GENERATED",
            Self::Metadata => "METADATA",
            Self::Options => "OPTIONS",
            Self::Partitions => "PARTITIONS",
            Self::Watermarks => "WATERMARKS",
        }
    }
}

/// `CREATE [OR ALTER] MATERIALIZED TABLE … AS query`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateMaterializedTable {
    pub mode: CreateMode,
    pub if_not_exists: bool,
    pub name: ObjectName,
    pub schema: TableSchema,
    pub comment: Option<StringLiteral>,
    pub distribution: Option<Distribution>,
    pub partitioned_by: Vec<Ident>,
    pub connection: Option<ObjectName>,
    pub options: Vec<SqlOption>,
    pub start_mode: Option<StartMode>,
    /// The interval of FRESHNESS.
    pub freshness: Option<Expr>,
    pub refresh_mode: Option<RefreshMode>,
    pub query: Box<Query>,
}

/// Where a materialized table starts to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StartMode {
    pub kind: StartModeKind,
    /// The interval or timestamp in parentheses.
    pub argument: Option<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartModeKind {
    FromBeginning,
    FromNow,
    FromTimestamp,
    ResumeOrFromBeginning,
    ResumeOrFromNow,
    ResumeOrFromTimestamp,
}

impl StartModeKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::FromBeginning => "FROM_BEGINNING",
            Self::FromNow => "FROM_NOW",
            Self::FromTimestamp => "FROM_TIMESTAMP",
            Self::ResumeOrFromBeginning => "RESUME_OR_FROM_BEGINNING",
            Self::ResumeOrFromNow => "RESUME_OR_FROM_NOW",
            Self::ResumeOrFromTimestamp => "RESUME_OR_FROM_TIMESTAMP",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefreshMode {
    Full,
    Continuous,
}

/// `CREATE [OR REPLACE] [TEMPORARY] VIEW [IF NOT EXISTS] name [(columns)] [COMMENT] AS query`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateView {
    pub mode: CreateMode,
    pub temporary: bool,
    pub if_not_exists: bool,
    pub name: ObjectName,
    pub columns: Vec<Ident>,
    pub comment: Option<StringLiteral>,
    pub query: Box<Query>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateDatabase {
    pub if_not_exists: bool,
    pub name: ObjectName,
    pub comment: Option<StringLiteral>,
    pub options: Vec<SqlOption>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateCatalog {
    pub if_not_exists: bool,
    pub name: Ident,
    pub comment: Option<StringLiteral>,
    pub options: Vec<SqlOption>,
}

/// `CREATE [TEMPORARY [SYSTEM]] FUNCTION name AS 'class' [LANGUAGE l] [USING JAR 'uri', …] [WITH (…)]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateFunction {
    pub temporary: bool,
    pub system: bool,
    pub if_not_exists: bool,
    pub name: ObjectName,
    pub definition: FunctionDefinition,
}

/// The part common to CREATE FUNCTION and ALTER FUNCTION.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionDefinition {
    pub class: StringLiteral,
    pub language: Option<FunctionLanguage>,
    pub resources: Vec<FunctionResource>,
    pub options: Vec<SqlOption>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FunctionLanguage {
    Java,
    Scala,
    Sql,
    Python,
}

impl FunctionLanguage {
    pub fn word(self) -> &'static str {
        match self {
            Self::Java => "JAVA",
            Self::Scala => "SCALA",
            Self::Sql => "SQL",
            Self::Python => "PYTHON",
        }
    }
}

/// `JAR 'uri'` or `ARTIFACT 'uri'`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionResource {
    pub kind: ResourceKind,
    pub uri: StringLiteral,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    Jar,
    Artifact,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateModel {
    pub mode: CreateMode,
    pub temporary: bool,
    pub if_not_exists: bool,
    pub name: ObjectName,
    pub input: Vec<ColumnDefinition>,
    pub output: Vec<ColumnDefinition>,
    pub comment: Option<StringLiteral>,
    /// `None` without WITH; an empty list is an error of its own.
    pub options: Option<Vec<SqlOption>>,
    pub query: Option<Box<Query>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateConnection {
    pub temporary: bool,
    pub system: bool,
    pub if_not_exists: bool,
    pub name: ObjectName,
    pub comment: Option<StringLiteral>,
    pub options: Vec<SqlOption>,
}

/// What an ALTER statement changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AlterStatement {
    Table(Box<AlterTable>),
    MaterializedTable(AlterMaterializedTable),
    View {
        name: ObjectName,
        action: AlterView,
    },
    Database {
        name: ObjectName,
        action: AlterOptions,
    },
    Catalog {
        name: Ident,
        action: AlterOptions,
    },
    Function(AlterFunction),
    Model {
        if_exists: bool,
        name: ObjectName,
        action: AlterOptions,
    },
    Connection {
        temporary: bool,
        system: bool,
        if_exists: bool,
        name: ObjectName,
        action: AlterOptions,
    },
}

/// Changes common to several kinds of objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AlterOptions {
    Set(Vec<SqlOption>),
    Reset(Vec<StringLiteral>),
    Comment(StringLiteral),
    Rename(ObjectName),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AlterView {
    Rename(ObjectName),
    As(Box<Query>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AlterFunction {
    pub temporary: bool,
    pub system: bool,
    pub if_exists: bool,
    pub name: ObjectName,
    pub definition: FunctionDefinition,
}

/// `ALTER TABLE [IF EXISTS] name action`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AlterTable {
    pub if_exists: bool,
    pub name: ObjectName,
    pub action: AlterTableAction,
    pub action_span: Span,
}

/// The changes of ALTER TABLE.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AlterTableAction {
    Rename(ObjectName),
    RenameColumn {
        from: ObjectName,
        to: Ident,
    },
    Set(Vec<SqlOption>),
    Reset(Vec<StringLiteral>),
    Add(SchemaChange),
    Modify(SchemaChange),
    AddPartitions {
        if_not_exists: bool,
        partitions: Vec<PartitionToAdd>,
    },
    DropColumns(Vec<ObjectName>),
    DropPrimaryKey,
    DropConstraint(Ident),
    DropWatermark,
    DropDistribution,
    DropPartitions {
        if_exists: bool,
        partitions: Vec<PartitionSpec>,
    },
    Compact {
        partition: PartitionSpec,
    },
}

/// What ADD and MODIFY hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SchemaChange {
    pub columns: Vec<ColumnChange>,
    pub constraints: Vec<TableConstraint>,
    pub watermark: Option<Watermark>,
    pub distribution: Option<Distribution>,
}

/// A column and its new position.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnChange {
    pub column: ColumnDefinition,
    pub position: Option<ColumnPosition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ColumnPosition {
    First,
    After(ObjectName),
}

/// `PARTITION (…) [WITH (…)]` of ADD PARTITION.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionToAdd {
    pub partition: PartitionSpec,
    pub options: Vec<SqlOption>,
}

/// `(column [= value], …)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PartitionSpec {
    pub entries: Vec<PartitionEntry>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionEntry {
    pub column: Ident,
    /// A literal; missing in `ANALYZE TABLE t PARTITION (dt)`.
    pub value: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AlterMaterializedTable {
    pub name: ObjectName,
    pub action: AlterMaterializedTableAction,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AlterMaterializedTableAction {
    Suspend,
    Resume(Vec<SqlOption>),
    Refresh(Option<PartitionSpec>),
    SetFreshness(Expr),
    SetRefreshMode(RefreshMode),
    As(Box<Query>),
    /// The changes that a table knows too.
    Table(Box<AlterTableAction>),
}

/// `DROP [TEMPORARY [SYSTEM]] kind [IF EXISTS] name [RESTRICT|CASCADE]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DropStatement {
    pub kind: ObjectKind,
    pub temporary: bool,
    /// `TEMPORARY SYSTEM`, for functions and connections.
    pub system: bool,
    pub if_exists: bool,
    pub name: ObjectName,
    /// For databases.
    pub behavior: Option<DropBehavior>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropBehavior {
    Restrict,
    Cascade,
}

/// The kinds of objects that a catalog holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    Catalog,
    Database,
    Table,
    MaterializedTable,
    View,
    Function,
    Model,
    Connection,
}

impl ObjectKind {
    /// The key words, `MATERIALIZED TABLE` included.
    pub fn words(self) -> &'static str {
        match self {
            Self::Catalog => "CATALOG",
            Self::Database => "DATABASE",
            Self::Table => "TABLE",
            Self::MaterializedTable => "MATERIALIZED TABLE",
            Self::View => "VIEW",
            Self::Function => "FUNCTION",
            Self::Model => "MODEL",
            Self::Connection => "CONNECTION",
        }
    }
}
