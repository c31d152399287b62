//! From a table's options to the client's settings.

use millstream_dataflow::DataflowError;
use millstream_kafka_client::ClientConfig;
use millstream_kafka_client::config::OffsetReset;
use millstream_types::{ErrorKind, TableDefinition};

use super::options::{KafkaTable, Startup};

/// The property that says how much one fetch returns of a partition.
const PARTITION_FETCH_BYTES: &str = "max.partition.fetch.bytes";
/// How much it returns without it: a job that catches up takes what there is, so it may well be more than the 1 MiB of
/// Kafka's consumers, which is two batches of a busy producer.
const FETCH_BYTES: i32 = 4 << 20;
/// The property that says how large batches get.
const BATCH_SIZE: &str = "batch.size";
/// How large they get without it. A job hands over thousands of rows at a time: the 16 KiB of Kafka's clients would make
/// a request of every hundred of them. It changes nothing else; what is there is sent after `linger.ms` as ever.
const BATCH_BYTES: usize = 256 << 10;

/// The options of a table.
pub fn parse(table: &millstream_plan::TableSpec) -> Result<KafkaTable, DataflowError> {
    let key: Vec<String> = table
        .primary_key
        .iter()
        .map(|i| table.physical.columns[*i].name.clone())
        .collect();
    let identifier = table.identifier.to_string();
    let definition = TableDefinition {
        identifier: &identifier,
        options: &table.options,
        physical: &table.physical,
        primary_key: &key,
        partition_keys: &table.partition_keys,
    };
    KafkaTable::parse(&definition).map_err(|e| DataflowError::new(ErrorKind::Input, e))
}

/// The settings of a client that reads the table.
pub fn source_client(table: &KafkaTable) -> Result<ClientConfig, DataflowError> {
    let mut config = client(table)?;
    if !table.properties.contains_key(PARTITION_FETCH_BYTES) {
        config.fetch.max_partition_fetch_bytes = FETCH_BYTES;
    }
    // As Flink's source: a position that retention has removed continues as the table says it starts.
    if !table.properties.contains_key("auto.offset.reset") {
        config.fetch.offset_reset = match table.startup {
            Startup::Earliest | Startup::Offsets(_) => OffsetReset::Earliest,
            Startup::Latest | Startup::Timestamp(_) => OffsetReset::Latest,
            Startup::GroupOffsets => OffsetReset::None,
        };
    }
    Ok(config)
}

/// The settings of a client that writes it.
pub fn sink_client(table: &KafkaTable) -> Result<ClientConfig, DataflowError> {
    let mut config = client(table)?;
    if !table.properties.contains_key(BATCH_SIZE) {
        config.produce.batch_size = BATCH_BYTES;
    }
    Ok(config)
}

/// Unknown properties are said once and ignored, as Kafka does.
fn client(table: &KafkaTable) -> Result<ClientConfig, DataflowError> {
    let mut properties = table.properties.clone();
    // The broker inside has no address that a table must name.
    properties
        .entry("bootstrap.servers".to_owned())
        .or_insert_with(|| "127.0.0.1:9092".to_owned());
    let parsed =
        ClientConfig::parse(&properties).map_err(|e| DataflowError::new(ErrorKind::Input, e.to_string()))?;
    for warning in &parsed.warnings {
        tracing::warn!("{warning}");
    }
    Ok(parsed.config)
}
