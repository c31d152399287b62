//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources: all from one table of declarations.

use crate::api::create_topics::check_configs;
use crate::broker::{Broker, log_error_code, topic_change};
use crate::change::Change;
use crate::config::{self, ConfigDecl, ConfigSource, ConfigType, ResourceType, Sourced};
use crate::context::RequestContext;
use crate::security::acls::CLUSTER_NAME;
use crate::security::{Operation, ResourceKind};
use crate::waits::Outcome;
use millstream_kafka_wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use millstream_kafka_wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use millstream_kafka_wire::messages::incremental_alter_configs::{
    self as incremental, AlterableConfig, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use millstream_kafka_wire::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::BTreeMap;

type Refused = (ErrorCode, String);
type Settings = BTreeMap<String, String>;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) fn describe(
    broker: &Broker,
    context: &RequestContext,
    request: &DescribeConfigsRequest,
) -> Outcome {
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let mut result = DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        match describe_one(broker, context, resource, request.include_synonyms) {
            Ok(configs) => result.configs = configs,
            Err((error_code, message)) => {
                result.error_code = error_code;
                result.error_message = Some(message.into());
            }
        }
        results.push(result);
    }
    Outcome::now(DescribeConfigsResponse {
        throttle_time_ms: 0,
        results,
    })
}

fn describe_one(
    broker: &Broker,
    context: &RequestContext,
    resource: &DescribeConfigsResource,
    with_synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let kind = resource_type(resource.resource_type)?;
    check_access(broker, Operation::DescribeConfigs, kind, &resource.resource_name)?;
    let current = current(broker, kind, &resource.resource_name)?;
    let wants = |decl: &&'static ConfigDecl| {
        let keys = resource.configuration_keys.as_ref();
        keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == decl.name))
    };
    let is_default_broker = kind == ResourceType::Broker && resource.resource_name.is_empty();
    let mut results = Vec::new();
    for decl in config::declarations(kind).iter().filter(wants) {
        if is_default_broker && !current.contains_key(decl.name) {
            continue; // only what is set for all brokers
        }
        let values = match kind {
            ResourceType::Topic => broker.configs.resource(decl, &current, ConfigSource::Topic),
            ResourceType::Group => broker.configs.resource(decl, &current, ConfigSource::Group),
            _ => with_listener(decl, broker.configs.broker(decl), context),
        };
        let is_read_only = kind == ResourceType::Broker && config::is_read_only(decl.name);
        let is_shown = |sourced: &Sourced| match kind {
            ResourceType::Broker if is_default_broker => sourced.source == ConfigSource::DynamicDefault,
            ResourceType::Broker => true,
            // A default is a synonym only under the broker's name that stands for exactly this one.
            _ => sourced.source != ConfigSource::Default || decl.synonym == Some(sourced.name),
        };
        let is_synonym = |sourced: &Sourced| with_synonyms && is_shown(sourced);
        results.extend(result(decl, values, is_read_only, is_synonym));
    }
    Ok(results)
}

/// Where nothing is said about listeners, the one that the request came by is there all the same.
fn with_listener(decl: &ConfigDecl, mut values: Vec<Sourced>, context: &RequestContext) -> Vec<Sourced> {
    if !matches!(decl.name, "listeners" | "advertised.listeners") {
        return values;
    }
    if let Some(first) = values
        .first_mut()
        .filter(|first| first.source == ConfigSource::Default)
    {
        let endpoint = &context.endpoint;
        first.value = Some(format!("PLAINTEXT://{}:{}", endpoint.host, endpoint.port));
        first.source = ConfigSource::Static;
    }
    values
}

fn result(
    decl: &ConfigDecl,
    values: Vec<Sourced>,
    read_only: bool,
    is_synonym: impl Fn(&Sourced) -> bool,
) -> Option<DescribeConfigsResourceResult> {
    let is_sensitive = decl.config_type == ConfigType::Password;
    let shown = |value: &Option<String>| value.as_ref().filter(|_| !is_sensitive).map(KafkaString::from);
    let synonym = |sourced: &Sourced| DescribeConfigsSynonym {
        name: KafkaString::from_static(sourced.name),
        value: shown(&sourced.value),
        source: sourced.source as i8,
    };
    let first = values.first()?;
    let synonyms = values
        .iter()
        .filter(|sourced| sourced.value.is_some() && is_synonym(sourced))
        .map(synonym)
        .collect();
    Some(DescribeConfigsResourceResult {
        name: KafkaString::from_static(decl.name),
        value: shown(&first.value),
        read_only,
        config_source: first.source as i8,
        is_sensitive,
        synonyms,
        config_type: decl.config_type.code(),
        documentation: None,
    })
}

fn check_access(
    broker: &Broker,
    operation: Operation,
    kind: ResourceType,
    name: &str,
) -> Result<(), Refused> {
    let (resource, name) = match kind {
        ResourceType::Topic => (ResourceKind::Topic, name),
        ResourceType::Group => (ResourceKind::Group, name),
        _ => (ResourceKind::Cluster, CLUSTER_NAME),
    };
    broker
        .access(operation, resource, name)
        .map_err(|code| (code, "access to configurations is denied".to_owned()))
}

fn resource_type(code: i8) -> Result<ResourceType, Refused> {
    ResourceType::from_code(code).ok_or_else(|| {
        (
            ErrorCode::INVALID_REQUEST,
            format!("Unsupported resource type: {code}"),
        )
    })
}

/// What is set on a resource now; an error if there is no such resource.
fn current(broker: &Broker, kind: ResourceType, name: &KafkaString) -> Result<Settings, Refused> {
    match kind {
        ResourceType::Topic => {
            let topic = broker.topics.by_name(name);
            let unknown = || {
                (
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    "This server does not host this topic-partition.".to_owned(),
                )
            };
            topic.map(|topic| topic.configs.clone()).ok_or_else(unknown)
        }
        ResourceType::Broker | ResourceType::BrokerLogger => {
            let is_here = name.is_empty() || name.as_str() == broker.node_id().to_string();
            if !is_here {
                let message = format!(
                    "Unexpected broker id, expected {} or empty string, but received {name}",
                    broker.node_id()
                );
                return Err((ErrorCode::INVALID_REQUEST, message));
            }
            Ok(broker.configs.of(kind, name))
        }
        ResourceType::Group if name.is_empty() => Err((
            ErrorCode::INVALID_REQUEST,
            "Group name must not be empty".to_owned(),
        )),
        ResourceType::Group | ResourceType::ClientMetrics => Ok(broker.configs.of(kind, name)),
    }
}

pub(crate) fn alter(broker: &mut Broker, now_ms: i64, request: &AlterConfigsRequest) -> Outcome {
    let mut sequence = 0;
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let mut response = AlterConfigsResourceResponse {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        let replaced = resource_type(resource.resource_type).and_then(|kind| {
            check_access(broker, Operation::AlterConfigs, kind, &resource.resource_name)?;
            current(broker, kind, &resource.resource_name)?;
            let mut configs = Settings::new();
            for config in &resource.configs {
                if let Some(value) = &config.value {
                    configs.insert(config.name.to_string(), value.to_string());
                }
            }
            store(
                broker,
                now_ms,
                (kind, &resource.resource_name),
                configs,
                request.validate_only,
            )
        });
        match replaced {
            Ok(written) => sequence = sequence.max(written),
            Err((error_code, message)) => {
                response.error_code = error_code;
                response.error_message = Some(message.into());
            }
        }
        responses.push(response);
    }
    Outcome::durable(
        sequence,
        AlterConfigsResponse {
            throttle_time_ms: 0,
            responses,
        },
    )
}

pub(crate) fn alter_incrementally(
    broker: &mut Broker,
    now_ms: i64,
    request: &IncrementalAlterConfigsRequest,
) -> Outcome {
    let mut sequence = 0;
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let mut response = incremental::AlterConfigsResourceResponse {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        let changed = resource_type(resource.resource_type).and_then(|kind| {
            check_access(broker, Operation::AlterConfigs, kind, &resource.resource_name)?;
            let mut configs = current(broker, kind, &resource.resource_name)?;
            for config in &resource.configs {
                change_one(broker, kind, &mut configs, config)?;
            }
            store(
                broker,
                now_ms,
                (kind, &resource.resource_name),
                configs,
                request.validate_only,
            )
        });
        match changed {
            Ok(written) => sequence = sequence.max(written),
            Err((error_code, message)) => {
                response.error_code = error_code;
                response.error_message = Some(message.into());
            }
        }
        responses.push(response);
    }
    Outcome::durable(
        sequence,
        IncrementalAlterConfigsResponse {
            throttle_time_ms: 0,
            responses,
        },
    )
}

fn change_one(
    broker: &Broker,
    kind: ResourceType,
    configs: &mut Settings,
    config: &AlterableConfig,
) -> Result<(), Refused> {
    let name = config.name.to_string();
    if config.config_operation == DELETE {
        configs.remove(&name);
        return Ok(());
    }
    let Some(value) = &config.value else {
        return Err((
            ErrorCode::INVALID_REQUEST,
            format!("Null value not supported for : {name}"),
        ));
    };
    if config.config_operation == SET {
        configs.insert(name, value.to_string());
        return Ok(());
    }
    let decl = config::declaration(kind, &name);
    if !decl.is_some_and(|decl| decl.config_type == ConfigType::List) {
        let message = format!("Config value append is not allowed for config key: {name}");
        return Err((ErrorCode::INVALID_CONFIG, message));
    }
    let inherited = decl.and_then(|decl| {
        let values = match kind {
            ResourceType::Broker => broker.configs.broker(decl),
            _ => broker.configs.resource(decl, configs, ConfigSource::Topic),
        };
        values.into_iter().next()?.value
    });
    let current = configs.get(&name).cloned().or(inherited).unwrap_or_default();
    let mut words: Vec<&str> = current
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    for word in value.split(',').map(str::trim) {
        match config.config_operation {
            APPEND if !words.contains(&word) => words.push(word),
            APPEND => {}
            SUBTRACT => words.retain(|each| *each != word),
            _ => {
                return Err((
                    ErrorCode::INVALID_REQUEST,
                    "unknown operation on a config".to_owned(),
                ));
            }
        }
    }
    configs.insert(name, words.join(","));
    Ok(())
}

/// Replaces what is set on a resource.
fn store(
    broker: &mut Broker,
    now_ms: i64,
    (kind, name): (ResourceType, &KafkaString),
    configs: Settings,
    validate_only: bool,
) -> Result<u64, Refused> {
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
            check_other(kind, &broker.configs.of(kind, name), &configs)?;
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

fn check_other(kind: ResourceType, before: &Settings, configs: &Settings) -> Result<(), Refused> {
    for (name, value) in configs {
        if matches!(kind, ResourceType::BrokerLogger | ResourceType::ClientMetrics) {
            continue; // kept and shown, without meaning here
        }
        config::check(kind, name, value)
            .map_err(|error| (ErrorCode::INVALID_CONFIG, error.in_kafkas_words()))?;
        let is_new = before.get(name) != Some(value);
        if kind == ResourceType::Broker && is_new && config::is_read_only(name) {
            return Err((
                ErrorCode::INVALID_REQUEST,
                format!("Cannot update these configs dynamically: [{name}]"),
            ));
        }
    }
    Ok(())
}

pub(crate) fn list(broker: &Broker, version: i16, request: &ListConfigResourcesRequest) -> Outcome {
    if let Err(error_code) = broker.cluster_access(Operation::DescribeConfigs) {
        return Outcome::now(ListConfigResourcesResponse {
            error_code,
            ..Default::default()
        });
    }
    const ALL: [ResourceType; 5] = [
        ResourceType::Topic,
        ResourceType::Broker,
        ResourceType::BrokerLogger,
        ResourceType::ClientMetrics,
        ResourceType::Group,
    ];
    let mut wanted = Vec::new();
    match (version, request.resource_types.is_empty()) {
        (0, _) => wanted.push(ResourceType::ClientMetrics),
        (_, true) => wanted.extend(ALL),
        (_, false) => {
            for code in &request.resource_types {
                let Some(kind) = ResourceType::from_code(*code) else {
                    let error_code = ErrorCode::UNSUPPORTED_VERSION;
                    return Outcome::now(ListConfigResourcesResponse {
                        error_code,
                        ..Default::default()
                    });
                };
                wanted.push(kind);
            }
        }
    }
    let mut config_resources = Vec::new();
    for kind in wanted {
        let names: Vec<KafkaString> = match kind {
            ResourceType::Topic => broker.topics.iter().map(|topic| topic.name.clone()).collect(),
            ResourceType::Broker | ResourceType::BrokerLogger => vec![broker.node_id().to_string().into()],
            _ => broker
                .configs
                .resources(kind)
                .map(|(name, _)| name.into())
                .collect(),
        };
        let resource = |resource_name| ConfigResource {
            resource_name,
            resource_type: kind as i8,
        };
        config_resources.extend(names.into_iter().map(resource));
    }
    Outcome::now(ListConfigResourcesResponse {
        config_resources,
        ..Default::default()
    })
}
