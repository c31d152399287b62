//! The vocabulary of all crates: logical types, schemas, scalars, batches and control elements, declared options,
//! limits, and the traits through which code reaches time, randomness and storage.
//!
//! This crate does no work of its own: no parsing of SQL, no evaluation, no IO beyond [`storage::OsStorage`].

pub mod batch;
pub mod buffers;
pub mod calendar;
pub mod changelog;
pub mod clock;
pub mod declare;
pub mod error;
pub mod error_code;
pub mod failpoint;
pub mod java_hash;
pub mod java_text;
pub mod limits;
pub mod logical_type;
pub mod options;
pub mod records;
pub mod redact;
pub mod scalar;
pub mod schema;
pub mod storage;

pub use batch::{Batch, CheckpointId, Element, RowKind, Watermark};
pub use buffers::Buffers;
pub use changelog::ChangelogMode;
pub use clock::{Clock, ManualClock, Rng, SeededRng, SystemClock};
pub use declare::{
    ConnectorDecl, Declarations, FormatDecl, FormatUse, InvalidTable, MetadataDecl, SinkAdaptation,
    SourceAbilities, SourceWatermarks, TableDefinition,
};
pub use error::ErrorKind;
pub use error_code::{ERROR_CODES, EXAMPLE_TABLES, ErrorCode, ErrorCodeDecl};
pub use logical_type::{LogicalType, RowField, TimeAttribute, TypeFamily, TypeKind};
pub use options::{OptionDecl, OptionError, OptionType, Options};
pub use records::{RecordRows, Records, Routing};
pub use scalar::{
    NANOS_PER_MS, Scalar, map_array, scalars_to_array, struct_array, timestamp_millis, timestamp_nanos,
};
pub use schema::{Column, Schema, arrow_field, arrow_type};
