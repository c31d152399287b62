// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeCluster`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DescribeClusterRequest`, versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeClusterRequest {
    pub include_cluster_authorized_operations: bool,
    /// From version 1.
    pub endpoint_type: i8,
    /// From version 2.
    pub include_fenced_brokers: bool,
}

impl Default for DescribeClusterRequest {
    fn default() -> Self {
        Self {
            include_cluster_authorized_operations: false,
            endpoint_type: 1,
            include_fenced_brokers: false,
        }
    }
}

impl DescribeClusterRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeClusterRequest", version, 0, 2)?;
        let decoded = Self {
            include_cluster_authorized_operations: r.bool()?,
            endpoint_type: if version >= 1 { r.i8()? } else { 1 },
            include_fenced_brokers: if version >= 2 { r.bool()? } else { false },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeClusterRequest", version, 0, 2)?;
        w.bool(self.include_cluster_authorized_operations);
        if version >= 1 {
            w.i8(self.endpoint_type);
        } else if self.endpoint_type != 1 {
            return Err(EncodeError::unsupported_field(
                "DescribeClusterRequest",
                "EndpointType",
                version,
            ));
        }
        if version >= 2 {
            w.bool(self.include_fenced_brokers);
        } else if self.include_fenced_brokers {
            return Err(EncodeError::unsupported_field(
                "DescribeClusterRequest",
                "IncludeFencedBrokers",
                version,
            ));
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `DescribeClusterResponse`, versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeClusterResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    /// From version 1.
    pub endpoint_type: i8,
    pub cluster_id: KafkaString,
    pub controller_id: i32,
    pub brokers: Vec<DescribeClusterBroker>,
    pub cluster_authorized_operations: i32,
}

impl Default for DescribeClusterResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            error_message: None,
            endpoint_type: 1,
            cluster_id: KafkaString::EMPTY,
            controller_id: -1,
            brokers: Vec::new(),
            cluster_authorized_operations: -2147483648,
        }
    }
}

impl DescribeClusterResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeClusterResponse", version, 0, 2)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
            endpoint_type: if version >= 1 { r.i8()? } else { 1 },
            cluster_id: r.string(true)?,
            controller_id: r.i32()?,
            brokers: r.array(true, DescribeClusterBroker::MIN_SIZE, |r| {
                DescribeClusterBroker::decode(r, version)
            })?,
            cluster_authorized_operations: r.i32()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeClusterResponse", version, 0, 2)?;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        if version >= 1 {
            w.i8(self.endpoint_type);
        } else if self.endpoint_type != 1 {
            return Err(EncodeError::unsupported_field(
                "DescribeClusterResponse",
                "EndpointType",
                version,
            ));
        }
        w.string(&self.cluster_id, true)?;
        w.i32(self.controller_id);
        w.array(&self.brokers, true, |w, each| each.encode(w, version))?;
        w.i32(self.cluster_authorized_operations);
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeClusterResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeClusterBroker {
    pub broker_id: i32,
    pub host: KafkaString,
    pub port: i32,
    pub rack: Option<KafkaString>,
    /// From version 2.
    pub is_fenced: bool,
}

impl DescribeClusterBroker {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 11;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            broker_id: r.i32()?,
            host: r.string(true)?,
            port: r.i32()?,
            rack: r.nullable_string(true)?,
            is_fenced: if version >= 2 { r.bool()? } else { false },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.i32(self.broker_id);
        w.string(&self.host, true)?;
        w.i32(self.port);
        w.nullable_string(self.rack.as_ref(), true)?;
        if version >= 2 {
            w.bool(self.is_fenced);
        } else if self.is_fenced {
            return Err(EncodeError::unsupported_field(
                "DescribeClusterBroker",
                "IsFenced",
                version,
            ));
        }
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for DescribeClusterRequest {
    const API_KEY: ApiKey = ApiKey::DescribeCluster;
    type Response = DescribeClusterResponse;
}

impl From<DescribeClusterRequest> for Request {
    fn from(message: DescribeClusterRequest) -> Self {
        Request::DescribeCluster(message)
    }
}

impl From<DescribeClusterResponse> for Response {
    fn from(message: DescribeClusterResponse) -> Self {
        Response::DescribeCluster(message)
    }
}

impl TryFrom<Response> for DescribeClusterResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeCluster(message) => Ok(message),
            other => Err(other),
        }
    }
}
