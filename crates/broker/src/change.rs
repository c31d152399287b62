//! Changes of the broker's state, as they stand in the write-ahead log and, one after the other, in snapshots.
//!
//! Every durable state (topics, configurations, offsets, transactions, groups, …) moves by applying a [`Change`], at
//! run time and at recovery alike, so that the two cannot differ. A change is: kind u8, version u8, and the fields below in
//! Kafka's flexible encoding. Kinds and versions are a promise; new fields need a new version.

use crate::config::ResourceType;
use bytes::Bytes;
use millstream_kafka_wire::{DecodeError, EncodeError, KafkaString, Reader, Uuid, Writer};
use std::collections::BTreeMap;

/// Version of every kind of record without a constant of its own.
const VERSION: i8 = 0;
/// Version of committed and pending offsets. Version 1 added their place.
const OFFSETS_VERSION: i8 = 1;
/// Version of transactional ids. Version 1 added the producer that prepared a transaction.
const TRANSACTION_VERSION: i8 = 1;

/// A change of durable state.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The cluster got its id.
    Cluster {
        /// The id.
        id: KafkaString,
    },
    /// A topic was made or changed.
    Topic {
        /// Its id.
        id: Uuid,
        /// Its name.
        name: KafkaString,
        /// The log of each partition.
        partitions: Vec<u32>,
        /// Its dynamic configuration.
        configs: BTreeMap<String, String>,
    },
    /// A topic was deleted, and the offsets of groups with it.
    TopicDeleted {
        /// Its id.
        id: Uuid,
    },
    /// The dynamic configuration of a resource was replaced.
    Configs {
        /// The kind of resource.
        kind: ResourceType,
        /// Its name.
        name: String,
        /// All that is set.
        configs: BTreeMap<String, String>,
    },
    /// Producer ids below this one have been allocated.
    ProducerIds {
        /// The next one.
        next: i64,
    },
    /// A group committed offsets.
    Offsets {
        /// The group.
        group: KafkaString,
        /// The offsets.
        offsets: Vec<CommittedOffset>,
    },
    /// Offsets of a group were removed.
    OffsetsDeleted {
        /// The group.
        group: KafkaString,
        /// The partitions.
        partitions: Vec<(Uuid, i32)>,
    },
    /// A group and its offsets were removed.
    GroupDeleted {
        /// The group.
        group: KafkaString,
    },
    /// The state of a group that survives a restart; its form is the group's.
    Group {
        /// The group.
        group: KafkaString,
        /// Its members, assignment and generation.
        state: Bytes,
    },
    /// The state of a transactional id changed.
    Transaction(TransactionState),
    /// A transaction wants to commit offsets.
    TransactionOffsets {
        /// The transactional id.
        id: KafkaString,
        /// The group.
        group: KafkaString,
        /// The offsets.
        offsets: Vec<CommittedOffset>,
    },
    /// A transactional id was forgotten.
    TransactionDeleted {
        /// The transactional id.
        id: KafkaString,
    },
    /// Something of the administration's: ACLs, quotas, credentials. One row of a table by its key.
    Row {
        /// Which table.
        table: u8,
        /// The row's key.
        key: Bytes,
        /// Its content, `None` if it was removed.
        value: Option<Bytes>,
    },
}

/// An offset that a group committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The topic.
    pub topic: Uuid,
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch that the client gave, −1 for none.
    pub leader_epoch: i32,
    /// The client's text.
    pub metadata: KafkaString,
    /// When it was committed.
    pub commit_ms: i64,
    /// When it expires by the client's wish (old clients), −1 for the group's rule.
    pub expire_ms: i64,
    /// Position in the order of all commits, to decide which of two is newer; 0 takes the next position.
    pub place: u64,
}

impl CommittedOffset {
    /// The same commit at a position of its own.
    pub(crate) fn placed(&self, next: u64) -> CommittedOffset {
        let place = match self.place {
            0 => next,
            place => place,
        };
        CommittedOffset {
            place,
            ..self.clone()
        }
    }
}

/// State of a transactional id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum TransactionPhase {
    /// It has a producer id and no transaction.
    Empty = 0,
    /// A transaction is open.
    Ongoing = 1,
    /// The last one was committed.
    CompleteCommit = 4,
    /// The last one was aborted.
    CompleteAbort = 5,
}

/// Everything durable about a transactional id except the offsets that it commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionState {
    /// The transactional id.
    pub id: KafkaString,
    /// Its producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The producer id before the last rise of the epoch, to recognise a repeated request.
    pub last_producer_id: i64,
    /// The epoch before.
    pub last_epoch: i16,
    /// After this time an open transaction is aborted; `i32::MAX` with two-phase commit.
    pub timeout_ms: i32,
    /// Current state.
    pub phase: TransactionPhase,
    /// Partitions of the open transaction.
    pub partitions: Vec<(Uuid, i32)>,
    /// Groups whose offsets it commits.
    pub groups: Vec<KafkaString>,
    /// When the open transaction began, or the one that ended last; −1 if there is none since the producer began.
    pub start_ms: i64,
    /// The last change.
    pub update_ms: i64,
    /// Whether it never times out: it was started for two-phase commit.
    pub two_phase: bool,
    /// Whether the client speaks transactions version 2.
    pub is_v2: bool,
    /// The producer id and epoch under which the records of a prepared transaction stand, once an instance that did not
    /// write them has it (KIP-939). It stays the same however many instances come, and the transaction can only be ended.
    pub prepared: Option<(i64, i16)>,
}

impl TransactionState {
    /// The producer id and epoch under which the records of its transaction stand.
    pub(crate) fn ongoing_producer(&self) -> (i64, i16) {
        self.prepared.unwrap_or((self.producer_id, self.epoch))
    }
}

impl TransactionPhase {
    fn from_code(code: i8) -> Option<Self> {
        [
            Self::Empty,
            Self::Ongoing,
            Self::CompleteCommit,
            Self::CompleteAbort,
        ]
        .into_iter()
        .find(|phase| *phase as i8 == code)
    }

    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            TransactionPhase::Empty => "Empty",
            TransactionPhase::Ongoing => "Ongoing",
            TransactionPhase::CompleteCommit => "CompleteCommit",
            TransactionPhase::CompleteAbort => "CompleteAbort",
        }
    }
}

type Encoded = Result<(), EncodeError>;

impl Change {
    /// The change as bytes.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::new();
        self.write(&mut writer)?;
        Ok(writer.into_bytes())
    }

    /// Whether the change may affect which topics a caller sees: topics themselves, ACLs and super users.
    pub(crate) fn concerns_topics(&self) -> bool {
        matches!(
            self,
            Change::Topic { .. } | Change::TopicDeleted { .. } | Change::Configs { .. } | Change::Row { .. }
        )
    }

    fn kind(&self) -> i8 {
        match self {
            Change::Cluster { .. } => 1,
            Change::Topic { .. } => 2,
            Change::TopicDeleted { .. } => 3,
            Change::Configs { .. } => 4,
            Change::ProducerIds { .. } => 5,
            Change::Offsets { .. } => 6,
            Change::OffsetsDeleted { .. } => 7,
            Change::GroupDeleted { .. } => 8,
            Change::Group { .. } => 9,
            Change::Transaction(_) => 10,
            Change::TransactionOffsets { .. } => 11,
            Change::TransactionDeleted { .. } => 12,
            Change::Row { .. } => 13,
        }
    }

    fn version(&self) -> i8 {
        match self {
            Change::Offsets { .. } | Change::TransactionOffsets { .. } => OFFSETS_VERSION,
            Change::Transaction(_) => TRANSACTION_VERSION,
            _ => VERSION,
        }
    }

    fn write(&self, w: &mut Writer) -> Encoded {
        w.i8(self.kind());
        w.i8(self.version());
        match self {
            Change::Topic {
                id,
                name,
                partitions,
                configs,
            } => {
                w.uuid(*id);
                w.string(name, true)?;
                w.array(partitions, true, |w, log| {
                    w.i32(*log as i32);
                    Ok(())
                })?;
                write_map(w, configs)
            }
            Change::TopicDeleted { id } => {
                w.uuid(*id);
                Ok(())
            }
            Change::Configs { kind, name, configs } => {
                w.i8(*kind as i8);
                w.string(&KafkaString::from(name), true)?;
                write_map(w, configs)
            }
            Change::ProducerIds { next } => {
                w.i64(*next);
                Ok(())
            }
            Change::Offsets { group, offsets } => {
                w.string(group, true)?;
                w.array(offsets, true, write_offset)
            }
            Change::OffsetsDeleted { group, partitions } => {
                w.string(group, true)?;
                w.array(partitions, true, write_partition)
            }
            Change::Cluster { id }
            | Change::GroupDeleted { group: id }
            | Change::TransactionDeleted { id } => w.string(id, true),
            Change::Group { group, state } => {
                w.string(group, true)?;
                w.bytes(state, true)
            }
            Change::Transaction(state) => write_transaction(w, state),
            Change::TransactionOffsets { id, group, offsets } => {
                w.string(id, true)?;
                w.string(group, true)?;
                w.array(offsets, true, write_offset)
            }
            Change::Row { table, key, value } => {
                w.i8(*table as i8);
                w.bytes(key, true)?;
                w.nullable_bytes(value.as_ref(), true)
            }
        }
    }

    /// Reads a change that fills `bytes`.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let r = &mut reader;
        let (kind, version) = (r.i8()?, r.i8()?);
        let newest = match kind {
            6 | 11 => OFFSETS_VERSION,
            10 => TRANSACTION_VERSION,
            _ => VERSION,
        };
        if !(VERSION..=newest).contains(&version) {
            return Err(unknown());
        }
        Ok(match kind {
            1 => Change::Cluster { id: r.string(true)? },
            2 => Change::Topic {
                id: r.uuid()?,
                name: r.string(true)?.detached(),
                partitions: r.array(true, 4, |r| Ok(r.i32()? as u32))?,
                configs: read_map(r)?,
            },
            3 => Change::TopicDeleted { id: r.uuid()? },
            4 => Change::Configs {
                kind: ResourceType::from_code(r.i8()?).ok_or_else(unknown)?,
                name: r.string(true)?.into(),
                configs: read_map(r)?,
            },
            5 => Change::ProducerIds { next: r.i64()? },
            6 => Change::Offsets {
                group: r.string(true)?.detached(),
                offsets: r.array(true, 42, |r| read_offset(r, version))?,
            },
            7 => Change::OffsetsDeleted {
                group: r.string(true)?.detached(),
                partitions: r.array(true, 20, read_partition)?,
            },
            8 => Change::GroupDeleted {
                group: r.string(true)?.detached(),
            },
            9 => Change::Group {
                group: r.string(true)?.detached(),
                state: r.bytes(true)?,
            },
            10 => Change::Transaction(read_transaction(r, version)?),
            11 => Change::TransactionOffsets {
                id: r.string(true)?.detached(),
                group: r.string(true)?.detached(),
                offsets: r.array(true, 42, |r| read_offset(r, version))?,
            },
            12 => Change::TransactionDeleted {
                id: r.string(true)?.detached(),
            },
            13 => Change::Row {
                table: r.i8()? as u8,
                key: r.bytes(true)?,
                value: r.nullable_bytes(true)?,
            },
            _ => return Err(unknown()),
        })
    }
}

fn unknown() -> DecodeError {
    DecodeError::UnexpectedNull("a change of this kind or version")
}

fn write_map(w: &mut Writer, map: &BTreeMap<String, String>) -> Encoded {
    let pairs: Vec<_> = map.iter().collect();
    w.array(&pairs, true, |w, (key, value)| {
        w.string(&KafkaString::from(*key), true)?;
        w.string(&KafkaString::from(*value), true)
    })
}

fn read_map(r: &mut Reader) -> Result<BTreeMap<String, String>, DecodeError> {
    let pairs = r.array(true, 2, |r| {
        Ok((String::from(r.string(true)?), String::from(r.string(true)?)))
    })?;
    Ok(pairs.into_iter().collect())
}

fn write_partition(w: &mut Writer, (topic, partition): &(Uuid, i32)) -> Encoded {
    w.uuid(*topic);
    w.i32(*partition);
    Ok(())
}

fn read_partition(r: &mut Reader) -> Result<(Uuid, i32), DecodeError> {
    Ok((r.uuid()?, r.i32()?))
}

fn write_offset(w: &mut Writer, offset: &CommittedOffset) -> Encoded {
    w.uuid(offset.topic);
    w.i32(offset.partition);
    w.i64(offset.offset);
    w.i32(offset.leader_epoch);
    w.string(&offset.metadata, true)?;
    w.i64(offset.commit_ms);
    w.i64(offset.expire_ms);
    w.i64(offset.place as i64);
    Ok(())
}

fn read_offset(r: &mut Reader, version: i8) -> Result<CommittedOffset, DecodeError> {
    Ok(CommittedOffset {
        topic: r.uuid()?,
        partition: r.i32()?,
        offset: r.i64()?,
        leader_epoch: r.i32()?,
        metadata: r.string(true)?.detached(),
        commit_ms: r.i64()?,
        expire_ms: r.i64()?,
        place: match version {
            0 => 0,
            _ => r.i64()? as u64,
        },
    })
}

fn write_transaction(w: &mut Writer, state: &TransactionState) -> Encoded {
    w.string(&state.id, true)?;
    w.i64(state.producer_id);
    w.i16(state.epoch);
    w.i64(state.last_producer_id);
    w.i16(state.last_epoch);
    w.i32(state.timeout_ms);
    w.i8(state.phase as i8);
    w.array(&state.partitions, true, write_partition)?;
    w.array(&state.groups, true, |w, group| w.string(group, true))?;
    w.i64(state.start_ms);
    w.i64(state.update_ms);
    w.bool(state.two_phase);
    w.bool(state.is_v2);
    let (producer_id, epoch) = state.prepared.unwrap_or((-1, -1));
    w.i64(producer_id);
    w.i16(epoch);
    Ok(())
}

fn read_transaction(r: &mut Reader, version: i8) -> Result<TransactionState, DecodeError> {
    Ok(TransactionState {
        id: r.string(true)?.detached(),
        producer_id: r.i64()?,
        epoch: r.i16()?,
        last_producer_id: r.i64()?,
        last_epoch: r.i16()?,
        timeout_ms: r.i32()?,
        phase: TransactionPhase::from_code(r.i8()?).ok_or_else(unknown)?,
        partitions: r.array(true, 20, read_partition)?,
        groups: r.array(true, 1, |r| Ok(r.string(true)?.detached()))?,
        start_ms: r.i64()?,
        update_ms: r.i64()?,
        two_phase: r.bool()?,
        is_v2: r.bool()?,
        prepared: match version {
            0 => None,
            _ => Some((r.i64()?, r.i16()?)).filter(|(producer_id, _)| *producer_id >= 0),
        },
    })
}

/// Changes one after the other, each with its length before it: a snapshot.
pub fn encode_snapshot(changes: impl Iterator<Item = Change>) -> Result<Vec<u8>, EncodeError> {
    let mut snapshot = Vec::new();
    for change in changes {
        let bytes = change.encode()?;
        snapshot.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        snapshot.extend_from_slice(&bytes);
    }
    Ok(snapshot)
}

/// Reads a snapshot.
pub fn decode_snapshot(mut bytes: Bytes) -> Result<Vec<Change>, DecodeError> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let remaining = bytes.len();
        let truncated = || DecodeError::Truncated { wanted: 4, remaining };
        let length = bytes
            .first_chunk()
            .map(|length| u32::from_le_bytes(*length) as usize)
            .ok_or_else(truncated)?;
        if remaining - 4 < length {
            return Err(DecodeError::Truncated {
                wanted: length,
                remaining: remaining - 4,
            });
        }
        changes.push(Change::decode(bytes.slice(4..4 + length))?);
        bytes = bytes.slice(4 + length..);
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_version_0_are_read_as_without_a_place() {
        let offset = CommittedOffset {
            topic: Uuid::from_u128(1),
            partition: 2,
            offset: 3,
            leader_epoch: 4,
            metadata: "five".into(),
            commit_ms: 6,
            expire_ms: -1,
            place: 7,
        };
        let (group, id) = (KafkaString::from("g"), KafkaString::from("x"));
        for is_pending in [false, true] {
            let change = |place| {
                let offsets = vec![CommittedOffset {
                    place,
                    ..offset.clone()
                }];
                let (group, id) = (group.clone(), id.clone());
                if is_pending {
                    Change::TransactionOffsets { id, group, offsets }
                } else {
                    Change::Offsets { group, offsets }
                }
            };
            let bytes = change(7).encode().unwrap();
            assert_eq!(Change::decode(bytes.clone()).unwrap(), change(7));
            let mut older = bytes[..bytes.len() - 8].to_vec();
            older[1] = 0;
            assert_eq!(Change::decode(older.into()).unwrap(), change(0));
            let mut newer = bytes.to_vec();
            newer[1] = 2;
            Change::decode(newer.into()).unwrap_err();
        }
    }

    #[test]
    fn transactions_of_version_0_are_read_as_prepared_by_their_own_producer() {
        let change = |prepared| {
            Change::Transaction(TransactionState {
                id: "x".into(),
                producer_id: 1,
                epoch: 2,
                last_producer_id: 3,
                last_epoch: 4,
                timeout_ms: i32::MAX,
                phase: TransactionPhase::Ongoing,
                partitions: vec![(Uuid::from_u128(5), 6)],
                groups: vec!["g".into()],
                start_ms: 7,
                update_ms: 8,
                two_phase: true,
                is_v2: true,
                prepared,
            })
        };
        for prepared in [None, Some((0, 0)), Some((1, 1))] {
            let bytes = change(prepared).encode().unwrap();
            assert_eq!(Change::decode(bytes.clone()).unwrap(), change(prepared));
            let mut older = bytes[..bytes.len() - 10].to_vec();
            older[1] = 0;
            assert_eq!(Change::decode(older.into()).unwrap(), change(None));
            let mut newer = bytes.to_vec();
            newer[1] = 2;
            Change::decode(newer.into()).unwrap_err();
        }
    }
}
