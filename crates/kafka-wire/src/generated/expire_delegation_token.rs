// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ExpireDelegationToken`.

use bytes::Bytes;

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ExpireDelegationTokenRequest`, versions 1 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpireDelegationTokenRequest {
    pub hmac: Bytes,
    pub expiry_time_period_ms: i64,
}

impl ExpireDelegationTokenRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ExpireDelegationTokenRequest", version, 1, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            hmac: r.bytes(flexible)?,
            expiry_time_period_ms: r.i64()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ExpireDelegationTokenRequest", version, 1, 2)?;
        let flexible = version >= 2;
        w.bytes(&self.hmac, flexible)?;
        w.i64(self.expiry_time_period_ms);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `ExpireDelegationTokenResponse`, versions 1 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpireDelegationTokenResponse {
    pub error_code: ErrorCode,
    pub expiry_timestamp_ms: i64,
    pub throttle_time_ms: i32,
}

impl ExpireDelegationTokenResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ExpireDelegationTokenResponse", version, 1, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            error_code: r.error_code()?,
            expiry_timestamp_ms: r.i64()?,
            throttle_time_ms: r.i32()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ExpireDelegationTokenResponse", version, 1, 2)?;
        let flexible = version >= 2;
        w.error_code(self.error_code);
        w.i64(self.expiry_timestamp_ms);
        w.i32(self.throttle_time_ms);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for ExpireDelegationTokenRequest {
    const API_KEY: ApiKey = ApiKey::ExpireDelegationToken;
    type Response = ExpireDelegationTokenResponse;
}

impl From<ExpireDelegationTokenRequest> for Request {
    fn from(message: ExpireDelegationTokenRequest) -> Self {
        Request::ExpireDelegationToken(message)
    }
}

impl From<ExpireDelegationTokenResponse> for Response {
    fn from(message: ExpireDelegationTokenResponse) -> Self {
        Response::ExpireDelegationToken(message)
    }
}

impl TryFrom<Response> for ExpireDelegationTokenResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ExpireDelegationToken(message) => Ok(message),
            other => Err(other),
        }
    }
}
