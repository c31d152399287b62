//! The declared properties: name, type, default, meaning.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ConfigError;

/// The type of a property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyType {
    Text,
    /// Never shown.
    Password,
    Boolean,
    /// An integer within the bounds.
    Int(i64, i64),
    /// One of the words.
    Word(&'static [&'static str]),
}

/// One property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    pub name: &'static str,
    pub property_type: PropertyType,
    /// As text; empty if there is none.
    pub default: &'static str,
    pub doc: &'static str,
    /// Known to Kafka's clients, without a meaning here: the value is checked and has no effect.
    pub is_ignored: bool,
}

const fn property(
    name: &'static str,
    property_type: PropertyType,
    default: &'static str,
    doc: &'static str,
) -> Property {
    Property {
        name,
        property_type,
        default,
        doc,
        is_ignored: false,
    }
}

const fn ignored(name: &'static str, property_type: PropertyType) -> Property {
    Property {
        is_ignored: true,
        ..property(name, property_type, "", "Accepted, has no meaning here.")
    }
}

use PropertyType::{Boolean, Int, Password, Text, Word};

const MS: PropertyType = Int(0, i64::MAX);
const SIZE: PropertyType = Int(0, i32::MAX as i64);
const COUNT: PropertyType = Int(1, i32::MAX as i64);
/// -1 is the system's default.
const SOCKET_BUFFER: PropertyType = Int(-1, i32::MAX as i64);

/// Every property that is understood, in the order of the reference.
pub const PROPERTIES: &[Property] = &[
    property(
        "bootstrap.servers",
        Text,
        "",
        "Addresses of some brokers, `host:port`, separated by commas.",
    ),
    property(
        "client.id",
        Text,
        "millstream",
        "A name of this client for the broker's logs and quotas.",
    ),
    property(
        "client.rack",
        Text,
        "",
        "Where this client is; lets it fetch from a replica nearby.",
    ),
    property(
        "security.protocol",
        Word(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        "PLAINTEXT",
        "Whether to encrypt and to authenticate.",
    ),
    property(
        "sasl.mechanism",
        Word(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        "",
        "How to authenticate.",
    ),
    property(
        "sasl.mechanisms",
        Word(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        "",
        "Another name of `sasl.mechanism`.",
    ),
    property(
        "sasl.jaas.config",
        Password,
        "",
        "User and password as a JAAS login module, as the Java client has it.",
    ),
    property(
        "sasl.username",
        Text,
        "",
        "User, if there is no `sasl.jaas.config`.",
    ),
    property(
        "sasl.password",
        Password,
        "",
        "Password, if there is no `sasl.jaas.config`.",
    ),
    property(
        "ssl.truststore.type",
        Text,
        "",
        "Type of the truststore; only PEM can be read.",
    ),
    property(
        "ssl.truststore.location",
        Text,
        "",
        "PEM file with the certificates of authorities to trust; the system's if not set.",
    ),
    property("ssl.truststore.certificates", Text, "", "The same as text."),
    property(
        "ssl.truststore.password",
        Password,
        "",
        "PEM truststores have none.",
    ),
    property(
        "ssl.ca.location",
        Text,
        "",
        "Another name of `ssl.truststore.location`.",
    ),
    property(
        "ssl.keystore.type",
        Text,
        "",
        "Type of the keystore; only PEM can be read.",
    ),
    property(
        "ssl.keystore.location",
        Text,
        "",
        "PEM file with this client's key and certificates, for brokers that ask for them.",
    ),
    property("ssl.keystore.key", Password, "", "The key as PEM text."),
    property(
        "ssl.keystore.certificate.chain",
        Text,
        "",
        "The certificates as PEM text.",
    ),
    property("ssl.keystore.password", Password, "", "PEM keystores have none."),
    property(
        "ssl.certificate.location",
        Text,
        "",
        "PEM file with this client's certificates.",
    ),
    property("ssl.key.location", Text, "", "PEM file with this client's key."),
    property("ssl.key.password", Password, "", "Encrypted keys cannot be read."),
    property(
        "ssl.endpoint.identification.algorithm",
        Text,
        "https",
        "Empty: the name in the broker's certificate is not checked.",
    ),
    property(
        "socket.connection.setup.timeout.ms",
        MS,
        "10000",
        "How long connecting may take.",
    ),
    property(
        "request.timeout.ms",
        MS,
        "30000",
        "Timeout of a response; the connection is closed after it.",
    ),
    property(
        "default.api.timeout.ms",
        MS,
        "60000",
        "How long an operation may take with all its repetitions.",
    ),
    property(
        "reconnect.backoff.ms",
        MS,
        "50",
        "Wait before connecting again; doubles with each failure.",
    ),
    property("reconnect.backoff.max.ms", MS, "1000", "The longest such wait."),
    property(
        "retry.backoff.ms",
        MS,
        "100",
        "Wait before repeating a request; doubles with each failure.",
    ),
    property("retry.backoff.max.ms", MS, "1000", "The longest such wait."),
    property(
        "metadata.max.age.ms",
        MS,
        "300000",
        "Time after which metadata is refreshed.",
    ),
    property(
        "group.id",
        Text,
        "",
        "The group whose offsets are read and committed.",
    ),
    property(
        "auto.offset.reset",
        Word(&["earliest", "latest", "none"]),
        "latest",
        "Where to continue if a position is not in the log.",
    ),
    property(
        "fetch.max.bytes",
        SIZE,
        "52428800",
        "The most that one fetch returns.",
    ),
    property(
        "fetch.min.bytes",
        SIZE,
        "1",
        "A fetch waits until there is so much.",
    ),
    property(
        "fetch.max.wait.ms",
        Int(0, i32::MAX as i64),
        "500",
        "How long it waits.",
    ),
    property(
        "max.partition.fetch.bytes",
        SIZE,
        "1048576",
        "The most that one fetch returns of a partition.",
    ),
    property(
        "fetch.buffer.bytes",
        Int(1, i64::MAX),
        "67108864",
        "Bytes that were fetched and not taken yet; fetching pauses beyond. Not one of Kafka's names.",
    ),
    property(
        "isolation.level",
        Word(&["read_uncommitted", "read_committed"]),
        "read_uncommitted",
        "Whether records of open and aborted transactions are seen.",
    ),
    property(
        "check.crcs",
        Boolean,
        "true",
        "Whether the checksum of each batch is verified.",
    ),
    property(
        "allow.auto.create.topics",
        Boolean,
        "true",
        "Whether asking for a topic may create it, if the broker does that.",
    ),
    property(
        "acks",
        Word(&["all", "-1", "1", "0"]),
        "all",
        "When the broker acknowledges records.",
    ),
    property("linger.ms", MS, "5", "How long a batch waits for more records."),
    property("batch.size", SIZE, "16384", "Size at which a batch is sent."),
    property(
        "buffer.memory",
        Int(1, i64::MAX),
        "33554432",
        "Bytes of records that were not sent yet; appending waits beyond.",
    ),
    property(
        "max.request.size",
        Int(1, i32::MAX as i64),
        "1048576",
        "The largest record and the largest request.",
    ),
    property(
        "max.in.flight.requests.per.connection",
        Int(1, 1_000_000),
        "5",
        "Unanswered requests to a broker.",
    ),
    property(
        "max.block.ms",
        MS,
        "60000",
        "How long appending may wait for memory or metadata.",
    ),
    property(
        "delivery.timeout.ms",
        MS,
        "120000",
        "How long a record may be under way with all repetitions.",
    ),
    property(
        "compression.type",
        Word(&["none", "gzip", "snappy", "lz4", "zstd"]),
        "none",
        "Compression of batches.",
    ),
    property(
        "compression.gzip.level",
        Int(-1, 9),
        "-1",
        "Level of gzip; -1 is its default.",
    ),
    property("compression.zstd.level", Int(-131_072, 22), "3", "Level of zstd."),
    property(
        "enable.idempotence",
        Boolean,
        "true",
        "Whether repeated batches are recognised, so that nothing is doubled or reordered.",
    ),
    property(
        "transactional.id",
        Text,
        "",
        "Identity of a transactional producer, kept over restarts.",
    ),
    property(
        "transaction.timeout.ms",
        Int(1, i32::MAX as i64),
        "60000",
        "After how long the broker aborts an open transaction.",
    ),
    ignored("key.serializer", Text),
    ignored("value.serializer", Text),
    ignored("key.deserializer", Text),
    ignored("value.deserializer", Text),
    ignored("enable.auto.commit", Boolean),
    ignored("auto.commit.interval.ms", SIZE),
    ignored("session.timeout.ms", SIZE),
    ignored("heartbeat.interval.ms", SIZE),
    ignored("max.poll.records", COUNT),
    ignored("max.poll.interval.ms", COUNT),
    ignored("group.instance.id", Text),
    ignored("group.protocol", Word(&["classic", "consumer"])),
    ignored("partition.assignment.strategy", Text),
    ignored("partition.discovery.interval.ms", Int(i64::MIN, i64::MAX)),
    ignored("client.id.prefix", Text),
    ignored("register.consumer.metrics", Text),
    ignored("register.producer.metrics", Text),
    ignored("compression.lz4.level", Int(1, 17)),
    ignored("retries", SIZE),
    ignored("partitioner.class", Text),
    ignored("interceptor.classes", Text),
    ignored("metric.reporters", Text),
    ignored("metrics.num.samples", COUNT),
    ignored("metrics.recording.level", Word(&["INFO", "DEBUG", "TRACE"])),
    ignored("metrics.sample.window.ms", MS),
    ignored("send.buffer.bytes", SOCKET_BUFFER),
    ignored("receive.buffer.bytes", SOCKET_BUFFER),
    ignored("connections.max.idle.ms", Int(i64::MIN, i64::MAX)),
    ignored(
        "client.dns.lookup",
        Word(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]),
    ),
    ignored("exclude.internal.topics", Boolean),
    ignored("socket.connection.setup.timeout.max.ms", MS),
    ignored("enable.metrics.push", Boolean),
    ignored("ssl.protocol", Text),
    ignored("ssl.enabled.protocols", Text),
    ignored("ssl.provider", Text),
];

/// The given properties, looked up by declaration.
pub(super) struct Values<'a> {
    settings: &'a BTreeMap<String, String>,
}

impl<'a> Values<'a> {
    pub fn new(settings: &'a BTreeMap<String, String>) -> Self {
        Values { settings }
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    /// The given value or the default; `None` without either.
    pub fn text(&self, name: &str) -> Option<String> {
        if let Some(value) = self.settings.get(name) {
            return Some(value.trim().to_owned());
        }
        let default = PROPERTIES.iter().find(|p| p.name == name)?.default;
        (!default.is_empty()).then(|| default.to_owned())
    }

    fn invalid(&self, name: &str, expected: impl Into<String>) -> ConfigError {
        let value = self.text(name).unwrap_or_default();
        ConfigError::Value {
            name: name.to_owned(),
            value,
            expected: expected.into(),
        }
    }

    fn integer(&self, name: &str) -> Result<i64, ConfigError> {
        let (min, max) = match PROPERTIES
            .iter()
            .find(|p| p.name == name)
            .map(|p| p.property_type)
        {
            Some(Int(min, max)) => (min, max),
            _ => (i64::MIN, i64::MAX),
        };
        let value = self.text(name).and_then(|text| text.parse().ok());
        value.filter(|value| (min..=max).contains(value)).ok_or_else(|| {
            let bound = if max == i64::MAX {
                String::new()
            } else {
                format!(" and at most {max}")
            };
            self.invalid(name, format!("an integer of at least {min}{bound}"))
        })
    }

    pub fn int(&self, name: &str) -> Result<i32, ConfigError> {
        self.integer(name)
            .map(|value| i32::try_from(value).unwrap_or(i32::MAX))
    }

    pub fn size(&self, name: &str) -> Result<usize, ConfigError> {
        self.integer(name)
            .map(|value| usize::try_from(value).unwrap_or(usize::MAX))
    }

    pub fn millis(&self, name: &str) -> Result<Duration, ConfigError> {
        self.integer(name)
            .map(|value| Duration::from_millis(value.unsigned_abs()))
    }

    pub fn boolean(&self, name: &str) -> Result<bool, ConfigError> {
        match self.text(name).unwrap_or_default().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.invalid(name, "true or false")),
        }
    }

    /// One of the declared words, as declared.
    pub fn word(&self, name: &str) -> Result<String, ConfigError> {
        let words = match PROPERTIES
            .iter()
            .find(|p| p.name == name)
            .map(|p| p.property_type)
        {
            Some(Word(words)) => words,
            _ => &[],
        };
        let text = self.text(name).unwrap_or_default();
        let found = words.iter().find(|word| word.eq_ignore_ascii_case(&text));
        found
            .map(|word| (*word).to_owned())
            .ok_or_else(|| self.invalid(name, format!("one of {}", words.join(", "))))
    }

    /// Validates properties that have no effect here, as Kafka's clients do.
    pub fn check_ignored(&self) -> Result<(), ConfigError> {
        let given = |property: &&Property| property.is_ignored && self.is_set(property.name);
        for Property {
            name, property_type, ..
        } in PROPERTIES.iter().filter(given)
        {
            match property_type {
                Text | Password => {}
                Boolean => drop(self.boolean(name)?),
                Int(..) => drop(self.integer(name)?),
                Word(_) => drop(self.word(name)?),
            }
        }
        Ok(())
    }

    /// A sentence for each name that is not declared.
    pub fn warnings(&self) -> Vec<String> {
        let unknown = self
            .settings
            .keys()
            .filter(|name| PROPERTIES.iter().all(|p| p.name != name.as_str()));
        unknown.map(|name| unknown_name(name)).collect()
    }
}

/// Edit distance up to which a name is suggested as a correction.
const SLIP_DISTANCE_MAX: usize = 3;

fn unknown_name(name: &str) -> String {
    let nearest = PROPERTIES.iter().map(|p| (distance(name, p.name), p.name)).min();
    match nearest {
        Some((distance, nearest)) if distance <= SLIP_DISTANCE_MAX => {
            format!("unknown client property '{name}'; did you mean '{nearest}'?")
        }
        _ => format!("unknown client property '{name}'; it has no effect"),
    }
}

/// The edit distance of two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
