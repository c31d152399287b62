// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `ApiVersions`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::TaggedFields;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `ApiVersionsRequest`, versions 0 to 4.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiVersionsRequest {
    /// From version 3.
    pub client_software_name: KafkaString,
    /// From version 3.
    pub client_software_version: KafkaString,
}

impl ApiVersionsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ApiVersionsRequest", version, 0, 4)?;
        let flexible = version >= 3;
        let decoded = Self {
            client_software_name: if version >= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            client_software_version: if version >= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ApiVersionsRequest", version, 0, 4)?;
        let flexible = version >= 3;
        if version >= 3 {
            w.string(&self.client_software_name, flexible)?;
        }
        if version >= 3 {
            w.string(&self.client_software_version, flexible)?;
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `ApiVersionsResponse`, versions 0 to 4.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiVersionsResponse {
    pub error_code: ErrorCode,
    pub api_keys: Vec<ApiVersion>,
    /// From version 1.
    pub throttle_time_ms: i32,
    /// From version 3.
    pub supported_features: Vec<SupportedFeatureKey>,
    /// From version 3.
    pub finalized_features_epoch: i64,
    /// From version 3.
    pub finalized_features: Vec<FinalizedFeatureKey>,
    /// From version 3.
    pub zk_migration_ready: bool,
}

impl Default for ApiVersionsResponse {
    fn default() -> Self {
        Self {
            error_code: ErrorCode::NONE,
            api_keys: Vec::new(),
            throttle_time_ms: 0,
            supported_features: Vec::new(),
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
            zk_migration_ready: false,
        }
    }
}

impl ApiVersionsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("ApiVersionsResponse", version, 0, 4)?;
        let flexible = version >= 3;
        let mut decoded = Self {
            error_code: r.error_code()?,
            api_keys: r.array(flexible, ApiVersion::MIN_SIZE, |r| ApiVersion::decode(r, version))?,
            throttle_time_ms: if version >= 1 { r.i32()? } else { 0 },
            supported_features: Vec::new(),
            finalized_features_epoch: -1,
            finalized_features: Vec::new(),
            zk_migration_ready: false,
        };
        if flexible {
            r.tagged_fields(|r, tag| {
                match tag {
                    0 => {
                        decoded.supported_features =
                            r.array(flexible, SupportedFeatureKey::MIN_SIZE, |r| {
                                SupportedFeatureKey::decode(r, version)
                            })?
                    }
                    1 => decoded.finalized_features_epoch = r.i64()?,
                    2 => {
                        decoded.finalized_features =
                            r.array(flexible, FinalizedFeatureKey::MIN_SIZE, |r| {
                                FinalizedFeatureKey::decode(r, version)
                            })?
                    }
                    3 => decoded.zk_migration_ready = r.bool()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("ApiVersionsResponse", version, 0, 4)?;
        let flexible = version >= 3;
        w.error_code(self.error_code);
        w.array(&self.api_keys, flexible, |w, each| each.encode(w, version))?;
        if version >= 1 {
            w.i32(self.throttle_time_ms);
        }
        if flexible {
            let mut tags = TaggedFields::default();
            if !self.supported_features.is_empty() {
                tags.add(0, |w| {
                    w.array(&self.supported_features, true, |w, each| each.encode(w, version))?;
                    Ok(())
                })?;
            }
            if self.finalized_features_epoch != -1 {
                tags.add(1, |w| {
                    w.i64(self.finalized_features_epoch);
                    Ok(())
                })?;
            }
            if !self.finalized_features.is_empty() {
                tags.add(2, |w| {
                    w.array(&self.finalized_features, true, |w, each| each.encode(w, version))?;
                    Ok(())
                })?;
            }
            if self.zk_migration_ready {
                tags.add(3, |w| {
                    w.bool(self.zk_migration_ready);
                    Ok(())
                })?;
            }
            w.tagged_fields(tags)?;
        }
        Ok(())
    }
}

/// A part of `ApiVersionsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiVersion {
    pub api_key: i16,
    pub min_version: i16,
    pub max_version: i16,
}

impl ApiVersion {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            api_key: r.i16()?,
            min_version: r.i16()?,
            max_version: r.i16()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        w.i16(self.api_key);
        w.i16(self.min_version);
        w.i16(self.max_version);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ApiVersionsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SupportedFeatureKey {
    /// From version 3.
    pub name: KafkaString,
    /// From version 3.
    pub min_version: i16,
    /// From version 3.
    pub max_version: i16,
}

impl SupportedFeatureKey {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            name: if version >= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            min_version: if version >= 3 { r.i16()? } else { 0 },
            max_version: if version >= 3 { r.i16()? } else { 0 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        if version >= 3 {
            w.string(&self.name, flexible)?;
        } else if !self.name.is_empty() {
            return Err(EncodeError::unsupported_field(
                "SupportedFeatureKey",
                "Name",
                version,
            ));
        }
        if version >= 3 {
            w.i16(self.min_version);
        } else if self.min_version != 0 {
            return Err(EncodeError::unsupported_field(
                "SupportedFeatureKey",
                "MinVersion",
                version,
            ));
        }
        if version >= 3 {
            w.i16(self.max_version);
        } else if self.max_version != 0 {
            return Err(EncodeError::unsupported_field(
                "SupportedFeatureKey",
                "MaxVersion",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `ApiVersionsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FinalizedFeatureKey {
    /// From version 3.
    pub name: KafkaString,
    /// From version 3.
    pub max_version_level: i16,
    /// From version 3.
    pub min_version_level: i16,
}

impl FinalizedFeatureKey {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 1;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 3;
        let decoded = Self {
            name: if version >= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            max_version_level: if version >= 3 { r.i16()? } else { 0 },
            min_version_level: if version >= 3 { r.i16()? } else { 0 },
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 3;
        if version >= 3 {
            w.string(&self.name, flexible)?;
        } else if !self.name.is_empty() {
            return Err(EncodeError::unsupported_field(
                "FinalizedFeatureKey",
                "Name",
                version,
            ));
        }
        if version >= 3 {
            w.i16(self.max_version_level);
        } else if self.max_version_level != 0 {
            return Err(EncodeError::unsupported_field(
                "FinalizedFeatureKey",
                "MaxVersionLevel",
                version,
            ));
        }
        if version >= 3 {
            w.i16(self.min_version_level);
        } else if self.min_version_level != 0 {
            return Err(EncodeError::unsupported_field(
                "FinalizedFeatureKey",
                "MinVersionLevel",
                version,
            ));
        }
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for ApiVersionsRequest {
    const API_KEY: ApiKey = ApiKey::ApiVersions;
    type Response = ApiVersionsResponse;
}

impl From<ApiVersionsRequest> for Request {
    fn from(message: ApiVersionsRequest) -> Self {
        Request::ApiVersions(message)
    }
}

impl From<ApiVersionsResponse> for Response {
    fn from(message: ApiVersionsResponse) -> Self {
        Response::ApiVersions(message)
    }
}

impl TryFrom<Response> for ApiVersionsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::ApiVersions(message) => Ok(message),
            other => Err(other),
        }
    }
}
