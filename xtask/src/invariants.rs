//! Invariants of ARCHITECTURE.md that the text of the sources shows.
//!
//! - 2: nothing below the shell reads the environment, the arguments or the zone of the machine. Clippy's
//!   `disallowed_methods` keeps clocks and zones away, but cannot exempt the shell's crates from a rule about the
//!   environment.
//! - 7: the SQL front end names no connector. What it must know of one is part of the connector's declaration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::ensure;

/// The crates that read the machine, and the one that only tests use.
const SHELL: &[&str] = &[
    "crates/server",
    "crates/cli",
    "crates/millstream",
    "crates/testkit",
];
/// What reads the environment or the arguments, without the bracket behind it.
const MACHINE: &[&str] = &[
    "env::var",
    "env::args",
    "env::current_dir",
    "env::home_dir",
    "TimeZone::system",
];
const CONNECTORS: &str = "crates/connectors/src/";
const FRONT_END: &str = "crates/sql/src/";
/// A catalog of kind `kafka` shares its name with a connector.
const CATALOGS: &str = "crates/sql/src/catalog/";

/// Appends one finding for each place that breaks an invariant.
pub fn check(root: &Path, sources: &[PathBuf], findings: &mut Vec<String>) -> anyhow::Result<()> {
    let mut texts = Vec::new();
    for path in sources {
        let name = path
            .strip_prefix(root)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned();
        if name.starts_with("crates/") && name.contains("/src/") && !crate::tidy::is_test(&name) {
            texts.push((name, std::fs::read_to_string(path)?));
        }
    }
    let connectors: BTreeSet<&str> = texts
        .iter()
        .filter(|(name, _)| name.starts_with(CONNECTORS))
        .flat_map(|(_, text)| identifiers(text))
        .collect();
    ensure!(
        connectors.contains("kafka") && connectors.contains("datastream"),
        "the declarations in {CONNECTORS} look different now: repair this check"
    );
    for (name, text) in &texts {
        if !SHELL.contains(&crate::voice::area(name).as_str()) {
            places(name, text, MACHINE.iter().copied(), findings, |what| {
                format!("'{what}' reads the machine: take the value as a parameter (invariant 2)")
            });
        }
        if name.starts_with(FRONT_END) && !name.starts_with(CATALOGS) {
            let quoted: Vec<String> = connectors.iter().map(|name| format!("\"{name}\"")).collect();
            places(name, text, quoted.iter().map(String::as_str), findings, |what| {
                format!("{what} is a connector: let its declaration say what it is like (invariant 7)")
            });
        }
    }
    Ok(())
}

/// The identifiers that a file declares, as a field or as a constant of a connector's name.
fn identifiers(text: &str) -> Vec<&str> {
    let quoted = |line: &'_ str| -> Option<(usize, usize)> {
        let start = line.find('"')? + 1;
        Some((start, start + line[start..].find('"')?))
    };
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with("identifier: \"") || line.starts_with("pub const DATASTREAM"))
        .filter_map(|line| quoted(line).map(|(start, end)| &line[start..end]))
        .collect()
}

/// Appends a finding for each line of code that holds one of the words, up to the unit tests at the end of a file.
fn places<'a>(
    name: &str,
    text: &str,
    words: impl Iterator<Item = &'a str> + Clone,
    findings: &mut Vec<String>,
    message: impl Fn(&str) -> String,
) {
    for (number, line) in text.lines().enumerate() {
        if line == "mod tests {" {
            return;
        }
        if line.trim_start().starts_with("//") {
            continue;
        }
        for word in words.clone().filter(|word| line.contains(word)) {
            findings.push(format!("{name}:{}: {}", number + 1, message(word)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_searched_and_comments_and_tests_are_not() {
        let text = "//! \"print\" here\nfn a() {\n    b(\"print\");\n}\nmod tests {\n    c(\"print\");\n";
        let mut findings = Vec::new();
        places("a.rs", text, ["\"print\""].into_iter(), &mut findings, |what| {
            format!("{what} found")
        });
        assert_eq!(findings, ["a.rs:3: \"print\" found"]);
    }

    #[test]
    fn declarations_are_found_as_fields_and_as_constants() {
        let text =
            "    identifier: \"kafka\",\n    identifier,\npub const DATASTREAM: &str = \"datastream\";\n";
        assert_eq!(identifiers(text), ["kafka", "datastream"]);
    }
}
