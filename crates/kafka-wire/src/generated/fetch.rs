// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `Fetch`.

use bytes::Bytes;

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::uuid::Uuid;
use crate::writer::TaggedFields;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `FetchRequest`, versions 4 to 18.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchRequest {
    /// From version 12.
    pub cluster_id: Option<KafkaString>,
    /// Up to version 14.
    pub replica_id: i32,
    /// From version 15.
    pub replica_state: ReplicaState,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub isolation_level: i8,
    /// From version 7.
    pub session_id: i32,
    /// From version 7.
    pub session_epoch: i32,
    pub topics: Vec<FetchTopic>,
    /// From version 7.
    pub forgotten_topics_data: Vec<ForgottenTopic>,
    /// From version 11.
    pub rack_id: KafkaString,
}

impl Default for FetchRequest {
    fn default() -> Self {
        Self {
            cluster_id: None,
            replica_id: -1,
            replica_state: ReplicaState::default(),
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 2147483647,
            isolation_level: 0,
            session_id: 0,
            session_epoch: -1,
            topics: Vec::new(),
            forgotten_topics_data: Vec::new(),
            rack_id: KafkaString::EMPTY,
        }
    }
}

impl FetchRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("FetchRequest", version, 4, 18)?;
        let flexible = version >= 12;
        let mut decoded = Self {
            cluster_id: None,
            replica_id: if version <= 14 { r.i32()? } else { -1 },
            replica_state: ReplicaState::default(),
            max_wait_ms: r.i32()?,
            min_bytes: r.i32()?,
            max_bytes: r.i32()?,
            isolation_level: r.i8()?,
            session_id: if version >= 7 { r.i32()? } else { 0 },
            session_epoch: if version >= 7 { r.i32()? } else { -1 },
            topics: r.array(flexible, FetchTopic::MIN_SIZE, |r| FetchTopic::decode(r, version))?,
            forgotten_topics_data: if version >= 7 {
                r.array(flexible, ForgottenTopic::MIN_SIZE, |r| {
                    ForgottenTopic::decode(r, version)
                })?
            } else {
                Vec::new()
            },
            rack_id: if version >= 11 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
        };
        if flexible {
            r.tagged_fields(|r, tag| {
                match tag {
                    0 => decoded.cluster_id = r.nullable_string(flexible)?,
                    1 if version >= 15 => decoded.replica_state = ReplicaState::decode(r, version)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("FetchRequest", version, 4, 18)?;
        let flexible = version >= 12;
        if version <= 14 {
            w.i32(self.replica_id);
        } else if self.replica_id != -1 {
            return Err(EncodeError::unsupported_field(
                "FetchRequest",
                "ReplicaId",
                version,
            ));
        }
        w.i32(self.max_wait_ms);
        w.i32(self.min_bytes);
        w.i32(self.max_bytes);
        w.i8(self.isolation_level);
        if version >= 7 {
            w.i32(self.session_id);
        }
        if version >= 7 {
            w.i32(self.session_epoch);
        }
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if version >= 7 {
            w.array(&self.forgotten_topics_data, flexible, |w, each| {
                each.encode(w, version)
            })?;
        } else if !self.forgotten_topics_data.is_empty() {
            return Err(EncodeError::unsupported_field(
                "FetchRequest",
                "ForgottenTopicsData",
                version,
            ));
        }
        if version >= 11 {
            w.string(&self.rack_id, flexible)?;
        }
        if flexible {
            let mut tags = TaggedFields::default();
            if self.cluster_id.is_some() {
                tags.add(0, |w| {
                    w.nullable_string(self.cluster_id.as_ref(), true)?;
                    Ok(())
                })?;
            }
            if version >= 15 && self.replica_state != ReplicaState::default() {
                tags.add(1, |w| {
                    self.replica_state.encode(w, version)?;
                    Ok(())
                })?;
            }
            w.tagged_fields(tags)?;
        }
        if version < 15 && self.replica_state != ReplicaState::default() {
            return Err(EncodeError::unsupported_field(
                "FetchRequest",
                "ReplicaState",
                version,
            ));
        }
        Ok(())
    }
}

/// A part of `FetchRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaState {
    /// From version 15.
    pub replica_id: i32,
    /// From version 15.
    pub replica_epoch: i64,
}

impl Default for ReplicaState {
    fn default() -> Self {
        Self {
            replica_id: -1,
            replica_epoch: -1,
        }
    }
}

impl ReplicaState {
    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let decoded = Self {
            replica_id: if version >= 15 { r.i32()? } else { -1 },
            replica_epoch: if version >= 15 { r.i64()? } else { -1 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if version >= 15 {
            w.i32(self.replica_id);
        } else if self.replica_id != -1 {
            return Err(EncodeError::unsupported_field(
                "ReplicaState",
                "ReplicaId",
                version,
            ));
        }
        if version >= 15 {
            w.i64(self.replica_epoch);
        } else if self.replica_epoch != -1 {
            return Err(EncodeError::unsupported_field(
                "ReplicaState",
                "ReplicaEpoch",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `FetchRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchPartition {
    pub partition: i32,
    /// From version 9.
    pub current_leader_epoch: i32,
    pub fetch_offset: i64,
    /// From version 12.
    pub last_fetched_epoch: i32,
    /// From version 5.
    pub log_start_offset: i64,
    pub partition_max_bytes: i32,
    /// From version 17.
    pub replica_directory_id: Uuid,
    /// From version 18.
    pub high_watermark: i64,
}

impl Default for FetchPartition {
    fn default() -> Self {
        Self {
            partition: 0,
            current_leader_epoch: -1,
            fetch_offset: 0,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 0,
            replica_directory_id: Uuid::ZERO,
            high_watermark: 9223372036854775807,
        }
    }
}

impl FetchPartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 16;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let mut decoded = Self {
            partition: r.i32()?,
            current_leader_epoch: if version >= 9 { r.i32()? } else { -1 },
            fetch_offset: r.i64()?,
            last_fetched_epoch: if version >= 12 { r.i32()? } else { -1 },
            log_start_offset: if version >= 5 { r.i64()? } else { -1 },
            partition_max_bytes: r.i32()?,
            replica_directory_id: Uuid::ZERO,
            high_watermark: 9223372036854775807,
        };
        if flexible {
            r.tagged_fields(|r, tag| {
                match tag {
                    0 if version >= 17 => decoded.replica_directory_id = r.uuid()?,
                    1 if version >= 18 => decoded.high_watermark = r.i64()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        w.i32(self.partition);
        if version >= 9 {
            w.i32(self.current_leader_epoch);
        }
        w.i64(self.fetch_offset);
        if version >= 12 {
            w.i32(self.last_fetched_epoch);
        } else if self.last_fetched_epoch != -1 {
            return Err(EncodeError::unsupported_field(
                "FetchPartition",
                "LastFetchedEpoch",
                version,
            ));
        }
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        w.i32(self.partition_max_bytes);
        if flexible {
            let mut tags = TaggedFields::default();
            if version >= 17 && self.replica_directory_id != Uuid::ZERO {
                tags.add(0, |w| {
                    w.uuid(self.replica_directory_id);
                    Ok(())
                })?;
            }
            if version >= 18 && self.high_watermark != 9223372036854775807 {
                tags.add(1, |w| {
                    w.i64(self.high_watermark);
                    Ok(())
                })?;
            }
            w.tagged_fields(tags)?;
        }
        Ok(())
    }
}

/// A part of `FetchRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchTopic {
    /// Up to version 12.
    pub topic: KafkaString,
    /// From version 13.
    pub topic_id: Uuid,
    pub partitions: Vec<FetchPartition>,
}

impl FetchTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let decoded = Self {
            topic: if version <= 12 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            partitions: r.array(flexible, FetchPartition::MIN_SIZE, |r| {
                FetchPartition::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if version <= 12 {
            w.string(&self.topic, flexible)?;
        }
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `FetchRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForgottenTopic {
    /// Versions 7 to 12.
    pub topic: KafkaString,
    /// From version 13.
    pub topic_id: Uuid,
    /// From version 7.
    pub partitions: Vec<i32>,
}

impl ForgottenTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let decoded = Self {
            topic: if (7..=12).contains(&version) {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            partitions: if version >= 7 {
                r.array(flexible, 4, Reader::i32)?
            } else {
                Vec::new()
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if (7..=12).contains(&version) {
            w.string(&self.topic, flexible)?;
        }
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        if version >= 7 {
            w.array(&self.partitions, flexible, |w, each| {
                w.i32(*each);
                Ok(())
            })?;
        } else if !self.partitions.is_empty() {
            return Err(EncodeError::unsupported_field(
                "ForgottenTopic",
                "Partitions",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `FetchResponse`, versions 4 to 18.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchResponse {
    pub throttle_time_ms: i32,
    /// From version 7.
    pub error_code: ErrorCode,
    /// From version 7.
    pub session_id: i32,
    pub responses: Vec<FetchableTopicResponse>,
    /// From version 16.
    pub node_endpoints: Vec<NodeEndpoint>,
}

impl FetchResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("FetchResponse", version, 4, 18)?;
        let flexible = version >= 12;
        let mut decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: if version >= 7 {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
            session_id: if version >= 7 { r.i32()? } else { 0 },
            responses: r.array(flexible, FetchableTopicResponse::MIN_SIZE, |r| {
                FetchableTopicResponse::decode(r, version)
            })?,
            node_endpoints: Vec::new(),
        };
        if flexible {
            r.tagged_fields(|r, tag| {
                match tag {
                    0 if version >= 16 => {
                        decoded.node_endpoints = r.array(flexible, NodeEndpoint::MIN_SIZE, |r| {
                            NodeEndpoint::decode(r, version)
                        })?
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("FetchResponse", version, 4, 18)?;
        let flexible = version >= 12;
        w.i32(self.throttle_time_ms);
        if version >= 7 {
            w.error_code(self.error_code);
        }
        if version >= 7 {
            w.i32(self.session_id);
        } else if self.session_id != 0 {
            return Err(EncodeError::unsupported_field(
                "FetchResponse",
                "SessionId",
                version,
            ));
        }
        w.array(&self.responses, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            let mut tags = TaggedFields::default();
            if version >= 16 && !self.node_endpoints.is_empty() {
                tags.add(0, |w| {
                    w.array(&self.node_endpoints, true, |w, each| each.encode(w, version))?;
                    Ok(())
                })?;
            }
            w.tagged_fields(tags)?;
        }
        if version < 16 && !self.node_endpoints.is_empty() {
            return Err(EncodeError::unsupported_field(
                "FetchResponse",
                "NodeEndpoints",
                version,
            ));
        }
        Ok(())
    }
}

/// A part of `FetchResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochEndOffset {
    /// From version 12.
    pub epoch: i32,
    /// From version 12.
    pub end_offset: i64,
}

impl Default for EpochEndOffset {
    fn default() -> Self {
        Self {
            epoch: -1,
            end_offset: -1,
        }
    }
}

impl EpochEndOffset {
    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let decoded = Self {
            epoch: if version >= 12 { r.i32()? } else { -1 },
            end_offset: if version >= 12 { r.i64()? } else { -1 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if version >= 12 {
            w.i32(self.epoch);
        } else if self.epoch != -1 {
            return Err(EncodeError::unsupported_field("EpochEndOffset", "Epoch", version));
        }
        if version >= 12 {
            w.i64(self.end_offset);
        } else if self.end_offset != -1 {
            return Err(EncodeError::unsupported_field(
                "EpochEndOffset",
                "EndOffset",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `FetchResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// From version 12.
    pub leader_id: i32,
    /// From version 12.
    pub leader_epoch: i32,
}

impl Default for LeaderIdAndEpoch {
    fn default() -> Self {
        Self {
            leader_id: -1,
            leader_epoch: -1,
        }
    }
}

impl LeaderIdAndEpoch {
    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let decoded = Self {
            leader_id: if version >= 12 { r.i32()? } else { -1 },
            leader_epoch: if version >= 12 { r.i32()? } else { -1 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if version >= 12 {
            w.i32(self.leader_id);
        } else if self.leader_id != -1 {
            return Err(EncodeError::unsupported_field(
                "LeaderIdAndEpoch",
                "LeaderId",
                version,
            ));
        }
        if version >= 12 {
            w.i32(self.leader_epoch);
        } else if self.leader_epoch != -1 {
            return Err(EncodeError::unsupported_field(
                "LeaderIdAndEpoch",
                "LeaderEpoch",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `FetchResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotId {
    pub end_offset: i64,
    pub epoch: i32,
}

impl Default for SnapshotId {
    fn default() -> Self {
        Self {
            end_offset: -1,
            epoch: -1,
        }
    }
}

impl SnapshotId {
    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let decoded = Self {
            end_offset: r.i64()?,
            epoch: r.i32()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        w.i64(self.end_offset);
        w.i32(self.epoch);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `FetchResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}

impl AbortedTransaction {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 16;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let decoded = Self {
            producer_id: r.i64()?,
            first_offset: r.i64()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        w.i64(self.producer_id);
        w.i64(self.first_offset);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `FetchResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    /// From version 5.
    pub log_start_offset: i64,
    /// From version 12.
    pub diverging_epoch: EpochEndOffset,
    /// From version 12.
    pub current_leader: LeaderIdAndEpoch,
    /// From version 12.
    pub snapshot_id: SnapshotId,
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// From version 11.
    pub preferred_read_replica: i32,
    pub records: Option<Bytes>,
}

impl Default for PartitionData {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: ErrorCode::NONE,
            high_watermark: 0,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: EpochEndOffset::default(),
            current_leader: LeaderIdAndEpoch::default(),
            snapshot_id: SnapshotId::default(),
            aborted_transactions: Some(Vec::new()),
            preferred_read_replica: -1,
            records: None,
        }
    }
}

impl PartitionData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 30;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let mut decoded = Self {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
            high_watermark: r.i64()?,
            last_stable_offset: r.i64()?,
            log_start_offset: if version >= 5 { r.i64()? } else { -1 },
            diverging_epoch: EpochEndOffset::default(),
            current_leader: LeaderIdAndEpoch::default(),
            snapshot_id: SnapshotId::default(),
            aborted_transactions: r.nullable_array(flexible, AbortedTransaction::MIN_SIZE, |r| {
                AbortedTransaction::decode(r, version)
            })?,
            preferred_read_replica: if version >= 11 { r.i32()? } else { -1 },
            records: r.nullable_bytes(flexible)?,
        };
        if flexible {
            r.tagged_fields(|r, tag| {
                match tag {
                    0 => decoded.diverging_epoch = EpochEndOffset::decode(r, version)?,
                    1 => decoded.current_leader = LeaderIdAndEpoch::decode(r, version)?,
                    2 => decoded.snapshot_id = SnapshotId::decode(r, version)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.i64(self.high_watermark);
        w.i64(self.last_stable_offset);
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        w.nullable_array(self.aborted_transactions.as_deref(), flexible, |w, each| {
            each.encode(w, version)
        })?;
        if version >= 11 {
            w.i32(self.preferred_read_replica);
        } else if self.preferred_read_replica != -1 {
            return Err(EncodeError::unsupported_field(
                "PartitionData",
                "PreferredReadReplica",
                version,
            ));
        }
        w.nullable_bytes(self.records.as_ref(), flexible)?;
        if flexible {
            let mut tags = TaggedFields::default();
            if self.diverging_epoch != EpochEndOffset::default() {
                tags.add(0, |w| {
                    self.diverging_epoch.encode(w, version)?;
                    Ok(())
                })?;
            }
            if self.current_leader != LeaderIdAndEpoch::default() {
                tags.add(1, |w| {
                    self.current_leader.encode(w, version)?;
                    Ok(())
                })?;
            }
            if self.snapshot_id != SnapshotId::default() {
                tags.add(2, |w| {
                    self.snapshot_id.encode(w, version)?;
                    Ok(())
                })?;
            }
            w.tagged_fields(tags)?;
        }
        if version < 12 && self.diverging_epoch != EpochEndOffset::default() {
            return Err(EncodeError::unsupported_field(
                "PartitionData",
                "DivergingEpoch",
                version,
            ));
        }
        if version < 12 && self.current_leader != LeaderIdAndEpoch::default() {
            return Err(EncodeError::unsupported_field(
                "PartitionData",
                "CurrentLeader",
                version,
            ));
        }
        if version < 12 && self.snapshot_id != SnapshotId::default() {
            return Err(EncodeError::unsupported_field(
                "PartitionData",
                "SnapshotId",
                version,
            ));
        }
        Ok(())
    }
}

/// A part of `FetchResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchableTopicResponse {
    /// Up to version 12.
    pub topic: KafkaString,
    /// From version 13.
    pub topic_id: Uuid,
    pub partitions: Vec<PartitionData>,
}

impl FetchableTopicResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let decoded = Self {
            topic: if version <= 12 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            partitions: r.array(flexible, PartitionData::MIN_SIZE, |r| {
                PartitionData::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if version <= 12 {
            w.string(&self.topic, flexible)?;
        }
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `FetchResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeEndpoint {
    /// From version 16.
    pub node_id: i32,
    /// From version 16.
    pub host: KafkaString,
    /// From version 16.
    pub port: i32,
    /// From version 16.
    pub rack: Option<KafkaString>,
}

impl NodeEndpoint {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 12;
        let decoded = Self {
            node_id: if version >= 16 { r.i32()? } else { 0 },
            host: if version >= 16 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            port: if version >= 16 { r.i32()? } else { 0 },
            rack: if version >= 16 {
                r.nullable_string(flexible)?
            } else {
                None
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 12;
        if version >= 16 {
            w.i32(self.node_id);
        } else if self.node_id != 0 {
            return Err(EncodeError::unsupported_field("NodeEndpoint", "NodeId", version));
        }
        if version >= 16 {
            w.string(&self.host, flexible)?;
        } else if !self.host.is_empty() {
            return Err(EncodeError::unsupported_field("NodeEndpoint", "Host", version));
        }
        if version >= 16 {
            w.i32(self.port);
        } else if self.port != 0 {
            return Err(EncodeError::unsupported_field("NodeEndpoint", "Port", version));
        }
        if version >= 16 {
            w.nullable_string(self.rack.as_ref(), flexible)?;
        } else if self.rack.is_some() {
            return Err(EncodeError::unsupported_field("NodeEndpoint", "Rack", version));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for FetchRequest {
    const API_KEY: ApiKey = ApiKey::Fetch;
    type Response = FetchResponse;
}

impl From<FetchRequest> for Request {
    fn from(message: FetchRequest) -> Self {
        Request::Fetch(message)
    }
}

impl From<FetchResponse> for Response {
    fn from(message: FetchResponse) -> Self {
        Response::Fetch(message)
    }
}

impl TryFrom<Response> for FetchResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::Fetch(message) => Ok(message),
            other => Err(other),
        }
    }
}
