//! Arguments of `millstream acl`.

use clap::{ArgGroup, Args, Subcommand};
use millstream_kafka_client::admin::{AclOperation, AclPattern, AclPermission};

use super::ClientArgs;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  millstream acl add --allow-principal User:alice --operation Read --operation Describe --topic orders
  millstream acl add --allow-principal User:app --producer --topic events- --resource-pattern-type prefixed
  millstream acl add --allow-principal User:app --consumer --topic orders --group billing
  millstream acl list --topic orders --resource-pattern-type match
  millstream acl remove --allow-principal User:app --consumer --topic orders --group billing
  millstream acl remove --topic orders --principal User:alice")]
pub struct AclArgs {
    #[command(subcommand)]
    pub command: AclCommand,
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Subcommand, Debug)]
pub enum AclCommand {
    /// Add entries
    Add(AddAclArgs),
    /// Remove the entries that have everything that is given, or with --allow-principal and --deny-principal exactly
    /// those that add makes of the same options
    Remove(RemoveAclArgs),
    /// List the entries that have everything that is given
    List {
        #[command(flatten)]
        filter: AclFilterArgs,
    },
}

/// What entries are about.
#[derive(Args, Debug, Default)]
pub struct ResourceArgs {
    /// A topic, or * for all; may be repeated
    #[arg(long = "topic", value_name = "NAME")]
    pub topics: Vec<String>,
    /// A consumer group, or *; may be repeated
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// A transactional id, or *; may be repeated
    #[arg(long = "transactional-id", value_name = "ID")]
    pub transactional_ids: Vec<String>,
    /// A delegation token, or *; may be repeated
    #[arg(long = "delegation-token", value_name = "ID")]
    pub delegation_tokens: Vec<String>,
    /// A user for whom tokens are made, or *; may be repeated
    #[arg(long = "user-principal", value_name = "PRINCIPAL")]
    pub user_principals: Vec<String>,
    /// The cluster itself
    #[arg(long)]
    pub cluster: bool,
    /// How names are meant: literal (unless given) or prefixed; in lists and removals also any (either of the two, of
    /// exactly this name) and match (whatever applies to the name)
    #[arg(long, value_name = "TYPE", value_parser = pattern)]
    pub resource_pattern_type: Option<AclPattern>,
}

/// Who gets which rights.
#[derive(Args, Debug, Default)]
#[command(group(ArgGroup::new("who").multiple(true).args(["allow_principals", "deny_principals"])))]
pub struct GrantArgs {
    /// Who may: User:NAME; may be repeated
    #[arg(long = "allow-principal", value_name = "PRINCIPAL")]
    pub allow_principals: Vec<String>,
    /// Who may not: User:NAME; may be repeated
    #[arg(long = "deny-principal", value_name = "PRINCIPAL")]
    pub deny_principals: Vec<String>,
    /// From where who may: an address; all unless given; may be repeated
    #[arg(long = "allow-host", value_name = "HOST", requires = "allow_principals")]
    pub allow_hosts: Vec<String>,
    /// From where who may not; may be repeated
    #[arg(long = "deny-host", value_name = "HOST", requires = "deny_principals")]
    pub deny_hosts: Vec<String>,
    /// What a producer needs: Write, Describe and Create of the topics, Write and Describe of transactional ids
    #[arg(long, requires = "topics", requires = "allow_principals", conflicts_with_all = ["operations", "deny_principals"])]
    pub producer: bool,
    /// What a consumer needs: Read and Describe of the topics, Read of the groups
    #[arg(long, requires = "topics", requires = "groups", requires = "allow_principals",
          conflicts_with_all = ["operations", "deny_principals"])]
    pub consumer: bool,
    /// With --producer: IdempotentWrite of the cluster as well
    #[arg(long, requires = "producer")]
    pub idempotent: bool,
}

#[derive(Args, Debug)]
#[command(mut_group("who", |who| who.required(true)))]
pub struct AddAclArgs {
    #[command(flatten)]
    pub resources: ResourceArgs,
    #[command(flatten)]
    pub grant: GrantArgs,
    /// What: Read, Write, Create, Delete, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs,
    /// IdempotentWrite, CreateTokens, DescribeTokens or All; may be repeated; All unless given
    #[arg(long = "operation", value_name = "OPERATION", value_parser = operation)]
    pub operations: Vec<AclOperation>,
}

#[derive(Args, Debug)]
#[command(mut_group("who", |who| who.conflicts_with_all(["principals", "hosts", "permission_type"])))]
pub struct RemoveAclArgs {
    #[command(flatten)]
    pub filter: AclFilterArgs,
    #[command(flatten)]
    pub grant: GrantArgs,
    /// Accepted for scripts of kafka-acls; nothing is asked anyway
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug)]
pub struct AclFilterArgs {
    #[command(flatten)]
    pub resources: ResourceArgs,
    /// Whose: User:NAME; may be repeated
    #[arg(long = "principal", value_name = "PRINCIPAL")]
    pub principals: Vec<String>,
    /// From where; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Whether it is allowed or denied: allow or deny
    #[arg(long, value_name = "TYPE", value_parser = permission)]
    pub permission_type: Option<AclPermission>,
    /// What; may be repeated
    #[arg(long = "operation", value_name = "OPERATION", value_parser = operation)]
    pub operations: Vec<AclOperation>,
}

fn operation(text: &str) -> Result<AclOperation, String> {
    AclOperation::parse(text).ok_or_else(|| {
        let names: Vec<&str> = AclOperation::ALL.iter().map(|o| o.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn pattern(text: &str) -> Result<AclPattern, String> {
    AclPattern::parse(text).ok_or_else(|| "expected one of literal, prefixed, any, match".to_owned())
}

fn permission(text: &str) -> Result<AclPermission, String> {
    AclPermission::parse(text).ok_or_else(|| "expected allow or deny".to_owned())
}
