//! What can be wrong with a container file.

use std::io;

use millstream_types::limits::NESTING_DEPTH_MAX;

use super::BLOCK_BYTES_MAX;

/// Why a container cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("Not an Avro data file")]
    NoContainer,
    #[error(transparent)]
    Codec(#[from] AvroCodecError),
    #[error("the header has no schema")]
    NoSchema,
    #[error("the schema of the file cannot be read: {0}")]
    Schema(#[from] SchemaError),
    #[error("the header has too many entries")]
    HeaderEntries,
    #[error("a value of the header is too long")]
    HeaderValue,
    #[error("the file ends within it")]
    Truncated,
    #[error("invalid long encoding")]
    Long,
    #[error("its size is negative")]
    NegativeSize,
    #[error("a block is larger than {BLOCK_BYTES_MAX} bytes")]
    BlockSize,
    #[error("Invalid sync!")]
    Sync,
    #[error("its checksum does not fit")]
    Checksum,
    #[error("the block at byte {at} cannot be read: {cause}")]
    Block { at: u64, cause: Box<ContainerError> },
}

impl From<ContainerError> for io::Error {
    fn from(error: ContainerError) -> Self {
        match error {
            ContainerError::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// A codec that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AvroCodecError {
    #[error("not supported yet: Avro codec 'xz'; use null, deflate, snappy, bzip2 or zstandard")]
    Xz,
    /// Avro's words for a name that is none.
    #[error("Unrecognized codec: {0}; use null, deflate, snappy, bzip2 or zstandard")]
    Unknown(String),
}

/// What is wrong with the schema in a header.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("it is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it is nested deeper than {NESTING_DEPTH_MAX} levels")]
    Nesting,
    #[error("'{0}' is no Avro schema")]
    NoSchema(String),
    #[error("a {what} has no '{part}'")]
    Missing { what: &'static str, part: &'static str },
    #[error("Undefined name: {0}")]
    Undefined(String),
}

/// A written type that does not fit the column, in the words of Avro's `AvroTypeException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaMismatch {
    #[error("Found {found}, expecting {expected}")]
    Type {
        found: &'static str,
        expected: &'static str,
    },
    #[error("Found record, expecting record, missing required field {0}")]
    Field(String),
}
