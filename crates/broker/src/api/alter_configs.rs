//! AlterConfigs and IncrementalAlterConfigs. Rejections carry Kafka's error codes and messages, because tools show them
//! to administrators. Each resource of a request succeeds or fails on its own.

use crate::api::Rejection;
use crate::api::configs::{Settings, check_access, current};
use crate::api::create_topics::check_configs;
use crate::api::repeated;
use crate::broker::{Broker, log_error_code, topic_change};
use crate::change::Change;
use crate::config::{self, ConfigSource, ConfigType, ResourceType};
use crate::limits::CONFIG_VALUE_BYTES_MAX;
use crate::purgatory::Outcome;
use crate::security::Operation;
use millstream_kafka_wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use millstream_kafka_wire::messages::incremental_alter_configs::{
    self as incremental, AlterableConfig, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::BTreeSet;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) fn alter(broker: &mut Broker, now_ms: i64, request: &AlterConfigsRequest) -> Outcome {
    let asked = (&request.resources[..], request.validate_only);
    let named: fn(&AlterConfigsResource) -> (i8, &KafkaString) =
        |each| (each.resource_type, &each.resource_name);
    let to_result =
        |(resource_type, name): (i8, &KafkaString), error_code, error_message| AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name: name.clone(),
        };
    let (sequence, responses) = alter_each(broker, now_ms, asked, named, replacement, to_result);
    let response = AlterConfigsResponse {
        throttle_time_ms: 0,
        responses,
    };
    Outcome::durable(sequence, response)
}

pub(crate) fn alter_incrementally(
    broker: &mut Broker,
    now_ms: i64,
    request: &IncrementalAlterConfigsRequest,
) -> Outcome {
    let asked = (&request.resources[..], request.validate_only);
    let named: fn(&incremental::AlterConfigsResource) -> (i8, &KafkaString) =
        |each| (each.resource_type, &each.resource_name);
    let result = |(resource_type, name): (i8, &KafkaString), error_code, error_message| {
        incremental::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name: name.clone(),
        }
    };
    let (sequence, responses) = alter_each(broker, now_ms, asked, named, changes, result);
    let response = IncrementalAlterConfigsResponse {
        throttle_time_ms: 0,
        responses,
    };
    Outcome::durable(sequence, response)
}

/// Applies `settings` to each resource that the request names exactly once. Returns the sequence of the last write, and
/// the results.
fn alter_each<R, A>(
    broker: &mut Broker,
    now_ms: i64,
    (resources, validate_only): (&[R], bool),
    named: fn(&R) -> (i8, &KafkaString),
    settings: impl Fn(&Broker, &R) -> Result<(ResourceType, Settings), Rejection>,
    result: fn((i8, &KafkaString), ErrorCode, Option<KafkaString>) -> A,
) -> (u64, Vec<A>) {
    let repeated = repeated(resources.iter().map(named));
    let mut sequence = 0;
    let mut alter = |resource| {
        let name = named(resource);
        let written = once(repeated.contains(&name))
            .and_then(|()| settings(broker, resource))
            .and_then(|(kind, configs)| store(broker, now_ms, (kind, name.1), configs, validate_only));
        match written {
            Ok(written) => {
                sequence = sequence.max(written);
                result(name, ErrorCode::NONE, None)
            }
            Err((error_code, message)) => result(name, error_code, Some(message.into())),
        }
    };
    let results = resources.iter().map(&mut alter).collect();
    (sequence, results)
}

/// The complete new configuration of a resource (AlterConfigs).
fn replacement(
    broker: &Broker,
    resource: &AlterConfigsResource,
) -> Result<(ResourceType, Settings), Rejection> {
    let kind = target(broker, resource.resource_type, &resource.resource_name, false)?;
    check_keys(
        resource
            .configs
            .iter()
            .map(|config| (&config.name, config.value.is_some())),
    )?;
    let pair = |name: &KafkaString, value: &Option<KafkaString>| {
        let value = value.as_ref()?;
        Some((name.to_string(), value.to_string()))
    };
    let configs = resource.configs.iter();
    Ok((
        kind,
        configs
            .filter_map(|config| pair(&config.name, &config.value))
            .collect(),
    ))
}

/// The configuration of a resource after incremental changes (IncrementalAlterConfigs).
fn changes(
    broker: &Broker,
    resource: &incremental::AlterConfigsResource,
) -> Result<(ResourceType, Settings), Rejection> {
    let kind = target(broker, resource.resource_type, &resource.resource_name, true)?;
    check_keys(resource.configs.iter().map(|config| {
        let has_value = config.config_operation == DELETE || config.value.is_some();
        (&config.name, has_value)
    }))?;
    let mut configs = current(broker, kind, &resource.resource_name)?;
    for config in &resource.configs {
        change_one(broker, kind, &mut configs, config)?;
    }
    Ok((kind, configs))
}

fn once(is_repeated: bool) -> Result<(), Rejection> {
    if is_repeated {
        Err(invalid("Each resource must appear at most once."))
    } else {
        Ok(())
    }
}

fn invalid(message: impl Into<String>) -> Rejection {
    (ErrorCode::INVALID_REQUEST, message.into())
}

/// The kind of an existing resource that may be altered.
fn target(
    broker: &Broker,
    code: i8,
    name: &KafkaString,
    is_incremental: bool,
) -> Result<ResourceType, Rejection> {
    let kind = ResourceType::from_code(code)
        .filter(|kind| is_incremental || *kind != ResourceType::BrokerLogger)
        .ok_or_else(|| invalid(format!("Unknown resource type {code}")))?;
    check_access(broker, Operation::AlterConfigs, kind, name)?;
    match kind {
        ResourceType::Topic if name.is_empty() => Err(invalid("Default topic resources are not allowed.")),
        ResourceType::Topic if broker.topics.by_name(name).is_none() => Err((
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            format!("The topic '{name}' does not exist."),
        )),
        ResourceType::Group if name.is_empty() => Err(invalid("Default group resources are not allowed.")),
        ResourceType::ClientMetrics if name.is_empty() => Err(invalid("Subscription name can't be empty")),
        ResourceType::Broker if name.is_empty() => Ok(kind),
        ResourceType::Broker | ResourceType::BrokerLogger => match name.parse::<i32>() {
            Ok(id) if id == broker.node_id() => Ok(kind),
            Ok(id) => {
                let expected = broker.node_id();
                Err(invalid(format!(
                    "Unexpected broker id, expected {expected}, but received {id}"
                )))
            }
            Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
        },
        _ => Ok(kind),
    }
}

/// No key twice, and none without a value that needs one.
fn check_keys<'a>(keys: impl Iterator<Item = (&'a KafkaString, bool)>) -> Result<(), Rejection> {
    let mut seen = BTreeSet::new();
    let mut without = Vec::new();
    for (key, has_value) in keys {
        if !seen.insert(key) {
            return Err(invalid("Error due to duplicate config keys"));
        }
        if !has_value {
            without.push(key.as_str());
        }
    }
    if without.is_empty() {
        Ok(())
    } else {
        Err(invalid(format!(
            "Null value not supported for : {}",
            without.join(", ")
        )))
    }
}

fn change_one(
    broker: &Broker,
    kind: ResourceType,
    configs: &mut Settings,
    config: &AlterableConfig,
) -> Result<(), Rejection> {
    let name = config.name.to_string();
    let value = config.value.as_ref().map_or("", KafkaString::as_str);
    match config.config_operation {
        SET => _ = configs.insert(name, value.to_owned()),
        DELETE => _ = configs.remove(&name),
        APPEND | SUBTRACT => {
            let words = altered_list(broker, kind, configs, config)?;
            configs.insert(name, words);
        }
        other => return Err(invalid(format!("Unknown operations type {other}"))),
    }
    Ok(())
}

/// A list configuration with entries appended to or subtracted from its effective value.
fn altered_list(
    broker: &Broker,
    kind: ResourceType,
    configs: &Settings,
    config: &AlterableConfig,
) -> Result<String, Rejection> {
    let (name, is_more) = (config.name.as_str(), config.config_operation == APPEND);
    let decl = config::declaration(kind, name);
    let Some(decl) = decl.filter(|decl| decl.config_type == ConfigType::List) else {
        let message = match (kind, is_more) {
            (ResourceType::Broker, true) => {
                format!("Config value append is not allowed for config key: {name}")
            }
            (ResourceType::Broker, false) => {
                format!("Config value subtract is not allowed for config key: {name}")
            }
            (_, true) => format!("Can't APPEND to key {name} because its type is not LIST."),
            (_, false) => format!("Can't SUBTRACT to key {name} because its type is not LIST."),
        };
        return Err((ErrorCode::INVALID_CONFIG, message));
    };
    let inherited = match kind {
        ResourceType::Broker => broker.configs.text(name),
        _ => broker.configs.effective(decl, configs, ConfigSource::Topic).value,
    };
    let current = configs.get(name).cloned().or(inherited).unwrap_or_default();
    let trimmed = current.split(',').map(str::trim);
    let mut words: Vec<&str> = trimmed.filter(|word| !word.is_empty()).collect();
    let value = config.value.as_ref().map_or("", KafkaString::as_str);
    for word in value.split(',').map(str::trim) {
        words.retain(|each| is_more || *each != word);
        if is_more && !words.contains(&word) {
            words.push(word);
        }
    }
    let list = words.join(",");
    if list.len() > CONFIG_VALUE_BYTES_MAX {
        let message = format!(
            "Value of {name} would have {} bytes, {CONFIG_VALUE_BYTES_MAX} at most are kept",
            list.len()
        );
        return Err((ErrorCode::INVALID_CONFIG, message));
    }
    Ok(list)
}

/// Replaces the configuration of a resource.
fn store(
    broker: &mut Broker,
    now_ms: i64,
    (kind, name): (ResourceType, &KafkaString),
    configs: Settings,
    validate_only: bool,
) -> Result<u64, Rejection> {
    let change = match kind {
        ResourceType::Topic => {
            check_configs(&configs)?;
            let topic = broker
                .topics
                .by_name(name)
                .ok_or((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, String::new()))?;
            let mut topic = topic.clone();
            topic.configs = configs;
            topic_change(&topic)
        }
        _ => {
            check_other(broker, kind, name, &configs)?;
            Change::Configs {
                kind,
                name: name.to_string(),
                configs,
            }
        }
    };
    if validate_only {
        return Ok(0);
    }
    broker
        .write(now_ms, Vec::new(), &[change])
        .map_err(|error| (log_error_code(&error), error.to_string()))
}

fn check_other(
    broker: &Broker,
    kind: ResourceType,
    name: &KafkaString,
    configs: &Settings,
) -> Result<(), Rejection> {
    let wrong = |message: String| (ErrorCode::INVALID_CONFIG, message);
    match kind {
        ResourceType::Topic => Ok(()),
        ResourceType::Broker => {
            let before = broker.configs.of(kind, name);
            let mut changed = configs.clone();
            changed.retain(|name, value| before.get(name) != Some(value));
            let mut candidate = broker.configs.clone();
            candidate.set(kind, name, configs.clone());
            let removed = before.keys().filter(|name| !configs.contains_key(*name));
            config::check_broker(&candidate, &changed, removed, name.is_empty())
                .map_err(|error| invalid(error.to_string()))?;
            broker
                .check_followed(&candidate, &changed)
                .map_err(|error| invalid(error.to_string()))
        }
        ResourceType::Group => {
            config::check_group(&broker.configs, configs).map_err(|error| wrong(error.to_string()))
        }
        ResourceType::ClientMetrics => {
            config::check_client_metrics(configs).map_err(|error| invalid(error.to_string()))
        }
        ResourceType::BrokerLogger => match configs.keys().next() {
            Some(logger) => Err(wrong(format!("Logger {logger} does not exist!"))),
            None => Ok(()),
        },
    }
}
