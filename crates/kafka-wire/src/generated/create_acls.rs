// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `CreateAcls`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `CreateAclsRequest`, versions 1 to 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateAclsRequest {
    pub creations: Vec<AclCreation>,
}

impl CreateAclsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("CreateAclsRequest", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            creations: r.array(flexible, AclCreation::MIN_SIZE, |r| {
                AclCreation::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("CreateAclsRequest", version, 1, 3)?;
        let flexible = version >= 2;
        w.array(&self.creations, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreateAclsRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct AclCreation {
    pub resource_type: i8,
    pub resource_name: KafkaString,
    pub resource_pattern_type: i8,
    pub principal: KafkaString,
    pub host: KafkaString,
    pub operation: i8,
    pub permission_type: i8,
}

impl Default for AclCreation {
    fn default() -> Self {
        Self {
            resource_type: 0,
            resource_name: KafkaString::EMPTY,
            resource_pattern_type: 3,
            principal: KafkaString::EMPTY,
            host: KafkaString::EMPTY,
            operation: 0,
            permission_type: 0,
        }
    }
}

impl AclCreation {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 8;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            resource_type: r.i8()?,
            resource_name: r.string(flexible)?,
            resource_pattern_type: r.i8()?,
            principal: r.string(flexible)?,
            host: r.string(flexible)?,
            operation: r.i8()?,
            permission_type: r.i8()?,
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
        w.i8(self.resource_pattern_type);
        w.string(&self.principal, flexible)?;
        w.string(&self.host, flexible)?;
        w.i8(self.operation);
        w.i8(self.permission_type);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `CreateAclsResponse`, versions 1 to 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateAclsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<AclCreationResult>,
}

impl CreateAclsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("CreateAclsResponse", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            results: r.array(flexible, AclCreationResult::MIN_SIZE, |r| {
                AclCreationResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("CreateAclsResponse", version, 1, 3)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        w.array(&self.results, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreateAclsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct AclCreationResult {
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
}

impl Default for AclCreationResult {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
        }
    }
}

impl AclCreationResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 4;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
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
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for CreateAclsRequest {
    const API_KEY: ApiKey = ApiKey::CreateAcls;
    type Response = CreateAclsResponse;
}

impl From<CreateAclsRequest> for Request {
    fn from(message: CreateAclsRequest) -> Self {
        Request::CreateAcls(message)
    }
}

impl From<CreateAclsResponse> for Response {
    fn from(message: CreateAclsResponse) -> Self {
        Response::CreateAcls(message)
    }
}

impl TryFrom<Response> for CreateAclsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::CreateAcls(message) => Ok(message),
            other => Err(other),
        }
    }
}
