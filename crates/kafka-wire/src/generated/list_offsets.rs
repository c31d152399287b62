// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ListOffsets`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ListOffsetsRequest`, versions 1 to 11.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListOffsetsRequest {
    pub replica_id: i32,
    /// From version 2.
    pub isolation_level: i8,
    pub topics: Vec<ListOffsetsTopic>,
    /// From version 10.
    pub timeout_ms: i32,
}

impl ListOffsetsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListOffsetsRequest", version, 1, 11)?;
        let flexible = version >= 6;
        let decoded = Self {
            replica_id: r.i32()?,
            isolation_level: if version >= 2 { r.i8()? } else { 0 },
            topics: r.array(flexible, ListOffsetsTopic::MIN_SIZE, |r| {
                ListOffsetsTopic::decode(r, version)
            })?,
            timeout_ms: if version >= 10 { r.i32()? } else { 0 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListOffsetsRequest", version, 1, 11)?;
        let flexible = version >= 6;
        w.i32(self.replica_id);
        if version >= 2 {
            w.i8(self.isolation_level);
        } else if self.isolation_level != 0 {
            return Err(EncodeError::unsupported_field(
                "ListOffsetsRequest",
                "IsolationLevel",
                version,
            ));
        }
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if version >= 10 {
            w.i32(self.timeout_ms);
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ListOffsetsRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct ListOffsetsPartition {
    pub partition_index: i32,
    /// From version 4.
    pub current_leader_epoch: i32,
    pub timestamp: i64,
}

impl Default for ListOffsetsPartition {
    fn default() -> Self {
        Self {
            partition_index: 0,
            current_leader_epoch: -1,
            timestamp: 0,
        }
    }
}

impl ListOffsetsPartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 12;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            partition_index: r.i32()?,
            current_leader_epoch: if version >= 4 { r.i32()? } else { -1 },
            timestamp: r.i64()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.i32(self.partition_index);
        if version >= 4 {
            w.i32(self.current_leader_epoch);
        }
        w.i64(self.timestamp);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ListOffsetsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListOffsetsTopic {
    pub name: KafkaString,
    pub partitions: Vec<ListOffsetsPartition>,
}

impl ListOffsetsTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, ListOffsetsPartition::MIN_SIZE, |r| {
                ListOffsetsPartition::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.string(&self.name, flexible)?;
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `ListOffsetsResponse`, versions 1 to 11.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListOffsetsResponse {
    /// From version 2.
    pub throttle_time_ms: i32,
    pub topics: Vec<ListOffsetsTopicResponse>,
}

impl ListOffsetsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListOffsetsResponse", version, 1, 11)?;
        let flexible = version >= 6;
        let decoded = Self {
            throttle_time_ms: if version >= 2 { r.i32()? } else { 0 },
            topics: r.array(flexible, ListOffsetsTopicResponse::MIN_SIZE, |r| {
                ListOffsetsTopicResponse::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListOffsetsResponse", version, 1, 11)?;
        let flexible = version >= 6;
        if version >= 2 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ListOffsetsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct ListOffsetsPartitionResponse {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    pub timestamp: i64,
    pub offset: i64,
    /// From version 4.
    pub leader_epoch: i32,
}

impl Default for ListOffsetsPartitionResponse {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: ErrorCode::NONE,
            timestamp: -1,
            offset: -1,
            leader_epoch: -1,
        }
    }
}

impl ListOffsetsPartitionResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 22;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
            timestamp: r.i64()?,
            offset: r.i64()?,
            leader_epoch: if version >= 4 { r.i32()? } else { -1 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.i64(self.timestamp);
        w.i64(self.offset);
        if version >= 4 {
            w.i32(self.leader_epoch);
        } else if self.leader_epoch != -1 {
            return Err(EncodeError::unsupported_field(
                "ListOffsetsPartitionResponse",
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

/// A part of `ListOffsetsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListOffsetsTopicResponse {
    pub name: KafkaString,
    pub partitions: Vec<ListOffsetsPartitionResponse>,
}

impl ListOffsetsTopicResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, ListOffsetsPartitionResponse::MIN_SIZE, |r| {
                ListOffsetsPartitionResponse::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.string(&self.name, flexible)?;
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for ListOffsetsRequest {
    const API_KEY: ApiKey = ApiKey::ListOffsets;
    type Response = ListOffsetsResponse;
}

impl From<ListOffsetsRequest> for Request {
    fn from(message: ListOffsetsRequest) -> Self {
        Request::ListOffsets(message)
    }
}

impl From<ListOffsetsResponse> for Response {
    fn from(message: ListOffsetsResponse) -> Self {
        Response::ListOffsets(message)
    }
}

impl TryFrom<Response> for ListOffsetsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ListOffsets(message) => Ok(message),
            other => Err(other),
        }
    }
}
