//! The rows of Kafka's table.

use super::*;
use crate::driver::{batch_of, producer};
use millstream_kafka_wire::compression::Codec;
use millstream_kafka_wire::record_batch::BatchProducer;

/// A request, its version, and what it needs.
pub type Row = (Request, i16, &'static [(i8, i8)]);

/// The table.
pub fn all() -> [Vec<Row>; 5] {
    [clients(), groups(), transactions(), administration(), cluster()]
}

/// What producers, consumers and groups send.
fn clients() -> Vec<Row> {
    let now = 1_000_000;
    let transactional = BatchProducer {
        transactional: true,
        ..producer(0, 0, 0)
    };
    let plain = crate::driver::batch(now, &["a"]);
    let in_transaction = batch_of(transactional, Codec::None, now, &["a"]);
    let fetch = FetchRequest {
        max_bytes: 1000,
        topics: vec![fetch::FetchTopic {
            topic: t(),
            partitions: vec![fetch::FetchPartition {
                current_leader_epoch: -1,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let list_offsets = ListOffsetsRequest {
        topics: vec![list_offsets::ListOffsetsTopic {
            name: t(),
            partitions: vec![list_offsets::ListOffsetsPartition {
                timestamp: -1,
                current_leader_epoch: -1,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let metadata = MetadataRequest {
        topics: Some(vec![metadata::MetadataRequestTopic {
            name: Some(t()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let leader_epoch = OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![offset_for_leader_epoch::OffsetForLeaderTopic {
            topic: t(),
            partitions: vec![offset_for_leader_epoch::OffsetForLeaderPartition {
                current_leader_epoch: -1,
                ..Default::default()
            }],
        }],
    };
    let init_2pc = InitProducerIdRequest {
        enable2_pc: true,
        ..init_producer("x")
    };
    vec![
        (produce(plain, None).into(), 9, &[(TOPIC, WRITE)]),
        (
            produce(in_transaction, Some("x")).into(),
            9,
            &[(TOPIC, WRITE), (TRANSACTIONAL_ID, WRITE)],
        ),
        (fetch.into(), 12, &[(TOPIC, READ)]),
        (list_offsets.into(), 7, &[(TOPIC, DESCRIBE)]),
        (metadata.into(), 12, &[(TOPIC, DESCRIBE)]),
        (leader_epoch.into(), 4, &[(TOPIC, DESCRIBE)]),
        (init_producer("").into(), 4, &[(CLUSTER, IDEMPOTENT_WRITE)]),
        (init_producer("").into(), 4, &[(TOPIC, WRITE)]),
        (init_producer("x").into(), 4, &[(TRANSACTIONAL_ID, WRITE)]),
        (
            init_2pc.into(),
            6,
            &[(TRANSACTIONAL_ID, WRITE), (TRANSACTIONAL_ID, TWO_PHASE_COMMIT)],
        ),
    ]
}

fn groups() -> Vec<Row> {
    let group = || KafkaString::from("g");
    let offset_fetch = OffsetFetchRequest {
        groups: vec![offset_fetch::OffsetFetchRequestGroup {
            group_id: group(),
            member_epoch: -1,
            topics: Some(vec![offset_fetch::OffsetFetchRequestTopics {
                name: t(),
                partition_indexes: vec![0],
                ..Default::default()
            }]),
            ..Default::default()
        }],
        ..Default::default()
    };
    let coordinator = |key_type, key: &str| FindCoordinatorRequest {
        key_type,
        coordinator_keys: vec![key.into()],
        ..Default::default()
    };
    let subscribing = ConsumerGroupHeartbeatRequest {
        group_id: group(),
        member_id: "m".into(),
        rebalance_timeout_ms: 1000,
        subscribed_topic_names: Some(vec![t()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let offset_delete = OffsetDeleteRequest {
        group_id: group(),
        topics: vec![offset_delete::OffsetDeleteRequestTopic {
            name: t(),
            partitions: vec![Default::default()],
        }],
    };
    let of_group = |api: &str| -> Request {
        match api {
            "join" => JoinGroupRequest {
                group_id: group(),
                session_timeout_ms: 10_000,
                ..Default::default()
            }
            .into(),
            "sync" => SyncGroupRequest {
                group_id: group(),
                ..Default::default()
            }
            .into(),
            "leave" => LeaveGroupRequest {
                group_id: group(),
                ..Default::default()
            }
            .into(),
            _ => HeartbeatRequest {
                group_id: group(),
                ..Default::default()
            }
            .into(),
        }
    };
    let describe = DescribeGroupsRequest {
        groups: vec![group()],
        ..Default::default()
    };
    let describe_consumer = ConsumerGroupDescribeRequest {
        group_ids: vec![group()],
        ..Default::default()
    };
    let delete = DeleteGroupsRequest {
        groups_names: vec![group()],
    };
    vec![
        (commit("t").into(), 9, &[(GROUP, READ), (TOPIC, READ)]),
        (offset_fetch.into(), 9, &[(GROUP, DESCRIBE), (TOPIC, DESCRIBE)]),
        (coordinator(0, "g").into(), 4, &[(GROUP, DESCRIBE)]),
        (coordinator(1, "x").into(), 4, &[(TRANSACTIONAL_ID, DESCRIBE)]),
        (of_group("join"), 3, &[(GROUP, READ)]),
        (of_group("sync"), 3, &[(GROUP, READ)]),
        (of_group("leave"), 3, &[(GROUP, READ)]),
        (of_group("heartbeat"), 3, &[(GROUP, READ)]),
        (subscribing.into(), 1, &[(GROUP, READ), (TOPIC, DESCRIBE)]),
        (describe.into(), 5, &[(GROUP, DESCRIBE)]),
        (describe_consumer.into(), 0, &[(GROUP, DESCRIBE)]),
        (offset_delete.into(), 0, &[(GROUP, DELETE), (TOPIC, READ)]),
        (delete.into(), 2, &[(GROUP, DELETE)]),
    ]
}

fn transactions() -> Vec<Row> {
    let many = AddPartitionsToTxnRequest {
        transactions: vec![add_partitions_to_txn::AddPartitionsToTxnTransaction {
            transactional_id: "x".into(),
            topics: add_partitions().v3_and_below_topics,
            verify_only: true,
            ..Default::default()
        }],
        ..Default::default()
    };
    let add_offsets = AddOffsetsToTxnRequest {
        transactional_id: "x".into(),
        group_id: "g".into(),
        ..Default::default()
    };
    let commit = TxnOffsetCommitRequest {
        transactional_id: "x".into(),
        group_id: "g".into(),
        generation_id: -1,
        topics: vec![txn_offset_commit::TxnOffsetCommitRequestTopic {
            name: t(),
            partitions: vec![Default::default()],
        }],
        ..Default::default()
    };
    let end = EndTxnRequest {
        transactional_id: "x".into(),
        ..Default::default()
    };
    let describe = DescribeTransactionsRequest {
        transactional_ids: vec!["x".into()],
    };
    let producers = DescribeProducersRequest {
        topics: vec![describe_producers::TopicRequest {
            name: t(),
            partition_indexes: vec![0],
        }],
    };
    let markers = || WriteTxnMarkersRequest {
        markers: vec![write_txn_markers::WritableTxnMarker {
            producer_id: 77,
            topics: vec![write_txn_markers::WritableTxnMarkerTopic {
                name: t(),
                partition_indexes: vec![0],
            }],
            ..Default::default()
        }],
    };
    vec![
        (
            add_partitions().into(),
            3,
            &[(TRANSACTIONAL_ID, WRITE), (TOPIC, WRITE)],
        ),
        (
            many.into(),
            5,
            &[
                (CLUSTER, CLUSTER_ACTION),
                (TRANSACTIONAL_ID, WRITE),
                (TOPIC, WRITE),
            ],
        ),
        (add_offsets.into(), 3, &[(TRANSACTIONAL_ID, WRITE), (GROUP, READ)]),
        (
            commit.into(),
            3,
            &[(TRANSACTIONAL_ID, WRITE), (GROUP, READ), (TOPIC, READ)],
        ),
        (describe.into(), 0, &[(TRANSACTIONAL_ID, DESCRIBE)]),
        (producers.into(), 0, &[(TOPIC, READ)]),
        (markers().into(), 1, &[(CLUSTER, CLUSTER_ACTION)]),
        (markers().into(), 1, &[(CLUSTER, ALTER)]),
        (end.into(), 3, &[(TRANSACTIONAL_ID, WRITE)]),
    ]
}

fn administration() -> Vec<Row> {
    let new = |name: &str| CreateTopicsRequest {
        topics: vec![create_topics::CreatableTopic {
            name: name.into(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }],
        validate_only: true,
        ..Default::default()
    };
    let partitions = CreatePartitionsRequest {
        topics: vec![create_partitions::CreatePartitionsTopic {
            name: t(),
            count: 2,
            assignments: None,
        }],
        validate_only: true,
        ..Default::default()
    };
    let records = DeleteRecordsRequest {
        topics: vec![delete_records::DeleteRecordsTopic {
            name: t(),
            partitions: vec![Default::default()],
        }],
        ..Default::default()
    };
    let pages = DescribeTopicPartitionsRequest {
        topics: vec![describe_topic_partitions::TopicRequest { name: t() }],
        response_partition_limit: 10,
        cursor: None,
    };
    let delete_by_name = DeleteTopicsRequest {
        topic_names: vec![t()],
        ..Default::default()
    };
    let alter = AlterConfigsRequest {
        resources: vec![alter_configs::AlterConfigsResource {
            resource_type: 2,
            resource_name: t(),
            configs: Vec::new(),
        }],
        validate_only: true,
    };
    vec![
        (new("t").into(), 4, &[(TOPIC, CREATE)]),
        (new("other").into(), 4, &[(CLUSTER, CREATE)]),
        (partitions.into(), 3, &[(TOPIC, ALTER)]),
        (records.into(), 2, &[(TOPIC, DELETE)]),
        (pages.into(), 0, &[(TOPIC, DESCRIBE)]),
        (configs_of(2, "t").into(), 4, &[(TOPIC, DESCRIBE_CONFIGS)]),
        (configs_of(4, "1").into(), 4, &[(CLUSTER, DESCRIBE_CONFIGS)]),
        (configs_of(32, "g").into(), 4, &[(GROUP, DESCRIBE_CONFIGS)]),
        (alter_of(2, "t").into(), 1, &[(TOPIC, ALTER_CONFIGS)]),
        (alter_of(4, "1").into(), 1, &[(CLUSTER, ALTER_CONFIGS)]),
        (alter_of(32, "g").into(), 1, &[(GROUP, ALTER_CONFIGS)]),
        (alter.into(), 2, &[(TOPIC, ALTER_CONFIGS)]),
        (
            ListConfigResourcesRequest::default().into(),
            1,
            &[(CLUSTER, DESCRIBE_CONFIGS)],
        ),
        (delete_by_name.into(), 5, &[(TOPIC, DELETE)]),
    ]
}

fn cluster() -> Vec<Row> {
    let all_acls = DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    let create_acls = CreateAclsRequest {
        creations: vec![acl(TOPIC, DESCRIBE)],
    };
    let delete_acls = DeleteAclsRequest {
        filters: vec![delete_acls::DeleteAclsFilter {
            resource_type_filter: 7,
            ..Default::default()
        }],
    };
    let elect = ElectLeadersRequest {
        topic_partitions: None,
        ..Default::default()
    };
    let move_replicas = AlterReplicaLogDirsRequest {
        dirs: vec![alter_replica_log_dirs::AlterReplicaLogDir {
            path: "/".into(),
            topics: vec![alter_replica_log_dirs::AlterReplicaLogDirTopic {
                name: t(),
                partitions: vec![0],
            }],
        }],
    };
    let quota = AlterClientQuotasRequest {
        entries: vec![alter_client_quotas::RequestEntryData {
            entity: vec![alter_client_quotas::RequestEntityData {
                entity_type: "user".into(),
                entity_name: None,
            }],
            ops: Vec::new(),
        }],
        validate_only: true,
    };
    let scram = AlterUserScramCredentialsRequest {
        deletions: vec![alter_user_scram_credentials::ScramCredentialDeletion {
            name: "stranger".into(),
            mechanism: 1,
        }],
        ..Default::default()
    };
    let quorum = DescribeQuorumRequest {
        topics: vec![describe_quorum::RequestTopicData {
            topic_name: "__cluster_metadata".into(),
            partitions: vec![Default::default()],
        }],
    };
    vec![
        (all_acls.into(), 3, &[(CLUSTER, DESCRIBE)]),
        (create_acls.into(), 3, &[(CLUSTER, ALTER)]),
        (delete_acls.into(), 3, &[(CLUSTER, ALTER)]),
        (
            DescribeLogDirsRequest { topics: None }.into(),
            4,
            &[(CLUSTER, DESCRIBE)],
        ),
        (elect.into(), 2, &[(CLUSTER, ALTER)]),
        (
            AlterPartitionReassignmentsRequest::default().into(),
            0,
            &[(CLUSTER, ALTER)],
        ),
        (
            ListPartitionReassignmentsRequest::default().into(),
            0,
            &[(CLUSTER, DESCRIBE)],
        ),
        (move_replicas.into(), 2, &[(CLUSTER, ALTER)]),
        (
            DescribeClientQuotasRequest::default().into(),
            1,
            &[(CLUSTER, DESCRIBE_CONFIGS)],
        ),
        (quota.into(), 1, &[(CLUSTER, ALTER_CONFIGS)]),
        (
            DescribeUserScramCredentialsRequest::default().into(),
            0,
            &[(CLUSTER, DESCRIBE)],
        ),
        (scram.into(), 0, &[(CLUSTER, ALTER)]),
        (quorum.into(), 1, &[(CLUSTER, DESCRIBE)]),
        (UpdateFeaturesRequest::default().into(), 1, &[(CLUSTER, ALTER)]),
    ]
}
