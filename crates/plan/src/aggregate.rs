//! Aggregate calls and windows as data.

use millstream_types::LogicalType;
use serde::{Deserialize, Serialize};

/// One aggregate function applied to columns of the input.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AggregateCall {
    /// Name under which `functions` declares it (`COUNT`, `SUM`).
    pub function: String,
    /// Input columns; empty for COUNT(*).
    pub args: Vec<usize>,
    /// Types of `args`, as the signature requires (casts are done by the Calc below).
    pub arg_types: Vec<LogicalType>,
    pub distinct: bool,
    /// A BOOLEAN input column. Rows where it is not TRUE are skipped.
    pub filter: Option<usize>,
    /// Ordering inside the aggregate (WITHIN GROUP), by input column and direction.
    pub order_by: Vec<(usize, bool)>,
    /// Constant arguments that are not columns (separator of LISTAGG, null handling of JSON_OBJECTAGG), in order.
    pub parameters: Vec<millstream_types::Scalar>,
    pub result: LogicalType,
    /// Name in EXPLAIN.
    pub name: String,
}

/// A window function's kind and sizes, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum WindowKind {
    Tumble {
        size_ms: i64,
        offset_ms: i64,
    },
    /// In a window table function of a streaming query, `size_ms` is a multiple of `slide_ms`.
    Hop {
        slide_ms: i64,
        size_ms: i64,
        offset_ms: i64,
    },
    /// `size_ms` is a multiple of `step_ms`.
    Cumulate {
        step_ms: i64,
        size_ms: i64,
        offset_ms: i64,
    },
    Session {
        gap_ms: i64,
    },
}

/// A window and how rows are assigned to it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WindowSpec {
    pub kind: WindowKind,
    pub assign: WindowAssign,
    /// Event time (fires by watermark) or processing time (fires by clock).
    pub event_time: bool,
    /// The time column is TIMESTAMP_LTZ: window boundaries follow the session's local time.
    pub local_time: bool,
}

/// How a window aggregate finds the window of a row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum WindowAssign {
    /// From a time column of the input.
    TimeColumn(usize),
    /// The rows already have window columns (from a cascade or a join): `window_start` if it is kept, and `window_end`.
    Attached { start: Option<usize>, end: usize },
}

/// A column that a window aggregate appends after keys and aggregates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum WindowProperty {
    /// `window_start`: TIMESTAMP(3), local wall time.
    Start,
    /// `window_end`: TIMESTAMP(3), local wall time.
    End,
    /// `window_time` = end − 1 ms: the time attribute.
    Time,
}

impl WindowKind {
    /// Whether windows belong to keys instead of times.
    pub fn is_session(self) -> bool {
        matches!(self, Self::Session { .. })
    }

    pub fn offset_ms(self) -> i64 {
        match self {
            Self::Tumble { offset_ms, .. }
            | Self::Hop { offset_ms, .. }
            | Self::Cumulate { offset_ms, .. } => offset_ms,
            Self::Session { .. } => 0,
        }
    }
}
