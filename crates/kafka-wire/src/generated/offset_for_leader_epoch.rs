// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `OffsetForLeaderEpoch`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `OffsetForLeaderEpochRequest`, versions 2 to 4.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetForLeaderEpochRequest {
    /// From version 3.
    pub replica_id: i32,
    pub topics: Vec<OffsetForLeaderTopic>,
}

impl Default for OffsetForLeaderEpochRequest {
    fn default() -> Self {
        Self {
            replica_id: -2,
            topics: Vec::new(),
        }
    }
}

impl OffsetForLeaderEpochRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("OffsetForLeaderEpochRequest", version, 2, 4)?;
        let flexible = version >= 4;
        let decoded = Self {
            replica_id: if version >= 3 { r.i32()? } else { -2 },
            topics: r.array(flexible, OffsetForLeaderTopic::MIN_SIZE, |r| {
                OffsetForLeaderTopic::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("OffsetForLeaderEpochRequest", version, 2, 4)?;
        let flexible = version >= 4;
        if version >= 3 {
            w.i32(self.replica_id);
        }
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetForLeaderEpochRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetForLeaderPartition {
    pub partition: i32,
    pub current_leader_epoch: i32,
    pub leader_epoch: i32,
}

impl Default for OffsetForLeaderPartition {
    fn default() -> Self {
        Self {
            partition: 0,
            current_leader_epoch: -1,
            leader_epoch: 0,
        }
    }
}

impl OffsetForLeaderPartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 12;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            partition: r.i32()?,
            current_leader_epoch: r.i32()?,
            leader_epoch: r.i32()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.i32(self.partition);
        w.i32(self.current_leader_epoch);
        w.i32(self.leader_epoch);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetForLeaderEpochRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetForLeaderTopic {
    pub topic: KafkaString,
    pub partitions: Vec<OffsetForLeaderPartition>,
}

impl OffsetForLeaderTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            topic: r.string(flexible)?,
            partitions: r.array(flexible, OffsetForLeaderPartition::MIN_SIZE, |r| {
                OffsetForLeaderPartition::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.topic, flexible)?;
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `OffsetForLeaderEpochResponse`, versions 2 to 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetForLeaderEpochResponse {
    pub throttle_time_ms: i32,
    pub topics: Vec<OffsetForLeaderTopicResult>,
}

impl OffsetForLeaderEpochResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("OffsetForLeaderEpochResponse", version, 2, 4)?;
        let flexible = version >= 4;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            topics: r.array(flexible, OffsetForLeaderTopicResult::MIN_SIZE, |r| {
                OffsetForLeaderTopicResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("OffsetForLeaderEpochResponse", version, 2, 4)?;
        let flexible = version >= 4;
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetForLeaderEpochResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochEndOffset {
    pub error_code: ErrorCode,
    pub partition: i32,
    pub leader_epoch: i32,
    pub end_offset: i64,
}

impl Default for EpochEndOffset {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            partition: 0,
            leader_epoch: -1,
            end_offset: -1,
        }
    }
}

impl EpochEndOffset {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 18;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            error_code: r.error_code()?,
            partition: r.i32()?,
            leader_epoch: r.i32()?,
            end_offset: r.i64()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.error_code(self.error_code);
        w.i32(self.partition);
        w.i32(self.leader_epoch);
        w.i64(self.end_offset);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetForLeaderEpochResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetForLeaderTopicResult {
    pub topic: KafkaString,
    pub partitions: Vec<EpochEndOffset>,
}

impl OffsetForLeaderTopicResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            topic: r.string(flexible)?,
            partitions: r.array(flexible, EpochEndOffset::MIN_SIZE, |r| {
                EpochEndOffset::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.topic, flexible)?;
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for OffsetForLeaderEpochRequest {
    const API_KEY: ApiKey = ApiKey::OffsetForLeaderEpoch;
    type Response = OffsetForLeaderEpochResponse;
}

impl From<OffsetForLeaderEpochRequest> for Request {
    fn from(message: OffsetForLeaderEpochRequest) -> Self {
        Request::OffsetForLeaderEpoch(message)
    }
}

impl From<OffsetForLeaderEpochResponse> for Response {
    fn from(message: OffsetForLeaderEpochResponse) -> Self {
        Response::OffsetForLeaderEpoch(message)
    }
}

impl TryFrom<Response> for OffsetForLeaderEpochResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::OffsetForLeaderEpoch(message) => Ok(message),
            other => Err(other),
        }
    }
}
