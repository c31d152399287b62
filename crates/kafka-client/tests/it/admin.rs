//! Administration: repetition, mapping of responses.

use std::collections::BTreeMap;

use millstream_kafka_client::TopicPartition;
use millstream_kafka_client::admin::{CommittedOffset, NewTopic, OffsetSpec};
use millstream_kafka_client::config::IsolationLevel;
use millstream_kafka_wire::messages::ApiKey;
use millstream_kafka_wire::{ErrorCode, KafkaString};

use super::fake::{Fake, Fault};

#[tokio::test(start_paused = true)]
async fn topics_are_made_and_an_existing_one_is_reported() {
    let fake = Fake::new(&[("old", 1)], true);
    let client = fake.client();
    let topics = [NewTopic::new("new", Some(3)), NewTopic::new("old", None)];
    let results = client.create_topics(&topics, false).await.expect("completed");
    assert!(results[0].is_ok());
    let error = results[1].as_ref().expect_err("exists");
    assert_eq!(error.code(), Some(ErrorCode::TOPIC_ALREADY_EXISTS));
    assert!(error.to_string().contains("topic 'old'"));
    let metadata = client.list_topics().await.expect("completed");
    assert_eq!(metadata.topic("new").map(|topic| topic.partitions.len()), Some(3));
}

#[tokio::test(start_paused = true)]
async fn partitions_go_where_they_are_assigned() {
    let fake = Fake::new(&[], true);
    let client = fake.client();
    let topic = NewTopic {
        assignments: vec![vec![1, 2], vec![2, 1]],
        ..NewTopic::new("placed", None)
    };
    client.create_topic(topic).await.expect("made");
    let metadata = client.list_topics().await.expect("completed");
    assert_eq!(
        metadata.topic("placed").map(|topic| topic.partitions.len()),
        Some(2)
    );
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_repeated_and_what_does_not_is_reported_at_once() {
    let fake = Fake::new(&[("t", 1)], true);
    let client = fake.client();
    let names = [KafkaString::from("t")];
    fake.fault(
        ApiKey::Metadata,
        [Fault::Lost, Fault::Code(ErrorCode::LEADER_NOT_AVAILABLE)],
    );
    client
        .topics(&names, false)
        .await
        .expect("the third attempt succeeds");
    assert_eq!(fake.lock().log.len(), 3);
    fake.fault(
        ApiKey::Metadata,
        [Fault::Code(ErrorCode::TOPIC_AUTHORIZATION_FAILED)],
    );
    let refused = client.topics(&names, false).await.expect_err("not allowed");
    assert_eq!(refused.code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    assert_eq!(fake.lock().log.len(), 4);
    let missing = client
        .topics(&[KafkaString::from("none")], false)
        .await
        .expect_err("not there");
    assert!(missing.to_string().contains("topic 'none'"), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_responds_ends_in_a_timeout_with_its_cause() {
    let fake = Fake::new(&[("t", 1)], true);
    fake.fault(ApiKey::Metadata, vec![Fault::Silence; 100]);
    let error = fake
        .client()
        .topics(&["t".into()], false)
        .await
        .expect_err("silence");
    let source = std::error::Error::source(&error)
        .expect("the last failure")
        .to_string();
    assert!(source.contains("no response to Metadata"), "{source}");
}

#[tokio::test(start_paused = true)]
async fn offsets_are_listed_committed_and_read_back() {
    let fake = Fake::new(&[("t", 2)], true);
    let client = fake.client();
    let wanted = BTreeMap::from([
        (TopicPartition::new("t", 0), OffsetSpec::Earliest),
        (TopicPartition::new("t", 1), OffsetSpec::Timestamp(5)),
    ]);
    let found = client
        .list_offsets(&wanted, IsolationLevel::ReadCommitted)
        .await
        .expect("completed");
    assert_eq!(found[&TopicPartition::new("t", 0)].offset, 0);
    assert_eq!(found[&TopicPartition::new("t", 1)].offset, -1);
    let offsets = BTreeMap::from([(TopicPartition::new("t", 1), CommittedOffset::new(17))]);
    client.commit_offsets("g", &offsets).await.expect("accepted");
    let read = client
        .committed_offsets("g", None, true)
        .await
        .expect("completed");
    assert_eq!(read[&TopicPartition::new("t", 1)].offset, 17);
    assert_eq!(read.len(), 1);
    let missing = BTreeMap::from([(TopicPartition::new("t", 9), OffsetSpec::Latest)]);
    let error = client
        .list_offsets(&missing, IsolationLevel::ReadUncommitted)
        .await
        .expect_err("no such partition");
    assert!(error.to_string().contains("t-9"), "{error}");
}
