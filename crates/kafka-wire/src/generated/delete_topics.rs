// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DeleteTopics`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::reader::check_null;
use crate::string::KafkaString;
use crate::uuid::Uuid;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DeleteTopicsRequest`, versions 1 to 6.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteTopicsRequest {
    /// From version 6.
    pub topics: Vec<DeleteTopicState>,
    /// Up to version 5.
    pub topic_names: Vec<KafkaString>,
    pub timeout_ms: i32,
}

impl DeleteTopicsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DeleteTopicsRequest", version, 1, 6)?;
        let flexible = version >= 4;
        let decoded = Self {
            topics: if version >= 6 {
                r.array(flexible, DeleteTopicState::MIN_SIZE, |r| {
                    DeleteTopicState::decode(r, version)
                })?
            } else {
                Vec::new()
            },
            topic_names: if version <= 5 {
                r.array(flexible, 1, |r| r.string(flexible))?
            } else {
                Vec::new()
            },
            timeout_ms: r.i32()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DeleteTopicsRequest", version, 1, 6)?;
        let flexible = version >= 4;
        if version >= 6 {
            w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        } else if !self.topics.is_empty() {
            return Err(EncodeError::unsupported_field(
                "DeleteTopicsRequest",
                "Topics",
                version,
            ));
        }
        if version <= 5 {
            w.array(&self.topic_names, flexible, |w, each| w.string(each, flexible))?;
        }
        w.i32(self.timeout_ms);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DeleteTopicsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteTopicState {
    /// From version 6.
    pub name: Option<KafkaString>,
    /// From version 6.
    pub topic_id: Uuid,
}

impl DeleteTopicState {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            name: if version >= 6 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            topic_id: if version >= 6 { r.uuid()? } else { Uuid::ZERO },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        if version >= 6 {
            w.nullable_string(self.name.as_ref(), flexible)?;
        } else if self.name.is_some() {
            return Err(EncodeError::unsupported_field(
                "DeleteTopicState",
                "Name",
                version,
            ));
        }
        if version >= 6 {
            w.uuid(self.topic_id);
        } else if self.topic_id != Uuid::ZERO {
            return Err(EncodeError::unsupported_field(
                "DeleteTopicState",
                "TopicId",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `DeleteTopicsResponse`, versions 1 to 6.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteTopicsResponse {
    pub throttle_time_ms: i32,
    pub responses: Vec<DeletableTopicResult>,
}

impl DeleteTopicsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DeleteTopicsResponse", version, 1, 6)?;
        let flexible = version >= 4;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            responses: r.array(flexible, DeletableTopicResult::MIN_SIZE, |r| {
                DeletableTopicResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DeleteTopicsResponse", version, 1, 6)?;
        let flexible = version >= 4;
        w.i32(self.throttle_time_ms);
        w.array(&self.responses, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DeleteTopicsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletableTopicResult {
    pub name: Option<KafkaString>,
    /// From version 6.
    pub topic_id: Uuid,
    pub error_code: ErrorCode,
    /// From version 5.
    pub error_message: Option<KafkaString>,
}

impl Default for DeletableTopicResult {
    fn default() -> Self {
        Self {
            name: Some(KafkaString::EMPTY),
            topic_id: Uuid::ZERO,
            error_code: ErrorCode::NONE,
            error_message: None,
        }
    }
}

impl DeletableTopicResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 4;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            name: check_null(r.nullable_string(flexible)?, version >= 6, "Name")?,
            topic_id: if version >= 6 { r.uuid()? } else { Uuid::ZERO },
            error_code: r.error_code()?,
            error_message: if version >= 5 {
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
        let flexible = version >= 4;
        if self.name.is_none() && version < 6 {
            return Err(EncodeError::null_field("DeletableTopicResult", "Name", version));
        }
        w.nullable_string(self.name.as_ref(), flexible)?;
        if version >= 6 {
            w.uuid(self.topic_id);
        }
        w.error_code(self.error_code);
        if version >= 5 {
            w.nullable_string(self.error_message.as_ref(), flexible)?;
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for DeleteTopicsRequest {
    const API_KEY: ApiKey = ApiKey::DeleteTopics;
    type Response = DeleteTopicsResponse;
}

impl From<DeleteTopicsRequest> for Request {
    fn from(message: DeleteTopicsRequest) -> Self {
        Request::DeleteTopics(message)
    }
}

impl From<DeleteTopicsResponse> for Response {
    fn from(message: DeleteTopicsResponse) -> Self {
        Response::DeleteTopics(message)
    }
}

impl TryFrom<Response> for DeleteTopicsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DeleteTopics(message) => Ok(message),
            other => Err(other),
        }
    }
}
