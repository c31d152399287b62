//! `cargo xtask tidy`: the rules of the house that the compiler does not know.
//!
//! - the crate graph is that of `layers.toml`;
//! - files stay under 600 lines and functions under 70, in tests under 800 and 100; `tidy.toml` lists exceptions, which may only shrink;
//! - no directory uses more banned constructions than `tidy.toml` allows (see [`crate::voice`]);
//! - no crate uses more of the patterns that the house writes otherwise than `tidy.toml` allows (see [`crate::dialect`]);
//! - no junk-drawer names, no stubs, no ignored tests, no paths of a machine;
//! - invariants 2 and 7 of ARCHITECTURE.md hold (see [`crate::invariants`]);
//! - links between pages lead somewhere (see [`crate::links`]);
//! - generated code and the page of limits are current.
//!
//! `--bless` rewrites `tidy.toml` with the present figures; a reviewer sees the growth. `--words DIRECTORY` lists the banned
//! constructions of a directory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// A file longer than this needs an entry in `tidy.toml`, and a reason at its head.
const FILE_LINES_MAX: usize = 600;
/// A function longer than this needs an entry in `tidy.toml`.
const FUNCTION_LINES_MAX: usize = 70;
/// Tests may be longer: a table of cases is easier to read in one piece.
const TEST_FILE_LINES_MAX: usize = 800;
const TEST_FUNCTION_LINES_MAX: usize = 100;
const JUNK_DRAWERS: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc"];
const RATCHET: &str = "tidy.toml";

/// Runs every check; the error lists all findings.
pub fn run(root: &Path, bless: bool) -> anyhow::Result<()> {
    let mut findings = Vec::new();
    layers(root, &mut findings)?;
    let sources = sources(root)?;
    let lengths = lengths(root, &sources)?;
    let words_found = crate::voice::counts(root)?;
    let patterns_found = crate::dialect::counts(root, &sources)?;
    if bless {
        std::fs::write(
            root.join(RATCHET),
            render(&lengths, &words_found, &patterns_found),
        )?;
    } else {
        let allowed = ratchet_file(root)?;
        ratchet(&lengths, section(&allowed, "lines"), &mut findings);
        crate::voice::check(&words_found, section(&allowed, "words"), &mut findings);
        crate::dialect::check(&patterns_found, section(&allowed, "dialect"), &mut findings);
    }
    crate::links::check(root, &mut findings)?;
    crate::invariants::check(root, &sources, &mut findings)?;
    for source in &sources {
        words(root, source, &mut findings)?;
    }
    if let Err(error) = crate::codegen_kafka::run(root, true) {
        findings.push(format!("generated code: {error:#}"));
    }
    if let Err(error) = crate::docs::check_limits(root) {
        findings.push(format!("reference: {error:#}"));
    }
    if findings.is_empty() {
        return Ok(());
    }
    anyhow::bail!("{} finding(s):\n  {}", findings.len(), findings.join("\n  "))
}

/// Every Rust file of the workspace that people write.
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for top in ["crates", "xtask", "examples"] {
        walk(&root.join(top), &mut found)?;
    }
    found.sort();
    Ok(found)
}

/// The Rust files below a directory, without generated ones.
pub fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        if path.is_dir() && name != "generated" && name != "target" {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

pub fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("tests.rs")
}

/// Lengths over the limits, by `file` or `file::function`.
fn lengths(root: &Path, sources: &[PathBuf]) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut over = BTreeMap::new();
    for path in sources {
        let text = std::fs::read_to_string(path)?;
        let name = relative(root, path);
        let (file_max, function_max) = if is_test(&name) {
            (TEST_FILE_LINES_MAX, TEST_FUNCTION_LINES_MAX)
        } else {
            (FILE_LINES_MAX, FUNCTION_LINES_MAX)
        };
        let lines = text.lines().count();
        if lines > file_max {
            over.insert(name.clone(), lines);
        }
        for (function, length) in functions(&text) {
            if length > function_max {
                let entry = over.entry(format!("{name}::{function}")).or_insert(0);
                *entry = length.max(*entry);
            }
        }
    }
    Ok(over)
}

/// Names and lengths of functions, by the indentation of formatted code: a function ends at the first closing brace
/// that stands where it began.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let closes = |l: &&str| l.len() >= indent && l.trim_end() == format!("{}}}", &line[..indent]);
        if let Some(length) = lines[start..].iter().position(closes) {
            found.push((name, length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    if let Some(behind) = rest.strip_prefix("pub") {
        let behind = behind
            .strip_prefix('(')
            .map_or(Some(behind), |scope| Some(scope.split_once(')')?.1))?;
        rest = behind.strip_prefix(' ')?;
    }
    for qualifier in ["const ", "async ", "unsafe ", "extern \"C\" "] {
        rest = rest.strip_prefix(qualifier).unwrap_or(rest);
    }
    let name: String = rest
        .strip_prefix("fn ")?
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    // A one-line function or a declaration has no body to measure.
    (!line.trim_end().ends_with([';', '}'])).then_some(name)
}

fn render(
    lengths: &BTreeMap<String, usize>,
    words: &BTreeMap<String, usize>,
    patterns: &BTreeMap<String, Vec<String>>,
) -> String {
    let mut text = String::from(
        "# Exceptions to the limits of `cargo xtask tidy`. Entries may shrink and go, not grow;\n\
         # `cargo xtask tidy --bless` rewrites this file.\n\n\
         # Files and functions that are longer than the limits.\n[lines]\n",
    );
    for (name, lines) in lengths {
        let _ = writeln!(text, "\"{name}\" = {lines}");
    }
    text.push_str(
        "\n# Banned constructions by directory; a directory that is not listed has none.\n[words]\n",
    );
    for (name, count) in words {
        let _ = writeln!(text, "\"{name}\" = {count}");
    }
    text.push_str("\n# Patterns by crate for which the house has another form.\n[dialect]\n");
    for (name, places) in patterns {
        let _ = writeln!(text, "\"{name}\" = {}", places.len());
    }
    text
}

fn ratchet_file(root: &Path) -> anyhow::Result<toml::Table> {
    let text = std::fs::read_to_string(root.join(RATCHET)).unwrap_or_default();
    text.parse()
        .with_context(|| format!("{RATCHET} is not valid TOML"))
}

fn section<'a>(table: &'a toml::Table, name: &str) -> &'a toml::Table {
    static EMPTY: std::sync::LazyLock<toml::Table> = std::sync::LazyLock::new(toml::Table::new);
    table.get(name).and_then(toml::Value::as_table).unwrap_or(&EMPTY)
}

fn ratchet(lengths: &BTreeMap<String, usize>, allowed: &toml::Table, findings: &mut Vec<String>) {
    for (name, lines) in lengths {
        let limit = allowed.get(name).and_then(toml::Value::as_integer).unwrap_or(0);
        if *lines > usize::try_from(limit).unwrap_or(0) {
            findings.push(format!(
                "{name} has {lines} lines ({limit} are allowed): split it"
            ));
        }
    }
}

/// Names and words that must not stand in the tree.
fn words(root: &Path, path: &Path, findings: &mut Vec<String>) -> anyhow::Result<()> {
    let name = relative(root, path);
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("");
    let parent = path
        .parent()
        .and_then(Path::file_name)
        .and_then(|s| s.to_str())
        .unwrap_or("");
    if JUNK_DRAWERS.contains(&stem) || JUNK_DRAWERS.contains(&parent) {
        findings.push(format!("{name}: a junk drawer; name it after what it holds"));
    }
    if name.ends_with("tidy.rs") {
        return Ok(());
    }
    let text = std::fs::read_to_string(path)?;
    for (number, line) in text.lines().enumerate() {
        for word in [
            "todo!(",
            "unimplemented!(",
            "#[ignore",
            "FIXME",
            "dbg!(",
            "\"/work/",
            "/root/",
        ] {
            if line.contains(word) {
                findings.push(format!("{name}:{}: '{word}' must not land", number + 1));
            }
        }
    }
    Ok(())
}

/// Holds the manifests against `layers.toml`.
fn layers(root: &Path, findings: &mut Vec<String>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root.join("layers.toml")).context("layers.toml is missing")?;
    let table: toml::Table = text.parse().context("layers.toml is not TOML")?;
    let crates = table
        .get("crates")
        .and_then(toml::Value::as_table)
        .context("layers.toml has no [crates]")?;
    let output = std::process::Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = short(package["name"].as_str().unwrap_or(""));
        if name == "xtask" {
            continue;
        }
        let Some(entry) = crates.get(name) else {
            findings.push(format!("crate '{name}' is not in layers.toml"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            edge(name, entry, crates, dependency, findings);
        }
    }
    Ok(())
}

fn short(package: &str) -> &str {
    package.strip_prefix("millstream-").unwrap_or(package)
}

fn edge(
    name: &str,
    entry: &toml::Value,
    crates: &toml::Table,
    dependency: &Value,
    findings: &mut Vec<String>,
) {
    let full = dependency["name"].as_str().unwrap_or("");
    if !full.starts_with("millstream") || dependency["kind"].as_str() == Some("dev") {
        return;
    }
    let target = short(full);
    let Some(used) = crates.get(target) else {
        findings.push(format!("'{name}' uses '{target}', which is not in layers.toml"));
        return;
    };
    let level = |entry: &toml::Value| {
        entry
            .get("level")
            .and_then(toml::Value::as_integer)
            .unwrap_or(i64::MAX)
    };
    let listed = entry
        .get("uses")
        .and_then(toml::Value::as_array)
        .is_some_and(|uses| uses.iter().any(|u| u.as_str() == Some(target)));
    if used.get("dev").is_some() {
        findings.push(format!("'{name}' uses '{target}' outside of tests"));
    } else if !listed || level(used) >= level(entry) {
        findings.push(format!("'{name}' may not use '{target}': see layers.toml"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_by_their_indentation() {
        let text = "impl A {\n    pub fn b(\n        x: u8,\n    ) -> u8 {\n        if x > 0 {\n            1\n        }\n    }\n}\nfn c() {}\n";
        assert_eq!(functions(text), [("b".to_owned(), 7)]);
        let text = "pub(super) async fn d(\n) {\n}\n";
        assert_eq!(functions(text), [("d".to_owned(), 3)]);
        let text = "pub(in crate::a) const fn e(\n) {\n}\n";
        assert_eq!(functions(text), [("e".to_owned(), 3)]);
    }

    #[test]
    fn the_tree_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the package lies in the repository");
        if let Err(error) = run(root, false) {
            panic!("{error:#}");
        }
    }
}
