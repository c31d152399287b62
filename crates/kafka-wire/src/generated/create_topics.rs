// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `CreateTopics`.

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

/// The request `CreateTopicsRequest`, versions 2 to 7.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTopicsRequest {
    pub topics: Vec<CreatableTopic>,
    pub timeout_ms: i32,
    pub validate_only: bool,
}

impl Default for CreateTopicsRequest {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            timeout_ms: 60000,
            validate_only: false,
        }
    }
}

impl CreateTopicsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("CreateTopicsRequest", version, 2, 7)?;
        let flexible = version >= 5;
        let decoded = Self {
            topics: r.array(flexible, CreatableTopic::MIN_SIZE, |r| {
                CreatableTopic::decode(r, version)
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
        check_encode("CreateTopicsRequest", version, 2, 7)?;
        let flexible = version >= 5;
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        w.i32(self.timeout_ms);
        w.bool(self.validate_only);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreateTopicsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatableReplicaAssignment {
    pub partition_index: i32,
    pub broker_ids: Vec<i32>,
}

impl CreatableReplicaAssignment {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let decoded = Self {
            partition_index: r.i32()?,
            broker_ids: r.array(flexible, 4, Reader::i32)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.i32(self.partition_index);
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

/// A part of `CreateTopicsRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatableTopicConfig {
    pub name: KafkaString,
    pub value: Option<KafkaString>,
}

impl Default for CreatableTopicConfig {
    fn default() -> Self {
        Self {
            name: KafkaString::EMPTY,
            value: Some(KafkaString::EMPTY),
        }
    }
}

impl CreatableTopicConfig {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let decoded = Self {
            name: r.string(flexible)?,
            value: r.nullable_string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.string(&self.name, flexible)?;
        w.nullable_string(self.value.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreateTopicsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatableTopic {
    pub name: KafkaString,
    pub num_partitions: i32,
    pub replication_factor: i16,
    pub assignments: Vec<CreatableReplicaAssignment>,
    pub configs: Vec<CreatableTopicConfig>,
}

impl CreatableTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 10;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let decoded = Self {
            name: r.string(flexible)?,
            num_partitions: r.i32()?,
            replication_factor: r.i16()?,
            assignments: r.array(flexible, CreatableReplicaAssignment::MIN_SIZE, |r| {
                CreatableReplicaAssignment::decode(r, version)
            })?,
            configs: r.array(flexible, CreatableTopicConfig::MIN_SIZE, |r| {
                CreatableTopicConfig::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.string(&self.name, flexible)?;
        w.i32(self.num_partitions);
        w.i16(self.replication_factor);
        w.array(&self.assignments, flexible, |w, each| each.encode(w, version))?;
        w.array(&self.configs, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `CreateTopicsResponse`, versions 2 to 7.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateTopicsResponse {
    pub throttle_time_ms: i32,
    pub topics: Vec<CreatableTopicResult>,
}

impl CreateTopicsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("CreateTopicsResponse", version, 2, 7)?;
        let flexible = version >= 5;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            topics: r.array(flexible, CreatableTopicResult::MIN_SIZE, |r| {
                CreatableTopicResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("CreateTopicsResponse", version, 2, 7)?;
        let flexible = version >= 5;
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreateTopicsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatableTopicConfigs {
    /// From version 5.
    pub name: KafkaString,
    /// From version 5.
    pub value: Option<KafkaString>,
    /// From version 5.
    pub read_only: bool,
    /// From version 5.
    pub config_source: i8,
    /// From version 5.
    pub is_sensitive: bool,
}

impl Default for CreatableTopicConfigs {
    fn default() -> Self {
        Self {
            name: KafkaString::EMPTY,
            value: Some(KafkaString::EMPTY),
            read_only: false,
            config_source: -1,
            is_sensitive: false,
        }
    }
}

impl CreatableTopicConfigs {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let decoded = Self {
            name: if version >= 5 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            value: if version >= 5 {
                r.nullable_string(flexible)?
            } else {
                Some(KafkaString::EMPTY)
            },
            read_only: if version >= 5 { r.bool()? } else { false },
            config_source: if version >= 5 { r.i8()? } else { -1 },
            is_sensitive: if version >= 5 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        if version >= 5 {
            w.string(&self.name, flexible)?;
        } else if !self.name.is_empty() {
            return Err(EncodeError::unsupported_field(
                "CreatableTopicConfigs",
                "Name",
                version,
            ));
        }
        if version >= 5 {
            w.nullable_string(self.value.as_ref(), flexible)?;
        } else if self.value.as_ref().is_none_or(|value| !value.is_empty()) {
            return Err(EncodeError::unsupported_field(
                "CreatableTopicConfigs",
                "Value",
                version,
            ));
        }
        if version >= 5 {
            w.bool(self.read_only);
        } else if self.read_only {
            return Err(EncodeError::unsupported_field(
                "CreatableTopicConfigs",
                "ReadOnly",
                version,
            ));
        }
        if version >= 5 {
            w.i8(self.config_source);
        }
        if version >= 5 {
            w.bool(self.is_sensitive);
        } else if self.is_sensitive {
            return Err(EncodeError::unsupported_field(
                "CreatableTopicConfigs",
                "IsSensitive",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreateTopicsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatableTopicResult {
    pub name: KafkaString,
    /// From version 7.
    pub topic_id: Uuid,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    /// From version 5.
    pub topic_config_error_code: ErrorCode,
    /// From version 5.
    pub num_partitions: i32,
    /// From version 5.
    pub replication_factor: i16,
    /// From version 5.
    pub configs: Option<Vec<CreatableTopicConfigs>>,
}

impl Default for CreatableTopicResult {
    fn default() -> Self {
        Self {
            name: KafkaString::EMPTY,
            topic_id: Uuid::ZERO,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            topic_config_error_code: ErrorCode::NONE,
            num_partitions: -1,
            replication_factor: -1,
            configs: Some(Vec::new()),
        }
    }
}

impl CreatableTopicResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let mut decoded = Self {
            name: r.string(flexible)?,
            topic_id: if version >= 7 { r.uuid()? } else { Uuid::ZERO },
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
            topic_config_error_code: ErrorCode::NONE,
            num_partitions: if version >= 5 { r.i32()? } else { -1 },
            replication_factor: if version >= 5 { r.i16()? } else { -1 },
            configs: if version >= 5 {
                r.nullable_array(flexible, CreatableTopicConfigs::MIN_SIZE, |r| {
                    CreatableTopicConfigs::decode(r, version)
                })?
            } else {
                Some(Vec::new())
            },
        };
        if flexible {
            r.tagged_fields(|r, tag| {
                match tag {
                    0 => decoded.topic_config_error_code = r.error_code()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.string(&self.name, flexible)?;
        if version >= 7 {
            w.uuid(self.topic_id);
        }
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        if version >= 5 {
            w.i32(self.num_partitions);
        }
        if version >= 5 {
            w.i16(self.replication_factor);
        }
        if version >= 5 {
            w.nullable_array(self.configs.as_deref(), flexible, |w, each| {
                each.encode(w, version)
            })?;
        }
        if flexible {
            let mut tags = TaggedFields::default();
            if self.topic_config_error_code != ErrorCode::NONE {
                tags.add(0, |w| {
                    w.error_code(self.topic_config_error_code);
                    Ok(())
                })?;
            }
            w.tagged_fields(tags)?;
        }
        Ok(())
    }
}

impl RequestMessage for CreateTopicsRequest {
    const API_KEY: ApiKey = ApiKey::CreateTopics;
    type Response = CreateTopicsResponse;
}

impl From<CreateTopicsRequest> for Request {
    fn from(message: CreateTopicsRequest) -> Self {
        Request::CreateTopics(message)
    }
}

impl From<CreateTopicsResponse> for Response {
    fn from(message: CreateTopicsResponse) -> Self {
        Response::CreateTopics(message)
    }
}

impl TryFrom<Response> for CreateTopicsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::CreateTopics(message) => Ok(message),
            other => Err(other),
        }
    }
}
