// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeTransactions`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DescribeTransactionsRequest`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeTransactionsRequest {
    pub transactional_ids: Vec<KafkaString>,
}

impl DescribeTransactionsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeTransactionsRequest", version, 0, 0)?;
        let decoded = Self {
            transactional_ids: r.array(true, 1, |r| r.string(true))?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeTransactionsRequest", version, 0, 0)?;
        w.array(&self.transactional_ids, true, |w, each| w.string(each, true))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `DescribeTransactionsResponse`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeTransactionsResponse {
    pub throttle_time_ms: i32,
    pub transaction_states: Vec<TransactionState>,
}

impl DescribeTransactionsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeTransactionsResponse", version, 0, 0)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            transaction_states: r.array(true, TransactionState::MIN_SIZE, |r| {
                TransactionState::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeTransactionsResponse", version, 0, 0)?;
        w.i32(self.throttle_time_ms);
        w.array(&self.transaction_states, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeTransactionsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicData {
    pub topic: KafkaString,
    pub partitions: Vec<i32>,
}

impl TopicData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            topic: r.string(true)?,
            partitions: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.topic, true)?;
        w.array(&self.partitions, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeTransactionsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactionState {
    pub error_code: ErrorCode,
    pub transactional_id: KafkaString,
    pub transaction_state: KafkaString,
    pub transaction_timeout_ms: i32,
    pub transaction_start_time_ms: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub topics: Vec<TopicData>,
}

impl TransactionState {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 28;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            error_code: r.error_code()?,
            transactional_id: r.string(true)?,
            transaction_state: r.string(true)?,
            transaction_timeout_ms: r.i32()?,
            transaction_start_time_ms: r.i64()?,
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            topics: r.array(true, TopicData::MIN_SIZE, |r| TopicData::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.error_code(self.error_code);
        w.string(&self.transactional_id, true)?;
        w.string(&self.transaction_state, true)?;
        w.i32(self.transaction_timeout_ms);
        w.i64(self.transaction_start_time_ms);
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for DescribeTransactionsRequest {
    const API_KEY: ApiKey = ApiKey::DescribeTransactions;
    type Response = DescribeTransactionsResponse;
}

impl From<DescribeTransactionsRequest> for Request {
    fn from(message: DescribeTransactionsRequest) -> Self {
        Request::DescribeTransactions(message)
    }
}

impl From<DescribeTransactionsResponse> for Response {
    fn from(message: DescribeTransactionsResponse) -> Self {
        Response::DescribeTransactions(message)
    }
}

impl TryFrom<Response> for DescribeTransactionsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeTransactions(message) => Ok(message),
            other => Err(other),
        }
    }
}
