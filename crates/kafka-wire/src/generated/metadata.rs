// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `Metadata`.

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

/// The request `MetadataRequest`, versions 0 to 13.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataRequest {
    pub topics: Option<Vec<MetadataRequestTopic>>,
    /// From version 4.
    pub allow_auto_topic_creation: bool,
    /// Versions 8 to 10.
    pub include_cluster_authorized_operations: bool,
    /// From version 8.
    pub include_topic_authorized_operations: bool,
}

impl Default for MetadataRequest {
    fn default() -> Self {
        Self {
            topics: Some(Vec::new()),
            allow_auto_topic_creation: true,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        }
    }
}

impl MetadataRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("MetadataRequest", version, 0, 13)?;
        let flexible = version >= 9;
        let decoded = Self {
            topics: check_null(
                r.nullable_array(flexible, MetadataRequestTopic::MIN_SIZE, |r| {
                    MetadataRequestTopic::decode(r, version)
                })?,
                version >= 1,
                "Topics",
            )?,
            allow_auto_topic_creation: if version >= 4 { r.bool()? } else { true },
            include_cluster_authorized_operations: if (8..=10).contains(&version) {
                r.bool()?
            } else {
                false
            },
            include_topic_authorized_operations: if version >= 8 { r.bool()? } else { false },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("MetadataRequest", version, 0, 13)?;
        let flexible = version >= 9;
        if self.topics.is_none() && version < 1 {
            return Err(EncodeError::null_field("MetadataRequest", "Topics", version));
        }
        w.nullable_array(self.topics.as_deref(), flexible, |w, each| {
            each.encode(w, version)
        })?;
        if version >= 4 {
            w.bool(self.allow_auto_topic_creation);
        } else if !self.allow_auto_topic_creation {
            return Err(EncodeError::unsupported_field(
                "MetadataRequest",
                "AllowAutoTopicCreation",
                version,
            ));
        }
        if (8..=10).contains(&version) {
            w.bool(self.include_cluster_authorized_operations);
        } else if self.include_cluster_authorized_operations {
            return Err(EncodeError::unsupported_field(
                "MetadataRequest",
                "IncludeClusterAuthorizedOperations",
                version,
            ));
        }
        if version >= 8 {
            w.bool(self.include_topic_authorized_operations);
        } else if self.include_topic_authorized_operations {
            return Err(EncodeError::unsupported_field(
                "MetadataRequest",
                "IncludeTopicAuthorizedOperations",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `MetadataRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataRequestTopic {
    /// From version 10.
    pub topic_id: Uuid,
    pub name: Option<KafkaString>,
}

impl Default for MetadataRequestTopic {
    fn default() -> Self {
        Self {
            topic_id: Uuid::ZERO,
            name: Some(KafkaString::EMPTY),
        }
    }
}

impl MetadataRequestTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 2;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            name: check_null(r.nullable_string(flexible)?, version >= 10, "Name")?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if self.name.is_none() && version < 10 {
            return Err(EncodeError::null_field("MetadataRequestTopic", "Name", version));
        }
        w.nullable_string(self.name.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `MetadataResponse`, versions 0 to 13.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataResponse {
    /// From version 3.
    pub throttle_time_ms: i32,
    pub brokers: Vec<MetadataResponseBroker>,
    /// From version 2.
    pub cluster_id: Option<KafkaString>,
    /// From version 1.
    pub controller_id: i32,
    pub topics: Vec<MetadataResponseTopic>,
    /// Versions 8 to 10.
    pub cluster_authorized_operations: i32,
    /// From version 13.
    pub error_code: ErrorCode,
}

impl Default for MetadataResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            brokers: Vec::new(),
            cluster_id: None,
            controller_id: -1,
            topics: Vec::new(),
            cluster_authorized_operations: -2147483648,
            error_code: ErrorCode::NONE,
        }
    }
}

impl MetadataResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("MetadataResponse", version, 0, 13)?;
        let flexible = version >= 9;
        let decoded = Self {
            throttle_time_ms: if version >= 3 { r.i32()? } else { 0 },
            brokers: r.array(flexible, MetadataResponseBroker::MIN_SIZE, |r| {
                MetadataResponseBroker::decode(r, version)
            })?,
            cluster_id: if version >= 2 {
                r.nullable_string(flexible)?
            } else {
                None
            },
            controller_id: if version >= 1 { r.i32()? } else { -1 },
            topics: r.array(flexible, MetadataResponseTopic::MIN_SIZE, |r| {
                MetadataResponseTopic::decode(r, version)
            })?,
            cluster_authorized_operations: if (8..=10).contains(&version) {
                r.i32()?
            } else {
                -2147483648
            },
            error_code: if version >= 13 {
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

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("MetadataResponse", version, 0, 13)?;
        let flexible = version >= 9;
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.brokers, flexible, |w, each| each.encode(w, version))?;
        if version >= 2 {
            w.nullable_string(self.cluster_id.as_ref(), flexible)?;
        }
        if version >= 1 {
            w.i32(self.controller_id);
        }
        w.array(&self.topics, flexible, |w, each| each.encode(w, version))?;
        if (8..=10).contains(&version) {
            w.i32(self.cluster_authorized_operations);
        } else if self.cluster_authorized_operations != -2147483648 {
            return Err(EncodeError::unsupported_field(
                "MetadataResponse",
                "ClusterAuthorizedOperations",
                version,
            ));
        }
        if version >= 13 {
            w.error_code(self.error_code);
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `MetadataResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataResponseBroker {
    pub node_id: i32,
    pub host: KafkaString,
    pub port: i32,
    /// From version 1.
    pub rack: Option<KafkaString>,
}

impl MetadataResponseBroker {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 10;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            node_id: r.i32()?,
            host: r.string(flexible)?,
            port: r.i32()?,
            rack: if version >= 1 {
                r.nullable_string(flexible)?
            } else {
                None
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.i32(self.node_id);
        w.string(&self.host, flexible)?;
        w.i32(self.port);
        if version >= 1 {
            w.nullable_string(self.rack.as_ref(), flexible)?;
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `MetadataResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataResponsePartition {
    pub error_code: ErrorCode,
    pub partition_index: i32,
    pub leader_id: i32,
    /// From version 7.
    pub leader_epoch: i32,
    pub replica_nodes: Vec<i32>,
    pub isr_nodes: Vec<i32>,
    /// From version 5.
    pub offline_replicas: Vec<i32>,
}

impl Default for MetadataResponsePartition {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            partition_index: 0,
            leader_id: 0,
            leader_epoch: -1,
            replica_nodes: Vec::new(),
            isr_nodes: Vec::new(),
            offline_replicas: Vec::new(),
        }
    }
}

impl MetadataResponsePartition {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 18;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            error_code: r.error_code()?,
            partition_index: r.i32()?,
            leader_id: r.i32()?,
            leader_epoch: if version >= 7 { r.i32()? } else { -1 },
            replica_nodes: r.array(flexible, 4, Reader::i32)?,
            isr_nodes: r.array(flexible, 4, Reader::i32)?,
            offline_replicas: if version >= 5 {
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
        let flexible = version >= 9;
        w.error_code(self.error_code);
        w.i32(self.partition_index);
        w.i32(self.leader_id);
        if version >= 7 {
            w.i32(self.leader_epoch);
        }
        w.array(&self.replica_nodes, flexible, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        w.array(&self.isr_nodes, flexible, |w, each| {
            w.i32(*each);
            Ok(())
        })?;
        if version >= 5 {
            w.array(&self.offline_replicas, flexible, |w, each| {
                w.i32(*each);
                Ok(())
            })?;
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `MetadataResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataResponseTopic {
    pub error_code: ErrorCode,
    pub name: Option<KafkaString>,
    /// From version 10.
    pub topic_id: Uuid,
    /// From version 1.
    pub is_internal: bool,
    pub partitions: Vec<MetadataResponsePartition>,
    /// From version 8.
    pub topic_authorized_operations: i32,
}

impl Default for MetadataResponseTopic {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            name: Some(KafkaString::EMPTY),
            topic_id: Uuid::ZERO,
            is_internal: false,
            partitions: Vec::new(),
            topic_authorized_operations: -2147483648,
        }
    }
}

impl MetadataResponseTopic {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 8;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 9;
        let decoded = Self {
            error_code: r.error_code()?,
            name: check_null(r.nullable_string(flexible)?, version >= 12, "Name")?,
            topic_id: if version >= 10 { r.uuid()? } else { Uuid::ZERO },
            is_internal: if version >= 1 { r.bool()? } else { false },
            partitions: r.array(flexible, MetadataResponsePartition::MIN_SIZE, |r| {
                MetadataResponsePartition::decode(r, version)
            })?,
            topic_authorized_operations: if version >= 8 { r.i32()? } else { -2147483648 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 9;
        w.error_code(self.error_code);
        if self.name.is_none() && version < 12 {
            return Err(EncodeError::null_field("MetadataResponseTopic", "Name", version));
        }
        w.nullable_string(self.name.as_ref(), flexible)?;
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version >= 1 {
            w.bool(self.is_internal);
        }
        w.array(&self.partitions, flexible, |w, each| each.encode(w, version))?;
        if version >= 8 {
            w.i32(self.topic_authorized_operations);
        } else if self.topic_authorized_operations != -2147483648 {
            return Err(EncodeError::unsupported_field(
                "MetadataResponseTopic",
                "TopicAuthorizedOperations",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for MetadataRequest {
    const API_KEY: ApiKey = ApiKey::Metadata;
    type Response = MetadataResponse;
}

impl From<MetadataRequest> for Request {
    fn from(message: MetadataRequest) -> Self {
        Request::Metadata(message)
    }
}

impl From<MetadataResponse> for Response {
    fn from(message: MetadataResponse) -> Self {
        Response::Metadata(message)
    }
}

impl TryFrom<Response> for MetadataResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::Metadata(message) => Ok(message),
            other => Err(other),
        }
    }
}
