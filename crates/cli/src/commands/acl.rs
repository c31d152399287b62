//! `millstream acl`: who may do what.

use std::io::{Write, stdout};

use millstream_kafka_client::admin::{
    AclBinding, AclFilter, AclOperation, AclPattern, AclPermission, AclResource,
};
use serde_json::json;

use crate::args::{AclArgs, AclCommand, AclFilterArgs, AddAclArgs, Common, ResourceArgs};
use crate::commands::connect::{connect, say};
use crate::exit::Outcome;
use crate::output::OutputFormat;
use crate::process::Process;

/// The name under which the cluster has its entries.
const CLUSTER_NAME: &str = "kafka-cluster";
/// Every host.
const ANY_HOST: &str = "*";

/// Runs an ACL command.
pub fn run(process: &Process, common: &Common, args: &AclArgs) -> Outcome {
    let is_json = common.output == Some(OutputFormat::Json);
    match &args.command {
        AclCommand::Add(add) => {
            let bindings = bindings(add)?;
            let client = connect(process, common, &args.client, &[])?.client;
            process.runtime.block_on(client.create_acls(&bindings))?;
            say(common, &format!("added {}", entries(bindings.len())));
            print(&bindings, is_json)?;
        }
        AclCommand::List { filter } => {
            let filters = filters(filter);
            let client = connect(process, common, &args.client, &[])?.client;
            let mut found = Vec::new();
            for filter in &filters {
                found.extend(process.runtime.block_on(client.describe_acls(filter))?);
            }
            found.sort();
            found.dedup();
            print(&found, is_json)?;
        }
        AclCommand::Remove { filter, force: _ } => {
            let filters = filters(filter);
            let everything = AclFilter::default();
            if filters.contains(&everything) {
                return Err(anyhow::anyhow!(
                    "nothing says which entries are meant; name a resource, a principal, a host or an operation"
                )
                .into());
            }
            let client = connect(process, common, &args.client, &[])?.client;
            let mut removed = Vec::new();
            for filter in &filters {
                removed.extend(process.runtime.block_on(client.delete_acls(filter))?);
            }
            say(common, &format!("removed {}", entries(removed.len())));
            print(&removed, is_json)?;
        }
    }
    Ok(())
}

fn entries(count: usize) -> String {
    match count {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    }
}

/// Resources by kind and name.
fn resources(args: &ResourceArgs) -> Vec<(AclResource, String)> {
    let of = |kind: AclResource, names: &[String]| -> Vec<(AclResource, String)> {
        names.iter().map(|name| (kind, name.clone())).collect()
    };
    let mut all = of(AclResource::Topic, &args.topics);
    all.extend(of(AclResource::Group, &args.groups));
    all.extend(of(AclResource::TransactionalId, &args.transactional_ids));
    if args.cluster {
        all.push((AclResource::Cluster, CLUSTER_NAME.to_owned()));
    }
    all
}

/// The entries that `add` asks for.
fn bindings(args: &AddAclArgs) -> anyhow::Result<Vec<AclBinding>> {
    let pattern = args
        .resources
        .resource_pattern_type
        .unwrap_or(AclPattern::Literal);
    anyhow::ensure!(
        matches!(pattern, AclPattern::Literal | AclPattern::Prefixed),
        "an entry is literal or prefixed; {} is for lists and removals",
        pattern.name().to_lowercase()
    );
    let mut grants: Vec<(AclResource, String, AclOperation)> = Vec::new();
    let is_role = args.producer || args.consumer;
    for (kind, name) in resources(&args.resources) {
        let operations: &[AclOperation] = match (is_role, args.operations.as_slice()) {
            (true, _) => role(args, kind),
            (false, []) => &[AclOperation::All],
            (false, given) => given,
        };
        grants.extend(
            operations
                .iter()
                .map(|operation| (kind, name.clone(), *operation)),
        );
    }
    if args.idempotent {
        grants.push((
            AclResource::Cluster,
            CLUSTER_NAME.to_owned(),
            AclOperation::IdempotentWrite,
        ));
    }
    anyhow::ensure!(
        !grants.is_empty(),
        "nothing says what the entries are about; name --topic, --group, --transactional-id or --cluster"
    );
    let mut bindings = Vec::new();
    let sides = [
        (AclPermission::Allow, &args.allow_principals, &args.allow_hosts),
        (AclPermission::Deny, &args.deny_principals, &args.deny_hosts),
    ];
    for (permission, principals, hosts) in sides {
        let everywhere = [ANY_HOST.to_owned()];
        let hosts = if hosts.is_empty() {
            &everywhere[..]
        } else {
            hosts.as_slice()
        };
        for principal in principals {
            check_principal(principal)?;
            for host in hosts {
                bindings.extend(grants.iter().map(|(resource, name, operation)| AclBinding {
                    resource: *resource,
                    name: name.clone(),
                    // The cluster has one name, of which there is no prefix.
                    pattern: if *resource == AclResource::Cluster {
                        AclPattern::Literal
                    } else {
                        pattern
                    },
                    principal: principal.clone(),
                    host: host.clone(),
                    operation: *operation,
                    permission,
                }));
            }
        }
    }
    Ok(bindings)
}

/// What `--producer` and `--consumer` stand for.
fn role(args: &AddAclArgs, kind: AclResource) -> &'static [AclOperation] {
    use AclOperation::{Create, Describe, Read, Write};
    match (kind, args.producer, args.consumer) {
        (AclResource::Topic, true, true) => &[Write, Describe, Create, Read],
        (AclResource::Topic, true, false) => &[Write, Describe, Create],
        (AclResource::Topic, false, _) => &[Read, Describe],
        (AclResource::Group, _, true) => &[Read],
        (AclResource::TransactionalId, true, _) => &[Write, Describe],
        _ => &[],
    }
}

fn check_principal(principal: &str) -> anyhow::Result<()> {
    let is_complete = principal
        .split_once(':')
        .is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
    anyhow::ensure!(
        is_complete,
        "'{principal}' is no principal; write User:NAME, or User:* for everybody"
    );
    Ok(())
}

/// The filters that `list` and `remove` ask for: one for each resource, or one for all.
fn filters(args: &AclFilterArgs) -> Vec<AclFilter> {
    let named = resources(&args.resources);
    let base = AclFilter {
        pattern: args.resources.resource_pattern_type,
        principal: args.principal.clone(),
        host: args.host.clone(),
        operation: args.operation,
        ..AclFilter::default()
    };
    if named.is_empty() {
        return vec![base];
    }
    let with_resource = |(kind, name): (AclResource, String)| AclFilter {
        resource: Some(kind),
        name: Some(name),
        ..base.clone()
    };
    named.into_iter().map(with_resource).collect()
}

/// In the form of `kafka-acls`, or an object a line.
fn print(bindings: &[AclBinding], is_json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    if is_json {
        for acl in bindings {
            let value = json!({
                "resource": acl.resource.name(), "name": acl.name, "pattern": acl.pattern.name(),
                "principal": acl.principal, "host": acl.host, "operation": acl.operation.name(),
                "permission": acl.permission.name(),
            });
            writeln!(out, "{value}")?;
        }
        return Ok(());
    }
    let same_resource =
        |a: &AclBinding, b: &AclBinding| (a.resource, &a.name, a.pattern) == (b.resource, &b.name, b.pattern);
    let mut sorted = bindings.to_vec();
    sorted.sort();
    for of_resource in sorted.chunk_by(same_resource) {
        let first = &of_resource[0];
        writeln!(
            out,
            "Current ACLs for resource `ResourcePattern(resourceType={}, name={}, patternType={})`:",
            first.resource.name(),
            first.name,
            first.pattern.name()
        )?;
        for acl in of_resource {
            writeln!(
                out,
                "\t(principal={}, host={}, operation={}, permissionType={})",
                acl.principal,
                acl.host,
                acl.operation.name(),
                acl.permission.name()
            )?;
        }
    }
    Ok(())
}
