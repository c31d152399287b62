// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `OffsetFetch`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::reader::check_null;
use crate::string::KafkaString;
use crate::uuid::Uuid;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `OffsetFetchRequest`, versions 1 to 10.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetchRequest {
    /// Up to version 7.
    pub group_id: KafkaString,
    /// Up to version 7.
    pub topics: Option<Vec<OffsetFetchRequestTopic>>,
    /// From version 8.
    pub groups: Vec<OffsetFetchRequestGroup>,
    /// From version 7.
    pub require_stable: bool,
}

impl Default for OffsetFetchRequest {
    fn default() -> Self {
        Self {
            group_id: KafkaString::EMPTY,
            topics: Some(Vec::new()),
            groups: Vec::new(),
            require_stable: false,
        }
    }
}

impl OffsetFetchRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("OffsetFetchRequest", version, 1, 10)?;
        let flexible = version >= 6;
        let decoded = Self {
            group_id: if version <= 7 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topics: if version <= 7 {
                check_null(
                    r.nullable_array(flexible, OffsetFetchRequestTopic::MIN_SIZE, |r| {
                        OffsetFetchRequestTopic::decode(r, version)
                    })?,
                    version >= 2,
                    "Topics",
                )?
            } else {
                Some(Vec::new())
            },
            groups: if version >= 8 {
                r.array(flexible, OffsetFetchRequestGroup::MIN_SIZE, |r| {
                    OffsetFetchRequestGroup::decode(r, version)
                })?
            } else {
                Vec::new()
            },
            require_stable: if version >= 7 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("OffsetFetchRequest", version, 1, 10)?;
        let flexible = version >= 6;
        if version <= 7 {
            w.string(&self.group_id, flexible)?;
        } else if !self.group_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchRequest",
                "GroupId",
                version,
            ));
        }
        if version <= 7 {
            if self.topics.is_none() && version < 2 {
                return Err(EncodeError::null_field("OffsetFetchRequest", "Topics", version));
            }
            w.nullable_array(self.topics.as_deref(), flexible, |w, each| {
                each.encode(w, version)
            })?;
        } else if self.topics.as_ref().is_none_or(|value| !value.is_empty()) {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchRequest",
                "Topics",
                version,
            ));
        }
        if version >= 8 {
            w.array(&self.groups, flexible, |w, each| each.encode(w, version))?;
        } else if !self.groups.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchRequest",
                "Groups",
                version,
            ));
        }
        if version >= 7 {
            w.bool(self.require_stable);
        } else if self.require_stable {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchRequest",
                "RequireStable",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetFetchRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetFetchRequestTopic {
    /// Up to version 7.
    pub name: KafkaString,
    /// Up to version 7.
    pub partition_indexes: Vec<i32>,
}

impl OffsetFetchRequestTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            name: if version <= 7 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            partition_indexes: if version <= 7 {
                r.array(flexible, 4, Reader::i32)?
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
        let flexible = version >= 6;
        if version <= 7 {
            w.string(&self.name, flexible)?;
        } else if !self.name.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchRequestTopic",
                "Name",
                version,
            ));
        }
        if version <= 7 {
            w.array(&self.partition_indexes, flexible, |w, each| {
                w.i32(*each);
                Ok(())
            })?;
        } else if !self.partition_indexes.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchRequestTopic",
                "PartitionIndexes",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetFetchRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetFetchRequestTopics {
    /// Versions 8 to 9.
    pub name: KafkaString,
    /// From version 10.
    pub topic_id: Uuid,
    /// From version 8.
    pub partition_indexes: Vec<i32>,
}

impl OffsetFetchRequestTopics {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            name: if (8..=9).contains(&version) {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            partition_indexes: if version >= 8 {
                r.array(flexible, 4, Reader::i32)?
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
        let flexible = version >= 6;
        if (8..=9).contains(&version) {
            w.string(&self.name, flexible)?;
        }
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version >= 8 {
            w.array(&self.partition_indexes, flexible, |w, each| {
                w.i32(*each);
                Ok(())
            })?;
        } else if !self.partition_indexes.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchRequestTopics",
                "PartitionIndexes",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetFetchRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetchRequestGroup {
    /// From version 8.
    pub group_id: KafkaString,
    /// From version 9.
    pub member_id: Option<KafkaString>,
    /// From version 9.
    pub member_epoch: i32,
    /// From version 8.
    pub topics: Option<Vec<OffsetFetchRequestTopics>>,
}

impl Default for OffsetFetchRequestGroup {
    fn default() -> Self {
        Self {
            group_id: KafkaString::EMPTY,
            member_id: None,
            member_epoch: -1,
            topics: Some(Vec::new()),
        }
    }
}

impl OffsetFetchRequestGroup {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            group_id: if version >= 8 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            member_id: if version >= 9 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            member_epoch: if version >= 9 { r.i32()? } else { -1 },
            topics: if version >= 8 {
                r.nullable_array(flexible, OffsetFetchRequestTopics::MIN_SIZE, |r| {
                    OffsetFetchRequestTopics::decode(r, version)
                })?
            } else {
                Some(Vec::new())
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        if version >= 8 {
            w.string(&self.group_id, flexible)?;
        } else if !self.group_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchRequestGroup",
                "GroupId",
                version,
            ));
        }
        if version >= 9 {
            w.nullable_string(self.member_id.as_ref(), flexible)?;
        }
        if version >= 9 {
            w.i32(self.member_epoch);
        }
        if version >= 8 {
            w.nullable_array(self.topics.as_deref(), flexible, |w, each| {
                each.encode(w, version)
            })?;
        } else if self.topics.as_ref().is_none_or(|value| !value.is_empty()) {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchRequestGroup",
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

/// The response `OffsetFetchResponse`, versions 1 to 10.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetFetchResponse {
    /// From version 3.
    pub throttle_time_ms: i32,
    /// Up to version 7.
    pub topics: Vec<OffsetFetchResponseTopic>,
    /// Versions 2 to 7.
    pub error_code: ErrorCode,
    /// From version 8.
    pub groups: Vec<OffsetFetchResponseGroup>,
}

impl OffsetFetchResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("OffsetFetchResponse", version, 1, 10)?;
        let flexible = version >= 6;
        let decoded = Self {
            throttle_time_ms: if version >= 3 { r.i32()? } else { 0 },
            topics: if version <= 7 {
                r.array(flexible, OffsetFetchResponseTopic::MIN_SIZE, |r| {
                    OffsetFetchResponseTopic::decode(r, version)
                })?
            } else {
                Vec::new()
            },
            error_code: if (2..=7).contains(&version) {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
            groups: if version >= 8 {
                r.array(flexible, OffsetFetchResponseGroup::MIN_SIZE, |r| {
                    OffsetFetchResponseGroup::decode(r, version)
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
        check_encode("OffsetFetchResponse", version, 1, 10)?;
        let flexible = version >= 6;
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        if version <= 7 {
            w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        } else if !self.topics.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponse",
                "Topics",
                version,
            ));
        }
        if (2..=7).contains(&version) {
            w.error_code(self.error_code);
        }
        if version >= 8 {
            w.array(&self.groups, flexible, |w, each| each.encode(w, version))?;
        } else if !self.groups.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponse",
                "Groups",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetFetchResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetchResponsePartition {
    /// Up to version 7.
    pub partition_index: i32,
    /// Up to version 7.
    pub committed_offset: i64,
    /// Versions 5 to 7.
    pub committed_leader_epoch: i32,
    /// Up to version 7.
    pub metadata: Option<KafkaString>,
    /// Up to version 7.
    pub error_code: ErrorCode,
}

impl Default for OffsetFetchResponsePartition {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            metadata: Some(KafkaString::EMPTY),
            error_code: ErrorCode::NONE,
        }
    }
}

impl OffsetFetchResponsePartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            partition_index: if version <= 7 { r.i32()? } else { 0 },
            committed_offset: if version <= 7 { r.i64()? } else { 0 },
            committed_leader_epoch: if (5..=7).contains(&version) { r.i32()? } else { -1 },
            metadata: if version <= 7 {
                r.nullable_string(flexible)?
            } else {
                Some(KafkaString::EMPTY)
            },
            error_code: if version <= 7 {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        if version <= 7 {
            w.i32(self.partition_index);
        } else if self.partition_index != 0 {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponsePartition",
                "PartitionIndex",
                version,
            ));
        }
        if version <= 7 {
            w.i64(self.committed_offset);
        } else if self.committed_offset != 0 {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponsePartition",
                "CommittedOffset",
                version,
            ));
        }
        if (5..=7).contains(&version) {
            w.i32(self.committed_leader_epoch);
        }
        if version <= 7 {
            w.nullable_string(self.metadata.as_ref(), flexible)?;
        } else if self.metadata.as_ref().is_none_or(|value| !value.is_empty()) {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponsePartition",
                "Metadata",
                version,
            ));
        }
        if version <= 7 {
            w.error_code(self.error_code);
        } else if self.error_code != ErrorCode::NONE {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponsePartition",
                "ErrorCode",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetFetchResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetFetchResponseTopic {
    /// Up to version 7.
    pub name: KafkaString,
    /// Up to version 7.
    pub partitions: Vec<OffsetFetchResponsePartition>,
}

impl OffsetFetchResponseTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            name: if version <= 7 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            partitions: if version <= 7 {
                r.array(flexible, OffsetFetchResponsePartition::MIN_SIZE, |r| {
                    OffsetFetchResponsePartition::decode(r, version)
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
        let flexible = version >= 6;
        if version <= 7 {
            w.string(&self.name, flexible)?;
        } else if !self.name.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponseTopic",
                "Name",
                version,
            ));
        }
        if version <= 7 {
            w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        } else if !self.partitions.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponseTopic",
                "Partitions",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetFetchResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFetchResponsePartitions {
    /// From version 8.
    pub partition_index: i32,
    /// From version 8.
    pub committed_offset: i64,
    /// From version 8.
    pub committed_leader_epoch: i32,
    /// From version 8.
    pub metadata: Option<KafkaString>,
    /// From version 8.
    pub error_code: ErrorCode,
}

impl Default for OffsetFetchResponsePartitions {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            metadata: Some(KafkaString::EMPTY),
            error_code: ErrorCode::NONE,
        }
    }
}

impl OffsetFetchResponsePartitions {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            partition_index: if version >= 8 { r.i32()? } else { 0 },
            committed_offset: if version >= 8 { r.i64()? } else { 0 },
            committed_leader_epoch: if version >= 8 { r.i32()? } else { -1 },
            metadata: if version >= 8 {
                r.nullable_string(flexible)?
            } else {
                Some(KafkaString::EMPTY)
            },
            error_code: if version >= 8 {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        if version >= 8 {
            w.i32(self.partition_index);
        } else if self.partition_index != 0 {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponsePartitions",
                "PartitionIndex",
                version,
            ));
        }
        if version >= 8 {
            w.i64(self.committed_offset);
        } else if self.committed_offset != 0 {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponsePartitions",
                "CommittedOffset",
                version,
            ));
        }
        if version >= 8 {
            w.i32(self.committed_leader_epoch);
        }
        if version >= 8 {
            w.nullable_string(self.metadata.as_ref(), flexible)?;
        } else if self.metadata.as_ref().is_none_or(|value| !value.is_empty()) {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponsePartitions",
                "Metadata",
                version,
            ));
        }
        if version >= 8 {
            w.error_code(self.error_code);
        } else if self.error_code != ErrorCode::NONE {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponsePartitions",
                "ErrorCode",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetFetchResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetFetchResponseTopics {
    /// Versions 8 to 9.
    pub name: KafkaString,
    /// From version 10.
    pub topic_id: Uuid,
    /// From version 8.
    pub partitions: Vec<OffsetFetchResponsePartitions>,
}

impl OffsetFetchResponseTopics {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            name: if (8..=9).contains(&version) {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            partitions: if version >= 8 {
                r.array(flexible, OffsetFetchResponsePartitions::MIN_SIZE, |r| {
                    OffsetFetchResponsePartitions::decode(r, version)
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
        let flexible = version >= 6;
        if (8..=9).contains(&version) {
            w.string(&self.name, flexible)?;
        }
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version >= 8 {
            w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        } else if !self.partitions.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponseTopics",
                "Partitions",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `OffsetFetchResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetFetchResponseGroup {
    /// From version 8.
    pub group_id: KafkaString,
    /// From version 8.
    pub topics: Vec<OffsetFetchResponseTopics>,
    /// From version 8.
    pub error_code: ErrorCode,
}

impl OffsetFetchResponseGroup {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 6;
        let decoded = Self {
            group_id: if version >= 8 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            topics: if version >= 8 {
                r.array(flexible, OffsetFetchResponseTopics::MIN_SIZE, |r| {
                    OffsetFetchResponseTopics::decode(r, version)
                })?
            } else {
                Vec::new()
            },
            error_code: if version >= 8 {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 6;
        if version >= 8 {
            w.string(&self.group_id, flexible)?;
        } else if !self.group_id.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponseGroup",
                "GroupId",
                version,
            ));
        }
        if version >= 8 {
            w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        } else if !self.topics.is_empty() {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponseGroup",
                "Topics",
                version,
            ));
        }
        if version >= 8 {
            w.error_code(self.error_code);
        } else if self.error_code != ErrorCode::NONE {
            return Err(EncodeError::unsupported_field(
                "OffsetFetchResponseGroup",
                "ErrorCode",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for OffsetFetchRequest {
    const API_KEY: ApiKey = ApiKey::OffsetFetch;
    type Response = OffsetFetchResponse;
}

impl From<OffsetFetchRequest> for Request {
    fn from(message: OffsetFetchRequest) -> Self {
        Request::OffsetFetch(message)
    }
}

impl From<OffsetFetchResponse> for Response {
    fn from(message: OffsetFetchResponse) -> Self {
        Response::OffsetFetch(message)
    }
}

impl TryFrom<Response> for OffsetFetchResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::OffsetFetch(message) => Ok(message),
            other => Err(other),
        }
    }
}
