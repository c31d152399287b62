//! Regular expressions of clients, which the broker's thread makes ready and matches: within a limit of memory, and so of
//! time.

use crate::limits::PATTERN_BYTES_MAX;
use millstream_kafka_wire::KafkaString;
use regex::{Regex, RegexBuilder};

/// A regular expression that has to match whole names.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// None if it is malformed or too large: then nothing matches.
    regex: Option<Regex>,
}

impl Pattern {
    pub fn new(text: &KafkaString) -> Self {
        let regex = RegexBuilder::new(&format!("^(?:{text})$"))
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX)
            .build();
        Pattern { regex: regex.ok() }
    }

    /// Whether there is an expression that could match something.
    pub fn is_valid(&self) -> bool {
        self.regex.is_some()
    }

    pub fn matches(&self, name: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_people_write_are_small_enough() {
        for (regex, name) in [
            (r".*", "t"),
            (r"(?i)ORDERS-.*", "orders-1"),
            (
                r"(?:prod|test)\.[\w.-]+\.(?:orders|payments)-\d+",
                "prod.eu.orders-1",
            ),
            (r"\w+\.\w+\.\w+\.\w+\.\w+\.\w+", "a.b.c.d.e.f"),
            (r"\p{L}+[^\s]{1,100}", "topic"),
            (r"[a-zA-Z0-9._-]{1,249}", "any_topic-1.x"),
        ] {
            let pattern = Pattern::new(&regex.into());
            assert!(pattern.is_valid() && pattern.matches(name), "{regex}");
        }
    }
}
