//! Validation of configurations, at startup and when they are altered, beyond the types of single values.
//!
//! The rejections and their order are Kafka's. For a broker: first read-only configurations, then those that only a
//! single listener has, then values, then those that only a broker by id has, and last the rules between
//! configurations.

use super::check::check_value;
use super::{
    ConfigError, ConfigSource, Configs, ResourceType, Sourced, check, declaration, is_read_only, listener,
};
use std::collections::BTreeMap;

/// The shortest time between two reports of a client's metrics, as in Kafka.
const CLIENT_METRICS_MS_MIN: i32 = 100;
/// The longest time between two reports of a client's metrics, as in Kafka (`interval.ms` of a subscription).
const CLIENT_METRICS_MS_MAX: i32 = 3_600_000;
/// The least that each thread that compacts must have for keys.
const DEDUPE_BYTES_MIN: i64 = 1 << 20;

/// Why configurations cannot be set, in Kafka's words.
#[derive(Debug, thiserror::Error)]
pub enum AlterationError {
    #[error("{}", .0.in_kafkas_words())]
    Config(ConfigError),
    #[error("Cannot update these configs dynamically: [{0}]")]
    ReadOnly(String),
    #[error(
        "These security configs can be dynamically updated only per-listener using the listener prefix: [{0}]"
    )]
    OfOneListener(String),
    #[error("Cannot update these configs at default cluster level, broker id must be specified: [{0}]")]
    OfOneBroker(String),
    #[error("Invalid {0} 0")]
    Zero(String),
    #[error(
        "Invalid value [{}] for configuration {name}: {name} must be the literal '*' or a list of replicas in the following \
         format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        .words.join(", ")
    )]
    Replicas { name: String, words: Vec<String> },
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    )]
    TieredStorage,
    #[error("conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})")]
    CompactionLags { least: i64, most: i64 },
    #[error("{name} must be greater than or equal to {bound}")]
    BelowBound { name: String, bound: String },
    #[error("{name} must be less than or equal to {bound}")]
    AboveBound { name: String, bound: String },
    #[error("{0} must be greater than {1}")]
    NotGreater(&'static str, &'static str),
    #[error(
        "Invalid value {0} for interval.ms, interval must be between {CLIENT_METRICS_MS_MIN} and {CLIENT_METRICS_MS_MAX} (1 \
         hour)"
    )]
    ReportInterval(i32),
    #[error("Invalid value {0} for configuration interval.ms: Not a number of type INT")]
    ReportIntervalText(String),
    #[error("Unknown client metrics configuration: {0}")]
    UnknownClientMetrics(String),
}

// Not derived: the sentence is that of the inner error, which therefore is no `source`.
impl From<ConfigError> for AlterationError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// Validates configurations set on a broker, or on all brokers if `is_for_all`, and the removed ones. `candidate`
/// already includes the change.
pub fn check_broker<'a>(
    candidate: &Configs,
    set: &BTreeMap<String, String>,
    removed: impl Iterator<Item = &'a String>,
    is_for_all: bool,
) -> Result<(), AlterationError> {
    let names = |is_wanted: &dyn Fn(&str) -> bool| {
        let found: Vec<&str> = set
            .keys()
            .map(String::as_str)
            .filter(|name| is_wanted(name))
            .collect();
        (!found.is_empty()).then(|| found.join(", "))
    };
    let is_fixed = |name: &str| match listener::split(name) {
        Some(_) => listener::dynamic_only(name).is_none(),
        None => declaration(ResourceType::Broker, name).is_some() && is_read_only(name),
    };
    if let Some(names) = names(&is_fixed) {
        return Err(AlterationError::ReadOnly(names));
    }
    if let Some(names) = names(&|name| listener::STORES.contains(&name)) {
        return Err(AlterationError::OfOneListener(names));
    }
    for (key, value) in set {
        let name = listener::split(key).map_or(key.as_str(), |(_, name)| name);
        let checked = match listener::dynamic_only(name) {
            Some(decl) => check_value(decl, value),
            None => check(ResourceType::Broker, name, value).map(|_| ()),
        };
        checked?;
        if listener::LIMITS.contains(&name) && value.trim() == "0" {
            return Err(AlterationError::Zero(name.to_owned()));
        }
    }
    let is_of_one_broker =
        |key: &str| listener::split(key).is_some_and(|(_, name)| listener::STORES.contains(&name));
    if let Some(names) = names(&is_of_one_broker).filter(|_| is_for_all) {
        return Err(AlterationError::OfOneBroker(names));
    }
    // A configuration that falls back to its default must fit the others too.
    let now = |name: &String| (name.clone(), candidate.text(name).unwrap_or_default());
    let mut changed = set.clone();
    changed.extend(removed.map(now));
    Ok(together(candidate, &changed)?)
}

/// Validates configurations set on a topic.
pub fn check_topic(set: &BTreeMap<String, String>) -> Result<(), AlterationError> {
    for (name, value) in set {
        check(ResourceType::Topic, name, value)?;
        if name.ends_with(".replication.throttled.replicas") && !is_list_of_replicas(value) {
            let words = value.split(',').map(|word| word.trim().to_owned());
            return Err(AlterationError::Replicas {
                name: name.clone(),
                words: words.collect(),
            });
        }
    }
    if set
        .get("remote.storage.enable")
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    {
        return Err(AlterationError::TieredStorage);
    }
    let lag = |name: &str, default: i64| {
        let text = set.get(name);
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(default)
    };
    let (least, most) = (
        lag("min.compaction.lag.ms", 0),
        lag("max.compaction.lag.ms", i64::MAX),
    );
    if least > most {
        return Err(AlterationError::CompactionLags { least, most });
    }
    Ok(())
}

fn is_list_of_replicas(value: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_replica = |text: &str| {
        let parts = text.trim().split_once(':');
        parts.is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    matches!(value.trim(), "" | "*") || value.split(',').all(is_replica)
}

/// Validates configurations set on a group: the broker's configurations bound them.
pub fn check_group(configs: &Configs, set: &BTreeMap<String, String>) -> Result<(), AlterationError> {
    for (name, value) in set {
        check(ResourceType::Group, name, value)?;
        let Some((family, rest)) = name.split_once('.') else {
            continue;
        };
        let number: i64 = value.trim().parse().unwrap_or_default();
        let rest = rest.strip_prefix("num.").unwrap_or(rest);
        let bound = |word: &str| format!("group.{family}.{word}.{rest}");
        let is_declared = |bound: &String| declaration(ResourceType::Broker, bound).is_some();
        if let Some(least) = Some(bound("min")).filter(is_declared)
            && number < configs.long(&least)
        {
            return Err(AlterationError::BelowBound {
                name: name.clone(),
                bound: least,
            });
        }
        if let Some(most) = Some(bound("max")).filter(is_declared)
            && number > configs.long(&most)
        {
            return Err(AlterationError::AboveBound {
                name: name.clone(),
                bound: most,
            });
        }
    }
    let effective = |name: &str| {
        let decl = declaration(ResourceType::Group, name)?;
        let found = configs.effective(decl, set, ConfigSource::Group);
        found.value?.parse::<i64>().ok()
    };
    let (session, heartbeat) = ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms");
    if effective(session) <= effective(heartbeat) {
        return Err(AlterationError::NotGreater(session, heartbeat));
    }
    Ok(())
}

/// Checks a subscription to metrics of clients, which is kept and shown; the broker never requests metrics from clients.
pub fn check_client_metrics(set: &BTreeMap<String, String>) -> Result<(), AlterationError> {
    for (name, value) in set {
        match name.as_str() {
            "metrics" | "match" => {}
            "interval.ms" => match value.trim().parse::<i32>() {
                Ok(CLIENT_METRICS_MS_MIN..=CLIENT_METRICS_MS_MAX) => {}
                Ok(interval) => {
                    return Err(AlterationError::ReportInterval(interval));
                }
                Err(_) => {
                    return Err(AlterationError::ReportIntervalText(value.clone()));
                }
            },
            _ => return Err(AlterationError::UnknownClientMetrics(name.clone())),
        }
    }
    Ok(())
}

/// Times that have another of their kind as their most.
const BELOW_ANOTHER: [(&str, &str); 3] = [
    (
        "group.consumer.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ),
    (
        "group.share.assignment.interval.ms",
        "group.share.max.assignment.interval.ms",
    ),
    (
        "group.streams.assignment.interval.ms",
        "group.streams.max.assignment.interval.ms",
    ),
];

/// The rules between configurations, checked if one side of a rule changes.
pub(super) fn together(candidate: &Configs, set: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    check_times(candidate, set)?;
    let long = |name: &str| candidate.long(name);
    for (name, most) in BELOW_ANOTHER {
        if long(name) > long(most) {
            refuse(set, &[name, most], || {
                format!("{name} must be less than or equal to {most}")
            })?;
        }
    }
    if long("log.cleaner.threads") < 1 {
        refuse(set, &["log.cleaner.threads"], || {
            "log.cleaner.threads must be at least 1".to_owned()
        })?;
    }
    let of_thread = long("log.cleaner.dedupe.buffer.size") / long("log.cleaner.threads").max(1);
    if of_thread <= DEDUPE_BYTES_MIN {
        refuse(
            set,
            &["log.cleaner.dedupe.buffer.size", "log.cleaner.threads"],
            || "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.".to_owned(),
        )?;
    }
    let overrides = candidate.text("max.connections.per.ip.overrides");
    if long("max.connections.per.ip") < 1 && overrides.is_none_or(|text| text.is_empty()) {
        let names = ["max.connections.per.ip", "max.connections.per.ip.overrides"];
        refuse(set, &names, || {
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."
                .to_owned()
        })?;
    }
    Ok(())
}

/// Durations that can be given in several units: the effective value must be in range, whichever unit gave it.
fn check_times(candidate: &Configs, set: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    type Rule = (&'static str, fn(i64) -> bool, &'static str);
    const RULES: [Rule; 3] = [
        (
            "log.roll.ms",
            |ms| ms >= 1,
            "log.roll.ms must be greater than or equal to 1",
        ),
        (
            "log.roll.jitter.ms",
            |ms| ms >= 0,
            "log.roll.jitter.ms must be greater than or equal to 0",
        ),
        (
            "log.retention.ms",
            |ms| ms != 0,
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
        ),
    ];
    for (name, is_valid, rule) in RULES {
        let Some(decl) = declaration(ResourceType::Broker, name) else {
            continue;
        };
        let Sourced { name, value, .. } = candidate.broker_or_stand_in(decl);
        let number = value.and_then(|value| value.parse().ok());
        if number.is_some_and(|number| !is_valid(number)) {
            refuse(set, &[name], || rule.to_owned())?;
        }
    }
    Ok(())
}

/// Refuses the first of these names that is set.
fn refuse(
    set: &BTreeMap<String, String>,
    names: &[&str],
    rule: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    let found = names.iter().find_map(|name| set.get_key_value(*name));
    match found {
        None => Ok(()),
        Some((name, value)) => Err(ConfigError::Together {
            name: name.clone(),
            value: value.clone(),
            rule: rule(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_given_at_start_go_together() {
        let retention = "log.retention.ms must be unlimited (-1) or, greater than or equal to 1";
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<(&'a str, &'a str)>);
        #[rustfmt::skip]
        let rows: &[Row<'_>] = &[
            (&[], None),
            (&[("log.roll.ms", "0")], Some(("log.roll.ms", "log.roll.ms must be greater than or equal to 1"))),
            (&[("log.roll.ms", "1")], None),
            (&[("log.roll.jitter.ms", "-1")], Some(("log.roll.jitter.ms", "log.roll.jitter.ms must be greater than or equal to 0"))),
            (&[("log.retention.ms", " 0 ")], Some(("log.retention.ms", retention))),
            (&[("log.retention.minutes", "0")], Some(("log.retention.minutes", retention))),
            (&[("log.retention.hours", "0")], Some(("log.retention.hours", retention))),
            (&[("log.retention.hours", "0"), ("log.retention.ms", "1")], None),
            (&[("log.retention.hours", "-1")], None),
            (&[("log.cleaner.threads", "0")], Some(("log.cleaner.threads", "log.cleaner.threads must be at least 1"))),
            (&[("log.cleaner.dedupe.buffer.size", "1048576")], Some(("log.cleaner.dedupe.buffer.size", "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."))),
            (&[("group.share.max.assignment.interval.ms", "500")], Some(("group.share.max.assignment.interval.ms", "group.share.assignment.interval.ms must be less than or equal to group.share.max.assignment.interval.ms"))),
            (&[("max.connections.per.ip", "0")], Some(("max.connections.per.ip", "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."))),
            (&[("max.connections.per.ip", "0"), ("max.connections.per.ip.overrides", "127.0.0.1:9")], None),
        ];
        for (given, expected) in rows {
            let own = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let refused = Configs::new(&own.collect()).err();
            let found = refused.as_ref().map(|error| match error {
                ConfigError::Together { name, rule, .. } => (name.as_str(), rule.as_str()),
                other => panic!("{given:?}: {other}"),
            });
            assert_eq!(found, *expected, "{given:?}");
            if let Some(error) = refused {
                let shown = error.to_string();
                assert!(!shown.contains(".;"), "{shown}");
                assert!(
                    shown.ends_with("give it another value or leave it out"),
                    "{shown}"
                );
            }
        }
    }
}
