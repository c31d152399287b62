// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `SaslHandshake`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `SaslHandshakeRequest`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaslHandshakeRequest {
    pub mechanism: KafkaString,
}

impl SaslHandshakeRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("SaslHandshakeRequest", version, 0, 1)?;
        Ok(Self {
            mechanism: r.string(false)?,
        })
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("SaslHandshakeRequest", version, 0, 1)?;
        w.string(&self.mechanism, false)?;
        Ok(())
    }
}

/// The response `SaslHandshakeResponse`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaslHandshakeResponse {
    pub error_code: ErrorCode,
    pub mechanisms: Vec<KafkaString>,
}

impl SaslHandshakeResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("SaslHandshakeResponse", version, 0, 1)?;
        Ok(Self {
            error_code: r.error_code()?,
            mechanisms: r.array(false, 2, |r| r.string(false))?,
        })
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("SaslHandshakeResponse", version, 0, 1)?;
        w.error_code(self.error_code);
        w.array(&self.mechanisms, false, |w, each| w.string(each, false))?;
        Ok(())
    }
}

impl RequestMessage for SaslHandshakeRequest {
    const API_KEY: ApiKey = ApiKey::SaslHandshake;
    type Response = SaslHandshakeResponse;
}

impl From<SaslHandshakeRequest> for Request {
    fn from(message: SaslHandshakeRequest) -> Self {
        Request::SaslHandshake(message)
    }
}

impl From<SaslHandshakeResponse> for Response {
    fn from(message: SaslHandshakeResponse) -> Self {
        Response::SaslHandshake(message)
    }
}

impl TryFrom<Response> for SaslHandshakeResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::SaslHandshake(message) => Ok(message),
            other => Err(other),
        }
    }
}
