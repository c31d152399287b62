// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ListConfigResources`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ListConfigResourcesRequest`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListConfigResourcesRequest {
    /// From version 1.
    pub resource_types: Vec<i8>,
}

impl ListConfigResourcesRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListConfigResourcesRequest", version, 0, 1)?;
        let decoded = Self {
            resource_types: if version >= 1 {
                r.array(true, 1, Reader::i8)?
            } else {
                Vec::new()
            },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListConfigResourcesRequest", version, 0, 1)?;
        if version >= 1 {
            w.array(&self.resource_types, true, |w, each| {
                w.i8(*each);
                Ok(())
            })?;
        } else if !self.resource_types.is_empty() {
            return Err(EncodeError::unsupported_field(
                "ListConfigResourcesRequest",
                "ResourceTypes",
                version,
            ));
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `ListConfigResourcesResponse`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListConfigResourcesResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub config_resources: Vec<ConfigResource>,
}

impl ListConfigResourcesResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListConfigResourcesResponse", version, 0, 1)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            config_resources: r.array(true, ConfigResource::MIN_SIZE, |r| {
                ConfigResource::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListConfigResourcesResponse", version, 0, 1)?;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.array(&self.config_resources, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ListConfigResourcesResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigResource {
    pub resource_name: KafkaString,
    /// From version 1.
    pub resource_type: i8,
}

impl Default for ConfigResource {
    fn default() -> Self {
        Self {
            resource_name: KafkaString::EMPTY,
            resource_type: 16,
        }
    }
}

impl ConfigResource {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 2;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            resource_name: r.string(true)?,
            resource_type: if version >= 1 { r.i8()? } else { 16 },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.resource_name, true)?;
        if version >= 1 {
            w.i8(self.resource_type);
        }
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for ListConfigResourcesRequest {
    const API_KEY: ApiKey = ApiKey::ListConfigResources;
    type Response = ListConfigResourcesResponse;
}

impl From<ListConfigResourcesRequest> for Request {
    fn from(message: ListConfigResourcesRequest) -> Self {
        Request::ListConfigResources(message)
    }
}

impl From<ListConfigResourcesResponse> for Response {
    fn from(message: ListConfigResourcesResponse) -> Self {
        Response::ListConfigResources(message)
    }
}

impl TryFrom<Response> for ListConfigResourcesResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ListConfigResources(message) => Ok(message),
            other => Err(other),
        }
    }
}
