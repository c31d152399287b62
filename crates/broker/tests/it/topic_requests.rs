//! What requests about topics are refused for, in Kafka's codes, sentences and order.

use crate::driver::Driver;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};

const REQUEST: ErrorCode = ErrorCode::INVALID_REQUEST;
const ASSIGNMENT: ErrorCode = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
const UNKNOWN: ErrorCode = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;

fn text(message: Option<KafkaString>) -> String {
    message.unwrap_or_default().to_string()
}

fn names(driver: &Driver) -> Vec<String> {
    let topics = driver.broker.topics().iter();
    topics.map(|topic| topic.name.to_string()).collect()
}

/// A topic by its name (or none) and by the id of the topic of this name (or none).
fn state(driver: &Driver, (name, id_of): (&str, &str)) -> delete_topics::DeleteTopicState {
    delete_topics::DeleteTopicState {
        name: (!name.is_empty()).then(|| name.into()),
        topic_id: match id_of {
            "?" => Uuid::from_u128(7),
            name => driver.topic_id(name),
        },
    }
}

#[test]
fn a_request_that_names_topics_unclearly_deletes_none_of_them() {
    type Row<'a> = (
        &'a [(&'a str, &'a str)],
        &'a [(&'a str, ErrorCode, &'a str)],
        &'a [&'a str],
    );
    let none = ErrorCode::NONE;
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (&[("a", "b")], &[("a", REQUEST, "You may not specify both topic name and topic id.")], &["a", "b", "c"]),
        (&[("a", "a")], &[("a", REQUEST, "You may not specify both topic name and topic id.")], &["a", "b", "c"]),
        (&[("a", ""), ("a", "")], &[("a", REQUEST, "Duplicate topic name.")], &["a", "b", "c"]),
        (&[("a", ""), ("b", ""), ("a", ""), ("a", "")], &[("a", REQUEST, "Duplicate topic name."), ("b", none, "")], &["a", "c"]),
        (&[("", "a"), ("", "a")], &[("", REQUEST, "Duplicate topic id.")], &["a", "b", "c"]),
        (&[("", "a"), ("a", "")], &[("a", REQUEST, "The provided topic name maps to an ID that was already supplied.")], &["a", "b", "c"]),
        (&[("", "a"), ("", "a"), ("a", "")], &[("", REQUEST, "Duplicate topic id."), ("a", REQUEST, "The provided topic name maps to an ID that was already supplied.")], &["a", "b", "c"]),
        (&[("", "")], &[("", REQUEST, "Neither topic name nor id were specified.")], &["a", "b", "c"]),
        (&[("", "?")], &[("", ErrorCode::UNKNOWN_TOPIC_ID, "This server does not host this topic ID.")], &["a", "b", "c"]),
        (&[("x", ""), ("c", "")], &[("x", UNKNOWN, "This server does not host this topic-partition."), ("c", none, "")], &["a", "b"]),
        (&[("", "a"), ("b", "")], &[("a", none, ""), ("b", none, "")], &["c"]),
    ];
    for (asked, expected, left) in rows {
        let mut driver = Driver::new();
        for name in ["a", "b", "c"] {
            driver.create(name, 1);
        }
        let topics = asked.iter().map(|each| state(&driver, *each)).collect();
        let response = driver.call(DeleteTopicsRequest {
            topics,
            ..Default::default()
        });
        let result = |each: delete_topics::DeletableTopicResult| {
            (text(each.name), each.error_code, text(each.error_message))
        };
        let found: Vec<_> = response.responses.into_iter().map(result).collect();
        let expected = expected.iter();
        let expected: Vec<_> = expected
            .map(|(name, code, message)| ((*name).to_owned(), *code, (*message).to_owned()))
            .collect();
        assert_eq!(
            (found, names(&driver)),
            (expected, left.iter().map(ToString::to_string).collect()),
            "{asked:?}"
        );
    }
}

#[test]
fn names_of_older_deletions_are_taken_once_and_deletion_may_be_disabled() {
    for (enabled, version, topics, code) in [
        ("true", 1, vec!["a", "a"], REQUEST),
        ("true", 5, vec!["a", "a"], REQUEST),
        ("true", 5, vec!["a"], ErrorCode::NONE),
        ("false", 1, vec!["a"], REQUEST),
        ("false", 2, vec!["a"], REQUEST),
        ("false", 3, vec!["a"], ErrorCode::TOPIC_DELETION_DISABLED),
        ("false", 5, vec!["a"], ErrorCode::TOPIC_DELETION_DISABLED),
    ] {
        let mut driver = Driver::with(&[("delete.topic.enable", enabled)]);
        driver.create("a", 1);
        let response = driver.call_version(
            version,
            DeleteTopicsRequest {
                topic_names: topics.into_iter().map(Into::into).collect(),
                ..Default::default()
            },
        );
        let codes: Vec<ErrorCode> = response.responses.iter().map(|each| each.error_code).collect();
        assert_eq!(codes, [code], "{enabled} {version}");
        assert_eq!(names(&driver).is_empty(), code.is_none());
    }
}

fn topic(name: &str, partitions: i32, factor: i16) -> create_topics::CreatableTopic {
    create_topics::CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: factor,
        ..Default::default()
    }
}

/// A topic with named replicas.
fn assigned(partitions: i32, factor: i16, replicas: &[(i32, &[i32])]) -> create_topics::CreatableTopic {
    let assignment = |(partition_index, brokers): &(i32, &[i32])| create_topics::CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: brokers.to_vec(),
    };
    create_topics::CreatableTopic {
        assignments: replicas.iter().map(assignment).collect(),
        ..topic("new", partitions, factor)
    }
}

fn with_configs(
    topic: create_topics::CreatableTopic,
    configs: &[(&str, Option<&str>)],
) -> create_topics::CreatableTopic {
    let config = |(name, value): &(&str, Option<&str>)| create_topics::CreatableTopicConfig {
        name: (*name).into(),
        value: value.map(Into::into),
    };
    create_topics::CreatableTopic {
        configs: configs.iter().map(config).collect(),
        ..topic
    }
}

fn create(driver: &mut Driver, topics: Vec<create_topics::CreatableTopic>) -> Vec<(ErrorCode, String)> {
    let response = driver.call(CreateTopicsRequest {
        topics,
        timeout_ms: 1000,
        validate_only: false,
    });
    let topics = response.topics.into_iter();
    topics
        .map(|topic| (topic.error_code, text(topic.error_message)))
        .collect()
}

#[test]
fn topics_are_refused_in_kafkas_words_and_order() {
    let mut driver = Driver::new();
    driver.create("t", 1);
    driver.create("a.b", 1);
    let nulls = [("retention.ms", None), ("segment.ms", None)];
    let unknown = [("nonsense", Some("1"))];
    let invalid = ErrorCode::INVALID_TOPIC_EXCEPTION;
    let config = ErrorCode::INVALID_CONFIG;
    #[rustfmt::skip]
    let rows = [
        (topic("__cluster_metadata", 1, 1), REQUEST, "Creation of internal topic __cluster_metadata is prohibited."),
        (with_configs(topic("t", 0, 0), &nulls), ErrorCode::TOPIC_ALREADY_EXISTS, "Topic 't' already exists."),
        (with_configs(topic("a_b", 0, 0), &nulls), invalid, "Topic 'a_b' collides with existing topic: a.b"),
        (with_configs(topic("..", 0, 0), &nulls), invalid, "Topic name is invalid: '..' is not allowed"),
        (with_configs(topic("new", 0, 0), &nulls), config, "Null value not supported for topic configs: retention.ms,segment.ms"),
        (with_configs(topic("new", 0, 0), &unknown), config, "Unknown topic config name: nonsense"),
        (topic("new", 0, 0), ErrorCode::INVALID_REPLICATION_FACTOR, "Replication factor must be larger than 0, or -1 to use the default value."),
        (topic("new", 1, -2), ErrorCode::INVALID_REPLICATION_FACTOR, "Replication factor must be larger than 0, or -1 to use the default value."),
        (topic("new", 0, 1), ErrorCode::INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."),
        (topic("new", -2, -1), ErrorCode::INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."),
        (topic("new", 10_001, 1), ErrorCode::POLICY_VIOLATION, "Excessively large number of partitions per request."),
        (assigned(1, 1, &[(0, &[7])]), REQUEST, "A manual partition assignment was specified, but replication factor was not set to -1."),
        (assigned(1, -1, &[(0, &[7])]), REQUEST, "A manual partition assignment was specified, but numPartitions was not set to -1."),
        (assigned(-1, -1, &[(0, &[1]), (0, &[1])]), ASSIGNMENT, "Found multiple manual partition assignments for partition 0"),
        (assigned(-1, -1, &[(0, &[1]), (2, &[1])]), ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence"),
        (assigned(-1, -1, &[(0, &[1]), (1, &[])]), ASSIGNMENT, "The manual partition assignment includes an empty replica list."),
        (assigned(-1, -1, &[(0, &[1, 7])]), ASSIGNMENT, "The manual partition assignment includes broker 7, but no such broker is registered."),
        (assigned(-1, -1, &[(0, &[1, 1, 0])]), ASSIGNMENT, "The manual partition assignment includes broker 0, but no such broker is registered."),
        (assigned(-1, -1, &[(0, &[1, 7, 1])]), ASSIGNMENT, "The manual partition assignment includes the broker 1 more than once."),
        (assigned(-1, -1, &[(0, &[1, 1])]), ASSIGNMENT, "The manual partition assignment includes the broker 1 more than once."),
        (assigned(-1, -1, &[(1, &[1]), (0, &[1])]), ErrorCode::NONE, ""),
    ];
    for (topic, code, message) in rows {
        let found = create(&mut driver, vec![topic.clone()]);
        assert_eq!(found, [(code, message.to_owned())], "{topic:?}");
    }
    assert_eq!(names(&driver), ["a.b", "new", "t"]);
    driver.delete_topic("a.b");
    let found = create(&mut driver, vec![topic("a_b", 1, 1), topic("a.b", 1, 1)]);
    let message = "Topic 'a.b' collides with existing topic: a_b".to_owned();
    assert_eq!(found, [(ErrorCode::NONE, String::new()), (invalid, message)]);
    let found = create(
        &mut driver,
        vec![topic("x", 0, 1), topic("y", 1, 1), topic("x", 1, 1)],
    );
    let repeated = (REQUEST, "Duplicate topic name.".to_owned());
    assert_eq!(found, [repeated, (ErrorCode::NONE, String::new())]);
    let found = create(
        &mut driver,
        vec![topic("p", 6_000, 1), topic("q", 4_001, 1), topic("r", 4_000, 1)],
    );
    let codes: Vec<ErrorCode> = found.into_iter().map(|(code, _)| code).collect();
    assert_eq!(
        codes,
        [ErrorCode::NONE, ErrorCode::POLICY_VIOLATION, ErrorCode::NONE]
    );
}

#[test]
fn partitions_are_refused_in_kafkas_words_and_order() {
    let mut driver = Driver::new();
    driver.create("t", 2);
    driver.create("u", 2);
    type Asked<'a> = (&'a str, i32, Option<&'a [&'a [i32]]>);
    type Row<'a> = (&'a [Asked<'a>], &'a [(ErrorCode, &'a str)]);
    let partitions = ErrorCode::INVALID_PARTITIONS;
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (&[("t", 3, None), ("u", 3, None), ("t", 4, None)], &[(REQUEST, "Duplicate topic name."), (ErrorCode::NONE, "")]),
        (&[("x", 3, None)], &[(UNKNOWN, "")]),
        (&[("t", 2, Some(&[]))], &[(partitions, "Topic already has 2 partition(s).")]),
        (&[("t", 1, None)], &[(partitions, "The topic t currently has 2 partition(s); 1 would not be an increase.")]),
        (&[("t", 4, Some(&[&[1]]))], &[(ASSIGNMENT, "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.")]),
        (&[("t", 3, Some(&[&[]]))], &[(ASSIGNMENT, "The manual partition assignment includes an empty replica list.")]),
        (&[("t", 3, Some(&[&[7]]))], &[(ASSIGNMENT, "The manual partition assignment includes broker 7, but no such broker is registered.")]),
        (&[("t", 3, Some(&[&[1, 1]]))], &[(ASSIGNMENT, "The manual partition assignment includes the broker 1 more than once.")]),
        (&[("t", 10_003, None)], &[(ErrorCode::POLICY_VIOLATION, "Excessively large number of partitions per request.")]),
        (&[("t", 3, Some(&[&[1]]))], &[(ErrorCode::NONE, "")]),
    ];
    for (asked, expected) in rows {
        let assignment = |brokers: &&[i32]| create_partitions::CreatePartitionsAssignment {
            broker_ids: brokers.to_vec(),
        };
        let topic = |(name, count, replicas): &Asked<'_>| create_partitions::CreatePartitionsTopic {
            name: (*name).into(),
            count: *count,
            assignments: replicas.map(|replicas| replicas.iter().map(assignment).collect()),
        };
        let response = driver.call(CreatePartitionsRequest {
            topics: asked.iter().map(topic).collect(),
            ..Default::default()
        });
        let results = response.results.into_iter();
        let found: Vec<_> = results
            .map(|each| (each.error_code, text(each.error_message)))
            .collect();
        let expected = expected
            .iter()
            .map(|(code, message)| (*code, (*message).to_owned()));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{asked:?}");
    }
    let sizes = driver.broker.topics().iter().map(|topic| topic.partitions.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [3, 3]);
}

fn metadata(topics: Vec<metadata::MetadataRequestTopic>) -> MetadataRequest {
    MetadataRequest {
        topics: Some(topics),
        allow_auto_topic_creation: true,
        ..Default::default()
    }
}

fn named(name: &str) -> metadata::MetadataRequestTopic {
    metadata::MetadataRequestTopic {
        name: Some(name.into()),
        ..Default::default()
    }
}

#[test]
fn older_metadata_without_a_name_or_by_id_is_refused_as_a_whole() {
    let mut driver = Driver::new();
    let id = driver.create("t", 1);
    let by_id = |name: Option<&str>, topic_id| metadata::MetadataRequestTopic {
        topic_id,
        name: name.map(Into::into),
    };
    for version in [10, 11] {
        for odd in [by_id(None, Uuid::ZERO), by_id(None, id), by_id(Some("t"), id)] {
            let response = driver.call_version(version, metadata(vec![named("t"), odd.clone(), named("u")]));
            let outcome = |each: metadata::MetadataResponseTopic| (each.name, each.topic_id, each.error_code);
            let found: Vec<_> = response.topics.into_iter().map(outcome).collect();
            let shown = Some(odd.name.unwrap_or_default());
            let expected = [
                (Some("t".into()), Uuid::ZERO, REQUEST),
                (shown, odd.topic_id, REQUEST),
                (Some("u".into()), Uuid::ZERO, REQUEST),
            ];
            assert_eq!(found, expected, "{version}");
            assert!(response.brokers.is_empty());
        }
    }
    assert_eq!(names(&driver), ["t"], "nothing is created");
}

#[test]
fn who_names_a_topic_by_its_id_asks_by_ids_alone() {
    let mut driver = Driver::new();
    let (t, u, none) = (driver.create("t", 1), driver.create("u", 1), Uuid::ZERO);
    let gone = Uuid::from_random(7);
    let known = |name: &str, id| (ErrorCode::NONE, Some(name.to_owned()), id);
    let cases = [
        (vec![(t, Some(""))], vec![known("t", t)]),
        (vec![(t, Some("u"))], vec![known("t", t)]),
        (
            vec![(t, Some("")), (u, Some(""))],
            vec![known("t", t), known("u", u)],
        ),
        (vec![(t, Some("")), (none, Some("u"))], vec![known("t", t)]),
        (vec![(t, None), (none, Some("u"))], vec![known("t", t)]),
        (vec![(t, Some("")), (t, None)], vec![known("t", t)]),
        (
            vec![(gone, Some(""))],
            vec![(ErrorCode::UNKNOWN_TOPIC_ID, None, gone)],
        ),
        (vec![(none, Some("u"))], vec![known("u", u)]),
    ];
    for (asked, expected) in cases {
        let topic = |(topic_id, name): &(Uuid, Option<&str>)| metadata::MetadataRequestTopic {
            topic_id: *topic_id,
            name: name.map(Into::into),
        };
        for version in [12, 13] {
            let request = metadata(asked.iter().map(topic).collect());
            let topics = driver.call_version(version, request).topics.into_iter();
            let outcome = |each: metadata::MetadataResponseTopic| {
                (
                    each.error_code,
                    each.name.map(|name| name.to_string()),
                    each.topic_id,
                )
            };
            let found: Vec<_> = topics.map(outcome).collect();
            assert_eq!(found, expected, "{asked:?}");
        }
    }
}

#[test]
fn topics_made_by_asking_are_those_that_creation_allows_and_are_charged() {
    let mut driver = Driver::with(&[("offsets.topic.num.partitions", "3"), ("num.partitions", "2")]);
    let key = "controller_mutation_rate";
    let response = driver.call(AlterClientQuotasRequest {
        entries: vec![alter_client_quotas::RequestEntryData {
            entity: vec![alter_client_quotas::RequestEntityData {
                entity_type: "user".into(),
                entity_name: Some("alice".into()),
            }],
            ops: vec![alter_client_quotas::OpData {
                key: key.into(),
                value: 0.5,
                remove: false,
            }],
        }],
        validate_only: false,
    });
    assert_eq!(response.entries[0].error_code, ErrorCode::NONE);
    driver.context.principal = "User:alice".into();
    // A burst of 5.5: the second topic overdraws it, and the third has to wait.
    for (name, exists) in [
        ("__cluster_metadata", false),
        ("__consumer_offsets", true),
        ("a", true),
        ("b", true),
        ("c", false),
    ] {
        let response = driver.call(metadata(vec![named(name)]));
        let outcome = (response.topics[0].error_code, response.throttle_time_ms);
        assert_eq!(outcome, (UNKNOWN, 0), "{name}");
        let topics = driver.broker.topics();
        assert_eq!(topics.by_name(&name.into()).is_some(), exists, "{name}");
    }
    let topics = driver.broker.topics();
    let sizes = topics.iter().map(|topic| topic.partitions.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [3, 2, 2]);
    let offsets = topics.by_name(&"__consumer_offsets".into()).unwrap();
    assert_eq!(offsets.configs["cleanup.policy"], "compact");
    driver.advance(5_000);
    driver.call(metadata(vec![named("c")]));
    assert_eq!(names(&driver).len(), 4, "its time has come");
}

#[test]
fn cursors_belong_to_the_topics_and_pages_end_at_the_brokers_limit() {
    let mut driver = Driver::with(&[("max.request.partition.size.limit", "3")]);
    driver.create("t", 5);
    let ask = |driver: &mut Driver, topics: &[&str], cursor: Option<(&str, i32)>| {
        let topic = |name: &&str| describe_topic_partitions::TopicRequest { name: (*name).into() };
        driver.call(DescribeTopicPartitionsRequest {
            topics: topics.iter().map(topic).collect(),
            response_partition_limit: 2_000,
            cursor: cursor.map(
                |(name, partition_index)| describe_topic_partitions::RequestCursor {
                    topic_name: name.into(),
                    partition_index,
                },
            ),
        })
    };
    let none = ErrorCode::NONE;
    for (topics, cursor, expected) in [
        (&["t"][..], None, vec![(none, 3)]),
        (&[], None, vec![(none, 3)]),
        (&["t"], Some(("t", 3)), vec![(none, 2)]),
        (&[], Some(("s", 0)), vec![(none, 3)]),
        (&["t", "u"], Some(("s", 0)), vec![(REQUEST, 0), (REQUEST, 0)]),
        (&["t"], Some(("t", -1)), vec![(REQUEST, 0)]),
        (&[], Some(("t", -1)), vec![]),
    ] {
        let response = ask(&mut driver, topics, cursor);
        let found = response.topics.iter();
        let found: Vec<_> = found
            .map(|topic| (topic.error_code, topic.partitions.len()))
            .collect();
        assert_eq!(found, expected, "{topics:?} {cursor:?}");
    }
}

#[test]
fn resources_of_configurations_are_refused_in_kafkas_words() {
    const TOPIC: i8 = 2;
    const BROKER: i8 = 4;
    const LOGGER: i8 = 8;
    const METRICS: i8 = 16;
    const GROUP: i8 = 32;
    let mut driver = Driver::new();
    driver.create("t", 1);
    #[rustfmt::skip]
    let rows = [
        (TOPIC, "t", ErrorCode::NONE, ""),
        (TOPIC, "x", UNKNOWN, ""),
        (TOPIC, "", ErrorCode::INVALID_TOPIC_EXCEPTION, "Topic name is invalid: the empty string is not allowed"),
        (TOPIC, "bad/name", ErrorCode::INVALID_TOPIC_EXCEPTION, "Topic name is invalid: 'bad/name' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"),
        (BROKER, "1", ErrorCode::NONE, ""),
        (BROKER, "", ErrorCode::NONE, ""),
        (BROKER, "abc", REQUEST, "Broker id must be an integer, but it is: abc"),
        (BROKER, "7", REQUEST, "Unexpected broker id, expected 1 or empty string, but received 7"),
        (LOGGER, "1", ErrorCode::NONE, ""),
        (LOGGER, "", REQUEST, "Broker id must not be empty"),
        (LOGGER, "abc", REQUEST, "Broker id must be an integer, but it is: abc"),
        (LOGGER, "7", REQUEST, "Unexpected broker id, expected 1 but received 7"),
        (METRICS, "", REQUEST, "Client metrics subscription name must not be empty"),
        (GROUP, "", REQUEST, "Group name must not be empty"),
    ];
    for (resource_type, name, code, message) in rows {
        let mut response = driver.call(describe_configs(&[(resource_type, name, None)]));
        let outcome = response.results.remove(0);
        let found = (outcome.error_code, text(outcome.error_message));
        assert_eq!(found, (code, message.to_owned()), "{resource_type} '{name}'");
    }
    let mut request = describe_configs(&[(TOPIC, "t", Some(&["retention.ms"])), (TOPIC, "t", Some(&[]))]);
    for include_documentation in [false, true] {
        request.include_documentation = include_documentation;
        let response = driver.call(request.clone());
        let sizes = response.results.iter().map(|each| each.configs.len());
        assert_eq!(sizes.collect::<Vec<_>>(), [1, 33], "no keys stand for all");
        let documentation = response.results[0].configs[0].documentation.clone();
        let expected = "Age of records that are deleted; -1 keeps all.";
        assert_eq!(
            documentation.as_deref(),
            include_documentation.then_some(expected)
        );
    }
}

type Resource<'a> = (i8, &'a str, Option<&'a [&'a str]>);

pub fn describe_configs(resources: &[Resource<'_>]) -> DescribeConfigsRequest {
    let resource = |(resource_type, name, keys): &Resource<'_>| describe_configs::DescribeConfigsResource {
        resource_type: *resource_type,
        resource_name: (*name).into(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).into()).collect()),
    };
    DescribeConfigsRequest {
        resources: resources.iter().map(resource).collect(),
        ..Default::default()
    }
}

#[test]
fn asking_for_topics_creates_no_more_than_one_request_may() {
    let mut driver = Driver::with(&[("num.partitions", "6000")]);
    for (asked, there) in [(&["a", "b", "c"][..], &["a"][..]), (&["c"], &["a", "c"])] {
        let response = driver.call(metadata(asked.iter().map(|name| named(name)).collect()));
        let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, vec![UNKNOWN; asked.len()], "{asked:?}");
        let topics = driver.broker.topics().iter();
        let names: Vec<_> = topics.map(|topic| topic.name.as_str().to_owned()).collect();
        assert_eq!(names, there, "{asked:?}");
    }
}
