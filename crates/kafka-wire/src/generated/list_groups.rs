// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ListGroups`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ListGroupsRequest`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListGroupsRequest {
    /// From version 4.
    pub states_filter: Vec<KafkaString>,
    /// From version 5.
    pub types_filter: Vec<KafkaString>,
}

impl ListGroupsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListGroupsRequest", version, 0, 5)?;
        let flexible = version >= 3;
        let decoded = Self {
            states_filter: if version >= 4 {
                r.array(flexible, 1, |r| r.string(flexible))?
            } else {
                Vec::new()
            },
            types_filter: if version >= 5 {
                r.array(flexible, 1, |r| r.string(flexible))?
            } else {
                Vec::new()
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListGroupsRequest", version, 0, 5)?;
        let flexible = version >= 3;
        if version >= 4 {
            w.array(&self.states_filter, flexible, |w, each| w.string(each, flexible))?;
        } else if !self.states_filter.is_empty() {
            return Err(EncodeError::unsupported_field(
                "ListGroupsRequest",
                "StatesFilter",
                version,
            ));
        }
        if version >= 5 {
            w.array(&self.types_filter, flexible, |w, each| w.string(each, flexible))?;
        } else if !self.types_filter.is_empty() {
            return Err(EncodeError::unsupported_field(
                "ListGroupsRequest",
                "TypesFilter",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `ListGroupsResponse`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListGroupsResponse {
    /// From version 1.
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub groups: Vec<ListedGroup>,
}

impl ListGroupsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListGroupsResponse", version, 0, 5)?;
        let flexible = version >= 3;
        let decoded = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            error_code: r.error_code()?,
            groups: r.array(flexible, ListedGroup::MIN_SIZE, |r| {
                ListedGroup::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListGroupsResponse", version, 0, 5)?;
        let flexible = version >= 3;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.error_code(self.error_code);
        w.array(&self.groups, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ListGroupsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedGroup {
    pub group_id: KafkaString,
    pub protocol_type: KafkaString,
    /// From version 4.
    pub group_state: KafkaString,
    /// From version 5.
    pub group_type: KafkaString,
}

impl ListedGroup {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            group_id: r.string(flexible)?,
            protocol_type: r.string(flexible)?,
            group_state: if version >= 4 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            group_type: if version >= 5 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.string(&self.group_id, flexible)?;
        w.string(&self.protocol_type, flexible)?;
        if version >= 4 {
            w.string(&self.group_state, flexible)?;
        }
        if version >= 5 {
            w.string(&self.group_type, flexible)?;
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for ListGroupsRequest {
    const API_KEY: ApiKey = ApiKey::ListGroups;
    type Response = ListGroupsResponse;
}

impl From<ListGroupsRequest> for Request {
    fn from(message: ListGroupsRequest) -> Self {
        Request::ListGroups(message)
    }
}

impl From<ListGroupsResponse> for Response {
    fn from(message: ListGroupsResponse) -> Self {
        Response::ListGroups(message)
    }
}

impl TryFrom<Response> for ListGroupsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ListGroups(message) => Ok(message),
            other => Err(other),
        }
    }
}
