//! The dialect of the code: patterns for which the house has one form, counted for each crate.
//!
//! `tidy.toml` holds the count that each crate may have at most; one that is not listed there is at 0. What the compiler and
//! clippy can check (`match_bool`) stands in the workspace's lints instead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A pattern: its name in `tidy.toml`, what to write instead, and where it starts in a file's text.
type Pattern = (&'static str, &'static str, fn(&str) -> Vec<usize>);

const PATTERNS: &[Pattern] = &[
    (
        "string-error",
        "an error type that callers can match, with its cause as `source`",
        string_errors,
    ),
    ("match-unit", "`if` and `else if`", |text| {
        text.match_indices("match () {").map(|(at, _)| at).collect()
    }),
    (
        "tuple-parameter",
        "parameters of their own, or a struct whose fields have names",
        tuple_parameters,
    ),
];

/// Counts by `crate: pattern`, and each place for the list.
pub fn counts(root: &Path, sources: &[PathBuf]) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut counts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in sources {
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
        // A test prints an error and ends; nothing in it matches on one.
        if crate::tidy::is_test(&name) || name.ends_with("dialect.rs") {
            continue;
        }
        let text = std::fs::read_to_string(path)?;
        let area = crate::voice::area(&name);
        for (pattern, _, find) in PATTERNS {
            for at in find(&text) {
                let line = text[..at].matches('\n').count() + 1;
                let places = counts.entry(format!("{area}: {pattern}")).or_default();
                places.push(format!("{name}:{line}"));
            }
        }
    }
    Ok(counts)
}

/// Appends a finding for each crate that has more of a pattern than it may.
pub fn check(counts: &BTreeMap<String, Vec<String>>, allowed: &toml::Table, findings: &mut Vec<String>) {
    for (key, places) in counts {
        let maximum = allowed.get(key).and_then(toml::Value::as_integer).unwrap_or(0);
        if places.len() > usize::try_from(maximum).unwrap_or(0) {
            let instead = PATTERNS
                .iter()
                .find(|(name, ..)| key.ends_with(name))
                .map_or("", |(_, instead, _)| instead);
            findings.push(format!(
                "{key}: {} places ({maximum} are allowed), write {instead}: {}",
                places.len(),
                places.join(", ")
            ));
        }
    }
}

/// Parameters of functions that take a tuple apart, up to the unit tests at the end of a file. Closures do so by nature.
fn tuple_parameters(text: &str) -> Vec<usize> {
    let code = text.split("\nmod tests {").next().unwrap_or(text);
    let ends = ["): (", "): &("]
        .iter()
        .flat_map(|pattern| code.match_indices(pattern));
    ends.filter_map(|(end, _)| opening(&code[..=end]))
        .filter(|start| {
            let line = &code[code[..*start].rfind('\n').map_or(0, |newline| newline + 1)..];
            let line = line.split('\n').next().unwrap_or(line);
            code[..*start].trim_end().ends_with(['(', ','])
                && !line.contains('|')
                && !line.trim_start().starts_with("//")
        })
        .collect()
}

/// Where the bracket opens that the last character closes.
fn opening(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// `Result` types whose error is a `String`.
fn string_errors(text: &str) -> Vec<usize> {
    let starts = text.match_indices("Result<").map(|(at, _)| at);
    starts
        .filter(|at| {
            let arguments = type_arguments(&text[at + "Result<".len()..]);
            matches!(arguments.as_slice(), [_, error] if *error == "String")
        })
        .collect()
}

/// The arguments of a generic type, from the text behind its opening bracket.
fn type_arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (1, 0, Vec::new());
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if previous == '-' => {}
            '>' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            found.push(text[start..at].trim());
            start = at + 1;
        }
        if depth == 0 || matches!(c, ';' | '{') {
            break;
        }
        previous = c;
    }
    // A list over several lines ends with a comma.
    found.retain(|argument| !argument.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_in_signatures_are_found_and_those_of_closures_are_not() {
        let text = "fn a(b: u8, (c, d): (u8, u8)) {}\nfn e(\n    (f, (g, h)): &(u8, (u8, u8)),\n) {\n    let (i, j): (u8, u8) = \
                    k(|(l, m): (u8, u8)| l);\n}\nmod tests {\n    fn n((o, p): (u8, u8)) {}\n";
        let found = tuple_parameters(text);
        let starts: Vec<&str> = found.iter().map(|at| &text[*at..*at + 3]).collect();
        assert_eq!(starts, ["(c,", "(f,"]);
    }

    #[test]
    fn string_errors_are_found_by_the_second_argument() {
        let count = |text: &str| string_errors(text).len();
        assert_eq!(count("fn a() -> Result<(u8, u8), String> {"), 1);
        assert_eq!(count("x: Result<\n    Vec<u8>,\n    String,\n>,"), 1);
        assert_eq!(count("f: fn() -> Result<(), String>, g: Result<B<C>, String>"), 2);
        assert_eq!(count("fn b() -> anyhow::Result<BTreeMap<String, String>> {"), 0);
        assert_eq!(count("fn c() -> Result<String, io::Error> {"), 0);
        assert_eq!(count("f: impl Fn() -> Result<fn(u8) -> u8, String>"), 1);
    }
}
