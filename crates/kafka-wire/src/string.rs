//! A string that is a slice of its frame: cheap to clone, never copied while decoding.
//!
//! A `KafkaString` pins its whole frame. Strings that live long (names in a metadata cache) should be
//! [`detached`](KafkaString::detached).

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

use crate::error::DecodeError;

/// UTF-8 text in shared bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KafkaString(Bytes);

impl KafkaString {
    pub const EMPTY: KafkaString = KafkaString(Bytes::new());

    pub const fn from_static(text: &'static str) -> Self {
        KafkaString(Bytes::from_static(text.as_bytes()))
    }

    /// Interprets bytes as a string if they are UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, DecodeError> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(KafkaString(bytes)),
            Err(_) => Err(DecodeError::InvalidUtf8),
        }
    }

    pub fn as_str(&self) -> &str {
        // Checked again, as `unsafe` is not worth some nanoseconds on names of topics and groups.
        std::str::from_utf8(&self.0).expect("checked when the string was made")
    }

    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A copy that does not pin the frame.
    pub fn detached(&self) -> Self {
        KafkaString(Bytes::copy_from_slice(&self.0))
    }
}

impl Deref for KafkaString {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for KafkaString {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for KafkaString {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Hash for KafkaString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As `str` does, because of `Borrow<str>`.
        self.as_str().hash(state);
    }
}

impl From<&str> for KafkaString {
    fn from(text: &str) -> Self {
        KafkaString(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for KafkaString {
    fn from(text: String) -> Self {
        KafkaString(Bytes::from(text.into_bytes()))
    }
}

impl From<&String> for KafkaString {
    fn from(text: &String) -> Self {
        KafkaString::from(text.as_str())
    }
}

impl From<KafkaString> for String {
    fn from(text: KafkaString) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq<str> for KafkaString {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for KafkaString {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<String> for KafkaString {
    fn eq(&self, other: &String) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for KafkaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for KafkaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
