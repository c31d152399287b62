// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeClientQuotas`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DescribeClientQuotasRequest`, versions 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeClientQuotasRequest {
    pub components: Vec<ComponentData>,
    pub strict: bool,
}

impl DescribeClientQuotasRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeClientQuotasRequest", version, 0, 1)?;
        let flexible = version >= 1;
        let decoded = Self {
            components: r.array(flexible, ComponentData::MIN_SIZE, |r| {
                ComponentData::decode(r, version)
            })?,
            strict: r.bool()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeClientQuotasRequest", version, 0, 1)?;
        let flexible = version >= 1;
        w.array(&self.components, flexible, |w, each| each.encode(w, version))?;
        w.bool(self.strict);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeClientQuotasRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentData {
    pub entity_type: KafkaString,
    pub match_type: i8,
    pub r#match: Option<KafkaString>,
}

impl Default for ComponentData {
    fn default() -> Self {
        Self {
            entity_type: KafkaString::EMPTY,
            match_type: 0,
            r#match: Some(KafkaString::EMPTY),
        }
    }
}

impl ComponentData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 4;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 1;
        let decoded = Self {
            entity_type: r.string(flexible)?,
            match_type: r.i8()?,
            r#match: r.nullable_string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 1;
        w.string(&self.entity_type, flexible)?;
        w.i8(self.match_type);
        w.nullable_string(self.r#match.as_ref(), flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `DescribeClientQuotasResponse`, versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeClientQuotasResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub entries: Option<Vec<EntryData>>,
}

impl Default for DescribeClientQuotasResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            entries: Some(Vec::new()),
        }
    }
}

impl DescribeClientQuotasResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeClientQuotasResponse", version, 0, 1)?;
        let flexible = version >= 1;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(flexible)?,
            entries: r.nullable_array(flexible, EntryData::MIN_SIZE, |r| EntryData::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeClientQuotasResponse", version, 0, 1)?;
        let flexible = version >= 1;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), flexible)?;
        w.nullable_array(self.entries.as_deref(), flexible, |w, each| {
            each.encode(w, version)
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeClientQuotasResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityData {
    pub entity_type: KafkaString,
    pub entity_name: Option<KafkaString>,
}

impl Default for EntityData {
    fn default() -> Self {
        Self {
            entity_type: KafkaString::EMPTY,
            entity_name: Some(KafkaString::EMPTY),
        }
    }
}

impl EntityData {
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

/// A part of `DescribeClientQuotasResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueData {
    pub key: KafkaString,
    pub value: f64,
}

impl ValueData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 10;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 1;
        let decoded = Self {
            key: r.string(flexible)?,
            value: r.f64()?,
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
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeClientQuotasResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntryData {
    pub entity: Vec<EntityData>,
    pub values: Vec<ValueData>,
}

impl EntryData {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 1;
        let decoded = Self {
            entity: r.array(flexible, EntityData::MIN_SIZE, |r| EntityData::decode(r, version))?,
            values: r.array(flexible, ValueData::MIN_SIZE, |r| ValueData::decode(r, version))?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 1;
        w.array(&self.entity, flexible, |w, each| each.encode(w, version))?;
        w.array(&self.values, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for DescribeClientQuotasRequest {
    const API_KEY: ApiKey = ApiKey::DescribeClientQuotas;
    type Response = DescribeClientQuotasResponse;
}

impl From<DescribeClientQuotasRequest> for Request {
    fn from(message: DescribeClientQuotasRequest) -> Self {
        Request::DescribeClientQuotas(message)
    }
}

impl From<DescribeClientQuotasResponse> for Response {
    fn from(message: DescribeClientQuotasResponse) -> Self {
        Response::DescribeClientQuotas(message)
    }
}

impl TryFrom<Response> for DescribeClientQuotasResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeClientQuotas(message) => Ok(message),
            other => Err(other),
        }
    }
}
