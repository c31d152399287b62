//! Topic selection by names or regular expressions, as in the `kafka-*` tools.

use millstream_kafka_client::metadata::{ClusterMetadata, TopicMetadata};
use regex::Regex;

use crate::args::TopicFilterArgs;

/// A name or a regular expression. The name of an existing topic selects only that topic: its dots are literal.
pub struct TopicPattern {
    text: String,
    regex: Regex,
}

impl TopicPattern {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            anyhow::anyhow!("'{text}' is neither a name nor a regular expression: {reason}")
        })?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// Commas separate alternatives, except inside an expression such as `t{1,2}`.
    fn parse_list(text: &str) -> anyhow::Result<Vec<Self>> {
        let parts: anyhow::Result<Vec<Self>> = text.split(',').map(Self::parse).collect();
        parts.or_else(|_| Ok(vec![Self::parse(text)?]))
    }

    pub fn is_match(&self, metadata: &ClusterMetadata, topic: &str) -> bool {
        match metadata.topic(&self.text) {
            Some(known) => known.name.as_str() == topic,
            None => self.regex.is_match(topic),
        }
    }

    fn check(&self, metadata: &ClusterMetadata) -> anyhow::Result<()> {
        let exists = metadata
            .topics
            .keys()
            .any(|topic| self.is_match(metadata, topic.as_str()));
        anyhow::ensure!(
            exists,
            "topic '{}' does not exist; `millstream topic list` lists them",
            self.text
        );
        Ok(())
    }
}

/// Selects topics; without a pattern, all of them.
pub struct TopicFilter {
    patterns: Vec<TopicPattern>,
    exclude_internal: bool,
}

impl TopicFilter {
    pub fn new(args: &TopicFilterArgs) -> anyhow::Result<Self> {
        let mut patterns = Vec::new();
        for text in args.names.iter().chain(&args.topics) {
            patterns.extend(TopicPattern::parse_list(text)?);
        }
        Ok(Self {
            patterns,
            exclude_internal: args.exclude_internal,
        })
    }

    /// The selected topics, sorted.
    pub fn chosen<'a>(&self, metadata: &'a ClusterMetadata) -> Vec<&'a TopicMetadata> {
        let is_named = |topic: &TopicMetadata| {
            self.patterns.is_empty()
                || self
                    .patterns
                    .iter()
                    .any(|pattern| pattern.is_match(metadata, topic.name.as_str()))
        };
        let topics = metadata.topics.values();
        topics
            .filter(|topic| !(self.exclude_internal && topic.is_internal) && is_named(topic))
            .collect()
    }

    /// Checks that every name matches a topic.
    pub fn check(&self, metadata: &ClusterMetadata) -> anyhow::Result<()> {
        self.patterns
            .iter()
            .try_for_each(|pattern| pattern.check(metadata))
    }
}
