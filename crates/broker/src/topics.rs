//! Topics: names, ids, and the logs of their partitions.

use crate::config::{Configs, TopicSettings};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use millstream_log::LogId;
use std::collections::{BTreeMap, BTreeSet};

/// The longest name of a topic, as in Kafka.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// A topic.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Assigned at creation; a topic that is created again under the same name gets another one.
    pub id: Uuid,
    /// Its name.
    pub name: KafkaString,
    /// The log of each partition.
    pub partitions: Vec<LogId>,
    /// Dynamic configurations.
    pub configs: BTreeMap<String, String>,
    /// The configurations, resolved.
    pub settings: TopicSettings,
}

impl Topic {
    /// The log of a partition.
    pub fn log(&self, partition: i32) -> Option<LogId> {
        self.partitions.get(usize::try_from(partition).ok()?).copied()
    }
}

/// All topics.
#[derive(Debug, Default)]
pub struct Topics {
    by_id: BTreeMap<Uuid, Topic>,
    by_name: BTreeMap<KafkaString, Uuid>,
    /// Names that contain `.` or `_`, by their name in metrics: see [`Topics::colliding`].
    by_metric: BTreeMap<String, BTreeSet<KafkaString>>,
}

/// The name in metrics, where `.` and `_` are the same; none if the name has neither.
fn metric_name(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

impl Topics {
    /// All topics, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    /// All topics from `name` on, in order.
    pub fn iter_from<'a>(&'a self, name: &KafkaString) -> impl Iterator<Item = &'a Topic> + use<'a> {
        self.by_name
            .range(name.clone()..)
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// By name.
    pub fn by_name(&self, name: &KafkaString) -> Option<&Topic> {
        self.by_id.get(self.by_name.get(name)?)
    }

    /// By id.
    pub fn by_id(&self, id: Uuid) -> Option<&Topic> {
        self.by_id.get(&id)
    }

    /// By id if there is one (newer versions of requests), else by name.
    pub fn find(&self, id: Uuid, name: &KafkaString) -> Result<&Topic, ErrorCode> {
        if id.is_zero() && !name.is_empty() {
            return self.by_name(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        self.by_id(id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)
    }

    /// A topic whose metrics would collide with those of `name`: Kafka maps `.` and `_` to the same character there.
    pub fn colliding(&self, name: &str) -> Option<&KafkaString> {
        let alike = self.by_metric.get(&metric_name(name)?)?;
        alike.iter().find(|other| other.as_str() != name)
    }

    /// Adds or replaces a topic.
    pub fn insert(&mut self, topic: Topic) {
        if let Some(metric) = metric_name(&topic.name) {
            let alike = self.by_metric.entry(metric).or_default();
            alike.insert(topic.name.clone());
        }
        self.by_name.insert(topic.name.clone(), topic.id);
        self.by_id.insert(topic.id, topic);
    }

    /// Removes a topic.
    pub fn remove(&mut self, id: Uuid) -> Option<Topic> {
        let topic = self.by_id.remove(&id)?;
        self.by_name.remove(&topic.name);
        if let Some(metric) = metric_name(&topic.name)
            && let Some(alike) = self.by_metric.get_mut(&metric)
        {
            alike.remove(&topic.name);
            if alike.is_empty() {
                self.by_metric.remove(&metric);
            }
        }
        Some(topic)
    }

    /// Resolves all settings again after a broker configuration changed.
    pub fn resolve_settings(&mut self, configs: &Configs) -> Vec<(LogId, millstream_log::LogSettings)> {
        let mut changed = Vec::new();
        for topic in self.by_id.values_mut() {
            topic.settings = TopicSettings::resolve(configs, &topic.configs);
            changed.extend(topic.partitions.iter().map(|log| (*log, topic.settings.log)));
        }
        changed
    }
}

/// Why a name cannot be that of a topic, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Dots(String),
    #[error(
        "Topic name is invalid: the length of '{0}' is longer than the max allowed length {TOPIC_NAME_BYTES_MAX}"
    )]
    TooLong(String),
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Characters(String),
}

/// Validates a name as Kafka does.
pub fn check_topic_name(name: &str) -> Result<(), TopicNameError> {
    if name.is_empty() {
        return Err(TopicNameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(TopicNameError::Dots(name.to_owned()));
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        return Err(TopicNameError::TooLong(name.to_owned()));
    }
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.chars().all(is_legal) {
        return Ok(());
    }
    Err(TopicNameError::Characters(name.to_owned()))
}
