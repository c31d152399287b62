// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `DescribeUserScramCredentials`.

use super::{ApiKey, Request, RequestMessage, Response};
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::reader::check_decode;
use crate::string::KafkaString;
use crate::writer::Writer;
use crate::writer::check_encode;

/// The request `DescribeUserScramCredentialsRequest`, versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeUserScramCredentialsRequest {
    pub users: Option<Vec<UserName>>,
}

impl Default for DescribeUserScramCredentialsRequest {
    fn default() -> Self {
        Self {
            users: Some(Vec::new()),
        }
    }
}

impl DescribeUserScramCredentialsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeUserScramCredentialsRequest", version, 0, 0)?;
        let decoded = Self {
            users: r.nullable_array(true, UserName::MIN_SIZE, |r| UserName::decode(r, version))?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeUserScramCredentialsRequest", version, 0, 0)?;
        w.nullable_array(self.users.as_deref(), true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeUserScramCredentialsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserName {
    pub name: KafkaString,
}

impl UserName {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 2;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `DescribeUserScramCredentialsResponse`, versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeUserScramCredentialsResponse {
    pub throttle_time_ms: i32,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub results: Vec<DescribeUserScramCredentialsResult>,
}

impl Default for DescribeUserScramCredentialsResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            results: Vec::new(),
        }
    }
}

impl DescribeUserScramCredentialsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("DescribeUserScramCredentialsResponse", version, 0, 0)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
            results: r.array(true, DescribeUserScramCredentialsResult::MIN_SIZE, |r| {
                DescribeUserScramCredentialsResult::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("DescribeUserScramCredentialsResponse", version, 0, 0)?;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.array(&self.results, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeUserScramCredentialsResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CredentialInfo {
    pub mechanism: i8,
    pub iterations: i32,
}

impl CredentialInfo {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            mechanism: r.i8()?,
            iterations: r.i32()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.i8(self.mechanism);
        w.i32(self.iterations);
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `DescribeUserScramCredentialsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeUserScramCredentialsResult {
    pub user: KafkaString,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
    pub credential_infos: Vec<CredentialInfo>,
}

impl Default for DescribeUserScramCredentialsResult {
    fn default() -> Self {
        Self {
            user: KafkaString::EMPTY,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
            credential_infos: Vec::new(),
        }
    }
}

impl DescribeUserScramCredentialsResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 6;

    pub(crate) fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            user: r.string(true)?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
            credential_infos: r.array(true, CredentialInfo::MIN_SIZE, |r| {
                CredentialInfo::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        w.string(&self.user, true)?;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.array(&self.credential_infos, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for DescribeUserScramCredentialsRequest {
    const API_KEY: ApiKey = ApiKey::DescribeUserScramCredentials;
    type Response = DescribeUserScramCredentialsResponse;
}

impl From<DescribeUserScramCredentialsRequest> for Request {
    fn from(message: DescribeUserScramCredentialsRequest) -> Self {
        Request::DescribeUserScramCredentials(message)
    }
}

impl From<DescribeUserScramCredentialsResponse> for Response {
    fn from(message: DescribeUserScramCredentialsResponse) -> Self {
        Response::DescribeUserScramCredentials(message)
    }
}

impl TryFrom<Response> for DescribeUserScramCredentialsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::DescribeUserScramCredentials(message) => Ok(message),
            other => Err(other),
        }
    }
}
