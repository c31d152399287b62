//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the classic protocol's requests.

use crate::broker::Broker;
use crate::context::RequestContext;
use crate::groups::classic::{ClassicGroup, Effects, Joined, MemberInfo, Waiting, refuse_join, sync_error};
use crate::groups::consumer::{ConsumerGroup, GuestJoin, GuestSync};
use crate::groups::migration::{downgrade_after_replacement, fence};
use crate::groups::rules::{ConsumerRules, Rules};
use crate::groups::{finish, kept_sequence};
use crate::purgatory::Outcome;
use crate::security::{Operation, ResourceKind};
use bytes::Bytes;
use millstream_kafka_wire::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use millstream_kafka_wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use millstream_kafka_wire::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};
use millstream_kafka_wire::messages::sync_group::SyncGroupRequest;
use millstream_kafka_wire::{ErrorCode, KafkaString};
use std::collections::{BTreeMap, BTreeSet};

/// The first version of LeaveGroup with several members.
const LEAVE_MANY_VERSION: i16 = 3;
/// Characters of a client id or instance id that become part of a member id. The whole must fit a protocol string.
const MEMBER_ID_PREFIX_CHARS_MAX: usize = 8_000;

pub(crate) fn join(
    broker: &mut Broker,
    now_ms: i64,
    context: &RequestContext,
    version: i16,
    request: &JoinGroupRequest,
) -> Outcome {
    if let Err(code) = check_join(broker, request) {
        return Outcome::now(refuse_join(version, &request.member_id, code));
    }
    let info = member_info(context, request);
    let prefix = request.group_instance_id.as_ref().unwrap_or(&context.client_id);
    let prefix: String = prefix.chars().take(MEMBER_ID_PREFIX_CHARS_MAX).collect();
    let fresh_id = KafkaString::from(format!("{prefix}-{}", uuid_text(broker)));
    let protocol_type = request.protocol_type.detached();
    if broker.groups.has_consumers(&request.group_id) {
        let join = GuestJoin {
            info,
            protocol_type,
            fresh_id,
            version,
        };
        return join_guest(broker, now_ms, request, join);
    }
    let rules = Rules::new(&broker.configs);
    let waiting = Waiting {
        ticket: broker.purgatory.ticket(),
        version,
    };
    let group = broker.groups.get_or_create(&request.group_id);
    group.consumer = None; // an empty group may change its protocol
    let group = group.classic.get_or_insert_default();
    let mut effects = Effects::default();
    let joined = group.join(
        now_ms,
        waiting,
        info,
        (&protocol_type, fresh_id),
        rules,
        &mut effects,
    );
    finish(broker, now_ms, &request.group_id, effects);
    match joined {
        Joined::Waiting => Outcome::Waiting(waiting.ticket),
        Joined::Now(response) => Outcome::durable(kept_sequence(broker, &request.group_id), response),
    }
}

/// A member of the classic protocol joins a group of the new one.
fn join_guest(broker: &mut Broker, now_ms: i64, request: &JoinGroupRequest, join: GuestJoin) -> Outcome {
    let rules = ConsumerRules::new(&broker.configs, &request.group_id);
    let version = join.version;
    let refuse = |code| Outcome::now(refuse_join(version, &request.member_id, code));
    let (groups, topics) = broker.groups_and_topics();
    let Some(group) = groups.get_mut(&request.group_id) else {
        return refuse(ErrorCode::UNKNOWN_MEMBER_ID);
    };
    let Some(consumer) = &mut group.consumer else {
        return refuse(ErrorCode::UNKNOWN_MEMBER_ID);
    };
    let mut effects = Effects::default();
    let joined = match consumer.join_guest(now_ms, &rules, join, &topics, &mut effects.persist) {
        Ok(joined) => joined,
        Err(code) => return refuse(code),
    };
    if joined.replaces_last {
        downgrade_after_replacement(group, now_ms, &rules, &topics, &mut effects);
    }
    finish(broker, now_ms, &request.group_id, effects);
    Outcome::durable(kept_sequence(broker, &request.group_id), joined.response)
}

fn check_join(broker: &Broker, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    broker.access(Operation::Read, ResourceKind::Group, &request.group_id)?;
    let session_ms = i64::from(request.session_timeout_ms);
    let (min, max) = (
        broker.configs.long("group.min.session.timeout.ms"),
        broker.configs.long("group.max.session.timeout.ms"),
    );
    if session_ms < min || session_ms > max {
        return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    let group = broker.groups.get(&request.group_id);
    let is_known = group.is_some_and(|group| group.classic.is_some());
    if !is_known && !broker.groups.has_consumers(&request.group_id) && !request.member_id.is_empty() {
        return Err(ErrorCode::UNKNOWN_MEMBER_ID);
    }
    Ok(())
}

fn member_info(context: &RequestContext, request: &JoinGroupRequest) -> MemberInfo {
    // Strings and metadata live as long as the member, so they are copied: a slice would pin the whole frame.
    let protocol = |each: &JoinGroupRequestProtocol| JoinGroupRequestProtocol {
        name: each.name.detached(),
        metadata: Bytes::copy_from_slice(&each.metadata),
    };
    MemberInfo {
        id: request.member_id.detached(),
        instance_id: request.group_instance_id.as_ref().map(KafkaString::detached),
        client_id: context.client_id.detached(),
        client_host: context.client_host.detached(),
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            ..=-1 => request.session_timeout_ms,
            timeout_ms => timeout_ms,
        },
        session_timeout_ms: request.session_timeout_ms,
        protocols: request.protocols.iter().map(protocol).collect(),
    }
}

/// A random id as text, in the form that Java prints.
pub(crate) fn uuid_text(broker: &Broker) -> String {
    let hex: String = broker
        .random_uuid()
        .0
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

pub(crate) fn sync(broker: &mut Broker, now_ms: i64, version: i16, request: &SyncGroupRequest) -> Outcome {
    if let Err(code) = broker.access(Operation::Read, ResourceKind::Group, &request.group_id) {
        return Outcome::now(sync_error(code));
    }
    if broker.groups.has_consumers(&request.group_id) {
        return sync_guest(broker, now_ms, request);
    }
    let ticket = broker.purgatory.ticket();
    let Some(group) = classic(broker, &request.group_id) else {
        let code = if request.group_id.is_empty() {
            ErrorCode::INVALID_GROUP_ID
        } else {
            ErrorCode::UNKNOWN_MEMBER_ID
        };
        return Outcome::now(sync_error(code));
    };
    let (id, instance) = (&request.member_id, request.group_instance_id.as_ref());
    if let Err(code) = group.check_generation(id, instance, request.generation_id) {
        return Outcome::now(sync_error(code));
    }
    let differs = |asked: &Option<KafkaString>, has: &Option<KafkaString>| asked.is_some() && asked != has;
    let is_other = differs(&request.protocol_type, &group.protocol_type)
        || differs(&request.protocol_name, &group.protocol);
    if is_other {
        return Outcome::now(sync_error(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
    }
    let assignments: BTreeMap<KafkaString, Bytes> = request
        .assignments
        .iter()
        .map(|each| (each.member_id.clone(), each.assignment.clone()))
        .collect();
    let mut effects = Effects::default();
    let synced = group.sync(
        now_ms,
        Waiting { ticket, version },
        (id, assignments),
        &mut effects,
    );
    finish(broker, now_ms, &request.group_id, effects);
    let sequence = kept_sequence(broker, &request.group_id);
    synced.map_or(Outcome::Waiting(ticket), |response| {
        Outcome::durable(sequence, response)
    })
}

fn sync_guest(broker: &mut Broker, now_ms: i64, request: &SyncGroupRequest) -> Outcome {
    let sync = GuestSync {
        id: &request.member_id,
        instance: request.group_instance_id.as_ref(),
        generation: request.generation_id,
        protocol_type: request.protocol_type.as_ref(),
        protocol_name: request.protocol_name.as_ref(),
    };
    let (groups, topics) = broker.groups_and_topics();
    let group = groups.get_mut(&request.group_id);
    let consumer = group.and_then(|group| group.consumer.as_mut());
    let synced = consumer.map_or(Err(ErrorCode::UNKNOWN_MEMBER_ID), |consumer| {
        consumer.sync_guest(now_ms, &sync, &topics)
    });
    finish(broker, now_ms, &request.group_id, Effects::default());
    match synced {
        Ok(response) => Outcome::durable(kept_sequence(broker, &request.group_id), response),
        Err(code) => Outcome::now(sync_error(code)),
    }
}

fn consumer<'a>(broker: &'a mut Broker, name: &KafkaString) -> Option<&'a mut ConsumerGroup> {
    broker
        .groups
        .get_mut(name)
        .and_then(|group| group.consumer.as_mut())
}

fn classic<'a>(broker: &'a mut Broker, name: &KafkaString) -> Option<&'a mut ClassicGroup> {
    broker
        .groups
        .get_mut(name)
        .and_then(|group| group.classic.as_mut())
}

pub(crate) fn heartbeat(broker: &mut Broker, now_ms: i64, request: &HeartbeatRequest) -> Outcome {
    if let Err(error_code) = broker.access(Operation::Read, ResourceKind::Group, &request.group_id) {
        return Outcome::now(HeartbeatResponse {
            throttle_time_ms: 0,
            error_code,
        });
    }
    let (id, instance) = (&request.member_id, request.group_instance_id.as_ref());
    if let Some(consumer) = consumer(broker, &request.group_id) {
        let error_code = consumer.heartbeat_guest(now_ms, (id, instance), request.generation_id);
        finish(broker, now_ms, &request.group_id, Effects::default());
        return Outcome::now(HeartbeatResponse {
            throttle_time_ms: 0,
            error_code,
        });
    }
    let error_code = match classic(broker, &request.group_id) {
        _ if request.group_id.is_empty() => ErrorCode::INVALID_GROUP_ID,
        None => ErrorCode::UNKNOWN_MEMBER_ID,
        Some(group) => match group.check_generation(id, instance, request.generation_id) {
            Ok(()) => group.heartbeat(now_ms, id),
            Err(code) => code,
        },
    };
    Outcome::now(HeartbeatResponse {
        throttle_time_ms: 0,
        error_code,
    })
}

pub(crate) fn leave(broker: &mut Broker, now_ms: i64, version: i16, request: &LeaveGroupRequest) -> Outcome {
    if let Err(error_code) = broker.access(Operation::Read, ResourceKind::Group, &request.group_id) {
        return Outcome::now(LeaveGroupResponse {
            error_code,
            ..Default::default()
        });
    }
    let single = [MemberIdentity {
        member_id: request.member_id.clone(),
        ..Default::default()
    }];
    let is_many = version >= LEAVE_MANY_VERSION;
    let leaving = if is_many {
        request.members.as_slice()
    } else {
        &single
    };
    let leaving: Vec<Leaving<'_>> = leaving
        .iter()
        .map(|member| Leaving::new(member, is_many))
        .collect();
    let codes = match consumer(broker, &request.group_id) {
        Some(_) => leave_as_guests(broker, now_ms, &request.group_id, &leaving),
        None => leave_classic(broker, now_ms, &request.group_id, &leaving),
    };
    let response = |(member, error_code): (&Leaving<'_>, ErrorCode)| MemberResponse {
        member_id: member.id.clone(),
        group_instance_id: member.instance.cloned(),
        error_code,
    };
    let members: Vec<MemberResponse> = leaving.iter().zip(codes).map(response).collect();
    let mut response = LeaveGroupResponse::default();
    match is_many {
        _ if request.group_id.is_empty() => response.error_code = ErrorCode::INVALID_GROUP_ID,
        true => response.members = members,
        false => {
            response.error_code = members
                .first()
                .map_or(ErrorCode::NONE, |member| member.error_code)
        }
    }
    Outcome::now(response)
}

/// A member that is about to leave.
struct Leaving<'a> {
    id: &'a KafkaString,
    instance: Option<&'a KafkaString>,
}

impl<'a> Leaving<'a> {
    fn new(member: &'a MemberIdentity, has_instance: bool) -> Self {
        Leaving {
            id: &member.member_id,
            instance: member.group_instance_id.as_ref().filter(|_| has_instance),
        }
    }
}

fn leave_classic(
    broker: &mut Broker,
    now_ms: i64,
    name: &KafkaString,
    leaving: &[Leaving<'_>],
) -> Vec<ErrorCode> {
    let rules = Rules::new(&broker.configs);
    let mut effects = Effects::default();
    let mut group = classic(broker, name);
    let leave = |member: &Leaving<'_>| {
        group.as_mut().map_or(ErrorCode::UNKNOWN_MEMBER_ID, |group| {
            group.leave(now_ms, member.id, member.instance, rules, &mut effects)
        })
    };
    let codes = leaving.iter().map(leave).collect();
    finish(broker, now_ms, name, effects);
    codes
}

/// Members leave a group of the new protocol, all at once.
fn leave_as_guests(
    broker: &mut Broker,
    now_ms: i64,
    name: &KafkaString,
    leaving: &[Leaving<'_>],
) -> Vec<ErrorCode> {
    let rules = ConsumerRules::new(&broker.configs, name);
    let (groups, topics) = broker.groups_and_topics();
    let Some(group) = groups.get_mut(name) else {
        return vec![ErrorCode::UNKNOWN_MEMBER_ID; leaving.len()];
    };
    let mut gone = BTreeSet::new();
    let mut codes = Vec::with_capacity(leaving.len());
    for member in leaving {
        let found = group
            .consumer
            .as_ref()
            .map(|consumer| consumer.leaving(member.id, member.instance));
        let found = found.unwrap_or(Err(ErrorCode::UNKNOWN_MEMBER_ID));
        codes.push(found.as_ref().err().copied().unwrap_or_default());
        gone.extend(found.ok());
    }
    let mut effects = Effects::default();
    fence(group, now_ms, &gone, &rules, &topics, &mut effects);
    finish(broker, now_ms, name, effects);
    codes
}
