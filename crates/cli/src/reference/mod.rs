//! The reference pages, printed from the declarations that the program itself uses, so that they cannot lie.
//!
//! `cargo xtask docs` writes them to `docs/reference`; a test here fails when a page there is not what would be printed.
//! The page of limits is not here: limits are constants of all crates, which `xtask` reads in the sources.

mod compatibility;
mod configuration;
mod connectors;
mod errors;
mod functions;
mod markdown;

/// A page: its file name, and what is on it.
type Page = (&'static str, fn() -> String);

/// All pages.
pub const PAGES: [Page; 6] = [
    ("../sql-compatibility.md", compatibility::page),
    ("configuration.md", configuration::page),
    ("connectors.md", connectors::page),
    ("errors.md", errors::page),
    ("formats.md", connectors::formats_page),
    ("functions.md", functions::page),
];

/// Writes all pages into a directory.
pub fn write(directory: &std::path::Path) -> anyhow::Result<()> {
    use anyhow::Context;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create '{}'", directory.display()))?;
    for (name, page) in PAGES {
        let path = directory.join(name);
        std::fs::write(&path, page()).with_context(|| format!("cannot write '{}'", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_current() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
        for (name, page) in PAGES {
            let written = std::fs::read_to_string(directory.join(name)).unwrap_or_default();
            assert!(
                written == page(),
                "docs/reference/{name} is not current; `cargo xtask docs` regenerates it"
            );
        }
    }

    #[test]
    fn everything_that_is_declared_says_what_it_means() {
        for (name, page) in PAGES {
            for line in page().lines().filter(|line| line.starts_with('|')) {
                assert!(!line.ends_with("|  |"), "{name}: no meaning in: {line}");
            }
        }
    }
}
