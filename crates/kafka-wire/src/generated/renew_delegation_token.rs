// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `RenewDelegationToken`.

use bytes::Bytes;

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `RenewDelegationTokenRequest`, versions 1 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenewDelegationTokenRequest {
    pub hmac: Bytes,
    pub renew_period_ms: i64,
}

impl RenewDelegationTokenRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("RenewDelegationTokenRequest", version, 1, 2)?;
        let flexible = version >= 2;
        let decoded = Self {
            hmac: r.bytes(flexible)?,
            renew_period_ms: r.i64()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("RenewDelegationTokenRequest", version, 1, 2)?;
        let flexible = version >= 2;
        w.bytes(&self.hmac, flexible)?;
        w.i64(self.renew_period_ms);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `RenewDelegationTokenResponse`, versions 1 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenewDelegationTokenResponse {
    pub error_code: ErrorCode,
    pub expiry_timestamp_ms: i64,
    pub throttle_time_ms: i32,
}

impl RenewDelegationTokenResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("RenewDelegationTokenResponse", version, 1, 2)?;
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
        check_encode("RenewDelegationTokenResponse", version, 1, 2)?;
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

impl RequestMessage for RenewDelegationTokenRequest {
    const API_KEY: ApiKey = ApiKey::RenewDelegationToken;
    type Response = RenewDelegationTokenResponse;
}

impl From<RenewDelegationTokenRequest> for Request {
    fn from(message: RenewDelegationTokenRequest) -> Self {
        Request::RenewDelegationToken(message)
    }
}

impl From<RenewDelegationTokenResponse> for Response {
    fn from(message: RenewDelegationTokenResponse) -> Self {
        Response::RenewDelegationToken(message)
    }
}

impl TryFrom<Response> for RenewDelegationTokenResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::RenewDelegationToken(message) => Ok(message),
            other => Err(other),
        }
    }
}
