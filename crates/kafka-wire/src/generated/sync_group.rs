// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `SyncGroup`.

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

/// The request `SyncGroupRequest`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncGroupRequest {
    pub group_id: KafkaString,
    pub generation_id: i32,
    pub member_id: KafkaString,
    /// From version 3.
    pub group_instance_id: Option<KafkaString>,
    /// From version 5.
    pub protocol_type: Option<KafkaString>,
    /// From version 5.
    pub protocol_name: Option<KafkaString>,
    pub assignments: Vec<SyncGroupRequestAssignment>,
}

impl SyncGroupRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("SyncGroupRequest", version, 0, 5)?;
        let flexible = version >= 4;
        let decoded = Self {
            group_id: r.string(flexible)?,
            generation_id: r.i32()?,
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 3 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            protocol_type: if version >= 5 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            protocol_name: if version >= 5 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            assignments: r.array(flexible, SyncGroupRequestAssignment::MIN_SIZE, |r| {
                SyncGroupRequestAssignment::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("SyncGroupRequest", version, 0, 5)?;
        let flexible = version >= 4;
        w.string(&self.group_id, flexible)?;
        w.i32(self.generation_id);
        w.string(&self.member_id, flexible)?;
        if version >= 3 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::unsupported_field(
                "SyncGroupRequest",
                "GroupInstanceId",
                version,
            ));
        }
        if version >= 5 {
            w.nullable_string(self.protocol_type.as_ref(), flexible)?;
        }
        if version >= 5 {
            w.nullable_string(self.protocol_name.as_ref(), flexible)?;
        }
        w.array(&self.assignments, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `SyncGroupRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncGroupRequestAssignment {
    pub member_id: KafkaString,
    pub assignment: Bytes,
}

impl SyncGroupRequestAssignment {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 4;
        let decoded = Self {
            member_id: r.string(flexible)?,
            assignment: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 4;
        w.string(&self.member_id, flexible)?;
        w.bytes(&self.assignment, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `SyncGroupResponse`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncGroupResponse {
    /// From version 1.
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    /// From version 5.
    pub protocol_type: Option<KafkaString>,
    /// From version 5.
    pub protocol_name: Option<KafkaString>,
    pub assignment: Bytes,
}

impl SyncGroupResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("SyncGroupResponse", version, 0, 5)?;
        let flexible = version >= 4;
        let decoded = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            error_code: r.error_code()?,
            protocol_type: if version >= 5 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            protocol_name: if version >= 5 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            assignment: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("SyncGroupResponse", version, 0, 5)?;
        let flexible = version >= 4;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.error_code(self.error_code);
        if version >= 5 {
            w.nullable_string(self.protocol_type.as_ref(), flexible)?;
        }
        if version >= 5 {
            w.nullable_string(self.protocol_name.as_ref(), flexible)?;
        }
        w.bytes(&self.assignment, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for SyncGroupRequest {
    const API_KEY: ApiKey = ApiKey::SyncGroup;
    type Response = SyncGroupResponse;
}

impl From<SyncGroupRequest> for Request {
    fn from(message: SyncGroupRequest) -> Self {
        Request::SyncGroup(message)
    }
}

impl From<SyncGroupResponse> for Response {
    fn from(message: SyncGroupResponse) -> Self {
        Response::SyncGroup(message)
    }
}

impl TryFrom<Response> for SyncGroupResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::SyncGroup(message) => Ok(message),
            other => Err(other),
        }
    }
}
