//! Configurations by Kafka's names: declarations, values by resource, and their resolution.
//!
//! Resolution follows Kafka: the resource itself, then (for topics) the broker's synonym as a dynamic value of this
//! broker, a dynamic default for all brokers, a static value from startup, and last the default. Configurations that
//! cannot matter on one node are accepted and stored.

mod altered;
mod check;
mod declarations;
mod dynamic;
pub mod listener;
mod meanings;
mod resolve;
mod settings;

pub use altered::{AlterationError, check_broker, check_client_metrics, check_group, check_topic};
pub use check::{check, parsed};
pub use declarations::{BROKER_CONFIGS, CLIENT_METRICS_CONFIGS, GROUP_CONFIGS, TOPIC_CONFIGS};
pub use listener::dynamic_only;
pub use meanings::meaning;
pub use resolve::Described;
pub use settings::TopicSettings;

use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The type of a configuration's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`
    Boolean,
    /// Text.
    String,
    /// 32 bits.
    Int,
    /// 16 bits.
    Short,
    /// 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// Texts separated by commas.
    List,
    /// A Java class; kept, never loaded.
    Class,
    /// A secret; never shown.
    Password,
}

impl ConfigType {
    /// Its code in DescribeConfigs.
    pub fn code(self) -> i8 {
        match self {
            ConfigType::Boolean => 1,
            ConfigType::String => 2,
            ConfigType::Int => 3,
            ConfigType::Short => 4,
            ConfigType::Long => 5,
            ConfigType::Double => 6,
            ConfigType::List => 7,
            ConfigType::Class => 8,
            ConfigType::Password => 9,
        }
    }
}

/// Which values are valid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validity {
    /// All of the type.
    Any,
    /// Numbers from this one.
    AtLeast(f64),
    /// Numbers in this range.
    Between(f64, f64),
    /// Numbers in this range, or the last one.
    BetweenOr(f64, f64, f64),
    /// These words; for lists, any of them.
    OneOf(&'static [&'static str]),
    /// These words, in small or capital letters.
    OneOfIgnoringCase(&'static [&'static str]),
    /// Not the empty text.
    NotEmpty,
}

/// A configuration as it is declared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfigDecl {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub config_type: ConfigType,
    /// Kafka's default, `None` for null.
    pub default: Option<&'static str>,
    /// Which values are valid.
    pub valid: Validity,
    /// The broker's configuration from which it takes its default.
    pub synonym: Option<&'static str>,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The name is unknown.
    #[error("unknown {kind} config '{name}'")]
    Unknown {
        /// Topic, broker or group.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// The value does not fit.
    #[error("invalid value '{value}' for config '{name}': {}", in_a_sentence(expected))]
    Invalid {
        /// The name.
        name: String,
        /// The value.
        value: String,
        /// The expected values, in Kafka's words.
        expected: String,
    },
    /// A list has an entry of nothing.
    #[error("the list '{name}' has an empty entry")]
    EmptyEntry {
        /// The name.
        name: String,
    },
    /// The value is of the right kind, but does not go with the rest.
    #[error("invalid value '{value}' for config '{name}': {}; give it another value or leave it out", rule.trim_end_matches('.'))]
    Together {
        /// The name that was used.
        name: String,
        /// The value.
        value: String,
        /// The violated rule, in Kafka's words.
        rule: String,
    },
}

impl ConfigError {
    /// Kafka's message to a client.
    pub fn in_kafkas_words(&self) -> String {
        match self {
            ConfigError::Unknown { kind, name } => format!("Unknown {kind} config name: {name}"),
            ConfigError::Invalid {
                name,
                value,
                expected,
            } => format!("Invalid value {value} for configuration {name}: {expected}"),
            ConfigError::EmptyEntry { name } => format!("Configuration '{name}' values must not be empty."),
            ConfigError::Together { rule, .. } => rule.clone(),
        }
    }
}

/// Kafka's message with a lower-case first letter, to continue a sentence.
pub fn in_a_sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Defaults that differ from Kafka's: a broker in a development process must not make its first consumer wait, and
/// there is one node.
pub const OWN_DEFAULTS: &[(&str, &str)] = &[
    ("broker.id", "1"),
    ("group.consumer.assignment.interval.ms", "0"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("node.id", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("process.roles", "broker,controller"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.replication.factor", "1"),
];

/// The kind of resource that has configurations, with Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ResourceType {
    /// A topic.
    Topic = 2,
    /// A broker, or with an empty name all brokers.
    Broker = 4,
    /// The levels of a broker's loggers.
    BrokerLogger = 8,
    /// Metrics subscriptions of clients.
    ClientMetrics = 16,
    /// A group.
    Group = 32,
}

impl ResourceType {
    /// From Kafka's number.
    pub fn from_code(code: i8) -> Option<Self> {
        [
            Self::Topic,
            Self::Broker,
            Self::BrokerLogger,
            Self::ClientMetrics,
            Self::Group,
        ]
        .into_iter()
        .find(|kind| *kind as i8 == code)
    }

    fn declarations(self) -> &'static [ConfigDecl] {
        match self {
            ResourceType::Topic => TOPIC_CONFIGS,
            ResourceType::Broker => BROKER_CONFIGS,
            ResourceType::Group => GROUP_CONFIGS,
            ResourceType::ClientMetrics => CLIENT_METRICS_CONFIGS,
            ResourceType::BrokerLogger => &[],
        }
    }

    fn word(self) -> &'static str {
        match self {
            ResourceType::Topic => "topic",
            ResourceType::Broker => "broker",
            ResourceType::BrokerLogger => "broker logger",
            ResourceType::ClientMetrics => "client metrics",
            ResourceType::Group => "group",
        }
    }
}

/// Origin of a value, with Kafka's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic = 1,
    /// Set on this broker at run time.
    DynamicBroker = 2,
    /// Set on all brokers at run time.
    DynamicDefault = 3,
    /// From startup.
    Static = 4,
    /// The default.
    Default = 5,
    /// Set on a subscription to metrics of clients.
    ClientMetrics = 7,
    /// Set on the group.
    Group = 8,
}

/// A value and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced {
    /// The name under which it was found.
    pub name: &'static str,
    /// The value, `None` for null.
    pub value: Option<String>,
    /// Where it was found.
    pub source: ConfigSource,
}

/// Finds a declaration by name.
pub fn declaration(kind: ResourceType, name: &str) -> Option<&'static ConfigDecl> {
    let declarations = kind.declarations();
    declarations
        .binary_search_by(|decl| decl.name.cmp(name))
        .ok()
        .map(|index| &declarations[index])
}

/// All declarations of a kind.
pub fn declarations(kind: ResourceType) -> &'static [ConfigDecl] {
    kind.declarations()
}

/// Whether a broker configuration can only be set at start.
pub fn is_read_only(name: &str) -> bool {
    dynamic::DYNAMIC.binary_search(&name).is_err() && !listener::STORES.contains(&name)
}

/// Everything that is set, for all resources.
#[derive(Debug, Clone, Default)]
pub struct Configs {
    fixed: BTreeMap<String, String>,
    dynamic: BTreeMap<(ResourceType, String), BTreeMap<String, String>>,
}

impl Configs {
    /// Starts from the static configurations, including those of single listeners. Names, values and the rules between
    /// them are checked.
    pub fn new(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        for (name, value) in properties {
            match listener::declared(name) {
                Some(decl) => check::check_value(decl, value)?,
                None => _ = check(ResourceType::Broker, name, value)?,
            }
        }
        let configs = Configs {
            fixed: properties.clone(),
            dynamic: BTreeMap::new(),
        };
        altered::together(&configs, properties)?;
        Ok(configs)
    }

    /// Everything that is set dynamically on this broker, also by way of all brokers.
    pub fn dynamic_broker(&self) -> BTreeMap<String, String> {
        let mut all = self.of(ResourceType::Broker, "");
        all.extend(self.of(ResourceType::Broker, &self.node_id().to_string()));
        all
    }

    /// Names that are set on this broker or all brokers and are not declared by themselves, in order.
    pub fn undeclared_names(&self) -> BTreeSet<String> {
        let fixed = self.fixed.keys().cloned();
        let mut names: BTreeSet<String> = fixed.chain(self.dynamic_broker().into_keys()).collect();
        names.retain(|name| declaration(ResourceType::Broker, name).is_none());
        names
    }

    /// All values of one of them, the effective one first.
    pub fn undeclared(&self, name: &str) -> Vec<(String, ConfigSource)> {
        let dynamic = |resource: &str| {
            let set = self.dynamic.get(&(ResourceType::Broker, resource.to_owned()))?;
            set.get(name).cloned()
        };
        let places = [
            (dynamic(&self.node_id().to_string()), ConfigSource::DynamicBroker),
            (dynamic(""), ConfigSource::DynamicDefault),
            (self.fixed.get(name).cloned(), ConfigSource::Static),
        ];
        let found = places.into_iter();
        found
            .filter_map(|(value, source)| Some((value?, source)))
            .collect()
    }

    /// This broker's number.
    pub fn node_id(&self) -> i32 {
        let given = self.fixed.get("node.id").or_else(|| self.fixed.get("broker.id"));
        given.and_then(|text| text.trim().parse().ok()).unwrap_or(1)
    }

    /// The dynamic configuration of a resource.
    pub fn of(&self, kind: ResourceType, name: &str) -> BTreeMap<String, String> {
        self.dynamic
            .get(&(kind, name.to_owned()))
            .cloned()
            .unwrap_or_default()
    }

    /// Resources of a kind with something set.
    pub fn resources(&self, kind: ResourceType) -> impl Iterator<Item = (&str, &BTreeMap<String, String>)> {
        let of_kind = self.dynamic.iter().filter(move |((found, _), _)| *found == kind);
        of_kind.map(|((_, name), configs)| (name.as_str(), configs))
    }

    /// Everything set dynamically.
    pub fn iter(&self) -> impl Iterator<Item = (ResourceType, &str, &BTreeMap<String, String>)> {
        self.dynamic
            .iter()
            .map(|((kind, name), configs)| (*kind, name.as_str(), configs))
    }

    /// Replaces the dynamic configuration of a resource.
    pub fn set(&mut self, kind: ResourceType, name: &str, configs: BTreeMap<String, String>) {
        if configs.is_empty() {
            self.dynamic.remove(&(kind, name.to_owned()))
        } else {
            self.dynamic.insert((kind, name.to_owned()), configs)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_sorted_and_their_defaults_are_valid() {
        for kind in [
            ResourceType::Topic,
            ResourceType::Broker,
            ResourceType::Group,
            ResourceType::ClientMetrics,
        ] {
            let declarations = kind.declarations();
            assert!(
                declarations.windows(2).all(|pair| pair[0].name < pair[1].name),
                "{kind:?}"
            );
            for decl in declarations {
                if let Some(default) = decl.default {
                    let wrong = check::wrong(decl, default);
                    assert_eq!(wrong.filter(|_| !default.is_empty()), None, "{}", decl.name);
                }
                if let Some(synonym) = decl.synonym {
                    assert!(declaration(ResourceType::Broker, synonym).is_some(), "{synonym}");
                }
            }
        }
        assert_eq!(TOPIC_CONFIGS.len(), 33);
    }
}
