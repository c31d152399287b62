//! SCRAM credentials: never the password, and not the salted password that clients send either, as that would let its
//! reader pass for the user; only the two keys that checking needs.

use bytes::Bytes;
use hmac::{Hmac, Mac};
use millstream_kafka_wire::{DecodeError, KafkaString, Reader, Writer};
use sha2::{Digest, Sha256, Sha512};
use std::fmt;

/// A SCRAM mechanism, with Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256
    Sha256 = 1,
    /// SCRAM-SHA-512
    Sha512 = 2,
}

impl ScramMechanism {
    /// From Kafka's number.
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|mechanism| *mechanism as i8 == code)
    }
}

/// A stored credential (RFC 5802).
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// The salt that the client must use.
    pub salt: Bytes,
    /// How often it must hash.
    pub iterations: i32,
    /// The hash of the client's key.
    pub stored_key: Bytes,
    /// The key that the server proves itself with.
    pub server_key: Bytes,
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ScramCredential")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl ScramCredential {
    /// The credential of an AlterUserScramCredentials request.
    pub fn new(mechanism: ScramMechanism, salt: &[u8], salted_password: &[u8], iterations: i32) -> Self {
        let client_key = keyed(mechanism, salted_password, b"Client Key");
        let stored_key = match mechanism {
            ScramMechanism::Sha256 => Sha256::digest(&client_key).to_vec(),
            ScramMechanism::Sha512 => Sha512::digest(&client_key).to_vec(),
        };
        ScramCredential {
            salt: Bytes::copy_from_slice(salt),
            iterations,
            stored_key: stored_key.into(),
            server_key: keyed(mechanism, salted_password, b"Server Key").into(),
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut w = Writer::new();
        w.i32(self.iterations);
        for bytes in [&self.salt, &self.stored_key, &self.server_key] {
            let _ = w.bytes(bytes, true); // far below the limit of the encoding
        }
        w.into_bytes()
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let iterations = r.i32()?;
        let (salt, stored_key, server_key) = (r.bytes(true)?, r.bytes(true)?, r.bytes(true)?);
        Ok(ScramCredential {
            salt,
            iterations,
            stored_key,
            server_key,
        })
    }
}

fn keyed(mechanism: ScramMechanism, key: &[u8], text: &[u8]) -> Vec<u8> {
    match mechanism {
        ScramMechanism::Sha256 => {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }
        ScramMechanism::Sha512 => {
            let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of every length");
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }
    }
}

pub(crate) fn encode_key(user: &KafkaString, mechanism: ScramMechanism) -> Bytes {
    let mut w = Writer::new();
    w.i8(mechanism as i8);
    let _ = w.string(user, true); // names came over the wire and are far below the limit
    w.into_bytes()
}

pub(crate) fn decode_key(bytes: Bytes) -> Result<(KafkaString, ScramMechanism), DecodeError> {
    let mut r = Reader::new(bytes);
    let mechanism =
        ScramMechanism::from_code(r.i8()?).ok_or(DecodeError::UnexpectedNull("a known mechanism"))?;
    Ok((r.string(true)?.detached(), mechanism))
}
