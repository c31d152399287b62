// Written by `cargo xtask codegen kafka` from specs/kafka; change those files, not this one.

//! The API `AlterUserScramCredentials`.

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

/// The request `AlterUserScramCredentialsRequest`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterUserScramCredentialsRequest {
    pub deletions: Vec<ScramCredentialDeletion>,
    pub upsertions: Vec<ScramCredentialUpsertion>,
}

impl AlterUserScramCredentialsRequest {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AlterUserScramCredentialsRequest", version, 0, 0)?;
        let decoded = Self {
            deletions: r.array(true, ScramCredentialDeletion::MIN_SIZE, |r| {
                ScramCredentialDeletion::decode(r, version)
            })?,
            upsertions: r.array(true, ScramCredentialUpsertion::MIN_SIZE, |r| {
                ScramCredentialUpsertion::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AlterUserScramCredentialsRequest", version, 0, 0)?;
        w.array(&self.deletions, true, |w, each| each.encode(w, version))?;
        w.array(&self.upsertions, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `AlterUserScramCredentialsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScramCredentialDeletion {
    pub name: KafkaString,
    pub mechanism: i8,
}

impl ScramCredentialDeletion {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 3;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
            mechanism: r.i8()?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.i8(self.mechanism);
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `AlterUserScramCredentialsRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScramCredentialUpsertion {
    pub name: KafkaString,
    pub mechanism: i8,
    pub iterations: i32,
    pub salt: Bytes,
    pub salted_password: Bytes,
}

impl ScramCredentialUpsertion {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 9;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            name: r.string(true)?,
            mechanism: r.i8()?,
            iterations: r.i32()?,
            salt: r.bytes(true)?,
            salted_password: r.bytes(true)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.name, true)?;
        w.i8(self.mechanism);
        w.i32(self.iterations);
        w.bytes(&self.salt, true)?;
        w.bytes(&self.salted_password, true)?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// The response `AlterUserScramCredentialsResponse`, versions 0 to 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterUserScramCredentialsResponse {
    pub throttle_time_ms: i32,
    pub results: Vec<AlterUserScramCredentialsResult>,
}

impl AlterUserScramCredentialsResponse {
    /// Reads the body of the message in the given version.
    pub fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        check_decode("AlterUserScramCredentialsResponse", version, 0, 0)?;
        let decoded = Self {
            throttle_time_ms: r.i32()?,
            results: r.array(true, AlterUserScramCredentialsResult::MIN_SIZE, |r| {
                AlterUserScramCredentialsResult::decode(r, version)
            })?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    /// Writes the body of the message in the given version.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        check_encode("AlterUserScramCredentialsResponse", version, 0, 0)?;
        w.i32(self.throttle_time_ms);
        w.array(&self.results, true, |w, each| each.encode(w, version))?;
        w.no_tagged_fields();
        Ok(())
    }
}

/// A part of `AlterUserScramCredentialsResponse`.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterUserScramCredentialsResult {
    pub user: KafkaString,
    pub error_code: ErrorCode,
    pub error_message: Option<KafkaString>,
}

impl Default for AlterUserScramCredentialsResult {
    fn default() -> Self {
        Self {
            user: KafkaString::EMPTY,
            error_code: ErrorCode::NONE,
            error_message: Some(KafkaString::EMPTY),
        }
    }
}

impl AlterUserScramCredentialsResult {
    /// The fewest bytes that this takes in any version.
    pub(crate) const MIN_SIZE: usize = 5;

    pub(crate) fn decode(r: &mut Reader, _version: i16) -> Result<Self, DecodeError> {
        let decoded = Self {
            user: r.string(true)?,
            error_code: r.error_code()?,
            error_message: r.nullable_string(true)?,
        };
        r.skip_tagged_fields()?;
        Ok(decoded)
    }

    pub(crate) fn encode(&self, w: &mut Writer, _version: i16) -> Result<(), EncodeError> {
        w.string(&self.user, true)?;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message.as_ref(), true)?;
        w.no_tagged_fields();
        Ok(())
    }
}

impl RequestMessage for AlterUserScramCredentialsRequest {
    const API_KEY: ApiKey = ApiKey::AlterUserScramCredentials;
    type Response = AlterUserScramCredentialsResponse;
}

impl From<AlterUserScramCredentialsRequest> for Request {
    fn from(message: AlterUserScramCredentialsRequest) -> Self {
        Request::AlterUserScramCredentials(message)
    }
}

impl From<AlterUserScramCredentialsResponse> for Response {
    fn from(message: AlterUserScramCredentialsResponse) -> Self {
        Response::AlterUserScramCredentials(message)
    }
}

impl TryFrom<Response> for AlterUserScramCredentialsResponse {
    type Error = Response;
    fn try_from(response: Response) -> Result<Self, Response> {
        match response {
            Response::AlterUserScramCredentials(message) => Ok(message),
            other => Err(other),
        }
    }
}
