// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `JoinGroup`.

use bytes::Bytes;

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::reader::check_null;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `JoinGroupRequest`, versions 0 to 9.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinGroupRequest {
    pub group_id: KafkaString,
    pub session_timeout_ms: i32,
    /// From version 1.
    pub rebalance_timeout_ms: i32,
    pub member_id: KafkaString,
    /// From version 5.
    pub group_instance_id: Option<KafkaString>,
    pub protocol_type: KafkaString,
    pub protocols: Vec<JoinGroupRequestProtocol>,
    /// From version 8.
    pub reason: Option<KafkaString>,
}

impl Default for JoinGroupRequest {
    fn default() -> Self {
        Self {
            group_id: KafkaString::EMPTY,
            session_timeout_ms: 0,
            rebalance_timeout_ms: -1,
            member_id: KafkaString::EMPTY,
            group_instance_id: None,
            protocol_type: KafkaString::EMPTY,
            protocols: Vec::new(),
            reason: None,
        }
    }
}

impl JoinGroupRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("JoinGroupRequest", version, 0, 9)?;
        let flexible = version >= 6;
        let decoded = Self {
            group_id: r.string(flexible)?,
            session_timeout_ms: r.i32()?,
            rebalance_timeout_ms: if version >= 1 { r.i32()? } else { -1 },
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 5 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            protocol_type: r.string(flexible)?,
            protocols: r.array(flexible, JoinGroupRequestProtocol::MIN_SIZE, |r| {
                JoinGroupRequestProtocol::decode(r, version)
            })?,
            reason: if version >= 8 {
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

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("JoinGroupRequest", version, 0, 9)?;
        let flexible = version >= 6;
        w.string(&self.group_id, flexible)?;
        w.i32(self.session_timeout_ms);
        if version >= 1 {
            w.i32(self.rebalance_timeout_ms);
        }
        w.string(&self.member_id, flexible)?;
        if version >= 5 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::unsupported_field(
                "JoinGroupRequest",
                "GroupInstanceId",
                version,
            ));
        }
        w.string(&self.protocol_type, flexible)?;
        w.array(&self.protocols, flexible, |w, each| each.encode(w, version))?;
        if version >= 8 {
            w.nullable_string(self.reason.as_ref(), flexible)?;
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `JoinGroupRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinGroupRequestProtocol {
    pub name: KafkaString,
    pub metadata: Bytes,
}

impl JoinGroupRequestProtocol {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            name: r.string(flexible)?,
            metadata: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.string(&self.name, flexible)?;
        w.bytes(&self.metadata, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `JoinGroupResponse`, versions 0 to 9.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinGroupResponse {
    /// From version 2.
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub generation_id: i32,
    /// From version 7.
    pub protocol_type: Option<KafkaString>,
    pub protocol_name: Option<KafkaString>,
    pub leader: KafkaString,
    /// From version 9.
    pub skip_assignment: bool,
    pub member_id: KafkaString,
    pub members: Vec<JoinGroupResponseMember>,
}

impl Default for JoinGroupResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            generation_id: -1,
            protocol_type: None,
            protocol_name: Some(KafkaString::EMPTY),
            leader: KafkaString::EMPTY,
            skip_assignment: false,
            member_id: KafkaString::EMPTY,
            members: Vec::new(),
        }
    }
}

impl JoinGroupResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("JoinGroupResponse", version, 0, 9)?;
        let flexible = version >= 6;
        let decoded = Self {
            throttle_time_ms: if version >= 2 { r.i32()? } else { 0 },
            error_code: r.error_code()?,
            generation_id: r.i32()?,
            protocol_type: if version >= 7 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            protocol_name: check_null(r.nullable_string(flexible)?, version >= 7, "ProtocolName")?,
            leader: r.string(flexible)?,
            skip_assignment: if version >= 9 { r.bool()? } else { false },
            member_id: r.string(flexible)?,
            members: r.array(flexible, JoinGroupResponseMember::MIN_SIZE, |r| {
                JoinGroupResponseMember::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("JoinGroupResponse", version, 0, 9)?;
        let flexible = version >= 6;
        if version >= 2 {
            w.i32(self.throttle_time_ms);
        }
        w.error_code(self.error_code);
        w.i32(self.generation_id);
        if version >= 7 {
            w.nullable_string(self.protocol_type.as_ref(), flexible)?;
        }
        if self.protocol_name.is_none() && version < 7 {
            return Err(EncodeError::null_field(
                "JoinGroupResponse",
                "ProtocolName",
                version,
            ));
        }
        w.nullable_string(self.protocol_name.as_ref(), flexible)?;
        w.string(&self.leader, flexible)?;
        if version >= 9 {
            w.bool(self.skip_assignment);
        } else if self.skip_assignment {
            return Err(EncodeError::unsupported_field(
                "JoinGroupResponse",
                "SkipAssignment",
                version,
            ));
        }
        w.string(&self.member_id, flexible)?;
        w.array(&self.members, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `JoinGroupResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinGroupResponseMember {
    pub member_id: KafkaString,
    /// From version 5.
    pub group_instance_id: Option<KafkaString>,
    pub metadata: Bytes,
}

impl JoinGroupResponseMember {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 4;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 5 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            metadata: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        w.string(&self.member_id, flexible)?;
        if version >= 5 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        }
        w.bytes(&self.metadata, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for JoinGroupRequest {
    const API_KEY: ApiKey = ApiKey::JoinGroup;
    type Response = JoinGroupResponse;
}

impl From<JoinGroupRequest> for Request {
    fn from(message: JoinGroupRequest) -> Self {
        Request::JoinGroup(message)
    }
}

impl From<JoinGroupResponse> for Response {
    fn from(message: JoinGroupResponse) -> Self {
        Response::JoinGroup(message)
    }
}

impl TryFrom<Response> for JoinGroupResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::JoinGroup(message) => Ok(message),
            other => Err(other),
        }
    }
}
