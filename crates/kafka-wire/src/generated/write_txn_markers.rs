// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `WriteTxnMarkers`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `WriteTxnMarkersRequest`, versions 1 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteTxnMarkersRequest {
    pub markers: Vec<WritableTxnMarker>,
}

impl WriteTxnMarkersRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("WriteTxnMarkersRequest", version, 1, 2)?;
        let decoded = Self {
            markers: r.array(true, WritableTxnMarker::MIN_SIZE, |r| {
                WritableTxnMarker::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("WriteTxnMarkersRequest", version, 1, 2)?;
        w.array(&self.markers, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `WriteTxnMarkersRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WritableTxnMarkerTopic {
    pub name: KafkaString,
    pub partition_indexes: Vec<i32>,
}

impl WritableTxnMarkerTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
            partition_indexes: r.array(true, 4, Reader::i32)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.array(&self.partition_indexes, true, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `WriteTxnMarkersRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WritableTxnMarker {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub transaction_result: bool,
    pub topics: Vec<WritableTxnMarkerTopic>,
    pub coordinator_epoch: i32,
    /// From version 2.
    pub transaction_version: i8,
}

impl WritableTxnMarker {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 17;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            producer_id: r.i64()?,
            producer_epoch: r.i16()?,
            transaction_result: r.bool()?,
            topics: r.array(true, WritableTxnMarkerTopic::MIN_SIZE, |r| {
                WritableTxnMarkerTopic::decode(r, version)
            })?,
            coordinator_epoch: r.i32()?,
            transaction_version: if version >= 2 { r.i8()? } else { 0 },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.bool(self.transaction_result);
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.i32(self.coordinator_epoch);
        if version >= 2 {
            w.i8(self.transaction_version);
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `WriteTxnMarkersResponse`, versions 1 to 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteTxnMarkersResponse {
    pub markers: Vec<WritableTxnMarkerResult>,
}

impl WriteTxnMarkersResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("WriteTxnMarkersResponse", version, 1, 2)?;
        let decoded = Self {
            markers: r.array(true, WritableTxnMarkerResult::MIN_SIZE, |r| {
                WritableTxnMarkerResult::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("WriteTxnMarkersResponse", version, 1, 2)?;
        w.array(&self.markers, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `WriteTxnMarkersResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WritableTxnMarkerPartitionResult {
    pub partition_index: i32,
    pub error_code: ErrorCode,
}

impl WritableTxnMarkerPartitionResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 7;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            partition_index: r.i32()?,
            error_code: r.error_code()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `WriteTxnMarkersResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WritableTxnMarkerTopicResult {
    pub name: KafkaString,
    pub partitions: Vec<WritableTxnMarkerPartitionResult>,
}

impl WritableTxnMarkerTopicResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
            partitions: r.array(true, WritableTxnMarkerPartitionResult::MIN_SIZE, |r| {
                WritableTxnMarkerPartitionResult::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.array(&self.partitions, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `WriteTxnMarkersResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WritableTxnMarkerResult {
    pub producer_id: i64,
    pub topics: Vec<WritableTxnMarkerTopicResult>,
}

impl WritableTxnMarkerResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 10;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            producer_id: r.i64()?,
            topics: r.array(true, WritableTxnMarkerTopicResult::MIN_SIZE, |r| {
                WritableTxnMarkerTopicResult::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i64(self.producer_id);
        w.array(&self.topics, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for WriteTxnMarkersRequest {
    const API_KEY: ApiKey = ApiKey::WriteTxnMarkers;
    type Response = WriteTxnMarkersResponse;
}

impl From<WriteTxnMarkersRequest> for Request {
    fn from(message: WriteTxnMarkersRequest) -> Self {
        Request::WriteTxnMarkers(message)
    }
}

impl From<WriteTxnMarkersResponse> for Response {
    fn from(message: WriteTxnMarkersResponse) -> Self {
        Response::WriteTxnMarkers(message)
    }
}

impl TryFrom<Response> for WriteTxnMarkersResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::WriteTxnMarkers(message) => Ok(message),
            other => Err(other),
        }
    }
}
