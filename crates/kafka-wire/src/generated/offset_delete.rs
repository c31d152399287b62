// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `OffsetDelete`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `OffsetDeleteRequest`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetDeleteRequest {
    pub group_id: KafkaString,
    pub topics: Vec<OffsetDeleteRequestTopic>,
}

impl OffsetDeleteRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("OffsetDeleteRequest", version, 0, 0)?;
        Ok(Self {
            group_id: r.string(false)?,
            topics: r.array(false, OffsetDeleteRequestTopic::MIN_SIZE, |r| {
                OffsetDeleteRequestTopic::decode(r, version)
            })?,
        })
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("OffsetDeleteRequest", version, 0, 0)?;
        w.string(&self.group_id, false)?;
        w.array(&self.topics, false, |w, each| each.encode(w, version))?;
        Ok(())
    }
}

/// A part of `OffsetDeleteRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetDeleteRequestPartition {
    pub partition_index: i32,
}

impl OffsetDeleteRequestPartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 4;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: r.i32()?,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        Ok(())
    }
}

/// A part of `OffsetDeleteRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetDeleteRequestTopic {
    pub name: KafkaString,
    pub partitions: Vec<OffsetDeleteRequestPartition>,
}

impl OffsetDeleteRequestTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            name: r.string(false)?,
            partitions: r.array(false, OffsetDeleteRequestPartition::MIN_SIZE, |r| {
                OffsetDeleteRequestPartition::decode(r, version)
            })?,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, false)?;
        w.array(&self.partitions, false, |w, each| each.encode(w, version))?;
        Ok(())
    }
}

/// The response `OffsetDeleteResponse`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetDeleteResponse {
    pub error_code: ErrorCode,
    pub throttle_time_ms: i32,
    pub topics: Vec<OffsetDeleteResponseTopic>,
}

impl OffsetDeleteResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("OffsetDeleteResponse", version, 0, 0)?;
        Ok(Self {
            error_code: r.error_code()?,
            throttle_time_ms: r.i32()?,
            topics: r.array(false, OffsetDeleteResponseTopic::MIN_SIZE, |r| {
                OffsetDeleteResponseTopic::decode(r, version)
            })?,
        })
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("OffsetDeleteResponse", version, 0, 0)?;
        w.error_code(self.error_code);
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, false, |w, each| each.encode(w, version))?;
        Ok(())
    }
}

/// A part of `OffsetDeleteResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetDeleteResponsePartition {
    pub partition_index: i32,
    pub error_code: ErrorCode,
}

impl OffsetDeleteResponsePartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        Ok(())
    }
}

/// A part of `OffsetDeleteResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetDeleteResponseTopic {
    pub name: KafkaString,
    pub partitions: Vec<OffsetDeleteResponsePartition>,
}

impl OffsetDeleteResponseTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        Ok(Self {
            name: r.string(false)?,
            partitions: r.array(false, OffsetDeleteResponsePartition::MIN_SIZE, |r| {
                OffsetDeleteResponsePartition::decode(r, version)
            })?,
        })
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, false)?;
        w.array(&self.partitions, false, |w, each| each.encode(w, version))?;
        Ok(())
    }
}

impl RequestMessage for OffsetDeleteRequest {
    const API_KEY: ApiKey = ApiKey::OffsetDelete;
    type Response = OffsetDeleteResponse;
}

impl From<OffsetDeleteRequest> for Request {
    fn from(message: OffsetDeleteRequest) -> Self {
        Request::OffsetDelete(message)
    }
}

impl From<OffsetDeleteResponse> for Response {
    fn from(message: OffsetDeleteResponse) -> Self {
        Response::OffsetDelete(message)
    }
}

impl TryFrom<Response> for OffsetDeleteResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::OffsetDelete(message) => Ok(message),
            other => Err(other),
        }
    }
}
