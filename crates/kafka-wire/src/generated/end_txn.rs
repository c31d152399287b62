// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `EndTxn`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `EndTxnRequest`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndTxnRequest {
    pub transactional_id: KafkaString,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub committed: bool,
}

impl EndTxnRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("EndTxnRequest", version, 0, 5)?;
        let flexible = version >= 3;
        let decoded = Self {
            transactional_id: r.string(flexible)?,
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            committed: r.bool()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("EndTxnRequest", version, 0, 5)?;
        let flexible = version >= 3;
        w.string(&self.transactional_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.bool(self.committed);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `EndTxnResponse`, versions 0 to 5.
#[derive(Clone, Debug, PartialEq)]
pub struct EndTxnResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    /// From version 5.
    pub producer_id: i64,
    /// From version 5.
    pub producer_epoch: i16,
}

impl Default for EndTxnResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            producer_id: -1,
            producer_epoch: -1,
        }
    }
}

impl EndTxnResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("EndTxnResponse", version, 0, 5)?;
        let flexible = version >= 3;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            producer_id: if version >= 5 { r.i64()? } else { -1 },
            producer_epoch: if version >= 5 { r.i16()? } else { -1 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("EndTxnResponse", version, 0, 5)?;
        let flexible = version >= 3;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        if version >= 5 {
            w.i64(self.producer_id);
        }
        if version >= 5 {
            w.i16(self.producer_epoch);
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for EndTxnRequest {
    const API_KEY: ApiKey = ApiKey::EndTxn;
    type Response = EndTxnResponse;
}

impl From<EndTxnRequest> for Request {
    fn from(message: EndTxnRequest) -> Self {
        Request::EndTxn(message)
    }
}

impl From<EndTxnResponse> for Response {
    fn from(message: EndTxnResponse) -> Self {
        Response::EndTxn(message)
    }
}

impl TryFrom<Response> for EndTxnResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::EndTxn(message) => Ok(message),
            other => Err(other),
        }
    }
}
