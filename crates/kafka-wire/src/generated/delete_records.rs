// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DeleteRecords`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DeleteRecordsRequest`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteRecordsRequest {
    pub topics: Vec<DeleteRecordsTopic>,
    pub timeout_ms: i32,
}

impl DeleteRecordsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DeleteRecordsRequest", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            topics: r.array(flexible, DeleteRecordsTopic::MIN_SIZE, |r| {
                DeleteRecordsTopic::decode(r, version)
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
        check_encode("DeleteRecordsRequest", version, 0, 2)?;
        let flexible = version >= 2;
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        w.i32(self.timeout_ms);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DeleteRecordsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteRecordsPartition {
    pub partition_index: i32,
    pub offset: i64,
}

impl DeleteRecordsPartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 12;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            partition_index: r.i32()?,
            offset: r.i64()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.i32(self.partition_index);
        w.i64(self.offset);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DeleteRecordsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteRecordsTopic {
    pub name: KafkaString,
    pub partitions: Vec<DeleteRecordsPartition>,
}

impl DeleteRecordsTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, DeleteRecordsPartition::MIN_SIZE, |r| {
                DeleteRecordsPartition::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.string(&self.name, flexible)?;
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `DeleteRecordsResponse`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteRecordsResponse {
    pub throttle_time_ms: i32,
    pub topics: Vec<DeleteRecordsTopicResult>,
}

impl DeleteRecordsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DeleteRecordsResponse", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            topics: r.array(flexible, DeleteRecordsTopicResult::MIN_SIZE, |r| {
                DeleteRecordsTopicResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DeleteRecordsResponse", version, 0, 2)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DeleteRecordsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteRecordsPartitionResult {
    pub partition_index: i32,
    pub low_watermark: i64,
    pub error_code: ErrorCode,
}

impl DeleteRecordsPartitionResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 14;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            partition_index: r.i32()?,
            low_watermark: r.i64()?,
            error_code: r.error_code()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.i32(self.partition_index);
        w.i64(self.low_watermark);
        w.error_code(self.error_code);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DeleteRecordsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteRecordsTopicResult {
    pub name: KafkaString,
    pub partitions: Vec<DeleteRecordsPartitionResult>,
}

impl DeleteRecordsTopicResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, DeleteRecordsPartitionResult::MIN_SIZE, |r| {
                DeleteRecordsPartitionResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.string(&self.name, flexible)?;
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for DeleteRecordsRequest {
    const API_KEY: ApiKey = ApiKey::DeleteRecords;
    type Response = DeleteRecordsResponse;
}

impl From<DeleteRecordsRequest> for Request {
    fn from(message: DeleteRecordsRequest) -> Self {
        Request::DeleteRecords(message)
    }
}

impl From<DeleteRecordsResponse> for Response {
    fn from(message: DeleteRecordsResponse) -> Self {
        Response::DeleteRecords(message)
    }
}

impl TryFrom<Response> for DeleteRecordsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DeleteRecords(message) => Ok(message),
            other => Err(other),
        }
    }
}
