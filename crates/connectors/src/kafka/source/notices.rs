//! How far behind a source is, and what it waits for.

use millstream_dataflow::SourceNotice;
use millstream_kafka_client::TopicPartition;
use millstream_types::Watermark;

use super::KafkaSource;

/// A wait that takes longer is worth a notice.
const NOTICE_AFTER_MS: i64 = 5_000;

impl KafkaSource {
    /// Records between the positions and the ends that the brokers reported last.
    pub(super) fn lag(&self) -> Option<u64> {
        let ends = self.fetcher.as_ref()?.ends();
        let left = |(partition, end): &(TopicPartition, i64)| {
            let position = self.splits.get(partition)?.position;
            u64::try_from(end - position).ok()
        };
        Some(ends.iter().filter_map(left).sum())
    }

    pub(super) fn waits_for(&self) -> Option<SourceNotice> {
        let now_ms = self.clock.now_ms();
        let Some(fetcher) = &self.fetcher else {
            let servers = self.resolver.config.connection.bootstrap_servers.join(", ");
            let waits = now_ms.saturating_sub(self.looking_since_ms) >= NOTICE_AFTER_MS;
            return waits.then(|| SourceNotice::Waiting(format!("waiting for Kafka at {servers}")));
        };
        if let Some(reason) = fetcher.trouble() {
            return Some(SourceNotice::Waiting(reason.to_string()));
        }
        let watermarks = &self.watermark.as_ref()?.1;
        let (partition, silent_ms, is_behind) = watermarks.slowest(now_ms)?;
        let is_silent = silent_ms >= NOTICE_AFTER_MS && !self.splits.get(partition)?.is_done();
        let watermark = watermarks.split_watermark(partition).unwrap_or(Watermark::MIN);
        is_silent.then(|| SourceNotice::Silent {
            split: partition.to_string(),
            silent_ms,
            watermark: watermark.0,
            is_behind,
        })
    }
}
