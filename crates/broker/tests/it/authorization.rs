//! Kafka's table of what each request needs, row by row: with all permissions of a row it is let through, with any one of
//! them missing it is not, and super users need none.

use crate::consumer_groups::{Client, Owned};
use crate::driver::Driver;
use bytes::Bytes;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString, Request, Uuid};

mod rows;
mod successors;

const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const TRANSACTIONAL_ID: i8 = 5;

const READ: i8 = 3;
const WRITE: i8 = 4;
const CREATE: i8 = 5;
const DELETE: i8 = 6;
const ALTER: i8 = 7;
const DESCRIBE: i8 = 8;
const CLUSTER_ACTION: i8 = 9;
const DESCRIBE_CONFIGS: i8 = 10;
const ALTER_CONFIGS: i8 = 11;
const IDEMPOTENT_WRITE: i8 = 12;
const TWO_PHASE_COMMIT: i8 = 15;

const USER: &str = "User:u";

fn acl(resource_type: i8, operation: i8) -> create_acls::AclCreation {
    let resource_name = match resource_type {
        TOPIC => "t",
        GROUP => "g",
        CLUSTER => "kafka-cluster",
        _ => "x",
    };
    create_acls::AclCreation {
        resource_type,
        resource_name: resource_name.into(),
        resource_pattern_type: 3,
        principal: USER.into(),
        host: "*".into(),
        operation,
        permission_type: 3,
    }
}

fn start() -> Driver {
    let mut driver = Driver::with(&[
        ("authorizer.class.name", "acl"),
        ("super.users", "User:root"),
        ("transaction.two.phase.commit.enable", "true"),
    ]);
    driver.context.principal = "User:root".into();
    driver.create("t", 1);
    // A transaction that is open, so that requests about it get further than to its absence.
    let init = init_producer("x");
    driver.reply(4, init);
    driver.reply(3, add_partitions());
    // And a group that has read something.
    driver.reply(9, commit("t"));
    driver
}

/// Whether a response contains a denial.
fn is_denied(driver: &mut Driver, version: i16, request: Request) -> bool {
    let reply = format!("{:?}", driver.reply(version, request));
    reply.contains("AUTHORIZATION_FAILED")
}

fn grant(driver: &mut Driver, rights: &[(i8, i8)]) {
    driver.context.principal = "User:root".into();
    let creations = rights
        .iter()
        .map(|(resource, operation)| acl(*resource, *operation))
        .collect();
    driver.call(CreateAclsRequest { creations });
    driver.context.principal = USER.into();
}

fn init_producer(id: &str) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: (!id.is_empty()).then(|| id.into()),
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    }
}

fn add_partitions() -> AddPartitionsToTxnRequest {
    AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: "x".into(),
        v3_and_below_topics: vec![add_partitions_to_txn::AddPartitionsToTxnTopic {
            name: "t".into(),
            partitions: vec![0],
        }],
        ..Default::default()
    }
}

fn commit(topic: &str) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![offset_commit::OffsetCommitRequestTopic {
            name: topic.into(),
            partitions: vec![Default::default()],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn produce(records: Bytes, transactional_id: Option<&str>) -> ProduceRequest {
    ProduceRequest {
        transactional_id: transactional_id.map(Into::into),
        acks: -1,
        topic_data: vec![produce::TopicProduceData {
            name: "t".into(),
            topic_id: Uuid::ZERO,
            partition_data: vec![produce::PartitionProduceData {
                index: 0,
                records: Some(records),
            }],
        }],
        ..Default::default()
    }
}

fn t() -> KafkaString {
    "t".into()
}

fn configs_of(resource_type: i8, name: &str) -> DescribeConfigsRequest {
    DescribeConfigsRequest {
        resources: vec![describe_configs::DescribeConfigsResource {
            resource_type,
            resource_name: name.into(),
            configuration_keys: None,
        }],
        ..Default::default()
    }
}

fn alter_of(resource_type: i8, name: &str) -> IncrementalAlterConfigsRequest {
    IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs::AlterConfigsResource {
            resource_type,
            resource_name: name.into(),
            configs: Vec::new(),
        }],
        validate_only: true,
    }
}

#[test]
fn every_request_needs_what_kafka_says() {
    for rows in rows::all() {
        for (request, version, needed) in rows {
            let name = format!("{:?} with {needed:?}", request.api_key());
            for missing in 0..needed.len() {
                let mut driver = start();
                let mut rights = needed.to_vec();
                rights.remove(missing);
                grant(&mut driver, &rights);
                assert!(
                    is_denied(&mut driver, version, request.clone()),
                    "{name} without {missing}"
                );
            }
            let mut driver = start();
            grant(&mut driver, needed);
            assert!(!is_denied(&mut driver, version, request.clone()), "{name}");
            let mut driver = start();
            assert!(
                !is_denied(&mut driver, version, request),
                "{name} by a super user"
            );
        }
    }
}

#[test]
fn what_one_may_not_see_is_left_out_of_lists() {
    let mut driver = start();
    driver.create("hidden", 1);
    driver.reply(9, commit("hidden"));
    let seen = |driver: &mut Driver| {
        let groups = driver.call(ListGroupsRequest::default()).groups.len();
        let transactions = driver.call(ListTransactionsRequest {
            duration_filter: -1,
            ..Default::default()
        });
        let all = OffsetFetchRequest {
            groups: vec![offset_fetch::OffsetFetchRequestGroup {
                group_id: "g".into(),
                member_epoch: -1,
                topics: None,
                ..Default::default()
            }],
            ..Default::default()
        };
        let offsets = driver.call_version(9, all).groups.remove(0).topics.len();
        let topics = driver.call(MetadataRequest {
            topics: None,
            ..Default::default()
        });
        (
            groups,
            transactions.transaction_states.len(),
            offsets,
            topics.topics.len(),
        )
    };
    assert_eq!(seen(&mut driver), (1, 1, 2, 2));
    grant(&mut driver, &[(GROUP, DESCRIBE)]);
    assert_eq!(seen(&mut driver), (1, 0, 0, 0));
    grant(&mut driver, &[(TOPIC, READ), (TRANSACTIONAL_ID, DESCRIBE)]);
    assert_eq!(seen(&mut driver), (1, 1, 1, 1));
}

#[test]
fn a_name_that_one_may_not_see_is_denied_whether_there_is_such_a_topic_or_not() {
    let mut driver = start();
    driver.context.principal = USER.into();
    for name in ["t", "missing"] {
        let records = crate::driver::batch(driver.now, &["a"]);
        let mut request = produce(records, None);
        request.topic_data[0].name = name.into();
        let response = driver.call_version(9, request);
        let code = response.responses[0].partition_responses[0].error_code;
        assert_eq!(code, ErrorCode::TOPIC_AUTHORIZATION_FAILED, "{name}");
    }
}

#[test]
fn authorized_operations_are_those_that_are_authorized() {
    let mut driver = start();
    let asked = |driver: &mut Driver| {
        let metadata = driver.call_version(
            10,
            MetadataRequest {
                topics: Some(vec![metadata::MetadataRequestTopic {
                    name: Some(t()),
                    ..Default::default()
                }]),
                include_cluster_authorized_operations: true,
                include_topic_authorized_operations: true,
                ..Default::default()
            },
        );
        (
            metadata.topics[0].topic_authorized_operations,
            metadata.cluster_authorized_operations,
        )
    };
    assert_eq!(asked(&mut driver), (0x0df8, 0x1fa0));
    grant(&mut driver, &[(TOPIC, READ)]);
    assert_eq!(asked(&mut driver), (1 << READ | 1 << DESCRIBE, 0));
    grant(&mut driver, &[(CLUSTER, ALTER)]);
    assert_eq!(asked(&mut driver).1, 1 << ALTER | 1 << DESCRIBE);
}

/// A delayed fetch wakes up outside of any request: it is not authorised again.
#[test]
fn a_fetch_that_waits_is_not_given_what_it_may_not_read() {
    for by_id in [false, true] {
        for is_woken in [false, true] {
            let mut driver = start();
            driver.create("secret", 1);
            driver.append("secret", 0, &["hidden"]);
            grant(&mut driver, &[(TOPIC, READ)]);
            let mut request = driver.fetch_request("t", 0, 0);
            request.topics.extend(driver.fetch_request("secret", 0, 0).topics);
            (request.min_bytes, request.max_wait_ms) = (1, 100);
            let version = if by_id { 13 } else { 12 };
            if !by_id {
                for (topic, name) in request.topics.iter_mut().zip(["t", "secret"]) {
                    (topic.topic, topic.topic_id) = (name.into(), Uuid::ZERO);
                }
            }
            let ticket = driver.park(version, request);
            if is_woken {
                driver.context.principal = "User:root".into();
                driver.append("t", 0, &["seen"]);
                driver.context.principal = USER.into();
            }
            driver.advance(200);
            let response = driver.taken::<FetchRequest>(version, ticket).unwrap();
            let given: Vec<(ErrorCode, usize)> = response
                .responses
                .iter()
                .map(|topic| &topic.partitions[0])
                .map(|part| (part.error_code, part.records.as_ref().map_or(0, Bytes::len)))
                .collect();
            assert_eq!(given[0].0, ErrorCode::NONE);
            assert_eq!(given[0].1 > 0, is_woken);
            assert_eq!(
                given[1],
                (ErrorCode::TOPIC_AUTHORIZATION_FAILED, 0),
                "by id: {by_id}, woken: {is_woken}"
            );
        }
    }
}

#[test]
fn a_deletion_tells_the_name_of_a_topic_to_those_who_may_see_it() {
    let none: &[(i8, i8)] = &[];
    for (rights, by_id, by_name, missing) in [
        (none, (29, ""), 29, 29),
        (&[(TOPIC, DESCRIBE)], (29, "t"), 29, 29),
        (&[(TOPIC, DELETE)], (0, "t"), 0, 29),
        (&[(CLUSTER, DELETE)], (0, "t"), 0, 3),
    ] {
        let delete = |state: &dyn Fn(&Driver) -> delete_topics::DeleteTopicState| {
            let mut driver = start();
            grant(&mut driver, rights);
            let topics = vec![state(&driver)];
            let mut response = driver.call(DeleteTopicsRequest {
                topics,
                ..Default::default()
            });
            let result = response.responses.remove(0);
            let is_left = driver.broker.topics().by_name(&t()).is_some();
            assert_eq!(is_left, result.error_code.is_error(), "{rights:?}");
            (result.error_code, result.name.unwrap_or_default())
        };
        let named = |name: &str| delete_topics::DeleteTopicState {
            name: Some(name.into()),
            ..Default::default()
        };
        let found = delete(&|driver| delete_topics::DeleteTopicState {
            name: None,
            topic_id: driver.topic_id("t"),
        });
        assert_eq!(found, (ErrorCode(by_id.0), by_id.1.into()), "{rights:?}");
        assert_eq!(delete(&|_| named("t")).0, ErrorCode(by_name), "{rights:?}");
        assert_eq!(delete(&|_| named("missing")).0, ErrorCode(missing), "{rights:?}");
    }
}

/// A heartbeat of a member that reads all topics, sent by this principal.
fn beat_as(driver: &mut Driver, principal: &str, client: &mut Client) -> Owned {
    driver.context.principal = principal.into();
    let response = driver.call(ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(".*".into()),
        ..client.full()
    });
    assert_eq!(client.take(response), ErrorCode::NONE);
    client.reconcile();
    client.owned.clone()
}

#[test]
fn a_regular_expression_matches_only_what_its_member_may_describe() {
    let mut driver = start();
    driver.create("hidden", 1);
    let owned = |driver: &Driver, names: &[&str]| -> Owned {
        names.iter().map(|name| (driver.topic_id(name), 0)).collect()
    };
    let (t, hidden) = (owned(&driver, &["t"]), owned(&driver, &["hidden"]));
    let both = owned(&driver, &["t", "hidden"]);
    grant(&mut driver, &[(GROUP, READ), (TOPIC, DESCRIBE)]);
    let (mut user, mut root) = (Client::new("u", &[]), Client::new("r", &[]));
    assert_eq!(beat_as(&mut driver, USER, &mut user), t);
    assert_eq!(beat_as(&mut driver, "User:root", &mut root), hidden, "it is free");
    assert_eq!(beat_as(&mut driver, USER, &mut user), t);
    driver.restart();
    let epoch = root.epoch;
    // The other one is looked at with its own eyes before it is heard of.
    assert_eq!(beat_as(&mut driver, "User:root", &mut root), hidden);
    assert_eq!(beat_as(&mut driver, USER, &mut user), t);
    assert_eq!((user.epoch, root.epoch), (epoch, epoch), "no rebalance");
    root.epoch = -1;
    driver.context.principal = "User:root".into();
    driver.call(root.full());
    assert_eq!(
        beat_as(&mut driver, USER, &mut user),
        t,
        "and no member reads the rest"
    );
    let acl = create_acls::AclCreation {
        resource_name: "hidden".into(),
        ..acl(TOPIC, DESCRIBE)
    };
    driver.context.principal = "User:root".into();
    driver.call(CreateAclsRequest { creations: vec![acl] });
    assert_eq!(beat_as(&mut driver, USER, &mut user), both);
    driver.context.principal = "User:root".into();
    assert_eq!(driver.delete_acls_of_topic("hidden", None), 1);
    assert_eq!(
        beat_as(&mut driver, USER, &mut user),
        t,
        "what it may see no longer is taken away"
    );
}
