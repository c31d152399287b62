//! Connector `filesystem`: directories of files, Hive-style partition directories. Files hold one record a line, those of
//! format `avro` are containers.
//!
//! The source reads what is there when it starts (or keeps looking, with `source.monitor-interval`); the sink writes
//! under hidden names and renames when a checkpoint or the end of the input makes the rows final.

pub mod lines;
pub mod partition;
pub mod reader;
pub mod sink;
pub mod source;

use millstream_dataflow::DataflowError;
use millstream_formats::avro::{AvroCodec, AvroCodecError, AvroOptions};
use millstream_types::{
    ChangelogMode, ConnectorDecl, ErrorKind, FormatUse, LogicalType, MetadataDecl, OptionDecl, OptionType,
    Options, SinkAdaptation, SourceAbilities, TypeKind,
};

use crate::table_error::FilesystemError;

/// Default of `partition.default-name`, the directory name for NULL and empty partition values.
pub const DEFAULT_PARTITION: &str = "__DEFAULT_PARTITION__";

/// The format whose files are containers.
const AVRO: &str = "avro";
const AVRO_CODEC: &str = "avro.codec";

const fn string(key: &'static str, doc: &'static str) -> OptionDecl {
    OptionDecl::new(key, OptionType::String, doc)
}

const fn duration(key: &'static str, doc: &'static str) -> OptionDecl {
    OptionDecl::new(key, OptionType::Duration, doc)
}

const OPTIONS: &[OptionDecl] = &[
    string("path", "Directory or file; a path or a file: URI.").required(),
    string(
        "partition.default-name",
        "Directory name for NULL and empty partition values.",
    )
    .with_default(DEFAULT_PARTITION),
    duration(
        "source.monitor-interval",
        "Interval at which to look for new files; makes the table unbounded.",
    ),
    string(
        "source.report-statistics",
        "Accepted for compatibility with Flink; has no effect.",
    ),
    string(
        "source.path.regex-pattern",
        "A regular expression; only files whose full path matches are read.",
    ),
    OptionDecl::new(
        "sink.rolling-policy.file-size",
        OptionType::MemorySize,
        "Size at which a file is closed.",
    )
    .with_default("128 mb"),
    duration(
        "sink.rolling-policy.rollover-interval",
        "Age at which a file is closed.",
    )
    .with_default("30 min"),
    duration(
        "sink.rolling-policy.inactivity-interval",
        "Time without writes after which a file is closed.",
    )
    .with_default("30 min"),
    duration(
        "sink.rolling-policy.check-interval",
        "Interval at which the rolling policy is checked.",
    )
    .with_default("1 min"),
    OptionDecl::new(
        "sink.shuffle-by-partition.enable",
        OptionType::Boolean,
        "Accepted for compatibility with Flink; has no effect.",
    )
    .with_default("false"),
    OptionDecl::new(
        "auto-compaction",
        OptionType::Boolean,
        "Whether one instance writes all files of a checkpoint, so that no small files need merging.",
    )
    .with_default("false"),
    OptionDecl::new(
        "compaction.file-size",
        OptionType::MemorySize,
        "Accepted for compatibility with Flink; has no effect.",
    ),
    OptionDecl::new("sink.parallelism", OptionType::Int, "Parallelism of the sink."),
    OptionDecl::new(
        "sink.partition-commit.trigger",
        OptionType::Enum(&["process-time", "partition-time"]),
        "When a partition is committed; only process-time is supported.",
    )
    .with_default("process-time"),
    duration(
        "sink.partition-commit.delay",
        "Delay between the last finished file of a partition and its commit.",
    )
    .with_default("0 s"),
    string(
        "sink.partition-commit.watermark-time-zone",
        "Accepted for compatibility with Flink; has no effect.",
    )
    .with_default("UTC"),
    string(
        "sink.partition-commit.policy.kind",
        "How a partition is committed: success-file, or not at all.",
    ),
    string(
        "sink.partition-commit.success-file.name",
        "Name of the success file.",
    )
    .with_default("_SUCCESS"),
    string(
        AVRO_CODEC,
        "Compression of the blocks of Avro files: null, deflate, snappy, bzip2 or zstandard.",
    )
    .with_default("snappy"),
    string(
        "partition.time-extractor.*",
        "Accepted for compatibility with Flink; has no effect.",
    ),
];

fn not_null(kind: TypeKind) -> LogicalType {
    LogicalType::not_null(kind)
}

const METADATA: &[MetadataDecl] = &[
    MetadataDecl {
        key: "file.path",
        ty: || LogicalType::STRING.with_nullable(false),
        writable: false,
        doc: "Full path of the file.",
    },
    MetadataDecl {
        key: "file.name",
        ty: || LogicalType::STRING.with_nullable(false),
        writable: false,
        doc: "Last part of the path.",
    },
    MetadataDecl {
        key: "file.size",
        ty: || not_null(TypeKind::BigInt),
        writable: false,
        doc: "Size in bytes.",
    },
    MetadataDecl {
        key: "file.modification-time",
        ty: || LogicalType::timestamp_ltz(3).with_nullable(false),
        writable: false,
        doc: "Time of the last modification.",
    },
];

/// The declaration of connector `filesystem`.
pub const DECLARATION: ConnectorDecl = ConnectorDecl {
    identifier: "filesystem",
    doc: "Files in directories, one record per line.",
    options: OPTIONS,
    metadata: METADATA,
    formats: FormatUse::Value,
    source: Some(ChangelogMode::INSERT_ONLY),
    sink: Some(ChangelogMode::INSERT_ONLY),
    source_abilities: SourceAbilities {
        limits: true,
        ..SourceAbilities::NONE
    },
    sink_adaptation: SinkAdaptation::Fixed,
    strict: false,
    bounded: |options| !options.contains_key("source.monitor-interval"),
    validate: |table| {
        let refuse = |key, only| match table.options.get(key) {
            Some(value) if !value.eq_ignore_ascii_case(only) => Err(FilesystemError::Value {
                key,
                value: value.clone(),
                only,
            }),
            _ => Ok(()),
        };
        if table.options.get("format").is_some_and(|format| format == AVRO) {
            codec(table.options.get(AVRO_CODEC)).map_err(FilesystemError::from)?;
            if table
                .options
                .get("avro.encoding")
                .is_some_and(|encoding| encoding != "binary")
            {
                return Err(FilesystemError::AvroEncoding.into());
            }
        }
        if table.partition_keys.is_empty() {
            return Ok(());
        }
        refuse("sink.partition-commit.trigger", "process-time")?;
        let policies = table
            .options
            .get("sink.partition-commit.policy.kind")
            .map_or("", String::as_str);
        let is_known = |policy: &&str| matches!(*policy, "success-file" | "metastore" | "custom");
        if let Some(policy) = policies
            .split(',')
            .map(str::trim)
            .find(|p| !p.is_empty() && !is_known(p))
        {
            return Err(FilesystemError::Policy(policy.to_owned()).into());
        }
        Ok(refuse("sink.partition-commit.policy.kind", "success-file")?)
    },
};

/// The options of a format whose files are containers; `None` for one with a record a line.
fn container_format(format: &(String, Options)) -> Result<Option<AvroOptions>, DataflowError> {
    let (name, options) = format;
    if name != AVRO {
        return Ok(None);
    }
    let options = AvroOptions::parse(options);
    options
        .map(Some)
        .map_err(|e| DataflowError::new(ErrorKind::Input, e.to_string()))
}

fn codec(name: Option<&String>) -> Result<AvroCodec, AvroCodecError> {
    name.map_or(Ok(AvroCodec::Snappy), |name| AvroCodec::parse(name))
}

/// A table's path without the scheme of a `file:` URI.
pub fn local_path(path: &str) -> Result<&str, FilesystemError> {
    if let Some(rest) = path.strip_prefix("file:") {
        return Ok(rest.strip_prefix("//").unwrap_or(rest));
    }
    match path.split_once("://") {
        Some((scheme, _)) => Err(FilesystemError::Scheme {
            scheme: scheme.to_owned(),
            path: path.to_owned(),
        }),
        None => Ok(path),
    }
}
