//! Configurations of topics, brokers and groups.

use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use millstream_kafka_wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::client::{Attempt, KafkaClient};
use crate::error::ClientError;
use crate::transport::Target;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;

/// A resource with configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigResource {
    Topic(KafkaString),
    Broker(i32),
    Group(KafkaString),
}

impl ConfigResource {
    fn code_and_name(&self) -> (i8, KafkaString) {
        match self {
            ConfigResource::Topic(name) => (TOPIC, name.clone()),
            ConfigResource::Broker(id) => (BROKER, id.to_string().into()),
            ConfigResource::Group(name) => (GROUP, name.clone()),
        }
    }

    /// A broker describes its own configurations; any broker describes the others.
    fn target(&self) -> Target {
        match self {
            ConfigResource::Broker(id) => Target::Node(*id),
            _ => Target::Any,
        }
    }
}

/// One setting of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// `None` if it is a secret.
    pub value: Option<String>,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    /// Origin of the value in Kafka's codes: 1 the topic itself, 4 the broker's file, 5 the default.
    pub source: i8,
}

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    Set(String, String),
    /// Back to the default.
    Delete(String),
}

impl KafkaClient {
    pub async fn describe_configs(&self, resource: &ConfigResource) -> Result<Vec<ConfigEntry>, ClientError> {
        let (resource_type, resource_name) = resource.code_and_name();
        let what = format!("configuration of '{resource_name}'");
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name,
                configuration_keys: None,
            }],
            ..Default::default()
        };
        let mut retries = self.retries(&what);
        let result = loop {
            let attempt: Result<_, Attempt> = async {
                let response = self.call(resource.target(), request.clone()).await?;
                let result = response.results.into_iter().next();
                let result = result.ok_or(ClientError::Incomplete("DescribeConfigs"))?;
                match result.error_code.check() {
                    Ok(()) => Ok(result),
                    Err(code) => {
                        Err(ClientError::broker_with(what.clone(), code, result.error_message).into())
                    }
                }
            }
            .await;
            if let Some(value) = retries.settle(attempt).await? {
                break value;
            }
        };
        let entry =
            |config: millstream_kafka_wire::messages::describe_configs::DescribeConfigsResourceResult| {
                ConfigEntry {
                    name: config.name.into(),
                    value: config.value.map(String::from),
                    is_read_only: config.read_only,
                    is_sensitive: config.is_sensitive,
                    source: config.config_source,
                }
            };
        Ok(result.configs.into_iter().map(entry).collect())
    }

    /// Changes some settings and leaves the others.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[ConfigChange],
    ) -> Result<(), ClientError> {
        let (resource_type, resource_name) = resource.code_and_name();
        let what = format!("configuration of '{resource_name}'");
        let change = |change: &ConfigChange| match change {
            ConfigChange::Set(name, value) => AlterableConfig {
                name: name.into(),
                config_operation: 0,
                value: Some(value.into()),
            },
            ConfigChange::Delete(name) => AlterableConfig {
                name: name.into(),
                config_operation: 1,
                value: None,
            },
        };
        let configs = changes.iter().map(change).collect();
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type,
                resource_name,
                configs,
            }],
            validate_only: false,
        };
        let mut retries = self.retries(&what);
        loop {
            let attempt: Result<_, Attempt> = async {
                let response = self.call(resource.target(), request.clone()).await?;
                let result = response.responses.into_iter().next();
                let result = result.ok_or(ClientError::Incomplete("IncrementalAlterConfigs"))?;
                let error = |code| ClientError::broker_with(what.clone(), code, result.error_message);
                Ok(result.error_code.check().map_err(error)?)
            }
            .await;
            if let Some(value) = retries.settle(attempt).await? {
                return Ok(value);
            }
        }
    }
}
