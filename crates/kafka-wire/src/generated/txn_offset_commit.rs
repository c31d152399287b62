// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `TxnOffsetCommit`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `TxnOffsetCommitRequest`, versions 0 to 5.
#[derive(Clone, Debug, PartialEq)]
pub struct TxnOffsetCommitRequest {
    pub transactional_id: KafkaString,
    pub group_id: KafkaString,
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// From version 3.
    pub generation_id: i32,
    /// From version 3.
    pub member_id: KafkaString,
    /// From version 3.
    pub group_instance_id: Option<KafkaString>,
    pub topics: Vec<TxnOffsetCommitRequestTopic>,
}

impl Default for TxnOffsetCommitRequest {
    fn default() -> Self {
        Self {
            transactional_id: KafkaString::EMPTY,
            group_id: KafkaString::EMPTY,
            producer_id: 0,
            producer_epoch: 0,
            generation_id: -1,
            member_id: KafkaString::EMPTY,
            group_instance_id: None,
            topics: Vec::new(),
        }
    }
}

impl TxnOffsetCommitRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("TxnOffsetCommitRequest", version, 0, 5)?;
        let flexible = version >= 3;
        let decoded = Self {
            transactional_id: r.string(flexible)?,
            group_id: r.string(flexible)?,
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            generation_id: if version >= 3 { r.i32()? } else { -1 },
            member_id: if version >= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            group_instance_id: if version >= 3 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            topics: r.array(flexible, TxnOffsetCommitRequestTopic::MIN_SIZE, |r| {
                TxnOffsetCommitRequestTopic::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("TxnOffsetCommitRequest", version, 0, 5)?;
        let flexible = version >= 3;
        w.string(&self.transactional_id, flexible)?;
        w.string(&self.group_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        if version >= 3 {
            w.i32(self.generation_id);
        } else if self.generation_id != -1 {
            return Err(EncodeError::unsupported_field(
                "TxnOffsetCommitRequest",
                "GenerationId",
                version,
            ));
        }
        if version >= 3 {
            w.string(&self.member_id, flexible)?;
        } else if !self.member_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "TxnOffsetCommitRequest",
                "MemberId",
                version,
            ));
        }
        if version >= 3 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::unsupported_field(
                "TxnOffsetCommitRequest",
                "GroupInstanceId",
                version,
            ));
        }
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `TxnOffsetCommitRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct TxnOffsetCommitRequestPartition {
    pub partition_index: i32,
    pub committed_offset: i64,
    /// From version 2.
    pub committed_leader_epoch: i32,
    pub committed_metadata: Option<KafkaString>,
}

impl Default for TxnOffsetCommitRequestPartition {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            committed_metadata: Some(KafkaString::EMPTY),
        }
    }
}

impl TxnOffsetCommitRequestPartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 14;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            partition_index: r.i32()?,
            committed_offset: r.i64()?,
            committed_leader_epoch: if version >= 2 { r.i32()? } else { -1 },
            committed_metadata: r.nullable_string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.i32(self.partition_index);
        w.i64(self.committed_offset);
        if version >= 2 {
            w.i32(self.committed_leader_epoch);
        }
        w.nullable_string(self.committed_metadata.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `TxnOffsetCommitRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxnOffsetCommitRequestTopic {
    pub name: KafkaString,
    pub partitions: Vec<TxnOffsetCommitRequestPartition>,
}

impl TxnOffsetCommitRequestTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, TxnOffsetCommitRequestPartition::MIN_SIZE, |r| {
                TxnOffsetCommitRequestPartition::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.string(&self.name, flexible)?;
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `TxnOffsetCommitResponse`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxnOffsetCommitResponse {
    pub throttle_time_ms: i32,
    pub topics: Vec<TxnOffsetCommitResponseTopic>,
}

impl TxnOffsetCommitResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("TxnOffsetCommitResponse", version, 0, 5)?;
        let flexible = version >= 3;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            topics: r.array(flexible, TxnOffsetCommitResponseTopic::MIN_SIZE, |r| {
                TxnOffsetCommitResponseTopic::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("TxnOffsetCommitResponse", version, 0, 5)?;
        let flexible = version >= 3;
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `TxnOffsetCommitResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxnOffsetCommitResponsePartition {
    pub partition_index: i32,
    pub error_code: ErrorCode,
}

impl TxnOffsetCommitResponsePartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
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
        let flexible = version >= 3;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `TxnOffsetCommitResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxnOffsetCommitResponseTopic {
    pub name: KafkaString,
    pub partitions: Vec<TxnOffsetCommitResponsePartition>,
}

impl TxnOffsetCommitResponseTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, TxnOffsetCommitResponsePartition::MIN_SIZE, |r| {
                TxnOffsetCommitResponsePartition::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.string(&self.name, flexible)?;
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for TxnOffsetCommitRequest {
    const API_KEY: ApiKey = ApiKey::TxnOffsetCommit;
    type Response = TxnOffsetCommitResponse;
}

impl From<TxnOffsetCommitRequest> for Request {
    fn from(message: TxnOffsetCommitRequest) -> Self {
        Request::TxnOffsetCommit(message)
    }
}

impl From<TxnOffsetCommitResponse> for Response {
    fn from(message: TxnOffsetCommitResponse) -> Self {
        Response::TxnOffsetCommit(message)
    }
}

impl TryFrom<Response> for TxnOffsetCommitResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::TxnOffsetCommit(message) => Ok(message),
            other => Err(other),
        }
    }
}
