//! The Kafka sink: the engine's connector, with records serialised from the program's types.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::{ArrayRef, Int64Array, ListArray, StructArray, TimestampMillisecondArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;
use millstream_connectors::kafka::declaration::headers_type;
use millstream_connectors::{ConnectorContext, SinkSpec};
use millstream_dataflow::{
    Context as Instance, DataflowError, Sink as EngineSink, SinkCommit, SinkFactory, StateBlocks, Waker,
};
use millstream_plan::{MetadataColumn, TableSpec};
use millstream_types::{Batch, CheckpointId, LogicalType, Options, Records, Schema, Watermark, arrow_type};
use serde::Serialize;

use crate::data::Data;
use crate::environment::Job;
use crate::error::{Error, Result};
use crate::guard::at_record;
use crate::operators::{known, rows_of, timestamp_at};
use crate::sink::{FactoryOfJob, NamedFactory, Sink};
use crate::source::{BytesSchema, JsonSchema, SimpleStringSchema};

/// Writes a value as the bytes of a message.
pub trait SerializationSchema<T>: Send + Sync + 'static {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<()>;
}

impl SerializationSchema<String> for SimpleStringSchema {
    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }
}

impl SerializationSchema<Vec<u8>> for BytesSchema {
    fn serialize(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(value);
        Ok(())
    }
}

impl<T: Serialize + 'static> SerializationSchema<T> for JsonSchema<T> {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        Ok(serde_json::to_writer(out, value)?)
    }
}

/// Closures are schemas.
impl<T, F: Fn(&T, &mut Vec<u8>) -> Result<()> + Send + Sync + 'static> SerializationSchema<T> for F {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        self(value, out)
    }
}

/// What a restart may do to records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DeliveryGuarantee {
    /// Records may be lost or doubled (Flink's default).
    #[default]
    None,
    /// Records may be doubled.
    AtLeastOnce,
    /// Neither: records are written in transactions that commit with the checkpoint.
    ExactlyOnce,
}

/// Serialises columns of messages: one call a batch, whatever the schema is.
trait ColumnSerializer<T>: Send + Sync {
    fn column(&self, rows: &[T]) -> Result<ArrayRef>;
}

struct Messages<S>(S);

impl<T, S: SerializationSchema<T>> ColumnSerializer<T> for Messages<S> {
    fn column(&self, rows: &[T]) -> Result<ArrayRef> {
        let mut builder = BinaryViewBuilder::with_capacity(rows.len());
        let mut message = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            at_record(index);
            message.clear();
            self.0.serialize(row, &mut message)?;
            builder.append_value(&message);
        }
        Ok(Arc::new(builder.finish()))
    }
}

/// Headers, as the list of entries that the connector takes.
struct HeaderLists<F>(F);

impl<T, F: Fn(&T) -> Vec<(String, Vec<u8>)> + Send + Sync> ColumnSerializer<T> for HeaderLists<F> {
    fn column(&self, rows: &[T]) -> Result<ArrayRef> {
        let (mut names, mut values) = (StringViewBuilder::new(), BinaryViewBuilder::new());
        let mut lengths = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            at_record(index);
            let headers = (self.0)(row);
            lengths.push(headers.len());
            for (name, value) in &headers {
                names.append_value(name);
                values.append_value(value);
            }
        }
        let wrong = || {
            Error::from(DataflowError::internal(
                "headers have another type than the connector takes",
            ))
        };
        let DataType::List(entry) = arrow_type(&headers_type()) else {
            return Err(wrong());
        };
        let DataType::Struct(fields) = entry.data_type().clone() else {
            return Err(wrong());
        };
        let entries: Vec<ArrayRef> = vec![Arc::new(names.finish()), Arc::new(values.finish())];
        let entries = StructArray::try_new(fields, entries, None).map_err(|_| wrong())?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let lists = ListArray::try_new(entry, offsets, Arc::new(entries), None);
        Ok(Arc::new(lists.map_err(|_| wrong())?))
    }
}

/// Numbers that choose partitions.
struct Partitions<F>(F);

impl<T, F: Fn(&T) -> i64 + Send + Sync> ColumnSerializer<T> for Partitions<F> {
    fn column(&self, rows: &[T]) -> Result<ArrayRef> {
        let numbers = rows.iter().enumerate().map(|(index, row)| {
            at_record(index);
            (self.0)(row)
        });
        Ok(Arc::new(Int64Array::from_iter_values(numbers)))
    }
}

struct TopicNames<F>(F);

impl<T, F: Fn(&T) -> String + Send + Sync> ColumnSerializer<T> for TopicNames<F> {
    fn column(&self, rows: &[T]) -> Result<ArrayRef> {
        let mut builder = StringViewBuilder::with_capacity(rows.len());
        rows.iter().for_each(|row| builder.append_value((self.0)(row)));
        Ok(Arc::new(builder.finish()))
    }
}

/// How records are made of values.
///
/// ```
/// # use millstream_datastream::sink::Record;
/// # use millstream_datastream::source::SimpleStringSchema;
/// let record = Record::to("output-topic").value(SimpleStringSchema);
/// ```
pub struct Record<T> {
    topic: Option<String>,
    topics: Option<Arc<dyn ColumnSerializer<T>>>,
    key: Option<Arc<dyn ColumnSerializer<T>>>,
    value: Option<Arc<dyn ColumnSerializer<T>>>,
    headers: Option<Arc<dyn ColumnSerializer<T>>>,
    partition: Option<Arc<dyn ColumnSerializer<T>>>,
}

impl<T> Clone for Record<T> {
    fn clone(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            topics: self.topics.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
            headers: self.headers.clone(),
            partition: self.partition.clone(),
        }
    }
}

impl<T> Record<T> {
    /// Records of one topic.
    pub fn to(topic: impl Into<String>) -> Self {
        Self {
            topic: Some(topic.into()),
            ..Self::empty()
        }
    }

    /// Records whose topic each value names.
    pub fn to_topic_of(topic: impl Fn(&T) -> String + Send + Sync + 'static) -> Self {
        Self {
            topics: Some(Arc::new(TopicNames(topic))),
            ..Self::empty()
        }
    }

    fn empty() -> Self {
        Self {
            topic: None,
            topics: None,
            key: None,
            value: None,
            headers: None,
            partition: None,
        }
    }

    pub fn key(mut self, schema: impl SerializationSchema<T>) -> Self {
        self.key = Some(Arc::new(Messages(schema)));
        self
    }

    pub fn value(mut self, schema: impl SerializationSchema<T>) -> Self {
        self.value = Some(Arc::new(Messages(schema)));
        self
    }

    /// Headers of each record, in this order; a name may stand more than once.
    ///
    /// ```
    /// # use millstream_datastream::sink::Record;
    /// # use millstream_datastream::source::SimpleStringSchema;
    /// let record = Record::to("output-topic")
    ///     .value(SimpleStringSchema)
    ///     .headers(|line: &String| vec![("length".to_owned(), line.len().to_string().into_bytes())]);
    /// ```
    pub fn headers(mut self, headers: impl Fn(&T) -> Vec<(String, Vec<u8>)> + Send + Sync + 'static) -> Self {
        self.headers = Some(Arc::new(HeaderLists(headers)));
        self
    }

    /// Chooses partitions: a record goes to the one whose number is the remainder of the returned number by how many
    /// partitions the topic has, as the record is written. Without it Kafka chooses, by the key if there is one.
    pub fn partition(mut self, number: impl Fn(&T) -> i64 + Send + Sync + 'static) -> Self {
        self.partition = Some(Arc::new(Partitions(number)));
        self
    }
}

/// Writes a stream to topics. Made by [`KafkaSink::builder`].
///
/// ```no_run
/// # use millstream_datastream::sink::{DeliveryGuarantee, KafkaSink, Record};
/// # use millstream_datastream::source::SimpleStringSchema;
/// # fn main() -> millstream_datastream::Result<()> {
/// let sink: KafkaSink<String> = KafkaSink::builder()
///     .bootstrap_servers("localhost:9092")
///     .delivery_guarantee(DeliveryGuarantee::ExactlyOnce)
///     .record_serializer(Record::to("output-topic").value(SimpleStringSchema))
///     .build()?;
/// # Ok(()) }
/// ```
pub struct KafkaSink<T> {
    options: Options,
    record: Record<T>,
}

impl KafkaSink<()> {
    pub fn builder() -> KafkaSinkBuilder<()> {
        KafkaSinkBuilder {
            options: Options::new(),
            guarantee: DeliveryGuarantee::default(),
            record: None,
        }
    }
}

/// Settings of a [`KafkaSink`].
pub struct KafkaSinkBuilder<T> {
    options: Options,
    guarantee: DeliveryGuarantee,
    record: Option<Record<T>>,
}

impl<T> KafkaSinkBuilder<T> {
    fn option(mut self, key: &str, value: impl Into<String>) -> Self {
        self.options.insert(key.to_owned(), value.into());
        self
    }

    /// The cluster, as with [`crate::source::KafkaSourceBuilder::bootstrap_servers`].
    pub fn bootstrap_servers(self, servers: impl Into<String>) -> Self {
        self.option("properties.bootstrap.servers", servers)
    }

    /// A property of the Kafka client.
    pub fn property(self, key: &str, value: impl Into<String>) -> Self {
        self.option(&format!("properties.{key}"), value)
    }

    pub fn delivery_guarantee(mut self, guarantee: DeliveryGuarantee) -> Self {
        self.guarantee = guarantee;
        self
    }

    /// Prefix of the transactional ids. Two sinks must not have the same, in whatever job; unless set it is made of the job's
    /// name, the operator's `uid` and an identity of the data directory.
    pub fn transactional_id_prefix(self, prefix: impl Into<String>) -> Self {
        self.option("sink.transactional-id-prefix", prefix)
    }

    /// Each instance writes one partition (Flink's `FlinkFixedPartitioner`) rather than Kafka's choice by key.
    pub fn fixed_partitioner(self) -> Self {
        self.option("sink.partitioner", "fixed")
    }

    pub fn record_serializer<U: Data>(self, record: Record<U>) -> KafkaSinkBuilder<U> {
        KafkaSinkBuilder {
            options: self.options,
            guarantee: self.guarantee,
            record: Some(record),
        }
    }

    pub fn build(mut self) -> Result<KafkaSink<T>> {
        let record = self.record.take();
        let record = record.filter(|record| record.value.is_some());
        let record =
            record.ok_or_else(|| Error::input("a KafkaSink needs a 'record_serializer' with a value"))?;
        let guarantee = match self.guarantee {
            DeliveryGuarantee::None => "none",
            DeliveryGuarantee::AtLeastOnce => "at-least-once",
            DeliveryGuarantee::ExactlyOnce => "exactly-once",
        };
        let topic = record.topic.clone();
        let mut built = self.option("sink.delivery-guarantee", guarantee);
        match topic {
            Some(topic) => built = built.option("topic", topic),
            None => built = built.option("topic-pattern", ".*"),
        }
        Ok(KafkaSink {
            options: built.options,
            record,
        })
    }
}

impl<T: Data> Sink<T> for KafkaSink<T> {
    fn name(&self) -> String {
        match &self.record.topic {
            Some(topic) => format!("Kafka Sink {topic}"),
            None => "Kafka Sink".to_owned(),
        }
    }

    fn factory(self, job: &Job) -> Result<Arc<dyn SinkFactory>> {
        // Options are checked here already; the job's identity is not known yet.
        Ok(self.maker(job).named("job", "sink")?.factory)
    }

    fn of_job(&self, job: &Job) -> Option<Arc<dyn FactoryOfJob>> {
        Some(Arc::new(self.maker(job)))
    }
}

impl<T> KafkaSink<T> {
    fn maker(&self, job: &Job) -> KafkaSinkMaker<T> {
        KafkaSinkMaker {
            options: self.options.clone(),
            record: self.record.clone(),
            context: job.connectors(),
        }
    }
}

/// Makes factories of a sink once its job is known: transactional ids are names that others must not have.
struct KafkaSinkMaker<T> {
    options: Options,
    record: Record<T>,
    context: ConnectorContext,
}

const PREFIX: &str = "sink.transactional-id-prefix";

impl<T: Data> KafkaSinkMaker<T> {
    fn named(&self, identity: &str, uid: &str) -> Result<NamedFactory> {
        let mut options = self.options.clone();
        let prefix = options.entry(PREFIX.to_owned());
        let prefix = prefix.or_insert_with(|| format!("{identity}-{uid}")).clone();
        let is_exactly_once = options
            .get("sink.delivery-guarantee")
            .is_some_and(|is| is == "exactly-once");
        let cluster = options.get("properties.bootstrap.servers").cloned();
        let spec = table(options, &self.record);
        let factory = KafkaFactory {
            inner: millstream_connectors::sink(spec, &self.context)?,
            record: self.record.clone(),
        };
        Ok(NamedFactory {
            factory: Arc::new(factory),
            name: is_exactly_once.then(|| {
                let cluster = cluster.as_deref().unwrap_or("the embedded broker");
                format!("transactional id prefix '{prefix}' at {cluster}")
            }),
        })
    }
}

impl<T: Data> FactoryOfJob for KafkaSinkMaker<T> {
    fn factory(&self, identity: &str, uid: &str) -> Result<NamedFactory> {
        self.named(identity, uid)
    }
}

/// The topic as a table of bytes.
fn table<T>(mut options: Options, record: &Record<T>) -> SinkSpec {
    let mut set = |key: &str, value: &str| options.insert(key.to_owned(), value.to_owned());
    set("connector", "kafka");
    let mut columns = vec![("value", LogicalType::BYTES)];
    if record.key.is_some() {
        columns.insert(0, ("key", LogicalType::BYTES));
        set("key.format", "raw");
        set("key.fields", "key");
        set("value.format", "raw");
        set("value.fields-include", "EXCEPT_KEY");
    } else {
        set("format", "raw");
    }
    let physical = Schema::new(columns);
    let metadata = |key: &str, ty| MetadataColumn {
        key: key.to_owned(),
        ty,
    };
    let mut written = vec![metadata("timestamp", LogicalType::timestamp_ltz(3))];
    if record.topics.is_some() {
        written.push(metadata("topic", LogicalType::STRING));
    }
    if record.headers.is_some() {
        written.push(metadata("headers", headers_type()));
    }
    if record.partition.is_some() {
        written.push(metadata("partition", LogicalType::BIGINT));
    }
    SinkSpec {
        columns: (0..physical.len()).collect(),
        table: TableSpec {
            identifier: crate::source::table_name(),
            options,
            physical,
            primary_key: Vec::new(),
            partition_keys: Vec::new(),
        },
        metadata: written,
        overwrite: false,
        static_partition: Vec::new(),
    }
}

struct KafkaFactory<T> {
    inner: Arc<dyn SinkFactory>,
    record: Record<T>,
}

impl<T: Data> SinkFactory for KafkaFactory<T> {
    fn create(&self, instance: &Instance) -> Result<Box<dyn EngineSink>, DataflowError> {
        Ok(Box::new(KafkaWriter {
            inner: self.inner.create(instance)?,
            record: self.record.clone(),
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.inner.parallelism_max()
    }
}

struct KafkaWriter<T> {
    inner: Box<dyn EngineSink>,
    record: Record<T>,
}

impl<T: Data> KafkaWriter<T> {
    fn batch(&self, records: Records) -> Result<Batch, DataflowError> {
        let (rows, timestamps, _) = rows_of::<T>(records)?;
        let parts = [self.record.key.as_ref(), self.record.value.as_ref()];
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(4);
        for part in parts.into_iter().flatten() {
            columns.push(part.column(&rows)?);
        }
        let time = |row: usize| known(timestamp_at(&timestamps, row));
        let times: TimestampMillisecondArray = (0..rows.len()).map(time).collect();
        columns.push(Arc::new(times.with_timezone("UTC")));
        // In the order of `table`.
        let others = [&self.record.topics, &self.record.headers, &self.record.partition];
        for other in others.into_iter().flatten() {
            columns.push(other.column(&rows)?);
        }
        Ok(Batch::inserts(columns, rows.len()))
    }
}

impl<T: Data> EngineSink for KafkaWriter<T> {
    fn open(&mut self, instance: &Instance, waker: Waker) -> Result<(), DataflowError> {
        self.inner.open(instance, waker)
    }

    fn write(&mut self, batch: Batch, instance: &Instance) -> Result<(), DataflowError> {
        self.inner.write(batch, instance)
    }

    fn write_records(&mut self, records: Records, instance: &Instance) -> Result<(), DataflowError> {
        let batch = self.batch(records)?;
        self.inner.write(batch, instance)
    }

    fn ready(&mut self, instance: &Instance) -> Result<bool, DataflowError> {
        self.inner.ready(instance)
    }

    fn watermark(&mut self, watermark: Watermark, instance: &Instance) -> Result<(), DataflowError> {
        self.inner.watermark(watermark, instance)
    }

    fn next_timer(&self) -> Option<i64> {
        self.inner.next_timer()
    }

    fn timer(&mut self, instance: &Instance) -> Result<(), DataflowError> {
        self.inner.timer(instance)
    }

    fn prepare(&mut self, checkpoint: CheckpointId, instance: &Instance) -> Result<(), DataflowError> {
        self.inner.prepare(checkpoint, instance)
    }

    fn prepared(
        &mut self,
        checkpoint: CheckpointId,
        instance: &Instance,
    ) -> Result<Option<SinkCommit>, DataflowError> {
        self.inner.prepared(checkpoint, instance)
    }

    fn commit(&mut self, checkpoint: CheckpointId, instance: &Instance) -> Result<bool, DataflowError> {
        self.inner.commit(checkpoint, instance)
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, instance: &Instance) -> Result<(), DataflowError> {
        self.inner.restore(blocks, instance)
    }

    fn finish(&mut self, instance: &Instance) -> Result<(), DataflowError> {
        self.inner.finish(instance)
    }

    fn finished(&mut self, instance: &Instance) -> Result<bool, DataflowError> {
        self.inner.finished(instance)
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
