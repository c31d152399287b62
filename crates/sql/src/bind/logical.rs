//! The logical plan: the meaning of a query, with names and types resolved and no decision about execution.
//!
//! A [`Rel`] is a tree. Its expressions are the plan's own ([`millstream_plan::Expr`]) over the columns of the inputs
//! (of a join: left, then right).

use millstream_plan::{
    AggregateCall, Expr, JoinKind, MatchSpec, MetadataColumn, RankKind, RankRange, SortKey, TableSpec,
    WindowKind,
};
use millstream_types::{ChangelogMode, LogicalType, Schema, SourceAbilities};

use crate::parse::span::Span;

/// Ranges of column positions reserved for placeholders.
pub mod placeholder {
    /// Columns of the outer query of a correlated subquery.
    pub const OUTER: usize = 1 << 40;
    /// Aggregate calls, by their number in the SELECT.
    pub const AGGREGATE: usize = 1 << 41;
    /// OVER calls, by their number in the SELECT.
    pub const OVER: usize = 1 << 42;
    /// Scalar subqueries, by their number in the clause.
    pub const SUBQUERY: usize = 1 << 43;
    /// Properties of a legacy group window: start, end, row time, processing time.
    pub const WINDOW: usize = 1 << 44;

    /// The number of a placeholder of `base`, if `index` is one.
    pub fn number(index: usize, base: usize) -> Option<usize> {
        (index & base != 0).then_some(index & (base - 1))
    }
}

/// A node of the logical plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Rel {
    pub kind: RelKind,
    pub inputs: Vec<Rel>,
    pub schema: Schema,
}

/// The forms of a logical node.
#[derive(Clone, Debug, PartialEq)]
pub enum RelKind {
    Scan(Box<Scan>),
    /// Constant rows; values are folded to literals before execution.
    Values {
        rows: Vec<Vec<Expr>>,
    },
    Project {
        exprs: Vec<Expr>,
    },
    Filter {
        condition: Expr,
    },
    /// `WATERMARK FOR rowtime AS expr`.
    Watermark {
        rowtime: usize,
        expr: Expr,
        idle_timeout_ms: i64,
    },
    /// A window table function. Output: the input, then `window_start`, `window_end`, `window_time`.
    Window {
        time: usize,
        kind: WindowKind,
        partition: Vec<usize>,
        span: Span,
    },
    Aggregate(Box<Aggregate>),
    Join(Box<Join>),
    /// UNNEST or a table function for each row of the input. Output: the input, then the function's columns.
    Correlate {
        function: String,
        args: Vec<Expr>,
        outer: bool,
        condition: Option<Expr>,
    },
    /// OVER calls. Output: the input, then one column for each call.
    Over(Box<Over>),
    /// MATCH_RECOGNIZE. Output: the partition columns, then the measures.
    Match(Box<Match>),
    /// Rows by rank within partitions. Output: the input, then the rank if requested.
    Rank(Box<Rank>),
    Sort {
        keys: Vec<SortKey>,
        offset: u64,
        fetch: Option<u64>,
        /// The items of ORDER BY.
        span: Span,
    },
    Union,
}

/// Reading a table. Output: `columns` of the physical schema, then `metadata`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    pub table: TableSpec,
    pub columns: Vec<usize>,
    pub metadata: Vec<MetadataColumn>,
    /// Kinds of rows that the connector and its format produce.
    pub changelog: ChangelogMode,
    pub abilities: SourceAbilities,
    pub bounded: bool,
    pub filters: Vec<Expr>,
    /// Whether the formats find the fields of rows by name, so that a scan may read parts of a ROW.
    pub narrows_rows: bool,
    pub limit: Option<u64>,
    /// The name by which `STATE_TTL` and other hints address the scan.
    pub alias: String,
    /// Why the table cannot be read. Reported while planning, after errors of the query itself.
    pub unreadable: Option<String>,
}

/// Grouping. Output: keys, then calls, then (for a legacy group window) its properties.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub keys: Vec<usize>,
    /// Positions in `keys` of each grouping set; a single full set for a plain GROUP BY.
    pub sets: Vec<Vec<usize>>,
    pub calls: Vec<AggregateCall>,
    /// `GROUP BY TUMBLE(…)` and its relatives.
    pub window: Option<GroupWindow>,
    /// Whether the set's number is appended as the last column.
    pub set_id: bool,
    /// From a `STATE_TTL` hint.
    pub ttl_ms: Option<i64>,
    pub span: Span,
}

/// A window of GROUP BY in legacy syntax.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupWindow {
    pub time: usize,
    pub kind: WindowKind,
    pub span: Span,
}

/// A join of any kind; the rules choose its physical form.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    pub kind: JoinKind,
    /// Over left, then right columns.
    pub condition: Option<Expr>,
    /// `FOR SYSTEM_TIME AS OF` on the right side: an expression over the left columns.
    pub as_of: Option<Expr>,
    pub span: Span,
    /// State TTL hints, in milliseconds, of the left and right side.
    pub ttl_ms: [Option<i64>; 2],
}

/// OVER calls that share one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Over {
    pub partition: Vec<usize>,
    pub order: Vec<SortKey>,
    pub frame: Frame,
    pub calls: Vec<AggregateCall>,
    pub span: Span,
}

/// The frame of an OVER window, up to the current row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub rows: bool,
    pub start: Bound,
    pub end: Bound,
}

/// A side of a frame; distances are rows or milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    UnboundedPreceding,
    Preceding(i64),
    CurrentRow,
    Following(i64),
    UnboundedFollowing,
}

/// Patterns over ordered rows. The input is a projection to the columns that the pattern reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    pub spec: MatchSpec,
    pub event_time: bool,
    pub span: Span,
}

/// Top-N.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    pub kind: RankKind,
    pub partition: Vec<usize>,
    pub order: Vec<SortKey>,
    pub range: RankRange,
    pub rank_output: bool,
    pub span: Span,
}

impl Rel {
    pub fn new(kind: RelKind, inputs: Vec<Rel>, schema: Schema) -> Self {
        Self { kind, inputs, schema }
    }

    /// The input of a unary node.
    pub fn input(&self) -> Option<&Rel> {
        self.inputs.first()
    }

    /// A projection with named columns.
    pub fn project(self, exprs: Vec<Expr>, names: Vec<String>) -> Rel {
        let schema = Schema::new(
            names
                .into_iter()
                .zip(&exprs)
                .map(|(name, expr)| (name, expr.ty())),
        );
        Rel::new(RelKind::Project { exprs }, vec![self], schema)
    }

    pub fn filter(self, condition: Expr) -> Rel {
        let schema = self.schema.clone();
        Rel::new(RelKind::Filter { condition }, vec![self], schema)
    }

    /// The input's columns as expressions.
    pub fn column_exprs(&self) -> Vec<Expr> {
        self.schema
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| Expr::column(i, c.ty.clone()))
            .collect()
    }

    /// Names of the columns.
    pub fn names(&self) -> Vec<String> {
        self.schema.columns.iter().map(|c| c.name.clone()).collect()
    }

    /// The same rows with computed columns appended.
    pub fn extend(self, exprs: Vec<(Expr, String)>) -> Rel {
        if exprs.is_empty() {
            return self;
        }
        let (mut all, mut names) = (self.column_exprs(), self.names());
        for (expr, name) in exprs {
            all.push(expr);
            names.push(name);
        }
        self.project(all, names)
    }

    /// The input's columns at `indices`.
    pub fn select(self, indices: &[usize]) -> Rel {
        let names = indices
            .iter()
            .map(|&i| self.schema.columns[i].name.clone())
            .collect();
        let exprs = indices
            .iter()
            .map(|&i| Expr::column(i, self.schema.columns[i].ty.clone()))
            .collect();
        self.project(exprs, names)
    }

    /// A join; the output of SEMI and ANTI is the left side, otherwise both, nullable where the kind pads.
    pub fn join(left: Rel, right: Rel, join: Join) -> Rel {
        let schema = join_schema(join.kind, &left.schema, &right.schema);
        Rel::new(RelKind::Join(Box::new(join)), vec![left, right], schema)
    }

    /// One row without columns, the input of `SELECT 1`.
    pub fn one_row() -> Rel {
        Rel::new(
            RelKind::Values {
                rows: vec![Vec::new()],
            },
            Vec::new(),
            Schema::default(),
        )
    }

    /// Calls `f` for this node and all below, parents first.
    pub fn visit(&self, f: &mut impl FnMut(&Rel)) {
        f(self);
        self.inputs.iter().for_each(|input| input.visit(f));
    }
}

impl Join {
    /// A join with only a kind and a condition.
    pub fn plain(kind: JoinKind, condition: Option<Expr>, span: Span) -> Self {
        Self {
            kind,
            condition,
            as_of: None,
            span,
            ttl_ms: [None, None],
        }
    }
}

/// Columns of a join's output.
pub fn join_schema(kind: JoinKind, left: &Schema, right: &Schema) -> Schema {
    let pad = |schema: &Schema, padded: bool| -> Vec<(String, LogicalType)> {
        let ty = |ty: &LogicalType| {
            if padded {
                ty.with_nullable(true)
            } else {
                ty.clone()
            }
        };
        schema
            .columns
            .iter()
            .map(|c| (c.name.clone(), ty(&c.ty)))
            .collect()
    };
    let left = pad(left, matches!(kind, JoinKind::Right | JoinKind::Full));
    if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        return Schema::new(left);
    }
    let right = pad(right, matches!(kind, JoinKind::Left | JoinKind::Full));
    Schema::new(left.into_iter().chain(right))
}

/// The conjunction of `conditions`; `None` if there are none.
pub fn and_all(conditions: Vec<Expr>) -> Option<Expr> {
    let mut flat = Vec::new();
    for condition in conditions {
        match condition {
            Expr::And(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    match flat.len() {
        0 => None,
        1 => flat.pop(),
        _ => Some(Expr::And(flat)),
    }
}

/// Splits a conjunction into its conditions.
pub fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition {
        Expr::And(args) => args.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}
