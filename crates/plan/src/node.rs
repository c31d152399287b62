//! Physical operators as data, and the graph that they form.

use millstream_types::{ChangelogMode, LogicalType, Options, Scalar, Schema};
use serde::{Deserialize, Serialize};

use crate::aggregate::{AggregateCall, WindowProperty, WindowSpec};
use crate::expr::Expr;
use crate::match_recognize::MatchSpec;
use crate::table::{MetadataColumn, ScanWatermark, TableSpec};

/// Position of a node in [`Plan::nodes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NodeId(pub usize);

/// A physical plan: a directed graph without cycles. Inputs stand before the nodes that read them; several sinks may
/// share a sub-plan.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    pub version: u32,
    pub nodes: Vec<Node>,
    /// Sinks and collectors, in the order of their statements.
    pub roots: Vec<NodeId>,
    /// The session configuration under which the plan was made.
    pub configuration: Options,
}

/// One operator with its inputs and what is known of its output.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<NodeId>,
    /// Columns of the output.
    pub schema: Schema,
    pub traits: ChangelogTraits,
}

/// What is known of a node's output as a changelog.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ChangelogTraits {
    /// Kinds of rows that the node emits, after negotiation with its consumers.
    pub mode: ChangelogMode,
    /// Sets of columns that identify a row over its updates.
    pub upsert_keys: Vec<Vec<usize>>,
}

/// How rows reach the instances of an operator.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Distribution {
    /// Stays with the instance that made it.
    Forward,
    /// By key group of these columns.
    Hash(Vec<usize>),
    /// All rows to one instance.
    Single,
    /// Spread evenly.
    Rebalance,
}

/// A sort column.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct SortKey {
    pub column: usize,
    pub ascending: bool,
    /// Flink's default: NULLs first when ascending, last when descending.
    pub nulls_first: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum RankKind {
    RowNumber,
    Rank,
    DenseRank,
}

/// Which ranks pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum RankRange {
    /// From and to, both included, from 1.
    Constant { from: u64, to: u64 },
    /// Up to the value of a column.
    Variable { column: usize },
}

/// `left.time` between `right.time + lower_ms` and `right.time + upper_ms`, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct TimeBounds {
    pub lower_ms: i64,
    pub upper_ms: i64,
    pub left_time: usize,
    pub right_time: usize,
    pub event_time: bool,
}

/// A physical operator. Positions refer to the columns of the node's input (of a join: left, then right).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Op {
    /// Reads a table. Output: `columns` of the physical schema, then `metadata`.
    Scan {
        table: TableSpec,
        columns: Vec<usize>,
        metadata: Vec<MetadataColumn>,
        /// Set when the connector makes watermarks per split; otherwise a `WatermarkAssigner` follows.
        watermark: Option<ScanWatermark>,
        /// Stop after so many rows.
        limit: Option<u64>,
        /// Conditions over the output that the source may use to skip data; a `Calc` applies them again.
        filters: Vec<Expr>,
    },
    /// Constant rows.
    Values {
        rows: Vec<Vec<Scalar>>,
    },
    /// Filters by `condition`, then projects.
    Calc {
        projections: Vec<Expr>,
        condition: Option<Expr>,
    },
    /// Makes watermarks from an expression over the row (TIMESTAMP(3) or TIMESTAMP_LTZ(3)); emits when event time
    /// moved by more than `interval_ms`.
    WatermarkAssigner {
        rowtime: usize,
        expr: Expr,
        interval_ms: i64,
    },
    /// Adds `window_start`, `window_end`, `window_time` and repeats a row for each of its windows. Only below operators
    /// that need rows with windows (join, Top-N, dedup, batch); aggregates take the window in themselves.
    WindowTableFunction {
        window: WindowSpec,
        /// Columns whose values have sessions of their own.
        partition: Vec<usize>,
    },
    /// Groups by `keys` without windows. Output: keys, then aggregates.
    GroupAggregate {
        keys: Vec<usize>,
        aggregates: Vec<AggregateCall>,
        /// Whether consumers need `-U`.
        update_before: bool,
        /// Whether the input takes rows back.
        retract_input: bool,
        /// Emit once at the end of a bounded input, without retractions.
        bounded: bool,
        /// Milliseconds after which idle groups are forgotten; 0: never.
        ttl_ms: i64,
    },
    /// Groups by `keys` and window. Output: keys, then aggregates, then `properties`.
    WindowAggregate {
        window: WindowSpec,
        keys: Vec<usize>,
        aggregates: Vec<AggregateCall>,
        properties: Vec<WindowProperty>,
        retract_input: bool,
        /// Batch mode: fires everything at the end.
        bounded: bool,
    },
    /// Repeats each row for each grouping set: columns outside the set become NULL, the set's id is appended (BIGINT).
    Expand {
        projects: Vec<Vec<Expr>>,
    },
    /// Rank within partitions, passing a range of ranks; with `rank_output` the rank is appended (BIGINT).
    Rank {
        kind: RankKind,
        partition: Vec<usize>,
        order: Vec<SortKey>,
        range: RankRange,
        rank_output: bool,
        update_before: bool,
        retract_input: bool,
        bounded: bool,
        /// Window Top-N: partitions are finished when the watermark passes the window end in this column.
        window_end: Option<usize>,
        ttl_ms: i64,
    },
    /// First or last row of a key by a time attribute.
    Deduplicate {
        keys: Vec<usize>,
        time: usize,
        keep_last: bool,
        event_time: bool,
        update_before: bool,
        ttl_ms: i64,
        window_end: Option<usize>,
    },
    /// Sorts a bounded input.
    Sort {
        keys: Vec<SortKey>,
    },
    /// Sorts by event time as the watermark advances; further keys break ties.
    TemporalSort {
        keys: Vec<SortKey>,
    },
    Limit {
        offset: u64,
        fetch: Option<u64>,
        update_before: bool,
    },
    /// The first rows in order, kept up to date.
    SortLimit {
        keys: Vec<SortKey>,
        offset: u64,
        fetch: u64,
        update_before: bool,
        retract_input: bool,
        bounded: bool,
    },
    /// Regular join on equal keys and a further condition.
    Join {
        kind: JoinKind,
        left_keys: Vec<usize>,
        right_keys: Vec<usize>,
        /// Whether a NULL key matches a NULL key (IS NOT DISTINCT FROM), for each key.
        null_safe: Vec<bool>,
        condition: Option<Expr>,
        /// Unique keys of each input, if any: state by key instead of by row count.
        left_unique: Option<Vec<usize>>,
        right_unique: Option<Vec<usize>>,
        bounded: bool,
        left_ttl_ms: i64,
        right_ttl_ms: i64,
    },
    IntervalJoin {
        kind: JoinKind,
        left_keys: Vec<usize>,
        right_keys: Vec<usize>,
        bounds: TimeBounds,
        condition: Option<Expr>,
    },
    WindowJoin {
        kind: JoinKind,
        left_keys: Vec<usize>,
        right_keys: Vec<usize>,
        left_end: usize,
        right_end: usize,
        condition: Option<Expr>,
    },
    /// Event-time join of the left row with the version of the right side at the left row's time.
    TemporalJoin {
        kind: JoinKind,
        left_keys: Vec<usize>,
        right_keys: Vec<usize>,
        left_time: usize,
        right_time: usize,
        condition: Option<Expr>,
    },
    /// Processing-time lookup of an outside table.
    LookupJoin {
        kind: JoinKind,
        table: TableSpec,
        columns: Vec<usize>,
        keys: Vec<(usize, usize)>,
        condition: Option<Expr>,
    },
    /// UNNEST or a table function. Output: the input's columns, then the function's.
    Correlate {
        function: String,
        args: Vec<Expr>,
        outer: bool,
        condition: Option<Expr>,
        output: Vec<LogicalType>,
    },
    /// OVER aggregates. Output: the input's columns, then one for each call.
    Over {
        partition: Vec<usize>,
        order: Vec<SortKey>,
        /// Frame: ROWS or RANGE.
        rows: bool,
        /// From so many rows, or so far, before the current row; negative: behind it; `None`: unbounded.
        preceding: Option<i64>,
        /// To so many rows, or so far, behind the current row; negative: before it; `None`: unbounded.
        following: Option<i64>,
        event_time: Option<bool>,
        calls: Vec<AggregateCall>,
        bounded: bool,
    },
    /// MATCH_RECOGNIZE. Output: the partition columns, then the measures.
    Match {
        spec: Box<MatchSpec>,
        /// Event time: rows wait for the watermark; otherwise they are taken as they come.
        event_time: bool,
    },
    UnionAll,
    /// Turns upserts or duplicate changes into a regular changelog, by key.
    ChangelogNormalize {
        keys: Vec<usize>,
        update_before: bool,
        condition: Option<Expr>,
        ttl_ms: i64,
    },
    /// Drops `-U` rows that nobody needs.
    DropUpdateBefore,
    /// Moves rows between instances.
    Exchange {
        distribution: Distribution,
    },
    /// Writes a table. Input columns: those of `columns` of the physical schema in order, then `metadata`.
    Sink {
        table: TableSpec,
        columns: Vec<usize>,
        metadata: Vec<MetadataColumn>,
        overwrite: bool,
        /// Values of `PARTITION (k = v)`.
        static_partition: Vec<(String, Scalar)>,
        /// Keep a row per key so that out-of-order changes leave the right last row.
        materialize: bool,
        /// Columns declared NOT NULL, by position of the input, and whether such a row is an error or dropped.
        not_null: Vec<usize>,
        not_null_drop: bool,
        /// CHAR/VARCHAR/BINARY/VARBINARY lengths to enforce.
        length_enforcer: LengthEnforcer,
    },
    /// Hands rows to the client (SELECT).
    Collect,
    /// An operator of a later version, or a kind that this build refuses to run; printed, never executed.
    Unsupported {
        name: String,
    },
}

/// `table.exec.sink.type-length-enforcer`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
pub enum LengthEnforcer {
    #[default]
    Ignore,
    TrimPad,
    Error,
}

impl Plan {
    pub fn new(configuration: Options) -> Self {
        Self {
            version: crate::PLAN_VERSION,
            nodes: Vec::new(),
            roots: Vec::new(),
            configuration,
        }
    }

    /// Adds a node; its inputs must be in the plan already.
    pub fn add(&mut self, node: Node) -> NodeId {
        debug_assert!(node.inputs.iter().all(|i| i.0 < self.nodes.len()));
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }
}
