//! The Kafka source: the engine's connector, with records deserialised into the program's types.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, BinaryViewArray};
use millstream_connectors::ScanSpec;
use millstream_connectors::kafka::declaration::headers_type;
use millstream_dataflow::alignment::AlignmentGroups;
use millstream_dataflow::source::Waker;
use millstream_dataflow::{
    Context as Instance, DataflowError, Output, Source as EngineSource, SourceFactory, SourceNotice,
    SourceStatus, StateBlocks,
};
use millstream_plan::{MetadataColumn, ObjectIdentifier, TableSpec};
use millstream_state::keyed::{decode_value, encode_value};
use millstream_types::{Batch, CheckpointId, LogicalType, Options, Schema, TypeKind, Watermark};

use crate::data::Data;
use crate::environment::Job;
use crate::error::{Error, Result};
use crate::guard::at_record;
use crate::source::StreamSource;
use crate::source::kafka_record::{Columns, HeaderColumn, KafkaRecord};
use crate::source::reader::Watermarks;
use crate::source::schema::DeserializationSchema;
use crate::watermark::WatermarkStrategy;

const BLOCK: &str = "watermarks";

/// Makes values of whole batches of records: one call a batch, whatever the schema is. `None` skips a record.
trait BatchDeserializer<T>: Send + Sync {
    fn deserialize(&self, batch: &Columns<'_>, rows: &mut Vec<T>, timestamps: &mut Vec<i64>) -> Result<()>;
    /// Whether it reads keys and headers, too.
    fn wants_whole(&self) -> bool;
}

struct ValueOnly<S>(S);

impl<T, S: DeserializationSchema<T>> BatchDeserializer<T> for ValueOnly<S> {
    fn deserialize(&self, batch: &Columns<'_>, rows: &mut Vec<T>, timestamps: &mut Vec<i64>) -> Result<()> {
        for row in 0..batch.value.len() {
            at_record(row);
            if batch.value.is_null(row) {
                return Err(Error::data(format!("{} has no value", batch.place(row))));
            }
            match self.0.deserialize(batch.value.value(row)) {
                Ok(value) => rows.push(value),
                Err(error) => {
                    let message = format!("{} cannot be read: {}", batch.place(row), error.message);
                    return Err(Error { message, ..error });
                }
            }
        }
        timestamps.extend_from_slice(batch.timestamps);
        Ok(())
    }

    fn wants_whole(&self) -> bool {
        false
    }
}

struct WholeRecord<F>(F);

impl<T, F> BatchDeserializer<T> for WholeRecord<F>
where
    F: Fn(&KafkaRecord<'_>) -> Result<Option<T>> + Send + Sync,
{
    fn deserialize(&self, batch: &Columns<'_>, rows: &mut Vec<T>, timestamps: &mut Vec<i64>) -> Result<()> {
        let missing = || DataflowError::internal("the Kafka connector gave no headers");
        let headers = batch.headers.as_ref().ok_or_else(missing)?;
        for row in 0..batch.value.len() {
            at_record(row);
            let bytes = |column: &'_ BinaryViewArray| column.is_valid(row);
            let record = KafkaRecord {
                topic: batch.topic,
                partition: batch.partition,
                offset: batch.offsets[row],
                timestamp: batch.timestamps[row],
                key: batch.key.filter(|key| bytes(key)).map(|key| key.value(row)),
                value: bytes(batch.value).then(|| batch.value.value(row)),
                headers: headers.of(row),
            };
            match (self.0)(&record) {
                Ok(Some(value)) => {
                    rows.push(value);
                    timestamps.push(record.timestamp);
                }
                Ok(None) => {}
                Err(error) => {
                    let message = format!("{} cannot be read: {}", batch.place(row), error.message);
                    return Err(Error { message, ..error });
                }
            }
        }
        Ok(())
    }

    fn wants_whole(&self) -> bool {
        true
    }
}

/// Where reading starts or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffsetsInitializer {
    Earliest,
    Latest,
    /// The group's committed offsets.
    Committed,
    /// The first records of this time or later, in milliseconds since the epoch.
    Timestamp(i64),
    /// By partition.
    Offsets(BTreeMap<i32, i64>),
}

impl OffsetsInitializer {
    pub fn earliest() -> Self {
        Self::Earliest
    }

    pub fn latest() -> Self {
        Self::Latest
    }

    pub fn committed_offsets() -> Self {
        Self::Committed
    }

    pub fn timestamp(millis: i64) -> Self {
        Self::Timestamp(millis)
    }

    pub fn offsets(offsets: impl IntoIterator<Item = (i32, i64)>) -> Self {
        Self::Offsets(offsets.into_iter().collect())
    }

    fn set(&self, options: &mut Options, prefix: &str) -> Result<()> {
        let mut set = |name: &str, value: String| {
            options.insert(format!("scan.{prefix}.{name}"), value);
        };
        match self {
            Self::Earliest if prefix == "bounded" => {
                return Err(Error::input("reading cannot end at the earliest offset"));
            }
            Self::Earliest => set("mode", "earliest-offset".to_owned()),
            Self::Latest => set("mode", "latest-offset".to_owned()),
            Self::Committed => set("mode", "group-offsets".to_owned()),
            Self::Timestamp(millis) => {
                set("mode", "timestamp".to_owned());
                set("timestamp-millis", millis.to_string());
            }
            Self::Offsets(offsets) => {
                let text =
                    |(partition, offset): (&i32, &i64)| format!("partition:{partition},offset:{offset}");
                set("mode", "specific-offsets".to_owned());
                set(
                    "specific-offsets",
                    offsets.iter().map(text).collect::<Vec<_>>().join(";"),
                );
            }
        }
        Ok(())
    }
}

/// Reads topics. Made by [`KafkaSource::builder`].
///
/// ```no_run
/// # use millstream_datastream::source::{KafkaSource, OffsetsInitializer, SimpleStringSchema};
/// # fn main() -> millstream_datastream::Result<()> {
/// let source = KafkaSource::builder()
///     .bootstrap_servers("localhost:9092")
///     .topics(["input-topic"])
///     .group_id("my-group")
///     .starting_offsets(OffsetsInitializer::earliest())
///     .value_only(SimpleStringSchema)
///     .build()?;
/// # Ok(()) }
/// ```
pub struct KafkaSource<T> {
    options: Options,
    deserializer: Arc<dyn BatchDeserializer<T>>,
}

impl<T> Clone for KafkaSource<T> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            deserializer: Arc::clone(&self.deserializer),
        }
    }
}

impl KafkaSource<()> {
    pub fn builder() -> KafkaSourceBuilder<()> {
        KafkaSourceBuilder {
            options: Options::new(),
            starting: OffsetsInitializer::Earliest,
            bounded: None,
            deserializer: None,
        }
    }
}

/// Settings of a [`KafkaSource`].
pub struct KafkaSourceBuilder<T> {
    options: Options,
    starting: OffsetsInitializer,
    bounded: Option<OffsetsInitializer>,
    deserializer: Option<Arc<dyn BatchDeserializer<T>>>,
}

impl<T: Data> KafkaSourceBuilder<T> {
    fn option(mut self, key: &str, value: impl Into<String>) -> Self {
        self.options.insert(key.to_owned(), value.into());
        self
    }

    /// The cluster. Without it, or if it is the address of the embedded broker and nothing else listens there, the broker
    /// inside is used and started if need be.
    pub fn bootstrap_servers(self, servers: impl Into<String>) -> Self {
        self.option("properties.bootstrap.servers", servers)
    }

    pub fn topics<S: AsRef<str>>(self, topics: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = topics
            .into_iter()
            .map(|topic| topic.as_ref().to_owned())
            .collect();
        self.option("topic", names.join(";"))
    }

    /// Topics whose whole name matches a regular expression.
    pub fn topic_pattern(self, pattern: impl Into<String>) -> Self {
        self.option("topic-pattern", pattern)
    }

    pub fn group_id(self, group: impl Into<String>) -> Self {
        self.option("properties.group.id", group)
    }

    /// A property of the Kafka client.
    pub fn property(self, key: &str, value: impl Into<String>) -> Self {
        self.option(&format!("properties.{key}"), value)
    }

    /// Where reading starts without a checkpoint; the beginning unless set.
    pub fn starting_offsets(mut self, offsets: OffsetsInitializer) -> Self {
        self.starting = offsets;
        self
    }

    /// Where reading ends; the source is bounded then.
    pub fn bounded(mut self, offsets: OffsetsInitializer) -> Self {
        self.bounded = Some(offsets);
        self
    }

    /// Values of the records' values; a record without one fails the job.
    pub fn value_only<U: Data>(self, schema: impl DeserializationSchema<U>) -> KafkaSourceBuilder<U> {
        self.with(Arc::new(ValueOnly(schema)))
    }

    /// Values of whole records; `None` skips one.
    pub fn deserializer<U: Data>(
        self,
        deserializer: impl Fn(&KafkaRecord<'_>) -> Result<Option<U>> + Send + Sync + 'static,
    ) -> KafkaSourceBuilder<U> {
        self.with(Arc::new(WholeRecord(deserializer)))
    }

    fn with<U>(self, deserializer: Arc<dyn BatchDeserializer<U>>) -> KafkaSourceBuilder<U> {
        KafkaSourceBuilder {
            options: self.options,
            starting: self.starting,
            bounded: self.bounded,
            deserializer: Some(deserializer),
        }
    }

    pub fn build(mut self) -> Result<KafkaSource<T>> {
        let missing = |what: &str| Error::input(format!("a KafkaSource needs {what}"));
        let deserializer = self
            .deserializer
            .ok_or_else(|| missing("a deserializer: 'value_only' or 'deserializer'"))?;
        if !self.options.contains_key("topic") && !self.options.contains_key("topic-pattern") {
            return Err(missing("'topics' or 'topic_pattern'"));
        }
        self.starting.set(&mut self.options, "startup")?;
        if let Some(bounded) = &self.bounded {
            bounded.set(&mut self.options, "bounded")?;
        }
        Ok(KafkaSource {
            options: self.options,
            deserializer,
        })
    }
}

impl<T: Data> StreamSource<T> for KafkaSource<T> {
    fn factory(self, job: &Job, strategy: WatermarkStrategy<T>) -> Result<Arc<dyn SourceFactory>> {
        let spec = scan(self.options, self.deserializer.wants_whole());
        Ok(Arc::new(KafkaFactory {
            wants_whole: self.deserializer.wants_whole(),
            inner: millstream_connectors::source(spec, &job.connectors())?,
            deserializer: self.deserializer,
            strategy,
            alignment: job.alignment(),
            interval_ms: job.watermark_interval_ms(),
        }))
    }
}

/// The topics as a table of bytes.
fn scan(mut options: Options, wants_whole: bool) -> ScanSpec {
    let set = |options: &mut Options, key: &str, value: &str| {
        options.insert(key.to_owned(), value.to_owned());
    };
    set(&mut options, "connector", "kafka");
    let mut columns = vec![("value", LogicalType::BYTES)];
    if wants_whole {
        columns.insert(0, ("key", LogicalType::BYTES));
        for (key, value) in [
            ("key.format", "raw"),
            ("key.fields", "key"),
            ("value.format", "raw"),
            ("value.fields-include", "EXCEPT_KEY"),
        ] {
            set(&mut options, key, value);
        }
    } else {
        set(&mut options, "format", "raw");
    }
    let physical = Schema::new(columns);
    let metadata = |key: &str, ty| MetadataColumn {
        key: key.to_owned(),
        ty,
    };
    let mut read = vec![
        metadata("topic", LogicalType::STRING.with_nullable(false)),
        metadata("partition", LogicalType::not_null(TypeKind::Int)),
        metadata("offset", LogicalType::not_null(TypeKind::BigInt)),
        metadata("timestamp", LogicalType::timestamp_ltz(3).with_nullable(false)),
    ];
    if wants_whole {
        read.push(metadata("headers", headers_type()));
    }
    ScanSpec {
        columns: (0..physical.len()).collect(),
        table: TableSpec {
            identifier: table_name(),
            options,
            physical,
            primary_key: Vec::new(),
            partition_keys: Vec::new(),
        },
        metadata: read,
        watermark: None,
        dead_letters: false,
        limit: None,
    }
}

pub(crate) fn table_name() -> ObjectIdentifier {
    ObjectIdentifier {
        catalog: "default_catalog".to_owned(),
        database: "default_database".to_owned(),
        name: "datastream".to_owned(),
    }
}

struct KafkaFactory<T> {
    inner: Arc<dyn SourceFactory>,
    deserializer: Arc<dyn BatchDeserializer<T>>,
    strategy: WatermarkStrategy<T>,
    alignment: AlignmentGroups,
    wants_whole: bool,
    interval_ms: i64,
}

impl<T: Data> SourceFactory for KafkaFactory<T> {
    fn create(&self, instance: &Instance) -> Result<Box<dyn EngineSource>, DataflowError> {
        Ok(Box::new(KafkaReader {
            inner: self.inner.create(instance)?,
            deserializer: Arc::clone(&self.deserializer),
            watermarks: Watermarks::new(self.strategy.clone(), self.interval_ms, &self.alignment),
            wants_whole: self.wants_whole,
            restored: BTreeMap::new(),
            paused: BTreeSet::new(),
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.inner.parallelism_max()
    }

    fn is_bounded(&self) -> bool {
        self.inner.is_bounded()
    }
}

struct KafkaReader<T> {
    inner: Box<dyn EngineSource>,
    deserializer: Arc<dyn BatchDeserializer<T>>,
    watermarks: Watermarks<T>,
    wants_whole: bool,
    /// Watermarks of partitions from a checkpoint, until the partition is seen.
    restored: BTreeMap<String, i64>,
    /// Partitions that wait for other sources.
    paused: BTreeSet<String>,
}

impl<T: Data> KafkaReader<T> {
    /// Partitions that were assigned and are not at their end hold back the watermark, those at their end do not.
    fn follow_splits(&mut self, now_ms: i64) {
        let splits = self.inner.splits();
        for (split, is_open) in &splits {
            if *is_open {
                let watermark = self.restored.remove(split).unwrap_or(i64::MIN);
                self.watermarks.add(split, watermark, now_ms);
            } else {
                self.watermarks.remove(split);
            }
        }
    }
}

/// Takes the batches of the connector and hands on records.
struct Tap<'a, T> {
    deserializer: &'a dyn BatchDeserializer<T>,
    watermarks: &'a mut Watermarks<T>,
    wants_whole: bool,
    now_ms: i64,
    out: &'a mut dyn Output,
}

impl<T: Data> Output for Tap<'_, T> {
    fn batch(&mut self, batch: Batch) -> Result<(), DataflowError> {
        let first = usize::from(self.wants_whole);
        let wrong =
            || DataflowError::internal("the Kafka connector gave other columns than it was asked for");
        let bytes = |column: usize| batch.columns.get(column)?.as_binary_view_opt();
        let column = |place: usize| batch.columns.get(first + place);
        let topic = column(1).and_then(|c| c.as_string_view_opt()).ok_or_else(wrong)?;
        let partition = column(2)
            .and_then(|c| c.as_primitive_opt::<Int32Type>())
            .ok_or_else(wrong)?;
        let offsets = column(3)
            .and_then(|c| c.as_primitive_opt::<Int64Type>())
            .ok_or_else(wrong)?;
        let times = column(4).and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
        if batch.rows == 0 {
            return Ok(());
        }
        // A batch of the connector is of one partition.
        let columns = Columns {
            topic: topic.value(0),
            partition: partition.value(0),
            offsets: offsets.values(),
            timestamps: times.ok_or_else(wrong)?.values(),
            key: if self.wants_whole { bytes(0) } else { None },
            value: bytes(first).ok_or_else(wrong)?,
            headers: column(5).and_then(HeaderColumn::new),
        };
        let split = format!("{}-{}", columns.topic, columns.partition);
        let (mut rows, mut timestamps) = (Vec::with_capacity(batch.rows), Vec::with_capacity(batch.rows));
        self.deserializer
            .deserialize(&columns, &mut rows, &mut timestamps)?;
        let records = self.watermarks.records(&split, rows, timestamps, self.now_ms);
        self.out.records(records)
    }

    /// The connector makes none.
    fn watermark(&mut self, _: Watermark) -> Result<(), DataflowError> {
        Ok(())
    }
}

impl<T: Data> EngineSource for KafkaReader<T> {
    fn open(&mut self, instance: &Instance, waker: Waker) -> Result<(), DataflowError> {
        self.inner.open(instance, waker)
    }

    fn poll(&mut self, instance: &Instance, out: &mut dyn Output) -> Result<SourceStatus, DataflowError> {
        self.follow_splits(instance.now_ms);
        let paused = self.watermarks.paused(instance.now_ms);
        let is_paused = !paused.is_empty();
        if paused != self.paused {
            self.inner.pause_splits(&paused);
            self.paused = paused;
        }
        let mut tap = Tap {
            deserializer: self.deserializer.as_ref(),
            watermarks: &mut self.watermarks,
            wants_whole: self.wants_whole,
            now_ms: instance.now_ms,
            out,
        };
        let status = self.inner.poll(instance, &mut tap)?;
        self.follow_splits(instance.now_ms);
        if let Some(watermark) = self.watermarks.next(instance.now_ms) {
            out.watermark(watermark)?;
        }
        let SourceStatus::Pending { until_ms } = status else {
            return Ok(status);
        };
        let alignment_at = self.watermarks.alignment_deadline_ms().filter(|_| is_paused);
        let deadlines = [until_ms, self.watermarks.deadline_ms(), alignment_at];
        let until_ms = deadlines.into_iter().flatten().min();
        Ok(SourceStatus::Pending { until_ms })
    }

    fn snapshot(&mut self) -> Result<StateBlocks, DataflowError> {
        let mut blocks = self.inner.snapshot()?;
        let mut watermarks = self.restored.clone();
        for (split, is_open) in self.inner.splits() {
            if is_open {
                watermarks.insert(split.clone(), self.watermarks.of(&split));
            }
        }
        blocks.push(BLOCK, encode_value(&watermarks)?);
        Ok(blocks)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, instance: &Instance) -> Result<(), DataflowError> {
        for part in &blocks {
            if let Some(bytes) = part.get(BLOCK) {
                let watermarks: BTreeMap<String, i64> = decode_value(BLOCK, bytes)?;
                self.restored.extend(watermarks);
            }
        }
        self.inner.restore(blocks, instance)
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) {
        self.inner.checkpoint_complete(checkpoint);
    }

    /// Without partitions the connector knows whether they are still being looked for.
    fn is_idle(&self, instance: &Instance) -> bool {
        if self.inner.splits().is_empty() {
            return self.inner.is_idle(instance);
        }
        self.watermarks.is_idle()
    }

    fn current_watermark(&self) -> Watermark {
        self.watermarks.emitted()
    }

    fn notice(&self) -> Option<SourceNotice> {
        self.inner.notice()
    }

    fn pending_records(&self) -> Option<u64> {
        self.inner.pending_records()
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
