//! A table's options of connector `kafka` or `upsert-kafka`, parsed and checked.
//!
//! Names, defaults and checks are those of Flink's Kafka table connector.

use std::collections::BTreeMap;

use millstream_dataflow::alignment::AlignmentSettings;
use millstream_types::options::parse_duration;
use millstream_types::{Options, Schema, TableDefinition};

use super::declaration::OPTIONS;
use super::upsert_options::{BufferFlush, buffer_flush, check_upsert, upsert_parts};
use crate::table_error::TableError;

/// Where to start reading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Startup {
    Earliest,
    Latest,
    GroupOffsets,
    Timestamp(i64),
    Offsets(BTreeMap<i32, i64>),
}

/// Default of `scan.watermark.alignment.update-interval`.
const ALIGNMENT_INTERVAL_MS_DEFAULT: i64 = 1000;

/// Where to stop reading; fixed when the job starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bounded {
    Unbounded,
    Latest,
    GroupOffsets,
    Timestamp(i64),
    Offsets(BTreeMap<i32, i64>),
}

/// Topics by name or pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Topics {
    Names(Vec<String>),
    Pattern(String),
}

/// `sink.partitioner`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Partitioner {
    /// Kafka's default: by key, otherwise sticky.
    Default,
    /// One partition per instance.
    Fixed,
}

/// `sink.delivery-guarantee`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guarantee {
    None,
    AtLeastOnce,
    ExactlyOnce,
}

/// A format with its options and columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub format: String,
    /// Options without the format's prefix.
    pub options: Options,
    /// Positions in the physical schema.
    pub columns: Vec<usize>,
    /// The columns under the names in the messages.
    pub schema: Schema,
}

/// The options of a table of connector `kafka` or `upsert-kafka`, parsed and checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KafkaTable {
    /// Connector `upsert-kafka`: a record is the newest row of its key, or a tombstone.
    pub upsert: bool,
    pub buffer_flush: Option<BufferFlush>,
    pub topics: Topics,
    /// Client properties, without the prefix `properties.`.
    pub properties: BTreeMap<String, String>,
    pub key: Option<Part>,
    pub value: Part,
    pub startup: Startup,
    pub bounded: Bounded,
    pub discovery_interval_ms: i64,
    pub partitioner: Partitioner,
    pub guarantee: Guarantee,
    pub transactional_id_prefix: Option<String>,
    pub scan_parallelism: Option<usize>,
    pub sink_parallelism: Option<usize>,
    pub watermark_on_event: bool,
    pub watermark_idle_timeout_ms: Option<i64>,
    pub watermark_alignment: Option<AlignmentSettings>,
}

impl KafkaTable {
    /// Parses a table's definition; errors need no further context.
    pub fn parse(table: &TableDefinition<'_>) -> Result<Self, TableError> {
        let reader = Reader {
            options: table.options,
        };
        reader.check_types()?;
        let upsert = reader.is("connector", "upsert-kafka");
        if upsert {
            check_upsert(table, &reader)?;
        } else if !table.primary_key.is_empty() && reader.decodes_insertions() {
            return Err(TableError::PrimaryKey(table.identifier.to_owned()));
        }
        let (key, value) = if upsert {
            upsert_parts(table, &reader)?
        } else {
            parts(table, &reader)?
        };
        let (guarantee, transactional_id_prefix) = guarantee(&reader)?;
        let partitioner = partitioner(&reader, key.is_some())?;
        let topics = topics(&reader)?;
        Ok(Self {
            upsert,
            buffer_flush: buffer_flush(&reader)?,
            startup: if upsert {
                Startup::Earliest
            } else {
                startup(&reader, &topics)?
            },
            bounded: bounded(&reader)?,
            topics,
            properties: reader.properties(),
            key,
            value,
            discovery_interval_ms: reader
                .duration_ms("scan.topic-partition-discovery.interval")?
                .unwrap_or(300_000),
            partitioner,
            guarantee,
            transactional_id_prefix,
            scan_parallelism: reader.number("scan.parallelism")?.map(|n: usize| n.max(1)),
            sink_parallelism: reader.number("sink.parallelism")?.map(|n: usize| n.max(1)),
            watermark_on_event: reader.is("scan.watermark.emit.strategy", "on-event"),
            watermark_idle_timeout_ms: reader.duration_ms("scan.watermark.idle-timeout")?,
            watermark_alignment: alignment(&reader)?,
        })
    }
}

pub(super) struct Reader<'a> {
    options: &'a Options,
}

impl Reader<'_> {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    /// Whether the value's format produces only insertions.
    fn decodes_insertions(&self) -> bool {
        decodes_insertions(self.text("value.format").or(self.text("format")).unwrap_or(""))
    }

    pub(super) fn is(&self, key: &str, word: &str) -> bool {
        self.text(key).is_some_and(|v| v.eq_ignore_ascii_case(word))
    }

    fn check_types(&self) -> Result<(), TableError> {
        for (key, value) in self.options {
            if let Some(declared) = OPTIONS.iter().find(|o| o.matches(key)) {
                declared.check(value)?;
            }
        }
        Ok(())
    }

    pub(super) fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, TableError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        text.trim().parse().map(Some).map_err(|_| unparsable(key, text))
    }

    pub(super) fn duration_ms(&self, key: &str) -> Result<Option<i64>, TableError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let parsed = parse_duration(text).and_then(|d| i64::try_from(d.as_millis()).ok());
        parsed.map(Some).ok_or_else(|| unparsable(key, text))
    }

    fn list(&self, key: &str) -> Vec<String> {
        let items = self.text(key).unwrap_or("").split(';').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn properties(&self) -> BTreeMap<String, String> {
        let strip = |(k, v): (&String, &String)| Some((k.strip_prefix("properties.")?.to_owned(), v.clone()));
        self.options.iter().filter_map(strip).collect()
    }

    /// `partition:0,offset:42;partition:1,offset:300`
    fn offsets(&self, key: &'static str, mode_key: &'static str) -> Result<BTreeMap<i32, i64>, TableError> {
        let Some(text) = self.text(key) else {
            return Err(TableError::NoModeOption {
                key,
                mode: "specific-offsets",
                mode_key,
            });
        };
        let wrong = || TableError::Offsets {
            key,
            text: text.to_owned(),
        };
        let mut offsets = BTreeMap::new();
        for pair in text.split(';').filter(|p| !p.trim().is_empty()) {
            let (partition, offset) = pair.split_once(',').ok_or_else(wrong)?;
            let partition = partition.trim().strip_prefix("partition:").ok_or_else(wrong)?;
            let offset = offset.trim().strip_prefix("offset:").ok_or_else(wrong)?;
            let number = |text: &str| text.trim().parse::<i64>().map_err(|_| wrong());
            let partition = i32::try_from(number(partition)?).map_err(|_| wrong())?;
            offsets.insert(partition, number(offset)?);
        }
        Ok(offsets)
    }

    fn timestamp(&self, key: &'static str, mode_key: &'static str) -> Result<i64, TableError> {
        self.number(key)?.ok_or(TableError::NoModeOption {
            key,
            mode: "timestamp",
            mode_key,
        })
    }
}

fn unparsable(key: &str, value: &str) -> TableError {
    TableError::Value {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn topics(reader: &Reader<'_>) -> Result<Topics, TableError> {
    match (reader.text("topic"), reader.text("topic-pattern")) {
        (Some(_), Some(_)) => Err(TableError::TopicAndPattern),
        (None, None) => Err(TableError::NoTopic),
        (None, Some(pattern)) => Ok(Topics::Pattern(pattern.to_owned())),
        (Some(_), None) => {
            let names = reader.list("topic");
            if names.is_empty() {
                Err(TableError::EmptyTopic)
            } else {
                Ok(Topics::Names(names))
            }
        }
    }
}

fn startup(reader: &Reader<'_>, topics: &Topics) -> Result<Startup, TableError> {
    const KEY: &str = "scan.startup.mode";
    Ok(
        match reader
            .text(KEY)
            .unwrap_or("group-offsets")
            .to_lowercase()
            .as_str()
        {
            "earliest-offset" => Startup::Earliest,
            "latest-offset" => Startup::Latest,
            "timestamp" => Startup::Timestamp(reader.timestamp("scan.startup.timestamp-millis", KEY)?),
            "specific-offsets" => {
                if !matches!(topics, Topics::Names(names) if names.len() == 1) {
                    return Err(TableError::OffsetsOfTopics);
                }
                Startup::Offsets(reader.offsets("scan.startup.specific-offsets", KEY)?)
            }
            _ => Startup::GroupOffsets,
        },
    )
}

fn bounded(reader: &Reader<'_>) -> Result<Bounded, TableError> {
    const KEY: &str = "scan.bounded.mode";
    Ok(
        match reader.text(KEY).unwrap_or("unbounded").to_lowercase().as_str() {
            "latest-offset" => Bounded::Latest,
            "group-offsets" => Bounded::GroupOffsets,
            "timestamp" => Bounded::Timestamp(reader.timestamp("scan.bounded.timestamp-millis", KEY)?),
            "specific-offsets" => Bounded::Offsets(reader.offsets("scan.bounded.specific-offsets", KEY)?),
            _ => Bounded::Unbounded,
        },
    )
}

fn guarantee(reader: &Reader<'_>) -> Result<(Guarantee, Option<String>), TableError> {
    let text = reader
        .text("sink.delivery-guarantee")
        .or(reader.text("sink.semantic"))
        .unwrap_or("at-least-once");
    let guarantee = match text.to_lowercase().as_str() {
        "none" => Guarantee::None,
        "exactly-once" => Guarantee::ExactlyOnce,
        _ => Guarantee::AtLeastOnce,
    };
    let prefix = reader.text("sink.transactional-id-prefix").map(str::to_owned);
    if guarantee == Guarantee::ExactlyOnce && prefix.is_none() {
        return Err(TableError::NoTransactionalIdPrefix);
    }
    Ok((guarantee, prefix))
}

fn partitioner(reader: &Reader<'_>, has_key: bool) -> Result<Partitioner, TableError> {
    match reader.text("sink.partitioner").unwrap_or("default") {
        "default" => Ok(Partitioner::Default),
        "fixed" => Ok(Partitioner::Fixed),
        "round-robin" if has_key => Err(TableError::RoundRobinWithKey),
        // Without keys, Flink leaves the choice to the producer, which uses the sticky partitioner.
        "round-robin" => Ok(Partitioner::Default),
        class => Err(TableError::PartitionerClass(class.to_owned())),
    }
}

fn alignment(reader: &Reader<'_>) -> Result<Option<AlignmentSettings>, TableError> {
    let (group, drift) = (
        "scan.watermark.alignment.group",
        "scan.watermark.alignment.max-drift",
    );
    let interval_ms = reader.duration_ms("scan.watermark.alignment.update-interval")?;
    match (reader.text(group), reader.duration_ms(drift)?) {
        (None, None) => Ok(None),
        (Some(group), Some(max_drift_ms)) => Ok(Some(AlignmentSettings {
            group: group.to_owned(),
            max_drift_ms,
            update_interval_ms: interval_ms.unwrap_or(ALIGNMENT_INTERVAL_MS_DEFAULT),
        })),
        _ => Err(TableError::Together(group, drift)),
    }
}

/// Whether a format produces only insertions.
pub(super) fn decodes_insertions(name: &str) -> bool {
    let format = millstream_formats::FORMATS.iter().find(|f| f.identifier == name);
    format
        .and_then(|f| f.decode)
        .is_none_or(|mode| mode.is_insert_only())
}

/// A prefix of key columns is allowed only if the value does not repeat the key.
pub(super) fn check_prefix(prefix: &str, except_key: bool) -> Result<(), TableError> {
    if prefix.is_empty() || except_key {
        return Ok(());
    }
    Err(TableError::KeyPrefix(prefix.to_owned()))
}

/// Positions of the columns that make up the key.
pub(super) fn key_columns(
    table: &TableDefinition<'_>,
    fields: &[String],
    prefix: &str,
) -> Result<Vec<usize>, TableError> {
    let place = |field: &String| {
        if !field.starts_with(prefix) {
            return Err(TableError::NotPrefixed {
                prefix: prefix.to_owned(),
                field: field.clone(),
            });
        }
        table.physical.index_of(field).ok_or_else(|| {
            let names = table.physical.columns.iter().map(|c| c.name.clone());
            TableError::NoKeyColumn {
                field: field.clone(),
                columns: names.collect(),
            }
        })
    };
    fields.iter().map(place).collect()
}

/// Key and value formats with their columns.
fn parts(table: &TableDefinition<'_>, reader: &Reader<'_>) -> Result<(Option<Part>, Part), TableError> {
    let key_fields = reader.list("key.fields");
    let prefix = reader.text("key.fields-prefix").unwrap_or("");
    let except_key = reader.is("value.fields-include", "EXCEPT_KEY");
    let Some(value_format) = reader.text("value.format").or(reader.text("format")) else {
        return Err(TableError::NoFormat(table.identifier.to_owned()));
    };
    match (reader.text("key.format"), key_fields.is_empty()) {
        (Some(_), true) => {
            return Err(TableError::NoKeyFields);
        }
        (None, false) => {
            return Err(TableError::NoKeyFormat);
        }
        _ => {}
    }
    check_prefix(prefix, except_key)?;
    let key_columns = key_columns(table, &key_fields, prefix)?;
    if let Some(name) = reader.text("key.format")
        && !decodes_insertions(name)
    {
        return Err(TableError::KeyChangelog(name.to_owned()));
    }
    let key = match reader.text("key.format") {
        None => None,
        Some(format) => Some(part(table, reader, format, "key.", &key_columns, prefix)?),
    };
    let in_value = |i: &usize| !(except_key && key_columns.contains(i));
    let value_columns: Vec<usize> = (0..table.physical.len()).filter(in_value).collect();
    let value_prefix = if reader.text("value.format").is_some() {
        "value."
    } else {
        ""
    };
    let value = part(table, reader, value_format, value_prefix, &value_columns, "")?;
    Ok((key, value))
}

pub(super) fn part(
    table: &TableDefinition<'_>,
    reader: &Reader<'_>,
    format: &str,
    prefix: &str,
    columns: &[usize],
    name_prefix: &str,
) -> Result<Part, TableError> {
    let start = format!("{prefix}{format}.");
    let strip = |(k, v): (&String, &String)| Some((k.strip_prefix(&start)?.to_owned(), v.clone()));
    let mut schema = table.physical.project(columns);
    for column in &mut schema.columns {
        if let Some(stripped) = column.name.strip_prefix(name_prefix) {
            column.name = stripped.to_owned();
        }
    }
    let options: Options = reader.options.iter().filter_map(strip).collect();
    // Built once here, so that an invalid option or column is reported before anything runs.
    millstream_formats::decoder(format, &options, &schema, &schema).map_err(|cause| match prefix {
        "key." => TableError::KeyFormat {
            table: table.identifier.to_owned(),
            cause,
        },
        _ => TableError::Format(cause),
    })?;
    Ok(Part {
        format: format.to_owned(),
        options,
        columns: columns.to_vec(),
        schema,
    })
}

#[cfg(test)]
mod tests {
    use millstream_types::LogicalType;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<KafkaTable, TableError> {
        let base = [("connector", "kafka"), ("topic", "t"), ("format", "json")];
        let mut options: Options = base
            .iter()
            .chain(pairs)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        options.retain(|_, value| value != "-");
        let physical = Schema::new([("a", LogicalType::INT), ("b", LogicalType::STRING)]);
        let table = TableDefinition {
            identifier: "t",
            options: &options,
            physical: &physical,
            primary_key: &[],
            partition_keys: &[],
        };
        KafkaTable::parse(&table)
    }

    #[test]
    fn mistakes_are_named() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("key.format", "json")], "key.fields"),
            (&[("key.fields", "a")], "key.format"),
            (&[("key.format", "json"), ("key.fields", "nope")], "nope"),
            (&[("format", "-")], "format"),
            (&[("topic", "-")], "topic"),
            (&[("topic-pattern", "x.*")], "topic-pattern"),
            (
                &[("sink.delivery-guarantee", "exactly-once")],
                "transactional-id-prefix",
            ),
            (
                &[("sink.partitioner", "nosuch.Partitioner")],
                "nosuch.Partitioner",
            ),
            (
                &[("scan.startup.mode", "timestamp")],
                "scan.startup.timestamp-millis",
            ),
            (
                &[("scan.bounded.mode", "specific-offsets")],
                "scan.bounded.specific-offsets",
            ),
            (
                &[
                    ("scan.startup.mode", "specific-offsets"),
                    ("topic", "x;y"),
                    ("scan.startup.specific-offsets", "partition:0,offset:1"),
                ],
                "single topic",
            ),
            (&[("scan.startup.timestamp-millis", "noon")], "noon"),
            (&[("scan.bounded.mode", "someday")], "scan.bounded.mode"),
            (
                &[("scan.watermark.alignment.group", "g")],
                "'scan.watermark.alignment.group' and",
            ),
            (
                &[
                    ("key.format", "json"),
                    ("key.fields", "a"),
                    ("key.fields-prefix", "key_"),
                ],
                "value.fields-include",
            ),
            (
                &[("key.format", "raw"), ("key.fields", "a;b")],
                "only supports single physical column",
            ),
        ];
        for (pairs, part) in cases {
            let error = parse(pairs).unwrap_err().to_string();
            assert!(error.contains(part), "{pairs:?}: {error}");
        }
    }

    #[test]
    fn offsets_and_keys_are_read() {
        let table = parse(&[
            ("scan.startup.mode", "specific-offsets"),
            (
                "scan.startup.specific-offsets",
                "partition:0,offset:42;partition:1,offset:300",
            ),
            ("format", "-"),
            ("value.format", "json"),
            ("value.json.ignore-parse-errors", "true"),
            ("key.format", "raw"),
            ("key.fields", "b"),
            ("value.fields-include", "EXCEPT_KEY"),
            ("properties.bootstrap.servers", "h:1"),
        ])
        .unwrap();
        assert_eq!(
            table.startup,
            Startup::Offsets(BTreeMap::from([(0, 42), (1, 300)]))
        );
        assert_eq!(table.key.unwrap().columns, [1]);
        assert_eq!(table.value.columns, [0]);
        assert_eq!(table.value.options["ignore-parse-errors"], "true");
        assert_eq!(table.properties["bootstrap.servers"], "h:1");
    }
}
