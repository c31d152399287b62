//! Authorisation of offset commits and offset fetches by group state.

use super::TopicPartition;
use super::classic::State;
use super::consumer::Assigned;
use crate::broker::Broker;
use crate::mutants::Mutant;
use millstream_kafka_wire::messages::offset_fetch::OffsetFetchRequestGroup;
use millstream_kafka_wire::{ErrorCode, KafkaString};

/// The first version of OffsetCommit in which members of the new protocol commit.
const MEMBER_EPOCH_VERSION: i16 = 9;

/// The sender of an offset commit.
#[derive(Debug)]
pub(crate) struct Committer<'a> {
    pub group: &'a KafkaString,
    pub member_id: &'a KafkaString,
    pub instance_id: Option<&'a KafkaString>,
    /// Generation or member epoch, negative for a group without members.
    pub epoch: i32,
    pub is_transactional: bool,
}

/// The partitions for which a commit is accepted.
#[derive(Debug)]
pub(crate) enum Permit {
    Everything,
    /// Partitions that the member has held since its epoch or longer (KIP-1251); the code rejects the rest.
    HeldSince(i32, Assigned, ErrorCode),
}

impl Permit {
    pub fn check(&self, partition: TopicPartition) -> Result<(), ErrorCode> {
        match self {
            Permit::Everything => Ok(()),
            Permit::HeldSince(epoch, held, code) => match held.get(&partition) {
                Some(since) if since <= epoch => Ok(()),
                _ => Err(*code),
            },
        }
    }
}

/// Checks whether the sender may commit for a group now. In a classic group a commit counts as a heartbeat.
pub(crate) fn check_commit(
    broker: &mut Broker,
    now_ms: i64,
    version: i16,
    committer: &Committer<'_>,
) -> Result<Permit, ErrorCode> {
    if broker.breaks(Mutant::ForgetGeneration) {
        return Ok(Permit::Everything);
    }
    let is_anonymous = committer.member_id.is_empty() && committer.instance_id.is_none();
    let group = broker.groups.get_mut(committer.group);
    if let Some(consumer) = group.as_ref().and_then(|group| group.consumer.as_ref()) {
        let is_alone = consumer.members.is_empty() || committer.is_transactional && is_anonymous;
        if committer.epoch < 0 && is_alone {
            return Ok(Permit::Everything);
        }
        let member = consumer.members.get(committer.member_id);
        let member = member.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let is_too_old = member.classic.is_none() && version < MEMBER_EPOCH_VERSION;
        if is_too_old && !committer.is_transactional {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        return member.may_commit(committer.epoch, committer.is_transactional);
    }
    let has_offsets_only = group.is_some();
    let Some(classic) = group.and_then(|group| group.classic.as_mut()) else {
        return match committer.epoch {
            ..=-1 => Ok(Permit::Everything),
            _ if has_offsets_only => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            _ if version >= MEMBER_EPOCH_VERSION && !committer.is_transactional => {
                Err(ErrorCode::GROUP_ID_NOT_FOUND)
            }
            _ => Err(ErrorCode::ILLEGAL_GENERATION),
        };
    };
    if committer.epoch < 0 && classic.state == State::Empty {
        return Ok(Permit::Everything);
    }
    if committer.epoch >= 0 || !is_anonymous {
        classic.check_generation(committer.member_id, committer.instance_id, committer.epoch)?;
    } else if !committer.is_transactional {
        return Err(ErrorCode::UNKNOWN_MEMBER_ID);
    }
    if !committer.is_transactional && classic.state == State::CompletingRebalance {
        return Err(ErrorCode::REBALANCE_IN_PROGRESS);
    }
    classic.touch(now_ms, committer.member_id);
    Ok(Permit::Everything)
}

/// Checks whether the sender may fetch a group's offsets.
pub(crate) fn check_fetch(broker: &Broker, asked: &OffsetFetchRequestGroup) -> Result<(), ErrorCode> {
    let group = broker.groups.get(&asked.group_id);
    let Some(consumer) = group.and_then(|group| group.consumer.as_ref()) else {
        return Ok(());
    };
    match &asked.member_id {
        Some(id) if asked.member_epoch >= 0 => {
            let member = consumer.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            if member.epoch == asked.member_epoch {
                Ok(())
            } else {
                Err(member.stale_code(false))
            }
        }
        _ => Ok(()),
    }
}
