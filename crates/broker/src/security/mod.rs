//! Administrative state: ACLs, SCRAM credentials, client quotas. Each is a table of rows in the log.

pub(crate) mod access;
pub(crate) mod acls;
pub(crate) mod quotas;
mod scram;

pub use scram::{ScramCredential, ScramMechanism};

use crate::broker::Broker;
use crate::change::Change;
use acls::{Acl, Acls};
use bytes::Bytes;
use millstream_kafka_wire::{DecodeError, KafkaString};
use quotas::Quotas;
use std::collections::BTreeMap;

pub(crate) use access::{AccessPolicy, Caller, OPERATIONS_NOT_ASKED};
pub(crate) use acls::{Operation, ResourceKind};

const ACLS: u8 = 1;
const SCRAM: u8 = 2;
pub(crate) const QUOTAS: u8 = 3;

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Security {
    pub acls: Acls,
    pub quotas: Quotas,
    scram: BTreeMap<(KafkaString, ScramMechanism), ScramCredential>,
    rows: BTreeMap<(u8, Bytes), Bytes>,
}

/// Reports a row that another version must have written, since the checksum of its record held.
fn unreadable(what: &str, error: &DecodeError) {
    tracing::error!(%error, "a stored {what} is unreadable and has no effect");
}

impl Security {
    pub fn apply(&mut self, table: u8, key: &Bytes, value: Option<&Bytes>) {
        match value {
            Some(value) => _ = self.rows.insert((table, key.clone()), value.clone()),
            None => _ = self.rows.remove(&(table, key.clone())),
        }
        match table {
            ACLS => match Acl::decode(key.clone()) {
                Ok(acl) => self.acls.set(acl, value.is_some()),
                Err(error) => unreadable("ACL", &error),
            },
            SCRAM => match scram::decode_key(key.clone()) {
                Ok(key) => self.apply_scram(key, value),
                Err(error) => unreadable("SCRAM credential", &error),
            },
            QUOTAS => self.quotas.apply(key, value),
            _ => {}
        }
    }

    fn apply_scram(&mut self, key: (KafkaString, ScramMechanism), value: Option<&Bytes>) {
        match value.map(|value| ScramCredential::decode(value.clone())) {
            Some(Ok(credential)) => _ = self.scram.insert(key, credential),
            Some(Err(error)) => {
                // A password that may have been changed must not go on working.
                self.scram.remove(&key);
                unreadable("SCRAM credential", &error);
            }
            None => _ = self.scram.remove(&key),
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

/// A row that is set or removed, in words and without secrets; `None` if it cannot be read.
fn describe_row(table: u8, key: &Bytes, value: Option<&Bytes>) -> Option<String> {
    let verb = if value.is_some() { "set" } else { "removed" };
    Some(match table {
        ACLS => format!("ACL {verb}: {}", Acl::decode(key.clone()).ok()?),
        SCRAM => {
            let (user, mechanism) = scram::decode_key(key.clone()).ok()?;
            format!("SCRAM credential of '{user}' for {mechanism:?} {verb}")
        }
        QUOTAS => format!("client quota {verb}: {}", quotas::describe(key, value)?),
        _ => return None,
    })
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
}
