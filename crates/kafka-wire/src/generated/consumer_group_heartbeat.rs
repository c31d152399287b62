// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ConsumerGroupHeartbeat`.

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

/// The request `ConsumerGroupHeartbeatRequest`, versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerGroupHeartbeatRequest {
    pub group_id: KafkaString,
    pub member_id: KafkaString,
    pub member_epoch: i32,
    pub instance_id: Option<KafkaString>,
    pub rack_id: Option<KafkaString>,
    pub rebalance_timeout_ms: i32,
    pub subscribed_topic_names: Option<Vec<KafkaString>>,
    /// From version 1.
    pub subscribed_topic_regex: Option<KafkaString>,
    pub server_assignor: Option<KafkaString>,
    pub topic_partitions: Option<Vec<RequestTopicPartitions>>,
}

impl Default for ConsumerGroupHeartbeatRequest {
    fn default() -> Self {
        Self {
            group_id: KafkaString::EMPTY,
            member_id: KafkaString::EMPTY,
            member_epoch: 0,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: -1,
            subscribed_topic_names: None,
            subscribed_topic_regex: None,
            server_assignor: None,
            topic_partitions: None,
        }
    }
}

impl ConsumerGroupHeartbeatRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ConsumerGroupHeartbeatRequest", version, 0, 1)?;
        let decoded = Self {
            group_id: r.string(true)?,
            member_id: r.string(true)?,
            member_epoch: r.i32()?,
            instance_id: r.nullable_string(true)?,
            rack_id: r.nullable_string(true)?,
            rebalance_timeout_ms: r.i32()?,
            subscribed_topic_names: r.nullable_array(true, 1, |r| r.string(true))?,
            subscribed_topic_regex: if version >= 1 {
                r.nullable_string(true)?
            } else {
                None
            },
            server_assignor: r.nullable_string(true)?,
            topic_partitions: r.nullable_array(true, RequestTopicPartitions::MIN_SIZE, |r| {
                RequestTopicPartitions::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ConsumerGroupHeartbeatRequest", version, 0, 1)?;
        w.string(&self.group_id, true)?;
        w.string(&self.member_id, true)?;
        w.i32(self.member_epoch);
        w.nullable_string(self.instance_id.as_ref(), true)?;
        w.nullable_string(self.rack_id.as_ref(), true)?;
        w.i32(self.rebalance_timeout_ms);
        w.nullable_array(self.subscribed_topic_names.as_deref(), true, |w, each| {
            w.string(each, true)
        })?;
        if version >= 1 {
            w.nullable_string(self.subscribed_topic_regex.as_ref(), true)?;
        } else if self.subscribed_topic_regex.is_some() {
            return Err(EncodeError::unsupported_field(
                "ConsumerGroupHeartbeatRequest",
                "SubscribedTopicRegex",
                version,
            ));
        }
        w.nullable_string(self.server_assignor.as_ref(), true)?;
        w.nullable_array(self.topic_partitions.as_deref(), true, |w, each| {
            each.encode(w, version)
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ConsumerGroupHeartbeatRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestTopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

impl RequestTopicPartitions {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 18;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic_id: r.uuid()?,
            partitions: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.uuid(self.topic_id);
        w.array(&self.partitions, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `ConsumerGroupHeartbeatResponse`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerGroupHeartbeatResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub member_id: Option<KafkaString>,
    pub member_epoch: i32,
    pub heartbeat_interval_ms: i32,
    pub assignment: Option<Assignment>,
}

impl ConsumerGroupHeartbeatResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ConsumerGroupHeartbeatResponse", version, 0, 1)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
            member_id: r.nullable_string(true)?,
            member_epoch: r.i32()?,
            heartbeat_interval_ms: r.i32()?,
            assignment: r.nullable_struct(|r| Assignment::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ConsumerGroupHeartbeatResponse", version, 0, 1)?;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.nullable_string(self.member_id.as_ref(), true)?;
        w.i32(self.member_epoch);
        w.i32(self.heartbeat_interval_ms);
        w.nullable_struct(self.assignment.as_ref(), |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ConsumerGroupHeartbeatResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    pub topic_partitions: Vec<ResponseTopicPartitions>,
}

impl Assignment {
    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic_partitions: r.array(true, ResponseTopicPartitions::MIN_SIZE, |r| {
                ResponseTopicPartitions::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.array(&self.topic_partitions, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ConsumerGroupHeartbeatResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseTopicPartitions {
    pub topic_id: Uuid,
    pub partitions: Vec<i32>,
}

impl ResponseTopicPartitions {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 18;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic_id: r.uuid()?,
            partitions: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.uuid(self.topic_id);
        w.array(&self.partitions, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for ConsumerGroupHeartbeatRequest {
    const API_KEY: ApiKey = ApiKey::ConsumerGroupHeartbeat;
    type Response = ConsumerGroupHeartbeatResponse;
}

impl From<ConsumerGroupHeartbeatRequest> for Request {
    fn from(message: ConsumerGroupHeartbeatRequest) -> Self {
        Request::ConsumerGroupHeartbeat(message)
    }
}

impl From<ConsumerGroupHeartbeatResponse> for Response {
    fn from(message: ConsumerGroupHeartbeatResponse) -> Self {
        Response::ConsumerGroupHeartbeat(message)
    }
}

impl TryFrom<Response> for ConsumerGroupHeartbeatResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ConsumerGroupHeartbeat(message) => Ok(message),
            other => Err(other),
        }
    }
}
