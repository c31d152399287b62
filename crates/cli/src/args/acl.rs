//! Arguments of `millstream acl`.

use anyhow::Context;
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
    /// Add ACLs
    Add(AddAclArgs),
    /// Remove the ACLs that match all given options; with --allow-principal or --deny-principal, exactly those that
    /// `add` creates for the same options
    Remove(RemoveAclArgs),
    /// List the ACLs that match all given options
    List {
        #[command(flatten)]
        filter: AclFilterArgs,
    },
}

/// The resources of ACLs.
#[derive(Args, Debug, Default)]
pub struct ResourceArgs {
    /// Topic, or * for all; may be repeated
    #[arg(long = "topic", value_name = "NAME")]
    pub topics: Vec<String>,
    /// Consumer group, or *; may be repeated
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// Transactional id, or *; may be repeated
    #[arg(long = "transactional-id", value_name = "ID")]
    pub transactional_ids: Vec<String>,
    /// Delegation token, or *; may be repeated
    #[arg(long = "delegation-token", value_name = "ID")]
    pub delegation_tokens: Vec<String>,
    /// User for whom tokens may be created, or *; may be repeated
    #[arg(long = "user-principal", value_name = "PRINCIPAL")]
    pub user_principals: Vec<String>,
    /// The cluster
    #[arg(long)]
    pub cluster: bool,
    /// Pattern type of resource names: literal (the default) or prefixed; list and remove also accept any (both types,
    /// exactly this name) and match (all patterns that apply to the name)
    #[arg(long, value_name = "TYPE", value_parser = pattern)]
    pub resource_pattern_type: Option<AclPattern>,
}

/// Principals and their permissions.
#[derive(Args, Debug, Default)]
#[command(group(ArgGroup::new("who").multiple(true).args(["allow_principals", "deny_principals"])))]
pub struct GrantArgs {
    /// Principal to allow: User:NAME; may be repeated
    #[arg(long = "allow-principal", value_name = "PRINCIPAL")]
    pub allow_principals: Vec<String>,
    /// Principal to deny: User:NAME; may be repeated
    #[arg(long = "deny-principal", value_name = "PRINCIPAL")]
    pub deny_principals: Vec<String>,
    /// Address from which the allowed principals may connect; the default is all; may be repeated
    #[arg(long = "allow-host", value_name = "HOST", requires = "allow_principals")]
    pub allow_hosts: Vec<String>,
    /// Address from which the denied principals are denied; the default is all; may be repeated
    #[arg(long = "deny-host", value_name = "HOST", requires = "deny_principals")]
    pub deny_hosts: Vec<String>,
    /// Permissions of a producer: Write, Describe and Create on topics, Write and Describe on transactional ids
    #[arg(long, requires = "topics", requires = "allow_principals", conflicts_with_all = ["operations", "deny_principals"])]
    pub producer: bool,
    /// Permissions of a consumer: Read and Describe on topics, Read on groups
    #[arg(long, requires = "topics", requires = "groups", requires = "allow_principals",
          conflicts_with_all = ["operations", "deny_principals"])]
    pub consumer: bool,
    /// With --producer: also IdempotentWrite on the cluster
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
    /// Operation: Read, Write, Create, Delete, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs,
    /// IdempotentWrite, CreateTokens, DescribeTokens or All (the default); may be repeated
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
    /// Accepted for compatibility with kafka-acls; there is never a prompt
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug)]
pub struct AclFilterArgs {
    #[command(flatten)]
    pub resources: ResourceArgs,
    /// Principal: User:NAME; may be repeated
    #[arg(long = "principal", value_name = "PRINCIPAL")]
    pub principals: Vec<String>,
    /// Host; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Permission type: allow or deny
    #[arg(long, value_name = "TYPE", value_parser = permission)]
    pub permission_type: Option<AclPermission>,
    /// Operation; may be repeated
    #[arg(long = "operation", value_name = "OPERATION", value_parser = operation)]
    pub operations: Vec<AclOperation>,
}

fn operation(text: &str) -> anyhow::Result<AclOperation> {
    AclOperation::parse(text).with_context(|| {
        let names: Vec<&str> = AclOperation::ALL.iter().map(|o| o.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn pattern(text: &str) -> anyhow::Result<AclPattern> {
    AclPattern::parse(text).context("expected one of literal, prefixed, any, match")
}

fn permission(text: &str) -> anyhow::Result<AclPermission> {
    AclPermission::parse(text).context("expected allow or deny")
}
