// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `FindCoordinator`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `FindCoordinatorRequest`, versions 0 to 6.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FindCoordinatorRequest {
    /// Up to version 3.
    pub key: KafkaString,
    /// From version 1.
    pub key_type: i8,
    /// From version 4.
    pub coordinator_keys: Vec<KafkaString>,
}

impl FindCoordinatorRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("FindCoordinatorRequest", version, 0, 6)?;
        let flexible = version >= 3;
        let decoded = Self {
            key: if version <= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            key_type: if version >= 1 { r.i8()? } else { 0 },
            coordinator_keys: if version >= 4 {
                r.array(flexible, 1, |r| r.string(flexible))?
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
        check_encode("FindCoordinatorRequest", version, 0, 6)?;
        let flexible = version >= 3;
        if version <= 3 {
            w.string(&self.key, flexible)?;
        } else if !self.key.is_empty() {
            return Err(EncodeError::unsupported_field(
                "FindCoordinatorRequest",
                "Key",
                version,
            ));
        }
        if version >= 1 {
            w.i8(self.key_type);
        } else if self.key_type != 0 {
            return Err(EncodeError::unsupported_field(
                "FindCoordinatorRequest",
                "KeyType",
                version,
            ));
        }
        if version >= 4 {
            w.array(&self.coordinator_keys, flexible, |w, each| {
                w.string(each, flexible)
            })?;
        } else if !self.coordinator_keys.is_empty() {
            return Err(EncodeError::unsupported_field(
                "FindCoordinatorRequest",
                "CoordinatorKeys",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `FindCoordinatorResponse`, versions 0 to 6.
#[derive(Clone, Debug, PartialEq)]
pub struct FindCoordinatorResponse {
    /// From version 1.
    pub throttle_time_ms: i32,
    /// Up to version 3.
    pub error_code: ErrorCode,
    /// Versions 1 to 3.
    pub error_message: Option<KafkaString>,
    /// Up to version 3.
    pub node_id: i32,
    /// Up to version 3.
    pub host: KafkaString,
    /// Up to version 3.
    pub port: i32,
    /// From version 4.
    pub coordinators: Vec<Coordinator>,
}

impl Default for FindCoordinatorResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            node_id: 0,
            host: KafkaString::EMPTY,
            port: 0,
            coordinators: Vec::new(),
        }
    }
}

impl FindCoordinatorResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("FindCoordinatorResponse", version, 0, 6)?;
        let flexible = version >= 3;
        let decoded = Self {
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            error_code: if version <= 3 {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
            error_message: if (1..=3).contains(&version) {
                r.nullable_string(flexible)?
            } else {
                Some(KafkaString::EMPTY)
            },
            node_id: if version <= 3 { r.i32()? } else { 0 },
            host: if version <= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            port: if version <= 3 { r.i32()? } else { 0 },
            coordinators: if version >= 4 {
                r.array(flexible, Coordinator::MIN_SIZE, |r| {
                    Coordinator::decode(r, version)
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
        check_encode("FindCoordinatorResponse", version, 0, 6)?;
        let flexible = version >= 3;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if version <= 3 {
            w.error_code(self.error_code);
        } else if self.error_code != ErrorCode::NONE {
            return Err(EncodeError::unsupported_field(
                "FindCoordinatorResponse",
                "ErrorCode",
                version,
            ));
        }
        if (1..=3).contains(&version) {
            w.nullable_string(self.error_message.as_ref(), flexible)?;
        }
        if version <= 3 {
            w.i32(self.node_id);
        } else if self.node_id != 0 {
            return Err(EncodeError::unsupported_field(
                "FindCoordinatorResponse",
                "NodeId",
                version,
            ));
        }
        if version <= 3 {
            w.string(&self.host, flexible)?;
        } else if !self.host.is_empty() {
            return Err(EncodeError::unsupported_field(
                "FindCoordinatorResponse",
                "Host",
                version,
            ));
        }
        if version <= 3 {
            w.i32(self.port);
        } else if self.port != 0 {
            return Err(EncodeError::unsupported_field(
                "FindCoordinatorResponse",
                "Port",
                version,
            ));
        }
        if version >= 4 {
            w.array(&self.coordinators, flexible, |w, each| each.encode(w, version))?;
        } else if !self.coordinators.is_empty() {
            return Err(EncodeError::unsupported_field(
                "FindCoordinatorResponse",
                "Coordinators",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `FindCoordinatorResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinator {
    /// From version 4.
    pub key: KafkaString,
    /// From version 4.
    pub node_id: i32,
    /// From version 4.
    pub host: KafkaString,
    /// From version 4.
    pub port: i32,
    /// From version 4.
    pub error_code: ErrorCode,
    /// From version 4.
    pub error_message: Option<KafkaString>,
}

impl Default for Coordinator {
    fn default() -> Self {
        Self {
            key: KafkaString::EMPTY,
            node_id: 0,
            host: KafkaString::EMPTY,
            port: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
        }
    }
}

impl Coordinator {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            key: if version >= 4 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            node_id: if version >= 4 { r.i32()? } else { 0 },
            host: if version >= 4 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            port: if version >= 4 { r.i32()? } else { 0 },
            error_code: if version >= 4 {
                r.error_code()?
            } else {
                ErrorCode::NONE
            },
            error_message: if version >= 4 {
                r.nullable_string(flexible)?
            } else {
                Some(KafkaString::EMPTY)
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
            w.string(&self.key, flexible)?;
        } else if !self.key.is_empty() {
            return Err(EncodeError::unsupported_field("Coordinator", "Key", version));
        }
        if version >= 4 {
            w.i32(self.node_id);
        } else if self.node_id != 0 {
            return Err(EncodeError::unsupported_field("Coordinator", "NodeId", version));
        }
        if version >= 4 {
            w.string(&self.host, flexible)?;
        } else if !self.host.is_empty() {
            return Err(EncodeError::unsupported_field("Coordinator", "Host", version));
        }
        if version >= 4 {
            w.i32(self.port);
        } else if self.port != 0 {
            return Err(EncodeError::unsupported_field("Coordinator", "Port", version));
        }
        if version >= 4 {
            w.error_code(self.error_code);
        } else if self.error_code != ErrorCode::NONE {
            return Err(EncodeError::unsupported_field(
                "Coordinator",
                "ErrorCode",
                version,
            ));
        }
        if version >= 4 {
            w.nullable_string(self.error_message.as_ref(), flexible)?;
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for FindCoordinatorRequest {
    const API_KEY: ApiKey = ApiKey::FindCoordinator;
    type Response = FindCoordinatorResponse;
}

impl From<FindCoordinatorRequest> for Request {
    fn from(message: FindCoordinatorRequest) -> Self {
        Request::FindCoordinator(message)
    }
}

impl From<FindCoordinatorResponse> for Response {
    fn from(message: FindCoordinatorResponse) -> Self {
        Response::FindCoordinator(message)
    }
}

impl TryFrom<Response> for FindCoordinatorResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::FindCoordinator(message) => Ok(message),
            other => Err(other),
        }
    }
}
