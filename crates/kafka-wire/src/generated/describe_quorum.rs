// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeQuorum`.

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

/// The request `DescribeQuorumRequest`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeQuorumRequest {
    pub topics: Vec<RequestTopicData>,
}

impl DescribeQuorumRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeQuorumRequest", version, 0, 2)?;
        let decoded = Self {
            topics: r.array(true, RequestTopicData::MIN_SIZE, |r| {
                RequestTopicData::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeQuorumRequest", version, 0, 2)?;
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeQuorumRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestPartitionData {
    pub partition_index: i32,
}

impl RequestPartitionData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 5;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            partition_index: r.i32()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeQuorumRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestTopicData {
    pub topic_name: KafkaString,
    pub partitions: Vec<RequestPartitionData>,
}

impl RequestTopicData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic_name: r.string(true)?,
            partitions: r.array(true, RequestPartitionData::MIN_SIZE, |r| {
                RequestPartitionData::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.topic_name, true)?;
        w.array(&self.partitions, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `DescribeQuorumResponse`, versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeQuorumResponse {
    pub error_code: ErrorCode,
    /// From version 2.
    pub error_message: Option<KafkaString>,
    pub topics: Vec<ResponseTopicData>,
    /// From version 2.
    pub nodes: Vec<Node>,
}

impl Default for DescribeQuorumResponse {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            topics: Vec::new(),
            nodes: Vec::new(),
        }
    }
}

impl DescribeQuorumResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeQuorumResponse", version, 0, 2)?;
        let decoded = Self {
            error_code: r.error_code()?,
            error_message: if version >= 2 {
                r.nullable_string(true)?
            } else {
                Some(KafkaString::EMPTY)
            },
            topics: r.array(true, ResponseTopicData::MIN_SIZE, |r| {
                ResponseTopicData::decode(r, version)
            })?,
            nodes: if version >= 2 {
                r.array(true, Node::MIN_SIZE, |r| Node::decode(r, version))?
            } else {
                Vec::new()
            },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeQuorumResponse", version, 0, 2)?;
        w.error_code(self.error_code);
        if version >= 2 {
            w.nullable_string(self.error_message.as_ref(), true)?;
        }
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        if version >= 2 {
            w.array(&self.nodes, true, |w, each| each.encode(w, version))?;
        } else if !self.nodes.is_empty() {
            return Err(EncodeError::unsupported_field(
                "DescribeQuorumResponse",
                "Nodes",
                version,
            ));
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeQuorumResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponsePartitionData {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    /// From version 2.
    pub error_message: Option<KafkaString>,
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub high_watermark: i64,
    pub current_voters: Vec<ReplicaState>,
    pub observers: Vec<ReplicaState>,
}

impl Default for ResponsePartitionData {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            leader_id: 0,
            leader_epoch: 0,
            high_watermark: 0,
            current_voters: Vec::new(),
            observers: Vec::new(),
        }
    }
}

impl ResponsePartitionData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 25;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
            error_message: if version >= 2 {
                r.nullable_string(true)?
            } else {
                Some(KafkaString::EMPTY)
            },
            leader_id: r.i32()?,
            leader_epoch: r.i32()?,
            high_watermark: r.i64()?,
            current_voters: r.array(true, ReplicaState::MIN_SIZE, |r| ReplicaState::decode(r, version))?,
            observers: r.array(true, ReplicaState::MIN_SIZE, |r| ReplicaState::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        if version >= 2 {
            w.nullable_string(self.error_message.as_ref(), true)?;
        }
        w.i32(self.leader_id);
        w.i32(self.leader_epoch);
        w.i64(self.high_watermark);
        w.array(&self.current_voters, true, |w, each| each.encode(w, version))?;
        w.array(&self.observers, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeQuorumResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseTopicData {
    pub topic_name: KafkaString,
    pub partitions: Vec<ResponsePartitionData>,
}

impl ResponseTopicData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic_name: r.string(true)?,
            partitions: r.array(true, ResponsePartitionData::MIN_SIZE, |r| {
                ResponsePartitionData::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.topic_name, true)?;
        w.array(&self.partitions, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeQuorumResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listener {
    /// From version 2.
    pub name: KafkaString,
    /// From version 2.
    pub host: KafkaString,
    /// From version 2.
    pub port: u16,
}

impl Listener {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: if version >= 2 {
                r.string(true)?
            } else {
                KafkaString::EMPTY
            },
            host: if version >= 2 {
                r.string(true)?
            } else {
                KafkaString::EMPTY
            },
            port: if version >= 2 { r.u16()? } else { 0 },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 2 {
            w.string(&self.name, true)?;
        } else if !self.name.is_empty() {
            return Err(EncodeError::unsupported_field("Listener", "Name", version));
        }
        if version >= 2 {
            w.string(&self.host, true)?;
        } else if !self.host.is_empty() {
            return Err(EncodeError::unsupported_field("Listener", "Host", version));
        }
        if version >= 2 {
            w.u16(self.port);
        } else if self.port != 0 {
            return Err(EncodeError::unsupported_field("Listener", "Port", version));
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeQuorumResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// From version 2.
    pub node_id: i32,
    /// From version 2.
    pub listeners: Vec<Listener>,
}

impl Node {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            node_id: if version >= 2 { r.i32()? } else { 0 },
            listeners: if version >= 2 {
                r.array(true, Listener::MIN_SIZE, |r| Listener::decode(r, version))?
            } else {
                Vec::new()
            },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version >= 2 {
            w.i32(self.node_id);
        } else if self.node_id != 0 {
            return Err(EncodeError::unsupported_field("Node", "NodeId", version));
        }
        if version >= 2 {
            w.array(&self.listeners, true, |w, each| each.encode(w, version))?;
        } else if !self.listeners.is_empty() {
            return Err(EncodeError::unsupported_field("Node", "Listeners", version));
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeQuorumResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaState {
    pub replica_id: i32,
    /// From version 2.
    pub replica_directory_id: Uuid,
    pub log_end_offset: i64,
    /// From version 1.
    pub last_fetch_timestamp: i64,
    /// From version 1.
    pub last_caught_up_timestamp: i64,
}

impl Default for ReplicaState {
    fn default() -> Self {
        Self {
            replica_id: 0,
            replica_directory_id: Uuid::ZERO,
            log_end_offset: 0,
            last_fetch_timestamp: -1,
            last_caught_up_timestamp: -1,
        }
    }
}

impl ReplicaState {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 13;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            replica_id: r.i32()?,
            replica_directory_id: if version >= 2 { r.uuid()? } else { Uuid::ZERO },
            log_end_offset: r.i64()?,
            last_fetch_timestamp: if version >= 1 { r.i64()? } else { -1 },
            last_caught_up_timestamp: if version >= 1 { r.i64()? } else { -1 },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.replica_id);
        if version >= 2 {
            w.uuid(self.replica_directory_id);
        } else if self.replica_directory_id != Uuid::ZERO {
            return Err(EncodeError::unsupported_field(
                "ReplicaState",
                "ReplicaDirectoryId",
                version,
            ));
        }
        w.i64(self.log_end_offset);
        if version >= 1 {
            w.i64(self.last_fetch_timestamp);
        }
        if version >= 1 {
            w.i64(self.last_caught_up_timestamp);
        }
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for DescribeQuorumRequest {
    const API_KEY: ApiKey = ApiKey::DescribeQuorum;
    type Response = DescribeQuorumResponse;
}

impl From<DescribeQuorumRequest> for Request {
    fn from(message: DescribeQuorumRequest) -> Self {
        Request::DescribeQuorum(message)
    }
}

impl From<DescribeQuorumResponse> for Response {
    fn from(message: DescribeQuorumResponse) -> Self {
        Response::DescribeQuorum(message)
    }
}

impl TryFrom<Response> for DescribeQuorumResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeQuorum(message) => Ok(message),
            other => Err(other),
        }
    }
}
