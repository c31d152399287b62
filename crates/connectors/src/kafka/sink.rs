//! The sink of connectors `kafka` and `upsert-kafka`.
//!
//! Rows are encoded on the worker's thread and handed to the producer, which sends in the background. A barrier, and the
//! end of the input, wait until everything before is written. When the producer's memory is full the sink says that it
//! is not ready and continues with the rest as soon as there is space. With `exactly-once` the rows between two
//! barriers are one transaction, see [`super::transactions`].

use std::collections::VecDeque;
use std::sync::Arc;

use millstream_dataflow::{Context, DataflowError, Sink, SinkCommit, SinkFactory, StateBlocks, Waker};
use millstream_kafka_client::config::ProduceConfig;
use millstream_kafka_client::produce::{AppendError, ProduceRecord, Run};
use millstream_kafka_client::{KafkaClient, ProduceError, Producer};
use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::record_batch::Header;
use millstream_plan::MetadataColumn;
use millstream_types::{Batch, CheckpointId, ErrorKind, Schema};

use super::KafkaClusters;
use super::background::Background;
use super::client_settings::{parse, sink_client};
use super::encoded_rows::{Backlog, Destination, PartEncoder, headers_of, message, timestamp_at};
use super::options::{Guarantee, KafkaTable, Part, Partitioner, Topics};
use super::partitioning::Partitioning;
use super::sink_topic::ensure;
use super::transactions::{TRANSACTION_TIMEOUT_DEFAULT, TransactionSettings, Transactions};
use super::upserts::{UpsertBuffer, without_kinds, without_update_before};
use crate::SinkSpec;
use crate::context::ConnectorContext;

/// Creates Kafka sinks.
pub struct KafkaSinkFactory {
    table: KafkaTable,
    columns: Vec<usize>,
    metadata: Vec<MetadataColumn>,
    context: ConnectorContext,
}

impl KafkaSinkFactory {
    pub fn new(spec: SinkSpec, context: &ConnectorContext) -> Result<Self, DataflowError> {
        let table = parse(&spec.table)?;
        let factory = Self {
            table,
            columns: spec.columns,
            metadata: spec.metadata,
            context: context.clone(),
        };
        factory.topics()?;
        sink_client(&factory.table)?;
        for part in factory.table.key.iter().chain([&factory.table.value]) {
            factory.encoder(part)?;
        }
        Ok(factory)
    }

    /// The single topic, or with a writable `topic` column the topics that rows may name.
    fn topics(&self) -> Result<Destination, DataflowError> {
        let by_row = self.metadata_at("topic");
        match (&self.table.topics, by_row) {
            (Topics::Names(names), None) if names.len() == 1 => {
                Ok(Destination::Fixed(KafkaString::from(&names[0])))
            }
            (Topics::Names(names), Some(column)) => Ok(Destination::ByRow {
                column,
                allowed: Some(names.iter().cloned().collect()),
            }),
            (Topics::Pattern(_), Some(column)) => Ok(Destination::ByRow {
                column,
                allowed: None,
            }),
            _ => Err(DataflowError::new(
                ErrorKind::Input,
                "The topic of the sink record is not valid: a sink needs a single 'topic', or a metadata column 'topic' \
                 that says where each row goes",
            )),
        }
    }

    /// Input position of a metadata column.
    fn metadata_at(&self, key: &str) -> Option<usize> {
        self.metadata
            .iter()
            .position(|m| m.key == key)
            .map(|i| self.columns.len() + i)
    }

    fn output(&self, client: &KafkaClient, mut config: ProduceConfig, subtask: usize) -> Output {
        let runtime = self.context.kafka.runtime();
        let _inside = runtime.enter();
        match (self.table.guarantee, &self.table.transactional_id_prefix) {
            (Guarantee::ExactlyOnce, Some(prefix)) => {
                if !self.table.properties.contains_key("transaction.timeout.ms") {
                    config.transaction_timeout = TRANSACTION_TIMEOUT_DEFAULT;
                }
                let settings = TransactionSettings {
                    prefix: prefix.clone(),
                    produce: config,
                    outlive: self.context.kafka.is_embedded(&self.table.properties),
                };
                let rng = self.context.rng.as_ref();
                let handle = runtime.clone();
                let transactions = Transactions::new(settings, client.clone(), handle, rng, subtask);
                Output::Transactions(Box::new(transactions))
            }
            (guarantee, _) => {
                if guarantee == Guarantee::None {
                    config.idempotence = false;
                }
                Output::Plain(Arc::new(Producer::start(client.clone(), config)))
            }
        }
    }

    fn encoder(&self, part: &Part) -> Result<PartEncoder, DataflowError> {
        let place = |column: &usize| {
            self.columns.iter().position(|c| c == column).ok_or_else(|| {
                DataflowError::internal(format!(
                    "column {column} of the table is not part of the sink's input"
                ))
            })
        };
        let inputs: Result<Vec<usize>, _> = part.columns.iter().map(place).collect();
        let schema: &Schema = &part.schema;
        let encoder = millstream_formats::encoder(&part.format, &part.options, schema)
            .map_err(|e| DataflowError::new(ErrorKind::Input, e.to_string()))?;
        Ok(PartEncoder::new(encoder, inputs?))
    }
}

impl SinkFactory for KafkaSinkFactory {
    fn create(&self, context: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        let config = sink_client(&self.table)?;
        let transport = self.context.kafka.transport(&self.table.properties)?;
        let client = KafkaClient::new(config.connection, transport, Arc::clone(&self.context.rng));
        Ok(Box::new(KafkaSink {
            output: self.output(&client, config.produce, context.subtask),
            client,
            kafka: Arc::clone(&self.context.kafka),
            bootstrap: self.table.properties.get("bootstrap.servers").cloned(),
            key: self.table.key.as_ref().map(|key| self.encoder(key)).transpose()?,
            value: self.encoder(&self.table.value)?,
            destination: self.topics()?,
            headers: self.metadata_at("headers"),
            timestamp: self.metadata_at("timestamp"),
            partitioning: Partitioning {
                column: self.metadata_at("partition"),
                fixed: (self.table.partitioner == Partitioner::Fixed).then_some(context.subtask),
            },
            backlog: VecDeque::new(),
            before_barrier: None,
            waiting: None,
            flushing: None,
            finishing: None,
            waker: None,
            bytes_written: 0,
            upsert: self.table.upsert,
            waiting_rows: self
                .table
                .buffer_flush
                .map(|flush| UpsertBuffer::new(flush, context.now_ms)),
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.table.sink_parallelism
    }

    fn rests_without_rows(&self) -> bool {
        true
    }
}

/// The producer that accepts rows.
enum Output {
    Plain(Arc<Producer>),
    Transactions(Box<Transactions>),
}

impl Output {
    fn producer(&self) -> &Arc<Producer> {
        match self {
            Self::Plain(producer) => producer,
            Self::Transactions(transactions) => transactions.producer(),
        }
    }

    /// Whether the producer accepts a row for `topic` now; otherwise it wakes the worker when it does.
    fn takes_rows(&mut self, topic: &KafkaString) -> Result<bool, DataflowError> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Transactions(transactions) => transactions.takes_rows(topic),
        }
    }

    /// Records that rows were accepted.
    fn count(&mut self, rows: usize) {
        if let Self::Transactions(transactions) = self {
            transactions.count(rows);
        }
    }
}

type Flush = Background<Result<(), DataflowError>>;

struct KafkaSink {
    output: Output,
    client: KafkaClient,
    kafka: Arc<dyn KafkaClusters>,
    /// Address of the cluster, for messages.
    bootstrap: Option<String>,
    key: Option<PartEncoder>,
    value: PartEncoder,
    destination: Destination,
    headers: Option<usize>,
    timestamp: Option<usize>,
    partitioning: Partitioning,
    /// Batches that arrived while the producer's buffer was full; one step of the chain can produce several.
    backlog: VecDeque<Backlog>,
    /// With transactions, while one is being closed: how many batches of the backlog still belong to it.
    before_barrier: Option<usize>,
    /// Wakes on a topic, buffer space or metadata.
    waiting: Option<Background<Result<(), DataflowError>>>,
    /// The flush of a checkpoint.
    flushing: Option<(CheckpointId, Flush)>,
    /// The flush at the end of the input. It needs its own slot: a checkpoint may be taken while the sink finishes, and
    /// with a shared slot each flush would restart whenever it found the other's.
    finishing: Option<Flush>,
    waker: Option<Waker>,
    /// Size of the keys and values of all rows, before the producer compresses them.
    bytes_written: u64,
    /// Connector `upsert-kafka`: rows are changes by key.
    upsert: bool,
    /// Rows buffered by key, with `sink.buffer-flush.*`.
    waiting_rows: Option<UpsertBuffer>,
}

impl KafkaSink {
    /// Encodes rows and appends them to the backlog.
    fn encode(&mut self, batch: Batch) -> Result<(), DataflowError> {
        // An upsert table's formats see only rows; a tombstone encodes a delete.
        let rows = if self.upsert {
            without_kinds(&batch)
        } else {
            batch.clone()
        };
        let mut value = self.value.encode(&rows)?;
        if self.upsert {
            let deleted = (0..batch.rows).filter(|row| !batch.kind(*row).is_addition());
            value.nulls.extend(deleted);
            value.nulls.sort_unstable();
            value.nulls.dedup();
        }
        let key = self.key.as_mut().map(|key| key.encode(&rows)).transpose()?;
        let backlog = Backlog::new(batch, key, value);
        self.bytes_written += backlog.bytes();
        self.backlog.push_back(backlog);
        Ok(())
    }

    /// All rows buffered by key.
    fn flush_waiting(&mut self, now_ms: i64) -> Result<(), DataflowError> {
        let waiting = self.waiting_rows.as_mut().map(|waiting| waiting.take(now_ms));
        match waiting.transpose()?.flatten() {
            Some(batch) => self.encode(batch),
            None => Ok(()),
        }
    }

    /// Buffers the newest row of each key until the next write.
    fn reduce(&mut self, batch: &Batch, now_ms: i64) -> Result<(), DataflowError> {
        let Some(key) = self.key.as_mut() else {
            return Err(DataflowError::internal("an upsert table has a key"));
        };
        let keys = key.encode(&without_kinds(batch))?;
        for (row, key) in keys.messages().enumerate() {
            let Some(waiting) = &mut self.waiting_rows else {
                break;
            };
            if waiting.put(key.unwrap_or_default(), batch.slice(row, 1)) {
                self.flush_waiting(now_ms)?;
            }
        }
        Ok(())
    }

    /// Writes rows of the backlog, up to the barrier if there is one. Returns `false` if some are left.
    fn drain(&mut self, now_ms: i64) -> Result<bool, DataflowError> {
        if let Some(waiting) = &self.waiting {
            let Some(outcome) = waiting.poll() else {
                return Ok(false);
            };
            self.waiting = None;
            outcome?;
        }
        while self.before_barrier != Some(0)
            && let Some(mut front) = self.backlog.pop_front()
        {
            if !self.hand_over(&mut front, now_ms)? {
                self.backlog.push_front(front);
                return Ok(false);
            }
            self.value.recycle(front.value);
            if let (Some(encoder), Some(rows)) = (&mut self.key, front.key) {
                encoder.recycle(rows);
            }
            if let Some(left) = &mut self.before_barrier {
                *left -= 1;
            }
        }
        Ok(true)
    }

    /// Writes the rows of a batch. Returns `false` if some are left.
    fn hand_over(&mut self, from: &mut Backlog, now_ms: i64) -> Result<bool, DataflowError> {
        while from.next < from.batch.rows {
            let topic = self.destination.topic_of(&from.batch, from.next)?;
            if !self.output.takes_rows(&topic)? {
                return Ok(false);
            }
            let is_run = matches!(self.destination, Destination::Fixed(_))
                && self.key.is_none()
                && self.headers.is_none()
                && self.partitioning.column.is_none();
            let (taken, wanted) = if is_run {
                self.append_run(from, &topic, now_ms)?
            } else {
                let wanted = self.append(from, &topic, now_ms)?;
                (usize::from(wanted.is_none()), wanted)
            };
            self.output.count(taken);
            from.next += taken;
            if let Some(wanted) = wanted {
                self.wait_for(wanted, topic);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes rows that consist only of values and all go to one topic. Returns how many were accepted, and what the
    /// next one needs.
    fn append_run(
        &self,
        from: &Backlog,
        topic: &KafkaString,
        now_ms: i64,
    ) -> Result<(usize, Option<Wanted>), DataflowError> {
        let Ok(partition) = self.partitioning.of_instance(&self.client, topic) else {
            return Ok((0, Some(Wanted::Metadata)));
        };
        let timestamps = self.timestamp.map(|column| &from.batch.columns[column]);
        let record = |row: usize| {
            let timestamp = timestamps.and_then(|column| timestamp_at(column, row));
            (timestamp.unwrap_or(now_ms), message(&from.value, row))
        };
        let run = Run {
            topic,
            partition,
            count: from.batch.rows,
            record: &record,
        };
        let taken = self.output.producer().try_append_run(&run, from.next);
        let wanted = taken.stopped.map(|error| wanted(topic, error)).transpose()?;
        Ok((taken.count, wanted))
    }

    /// Writes the next row. `Some` is what must happen first.
    fn append(
        &self,
        from: &Backlog,
        topic: &KafkaString,
        now_ms: i64,
    ) -> Result<Option<Wanted>, DataflowError> {
        let (batch, row) = (&from.batch, from.next);
        let Ok(partition) = self.partitioning.of_row(&self.client, topic, batch, row) else {
            return Ok(Some(Wanted::Metadata));
        };
        let headers = headers_of(self.headers, batch, row);
        let headers: Vec<Header<'_>> = headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: Some(value.as_slice()),
            })
            .collect();
        let timestamp = self
            .timestamp
            .and_then(|column| timestamp_at(&batch.columns[column], row))
            .unwrap_or(now_ms);
        let record = ProduceRecord {
            topic,
            partition,
            timestamp,
            key: from.key.as_ref().and_then(|key| message(key, row)),
            value: message(&from.value, row),
            headers: &headers,
        };
        match self.output.producer().try_append(&record) {
            Ok(_) => Ok(None),
            Err(error) => wanted(topic, error).map(Some),
        }
    }

    fn wait_for(&mut self, wanted: Wanted, topic: KafkaString) {
        let (producer, client) = (Arc::clone(self.output.producer()), self.client.clone());
        let work = async move {
            match wanted {
                Wanted::Room(size) => {
                    producer.room(size).await;
                    Ok(())
                }
                Wanted::Metadata => client
                    .topics(std::slice::from_ref(&topic), true)
                    .await
                    .map(|_| ())
                    .map_err(|e| {
                        super::splits::client_failed(&format!("cannot write topic '{}'", topic.as_str()), &e)
                    }),
            }
        };
        self.waiting = Some(Background::start(&self.kafka.runtime(), self.waker.clone(), work));
    }

    /// Starts the flush of a checkpoint, or returns its result. The flush of an expired checkpoint does not cover rows
    /// after its barrier, so it must not count for another checkpoint.
    fn flush_checkpoint(&mut self, checkpoint: CheckpointId) -> Result<bool, DataflowError> {
        let running = self.flushing.take().filter(|(of, _)| *of == checkpoint);
        let flush = running.map_or_else(|| self.start_flush(), |(_, flush)| flush);
        let outcome = flush.poll();
        if outcome.is_none() {
            self.flushing = Some((checkpoint, flush));
        }
        Ok(outcome.transpose()?.is_some())
    }

    /// Like [`Self::flush`], at the end of the input.
    fn flush_end(&mut self) -> Result<bool, DataflowError> {
        let flush = self.finishing.take().unwrap_or_else(|| self.start_flush());
        let outcome = flush.poll();
        if outcome.is_none() {
            self.finishing = Some(flush);
        }
        Ok(outcome.transpose()?.is_some())
    }

    /// Wakes the worker when it completes.
    fn start_flush(&self) -> Flush {
        let producer = Arc::clone(self.output.producer());
        let work = async move { producer.flush().await.map_err(|e| produce_failed("", &e)) };
        Background::start(&self.kafka.runtime(), self.waker.clone(), work)
    }
}

/// What must happen before a row can be written.
enum Wanted {
    /// Space for a record of this size.
    Room(usize),
    Metadata,
}

/// What must happen before a rejected row can be written.
fn wanted(topic: &KafkaString, error: AppendError) -> Result<Wanted, DataflowError> {
    match error {
        // The same row would fail again after every restart.
        AppendError::Failed(error @ ProduceError::RecordTooLarge { .. }) => {
            let remedy =
                "raise 'properties.max.request.size' and the topic's 'max.message.bytes', or filter the row";
            let text = super::splits::with_causes(&format!("cannot write to topic '{topic}'"), &error);
            Err(DataflowError::data(format!("{text}; {remedy}")))
        }
        AppendError::Full { size } => Ok(Wanted::Room(size)),
        AppendError::UnknownTopic => Ok(Wanted::Metadata),
        AppendError::Failed(error) => Err(produce_failed(topic.as_str(), &error)),
    }
}

fn produce_failed(topic: &str, error: &(dyn std::error::Error + 'static)) -> DataflowError {
    let place = if topic.is_empty() {
        String::new()
    } else {
        format!(" to topic '{topic}'")
    };
    let text = super::splits::with_causes(&format!("cannot write{place}"), error);
    DataflowError::new(ErrorKind::Environment, text)
}

impl Sink for KafkaSink {
    fn open(&mut self, context: &Context, waker: Waker) -> Result<(), DataflowError> {
        if let Output::Transactions(transactions) = &mut self.output {
            transactions.open(context, waker.clone());
        }
        if let Destination::Fixed(topic) = &self.destination {
            let ensured = ensure(self.client.clone(), topic.clone(), self.bootstrap.clone());
            let work = Background::start(&self.kafka.runtime(), Some(waker.clone()), ensured);
            self.waiting = Some(work);
        }
        self.waker = Some(waker);
        Ok(())
    }

    fn ready(&mut self, context: &Context) -> Result<bool, DataflowError> {
        Ok(self.before_barrier.is_none() && self.drain(context.now_ms)?)
    }

    fn write(&mut self, mut batch: Batch, context: &Context) -> Result<(), DataflowError> {
        if self.upsert {
            batch = without_update_before(batch)?;
        }
        if self.waiting_rows.is_some() {
            self.reduce(&batch, context.now_ms)?;
        } else {
            self.encode(batch)?;
        }
        self.drain(context.now_ms).map(|_| ())
    }

    fn next_timer(&self) -> Option<i64> {
        self.waiting_rows.as_ref().and_then(UpsertBuffer::due_ms)
    }

    fn timer(&mut self, context: &Context) -> Result<(), DataflowError> {
        self.flush_waiting(context.now_ms)?;
        self.drain(context.now_ms).map(|_| ())
    }

    fn prepare(&mut self, _: CheckpointId, context: &Context) -> Result<(), DataflowError> {
        self.flush_waiting(context.now_ms)?;
        if matches!(self.output, Output::Transactions(_)) {
            self.before_barrier = Some(self.backlog.len());
        }
        Ok(())
    }

    fn prepared(
        &mut self,
        checkpoint: CheckpointId,
        context: &Context,
    ) -> Result<Option<SinkCommit>, DataflowError> {
        if !self.drain(context.now_ms)? {
            return Ok(None);
        }
        let Output::Transactions(transactions) = &mut self.output else {
            return Ok(self.flush_checkpoint(checkpoint)?.then(SinkCommit::default));
        };
        let closed = transactions.close(checkpoint)?;
        if closed.is_some() {
            self.before_barrier = None;
        }
        Ok(closed)
    }

    fn commit(&mut self, checkpoint: CheckpointId, _: &Context) -> Result<bool, DataflowError> {
        match &mut self.output {
            Output::Plain(_) => Ok(true),
            Output::Transactions(transactions) => transactions.commit(checkpoint),
        }
    }

    fn restore(&mut self, blocks: Vec<StateBlocks>, context: &Context) -> Result<(), DataflowError> {
        match &mut self.output {
            Output::Plain(_) => Ok(()),
            Output::Transactions(transactions) => transactions.restore(&blocks, context),
        }
    }

    fn finish(&mut self, context: &Context) -> Result<(), DataflowError> {
        self.flush_waiting(context.now_ms)
    }

    fn finished(&mut self, context: &Context) -> Result<bool, DataflowError> {
        let drained = self.drain(context.now_ms)?;
        // The last checkpoint closes the transaction and waits for it.
        Ok(drained && (matches!(self.output, Output::Transactions(_)) || self.flush_end()?))
    }

    fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    fn cancel(&mut self) {
        if let Output::Transactions(transactions) = &mut self.output {
            transactions.abort_all();
        }
    }

    fn close(&mut self) {
        if let Output::Transactions(transactions) = &mut self.output {
            transactions.abandon();
        }
    }
}
