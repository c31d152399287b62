//! Authorisation: the caller of the request being handled, the decision, and the audit log.
//!
//! Denials and administrative changes are logged under the target `audit`, with principal, address and request: one
//! line for each change, and one for each operation on a resource that a request was denied, however many partitions or
//! keys it named. Checks that only filter a list are not logged. Names chosen by clients are quoted, so that they
//! cannot forge a line.

use super::acls::{Acls, CLUSTER_NAME, Host, Operation, ResourceKind};
use crate::broker::Broker;
use crate::change::Change;
use crate::config::{self, ConfigType, Configs, ResourceType};
use crate::context::RequestContext;
use crate::topics::Topic;
use millstream_kafka_wire::{ApiKey, ErrorCode, KafkaString, Uuid};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// "Not requested" in fields of authorized operations.
pub(crate) const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

/// The sender of the request being handled.
#[derive(Debug)]
pub(crate) struct Caller {
    pub context: RequestContext,
    pub api: ApiKey,
    /// Denials of this request so far, to log each once.
    denied: RefCell<BTreeSet<(Operation, ResourceKind, String)>>,
}

impl Caller {
    pub fn new(context: RequestContext, api: ApiKey) -> Self {
        Caller {
            context,
            api,
            denied: RefCell::default(),
        }
    }

    /// The address that the client has, as ACLs and operators name it.
    fn host(&self) -> &str {
        self.context.client_host.trim_start_matches('/')
    }
}

/// The configurations that decide about access.
#[derive(Debug, Default)]
pub(crate) struct AccessPolicy {
    /// Whether `authorizer.class.name` is set, whichever class it names.
    pub has_authorizer: bool,
    /// `super.users`
    super_users: Vec<String>,
    /// `allow.everyone.if.no.acl.found`
    allows_everyone: bool,
}

impl AccessPolicy {
    pub fn new(configs: &Configs) -> Self {
        let text = |name: &str| configs.text(name).unwrap_or_default();
        let super_users = text("super.users");
        let super_users = super_users
            .split(';')
            .map(str::trim)
            .filter(|user| !user.is_empty());
        AccessPolicy {
            has_authorizer: !text("authorizer.class.name").is_empty(),
            super_users: super_users.map(str::to_owned).collect(),
            allows_everyone: configs.flag("allow.everyone.if.no.acl.found"),
        }
    }

    /// Whether a remote principal is subject to ACLs.
    pub fn restrains(&self, principal: &str) -> bool {
        self.has_authorizer && !self.super_users.iter().any(|user| user == principal)
    }

    /// Whether the ACLs allow this to a principal that is subject to them.
    pub fn allows(
        &self,
        acls: &Acls,
        (principal, host): (&str, &str),
        operation: Operation,
        resource: (ResourceKind, &str),
    ) -> bool {
        let host = Host::new(host.trim_start_matches('/'));
        acls.allows(principal, host, operation, resource, self.allows_everyone)
    }
}

impl Broker {
    /// Whether ACLs are in force.
    pub(crate) fn has_authorizer(&self) -> bool {
        self.policy.has_authorizer
    }

    /// The caller, if it is subject to ACLs.
    fn subject(&self) -> Option<&Caller> {
        let caller = self.caller.as_ref()?;
        let is_restrained = || self.policy.restrains(&caller.context.principal);
        (!caller.context.is_internal && is_restrained()).then_some(caller)
    }

    /// Whether the caller may do this; nothing is logged.
    pub(crate) fn may(&self, operation: Operation, kind: ResourceKind, name: &str) -> bool {
        let Some(caller) = self.subject() else {
            return true;
        };
        let (principal, host) = (&caller.context.principal, Host::new(caller.host()));
        let by_default = self.policy.allows_everyone;
        self.security
            .acls
            .allows(principal, host, operation, (kind, name), by_default)
    }

    /// Whether the caller may do this to any resource of a kind.
    pub(crate) fn may_to_any(&self, operation: Operation, kind: ResourceKind) -> bool {
        let Some(caller) = self.subject() else {
            return true;
        };
        let (principal, host) = (&caller.context.principal, Host::new(caller.host()));
        self.policy.allows_everyone || self.security.acls.allows_any(principal, host, operation, kind)
    }

    /// Whether the caller may do this. A denial is logged, once for a request.
    pub(crate) fn access(
        &self,
        operation: Operation,
        kind: ResourceKind,
        name: &str,
    ) -> Result<(), ErrorCode> {
        if self.may(operation, kind, name) {
            return Ok(());
        }
        if let Some(caller) = &self.caller
            && caller
                .denied
                .borrow_mut()
                .insert((operation, kind, name.to_owned()))
        {
            tracing::info!(
                target: "audit",
                principal = caller.context.principal.as_str(),
                host = caller.host(),
                client_id = caller.context.client_id.as_str(),
                request = ?caller.api,
                ?operation,
                resource = ?kind,
                name,
                "denied"
            );
        }
        Err(kind.denial())
    }

    /// The same for the cluster as a whole.
    pub(crate) fn cluster_access(&self, operation: Operation) -> Result<(), ErrorCode> {
        self.access(operation, ResourceKind::Cluster, CLUSTER_NAME)
    }

    /// A topic by id or by name, if the caller may do this to it. Without DESCRIBE, a missing topic and a forbidden one
    /// look alike.
    pub(crate) fn accessible_topic(
        &self,
        operation: Operation,
        id: Uuid,
        name: &KafkaString,
    ) -> Result<&Topic, ErrorCode> {
        if id.is_zero() {
            self.access(operation, ResourceKind::Topic, name)?;
        }
        let topic = self.topics.find(id, name)?;
        if !id.is_zero() {
            self.access(operation, ResourceKind::Topic, &topic.name)?;
        }
        Ok(topic)
    }

    /// The caller's operations on a resource as bits; [`OPERATIONS_NOT_ASKED`] unless requested.
    pub(crate) fn authorized_operations(&self, is_asked: bool, kind: ResourceKind, name: &str) -> i32 {
        if !is_asked {
            return OPERATIONS_NOT_ASKED;
        }
        let allowed = kind
            .operations()
            .iter()
            .filter(|operation| self.may(**operation, kind, name));
        allowed.fold(0, |bits, operation| bits | 1 << *operation as i32)
    }

    /// Logs an administrative change with its author.
    pub(crate) fn audit(&self, change: &str) {
        match &self.caller {
            Some(caller) => tracing::info!(
                target: "audit",
                principal = caller.context.principal.as_str(),
                host = caller.host(),
                client_id = caller.context.client_id.as_str(),
                request = ?caller.api,
                change,
                "changed"
            ),
            None => tracing::debug!(target: "audit", change, "changed"),
        }
    }

    /// Says it of changes that are administrative.
    pub(crate) fn audit_changes(&self, changes: &[Change]) {
        for change in changes {
            if let Some(text) = self.describe_change(change) {
                self.audit(&text);
            }
        }
    }

    /// Describes a change before it is applied; `None` for everyday changes of clients.
    fn describe_change(&self, change: &Change) -> Option<String> {
        Some(match change {
            Change::Topic {
                id,
                name,
                partitions,
                configs,
            } => match self.topics.by_id(*id) {
                None => format!("topic '{name}' created with {} partitions", partitions.len()),
                Some(before) if before.partitions.len() < partitions.len() => {
                    format!("topic '{name}' has {} partitions", partitions.len())
                }
                Some(before) => {
                    let changed = differences(ResourceType::Topic, &before.configs, configs);
                    format!("configs of topic '{name}': {changed}")
                }
            },
            Change::TopicDeleted { id } => {
                let name = self.topics.by_id(*id).map_or("", |topic| topic.name.as_str());
                format!("topic '{name}' deleted")
            }
            Change::Configs { kind, name, configs } => {
                let changed = differences(*kind, &self.configs.of(*kind, name), configs);
                format!("configs of {kind:?} '{name}': {changed}")
            }
            Change::GroupDeleted { group } => format!("group '{group}' deleted"),
            Change::OffsetsDeleted { group, partitions } => {
                format!(
                    "offsets of group '{group}' deleted for {} partitions",
                    partitions.len()
                )
            }
            Change::Row { table, key, value } => super::describe_row(*table, key, value.as_ref())?,
            _ => return None,
        })
    }
}

/// The altered and removed configurations, without secrets.
fn differences(
    kind: ResourceType,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> String {
    let shown = |name: &str, value: &String| {
        let decl = config::declaration(kind, name).or_else(|| config::dynamic_only(name));
        let is_secret = decl.is_none_or(|decl| decl.config_type == ConfigType::Password);
        let value = if is_secret { "[hidden]" } else { value };
        format!("{name}={value}")
    };
    let set = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value));
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let parts = set
        .map(|(name, value)| shown(name, value))
        .chain(removed.map(|name| format!("{name} removed")));
    parts.collect::<Vec<_>>().join(", ")
}
