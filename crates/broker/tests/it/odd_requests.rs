//! Responses to requests that no proper client sends, as Kafka 4.3.1 gives them.

use crate::driver::Driver;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString};

const NONE: ErrorCode = ErrorCode::NONE;
const REQUEST: ErrorCode = ErrorCode::INVALID_REQUEST;
const MALFORMED: &str = "This most likely occurs because of a request being malformed by the client library or the \
                         message was sent to an incompatible broker. See the broker logs for more details.";

fn text(message: Option<KafkaString>) -> String {
    message.map(|message| message.to_string()).unwrap_or_default()
}

#[test]
fn coordinators_are_told_of_with_words() {
    let mut driver = Driver::new();
    for (version, key_type, code, message) in [
        (3, 0, NONE, "NONE"),
        (3, 1, NONE, "NONE"),
        (3, 2, REQUEST, MALFORMED),
        (6, 0, NONE, ""),
        (6, 2, REQUEST, ""),
        (6, 9, REQUEST, MALFORMED),
    ] {
        let mut request = FindCoordinatorRequest {
            key_type,
            ..Default::default()
        };
        match version {
            3 => request.key = "g".into(),
            _ => request.coordinator_keys = vec!["g".into(), "h".into(), "g".into()],
        }
        let response = driver.call_version(version, request);
        let found: Vec<_> = match version {
            3 => vec![(response.error_code, text(response.error_message))],
            _ => {
                let coordinators = response.coordinators.into_iter();
                coordinators
                    .map(|each| (each.error_code, text(each.error_message)))
                    .collect()
            }
        };
        let expected = vec![(code, message.to_owned()); if version == 3 { 1 } else { 2 }];
        assert_eq!(found, expected, "{version} {key_type}");
    }
}

#[test]
fn times_of_offsets_belong_to_versions() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    for (timestamp, first) in [
        (-1, 1),
        (-2, 1),
        (-3, 7),
        (-4, 8),
        (-5, 9),
        (-6, 11),
        (-7, 99),
        (0, 1),
    ] {
        for version in 1..=11 {
            let partition = list_offsets::ListOffsetsPartition {
                timestamp,
                current_leader_epoch: -1,
                ..Default::default()
            };
            let topic = list_offsets::ListOffsetsTopic {
                name: "t".into(),
                partitions: vec![partition],
            };
            let mut request = ListOffsetsRequest {
                replica_id: -1,
                topics: vec![topic],
                ..Default::default()
            };
            let response = driver.call_version(version, request.clone());
            let expected = if version >= first {
                NONE
            } else {
                ErrorCode::UNSUPPORTED_VERSION
            };
            let found = response.topics[0].partitions[0].error_code;
            assert_eq!(found, expected, "{timestamp} in version {version}");
            if version >= 2 {
                request.isolation_level = 7;
                let response = driver.call_version(version, request);
                let found = response.topics[0].partitions[0].error_code;
                assert_eq!(found, ErrorCode::UNKNOWN_SERVER_ERROR);
            }
        }
    }
}

#[test]
fn producers_name_id_and_epoch_or_neither() {
    let mut driver = Driver::new();
    for id in [None, Some("tx")] {
        for (producer_id, producer_epoch, code) in [(5, -1, REQUEST), (-1, 3, REQUEST), (-1, -1, NONE)] {
            let request = InitProducerIdRequest {
                transactional_id: id.map(Into::into),
                transaction_timeout_ms: 1_000,
                producer_id,
                producer_epoch,
                ..Default::default()
            };
            let response = driver.call_version(5, request);
            assert_eq!(response.error_code, code, "{id:?} {producer_id} {producer_epoch}");
        }
    }
}

#[test]
fn filters_of_quotas_are_checked() {
    let mut driver = Driver::new();
    let exact = |kind: &str| (kind.to_owned(), 0);
    for (components, code, message) in [
        (vec![], NONE, ""),
        (vec![exact("user"), exact("client-id")], NONE, ""),
        (
            vec![exact("bogus")],
            ErrorCode::UNSUPPORTED_VERSION,
            "Unsupported entity type bogus",
        ),
        (vec![("user".to_owned(), 9)], REQUEST, "Unknown match type 9"),
        (
            vec![exact("user"), exact("user")],
            REQUEST,
            "Entity type user cannot appear more than once in the filter.",
        ),
        (
            vec![exact("user"), exact("ip")],
            REQUEST,
            "Invalid entity filter component combination. IP filter component should not be used with user or \
             clientId filter component.",
        ),
    ] {
        let component = |(kind, match_type): &(String, i8)| describe_client_quotas::ComponentData {
            entity_type: kind.as_str().into(),
            match_type: *match_type,
            r#match: Some("x".into()),
        };
        let response = driver.call(DescribeClientQuotasRequest {
            components: components.iter().map(component).collect(),
            strict: false,
        });
        let found = (response.error_code, text(response.error_message));
        assert_eq!(found, (code, message.to_owned()), "{components:?}");
    }
}

#[test]
fn requests_about_the_cluster_are_refused_in_kafkas_words() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    for (endpoint_type, code, message) in [
        (1, NONE, ""),
        (
            2,
            ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
        ),
        (
            9,
            ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
            "Unsupported endpoint type 9",
        ),
    ] {
        let response = driver.call(DescribeClusterRequest {
            endpoint_type,
            ..Default::default()
        });
        let found = (response.error_code, text(response.error_message));
        assert_eq!(found, (code, message.to_owned()));
    }
    let quorum = driver.call(DescribeQuorumRequest {
        topics: vec![describe_quorum::RequestTopicData {
            topic_name: "t".into(),
            partitions: vec![describe_quorum::RequestPartitionData { partition_index: 4 }],
        }],
    });
    let partition = &quorum.topics[0].partitions[0];
    assert_eq!(quorum.error_code, NONE);
    assert_eq!(
        (partition.partition_index, partition.error_code),
        (4, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    );
    for (election_type, topics, code, results) in [
        (0, None, NONE, 0),
        (1, None, NONE, 0),
        (7, Some(()), REQUEST, 1),
        (0, Some(()), NONE, 1),
    ] {
        let asked = topics.map(|()| {
            vec![elect_leaders::TopicPartitions {
                topic: "t".into(),
                partitions: vec![0],
            }]
        });
        let response = driver.call(ElectLeadersRequest {
            election_type,
            topic_partitions: asked,
            ..Default::default()
        });
        assert_eq!(response.error_code, code, "{election_type}");
        let topic = &response.replica_election_results[0];
        assert_eq!(
            (topic.topic.as_str(), topic.partition_result.len()),
            ("t", results)
        );
    }
}

#[test]
fn reassignments_and_features_are_refused_in_kafkas_words() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let replicas = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
    for (topic, index, asked, code, message) in [
        ("t", 0, Some(vec![1]), NONE, ""),
        ("t", 0, None, ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, ""),
        (
            "t",
            9,
            Some(vec![1]),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            "Unable to find partition t:9.",
        ),
        (
            "x",
            0,
            Some(vec![1]),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            "Unable to find a topic named x.",
        ),
        (
            "t",
            0,
            Some(vec![]),
            replicas,
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            "t",
            0,
            Some(vec![1, 7]),
            replicas,
            "The manual partition assignment includes broker 7, but no such broker is registered.",
        ),
        (
            "t",
            0,
            Some(vec![1, 1]),
            replicas,
            "The manual partition assignment includes the broker 1 more than once.",
        ),
    ] {
        let partition = alter_partition_reassignments::ReassignablePartition {
            partition_index: index,
            replicas: asked,
        };
        let response = driver.call(AlterPartitionReassignmentsRequest {
            topics: vec![alter_partition_reassignments::ReassignableTopic {
                name: topic.into(),
                partitions: vec![partition],
            }],
            ..Default::default()
        });
        assert_eq!(response.error_message, None);
        let result = response.responses[0].partitions[0].clone();
        assert_eq!(
            (result.error_code, text(result.error_message)),
            (code, message.to_owned())
        );
    }
    for (feature, level, upgrade_type, message) in [
        ("transaction.version", 2, 1, None),
        (
            "nope",
            1,
            1,
            Some("Local controller 1 does not support this feature."),
        ),
        ("nope", 0, 2, Some("Feature nope not found.")),
        (
            "metadata.version",
            99,
            1,
            Some("Local controller 1 only supports versions 7-30"),
        ),
        (
            "transaction.version",
            1,
            1,
            Some(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                 unsafe downgrade.",
            ),
        ),
        (
            "transaction.version",
            1,
            2,
            Some("This broker has it at one level."),
        ),
    ] {
        let response = driver.call_version(
            1,
            UpdateFeaturesRequest {
                feature_updates: vec![update_features::FeatureUpdateKey {
                    feature: feature.into(),
                    max_version_level: level,
                    upgrade_type,
                    ..Default::default()
                }],
                ..Default::default()
            },
        );
        let expected = match message {
            None => "NONE".to_owned(),
            Some(reason) => format!("Invalid update version {level} for feature {feature}. {reason}"),
        };
        assert_eq!(text(response.results[0].error_message.clone()), expected);
    }
}

#[test]
fn errors_of_a_fetch_that_was_not_read_have_an_empty_list() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    for (partition, max_bytes, offset, code, has_list) in [
        (0, 1000, 0, NONE, false),
        (9, 1000, 0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, true),
        (0, 1000, 5, ErrorCode::OFFSET_OUT_OF_RANGE, false),
        (0, -1, 0, ErrorCode::UNKNOWN_SERVER_ERROR, false),
    ] {
        let request = FetchRequest {
            max_bytes: 1 << 20,
            topics: vec![fetch::FetchTopic {
                topic: "t".into(),
                partitions: vec![fetch::FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: max_bytes,
                    current_leader_epoch: -1,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = driver.call_version(11, request);
        let result = &response.responses[0].partitions[0];
        assert_eq!(result.error_code, code);
        assert_eq!(result.aborted_transactions.is_some(), has_list, "{code}");
    }
}

#[test]
fn a_generation_in_a_group_that_has_only_offsets_is_a_stranger() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    for (generation, code) in [
        (4, ErrorCode::GROUP_ID_NOT_FOUND),
        (-1, NONE),
        (4, ErrorCode::UNKNOWN_MEMBER_ID),
    ] {
        let request = OffsetCommitRequest {
            group_id: "g".into(),
            generation_id_or_member_epoch: generation,
            topics: vec![offset_commit::OffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![offset_commit::OffsetCommitRequestPartition::default()],
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = driver.call_version(9, request);
        assert_eq!(response.topics[0].partitions[0].error_code, code);
    }
}

#[test]
fn there_are_no_delegation_tokens_and_the_broker_stays() {
    let mut driver = Driver::new();
    for (principal, code) in [
        ("User:ANONYMOUS", ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED),
        ("User:alice", ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED),
    ] {
        driver.context.principal = principal.into();
        let created = driver.call(CreateDelegationTokenRequest::default());
        assert_eq!(created.error_code, code);
        assert_eq!(
            format!("{}:{}", created.principal_type, created.principal_name),
            principal
        );
        assert_eq!(
            driver
                .call_version(1, CreateDelegationTokenRequest::default())
                .error_code,
            code
        );
        assert_eq!(
            driver.call(RenewDelegationTokenRequest::default()).error_code,
            code
        );
        assert_eq!(
            driver.call(ExpireDelegationTokenRequest::default()).error_code,
            code
        );
        assert_eq!(
            driver.call(DescribeDelegationTokenRequest::default()).error_code,
            code
        );
    }
    for (broker_id, code) in [(1, REQUEST), (99, ErrorCode::BROKER_ID_NOT_REGISTERED)] {
        let response = driver.call(UnregisterBrokerRequest { broker_id });
        assert_eq!(response.error_code, code);
    }
}
