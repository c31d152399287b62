//! Reading requests as leniently as Flink does: an empty body is an empty object, unknown fields are ignored, scalars
//! are taken as texts.

use std::time::Duration;

use axum::body::Bytes;
use millstream_types::Options;
use serde_json::{Map, Value};

use crate::http::RestError;

/// The members of a JSON object. `format` is the name of Flink's message, for the error.
pub fn object(body: &Bytes, format: &str) -> Result<Map<String, Value>, RestError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => Err(mismatch(format)),
    }
}

fn mismatch(format: &str) -> RestError {
    RestError::bad_request(format!("Request did not match expected format {format}."))
}

/// A text member; numbers and booleans are taken as texts.
pub fn text(members: &Map<String, Value>, name: &str, format: &str) -> Result<Option<String>, RestError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => scalar(value).map(Some).ok_or_else(|| mismatch(format)),
    }
}

/// A member with milliseconds; 0 and less mean no limit.
pub fn milliseconds(
    members: &Map<String, Value>,
    name: &str,
    format: &str,
) -> Result<Option<Duration>, RestError> {
    let Some(text) = text(members, name, format)? else {
        return Ok(None);
    };
    let ms: i64 = text.trim().parse().map_err(|_| mismatch(format))?;
    Ok(u64::try_from(ms)
        .ok()
        .filter(|ms| *ms > 0)
        .map(Duration::from_millis))
}

/// A member with keys and values.
pub fn options(members: &Map<String, Value>, name: &str, format: &str) -> Result<Options, RestError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(Options::new()),
        Some(Value::Object(pairs)) => pairs
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| Ok((key.clone(), scalar(value).ok_or_else(|| mismatch(format))?)))
            .collect(),
        Some(_) => Err(mismatch(format)),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A handle in a path; handles are UUIDs.
pub fn handle(name: &str, text: &str) -> Result<String, RestError> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths = parts.iter().map(|part| part.len());
    let is_uuid = lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    if is_uuid {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(RestError::path_parameter(name, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_leniently_and_nonsense_is_refused() {
        let read = |body: &'static str| object(&Bytes::from_static(body.as_bytes()), "X");
        assert!(read("").expect("empty").is_empty());
        let members = read(r#"{"statement": 1, "other": [], "executionTimeout": "5"}"#).expect("an object");
        assert_eq!(
            text(&members, "statement", "X").expect("a text").as_deref(),
            Some("1")
        );
        assert_eq!(
            milliseconds(&members, "executionTimeout", "X").expect("a number"),
            Some(Duration::from_millis(5))
        );
        assert!(text(&members, "other", "X").is_err());
        for body in ["[]", "{", "1", "\u{0}"] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn handles_are_uuids() {
        assert!(handle("h", "0f99870f-d8bc-4799-8361-a1d4f79d4e5c").is_ok());
        for text in [
            "",
            "abc",
            "0f99870f-d8bc-4799-8361-a1d4f79d4e5",
            "../../../../etc/passwd",
            "0f99870fd8bc479983-61a1d4f79d4e5c",
        ] {
            assert!(handle("h", text).is_err(), "{text}");
        }
    }
}
