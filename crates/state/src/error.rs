//! Why state could not be read, kept or written.

/// An error of a state table or of a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Bytes of a snapshot that do not say what they should.
    #[error("state '{block}' is corrupt: {reason}")]
    Corrupt { block: String, reason: String },
    /// Written by a version that this build does not read.
    #[error(
        "'{block}' has version {version}, this build reads version {supported}; use the version of Millstream that wrote it"
    )]
    Version {
        block: String,
        version: u32,
        supported: u32,
    },
    /// A snapshot of other columns than the table has.
    #[error("state of {found} does not fit the operator, which keeps {expected}")]
    Shape { expected: String, found: String },
    /// A key column type that state cannot hold.
    #[error("columns of type {0} cannot be state keys")]
    KeyType(arrow_schema::DataType),
    /// A named limit was reached.
    #[error("state limit '{limit}' of {value} is reached; raise parallelism or set 'table.exec.state.ttl'")]
    Limit { limit: &'static str, value: usize },
    /// Restored state has records on disk, and there is no directory for them.
    #[error("the state has a part that was moved to disk, and no directory is set for it; set 'io.tmp.dirs'")]
    NoSpill,
    #[error("a column computation on state failed")]
    Arrow(#[from] arrow_schema::ArrowError),
    #[error("cannot {action} '{path}'")]
    Storage {
        action: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
}

impl StateError {
    pub fn corrupt(block: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            block: block.into(),
            reason: reason.into(),
        }
    }
}
