// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `InitProducerId`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `InitProducerIdRequest`, versions 0 to 6.
#[derive(Clone, Debug, PartialEq)]
pub struct InitProducerIdRequest {
    pub transactional_id: Option<KafkaString>,
    pub transaction_timeout_ms: i32,
    /// From version 3.
    pub producer_id: i64,
    /// From version 3.
    pub producer_epoch: i16,
    /// From version 6.
    pub enable2_pc: bool,
    /// From version 6.
    pub keep_prepared_txn: bool,
}

impl Default for InitProducerIdRequest {
    fn default() -> Self {
        Self {
            transactional_id: Some(KafkaString::EMPTY),
            transaction_timeout_ms: 0,
            producer_id: -1,
            producer_epoch: -1,
            enable2_pc: false,
            keep_prepared_txn: false,
        }
    }
}

impl InitProducerIdRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("InitProducerIdRequest", version, 0, 6)?;
        let flexible = version >= 2;
        let decoded = Self {
            transactional_id: r.nullable_string(flexible)?,
            transaction_timeout_ms: r.i32()?,
            producer_id: if version >= 3 { r.i64()? } else { -1 },
            producer_epoch: if version >= 3 { r.i16()? } else { -1 },
            enable2_pc: if version >= 6 { r.bool()? } else { false },
            keep_prepared_txn: if version >= 6 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("InitProducerIdRequest", version, 0, 6)?;
        let flexible = version >= 2;
        w.nullable_string(self.transactional_id.as_ref(), flexible)?;
        w.i32(self.transaction_timeout_ms);
        if version >= 3 {
            w.i64(self.producer_id);
        } else if self.producer_id != -1 {
            return Err(EncodeError::unsupported_field(
                "InitProducerIdRequest",
                "ProducerId",
                version,
            ));
        }
        if version >= 3 {
            w.i16(self.producer_epoch);
        } else if self.producer_epoch != -1 {
            return Err(EncodeError::unsupported_field(
                "InitProducerIdRequest",
                "ProducerEpoch",
                version,
            ));
        }
        if version >= 6 {
            w.bool(self.enable2_pc);
        } else if self.enable2_pc {
            return Err(EncodeError::unsupported_field(
                "InitProducerIdRequest",
                "Enable2Pc",
                version,
            ));
        }
        if version >= 6 {
            w.bool(self.keep_prepared_txn);
        } else if self.keep_prepared_txn {
            return Err(EncodeError::unsupported_field(
                "InitProducerIdRequest",
                "KeepPreparedTxn",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `InitProducerIdResponse`, versions 0 to 6.
#[derive(Clone, Debug, PartialEq)]
pub struct InitProducerIdResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// From version 6.
    pub ongoing_txn_producer_id: i64,
    /// From version 6.
    pub ongoing_txn_producer_epoch: i16,
}

impl Default for InitProducerIdResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            producer_id: -1,
            producer_epoch: 0,
            ongoing_txn_producer_id: -1,
            ongoing_txn_producer_epoch: -1,
        }
    }
}

impl InitProducerIdResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("InitProducerIdResponse", version, 0, 6)?;
        let flexible = version >= 2;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            ongoing_txn_producer_id: if version >= 6 { r.i64()? } else { -1 },
            ongoing_txn_producer_epoch: if version >= 6 { r.i16()? } else { -1 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("InitProducerIdResponse", version, 0, 6)?;
        let flexible = version >= 2;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        if version >= 6 {
            w.i64(self.ongoing_txn_producer_id);
        } else if self.ongoing_txn_producer_id != -1 {
            return Err(EncodeError::unsupported_field(
                "InitProducerIdResponse",
                "OngoingTxnProducerId",
                version,
            ));
        }
        if version >= 6 {
            w.i16(self.ongoing_txn_producer_epoch);
        } else if self.ongoing_txn_producer_epoch != -1 {
            return Err(EncodeError::unsupported_field(
                "InitProducerIdResponse",
                "OngoingTxnProducerEpoch",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for InitProducerIdRequest {
    const API_KEY: ApiKey = ApiKey::InitProducerId;
    type Response = InitProducerIdResponse;
}

impl From<InitProducerIdRequest> for Request {
    fn from(message: InitProducerIdRequest) -> Self {
        Request::InitProducerId(message)
    }
}

impl From<InitProducerIdResponse> for Response {
    fn from(message: InitProducerIdResponse) -> Self {
        Response::InitProducerId(message)
    }
}

impl TryFrom<Response> for InitProducerIdResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::InitProducerId(message) => Ok(message),
            other => Err(other),
        }
    }
}
