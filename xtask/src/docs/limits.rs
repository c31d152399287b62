//! The page of limits: the constants of all `limits.rs` files, and every constant anywhere whose name ends in `_MAX`. Its
//! doc comment is its meaning; a limit without one is refused.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use super::value::{evaluate, shown};

/// A limit as it stands in the sources.
struct Limit {
    name: String,
    value: String,
    meaning: String,
}

/// Limits of one crate.
struct Room {
    name: String,
    about: String,
    limits: Vec<Limit>,
}

/// `limits.md`
pub fn page(root: &Path) -> anyhow::Result<String> {
    let mut text = String::from(
        "<!-- Printed by `cargo xtask docs` from the constants in the code. Do not edit. -->\n\n# Limits\n\n\
         Everything that has an end, by the name of its constant. Limits that can be set are on the page of\n\
         [configuration](configuration.md).\n",
    );
    for room in rooms(root)? {
        if room.limits.is_empty() {
            continue;
        }
        write!(
            text,
            "\n## {}\n\n{}\n\n| limit | value | meaning |\n|---|---|---|\n",
            room.name, room.about
        )?;
        for limit in &room.limits {
            writeln!(text, "| `{}` | {} | {} |", limit.name, limit.value, limit.meaning)?;
        }
    }
    Ok(text)
}

fn rooms(root: &Path) -> anyhow::Result<Vec<Room>> {
    let mut directories: Vec<_> = std::fs::read_dir(root.join("crates"))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    directories.sort();
    directories
        .iter()
        .map(|directory| room(root, directory))
        .collect()
}

fn room(root: &Path, directory: &Path) -> anyhow::Result<Room> {
    let name = directory
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or("")
        .to_owned();
    let manifest: toml::Table = std::fs::read_to_string(directory.join("Cargo.toml"))?.parse()?;
    let about = manifest
        .get("package")
        .and_then(|package| package.get("description"))
        .and_then(toml::Value::as_str)
        .with_context(|| format!("crate '{name}' has no description"))?;
    let mut sources = Vec::new();
    crate::tidy::walk(&directory.join("src"), &mut sources)?;
    sources.sort();
    let mut limits = Vec::new();
    for path in sources {
        let is_list = path.file_name().is_some_and(|n| n == "limits.rs");
        let text = std::fs::read_to_string(&path)?;
        let place = path.strip_prefix(root).unwrap_or(&path).display();
        limits.extend(declared(&text, is_list).with_context(|| format!("in {place}"))?);
    }
    limits.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Room {
        name,
        about: about.to_owned(),
        limits,
    })
}

/// The limits of one file: constants at the margin with a number or a duration.
fn declared(text: &str, is_list: bool) -> anyhow::Result<Vec<Limit>> {
    let mut limits = Vec::new();
    let mut doc: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("///") {
            doc.push(words.trim());
            continue;
        }
        if let Some((name, ty, expression)) = constant(line)
            && (is_list || name.ends_with("_MAX"))
            && ty != "f64"
        {
            anyhow::ensure!(!doc.is_empty(), "limit '{name}' has no doc comment");
            let value = evaluate(expression).with_context(|| format!("limit '{name}'"))?;
            limits.push(Limit {
                name: name.to_owned(),
                value: shown(name, ty, value),
                meaning: plain(&doc.join(" ")),
            });
        }
        if !line.starts_with("#[") {
            doc.clear();
        }
    }
    Ok(limits)
}

/// Name, type and expression of `pub const NAME: T = expression;`.
fn constant(line: &str) -> Option<(&str, &str, &str)> {
    let rest = ["pub const ", "pub(crate) const ", "pub(super) const ", "const "]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))?;
    let (name, rest) = rest.split_once(": ")?;
    let (ty, rest) = rest.split_once(" = ")?;
    let known = [
        "usize", "u64", "u32", "u16", "u8", "i64", "i32", "i16", "Duration",
    ];
    known.contains(&ty).then_some((name, ty, rest.strip_suffix(';')?))
}

/// A doc comment without the brackets of links, for a cell of a table.
fn plain(doc: &str) -> String {
    doc.replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_found_with_their_meaning() {
        let text =
            "/// Rows of\n/// a thing.\npub const ROWS_MAX: usize = 4 << 10;\nconst OTHER: usize = 1;\n";
        let found = declared(text, false).expect("the text is well-formed");
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].value.as_str()),
            ("ROWS_MAX", "4,096")
        );
        assert_eq!(found[0].meaning, "Rows of a thing.");
        assert!(declared("const ROWS_MAX: usize = 1;\n", false).is_err());
        assert!(declared("const OTHER: usize = 1;\n", true).is_err());
    }
}
