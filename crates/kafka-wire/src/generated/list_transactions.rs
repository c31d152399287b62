// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ListTransactions`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ListTransactionsRequest`, versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct ListTransactionsRequest {
    pub state_filters: Vec<KafkaString>,
    pub producer_id_filters: Vec<i64>,
    /// From version 1.
    pub duration_filter: i64,
    /// From version 2.
    pub transactional_id_pattern: Option<KafkaString>,
}

impl Default for ListTransactionsRequest {
    fn default() -> Self {
        Self {
            state_filters: Vec::new(),
            producer_id_filters: Vec::new(),
            duration_filter: -1,
            transactional_id_pattern: None,
        }
    }
}

impl ListTransactionsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListTransactionsRequest", version, 0, 2)?;
        let decoded = Self {
            state_filters: r.array(true, 1, |r| r.string(true))?,
            producer_id_filters: r.array(true, 8, Reader::i64)?,
            duration_filter: if version >= 1 { r.i64()? } else { -1 },
            transactional_id_pattern: if version >= 2 {
                r.nullable_string(true)?
            } else {
                None
            },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListTransactionsRequest", version, 0, 2)?;
        w.array(&self.state_filters, true, |w, each| w.string(each, true))?;
        w.array(&self.producer_id_filters, true, |w, each| {
            w.i64(*each);
            Ok(())
        })?;
        if version >= 1 {
            w.i64(self.duration_filter);
        } else if self.duration_filter != -1 {
            return Err(EncodeError::unsupported_field(
                "ListTransactionsRequest",
                "DurationFilter",
                version,
            ));
        }
        if version >= 2 {
            w.nullable_string(self.transactional_id_pattern.as_ref(), true)?;
        } else if self.transactional_id_pattern.is_some() {
            return Err(EncodeError::unsupported_field(
                "ListTransactionsRequest",
                "TransactionalIdPattern",
                version,
            ));
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `ListTransactionsResponse`, versions 0 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListTransactionsResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub unknown_state_filters: Vec<KafkaString>,
    pub transaction_states: Vec<TransactionState>,
}

impl ListTransactionsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ListTransactionsResponse", version, 0, 2)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            unknown_state_filters: r.array(true, 1, |r| r.string(true))?,
            transaction_states: r.array(true, TransactionState::MIN_SIZE, |r| {
                TransactionState::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ListTransactionsResponse", version, 0, 2)?;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.array(&self.unknown_state_filters, true, |w, each| w.string(each, true))?;
        w.array(&self.transaction_states, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `ListTransactionsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactionState {
    pub transactional_id: KafkaString,
    pub producer_id: i64,
    pub transaction_state: KafkaString,
}

impl TransactionState {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 11;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            transactional_id: r.string(true)?,
            producer_id: r.i64()?,
            transaction_state: r.string(true)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.transactional_id, true)?;
        w.i64(self.producer_id);
        w.string(&self.transaction_state, true)?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for ListTransactionsRequest {
    const API_KEY: ApiKey = ApiKey::ListTransactions;
    type Response = ListTransactionsResponse;
}

impl From<ListTransactionsRequest> for Request {
    fn from(message: ListTransactionsRequest) -> Self {
        Request::ListTransactions(message)
    }
}

impl From<ListTransactionsResponse> for Response {
    fn from(message: ListTransactionsResponse) -> Self {
        Response::ListTransactions(message)
    }
}

impl TryFrom<Response> for ListTransactionsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ListTransactions(message) => Ok(message),
            other => Err(other),
        }
    }
}
