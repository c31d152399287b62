// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `CreatePartitions`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `CreatePartitionsRequest`, versions 0 to 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatePartitionsRequest {
    pub topics: Vec<CreatePartitionsTopic>,
    pub timeout_ms: i32,
    pub validate_only: bool,
}

impl CreatePartitionsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("CreatePartitionsRequest", version, 0, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            topics: r.array(flexible, CreatePartitionsTopic::MIN_SIZE, |r| {
                CreatePartitionsTopic::decode(r, version)
            })?,
            timeout_ms: r.i32()?,
            validate_only: r.bool()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("CreatePartitionsRequest", version, 0, 3)?;
        let flexible = version >= 2;
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        w.i32(self.timeout_ms);
        w.bool(self.validate_only);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreatePartitionsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatePartitionsAssignment {
    pub broker_ids: Vec<i32>,
}

impl CreatePartitionsAssignment {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 2;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            broker_ids: r.array(flexible, 4, Reader::i32)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.array(&self.broker_ids, flexible, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreatePartitionsRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatePartitionsTopic {
    pub name: KafkaString,
    pub count: i32,
    pub assignments: Option<Vec<CreatePartitionsAssignment>>,
}

impl Default for CreatePartitionsTopic {
    fn default() -> Self {
        Self {
            name: KafkaString::EMPTY,
            count: 0,
            assignments: Some(Vec::new()),
        }
    }
}

impl CreatePartitionsTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 7;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            name: r.string(flexible)?,
            count: r.i32()?,
            assignments: r.nullable_array(flexible, CreatePartitionsAssignment::MIN_SIZE, |r| {
                CreatePartitionsAssignment::decode(r, version)
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
        w.i32(self.count);
        w.nullable_array(self.assignments.as_deref(), flexible, |w, each| {
            each.encode(w, version)
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `CreatePartitionsResponse`, versions 0 to 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatePartitionsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<CreatePartitionsTopicResult>,
}

impl CreatePartitionsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("CreatePartitionsResponse", version, 0, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            results: r.array(flexible, CreatePartitionsTopicResult::MIN_SIZE, |r| {
                CreatePartitionsTopicResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("CreatePartitionsResponse", version, 0, 3)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        w.array(&self.results, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreatePartitionsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatePartitionsTopicResult {
    pub name: KafkaString,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
}

impl CreatePartitionsTopicResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 5;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            name: r.string(flexible)?,
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
        w.string(&self.name, flexible)?;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for CreatePartitionsRequest {
    const API_KEY: ApiKey = ApiKey::CreatePartitions;
    type Response = CreatePartitionsResponse;
}

impl From<CreatePartitionsRequest> for Request {
    fn from(message: CreatePartitionsRequest) -> Self {
        Request::CreatePartitions(message)
    }
}

impl From<CreatePartitionsResponse> for Response {
    fn from(message: CreatePartitionsResponse) -> Self {
        Response::CreatePartitions(message)
    }
}

impl TryFrom<Response> for CreatePartitionsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::CreatePartitions(message) => Ok(message),
            other => Err(other),
        }
    }
}
