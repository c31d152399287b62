//! Why a connector refuses a table's definition.

use millstream_dataflow::DataflowError;
use millstream_types::{ErrorKind, LogicalType, OptionError, TypeKind};

/// Why a connector refuses a table's definition. The sentences are Flink's where Flink has one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error("could not parse value '{value}' for key '{key}'")]
    Value { key: String, value: String },
    #[error("invalid value '{value}' for option '{key}'")]
    FieldValue { key: String, value: String },
    #[error(transparent)]
    Datagen(#[from] DatagenError),
    #[error(transparent)]
    Filesystem(#[from] FilesystemError),
    #[error("a stream of upserts needs a primary key, and '{0}' declares none")]
    UpsertStreamKey(String),

    #[error(transparent)]
    Format(#[from] millstream_formats::FormatError),
    #[error("the key format of table '{table}' cannot be used: {cause}")]
    KeyFormat {
        table: String,
        cause: millstream_formats::FormatError,
    },
    #[error("could not find required option 'format' or 'value.format' of table '{0}'")]
    NoFormat(String),
    #[error("missing required options are: 'key.format' and 'value.format'")]
    NoUpsertFormats,
    #[error(
        "the Kafka table '{0}' with a format that produces insertions only doesn't support defining a PRIMARY KEY constraint \
         on the table, because it can't guarantee the semantic of primary key; leave the primary key out, or use \
         connector 'upsert-kafka'"
    )]
    PrimaryKey(String),
    #[error(
        "'upsert-kafka' tables require to define a PRIMARY KEY constraint. The PRIMARY KEY specifies which columns should \
         be read from or write to the Kafka message key. The PRIMARY KEY also defines records in the 'upsert-kafka' \
         table should update or delete on which keys."
    )]
    NoPrimaryKey,
    #[error(
        "'upsert-kafka' connector doesn't support '{format}' as {part} format, because '{format}' is not in insert-only mode."
    )]
    UpsertFormat { format: String, part: &'static str },
    #[error("a key format should only deal with INSERT-only records, but '{0}' has a changelog of its own")]
    KeyChangelog(String),
    #[error(
        "a key format 'key.format' requires the declaration of one or more of key fields using 'key.fields'"
    )]
    NoKeyFields,
    #[error("the option 'key.fields' can only be declared if a key format is defined using 'key.format'")]
    NoKeyFormat,
    #[error(
        "a key prefix is not allowed when option 'value.fields-include' is set to 'ALL'; set it to 'EXCEPT_KEY' to use the \
         prefix '{0}'"
    )]
    KeyPrefix(String),
    #[error(
        "all fields in 'key.fields' must be prefixed with '{prefix}' when option 'key.fields-prefix' is set but field \
         '{field}' is not prefixed"
    )]
    NotPrefixed { prefix: String, field: String },
    #[error(
        "could not find the field '{field}' in the table schema for usage in the key format; columns are: {}",
        .columns.join(", ")
    )]
    NoKeyColumn { field: String, columns: Vec<String> },
    #[error("'{key}' is required in '{mode}' mode of '{mode_key}' but missing")]
    NoModeOption {
        key: &'static str,
        mode: &'static str,
        mode_key: &'static str,
    },
    #[error(
        "invalid properties '{key}' should follow the format 'partition:0,offset:42;partition:1,offset:300', but is '{text}'"
    )]
    Offsets { key: &'static str, text: String },
    #[error("option 'topic' and 'topic-pattern' shouldn't be set together")]
    TopicAndPattern,
    #[error("either 'topic' or 'topic-pattern' must be set")]
    NoTopic,
    #[error("option 'topic' names no topic")]
    EmptyTopic,
    #[error("currently Kafka source only supports specific offset for single topic")]
    OffsetsOfTopics,
    #[error("'sink.transactional-id-prefix' must be specified when using DeliveryGuarantee.EXACTLY_ONCE")]
    NoTransactionalIdPrefix,
    #[error("currently 'round-robin' partitioner only works when option 'key.fields' is not specified")]
    RoundRobinWithKey,
    #[error(
        "could not find and instantiate partitioner class '{0}': Java classes cannot be loaded; use default, fixed or \
         round-robin"
    )]
    PartitionerClass(String),
    #[error("'{0}' and '{1}' must be set together")]
    Together(&'static str, &'static str),
    #[error(
        "'sink.buffer-flush.max-rows' and 'sink.buffer-flush.interval' must be set to be greater than zero together to \
         enable sink buffer flushing."
    )]
    BufferFlush,
}

/// What connector `datagen` cannot generate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagenError {
    #[error("unsupported options found for 'datagen'. unsupported options: {0}")]
    UnknownField(String),
    #[error("invalid bounds of field '{field}': lower bound ({low}) is above upper bound ({high})")]
    Bounds {
        field: String,
        low: String,
        high: String,
    },
    #[error(
        "invalid bounds of field '{field}': min bound, the lower bound ({low}), must be less than max, the upper bound \
         ({high})"
    )]
    StrictBounds {
        field: String,
        low: String,
        high: String,
    },
    #[error("unsupported generator kind: '{kind}' of option '{key}'")]
    Kind { kind: String, key: String },
    #[error("unsupported type {ty} of field '{field}' for connector 'datagen'")]
    Type { ty: LogicalType, field: String },
    #[error("Custom length for fixed-length type (CHAR/BINARY) field '{0}' is not supported.")]
    FixedLength(String),
    #[error(
        "Custom length '{length}' for variable-length type (VARCHAR/STRING/VARBINARY/BYTES) field '{field}' should be \
         shorter than '{declared}' defined in the schema."
    )]
    Length {
        length: usize,
        field: String,
        declared: usize,
    },
    #[error("Unsupported options found for 'datagen': '{key}' = 'sequence' does not go with type {ty}")]
    Sequence { key: String, ty: TypeKind },
    #[error("could not find required property '{0}' for sequence generator")]
    NoBound(String),
    #[error("the start value ({start}) of field '{field}' is above its end value ({end})")]
    SequenceBounds { field: String, start: i64, end: i64 },
}

/// What connector `filesystem` cannot do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilesystemError {
    #[error("not supported yet: '{key}' = '{value}' of connector 'filesystem'; use '{only}'")]
    Value {
        key: &'static str,
        value: String,
        only: &'static str,
    },
    #[error("option 'avro.encoding' does not apply to files: containers are binary; remove it")]
    AvroEncoding,
    #[error(transparent)]
    AvroCodec(#[from] millstream_formats::avro::AvroCodecError),
    #[error("Unsupported policy: {0} in 'sink.partition-commit.policy.kind'; use 'success-file'")]
    Policy(String),
    #[error(
        "could not find a file system implementation for scheme '{scheme}' of path '{path}'; use a local path"
    )]
    Scheme { scheme: String, path: String },
    #[error("partition value '{value}' is no {ty}")]
    PartitionValue { value: String, ty: TypeKind },
    #[error("a partition column of type {0} cannot be read")]
    PartitionType(TypeKind),
}

impl From<TableError> for DataflowError {
    fn from(error: TableError) -> Self {
        Self::new(ErrorKind::Input, error.to_string())
    }
}

impl From<FilesystemError> for DataflowError {
    fn from(error: FilesystemError) -> Self {
        Self::new(ErrorKind::Input, error.to_string())
    }
}
