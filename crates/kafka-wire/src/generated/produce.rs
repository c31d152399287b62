// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `Produce`.

use bytes::Bytes;

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::uuid::Uuid;
use crate::writer::TaggedFields;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ProduceRequest`, versions 3 to 13.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProduceRequest {
    pub transactional_id: Option<KafkaString>,
    pub acks: i16,
    pub timeout_ms: i32,
    pub topic_data: Vec<TopicProduceData>,
}

impl ProduceRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ProduceRequest", version, 3, 13)?;
        let flexible = version >= 9;
        let decoded = Self {
            transactional_id: r.nullable_string(flexible)?,
            acks: r.i16()?,
            timeout_ms: r.i32()?,
            topic_data: r.array(flexible, TopicProduceData::MIN_SIZE, |r| {
                TopicProduceData::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ProduceRequest", version, 3, 13)?;
        let flexible = version >= 9;
        w.nullable_string(self.transactional_id.as_ref(), flexible)?;
        w.i16(self.acks);
        w.i32(self.timeout_ms);
        w.array(&self.topic_data, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ProduceRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionProduceData {
    pub index: i32,
    pub records: Option<Bytes>,
}

impl PartitionProduceData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            index: r.i32()?,
            records: r.nullable_bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.i32(self.index);
        w.nullable_bytes(self.records.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ProduceRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicProduceData {
    /// Up to version 12.
    pub name: KafkaString,
    /// From version 13.
    pub topic_id: Uuid,
    pub partition_data: Vec<PartitionProduceData>,
}

impl TopicProduceData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            name: if version <= 12 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            partition_data: r.array(flexible, PartitionProduceData::MIN_SIZE, |r| {
                PartitionProduceData::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        if version <= 12 {
            w.string(&self.name, flexible)?;
        }
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        w.array(&self.partition_data, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `ProduceResponse`, versions 3 to 13.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProduceResponse {
    pub responses: Vec<TopicProduceResponse>,
    pub throttle_time_ms: i32,
    /// From version 10.
    pub node_endpoints: Vec<NodeEndpoint>,
}

impl ProduceResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ProduceResponse", version, 3, 13)?;
        let flexible = version >= 9;
        let mut decoded = Self {
            responses: r.array(flexible, TopicProduceResponse::MIN_SIZE, |r| {
                TopicProduceResponse::decode(r, version)
            })?,
            throttle_time_ms: r.i32()?,
            node_endpoints: Vec::new(),
        };
        if flexible {
            r.tagged_fields(|r, tag| {
                match tag {
                    0 if version >= 10 => {
                        decoded.node_endpoints = r.array(flexible, NodeEndpoint::MIN_SIZE, |r| {
                            NodeEndpoint::decode(r, version)
                        })?
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ProduceResponse", version, 3, 13)?;
        let flexible = version >= 9;
        w.array(&self.responses, flexible, |w, each| each.encode(w, version))?;
        w.i32(self.throttle_time_ms);
        if flexible {
            let mut tags = TaggedFields::default();
            if version >= 10 && !self.node_endpoints.is_empty() {
                tags.add(0, |w| {
                    w.array(&self.node_endpoints, true, |w, each| each.encode(w, version))?;
                    Ok(())
                })?;
            }
            w.tagged_fields(tags)?;
        }
        if version < 10 && !self.node_endpoints.is_empty() {
            return Err(EncodeError::unsupported_field(
                "ProduceResponse",
                "NodeEndpoints",
                version,
            ));
        }
        Ok(())
    }
}

/// A part of `ProduceResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchIndexAndErrorMessage {
    /// From version 8.
    pub batch_index: i32,
    /// From version 8.
    pub batch_index_error_message: Option<KafkaString>,
}

impl BatchIndexAndErrorMessage {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            batch_index: if version >= 8 { r.i32()? } else { 0 },
            batch_index_error_message: if version >= 8 {
                r.nullable_string(flexible)?
            } else {
                None
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        if version >= 8 {
            w.i32(self.batch_index);
        } else if self.batch_index != 0 {
            return Err(EncodeError::unsupported_field(
                "BatchIndexAndErrorMessage",
                "BatchIndex",
                version,
            ));
        }
        if version >= 8 {
            w.nullable_string(self.batch_index_error_message.as_ref(), flexible)?;
        } else if self.batch_index_error_message.is_some() {
            return Err(EncodeError::unsupported_field(
                "BatchIndexAndErrorMessage",
                "BatchIndexErrorMessage",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ProduceResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// From version 10.
    pub leader_id: i32,
    /// From version 10.
    pub leader_epoch: i32,
}

impl Default for LeaderIdAndEpoch {
    fn default() -> Self {
        Self {
            leader_id: -1,
            leader_epoch: -1,
        }
    }
}

impl LeaderIdAndEpoch {
    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            leader_id: if version >= 10 { r.i32()? } else { -1 },
            leader_epoch: if version >= 10 { r.i32()? } else { -1 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        if version >= 10 {
            w.i32(self.leader_id);
        } else if self.leader_id != -1 {
            return Err(EncodeError::unsupported_field(
                "LeaderIdAndEpoch",
                "LeaderId",
                version,
            ));
        }
        if version >= 10 {
            w.i32(self.leader_epoch);
        } else if self.leader_epoch != -1 {
            return Err(EncodeError::unsupported_field(
                "LeaderIdAndEpoch",
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

/// A part of `ProduceResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionProduceResponse {
    pub index: i32,
    pub error_code: ErrorCode,
    pub base_offset: i64,
    pub log_append_time_ms: i64,
    /// From version 5.
    pub log_start_offset: i64,
    /// From version 8.
    pub record_errors: Vec<BatchIndexAndErrorMessage>,
    /// From version 8.
    pub error_message: Option<KafkaString>,
    /// From version 10.
    pub current_leader: LeaderIdAndEpoch,
}

impl Default for PartitionProduceResponse {
    fn default() -> Self {
        Self {
            index: 0,
            error_code: ErrorCode::NONE,
            base_offset: 0,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: LeaderIdAndEpoch::default(),
        }
    }
}

impl PartitionProduceResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 22;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let mut decoded = Self {
            index: r.i32()?,
            error_code: r.error_code()?,
            base_offset: r.i64()?,
            log_append_time_ms: r.i64()?,
            log_start_offset: if version >= 5 { r.i64()? } else { -1 },
            record_errors: if version >= 8 {
                r.array(flexible, BatchIndexAndErrorMessage::MIN_SIZE, |r| {
                    BatchIndexAndErrorMessage::decode(r, version)
                })?
            } else {
                Vec::new()
            },
            error_message: if version >= 8 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            current_leader: LeaderIdAndEpoch::default(),
        };
        if flexible {
            r.tagged_fields(|r, tag| {
                match tag {
                    0 if version >= 10 => decoded.current_leader = LeaderIdAndEpoch::decode(r, version)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.i32(self.index);
        w.error_code(self.error_code);
        w.i64(self.base_offset);
        w.i64(self.log_append_time_ms);
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        if version >= 8 {
            w.array(&self.record_errors, flexible, |w, each| each.encode(w, version))?;
        }
        if version >= 8 {
            w.nullable_string(self.error_message.as_ref(), flexible)?;
        }
        if flexible {
            let mut tags = TaggedFields::default();
            if version >= 10 && self.current_leader != LeaderIdAndEpoch::default() {
                tags.add(0, |w| {
                    self.current_leader.encode(w, version)?;
                    Ok(())
                })?;
            }
            w.tagged_fields(tags)?;
        }
        if version < 10 && self.current_leader != LeaderIdAndEpoch::default() {
            return Err(EncodeError::unsupported_field(
                "PartitionProduceResponse",
                "CurrentLeader",
                version,
            ));
        }
        Ok(())
    }
}

/// A part of `ProduceResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicProduceResponse {
    /// Up to version 12.
    pub name: KafkaString,
    /// From version 13.
    pub topic_id: Uuid,
    pub partition_responses: Vec<PartitionProduceResponse>,
}

impl TopicProduceResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            name: if version <= 12 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_id: if version >= 13 { r.uuid()? } else { Uuid::ZERO },
            partition_responses: r.array(flexible, PartitionProduceResponse::MIN_SIZE, |r| {
                PartitionProduceResponse::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        if version <= 12 {
            w.string(&self.name, flexible)?;
        }
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        w.array(&self.partition_responses, flexible, |w, each| {
            each.encode(w, version)
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ProduceResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeEndpoint {
    /// From version 10.
    pub node_id: i32,
    /// From version 10.
    pub host: KafkaString,
    /// From version 10.
    pub port: i32,
    /// From version 10.
    pub rack: Option<KafkaString>,
}

impl NodeEndpoint {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            node_id: if version >= 10 { r.i32()? } else { 0 },
            host: if version >= 10 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            port: if version >= 10 { r.i32()? } else { 0 },
            rack: if version >= 10 {
                r.nullable_string(flexible)?
            } else {
                None
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        if version >= 10 {
            w.i32(self.node_id);
        } else if self.node_id != 0 {
            return Err(EncodeError::unsupported_field("NodeEndpoint", "NodeId", version));
        }
        if version >= 10 {
            w.string(&self.host, flexible)?;
        } else if !self.host.is_empty() {
            return Err(EncodeError::unsupported_field("NodeEndpoint", "Host", version));
        }
        if version >= 10 {
            w.i32(self.port);
        } else if self.port != 0 {
            return Err(EncodeError::unsupported_field("NodeEndpoint", "Port", version));
        }
        if version >= 10 {
            w.nullable_string(self.rack.as_ref(), flexible)?;
        } else if self.rack.is_some() {
            return Err(EncodeError::unsupported_field("NodeEndpoint", "Rack", version));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for ProduceRequest {
    const API_KEY: ApiKey = ApiKey::Produce;
    type Response = ProduceResponse;
}

impl From<ProduceRequest> for Request {
    fn from(message: ProduceRequest) -> Self {
        Request::Produce(message)
    }
}

impl From<ProduceResponse> for Response {
    fn from(message: ProduceResponse) -> Self {
        Response::Produce(message)
    }
}

impl TryFrom<Response> for ProduceResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::Produce(message) => Ok(message),
            other => Err(other),
        }
    }
}
