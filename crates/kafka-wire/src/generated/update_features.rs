// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `UpdateFeatures`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `UpdateFeaturesRequest`, versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateFeaturesRequest {
    pub timeout_ms: i32,
    pub feature_updates: Vec<FeatureUpdateKey>,
    /// From version 1.
    pub validate_only: bool,
}

impl Default for UpdateFeaturesRequest {
    fn default() -> Self {
        Self {
            timeout_ms: 60000,
            feature_updates: Vec::new(),
            validate_only: false,
        }
    }
}

impl UpdateFeaturesRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("UpdateFeaturesRequest", version, 0, 2)?;
        let decoded = Self {
            timeout_ms: r.i32()?,
            feature_updates: r.array(true, FeatureUpdateKey::MIN_SIZE, |r| {
                FeatureUpdateKey::decode(r, version)
            })?,
            validate_only: if version >= 1 { r.bool()? } else { false },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("UpdateFeaturesRequest", version, 0, 2)?;
        w.i32(self.timeout_ms);
        w.array(&self.feature_updates, true, |w, each| each.encode(w, version))?;
        if version >= 1 {
            w.bool(self.validate_only);
        } else if self.validate_only {
            return Err(EncodeError::unsupported_field(
                "UpdateFeaturesRequest",
                "ValidateOnly",
                version,
            ));
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `UpdateFeaturesRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureUpdateKey {
    pub feature: KafkaString,
    pub max_version_level: i16,
    /// Up to version 0.
    pub allow_downgrade: bool,
    /// From version 1.
    pub upgrade_type: i8,
}

impl Default for FeatureUpdateKey {
    fn default() -> Self {
        Self {
            feature: KafkaString::EMPTY,
            max_version_level: 0,
            allow_downgrade: false,
            upgrade_type: 1,
        }
    }
}

impl FeatureUpdateKey {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 5;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            feature: r.string(true)?,
            max_version_level: r.i16()?,
            allow_downgrade: if version <= 0 { r.bool()? } else { false },
            upgrade_type: if version >= 1 { r.i8()? } else { 1 },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.feature, true)?;
        w.i16(self.max_version_level);
        if version <= 0 {
            w.bool(self.allow_downgrade);
        } else if self.allow_downgrade {
            return Err(EncodeError::unsupported_field(
                "FeatureUpdateKey",
                "AllowDowngrade",
                version,
            ));
        }
        if version >= 1 {
            w.i8(self.upgrade_type);
        } else if self.upgrade_type != 1 {
            return Err(EncodeError::unsupported_field(
                "FeatureUpdateKey",
                "UpgradeType",
                version,
            ));
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `UpdateFeaturesResponse`, versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateFeaturesResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    /// Up to version 1.
    pub results: Vec<UpdatableFeatureResult>,
}

impl Default for UpdateFeaturesResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            results: Vec::new(),
        }
    }
}

impl UpdateFeaturesResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("UpdateFeaturesResponse", version, 0, 2)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
            results: if version <= 1 {
                r.array(true, UpdatableFeatureResult::MIN_SIZE, |r| {
                    UpdatableFeatureResult::decode(r, version)
                })?
            } else {
                Vec::new()
            },
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("UpdateFeaturesResponse", version, 0, 2)?;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        if version <= 1 {
            w.array(&self.results, true, |w, each| each.encode(w, version))?;
        }
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `UpdateFeaturesResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdatableFeatureResult {
    pub feature: KafkaString,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
}

impl Default for UpdatableFeatureResult {
    fn default() -> Self {
        Self {
            feature: KafkaString::EMPTY,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
        }
    }
}

impl UpdatableFeatureResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 5;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            feature: r.string(true)?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.feature, true)?;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for UpdateFeaturesRequest {
    const API_KEY: ApiKey = ApiKey::UpdateFeatures;
    type Response = UpdateFeaturesResponse;
}

impl From<UpdateFeaturesRequest> for Request {
    fn from(message: UpdateFeaturesRequest) -> Self {
        Request::UpdateFeatures(message)
    }
}

impl From<UpdateFeaturesResponse> for Response {
    fn from(message: UpdateFeaturesResponse) -> Self {
        Response::UpdateFeatures(message)
    }
}

impl TryFrom<Response> for UpdateFeaturesResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::UpdateFeatures(message) => Ok(message),
            other => Err(other),
        }
    }
}
