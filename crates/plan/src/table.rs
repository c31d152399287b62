//! Tables as the engine sees them: resolved columns and options, without a catalog.

use std::fmt;

use millstream_types::{LogicalType, Options, Schema};
use serde::{Deserialize, Serialize};

use crate::expr::Expr;

/// `catalog.database.object`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ObjectIdentifier {
    pub catalog: String,
    pub database: String,
    pub name: String,
}

impl fmt::Display for ObjectIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.database, self.name)
    }
}

/// A table with a connector, as sources and sinks receive it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TableSpec {
    pub identifier: ObjectIdentifier,
    /// The WITH clause, merged with OPTIONS hints; includes `connector`.
    pub options: Options,
    /// Physical columns, in order of declaration.
    pub physical: Schema,
    /// Positions of the primary key in `physical`.
    pub primary_key: Vec<usize>,
    /// Names of the partition columns.
    pub partition_keys: Vec<String>,
}

/// A metadata column that is read or written.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MetadataColumn {
    /// Key in the connector's declaration (`timestamp`, `value.ingestion-timestamp`).
    pub key: String,
    /// The type that the connector produces or accepts for the key.
    pub ty: LogicalType,
}

/// A watermark that the source generates itself, separately for each split.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ScanWatermark {
    /// Reads the columns that the scan produces. The type is TIMESTAMP(3) or TIMESTAMP_LTZ(3); NULL rows are skipped.
    pub expr: Expr,
    /// Milliseconds after which an idle split no longer holds back the watermark; 0: never.
    pub idle_timeout_ms: i64,
    /// Milliseconds between two watermarks; 0: after every record.
    pub interval_ms: i64,
}
