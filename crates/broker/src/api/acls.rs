//! CreateAcls, DescribeAcls, DeleteAcls.

use crate::broker::{Broker, log_error_code};
use crate::change::Change;
use crate::purgatory::Outcome;
use crate::security::acls::{Acl, AclFilter, CLUSTER_NAME};
use crate::security::{Operation, ResourceKind, acl_row};
use millstream_kafka_wire::messages::create_acls::{
    AclCreation, AclCreationResult, CreateAclsRequest, CreateAclsResponse,
};
use millstream_kafka_wire::messages::delete_acls::{
    DeleteAclsFilter, DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsRequest, DeleteAclsResponse,
};
use millstream_kafka_wire::messages::describe_acls::{
    AclDescription, DescribeAclsRequest, DescribeAclsResource, DescribeAclsResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::BTreeMap;

const NO_AUTHORIZER: KafkaString = KafkaString::from_static("No Authorizer is configured.");

fn check(broker: &Broker, operation: Operation) -> Result<(), (ErrorCode, KafkaString)> {
    if !broker.has_authorizer() {
        return Err((ErrorCode::SECURITY_DISABLED, NO_AUTHORIZER));
    }
    broker
        .access(operation, ResourceKind::Cluster, CLUSTER_NAME)
        .map_err(|code| (code, KafkaString::from_static("access to the cluster is denied")))
}

pub(crate) fn describe(broker: &Broker, request: &DescribeAclsRequest) -> Outcome {
    if let Err((error_code, message)) = check(broker, Operation::Describe) {
        let error_message = Some(message);
        return Outcome::now(DescribeAclsResponse {
            error_code,
            error_message,
            ..Default::default()
        });
    }
    let filter = AclFilter {
        resource_type: request.resource_type_filter,
        resource_name: request.resource_name_filter.clone(),
        pattern_type: request.pattern_type_filter,
        principal: request.principal_filter.clone(),
        host: request.host_filter.clone(),
        operation: request.operation,
        permission: request.permission_type,
    };
    let mut by_resource: BTreeMap<(i8, KafkaString, i8), Vec<AclDescription>> = BTreeMap::new();
    for acl in broker.security.acls.matching(&filter) {
        let resource = (acl.resource_type, acl.resource_name, acl.pattern_type);
        by_resource.entry(resource).or_default().push(AclDescription {
            principal: acl.principal,
            host: acl.host,
            operation: acl.operation,
            permission_type: acl.permission,
        });
    }
    let resource = |((resource_type, resource_name, pattern_type), acls)| DescribeAclsResource {
        resource_type,
        resource_name,
        pattern_type,
        acls,
    };
    let resources = by_resource.into_iter().map(resource).collect();
    Outcome::now(DescribeAclsResponse {
        resources,
        ..Default::default()
    })
}

pub(crate) fn create(broker: &mut Broker, now_ms: i64, request: &CreateAclsRequest) -> Outcome {
    let refused = check(broker, Operation::Alter).err();
    let mut changes = Vec::new();
    let mut results = Vec::with_capacity(request.creations.len());
    for creation in &request.creations {
        let acl = read(creation);
        let result = match (&refused, acl.check()) {
            (Some((error_code, message)), _) => AclCreationResult {
                error_code: *error_code,
                error_message: Some(message.clone()),
            },
            (None, Err(error)) => AclCreationResult {
                error_code: ErrorCode::INVALID_REQUEST,
                error_message: Some(error.to_string().into()),
            },
            (None, Ok(())) => {
                changes.push(acl_row(&acl, true));
                AclCreationResult::default()
            }
        };
        results.push(result);
    }
    let mut response = CreateAclsResponse {
        throttle_time_ms: 0,
        results,
    };
    match store(broker, now_ms, &changes) {
        Ok(sequence) => Outcome::durable(sequence, response),
        Err(code) => {
            response
                .results
                .iter_mut()
                .for_each(|result| result.error_code = code);
            Outcome::now(response)
        }
    }
}

fn read(creation: &AclCreation) -> Acl {
    Acl {
        resource_type: creation.resource_type,
        resource_name: creation.resource_name.detached(),
        pattern_type: creation.resource_pattern_type,
        principal: creation.principal.detached(),
        host: creation.host.detached(),
        operation: creation.operation,
        permission: creation.permission_type,
    }
}

fn store(broker: &mut Broker, now_ms: i64, changes: &[Change]) -> Result<u64, ErrorCode> {
    if changes.is_empty() {
        return Ok(0);
    }
    broker
        .write(now_ms, Vec::new(), changes)
        .map_err(|error| log_error_code(&error))
}

pub(crate) fn delete(broker: &mut Broker, now_ms: i64, request: &DeleteAclsRequest) -> Outcome {
    let refused = check(broker, Operation::Alter).err();
    let mut changes = Vec::new();
    let mut filter_results = Vec::with_capacity(request.filters.len());
    for filter in &request.filters {
        if let Some((error_code, message)) = &refused {
            let error_message = Some(message.clone());
            filter_results.push(DeleteAclsFilterResult {
                error_code: *error_code,
                error_message,
                ..Default::default()
            });
            continue;
        }
        let matching = broker.security.acls.matching(&filter_of(filter));
        changes.extend(matching.iter().map(|acl| acl_row(acl, false)));
        let matching_acls = matching.into_iter().map(|acl| DeleteAclsMatchingAcl {
            error_code: ErrorCode::NONE,
            error_message: None,
            resource_type: acl.resource_type,
            resource_name: acl.resource_name,
            pattern_type: acl.pattern_type,
            principal: acl.principal,
            host: acl.host,
            operation: acl.operation,
            permission_type: acl.permission,
        });
        filter_results.push(DeleteAclsFilterResult {
            error_message: None,
            matching_acls: matching_acls.collect(),
            ..Default::default()
        });
    }
    let mut response = DeleteAclsResponse {
        throttle_time_ms: 0,
        filter_results,
    };
    match store(broker, now_ms, &changes) {
        Ok(sequence) => Outcome::durable(sequence, response),
        Err(code) => {
            response
                .filter_results
                .iter_mut()
                .for_each(|result| result.error_code = code);
            Outcome::now(response)
        }
    }
}

fn filter_of(filter: &DeleteAclsFilter) -> AclFilter {
    AclFilter {
        resource_type: filter.resource_type_filter,
        resource_name: filter.resource_name_filter.clone(),
        pattern_type: filter.pattern_type_filter,
        principal: filter.principal_filter.clone(),
        host: filter.host_filter.clone(),
        operation: filter.operation,
        permission: filter.permission_type,
    }
}
