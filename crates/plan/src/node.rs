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

/// A physical plan: a directed acyclic graph. Inputs precede the nodes that read them; several sinks may share a
/// sub-plan.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    pub version: u32,
    pub nodes: Vec<Node>,
    /// Sinks and collectors, in the order of their statements.
    pub roots: Vec<NodeId>,
    /// The session configuration under which the plan was made.
    pub configuration: Options,
}

/// An operator with its inputs and the properties of its output.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<NodeId>,
    /// Columns of the output.
    pub schema: Schema,
    pub traits: ChangelogTraits,
}

/// The changelog properties of a node's output.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ChangelogTraits {
    /// Kinds of rows that the node emits, after negotiation with its consumers.
    pub mode: ChangelogMode,
    /// Column sets that identify a row across its updates.
    pub upsert_keys: Vec<Vec<usize>>,
}

/// How rows are distributed to the parallel instances of an operator.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Distribution {
    /// Stays with the instance that produced it.
    Forward,
    /// By key group of these columns.
    Hash(Vec<usize>),
    /// All rows go to one instance.
    Single,
    /// Round robin.
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

/// The range of ranks that pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum RankRange {
    /// Both ends inclusive, from 1.
    Constant { from: u64, to: u64 },
    /// Up to the value of a column.
    Variable { column: usize },
}

/// `left.time` between `right.time + lower_ms` and `right.time + upper_ms`, both inclusive.
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
        /// Set if the connector generates watermarks per split; otherwise a `WatermarkAssigner` follows.
        watermark: Option<ScanWatermark>,
        /// Stops after this many rows.
        limit: Option<u64>,
        /// Conditions over the output that the source may use to skip data. A `Calc` still applies them.
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
    /// Generates watermarks from an expression over the row (TIMESTAMP(3) or TIMESTAMP_LTZ(3)). Emits one when event
    /// time has advanced by more than `interval_ms`.
    WatermarkAssigner {
        rowtime: usize,
        expr: Expr,
        interval_ms: i64,
    },
    /// Adds `window_start`, `window_end`, `window_time` and repeats a row for each of its windows. Used only below
    /// operators that need rows with windows (join, Top-N, deduplication, batch); window aggregates assign windows
    /// themselves.
    WindowTableFunction {
        window: WindowSpec,
        /// Columns that partition sessions.
        partition: Vec<usize>,
    },
    /// Groups by `keys` without windows. Output: keys, then aggregates.
    GroupAggregate {
        keys: Vec<usize>,
        aggregates: Vec<AggregateCall>,
        /// Whether consumers need `-U`.
        update_before: bool,
        /// Whether the input retracts rows.
        retract_input: bool,
        /// Emits once at the end of a bounded input, without retractions.
        bounded: bool,
        /// Milliseconds after which idle groups expire; 0: never.
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
    /// Repeats each row for each grouping set: columns outside the set become NULL, and the set's id (BIGINT) is
    /// appended.
    Expand {
        projects: Vec<Vec<Expr>>,
    },
    /// Ranks rows within partitions and passes a range of ranks; `rank_output` appends the rank (BIGINT).
    Rank {
        kind: RankKind,
        partition: Vec<usize>,
        order: Vec<SortKey>,
        range: RankRange,
        rank_output: bool,
        update_before: bool,
        retract_input: bool,
        bounded: bool,
        /// Window Top-N: a partition is complete when the watermark passes the window end in this column.
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
    /// The first rows in sort order, as an updating result.
    SortLimit {
        keys: Vec<SortKey>,
        offset: u64,
        fetch: u64,
        update_before: bool,
        retract_input: bool,
        bounded: bool,
    },
    /// Regular join on equal keys with an optional further condition.
    Join {
        kind: JoinKind,
        left_keys: Vec<usize>,
        right_keys: Vec<usize>,
        /// For each key, whether NULL matches NULL (IS NOT DISTINCT FROM).
        null_safe: Vec<bool>,
        condition: Option<Expr>,
        /// A unique key of each input, if any: state is then kept by key instead of by row count.
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
    /// Event-time join of each left row with the version of the right side that was valid at the left row's time.
    TemporalJoin {
        kind: JoinKind,
        left_keys: Vec<usize>,
        right_keys: Vec<usize>,
        left_time: usize,
        right_time: usize,
        condition: Option<Expr>,
    },
    /// Processing-time lookup in an external table.
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
        /// Rows or range before the current row; negative: after it; `None`: unbounded.
        preceding: Option<i64>,
        /// Rows or range after the current row; negative: before it; `None`: unbounded.
        following: Option<i64>,
        event_time: Option<bool>,
        calls: Vec<AggregateCall>,
        bounded: bool,
    },
    /// MATCH_RECOGNIZE. Output: the partition columns, then the measures.
    Match {
        spec: Box<MatchSpec>,
        /// Event time: rows wait for the watermark. Processing time: rows are matched on arrival.
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
    /// Drops `-U` rows that no consumer needs.
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
        /// Keeps a row per key so that out-of-order changes still end in the right last row.
        materialize: bool,
        /// Input positions of columns declared NOT NULL, and whether a violating row fails the job or is dropped.
        not_null: Vec<usize>,
        not_null_drop: bool,
        /// CHAR/VARCHAR/BINARY/VARBINARY lengths to enforce.
        length_enforcer: LengthEnforcer,
    },
    /// Hands rows to the client (SELECT).
    Collect,
    /// An operator of a later version, or a kind that this build does not run. It is printed but never executed.
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

    /// Adds a node, whose inputs must already be in the plan.
    pub fn add(&mut self, node: Node) -> NodeId {
        debug_assert!(node.inputs.iter().all(|i| i.0 < self.nodes.len()));
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }
}
