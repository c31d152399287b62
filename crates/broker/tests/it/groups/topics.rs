//! Committed offsets of the topics that members of a classic group read, and of others.

use super::{COMMIT, JOIN, join_request};
use crate::driver::Driver;
use bytes::Bytes;
use millstream_kafka_wire::messages::*;
use millstream_kafka_wire::{ErrorCode, KafkaString, Writer};

const SESSION_MS: i32 = 1_800_000;

/// What a consumer of `t` says of itself when it joins: a version, and what belongs to another.
fn metadata(version: i16, body_version: i16) -> Bytes {
    metadata_of(vec!["t".into()], version, body_version)
}

fn metadata_of(topics: Vec<KafkaString>, version: i16, body_version: i16) -> Bytes {
    let subscription = ConsumerProtocolSubscription {
        topics,
        ..Default::default()
    };
    let mut writer = Writer::new();
    writer.i16(version);
    subscription.encode(&mut writer, body_version).unwrap();
    writer.into_bytes()
}

fn join(metadata: &Bytes) -> JoinGroupRequest {
    let mut request = join_request("", None, "");
    request.protocols[0].metadata = metadata.clone();
    request.session_timeout_ms = SESSION_MS;
    request.rebalance_timeout_ms = SESSION_MS;
    request
}

impl Driver {
    /// A driver whose group `g` has offsets of `t` and `other`.
    fn with_offsets_of_two_topics() -> Driver {
        let mut driver = Driver::with(&[("offsets.retention.minutes", "10")]);
        for topic in ["t", "other"] {
            driver.create(topic, 1);
            let code = driver.commit_offset(COMMIT, topic, ("", -1), (0, 5));
            assert_eq!(code, ErrorCode::NONE);
        }
        driver
    }

    /// A member joins the group and is alone in it.
    fn join_alone(&mut self, metadata: &Bytes) {
        let joined = self.call_version(3, join(metadata));
        let sync = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id,
            ..Default::default()
        };
        assert_eq!(self.call_version(2, sync).error_code, ErrorCode::NONE);
        assert_eq!(self.group_state(), ("Stable".to_owned(), 1));
    }

    pub fn offset_delete_request(&self, topic: &str, partitions: &[i32]) -> OffsetDeleteRequest {
        let partition = |index: &i32| offset_delete::OffsetDeleteRequestPartition {
            partition_index: *index,
        };
        OffsetDeleteRequest {
            group_id: "g".into(),
            topics: vec![offset_delete::OffsetDeleteRequestTopic {
                name: topic.into(),
                partitions: partitions.iter().map(partition).collect(),
            }],
        }
    }

    fn delete_offset_of(&mut self, topic: &str) -> ErrorCode {
        let response = self.call(self.offset_delete_request(topic, &[0]));
        assert_eq!(response.error_code, ErrorCode::NONE);
        response.topics[0].partitions[0].error_code
    }

    fn delete_group_named(&mut self, name: &str) -> ErrorCode {
        let request = DeleteGroupsRequest {
            groups_names: vec![name.into()],
        };
        self.call(request).results[0].error_code
    }
}

/// What members say of themselves, and whether it is known from that what they read.
fn said() -> Vec<(&'static str, Bytes, bool)> {
    vec![
        ("version 0", metadata(0, 0), true),
        ("version 3", metadata(3, 3), true),
        ("version 1 with no more than version 0", metadata(1, 0), true),
        ("version 3 with no more than version 0", metadata(3, 0), true),
        ("a version that is not known", metadata(9, 0), true),
        ("a version below 0", metadata(-1, 0), false),
        ("something else", Bytes::from_static(b"x"), false),
        ("nothing", Bytes::new(), false),
    ]
}

#[test]
fn offsets_of_a_group_with_members_expire_when_it_does_not_read_their_topic() {
    for (what, metadata, is_known) in said() {
        let mut driver = Driver::with_offsets_of_two_topics();
        driver.join_alone(&metadata);
        driver.advance(12 * 60_000);
        let left = (driver.committed_of("t"), driver.committed_of("other"));
        assert_eq!(left, (5, if is_known { -1 } else { 5 }), "{what}");
    }
}

#[test]
fn offsets_of_topics_that_a_member_reads_or_may_read_are_not_deleted() {
    let subscribed = ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
    for (what, metadata, is_known) in said() {
        let mut driver = Driver::with_offsets_of_two_topics();
        driver.join_alone(&metadata);
        assert_eq!(driver.delete_offset_of("t"), subscribed, "{what}");
        let expected = if is_known { ErrorCode::NONE } else { subscribed };
        assert_eq!(driver.delete_offset_of("other"), expected, "{what}");
    }
}

#[test]
fn what_members_read_is_found_out_once_for_a_request() {
    const COUNT: usize = 50_000;
    let mut driver = Driver::with_offsets_of_two_topics();
    let topics = (0..COUNT).map(|number| KafkaString::from(format!("t{number}")));
    driver.join_alone(&metadata_of(topics.collect(), 3, 3));
    // Once for each partition would take minutes.
    let request = driver.offset_delete_request("other", &[0; COUNT]);
    let response = driver.call(request);
    let partitions = &response.topics[0].partitions;
    assert!(partitions.iter().all(|each| each.error_code.is_none()));
    assert_eq!((driver.committed_of("t"), driver.committed_of("other")), (5, -1));
}

#[test]
fn offsets_of_a_group_in_its_first_rebalance_are_not_deleted() {
    let mut driver = Driver::with_offsets_of_two_topics();
    let member = driver.member_id();
    driver.member_id();
    // The second one is waited for.
    let request = JoinGroupRequest {
        member_id: member,
        ..join(&metadata(0, 0))
    };
    driver.park(JOIN, request);
    assert_eq!(driver.group_state(), ("PreparingRebalance".to_owned(), 1));
    for topic in ["t", "other"] {
        assert_eq!(
            driver.delete_offset_of(topic),
            ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
        );
    }
}

#[test]
fn offsets_of_a_group_that_all_members_have_left_are_deleted() {
    let mut driver = Driver::with_offsets_of_two_topics();
    let (leader, follower) = driver.two_members();
    for member in [leader, follower] {
        let leave = LeaveGroupRequest {
            group_id: "g".into(),
            member_id: member.member_id,
            members: Vec::new(),
        };
        assert_eq!(driver.call_version(1, leave).error_code, ErrorCode::NONE);
    }
    assert_eq!(driver.delete_offset_of("t"), ErrorCode::NONE);
    assert_eq!((driver.committed_of("t"), driver.committed_of("other")), (-1, 5));
}

#[test]
fn the_group_without_a_name_is_deleted_like_others() {
    let mut driver = Driver::with_offsets_of_two_topics();
    assert_eq!(driver.delete_group_named(""), ErrorCode::GROUP_ID_NOT_FOUND);
    let request = OffsetCommitRequest {
        group_id: KafkaString::EMPTY,
        generation_id_or_member_epoch: -1,
        topics: vec![offset_commit::OffsetCommitRequestTopic {
            topic_id: driver.topic_id("t"),
            partitions: vec![Default::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let committed = driver.call_version(COMMIT, request);
    assert_eq!(committed.topics[0].partitions[0].error_code, ErrorCode::NONE);
    driver.crash();
    assert_eq!(driver.delete_group_named(""), ErrorCode::NONE);
    driver.crash();
    assert_eq!(driver.delete_group_named(""), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(driver.committed_of("t"), 5, "of another group");
}
