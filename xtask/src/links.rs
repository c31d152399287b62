//! Links of the documentation: every relative link and picture leads to a file, every `#anchor` to a heading. Pages below
//! `docs` that are not listed in `docs/SUMMARY.md` give a warning.
//!
//! Links to other hosts are not followed: a check that needs the network fails for reasons of its own.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{bail, ensure};

const SUMMARY: &str = "docs/SUMMARY.md";

/// Appends one finding for each broken link; warns of pages that the site lacks.
pub fn check(root: &Path, findings: &mut Vec<String>) -> anyhow::Result<()> {
    let mut pages = Vec::new();
    for name in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        pages.push(PathBuf::from(name));
    }
    for folder in ["docs", "examples", "changelog.d", "packaging"] {
        markdown(root, Path::new(folder), &mut pages)?;
    }
    for page in &pages {
        let text = std::fs::read_to_string(root.join(page))?;
        for target in targets(&text) {
            if let Err(reason) = resolve(root, page, &target) {
                findings.push(format!("{}: link '{target}' {reason}", page.display()));
            }
        }
    }
    let summary = std::fs::read_to_string(root.join(SUMMARY))?;
    let listed: BTreeSet<String> = targets(&summary).into_iter().collect();
    for page in pages.iter().filter_map(|page| page.strip_prefix("docs").ok()) {
        let name = page.to_string_lossy().into_owned();
        if name != "SUMMARY.md" && !listed.contains(&name) {
            // A page without a place in the site is readable all the same, so this does not fail the build.
            eprintln!("warning: docs/{name} is not in {SUMMARY}");
        }
    }
    Ok(())
}

/// The Markdown files below a folder, relative to the root. `docs/book` is the output of mdBook.
fn markdown(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if folder == Path::new("docs/book") || !root.join(folder).exists() {
        return Ok(());
    }
    let mut entries: Vec<_> = std::fs::read_dir(root.join(folder))?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            markdown(root, &path, found)?;
        } else if path.extension().is_some_and(|e| e == "md") {
            found.push(path);
        }
    }
    Ok(())
}

/// What the inline links and pictures of a page point at, without those in code.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_fence = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence && !line.starts_with("    ") {
            // Every second part of a line split at back-ticks is code; a link whose text is code still has its target in prose.
            for prose in line.split('`').step_by(2) {
                for part in prose.split("](").skip(1) {
                    found.extend(part.split(')').next().map(str::to_owned));
                }
            }
        }
    }
    found
}

fn resolve(root: &Path, page: &Path, target: &str) -> anyhow::Result<()> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file = if path.is_empty() {
        page.to_path_buf()
    } else {
        normal(&page.parent().unwrap_or(Path::new("")).join(path))
    };
    if !root.join(&file).exists() {
        bail!("leads nowhere");
    }
    let Some(anchor) = anchor else { return Ok(()) };
    let text = std::fs::read_to_string(root.join(&file))?;
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let has_anchor = headings.map(slug).any(|slug| slug == anchor);
    ensure!(has_anchor, "names a heading that '{}' lacks", file.display());
    Ok(())
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Resolves `..` without asking the file system.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_of_code() {
        let text = "See [a](b.md#c-d) and ![p](../p.svg), not `[x](y)`.\n```\n[z](z)\n```\n    [i](i)\n[`n`](n.md)\n";
        assert_eq!(targets(text), ["b.md#c-d", "../p.svg", "n.md"]);
    }

    #[test]
    fn anchors_are_made_of_headings() {
        assert_eq!(slug("## Log & disk, `fsync`"), "log--disk-fsync");
        assert_eq!(normal(Path::new("docs/a/../b.md")), Path::new("docs/b.md"));
    }
}
