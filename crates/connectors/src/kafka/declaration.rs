//! The declaration of connector `kafka`: options and metadata columns, with their documentation.

use millstream_types::{
    ChangelogMode, ConnectorDecl, FormatUse, LogicalType, MetadataDecl, OptionDecl, OptionType, TypeKind,
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
        "Topics to read, or the topic to write; several are separated by ';'.",
    ),
    option(
        "topic-pattern",
        OptionType::String,
        "A regular expression; topics whose whole name matches are read.",
    ),
    option(
        "properties.*",
        OptionType::String,
        "Client properties; properties.bootstrap.servers names the cluster. Without it the broker inside is used.",
    ),
    option("format", OptionType::String, "Format of the value."),
    option(
        "value.format",
        OptionType::String,
        "Format of the value, when the key has one too.",
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
        "Prefix of key columns that the key itself lacks.",
    )
    .with_default(""),
    option(
        "value.fields-include",
        OptionType::Enum(&["ALL", "EXCEPT_KEY"]),
        "Whether key columns are in the value too.",
    )
    .with_default("ALL"),
    option(
        "scan.startup.mode",
        OptionType::Enum(STARTUP_MODES),
        "Where reading starts.",
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
        "Where reading starts, with mode timestamp.",
    ),
    option(
        "scan.bounded.mode",
        OptionType::Enum(BOUNDED_MODES),
        "Where reading ends.",
    )
    .with_default("unbounded"),
    option(
        "scan.bounded.specific-offsets",
        OptionType::String,
        "As scan.startup.specific-offsets.",
    ),
    option(
        "scan.bounded.timestamp-millis",
        OptionType::Long,
        "Where reading ends, with mode timestamp.",
    ),
    option(
        "scan.topic-partition-discovery.interval",
        OptionType::Duration,
        "How often new partitions are looked for; 0 never.",
    )
    .with_default("5 min"),
    option("scan.parallelism", OptionType::Int, "Instances of the source."),
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
        "After how long a silent partition no longer holds back watermarks.",
    ),
    option(
        "scan.watermark.alignment.group",
        OptionType::String,
        "Name of a group of sources that keep together in event time.",
    ),
    option(
        "scan.watermark.alignment.max-drift",
        OptionType::Duration,
        "How far a source may run ahead of its group.",
    ),
    option(
        "scan.watermark.alignment.update-interval",
        OptionType::Duration,
        "How often the group is looked at.",
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
        "What a restart may do to rows.",
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
        "How transactional ids are made.",
    )
    .with_default("INCREMENTING"),
    option("sink.parallelism", OptionType::Int, "Instances of the sink."),
    option(
        "sink.buffer-flush.max-rows",
        OptionType::Int,
        "upsert-kafka: keys that wait to be written, only the last row of each; 0 writes every row.",
    )
    .with_default("0"),
    option(
        "sink.buffer-flush.interval",
        OptionType::Duration,
        "upsert-kafka: how long keys wait at most.",
    )
    .with_default("0"),
    option("property-version", OptionType::Int, "Accepted for Flink's sake."),
];

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
        ty: || {
            LogicalType::map(
                LogicalType::STRING.with_nullable(false),
                LogicalType::BYTES.with_nullable(false),
            )
            .with_nullable(false)
        },
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

/// What connector `upsert-kafka` takes of [`OPTIONS`].
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
    doc: "Topics whose records are the newest rows of their keys; a record without a value deletes.",
    options: &UPSERT_OPTIONS,
    formats: FormatUse::KeyAndValueRequired,
    source: Some(ChangelogMode::UPSERT),
    sink: Some(ChangelogMode::UPSERT),
    ..DECLARATION
};

/// The declaration of connector `kafka`.
pub const DECLARATION: ConnectorDecl = ConnectorDecl {
    identifier: "kafka",
    doc: "Topics of the broker inside, or of any Kafka.",
    options: OPTIONS,
    metadata: METADATA,
    formats: FormatUse::KeyAndValue,
    source: Some(ChangelogMode::INSERT_ONLY),
    sink: Some(ChangelogMode::INSERT_ONLY),
    strict: true,
    bounded: |options| {
        options
            .get("scan.bounded.mode")
            .is_some_and(|m| !m.eq_ignore_ascii_case("unbounded"))
    },
    validate: |table| KafkaTable::parse(table).map(|_| ()),
};
