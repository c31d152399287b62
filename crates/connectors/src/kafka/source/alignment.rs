//! Watermarks of partitions, and partitions that wait for other sources of the job (`scan.watermark.alignment.group`).

use std::collections::BTreeSet;

use millstream_dataflow::DataflowError;
use millstream_dataflow::watermark::SplitWatermarks;
use millstream_expr::CompiledExpr;
use millstream_kafka_client::TopicPartition;

use super::{KafkaSource, KafkaSourceFactory};

/// The expression of the watermark, and those of the partitions.
type Watermarks = (CompiledExpr, SplitWatermarks<TopicPartition>);

impl KafkaSourceFactory {
    /// What an instance makes watermarks with, if the table declares them.
    pub(super) fn watermarks(&self) -> Result<Option<Watermarks>, DataflowError> {
        let Some(declared) = &self.spec.watermark else {
            return Ok(None);
        };
        let expr =
            CompiledExpr::compile(&declared.expr).map_err(|e| DataflowError::internal(e.to_string()))?;
        let idle = self.table.watermark_idle_timeout_ms;
        let interval = if self.table.watermark_on_event {
            0
        } else {
            declared.interval_ms
        };
        let alignment = self.table.watermark_alignment.clone();
        let member = alignment.map(|settings| self.context.alignment.join(settings));
        let watermarks = SplitWatermarks::new(interval, idle.unwrap_or(declared.idle_timeout_ms));
        Ok(Some((expr, watermarks.aligned(member))))
    }
}

/// The name of a partition for the program around.
pub(super) fn split_name(partition: &TopicPartition) -> String {
    format!("{}-{}", partition.topic.as_str(), partition.partition)
}

impl KafkaSource {
    /// The place of the next records that are to be read now.
    pub(super) fn next_event(&self) -> Option<usize> {
        let mut events = self.events.iter();
        events.position(|event| !self.paused.contains(&event.partition))
    }

    /// From now on, these partitions wait and all others are read.
    fn pause(&mut self, paused: BTreeSet<TopicPartition>) {
        if let Some(fetcher) = self.fetcher.as_ref().filter(|_| paused != self.paused) {
            paused.difference(&self.paused).for_each(|p| fetcher.pause(p));
            self.paused.difference(&paused).for_each(|p| fetcher.resume(p));
            self.paused = paused;
        }
    }

    /// Lets partitions wait that are too far ahead of the other sources of the group.
    pub(super) fn align(&mut self, now_ms: i64) {
        if let Some((_, watermarks)) = &mut self.watermark {
            let paused = watermarks.paused(now_ms);
            self.pause(paused);
        }
    }

    /// As [`Self::pause`], by the names that the program around knows.
    pub(super) fn pause_named(&mut self, paused: &BTreeSet<String>) {
        let paused = self.splits.keys().filter(|p| paused.contains(&split_name(p)));
        let paused = paused.cloned().collect();
        self.pause(paused);
    }

    /// When waiting partitions resume.
    pub(super) fn alignment_deadline_ms(&self) -> Option<i64> {
        let waiting = self.watermark.as_ref().filter(|_| !self.paused.is_empty());
        waiting?.1.alignment_deadline_ms()
    }
}
