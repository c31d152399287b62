//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: the requests of KIP-848.

use crate::api::join_group::uuid_text;
use crate::api::once_each;
use crate::broker::Broker;
use crate::config::Configs;
use crate::context::RequestContext;
use crate::groups::classic::Effects;
use crate::groups::consumer::assignor::Partitions;
use crate::groups::consumer::{ConsumerGroup, Heartbeat, LEAVE_EPOCH, Member, STATIC_LEAVE_EPOCH};
use crate::groups::migration::{fence, upgrade};
use crate::groups::rules::{ConsumerRules, assignors, speaks};
use crate::groups::{finish, kept_sequence};
use crate::mutants::Mutant;
use crate::patterns::Pattern;
use crate::purgatory::Outcome;
use crate::security::{OPERATIONS_NOT_ASKED, Operation, ResourceKind};
use millstream_kafka_wire::messages::consumer_group_describe::{
    self as described, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup,
};
use millstream_kafka_wire::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, RequestTopicPartitions,
    ResponseTopicPartitions,
};
use millstream_kafka_wire::{ErrorCode, KafkaString, Uuid};
use std::collections::BTreeMap;

/// The types of members in a description.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;
/// The first version in which members choose their id.
const OWN_ID_VERSION: i16 = 1;

type HeartbeatError = (ErrorCode, KafkaString);

fn refused(code: ErrorCode, message: &'static str) -> HeartbeatError {
    (code, KafkaString::from_static(message))
}

pub(crate) fn heartbeat(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
) -> Outcome {
    match handle(broker, now_ms, context, version, request) {
        Ok((response, sequence)) => Outcome::durable(sequence, response),
        Err((error_code, message)) => Outcome::now(ConsumerGroupHeartbeatResponse {
            error_code,
            error_message: Some(message),
            member_id: None,
            ..Default::default()
        }),
    }
}

type Handled = Result<(ConsumerGroupHeartbeatResponse, u64), HeartbeatError>;

fn handle(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
) -> Handled {
    if !speaks(&broker.configs, "consumer") {
        return Err(refused(
            ErrorCode::UNSUPPORTED_VERSION,
            "the new consumer protocol is switched off by group.coordinator.rebalance.protocols",
        ));
    }
    check(&broker.configs, version, request)?;
    broker
        .access(Operation::Read, ResourceKind::Group, &request.group_id)
        .map_err(|code| refused(code, "access to the group is denied"))?;
    for topic in request.subscribed_topic_names.iter().flatten() {
        broker
            .access(Operation::Describe, ResourceKind::Topic, topic)
            .map_err(|code| refused(code, "access to a topic of the subscription is denied"))?;
    }
    let mut beat = read(context, request);
    if beat.member_id.is_empty() {
        beat.member_id = uuid_text(broker).into();
    }
    let mut response = ConsumerGroupHeartbeatResponse {
        member_id: Some(beat.member_id.clone()),
        member_epoch: request.member_epoch,
        ..Default::default()
    };
    let mut effects = Effects::default();
    let is_leaving = matches!(request.member_epoch, LEAVE_EPOCH | STATIC_LEAVE_EPOCH);
    let handled = if is_leaving {
        leave(broker, now_ms, request, &beat, &mut effects)
    } else {
        stay(broker, now_ms, request, beat, &mut response, &mut effects)
    };
    finish(broker, now_ms, &request.group_id, effects);
    handled?;
    Ok((response, kept_sequence(broker, &request.group_id)))
}

/// The error for a member whose group no longer exists. Kafka responds with GROUP_ID_NOT_FOUND, which is fatal to
/// Java's consumer. There an empty group lives on for a while; here it is removed with its last member if it has no
/// offsets, so a member that was too slow must be allowed to join again.
fn gone(kind: &str, name: &str) -> HeartbeatError {
    (
        ErrorCode::UNKNOWN_MEMBER_ID,
        format!("{kind} {name} not found.").into(),
    )
}

/// The error for a member that sends consumer-protocol requests to a classic group, or to one that has only offsets.
fn not_of_consumers(name: &str) -> HeartbeatError {
    (
        ErrorCode::GROUP_ID_NOT_FOUND,
        format!("Group {name} is not a consumer group.").into(),
    )
}

/// The error for a member whose identity or state does not match the group's.
fn not_taken(
    code: ErrorCode,
    (name, group): (&str, &ConsumerGroup),
    (id, epoch): (&KafkaString, i32),
) -> HeartbeatError {
    let known = group.members.get(id).map(|member| member.epoch);
    let message = match (code, known) {
        (ErrorCode::UNKNOWN_MEMBER_ID, _) => format!("Member {id} is not a member of group {name}."),
        (ErrorCode::FENCED_MEMBER_EPOCH, Some(known)) => {
            let than = if epoch < known { "smaller" } else { "greater" };
            format!(
                "The consumer group member has a {than} member epoch ({epoch}) than the one known by the group \
                 coordinator ({known}). The member must abandon all its partitions and rejoin."
            )
        }
        _ => "the member must join again or change its request".to_owned(),
    };
    (code, message.into())
}

fn leave(
    broker: &mut Broker,
    now_ms: i64,
    request: &ConsumerGroupHeartbeatRequest,
    beat: &Heartbeat,
    effects: &mut Effects,
) -> Result<(), HeartbeatError> {
    let rules = ConsumerRules::new(&broker.configs, &request.group_id);
    let (groups, topics) = broker.groups_and_topics();
    let name = &request.group_id;
    let group = groups.get_mut(name).ok_or_else(|| gone("Group", name))?;
    let consumer = group.consumer.as_mut().ok_or_else(|| not_of_consumers(name))?;
    let left = consumer.leave(beat);
    let who = (&beat.member_id, beat.epoch);
    let is_gone = left.map_err(|code| not_taken(code, (name, consumer), who))?;
    effects.persist = true;
    if is_gone {
        let gone = [beat.member_id.clone()].into();
        fence(group, now_ms, &gone, &rules, &topics, effects);
    }
    Ok(())
}

fn stay(
    broker: &mut Broker,
    now_ms: i64,
    request: &ConsumerGroupHeartbeatRequest,
    beat: Heartbeat,
    response: &mut ConsumerGroupHeartbeatResponse,
    effects: &mut Effects,
) -> Result<(), HeartbeatError> {
    let name = &request.group_id;
    let rules = ConsumerRules::new(&broker.configs, name);
    let gives_unrevoked = broker.breaks(Mutant::GiveUnrevoked);
    let regex = beat.topic_regex.as_ref().filter(|regex| !regex.is_empty());
    if let Some(regex) = regex.filter(|regex| !Pattern::new(regex).is_valid()) {
        let message = format!("SubscribedTopicRegex `{regex}` is not a valid regular expression.");
        return Err((ErrorCode::INVALID_REGULAR_EXPRESSION, message.into()));
    }
    let (groups, topics) = broker.groups_and_topics();
    let group = match request.member_epoch {
        0 => {
            let group = groups.get_or_create(name);
            let upgraded = upgrade(name, group, now_ms, &rules, &topics, effects);
            upgraded.map_err(|error| (error.code(), error.to_string().into()))?;
            group
        }
        _ => groups.get_mut(name).ok_or_else(|| gone("Consumer group", name))?,
    };
    let consumer = group.consumer.as_mut().ok_or_else(|| not_of_consumers(name))?;
    if gives_unrevoked {
        consumer.forget_revocations();
    }
    let (member_id, epoch) = (beat.member_id.clone(), beat.epoch);
    let progress = consumer.heartbeat(now_ms, &rules, beat, &topics, &mut effects.persist);
    let progress = progress.map_err(|code| not_taken(code, (name, consumer), (&member_id, epoch)))?;
    response.member_epoch = progress.epoch;
    response.assignment = progress.assignment.as_ref().map(assignment);
    response.heartbeat_interval_ms = rules.heartbeat_ms;
    Ok(())
}

fn check(
    configs: &Configs,
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), HeartbeatError> {
    let refuse = |message| Err(refused(ErrorCode::INVALID_REQUEST, message));
    if request.group_id.is_empty() {
        return refuse("GroupId can't be empty.");
    }
    if request.member_id.is_empty() && (version >= OWN_ID_VERSION || request.member_epoch != 0) {
        return refuse("MemberId can't be empty.");
    }
    if request.instance_id.as_ref().is_some_and(|id| id.is_empty()) {
        return refuse("InstanceId can't be empty.");
    }
    if request.rack_id.as_ref().is_some_and(|id| id.is_empty()) {
        return refuse("RackId can't be empty.");
    }
    if request.member_epoch < STATIC_LEAVE_EPOCH {
        return refuse("MemberEpoch is invalid.");
    }
    if request.member_epoch == STATIC_LEAVE_EPOCH && request.instance_id.is_none() {
        return refuse("InstanceId can't be null.");
    }
    if request.member_epoch == 0 {
        check_join(request)?;
    }
    let assignors = assignors(configs);
    match &request.server_assignor {
        Some(name) if !assignors.contains(&name.as_str()) => {
            let known = assignors.join(", ");
            let message = format!("ServerAssignor {name} is not supported. Supported assignors: {known}.");
            Err((ErrorCode::UNSUPPORTED_ASSIGNOR, message.into()))
        }
        _ => Ok(()),
    }
}

fn check_join(request: &ConsumerGroupHeartbeatRequest) -> Result<(), HeartbeatError> {
    let refuse = |message| Err(refused(ErrorCode::INVALID_REQUEST, message));
    if request.rebalance_timeout_ms == -1 {
        return refuse("RebalanceTimeoutMs must be provided in first request.");
    }
    let owned = request.topic_partitions.as_ref();
    if owned.is_none_or(|owned| !owned.is_empty()) {
        return refuse("TopicPartitions must be empty when (re-)joining.");
    }
    // An empty subscription is one: to nothing.
    if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        return refuse(
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        );
    }
    Ok(())
}

/// Copies what the group keeps out of the request, so that it does not pin the frame.
fn read(context: &RequestContext, request: &ConsumerGroupHeartbeatRequest) -> Heartbeat {
    let own = |text: &Option<KafkaString>| text.as_ref().map(KafkaString::detached);
    let partitions = |topic: &RequestTopicPartitions| {
        let id = topic.topic_id;
        topic
            .partitions
            .iter()
            .map(move |partition| (id, *partition))
            .collect::<Vec<_>>()
    };
    let owned = request.topic_partitions.as_ref();
    let names = request.subscribed_topic_names.as_ref();
    Heartbeat {
        member_id: request.member_id.detached(),
        epoch: request.member_epoch,
        instance_id: own(&request.instance_id),
        rack_id: own(&request.rack_id),
        client_id: context.client_id.detached(),
        client_host: context.client_host.detached(),
        principal: (!context.is_internal).then(|| context.principal.detached()),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        topic_names: names.map(|names| names.iter().map(KafkaString::detached).collect()),
        topic_regex: own(&request.subscribed_topic_regex),
        assignor: own(&request.server_assignor),
        owned: owned.map(|topics| topics.iter().flat_map(partitions).collect()),
    }
}

fn by_topic(partitions: &Partitions) -> BTreeMap<Uuid, Vec<i32>> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(*topic).or_default().push(*partition);
    }
    topics
}

fn assignment(partitions: &Partitions) -> Assignment {
    let topic = |(topic_id, partitions)| ResponseTopicPartitions { topic_id, partitions };
    Assignment {
        topic_partitions: by_topic(partitions).into_iter().map(topic).collect(),
    }
}

pub(crate) fn describe(broker: &Broker, request: &ConsumerGroupDescribeRequest) -> Outcome {
    let asks = request.include_authorized_operations;
    let describe = |name: &KafkaString| {
        let base = DescribedGroup {
            group_id: name.clone(),
            authorized_operations: OPERATIONS_NOT_ASKED,
            ..Default::default()
        };
        if let Err(error_code) = broker.access(Operation::Describe, ResourceKind::Group, name) {
            return DescribedGroup { error_code, ..base };
        }
        if name.is_empty() {
            return DescribedGroup {
                error_code: ErrorCode::INVALID_GROUP_ID,
                ..base
            };
        }
        let group = broker.groups.get(name);
        if let Some(consumer) = group.and_then(|group| group.consumer.as_ref()) {
            return if sees_topics(broker, consumer) {
                DescribedGroup {
                    authorized_operations: broker.authorized_operations(asks, ResourceKind::Group, name),
                    ..describe_group(broker, consumer, base)
                }
            } else {
                DescribedGroup {
                    error_code: ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                    error_message: Some(KafkaString::from_static(
                        "The group has described topic(s) that the client is not authorized to describe.",
                    )),
                    ..base
                }
            };
        }
        let message = match group {
            Some(_) => format!("Group {name} is not a consumer group."),
            None => format!("Group {name} not found."),
        };
        DescribedGroup {
            error_code: ErrorCode::GROUP_ID_NOT_FOUND,
            error_message: Some(message.into()),
            ..base
        }
    };
    let groups = once_each(&request.group_ids).map(describe).collect();
    Outcome::now(ConsumerGroupDescribeResponse {
        throttle_time_ms: 0,
        groups,
    })
}

/// Whether the caller may describe all topics that members have or are about to get.
fn sees_topics(broker: &Broker, group: &ConsumerGroup) -> bool {
    let held = group
        .members
        .values()
        .flat_map(|member| member.held().into_keys());
    let mut topics = held
        .chain(group.target.values().flatten().copied())
        .filter_map(|(id, _)| broker.topics.by_id(id));
    topics.all(|topic| broker.may(Operation::Describe, ResourceKind::Topic, &topic.name))
}

fn describe_group(broker: &Broker, group: &ConsumerGroup, base: DescribedGroup) -> DescribedGroup {
    let named = |partitions: &Partitions| {
        let topic = |(topic_id, partitions): (Uuid, Vec<i32>)| {
            let topic_name = broker.topics.by_id(topic_id)?.name.clone();
            Some(described::TopicPartitions {
                topic_id,
                topic_name,
                partitions,
            })
        };
        described::Assignment {
            topic_partitions: by_topic(partitions).into_iter().filter_map(topic).collect(),
        }
    };
    let member = |(id, member): (&KafkaString, &Member)| described::Member {
        member_id: id.clone(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topic_names.iter().cloned().collect(),
        subscribed_topic_regex: Some(member.topic_regex.clone().unwrap_or_default()),
        // A partition that is being revoked still belongs to the member until it confirms.
        assignment: named(&member.held().into_keys().collect()),
        target_assignment: group.target.get(id).map(named).unwrap_or_default(),
        member_type: if member.classic.is_some() {
            CLASSIC_MEMBER
        } else {
            CONSUMER_MEMBER
        },
    };
    DescribedGroup {
        group_state: KafkaString::from_static(group.state_name()),
        group_epoch: group.epoch,
        assignment_epoch: group.assignment_epoch,
        assignor_name: group
            .assignor_name(assignors(&broker.configs).first().copied().unwrap_or_default())
            .into(),
        members: group.members.iter().map(member).collect(),
        ..base
    }
}
