// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ElectLeaders`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ElectLeadersRequest`, versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct ElectLeadersRequest {
    /// From version 1.
    pub election_type: i8,
    pub topic_partitions: Option<Vec<TopicPartitions>>,
    pub timeout_ms: i32,
}

impl Default for ElectLeadersRequest {
    fn default() -> Self {
        Self {
            election_type: 0,
            topic_partitions: Some(Vec::new()),
            timeout_ms: 60000,
        }
    }
}

impl ElectLeadersRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ElectLeadersRequest", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            election_type: if version >= 1 { r.i8()? } else { 0 },
            topic_partitions: r.nullable_array(flexible, TopicPartitions::MIN_SIZE, |r| {
                TopicPartitions::decode(r, version)
            })?,
            timeout_ms: r.i32()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ElectLeadersRequest", version, 0, 2)?;
        let flexible = version >= 2;
        if version >= 1 {
            w.i8(self.election_type);
        } else if self.election_type != 0 {
            return Err(EncodeError::unsupported_field(
                "ElectLeadersRequest",
                "ElectionType",
                version,
            ));
        }
        w.nullable_array(self.topic_partitions.as_deref(), flexible, |w, each| {
            each.encode(w, version)
        })?;
        w.i32(self.timeout_ms);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ElectLeadersRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicPartitions {
    pub topic: KafkaString,
    pub partitions: Vec<i32>,
}

impl TopicPartitions {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            topic: r.string(flexible)?,
            partitions: r.array(flexible, 4, Reader::i32)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.string(&self.topic, flexible)?;
        w.array(&self.partitions, flexible, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `ElectLeadersResponse`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ElectLeadersResponse {
    pub throttle_time_ms: i32,
    /// From version 1.
    pub error_code: ErrorCode,
    pub replica_election_results: Vec<ReplicaElectionResult>,
}

impl ElectLeadersResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ElectLeadersResponse", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: if version >= 1 {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
            replica_election_results: r.array(flexible, ReplicaElectionResult::MIN_SIZE, |r| {
                ReplicaElectionResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ElectLeadersResponse", version, 0, 2)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        if version >= 1 {
            w.error_code(self.error_code);
        } else if self.error_code != ErrorCode::NONE {
            return Err(EncodeError::unsupported_field(
                "ElectLeadersResponse",
                "ErrorCode",
                version,
            ));
        }
        w.array(&self.replica_election_results, flexible, |w, each| {
            each.encode(w, version)
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ElectLeadersResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionResult {
    pub partition_id: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
}

impl Default for PartitionResult {
    fn default() -> Self {
        Self {
            partition_id: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
        }
    }
}

impl PartitionResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 8;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            partition_id: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.i32(self.partition_id);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ElectLeadersResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaElectionResult {
    pub topic: KafkaString,
    pub partition_result: Vec<PartitionResult>,
}

impl ReplicaElectionResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            topic: r.string(flexible)?,
            partition_result: r.array(flexible, PartitionResult::MIN_SIZE, |r| {
                PartitionResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.string(&self.topic, flexible)?;
        w.array(&self.partition_result, flexible, |w, each| {
            each.encode(w, version)
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for ElectLeadersRequest {
    const API_KEY: ApiKey = ApiKey::ElectLeaders;
    type Response = ElectLeadersResponse;
}

impl From<ElectLeadersRequest> for Request {
    fn from(message: ElectLeadersRequest) -> Self {
        Request::ElectLeaders(message)
    }
}

impl From<ElectLeadersResponse> for Response {
    fn from(message: ElectLeadersResponse) -> Self {
        Response::ElectLeaders(message)
    }
}

impl TryFrom<Response> for ElectLeadersResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ElectLeaders(message) => Ok(message),
            other => Err(other),
        }
    }
}
