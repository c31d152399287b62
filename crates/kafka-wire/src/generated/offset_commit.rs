// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `OffsetCommit`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::uuid::Uuid;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `OffsetCommitRequest`, versions 2 to 10.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetCommitRequest {
    pub group_id: KafkaString,
    pub generation_id_or_member_epoch: i32,
    pub member_id: KafkaString,
    /// From version 7.
    pub group_instance_id: Option<KafkaString>,
    /// Up to version 4.
    pub retention_time_ms: i64,
    pub topics: Vec<OffsetCommitRequestTopic>,
}

impl Default for OffsetCommitRequest {
    fn default() -> Self {
        Self {
            group_id: KafkaString::EMPTY,
            generation_id_or_member_epoch: -1,
            member_id: KafkaString::EMPTY,
            group_instance_id: None,
            retention_time_ms: -1,
            topics: Vec::new(),
        }
    }
}

impl OffsetCommitRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("OffsetCommitRequest", version, 2, 10)?;
        let flexible = version >= 8;
        let decoded = Self {
            group_id: r.string(flexible)?,
            generation_id_or_member_epoch: r.i32()?,
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 7 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            retention_time_ms: if version <= 4 { r.i64()? } else { -1 },
            topics: r.array(flexible, OffsetCommitRequestTopic::MIN_SIZE, |r| {
                OffsetCommitRequestTopic::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("OffsetCommitRequest", version, 2, 10)?;
        let flexible = version >= 8;
        w.string(&self.group_id, flexible)?;
        w.i32(self.generation_id_or_member_epoch);
        w.string(&self.member_id, flexible)?;
        if version >= 7 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::unsupported_field(
                "OffsetCommitRequest",
                "GroupInstanceId",
                version,
            ));
        }
        if version <= 4 {
            w.i64(self.retention_time_ms);
        }
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetCommitRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetCommitRequestPartition {
    pub partition_index: i32,
    pub committed_offset: i64,
    /// From version 6.
    pub committed_leader_epoch: i32,
    pub committed_metadata: Option<KafkaString>,
}

impl Default for OffsetCommitRequestPartition {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            committed_metadata: Some(KafkaString::EMPTY),
        }
    }
}

impl OffsetCommitRequestPartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 14;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 8;
        let decoded = Self {
            partition_index: r.i32()?,
            committed_offset: r.i64()?,
            committed_leader_epoch: if version >= 6 { r.i32()? } else { -1 },
            committed_metadata: r.nullable_string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 8;
        w.i32(self.partition_index);
        w.i64(self.committed_offset);
        if version >= 6 {
            w.i32(self.committed_leader_epoch);
        }
        w.nullable_string(self.committed_metadata.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetCommitRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetCommitRequestTopic {
    /// Up to version 9.
    pub name: KafkaString,
    /// From version 10.
    pub topic_id: Uuid,
    pub partitions: Vec<OffsetCommitRequestPartition>,
}

impl OffsetCommitRequestTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 8;
        let decoded = Self {
            name: if version <= 9 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            partitions: r.array(flexible, OffsetCommitRequestPartition::MIN_SIZE, |r| {
                OffsetCommitRequestPartition::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 8;
        if version <= 9 {
            w.string(&self.name, flexible)?;
        }
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `OffsetCommitResponse`, versions 2 to 10.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetCommitResponse {
    /// From version 3.
    pub throttle_time_ms: i32,
    pub topics: Vec<OffsetCommitResponseTopic>,
}

impl OffsetCommitResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("OffsetCommitResponse", version, 2, 10)?;
        let flexible = version >= 8;
        let decoded = Self {
            throttle_time_ms: if version >= 3 { r.i32()? } else { 0 },
            topics: r.array(flexible, OffsetCommitResponseTopic::MIN_SIZE, |r| {
                OffsetCommitResponseTopic::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("OffsetCommitResponse", version, 2, 10)?;
        let flexible = version >= 8;
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetCommitResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetCommitResponsePartition {
    pub partition_index: i32,
    pub error_code: ErrorCode,
}

impl OffsetCommitResponsePartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 8;
        let decoded = Self {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 8;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetCommitResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetCommitResponseTopic {
    /// Up to version 9.
    pub name: KafkaString,
    /// From version 10.
    pub topic_id: Uuid,
    pub partitions: Vec<OffsetCommitResponsePartition>,
}

impl OffsetCommitResponseTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 8;
        let decoded = Self {
            name: if version <= 9 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            partitions: r.array(flexible, OffsetCommitResponsePartition::MIN_SIZE, |r| {
                OffsetCommitResponsePartition::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 8;
        if version <= 9 {
            w.string(&self.name, flexible)?;
        }
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for OffsetCommitRequest {
    const API_KEY: ApiKey = ApiKey::OffsetCommit;
    type Response = OffsetCommitResponse;
}

impl From<OffsetCommitRequest> for Request {
    fn from(message: OffsetCommitRequest) -> Self {
        Request::OffsetCommit(message)
    }
}

impl From<OffsetCommitResponse> for Response {
    fn from(message: OffsetCommitResponse) -> Self {
        Response::OffsetCommit(message)
    }
}

impl TryFrom<Response> for OffsetCommitResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::OffsetCommit(message) => Ok(message),
            other => Err(other),
        }
    }
}
