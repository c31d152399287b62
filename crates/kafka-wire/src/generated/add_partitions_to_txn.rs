// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `AddPartitionsToTxn`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `AddPartitionsToTxnRequest`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddPartitionsToTxnRequest {
    /// From version 4.
    pub transactions: Vec<AddPartitionsToTxnTransaction>,
    /// Up to version 3.
    pub v3_and_below_transactional_id: KafkaString,
    /// Up to version 3.
    pub v3_and_below_producer_id: i64,
    /// Up to version 3.
    pub v3_and_below_producer_epoch: i16,
    /// Up to version 3.
    pub v3_and_below_topics: Vec<AddPartitionsToTxnTopic>,
}

impl AddPartitionsToTxnRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AddPartitionsToTxnRequest", version, 0, 5)?;
        let flexible = version >= 3;
        let decoded = Self {
            transactions: if version >= 4 {
                r.array(flexible, AddPartitionsToTxnTransaction::MIN_SIZE, |r| {
                    AddPartitionsToTxnTransaction::decode(r, version)
                })?
            } else {
                Vec::new()
            },
            v3_and_below_transactional_id: if version <= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            v3_and_below_producer_id: if version <= 3 { r.i64()? } else { 0 },
            v3_and_below_producer_epoch: if version <= 3 { r.i16()? } else { 0 },
            v3_and_below_topics: if version <= 3 {
                r.array(flexible, AddPartitionsToTxnTopic::MIN_SIZE, |r| {
                    AddPartitionsToTxnTopic::decode(r, version)
                })?
            } else {
                Vec::new()
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AddPartitionsToTxnRequest", version, 0, 5)?;
        let flexible = version >= 3;
        if version >= 4 {
            w.array(&self.transactions, flexible, |w, each| each.encode(w, version))?;
        } else if !self.transactions.is_empty() {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnRequest",
                "Transactions",
                version,
            ));
        }
        if version <= 3 {
            w.string(&self.v3_and_below_transactional_id, flexible)?;
        } else if !self.v3_and_below_transactional_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnRequest",
                "V3AndBelowTransactionalId",
                version,
            ));
        }
        if version <= 3 {
            w.i64(self.v3_and_below_producer_id);
        } else if self.v3_and_below_producer_id != 0 {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnRequest",
                "V3AndBelowProducerId",
                version,
            ));
        }
        if version <= 3 {
            w.i16(self.v3_and_below_producer_epoch);
        } else if self.v3_and_below_producer_epoch != 0 {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnRequest",
                "V3AndBelowProducerEpoch",
                version,
            ));
        }
        if version <= 3 {
            w.array(&self.v3_and_below_topics, flexible, |w, each| {
                each.encode(w, version)
            })?;
        } else if !self.v3_and_below_topics.is_empty() {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnRequest",
                "V3AndBelowTopics",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AddPartitionsToTxnRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddPartitionsToTxnTransaction {
    /// From version 4.
    pub transactional_id: KafkaString,
    /// From version 4.
    pub producer_id: i64,
    /// From version 4.
    pub producer_epoch: i16,
    /// From version 4.
    pub verify_only: bool,
    /// From version 4.
    pub topics: Vec<AddPartitionsToTxnTopic>,
}

impl AddPartitionsToTxnTransaction {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            transactional_id: if version >= 4 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            producer_id: if version >= 4 { r.i64()? } else { 0 },
            producer_epoch: if version >= 4 { r.i16()? } else { 0 },
            verify_only: if version >= 4 { r.bool()? } else { false },
            topics: if version >= 4 {
                r.array(flexible, AddPartitionsToTxnTopic::MIN_SIZE, |r| {
                    AddPartitionsToTxnTopic::decode(r, version)
                })?
            } else {
                Vec::new()
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        if version >= 4 {
            w.string(&self.transactional_id, flexible)?;
        } else if !self.transactional_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnTransaction",
                "TransactionalId",
                version,
            ));
        }
        if version >= 4 {
            w.i64(self.producer_id);
        } else if self.producer_id != 0 {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnTransaction",
                "ProducerId",
                version,
            ));
        }
        if version >= 4 {
            w.i16(self.producer_epoch);
        } else if self.producer_epoch != 0 {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnTransaction",
                "ProducerEpoch",
                version,
            ));
        }
        if version >= 4 {
            w.bool(self.verify_only);
        } else if self.verify_only {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnTransaction",
                "VerifyOnly",
                version,
            ));
        }
        if version >= 4 {
            w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        } else if !self.topics.is_empty() {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnTransaction",
                "Topics",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AddPartitionsToTxnRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddPartitionsToTxnTopic {
    pub name: KafkaString,
    pub partitions: Vec<i32>,
}

impl AddPartitionsToTxnTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            name: r.string(flexible)?,
            partitions: r.array(flexible, 4, Reader::i32)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.string(&self.name, flexible)?;
        w.array(&self.partitions, flexible, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `AddPartitionsToTxnResponse`, versions 0 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddPartitionsToTxnResponse {
    pub throttle_time_ms: i32,
    /// From version 4.
    pub error_code: ErrorCode,
    /// From version 4.
    pub results_by_transaction: Vec<AddPartitionsToTxnResult>,
    /// Up to version 3.
    pub results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>,
}

impl AddPartitionsToTxnResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AddPartitionsToTxnResponse", version, 0, 5)?;
        let flexible = version >= 3;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: if version >= 4 {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
            results_by_transaction: if version >= 4 {
                r.array(flexible, AddPartitionsToTxnResult::MIN_SIZE, |r| {
                    AddPartitionsToTxnResult::decode(r, version)
                })?
            } else {
                Vec::new()
            },
            results_by_topic_v3_and_below: if version <= 3 {
                r.array(flexible, AddPartitionsToTxnTopicResult::MIN_SIZE, |r| {
                    AddPartitionsToTxnTopicResult::decode(r, version)
                })?
            } else {
                Vec::new()
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AddPartitionsToTxnResponse", version, 0, 5)?;
        let flexible = version >= 3;
        w.i32(self.throttle_time_ms);
        if version >= 4 {
            w.error_code(self.error_code);
        }
        if version >= 4 {
            w.array(&self.results_by_transaction, flexible, |w, each| {
                each.encode(w, version)
            })?;
        } else if !self.results_by_transaction.is_empty() {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnResponse",
                "ResultsByTransaction",
                version,
            ));
        }
        if version <= 3 {
            w.array(&self.results_by_topic_v3_and_below, flexible, |w, each| {
                each.encode(w, version)
            })?;
        } else if !self.results_by_topic_v3_and_below.is_empty() {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnResponse",
                "ResultsByTopicV3AndBelow",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AddPartitionsToTxnResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddPartitionsToTxnResult {
    /// From version 4.
    pub transactional_id: KafkaString,
    /// From version 4.
    pub topic_results: Vec<AddPartitionsToTxnTopicResult>,
}

impl AddPartitionsToTxnResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            transactional_id: if version >= 4 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_results: if version >= 4 {
                r.array(flexible, AddPartitionsToTxnTopicResult::MIN_SIZE, |r| {
                    AddPartitionsToTxnTopicResult::decode(r, version)
                })?
            } else {
                Vec::new()
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        if version >= 4 {
            w.string(&self.transactional_id, flexible)?;
        } else if !self.transactional_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnResult",
                "TransactionalId",
                version,
            ));
        }
        if version >= 4 {
            w.array(&self.topic_results, flexible, |w, each| each.encode(w, version))?;
        } else if !self.topic_results.is_empty() {
            return Err(EncodeError::unsupported_field(
                "AddPartitionsToTxnResult",
                "TopicResults",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AddPartitionsToTxnResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddPartitionsToTxnTopicResult {
    pub name: KafkaString,
    pub results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
}

impl AddPartitionsToTxnTopicResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            name: r.string(flexible)?,
            results_by_partition: r.array(flexible, AddPartitionsToTxnPartitionResult::MIN_SIZE, |r| {
                AddPartitionsToTxnPartitionResult::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.string(&self.name, flexible)?;
        w.array(&self.results_by_partition, flexible, |w, each| {
            each.encode(w, version)
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AddPartitionsToTxnResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddPartitionsToTxnPartitionResult {
    pub partition_index: i32,
    pub partition_error_code: ErrorCode,
}

impl AddPartitionsToTxnPartitionResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            partition_index: r.i32()?,
            partition_error_code: r.error_code()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.i32(self.partition_index);
        w.error_code(self.partition_error_code);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for AddPartitionsToTxnRequest {
    const API_KEY: ApiKey = ApiKey::AddPartitionsToTxn;
    type Response = AddPartitionsToTxnResponse;
}

impl From<AddPartitionsToTxnRequest> for Request {
    fn from(message: AddPartitionsToTxnRequest) -> Self {
        Request::AddPartitionsToTxn(message)
    }
}

impl From<AddPartitionsToTxnResponse> for Response {
    fn from(message: AddPartitionsToTxnResponse) -> Self {
        Response::AddPartitionsToTxn(message)
    }
}

impl TryFrom<Response> for AddPartitionsToTxnResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::AddPartitionsToTxn(message) => Ok(message),
            other => Err(other),
        }
    }
}
