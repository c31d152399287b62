// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `CreateDelegationToken`.

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

/// The request `CreateDelegationTokenRequest`, versions 1 to 3.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateDelegationTokenRequest {
    /// From version 3.
    pub owner_principal_type: Option<KafkaString>,
    /// From version 3.
    pub owner_principal_name: Option<KafkaString>,
    pub renewers: Vec<CreatableRenewers>,
    pub max_lifetime_ms: i64,
}

impl Default for CreateDelegationTokenRequest {
    fn default() -> Self {
        Self {
            owner_principal_type: Some(KafkaString::EMPTY),
            owner_principal_name: Some(KafkaString::EMPTY),
            renewers: Vec::new(),
            max_lifetime_ms: 0,
        }
    }
}

impl CreateDelegationTokenRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("CreateDelegationTokenRequest", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            owner_principal_type: if version >= 3 {
                r.nullable_string(flexible)?
            } else {
                Some(KafkaString::EMPTY)
            },
            owner_principal_name: if version >= 3 {
                r.nullable_string(flexible)?
            } else {
                Some(KafkaString::EMPTY)
            },
            renewers: r.array(flexible, CreatableRenewers::MIN_SIZE, |r| {
                CreatableRenewers::decode(r, version)
            })?,
            max_lifetime_ms: r.i64()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("CreateDelegationTokenRequest", version, 1, 3)?;
        let flexible = version >= 2;
        if version >= 3 {
            w.nullable_string(self.owner_principal_type.as_ref(), flexible)?;
        } else if self
            .owner_principal_type
            .as_ref()
            .is_none_or(|value| !value.is_empty())
        {
            return Err(EncodeError::unsupported_field(
                "CreateDelegationTokenRequest",
                "OwnerPrincipalType",
                version,
            ));
        }
        if version >= 3 {
            w.nullable_string(self.owner_principal_name.as_ref(), flexible)?;
        } else if self
            .owner_principal_name
            .as_ref()
            .is_none_or(|value| !value.is_empty())
        {
            return Err(EncodeError::unsupported_field(
                "CreateDelegationTokenRequest",
                "OwnerPrincipalName",
                version,
            ));
        }
        w.array(&self.renewers, flexible, |w, each| each.encode(w, version))?;
        w.i64(self.max_lifetime_ms);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// A part of `CreateDelegationTokenRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreatableRenewers {
    pub principal_type: KafkaString,
    pub principal_name: KafkaString,
}

impl CreatableRenewers {
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

/// The response `CreateDelegationTokenResponse`, versions 1 to 3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateDelegationTokenResponse {
    pub error_code: ErrorCode,
    pub principal_type: KafkaString,
    pub principal_name: KafkaString,
    /// From version 3.
    pub token_requester_principal_type: KafkaString,
    /// From version 3.
    pub token_requester_principal_name: KafkaString,
    pub issue_timestamp_ms: i64,
    pub expiry_timestamp_ms: i64,
    pub max_timestamp_ms: i64,
    pub token_id: KafkaString,
    pub hmac: Bytes,
    pub throttle_time_ms: i32,
}

impl CreateDelegationTokenResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("CreateDelegationTokenResponse", version, 1, 3)?;
        let flexible = version >= 2;
        let decoded = Self {
            error_code: r.error_code()?,
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
            issue_timestamp_ms: r.i64()?,
            expiry_timestamp_ms: r.i64()?,
            max_timestamp_ms: r.i64()?,
            token_id: r.string(flexible)?,
            hmac: r.bytes(flexible)?,
            throttle_time_ms: r.i32()?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("CreateDelegationTokenResponse", version, 1, 3)?;
        let flexible = version >= 2;
        w.error_code(self.error_code);
        w.string(&self.principal_type, flexible)?;
        w.string(&self.principal_name, flexible)?;
        if version >= 3 {
            w.string(&self.token_requester_principal_type, flexible)?;
        } else if !self.token_requester_principal_type.is_empty() {
            return Err(EncodeError::unsupported_field(
                "CreateDelegationTokenResponse",
                "TokenRequesterPrincipalType",
                version,
            ));
        }
        if version >= 3 {
            w.string(&self.token_requester_principal_name, flexible)?;
        } else if !self.token_requester_principal_name.is_empty() {
            return Err(EncodeError::unsupported_field(
                "CreateDelegationTokenResponse",
                "TokenRequesterPrincipalName",
                version,
            ));
        }
        w.i64(self.issue_timestamp_ms);
        w.i64(self.expiry_timestamp_ms);
        w.i64(self.max_timestamp_ms);
        w.string(&self.token_id, flexible)?;
        w.bytes(&self.hmac, flexible)?;
        w.i32(self.throttle_time_ms);
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

impl RequestMessage for CreateDelegationTokenRequest {
    const API_KEY: ApiKey = ApiKey::CreateDelegationToken;
    type Response = CreateDelegationTokenResponse;
}

impl From<CreateDelegationTokenRequest> for Request {
    fn from(message: CreateDelegationTokenRequest) -> Self {
        Request::CreateDelegationToken(message)
    }
}

impl From<CreateDelegationTokenResponse> for Response {
    fn from(message: CreateDelegationTokenResponse) -> Self {
        Response::CreateDelegationToken(message)
    }
}

impl TryFrom<Response> for CreateDelegationTokenResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::CreateDelegationToken(message) => Ok(message),
            other => Err(other),
        }
    }
}
