//! `millstream acl`: access control lists.

use std::io::{Write, stdout};

use millstream_kafka_client::admin::{
    AclBinding, AclFilter, AclOperation, AclPattern, AclPermission, AclResource,
};
use serde_json::json;

use crate::args::{
    AclArgs, AclCommand, AclFilterArgs, AddAclArgs, Common, GrantArgs, RemoveAclArgs, ResourceArgs,
};
use crate::commands::connect::{connect, say};
use crate::exit::Outcome;
use crate::output::OutputFormat;
use crate::process::Process;

/// The resource name of the cluster.
const CLUSTER_NAME: &str = "kafka-cluster";
/// Matches every host.
const ANY_HOST: &str = "*";

pub fn run(process: &Process, common: &Common, args: &AclArgs) -> Outcome {
    let is_json = common.output == Some(OutputFormat::Json);
    let client = || anyhow::Ok(connect(process, common, &args.client, &[])?.client);
    match &args.command {
        AclCommand::Add(add) => {
            let bindings = bindings(add)?;
            process.runtime.block_on(client()?.create_acls(&bindings))?;
            say(common, &format!("added {}", entries(bindings.len())));
            print(&bindings, is_json)?;
        }
        AclCommand::List { filter } => {
            let client = client()?;
            let mut found = Vec::new();
            for filter in filters(filter) {
                found.extend(process.runtime.block_on(client.describe_acls(&filter))?);
            }
            found.sort();
            found.dedup();
            print(&found, is_json)?;
        }
        AclCommand::Remove(remove) => {
            let filters = to_remove(remove)?;
            let removed = process.runtime.block_on(client()?.delete_acls(&filters))?;
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

/// Resource types and names.
fn resources(args: &ResourceArgs) -> Vec<(AclResource, String)> {
    let kinds = [
        (AclResource::Topic, &args.topics),
        (AclResource::Group, &args.groups),
        (AclResource::TransactionalId, &args.transactional_ids),
        (AclResource::DelegationToken, &args.delegation_tokens),
        (AclResource::User, &args.user_principals),
    ];
    let named = kinds
        .into_iter()
        .flat_map(|(kind, names)| names.iter().map(move |name| (kind, name.clone())));
    let cluster = args
        .cluster
        .then(|| (AclResource::Cluster, CLUSTER_NAME.to_owned()));
    named.chain(cluster).collect()
}

/// The ACLs that `add` creates.
fn bindings(args: &AddAclArgs) -> anyhow::Result<Vec<AclBinding>> {
    let pattern = args.resources.resource_pattern_type;
    let pattern = pattern.unwrap_or(AclPattern::Literal);
    anyhow::ensure!(
        matches!(pattern, AclPattern::Literal | AclPattern::Prefixed),
        "an entry is literal or prefixed; {} is for lists and removals",
        pattern.name().to_lowercase()
    );
    granted(&args.resources, &args.grant, &args.operations, pattern)
}

/// The ACLs that grant these operations on these resources to these principals and hosts.
fn granted(
    resources: &ResourceArgs,
    grant: &GrantArgs,
    operations: &[AclOperation],
    pattern: AclPattern,
) -> anyhow::Result<Vec<AclBinding>> {
    let rights = rights(resources, grant, operations)?;
    let sides = [
        (AclPermission::Allow, &grant.allow_principals, &grant.allow_hosts),
        (AclPermission::Deny, &grant.deny_principals, &grant.deny_hosts),
    ];
    let everywhere = [ANY_HOST.to_owned()];
    let mut bindings = Vec::new();
    for (permission, principals, hosts) in sides {
        let hosts = if hosts.is_empty() { &everywhere[..] } else { hosts };
        for principal in principals {
            check_principal(principal)?;
            for host in hosts {
                bindings.extend(rights.iter().map(|(resource, name, operation)| AclBinding {
                    resource: *resource,
                    name: name.clone(),
                    // The cluster has a single name, so a prefix makes no sense.
                    pattern: match resource {
                        AclResource::Cluster => AclPattern::Literal,
                        _ => pattern,
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

/// The operations to grant on each resource: the named ones, or those of a role.
fn rights(
    args: &ResourceArgs,
    grant: &GrantArgs,
    operations: &[AclOperation],
) -> anyhow::Result<Vec<(AclResource, String, AclOperation)>> {
    let is_role = grant.producer || grant.consumer;
    let mut rights = Vec::new();
    for (kind, name) in resources(args) {
        let operations = match (is_role, operations) {
            (true, _) => role(grant, kind),
            (false, []) => &[AclOperation::All],
            (false, given) => given,
        };
        // A role would silently ignore the resources that it does not use.
        anyhow::ensure!(
            !operations.is_empty(),
            "--producer and --consumer give no rights on {} '{name}'; leave it out, or name operations instead",
            kind.name()
        );
        rights.extend(
            operations
                .iter()
                .map(|operation| (kind, name.clone(), *operation)),
        );
    }
    if grant.idempotent {
        let cluster = (AclResource::Cluster, CLUSTER_NAME.to_owned());
        rights.push((cluster.0, cluster.1, AclOperation::IdempotentWrite));
    }
    anyhow::ensure!(
        !rights.is_empty(),
        "nothing says what the entries are about; name --topic, --group, --transactional-id or --cluster"
    );
    Ok(rights)
}

/// The permissions of `--producer` and `--consumer`.
fn role(grant: &GrantArgs, kind: AclResource) -> &'static [AclOperation] {
    use AclOperation::{Create, Describe, Read, Write};
    match (kind, grant.producer, grant.consumer) {
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
        "'{principal}' is not a principal; write User:NAME, or User:* for all users"
    );
    Ok(())
}

/// The ACLs that `remove` deletes. With principals to allow or deny, exactly those that `add` creates with the same
/// options. Otherwise all that match the given options, at least one of which must be more specific than the pattern
/// type.
fn to_remove(args: &RemoveAclArgs) -> anyhow::Result<Vec<AclFilter>> {
    let (filter, grant) = (&args.filter, &args.grant);
    if !grant.allow_principals.is_empty() || !grant.deny_principals.is_empty() {
        let pattern = filter.resources.resource_pattern_type;
        let pattern = pattern.unwrap_or(AclPattern::Literal);
        let bindings = granted(&filter.resources, grant, &filter.operations, pattern)?;
        return Ok(bindings.iter().map(AclFilter::exactly).collect());
    }
    let filters = filters(filter);
    let everything = |filter: &AclFilter| {
        let without_pattern = AclFilter {
            pattern: None,
            ..filter.clone()
        };
        without_pattern == AclFilter::default()
    };
    anyhow::ensure!(
        !filters.iter().any(everything),
        "nothing says which entries are meant; name a resource, a principal, a host or an operation"
    );
    Ok(filters)
}

/// The filters of `list` and `remove`: all combinations of the given options. An option that is not given matches
/// everything; a named resource is matched literally unless a pattern type is given.
fn filters(args: &AclFilterArgs) -> Vec<AclFilter> {
    let base = AclFilter {
        pattern: args.resources.resource_pattern_type,
        permission: args.permission_type,
        ..AclFilter::default()
    };
    let of_resource = |(kind, name): (AclResource, String)| AclFilter {
        resource: Some(kind),
        name: Some(name),
        pattern: base.pattern.or(Some(AclPattern::Literal)),
        ..base.clone()
    };
    let named: Vec<AclFilter> = resources(&args.resources).into_iter().map(of_resource).collect();
    let mut filters = if named.is_empty() { vec![base] } else { named };
    filters = each(filters, &args.principals, |f, given| {
        f.principal = Some(given.clone())
    });
    filters = each(filters, &args.hosts, |f, given| f.host = Some(given.clone()));
    each(filters, &args.operations, |f, given| f.operation = Some(*given))
}

/// The product of filters and values; unchanged filters if there are no values.
fn each<T>(filters: Vec<AclFilter>, values: &[T], set: impl Fn(&mut AclFilter, &T)) -> Vec<AclFilter> {
    if values.is_empty() {
        return filters;
    }
    let with = |filter: &AclFilter, value: &T| {
        let mut filter = filter.clone();
        set(&mut filter, value);
        filter
    };
    filters
        .iter()
        .flat_map(|filter| values.iter().map(move |value| (filter, value)))
        .map(|(filter, value)| with(filter, value))
        .collect()
}

/// Prints like `kafka-acls`, or one JSON object per line.
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
