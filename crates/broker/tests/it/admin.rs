//! Administration: groups without members, configurations, partitions, versions.

use crate::driver::{Driver, newest};
use millstream_broker::Reply;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ApiKey, ErrorCode, KafkaString, Response, Uuid};

#[test]
fn who_is_authorized_for_what_is_told_when_asked() {
    let asked = |driver: &mut Driver| {
        let response = driver.call(DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            endpoint_type: 1,
            ..Default::default()
        });
        response.cluster_authorized_operations.count_ones()
    };
    assert_eq!(asked(&mut Driver::new()), 7);
    let mut driver = Driver::with(&[("authorizer.class.name", "any")]);
    assert_eq!(asked(&mut driver), 0, "without a rule everything is denied");
}

#[test]
fn internal_topics_are_there_once_a_client_has_asked_for_a_coordinator() {
    let mut driver = Driver::with(&[("offsets.topic.num.partitions", "3")]);
    let listed = |driver: &mut Driver| {
        let request = MetadataRequest {
            topics: None,
            ..Default::default()
        };
        let topics = driver.call(request).topics.into_iter();
        topics
            .map(|topic| {
                (
                    topic.name.unwrap().to_string(),
                    topic.is_internal,
                    topic.partitions.len(),
                )
            })
            .collect::<Vec<_>>()
    };
    let coordinator = |kind| FindCoordinatorRequest {
        key_type: kind,
        coordinator_keys: vec!["g".into()],
        ..Default::default()
    };
    assert_eq!(listed(&mut driver), []);
    driver.context.is_internal = true;
    driver.call(coordinator(0));
    assert_eq!(listed(&mut driver), [], "callers in the process leave no traces");
    driver.context.is_internal = false;
    driver.call(coordinator(0));
    assert_eq!(listed(&mut driver), [("__consumer_offsets".to_owned(), true, 3)]);
    driver.call(coordinator(1));
    assert_eq!(
        listed(&mut driver)[1],
        ("__transaction_state".to_owned(), true, 50)
    );
    let records = crate::driver::batch(driver.now, &["a"]);
    assert_eq!(
        driver.produce("__consumer_offsets", 0, records.clone()).0,
        ErrorCode::INVALID_TOPIC_EXCEPTION
    );
    driver.context.client_id = "__admin_client".into();
    assert_eq!(
        driver.produce("__consumer_offsets", 0, records).0,
        ErrorCode::NONE
    );
}

#[test]
fn groups_without_members_commit_and_fetch_offsets() {
    let mut driver = Driver::new();
    let id = driver.create("t", 2);
    let partitions = vec![offset_commit::OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 42,
        committed_leader_epoch: 0,
        committed_metadata: Some("note".into()),
    }];
    let topics = vec![offset_commit::OffsetCommitRequestTopic {
        topic_id: id,
        partitions,
        ..Default::default()
    }];
    let commit = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        retention_time_ms: -1,
        topics,
        ..Default::default()
    };
    assert_eq!(
        driver.call(commit).topics[0].partitions[0].error_code,
        ErrorCode::NONE
    );
    driver.crash();
    let topics = vec![offset_fetch::OffsetFetchRequestTopics {
        topic_id: id,
        partition_indexes: vec![0, 1],
        ..Default::default()
    }];
    let group = offset_fetch::OffsetFetchRequestGroup {
        group_id: "g".into(),
        member_epoch: -1,
        topics: Some(topics),
        ..Default::default()
    };
    let fetch = OffsetFetchRequest {
        groups: vec![group],
        ..Default::default()
    };
    let found = driver.call(fetch);
    let offsets: Vec<i64> = found.groups[0].topics[0]
        .partitions
        .iter()
        .map(|each| each.committed_offset)
        .collect();
    assert_eq!(offsets, [-1, 42]);
    for version in [1, 5, 7] {
        let topics = vec![offset_fetch::OffsetFetchRequestTopic {
            name: "t".into(),
            partition_indexes: vec![1],
        }];
        let old = OffsetFetchRequest {
            group_id: "g".into(),
            topics: Some(topics),
            ..Default::default()
        };
        let found = driver.call_version(version, old);
        assert_eq!(found.topics[0].partitions[0].committed_offset, 42);
        assert_eq!(found.topics[0].partitions[0].metadata, Some("note".into()));
    }
    let listed = driver.call(ListGroupsRequest::default());
    assert_eq!(listed.groups.len(), 1);
    let deleted = driver.call(DeleteGroupsRequest {
        groups_names: vec!["g".into(), "other".into()],
    });
    let codes: Vec<ErrorCode> = deleted.results.iter().map(|each| each.error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::GROUP_ID_NOT_FOUND]);
    driver.crash();
    assert!(driver.call(ListGroupsRequest::default()).groups.is_empty());
}

#[test]
fn configurations_are_described_with_sources_and_changed() {
    let mut driver = Driver::with(&[("log.retention.hours", "1")]);
    driver.create_with("t", 1, &[("cleanup.policy", "compact")]);
    let resource = describe_configs::DescribeConfigsResource {
        resource_type: 2,
        resource_name: "t".into(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: false,
    };
    let found = driver.call(request.clone());
    let configs = &found.results[0].configs;
    assert_eq!(configs.len(), 33);
    let of = |name: &str| configs.iter().find(|each| each.name == *name).unwrap();
    assert_eq!(
        (
            of("cleanup.policy").value.clone(),
            of("cleanup.policy").config_source
        ),
        (Some("compact".into()), 1)
    );
    assert_eq!(
        (of("retention.ms").value.clone(), of("retention.ms").config_source),
        (Some("3600000".into()), 5),
        "Kafka has no source for what only another unit stands in for"
    );
    assert_eq!(of("segment.bytes").config_source, 5);
    let change = |name: &str, operation: i8, value: &str| incremental_alter_configs::AlterableConfig {
        name: name.into(),
        config_operation: operation,
        value: Some(value.into()),
    };
    let resources = vec![incremental_alter_configs::AlterConfigsResource {
        resource_type: 2,
        resource_name: "t".into(),
        configs: vec![
            change("cleanup.policy", 2, "delete"),
            change("retention.ms", 0, "77"),
        ],
    }];
    let response = driver.call(IncrementalAlterConfigsRequest {
        resources,
        validate_only: false,
    });
    assert_eq!(response.responses[0].error_code, ErrorCode::NONE);
    driver.crash();
    let found = driver.call(request);
    let of = |name: &str| {
        found.results[0]
            .configs
            .iter()
            .find(|each| each.name == *name)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(of("cleanup.policy"), Some("compact,delete".into()));
    assert_eq!(of("retention.ms"), Some("77".into()));
    let resources = vec![incremental_alter_configs::AlterConfigsResource {
        resource_type: 4,
        resource_name: "1".into(),
        configs: vec![change("node.id", 0, "9")],
    }];
    let response = driver.call(IncrementalAlterConfigsRequest {
        resources,
        validate_only: false,
    });
    assert_eq!(response.responses[0].error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn partitions_are_added_and_described_in_pages() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    let add = |driver: &mut Driver, count: i32| {
        let topic = create_partitions::CreatePartitionsTopic {
            name: "t".into(),
            count,
            assignments: None,
        };
        let request = CreatePartitionsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        driver.call(request).results[0].error_code
    };
    assert_eq!(add(&mut driver, 2), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(add(&mut driver, 5), ErrorCode::NONE);
    driver.crash();
    assert_eq!(driver.append("t", 4, &["a"]), 0);
    let mut cursor = None;
    let mut seen = Vec::new();
    loop {
        let request = DescribeTopicPartitionsRequest {
            response_partition_limit: 2,
            cursor,
            ..Default::default()
        };
        let page = driver.call(request);
        seen.extend(page.topics[0].partitions.iter().map(|each| each.partition_index));
        let Some(next) = page.next_cursor else { break };
        cursor = Some(describe_topic_partitions::RequestCursor {
            topic_name: next.topic_name,
            partition_index: next.partition_index,
        });
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    let dirs = driver.call(DescribeLogDirsRequest { topics: None });
    assert_eq!(dirs.results[0].topics[0].partitions.len(), 5);
    assert!(dirs.results[0].topics[0].partitions[4].partition_size > 60);
}

#[test]
fn api_versions_is_served_in_every_version() {
    let mut driver = Driver::new();
    for version in 0..=newest(ApiKey::ApiVersions) {
        let request = ApiVersionsRequest {
            client_software_name: if version >= 3 {
                "test".into()
            } else {
                KafkaString::EMPTY
            },
            client_software_version: if version >= 3 {
                "1.0".into()
            } else {
                KafkaString::EMPTY
            },
        };
        let Reply::Response(response) = driver.reply(version, request) else {
            panic!("no response")
        };
        let Response::ApiVersions(response) = *response else {
            panic!("another response")
        };
        let produce = response.api_keys.iter().find(|each| each.api_key == 0).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
        let feature = response
            .finalized_features
            .iter()
            .find(|each| each.name == "transaction.version");
        assert_eq!(
            feature.map(|each| each.max_version_level),
            (version >= 3).then_some(2)
        );
    }
    let request = ApiVersionsRequest {
        client_software_name: "-bad".into(),
        client_software_version: "1".into(),
    };
    assert_eq!(driver.call(request).error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn topics_are_asked_for_by_id_from_version_12_on() {
    let mut driver = Driver::new();
    let id = driver.create("t", 1);
    let by_id = |topic_id| MetadataRequest {
        topics: Some(vec![metadata::MetadataRequestTopic { topic_id, name: None }]),
        ..Default::default()
    };
    let unknown = Uuid::from_u128(7);
    for version in [10, 11] {
        let response = driver.call_version(version, by_id(unknown));
        let topic = &response.topics[0];
        assert_eq!(topic.error_code, ErrorCode::INVALID_REQUEST);
        assert_eq!((topic.name.as_deref(), topic.topic_id), (Some(""), unknown));
    }
    let response = driver.call_version(12, by_id(unknown));
    assert_eq!(response.topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    let response = driver.call_version(12, by_id(id));
    assert_eq!(response.topics[0].name.as_deref(), Some("t"));
}

/// A list that grows beyond what is kept of a value is refused, and nothing of the broker's state is lost by it.
#[test]
fn a_list_that_grows_too_long_is_refused() {
    let mut driver = Driver::new();
    let id = driver.create("t", 1);
    driver.append("t", 0, &["a"]);
    let append = |driver: &mut Driver, first: usize| {
        let replicas: Vec<String> = (first..first + 2500)
            .map(|partition| format!("{partition}:1"))
            .collect();
        let config = incremental_alter_configs::AlterableConfig {
            name: "leader.replication.throttled.replicas".into(),
            config_operation: 2,
            value: Some(replicas.join(",").into()),
        };
        let resources = vec![incremental_alter_configs::AlterConfigsResource {
            resource_type: 2,
            resource_name: "t".into(),
            configs: vec![config],
        }];
        let request = IncrementalAlterConfigsRequest {
            resources,
            validate_only: false,
        };
        driver.call(request).responses[0].error_code
    };
    assert_eq!(append(&mut driver, 10_000), ErrorCode::NONE);
    assert_eq!(append(&mut driver, 20_000), ErrorCode::INVALID_CONFIG);
    driver.broker.request_checkpoint();
    driver.append("t", 0, &["b"]);
    driver.crash();
    assert_eq!(driver.topic_id("t"), id);
    assert_eq!(driver.values("t", 0, false), ["a", "b"]);
}
