//! Schemas: how the bytes of a message become a value.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::error::Result;

/// Makes a value of the bytes of a message.
pub trait DeserializationSchema<T>: Send + Sync + 'static {
    fn deserialize(&self, message: &[u8]) -> Result<T>;
}

/// UTF-8 text, as a `String`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimpleStringSchema;

impl DeserializationSchema<String> for SimpleStringSchema {
    fn deserialize(&self, message: &[u8]) -> Result<String> {
        // As Java does, bytes that are not UTF-8 are replaced.
        Ok(String::from_utf8_lossy(message).into_owned())
    }
}

/// The bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesSchema;

impl DeserializationSchema<Vec<u8>> for BytesSchema {
    fn deserialize(&self, message: &[u8]) -> Result<Vec<u8>> {
        Ok(message.to_vec())
    }
}

/// JSON, by serde.
///
/// ```
/// # use millstream_datastream::source::JsonSchema;
/// #[derive(Clone, serde::Deserialize)]
/// struct Click {
///     user: String,
/// }
/// let schema = JsonSchema::<Click>::new();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct JsonSchema<T>(PhantomData<fn() -> T>);

impl<T> JsonSchema<T> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for JsonSchema<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: DeserializeOwned + 'static> DeserializationSchema<T> for JsonSchema<T> {
    fn deserialize(&self, message: &[u8]) -> Result<T> {
        Ok(serde_json::from_slice(message)?)
    }
}

/// Closures are schemas.
impl<T, F: Fn(&[u8]) -> Result<T> + Send + Sync + 'static> DeserializationSchema<T> for F {
    fn deserialize(&self, message: &[u8]) -> Result<T> {
        self(message)
    }
}
