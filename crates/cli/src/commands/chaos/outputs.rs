//! What a trial wrote, and how it differs from the undisturbed run.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::script::Content;

/// Rows as text, and how often each is there.
pub type Rows = BTreeMap<String, i64>;

/// The rows in the lines of `topic tail --output json`.
pub fn rows_of_topic(lines: &str, content: Content) -> anyhow::Result<Rows> {
    let (mut rows, mut by_key) = (Rows::new(), BTreeMap::new());
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line)?;
        let text = |name: &str| match &record[name] {
            Value::String(text) => text.clone(),
            _ => "null".to_owned(),
        };
        match content {
            Content::Rows => *rows.entry(row(&text("key"), &text("value"))).or_default() += 1,
            Content::LastByKey if record["value"].is_null() => {
                by_key.remove(&text("key"));
            }
            Content::LastByKey => {
                by_key.insert(text("key"), text("value"));
            }
            Content::Changes => {
                let change: Value = serde_json::from_str(&text("value"))?;
                for (name, weight) in [("before", -1), ("after", 1)] {
                    if !change[name].is_null() {
                        *rows.entry(change[name].to_string()).or_default() += weight;
                    }
                }
            }
        }
    }
    rows.extend(by_key.iter().map(|(key, value)| (row(key, value), 1)));
    rows.retain(|_, count| *count != 0);
    Ok(rows)
}

fn row(key: &str, value: &str) -> String {
    match key {
        "null" => value.to_owned(),
        key => format!("{key} → {value}"),
    }
}

/// The lines of the visible files below a directory, each with the partition that it is in.
pub fn rows_of_files(directory: &Path) -> std::io::Result<Rows> {
    let mut rows = Rows::new();
    let mut open = vec![(directory.to_owned(), String::new())];
    while let Some((path, partition)) = open.pop() {
        if !path.is_dir() {
            let Ok(bytes) = std::fs::read(&path) else { continue };
            for line in String::from_utf8_lossy(&bytes).lines() {
                *rows.entry(format!("{partition}{line}")).or_default() += 1;
            }
            continue;
        }
        for entry in std::fs::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_hidden = name.starts_with(['.', '_']);
            if !is_hidden {
                let below = if entry.path().is_dir() {
                    format!("{partition}{name}/")
                } else {
                    partition.clone()
                };
                open.push((entry.path(), below));
            }
        }
    }
    Ok(rows)
}

/// How the rows of a trial differ from those of the undisturbed run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    pub expected: i64,
    pub found: i64,
    /// Rows that are missing, those of several copies counted each.
    pub lost: i64,
    /// Copies beyond those of the undisturbed run.
    pub doubled: i64,
    /// Rows that the undisturbed run does not have at all.
    pub strange: i64,
    /// The first rows that differ, each with what is wrong with it.
    pub examples: Vec<(&'static str, String)>,
}

/// Examples per kind of difference.
const EXAMPLES_MAX: usize = 3;

impl Difference {
    pub fn new(expected: &Rows, found: &Rows) -> Self {
        let mut difference = Self {
            expected: expected.values().sum(),
            found: found.values().sum(),
            ..Self::default()
        };
        for (row, count) in expected {
            let more = found.get(row).copied().unwrap_or(0) - count;
            if more < 0 {
                difference.lost -= more;
                difference.example("lost", row);
            } else if more > 0 {
                difference.doubled += more;
                difference.example("doubled", row);
            }
        }
        for (row, count) in found.iter().filter(|(row, _)| !expected.contains_key(*row)) {
            difference.strange += count;
            difference.example("unexpected", row);
        }
        difference
    }

    pub fn is_none(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.strange == 0
    }

    fn example(&mut self, what: &'static str, row: &str) {
        if self.examples.iter().filter(|(kind, _)| *kind == what).count() < EXAMPLES_MAX {
            self.examples.push((what, row.to_owned()));
        }
    }

    /// Adds the counts of another trial.
    pub fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.found += other.found;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.strange += other.strange;
        for (what, row) in &other.examples {
            self.example(what, row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(&str, i64)]) -> Rows {
        of.iter()
            .map(|(row, count)| ((*row).to_owned(), *count))
            .collect()
    }

    #[test]
    fn lost_doubled_and_unexpected_rows_are_told_apart() {
        let expected = rows(&[("a", 1), ("b", 3), ("c", 1)]);
        let found = rows(&[("a", 2), ("b", 1), ("c", 1), ("d", 1)]);
        let difference = Difference::new(&expected, &found);
        let counts = (difference.lost, difference.doubled, difference.strange);
        assert_eq!(counts, (2, 1, 1));
        assert_eq!((difference.expected, difference.found), (5, 5));
        assert!(Difference::new(&expected, &expected).is_none());
    }

    #[test]
    fn records_are_rows_last_values_or_changes() {
        let topic = r#"{"key":"k","value":"{\"before\":null,\"after\":{\"n\":1}}"}
{"key":"k","value":"{\"before\":{\"n\":1},\"after\":null}"}
{"key":"l","value":"{\"before\":null,\"after\":{\"n\":2}}"}
{"key":"l","value":"{\"before\":null,\"after\":{\"n\":2}}"}"#;
        let of = |content| rows_of_topic(topic, content).expect("records");
        assert_eq!(of(Content::Changes), rows(&[("{\"n\":2}", 2)]));
        assert_eq!(of(Content::LastByKey).len(), 2);
        assert_eq!(of(Content::Rows).values().sum::<i64>(), 4);
        let tombstone = format!("{topic}\n{}", r#"{"key":"l","value":null}"#);
        let left = rows_of_topic(&tombstone, Content::LastByKey).expect("records");
        assert_eq!(left.len(), 1);
    }
}
