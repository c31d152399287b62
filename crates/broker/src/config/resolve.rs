//! The effective value of a configuration, and its synonyms.
//!
//! The two differ, as in Kafka. The effective value is parsed: trimmed, and hours that stand in for milliseconds are
//! converted. Synonyms in DescribeConfigs are the raw values, under the names and in the units in which they were set.

use super::{ConfigDecl, ConfigSource, Configs, OWN_DEFAULTS, ResourceType, Sourced, declaration, parsed};
use std::collections::BTreeMap;

/// Broker configurations with fallbacks: each falls back to the next one of its row.
const FAMILIES: &[&[&str]] = &[
    &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    &[RETENTION, "log.retention.minutes", "log.retention.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.roll.ms", "log.roll.hours"],
];

/// All negative values mean "unlimited" and are shown as -1.
const RETENTION: &str = "log.retention.ms";

/// Units that end a name, in milliseconds.
const UNITS: [(&str, i64); 2] = [(".hours", 3_600_000), (".minutes", 60_000)];

/// A configuration as DescribeConfigs shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The value that counts, `None` for null.
    pub value: Option<String>,
    /// The raw value and its fallbacks. Empty if only a fallback in another unit is set.
    pub synonyms: Vec<Sourced>,
}

impl Described {
    /// Origin of the value. Without synonyms it is reported as a default.
    pub fn source(&self) -> ConfigSource {
        self.synonyms
            .first()
            .map_or(ConfigSource::Default, |first| first.source)
    }
}

impl Configs {
    /// All raw values of a broker configuration, the effective one first.
    pub fn broker(&self, decl: &'static ConfigDecl) -> Vec<Sourced> {
        let dynamic = |resource: &str| {
            let set = self.dynamic.get(&(ResourceType::Broker, resource.to_owned()))?;
            set.get(decl.name).cloned()
        };
        let own = OWN_DEFAULTS.iter().find(|(name, _)| *name == decl.name);
        let default = own.map(|(_, value)| *value).or(decl.default);
        let places = [
            (dynamic(&self.node_id().to_string()), ConfigSource::DynamicBroker),
            (dynamic(""), ConfigSource::DynamicDefault),
            (self.fixed.get(decl.name).cloned(), ConfigSource::Static),
            (default.map(str::to_owned), ConfigSource::Default),
        ];
        let given = places.into_iter().filter(|(value, _)| value.is_some());
        given
            .map(|(value, source)| Sourced {
                name: decl.name,
                value,
                source,
            })
            .collect()
    }

    /// The effective value of a broker configuration, from its fallbacks if it has none itself.
    pub(super) fn broker_or_stand_in(&self, decl: &'static ConfigDecl) -> Sourced {
        let found = family(decl.name).find_map(|member| {
            let first = self.broker(member).into_iter().next()?;
            let value = parsed(member, first.value.as_deref()?);
            let value = match (unit_ms(member.name), value.parse::<i64>()) {
                (_, Ok(number)) if decl.name == RETENTION && number < 0 => "-1".to_owned(),
                (Some(unit_ms), Ok(number)) => number.saturating_mul(unit_ms).to_string(),
                _ => value,
            };
            Some(Sourced {
                value: Some(value),
                ..first
            })
        });
        found.unwrap_or(Sourced {
            name: decl.name,
            value: None,
            source: ConfigSource::Default,
        })
    }

    /// The value that counts of a configuration of a topic, a group or a subscription on which `set` is set.
    pub fn effective(
        &self,
        decl: &'static ConfigDecl,
        set: &BTreeMap<String, String>,
        source: ConfigSource,
    ) -> Sourced {
        let sourced = |value: Option<&str>, source| Sourced {
            name: decl.name,
            value: value.map(|value| parsed(decl, value)),
            source,
        };
        if let Some(value) = set.get(decl.name) {
            return sourced(Some(value), source);
        }
        let inherited = broker_name(decl).map(|synonym| self.broker_or_stand_in(synonym));
        inherited
            .filter(|inherited| inherited.value.is_some())
            .unwrap_or_else(|| sourced(decl.default, ConfigSource::Default))
    }

    /// The effective value with its synonyms.
    pub fn describe(
        &self,
        decl: &'static ConfigDecl,
        set: &BTreeMap<String, String>,
        source: ConfigSource,
    ) -> Described {
        let effective = self.effective(decl, set, source);
        let mut synonyms = Vec::new();
        if set.contains_key(decl.name) {
            synonyms.push(effective.clone());
        }
        match (broker_name(decl), source) {
            (Some(synonym), _) => synonyms.extend(self.broker_synonyms(synonym)),
            (None, ConfigSource::Group) => synonyms.extend(decl.default.map(|default| Sourced {
                name: decl.name,
                value: Some(default.to_owned()),
                source: ConfigSource::Default,
            })),
            (None, _) => {}
        }
        Described {
            value: effective.value,
            synonyms,
        }
    }

    /// A broker configuration with its synonyms. Fallbacks do not apply here.
    pub fn describe_broker(&self, decl: &'static ConfigDecl) -> Described {
        let synonyms = self.broker_synonyms(decl);
        let first = self.broker(decl).into_iter().next();
        Described {
            value: first.and_then(|first| Some(parsed(decl, &first.value?))),
            synonyms,
        }
    }

    /// Raw values of a broker configuration and its fallbacks; empty if it is not set itself.
    fn broker_synonyms(&self, decl: &'static ConfigDecl) -> Vec<Sourced> {
        if self.broker(decl).is_empty() {
            return Vec::new();
        }
        family(decl.name).flat_map(|member| self.broker(member)).collect()
    }

    /// The effective text of a broker configuration.
    pub fn text(&self, name: &str) -> Option<String> {
        let decl = declaration(ResourceType::Broker, name)?;
        let first = self.broker(decl).into_iter().next()?;
        Some(parsed(decl, &first.value?))
    }

    /// The effective number of a broker configuration; 0 if it has none.
    pub fn long(&self, name: &str) -> i64 {
        self.text(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }

    /// The same as 32 bits.
    pub fn int(&self, name: &str) -> i32 {
        i32::try_from(self.long(name)).unwrap_or(i32::MAX)
    }

    /// Whether a broker configuration is `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value == "true")
    }
}

/// The broker's configuration that provides the default of a topic's.
fn broker_name(decl: &ConfigDecl) -> Option<&'static ConfigDecl> {
    declaration(ResourceType::Broker, decl.synonym?)
}

/// A broker configuration and its fallbacks, in order.
fn family(name: &'static str) -> impl Iterator<Item = &'static ConfigDecl> {
    let of_family = |members: &&'static [&'static str]| {
        let position = members.iter().position(|member| *member == name)?;
        Some(&members[position..])
    };
    let behind = FAMILIES.iter().find_map(of_family).unwrap_or_default();
    let alone = behind.is_empty().then_some(name);
    let names = alone.into_iter().chain(behind.iter().copied());
    names.filter_map(|name| declaration(ResourceType::Broker, name))
}

/// The unit of a name in milliseconds, if it is not one already.
fn unit_ms(name: &str) -> Option<i64> {
    let of_name = UNITS.iter().find(|(end, _)| name.ends_with(end))?;
    Some(of_name.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn a_topic_inherits_from_the_finest_unit_that_is_set() {
        type Row<'a> = (
            &'a [(&'a str, &'a str)],
            &'a [(&'a str, &'a str)],
            &'a str,
            &'a str,
        );
        #[rustfmt::skip]
        let rows: &[Row<'_>] = &[
            (&[], &[], "retention.ms", "604800000"),
            (&[("log.retention.hours", " 1 ")], &[], "retention.ms", "3600000"),
            (&[("log.retention.hours", "1"), ("log.retention.minutes", "1")], &[], "retention.ms", "60000"),
            (&[("log.retention.hours", "1"), ("log.retention.ms", "5")], &[], "retention.ms", "5"),
            (&[("log.retention.hours", "-1")], &[], "retention.ms", "-1"),
            (&[("log.retention.minutes", "-7")], &[], "retention.ms", "-1"),
            (&[("log.retention.ms", "-9")], &[], "retention.ms", "-1"),
            (&[("log.retention.ms", "5")], &[("retention.ms", "7")], "retention.ms", "7"),
            (&[("log.roll.hours", "2")], &[], "segment.ms", "7200000"),
            (&[("log.roll.jitter.hours", "2147483647")], &[], "segment.jitter.ms", "7730941129200000"),
            (&[("log.flush.scheduler.interval.ms", "9")], &[], "flush.ms", "9"),
            (&[("log.cleanup.policy", "compact, delete")], &[], "cleanup.policy", "compact,delete"),
            (&[], &[("compression.type", " lz4 ")], "compression.type", "lz4"),
        ];
        for (given, set, name, expected) in rows {
            let configs = Configs::new(&settings(given)).unwrap();
            let decl = declaration(ResourceType::Topic, name).unwrap();
            let found = configs.effective(decl, &settings(set), ConfigSource::Topic);
            assert_eq!(found.value.as_deref(), Some(*expected), "{given:?} {set:?}");
        }
    }

    #[test]
    fn synonyms_are_shown_as_they_were_given_and_only_behind_a_value() {
        use ConfigSource::{Default, Static, Topic};
        let hours = ("log.retention.hours", "168", Default);
        let given = ("log.retention.hours", " 24 ", Static);
        let ms = ("log.retention.ms", " 5", Static);
        type Row<'a> = (
            ResourceType,
            &'a str,
            &'a [(&'a str, &'a str)],
            &'a [(&'a str, &'a str, ConfigSource)],
            Option<&'a str>,
        );
        let (broker, topic) = (ResourceType::Broker, ResourceType::Topic);
        let both = [("log.retention.hours", " 24 "), ("log.retention.ms", " 5")];
        let minutes = [("log.retention.minutes", "2")];
        #[rustfmt::skip]
        let rows: &[Row<'_>] = &[
            (topic, "retention.ms", &[], &[], Some("604800000")),
            (topic, "retention.ms", &both[..1], &[], Some("86400000")),
            (topic, "retention.ms", &both, &[ms, given, hours], Some("5")),
            (broker, "log.retention.ms", &both[..1], &[], None),
            (broker, "log.retention.ms", &both, &[ms, given, hours], Some("5")),
            (broker, "log.retention.hours", &both, &[given, hours], Some("24")),
            (broker, "log.retention.minutes", &minutes, &[("log.retention.minutes", "2", Static), hours], Some("2")),
            (broker, "log.roll.ms", &[("log.roll.ms", "7")], &[("log.roll.ms", "7", Static), ("log.roll.hours", "168", Default)], Some("7")),
            (broker, "log.roll.hours", &[], &[("log.roll.hours", "168", Default)], Some("168")),
        ];
        for (kind, name, given, expected, value) in rows {
            let configs = Configs::new(&settings(given)).unwrap();
            let decl = declaration(*kind, name).unwrap();
            let found = match kind {
                ResourceType::Broker => configs.describe_broker(decl),
                _ => configs.describe(decl, &BTreeMap::new(), Topic),
            };
            let synonyms = found.synonyms.iter();
            let synonyms: Vec<_> = synonyms
                .map(|each| (each.name, each.value.as_deref().unwrap_or("null"), each.source))
                .collect();
            assert_eq!(synonyms, *expected, "{name} {given:?}");
            assert_eq!(found.value.as_deref(), *value, "{name} {given:?}");
        }
    }
}
