// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `AddOffsetsToTxn`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `AddOffsetsToTxnRequest`, versions 0 to 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddOffsetsToTxnRequest {
    pub transactional_id: KafkaString,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub group_id: KafkaString,
}

impl AddOffsetsToTxnRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AddOffsetsToTxnRequest", version, 0, 4)?;
        let flexible = version >= 3;
        let decoded = Self {
            transactional_id: r.string(flexible)?,
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            group_id: r.string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AddOffsetsToTxnRequest", version, 0, 4)?;
        let flexible = version >= 3;
        w.string(&self.transactional_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.string(&self.group_id, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `AddOffsetsToTxnResponse`, versions 0 to 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddOffsetsToTxnResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
}

impl AddOffsetsToTxnResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AddOffsetsToTxnResponse", version, 0, 4)?;
        let flexible = version >= 3;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AddOffsetsToTxnResponse", version, 0, 4)?;
        let flexible = version >= 3;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for AddOffsetsToTxnRequest {
    const API_KEY: ApiKey = ApiKey::AddOffsetsToTxn;
    type Response = AddOffsetsToTxnResponse;
}

impl From<AddOffsetsToTxnRequest> for Request {
    fn from(message: AddOffsetsToTxnRequest) -> Self {
        Request::AddOffsetsToTxn(message)
    }
}

impl From<AddOffsetsToTxnResponse> for Response {
    fn from(message: AddOffsetsToTxnResponse) -> Self {
        Response::AddOffsetsToTxn(message)
    }
}

impl TryFrom<Response> for AddOffsetsToTxnResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::AddOffsetsToTxn(message) => Ok(message),
            other => Err(other),
        }
    }
}
