// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeTopicPartitions`.

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

/// The request `DescribeTopicPartitionsRequest`, versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeTopicPartitionsRequest {
    pub topics: Vec<TopicRequest>,
    pub response_partition_limit: i32,
    pub cursor: Option<RequestCursor>,
}

impl Default for DescribeTopicPartitionsRequest {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            response_partition_limit: 2000,
            cursor: None,
        }
    }
}

impl DescribeTopicPartitionsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeTopicPartitionsRequest", version, 0, 0)?;
        let decoded = Self {
            topics: r.array(true, TopicRequest::MIN_SIZE, |r| TopicRequest::decode(r, version))?,
            response_partition_limit: r.i32()?,
            cursor: r.nullable_struct(|r| RequestCursor::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeTopicPartitionsRequest", version, 0, 0)?;
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.i32(self.response_partition_limit);
        w.nullable_struct(self.cursor.as_ref(), |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeTopicPartitionsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicRequest {
    pub name: KafkaString,
}

impl TopicRequest {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 2;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeTopicPartitionsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestCursor {
    pub topic_name: KafkaString,
    pub partition_index: i32,
}

impl RequestCursor {
    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic_name: r.string(true)?,
            partition_index: r.i32()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.topic_name, true)?;
        w.i32(self.partition_index);
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `DescribeTopicPartitionsResponse`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeTopicPartitionsResponse {
    pub throttle_time_ms: i32,
    pub topics: Vec<DescribeTopicPartitionsResponseTopic>,
    pub next_cursor: Option<ResponseCursor>,
}

impl DescribeTopicPartitionsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeTopicPartitionsResponse", version, 0, 0)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            topics: r.array(true, DescribeTopicPartitionsResponseTopic::MIN_SIZE, |r| {
                DescribeTopicPartitionsResponseTopic::decode(r, version)
            })?,
            next_cursor: r.nullable_struct(|r| ResponseCursor::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeTopicPartitionsResponse", version, 0, 0)?;
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.nullable_struct(self.next_cursor.as_ref(), |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeTopicPartitionsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeTopicPartitionsResponsePartition {
    pub error_code: ErrorCode,
    pub partition_index: i32,
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub replica_nodes: Vec<i32>,
    pub isr_nodes: Vec<i32>,
    pub eligible_leader_replicas: Option<Vec<i32>>,
    pub last_known_elr: Option<Vec<i32>>,
    pub offline_replicas: Vec<i32>,
}

impl Default for DescribeTopicPartitionsResponsePartition {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            partition_index: 0,
            leader_id: 0,
            leader_epoch: -1,
            replica_nodes: Vec::new(),
            isr_nodes: Vec::new(),
            eligible_leader_replicas: None,
            last_known_elr: None,
            offline_replicas: Vec::new(),
        }
    }
}

impl DescribeTopicPartitionsResponsePartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 20;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            error_code: r.error_code()?,
            partition_index: r.i32()?,
            leader_id: r.i32()?,
            leader_epoch: r.i32()?,
            replica_nodes: r.array(true, 4, Reader::i32)?,
            isr_nodes: r.array(true, 4, Reader::i32)?,
            eligible_leader_replicas: r.nullable_array(true, 4, Reader::i32)?,
            last_known_elr: r.nullable_array(true, 4, Reader::i32)?,
            offline_replicas: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.error_code(self.error_code);
        w.i32(self.partition_index);
        w.i32(self.leader_id);
        w.i32(self.leader_epoch);
        w.array(&self.replica_nodes, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.array(&self.isr_nodes, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.nullable_array(self.eligible_leader_replicas.as_deref(), true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.nullable_array(self.last_known_elr.as_deref(), true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.array(&self.offline_replicas, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeTopicPartitionsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeTopicPartitionsResponseTopic {
    pub error_code: ErrorCode,
    pub name: Option<KafkaString>,
    pub topic_id: Uuid,
    pub is_internal: bool,
    pub partitions: Vec<DescribeTopicPartitionsResponsePartition>,
    pub topic_authorized_operations: i32,
}

impl Default for DescribeTopicPartitionsResponseTopic {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            name: Some(KafkaString::EMPTY),
            topic_id: Uuid::ZERO,
            is_internal: false,
            partitions: Vec::new(),
            topic_authorized_operations: -2147483648,
        }
    }
}

impl DescribeTopicPartitionsResponseTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 26;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            error_code: r.error_code()?,
            name: r.nullable_string(true)?,
            topic_id: r.uuid()?,
            is_internal: r.bool()?,
            partitions: r.array(true, DescribeTopicPartitionsResponsePartition::MIN_SIZE, |r| {
                DescribeTopicPartitionsResponsePartition::decode(r, version)
            })?,
            topic_authorized_operations: r.i32()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.error_code(self.error_code);
        w.nullable_string(self.name.as_ref(), true)?;
        w.uuid(self.topic_id);
        w.bool(self.is_internal);
        w.array(&self.partitions, true, |w, each| each.encode(w, version))?;
        w.i32(self.topic_authorized_operations);
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeTopicPartitionsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseCursor {
    pub topic_name: KafkaString,
    pub partition_index: i32,
}

impl ResponseCursor {
    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic_name: r.string(true)?,
            partition_index: r.i32()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.topic_name, true)?;
        w.i32(self.partition_index);
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for DescribeTopicPartitionsRequest {
    const API_KEY: ApiKey = ApiKey::DescribeTopicPartitions;
    type Response = DescribeTopicPartitionsResponse;
}

impl From<DescribeTopicPartitionsRequest> for Request {
    fn from(message: DescribeTopicPartitionsRequest) -> Self {
        Request::DescribeTopicPartitions(message)
    }
}

impl From<DescribeTopicPartitionsResponse> for Response {
    fn from(message: DescribeTopicPartitionsResponse) -> Self {
        Response::DescribeTopicPartitions(message)
    }
}

impl TryFrom<Response> for DescribeTopicPartitionsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeTopicPartitions(message) => Ok(message),
            other => Err(other),
        }
    }
}
