//! Checks a value against its declaration: type, range, allowed words. Messages are Kafka's, because clients show them
//! to users.

use super::{ConfigDecl, ConfigError, ConfigType, ResourceType, Validity, declaration};
use millstream_types::java_text;

/// Lists in which Kafka accepts empty entries.
const LISTS_WITH_EMPTY_ENTRIES: &[&str] = &[
    "config.providers",
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
];

/// Checks a value against the declaration of its name.
pub fn check(kind: ResourceType, name: &str, value: &str) -> Result<&'static ConfigDecl, ConfigError> {
    let unknown = || ConfigError::Unknown {
        kind: kind.word(),
        name: name.to_owned(),
    };
    let decl = declaration(kind, name).ok_or_else(unknown)?;
    check_value(decl, value)?;
    Ok(decl)
}

/// Checks a value against a declaration.
pub(super) fn check_value(decl: &ConfigDecl, value: &str) -> Result<(), ConfigError> {
    let Some(wrong) = wrong(decl, value) else {
        return Ok(());
    };
    let name = decl.name.to_owned();
    Err(match wrong {
        Wrong::EmptyEntry => ConfigError::EmptyEntry { name },
        Wrong::Value(..) if decl.config_type == ConfigType::Password => ConfigError::Invalid {
            name,
            value: "[hidden]".to_owned(),
            expected: "Not valid".to_owned(),
        },
        Wrong::Value(value, expected) => ConfigError::Invalid {
            name,
            value,
            expected,
        },
    })
}

/// A mismatch between a value and its declaration.
#[derive(Debug, PartialEq)]
pub(super) enum Wrong {
    /// The parsed value, and what was expected.
    Value(String, String),
    /// A list has an entry of nothing.
    EmptyEntry,
}

pub(super) fn wrong(decl: &ConfigDecl, value: &str) -> Option<Wrong> {
    let text = value.trim();
    let misfit = |value: String, expected: &str| Some(Wrong::Value(value, expected.to_owned()));
    let number = match decl.config_type {
        ConfigType::Boolean => {
            let is_boolean = text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
            return if is_boolean {
                None
            } else {
                misfit(value.to_owned(), "Expected value to be either true or false")
            };
        }
        ConfigType::Int => text.parse::<i32>().ok().map(f64::from),
        ConfigType::Short => text.parse::<i16>().ok().map(f64::from),
        ConfigType::Long => text.parse::<i64>().ok().map(|number| number as f64),
        ConfigType::Double => text.parse::<f64>().ok(),
        ConfigType::List => return wrong_list(decl, value),
        ConfigType::String | ConfigType::Class | ConfigType::Password => return wrong_text(decl, text),
    };
    let Some(number) = number else {
        let kind = format!("{:?}", decl.config_type).to_uppercase();
        return misfit(value.to_owned(), &format!("Not a number of type {kind}"));
    };
    let (low, high) = match decl.valid {
        Validity::AtLeast(low) => (low, f64::INFINITY),
        Validity::Between(low, high) => (low, high),
        Validity::BetweenOr(low, high, or) => {
            let is_valid = (low..=high).contains(&number) || number == or;
            let expected = format!("Value must be between {low} and {high} or equal to {or}");
            return if is_valid {
                None
            } else {
                misfit(text.to_owned(), &expected)
            };
        }
        Validity::Any | Validity::OneOf(_) | Validity::OneOfIgnoringCase(_) | Validity::NotEmpty => {
            return None;
        }
    };
    let shown = match decl.config_type {
        ConfigType::Double => in_java(number),
        _ => text.to_owned(),
    };
    if number < low || number.is_nan() {
        return misfit(shown, &format!("Value must be at least {low}"));
    }
    if number > high {
        return misfit(shown, &format!("Value must be no more than {high}"));
    }
    None
}

fn wrong_text(decl: &ConfigDecl, value: &str) -> Option<Wrong> {
    let (words, expected, is_known) = match decl.valid {
        Validity::NotEmpty if value.is_empty() => {
            return Some(Wrong::Value(String::new(), "String must be non-empty".to_owned()));
        }
        Validity::OneOf(words) => (words, "String must be one of", words.contains(&value)),
        Validity::OneOfIgnoringCase(words) => {
            let is_known = words.iter().any(|word| word.eq_ignore_ascii_case(value));
            (words, "String must be one of (case insensitive)", is_known)
        }
        _ => return None,
    };
    (!is_known).then(|| Wrong::Value(value.to_owned(), format!("{expected}: {}", words.join(", "))))
}

fn wrong_list(decl: &ConfigDecl, value: &str) -> Option<Wrong> {
    if value.trim().is_empty() {
        return None;
    }
    for entry in value.split(',').map(str::trim) {
        if let wrong @ Some(_) = wrong_text(decl, entry).filter(|_| !entry.is_empty()) {
            return wrong;
        }
    }
    let has_empty = value.split(',').any(|entry| entry.trim().is_empty());
    (has_empty && !LISTS_WITH_EMPTY_ENTRIES.contains(&decl.name)).then_some(Wrong::EmptyEntry)
}

/// A value in the form in which Kafka shows it after parsing: trimmed, numbers and words normalised. A value that does
/// not fit its declaration stays unchanged.
pub fn parsed(decl: &ConfigDecl, value: &str) -> String {
    let text = value.trim();
    match decl.config_type {
        ConfigType::Boolean => text.to_ascii_lowercase(),
        ConfigType::Int | ConfigType::Short | ConfigType::Long => {
            let number = text.parse::<i64>();
            number.map_or_else(|_| text.to_owned(), |number| number.to_string())
        }
        ConfigType::Double => text.parse().map_or_else(|_| text.to_owned(), in_java),
        ConfigType::List => text.split(',').map(str::trim).collect::<Vec<_>>().join(","),
        ConfigType::String | ConfigType::Class | ConfigType::Password => text.to_owned(),
    }
}

/// A floating-point number as Java writes it.
fn in_java(number: f64) -> String {
    let mut text = String::new();
    java_text::write_double(&mut text, number);
    text
}

#[cfg(test)]
mod tests {
    use super::ResourceType::{Broker, Group, Topic};
    use super::*;

    #[rustfmt::skip]
    const REFUSALS: &[(ResourceType, &str, &str, &str)] = &[
        (Topic, "retention.ms", "-1", ""),
        (Topic, "retention.ms", " 7 ", ""),
        (Topic, "retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        (Topic, "retention.ms", "soon", "Invalid value soon for configuration retention.ms: Not a number of type LONG"),
        (Topic, "retention.ms", "", "Invalid value  for configuration retention.ms: Not a number of type LONG"),
        (Topic, "cleanup.policy", "compact,delete", ""),
        (Topic, "cleanup.policy", "", ""),
        (Topic, "cleanup.policy", "compact, shred", "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete"),
        (Topic, "cleanup.policy", "compact,", "Configuration 'cleanup.policy' values must not be empty."),
        (Topic, "compression.type", " zstd ", ""),
        (Topic, "compression.type", "ZSTD", "Invalid value ZSTD for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"),
        (Topic, "compression.gzip.level", "-1", ""),
        (Topic, "compression.gzip.level", "0", "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"),
        (Topic, "compression.lz4.level", "18", "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17"),
        (Topic, "min.cleanable.dirty.ratio", " 7 ", "Invalid value 7.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"),
        (Topic, "min.cleanable.dirty.ratio", "1e20", "Invalid value 1.0E20 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"),
        (Topic, "segment.bytes", "1000", "Invalid value 1000 for configuration segment.bytes: Value must be at least 1048576"),
        (Topic, "preallocate", " TRUE ", ""),
        (Topic, "preallocate", "yes", "Invalid value yes for configuration preallocate: Expected value to be either true or false"),
        (Topic, "nonsense", "1", "Unknown topic config name: nonsense"),
        (Broker, "sasl.enabled.mechanisms", "PLAIN,", "Configuration 'sasl.enabled.mechanisms' values must not be empty."),
        (Broker, "group.consumer.migration.policy", "Upgrade", ""),
        (Group, "share.isolation.level", "x", "Invalid value x for configuration share.isolation.level: String must be one of: read_committed, read_uncommitted"),
    ];

    #[test]
    fn refusals_are_in_kafkas_words() {
        for (kind, name, value, expected) in REFUSALS {
            let refused = check(*kind, name, value).err();
            let found = refused.map_or(String::new(), |error| error.in_kafkas_words());
            assert_eq!(found, *expected, "{name}={value}");
        }
    }

    #[test]
    fn values_are_shown_as_kafka_has_read_them() {
        for (name, value, expected) in [
            ("cleanup.policy", " compact , delete ", "compact,delete"),
            ("cleanup.policy", "", ""),
            ("retention.ms", " +7 ", "7"),
            ("retention.ms", "-007", "-7"),
            ("retention.ms", "soon", "soon"),
            ("preallocate", " TRUE ", "true"),
            ("compression.type", " lz4 ", "lz4"),
            ("min.cleanable.dirty.ratio", ".5", "0.5"),
            ("min.cleanable.dirty.ratio", "1", "1.0"),
            ("min.cleanable.dirty.ratio", "0", "0.0"),
            ("min.cleanable.dirty.ratio", "0.00015", "1.5E-4"),
            ("min.cleanable.dirty.ratio", "10000000", "1.0E7"),
        ] {
            let decl = declaration(Topic, name).unwrap();
            assert_eq!(parsed(decl, value), expected, "{name}={value}");
        }
    }
}
