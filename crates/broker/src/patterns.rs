//! Regular expressions of clients, which the broker's thread makes ready and matches: within a limit of
//! memory, and so of time, and made ready once.

use crate::limits::PATTERN_BYTES_MAX;
use millstream_kafka_wire::KafkaString;
use regex::{Regex, RegexBuilder};

/// An expression that is to match whole names.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: KafkaString,
    /// None if it is malformed or too large: then nothing matches.
    regex: Option<Regex>,
}

/// The text says all.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    pub fn new(text: &KafkaString) -> Self {
        let regex = RegexBuilder::new(&format!("^(?:{text})$"))
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX)
            .build();
        Pattern {
            text: text.detached(),
            regex: regex.ok(),
        }
    }

    pub fn text(&self) -> &KafkaString {
        &self.text
    }

    /// Whether there is an expression that could match something.
    pub fn is_valid(&self) -> bool {
        self.regex.is_some()
    }

    pub fn matches(&self, name: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.is_match(name))
    }
}
