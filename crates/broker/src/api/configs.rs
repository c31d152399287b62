//! DescribeConfigs and ListConfigResources. They read the same declarations that validate alterations.

use crate::api::{MALFORMED, Rejection, once_each, once_each_by};
use crate::broker::Broker;
use crate::config::{self, ConfigDecl, ConfigSource, ConfigType, Described, ResourceType, Sourced};
use crate::context::RequestContext;
use crate::limits::CONFIGS_DESCRIBED_MAX;
use crate::purgatory::Outcome;
use crate::security::acls::CLUSTER_NAME;
use crate::security::{Operation, ResourceKind};
use crate::topics::check_topic_name;
use millstream_kafka_wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use millstream_kafka_wire::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Settings = BTreeMap<String, String>;

/// The error of a resource that exceeds the cap of one response.
const TOO_MANY: &str = "too many configurations for one response; describe fewer resources in one request";

/// Kafka refuses the whole of a request that names a type of resource that it does not know.
fn malformed(request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
    let result = |resource: &DescribeConfigsResource| DescribeConfigsResult {
        error_code: ErrorCode::INVALID_REQUEST,
        error_message: Some(KafkaString::from_static(MALFORMED)),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs: Vec::new(),
    };
    let resources = once_each_by(&request.resources, asked_by);
    DescribeConfigsResponse {
        throttle_time_ms: 0,
        results: resources.map(result).collect(),
    }
}

/// Identifies a requested resource, to drop duplicates.
fn asked_by(resource: &DescribeConfigsResource) -> (i8, &KafkaString, &[KafkaString]) {
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    (resource.resource_type, &resource.resource_name, keys)
}

pub(crate) fn describe(
    broker: &Broker,
    context: &RequestContext,
    request: &DescribeConfigsRequest,
) -> Outcome {
    let known =
        |resource: &DescribeConfigsResource| ResourceType::from_code(resource.resource_type).is_some();
    if !request.resources.iter().all(known) {
        return Outcome::now(malformed(request));
    }
    let mut results = Vec::new();
    let mut left = CONFIGS_DESCRIBED_MAX;
    for resource in once_each_by(&request.resources, asked_by) {
        let mut result = DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        let described = match left {
            0 => Err((ErrorCode::INVALID_REQUEST, TOO_MANY.to_owned())),
            _ => describe_one(broker, context, resource, request),
        };
        match described {
            Ok(configs) => {
                left = left.saturating_sub(configs.len());
                result.configs = configs;
            }
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
    request: &DescribeConfigsRequest,
) -> Result<Vec<DescribeConfigsResourceResult>, Rejection> {
    let with_synonyms = request.include_synonyms;
    let kind = ResourceType::from_code(resource.resource_type);
    let kind = kind.ok_or_else(|| (ErrorCode::INVALID_REQUEST, MALFORMED.to_owned()))?;
    check_access(broker, Operation::DescribeConfigs, kind, &resource.resource_name)?;
    check_name(broker, kind, &resource.resource_name)?;
    let current = current(broker, kind, &resource.resource_name)?;
    // As in Kafka no names stand for all.
    let keys = resource.configuration_keys.iter().flatten();
    let keys: BTreeSet<&str> = keys.map(KafkaString::as_str).collect();
    let wants = |name: &str| keys.is_empty() || keys.contains(name);
    let is_default_broker = kind == ResourceType::Broker && resource.resource_name.is_empty();
    let mut results = Vec::new();
    for decl in config::declarations(kind).iter().filter(|decl| wants(decl.name)) {
        let described = match kind {
            ResourceType::Topic => broker.configs.describe(decl, &current, ConfigSource::Topic),
            ResourceType::Group => broker.configs.describe(decl, &current, ConfigSource::Group),
            ResourceType::ClientMetrics => {
                broker
                    .configs
                    .describe(decl, &current, ConfigSource::ClientMetrics)
            }
            _ if is_default_broker => match for_all_brokers(decl, &current) {
                Some(described) => described,
                None => continue,
            },
            _ => with_listener(decl, broker.configs.describe_broker(decl), context),
        };
        let is_read_only = kind == ResourceType::Broker && config::is_read_only(decl.name);
        results.push(result(decl, described, is_read_only, with_synonyms));
    }
    if kind == ResourceType::Broker {
        let names = broker.configs.undeclared_names();
        let of = |name: &String| undeclared_result(broker, name, is_default_broker, with_synonyms);
        results.extend(names.iter().filter(|name| wants(name)).filter_map(of));
    }
    if request.include_documentation {
        for result in &mut results {
            let meaning = config::meaning(kind, &result.name);
            result.documentation = meaning.map(KafkaString::from_static);
        }
    }
    Ok(results)
}

/// The dynamic default for all brokers, as it was set.
fn for_all_brokers(decl: &ConfigDecl, set: &Settings) -> Option<Described> {
    let value = Some(set.get(decl.name)?.clone());
    let synonyms = vec![Sourced {
        name: decl.name,
        value: value.clone(),
        source: ConfigSource::DynamicDefault,
    }];
    Some(Described { value, synonyms })
}

/// Configurations that are set but not declared for the broker: those of single listeners, and the throttles of
/// replication.
fn undeclared_result(
    broker: &Broker,
    name: &str,
    is_default_broker: bool,
    with_synonyms: bool,
) -> Option<DescribeConfigsResourceResult> {
    let decl = config::listener::declared(name).or_else(|| config::dynamic_only(name))?;
    let is_sensitive = decl.config_type == ConfigType::Password;
    let shown = |value: &String| (!is_sensitive).then(|| KafkaString::from(value));
    let synonym = |name: &str, value: &String, source: ConfigSource| DescribeConfigsSynonym {
        name: name.into(),
        value: shown(value),
        source: source as i8,
    };
    let mut found = broker.configs.undeclared(name);
    found.retain(|(_, source)| !is_default_broker || *source == ConfigSource::DynamicDefault);
    let (value, source) = found.first()?;
    let own = found.iter().map(|(value, source)| synonym(name, value, *source));
    let mut synonyms: Vec<_> = own.collect();
    if config::listener::split(name).is_some() && !is_default_broker {
        let inherited = broker.configs.broker(decl);
        let inherited = inherited
            .iter()
            .filter_map(|sourced| Some(synonym(sourced.name, sourced.value.as_ref()?, sourced.source)));
        synonyms.extend(inherited);
    }
    Some(DescribeConfigsResourceResult {
        name: name.into(),
        value: shown(value),
        read_only: true, // as Kafka says of them, although they are not
        config_source: *source as i8,
        is_sensitive,
        synonyms: if with_synonyms { synonyms } else { Vec::new() },
        config_type: decl.config_type.code(),
        documentation: None,
    })
}

/// Adds the listener that received the request if none is configured.
fn with_listener(decl: &ConfigDecl, described: Described, context: &RequestContext) -> Described {
    let is_of_listeners = matches!(decl.name, "listeners" | "advertised.listeners");
    if !is_of_listeners || described.source() != ConfigSource::Default {
        return described;
    }
    let endpoint = &context.endpoint;
    let value = Some(format!("PLAINTEXT://{}:{}", endpoint.host, endpoint.port));
    let synonyms = vec![Sourced {
        name: decl.name,
        value: value.clone(),
        source: ConfigSource::Static,
    }];
    Described { value, synonyms }
}

fn result(
    decl: &ConfigDecl,
    described: Described,
    read_only: bool,
    with_synonyms: bool,
) -> DescribeConfigsResourceResult {
    let is_sensitive = decl.config_type == ConfigType::Password;
    let shown = |value: &Option<String>| value.as_ref().filter(|_| !is_sensitive).map(KafkaString::from);
    let synonym = |sourced: &Sourced| DescribeConfigsSynonym {
        name: KafkaString::from_static(sourced.name),
        value: shown(&sourced.value),
        source: sourced.source as i8,
    };
    let synonyms = described.synonyms.iter().filter(|_| with_synonyms);
    DescribeConfigsResourceResult {
        name: KafkaString::from_static(decl.name),
        value: shown(&described.value),
        read_only,
        config_source: described.source() as i8,
        is_sensitive,
        synonyms: synonyms.map(synonym).collect(),
        config_type: decl.config_type.code(),
        documentation: None,
    }
}

pub(crate) fn check_access(
    broker: &Broker,
    operation: Operation,
    kind: ResourceType,
    name: &str,
) -> Result<(), Rejection> {
    let (resource, name) = match kind {
        ResourceType::Topic => (ResourceKind::Topic, name),
        ResourceType::Group => (ResourceKind::Group, name),
        _ => (ResourceKind::Cluster, CLUSTER_NAME),
    };
    broker
        .access(operation, resource, name)
        .map_err(|code| (code, "access to configurations is denied".to_owned()))
}

/// Checks whether a resource may have this name; the error is Kafka's message.
fn check_name(broker: &Broker, kind: ResourceType, name: &KafkaString) -> Result<(), Rejection> {
    let invalid = |message: String| Err((ErrorCode::INVALID_REQUEST, message));
    match kind {
        ResourceType::Topic => {
            check_topic_name(name).map_err(|error| (ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string()))
        }
        ResourceType::BrokerLogger if name.is_empty() => invalid("Broker id must not be empty".to_owned()),
        ResourceType::ClientMetrics if name.is_empty() => {
            invalid("Client metrics subscription name must not be empty".to_owned())
        }
        ResourceType::Broker if name.is_empty() => Ok(()),
        ResourceType::Broker | ResourceType::BrokerLogger if name.parse::<i32>().is_err() => {
            invalid(format!("Broker id must be an integer, but it is: {name}"))
        }
        ResourceType::BrokerLogger if name.as_str() != broker.node_id().to_string() => invalid(format!(
            "Unexpected broker id, expected {} but received {name}",
            broker.node_id()
        )),
        _ => Ok(()),
    }
}

/// The dynamic configuration of a resource; an error if the resource does not exist.
pub(crate) fn current(
    broker: &Broker,
    kind: ResourceType,
    name: &KafkaString,
) -> Result<Settings, Rejection> {
    match kind {
        ResourceType::Topic => {
            let topic = broker.topics.by_name(name);
            let unknown = || {
                (
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    String::new(), // the code says it
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
            for code in once_each(&request.resource_types) {
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
