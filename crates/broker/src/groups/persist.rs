//! The part of a group that survives a restart, as bytes in a [`Change::Group`](crate::change::Change).
//!
//! kind i8 (1 classic), version i8 (2), state i8 (from version 1), generation i32, protocol type, protocol and leader as
//! nullable strings, empty since i64, then members: id, instance, client id and host, session and rebalance timeouts i32,
//! protocols (name and metadata each), assignment.
//!
//! kind 2 (consumer), version 2, group epoch and assignment epoch i32, time of the assignment i64 (from version 1), empty
//! since i64, topics (id, size i32), members: id, instance, rack, client id and host, rebalance timeout i32, topic names,
//! regex, assignor, epoch and previous epoch i32, state i8, then assigned and pending partitions (topic id, partition
//! i32, from version 1 also the epoch i32 in which the member got it), target partitions (topic id, partition), and from
//! version 1 for a member of the classic protocol i8 1, session timeout i32, protocols (name and metadata each); else i8 0;
//! from version 2 the principal (nullable).

use super::TopicPartition;
use super::classic::{ClassicGroup, Member, MemberInfo, State};
use super::consumer::assignor::Partitions;
use super::consumer::{self, Assigned, ClassicProtocol, ConsumerGroup, MemberState};
use bytes::Bytes;
use millstream_kafka_wire::messages::join_group::JoinGroupRequestProtocol;
use millstream_kafka_wire::{DecodeError, EncodeError, KafkaString, Reader, Writer};

const CLASSIC: i8 = 1;
const CONSUMER: i8 = 2;
/// The version written; all versions from 0 on are read.
const VERSION: i8 = 2;

pub(crate) fn encode_classic(group: &ClassicGroup) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i8(CLASSIC);
    w.i8(VERSION);
    w.i8(group.state as i8);
    w.i32(group.generation);
    w.nullable_string(group.protocol_type.as_ref(), true)?;
    w.nullable_string(group.protocol.as_ref(), true)?;
    w.nullable_string(group.leader.as_ref(), true)?;
    w.i64(group.empty_since_ms);
    let members: Vec<&Member> = group.members.values().collect();
    w.array(&members, true, |w, member| {
        let info = &member.info;
        w.string(&info.id, true)?;
        w.nullable_string(info.instance_id.as_ref(), true)?;
        w.string(&info.client_id, true)?;
        w.string(&info.client_host, true)?;
        w.i32(info.session_timeout_ms);
        w.i32(info.rebalance_timeout_ms);
        write_protocols(w, &info.protocols)?;
        w.bytes(&member.assignment, true)
    })?;
    Ok(w.into_bytes())
}

fn write_protocols(w: &mut Writer, protocols: &[JoinGroupRequestProtocol]) -> Result<(), EncodeError> {
    w.array(protocols, true, |w, protocol| {
        w.string(&protocol.name, true)?;
        w.bytes(&protocol.metadata, true)
    })
}

fn read_protocols(r: &mut Reader) -> Result<Vec<JoinGroupRequestProtocol>, DecodeError> {
    r.array(true, 2, |r| {
        let name = r.string(true)?.detached();
        let metadata = Bytes::copy_from_slice(&r.bytes(true)?);
        Ok(JoinGroupRequestProtocol { name, metadata })
    })
}

/// A group as it was kept.
pub(crate) enum Kept {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

/// Reads a group of either protocol.
pub(crate) fn decode(bytes: Bytes) -> Result<Kept, DecodeError> {
    let mut reader = Reader::new(bytes);
    match (reader.i8()?, reader.i8()?) {
        (CLASSIC, version @ 0..=VERSION) => decode_classic(&mut reader, version).map(Kept::Classic),
        (CONSUMER, version @ 0..=VERSION) => decode_consumer(&mut reader, version).map(Kept::Consumer),
        _ => Err(DecodeError::UnexpectedNull("a group of this kind or version")),
    }
}

fn decode_classic(r: &mut Reader, version: i8) -> Result<ClassicGroup, DecodeError> {
    let mut group = ClassicGroup::default();
    let is_in_rebalance = |state: i8| {
        let states = [State::PreparingRebalance, State::CompletingRebalance];
        states.into_iter().any(|each| each as i8 == state)
    };
    let must_rebalance = version >= 1 && is_in_rebalance(r.i8()?);
    group.generation = r.i32()?;
    group.protocol_type = r.nullable_string(true)?.map(|text| text.detached());
    group.protocol = r.nullable_string(true)?.map(|text| text.detached());
    group.leader = r.nullable_string(true)?.map(|text| text.detached());
    group.empty_since_ms = r.i64()?;
    let members = r.array(true, 12, |r| {
        let info = MemberInfo {
            id: r.string(true)?.detached(),
            instance_id: r.nullable_string(true)?.map(|text| KafkaString::detached(&text)),
            client_id: r.string(true)?.detached(),
            client_host: r.string(true)?.detached(),
            session_timeout_ms: r.i32()?,
            rebalance_timeout_ms: r.i32()?,
            protocols: read_protocols(r)?,
        };
        Ok(Member::new(info, Bytes::copy_from_slice(&r.bytes(true)?), 0))
    })?;
    group.state = if members.is_empty() {
        State::Empty
    } else {
        State::Stable
    };
    group.must_rebalance = must_rebalance && !members.is_empty();
    group.restore(members);
    Ok(group)
}

fn write_partitions(w: &mut Writer, partitions: &Partitions) -> Result<(), EncodeError> {
    let partitions: Vec<&TopicPartition> = partitions.iter().collect();
    w.array(&partitions, true, |w, (topic, partition)| {
        w.uuid(*topic);
        w.i32(*partition);
        Ok(())
    })
}

fn read_partitions(r: &mut Reader) -> Result<Partitions, DecodeError> {
    Ok(r.array(true, 20, |r| Ok((r.uuid()?, r.i32()?)))?
        .into_iter()
        .collect())
}

fn write_assigned(w: &mut Writer, assigned: &Assigned) -> Result<(), EncodeError> {
    let assigned: Vec<_> = assigned.iter().collect();
    w.array(&assigned, true, |w, ((topic, partition), epoch)| {
        w.uuid(*topic);
        w.i32(*partition);
        w.i32(**epoch);
        Ok(())
    })
}

/// Before version 1 a member counts as having everything since its epoch.
fn read_assigned(r: &mut Reader, version: i8, member_epoch: i32) -> Result<Assigned, DecodeError> {
    if version == 0 {
        let since = |partition| (partition, member_epoch);
        return Ok(read_partitions(r)?.into_iter().map(since).collect());
    }
    let assigned = r.array(true, 24, |r| Ok(((r.uuid()?, r.i32()?), r.i32()?)))?;
    Ok(assigned.into_iter().collect())
}

fn read_classic(r: &mut Reader) -> Result<Option<ClassicProtocol>, DecodeError> {
    match r.i8()? {
        0 => Ok(None),
        _ => Ok(Some(ClassicProtocol {
            session_timeout_ms: r.i32()?,
            protocols: read_protocols(r)?,
        })),
    }
}

pub(crate) fn encode_consumer(group: &ConsumerGroup) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i8(CONSUMER);
    w.i8(VERSION);
    w.i32(group.epoch);
    w.i32(group.assignment_epoch);
    w.i64(group.assignment_ms);
    w.i64(group.empty_since_ms);
    let topics: Vec<_> = group.topics.iter().collect();
    w.array(&topics, true, |w, (topic, size)| {
        w.uuid(**topic);
        w.i32(**size);
        Ok(())
    })?;
    let members: Vec<_> = group.members.iter().collect();
    w.array(&members, true, |w, (id, member)| {
        w.string(id, true)?;
        w.nullable_string(member.instance_id.as_ref(), true)?;
        w.nullable_string(member.rack_id.as_ref(), true)?;
        w.string(&member.client_id, true)?;
        w.string(&member.client_host, true)?;
        w.i32(member.rebalance_timeout_ms);
        let names: Vec<&KafkaString> = member.topic_names.iter().collect();
        w.array(&names, true, |w, name| w.string(name, true))?;
        w.nullable_string(member.topic_regex.as_ref(), true)?;
        w.nullable_string(member.assignor.as_ref(), true)?;
        w.i32(member.epoch);
        w.i32(member.previous_epoch);
        w.i8(member.state as i8);
        write_assigned(w, &member.assigned)?;
        write_assigned(w, &member.pending_revocation)?;
        write_partitions(w, group.target.get(*id).unwrap_or(&Partitions::new()))?;
        w.i8(i8::from(member.classic.is_some()));
        if let Some(classic) = &member.classic {
            w.i32(classic.session_timeout_ms);
            write_protocols(w, &classic.protocols)?;
        }
        w.nullable_string(member.principal.as_ref(), true)
    })?;
    Ok(w.into_bytes())
}

fn decode_consumer(r: &mut Reader, version: i8) -> Result<ConsumerGroup, DecodeError> {
    let mut group = ConsumerGroup::default();
    group.epoch = r.i32()?;
    group.assignment_epoch = r.i32()?;
    if version >= 1 {
        group.assignment_ms = r.i64()?;
    }
    group.empty_since_ms = r.i64()?;
    group.topics = r
        .array(true, 20, |r| Ok((r.uuid()?, r.i32()?)))?
        .into_iter()
        .collect();
    for (id, member, target) in r.array(true, 20, |r| decode_member(r, version))? {
        group.target.insert(id.clone(), target);
        group.members.insert(id, member);
    }
    Ok(group)
}

fn decode_member(
    r: &mut Reader,
    version: i8,
) -> Result<(KafkaString, consumer::Member, Partitions), DecodeError> {
    let own = |text: Option<KafkaString>| text.map(|text| text.detached());
    let id = r.string(true)?.detached();
    let mut member = consumer::Member {
        instance_id: own(r.nullable_string(true)?),
        rack_id: own(r.nullable_string(true)?),
        client_id: r.string(true)?.detached(),
        client_host: r.string(true)?.detached(),
        rebalance_timeout_ms: r.i32()?,
        topic_names: r
            .array(true, 1, |r| Ok(r.string(true)?.detached()))?
            .into_iter()
            .collect(),
        topic_regex: own(r.nullable_string(true)?),
        assignor: own(r.nullable_string(true)?),
        epoch: r.i32()?,
        previous_epoch: r.i32()?,
        state: match r.i8()? {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            _ => MemberState::UnreleasedPartitions,
        },
        ..consumer::Member::default()
    };
    member.assigned = read_assigned(r, version, member.epoch)?;
    member.pending_revocation = read_assigned(r, version, member.epoch)?;
    let target = read_partitions(r)?;
    if version >= 1 {
        member.classic = read_classic(r)?;
    }
    if version >= 2 {
        member.principal = own(r.nullable_string(true)?);
    }
    Ok((id, member, target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_kafka_wire::Uuid;

    fn partitions(w: &mut Writer, numbers: &[i32]) {
        w.array(numbers, true, |w, number| {
            w.uuid(Uuid::from_u128(1));
            w.i32(*number);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn groups_of_version_0_are_read() {
        let mut w = Writer::new();
        w.i8(CONSUMER);
        w.i8(0);
        w.i32(4);
        w.i32(4);
        w.i64(0);
        w.array(&[1], true, |w, _| {
            w.uuid(Uuid::from_u128(1));
            w.i32(3);
            Ok(())
        })
        .unwrap();
        w.array(&["m"], true, |w, id| {
            w.string(&KafkaString::from(*id), true)?;
            w.nullable_string(None, true)?;
            w.nullable_string(None, true)?;
            w.string(&KafkaString::from("client"), true)?;
            w.string(&KafkaString::from("host"), true)?;
            w.i32(30_000);
            w.array(&["t"], true, |w, name| w.string(&KafkaString::from(*name), true))?;
            w.nullable_string(None, true)?;
            w.nullable_string(None, true)?;
            w.i32(4);
            w.i32(3);
            w.i8(1);
            partitions(w, &[0, 1]);
            partitions(w, &[2]);
            partitions(w, &[0, 1]);
            Ok(())
        })
        .unwrap();
        let Ok(Kept::Consumer(group)) = decode(w.into_bytes()) else {
            panic!("a group of the new protocol");
        };
        let member = &group.members["m"];
        let held: Vec<_> = member
            .held()
            .into_iter()
            .map(|((_, number), since)| (number, since))
            .collect();
        assert_eq!(held, [(0, 4), (1, 4), (2, 4)]);
        assert_eq!(
            (member.state, member.classic.is_none()),
            (MemberState::UnrevokedPartitions, true)
        );
        assert_eq!((group.assignment_ms, group.target["m"].len()), (0, 2));

        let mut w = Writer::new();
        w.i8(CLASSIC);
        w.i8(0);
        w.i32(7);
        w.nullable_string(Some(&KafkaString::from("consumer")), true)
            .unwrap();
        w.nullable_string(None, true).unwrap();
        w.nullable_string(None, true).unwrap();
        w.i64(5);
        w.array(&[] as &[i32], true, |_, _| Ok(())).unwrap();
        let Ok(Kept::Classic(group)) = decode(w.into_bytes()) else {
            panic!("a classic group");
        };
        assert_eq!(
            (group.generation, group.empty_since_ms, group.must_rebalance),
            (7, 5, false)
        );
    }
}
