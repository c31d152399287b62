//! The part of a group that survives a restart, as bytes in a [`Change::Group`](crate::change::Change).
//!
//! kind i8 (1 classic), version i8 (0), generation i32, protocol type, protocol and leader as nullable strings, empty since
//! i64, then members: id, instance, client id and host, session and rebalance timeouts i32, protocols (name and
//! metadata each), assignment.

use super::classic::{ClassicGroup, Member, MemberInfo, State};
use bytes::Bytes;
use millstream_kafka_wire::messages::join_group::JoinGroupRequestProtocol;
use millstream_kafka_wire::{DecodeError, EncodeError, KafkaString, Reader, Writer};

const CLASSIC: i8 = 1;
const VERSION: i8 = 0;

pub(crate) fn encode_classic(group: &ClassicGroup) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i8(CLASSIC);
    w.i8(VERSION);
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
        w.array(&info.protocols, true, |w, protocol| {
            w.string(&protocol.name, true)?;
            w.bytes(&protocol.metadata, true)
        })?;
        w.bytes(&member.assignment, true)
    })?;
    Ok(w.into_bytes())
}

pub(crate) fn decode_classic(bytes: Bytes) -> Result<ClassicGroup, DecodeError> {
    let mut reader = Reader::new(bytes);
    let r = &mut reader;
    if r.i8()? != CLASSIC || r.i8()? != VERSION {
        return Err(DecodeError::UnexpectedNull("a group of this kind or version"));
    }
    let mut group = ClassicGroup::default();
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
            protocols: r.array(true, 2, |r| {
                let name = r.string(true)?.detached();
                Ok(JoinGroupRequestProtocol {
                    name,
                    metadata: Bytes::copy_from_slice(&r.bytes(true)?),
                })
            })?,
        };
        Ok(Member::new(info, Bytes::copy_from_slice(&r.bytes(true)?), 0))
    })?;
    group.state = if members.is_empty() {
        State::Empty
    } else {
        State::Stable
    };
    group.restore(members);
    Ok(group)
}
