//! ACLs, credentials, quotas, and requests that only matter in a cluster.

use crate::driver::{Driver, batch};
use bytes::Bytes;
use millstream_broker::ScramMechanism;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString};

const READ: i8 = 3;
const WRITE: i8 = 4;
const ALLOW: i8 = 3;

fn acl(resource_type: i8, name: &str, principal: &str, operation: i8) -> create_acls::AclCreation {
    create_acls::AclCreation {
        resource_type,
        resource_name: name.into(),
        resource_pattern_type: 3,
        principal: principal.into(),
        host: "*".into(),
        operation,
        permission_type: ALLOW,
    }
}

fn all_acls() -> DescribeAclsRequest {
    DescribeAclsRequest {
        resource_type_filter: 1,
        resource_name_filter: None,
        pattern_type_filter: 1,
        principal_filter: None,
        host_filter: None,
        operation: 1,
        permission_type: 1,
    }
}

#[test]
fn without_an_authorizer_acls_are_disabled_and_everything_is_allowed() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    assert_eq!(driver.call(all_acls()).error_code, ErrorCode::SECURITY_DISABLED);
    let request = CreateAclsRequest {
        creations: vec![acl(2, "t", "User:a", READ)],
    };
    assert_eq!(
        driver.call(request).results[0].error_code,
        ErrorCode::SECURITY_DISABLED
    );
}

#[test]
fn acls_are_enforced_for_all_but_super_users() {
    let mut driver = Driver::with(&[
        ("authorizer.class.name", "acl"),
        ("super.users", "User:root;User:admin"),
    ]);
    driver.context.principal = "User:root".into();
    driver.create("t", 1);
    let records = batch(driver.now, &["a"]);
    driver.context.principal = "User:a".into();
    assert_eq!(
        driver.produce("t", 0, records.clone()).0,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
    );
    assert_eq!(
        driver.call(all_acls()).error_code,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED
    );
    let metadata = driver.call(MetadataRequest {
        topics: None,
        ..Default::default()
    });
    assert!(metadata.topics.is_empty(), "what one may not see is not shown");
    driver.context.principal = "User:root".into();
    let creations = vec![
        acl(2, "t", "User:a", WRITE),
        acl(2, "t", "User:b", READ),
        acl(3, "g", "User:b", READ),
        acl(2, "", "User:b", READ),
        acl(2, "t", "stranger", READ),
    ];
    let codes: Vec<ErrorCode> = driver
        .call(CreateAclsRequest { creations })
        .results
        .iter()
        .map(|each| each.error_code)
        .collect();
    let (good, bad) = (ErrorCode::NONE, ErrorCode::INVALID_REQUEST);
    assert_eq!(codes, [good, good, good, bad, bad]);
    driver.crash();
    assert_eq!(driver.call(all_acls()).resources.len(), 2);
    driver.context.principal = "User:a".into();
    assert_eq!(driver.produce("t", 0, records).0, ErrorCode::NONE);
    assert_eq!(
        driver.fetch("t", 0, 0, 0).error_code,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
    );
    driver.context.principal = "User:b".into();
    assert_eq!(driver.fetch("t", 0, 0, 0).error_code, ErrorCode::NONE);
    let heartbeat = |group: &str| HeartbeatRequest {
        group_id: group.into(),
        ..Default::default()
    };
    assert_eq!(
        driver.call(heartbeat("g")).error_code,
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    assert_eq!(
        driver.call(heartbeat("h")).error_code,
        ErrorCode::GROUP_AUTHORIZATION_FAILED
    );
    driver.context.principal = "User:admin".into();
    assert_eq!(driver.delete_acls_of_topic("t", Some("User:b")), 1);
    driver.restart();
    driver.context.principal = "User:b".into();
    assert_eq!(
        driver.fetch("t", 0, 0, 0).error_code,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
    );
}

#[test]
fn scram_credentials_are_kept_without_what_would_pass_for_the_user() {
    let mut driver = Driver::new();
    let upsert =
        |name: &str, mechanism: i8, iterations: i32| alter_user_scram_credentials::ScramCredentialUpsertion {
            name: name.into(),
            mechanism,
            iterations,
            salt: Bytes::from_static(b"salt"),
            salted_password: Bytes::from_static(b"salted password"),
        };
    let request = AlterUserScramCredentialsRequest {
        deletions: vec![alter_user_scram_credentials::ScramCredentialDeletion {
            name: "gone".into(),
            mechanism: 1,
        }],
        upsertions: vec![
            upsert("a", 1, 4096),
            upsert("few", 1, 100),
            upsert("odd", 9, 4096),
            upsert("", 1, 4096),
        ],
    };
    let results = driver.call(request).results;
    let codes: Vec<(KafkaString, ErrorCode)> = results
        .into_iter()
        .map(|each| (each.user, each.error_code))
        .collect();
    let expected = [
        ("", ErrorCode::UNACCEPTABLE_CREDENTIAL),
        ("a", ErrorCode::NONE),
        ("few", ErrorCode::UNACCEPTABLE_CREDENTIAL),
        ("gone", ErrorCode::RESOURCE_NOT_FOUND),
        ("odd", ErrorCode::UNSUPPORTED_SASL_MECHANISM),
    ];
    assert_eq!(
        codes,
        expected.map(|(name, code)| (KafkaString::from(name), code))
    );
    driver.restart();
    let credential = driver
        .broker
        .scram_credential("a", ScramMechanism::Sha256)
        .unwrap();
    assert_eq!(
        (
            &credential.salt[..],
            credential.iterations,
            credential.stored_key.len()
        ),
        (&b"salt"[..], 4096, 32)
    );
    assert!(
        driver
            .broker
            .scram_credential("a", ScramMechanism::Sha512)
            .is_none()
    );
    assert!(!format!("{credential:?}").contains("key"));
    for (path, _) in driver.storage.files() {
        use millstream_types::storage::Storage;
        let content = driver.storage.read(&path).unwrap();
        assert!(
            !content.windows(15).any(|window| window == b"salted password"),
            "{path}"
        );
    }
    let users = Some(vec![describe_user_scram_credentials::UserName {
        name: "a".into(),
    }]);
    let described = driver.call(DescribeUserScramCredentialsRequest { users });
    assert_eq!(described.results[0].credential_infos[0].iterations, 4096);
}

#[test]
fn quotas_are_set_described_and_removed() {
    let mut driver = Driver::new();
    let alter = |driver: &mut Driver, user: Option<&str>, key: &str, value: f64, remove: bool| {
        let entity = vec![alter_client_quotas::RequestEntityData {
            entity_type: "user".into(),
            entity_name: user.map(Into::into),
        }];
        let ops = vec![alter_client_quotas::OpData {
            key: key.into(),
            value,
            remove,
        }];
        let entries = vec![alter_client_quotas::RequestEntryData { entity, ops }];
        driver
            .call(AlterClientQuotasRequest {
                entries,
                validate_only: false,
            })
            .entries[0]
            .error_code
    };
    assert_eq!(
        alter(&mut driver, Some("a"), "producer_byte_rate", 1000.0, false),
        ErrorCode::NONE
    );
    assert_eq!(
        alter(&mut driver, None, "consumer_byte_rate", 5.0, false),
        ErrorCode::NONE
    );
    assert_eq!(
        alter(&mut driver, Some("a"), "nonsense", 5.0, false),
        ErrorCode::INVALID_REQUEST
    );
    assert_eq!(
        alter(&mut driver, Some("a"), "producer_byte_rate", -5.0, false),
        ErrorCode::INVALID_REQUEST
    );
    driver.crash();
    let all = DescribeClientQuotasRequest {
        components: Vec::new(),
        strict: false,
    };
    assert_eq!(driver.call(all.clone()).entries.unwrap().len(), 2);
    let component = describe_client_quotas::ComponentData {
        entity_type: "user".into(),
        match_type: 0,
        r#match: Some("a".into()),
    };
    let exact = DescribeClientQuotasRequest {
        components: vec![component],
        strict: true,
    };
    assert_eq!(driver.call(exact).entries.unwrap()[0].values[0].value, 1000.0);
    assert_eq!(
        alter(&mut driver, Some("a"), "producer_byte_rate", 0.0, true),
        ErrorCode::NONE
    );
    driver.restart();
    assert_eq!(driver.call(all).entries.unwrap().len(), 1);
}

#[test]
fn requests_for_clusters_are_served_for_one_node() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    let partitions = vec![elect_leaders::TopicPartitions {
        topic: "t".into(),
        partitions: vec![0, 5],
    }];
    let request = ElectLeadersRequest {
        topic_partitions: Some(partitions),
        ..Default::default()
    };
    let results = driver.call(request).replica_election_results;
    let codes: Vec<ErrorCode> = results[0]
        .partition_result
        .iter()
        .map(|each| each.error_code)
        .collect();
    assert_eq!(
        codes,
        [
            ErrorCode::ELECTION_NOT_NEEDED,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        ]
    );
    let listed = driver.call(ListPartitionReassignmentsRequest::default());
    assert!(listed.error_code.is_none() && listed.topics.is_empty());
    let topic = describe_quorum::RequestTopicData {
        topic_name: "__cluster_metadata".into(),
        partitions: vec![describe_quorum::RequestPartitionData { partition_index: 0 }],
    };
    for version in 0..=2 {
        let request = DescribeQuorumRequest {
            topics: vec![topic.clone()],
        };
        assert_eq!(
            driver.call_version(version, request).topics[0].partitions[0].leader_id,
            1
        );
    }
    let cluster = driver.call(DescribeClusterRequest {
        endpoint_type: 1,
        ..Default::default()
    });
    assert_eq!((cluster.brokers.len(), cluster.controller_id), (1, 1));
}
