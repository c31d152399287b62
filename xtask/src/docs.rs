//! `cargo xtask docs`: the pages of `docs/reference`, printed from what is declared in the code.
//!
//! The pages of options, functions and configuration are printed by the program, which knows its declarations. The page of
//! limits is printed from the sources, because limits are plain constants of all crates: see [`limits`].

mod limits;
mod value;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

const DIRECTORY: &str = "docs/reference";
const LIMITS: &str = "limits.md";

/// Prints all pages.
pub fn run(root: &Path) -> anyhow::Result<()> {
    limits(root)?;
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--package", "millstream-cli", "--", "reference"])
        .arg(root.join(DIRECTORY))
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    anyhow::ensure!(status.success(), "the program did not print the reference");
    Ok(())
}

/// Prints the page of limits alone, which needs no build.
pub fn limits(root: &Path) -> anyhow::Result<()> {
    let path = limits_page(root);
    std::fs::create_dir_all(root.join(DIRECTORY))?;
    std::fs::write(&path, limits::page(root)?).with_context(|| format!("cannot write '{}'", path.display()))
}

/// Fails if the page of limits is not what would be printed.
pub fn check_limits(root: &Path) -> anyhow::Result<()> {
    let written = std::fs::read_to_string(limits_page(root)).unwrap_or_default();
    anyhow::ensure!(
        written == limits::page(root)?,
        "{DIRECTORY}/{LIMITS} is not current; `cargo xtask docs limits` regenerates it"
    );
    Ok(())
}

fn limits_page(root: &Path) -> PathBuf {
    root.join(DIRECTORY).join(LIMITS)
}
