//! What the administration keeps: ACLs, SCRAM credentials, client quotas. Each is a table of rows in the log.

pub(crate) mod acls;
pub(crate) mod quotas;
mod scram;

pub use scram::{ScramCredential, ScramMechanism};

use crate::broker::Broker;
use crate::change::Change;
use acls::{Acl, Acls};
use bytes::Bytes;
use millstream_kafka_wire::{ErrorCode, KafkaString};
use quotas::Quotas;
use std::collections::BTreeMap;

pub(crate) use acls::{Operation, ResourceKind};

/// "Not asked for" in fields of authorized operations.
pub(crate) const OPERATIONS_NOT_ASKED: i32 = i32::MIN;
const ACLS: u8 = 1;
const SCRAM: u8 = 2;
const QUOTAS: u8 = 3;

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Security {
    pub acls: Acls,
    pub quotas: Quotas,
    scram: BTreeMap<(KafkaString, ScramMechanism), ScramCredential>,
    rows: BTreeMap<(u8, Bytes), Bytes>,
}

impl Security {
    pub fn apply(&mut self, table: u8, key: &Bytes, value: Option<&Bytes>) {
        match value {
            Some(value) => _ = self.rows.insert((table, key.clone()), value.clone()),
            None => _ = self.rows.remove(&(table, key.clone())),
        }
        match table {
            ACLS => {
                if let Ok(acl) = Acl::decode(key.clone()) {
                    self.acls.set(acl, value.is_some());
                }
            }
            SCRAM => {
                if let Ok(key) = scram::decode_key(key.clone()) {
                    match value.and_then(|value| ScramCredential::decode(value.clone()).ok()) {
                        Some(credential) => _ = self.scram.insert(key, credential),
                        None => _ = self.scram.remove(&key),
                    }
                }
            }
            QUOTAS => self.quotas.apply(key, value),
            _ => {}
        }
    }

    pub fn snapshot(&self) -> impl Iterator<Item = Change> {
        let row = |((table, key), value): (&(u8, Bytes), &Bytes)| Change::Row {
            table: *table,
            key: key.clone(),
            value: Some(value.clone()),
        };
        self.rows.iter().map(row)
    }

    pub fn scram(&self) -> &BTreeMap<(KafkaString, ScramMechanism), ScramCredential> {
        &self.scram
    }
}

pub(crate) fn acl_row(acl: &Acl, is_there: bool) -> Change {
    Change::Row {
        table: ACLS,
        key: acl.encode(),
        value: is_there.then(Bytes::new),
    }
}

pub(crate) fn scram_row(
    user: &KafkaString,
    mechanism: ScramMechanism,
    credential: Option<&ScramCredential>,
) -> Change {
    let key = scram::encode_key(user, mechanism);
    Change::Row {
        table: SCRAM,
        key,
        value: credential.map(ScramCredential::encode),
    }
}

pub(crate) fn quota_row(key: Bytes, value: Option<Bytes>) -> Change {
    Change::Row {
        table: QUOTAS,
        key,
        value,
    }
}

impl Broker {
    /// The credential that a user may authenticate with.
    pub fn scram_credential(&self, user: &str, mechanism: ScramMechanism) -> Option<ScramCredential> {
        self.security.scram.get(&(user.into(), mechanism)).cloned()
    }

    /// Whether ACLs are in force: `authorizer.class.name` is set, whatever class it names.
    pub(crate) fn has_authorizer(&self) -> bool {
        self.configs
            .text("authorizer.class.name")
            .is_some_and(|name| !name.is_empty())
    }

    /// Whether the caller of the request that is being handled may do this.
    pub(crate) fn access(
        &self,
        operation: Operation,
        kind: ResourceKind,
        name: &str,
    ) -> Result<(), ErrorCode> {
        if self.allows(operation, kind, name) {
            return Ok(());
        }
        if let Some(caller) = &self.caller {
            let host = caller.client_host.as_str();
            tracing::info!(principal = %caller.principal, host, ?operation, ?kind, name, "access denied");
        }
        Err(kind.denial())
    }

    /// The operations that the caller may do on something, as bits; "not asked" if it did not ask.
    pub(crate) fn authorized_operations(&self, is_asked: bool, kind: ResourceKind, name: &str) -> i32 {
        if !is_asked {
            return OPERATIONS_NOT_ASKED;
        }
        let allowed = kind
            .operations()
            .iter()
            .filter(|operation| self.allows(**operation, kind, name));
        allowed.fold(0, |bits, operation| bits | 1 << *operation as i8)
    }

    fn allows(&self, operation: Operation, kind: ResourceKind, name: &str) -> bool {
        let Some(caller) = &self.caller else {
            return true; // no authorizer, or a caller in the process
        };
        let super_users = self.configs.text("super.users").unwrap_or_default();
        let is_super = super_users
            .split(';')
            .any(|user| user.trim() == caller.principal.as_str());
        let host = caller.client_host.trim_start_matches('/');
        let by_default = self.configs.flag("allow.everyone.if.no.acl.found");
        is_super
            || self
                .security
                .acls
                .allows(&caller.principal, host, operation, (kind, name), by_default)
    }
}
