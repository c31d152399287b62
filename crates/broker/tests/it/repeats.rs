//! Requests that repeat themselves, or ask for much with little: the response is as long as there is something to say.

use crate::driver::Driver;
use crate::topic_requests::describe_configs;
use millstream_broker::Progress;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};

const TIMES: usize = 1_000;

fn names(name: &str) -> Vec<KafkaString> {
    vec![name.into(); TIMES]
}

/// A broker with a group `g` that has committed one offset, and a transactional id `x`.
fn driver() -> Driver {
    let mut driver = Driver::new();
    driver.create("t", 3);
    driver.append("t", 0, &["a"]);
    assert_eq!(driver.commit_offset(9, "t", ("", -1), (0, 1)), ErrorCode::NONE);
    driver.call(InitProducerIdRequest {
        transactional_id: Some("x".into()),
        transaction_timeout_ms: 1000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    });
    driver
}

#[test]
fn topics_that_metadata_names_twice_are_described_once() {
    let mut driver = driver();
    let id = driver.topic_id("t");
    let asked = |name: Option<&str>, topic_id| metadata::MetadataRequestTopic {
        name: name.map(Into::into),
        topic_id,
    };
    for (topic, versions) in [
        (asked(Some("t"), Uuid::ZERO), &[0, 4, 12, 13][..]),
        (asked(Some("nope"), Uuid::ZERO), &[4, 12, 13]),
        (asked(None, id), &[12, 13]),
        (asked(None, Uuid::from_u128(7)), &[12, 13]),
    ] {
        for version in versions {
            let request = MetadataRequest {
                topics: Some(vec![topic.clone(); TIMES]),
                ..Default::default()
            };
            let response = driver.call_version(*version, request);
            assert_eq!(response.topics.len(), 1, "{topic:?} {version}");
        }
    }
}

#[test]
fn groups_that_are_named_twice_are_described_once() {
    let mut driver = driver();
    let described = driver.call(DescribeGroupsRequest {
        groups: names("g"),
        ..Default::default()
    });
    assert_eq!(described.groups.len(), 1);
    let described = driver.call(ConsumerGroupDescribeRequest {
        group_ids: names("g"),
        ..Default::default()
    });
    assert_eq!(described.groups.len(), 1);
    let listed = driver.call(ListGroupsRequest {
        states_filter: names("EMPTY"),
        types_filter: names("Classic"),
    });
    assert_eq!(listed.groups.len(), 1);
}

#[test]
fn offsets_that_are_named_twice_are_described_once() {
    let mut driver = driver();
    let topic_id = driver.topic_id("t");
    let group = |topics| offset_fetch::OffsetFetchRequestGroup {
        group_id: "g".into(),
        member_epoch: -1,
        topics,
        ..Default::default()
    };
    let topic = |name: &str, topic_id| offset_fetch::OffsetFetchRequestTopics {
        name: name.into(),
        topic_id,
        partition_indexes: vec![0; 50],
    };
    for (version, topic) in [(8, topic("t", Uuid::ZERO)), (10, topic("", topic_id))] {
        let fetch = |driver: &mut Driver, topics| {
            let response = driver.call_version(
                version,
                OffsetFetchRequest {
                    groups: vec![group(topics); 20],
                    ..Default::default()
                },
            );
            let topics = response.groups.iter().flat_map(|group| &group.topics);
            let partitions = topics.flat_map(|topic| &topic.partitions);
            partitions.map(|each| each.committed_offset).collect::<Vec<_>>()
        };
        assert_eq!(fetch(&mut driver, None), [1]);
        assert_eq!(fetch(&mut driver, Some(vec![topic; 2])), [1]);
    }
    let old = offset_fetch::OffsetFetchRequestTopic {
        name: "t".into(),
        partition_indexes: vec![0; TIMES],
    };
    let response = driver.call_version(
        7,
        OffsetFetchRequest {
            group_id: "g".into(),
            topics: Some(vec![old]),
            ..Default::default()
        },
    );
    assert_eq!(response.topics[0].partitions.len(), 1);
}

#[test]
fn offsets_of_a_partition_that_is_named_twice_are_refused_once() {
    let mut driver = driver();
    let partition = |partition_index| list_offsets::ListOffsetsPartition {
        partition_index,
        current_leader_epoch: -1,
        timestamp: 0,
    };
    let topic = |name: &str, partitions| list_offsets::ListOffsetsTopic {
        name: name.into(),
        partitions,
    };
    let response = driver.call(ListOffsetsRequest {
        replica_id: -1,
        topics: vec![
            topic("t", vec![partition(0); TIMES]),
            topic("t", vec![partition(0), partition(1)]),
            topic("t", vec![partition(1); 2]),
            topic("t", vec![partition(2)]),
            topic("nope", vec![partition(0)]),
        ],
        ..Default::default()
    });
    let completed: Vec<_> = response
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|each| (topic.name.as_str(), each)))
        .map(|(name, each)| (name, each.partition_index, each.error_code, each.offset))
        .collect();
    assert_eq!(
        completed,
        [
            ("t", 0, ErrorCode::INVALID_REQUEST, -1),
            ("t", 1, ErrorCode::INVALID_REQUEST, -1),
            ("t", 2, ErrorCode::NONE, -1),
            ("nope", 0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1),
        ]
    );
}

#[test]
fn offsets_that_are_deleted_twice_are_recorded_once() {
    let recorded = |times: usize| {
        let mut driver = driver();
        let request = driver.offset_delete_request("t", &vec![0; times]);
        assert!(matches!(driver.submit(0, request), Progress::Pending(_)));
        driver.broker.take_commit(driver.now).expect("a change").bytes()
    };
    assert_eq!(recorded(TIMES), recorded(1));
}

#[test]
fn configurations_that_are_named_twice_are_described_once() {
    let mut driver = driver();
    for (keys, size) in [
        (None, 33),
        (Some(&[][..]), 33),
        (Some(&["retention.ms", "retention.ms"][..]), 1),
    ] {
        let response = driver.call(describe_configs(&[(2, "t", keys); TIMES]));
        let sizes = response.results.iter().map(|each| each.configs.len());
        assert_eq!(sizes.collect::<Vec<_>>(), [size], "{keys:?}");
    }
    let response = driver.call(ListConfigResourcesRequest {
        resource_types: vec![2; TIMES],
    });
    assert_eq!(response.config_resources.len(), 1);
}

#[test]
fn one_response_describes_a_limited_number_of_configurations() {
    let mut driver = driver();
    let names: Vec<String> = (0..60_000).map(|number| format!("g{number}")).collect();
    let resources: Vec<_> = names.iter().map(|name| (32, name.as_str(), None)).collect();
    let response = driver.call(describe_configs(&resources));
    let described: usize = response.results.iter().map(|each| each.configs.len()).sum();
    assert!((500_000..500_100).contains(&described), "{described}");
    let last = response.results.last().unwrap();
    assert_eq!(
        (response.results.len(), last.error_code),
        (60_000, ErrorCode::INVALID_REQUEST)
    );
}

#[test]
fn transactions_and_producers_that_are_named_twice_are_described_once() {
    let mut driver = driver();
    let described = driver.call(DescribeTransactionsRequest {
        transactional_ids: names("x"),
    });
    assert_eq!(described.transaction_states.len(), 1);
    let listed = driver.call(ListTransactionsRequest {
        state_filters: [names("Empty"), names("Nonsense")].concat(),
        producer_id_filters: vec![0; TIMES],
        duration_filter: -1,
        ..Default::default()
    });
    assert_eq!(listed.transaction_states.len(), 1);
    assert_eq!(listed.unknown_state_filters, ["Nonsense"]);
    let topic = describe_producers::TopicRequest {
        name: "t".into(),
        partition_indexes: vec![0; TIMES],
    };
    let producers = driver.call(DescribeProducersRequest {
        topics: vec![topic; 2],
    });
    let partitions = producers.topics.iter().map(|topic| topic.partitions.len());
    assert_eq!(partitions.collect::<Vec<_>>(), [1, 0]);
    let dirs = driver.call(DescribeLogDirsRequest {
        topics: Some(vec![describe_log_dirs::DescribableLogDirTopic {
            topic: "t".into(),
            partitions: vec![0; TIMES],
        }]),
    });
    assert_eq!(dirs.results[0].topics[0].partitions.len(), 1);
}

#[test]
fn many_users_are_described_in_one_request_and_none_twice() {
    let mut driver = Driver::new();
    let user = |number: usize| describe_user_scram_credentials::UserName {
        name: format!("u{number}").into(),
    };
    // Comparing each with each would take minutes.
    let mut users: Vec<_> = (0..50_000).map(user).collect();
    users.push(user(7));
    let response = driver.call(DescribeUserScramCredentialsRequest { users: Some(users) });
    assert_eq!(response.results.len(), 50_000);
    for result in response.results {
        let (code, message) = match result.user.as_str() {
            "u7" => (
                ErrorCode::DUPLICATE_RESOURCE,
                "Cannot describe SCRAM credentials for the same user twice in a single request: u7"
                    .to_owned(),
            ),
            user => (
                ErrorCode::RESOURCE_NOT_FOUND,
                format!("Attempt to describe a user credential that does not exist: {user}"),
            ),
        };
        assert_eq!(
            (result.error_code, result.error_message),
            (code, Some(message.into()))
        );
    }
}

#[test]
fn a_long_name_is_not_said_again_for_each_partition() {
    let mut driver = Driver::new();
    let response = driver.call(ElectLeadersRequest {
        topic_partitions: Some(vec![elect_leaders::TopicPartitions {
            topic: "x".repeat(30_000).into(),
            partitions: (0..1_000).collect(),
        }]),
        ..Default::default()
    });
    let results = &response.replica_election_results[0].partition_result;
    let lengths = results
        .iter()
        .map(|each| each.error_message.as_ref().map_or(0, |message| message.len()));
    assert_eq!((results.len(), lengths.max()), (1_000, Some(266)));
}

#[test]
fn regular_expressions_have_limits() {
    let mut driver = driver();
    for (pattern, is_valid) in [
        ("x.*".to_owned(), true),
        (r"(\w+)-(\w+)-(\w+)-(\w+)".to_owned(), true),
        ("(".to_owned(), false),
        (r"\w{50}".to_owned(), false),
        ("((a{100}){100}){100}".to_owned(), false),
    ] {
        let code = if is_valid {
            ErrorCode::NONE
        } else {
            ErrorCode::INVALID_REGULAR_EXPRESSION
        };
        let listed = driver.call(ListTransactionsRequest {
            duration_filter: -1,
            transactional_id_pattern: Some(pattern.as_str().into()),
            ..Default::default()
        });
        assert_eq!(listed.error_code, code, "{pattern:.40}");
        let beat = driver.call(ConsumerGroupHeartbeatRequest {
            group_id: "n".into(),
            member_id: "m".into(),
            rebalance_timeout_ms: 1_000,
            subscribed_topic_regex: Some(pattern.as_str().into()),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        });
        assert_eq!(beat.error_code, code, "{pattern:.40}");
    }
}
