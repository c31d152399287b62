// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `Heartbeat`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `HeartbeatRequest`, versions 0 to 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeartbeatRequest {
    pub group_id: KafkaString,
    pub generation_id: i32,
    pub member_id: KafkaString,
    /// From version 3.
    pub group_instance_id: Option<KafkaString>,
}

impl HeartbeatRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("HeartbeatRequest", version, 0, 4)?;
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
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("HeartbeatRequest", version, 0, 4)?;
        let flexible = version >= 4;
        w.string(&self.group_id, flexible)?;
        w.i32(self.generation_id);
        w.string(&self.member_id, flexible)?;
        if version >= 3 {
            w.nullable_string(self.group_instance_id.as_ref(), flexible)?;
        } else if self.group_instance_id.is_some() {
            return Err(EncodeError::unsupported_field(
                "HeartbeatRequest",
                "GroupInstanceId",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `HeartbeatResponse`, versions 0 to 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeartbeatResponse {
    /// From version 1.
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
}

impl HeartbeatResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("HeartbeatResponse", version, 0, 4)?;
        let flexible = version >= 4;
        let decoded = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            error_code: r.error_code()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("HeartbeatResponse", version, 0, 4)?;
        let flexible = version >= 4;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        w.error_code(self.error_code);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for HeartbeatRequest {
    const API_KEY: ApiKey = ApiKey::Heartbeat;
    type Response = HeartbeatResponse;
}

impl From<HeartbeatRequest> for Request {
    fn from(message: HeartbeatRequest) -> Self {
        Request::Heartbeat(message)
    }
}

impl From<HeartbeatResponse> for Response {
    fn from(message: HeartbeatResponse) -> Self {
        Response::Heartbeat(message)
    }
}

impl TryFrom<Response> for HeartbeatResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::Heartbeat(message) => Ok(message),
            other => Err(other),
        }
    }
}
