//! The sink of connector `kafka`: at least once.
//!
//! Rows are encoded on the worker's thread and handed to the producer, which sends in the background. A barrier, and the
//! end of the input, wait until everything before is written. When the producer's memory is full the sink says that it
//! is not ready and goes on with what is left as soon as there is room.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef};
use millstream_dataflow::{Context, DataflowError, Sink, SinkCommit, SinkFactory, StateBlocks, Waker};
use millstream_formats::{Encoded, Encoder};
use millstream_kafka_client::produce::{AppendError, ProduceRecord};
use millstream_kafka_client::{KafkaClient, Producer};
use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::record_batch::Header;
use millstream_plan::MetadataColumn;
use millstream_types::{Batch, CheckpointId, ErrorKind, Schema};

use super::KafkaClusters;
use super::options::{Guarantee, KafkaTable, Part, Partitioner, Topics};
use super::source::{client_config, parse};
use crate::SinkSpec;
use crate::context::ConnectorContext;

/// Makes Kafka sinks.
pub struct KafkaSinkFactory {
    table: KafkaTable,
    columns: Vec<usize>,
    metadata: Vec<MetadataColumn>,
    context: ConnectorContext,
}

impl KafkaSinkFactory {
    pub fn new(spec: SinkSpec, context: &ConnectorContext) -> Result<Self, DataflowError> {
        let table = parse(&spec.table)?;
        if table.guarantee == Guarantee::ExactlyOnce {
            return Err(DataflowError::new(
                ErrorKind::Unsupported,
                "not supported yet: 'sink.delivery-guarantee' = 'exactly-once'; use 'at-least-once'",
            ));
        }
        let factory = Self {
            table,
            columns: spec.columns,
            metadata: spec.metadata,
            context: context.clone(),
        };
        factory.topics()?;
        client_config(&factory.table)?;
        for part in factory.table.key.iter().chain([&factory.table.value]) {
            factory.encoder(part)?;
        }
        Ok(factory)
    }

    /// The only topic, or with a writable `topic` column the ones that rows may name.
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

    /// Position in the input of a metadata column.
    fn metadata_at(&self, key: &str) -> Option<usize> {
        self.metadata
            .iter()
            .position(|m| m.key == key)
            .map(|i| self.columns.len() + i)
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
        Ok(PartEncoder {
            encoder,
            inputs: inputs?,
        })
    }
}

impl SinkFactory for KafkaSinkFactory {
    fn create(&self, context: &Context) -> Result<Box<dyn Sink>, DataflowError> {
        let mut config = client_config(&self.table)?;
        if self.table.guarantee == Guarantee::None {
            config.produce.idempotence = false;
        }
        let transport = self.context.kafka.transport(&self.table.properties)?;
        let client = KafkaClient::new(
            config.connection.clone(),
            transport,
            Arc::clone(&self.context.rng),
        );
        let runtime = self.context.kafka.runtime();
        let _inside = runtime.enter();
        let producer = Arc::new(Producer::start(client.clone(), config.produce));
        Ok(Box::new(KafkaSink {
            producer,
            client,
            kafka: Arc::clone(&self.context.kafka),
            key: self.table.key.as_ref().map(|key| self.encoder(key)).transpose()?,
            value: self.encoder(&self.table.value)?,
            destination: self.topics()?,
            headers: self.metadata_at("headers"),
            timestamp: self.metadata_at("timestamp"),
            fixed_partition: (self.table.partitioner == Partitioner::Fixed).then_some(context.subtask),
            backlog: VecDeque::new(),
            waiting: Arc::default(),
            flushing: Arc::default(),
            waker: None,
        }))
    }

    fn parallelism_max(&self) -> Option<usize> {
        self.table.sink_parallelism
    }
}

/// Where rows go.
enum Destination {
    Fixed(KafkaString),
    ByRow {
        column: usize,
        allowed: Option<BTreeSet<String>>,
    },
}

struct PartEncoder {
    encoder: Box<dyn Encoder>,
    inputs: Vec<usize>,
}

impl PartEncoder {
    fn encode(&mut self, batch: &Batch) -> Result<Encoded, DataflowError> {
        let mut encoded = Encoded::default();
        let part = batch.project(&self.inputs);
        self.encoder
            .encode(&part, &mut encoded)
            .map_err(|e| DataflowError::data(e.to_string()))?;
        Ok(encoded)
    }
}

/// A batch that is encoded and not handed over as a whole yet.
struct Backlog {
    /// For topics, headers and timestamps that rows carry.
    batch: Batch,
    key: Option<Encoded>,
    value: Encoded,
    /// The next row to hand over.
    next: usize,
}

fn message(encoded: &Encoded, row: usize) -> Option<&[u8]> {
    if encoded.nulls.binary_search(&row).is_ok() {
        return None;
    }
    let start = row.checked_sub(1).map_or(0, |before| encoded.ends[before]);
    Some(&encoded.data[start..encoded.ends[row]])
}

/// Progress of a flush.
#[derive(Default)]
enum Flush {
    #[default]
    None,
    Running,
    Done(Result<(), DataflowError>),
}

struct KafkaSink {
    producer: Arc<Producer>,
    client: KafkaClient,
    kafka: Arc<dyn KafkaClusters>,
    key: Option<PartEncoder>,
    value: PartEncoder,
    destination: Destination,
    headers: Option<usize>,
    timestamp: Option<usize>,
    fixed_partition: Option<usize>,
    /// Batches that came while the producer had no room: one step of the chain may give several.
    backlog: VecDeque<Backlog>,
    /// Somebody waits for room or for metadata; holds the error if that failed.
    waiting: Arc<Mutex<Wait>>,
    flushing: Arc<Mutex<Flush>>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Wait {
    running: bool,
    error: Option<DataflowError>,
}

impl KafkaSink {
    /// Hands over rows of the backlog; `false`: some are left.
    fn drain(&mut self, now_ms: i64) -> Result<bool, DataflowError> {
        {
            let mut wait = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = wait.error.take() {
                return Err(error);
            }
            if wait.running {
                return Ok(false);
            }
        }
        while let Some(mut front) = self.backlog.pop_front() {
            while front.next < front.batch.rows {
                let topic = self.topic_of(&front.batch, front.next)?;
                if let Some(wanted) = self.append(&front, &topic, now_ms)? {
                    self.backlog.push_front(front);
                    self.wait_for(wanted, topic);
                    return Ok(false);
                }
                front.next += 1;
            }
        }
        Ok(true)
    }

    /// Hands over the next row; `Some`: what must happen first.
    fn append(
        &self,
        from: &Backlog,
        topic: &KafkaString,
        now_ms: i64,
    ) -> Result<Option<Wanted>, DataflowError> {
        let (batch, row) = (&from.batch, from.next);
        let partition = match self.fixed_partition {
            None => None,
            Some(subtask) => match self.client.metadata().topic(topic.as_str()) {
                None => return Ok(Some(Wanted::Metadata)),
                Some(metadata) => Some((subtask % metadata.partitions.len().max(1)) as i32),
            },
        };
        let headers = self.headers_of(batch, row);
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
        match self.producer.try_append(&record) {
            Ok(_) => Ok(None),
            Err(AppendError::Full) => Ok(Some(Wanted::Room)),
            Err(AppendError::UnknownTopic) => Ok(Some(Wanted::Metadata)),
            Err(AppendError::Failed(error)) => Err(produce_failed(topic.as_str(), &error)),
        }
    }

    fn topic_of(&self, batch: &Batch, row: usize) -> Result<KafkaString, DataflowError> {
        let (column, allowed) = match &self.destination {
            Destination::Fixed(topic) => return Ok(topic.clone()),
            Destination::ByRow { column, allowed } => (*column, allowed),
        };
        let texts = batch.columns[column]
            .as_string_view_opt()
            .filter(|t| t.is_valid(row));
        let Some(name) = texts.map(|t| t.value(row)) else {
            return Err(DataflowError::data(
                "The topic of the sink record is not valid: it is NULL",
            ));
        };
        if allowed.as_ref().is_some_and(|allowed| !allowed.contains(name)) {
            return Err(DataflowError::data(format!(
                "The topic of the sink record is not valid: '{name}' is not in the list of option 'topic'"
            )));
        }
        Ok(KafkaString::from(name))
    }

    fn headers_of(&self, batch: &Batch, row: usize) -> Vec<(String, Vec<u8>)> {
        let Some(column) = self
            .headers
            .map(|c| &batch.columns[c])
            .filter(|c| c.is_valid(row))
        else {
            return Vec::new();
        };
        let Some(entries) = column.as_list_opt::<i32>().map(|l| l.value(row)) else {
            return Vec::new();
        };
        let Some(entries) = entries.as_struct_opt() else {
            return Vec::new();
        };
        let (Some(keys), Some(values)) = (
            entries.column(0).as_string_view_opt(),
            entries.column(1).as_binary_view_opt(),
        ) else {
            return Vec::new();
        };
        // As in Flink's writer, entries with a NULL on either side are left out.
        let whole = |i: &usize| keys.is_valid(*i) && values.is_valid(*i);
        (0..keys.len())
            .filter(whole)
            .map(|i| (keys.value(i).to_owned(), values.value(i).to_vec()))
            .collect()
    }

    fn wait_for(&self, wanted: Wanted, topic: KafkaString) {
        let (producer, client, waiting) = (
            Arc::clone(&self.producer),
            self.client.clone(),
            Arc::clone(&self.waiting),
        );
        let waker = self.waker.clone();
        waiting.lock().unwrap_or_else(PoisonError::into_inner).running = true;
        self.kafka.runtime().spawn(async move {
            let outcome = match wanted {
                Wanted::Room => {
                    producer.room().await;
                    Ok(())
                }
                Wanted::Metadata => client
                    .topics(std::slice::from_ref(&topic), true)
                    .await
                    .map(|_| ())
                    .map_err(|e| {
                        super::splits::client_failed(&format!("cannot write topic '{}'", topic.as_str()), &e)
                    }),
            };
            {
                let mut wait = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                wait.running = false;
                wait.error = outcome.err();
            }
            if let Some(waker) = waker {
                waker.wake();
            }
        });
    }

    /// Starts a flush, or tells how the running one ended.
    fn flush(&mut self) -> Result<bool, DataflowError> {
        let mut state = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *state) {
            Flush::Done(outcome) => outcome.map(|()| true),
            Flush::Running => {
                *state = Flush::Running;
                Ok(false)
            }
            Flush::None => {
                *state = Flush::Running;
                drop(state);
                let (producer, flushing, waker) = (
                    Arc::clone(&self.producer),
                    Arc::clone(&self.flushing),
                    self.waker.clone(),
                );
                self.kafka.runtime().spawn(async move {
                    let outcome = producer.flush().await.map_err(|e| produce_failed("", &e));
                    *flushing.lock().unwrap_or_else(PoisonError::into_inner) = Flush::Done(outcome);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                });
                Ok(false)
            }
        }
    }
}

/// What must happen before a row can be handed over.
enum Wanted {
    Room,
    Metadata,
}

fn timestamp_at(column: &ArrayRef, row: usize) -> Option<i64> {
    let millis = column.as_primitive_opt::<TimestampMillisecondType>()?;
    millis.is_valid(row).then(|| millis.value(row))
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
    fn open(&mut self, _: &Context, waker: Waker) -> Result<(), DataflowError> {
        self.waker = Some(waker);
        Ok(())
    }

    fn ready(&mut self, context: &Context) -> Result<bool, DataflowError> {
        self.drain(context.now_ms)
    }

    fn write(&mut self, batch: Batch, context: &Context) -> Result<(), DataflowError> {
        let value = self.value.encode(&batch)?;
        let key = self.key.as_mut().map(|key| key.encode(&batch)).transpose()?;
        self.backlog.push_back(Backlog {
            batch,
            key,
            value,
            next: 0,
        });
        self.drain(context.now_ms).map(|_| ())
    }

    fn prepare(&mut self, _: CheckpointId, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn prepared(&mut self, _: CheckpointId, context: &Context) -> Result<Option<SinkCommit>, DataflowError> {
        let done = self.drain(context.now_ms)? && self.flush()?;
        Ok(done.then(SinkCommit::default))
    }

    fn commit(&mut self, _: CheckpointId, _: &Context) -> Result<bool, DataflowError> {
        Ok(true)
    }

    fn restore(&mut self, _: Vec<StateBlocks>, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finish(&mut self, _: &Context) -> Result<(), DataflowError> {
        Ok(())
    }

    fn finished(&mut self, context: &Context) -> Result<bool, DataflowError> {
        Ok(self.drain(context.now_ms)? && self.flush()?)
    }
}
