// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeAcls`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DescribeAclsRequest`, versions 1 to 3.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeAclsRequest {
    pub resource_type_filter: i8,
    pub resource_name_filter: Option<KafkaString>,
    pub pattern_type_filter: i8,
    pub principal_filter: Option<KafkaString>,
    pub host_filter: Option<KafkaString>,
    pub operation: i8,
    pub permission_type: i8,
}

impl Default for DescribeAclsRequest {
    fn default() -> Self {
        Self {
            resource_type_filter: 0,
            resource_name_filter: Some(KafkaString::EMPTY),
            pattern_type_filter: 3,
            principal_filter: Some(KafkaString::EMPTY),
            host_filter: Some(KafkaString::EMPTY),
            operation: 0,
            permission_type: 0,
        }
    }
}

impl DescribeAclsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeAclsRequest", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            resource_type_filter: r.i8()?,
            resource_name_filter: r.nullable_string(flexible)?,
            pattern_type_filter: r.i8()?,
            principal_filter: r.nullable_string(flexible)?,
            host_filter: r.nullable_string(flexible)?,
            operation: r.i8()?,
            permission_type: r.i8()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeAclsRequest", version, 1, 3)?;
        let flexible = version >= 2;
        w.i8(self.resource_type_filter);
        w.nullable_string(self.resource_name_filter.as_ref(), flexible)?;
        w.i8(self.pattern_type_filter);
        w.nullable_string(self.principal_filter.as_ref(), flexible)?;
        w.nullable_string(self.host_filter.as_ref(), flexible)?;
        w.i8(self.operation);
        w.i8(self.permission_type);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `DescribeAclsResponse`, versions 1 to 3.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeAclsResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub resources: Vec<DescribeAclsResource>,
}

impl Default for DescribeAclsResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            resources: Vec::new(),
        }
    }
}

impl DescribeAclsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeAclsResponse", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
            resources: r.array(flexible, DescribeAclsResource::MIN_SIZE, |r| {
                DescribeAclsResource::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeAclsResponse", version, 1, 3)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        w.array(&self.resources, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeAclsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AclDescription {
    pub principal: KafkaString,
    pub host: KafkaString,
    pub operation: i8,
    pub permission_type: i8,
}

impl AclDescription {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 5;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
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

/// A part of `DescribeAclsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeAclsResource {
    pub resource_type: i8,
    pub resource_name: KafkaString,
    pub pattern_type: i8,
    pub acls: Vec<AclDescription>,
}

impl Default for DescribeAclsResource {
    fn default() -> Self {
        Self {
            resource_type: 0,
            resource_name: KafkaString::EMPTY,
            pattern_type: 3,
            acls: Vec::new(),
        }
    }
}

impl DescribeAclsResource {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 5;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            resource_type: r.i8()?,
            resource_name: r.string(flexible)?,
            pattern_type: r.i8()?,
            acls: r.array(flexible, AclDescription::MIN_SIZE, |r| {
                AclDescription::decode(r, version)
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
        w.i8(self.pattern_type);
        w.array(&self.acls, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for DescribeAclsRequest {
    const API_KEY: ApiKey = ApiKey::DescribeAcls;
    type Response = DescribeAclsResponse;
}

impl From<DescribeAclsRequest> for Request {
    fn from(message: DescribeAclsRequest) -> Self {
        Request::DescribeAcls(message)
    }
}

impl From<DescribeAclsResponse> for Response {
    fn from(message: DescribeAclsResponse) -> Self {
        Response::DescribeAcls(message)
    }
}

impl TryFrom<Response> for DescribeAclsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeAcls(message) => Ok(message),
            other => Err(other),
        }
    }
}
