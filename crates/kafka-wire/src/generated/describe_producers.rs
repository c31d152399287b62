// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeProducers`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DescribeProducersRequest`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeProducersRequest {
    pub topics: Vec<TopicRequest>,
}

impl DescribeProducersRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeProducersRequest", version, 0, 0)?;
        let decoded = Self {
            topics: r.array(true, TopicRequest::MIN_SIZE, |r| TopicRequest::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeProducersRequest", version, 0, 0)?;
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeProducersRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicRequest {
    pub name: KafkaString,
    pub partition_indexes: Vec<i32>,
}

impl TopicRequest {
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

/// The response `DescribeProducersResponse`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeProducersResponse {
    pub throttle_time_ms: i32,
    pub topics: Vec<TopicResponse>,
}

impl DescribeProducersResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeProducersResponse", version, 0, 0)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            topics: r.array(true, TopicResponse::MIN_SIZE, |r| {
                TopicResponse::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeProducersResponse", version, 0, 0)?;
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeProducersResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerState {
    pub producer_id: i64,
    pub producer_epoch: i32,
    pub last_sequence: i32,
    pub last_timestamp: i64,
    pub coordinator_epoch: i32,
    pub current_txn_start_offset: i64,
}

impl Default for ProducerState {
    fn default() -> Self {
        Self {
            producer_id: 0,
            producer_epoch: 0,
            last_sequence: -1,
            last_timestamp: -1,
            coordinator_epoch: 0,
            current_txn_start_offset: -1,
        }
    }
}

impl ProducerState {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 37;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            producer_id: r.i64()?,
            producer_epoch: r.i32()?,
            last_sequence: r.i32()?,
            last_timestamp: r.i64()?,
            coordinator_epoch: r.i32()?,
            current_txn_start_offset: r.i64()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i64(self.producer_id);
        w.i32(self.producer_epoch);
        w.i32(self.last_sequence);
        w.i64(self.last_timestamp);
        w.i32(self.coordinator_epoch);
        w.i64(self.current_txn_start_offset);
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeProducersResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionResponse {
    pub partition_index: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub active_producers: Vec<ProducerState>,
}

impl PartitionResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 9;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
            active_producers: r.array(true, ProducerState::MIN_SIZE, |r| {
                ProducerState::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.array(&self.active_producers, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeProducersResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicResponse {
    pub name: KafkaString,
    pub partitions: Vec<PartitionResponse>,
}

impl TopicResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
            partitions: r.array(true, PartitionResponse::MIN_SIZE, |r| {
                PartitionResponse::decode(r, version)
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

impl RequestMessage for DescribeProducersRequest {
    const API_KEY: ApiKey = ApiKey::DescribeProducers;
    type Response = DescribeProducersResponse;
}

impl From<DescribeProducersRequest> for Request {
    fn from(message: DescribeProducersRequest) -> Self {
        Request::DescribeProducers(message)
    }
}

impl From<DescribeProducersResponse> for Response {
    fn from(message: DescribeProducersResponse) -> Self {
        Response::DescribeProducers(message)
    }
}

impl TryFrom<Response> for DescribeProducersResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeProducers(message) => Ok(message),
            other => Err(other),
        }
    }
}
