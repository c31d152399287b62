//! Values of user types as bytes: MessagePack with named fields.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StateError;

/// A value as bytes.
pub fn encode_value<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, StateError> {
    rmp_serde::to_vec_named(value).map_err(|error| StateError::Shape {
        expected: "values that serde can encode".to_owned(),
        found: format!("{} ({error})", std::any::type_name::<T>()),
    })
}

/// What [`encode_value`] was given; `block` names the block in errors.
pub fn decode_value<T: DeserializeOwned>(block: &str, bytes: &[u8]) -> Result<T, StateError> {
    rmp_serde::from_slice(bytes).map_err(|error| {
        let wanted = std::any::type_name::<T>();
        StateError::corrupt(block, format!("a value is not of type {wanted}: {error}"))
    })
}
