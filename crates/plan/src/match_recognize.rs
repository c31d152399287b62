//! MATCH_RECOGNIZE as data: the pattern, its variables, and the measures over the rows of a match.

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
    /// A match must end less than this many milliseconds after its first row.
    pub within_ms: Option<i64>,
    /// Output: the partition columns, then these.
    pub measures: RowsExprs,
}

/// A variable of the pattern with its quantifier and its condition.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MatchVariable {
    pub name: String,
    pub min: u32,
    /// `None` if unbounded.
    pub max: Option<u32>,
    pub greedy: bool,
    pub condition: MatchCondition,
}

/// The condition under which a row maps to a variable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum MatchCondition {
    /// The variable is not defined: every row qualifies.
    Always,
    /// A BOOLEAN input column, for a condition on the current row only.
    Column(usize),
    /// A condition over the rows of the match so far and the current row, which counts as the last row of the variable.
    Rows(RowsExprs),
}

/// Expressions over values that are picked from the rows of a match.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RowsExprs {
    pub navigations: Vec<Navigation>,
    /// Refer to the navigations by position.
    pub exprs: Vec<Expr>,
}

/// A value picked from the rows of a match.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Navigation {
    /// Restricts to rows of this variable of [`MatchSpec::variables`]; `None` means all rows of the match.
    pub variable: Option<usize>,
    pub kind: NavigationKind,
    pub ty: LogicalType,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum NavigationKind {
    /// The column of the row at this offset after the first; NULL if there is no such row.
    First {
        column: usize,
        offset: u64,
    },
    /// The column of the row at this offset before the last; NULL if there is no such row.
    Last {
        column: usize,
        offset: u64,
    },
    Aggregate(Box<AggregateCall>),
}

/// Where the search resumes after a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum MatchSkip {
    PastLastRow,
    ToNextRow,
    ToFirst(usize),
    ToLast(usize),
}
