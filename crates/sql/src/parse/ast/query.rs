//! Queries: everything that yields rows.

use super::{
    DataType, Expr, FunctionCall, Ident, ObjectName, SetQuantifier, Span, SqlOption, StringLiteral,
    WindowSpec,
};

/// `[WITH …] body [ORDER BY …] [LIMIT …] [OFFSET …] [FETCH …]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    pub with: Option<With>,
    pub body: QueryBody,
    pub order_by: Vec<OrderItem>,
    pub offset: Option<Expr>,
    /// `LIMIT n` or `FETCH NEXT n ROWS ONLY`; a number or a parameter.
    pub limit: Option<Expr>,
    pub span: Span,
}

impl Query {
    /// A query that is nothing but its body.
    pub fn plain(body: QueryBody) -> Self {
        let span = body.span();
        Self {
            with: None,
            body,
            order_by: Vec::new(),
            offset: None,
            limit: None,
            span,
        }
    }
}

/// `WITH [RECURSIVE] name [(columns)] AS (query), …`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct With {
    pub recursive: bool,
    pub items: Vec<WithItem>,
    pub span: Span,
}

/// One named query of a WITH clause.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WithItem {
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub query: Box<Query>,
    pub span: Span,
}

/// The forms of a query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum QueryBody {
    Select(Box<Select>),
    Values(Values),
    /// `TABLE name`.
    Table(ExplicitTable),
    SetOperation(Box<SetOperation>),
    /// A query in parentheses with clauses of its own.
    Nested(Box<Query>),
}

impl QueryBody {
    /// Where the body stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Select(select) => select.span,
            Self::Values(values) => values.span,
            Self::Table(table) => table.span,
            Self::SetOperation(operation) => operation.span,
            Self::Nested(query) => query.span,
        }
    }
}

/// `TABLE name` as a query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExplicitTable {
    pub name: ObjectName,
    pub span: Span,
}

/// `VALUES row, row, …`. A row of one column may have been written without parentheses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Values {
    pub rows: Vec<ValuesRow>,
    pub span: Span,
}

/// One row of VALUES.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValuesRow {
    pub values: Vec<Expr>,
    pub span: Span,
}

/// Two queries put together by rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetOperation {
    pub operator: SetOperator,
    pub all: bool,
    pub left: QueryBody,
    pub right: QueryBody,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetOperator {
    Union,
    Intersect,
    Except,
}

/// `SELECT … FROM … WHERE …`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Select {
    /// `SELECT /*+ … */`.
    pub hints: Vec<Hint>,
    pub quantifier: Option<SetQuantifier>,
    pub items: Vec<SelectItem>,
    pub from: Option<TableRef>,
    pub selection: Option<Expr>,
    pub group_by: Option<GroupBy>,
    pub having: Option<Expr>,
    pub windows: Vec<NamedWindow>,
    pub qualify: Option<Expr>,
    pub span: Span,
}

/// One element of the SELECT list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SelectItem {
    Expr {
        expr: Expr,
        alias: Option<Ident>,
    },
    /// `*`.
    Wildcard {
        span: Span,
    },
    /// `t.*` or `t.row_column.*`.
    QualifiedWildcard {
        qualifier: ObjectName,
        span: Span,
    },
}

/// `GROUP BY [ALL|DISTINCT] elements`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupBy {
    pub quantifier: Option<SetQuantifier>,
    pub elements: Vec<GroupingElement>,
    pub span: Span,
}

/// An element of GROUP BY, or of GROUPING SETS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GroupingElement {
    Expr(Expr),
    /// `(a, b)` or `()`: one set.
    Set {
        exprs: Vec<Expr>,
        span: Span,
    },
    GroupingSets {
        elements: Vec<GroupingElement>,
        span: Span,
    },
    /// Each inner list is one unit: `ROLLUP(a, (b, c))`.
    Rollup {
        units: Vec<Vec<Expr>>,
        span: Span,
    },
    Cube {
        units: Vec<Vec<Expr>>,
        span: Span,
    },
}

/// `WINDOW name AS (…)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedWindow {
    pub name: Ident,
    pub window: WindowSpec,
}

/// `expr [ASC|DESC] [NULLS FIRST|LAST]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderItem {
    pub expr: Expr,
    pub descending: bool,
    pub nulls: Option<NullsOrder>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NullsOrder {
    First,
    Last,
}

/// `NAME`, `NAME(a, b)` or `NAME('k'='v', …)` inside `/*+ … */`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hint {
    pub name: Ident,
    pub arguments: HintArguments,
    pub span: Span,
}

/// The arguments of a hint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HintArguments {
    None,
    /// Names and literals, as their text.
    List(Vec<StringLiteral>),
    Options(Vec<SqlOption>),
}

/// An element of FROM with its alias.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableRef {
    pub kind: TableRefKind,
    pub alias: Option<TableAlias>,
    pub sample: Option<Box<TableSample>>,
    pub span: Span,
}

/// `AS name (columns)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableAlias {
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub span: Span,
}

/// The forms of an element of FROM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TableRefKind {
    Table(NamedTable),
    /// `[LATERAL] (query)`.
    Subquery {
        lateral: bool,
        query: Box<Query>,
    },
    /// `[LATERAL] TABLE(f(…))`, or `f(…)` without the wrapper.
    Function {
        lateral: bool,
        call: Box<FunctionCall>,
    },
    /// `UNNEST(…) [WITH ORDINALITY]`.
    Unnest {
        collections: Vec<Expr>,
        with_ordinality: bool,
    },
    Join(Box<Join>),
    MatchRecognize(Box<MatchRecognize>),
    Pivot(Box<Pivot>),
    Unpivot(Box<Unpivot>),
}

/// A table or view by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedTable {
    pub name: ObjectName,
    /// `/*+ OPTIONS(…) */` after the name.
    pub hints: Vec<Hint>,
    /// `EXTEND (column type, …)`.
    pub extend: Vec<(Ident, DataType)>,
    /// `FOR SYSTEM_TIME AS OF period`.
    pub system_time: Option<Expr>,
}

/// Two tables joined.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Join {
    pub left: TableRef,
    pub right: TableRef,
    pub kind: JoinKind,
    pub natural: bool,
    pub condition: JoinCondition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// `a, b`.
    Comma,
    Cross,
    Inner,
    Left,
    Right,
    Full,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JoinCondition {
    None,
    On(Expr),
    Using(Vec<Ident>),
}

/// `TABLESAMPLE method (…) [REPEATABLE (seed)]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableSample {
    pub method: SampleMethod,
    /// Percentage, or the name for `SUBSTITUTE('…')`.
    pub argument: Expr,
    pub repeatable: Option<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleMethod {
    Bernoulli,
    System,
    Substitute,
}

/// `input PIVOT (aggregates FOR axes IN (values))`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pivot {
    pub input: TableRef,
    pub aggregates: Vec<AliasedExpr>,
    pub axes: Vec<Ident>,
    pub values: Vec<PivotValue>,
}

/// `expr [AS alias]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AliasedExpr {
    pub expr: Expr,
    pub alias: Option<Ident>,
}

/// A value, or a tuple of values, of PIVOT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PivotValue {
    pub values: Vec<Expr>,
    pub alias: Option<Ident>,
}

/// `input UNPIVOT [INCLUDE|EXCLUDE NULLS] (measures FOR axes IN (columns))`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unpivot {
    pub input: TableRef,
    pub include_nulls: Option<bool>,
    pub measures: Vec<Ident>,
    pub axes: Vec<Ident>,
    pub columns: Vec<UnpivotColumns>,
}

/// Columns folded into the measures, with the values of the axes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnpivotColumns {
    pub columns: Vec<Ident>,
    pub values: Vec<Expr>,
}

/// `input MATCH_RECOGNIZE (…)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MatchRecognize {
    pub input: TableRef,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<OrderItem>,
    pub measures: Vec<Measure>,
    pub rows_per_match: Option<RowsPerMatch>,
    pub after_match: Option<AfterMatchSkip>,
    pub pattern: MatchPattern,
    /// `^` before the pattern.
    pub strict_start: bool,
    /// `$` after the pattern.
    pub strict_end: bool,
    /// `WITHIN INTERVAL …`.
    pub within: Option<Expr>,
    pub subsets: Vec<Subset>,
    pub definitions: Vec<PatternDefinition>,
    pub span: Span,
}

/// `expr AS name` of MEASURES.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Measure {
    pub expr: Expr,
    pub name: Ident,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowsPerMatch {
    One,
    All,
    AllShowEmpty,
    AllOmitEmpty,
    AllWithUnmatched,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AfterMatchSkip {
    PastLastRow,
    ToNextRow,
    ToFirst(Ident),
    ToLast(Ident),
}

/// A pattern of MATCH_RECOGNIZE.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MatchPattern {
    Variable(Ident),
    /// One after the other; at least two.
    Sequence(Vec<MatchPattern>),
    /// `a | b`; at least two.
    Alternatives(Vec<MatchPattern>),
    Quantified {
        pattern: Box<MatchPattern>,
        quantifier: PatternQuantifier,
    },
    /// `PERMUTE(a, b)`.
    Permute(Vec<MatchPattern>),
    /// `{- a -}`.
    Excluded(Box<MatchPattern>),
}

/// `*` is 0.., `+` is 1.., `?` is 0..1, `{n,m}`; `max` is missing when unbounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PatternQuantifier {
    pub min: u32,
    pub max: Option<u32>,
    /// `?` after the quantifier: as few rows as possible.
    pub reluctant: bool,
    pub span: Span,
}

/// `name = (a, b)` of SUBSET.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subset {
    pub name: Ident,
    pub members: Vec<Ident>,
}

/// `name AS condition` of DEFINE.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PatternDefinition {
    pub name: Ident,
    pub condition: Expr,
}
