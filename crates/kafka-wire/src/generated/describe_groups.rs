// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeGroups`.

use bytes::Bytes;

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DescribeGroupsRequest`, versions 0 to 6.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeGroupsRequest {
    pub groups: Vec<KafkaString>,
    /// From version 3.
    pub include_authorized_operations: bool,
}

impl DescribeGroupsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeGroupsRequest", version, 0, 6)?;
        let flexible = version >= 5;
        let decoded = Self {
            groups: r.array(flexible, 1, |r| r.string(flexible))?,
            include_authorized_operations: if version >= 3 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeGroupsRequest", version, 0, 6)?;
        let flexible = version >= 5;
        w.array(&self.groups, flexible, |w, each| w.string(each, flexible))?;
        if version >= 3 {
            w.bool(self.include_authorized_operations);
        } else if self.include_authorized_operations {
            return Err(EncodeError::unsupported_field(
                "DescribeGroupsRequest",
                "IncludeAuthorizedOperations",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `DescribeGroupsResponse`, versions 0 to 6.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeGroupsResponse {
    /// From version 1.
    pub throttle_time_ms: i32,
    pub groups: Vec<DescribedGroup>,
}

impl DescribeGroupsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeGroupsResponse", version, 0, 6)?;
        let flexible = version >= 5;
        let decoded = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            groups: r.array(flexible, DescribedGroup::MIN_SIZE, |r| {
                DescribedGroup::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeGroupsResponse", version, 0, 6)?;
        let flexible = version >= 5;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.groups, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeGroupsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribedGroupMember {
    pub member_id: KafkaString,
    /// From version 4.
    pub group_instance_id: Option<KafkaString>,
    pub client_id: KafkaString,
    pub client_host: KafkaString,
    pub member_metadata: Bytes,
    pub member_assignment: Bytes,
}

impl DescribedGroupMember {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 7;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let decoded = Self {
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 4 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            client_id: r.string(flexible)?,
            client_host: r.string(flexible)?,
            member_metadata: r.bytes(flexible)?,
            member_assignment: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.string(&self.member_id, flexible)?;
        if version >= 4 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        }
        w.string(&self.client_id, flexible)?;
        w.string(&self.client_host, flexible)?;
        w.bytes(&self.member_metadata, flexible)?;
        w.bytes(&self.member_assignment, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeGroupsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedGroup {
    pub error_code: ErrorCode,
    /// From version 6.
    pub error_message: Option<KafkaString>,
    pub group_id: KafkaString,
    pub group_state: KafkaString,
    pub protocol_type: KafkaString,
    pub protocol_data: KafkaString,
    pub members: Vec<DescribedGroupMember>,
    /// From version 3.
    pub authorized_operations: i32,
}

impl Default for DescribedGroup {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: None,
            group_id: KafkaString::EMPTY,
            group_state: KafkaString::EMPTY,
            protocol_type: KafkaString::EMPTY,
            protocol_data: KafkaString::EMPTY,
            members: Vec::new(),
            authorized_operations: -2147483648,
        }
    }
}

impl DescribedGroup {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 12;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 5;
        let decoded = Self {
            error_code: r.error_code()?,
            error_message: if version >= 6 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            group_id: r.string(flexible)?,
            group_state: r.string(flexible)?,
            protocol_type: r.string(flexible)?,
            protocol_data: r.string(flexible)?,
            members: r.array(flexible, DescribedGroupMember::MIN_SIZE, |r| {
                DescribedGroupMember::decode(r, version)
            })?,
            authorized_operations: if version >= 3 { r.i32()? } else { -2147483648 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 5;
        w.error_code(self.error_code);
        if version >= 6 {
            w.nullable_string(self.error_message.as_ref(), flexible)?;
        } else if self.error_message.is_some() {
            return Err(EncodeError::unsupported_field(
                "DescribedGroup",
                "ErrorMessage",
                version,
            ));
        }
        w.string(&self.group_id, flexible)?;
        w.string(&self.group_state, flexible)?;
        w.string(&self.protocol_type, flexible)?;
        w.string(&self.protocol_data, flexible)?;
        w.array(&self.members, flexible, |w, each| each.encode(w, version))?;
        if version >= 3 {
            w.i32(self.authorized_operations);
        } else if self.authorized_operations != -2147483648 {
            return Err(EncodeError::unsupported_field(
                "DescribedGroup",
                "AuthorizedOperations",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for DescribeGroupsRequest {
    const API_KEY: ApiKey = ApiKey::DescribeGroups;
    type Response = DescribeGroupsResponse;
}

impl From<DescribeGroupsRequest> for Request {
    fn from(message: DescribeGroupsRequest) -> Self {
        Request::DescribeGroups(message)
    }
}

impl From<DescribeGroupsResponse> for Response {
    fn from(message: DescribeGroupsResponse) -> Self {
        Response::DescribeGroups(message)
    }
}

impl TryFrom<Response> for DescribeGroupsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeGroups(message) => Ok(message),
            other => Err(other),
        }
    }
}
