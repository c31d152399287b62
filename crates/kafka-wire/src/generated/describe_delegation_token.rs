// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeDelegationToken`.

use bytes::Bytes;

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DescribeDelegationTokenRequest`, versions 1 to 3.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeDelegationTokenRequest {
    pub owners: Option<Vec<DescribeDelegationTokenOwner>>,
}

impl Default for DescribeDelegationTokenRequest {
    fn default() -> Self {
        Self {
            owners: Some(Vec::new()),
        }
    }
}

impl DescribeDelegationTokenRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeDelegationTokenRequest", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            owners: r.nullable_array(flexible, DescribeDelegationTokenOwner::MIN_SIZE, |r| {
                DescribeDelegationTokenOwner::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeDelegationTokenRequest", version, 1, 3)?;
        let flexible = version >= 2;
        w.nullable_array(self.owners.as_deref(), flexible, |w, each| {
            each.encode(w, version)
        })?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeDelegationTokenRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeDelegationTokenOwner {
    pub principal_type: KafkaString,
    pub principal_name: KafkaString,
}

impl DescribeDelegationTokenOwner {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            principal_type: r.string(flexible)?,
            principal_name: r.string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.string(&self.principal_type, flexible)?;
        w.string(&self.principal_name, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The response `DescribeDelegationTokenResponse`, versions 1 to 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribeDelegationTokenResponse {
    pub error_code: ErrorCode,
    pub tokens: Vec<DescribedDelegationToken>,
    pub throttle_time_ms: i32,
}

impl DescribeDelegationTokenResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeDelegationTokenResponse", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            error_code: r.error_code()?,
            tokens: r.array(flexible, DescribedDelegationToken::MIN_SIZE, |r| {
                DescribedDelegationToken::decode(r, version)
            })?,
            throttle_time_ms: r.i32()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeDelegationTokenResponse", version, 1, 3)?;
        let flexible = version >= 2;
        w.error_code(self.error_code);
        w.array(&self.tokens, flexible, |w, each| each.encode(w, version))?;
        w.i32(self.throttle_time_ms);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeDelegationTokenResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribedDelegationTokenRenewer {
    pub principal_type: KafkaString,
    pub principal_name: KafkaString,
}

impl DescribedDelegationTokenRenewer {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            principal_type: r.string(flexible)?,
            principal_name: r.string(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.string(&self.principal_type, flexible)?;
        w.string(&self.principal_name, flexible)?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `DescribeDelegationTokenResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescribedDelegationToken {
    pub principal_type: KafkaString,
    pub principal_name: KafkaString,
    /// From version 3.
    pub token_requester_principal_type: KafkaString,
    /// From version 3.
    pub token_requester_principal_name: KafkaString,
    pub issue_timestamp: i64,
    pub expiry_timestamp: i64,
    pub max_timestamp: i64,
    pub token_id: KafkaString,
    pub hmac: Bytes,
    pub renewers: Vec<DescribedDelegationTokenRenewer>,
}

impl DescribedDelegationToken {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 30;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let flexible = version >= 2;
        let decoded = Self {
            principal_type: r.string(flexible)?,
            principal_name: r.string(flexible)?,
            token_requester_principal_type: if version >= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            token_requester_principal_name: if version >= 3 {
                r.string(flexible)?
            } else {
                KafkaString::EMPTY
            },
            issue_timestamp: r.i64()?,
            expiry_timestamp: r.i64()?,
            max_timestamp: r.i64()?,
            token_id: r.string(flexible)?,
            hmac: r.bytes(flexible)?,
            renewers: r.array(flexible, DescribedDelegationTokenRenewer::MIN_SIZE, |r| {
                DescribedDelegationTokenRenewer::decode(r, version)
            })?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let flexible = version >= 2;
        w.string(&self.principal_type, flexible)?;
        w.string(&self.principal_name, flexible)?;
        if version >= 3 {
            w.string(&self.token_requester_principal_type, flexible)?;
        } else if !self.token_requester_principal_type.is_empty() {
            return Err(EncodeError::unsupported_field(
                "DescribedDelegationToken",
                "TokenRequesterPrincipalType",
                version,
            ));
        }
        if version >= 3 {
            w.string(&self.token_requester_principal_name, flexible)?;
        } else if !self.token_requester_principal_name.is_empty() {
            return Err(EncodeError::unsupported_field(
                "DescribedDelegationToken",
                "TokenRequesterPrincipalName",
                version,
            ));
        }
        w.i64(self.issue_timestamp);
        w.i64(self.expiry_timestamp);
        w.i64(self.max_timestamp);
        w.string(&self.token_id, flexible)?;
        w.bytes(&self.hmac, flexible)?;
        w.array(&self.renewers, flexible, |w, each| each.encode(w, version))?;
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for DescribeDelegationTokenRequest {
    const API_KEY: ApiKey = ApiKey::DescribeDelegationToken;
    type Response = DescribeDelegationTokenResponse;
}

impl From<DescribeDelegationTokenRequest> for Request {
    fn from(message: DescribeDelegationTokenRequest) -> Self {
        Request::DescribeDelegationToken(message)
    }
}

impl From<DescribeDelegationTokenResponse> for Response {
    fn from(message: DescribeDelegationTokenResponse) -> Self {
        Response::DescribeDelegationToken(message)
    }
}

impl TryFrom<Response> for DescribeDelegationTokenResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeDelegationToken(message) => Ok(message),
            other => Err(other),
        }
    }
}
