//! Settings under Kafka's own names, as they stand in a `client.properties` file or in a table's `properties.*`
//! options. The declarations of [`PROPERTIES`] feed parsing, the documentation and completion alike.

mod jaas;
mod properties;
mod security;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use millstream_kafka_wire::compression::{Codec, CompressionLevels};

pub use jaas::login_module;
pub use properties::{PROPERTIES, Property, PropertyType};
pub use security::{FILE_PROPERTIES, PemSource, SaslConfig, SaslMechanism, TlsConfig};

use properties::Values;

/// A setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("invalid value '{value}' for '{name}': expected {expected}")]
    Value {
        name: String,
        value: String,
        expected: String,
    },
    #[error("'{name}' is missing: {remedy}")]
    Missing { name: String, remedy: String },
    #[error("'{name}' = '{value}' is not supported: {remedy}")]
    Unsupported {
        name: String,
        value: String,
        remedy: String,
    },
    #[error("line {line} of the properties file is not `name=value`")]
    File { line: usize },
}

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Whether records of open and aborted transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationLevel {
    #[default]
    ReadUncommitted,
    ReadCommitted,
}

impl IsolationLevel {
    pub const fn code(self) -> i8 {
        match self {
            IsolationLevel::ReadUncommitted => 0,
            IsolationLevel::ReadCommitted => 1,
        }
    }
}

/// What to do when a position is out of range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetReset {
    Earliest,
    #[default]
    Latest,
    /// It is an error.
    None,
}

/// How and where to connect.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    pub bootstrap_servers: Vec<String>,
    pub client_id: String,
    pub client_rack: String,
    pub tls: Option<TlsConfig>,
    pub sasl: Option<SaslConfig>,
    pub connection_setup_timeout: Duration,
    pub request_timeout: Duration,
    pub api_timeout: Duration,
    pub reconnect_backoff: Duration,
    pub reconnect_backoff_max: Duration,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub metadata_max_age: Duration,
}

/// How to fetch.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    pub fetch_max_bytes: i32,
    pub fetch_min_bytes: i32,
    pub fetch_max_wait: Duration,
    pub max_partition_fetch_bytes: i32,
    pub isolation_level: IsolationLevel,
    pub check_crcs: bool,
    pub offset_reset: OffsetReset,
    pub allow_auto_create_topics: bool,
    /// Whether fetches may wait side by side at one broker. Kafka handles the requests of a connection in order; a broker in
    /// the same process does not, so that `fetch_max_wait` may be long without delaying other partitions.
    pub concurrent: bool,
    /// Bytes that are fetched and not consumed yet, over all partitions; fetching pauses beyond this.
    pub buffer_bytes: usize,
}

/// How to produce.
#[derive(Clone, Debug)]
pub struct ProduceConfig {
    pub acks: i16,
    pub linger: Duration,
    pub batch_size: usize,
    pub buffer_memory: usize,
    pub max_request_size: usize,
    pub max_in_flight: usize,
    pub max_block: Duration,
    pub delivery_timeout: Duration,
    pub compression: Codec,
    pub compression_levels: CompressionLevels,
    pub idempotence: bool,
    pub transactional_id: Option<String>,
    pub transaction_timeout: Duration,
}

/// All settings of a client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub connection: ConnectionConfig,
    pub fetch: FetchConfig,
    pub produce: ProduceConfig,
    pub group_id: Option<String>,
}

/// Settings that were read, and names that were not understood.
#[derive(Clone, Debug)]
pub struct ParsedConfig {
    pub config: ClientConfig,
    /// One sentence each, for the user.
    pub warnings: Vec<String>,
}

impl ClientConfig {
    /// Reads settings by Kafka's names.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use millstream_kafka_client::config::ClientConfig;
    /// let settings = BTreeMap::from([
    ///     ("bootstrap.servers".to_owned(), "127.0.0.1:9092".to_owned()),
    ///     ("linger.ms".to_owned(), "20".to_owned()),
    ///     ("lingerms".to_owned(), "20".to_owned()),
    /// ]);
    /// let parsed = ClientConfig::parse(&settings)?;
    /// assert_eq!(parsed.config.produce.linger.as_millis(), 20);
    /// assert_eq!(parsed.warnings, ["unknown client property 'lingerms'; did you mean 'linger.ms'?"]);
    /// # Ok::<(), millstream_kafka_client::config::ConfigError>(())
    /// ```
    pub fn parse(settings: &BTreeMap<String, String>) -> Result<ParsedConfig, ConfigError> {
        let values = Values::new(settings);
        values.check_ignored()?;
        let produce = parse_produce(&values)?;
        let config = ClientConfig {
            connection: parse_connection(&values)?,
            fetch: parse_fetch(&values)?,
            produce,
            group_id: values.text("group.id").filter(|id| !id.is_empty()),
        };
        Ok(ParsedConfig {
            config,
            warnings: values.warnings(),
        })
    }
}

fn parse_connection(values: &Values<'_>) -> Result<ConnectionConfig, ConfigError> {
    let servers = values.text("bootstrap.servers").unwrap_or_default();
    let bootstrap_servers: Vec<String> = servers
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect();
    for server in &bootstrap_servers {
        split_address(server)?;
    }
    let (tls, sasl) = security::parse(values)?;
    Ok(ConnectionConfig {
        bootstrap_servers,
        client_id: values.text("client.id").unwrap_or_default(),
        client_rack: values.text("client.rack").unwrap_or_default(),
        tls,
        sasl,
        connection_setup_timeout: values.millis("socket.connection.setup.timeout.ms")?,
        request_timeout: values.millis("request.timeout.ms")?,
        api_timeout: values.millis("default.api.timeout.ms")?,
        reconnect_backoff: values.millis("reconnect.backoff.ms")?,
        reconnect_backoff_max: values.millis("reconnect.backoff.max.ms")?,
        retry_backoff: values.millis("retry.backoff.ms")?,
        retry_backoff_max: values.millis("retry.backoff.max.ms")?,
        metadata_max_age: values.millis("metadata.max.age.ms")?,
    })
}

fn parse_fetch(values: &Values<'_>) -> Result<FetchConfig, ConfigError> {
    let isolation_level = match values.word("isolation.level")?.as_str() {
        "read_committed" => IsolationLevel::ReadCommitted,
        _ => IsolationLevel::ReadUncommitted,
    };
    let offset_reset = match values.word("auto.offset.reset")?.as_str() {
        "earliest" => OffsetReset::Earliest,
        "none" => OffsetReset::None,
        _ => OffsetReset::Latest,
    };
    Ok(FetchConfig {
        fetch_max_bytes: values.int("fetch.max.bytes")?,
        fetch_min_bytes: values.int("fetch.min.bytes")?,
        fetch_max_wait: values.millis("fetch.max.wait.ms")?,
        concurrent: false,
        max_partition_fetch_bytes: values.int("max.partition.fetch.bytes")?,
        isolation_level,
        check_crcs: values.boolean("check.crcs")?,
        offset_reset,
        allow_auto_create_topics: values.boolean("allow.auto.create.topics")?,
        buffer_bytes: values.size("fetch.buffer.bytes")?,
    })
}

fn parse_produce(values: &Values<'_>) -> Result<ProduceConfig, ConfigError> {
    let acks = match values.word("acks")?.as_str() {
        "0" => 0,
        "1" => 1,
        _ => -1,
    };
    let transactional_id = values.text("transactional.id").filter(|id| !id.is_empty());
    let explicit = values.is_set("enable.idempotence");
    let idempotence =
        values.boolean("enable.idempotence")? && (explicit || acks == -1 || transactional_id.is_some());
    let max_in_flight = values.size("max.in.flight.requests.per.connection")?;
    let conflict = |name: &str, expected: &str| ConfigError::Value {
        name: name.to_owned(),
        value: values.text(name).unwrap_or_default(),
        expected: expected.to_owned(),
    };
    if idempotence && acks != -1 {
        return Err(conflict("acks", "all, as enable.idempotence is true"));
    }
    if idempotence && max_in_flight > IN_FLIGHT_IDEMPOTENT_MAX {
        return Err(conflict(
            "max.in.flight.requests.per.connection",
            "at most 5, as enable.idempotence is true",
        ));
    }
    if transactional_id.is_some() && !idempotence {
        return Err(conflict("enable.idempotence", "true, as transactional.id is set"));
    }
    if values.int("compression.gzip.level")? == 0 {
        return Err(conflict(
            "compression.gzip.level",
            "1 to 9, or -1 for the default",
        ));
    }
    Ok(ProduceConfig {
        acks,
        linger: values.millis("linger.ms")?,
        batch_size: values.size("batch.size")?,
        buffer_memory: values.size("buffer.memory")?,
        max_request_size: values.size("max.request.size")?,
        max_in_flight: max_in_flight.max(1),
        max_block: values.millis("max.block.ms")?,
        delivery_timeout: values.millis("delivery.timeout.ms")?,
        compression: values.word("compression.type")?.parse().unwrap_or_default(),
        compression_levels: CompressionLevels {
            gzip: values.int("compression.gzip.level")?,
            zstd: values.int("compression.zstd.level")?,
        },
        idempotence,
        transactional_id,
        transaction_timeout: values.millis("transaction.timeout.ms")?,
    })
}

/// Batches in flight per partition for which a broker can keep the order of an idempotent producer.
pub const IN_FLIGHT_IDEMPOTENT_MAX: usize = 5;

/// The host and port of `host:port` or `[v6]:port`, with or without a protocol in front.
pub fn split_address(server: &str) -> Result<(String, u16), ConfigError> {
    let invalid = || ConfigError::Value {
        name: "bootstrap.servers".to_owned(),
        value: server.to_owned(),
        expected: "host:port, separated by commas".to_owned(),
    };
    let address = server.rsplit_once("://").map_or(server, |(_, rest)| rest);
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let port = port.parse().map_err(|_| invalid())?;
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if host.is_empty() {
        return Err(invalid());
    }
    Ok((host.to_owned(), port))
}

/// Reads the text of a `.properties` file: `name=value` lines, comments, continued lines.
pub fn parse_properties_file(text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut settings = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut line = line.trim().to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while let Some(head) = line.strip_suffix('\\') {
            let next = lines.next().map_or("", |(_, next)| next.trim());
            line = format!("{head}{next}");
        }
        let (name, value) = line
            .split_once(['=', ':'])
            .ok_or(ConfigError::File { line: index + 1 })?;
        settings.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(settings)
}
