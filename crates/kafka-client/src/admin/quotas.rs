//! Quotas of users, client ids and addresses.

use millstream_kafka_wire::messages::alter_client_quotas::{
    AlterClientQuotasRequest, OpData, RequestEntityData, RequestEntryData,
};
use millstream_kafka_wire::messages::describe_client_quotas::{ComponentData, DescribeClientQuotasRequest};

use crate::client::KafkaClient;
use crate::error::ClientError;

/// The entity of a quota: kind (`user`, `client-id`, `ip`) and name; no name is the default of the kind.
pub type QuotaEntity = Vec<(String, Option<String>)>;

/// An entity with its quotas.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientQuota {
    pub entity: QuotaEntity,
    /// Name and value: `producer_byte_rate` in bytes a second.
    pub values: Vec<(String, f64)>,
}

/// A filter for one component of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaMatch {
    /// This name.
    Exactly(String),
    /// The default of the kind.
    Default,
    /// Any name of this type.
    Any,
}

impl KafkaClient {
    /// Describes the quotas of entities that match these components, or of all if none is given. `strict` excludes
    /// entities with other components.
    pub async fn describe_client_quotas(
        &self,
        parts: &[(String, QuotaMatch)],
        strict: bool,
    ) -> Result<Vec<ClientQuota>, ClientError> {
        let component = |(kind, wanted): &(String, QuotaMatch)| {
            let (match_type, name) = match wanted {
                QuotaMatch::Exactly(name) => (0, Some(name.into())),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            ComponentData {
                entity_type: kind.into(),
                match_type,
                r#match: name,
            }
        };
        let request = DescribeClientQuotasRequest {
            components: parts.iter().map(component).collect(),
            strict,
        };
        let response = self
            .call_controller(request, |response| response.error_code)
            .await?;
        response
            .error_code
            .check()
            .map_err(|code| ClientError::broker_with("listing quotas", code, response.error_message))?;
        let entries = response.entries.unwrap_or_default().into_iter();
        let quota = |entry: millstream_kafka_wire::messages::describe_client_quotas::EntryData| {
            let part = |e: millstream_kafka_wire::messages::describe_client_quotas::EntityData| {
                (e.entity_type.into(), e.entity_name.map(Into::into))
            };
            let mut quota = ClientQuota {
                entity: entry.entity.into_iter().map(part).collect(),
                values: entry
                    .values
                    .into_iter()
                    .map(|v| (v.key.into(), v.value))
                    .collect(),
            };
            quota.entity.sort();
            quota.values.sort_by(|a, b| a.0.cmp(&b.0));
            quota
        };
        let mut found: Vec<ClientQuota> = entries.map(quota).collect();
        found.sort_by(|a, b| a.entity.cmp(&b.entity));
        Ok(found)
    }

    /// Sets quotas of an entity, and removes those without a value.
    pub async fn alter_client_quotas(
        &self,
        entity: &QuotaEntity,
        changes: &[(String, Option<f64>)],
    ) -> Result<(), ClientError> {
        let part = |(kind, name): &(String, Option<String>)| RequestEntityData {
            entity_type: kind.into(),
            entity_name: name.as_ref().map(Into::into),
        };
        let op = |(key, value): &(String, Option<f64>)| OpData {
            key: key.into(),
            value: value.unwrap_or_default(),
            remove: value.is_none(),
        };
        let request = AlterClientQuotasRequest {
            entries: vec![RequestEntryData {
                entity: entity.iter().map(part).collect(),
                ops: changes.iter().map(op).collect(),
            }],
            validate_only: false,
        };
        let response = self
            .call_controller(request, |response| {
                let first = response.entries.first();
                first.map(|entry| entry.error_code).unwrap_or_default()
            })
            .await?;
        let entry = response.entries.into_iter().next();
        let entry = entry.ok_or(ClientError::Incomplete("AlterClientQuotas"))?;
        entry
            .error_code
            .check()
            .map_err(|code| ClientError::broker_with("quotas", code, entry.error_message))
    }
}
