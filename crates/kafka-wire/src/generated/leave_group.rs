// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `LeaveGroup`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `LeaveGroupRequest`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeaveGroupRequest {
    pub group_id: KafkaString,
    /// Up to version 2.
    pub member_id: KafkaString,
    /// From version 3.
    pub members: Vec<MemberIdentity>,
}

impl LeaveGroupRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("LeaveGroupRequest", version, 0, 5)?;
        let flexible = version >= 4;
        let decoded = Self {
            group_id: r.string(flexible)?,
            member_id: if version <= 2 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            members: if version >= 3 {
                r.array(flexible, MemberIdentity::MIN_SIZE, |r| {
                    MemberIdentity::decode(r, version)
                })?
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
        check_encode("LeaveGroupRequest", version, 0, 5)?;
        let flexible = version >= 4;
        w.string(&self.group_id, flexible)?;
        if version <= 2 {
            w.string(&self.member_id, flexible)?;
        } else if !self.member_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "LeaveGroupRequest",
                "MemberId",
                version,
            ));
        }
        if version >= 3 {
            w.array(&self.members, flexible, |w, each| each.encode(w, version))?;
        } else if !self.members.is_empty() {
            return Err(EncodeError::unsupported_field(
                "LeaveGroupRequest",
                "Members",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `LeaveGroupRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberIdentity {
    /// From version 3.
    pub member_id: KafkaString,
    /// From version 3.
    pub group_instance_id: Option<KafkaString>,
    /// From version 5.
    pub reason: Option<KafkaString>,
}

impl MemberIdentity {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            member_id: if version >= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            group_instance_id: if version >= 3 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            reason: if version >= 5 {
                r.nullable_string(flexible)?
            } else {
                None
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        if version >= 3 {
            w.string(&self.member_id, flexible)?;
        } else if !self.member_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "MemberIdentity",
                "MemberId",
                version,
            ));
        }
        if version >= 3 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::unsupported_field(
                "MemberIdentity",
                "GroupInstanceId",
                version,
            ));
        }
        if version >= 5 {
            w.nullable_string(self.reason.as_ref(), flexible)?;
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `LeaveGroupResponse`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeaveGroupResponse {
    /// From version 1.
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    /// From version 3.
    pub members: Vec<MemberResponse>,
}

impl LeaveGroupResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("LeaveGroupResponse", version, 0, 5)?;
        let flexible = version >= 4;
        let decoded = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            error_code: r.error_code()?,
            members: if version >= 3 {
                r.array(flexible, MemberResponse::MIN_SIZE, |r| {
                    MemberResponse::decode(r, version)
                })?
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
        check_encode("LeaveGroupResponse", version, 0, 5)?;
        let flexible = version >= 4;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.error_code(self.error_code);
        if version >= 3 {
            w.array(&self.members, flexible, |w, each| each.encode(w, version))?;
        } else if !self.members.is_empty() {
            return Err(EncodeError::unsupported_field(
                "LeaveGroupResponse",
                "Members",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `LeaveGroupResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberResponse {
    /// From version 3.
    pub member_id: KafkaString,
    /// From version 3.
    pub group_instance_id: Option<KafkaString>,
    /// From version 3.
    pub error_code: ErrorCode,
}

impl Default for MemberResponse {
    fn default() -> Self {
        Self {
            member_id: KafkaString::EMPTY,
            group_instance_id: Some(KafkaString::EMPTY),
            error_code: ErrorCode::NONE,
        }
    }
}

impl MemberResponse {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            member_id: if version >= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            group_instance_id: if version >= 3 {
                r.nullable_string(flexible)?
            } else {
                Some(KafkaString::EMPTY)
            },
            error_code: if version >= 3 {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        if version >= 3 {
            w.string(&self.member_id, flexible)?;
        } else if !self.member_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "MemberResponse",
                "MemberId",
                version,
            ));
        }
        if version >= 3 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self
            .group_instance_id
            .as_ref()
            .is_none_or(|value| !value.is_empty())
        {
            return Err(EncodeError::unsupported_field(
                "MemberResponse",
                "GroupInstanceId",
                version,
            ));
        }
        if version >= 3 {
            w.error_code(self.error_code);
        } else if self.error_code != ErrorCode::NONE {
            return Err(EncodeError::unsupported_field(
                "MemberResponse",
                "ErrorCode",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for LeaveGroupRequest {
    const API_KEY: ApiKey = ApiKey::LeaveGroup;
    type Response = LeaveGroupResponse;
}

impl From<LeaveGroupRequest> for Request {
    fn from(message: LeaveGroupRequest) -> Self {
        Request::LeaveGroup(message)
    }
}

impl From<LeaveGroupResponse> for Response {
    fn from(message: LeaveGroupResponse) -> Self {
        Response::LeaveGroup(message)
    }
}

impl TryFrom<Response> for LeaveGroupResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::LeaveGroup(message) => Ok(message),
            other => Err(other),
        }
    }
}
