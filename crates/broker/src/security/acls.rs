//! Access control lists by Kafka's rules.
//!
//! A matching denial overrides every permission. Patterns are literal (with `*` for all) or prefixes. Reading, writing,
//! deleting and altering imply describing; altering configurations implies describing them.

use bytes::Bytes;
use millstream_kafka_wire::{DecodeError, ErrorCode, KafkaString, Reader, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// "Any" in filters, of every kind of code.
pub(crate) const ANY: i8 = 1;
const ALL: i8 = 2;
/// In filters of patterns: all that would apply to a resource of this name.
const MATCH: i8 = 2;
pub(crate) const LITERAL: i8 = 3;
pub(crate) const PREFIXED: i8 = 4;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

/// Operations, with Kafka's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    TwoPhaseCommit = 15,
}

/// Kinds of resources, with Kafka's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

    /// The operations that apply to this kind of resource.
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
            ResourceKind::TransactionalId => &[Write, Describe, TwoPhaseCommit],
        }
    }
}

/// The address of a client. Rules may write addresses in any form, for example Java's `2001:db8:0:0:0:0:0:1`, so
/// addresses are compared parsed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host<'a> {
    text: &'a str,
    address: Option<IpAddr>,
}

impl<'a> Host<'a> {
    pub fn new(text: &'a str) -> Self {
        Host {
            text,
            address: address(text),
        }
    }

    fn is(self, named: &str) -> bool {
        self.text == named || self.address.is_some() && self.address == address(named)
    }
}

/// Parses an address; IPv4-mapped IPv6 addresses become IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
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

/// Why a rule cannot be added, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AclError {
    #[error("Invalid empty resource name")]
    EmptyName,
    #[error("Invalid resourceType UNKNOWN")]
    ResourceType,
    #[error("Invalid patternType UNKNOWN")]
    PatternType,
    #[error("Invalid operation UNKNOWN")]
    Operation,
    #[error("Invalid permissionType UNKNOWN")]
    PermissionType,
    #[error("The only valid name for the CLUSTER resource is kafka-cluster")]
    ClusterName,
    #[error(
        "Could not parse principal from `{0}` (no colon is present separating the principal type from the principal name)"
    )]
    Principal(String),
}

impl Acl {
    /// Validates a rule before it is added.
    pub fn check(&self) -> Result<(), AclError> {
        if self.resource_name.is_empty() {
            return Err(AclError::EmptyName);
        }
        if !(2..=7).contains(&self.resource_type) {
            return Err(AclError::ResourceType);
        }
        if !matches!(self.pattern_type, LITERAL | PREFIXED) {
            return Err(AclError::PatternType);
        }
        if !(2..=15).contains(&self.operation) {
            return Err(AclError::Operation);
        }
        if !matches!(self.permission, DENY | ALLOW) {
            return Err(AclError::PermissionType);
        }
        let is_other_cluster =
            self.resource_type == ResourceKind::Cluster as i8 && self.resource_name != *CLUSTER_NAME;
        if is_other_cluster {
            return Err(AclError::ClusterName);
        }
        if !self.principal.contains(':') {
            return Err(AclError::Principal(self.principal.to_string()));
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
            // Strings arrived over the wire and are far below the limit of their encoding.
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

    fn concerns(&self, principal: &str, host: Host<'_>) -> bool {
        let is_principal = self.principal == *"User:*" || self.principal == *principal;
        is_principal && (self.host == *"*" || host.is(&self.host))
    }

    fn denies(&self, operation: Operation) -> bool {
        self.permission == DENY && (self.operation == ALL || self.operation == operation as i8)
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

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RESOURCES: [&str; 6] = [
            "TOPIC",
            "GROUP",
            "CLUSTER",
            "TRANSACTIONAL_ID",
            "DELEGATION_TOKEN",
            "USER",
        ];
        const OPERATIONS: [&str; 14] = [
            "ALL",
            "READ",
            "WRITE",
            "CREATE",
            "DELETE",
            "ALTER",
            "DESCRIBE",
            "CLUSTER_ACTION",
            "DESCRIBE_CONFIGS",
            "ALTER_CONFIGS",
            "IDEMPOTENT_WRITE",
            "CREATE_TOKENS",
            "DESCRIBE_TOKENS",
            "TWO_PHASE_COMMIT",
        ];
        let word = |words: &'static [&'static str], code: i8| {
            let index = usize::try_from(i32::from(code) - 2).unwrap_or(usize::MAX);
            words.get(index).copied().unwrap_or("UNKNOWN")
        };
        let permission = if self.permission == DENY { "DENY" } else { "ALLOW" };
        let pattern = if self.pattern_type == PREFIXED {
            "PREFIXED"
        } else {
            "LITERAL"
        };
        let (operation, resource) = (
            word(&OPERATIONS, self.operation),
            word(&RESOURCES, self.resource_type),
        );
        let (principal, host, name) = (&self.principal, &self.host, &self.resource_name);
        write!(
            f,
            "{permission} {operation} on {resource}:{pattern}:{name} for {principal} from {host}"
        )
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

/// All rules, by the kind of resource and of pattern, and by the pattern's name.
#[derive(Debug, Default)]
pub(crate) struct Acls {
    by_pattern: BTreeMap<(i8, i8), BTreeMap<KafkaString, BTreeSet<Acl>>>,
}

impl Acls {
    pub fn set(&mut self, acl: Acl, is_there: bool) {
        let by_name = self
            .by_pattern
            .entry((acl.resource_type, acl.pattern_type))
            .or_default();
        if is_there {
            by_name.entry(acl.resource_name.clone()).or_default().insert(acl);
            return;
        }
        if let Some(rules) = by_name.get_mut(&acl.resource_name) {
            rules.remove(&acl);
            if rules.is_empty() {
                by_name.remove(&acl.resource_name);
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Acl> {
        self.by_pattern.values().flat_map(BTreeMap::values).flatten()
    }

    pub fn matching(&self, filter: &AclFilter) -> Vec<Acl> {
        self.iter().filter(|acl| filter.matches(acl)).cloned().collect()
    }

    /// The rules that speak of a resource.
    fn of_resource<'a>(&'a self, kind: ResourceKind, name: &'a str) -> impl Iterator<Item = &'a Acl> {
        let literal = self.by_pattern.get(&(kind as i8, LITERAL));
        let exact = literal.and_then(|by_name| by_name.get(name));
        let wildcard = literal
            .and_then(|by_name| by_name.get("*"))
            .filter(|_| name != "*");
        let prefixed = self
            .by_pattern
            .get(&(kind as i8, PREFIXED))
            .filter(|by_name| !by_name.is_empty());
        let prefixes = prefixed.into_iter().flat_map(move |by_name| {
            let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
            ends.filter_map(|end| by_name.get(&name[..end]))
        });
        exact.into_iter().chain(wildcard).chain(prefixes).flatten()
    }

    /// Whether a principal may do this. `by_default` applies to resources without any rule.
    pub fn allows(
        &self,
        principal: &str,
        host: Host<'_>,
        operation: Operation,
        (kind, name): (ResourceKind, &str),
        by_default: bool,
    ) -> bool {
        let mut is_spoken_of = false;
        let mut is_allowed = false;
        for acl in self.of_resource(kind, name) {
            is_spoken_of = true;
            if !acl.concerns(principal, host) {
                continue;
            }
            if acl.denies(operation) {
                return false;
            }
            is_allowed |= acl.permission == ALLOW && acl.permits(operation);
        }
        is_allowed || !is_spoken_of && by_default
    }

    /// Whether a principal may do this to any resource of a kind: some permission is not fully covered by denials.
    pub fn allows_any(
        &self,
        principal: &str,
        host: Host<'_>,
        operation: Operation,
        kind: ResourceKind,
    ) -> bool {
        let own = || {
            let of_kind = self.iter().filter(|acl| acl.resource_type == kind as i8);
            of_kind.filter(|acl| acl.concerns(principal, host))
        };
        let covers = |denial: &Acl, acl: &Acl| match (denial.pattern_type, acl.pattern_type) {
            (PREFIXED, _) => acl.resource_name.starts_with(denial.resource_name.as_str()),
            (_, LITERAL) => denial.resource_name == *"*" || denial.resource_name == acl.resource_name,
            _ => denial.resource_name == *"*",
        };
        let permissions = own().filter(|acl| acl.permission == ALLOW && acl.permits(operation));
        let mut open =
            permissions.filter(|acl| !own().any(|other| other.denies(operation) && covers(other, acl)));
        open.next().is_some()
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
                Host::new("127.0.0.1"),
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
        assert!(Acls::default().allows(
            "User:c",
            Host::new("h"),
            Operation::Read,
            (ResourceKind::Topic, "t"),
            true
        ));
        acls.set(
            acl("logs-secret", LITERAL, "User:*", Operation::Read as i8, DENY),
            false,
        );
        assert!(acls.allows(
            "User:a",
            Host::new("h"),
            Operation::Read,
            (ResourceKind::Topic, "logs-secret"),
            false
        ));
    }

    #[test]
    fn something_of_a_kind_is_allowed_unless_a_denial_covers_it() {
        let write = Operation::Write as i8;
        let (a, b) = ("User:a", "User:b");
        let cases: [(&[Acl], bool); 8] = [
            (&[], false),
            (&[acl("t", LITERAL, a, write, ALLOW)], true),
            (&[acl("t", LITERAL, b, write, ALLOW)], false),
            (&[acl("t", LITERAL, a, Operation::Read as i8, ALLOW)], false),
            (
                &[
                    acl("t", LITERAL, a, write, ALLOW),
                    acl("*", LITERAL, a, write, DENY),
                ],
                false,
            ),
            (
                &[
                    acl("t", LITERAL, a, write, ALLOW),
                    acl("t", LITERAL, a, ALL, DENY),
                ],
                false,
            ),
            (
                &[
                    acl("te", PREFIXED, a, write, ALLOW),
                    acl("t", PREFIXED, a, write, DENY),
                ],
                false,
            ),
            (
                &[
                    acl("t", PREFIXED, a, write, ALLOW),
                    acl("t", LITERAL, a, write, DENY),
                ],
                true,
            ),
        ];
        for (rules, expected) in cases {
            let mut acls = Acls::default();
            rules.iter().for_each(|rule| acls.set(rule.clone(), true));
            let found = acls.allows_any(a, Host::new("h"), Operation::Write, ResourceKind::Topic);
            assert_eq!(found, expected, "{rules:?}");
        }
    }

    #[test]
    fn hosts_are_compared_as_addresses() {
        for (named, host, expected) in [
            ("*", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1", true),
            ("2001:DB8::1", "2001:db8:0:0:0:0:0:1", true),
            ("2001:db8::2", "2001:db8::1", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("localhost", "localhost", true),
            ("localhost", "10.0.0.1", false),
            ("", "unknown", false),
        ] {
            let mut acls = Acls::default();
            let all_users = acl("t", LITERAL, "User:*", ALL, ALLOW);
            acls.set(all_users.clone(), true);
            let denial = Acl {
                host: named.into(),
                permission: DENY,
                ..all_users
            };
            acls.set(denial, true);
            let (host, topic) = (Host::new(host), (ResourceKind::Topic, "t"));
            let is_allowed = acls.allows("User:a", host, Operation::Read, topic, false);
            assert_eq!(!is_allowed, expected, "{named} {host:?}");
            let may_any = acls.allows_any("User:a", host, Operation::Read, ResourceKind::Topic);
            assert_eq!(!may_any, expected, "{named} {host:?}");
        }
    }

    #[test]
    fn a_rule_reads_back() {
        let rule = acl("t", LITERAL, "User:a", 3, 3);
        assert_eq!(Acl::decode(rule.encode()).unwrap(), rule);
    }
}
