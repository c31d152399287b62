//! The wording of comments, names, messages and pages: banned constructions and the glossary's wrong halves, counted for
//! each directory.
//!
//! `tidy.toml` holds the count that each directory may have at most; a directory that is not listed there is at 0. The
//! glossary is in CONTRIBUTING.md.

use std::collections::BTreeMap;
use std::path::Path;

/// Constructions that read as if translated, and terms for which the glossary has another word. A phrase matches whole
/// words, in identifiers too; the part behind the bar is what to write instead.
pub const BANNED: &[(&str, &str)] = &[
    ("whoever", "name the actor"),
    ("nobody", "name the actor"),
    ("somebody", "name the actor"),
    ("told of", "name who reports what to whom"),
    ("tells of", "name who reports what to whom"),
    ("what it was", "name the thing"),
    ("as many as there are", "all"),
    ("so many times as many", "a cap with its name"),
    ("is no end", "is retried"),
    ("comes to run", "is scheduled"),
    ("for ever", "forever, or the condition"),
    ("answer", "response"),
    ("answers", "responses"),
    ("answered", "responded to, acknowledged"),
    ("surroundings", "host"),
    ("system's cache", "page cache"),
    ("takes no answers", "has stopped reading responses"),
    ("the broker inside", "the embedded broker"),
    ("anew", "again, from scratch"),
    ("given up", "abandoned, aborted, dropped"),
    ("gives up", "aborts, fails"),
    ("everybody", "name the actor"),
    ("anybody", "name the actor"),
    ("what becomes of", "name the outcome"),
    ("takes back", "retracts, restores"),
    ("taken back", "retracted, restored"),
    ("goes on", "continues, resumes"),
    ("is told", "receives"),
    ("and its like", "and similar ones"),
    ("this very", "this"),
    ("may go on", "may continue, resumes"),
    ("goes by", "uses, passes"),
    ("with success", "successfully"),
    ("looks whether", "checks whether"),
];

/// Counts by directory: a crate, or a folder at the root.
pub fn counts(root: &Path) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let relative = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            if entry.file_type()?.is_dir() {
                if is_read(&name, &relative) {
                    open.push(path);
                }
            } else if is_prose(&relative) {
                let found = count(&std::fs::read_to_string(&path)?);
                *counts.entry(area(&relative)).or_insert(0) += found;
            }
        }
    }
    counts.retain(|_, count| *count > 0);
    Ok(counts)
}

/// Recorded results and generated pages say what other programs said.
fn is_read(name: &str, relative: &str) -> bool {
    !name.starts_with('.')
        && !matches!(
            name,
            "target" | "generated" | "node_modules" | "book" | "transcripts" | "data"
        )
        && !matches!(relative, "tests" | "specs" | "docs/reference" | "ui")
}

fn is_prose(relative: &str) -> bool {
    // The glossary and this list name what they ban.
    let names_them = matches!(relative, "CONTRIBUTING.md" | "xtask/src/voice.rs");
    !names_them
        && [".rs", ".md", ".sql"]
            .iter()
            .any(|ending| relative.ends_with(ending))
}

/// `crates/log/src/a.rs` belongs to `crates/log`, `docs/a.md` to `docs`, `README.md` to itself.
pub fn area(relative: &str) -> String {
    let parts: Vec<&str> = relative.split('/').collect();
    match parts.as_slice() {
        ["crates", name, ..] => format!("crates/{name}"),
        [first, ..] => (*first).to_owned(),
        [] => String::new(),
    }
}

fn count(text: &str) -> usize {
    let text = text.to_lowercase();
    BANNED.iter().map(|(phrase, _)| occurrences(&text, phrase)).sum()
}

/// How often a phrase stands in a text between characters that are not letters.
fn occurrences(text: &str, phrase: &str) -> usize {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    text.match_indices(phrase)
        .filter(|(at, _)| {
            let (before, after) = (&text[..*at], &text[at + phrase.len()..]);
            !is_letter(before.chars().next_back()) && !is_letter(after.chars().next())
        })
        .count()
}

/// Appends a finding for each directory that has more than it may.
pub fn check(counts: &BTreeMap<String, usize>, allowed: &toml::Table, findings: &mut Vec<String>) {
    for (directory, count) in counts {
        let maximum = allowed
            .get(directory)
            .and_then(toml::Value::as_integer)
            .unwrap_or(0);
        if *count > usize::try_from(maximum).unwrap_or(0) {
            findings.push(format!(
                "{directory} has {count} banned constructions ({maximum} are allowed); `cargo xtask tidy --words {directory}` \
                 lists them with what to write instead"
            ));
        }
    }
}

/// Prints where the banned constructions of a directory are, and what to write instead.
pub fn list(root: &Path, directory: &str) -> anyhow::Result<()> {
    let mut open = vec![root.join(directory)];
    while let Some(path) = open.pop() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let relative = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if is_read(&name, &relative) {
                for entry in std::fs::read_dir(&path)? {
                    open.push(entry?.path());
                }
            }
        } else if is_prose(&relative) {
            for (number, line) in std::fs::read_to_string(&path)?.lines().enumerate() {
                let lower = line.to_lowercase();
                for (phrase, instead) in BANNED
                    .iter()
                    .filter(|(phrase, _)| occurrences(&lower, phrase) > 0)
                {
                    println!(
                        "{relative}:{}: '{phrase}' ({instead}): {}",
                        number + 1,
                        line.trim()
                    );
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_whole_words_also_in_identifiers() {
        assert_eq!(
            occurrences("an answer, the_answer, answers, answered", "answer"),
            2
        );
        assert_eq!(count("Nobody is told of it."), 3);
    }

    #[test]
    fn directories_are_crates_or_top_folders() {
        assert_eq!(area("crates/log/src/wal/mod.rs"), "crates/log");
        assert_eq!(area("docs/concepts/topics.md"), "docs");
        assert_eq!(area("README.md"), "README.md");
    }
}
