//! Derives the client's settings from a table's options.

use std::time::Duration;

use millstream_dataflow::DataflowError;
use millstream_kafka_client::ClientConfig;
use millstream_kafka_client::config::OffsetReset;
use millstream_types::{ErrorKind, TableDefinition};

use super::options::{KafkaTable, Startup};

/// The property that limits a fetch per partition.
const PARTITION_FETCH_BYTES: &str = "max.partition.fetch.bytes";
/// Its default. A job that catches up reads everything available, so the default exceeds the 1 MiB of Kafka's
/// consumers, which holds two batches of a busy producer.
const FETCH_BYTES: i32 = 4 << 20;
/// The property that limits how long a fetch waits for records.
const FETCH_WAIT: &str = "fetch.max.wait.ms";
/// Its default for the embedded broker. The broker forgets the fetches of ended jobs after this time.
const EMBEDDED_FETCH_WAIT: Duration = Duration::from_secs(60);
/// The property that sets the batch size.
const BATCH_SIZE: &str = "batch.size";
/// Its default. A job writes thousands of rows at once; with the 16 KiB of Kafka's clients, every hundred of them would
/// become a request. Nothing else changes: a partial batch is still sent after `linger.ms`.
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
    Ok(KafkaTable::parse(&definition)?)
}

/// The settings of a client that reads the table.
pub fn source_client(table: &KafkaTable) -> Result<ClientConfig, DataflowError> {
    let mut config = client(table)?;
    if !table.properties.contains_key(PARTITION_FETCH_BYTES) {
        config.fetch.max_partition_fetch_bytes = FETCH_BYTES;
    }
    // As in Flink's source, a position that retention has removed is reset according to the table's startup mode.
    if !table.properties.contains_key("auto.offset.reset") {
        config.fetch.offset_reset = match table.startup {
            Startup::Earliest | Startup::Offsets(_) => OffsetReset::Earliest,
            Startup::Latest | Startup::Timestamp(_) => OffsetReset::Latest,
            Startup::GroupOffsets => OffsetReset::None,
        };
    }
    Ok(config)
}

/// The settings of [`source_client`] for the cluster that is read. A fetch of the embedded broker waits until records
/// arrive, so that an idle source costs nothing; the broker completes it with the next append, and when the topic is
/// deleted.
pub fn fetch_settings(config: &ClientConfig, table: &KafkaTable, is_embedded: bool) -> ClientConfig {
    let mut config = config.clone();
    if is_embedded && !table.properties.contains_key(FETCH_WAIT) {
        config.fetch.fetch_max_wait = EMBEDDED_FETCH_WAIT;
        config.fetch.concurrent = true;
    }
    config
}

/// The settings of a client that writes it.
pub fn sink_client(table: &KafkaTable) -> Result<ClientConfig, DataflowError> {
    let mut config = client(table)?;
    if !table.properties.contains_key(BATCH_SIZE) {
        config.produce.batch_size = BATCH_BYTES;
    }
    Ok(config)
}

/// Unknown properties are logged once and ignored, as in Kafka.
fn client(table: &KafkaTable) -> Result<ClientConfig, DataflowError> {
    let mut properties = table.properties.clone();
    // A table need not name an address for the embedded broker.
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
