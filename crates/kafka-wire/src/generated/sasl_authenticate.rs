// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `SaslAuthenticate`.

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

/// The request `SaslAuthenticateRequest`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaslAuthenticateRequest {
    pub auth_bytes: Bytes,
}

impl SaslAuthenticateRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("SaslAuthenticateRequest", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            auth_bytes: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("SaslAuthenticateRequest", version, 0, 2)?;
        let flexible = version >= 2;
        w.bytes(&self.auth_bytes, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `SaslAuthenticateResponse`, versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct SaslAuthenticateResponse {
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub auth_bytes: Bytes,
    /// From version 1.
    pub session_lifetime_ms: i64,
}

impl Default for SaslAuthenticateResponse {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            auth_bytes: Bytes::new(),
            session_lifetime_ms: 0,
        }
    }
}

impl SaslAuthenticateResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("SaslAuthenticateResponse", version, 0, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
            auth_bytes: r.bytes(flexible)?,
            session_lifetime_ms: if version >= 1 { r.i64()? } else { 0 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("SaslAuthenticateResponse", version, 0, 2)?;
        let flexible = version >= 2;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        w.bytes(&self.auth_bytes, flexible)?;
        if version >= 1 {
            w.i64(self.session_lifetime_ms);
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for SaslAuthenticateRequest {
    const API_KEY: ApiKey = ApiKey::SaslAuthenticate;
    type Response = SaslAuthenticateResponse;
}

impl From<SaslAuthenticateRequest> for Request {
    fn from(message: SaslAuthenticateRequest) -> Self {
        Request::SaslAuthenticate(message)
    }
}

impl From<SaslAuthenticateResponse> for Response {
    fn from(message: SaslAuthenticateResponse) -> Self {
        Response::SaslAuthenticate(message)
    }
}

impl TryFrom<Response> for SaslAuthenticateResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::SaslAuthenticate(message) => Ok(message),
            other => Err(other),
        }
    }
}
