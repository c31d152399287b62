// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `UnregisterBroker`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `UnregisterBrokerRequest`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnregisterBrokerRequest {
    pub broker_id: i32,
}

impl UnregisterBrokerRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("UnregisterBrokerRequest", version, 0, 0)?;
        let decoded = Self { broker_id: r.i32()? };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("UnregisterBrokerRequest", version, 0, 0)?;
        w.i32(self.broker_id);
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `UnregisterBrokerResponse`, versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct UnregisterBrokerResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
}

impl Default for UnregisterBrokerResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
        }
    }
}

impl UnregisterBrokerResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("UnregisterBrokerResponse", version, 0, 0)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("UnregisterBrokerResponse", version, 0, 0)?;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for UnregisterBrokerRequest {
    const API_KEY: ApiKey = ApiKey::UnregisterBroker;
    type Response = UnregisterBrokerResponse;
}

impl From<UnregisterBrokerRequest> for Request {
    fn from(message: UnregisterBrokerRequest) -> Self {
        Request::UnregisterBroker(message)
    }
}

impl From<UnregisterBrokerResponse> for Response {
    fn from(message: UnregisterBrokerResponse) -> Self {
        Response::UnregisterBroker(message)
    }
}

impl TryFrom<Response> for UnregisterBrokerResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::UnregisterBroker(message) => Ok(message),
            other => Err(other),
        }
    }
}
