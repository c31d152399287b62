//! Access control lists: who may do what with which resources, by Kafka's rules.
//!
//! A denial that matches wins over every permission. Patterns are literal (with `*` for all) or prefixes. Reading,
//! writing, deleting and altering imply describing; altering configurations implies describing them.

use bytes::Bytes;
use millstream_kafka_wire::{DecodeError, ErrorCode, KafkaString, Reader, Writer};
use std::collections::BTreeSet;

/// "Any" in filters, of every kind of code.
pub(crate) const ANY: i8 = 1;
const ALL: i8 = 2;
/// In filters of patterns: all that would apply to a resource of this name.
const MATCH: i8 = 2;
pub(crate) const LITERAL: i8 = 3;
pub(crate) const PREFIXED: i8 = 4;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

/// What somebody does, with Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
}

/// What something is done to, with Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum ResourceKind {
    Topic = 2,
    Group = 3,
    Cluster = 4,
    TransactionalId = 5,
}

/// The name of the one cluster.
pub(crate) const CLUSTER_NAME: &str = "kafka-cluster";

impl ResourceKind {
    pub fn denial(self) -> ErrorCode {
        match self {
            ResourceKind::Topic => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            ResourceKind::Group => ErrorCode::GROUP_AUTHORIZATION_FAILED,
            ResourceKind::Cluster => ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ResourceKind::TransactionalId => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        }
    }

    /// What can be done to it at all.
    pub fn operations(self) -> &'static [Operation] {
        use Operation::*;
        match self {
            ResourceKind::Topic => &[
                Read,
                Write,
                Create,
                Delete,
                Alter,
                Describe,
                DescribeConfigs,
                AlterConfigs,
            ],
            ResourceKind::Group => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
            ResourceKind::Cluster => &[
                Create,
                Alter,
                Describe,
                ClusterAction,
                DescribeConfigs,
                AlterConfigs,
                IdempotentWrite,
            ],
            ResourceKind::TransactionalId => &[Write, Describe],
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Acl {
    pub resource_type: i8,
    pub resource_name: KafkaString,
    pub pattern_type: i8,
    pub principal: KafkaString,
    pub host: KafkaString,
    pub operation: i8,
    pub permission: i8,
}

impl Acl {
    /// What is wrong with a rule that somebody wants to add.
    pub fn check(&self) -> Result<(), &'static str> {
        if !(2..=7).contains(&self.resource_type) {
            return Err("Invalid resource type");
        }
        if !matches!(self.pattern_type, LITERAL | PREFIXED) {
            return Err("Invalid pattern type");
        }
        if !(2..=15).contains(&self.operation) || !matches!(self.permission, DENY | ALLOW) {
            return Err("Invalid operation or permission type");
        }
        if self.resource_name.is_empty() {
            return Err("Resource name should not be empty");
        }
        let is_other_cluster =
            self.resource_type == ResourceKind::Cluster as i8 && self.resource_name != *CLUSTER_NAME;
        if is_other_cluster {
            return Err("The only valid name for the CLUSTER resource is kafka-cluster");
        }
        if !self.principal.contains(':') {
            return Err("Could not parse principal: it must be like User:name");
        }
        Ok(())
    }

    pub fn encode(&self) -> Bytes {
        let mut w = Writer::new();
        w.i8(self.resource_type);
        w.i8(self.pattern_type);
        w.i8(self.operation);
        w.i8(self.permission);
        for text in [&self.resource_name, &self.principal, &self.host] {
            // Strings came over the wire and are far below the limit of their encoding.
            let _ = w.string(text, true);
        }
        w.into_bytes()
    }

    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let (resource_type, pattern_type, operation, permission) = (r.i8()?, r.i8()?, r.i8()?, r.i8()?);
        Ok(Acl {
            resource_type,
            pattern_type,
            operation,
            permission,
            resource_name: r.string(true)?.detached(),
            principal: r.string(true)?.detached(),
            host: r.string(true)?.detached(),
        })
    }

    fn covers(&self, name: &str) -> bool {
        match self.pattern_type {
            PREFIXED => name.starts_with(self.resource_name.as_str()),
            _ => self.resource_name == *"*" || self.resource_name == *name,
        }
    }

    fn concerns(&self, principal: &str, host: &str) -> bool {
        let is_principal = self.principal == *"User:*" || self.principal == *principal;
        is_principal && (self.host == *"*" || self.host == *host)
    }

    fn permits(&self, operation: Operation) -> bool {
        use Operation::*;
        let implying: &[Operation] = match operation {
            Describe => &[Read, Write, Delete, Alter],
            DescribeConfigs => &[AlterConfigs],
            _ => &[],
        };
        self.operation == ALL
            || self.operation == operation as i8
            || implying.iter().any(|other| self.operation == *other as i8)
    }
}

/// Which rules are meant.
#[derive(Debug, Clone)]
pub(crate) struct AclFilter {
    pub resource_type: i8,
    pub resource_name: Option<KafkaString>,
    pub pattern_type: i8,
    pub principal: Option<KafkaString>,
    pub host: Option<KafkaString>,
    pub operation: i8,
    pub permission: i8,
}

impl AclFilter {
    fn matches(&self, acl: &Acl) -> bool {
        let is = |wanted: i8, found: i8| wanted == ANY || wanted == found;
        let same = |wanted: &Option<KafkaString>, found: &KafkaString| {
            wanted.as_ref().is_none_or(|name| name == found)
        };
        let by_name = match self.pattern_type {
            MATCH => self.resource_name.as_ref().is_none_or(|name| acl.covers(name)),
            pattern => is(pattern, acl.pattern_type) && same(&self.resource_name, &acl.resource_name),
        };
        by_name
            && is(self.resource_type, acl.resource_type)
            && same(&self.principal, &acl.principal)
            && same(&self.host, &acl.host)
            && is(self.operation, acl.operation)
            && is(self.permission, acl.permission)
    }
}

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct Acls {
    acls: BTreeSet<Acl>,
}

impl Acls {
    pub fn set(&mut self, acl: Acl, is_there: bool) {
        if is_there {
            self.acls.insert(acl);
        } else {
            self.acls.remove(&acl);
        }
    }

    pub fn matching(&self, filter: &AclFilter) -> Vec<Acl> {
        self.acls
            .iter()
            .filter(|acl| filter.matches(acl))
            .cloned()
            .collect()
    }

    /// Whether somebody may do this. `by_default` decides where no rule speaks of the resource.
    pub fn allows(
        &self,
        principal: &str,
        host: &str,
        operation: Operation,
        (kind, name): (ResourceKind, &str),
        by_default: bool,
    ) -> bool {
        let of_resource = |acl: &&Acl| acl.resource_type == kind as i8 && acl.covers(name);
        let mut is_spoken_of = false;
        let mut is_allowed = false;
        for acl in self.acls.iter().filter(of_resource) {
            is_spoken_of = true;
            if !acl.concerns(principal, host) {
                continue;
            }
            let is_denied =
                acl.permission == DENY && (acl.operation == ALL || acl.operation == operation as i8);
            if is_denied {
                return false;
            }
            is_allowed |= acl.permission == ALLOW && acl.permits(operation);
        }
        is_allowed || !is_spoken_of && by_default
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(name: &str, pattern: i8, principal: &str, operation: i8, permission: i8) -> Acl {
        Acl {
            resource_type: ResourceKind::Topic as i8,
            resource_name: name.into(),
            pattern_type: pattern,
            principal: principal.into(),
            host: "*".into(),
            operation,
            permission,
        }
    }

    #[test]
    fn denials_win_prefixes_cover_and_reading_implies_describing() {
        let mut acls = Acls::default();
        acls.set(
            acl("logs-", PREFIXED, "User:a", Operation::Read as i8, ALLOW),
            true,
        );
        acls.set(acl("*", LITERAL, "User:b", ALL, ALLOW), true);
        acls.set(
            acl("logs-secret", LITERAL, "User:*", Operation::Read as i8, DENY),
            true,
        );
        let may = |principal: &str, operation, name: &str| {
            acls.allows(
                principal,
                "127.0.0.1",
                operation,
                (ResourceKind::Topic, name),
                false,
            )
        };
        for (principal, operation, name, expected) in [
            ("User:a", Operation::Read, "logs-x", true),
            ("User:a", Operation::Describe, "logs-x", true),
            ("User:a", Operation::Write, "logs-x", false),
            ("User:a", Operation::Read, "other", false),
            ("User:a", Operation::Read, "logs-secret", false),
            ("User:b", Operation::Delete, "other", true),
            ("User:b", Operation::Read, "logs-secret", false),
            ("User:c", Operation::Read, "logs-x", false),
        ] {
            assert_eq!(
                may(principal, operation, name),
                expected,
                "{principal} {operation:?} {name}"
            );
        }
        assert!(Acls::default().allows("User:c", "h", Operation::Read, (ResourceKind::Topic, "t"), true));
    }

    #[test]
    fn a_rule_reads_back() {
        let rule = acl("t", LITERAL, "User:a", 3, 3);
        assert_eq!(Acl::decode(rule.encode()).unwrap(), rule);
    }
}
