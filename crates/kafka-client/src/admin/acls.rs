//! Access control lists.

use millstream_kafka_wire::messages::create_acls::{AclCreation, CreateAclsRequest};
use millstream_kafka_wire::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use millstream_kafka_wire::messages::describe_acls::DescribeAclsRequest;

use crate::client::KafkaClient;
use crate::error::ClientError;

/// A word with Kafka's number for it.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($variant),+ }

        impl $name {
            /// All of them, in Kafka's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Kafka's number.
            pub const fn code(self) -> i8 {
                match self { $(Self::$variant => $code),+ }
            }

            pub fn from_code(code: i8) -> Option<Self> {
                Self::ALL.iter().copied().find(|each| each.code() == code)
            }

            /// As the `kafka-acls` tool writes it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// From its name in any spelling: `TransactionalId`, `TRANSACTIONAL_ID`, `transactional-id`.
            pub fn parse(text: &str) -> Option<Self> {
                let bare = |text: &str| text.replace(['_', '-'], "").to_ascii_uppercase();
                Self::ALL.iter().copied().find(|each| bare(each.name()) == bare(text))
            }
        }
    };
}

coded! {
    /// The resource that an ACL protects.
    AclResource {
        Topic = 2 "TOPIC",
        Group = 3 "GROUP",
        Cluster = 4 "CLUSTER",
        TransactionalId = 5 "TRANSACTIONAL_ID",
        DelegationToken = 6 "DELEGATION_TOKEN",
        User = 7 "USER",
    }
}

coded! {
    /// How a resource's name is meant.
    AclPattern {
        Any = 1 "ANY",
        Match = 2 "MATCH",
        Literal = 3 "LITERAL",
        Prefixed = 4 "PREFIXED",
    }
}

coded! {
    /// The operation that an ACL allows or denies.
    AclOperation {
        All = 2 "ALL",
        Read = 3 "READ",
        Write = 4 "WRITE",
        Create = 5 "CREATE",
        Delete = 6 "DELETE",
        Alter = 7 "ALTER",
        Describe = 8 "DESCRIBE",
        ClusterAction = 9 "CLUSTER_ACTION",
        DescribeConfigs = 10 "DESCRIBE_CONFIGS",
        AlterConfigs = 11 "ALTER_CONFIGS",
        IdempotentWrite = 12 "IDEMPOTENT_WRITE",
        CreateTokens = 13 "CREATE_TOKENS",
        DescribeTokens = 14 "DESCRIBE_TOKENS",
        TwoPhaseCommit = 15 "TWO_PHASE_COMMIT",
    }
}

coded! {
    /// Whether an ACL allows or forbids.
    AclPermission {
        Deny = 2 "DENY",
        Allow = 3 "ALLOW",
    }
}

/// Wildcard in filters.
const ANY: i8 = 1;

/// One entry of the lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclBinding {
    pub resource: AclResource,
    pub name: String,
    /// Literal or prefixed.
    pub pattern: AclPattern,
    /// `User:alice`, or `User:*`.
    pub principal: String,
    /// An address, or `*`.
    pub host: String,
    pub operation: AclOperation,
    pub permission: AclPermission,
}

/// A filter of ACLs; `None` matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclFilter {
    pub resource: Option<AclResource>,
    pub name: Option<String>,
    /// `None`: any pattern of exactly this name.
    pub pattern: Option<AclPattern>,
    pub principal: Option<String>,
    pub host: Option<String>,
    pub operation: Option<AclOperation>,
    pub permission: Option<AclPermission>,
}

impl AclFilter {
    /// The filter that only this entry passes.
    pub fn exactly(binding: &AclBinding) -> Self {
        Self {
            resource: Some(binding.resource),
            name: Some(binding.name.clone()),
            pattern: Some(binding.pattern),
            principal: Some(binding.principal.clone()),
            host: Some(binding.host.clone()),
            operation: Some(binding.operation),
            permission: Some(binding.permission),
        }
    }

    fn to_request(&self) -> DescribeAclsRequest {
        DescribeAclsRequest {
            resource_type_filter: self.resource.map_or(ANY, AclResource::code),
            resource_name_filter: self.name.as_ref().map(Into::into),
            pattern_type_filter: self.pattern.map_or(ANY, AclPattern::code),
            principal_filter: self.principal.as_ref().map(Into::into),
            host_filter: self.host.as_ref().map(Into::into),
            operation: self.operation.map_or(ANY, AclOperation::code),
            permission_type: self.permission.map_or(ANY, AclPermission::code),
        }
    }
}

/// An ACL entry as it is encoded in a response.
struct Coded {
    resource: i8,
    pattern: i8,
    operation: i8,
    permission: i8,
}

fn binding(coded: &Coded, name: String, principal: String, host: String) -> Option<AclBinding> {
    Some(AclBinding {
        resource: AclResource::from_code(coded.resource)?,
        name,
        pattern: AclPattern::from_code(coded.pattern)?,
        principal,
        host,
        operation: AclOperation::from_code(coded.operation)?,
        permission: AclPermission::from_code(coded.permission)?,
    })
}

impl KafkaClient {
    /// The entries that pass a filter, in order. Entries of kinds that this client does not know are left out.
    pub async fn describe_acls(&self, filter: &AclFilter) -> Result<Vec<AclBinding>, ClientError> {
        let request = filter.to_request();
        let response = self
            .call_controller(request, |response| response.error_code)
            .await?;
        response
            .error_code
            .check()
            .map_err(|code| ClientError::broker_with("listing ACLs", code, response.error_message))?;
        let mut found: Vec<AclBinding> = Vec::new();
        for resource in response.resources {
            found.extend(resource.acls.into_iter().filter_map(|acl| {
                let coded = Coded {
                    resource: resource.resource_type,
                    pattern: resource.pattern_type,
                    operation: acl.operation,
                    permission: acl.permission_type,
                };
                let name = resource.resource_name.to_string();
                binding(&coded, name, acl.principal.into(), acl.host.into())
            }));
        }
        found.sort();
        Ok(found)
    }

    /// Adds entries; the first that is refused is the error.
    pub async fn create_acls(&self, bindings: &[AclBinding]) -> Result<(), ClientError> {
        let creation = |binding: &AclBinding| AclCreation {
            resource_type: binding.resource.code(),
            resource_name: (&binding.name).into(),
            resource_pattern_type: binding.pattern.code(),
            principal: (&binding.principal).into(),
            host: (&binding.host).into(),
            operation: binding.operation.code(),
            permission_type: binding.permission.code(),
        };
        let request = CreateAclsRequest {
            creations: bindings.iter().map(creation).collect(),
        };
        let response = self
            .call_controller(request, |response| {
                let first = response.results.first();
                first.map(|result| result.error_code).unwrap_or_default()
            })
            .await?;
        for (binding, result) in bindings.iter().zip(response.results) {
            let what = || {
                format!(
                    "ACL of '{}' on {} '{}'",
                    binding.principal,
                    binding.resource.name(),
                    binding.name
                )
            };
            result
                .error_code
                .check()
                .map_err(|code| ClientError::broker_with(what(), code, result.error_message))?;
        }
        Ok(())
    }

    /// Deletes the entries that match any of the filters, and returns them. All filters go in one request.
    pub async fn delete_acls(&self, filters: &[AclFilter]) -> Result<Vec<AclBinding>, ClientError> {
        let wanted = |filter: &AclFilter| {
            let wanted = filter.to_request();
            DeleteAclsFilter {
                resource_type_filter: wanted.resource_type_filter,
                resource_name_filter: wanted.resource_name_filter,
                pattern_type_filter: wanted.pattern_type_filter,
                principal_filter: wanted.principal_filter,
                host_filter: wanted.host_filter,
                operation: wanted.operation,
                permission_type: wanted.permission_type,
            }
        };
        let request = DeleteAclsRequest {
            filters: filters.iter().map(wanted).collect(),
        };
        let response = self
            .call_controller(request, |response| {
                let first = response.filter_results.first();
                first.map(|result| result.error_code).unwrap_or_default()
            })
            .await?;
        let mut removed = Vec::new();
        for result in response.filter_results {
            let refused = |code, message| ClientError::broker_with("removing ACLs", code, message);
            result
                .error_code
                .check()
                .map_err(|code| refused(code, result.error_message))?;
            for acl in result.matching_acls {
                acl.error_code
                    .check()
                    .map_err(|code| refused(code, acl.error_message))?;
                let coded = Coded {
                    resource: acl.resource_type,
                    pattern: acl.pattern_type,
                    operation: acl.operation,
                    permission: acl.permission_type,
                };
                removed.extend(binding(
                    &coded,
                    acl.resource_name.into(),
                    acl.principal.into(),
                    acl.host.into(),
                ));
            }
        }
        removed.sort();
        // An entry that matches several filters is reported for each.
        removed.dedup();
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_spelling() {
        assert_eq!(
            AclResource::parse("transactional-id"),
            Some(AclResource::TransactionalId)
        );
        assert_eq!(
            AclOperation::parse("DescribeConfigs"),
            Some(AclOperation::DescribeConfigs)
        );
        assert_eq!(AclPermission::parse("maybe"), None);
        assert_eq!(AclPattern::from_code(4), Some(AclPattern::Prefixed));
    }
}
