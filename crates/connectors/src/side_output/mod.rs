//! Side outputs of a job that go to a topic: records that cannot be decoded, and rows that came too late.
//!
//! A source or operator emits them as records of a side output ([`millstream_dataflow::side`]). A collector behind it
//! turns them into messages, and one Kafka sink for each cluster writes those. The sink is an ordinary one: with
//! exactly-once its transaction is committed with the checkpoint that covers the rows around them.

pub(crate) mod dead_letters;
mod late_rows;

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder, TimestampMillisecondBuilder};
use arrow_buffer::OffsetBuffer;
use millstream_dataflow::{Context, DataflowError, Operator, Output, Sink, SinkFactory};
use millstream_plan::{MetadataColumn, ObjectIdentifier, TableSpec};
use millstream_types::{Batch, LogicalType, Options, Records, Schema, map_array};

pub use self::dead_letters::{DeadLetter, DeadLetterCollector};
pub use self::late_rows::LateRowCollector;
use crate::kafka::sink::KafkaSinkFactory;
use crate::{ConnectorContext, SinkSpec};

/// Where a side output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideTopic {
    pub topic: String,
    /// Options of the cluster, with the prefix `properties.`; none: the embedded broker.
    pub cluster: Options,
    /// Prefix of the transactional ids; `None`: at least once.
    pub transactional_id_prefix: Option<String>,
}

/// Properties of a table that say how its cluster is reached.
const CLUSTER_PROPERTIES: &[&str] = &[
    "bootstrap.servers",
    "security.",
    "sasl.",
    "ssl.",
    "client.dns.lookup",
];

/// Those options of a table that say how its cluster is reached. They are also good for writing to it.
pub fn cluster_of(table: &TableSpec) -> Options {
    let is_of_cluster = |key: &str| {
        let property = key.strip_prefix("properties.");
        property.is_some_and(|name| CLUSTER_PROPERTIES.iter().any(|known| name.starts_with(known)))
    };
    let options = table.options.iter().filter(|(key, _)| is_of_cluster(key));
    options.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The sink of a side output.
pub fn side_sink(
    topic: &SideTopic,
    context: &ConnectorContext,
) -> Result<Arc<dyn SinkFactory>, DataflowError> {
    Ok(Arc::new(SideSinkFactory {
        inner: KafkaSinkFactory::new(table(topic), context)?,
    }))
}

struct SideSinkFactory {
    inner: KafkaSinkFactory,
}

impl SinkFactory for SideSinkFactory {
    fn create(&self, context: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        self.inner.create(context)
    }

    fn is_side(&self) -> bool {
        true
    }

    fn rests_without_rows(&self) -> bool {
        self.inner.rests_without_rows()
    }
}

/// The topic as a table of bytes, whose rows are made by [`Messages`].
fn table(topic: &SideTopic) -> SinkSpec {
    let mut options = topic.cluster.clone();
    let mut set = |key: &str, value: &str| options.insert(key.to_owned(), value.to_owned());
    set("connector", "kafka");
    set("topic", &topic.topic);
    set("key.format", "raw");
    set("key.fields", "key");
    set("value.format", "raw");
    set("value.fields-include", "EXCEPT_KEY");
    if let Some(prefix) = &topic.transactional_id_prefix {
        set("sink.delivery-guarantee", "exactly-once");
        set("sink.transactional-id-prefix", prefix);
    }
    let physical = Schema::new(vec![("key", LogicalType::BYTES), ("value", LogicalType::BYTES)]);
    let metadata = |key: &str, ty| MetadataColumn {
        key: key.to_owned(),
        ty,
    };
    SinkSpec {
        columns: (0..physical.len()).collect(),
        table: TableSpec {
            identifier: ObjectIdentifier {
                catalog: "default_catalog".to_owned(),
                database: "default_database".to_owned(),
                name: topic.topic.clone(),
            },
            options,
            physical,
            primary_key: Vec::new(),
            partition_keys: Vec::new(),
        },
        metadata: vec![
            metadata("timestamp", LogicalType::timestamp_ltz(3)),
            metadata("headers", headers_type()),
        ],
        overwrite: false,
        static_partition: Vec::new(),
    }
}

fn headers_type() -> LogicalType {
    LogicalType::map(LogicalType::STRING, LogicalType::BYTES)
}

/// What turns the rows of one side output into messages.
trait Describe: Send {
    /// A row of the side output.
    type Row: Send + 'static;
    /// Number of the side output.
    const OUTPUT: u32;

    fn describe(&mut self, row: &Self::Row, messages: &mut Messages) -> Result<(), DataflowError>;
}

/// The operator behind a side output. It takes no rows of the main output.
struct Collector<D>(D);

impl<D: Describe> Operator for Collector<D> {
    fn reads(&self, records: &Records) -> bool {
        records.output == D::OUTPUT
    }

    fn reads_batches(&self) -> bool {
        false
    }

    fn records(
        &mut self,
        _: usize,
        records: Records,
        _: &Context,
        out: &mut dyn Output,
    ) -> Result<(), DataflowError> {
        let (rows, _, _) = records.into_rows::<D::Row>().map_err(|other| {
            let expected = std::any::type_name::<D::Row>();
            DataflowError::internal(format!("{other} in the place of {expected} on a side output"))
        })?;
        let mut messages = Messages::default();
        for row in &rows {
            self.0.describe(row, &mut messages)?;
        }
        out.batch(messages.finish())
    }
}

/// Messages on their way to the sink: key, value, time and headers.
#[derive(Default)]
struct Messages {
    keys: BinaryViewBuilder,
    values: BinaryViewBuilder,
    timestamps: TimestampMillisecondBuilder,
    header_keys: StringViewBuilder,
    header_values: BinaryViewBuilder,
    /// Headers of each message.
    counts: Vec<usize>,
}

impl Messages {
    /// Adds a message; its headers follow. Without a timestamp it is stamped when it is written.
    fn begin(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, timestamp: Option<i64>) {
        self.keys.append_option(key);
        self.values.append_option(value);
        self.timestamps.append_option(timestamp);
        self.counts.push(0);
    }

    /// Adds a header to the last message.
    fn header(&mut self, key: &str, value: &[u8]) {
        self.header_keys.append_value(key);
        self.header_values.append_value(value);
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
    }

    fn finish(mut self) -> Batch {
        let rows = self.counts.len();
        let headers = map_array(
            &headers_type(),
            Arc::new(self.header_keys.finish()),
            Arc::new(self.header_values.finish()),
            OffsetBuffer::from_lengths(self.counts),
            None,
        );
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.keys.finish()),
            Arc::new(self.values.finish()),
            Arc::new(self.timestamps.finish().with_timezone("UTC")),
            headers,
        ];
        Batch::inserts(columns, rows)
    }
}
