// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DeleteAcls`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DeleteAclsRequest`, versions 1 to 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteAclsRequest {
    pub filters: Vec<DeleteAclsFilter>,
}

impl DeleteAclsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DeleteAclsRequest", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            filters: r.array(flexible, DeleteAclsFilter::MIN_SIZE, |r| {
                DeleteAclsFilter::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DeleteAclsRequest", version, 1, 3)?;
        let flexible = version >= 2;
        w.array(&self.filters, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DeleteAclsRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteAclsFilter {
    pub resource_type_filter: i8,
    pub resource_name_filter: Option<KafkaString>,
    pub pattern_type_filter: i8,
    pub principal_filter: Option<KafkaString>,
    pub host_filter: Option<KafkaString>,
    pub operation: i8,
    pub permission_type: i8,
}

impl Default for DeleteAclsFilter {
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

impl DeleteAclsFilter {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 8;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
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

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
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

/// The response `DeleteAclsResponse`, versions 1 to 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteAclsResponse {
    pub throttle_time_ms: i32,
    pub filter_results: Vec<DeleteAclsFilterResult>,
}

impl DeleteAclsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DeleteAclsResponse", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            filter_results: r.array(flexible, DeleteAclsFilterResult::MIN_SIZE, |r| {
                DeleteAclsFilterResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DeleteAclsResponse", version, 1, 3)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        w.array(&self.filter_results, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DeleteAclsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteAclsMatchingAcl {
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub resource_type: i8,
    pub resource_name: KafkaString,
    pub pattern_type: i8,
    pub principal: KafkaString,
    pub host: KafkaString,
    pub operation: i8,
    pub permission_type: i8,
}

impl Default for DeleteAclsMatchingAcl {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            resource_type: 0,
            resource_name: KafkaString::EMPTY,
            pattern_type: 3,
            principal: KafkaString::EMPTY,
            host: KafkaString::EMPTY,
            operation: 0,
            permission_type: 0,
        }
    }
}

impl DeleteAclsMatchingAcl {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 11;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
            resource_type: r.i8()?,
            resource_name: r.string(flexible)?,
            pattern_type: r.i8()?,
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
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        w.i8(self.resource_type);
        w.string(&self.resource_name, flexible)?;
        w.i8(self.pattern_type);
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

/// A part of `DeleteAclsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteAclsFilterResult {
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub matching_acls: Vec<DeleteAclsMatchingAcl>,
}

impl Default for DeleteAclsFilterResult {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            matching_acls: Vec::new(),
        }
    }
}

impl DeleteAclsFilterResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 5;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
            matching_acls: r.array(flexible, DeleteAclsMatchingAcl::MIN_SIZE, |r| {
                DeleteAclsMatchingAcl::decode(r, version)
            })?,
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
        w.array(&self.matching_acls, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for DeleteAclsRequest {
    const API_KEY: ApiKey = ApiKey::DeleteAcls;
    type Response = DeleteAclsResponse;
}

impl From<DeleteAclsRequest> for Request {
    fn from(message: DeleteAclsRequest) -> Self {
        Request::DeleteAcls(message)
    }
}

impl From<DeleteAclsResponse> for Response {
    fn from(message: DeleteAclsResponse) -> Self {
        Response::DeleteAcls(message)
    }
}

impl TryFrom<Response> for DeleteAclsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DeleteAcls(message) => Ok(message),
            other => Err(other),
        }
    }
}
