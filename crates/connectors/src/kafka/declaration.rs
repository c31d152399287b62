//! The declaration of connector `kafka`: options and metadata columns, with their documentation.

use millstream_types::{
    ChangelogMode, ConnectorDecl, FormatUse, LogicalType, MetadataDecl, OptionDecl, OptionType,
    SinkAdaptation, SourceAbilities, SourceWatermarks, TypeKind,
};

use super::options::KafkaTable;

const fn option(key: &'static str, ty: OptionType, doc: &'static str) -> OptionDecl {
    OptionDecl::new(key, ty, doc)
}

const STARTUP_MODES: &[&str] = &[
    "earliest-offset",
    "latest-offset",
    "group-offsets",
    "timestamp",
    "specific-offsets",
];
const BOUNDED_MODES: &[&str] = &[
    "unbounded",
    "latest-offset",
    "group-offsets",
    "timestamp",
    "specific-offsets",
];

pub(super) const OPTIONS: &[OptionDecl] = &[
    option(
        "topic",
        OptionType::List,
        "Topics to read, separated by ';', or the topic to write.",
    ),
    option(
        "topic-pattern",
        OptionType::String,
        "A regular expression; reads the topics whose full name matches.",
    ),
    option(
        "properties.*",
        OptionType::String,
        "Kafka client properties; properties.bootstrap.servers names the cluster. The default is the embedded broker.",
    ),
    option("format", OptionType::String, "Format of the value."),
    option(
        "value.format",
        OptionType::String,
        "Format of the value, if the key has a format as well.",
    ),
    option("key.format", OptionType::String, "Format of the key."),
    option(
        "key.fields",
        OptionType::List,
        "Columns that make up the key, separated by ';'.",
    )
    .with_default(""),
    option(
        "key.fields-prefix",
        OptionType::String,
        "Prefix of the key columns, which is not part of the field names in the key.",
    )
    .with_default(""),
    option(
        "value.fields-include",
        OptionType::Enum(&["ALL", "EXCEPT_KEY"]),
        "Whether the value contains the key columns.",
    )
    .with_default("ALL"),
    option(
        "scan.startup.mode",
        OptionType::Enum(STARTUP_MODES),
        "Where to start reading.",
    )
    .with_default("group-offsets"),
    option(
        "scan.startup.specific-offsets",
        OptionType::String,
        "partition:0,offset:42;partition:1,offset:300",
    ),
    option(
        "scan.startup.timestamp-millis",
        OptionType::Long,
        "Where to start reading in mode timestamp.",
    ),
    option(
        "scan.bounded.mode",
        OptionType::Enum(BOUNDED_MODES),
        "Where to stop reading.",
    )
    .with_default("unbounded"),
    option(
        "scan.bounded.specific-offsets",
        OptionType::String,
        "Like scan.startup.specific-offsets.",
    ),
    option(
        "scan.bounded.timestamp-millis",
        OptionType::Long,
        "Where to stop reading in mode timestamp.",
    ),
    option(
        "scan.topic-partition-discovery.interval",
        OptionType::Duration,
        "Interval for discovering new partitions; 0 disables discovery.",
    )
    .with_default("5 min"),
    option("scan.parallelism", OptionType::Int, "Parallelism of the source."),
    option(
        "scan.watermark.emit.strategy",
        OptionType::Enum(&["on-event", "on-periodic"]),
        "When watermarks are emitted.",
    )
    .with_default("on-periodic"),
    option(
        "scan.watermark.emit.on-event.gap",
        OptionType::Int,
        "Records between two watermarks with strategy on-event.",
    )
    .with_default("1"),
    option(
        "scan.watermark.idle-timeout",
        OptionType::Duration,
        "Time without records after which a partition no longer holds back the watermark.",
    ),
    option(
        "scan.watermark.alignment.group",
        OptionType::String,
        "Name of a group of sources whose watermarks are aligned.",
    ),
    option(
        "scan.watermark.alignment.max-drift",
        OptionType::Duration,
        "Maximum lead of a source over its group.",
    ),
    option(
        "scan.watermark.alignment.update-interval",
        OptionType::Duration,
        "Interval at which the alignment is updated.",
    )
    .with_default("1 s"),
    option(
        "sink.partitioner",
        OptionType::String,
        "default, fixed or round-robin.",
    )
    .with_default("default"),
    option(
        "sink.delivery-guarantee",
        OptionType::Enum(&["none", "at-least-once", "exactly-once"]),
        "Delivery guarantee across restarts.",
    )
    .with_default("at-least-once"),
    option(
        "sink.semantic",
        OptionType::Enum(&["none", "at-least-once", "exactly-once"]),
        "Old name of sink.delivery-guarantee.",
    ),
    option(
        "sink.transactional-id-prefix",
        OptionType::String,
        "Prefix of transactional ids; required for exactly-once.",
    ),
    option(
        "sink.transaction-naming-strategy",
        OptionType::Enum(&["INCREMENTING", "POOLING"]),
        "How transactional ids are chosen.",
    )
    .with_default("INCREMENTING"),
    option("sink.parallelism", OptionType::Int, "Parallelism of the sink."),
    option(
        "sink.buffer-flush.max-rows",
        OptionType::Int,
        "upsert-kafka: maximum number of buffered keys, of which only the last row is written; 0 disables buffering.",
    )
    .with_default("0"),
    option(
        "sink.buffer-flush.interval",
        OptionType::Duration,
        "upsert-kafka: maximum time for which rows are buffered.",
    )
    .with_default("0"),
    option("property-version", OptionType::Int, "Accepted for compatibility with Flink; has no effect."),
];

/// The type of the headers of a record.
pub fn headers_type() -> LogicalType {
    LogicalType::map(
        LogicalType::STRING.with_nullable(false),
        LogicalType::BYTES.with_nullable(false),
    )
    .with_nullable(false)
}

const METADATA: &[MetadataDecl] = &[
    MetadataDecl {
        key: "topic",
        ty: || LogicalType::STRING.with_nullable(false),
        writable: true,
        doc: "Topic of the record.",
    },
    MetadataDecl {
        key: "partition",
        ty: || LogicalType::not_null(TypeKind::Int),
        writable: false,
        doc: "Partition of the record.",
    },
    MetadataDecl {
        key: "headers",
        ty: headers_type,
        writable: true,
        doc: "Headers of the record.",
    },
    MetadataDecl {
        key: "leader-epoch",
        ty: || LogicalType::INT,
        writable: false,
        doc: "Leader epoch of the record.",
    },
    MetadataDecl {
        key: "offset",
        ty: || LogicalType::not_null(TypeKind::BigInt),
        writable: false,
        doc: "Offset of the record.",
    },
    MetadataDecl {
        key: "timestamp",
        ty: || LogicalType::timestamp_ltz(3).with_nullable(false),
        writable: true,
        doc: "Timestamp of the record.",
    },
    MetadataDecl {
        key: "timestamp-type",
        ty: || LogicalType::STRING.with_nullable(false),
        writable: false,
        doc: "NoTimestampType, CreateTime or LogAppendTime.",
    },
];

/// The subset of [`OPTIONS`] that connector `upsert-kafka` accepts.
const UPSERT_KEYS: [&str; 18] = [
    "topic",
    "properties.*",
    "value.format",
    "key.format",
    "key.fields-prefix",
    "value.fields-include",
    "scan.bounded.mode",
    "scan.bounded.specific-offsets",
    "scan.bounded.timestamp-millis",
    "scan.topic-partition-discovery.interval",
    "scan.parallelism",
    "sink.delivery-guarantee",
    "sink.transactional-id-prefix",
    "sink.transaction-naming-strategy",
    "sink.parallelism",
    "sink.buffer-flush.max-rows",
    "sink.buffer-flush.interval",
    "property-version",
];

const UPSERT_OPTIONS: [OptionDecl; UPSERT_KEYS.len()] = {
    let mut chosen = [OPTIONS[0]; UPSERT_KEYS.len()];
    let mut place = 0;
    while place < UPSERT_KEYS.len() {
        let mut candidate = 0;
        while !is_same(OPTIONS[candidate].key, UPSERT_KEYS[place]) {
            candidate += 1;
        }
        chosen[place] = OPTIONS[candidate];
        place += 1;
    }
    chosen
};

/// `a == b` at compile time.
const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// The declaration of connector `upsert-kafka`.
pub const UPSERT_DECLARATION: ConnectorDecl = ConnectorDecl {
    identifier: "upsert-kafka",
    doc: "Topics as tables with a primary key: a record replaces the row of its key, a tombstone deletes it.",
    options: &UPSERT_OPTIONS,
    formats: FormatUse::KeyAndValueRequired,
    source: Some(ChangelogMode::UPSERT),
    sink: Some(ChangelogMode::UPSERT),
    ..DECLARATION
};

/// The declaration of connector `kafka`.
pub const DECLARATION: ConnectorDecl = ConnectorDecl {
    identifier: "kafka",
    doc: "Topics of the embedded broker or of any Kafka cluster.",
    options: OPTIONS,
    metadata: METADATA,
    formats: FormatUse::KeyAndValue,
    source: Some(ChangelogMode::INSERT_ONLY),
    sink: Some(ChangelogMode::INSERT_ONLY),
    source_abilities: SourceAbilities {
        watermarks: SourceWatermarks::PerSplit,
        shared_across_filters: true,
        ..SourceAbilities::NONE
    },
    sink_adaptation: SinkAdaptation::Fixed,
    strict: true,
    bounded: |options| {
        options
            .get("scan.bounded.mode")
            .is_some_and(|m| !m.eq_ignore_ascii_case("unbounded"))
    },
    validate: |table| {
        KafkaTable::parse(table)?;
        Ok(())
    },
};
