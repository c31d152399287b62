//! ACLs and SCRAM users of the embedded broker.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use millstream_kafka_client::admin::{
    AclBinding, AclFilter, AclOperation, AclPattern, AclPermission, AclResource, scram_salt,
};
use millstream_kafka_client::config::{SaslMechanism, Secret};
use millstream_kafka_wire::ErrorCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Shared;
use super::error::{UiError, UiResult};

/// What `millstream user set` takes, too.
const ITERATIONS: i32 = 8_192;

/// An ACL in Kafka's words.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acl {
    resource: String,
    name: String,
    pattern: String,
    principal: String,
    host: String,
    operation: String,
    permission: String,
}

impl From<&AclBinding> for Acl {
    fn from(binding: &AclBinding) -> Self {
        Self {
            resource: binding.resource.name().to_owned(),
            name: binding.name.clone(),
            pattern: binding.pattern.name().to_owned(),
            principal: binding.principal.clone(),
            host: binding.host.clone(),
            operation: binding.operation.name().to_owned(),
            permission: binding.permission.name().to_owned(),
        }
    }
}

impl Acl {
    fn binding(self) -> UiResult<AclBinding> {
        let unknown = |what: &str, word: &str| UiError::input(format!("'{word}' is not {what} of an ACL"));
        Ok(AclBinding {
            resource: AclResource::parse(&self.resource)
                .ok_or_else(|| unknown("a resource", &self.resource))?,
            pattern: AclPattern::parse(&self.pattern).ok_or_else(|| unknown("a pattern", &self.pattern))?,
            operation: AclOperation::parse(&self.operation)
                .ok_or_else(|| unknown("an operation", &self.operation))?,
            permission: AclPermission::parse(&self.permission)
                .ok_or_else(|| unknown("a permission", &self.permission))?,
            name: self.name,
            principal: self.principal,
            host: self.host,
        })
    }
}

pub async fn list_acls(State(ui): Shared) -> UiResult<Json<Value>> {
    let client = ui.kafka.client().await?;
    match client.describe_acls(&AclFilter::default()).await {
        Ok(bindings) => {
            let acls: Vec<Acl> = bindings.iter().map(Acl::from).collect();
            Ok(Json(json!({ "acls": acls, "enabled": true })))
        }
        Err(error) if error.code() == Some(ErrorCode::SECURITY_DISABLED) => {
            Ok(Json(json!({ "acls": [], "enabled": false })))
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn create_acl(
    State(ui): Shared,
    body: Result<Json<Acl>, JsonRejection>,
) -> UiResult<(StatusCode, Json<Value>)> {
    let Json(acl) = body?;
    let binding = acl.binding()?;
    ui.kafka
        .client()
        .await?
        .create_acls(std::slice::from_ref(&binding))
        .await?;
    tracing::info!(
        principal = binding.principal,
        resource = binding.name,
        "ACL created from the Web UI"
    );
    Ok((StatusCode::CREATED, Json(json!({}))))
}

pub async fn delete_acl(State(ui): Shared, body: Result<Json<Acl>, JsonRejection>) -> UiResult<Json<Value>> {
    let Json(acl) = body?;
    let binding = acl.binding()?;
    let filter = AclFilter::exactly(&binding);
    let deleted = ui.kafka.client().await?.delete_acls(&[filter]).await?;
    if deleted.is_empty() {
        return Err(UiError::not_found("there is no such ACL"));
    }
    tracing::info!(
        principal = binding.principal,
        resource = binding.name,
        "ACL deleted from the Web UI"
    );
    Ok(Json(json!({ "deleted": deleted.len() })))
}

pub async fn list_users(State(ui): Shared) -> UiResult<Json<Value>> {
    let credentials = ui.kafka.client().await?.describe_scram_credentials(None).await?;
    let mut users: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for credential in &credentials {
        let mechanism = json!({ "mechanism": credential.mechanism, "iterations": credential.iterations });
        users.entry(&credential.user).or_default().push(mechanism);
    }
    let row = |(user, mechanisms)| json!({ "user": user, "mechanisms": mechanisms });
    Ok(Json(
        json!({ "users": users.into_iter().map(row).collect::<Vec<_>>() }),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    mechanism: String,
    password: String,
}

fn mechanism(name: &str) -> UiResult<SaslMechanism> {
    [SaslMechanism::ScramSha256, SaslMechanism::ScramSha512]
        .into_iter()
        .find(|mechanism| mechanism.name() == name)
        .ok_or_else(|| {
            UiError::input(format!(
                "'{name}' keeps no passwords; use SCRAM-SHA-256 or SCRAM-SHA-512"
            ))
        })
}

pub async fn set_user(
    State(ui): Shared,
    user: Result<Path<String>, PathRejection>,
    body: Result<Json<Credential>, JsonRejection>,
) -> UiResult<Json<Value>> {
    let (Path(user), Json(wanted)) = (user?, body?);
    let mechanism = mechanism(&wanted.mechanism)?;
    if wanted.password.is_empty() {
        return Err(UiError::input("the password is empty"));
    }
    let words = [ui.server.random(), ui.server.random(), ui.server.random()].map(u64::to_be_bytes);
    let salt = scram_salt(std::array::from_fn(|at| words.as_flattened()[at]));
    let password = Secret::new(wanted.password);
    let client = ui.kafka.client().await?;
    client
        .set_scram_credential(&user, mechanism, ITERATIONS, &salt, &password)
        .await?;
    tracing::info!(user, mechanism = mechanism.name(), "password set from the Web UI");
    Ok(Json(json!({})))
}

pub async fn delete_user(
    State(ui): Shared,
    user: Result<Path<String>, PathRejection>,
) -> UiResult<Json<Value>> {
    let Path(user) = user?;
    let client = ui.kafka.client().await?;
    let credentials = client.describe_scram_credentials(None).await?;
    let own: Vec<_> = credentials
        .iter()
        .filter(|credential| credential.user == user)
        .collect();
    if own.is_empty() {
        return Err(UiError::not_found(format!("user '{user}' does not exist")));
    }
    for credential in own {
        client
            .delete_scram_credential(&user, mechanism(credential.mechanism)?)
            .await?;
    }
    tracing::info!(user, "user deleted from the Web UI");
    Ok(Json(json!({})))
}
