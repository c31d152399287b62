// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DeleteGroups`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DeleteGroupsRequest`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteGroupsRequest {
    pub groups_names: Vec<KafkaString>,
}

impl DeleteGroupsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DeleteGroupsRequest", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            groups_names: r.array(flexible, 1, |r| r.string(flexible))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DeleteGroupsRequest", version, 0, 2)?;
        let flexible = version >= 2;
        w.array(&self.groups_names, flexible, |w, each| w.string(each, flexible))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `DeleteGroupsResponse`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteGroupsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<DeletableGroupResult>,
}

impl DeleteGroupsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DeleteGroupsResponse", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            results: r.array(flexible, DeletableGroupResult::MIN_SIZE, |r| {
                DeletableGroupResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DeleteGroupsResponse", version, 0, 2)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        w.array(&self.results, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DeleteGroupsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeletableGroupResult {
    pub group_id: KafkaString,
    pub error_code: ErrorCode,
}

impl DeletableGroupResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 4;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            group_id: r.string(flexible)?,
            error_code: r.error_code()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.string(&self.group_id, flexible)?;
        w.error_code(self.error_code);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for DeleteGroupsRequest {
    const API_KEY: ApiKey = ApiKey::DeleteGroups;
    type Response = DeleteGroupsResponse;
}

impl From<DeleteGroupsRequest> for Request {
    fn from(message: DeleteGroupsRequest) -> Self {
        Request::DeleteGroups(message)
    }
}

impl From<DeleteGroupsResponse> for Response {
    fn from(message: DeleteGroupsResponse) -> Self {
        Response::DeleteGroups(message)
    }
}

impl TryFrom<Response> for DeleteGroupsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DeleteGroups(message) => Ok(message),
            other => Err(other),
        }
    }
}
