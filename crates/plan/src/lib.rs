//! The narrow waist between SQL and the engine: typed expressions and physical operators as plain data.
//!
//! `sql` produces a [`Plan`]; `operators` and `connectors` build a running dataflow from it. Nothing else crosses
//! between the two. Everything here is serialisable and versioned, because a checkpoint names the plan that it belongs
//! to. The only behaviour is printing (EXPLAIN), traversal, and stable identities ([`uid`], [`lineage`]).

pub mod aggregate;
pub mod explain;
pub mod expr;
pub mod growth;
pub mod lineage;
pub mod match_recognize;
pub mod node;
pub mod table;
pub mod uid;

pub use aggregate::{AggregateCall, WindowKind, WindowProperty, WindowSpec};
pub use expr::Expr;
pub use match_recognize::{
    MatchCondition, MatchSkip, MatchSpec, MatchVariable, Navigation, NavigationKind, RowsExprs,
};
pub use node::{
    ChangelogTraits, Distribution, JoinKind, Node, NodeId, Op, Plan, RankKind, RankRange, SortKey, TimeBounds,
};
pub use table::{MetadataColumn, ObjectIdentifier, ScanWatermark, TableSpec};

/// Version of the serialised form of [`Plan`]; raise it with every change that old readers would misread.
pub const PLAN_VERSION: u32 = 1;
