// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `AlterPartitionReassignments`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `AlterPartitionReassignmentsRequest`, versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterPartitionReassignmentsRequest {
    pub timeout_ms: i32,
    /// From version 1.
    pub allow_replication_factor_change: bool,
    pub topics: Vec<ReassignableTopic>,
}

impl Default for AlterPartitionReassignmentsRequest {
    fn default() -> Self {
        Self {
            timeout_ms: 60000,
            allow_replication_factor_change: true,
            topics: Vec::new(),
        }
    }
}

impl AlterPartitionReassignmentsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AlterPartitionReassignmentsRequest", version, 0, 1)?;
        let decoded = Self {
            timeout_ms: r.i32()?,
            allow_replication_factor_change: if version >= 1 { r.bool()? } else { true },
            topics: r.array(true, ReassignableTopic::MIN_SIZE, |r| {
                ReassignableTopic::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AlterPartitionReassignmentsRequest", version, 0, 1)?;
        w.i32(self.timeout_ms);
        if version >= 1 {
            w.bool(self.allow_replication_factor_change);
        } else if !self.allow_replication_factor_change {
            return Err(EncodeError::unsupported_field(
                "AlterPartitionReassignmentsRequest",
                "AllowReplicationFactorChange",
                version,
            ));
        }
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `AlterPartitionReassignmentsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReassignablePartition {
    pub partition_index: i32,
    pub replicas: Option<Vec<i32>>,
}

impl ReassignablePartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            partition_index: r.i32()?,
            replicas: r.nullable_array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        w.nullable_array(self.replicas.as_deref(), true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `AlterPartitionReassignmentsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReassignableTopic {
    pub name: KafkaString,
    pub partitions: Vec<ReassignablePartition>,
}

impl ReassignableTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
            partitions: r.array(true, ReassignablePartition::MIN_SIZE, |r| {
                ReassignablePartition::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.array(&self.partitions, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `AlterPartitionReassignmentsResponse`, versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterPartitionReassignmentsResponse {
    pub throttle_time_ms: i32,
    /// From version 1.
    pub allow_replication_factor_change: bool,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub responses: Vec<ReassignableTopicResponse>,
}

impl Default for AlterPartitionReassignmentsResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            allow_replication_factor_change: true,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            responses: Vec::new(),
        }
    }
}

impl AlterPartitionReassignmentsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AlterPartitionReassignmentsResponse", version, 0, 1)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            allow_replication_factor_change: if version >= 1 { r.bool()? } else { true },
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
            responses: r.array(true, ReassignableTopicResponse::MIN_SIZE, |r| {
                ReassignableTopicResponse::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AlterPartitionReassignmentsResponse", version, 0, 1)?;
        w.i32(self.throttle_time_ms);
        if version >= 1 {
            w.bool(self.allow_replication_factor_change);
        }
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.array(&self.responses, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `AlterPartitionReassignmentsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReassignablePartitionResponse {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
}

impl Default for ReassignablePartitionResponse {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
        }
    }
}

impl ReassignablePartitionResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 8;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `AlterPartitionReassignmentsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReassignableTopicResponse {
    pub name: KafkaString,
    pub partitions: Vec<ReassignablePartitionResponse>,
}

impl ReassignableTopicResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
            partitions: r.array(true, ReassignablePartitionResponse::MIN_SIZE, |r| {
                ReassignablePartitionResponse::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.array(&self.partitions, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for AlterPartitionReassignmentsRequest {
    const API_KEY: ApiKey = ApiKey::AlterPartitionReassignments;
    type Response = AlterPartitionReassignmentsResponse;
}

impl From<AlterPartitionReassignmentsRequest> for Request {
    fn from(message: AlterPartitionReassignmentsRequest) -> Self {
        Request::AlterPartitionReassignments(message)
    }
}

impl From<AlterPartitionReassignmentsResponse> for Response {
    fn from(message: AlterPartitionReassignmentsResponse) -> Self {
        Response::AlterPartitionReassignments(message)
    }
}

impl TryFrom<Response> for AlterPartitionReassignmentsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::AlterPartitionReassignments(message) => Ok(message),
            other => Err(other),
        }
    }
}
