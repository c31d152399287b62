//! The headers of requests and responses.
//!
//! The version of a header follows from the API and its version. The response to ApiVersions always has version 0,
//! because a client has to read it before it knows which versions the broker supports.

use bytes::Bytes;

use crate::error::{DecodeError, EncodeError};
use crate::messages::{ApiKey, Request, Response};
use crate::reader::Reader;
use crate::string::KafkaString;
use crate::writer::Writer;

impl ApiKey {
    pub const fn is_flexible(self, version: i16) -> bool {
        match self.flexible_from() {
            Some(from) => version >= from,
            None => false,
        }
    }

    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    pub const fn response_header_version(self, version: i16) -> i16 {
        match self {
            ApiKey::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }
}

/// The header of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestHeader {
    /// As received: it may be unknown to this codec.
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
    pub client_id: Option<KafkaString>,
}

impl RequestHeader {
    /// Reads a header. Of an unknown API only the fixed part is read, as the form of the rest is not known.
    pub fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let mut header = RequestHeader {
            api_key: r.i16()?,
            api_version: r.i16()?,
            correlation_id: r.i32()?,
            client_id: None,
        };
        let Some(api_key) = ApiKey::from_code(header.api_key) else {
            return Ok(header);
        };
        header.client_id = r.nullable_string(false)?;
        if api_key.is_flexible(header.api_version) {
            r.skip_tagged_fields()?;
        }
        Ok(header)
    }

    pub fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.i16(self.api_key);
        w.i16(self.api_version);
        w.i32(self.correlation_id);
        w.nullable_string(self.client_id.as_ref(), false)?;
        let flexible = ApiKey::from_code(self.api_key).is_some_and(|key| key.is_flexible(self.api_version));
        if flexible {
            w.no_tagged_fields();
        }
        Ok(())
    }
}

/// The header of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeader {
    pub correlation_id: i32,
}

impl ResponseHeader {
    pub fn decode(r: &mut Reader, api_key: ApiKey, api_version: i16) -> Result<Self, DecodeError> {
        let correlation_id = r.i32()?;
        if api_key.response_header_version(api_version) >= 1 {
            r.skip_tagged_fields()?;
        }
        Ok(ResponseHeader { correlation_id })
    }

    pub fn encode(self, w: &mut Writer, api_key: ApiKey, api_version: i16) {
        w.i32(self.correlation_id);
        if api_key.response_header_version(api_version) >= 1 {
            w.no_tagged_fields();
        }
    }
}

/// The chunks of a whole request frame: length, header, body.
pub fn encode_request(
    request: &Request,
    version: i16,
    correlation_id: i32,
    client_id: Option<&KafkaString>,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut w = Writer::new();
    let header = RequestHeader {
        api_key: request.api_key() as i16,
        api_version: version,
        correlation_id,
        client_id: client_id.cloned(),
    };
    header.encode(&mut w)?;
    request.encode(&mut w, version)?;
    w.into_frame()
}

/// The chunks of a whole response frame: length, header, body.
pub fn encode_response(
    response: &Response,
    version: i16,
    correlation_id: i32,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut w = Writer::new();
    ResponseHeader { correlation_id }.encode(&mut w, response.api_key(), version);
    response.encode(&mut w, version)?;
    w.into_frame()
}
