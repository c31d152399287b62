//! Declared options: name, type, default, meaning. One declaration feeds checks, documentation and completion.

use std::collections::BTreeMap;
use std::time::Duration;

/// The type of an option's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptionType {
    String,
    Boolean,
    Int,
    Long,
    Double,
    /// `10 s`, `500 ms`, `1 min`: see [`parse_duration`].
    Duration,
    /// `64 mb`: see [`parse_memory_size`].
    MemorySize,
    /// One of these words, in any case.
    Enum(&'static [&'static str]),
    /// Items separated by `;`.
    List,
    /// `k1:v1,k2:v2`.
    Map,
}

/// One declared option of a connector, a format or the engine.
#[derive(Clone, Copy, Debug)]
pub struct OptionDecl {
    /// Key, for example `scan.startup.mode`. A trailing `*` declares a prefix (`properties.*`); a `#` stands for a
    /// column name (`fields.#.kind`).
    pub key: &'static str,
    pub ty: OptionType,
    /// Default as it is written in SQL; `None`: no default.
    pub default: Option<&'static str>,
    pub required: bool,
    /// One or two sentences for the reference.
    pub doc: &'static str,
}

impl OptionDecl {
    /// An optional option without a default.
    pub const fn new(key: &'static str, ty: OptionType, doc: &'static str) -> Self {
        Self {
            key,
            ty,
            default: None,
            required: false,
            doc,
        }
    }

    pub const fn with_default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Whether `key` is this option (prefix and `#` declarations included).
    pub fn matches(&self, key: &str) -> bool {
        if let Some(prefix) = self.key.strip_suffix('*') {
            return key.len() > prefix.len() && key.starts_with(prefix);
        }
        match self.key.split_once('#') {
            None => self.key == key,
            Some((before, after)) => {
                key.len() > before.len() + after.len() && key.starts_with(before) && key.ends_with(after)
            }
        }
    }

    /// Checks a value against the type; the error says what is expected.
    pub fn check(&self, value: &str) -> Result<(), OptionError> {
        match self.expected_instead_of(value) {
            None => Ok(()),
            Some(expected) => Err(OptionError::Value {
                key: self.key.to_owned(),
                value: value.to_owned(),
                expected,
            }),
        }
    }

    /// What the option takes, if this value is not of its type.
    pub fn expected_instead_of(&self, value: &str) -> Option<String> {
        match self.ty {
            OptionType::String | OptionType::List | OptionType::Map => None,
            OptionType::Boolean => parse_boolean(value)
                .is_none()
                .then_some("true or false".to_owned()),
            OptionType::Int => value
                .trim()
                .parse::<i32>()
                .is_err()
                .then_some("an integer".to_owned()),
            OptionType::Long => value
                .trim()
                .parse::<i64>()
                .is_err()
                .then_some("an integer".to_owned()),
            OptionType::Double => value
                .trim()
                .parse::<f64>()
                .is_err()
                .then_some("a number".to_owned()),
            OptionType::Duration => parse_duration(value)
                .is_none()
                .then_some("a duration such as '10 s' or '500 ms'".to_owned()),
            OptionType::MemorySize => parse_memory_size(value).is_none().then(|| {
                let starts = value.trim().starts_with(|c: char| c.is_ascii_digit());
                let why = if starts {
                    ""
                } else {
                    " (the text does not start with a number)"
                };
                format!("a size such as '64 mb'{why}")
            }),
            OptionType::Enum(words) => (!words.iter().any(|w| w.eq_ignore_ascii_case(value.trim())))
                .then(|| format!("one of {}", words.join(", "))),
        }
    }
}

/// Why an option was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    #[error("could not parse value '{value}' for key '{key}': expected {expected}")]
    Value {
        key: String,
        value: String,
        expected: String,
    },
    #[error("unsupported option '{key}' for {owner}. supported options: {supported}")]
    Unknown {
        key: String,
        owner: String,
        supported: String,
    },
    #[error("one or more required options are missing for {owner}: {keys}")]
    Missing { keys: String, owner: String },
}

/// Key and value pairs in key order: the WITH clause of a table, or a session's configuration.
pub type Options = BTreeMap<String, String>;

/// Flink's spellings of booleans.
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A duration as Flink writes it: a whole number and a unit (`d`, `h`, `min`/`m`, `s`, `ms`, `us`/`µs`, `ns` and
/// their long forms); no unit means milliseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let nanos_per_unit: u64 = match unit.as_str() {
        "d" | "day" | "days" => 86_400_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        _ => return None,
    };
    number.checked_mul(nanos_per_unit).map(Duration::from_nanos)
}

/// A number of bytes as Flink writes it: a whole number and a unit (`b`, `kb`/`k`, `mb`/`m`, `gb`/`g`, `tb`/`t` and
/// their long forms, powers of 1024); no unit means bytes.
pub fn parse_memory_size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let shift = match unit.as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kibibytes" => 10,
        "m" | "mb" | "mebibytes" => 20,
        "g" | "gb" | "gibibytes" => 30,
        "t" | "tb" | "tebibytes" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn number_and_unit(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_in_flink() {
        assert_eq!(parse_duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(parse_duration("5min"), Some(Duration::from_secs(300)));
        assert_eq!(parse_duration("250"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("ten"), None);
        assert_eq!(parse_memory_size("64 mb"), Some(64 << 20));
        assert_eq!(parse_memory_size("3 apples"), None);
    }

    #[test]
    fn declarations_match_prefixes_and_columns() {
        let properties = OptionDecl::new("properties.*", OptionType::String, "");
        assert!(properties.matches("properties.bootstrap.servers") && !properties.matches("properties."));
        let kind = OptionDecl::new("fields.#.kind", OptionType::String, "");
        assert!(
            kind.matches("fields.a.kind") && !kind.matches("fields..kind") && !kind.matches("fields.a.min")
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_names_what_is_expected() {
        let decl = OptionDecl::new(
            "scan.startup.mode",
            OptionType::Enum(&["earliest-offset", "latest-offset"]),
            "",
        );
        let error = decl.check("first").unwrap_err().to_string();
        assert!(
            error.contains("'first'") && error.contains("earliest-offset, latest-offset"),
            "{error}"
        );
        assert!(decl.check("EARLIEST-OFFSET").is_ok());
    }
}
