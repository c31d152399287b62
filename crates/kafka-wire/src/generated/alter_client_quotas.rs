// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `AlterClientQuotas`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `AlterClientQuotasRequest`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterClientQuotasRequest {
    pub entries: Vec<RequestEntryData>,
    pub validate_only: bool,
}

impl AlterClientQuotasRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AlterClientQuotasRequest", version, 0, 1)?;
        let flexible = version >= 1;
        let decoded = Self {
            entries: r.array(flexible, RequestEntryData::MIN_SIZE, |r| {
                RequestEntryData::decode(r, version)
            })?,
            validate_only: r.bool()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AlterClientQuotasRequest", version, 0, 1)?;
        let flexible = version >= 1;
        w.array(&self.entries, flexible, |w, each| each.encode(w, version))?;
        w.bool(self.validate_only);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AlterClientQuotasRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestEntityData {
    pub entity_type: KafkaString,
    pub entity_name: Option<KafkaString>,
}

impl Default for RequestEntityData {
    fn default() -> Self {
        Self {
            entity_type: KafkaString::EMPTY,
            entity_name: Some(KafkaString::EMPTY),
        }
    }
}

impl RequestEntityData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 1;
        let decoded = Self {
            entity_type: r.string(flexible)?,
            entity_name: r.nullable_string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 1;
        w.string(&self.entity_type, flexible)?;
        w.nullable_string(self.entity_name.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AlterClientQuotasRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpData {
    pub key: KafkaString,
    pub value: f64,
    pub remove: bool,
}

impl OpData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 11;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 1;
        let decoded = Self {
            key: r.string(flexible)?,
            value: r.f64()?,
            remove: r.bool()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 1;
        w.string(&self.key, flexible)?;
        w.f64(self.value);
        w.bool(self.remove);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AlterClientQuotasRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestEntryData {
    pub entity: Vec<RequestEntityData>,
    pub ops: Vec<OpData>,
}

impl RequestEntryData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 1;
        let decoded = Self {
            entity: r.array(flexible, RequestEntityData::MIN_SIZE, |r| {
                RequestEntityData::decode(r, version)
            })?,
            ops: r.array(flexible, OpData::MIN_SIZE, |r| OpData::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 1;
        w.array(&self.entity, flexible, |w, each| each.encode(w, version))?;
        w.array(&self.ops, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `AlterClientQuotasResponse`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterClientQuotasResponse {
    pub throttle_time_ms: i32,
    pub entries: Vec<ResponseEntryData>,
}

impl AlterClientQuotasResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AlterClientQuotasResponse", version, 0, 1)?;
        let flexible = version >= 1;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            entries: r.array(flexible, ResponseEntryData::MIN_SIZE, |r| {
                ResponseEntryData::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AlterClientQuotasResponse", version, 0, 1)?;
        let flexible = version >= 1;
        w.i32(self.throttle_time_ms);
        w.array(&self.entries, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AlterClientQuotasResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseEntityData {
    pub entity_type: KafkaString,
    pub entity_name: Option<KafkaString>,
}

impl Default for ResponseEntityData {
    fn default() -> Self {
        Self {
            entity_type: KafkaString::EMPTY,
            entity_name: Some(KafkaString::EMPTY),
        }
    }
}

impl ResponseEntityData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 1;
        let decoded = Self {
            entity_type: r.string(flexible)?,
            entity_name: r.nullable_string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 1;
        w.string(&self.entity_type, flexible)?;
        w.nullable_string(self.entity_name.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `AlterClientQuotasResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseEntryData {
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub entity: Vec<ResponseEntityData>,
}

impl Default for ResponseEntryData {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            entity: Vec::new(),
        }
    }
}

impl ResponseEntryData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 5;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 1;
        let decoded = Self {
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
            entity: r.array(flexible, ResponseEntityData::MIN_SIZE, |r| {
                ResponseEntityData::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 1;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        w.array(&self.entity, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for AlterClientQuotasRequest {
    const API_KEY: ApiKey = ApiKey::AlterClientQuotas;
    type Response = AlterClientQuotasResponse;
}

impl From<AlterClientQuotasRequest> for Request {
    fn from(message: AlterClientQuotasRequest) -> Self {
        Request::AlterClientQuotas(message)
    }
}

impl From<AlterClientQuotasResponse> for Response {
    fn from(message: AlterClientQuotasResponse) -> Self {
        Response::AlterClientQuotas(message)
    }
}

impl TryFrom<Response> for AlterClientQuotasResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::AlterClientQuotas(message) => Ok(message),
            other => Err(other),
        }
    }
}
