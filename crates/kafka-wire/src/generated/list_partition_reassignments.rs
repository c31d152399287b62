// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ListPartitionReassignments`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ListPartitionReassignmentsRequest`, versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct ListPartitionReassignmentsRequest {
    pub timeout_ms: i32,
    pub topics: Option<Vec<ListPartitionReassignmentsTopics>>,
}

impl Default for ListPartitionReassignmentsRequest {
    fn default() -> Self {
        Self {
            timeout_ms: 60000,
            topics: None,
        }
    }
}

impl ListPartitionReassignmentsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListPartitionReassignmentsRequest", version, 0, 0)?;
        let decoded = Self {
            timeout_ms: r.i32()?,
            topics: r.nullable_array(true, ListPartitionReassignmentsTopics::MIN_SIZE, |r| {
                ListPartitionReassignmentsTopics::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListPartitionReassignmentsRequest", version, 0, 0)?;
        w.i32(self.timeout_ms);
        w.nullable_array(self.topics.as_deref(), true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ListPartitionReassignmentsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListPartitionReassignmentsTopics {
    pub name: KafkaString,
    pub partition_indexes: Vec<i32>,
}

impl ListPartitionReassignmentsTopics {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
            partition_indexes: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.array(&self.partition_indexes, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `ListPartitionReassignmentsResponse`, versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct ListPartitionReassignmentsResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub topics: Vec<OngoingTopicReassignment>,
}

impl Default for ListPartitionReassignmentsResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            topics: Vec::new(),
        }
    }
}

impl ListPartitionReassignmentsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListPartitionReassignmentsResponse", version, 0, 0)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
            topics: r.array(true, OngoingTopicReassignment::MIN_SIZE, |r| {
                OngoingTopicReassignment::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListPartitionReassignmentsResponse", version, 0, 0)?;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ListPartitionReassignmentsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OngoingPartitionReassignment {
    pub partition_index: i32,
    pub replicas: Vec<i32>,
    pub adding_replicas: Vec<i32>,
    pub removing_replicas: Vec<i32>,
}

impl OngoingPartitionReassignment {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 8;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            partition_index: r.i32()?,
            replicas: r.array(true, 4, Reader::i32)?,
            adding_replicas: r.array(true, 4, Reader::i32)?,
            removing_replicas: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        w.array(&self.replicas, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.array(&self.adding_replicas, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.array(&self.removing_replicas, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ListPartitionReassignmentsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OngoingTopicReassignment {
    pub name: KafkaString,
    pub partitions: Vec<OngoingPartitionReassignment>,
}

impl OngoingTopicReassignment {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
            partitions: r.array(true, OngoingPartitionReassignment::MIN_SIZE, |r| {
                OngoingPartitionReassignment::decode(r, version)
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

impl RequestMessage for ListPartitionReassignmentsRequest {
    const API_KEY: ApiKey = ApiKey::ListPartitionReassignments;
    type Response = ListPartitionReassignmentsResponse;
}

impl From<ListPartitionReassignmentsRequest> for Request {
    fn from(message: ListPartitionReassignmentsRequest) -> Self {
        Request::ListPartitionReassignments(message)
    }
}

impl From<ListPartitionReassignmentsResponse> for Response {
    fn from(message: ListPartitionReassignmentsResponse) -> Self {
        Response::ListPartitionReassignments(message)
    }
}

impl TryFrom<Response> for ListPartitionReassignmentsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ListPartitionReassignments(message) => Ok(message),
            other => Err(other),
        }
    }
}
