// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `AlterConfigs`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `AlterConfigsRequest`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterConfigsRequest {
    pub resources: Vec<AlterConfigsResource>,
    pub validate_only: bool,
}

impl AlterConfigsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AlterConfigsRequest", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            resources: r.array(flexible, AlterConfigsResource::MIN_SIZE, |r| {
                AlterConfigsResource::decode(r, version)
            })?,
            validate_only: r.bool()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AlterConfigsRequest", version, 0, 2)?;
        let flexible = version >= 2;
        w.array(&self.resources, flexible, |w, each| each.encode(w, version))?;
        w.bool(self.validate_only);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AlterConfigsRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterableConfig {
    pub name: KafkaString,
    pub value: Option<KafkaString>,
}

impl Default for AlterableConfig {
    fn default() -> Self {
        Self {
            name: KafkaString::EMPTY,
            value: Some(KafkaString::EMPTY),
        }
    }
}

impl AlterableConfig {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
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
        let flexible = version >= 2;
        w.string(&self.name, flexible)?;
        w.nullable_string(self.value.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AlterConfigsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterConfigsResource {
    pub resource_type: i8,
    pub resource_name: KafkaString,
    pub configs: Vec<AlterableConfig>,
}

impl AlterConfigsResource {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 4;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            resource_type: r.i8()?,
            resource_name: r.string(flexible)?,
            configs: r.array(flexible, AlterableConfig::MIN_SIZE, |r| {
                AlterableConfig::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.i8(self.resource_type);
        w.string(&self.resource_name, flexible)?;
        w.array(&self.configs, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `AlterConfigsResponse`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterConfigsResponse {
    pub throttle_time_ms: i32,
    pub responses: Vec<AlterConfigsResourceResponse>,
}

impl AlterConfigsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AlterConfigsResponse", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            responses: r.array(flexible, AlterConfigsResourceResponse::MIN_SIZE, |r| {
                AlterConfigsResourceResponse::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AlterConfigsResponse", version, 0, 2)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        w.array(&self.responses, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AlterConfigsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterConfigsResourceResponse {
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub resource_type: i8,
    pub resource_name: KafkaString,
}

impl Default for AlterConfigsResourceResponse {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            resource_type: 0,
            resource_name: KafkaString::EMPTY,
        }
    }
}

impl AlterConfigsResourceResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
            resource_type: r.i8()?,
            resource_name: r.string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        w.i8(self.resource_type);
        w.string(&self.resource_name, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for AlterConfigsRequest {
    const API_KEY: ApiKey = ApiKey::AlterConfigs;
    type Response = AlterConfigsResponse;
}

impl From<AlterConfigsRequest> for Request {
    fn from(message: AlterConfigsRequest) -> Self {
        Request::AlterConfigs(message)
    }
}

impl From<AlterConfigsResponse> for Response {
    fn from(message: AlterConfigsResponse) -> Self {
        Response::AlterConfigs(message)
    }
}

impl TryFrom<Response> for AlterConfigsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::AlterConfigs(message) => Ok(message),
            other => Err(other),
        }
    }
}
