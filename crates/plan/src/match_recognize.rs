//! MATCH_RECOGNIZE as data: the pattern, its variables, and what is computed of the rows of a match.

use millstream_types::LogicalType;
use serde::{Deserialize, Serialize};

use crate::aggregate::AggregateCall;
use crate::expr::Expr;
use crate::node::SortKey;

/// `MATCH_RECOGNIZE`, one row per match. Positions refer to the columns of the input.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MatchSpec {
    pub partition: Vec<usize>,
    /// The first is the time attribute, ascending; further keys order rows of the same time.
    pub order: Vec<SortKey>,
    /// In the order of the pattern.
    pub variables: Vec<MatchVariable>,
    pub skip: MatchSkip,
    /// A match whose last row is so much later than its first, or more, is none.
    pub within_ms: Option<i64>,
    /// Output: the partition columns, then these.
    pub measures: RowsExprs,
}

/// A variable of the pattern with its quantifier and its condition.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MatchVariable {
    pub name: String,
    pub min: u32,
    /// Missing when unbounded.
    pub max: Option<u32>,
    pub greedy: bool,
    pub condition: MatchCondition,
}

/// When a row may stand for a variable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum MatchCondition {
    /// The variable is not defined: any row.
    Always,
    /// A BOOLEAN input column: the condition looks at the row alone.
    Column(usize),
    /// One condition over the rows of the match so far and the row in question, which counts as the variable's last.
    Rows(RowsExprs),
}

/// Expressions over values that are found among the rows of a match.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RowsExprs {
    pub navigations: Vec<Navigation>,
    /// Over the navigations, by position.
    pub exprs: Vec<Expr>,
}

/// A value found among the rows of a match.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Navigation {
    /// Rows of this variable of [`MatchSpec::variables`]; `None`: all rows of the match.
    pub variable: Option<usize>,
    pub kind: NavigationKind,
    pub ty: LogicalType,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum NavigationKind {
    /// The column of the row so many behind the first; NULL if there is none.
    First {
        column: usize,
        offset: u64,
    },
    /// The column of the row so many before the last; NULL if there is none.
    Last {
        column: usize,
        offset: u64,
    },
    Aggregate(Box<AggregateCall>),
}

/// Where the search goes on behind a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum MatchSkip {
    PastLastRow,
    ToNextRow,
    ToFirst(usize),
    ToLast(usize),
}
