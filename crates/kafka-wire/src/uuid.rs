//! The 16-byte ids of topics and directories, with Kafka's text form: URL-safe base64 without padding.

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// 128 bits in steps of six.
const TEXT_LENGTH: usize = 22;

/// A topic id or directory id.
///
/// ```
/// use millstream_kafka_wire::Uuid;
/// let id: Uuid = "AAAAAAAAAAAAAAAAAAAAAQ".parse()?;
/// assert_eq!(id.0[15], 1);
/// assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
/// # Ok::<(), millstream_kafka_wire::uuid::InvalidUuid>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id that means "none".
    pub const ZERO: Uuid = Uuid([0; 16]);

    pub const fn from_u128(value: u128) -> Self {
        Uuid(value.to_be_bytes())
    }

    /// A version-4 id from 128 random bits. Never one that Kafka reserves, nor one whose text starts with a dash, which
    /// command lines would take for an option.
    pub fn from_random(bits: u128) -> Self {
        let mut bytes = bits.to_be_bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        if bytes[0] >> 2 == 62 {
            bytes[0] ^= 0x80;
        }
        Uuid(bytes)
    }

    pub fn is_zero(self) -> bool {
        self == Uuid::ZERO
    }
}

/// Text is not a Kafka uuid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a uuid: 22 characters of URL-safe base64 expected")]
pub struct InvalidUuid(String);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 132 bits of text hold 128 bits: the last character carries two, at its top.
        let value = u128::from_be_bytes(self.0);
        let mut text = String::with_capacity(TEXT_LENGTH);
        for index in 0..TEXT_LENGTH {
            let used = 6 * (index + 1);
            let six = if used <= 128 {
                value >> (128 - used)
            } else {
                value << (used - 128)
            };
            text.push(char::from(ALPHABET[(six & 63) as usize]));
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = InvalidUuid;

    fn from_str(text: &str) -> Result<Self, InvalidUuid> {
        let invalid = || InvalidUuid(text.to_owned());
        if text.len() != TEXT_LENGTH {
            return Err(invalid());
        }
        let mut value = 0u128;
        for (index, c) in text.bytes().enumerate() {
            let six = ALPHABET.iter().position(|each| *each == c).ok_or_else(invalid)? as u128;
            if index + 1 < TEXT_LENGTH {
                value = value << 6 | six;
            } else if six & 0x0f != 0 {
                return Err(invalid());
            } else {
                value = value << 2 | six >> 4;
            }
        }
        Ok(Uuid(value.to_be_bytes()))
    }
}
