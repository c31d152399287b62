//! Administration of groups: offsets, members, deletion. This client does not join groups, because jobs assign
//! partitions themselves.

use std::collections::BTreeMap;

use millstream_kafka_wire::messages::delete_groups::DeleteGroupsRequest;
use millstream_kafka_wire::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use millstream_kafka_wire::messages::list_groups::ListGroupsRequest;
use millstream_kafka_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use millstream_kafka_wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use millstream_kafka_wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, RequestMessage};

use crate::TopicPartition;
use crate::client::{CoordinatorType, KafkaClient};
use crate::error::ClientError;
use crate::transport::Target;

/// Versions from 10 on identify topics by id only; offsets are stored by name here.
const OFFSETS_BY_NAME: i16 = 9;
/// From this version on unfinished transactions can be waited for.
const REQUIRE_STABLE_VERSION: i16 = 7;
/// From this version on a request names its groups in a list.
const BATCHED_GROUPS_VERSION: i16 = 8;
/// The generation of a commit that does not come from a member.
const NO_GENERATION: i32 = -1;

/// An offset that a group has committed for a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Option<String>,
}

impl CommittedOffset {
    pub fn new(offset: i64) -> Self {
        CommittedOffset {
            offset,
            leader_epoch: -1,
            metadata: None,
        }
    }
}

/// A group, briefly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    pub group_id: String,
    pub protocol_type: String,
    pub state: String,
    pub group_type: String,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    pub member_id: String,
    pub client_id: String,
    pub client_host: String,
    /// As the member's protocol encodes it.
    pub assignment: bytes::Bytes,
}

/// A group of the classic protocol, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    pub group_id: String,
    pub state: String,
    pub protocol_type: String,
    pub protocol: String,
    pub members: Vec<GroupMember>,
}

/// Groups partitions by topic, in order.
fn by_topic<V, P>(
    offsets: &BTreeMap<TopicPartition, V>,
    mut make: impl FnMut(&TopicPartition, &V) -> P,
) -> Vec<(KafkaString, Vec<P>)> {
    let mut topics: Vec<(KafkaString, Vec<P>)> = Vec::new();
    for (partition, value) in offsets {
        let made = make(partition, value);
        match topics.last_mut().filter(|(topic, _)| *topic == partition.topic) {
            Some((_, list)) => list.push(made),
            None => topics.push((partition.topic.clone(), vec![made])),
        }
    }
    topics
}

impl KafkaClient {
    /// Commits offsets of a group without members.
    pub async fn commit_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<(), ClientError> {
        let topics = by_topic(offsets, |partition, committed| OffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            committed_metadata: Some(committed.metadata.as_deref().unwrap_or_default().into()),
        });
        let request = OffsetCommitRequest {
            group_id: group.into(),
            generation_id_or_member_epoch: NO_GENERATION,
            topics: topics
                .into_iter()
                .map(|(name, partitions)| OffsetCommitRequestTopic {
                    name,
                    partitions,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let first_error = |response: &<OffsetCommitRequest as RequestMessage>::Response| {
            let codes = response
                .topics
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|p| p.error_code));
            codes.into_iter().find(|code| code.is_error()).unwrap_or_default()
        };
        let versions = (0, OFFSETS_BY_NAME);
        let response = self
            .call_coordinator(CoordinatorType::Group, group, versions, request, first_error)
            .await?;
        let what = || format!("committing offsets of group '{group}'");
        first_error(&response)
            .check()
            .map_err(|code| ClientError::broker(what(), code))
    }

    /// The committed offsets of a group: of the partitions, or all with `None`. Partitions without one are left out.
    /// With `require_stable` it waits until no transaction is open on them.
    pub async fn committed_offsets(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
        require_stable: bool,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, ClientError> {
        let version_min = if require_stable { REQUIRE_STABLE_VERSION } else { 0 };
        let request = self
            .offset_fetch_request(group, partitions, require_stable)
            .await?;
        let versions = (version_min, OFFSETS_BY_NAME);
        let response = self
            .call_coordinator(
                CoordinatorType::Group,
                group,
                versions,
                request,
                offset_fetch_error,
            )
            .await?;
        let what = || format!("offsets of group '{group}'");
        offset_fetch_error(&response)
            .check()
            .map_err(|code| ClientError::broker(what(), code))?;
        Ok(read_offsets(response))
    }

    async fn offset_fetch_request(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
        require_stable: bool,
    ) -> Result<OffsetFetchRequest, ClientError> {
        let node = self.coordinator(CoordinatorType::Group, group).await?;
        let versions = self.versions(Target::Node(node)).await?;
        let batched = versions
            .choose(OffsetFetchRequest::API_KEY, BATCHED_GROUPS_VERSION, i16::MAX)
            .is_some();
        let wanted: Option<BTreeMap<TopicPartition, ()>> =
            partitions.map(|list| list.iter().map(|partition| (partition.clone(), ())).collect());
        let topics = wanted.map(|wanted| by_topic(&wanted, |partition, ()| partition.partition));
        if batched {
            let topic = |(name, partition_indexes)| OffsetFetchRequestTopics {
                name,
                partition_indexes,
                ..Default::default()
            };
            let group = OffsetFetchRequestGroup {
                group_id: group.into(),
                topics: topics.map(|topics| topics.into_iter().map(topic).collect()),
                ..Default::default()
            };
            return Ok(OffsetFetchRequest {
                groups: vec![group],
                require_stable,
                ..Default::default()
            });
        }
        let topic = |(name, partition_indexes)| OffsetFetchRequestTopic {
            name,
            partition_indexes,
        };
        let topics = topics.map(|topics| topics.into_iter().map(topic).collect());
        Ok(OffsetFetchRequest {
            group_id: group.into(),
            topics,
            require_stable,
            ..Default::default()
        })
    }

    /// Deletes committed offsets of partitions.
    pub async fn delete_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<(), ClientError> {
        let wanted: BTreeMap<TopicPartition, ()> = partitions.iter().map(|p| (p.clone(), ())).collect();
        let topics = by_topic(&wanted, |partition, ()| OffsetDeleteRequestPartition {
            partition_index: partition.partition,
        });
        let request = OffsetDeleteRequest {
            group_id: group.into(),
            topics: topics
                .into_iter()
                .map(|(name, partitions)| OffsetDeleteRequestTopic { name, partitions })
                .collect(),
        };
        let response = self
            .call_coordinator(CoordinatorType::Group, group, (0, i16::MAX), request, |r| {
                r.error_code
            })
            .await?;
        let partition_error = response
            .topics
            .iter()
            .flat_map(|t| &t.partitions)
            .map(|p| p.error_code);
        let mut codes = std::iter::once(response.error_code).chain(partition_error);
        let code = codes.find(|code| code.is_error()).unwrap_or_default();
        code.check()
            .map_err(|code| ClientError::broker(format!("offsets of group '{group}'"), code))
    }

    /// All groups of the cluster. Each broker lists those that it coordinates.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, ClientError> {
        let mut groups = BTreeMap::new();
        let responses = self
            .call_every_node("listing groups", &ListGroupsRequest::default(), |response| {
                response.error_code
            })
            .await?;
        for response in responses {
            for group in response.groups {
                let listing = GroupListing {
                    group_id: group.group_id.into(),
                    protocol_type: group.protocol_type.into(),
                    state: group.group_state.into(),
                    group_type: group.group_type.into(),
                };
                groups.insert(listing.group_id.clone(), listing);
            }
        }
        Ok(groups.into_values().collect())
    }

    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, ClientError> {
        let request = DescribeGroupsRequest {
            groups: vec![group.into()],
            ..Default::default()
        };
        let code = |response: &<DescribeGroupsRequest as RequestMessage>::Response| {
            response
                .groups
                .first()
                .map_or(ErrorCode::NONE, |group| group.error_code)
        };
        let response = self
            .call_coordinator(CoordinatorType::Group, group, (0, i16::MAX), request, code)
            .await?;
        let described = response
            .groups
            .into_iter()
            .next()
            .ok_or(ClientError::Incomplete("DescribeGroups"))?;
        let what = || format!("group '{group}'");
        described
            .error_code
            .check()
            .map_err(|code| ClientError::broker(what(), code))?;
        Ok(description(described))
    }

    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let request = DeleteGroupsRequest {
            groups_names: vec![group.into()],
        };
        let code = |response: &<DeleteGroupsRequest as RequestMessage>::Response| {
            response
                .results
                .first()
                .map_or(ErrorCode::NONE, |result| result.error_code)
        };
        let response = self
            .call_coordinator(CoordinatorType::Group, group, (0, i16::MAX), request, code)
            .await?;
        code(&response)
            .check()
            .map_err(|code| ClientError::broker(format!("group '{group}'"), code))
    }
}

fn description(group: DescribedGroup) -> GroupDescription {
    let members = group.members.into_iter().map(|member| GroupMember {
        member_id: member.member_id.into(),
        client_id: member.client_id.into(),
        client_host: member.client_host.into(),
        assignment: member.member_assignment,
    });
    GroupDescription {
        group_id: group.group_id.into(),
        state: group.group_state.into(),
        protocol_type: group.protocol_type.into(),
        protocol: group.protocol_data.into(),
        members: members.collect(),
    }
}

fn offset_fetch_error(response: &OffsetFetchResponse) -> ErrorCode {
    let groups = response.groups.iter();
    let batched = groups
        .clone()
        .flat_map(|group| &group.topics)
        .flat_map(|topic| &topic.partitions);
    let single = response.topics.iter().flat_map(|topic| &topic.partitions);
    let codes = std::iter::once(response.error_code)
        .chain(groups.map(|group| group.error_code))
        .chain(batched.map(|partition| partition.error_code))
        .chain(single.map(|partition| partition.error_code));
    codes.into_iter().find(|code| code.is_error()).unwrap_or_default()
}

fn read_offsets(response: OffsetFetchResponse) -> BTreeMap<TopicPartition, CommittedOffset> {
    let mut offsets = BTreeMap::new();
    let mut add = |topic: &KafkaString, partition, offset, leader_epoch, metadata: Option<KafkaString>| {
        if offset >= 0 {
            let committed = CommittedOffset {
                offset,
                leader_epoch,
                metadata: metadata.map(String::from),
            };
            offsets.insert(
                TopicPartition {
                    topic: topic.detached(),
                    partition,
                },
                committed,
            );
        }
    };
    for topic in response.groups.into_iter().flat_map(|group| group.topics) {
        for p in topic.partitions {
            add(
                &topic.name,
                p.partition_index,
                p.committed_offset,
                p.committed_leader_epoch,
                p.metadata,
            );
        }
    }
    for topic in response.topics {
        for p in topic.partitions {
            add(
                &topic.name,
                p.partition_index,
                p.committed_offset,
                p.committed_leader_epoch,
                p.metadata,
            );
        }
    }
    offsets
}
