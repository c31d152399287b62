//! Groups with their members and assignments, in both protocols.

use millstream_kafka_wire::messages::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup, Member,
};
use millstream_kafka_wire::messages::consumer_protocol_assignment::ConsumerProtocolAssignment;
use millstream_kafka_wire::reader::Reader;
use millstream_kafka_wire::{ErrorCode, RequestMessage};

use super::groups::{GroupDescription, GroupMember};
use crate::TopicPartition;
use crate::client::{CoordinatorType, KafkaClient};
use crate::error::ClientError;
use crate::transport::Target;

/// A member and its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerMember {
    pub member_id: String,
    /// Of static members.
    pub instance_id: Option<String>,
    pub client_id: String,
    pub host: String,
    pub partitions: Vec<TopicPartition>,
}

/// A group of consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {
    pub group_id: String,
    /// `Stable`, `Empty`, `Dead`, …
    pub state: String,
    /// `Classic` or `Consumer`.
    pub group_type: &'static str,
    pub assignor: String,
    pub members: Vec<ConsumerMember>,
}

impl KafkaClient {
    /// A group by name. One that does not exist has the state `Dead`, or is an error of newer brokers.
    pub async fn describe_consumer_group(&self, group: &str) -> Result<ConsumerGroup, ClientError> {
        if let Some(described) = self.describe_new_group(group).await? {
            return Ok(new_group(described));
        }
        Ok(classic_group(self.describe_group(group).await?))
    }

    /// The group, if it speaks the newer protocol.
    async fn describe_new_group(&self, group: &str) -> Result<Option<DescribedGroup>, ClientError> {
        let node = self.coordinator(CoordinatorType::Group, group).await?;
        let versions = self.versions(Target::Node(node)).await?;
        let known = versions.choose(ConsumerGroupDescribeRequest::API_KEY, 0, i16::MAX);
        if known.is_none() {
            return Ok(None);
        }
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![group.into()],
            ..Default::default()
        };
        let code = |response: &ConsumerGroupDescribeResponse| {
            response.groups.first().map(|g| g.error_code).unwrap_or_default()
        };
        let response = self
            .call_coordinator(CoordinatorType::Group, group, (0, i16::MAX), request, code)
            .await?;
        let described = response.groups.into_iter().next();
        let described = described.ok_or(ClientError::Incomplete("ConsumerGroupDescribe"))?;
        match described.error_code.check() {
            Ok(()) => Ok(Some(described)),
            // Not one of the newer protocol, or not there at all.
            Err(ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION) => Ok(None),
            Err(code) => {
                let what = format!("group '{group}'");
                Err(ClientError::broker_with(what, code, described.error_message))
            }
        }
    }
}

fn new_group(group: DescribedGroup) -> ConsumerGroup {
    let member = |member: Member| {
        let topics = member.assignment.topic_partitions;
        let partitions = topics.iter().flat_map(|topic| {
            let partition = |p: &i32| TopicPartition::new(topic.topic_name.detached(), *p);
            topic.partitions.iter().map(partition)
        });
        ConsumerMember {
            member_id: member.member_id.into(),
            instance_id: member.instance_id.map(Into::into),
            client_id: member.client_id.into(),
            host: member.client_host.into(),
            partitions: partitions.collect(),
        }
    };
    ConsumerGroup {
        group_id: group.group_id.into(),
        state: group.group_state.into(),
        group_type: "Consumer",
        assignor: group.assignor_name.into(),
        members: group.members.into_iter().map(member).collect(),
    }
}

fn classic_group(group: GroupDescription) -> ConsumerGroup {
    let member = |member: GroupMember| ConsumerMember {
        partitions: assigned(&member),
        member_id: member.member_id,
        instance_id: None,
        client_id: member.client_id,
        host: member.client_host,
    };
    ConsumerGroup {
        group_id: group.group_id,
        state: group.state,
        group_type: "Classic",
        assignor: group.protocol,
        members: group.members.into_iter().map(member).collect(),
    }
}

/// The partitions of a classic member; none if its assignment is not that of consumers.
fn assigned(member: &GroupMember) -> Vec<TopicPartition> {
    let mut reader = Reader::new(member.assignment.clone());
    let Ok(version) = reader.i16() else {
        return Vec::new();
    };
    // Newer versions only append fields to those of the last known one.
    let version = version.clamp(0, ASSIGNMENT_VERSION);
    let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut reader, version) else {
        return Vec::new();
    };
    let topics = assignment.assigned_partitions.iter();
    let partitions = topics.flat_map(|topic| {
        let partition = |p: &i32| TopicPartition::new(topic.topic.detached(), *p);
        topic.partitions.iter().map(partition)
    });
    partitions.collect()
}

/// The last version of the consumers' assignment that is known here.
const ASSIGNMENT_VERSION: i16 = 3;
