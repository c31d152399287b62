//! Keys and values as people read them: JSON, text, or hexadecimal digits; and the filter over them.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::limits::UI_SHOWN_BYTES_MAX as SHOWN_BYTES_MAX;

/// How bytes are shown.
pub fn shown(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else {
        return json!({ "format": "null", "text": null, "bytes": 0 });
    };
    let truncated = bytes.len() > SHOWN_BYTES_MAX;
    let (format, text) = match std::str::from_utf8(bytes) {
        _ if bytes.is_empty() => ("empty", String::new()),
        Ok(text) if !truncated && is_json(text) => ("json", text.to_owned()),
        Ok(text) if text.chars().all(is_printable) => ("text", head(text).to_owned()),
        _ => ("hex", hex(&bytes[..bytes.len().min(SHOWN_BYTES_MAX / 2)])),
    };
    let mut shown = json!({ "format": format, "text": text, "bytes": bytes.len() });
    if truncated {
        shown["truncated"] = true.into();
    }
    shown
}

/// An object, an array, a number or another value of JSON; a bare word is text.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn is_printable(c: char) -> bool {
    !c.is_control() || matches!(c, '\n' | '\r' | '\t')
}

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)]
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}

/// Bytes from hexadecimal digits, with or without spaces between.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    let pair = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
}

/// Longer signs first: `<=` begins with `<`.
const SIGNS: [(&str, Comparison); 7] = [
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("=", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("~", Comparison::Contains),
];

/// Which records are shown.
#[derive(Clone, Debug)]
pub enum Filter {
    /// A text anywhere in the key or the value, in any case.
    Text(String),
    /// `value.user.id = 42`: a member of the JSON of the key or value against a constant.
    Member {
        of_key: bool,
        path: Vec<String>,
        comparison: Comparison,
        constant: String,
    },
}

impl Filter {
    /// `None` for an empty text.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        Some(Self::member(text).unwrap_or_else(|| Self::Text(text.to_lowercase())))
    }

    fn member(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '$')))?;
        let (path, rest) = text.split_at(end);
        let rest = rest.trim_start();
        let (sign, comparison) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign))?;
        let mut path = path.split('.').map(str::to_owned);
        let of_key = match path.next()?.as_str() {
            "key" => true,
            "value" => false,
            _ => return None,
        };
        let constant = rest[sign.len()..].trim();
        let quotes = [('\'', '\''), ('"', '"')];
        let unquoted = quotes
            .iter()
            .find_map(|(open, close)| constant.strip_prefix(*open)?.strip_suffix(*close));
        Some(Self::Member {
            of_key,
            path: path.collect(),
            comparison: *comparison,
            constant: unquoted.unwrap_or(constant).to_owned(),
        })
    }

    pub fn passes(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> bool {
        match self {
            Self::Text(wanted) => [key, value].into_iter().flatten().any(|bytes| {
                let text = String::from_utf8_lossy(bytes);
                text.to_lowercase().contains(wanted)
            }),
            Self::Member {
                of_key,
                path,
                comparison,
                constant,
            } => {
                let bytes = if *of_key { key } else { value };
                member_text(bytes, path).is_some_and(|text| compares(&text, *comparison, constant))
            }
        }
    }
}

/// The member at a path as text: a string without its quotes, anything else as JSON.
fn member_text(bytes: Option<&[u8]>, path: &[String]) -> Option<String> {
    let bytes = bytes?;
    let parsed: Value = match serde_json::from_slice(bytes) {
        Ok(parsed) => parsed,
        Err(_) if path.is_empty() => return Some(String::from_utf8_lossy(bytes).into_owned()),
        Err(_) => return None,
    };
    let mut at = &parsed;
    for step in path {
        at = match at {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            other => other.get(step)?,
        };
    }
    Some(at.as_str().map_or_else(|| at.to_string(), str::to_owned))
}

fn compares(text: &str, comparison: Comparison, constant: &str) -> bool {
    let order = order(text, constant);
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
        Comparison::Contains => text.to_lowercase().contains(&constant.to_lowercase()),
    }
}

/// Two numbers by their size, anything else by its letters. Integers are compared exactly: an id of 64 bits does not fit a
/// float.
fn order(text: &str, constant: &str) -> Ordering {
    if let (Ok(a), Ok(b)) = (text.parse::<i128>(), constant.parse::<i128>()) {
        return a.cmp(&b);
    }
    match (text.parse::<f64>(), constant.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Less),
        _ => text.cmp(constant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_the_most_readable_form() {
        for (bytes, format, text) in [
            (&b""[..], "empty", ""),
            (b"{\"a\": 1}", "json", "{\"a\": 1}"),
            (b"17", "json", "17"),
            (b"hello\nthere", "text", "hello\nthere"),
            (b"\x00\x01\xff", "hex", "00 01 ff"),
            (b"tab\x07bell", "hex", "74 61 62 07 62 65 6c 6c"),
        ] {
            let shown = shown(Some(bytes));
            assert_eq!(
                (shown["format"].as_str(), shown["text"].as_str()),
                (Some(format), Some(text))
            );
            assert_eq!(shown["bytes"], bytes.len());
        }
        assert_eq!(shown(None)["format"], "null");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = "ä".repeat(SHOWN_BYTES_MAX);
        let shown = shown(Some(long.as_bytes()));
        assert_eq!(shown["truncated"], true);
        assert!(
            shown["text"]
                .as_str()
                .is_some_and(|text| text.len() <= SHOWN_BYTES_MAX && text.ends_with('ä'))
        );
    }

    #[test]
    fn hexadecimal_digits_are_read_in_pairs() {
        assert_eq!(from_hex("00 fF\n10"), Some(vec![0, 255, 16]));
        assert_eq!(
            (from_hex("0"), from_hex("0x10"), from_hex("")),
            (None, None, Some(Vec::new()))
        );
    }

    #[test]
    fn filters_find_texts_and_members() {
        let value = br#"{"user": {"id": 42, "name": "Ann"}, "tags": ["a", "b"], "ok": true}"#;
        for (filter, expected) in [
            ("ANN", true),
            ("bob", false),
            ("k-7", true),
            ("value.user.id = 42", true),
            ("value.user.id=42.0", true),
            ("value.user.id > 41", true),
            ("value.user.id <= 41", false),
            ("value.user.name = Ann", true),
            ("value.user.name = \"Ann\"", true),
            ("value.user.name != Bob", true),
            ("value.user.name ~ nn", true),
            ("value.tags.1 = b", true),
            ("value.tags.7 = b", false),
            ("value.ok = true", true),
            ("value.missing != x", false),
            ("key = k-7", true),
            ("key ~ K", true),
            ("other = 1", false),
        ] {
            let parsed = Filter::parse(filter).expect(filter);
            assert_eq!(parsed.passes(Some(b"k-7"), Some(value)), expected, "{filter}");
            assert!(!parsed.passes(None, None), "{filter}");
        }
        assert!(Filter::parse("  ").is_none());
        let id = br#"{"id": 7896645425468494843}"#;
        for (constant, expected) in [("7896645425468494843", true), ("7896645425468494842", false)] {
            let filter = Filter::parse(&format!("value.id = {constant}")).expect("a filter");
            assert_eq!(filter.passes(None, Some(id)), expected, "{constant}");
        }
    }
}
