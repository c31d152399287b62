// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeConfigs`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DescribeConfigsRequest`, versions 1 to 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeConfigsRequest {
    pub resources: Vec<DescribeConfigsResource>,
    pub include_synonyms: bool,
    /// From version 3.
    pub include_documentation: bool,
}

impl DescribeConfigsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeConfigsRequest", version, 1, 4)?;
        let flexible = version >= 4;
        let decoded = Self {
            resources: r.array(flexible, DescribeConfigsResource::MIN_SIZE, |r| {
                DescribeConfigsResource::decode(r, version)
            })?,
            include_synonyms: r.bool()?,
            include_documentation: if version >= 3 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeConfigsRequest", version, 1, 4)?;
        let flexible = version >= 4;
        w.array(&self.resources, flexible, |w, each| each.encode(w, version))?;
        w.bool(self.include_synonyms);
        if version >= 3 {
            w.bool(self.include_documentation);
        } else if self.include_documentation {
            return Err(EncodeError::unsupported_field(
                "DescribeConfigsRequest",
                "IncludeDocumentation",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeConfigsRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeConfigsResource {
    pub resource_type: i8,
    pub resource_name: KafkaString,
    pub configuration_keys: Option<Vec<KafkaString>>,
}

impl Default for DescribeConfigsResource {
    fn default() -> Self {
        Self {
            resource_type: 0,
            resource_name: KafkaString::EMPTY,
            configuration_keys: Some(Vec::new()),
        }
    }
}

impl DescribeConfigsResource {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 4;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            resource_type: r.i8()?,
            resource_name: r.string(flexible)?,
            configuration_keys: r.nullable_array(flexible, 1, |r| r.string(flexible))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.i8(self.resource_type);
        w.string(&self.resource_name, flexible)?;
        w.nullable_array(self.configuration_keys.as_deref(), flexible, |w, each| {
            w.string(each, flexible)
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `DescribeConfigsResponse`, versions 1 to 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeConfigsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<DescribeConfigsResult>,
}

impl DescribeConfigsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeConfigsResponse", version, 1, 4)?;
        let flexible = version >= 4;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            results: r.array(flexible, DescribeConfigsResult::MIN_SIZE, |r| {
                DescribeConfigsResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeConfigsResponse", version, 1, 4)?;
        let flexible = version >= 4;
        w.i32(self.throttle_time_ms);
        w.array(&self.results, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeConfigsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeConfigsSynonym {
    pub name: KafkaString,
    pub value: Option<KafkaString>,
    pub source: i8,
}

impl Default for DescribeConfigsSynonym {
    fn default() -> Self {
        Self {
            name: KafkaString::EMPTY,
            value: Some(KafkaString::EMPTY),
            source: 0,
        }
    }
}

impl DescribeConfigsSynonym {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 4;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            name: r.string(flexible)?,
            value: r.nullable_string(flexible)?,
            source: r.i8()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.name, flexible)?;
        w.nullable_string(self.value.as_ref(), flexible)?;
        w.i8(self.source);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeConfigsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeConfigsResourceResult {
    pub name: KafkaString,
    pub value: Option<KafkaString>,
    pub read_only: bool,
    pub config_source: i8,
    pub is_sensitive: bool,
    pub synonyms: Vec<DescribeConfigsSynonym>,
    /// From version 3.
    pub config_type: i8,
    /// From version 3.
    pub documentation: Option<KafkaString>,
}

impl Default for DescribeConfigsResourceResult {
    fn default() -> Self {
        Self {
            name: KafkaString::EMPTY,
            value: Some(KafkaString::EMPTY),
            read_only: false,
            config_source: -1,
            is_sensitive: false,
            synonyms: Vec::new(),
            config_type: 0,
            documentation: Some(KafkaString::EMPTY),
        }
    }
}

impl DescribeConfigsResourceResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 9;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            name: r.string(flexible)?,
            value: r.nullable_string(flexible)?,
            read_only: r.bool()?,
            config_source: r.i8()?,
            is_sensitive: r.bool()?,
            synonyms: r.array(flexible, DescribeConfigsSynonym::MIN_SIZE, |r| {
                DescribeConfigsSynonym::decode(r, version)
            })?,
            config_type: if version >= 3 { r.i8()? } else { 0 },
            documentation: if version >= 3 {
                r.nullable_string(flexible)?
            } else {
                Some(KafkaString::EMPTY)
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.name, flexible)?;
        w.nullable_string(self.value.as_ref(), flexible)?;
        w.bool(self.read_only);
        w.i8(self.config_source);
        w.bool(self.is_sensitive);
        w.array(&self.synonyms, flexible, |w, each| each.encode(w, version))?;
        if version >= 3 {
            w.i8(self.config_type);
        }
        if version >= 3 {
            w.nullable_string(self.documentation.as_ref(), flexible)?;
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeConfigsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeConfigsResult {
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub resource_type: i8,
    pub resource_name: KafkaString,
    pub configs: Vec<DescribeConfigsResourceResult>,
}

impl Default for DescribeConfigsResult {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            resource_type: 0,
            resource_name: KafkaString::EMPTY,
            configs: Vec::new(),
        }
    }
}

impl DescribeConfigsResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 7;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
            resource_type: r.i8()?,
            resource_name: r.string(flexible)?,
            configs: r.array(flexible, DescribeConfigsResourceResult::MIN_SIZE, |r| {
                DescribeConfigsResourceResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        w.i8(self.resource_type);
        w.string(&self.resource_name, flexible)?;
        w.array(&self.configs, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for DescribeConfigsRequest {
    const API_KEY: ApiKey = ApiKey::DescribeConfigs;
    type Response = DescribeConfigsResponse;
}

impl From<DescribeConfigsRequest> for Request {
    fn from(message: DescribeConfigsRequest) -> Self {
        Request::DescribeConfigs(message)
    }
}

impl From<DescribeConfigsResponse> for Response {
    fn from(message: DescribeConfigsResponse) -> Self {
        Response::DescribeConfigs(message)
    }
}

impl TryFrom<Response> for DescribeConfigsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeConfigs(message) => Ok(message),
            other => Err(other),
        }
    }
}
