//! Aggregate calls and windows, as data.

use millstream_types::LogicalType;
use serde::{Deserialize, Serialize};

/// One aggregate function applied to columns of the input.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AggregateCall {
    /// Name under which `functions` declares it (`COUNT`, `SUM`).
    pub function: String,
    /// Input columns; empty for COUNT(*).
    pub args: Vec<usize>,
    /// Types of `args`, as the signature wants them (casts are done by the Calc below).
    pub arg_types: Vec<LogicalType>,
    pub distinct: bool,
    /// A BOOLEAN input column; rows where it is not TRUE are left out.
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
    /// `size_ms` is a multiple of `slide_ms`.
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

/// A window and how a row finds its place in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WindowSpec {
    pub kind: WindowKind,
    pub assign: WindowAssign,
    /// Event time (fires by watermark) or processing time (fires by clock).
    pub event_time: bool,
    /// The time column is TIMESTAMP_LTZ: windows are cut in the session's local wall time.
    pub local_time: bool,
}

/// How a window aggregate learns the window of a row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum WindowAssign {
    /// From a time column of the input.
    TimeColumn(usize),
    /// The rows carry window columns already (a cascade, a join): `window_start` if kept, and `window_end`.
    Attached { start: Option<usize>, end: usize },
}

/// A column that a window aggregate adds behind keys and aggregates.
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
    /// The distance after which slices repeat: every record touches exactly one slice of this length.
    pub fn slice_ms(self) -> Option<i64> {
        match self {
            Self::Tumble { size_ms, .. } => Some(size_ms),
            // The slide divides the size, so it is their greatest common divisor.
            Self::Hop { slide_ms, .. } => Some(slide_ms),
            Self::Cumulate { step_ms, .. } => Some(step_ms),
            Self::Session { .. } => None,
        }
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
