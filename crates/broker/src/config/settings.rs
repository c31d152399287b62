//! A topic's configurations as typed values.

use super::{ConfigSource, Configs, ResourceType, declaration};
use crate::limits::{INFLATED_BYTES_MAX, INFLATION_FACTOR};
use millstream_kafka_wire::compression::{Codec, CompressionLevels};
use millstream_log::LogSettings;
use std::collections::BTreeMap;

/// A topic's configurations, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicSettings {
    /// `max.message.bytes`
    pub max_message_bytes: usize,
    /// Whether `cleanup.policy` has `compact`.
    pub compact: bool,
    /// Whether `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub after_max_ms: i64,
    /// `compression.type`, `None` for `producer`
    pub compression: Option<Codec>,
    /// `compression.gzip.level` and `compression.zstd.level`
    pub compression_levels: CompressionLevels,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`
    pub min_cleanable_ratio: f64,
    /// Settings of its logs.
    pub log: LogSettings,
}

impl TopicSettings {
    /// Cap on the decompressed size of a produced batch.
    pub fn inflated_bytes_max(&self) -> usize {
        let limit = self.max_message_bytes.saturating_mul(INFLATION_FACTOR);
        limit.min(INFLATED_BYTES_MAX)
    }

    /// Resolves the configurations of a topic.
    pub fn resolve(configs: &Configs, set: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| -> String {
            let Some(decl) = declaration(ResourceType::Topic, name) else {
                return String::new();
            };
            let found = configs.effective(decl, set, ConfigSource::Topic);
            found.value.unwrap_or_default()
        };
        let long = |name: &str| text(name).parse::<i64>().unwrap_or_default();
        let int = |name: &str| i32::try_from(long(name)).unwrap_or_default();
        let unsigned = |name: &str| u64::try_from(long(name)).unwrap_or_default();
        let policy = text("cleanup.policy");
        let has = |word: &str| {
            policy
                .split(',')
                .any(|each| each.trim().eq_ignore_ascii_case(word))
        };
        let compact = has("compact");
        let max_compaction_lag_ms = long("max.compaction.lag.ms");
        // Only closed segments are compacted, so a segment must not stay open for longer than that.
        let segment_ms_max = if compact { max_compaction_lag_ms } else { i64::MAX };
        TopicSettings {
            max_message_bytes: usize::try_from(long("max.message.bytes")).unwrap_or_default(),
            compact,
            log_append_time: text("message.timestamp.type").eq_ignore_ascii_case("LogAppendTime"),
            before_max_ms: long("message.timestamp.before.max.ms"),
            after_max_ms: long("message.timestamp.after.max.ms"),
            compression: codec(&text("compression.type")),
            compression_levels: CompressionLevels {
                gzip: int("compression.gzip.level"),
                zstd: int("compression.zstd.level"),
            },
            delete_retention_ms: long("delete.retention.ms"),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            max_compaction_lag_ms,
            min_cleanable_ratio: text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            log: LogSettings {
                segment_bytes: unsigned("segment.bytes"),
                segment_ms: long("segment.ms").min(segment_ms_max),
                segment_jitter_ms: long("segment.jitter.ms"),
                index_interval_bytes: unsigned("index.interval.bytes"),
                retention_ms: long("retention.ms"),
                retention_bytes: long("retention.bytes"),
                delete: has("delete"),
            },
        }
    }
}

fn codec(name: &str) -> Option<Codec> {
    match name {
        "uncompressed" => Some(Codec::None),
        "gzip" => Some(Codec::Gzip),
        "snappy" => Some(Codec::Snappy),
        "lz4" => Some(Codec::Lz4),
        "zstd" => Some(Codec::Zstd),
        _ => None,
    }
}
